//! Rows from a NumPy archive: MedMNIST's `test_images` and `test_labels`, or `x` and `y` by any of their usual names.

use attack::Layout;
use domain::Digest;

use super::{Column, Reading, Rows, Wanted, narrow};
use crate::arrays::{Archive, Array};

/// Usual names of inputs and labels; `{}` is a split.
const PAIRS: [(&str, &str); 6] = [
    ("{}_images", "{}_labels"),
    ("x_{}", "y_{}"),
    ("X_{}", "y_{}"),
    ("{}_x", "{}_y"),
    ("{}_data", "{}_labels"),
    ("{}_inputs", "{}_labels"),
];
const PLAIN: [(&str, &str); 7] = [
    ("x", "y"),
    ("X", "y"),
    ("images", "labels"),
    ("data", "labels"),
    ("data", "target"),
    ("inputs", "labels"),
    ("X", "Y"),
];
/// Channels that an image can have.
const CHANNELS: [usize; 3] = [1, 3, 4];

pub(super) fn read(bytes: &[u8], wanted: &Wanted, reading: &Reading) -> Result<Rows, String> {
    let mut archive = Archive::open(bytes)?;
    let (inputs, labels, part) = names(&archive, reading)?;
    let x = archive.read(&inputs)?;
    let y = archive.read(&labels)?;
    let mut notes = Vec::new();
    let count = x.shape.first().copied().unwrap_or(0);
    let labels = classes(&y, count, reading)?;
    let (layout, values) = layout(x, wanted, &mut notes)?;
    let training = training(&mut archive, layout, &part);
    let (low, span, scale, offset) =
        ranges(layout, training.as_ref().unwrap_or(&values), wanted, reading, &mut notes);
    let columns = match layout {
        Layout::Table { features } => {
            (0..features).map(|n| Column { name: format!("x{n}"), unit: "1".to_owned() }).collect()
        }
        Layout::Image { .. } => Vec::new(),
    };
    let reference = match layout {
        Layout::Table { .. } => training.map_or_else(Vec::new, |t| t.values),
        Layout::Image { .. } => Vec::new(),
    };
    let mut rows = Rows {
        layout,
        unit: Vec::new(),
        recorded: Vec::new(),
        reference,
        labels,
        groups: None,
        low,
        span,
        columns,
        features: Vec::new(),
        name: String::new(),
        digest: Digest::of(b""),
        part,
        notes,
    };
    if reading.group.is_some() {
        return Err("subgroups are a column of a CSV file: an archive has none".to_owned());
    }
    let values: Vec<f32> = values.values.iter().map(|v| v * scale + offset).collect();
    rows.fill(&values);
    Ok(rows)
}

