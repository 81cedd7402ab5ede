//! CSV with a header: one row a patient, declared columns in any order, a label and a split column.

use domain::Feature;
use numeric::Matrix;

use super::{Part, ROWS_MAX, VALUES_MAX};
use crate::config::Split;

type Parts = ([Part; 3], usize);

/// Reads the declared features, label and split of each row. Empty cells become the median of the fitting split.
pub(super) fn read(bytes: &[u8], features: &[Feature], split: &Split) -> Result<Parts, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(true).flexible(false).from_reader(bytes);
    let header = reader.headers().map_err(|e| describe(&e))?.clone();
    let column = |name: &str| {
        header
            .iter()
            .position(|h| h.trim() == name)
            .ok_or_else(|| format!("there is no column `{name}` in the header"))
    };
    let columns: Vec<usize> = features.iter().map(|f| column(&f.name)).collect::<Result<_, _>>()?;
    let (label, which) = (column(&split.label)?, column(&split.column)?);
    let names = [&split.fit, &split.calibrate, &split.hold_out];
    let mut rows: [Vec<f32>; 3] = Default::default();
    let mut labels: [Vec<u32>; 3] = Default::default();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| describe(&e))? {
        let line = record.position().map_or(0, csv::Position::line);
        let name = record.get(which).unwrap_or_default().trim();
        let Some(part) = names.iter().position(|n| n.as_str() == name) else {
            return Err(format!(
                "line {line}: the split is none of {}",
                names.map(String::as_str).join(", ")
            ));
        };
        if labels.iter().map(Vec::len).sum::<usize>() >= ROWS_MAX || rows[part].len() >= VALUES_MAX {
            return Err(format!("more than {ROWS_MAX} rows: use a sample as reference data"));
        }
        for (feature, &at) in features.iter().zip(&columns) {
            let cell = record.get(at).unwrap_or_default().trim();
            let value = if cell.is_empty() { Ok(f32::NAN) } else { cell.parse::<f32>() };
            let bad = || format!("line {line}: column `{}` does not hold a number", feature.name);
            let value = value.map_err(|_| bad())?;
            if value.is_infinite() || (value.is_nan() && !cell.is_empty()) {
                return Err(bad());
            }
            rows[part].push(value);
        }
        let class = record.get(label).unwrap_or_default().trim();
        let class = class.parse::<f64>().ok().filter(|c| c.fract() == 0.0 && (0.0..=65_535.0).contains(c));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
        let class =
            class.map(|c| c as u32).ok_or_else(|| format!("line {line}: the label is not a class number"))?;
        labels[part].push(class);
    }
    finish(rows, labels, features.len())
}

fn describe(error: &csv::Error) -> String {
    match error.position() {
        Some(at) => format!("line {}: not readable as CSV (wrong number of cells or not UTF-8)", at.line()),
        None => "not readable as CSV with a header".to_owned(),
    }
}

fn finish(mut rows: [Vec<f32>; 3], labels: [Vec<u32>; 3], width: usize) -> Result<Parts, String> {
    let medians: Vec<f32> = (0..width)
        .map(|j| {
            let mut seen: Vec<f64> = rows[0]
                .iter()
                .skip(j)
                .step_by(width)
                .filter(|v| !v.is_nan())
                .map(|&v| f64::from(v))
                .collect();
            #[expect(clippy::cast_possible_truncation, reason = "values came from f32")]
            let median = if seen.is_empty() { f32::NAN } else { numeric::median(&mut seen) as f32 };
            median
        })
        .collect();
    let mut filled = 0;
    for part in &mut rows {
        for (n, value) in part.iter_mut().enumerate() {
            if value.is_nan() {
                *value = medians[n % width];
                filled += 1;
            }
        }
    }
    let mut labels = labels.into_iter();
    let mut parts: [Part; 3] = Default::default();
    for (part, values) in parts.iter_mut().zip(rows) {
        let labels = labels.next().unwrap_or_default();
        part.inputs = Matrix::new(labels.len(), width, values).map_err(|e| e.to_string())?;
        part.labels = labels;
    }
    Ok((parts, filled))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{FeatureKind, Mutability};

    fn features() -> Vec<Feature> {
        ["a", "b"]
            .map(|name| Feature {
                name: name.into(),
                unit: "1".into(),
                kind: FeatureKind::Real,
                min: 0.0,
                max: 9.0,
                mutability: Mutability::Measured,
                alternatives: vec![],
            })
            .to_vec()
    }

    fn split() -> Split {
        Split {
            label: "label".into(),
            column: "split".into(),
            fit: "train".into(),
            calibrate: "val".into(),
            hold_out: "test".into(),
        }
    }

    fn parse(text: &str) -> Result<Parts, String> {
        read(text.as_bytes(), &features(), &split())
    }

    #[test]
    fn columns_are_found_by_name_and_gaps_filled_with_the_training_median() {
        let (parts, filled) = parse("b,a,label,split\n2,1,0,train\n4,3,1,train\n,5,1,test\n").unwrap();
        assert_eq!(parts[0].inputs.row(1), [3.0, 4.0]);
        assert_eq!((parts[2].inputs.row(0), filled), ([5.0, 3.0].as_slice(), 1));
    }

    #[test]
    fn broken_tables_are_refused_with_their_line_and_without_their_values() {
        for (text, expected) in [
            ("a,label,split\n1,0,train\n", "no column `b`"),
            ("a,b,label,split\n1,secret,0,train\n", "line 2: column `b`"),
            ("a,b,label,split\n1,inf,0,train\n", "line 2: column `b`"),
            ("a,b,label,split\n1,2,x,train\n", "line 2: the label"),
            ("a,b,label,split\n1,2,0,else\n", "line 2: the split"),
            ("a,b,label,split\n1,2,0\n", "line 2"),
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(expected), "{said}");
            assert!(!said.contains("secret"));
        }
    }
}
