//! What a plausible row is, and how an implausible one is mended.

use domain::{Feature, FeatureKind, Mutability};
use numeric::Matrix;

use crate::tabular::exact::{Axis, Steps};
use crate::tabular::relation::Relation;

/// A feature as an attack sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Unit of all numbers here, UCUM.
    pub unit: String,
    /// What values it takes.
    pub kind: FeatureKind,
    /// Lowest plausible value.
    pub min: f64,
    /// Highest plausible value.
    pub max: f64,
    /// Never changes.
    pub immutable: bool,
    /// What values are rounded to where they are written down; 0 when any number is.
    pub step: f64,
    /// Standard deviation of the measurement: what a second measurement of the same patient may differ by. Above 0.
    pub error: f64,
}

/// What a plausible row is.
#[derive(Debug, Clone, PartialEq)]
pub struct Rulebook {
    columns: Vec<Column>,
    relations: Vec<Relation>,
}

/// Which rule a row breaks. No value is told: it would be a patient's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Another number of values than features.
    #[error("the row has {got} values for {features} features")]
    Width {
        /// Values.
        got: usize,
        /// Features.
        features: usize,
    },
    /// A value is missing or not a number.
    #[error("`{0}` is not a number")]
    NotANumber(String),
    /// A value outside the declared range.
    #[error("`{0}` is out of its declared range")]
    Range(String),
    /// A value that is not whole, not rounded as values of this feature are, or not one of the codes.
    #[error("`{0}` has a value that this feature never takes")]
    Value(String),
    /// A value that never changes was changed.
    #[error("`{0}` never changes, and was changed")]
    Immutable(String),
    /// A relation does not hold.
    #[error("the relation `{0}` does not hold")]
    Relation(String),
}

/// Share of the spread between patients that is taken as measurement error when nothing else is known: analytical imprecision is desirable below half of the variation within a
/// person (Fraser and others 1997, Annals of Clinical Biochemistry 34:8), which itself is a fraction of that between persons.
const ERROR_OF_SPREAD: f64 = 0.1;
/// Finest rounding that is recognised.
const DECIMALS_MAX: i32 = 6;
/// Rows looked at for the rounding of a feature.
const ROWS_MAX: usize = 20_000;
/// Rounds of mending relations before giving up.
const MENDING_ROUNDS: usize = 12;
/// Single-precision rounding of a value, relative.
const SLACK: f64 = 1e-6;

impl Rulebook {
    /// From declared features, with measurement errors from the reference rows (same columns): the larger of the rounding of the values and a tenth of the
    /// spread between patients. Without reference rows the spread is taken as a sixth of the range.
    pub fn new(features: &[Feature], relations: Vec<Relation>, reference: &Matrix) -> Self {
        let columns = features
            .iter()
            .enumerate()
            .map(|(at, feature)| {
                let values: Vec<f64> = (0..reference.rows.min(ROWS_MAX))
                    .filter_map(|r| reference.row(r).get(at).map(|v| f64::from(*v)))
                    .filter(|v| v.is_finite())
                    .collect();
                let step = match feature.kind {
                    FeatureKind::Real => rounding(&values),
                    FeatureKind::Integer => 1.0,
                    FeatureKind::Category { .. } => 0.0,
                };
                let range = (feature.max - feature.min).abs();
                let spread = spread(values).unwrap_or(range / 6.0);
                let error = step.max(ERROR_OF_SPREAD * spread).max(1e-9 * (1.0 + range));
                Column {
                    name: feature.name.clone(),
                    unit: feature.unit.clone(),
                    kind: feature.kind.clone(),
                    min: feature.min,
                    max: feature.max,
                    immutable: feature.mutability == Mutability::Immutable,
                    step,
                    error,
                }
            })
            .collect();
        Self { columns, relations }
    }

    /// From columns with everything said.
    pub const fn of(columns: Vec<Column>, relations: Vec<Relation>) -> Self {
        Self { columns, relations }
    }

    /// The same with other measurement errors, by name of feature; unknown names are given back.
    pub fn with_errors(mut self, errors: &[(String, f64)]) -> (Self, Vec<String>) {
        let mut unknown = Vec::new();
        for (name, error) in errors {
            match self.columns.iter_mut().find(|c| c.name == *name) {
                Some(column) if *error > 0.0 && error.is_finite() => column.error = *error,
                _ => unknown.push(name.clone()),
            }
        }
        (self, unknown)
    }

