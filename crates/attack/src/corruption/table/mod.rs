//! What happens to a patient's row between the bedside and the model: in clinical units, cell by cell.
//!
//! The rows of an exercise are in the unit box; [`Column`] says what that means in units. A corrupted row may leave the box and may hold NaN: that is the
//! condition, and whether the input checks see it is the question.

pub(super) mod decimal_shift;
pub(super) mod missing;
pub(super) mod rounding;
pub(super) mod site_shift;
pub(super) mod stale_values;
pub(super) mod swapped_columns;
pub(super) mod unit_mixup;

use domain::{Feature, FeatureKind};
use numeric::Rng;

/// Cells of a row that a severity touches, 1 to 5: one slip, then a form filled in wrongly. Never more than are eligible.
pub(super) const CELLS: &[f64] = &[1.0, 2.0, 3.0, 5.0, 8.0];

/// A column of a table: what the feature is, and what the unit box means in its unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name, unit, kind, and the units it is mixed up with.
    pub feature: Feature,
    /// Value at 0 of the unit box, in the feature's unit.
    pub low: f64,
    /// Value at 1 of the unit box; above `low`.
    pub high: f64,
}

impl Column {
    /// A declared feature whose unit box is its declared range.
    pub fn declared(feature: &Feature) -> Self {
        Self { low: feature.min, high: feature.max, feature: feature.clone() }
    }

    /// A column that nothing is known of but its range: a real number without unit.
    pub fn plain(name: &str, low: f64, high: f64) -> Self {
        let feature = Feature {
            name: name.to_owned(),
            unit: "1".to_owned(),
            kind: FeatureKind::Real,
            min: low,
            max: high,
            mutability: domain::Mutability::Measured,
            alternatives: Vec::new(),
        };
        Self { feature, low, high }
    }

    /// A value of the unit box in the feature's unit.
    pub fn to_unit(&self, boxed: f64) -> f64 {
        self.low + boxed * (self.high - self.low)
    }

    /// A value in the feature's unit as one of the unit box, which it may leave.
    pub fn to_box(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// True for codes, on which arithmetic makes no sense.
    fn is_code(&self) -> bool {
        matches!(self.feature.kind, FeatureKind::Category { .. })
    }

    /// `value`, whole where the feature is.
    fn whole(&self, value: f64) -> f64 {
        if self.feature.kind == FeatureKind::Integer { value.round() } else { value }
    }
}

/// A table as a corruption sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    columns: Vec<Column>,
    /// Patients of the reference, in units, row after row.
    reference: Vec<f64>,
    medians: Vec<f64>,
    deviations: Vec<f64>,
}

impl Table {
    /// A table of `columns` with the patients of `reference` (rows of the unit box, at least one): where medians, deviations and other patients' values are taken
    /// from. Training rows, or the rows of the exercise themselves.
    ///
    /// # Errors
    /// In one line: no columns, a column whose range is empty, or a reference of another width. Values of the reference that are not numbers are left out of its
    /// figures.
    pub fn new(columns: Vec<Column>, reference: &[f32]) -> Result<Self, String> {
        if columns.is_empty() {
            return Err("a table needs columns".to_owned());
        }
        if reference.is_empty() || !reference.len().is_multiple_of(columns.len()) {
            return Err(format!("{} reference values are not rows of {}", reference.len(), columns.len()));
        }
        if let Some(empty) = columns.iter().find(|c| !(c.high > c.low && (c.high - c.low).is_finite())) {
            return Err(format!(
                "the range of `{}` is empty: give it a low and a high end",
                empty.feature.name
            ));
        }
        let mut table = Self {
            reference: Vec::with_capacity(reference.len()),
            columns,
            medians: Vec::new(),
            deviations: Vec::new(),
        };
        for row in reference.chunks_exact(table.columns.len()) {
            let values = row.iter().zip(&table.columns).map(|(v, c)| c.to_unit(f64::from(*v)));
            table.reference.extend(values);
        }
        for at in 0..table.columns.len() {
            let column = table.reference.iter().skip(at).step_by(table.columns.len());
            let mut known: Vec<f64> = column.copied().filter(|v| v.is_finite()).collect();
            let deviation = numeric::standard_deviation(&known);
            table.medians.push(numeric::median(&mut known));
            table.deviations.push(if deviation.is_finite() { deviation } else { 0.0 });
        }
        Ok(table)
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The reference patient before number `sample`, going round.
    fn before(&self, sample: usize) -> &[f64] {
        let width = self.columns.len();
        let rows = self.reference.len() / width;
        let at = (sample % rows + rows - 1) % rows;
        self.reference.get(at * width..(at + 1) * width).unwrap_or_default()
    }
}

/// What a family does to the row of a patient.
pub trait OnTable: Send + Sync {
    /// Why it cannot be done to such a table; `None` when it can.
    fn refuses(&self, table: &Table) -> Option<String>;

    /// Changes the patient's values, in units. `rng` is the patient's own, `site` that of the whole exercise.
    fn corrupt(&self, patient: &mut Patient<'_>, rng: &mut Rng, site: &mut Rng);
}

/// The row of a patient, in units.
pub struct Patient<'a> {
    /// Number of the sample.
    pub sample: usize,
    /// One value per column.
    pub values: &'a mut [f64],
    /// The table it belongs to.
    pub table: &'a Table,
}

impl Patient<'_> {
    /// Applies `change` to at most `cells` columns drawn from those that `eligible` accepts.
    fn change(
        &mut self,
        cells: f64,
        rng: &mut Rng,
        eligible: impl Fn(&Column) -> bool,
        mut change: impl FnMut(usize, &Column, f64, &mut Rng) -> f64,
    ) {
        let columns: Vec<(usize, &Column)> =
            self.table.columns.iter().enumerate().filter(|(_, c)| eligible(c)).collect();
        for place in rng.permutation(columns.len()).into_iter().take(count(cells)) {
            if let Some((at, column)) = columns.get(place).copied()
                && let Some(value) = self.values.get_mut(at)
            {
                *value = change(at, column, *value, rng);
            }
        }
    }
}

/// A number of cells from a strength.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "strengths are small and positive"
)]
fn count(strength: f64) -> usize {
    strength as usize
}

/// Refuses when no column is eligible.
fn none_eligible(table: &Table, eligible: impl Fn(&Column) -> bool, why: &str) -> Option<String> {
    (!table.columns.iter().any(eligible)).then(|| why.to_owned())
}

/// Which cells differ between rows of equal width; a cell that is NaN in both does not.
pub fn changed_cells(before: &[f32], after: &[f32]) -> Vec<bool> {
    before.iter().zip(after).map(|(b, a)| b != a && !(b.is_nan() && a.is_nan())).collect()
}
