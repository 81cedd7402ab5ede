//! The rows of an exercise: from a NumPy archive, a CSV file, or a system's held-out split, brought into the unit box.

mod csv_rows;
mod npz_rows;

use attack::Layout;
use domain::{Digest, Feature, FeatureKind, InputSchema};

use crate::AppError;
use crate::dataset::Part;

/// Rows from which spread and rounding of a table's columns are learned, at most.
const REFERENCE_ROWS_MAX: usize = 20_000;

/// One column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Unit; `1` for none.
    pub unit: String,
}

/// Rows with their labels, in the unit box, and the way back to the model's units.
#[derive(Debug, Clone)]
pub struct Rows {
    /// How a row is laid out.
    pub layout: Layout,
    /// Row-major, in [0, 1].
    pub unit: Vec<f32>,
    /// One class per row.
    pub labels: Vec<usize>,
    /// One subgroup per row, where a column was named.
    pub groups: Option<Vec<String>>,
    /// model value = `low + unit × span`; one value, or one per value of a row.
    pub low: Vec<f32>,
    /// See `low`.
    pub span: Vec<f32>,
    /// Rows of a table in the model's units, as recorded (moved into the range of their column); empty for images.
    pub recorded: Vec<f32>,
    /// Rows of a table from which spread and rounding are learned, in the model's units: of the training split where there is one; empty for images.
    pub reference: Vec<f32>,
    /// Names and units of a table's columns.
    pub columns: Vec<Column>,
    /// The declared features, where the rows are a system's.
    pub features: Vec<Feature>,
    /// File name.
    pub name: String,
    /// Digest of the file.
    pub digest: Digest,
    /// The split used.
    pub part: String,
    /// What was noticed and done on the way; said to the user.
    pub notes: Vec<String>,
}

/// What the model declares of its input, as far as it does.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Lengths of a row's dimensions; none where the model leaves one open.
    pub shape: Option<Vec<Option<usize>>>,
    /// It takes unsigned bytes.
    pub bytes: bool,
}

/// How to read a file.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Which split; `test` where there is one.
    pub split: Option<String>,
    /// Column or array of the labels; found out when not given.
    pub label: Option<String>,
    /// Column of subgroups.
    pub group: Option<String>,
    /// Range of the model's input values, where it is not what the file shows.
    pub range: Option<(f64, f64)>,
    /// Which of several findings, counted from 0, for models that report several at once.
    pub finding: Option<usize>,
}

pub(super) fn bad(message: impl Into<String>) -> AppError {
    AppError::BadInput(message.into())
}