    /// The features.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The relations.
    pub fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// Whether a row, in clinical units, is one that a patient can have.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn plausible(&self, row: &[f32]) -> Result<(), Broken> {
        if row.len() != self.columns.len() {
            return Err(Broken::Width { got: row.len(), features: self.columns.len() });
        }
        for (column, value) in self.columns.iter().zip(row) {
            column.allows(f64::from(*value))?;
        }
        let names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
        match self.relations.iter().find(|r| !r.holds(row)) {
            Some(relation) => Err(Broken::Relation(relation.text(&names))),
            None => Ok(()),
        }
    }

    /// Whether `row` is plausible and could be the patient of `before` measured again: nothing immutable changed, and what changed is rounded as values of the
    /// feature are.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn keeps(&self, before: &[f32], row: &[f32]) -> Result<(), Broken> {
        self.plausible(row)?;
        for (column, (old, new)) in self.columns.iter().zip(before.iter().zip(row)) {
            let same = old.to_bits() == new.to_bits() || (old - new).abs() == 0.0;
            if !same && column.immutable {
                return Err(Broken::Immutable(column.name.clone()));
            }
            if !same && !column.on_step(f64::from(*new)) {
                return Err(Broken::Value(column.name.clone()));
            }
        }
        Ok(())
    }

    /// The row nearest to `wanted`, about, that keeps the rules for the patient of `before`; `None` when mending finds none.
    pub fn repaired(&self, before: &[f32], wanted: &[f32]) -> Option<Vec<f32>> {
        if before.len() != self.columns.len() || wanted.len() != self.columns.len() {
            return None;
        }
        let mut row: Vec<f32> =
            self.columns.iter().zip(before.iter().zip(wanted)).map(|(c, (b, w))| c.nearest(*b, *w)).collect();
        for _ in 0..MENDING_ROUNDS {
            let mut sound = true;
            for relation in &self.relations {
                if !relation.holds(&row) {
                    sound = false;
                    self.mend(relation, before, &mut row);
                }
            }
            if sound {
                break;
            }
        }
        self.keeps(before, &row).is_ok().then_some(row)
    }

    /// Moves the values of a relation that can move towards keeping it.
    fn mend(&self, relation: &Relation, before: &[f32], row: &mut [f32]) {
        let value = |row: &[f32], at: usize| row.get(at).map_or(0.0, |v| f64::from(*v));
        match relation {
            Relation::AtMost { less, more, factor, offset, strict } => {
                let gap = value(row, *less) - (factor * value(row, *more) + offset);
                let free = |at: usize| self.columns.get(at).is_some_and(|c| !c.immutable);
                let error = |at: usize| self.columns.get(at).map_or(1.0, |c| c.error);
                // The side whose error is larger gives way: it costs less. A value that was not changed stays if the other one was.
                let moved = |at: usize| value(row, at) != before.get(at).map_or(0.0, |v| f64::from(*v));
                let first =
                    if moved(*less) == moved(*more) { error(*less) >= error(*more) } else { moved(*less) };
                let down = free(*less) && (first || !free(*more));
                let (at, to) = if down {
                    (*less, value(row, *less) - gap)
                } else {
                    (*more, value(row, *more) + gap / factor)
                };
                self.step_beyond(before, row, at, to, !down, *strict);
            }
            Relation::Sum { total, parts } => {
                let sum: f64 = parts.iter().map(|p| value(row, *p)).sum();
                self.set(before, row, *total, sum);
                // A total that cannot follow (immutable, out of range): the parts give way one after another.
                for part in parts {
                    let sum: f64 = parts.iter().map(|p| value(row, *p)).sum();
                    let gap = value(row, *total) - sum;
                    if gap.abs() > 0.0 {
                        let to = value(row, *part) + gap;
                        self.set(before, row, *part, to);
                    }
                }
            }
            Relation::OneHot(columns) => {
                let one = columns
                    .iter()
                    .copied()
                    .max_by(|a, b| value(row, *a).total_cmp(&value(row, *b)).then(b.cmp(a)))
                    .unwrap_or(0);
                for column in columns {
                    self.set(before, row, *column, if *column == one { 1.0 } else { 0.0 });
                }
            }
        }
    }

    /// Sets a value to the allowed one at or beyond `to`, upwards or downwards.
    fn step_beyond(&self, before: &[f32], row: &mut [f32], at: usize, to: f64, up: bool, strict: bool) {
        let Some(column) = self.columns.get(at) else { return };
        let step = if column.step > 0.0 { column.step } else { column.error / 100.0 };
        let places = to / step;
        let places = match (up, strict) {
            (true, false) => (places - SLACK).ceil(),
            (true, true) => (places + SLACK).floor() + 1.0,
            (false, false) => (places + SLACK).floor(),
            (false, true) => (places - SLACK).ceil() - 1.0,
        };
        self.set(before, row, at, places * step);
    }

    fn set(&self, before: &[f32], row: &mut [f32], at: usize, to: f64) {
        if let (Some(column), Some(old), Some(place)) =
            (self.columns.get(at), before.get(at), row.get_mut(at))
        {
            *place = column.nearest(*old, single(to));
        }
    }

    /// Relations apart, the values each feature of the row may take and what they cost: 1 per measurement error, `category` for another code.
    pub fn axes(&self, row: &[f32], category: f64) -> Vec<Axis> {
        self.columns.iter().zip(row).map(|(column, at)| column.axis(*at, category)).collect()
    }
}

