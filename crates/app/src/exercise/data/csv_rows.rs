//! Rows from a CSV file with a header: one row a patient, a class column, perhaps a split column and one of subgroups.

use attack::Layout;
use domain::Digest;

use super::{Column, Reading, Rows, Wanted, narrow};
use crate::dataset::{ROWS_MAX, VALUES_MAX};

/// Names under which the class is looked for.
const LABELS: [&str; 5] = ["label", "class", "target", "outcome", "y"];
/// Column of the split.
const SPLIT: &str = "split";

struct Table {
    columns: Vec<String>,
    values: Vec<f32>,
    labels: Vec<usize>,
    splits: Option<Vec<String>>,
    groups: Option<Vec<String>>,
}

pub(super) fn read(bytes: &[u8], wanted: &Wanted, reading: &Reading) -> Result<Rows, String> {
    let mut table = parse(bytes, wanted, reading)?;
    let width = table.columns.len();
    let part = split(&table, reading)?;
    let count = table.labels.len();
    let inside = |names: &[&str], at: usize| {
        table.splits.as_ref().is_none_or(|s| s.get(at).is_some_and(|s| names.contains(&s.as_str())))
    };
    let training: Vec<usize> = (0..count).filter(|n| inside(&["train"], *n)).collect();
    let training = if training.is_empty() { (0..count).collect() } else { training };
    let used: Vec<usize> = (0..count).filter(|n| part == "all" || inside(&[part.as_str()], *n)).collect();
    let mut notes = Vec::new();
    let filled = fill(&mut table.values, width, &training);
    if filled > 0 {
        notes.push(format!("{filled} empty cells were filled with the median of the training rows"));
    }
    let (mut low, mut span) = (Vec::new(), Vec::new());
    for n in 0..width {
        let column = training
            .iter()
            .filter_map(|r| table.values.get(r * width + n))
            .copied()
            .filter(|v| v.is_finite());
        let (l, h) = column.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        low.push(if l.is_finite() { l } else { 0.0 });
        span.push(if h > l { h - l } else { 0.0 });
    }
    if let Some((l, h)) = reading.range {
        (low, span) = (vec![narrow(l)], vec![narrow(h - l)]);
    }
    let of = |list: &[usize]| -> Vec<f32> {
        let rows = list.iter().map(|r| table.values.get(r * width..(r + 1) * width).unwrap_or_default());
        rows.flatten().copied().collect()
    };
    let values = of(&used);
    let reference = of(&training);
    let mut rows = Rows {
        layout: Layout::Table { features: width },
        unit: Vec::new(),
        recorded: Vec::new(),
        reference,
        labels: used.iter().filter_map(|r| table.labels.get(*r)).copied().collect(),
        groups: table.groups.map(|g| used.iter().filter_map(|r| g.get(*r)).cloned().collect()),
        low,
        span,
        columns: table
            .columns
            .iter()
            .map(|name| Column { name: name.clone(), unit: "1".to_owned() })
            .collect(),
        features: Vec::new(),
        name: String::new(),
        digest: Digest::of(b""),
        part,
        notes,
    };
    rows.fill(&values);
    Ok(rows)
}

/// The split to use.
fn split(table: &Table, reading: &Reading) -> Result<String, String> {
    let Some(splits) = &table.splits else {
        return match &reading.split {
            Some(name) => {
                Err(format!("there is no column `{SPLIT}`, so there is no split `{name}`: leave --split out"))
            }
            None => Ok("all".to_owned()),
        };
    };
    if let Some(name) = &reading.split {
        if name == "all" || splits.contains(name) {
            return Ok(name.clone());
        }
        let mut known: Vec<&String> = splits.iter().collect();
        known.sort();
        known.dedup();
        known.truncate(10);
        return Err(format!(
            "no row is in the split `{name}`: there are {}",
            known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ")
        ));
    }
    Ok(if splits.iter().any(|s| s == "test") { "test" } else { "all" }.to_owned())
}