impl Rows {
    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.labels.len()
    }

    /// True without rows.
    pub const fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Row `at`, in the unit box.
    pub fn row(&self, at: usize) -> &[f32] {
        let width = self.layout.len();
        self.unit.get(at * width..(at + 1) * width).unwrap_or_default()
    }

    /// Reads `bytes` of the file called `name`: a NumPy archive or a CSV file, by content.
    ///
    /// # Errors
    /// [`AppError::BadInput`] saying what is wrong and where, never a patient's value.
    pub fn read(name: &str, bytes: &[u8], wanted: &Wanted, reading: &Reading) -> Result<Self, AppError> {
        let read = if bytes.starts_with(b"PK") {
            npz_rows::read(bytes, wanted, reading)
        } else if bytes.starts_with(b"\x93NUMPY") {
            Err("one array alone has no labels: save both with `numpy.savez(file, x=x, y=y)`".to_owned())
        } else {
            csv_rows::read(bytes, wanted, reading)
        };
        let mut rows = read.map_err(|why| bad(format!("`{name}`: {why}")))?;
        rows.name = name.to_owned();
        rows.digest = Digest::of(bytes);
        rows.check()?;
        Ok(rows)
    }

    /// The held-out split of a system, in its declared ranges.
    ///
    /// # Errors
    /// When labels and rows cannot be used.
    pub fn of_part(
        schema: &InputSchema,
        part: &Part,
        name: &str,
        digest: Digest,
        split: &str,
    ) -> Result<Self, AppError> {
        let (layout, low, span, features): (_, Vec<f64>, Vec<f64>, &[Feature]) = match schema {
            InputSchema::Table { features, .. } => (
                Layout::Table { features: features.len() },
                features.iter().map(lowest).collect(),
                features.iter().map(|f| (highest(f) - lowest(f)).max(0.0)).collect(),
                features,
            ),
            InputSchema::Image { channels, height, width, min, max, .. } => (
                Layout::Image { channels: *channels, height: *height, width: *width },
                vec![*min],
                vec![max - min],
                &[],
            ),
        };
        let mut rows = Self {
            layout,
            unit: Vec::new(),
            recorded: Vec::new(),
            reference: Vec::new(),
            labels: part.labels.iter().map(|l| *l as usize).collect(),
            groups: None,
            low: low.iter().map(|v| narrow(*v)).collect(),
            span: span.iter().map(|v| narrow(*v)).collect(),
            columns: features.iter().map(|f| Column { name: f.name.clone(), unit: f.unit.clone() }).collect(),
            features: features.to_vec(),
            name: name.to_owned(),
            digest,
            part: split.to_owned(),
            notes: Vec::new(),
        };
        rows.fill(&part.inputs.data);
        rows.check()?;
        Ok(rows)
    }

    /// Learns spread and rounding of a table's columns from `part`, where it has rows.
    pub fn learn(&mut self, part: &Part) {
        let width = self.layout.len();
        if matches!(self.layout, Layout::Table { .. }) && part.inputs.rows > 0 && part.inputs.cols == width {
            let most = REFERENCE_ROWS_MAX.min(part.inputs.rows);
            self.reference = part.inputs.data.get(..most * width).unwrap_or_default().to_vec();
        }
    }

    /// Brings values in model units into the unit box; what lies outside is moved to its edge, and counted.
    fn fill(&mut self, values: &[f32]) {
        let mut outside = 0_usize;
        let (low, span) = (self.low.clone(), self.span.clone());
        let ranges = || low.iter().cycle().zip(span.iter().cycle());
        if matches!(self.layout, Layout::Table { .. }) {
            let recorded = values.iter().zip(ranges()).map(|(v, (l, s))| v.max(*l).min(l + s)).collect();
            self.recorded = recorded;
            if self.reference.is_empty() {
                self.reference.clone_from(&self.recorded);
            }
            self.reference.truncate(REFERENCE_ROWS_MAX * self.layout.len());
        }
        self.unit = values
            .iter()
            .zip(ranges())
            .map(|(v, (low, span))| {
                // A column that does not vary lies at 0, a value that is not a number stays one.
                let unit = if *span > 0.0 || v.is_nan() { (v - low) / span } else { 0.0 };
                outside += usize::from(!(-1e-5..=1.0 + 1e-5).contains(&unit));
                if unit.is_nan() { unit } else { unit.clamp(0.0, 1.0) }
            })
            .collect();
        if outside > 0 {
            self.notes.push(format!(
                "{outside} values lie outside the range of their column and were moved to its edge"
            ));
        }
    }

    /// What no exercise can be made of.
    fn check(&self) -> Result<(), AppError> {
        let name = &self.name;
        if self.is_empty() {
            return Err(bad(format!("`{name}` has no rows in the split `{}`", self.part)));
        }
        let width = self.layout.len();
        if let Some(at) = self.unit.iter().position(|v| v.is_nan()) {
            let (row, column) = (at / width.max(1), at % width.max(1));
            let column = self
                .columns
                .get(column)
                .map_or_else(|| format!("value {column}"), |c| format!("column `{}`", c.name));
            return Err(bad(format!(
                "`{name}`: row {row}, {column} is not a number: fill or remove such rows, an attack cannot start from them"
            )));
        }
        let first = self.labels.first().copied().unwrap_or_default();
        if self.labels.iter().all(|l| *l == first) {
            return Err(bad(format!(
                "`{name}`: all {} rows are of class {first}: an exercise needs at least two classes",
                self.len()
            )));
        }
        Ok(())
    }

    /// `count` rows, classes as even as the data allow, in turn (so that the front is even too); within a class in the order of the file.
    pub fn choose(&self, count: usize) -> Vec<usize> {
        let classes = self.labels.iter().max().map_or(0, |m| m + 1);
        let mut of: Vec<std::collections::VecDeque<usize>> = vec![Default::default(); classes];
        for (at, label) in self.labels.iter().enumerate() {
            if let Some(list) = of.get_mut(*label) {
                list.push_back(at);
            }
        }
        let mut out = Vec::with_capacity(count.min(self.len()));
        while out.len() < count.min(self.len()) {
            for list in &mut of {
                if out.len() < count
                    && let Some(at) = list.pop_front()
                {
                    out.push(at);
                }
            }
        }
        out
    }
}

fn lowest(feature: &Feature) -> f64 {
    match &feature.kind {
        FeatureKind::Category { codes } => codes.iter().copied().fold(f64::INFINITY, f64::min),
        _ => feature.min,
    }
}