impl Column {
    fn allows(&self, value: f64) -> Result<(), Broken> {
        if !value.is_finite() {
            return Err(Broken::NotANumber(self.name.clone()));
        }
        let slack = SLACK * (1.0 + value.abs());
        if value < self.min - slack || value > self.max + slack {
            return Err(Broken::Range(self.name.clone()));
        }
        let takes = match &self.kind {
            FeatureKind::Real => true,
            FeatureKind::Integer => (value - value.round()).abs() <= slack,
            FeatureKind::Category { codes } => codes.iter().any(|c| (c - value).abs() <= slack),
        };
        if takes { Ok(()) } else { Err(Broken::Value(self.name.clone())) }
    }

    fn on_step(&self, value: f64) -> bool {
        self.step <= 0.0
            || ((value / self.step).round() * self.step - value).abs() <= SLACK * (1.0 + value.abs())
    }

    /// The allowed value nearest to `wanted`, for a patient who has `before`.
    pub(super) fn nearest(&self, before: f32, wanted: f32) -> f32 {
        if self.immutable || wanted.is_nan() || wanted.to_bits() == before.to_bits() {
            return before;
        }
        let wanted = f64::from(wanted).clamp(self.min, self.max.max(self.min));
        match &self.kind {
            FeatureKind::Category { codes } => codes
                .iter()
                .min_by(|a, b| (*a - wanted).abs().total_cmp(&(*b - wanted).abs()))
                .map_or(before, |c| single(*c)),
            _ if self.step > 0.0 => {
                // Rounded inwards at the ends of the range.
                let (low, high) =
                    ((self.min / self.step - SLACK).ceil(), (self.max / self.step + SLACK).floor());
                single((wanted / self.step).round().clamp(low, high.max(low)) * self.step)
            }
            _ => single(wanted),
        }
    }