fn parse(bytes: &[u8], wanted: &Wanted, reading: &Reading) -> Result<Table, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(true).flexible(false).from_reader(bytes);
    let header = reader.headers().map_err(|e| describe(&e))?.clone();
    let names: Vec<String> = header.iter().map(|h| h.trim().to_owned()).collect();
    let find = |name: &str| names.iter().position(|n| n.eq_ignore_ascii_case(name));
    let label = match &reading.label {
        Some(name) => find(name).ok_or_else(|| format!("there is no column `{name}`"))?,
        None => LABELS
            .iter()
            .find_map(|n| find(n))
            .ok_or("there is no column `label` with the class: name it with --label")?,
    };
    let split = find(SPLIT);
    let group = match &reading.group {
        Some(name) => Some(find(name).ok_or_else(|| format!("there is no column `{name}` for subgroups"))?),
        None => None,
    };
    let mut features: Vec<usize> = (0..names.len()).filter(|n| *n != label && Some(*n) != split).collect();
    if let (Some(group), Some(Some(count))) = (group, wanted.shape.as_ref().and_then(|s| s.first())) {
        // The column of subgroups may be one of the model's inputs (sex), or stand beside them.
        if features.len() == count + 1 {
            features.retain(|n| *n != group);
        }
    } else if let (Some(group), None) = (group, &wanted.shape) {
        features.retain(|n| *n != group);
    }
    if let Some([Some(count)]) = wanted.shape.as_deref()
        && *count != features.len()
    {
        return Err(format!("{} columns beside label and split, the model takes {count}", features.len()));
    }
    let mut table = Table {
        columns: features.iter().filter_map(|n| names.get(*n)).cloned().collect(),
        values: Vec::new(),
        labels: Vec::new(),
        splits: split.map(|_| Vec::new()),
        groups: group.map(|_| Vec::new()),
    };
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| describe(&e))? {
        let line = record.position().map_or(0, csv::Position::line);
        if table.labels.len() >= ROWS_MAX || table.values.len() >= VALUES_MAX {
            return Err(format!("more than {ROWS_MAX} rows: use a sample"));
        }
        let cell = |at: usize| record.get(at).unwrap_or_default().trim();
        for at in &features {
            let text = cell(*at);
            let value = if text.is_empty() { Ok(f32::NAN) } else { text.parse::<f32>() };
            let value = value.ok().filter(|v| v.is_finite() || text.is_empty());
            let name = names.get(*at).map_or("", String::as_str);
            table.values.push(value.ok_or_else(|| {
                format!("line {line}: column `{name}` does not hold a number; leave the cell empty where it is missing")
            })?);
        }
        table.labels.push(
            class(cell(label))
                .ok_or_else(|| format!("line {line}: the label is not a class number from 0"))?,
        );
        if let (Some(list), Some(at)) = (&mut table.splits, split) {
            list.push(cell(at).to_owned());
        }
        if let (Some(list), Some(at)) = (&mut table.groups, group) {
            list.push(cell(at).chars().take(40).collect());
        }
    }
    Ok(table)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
fn class(text: &str) -> Option<usize> {
    let value = text.parse::<f64>().ok().filter(|v| v.fract() == 0.0 && (0.0..=65_535.0).contains(v))?;
    Some(value as usize)
}

fn describe(error: &csv::Error) -> String {
    error.position().map_or_else(
        || "not readable as CSV with a header".to_owned(),
        |at| format!("line {}: not readable as CSV (wrong number of cells or not UTF-8)", at.line()),
    )
}

/// Fills empty cells with the median of the training rows; returns how many.
fn fill(values: &mut [f32], width: usize, training: &[usize]) -> usize {
    let mut filled = 0;
    for n in 0..width {
        let mut seen: Vec<f64> = training
            .iter()
            .filter_map(|r| values.get(r * width + n))
            .filter(|v| !v.is_nan())
            .map(|v| f64::from(*v))
            .collect();
        let median = if seen.is_empty() { f32::NAN } else { narrow(numeric::median(&mut seen)) };
        for value in values.iter_mut().skip(n).step_by(width).filter(|v| v.is_nan()) {
            *value = median;
            filled += 1;
        }
    }
    filled
}