fn highest(feature: &Feature) -> f64 {
    match &feature.kind {
        FeatureKind::Category { codes } => codes.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        _ => feature.max,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "models take single precision")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrays::tests::{doubles, npy, npz};

    fn wanted(shape: &[usize]) -> Wanted {
        Wanted { shape: Some(shape.iter().map(|d| Some(*d)).collect()), bytes: false }
    }

    fn said(bytes: &[u8], wanted: &Wanted, reading: &Reading) -> String {
        Rows::read("d", bytes, wanted, reading).unwrap_err().to_string()
    }

    #[test]
    fn grey_images_become_the_unit_box_and_the_front_is_even() {
        let images: Vec<u8> = (0..6).flat_map(|n| [n * 51; 4]).collect();
        let file = npz(&[
            ("test_images", npy("|u1", "6, 2, 2", &images)),
            ("test_labels", npy("|u1", "6, 1", &[0, 0, 0, 1, 1, 0])),
        ]);
        let rows = Rows::read("d", &file, &wanted(&[1, 2, 2]), &Reading::default()).unwrap();
        assert_eq!(rows.layout, Layout::Image { channels: 1, height: 2, width: 2 });
        assert_eq!(rows.row(5), [1.0; 4]);
        assert_eq!(rows.choose(5), [0, 3, 1, 4, 2]);
        assert_eq!(rows.choose(99).len(), 6);
    }

    #[test]
    fn channels_last_are_turned_and_said() {
        let values: Vec<f64> = (0..2 * 2 * 2 * 3).map(|v| f64::from(v) / 100.0).collect();
        let file = npz(&[
            ("x", npy("<f8", "2, 2, 2, 3", &doubles(&values))),
            ("y", npy("<f8", "2,", &doubles(&[0.0, 1.0]))),
        ]);
        let rows = Rows::read("d", &file, &wanted(&[3, 2, 2]), &Reading::default()).unwrap();
        assert_eq!(rows.layout, Layout::Image { channels: 3, height: 2, width: 2 });
        assert_eq!(rows.row(0)[..4], [0.0, 0.03, 0.06, 0.09]);
        assert!(rows.notes.iter().any(|n| n.contains("channels last")), "{:?}", rows.notes);
    }

    #[test]
    fn what_no_exercise_can_be_made_of_is_refused() {
        let x = |values: &[f64]| ("x", npy("<f8", "2, 2", &doubles(values)));
        let y = |values: &[f64]| ("y", npy("<f8", &format!("{},", values.len()), &doubles(values)));
        let want = wanted(&[2]);
        let all = Reading::default();
        for (members, expected) in [
            (vec![x(&[0.0, f64::NAN, 1.0, 1.0]), y(&[0.0, 1.0])], "row 0, column `x1` is not a number"),
            (vec![x(&[0.0, 0.5, 1.0, 1.0]), y(&[1.0, 1.0])], "all 2 rows are of class 1"),
            (vec![x(&[0.0, 0.5, 1.0, 1.0]), y(&[1.0])], "1 labels for 2 rows"),
            (vec![x(&[0.0, 0.5, 1.0, 1.0]), y(&[0.5, 1.0])], "the label of row 0 is not a class number"),
            (vec![x(&[0.0, 0.5, 1.0, 1.0])], "no array of labels"),
            (vec![y(&[0.0, 1.0])], "no array of inputs"),
        ] {
            let said = said(&npz(&members), &want, &all);
            assert!(said.contains(expected), "{said}");
        }
        assert!(said(&npz(&[x(&[0.0; 4]), y(&[0.0, 1.0])]), &wanted(&[3]), &all).contains("2 values a row"));
        assert!(said(b"a,b\n1,2\n", &want, &all).contains("label"));
    }

    #[test]
    fn a_table_is_read_with_the_ranges_of_its_training_rows() {
        let text = "a,b,label,split,sex\n0,10,0,train,f\n10,20,1,train,m\n5,30,0,test,f\n,15,1,test,m\n";
        let reading = Reading { group: Some("sex".into()), ..Reading::default() };
        let rows = Rows::read("d.csv", text.as_bytes(), &wanted(&[2]), &reading).unwrap();
        assert_eq!((rows.row(0), rows.row(1)), ([0.5, 1.0].as_slice(), [0.5, 0.5].as_slice()));
        assert_eq!(rows.groups.as_deref(), Some(["f".to_owned(), "m".to_owned()].as_slice()));
        assert_eq!(
            (rows.low.as_slice(), rows.span.as_slice()),
            ([0.0, 10.0].as_slice(), [10.0, 10.0].as_slice())
        );
        assert_eq!(rows.notes.len(), 2, "{:?}", rows.notes);
    }
}