    fn axis(&self, at: f32, category: f64) -> Axis {
        if self.immutable {
            return Axis { at, low: at, high: at, steps: Steps::Any, weight: 1.0, flat: true };
        }
        let (low, high) = (inside(self.min, true), inside(self.max, false));
        match &self.kind {
            FeatureKind::Category { codes } => {
                let mut codes: Vec<f32> = codes.iter().map(|c| single(*c)).collect();
                codes.sort_by(f32::total_cmp);
                Axis { at, low, high, steps: Steps::Codes(codes), weight: category, flat: true }
            }
            _ => {
                let steps = if self.step > 0.0 { Steps::Multiples(self.step) } else { Steps::Any };
                Axis { at, low, high, steps, weight: 1.0 / self.error, flat: false }
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rows are single precision")]
pub(super) fn single(x: f64) -> f32 {
    x as f32
}

/// An end of a range in single precision, not outside it.
fn inside(end: f64, low: bool) -> f32 {
    let near = single(end);
    match low {
        true if f64::from(near) < end => near.next_up(),
        false if f64::from(near) > end => near.next_down(),
        _ => near,
    }
}

/// The coarsest power of ten, 1 at most, of which nearly all values are multiples; 0 when none is found.
fn rounding(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    for decimals in 0..=DECIMALS_MAX {
        let step = 10.0_f64.powi(-decimals);
        let fit = values.iter().filter(|v| near(**v, step)).count();
        if fit * 100 >= values.len() * 99 {
            return step;
        }
    }
    0.0
}

/// A multiple of `step` up to single precision. A step that single precision cannot tell from its neighbours fits nothing.
fn near(value: f64, step: f64) -> bool {
    let rounding = 2e-7 * value.abs();
    rounding < 0.1 * step && ((value / step).round() * step - value).abs() <= rounding
}

/// Robust standard deviation between patients; for values of which most are equal the plain one. `None` without spread.
fn spread(mut values: Vec<f64>) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let plain = numeric::standard_deviation(&values);
    let middle = numeric::median(&mut values);
    let mut apart: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    let robust = numeric::median(&mut apart) * numeric::MAD_TO_SIGMA;
    [robust, plain].into_iter().find(|s| s.is_finite() && *s > 0.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn column(name: &str, kind: FeatureKind, min: f64, max: f64, step: f64, error: f64) -> Column {
        Column { name: name.to_owned(), unit: "1".to_owned(), kind, min, max, immutable: false, step, error }
    }

    /// Age (immutable), systolic, diastolic, a score of three codes, a laboratory value, two one-hot columns.
    pub(crate) fn ward() -> Rulebook {
        let mut columns = vec![
            column("age", FeatureKind::Integer, 0.0, 110.0, 1.0, 1.0),
            column("systolic", FeatureKind::Integer, 50.0, 250.0, 1.0, 5.0),
            column("diastolic", FeatureKind::Integer, 20.0, 150.0, 1.0, 4.0),
            column("score", FeatureKind::Category { codes: vec![1.0, 2.0, 4.0] }, 1.0, 4.0, 0.0, 1.0),
            column("lab", FeatureKind::Real, 0.2, 20.0, 0.1, 0.3),
            column("a", FeatureKind::Category { codes: vec![0.0, 1.0] }, 0.0, 1.0, 0.0, 1.0),
            column("b", FeatureKind::Category { codes: vec![0.0, 1.0] }, 0.0, 1.0, 0.0, 1.0),
        ];
        columns[0].immutable = true;
        let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let relations = ["systolic > diastolic", "one of a, b"];
        let relations = relations.iter().map(|r| Relation::parse(r, &names).unwrap()).collect();
        Rulebook::of(columns, relations)
    }

    pub(crate) const PATIENT: [f32; 7] = [63.0, 140.0, 85.0, 2.0, 1.3, 1.0, 0.0];

    #[test]
    fn each_rule_is_seen() {
        let book = ward();
        assert_eq!(book.plausible(&PATIENT), Ok(()));
        let with = |at: usize, value: f32| {
            let mut row = PATIENT;
            row[at] = value;
            row
        };
        assert!(matches!(book.keeps(&PATIENT, &with(0, 64.0)), Err(Broken::Immutable(n)) if n == "age"));
        assert!(matches!(book.plausible(&with(1, 300.0)), Err(Broken::Range(_))));
        assert!(matches!(book.plausible(&with(1, 120.5)), Err(Broken::Value(_))));
        assert!(matches!(book.plausible(&with(3, 3.0)), Err(Broken::Value(_))));
        assert!(matches!(book.plausible(&with(4, f32::NAN)), Err(Broken::NotANumber(_))));
        assert!(
            matches!(book.plausible(&with(2, 140.0)), Err(Broken::Relation(r)) if r == "diastolic < systolic")
        );
        assert!(matches!(book.plausible(&with(6, 1.0)), Err(Broken::Relation(_))));
        assert!(matches!(book.keeps(&PATIENT, &with(4, 1.34)), Err(Broken::Value(_))));
        assert!(matches!(book.plausible(&PATIENT[..3]), Err(Broken::Width { got: 3, features: 7 })));
    }

    #[test]
    fn rounding_and_spread_come_from_the_reference() {
        assert!((rounding(&[1.2, 3.4, 0.5]) - 0.1).abs() < 1e-12);
        assert!((rounding(&[1.0, 3.0]) - 1.0).abs() < 1e-12);
        assert!((rounding(&[1.234_567_89]) - 0.0).abs() < 1e-12);
        assert_eq!(spread(vec![1.0]), None);
        assert_eq!(spread(vec![2.0; 10]), None);
        assert!(spread(vec![0.0, 0.0, 0.0, 0.0, 1.0]).is_some());
    }

    proptest::proptest! {
        #[test]
        fn what_is_repaired_keeps_the_rules(values in proptest::collection::vec(-500.0_f32..500.0, 7)) {
            let book = ward();
            if let Some(row) = book.repaired(&PATIENT, &values) {
                proptest::prop_assert_eq!(book.keeps(&PATIENT, &row), Ok(()));
            }
        }
    }

    #[test]
    fn repairing_finds_a_row_near_what_was_wanted() {
        let book = ward();
        let repaired = book.repaired(&PATIENT, &[70.0, 84.6, 97.2, 3.4, 1.26, 0.2, 0.9]).unwrap();
        assert_eq!(repaired[0], 63.0);
        assert!(repaired[1] > repaired[2]);
        assert_eq!((repaired[3], repaired[4], repaired[5], repaired[6]), (4.0, 1.3, 0.0, 1.0));
    }
}