/// Names of the arrays of inputs and labels, and of the split.
fn names(archive: &Archive<'_>, reading: &Reading) -> Result<(String, String, String), String> {
    let asked = reading.split.as_deref();
    let splits: Vec<&str> = asked.map_or_else(|| vec!["test", "val", "train"], |s| vec![s]);
    for split in &splits {
        for (x, y) in PAIRS {
            let (x, y) =
                (x.replace("{}", split), reading.label.clone().unwrap_or_else(|| y.replace("{}", split)));
            if archive.has(&x) && archive.has(&y) {
                return Ok((x, y, (*split).to_owned()));
            }
        }
    }
    let known = archive.names.join("`, `");
    if let Some(split) = asked {
        return Err(format!("there is no split `{split}`: the arrays are `{known}`"));
    }
    for (x, y) in PLAIN {
        let y = reading.label.clone().unwrap_or_else(|| y.to_owned());
        if archive.has(x) && archive.has(&y) {
            return Ok((x.to_owned(), y, "all".to_owned()));
        }
    }
    let has = |list: &[(&str, &str)]| list.iter().any(|(x, _)| archive.has(x));
    let what = if has(&PLAIN) { "labels: name it with --label" } else { "inputs" };
    Err(format!(
        "there is no array of {what}; the arrays are `{known}`, expected are `x` and `y`, or `test_images` and `test_labels`"
    ))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
fn classes(y: &Array, rows: usize, reading: &Reading) -> Result<Vec<usize>, String> {
    let columns = match y.shape.as_slice() {
        [_] => 1,
        [_, columns] => *columns,
        _ => return Err(format!("labels of shape {:?}: one class number a row is expected", y.shape)),
    };
    if y.shape.first() != Some(&rows) {
        return Err(format!("{} labels for {rows} rows", y.shape.first().copied().unwrap_or(0)));
    }
    let column = match (columns, reading.finding) {
        (1, _) => 0,
        (n, Some(finding)) if finding < n => finding,
        (n, Some(finding)) => {
            return Err(format!(
                "there is no finding {finding}: the labels have {n} columns, counted from 0"
            ));
        }
        (n, None) => {
            return Err(format!(
                "the labels have {n} columns, one per finding: choose one with --finding 0 to {}",
                n - 1
            ));
        }
    };
    let mut out = Vec::with_capacity(rows);
    for (at, row) in y.values.chunks_exact(columns.max(1)).enumerate() {
        let label = row.get(column).copied().unwrap_or(f32::NAN);
        if label.fract() != 0.0 || !(0.0..=65_535.0).contains(&label) {
            return Err(format!("the label of row {at} is not a class number from 0"));
        }
        out.push(label as usize);
    }
    Ok(out)
}

/// The training rows of a table, whose ranges are then used.
fn training(archive: &mut Archive<'_>, layout: Layout, part: &str) -> Option<Array> {
    let Layout::Table { features } = layout else { return None };
    let name = PAIRS.iter().map(|(x, _)| x.replace("{}", "train")).find(|n| archive.has(n))?;
    let array = archive.read(&name).ok().filter(|_| part != "all" && part != "train")?;
    (array.shape.get(1) == Some(&features)).then_some(array)
}

/// Finds out how a row is laid out, by the model's declared shape where there is one; turns channels to the front.
fn layout(x: Array, wanted: &Wanted, notes: &mut Vec<String>) -> Result<(Layout, Array), String> {
    let fits = |shape: &[usize]| match &wanted.shape {
        None => true,
        Some(dims) => {
            dims.len() == shape.len() && dims.iter().zip(shape).all(|(d, s)| d.is_none_or(|d| d == *s))
        }
    };
    let takes = || match &wanted.shape {
        None => "anything".to_owned(),
        Some(dims) => format!(
            "[{}]",
            dims.iter().map(|d| d.map_or("any".to_owned(), |d| d.to_string())).collect::<Vec<_>>().join(", ")
        ),
    };
    match *x.shape.as_slice() {
        [_, features] if fits(&[features]) => Ok((Layout::Table { features }, x)),
        [_, values] => Err(format!("{values} values a row, the model takes {}", takes())),
        [_, height, width] if fits(&[1, height, width]) => {
            Ok((Layout::Image { channels: 1, height, width }, x))
        }
        [_, height, width] if fits(&[height * width]) => {
            Ok((Layout::Image { channels: 1, height, width }, x))
        }
        [_, a, b, c] => {
            let (first, last) = (fits(&[a, b, c]), fits(&[c, a, b]));
            // Where the model does not say, few channels in front or behind tell.
            let behind = match (first, last) {
                (true, true) => !CHANNELS.contains(&a) && CHANNELS.contains(&c),
                (true, false) => false,
                (false, true) => true,
                (false, false) => {
                    return Err(format!(
                        "images of {a} × {b} × {c}, the model takes {} (channels first)",
                        takes()
                    ));
                }
            };
            if !behind {
                return Ok((Layout::Image { channels: a, height: b, width: c }, x));
            }
            if wanted.shape.is_some() || c != 1 {
                notes.push(format!("the images have their channels last ({a} × {b} × {c}); they were turned to the front for the model"));
            }
            let turned = turn(&x.values, a * b, c);
            Ok((Layout::Image { channels: c, height: a, width: b }, Array { values: turned, ..x }))
        }
        ref shape => Err(format!("inputs of shape {shape:?}, the model takes {} after the rows", takes())),
    }
}

fn turn(values: &[f32], plane: usize, channels: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for image in values.chunks_exact((plane * channels).max(1)) {
        for channel in 0..channels {
            out.extend(image.iter().skip(channel).step_by(channels.max(1)));
        }
    }
    out
}

/// Range of the model's values (low and span), and factor and offset from the file's values to them.
type Ranges = (Vec<f32>, Vec<f32>, f32, f32);

fn ranges(layout: Layout, x: &Array, wanted: &Wanted, reading: &Reading, notes: &mut Vec<String>) -> Ranges {
    let finite = || x.values.iter().copied().filter(|v| v.is_finite());
    let (low, high) = finite().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if let Layout::Table { features } = layout {
        if let Some((low, high)) = reading.range {
            return (vec![narrow(low)], vec![narrow(high - low)], 1.0, 0.0);
        }
        let column =
            |n: usize| x.values.iter().skip(n).step_by(features.max(1)).copied().filter(|v| v.is_finite());
        let lows: Vec<f32> = (0..features)
            .map(|n| column(n).fold(f32::INFINITY, f32::min))
            .map(|v| if v.is_finite() { v } else { 0.0 })
            .collect();
        let spans = lows
            .iter()
            .enumerate()
            .map(|(n, low)| (column(n).fold(f32::NEG_INFINITY, f32::max) - low).max(0.0))
            .collect();
        return (lows, spans, 1.0, 0.0);
    }
    let (model_low, model_high) =
        reading.range.unwrap_or(if wanted.bytes { (0.0, 255.0) } else { (0.0, 1.0) });
    let (low_out, span) = (narrow(model_low), narrow(model_high - model_low));
    // Grey levels are laid over the model's range.
    let grey = (vec![low_out], vec![span], span / 255.0, low_out);
    if x.bytes {
        return grey;
    }
    if low >= 0.0 && high > 1.0 && high <= 255.0 && reading.range.is_none() {
        notes.push("the pixels are numbers up to 255: they are taken as grey levels; name the model's own range with --range LOW:HIGH if it takes them as they are".to_owned());
        return grey;
    }
    if (low < 0.0 || high > 1.0) && reading.range.is_none() {
        notes.push(format!("the pixels lie between {low} and {high}: budgets are shares of that range; name the true one with --range LOW:HIGH"));
        return (vec![low], vec![(high - low).max(f32::MIN_POSITIVE)], 1.0, 0.0);
    }
    (vec![low_out], vec![span], 1.0, 0.0)
}
