//! The cheapest plausible change of a patient's row that turns a model over, for any model with scores.

use domain::FeatureKind;
use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, Replies, Scores};
use crate::norm::Norm;
use crate::pace::Pace;
use crate::tabular::exact::{left, total};
use crate::tabular::oracle::Oracle;
use crate::tabular::rulebook::{Rulebook, single};

domain::catalogue_entry! {
    /// The cheapest plausible change of a patient's row that turns the answer over, in units of measurement error.
    ///
    /// ## What it is
    /// A beam search over features: each step changes one feature to values some measurement errors away (or to another code), repairs the row by the rulebook, and
    /// keeps the rows that lose most margin for their cost. Where the model gives gradients, rows along them join the search. Found rows are then made cheaper:
    /// values go back towards the patient's, all together, one by one and in exchange for others, while the class stays wrong. Every row that is asked keeps the rulebook.
    ///
    /// ## Why it matters in care
    /// "This patient's answer turns over if creatinine is measured one error higher" is a statement that a clinician can judge, and the list of such patients is where a
    /// second measurement pays.
    ///
    /// ## Limits
    /// A search: there may be cheaper changes (for tree ensembles see `least-change-of-trees`, which proves it). Errors derived from reference data are rough;
    /// give those of the laboratory where they are known. A rule that nobody wrote down is not kept.
    ///
    /// ## References
    /// Ballet, Renard, Aigrain, Laugel, Frossard, Detyniecki 2019, arXiv:1911.03274. Simonetto, Dyrmishi, Ghamizi, Cordy, Le Traon 2022, arXiv:2112.01156.
    pub static ENTRY = { id: "X040", name: "least-change", kind: Attack, since: "0.1.0", maps: ["AML.T0043.001", "NISTAML.022"] };
}

/// From clinical units to the unit box: `unit = (value - low) / span`, feature by feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// Value at 0 of the box.
    pub low: Vec<f32>,
    /// What 1 of the box spans; above 0.
    pub span: Vec<f32>,
}

impl Scale {
    /// Adds a row of clinical units to `out`, in the unit box.
    pub(crate) fn unit(&self, row: &[f32], out: &mut Vec<f32>) {
        let ends = self.low.iter().zip(&self.span);
        out.extend(
            row.iter().zip(ends).map(|(v, (low, span))| ((v - low) / span.max(1e-30)).clamp(0.0, 1.0)),
        );
    }
}

/// How changes are priced and how long is searched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// How the costs of a row's cells are put together: `l1` their sum, `l2` the root of the sum of squares, `linf` the largest.
    pub norm: Norm,
    /// What another code costs, in measurement errors.
    pub category: f64,
    /// Rows kept per step.
    pub beam: usize,
    /// Features changed at most.
    pub features: usize,
    /// Rows asked at most, per patient.
    pub queries: u64,
}

impl Default for Settings {
    fn default() -> Self {
        // The sum of errors: two values off by one error each cost as much as one off by two. Another code is a mistake of record keeping rather than measurement, and costs
        // as much as a gross error. 40,000 rows take a fraction of a second in process.
        Self { norm: Norm::L1, category: 6.0, beam: 8, features: 6, queries: 40_000 }
    }
}

/// One changed cell, in clinical units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Cell {
    /// Feature.
    pub feature: String,
    /// Its column.
    pub column: usize,
    /// Unit, UCUM.
    pub unit: String,
    /// Value of the patient.
    pub before: f64,
    /// Value that turns the answer over.
    pub after: f64,
    /// Cost: the change in measurement errors, or the price of another code.
    pub errors: f64,
}

/// A plausible row of another class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// The whole row, in clinical units.
    pub row: Vec<f32>,
    /// What differs, dearest first.
    pub cells: Vec<Cell>,
    /// Cost of all cells together.
    pub cost: f64,
    /// Class of the patient's row.
    pub from: usize,
    /// Class of the changed one.
    pub to: usize,
}

impl Change {
    /// What differs between two rows, and its cost.
    pub fn between(
        book: &Rulebook,
        before: &[f32],
        after: &[f32],
        settings: &Settings,
        from: usize,
        to: usize,
    ) -> Self {
        let axes = book.axes(before, settings.category);
        let mut cells: Vec<Cell> = Vec::new();
        for (at, (column, axis)) in book.columns().iter().zip(&axes).enumerate() {
            let value = after.get(at).copied().unwrap_or(axis.at);
            let errors = axis.price(value);
            if errors > 0.0 {
                cells.push(Cell {
                    feature: column.name.clone(),
                    column: at,
                    unit: column.unit.clone(),
                    before: f64::from(axis.at),
                    after: f64::from(value),
                    errors,
                });
            }
        }
        cells.sort_by(|a, b| b.errors.total_cmp(&a.errors));
        let cost = total(settings.norm, cells.iter().map(|c| c.errors));
        Self { row: after.to_vec(), cells, cost, from, to }
    }
}

/// What came of one patient.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The cheapest plausible change that was found.
    pub change: Option<Change>,
    /// Rows asked.
    pub queries: u64,
    /// Why nothing could be searched: the patient's own row breaks the rulebook, or is not of the class stated.
    pub refused: Option<String>,
}

/// A model at the access that there is.
pub enum Shown<'a> {
    /// Scores.
    Scores(&'a mut dyn Scores),
    /// Gradients as well.
    Gradients(&'a mut dyn Gradients),
}

/// Searches the cheapest plausible change of `row` (clinical units) that `model` does not give class `label`. Deterministic.
///
/// # Errors
/// [`Fault`] when the model fails, or when row, scale and rulebook differ in width. What the query budget or a stop cuts off is no error.
pub fn least_change(
    model: &mut Shown<'_>,
    scale: &Scale,
    book: &Rulebook,
    row: &[f32],
    label: usize,
    settings: &Settings,
    pace: &dyn Pace,
) -> Result<Found, Fault> {
    let width = book.columns().len();
    if [row.len(), scale.low.len(), scale.span.len()].iter().any(|n| *n != width) || width == 0 {
        return Err(Fault::Shape(format!("the row has {} values, the rulebook {width} features", row.len())));
    }
    let refused = |why: String, queries| Ok(Found { change: None, queries, refused: Some(why) });
    if let Err(broken) = book.plausible(row) {
        return refused(broken.to_string(), 0);
    }
    let axes = book.axes(row, settings.category);
    let values = axes.iter().zip(book.columns()).map(|(axis, column)| reachable(axis.at, column)).collect();
    let mut search = Search {
        oracle: Oracle { model, scale, label, left: settings.queries, asked: 0, replies: Replies::default() },
        book,
        before: row,
        axes,
        values,
        settings,
        best: None,
    };
    match search.oracle.ask(&[row.to_vec()])?.first() {
        Some(Some((margin, class))) if *class == label => {
            search.follow_gradients(pace)?;
            search.beam(*margin, pace)?;
            search.refine(pace)?;
        }
        Some(Some(_)) => return refused("the model does not give the row the class stated".to_owned(), 1),
        _ => return refused("the model did not answer for the row as it is".to_owned(), 1),
    }
    let queries = search.oracle.asked;
    let change = search.best.map(|b| Change::between(book, row, &b.row, settings, label, b.class));
    Ok(Found { change, queries, refused: None })
}

/// A row with its price and what the model said.
#[derive(Debug, Clone)]
pub(super) struct Priced {
    pub(super) row: Vec<f32>,
    cost: f64,
    margin: f32,
    class: usize,
}

/// Multiples of the measurement error that a value is moved by.
const ERRORS: [f64; 13] = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 64.0];
/// Codes of a category that are tried.
const CODES_MAX: usize = 64;
/// Rounds of making a found row cheaper.
const REFINEMENTS: usize = 40;
/// Parts of the room that is left under the present best price, to which another value is moved.
pub(super) const PARTS: [f64; 11] = [0.99, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.04];
/// No value is moved by more errors than this.
const ROOM_MAX: f64 = 1e6;
/// Values of a feature that are tried, beside the patient's.
fn reachable(at: f32, column: &crate::tabular::rulebook::Column) -> Vec<f32> {
    if column.immutable {
        return Vec::new();
    }
    let mut values: Vec<f32> = match &column.kind {
        FeatureKind::Category { codes } => codes.iter().take(CODES_MAX).map(|c| single(*c)).collect(),
        _ => {
            let by = |errors: f64| [errors, -errors].map(|e| single(f64::from(at) + e * column.error));
            let ends = [single(column.min), single(column.max)];
            ERRORS.iter().flat_map(|e| by(*e)).chain(ends).map(|v| column.nearest(at, v)).collect()
        }
    };
    values.sort_by(f32::total_cmp);
    values.dedup();
    values.retain(|v| (v - at).abs() > 0.0);
    values
}

/// One search for one patient.
pub(super) struct Search<'a, 'm> {
    pub(super) oracle: Oracle<'a, 'm>,
    pub(super) book: &'a Rulebook,
    /// The patient's row.
    pub(super) before: &'a [f32],
    pub(super) axes: Vec<crate::tabular::exact::Axis>,
    values: Vec<Vec<f32>>,
    pub(super) settings: &'a Settings,
    /// The cheapest row of another class so far.
    pub(super) best: Option<Priced>,
}

impl Search<'_, '_> {
    fn price(&self, row: &[f32]) -> f64 {
        total(self.settings.norm, self.axes.iter().zip(row).map(|(axis, v)| axis.price(*v)))
    }

    /// Cost of the best row; infinite without one.
    pub(super) fn limit(&self) -> f64 {
        self.best.as_ref().map_or(f64::INFINITY, |b| b.cost)
    }

    /// Repairs, prices and asks rows; those of another class that are cheaper become the best. Gives back what still has the class.
    pub(super) fn try_rows(&mut self, wanted: impl Iterator<Item = Vec<f32>>) -> Result<Vec<Priced>, Fault> {
        let mut seen = std::collections::BTreeSet::new();
        let mut rows = Vec::new();
        let mut costs = Vec::new();
        for wanted in wanted {
            let Some(row) = self.book.repaired(self.before, &wanted) else { continue };
            let cost = self.price(&row);
            let bits: Vec<u32> = row.iter().map(|v| v.to_bits()).collect();
            if cost > 0.0 && cost < self.limit() && seen.insert(bits) {
                rows.push(row);
                costs.push(cost);
            }
        }
        let said = self.oracle.ask(&rows)?;
        let mut standing = Vec::new();
        for ((row, cost), said) in rows.into_iter().zip(costs).zip(said) {
            let Some((margin, class)) = said else { continue };
            let priced = Priced { row, cost, margin, class };
            if class == self.oracle.label {
                standing.push(priced);
            } else if cost < self.limit() {
                self.best = Some(priced);
            }
        }
        Ok(standing)
    }

    /// One feature more per step, the most promising rows kept.
    fn beam(&mut self, margin: f32, pace: &dyn Pace) -> Result<(), Fault> {
        let start = Priced { row: self.before.to_vec(), cost: 0.0, margin, class: self.oracle.label };
        let mut beam = vec![start];
        for depth in 0..self.settings.features {
            pace.step(depth as u64, self.settings.features as u64);
            if pace.stop() || beam.is_empty() || self.oracle.left == 0 {
                break;
            }
            let mut wanted = Vec::new();
            for from in &beam {
                for (at, values) in self.values.iter().enumerate() {
                    for value in values {
                        let mut row = from.row.clone();
                        if let Some(place) = row.get_mut(at) {
                            *place = *value;
                        }
                        wanted.push(row);
                    }
                }
            }
            let mut standing = self.try_rows(wanted.into_iter())?;
            let limit = self.limit();
            // The price at which the class would turn over, were the way on as steep as so far.
            let promise = |p: &Priced| {
                let fell = f64::from(margin - p.margin);
                if fell > 0.0 { p.cost * f64::from(margin) / fell } else { f64::INFINITY }
            };
            standing.retain(|p| p.cost < limit && p.margin < margin);
            standing.sort_by(|a, b| promise(a).total_cmp(&promise(b)));
            let half = self.settings.beam.div_ceil(2);
            let mut rest = standing.split_off(half.min(standing.len()));
            rest.sort_by(|a, b| a.margin.total_cmp(&b.margin));
            rest.truncate(self.settings.beam.saturating_sub(standing.len()));
            standing.append(&mut rest);
            beam = standing;
        }
        Ok(())
    }

    /// Makes the best row cheaper while it can.
    fn refine(&mut self, pace: &dyn Pace) -> Result<(), Fault> {
        for _ in 0..REFINEMENTS {
            let Some(best) = self.best.clone() else { return Ok(()) };
            if pace.stop() || self.oracle.left == 0 {
                return Ok(());
            }
            let changed: Vec<usize> =
                (0..best.row.len()).filter(|at| best.row.get(*at) != self.before.get(*at)).collect();
            let mut wanted = Vec::new();
            for at in &changed {
                self.back(&best.row, *at, &mut wanted);
            }
            self.shrink(&best.row, &mut wanted);
            self.try_rows(wanted.into_iter())?;
            if self.limit() < best.cost {
                continue;
            }
            // Nothing goes back alone: one goes back, whole or half, in exchange for another value.
            let mut wanted = Vec::new();
            for at in &changed {
                for part in [0.0, 0.5] {
                    self.exchange(&best, *at, part, &mut wanted);
                }
            }
            self.try_rows(wanted.into_iter())?;
            if self.limit() >= best.cost {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Rows with the change at `at` cut to `part`, and another value moved as far as keeps the row cheaper than it was.
    fn exchange(&self, best: &Priced, at: usize, part: f64, wanted: &mut Vec<Vec<f32>>) {
        let mut base = best.row.clone();
        let (Some(place), Some(before), Some(column)) =
            (base.get_mut(at), self.before.get(at), self.book.columns().get(at))
        else {
            return;
        };
        let own = f64::from(*before);
        let cut = if matches!(column.kind, FeatureKind::Category { .. }) { 0.0 } else { part };
        *place = column.nearest(*before, single(own + cut * (f64::from(*place) - own)));
        let now = self.price(&base);
        for (other, (axis, values)) in self.axes.iter().zip(&self.values).enumerate() {
            let Some(present) = base.get(other).filter(|_| other != at && !values.is_empty()) else {
                continue;
            };
            let room = left(self.settings.norm, best.cost, now, axis.price(*present));
            let moved: Vec<f32> = if axis.flat {
                values.clone()
            } else {
                let far = |p: f64| p * room.min(ROOM_MAX) / axis.weight;
                PARTS
                    .iter()
                    .flat_map(|p| [far(*p), -far(*p)])
                    .map(|by| single(f64::from(axis.at) + by))
                    .collect()
            };
            for value in moved {
                let mut row = base.clone();
                if let Some(place) = row.get_mut(other) {
                    *place = value;
                }
                wanted.push(row);
            }
        }
    }

    /// Rows with the value at `at` nearer to the patient's: his own, between, and one step less.
    fn back(&self, row: &[f32], at: usize, wanted: &mut Vec<Vec<f32>>) {
        let (Some(now), Some(before), Some(column)) =
            (row.get(at), self.before.get(at), self.book.columns().get(at))
        else {
            return;
        };
        let (now, before) = (f64::from(*now), f64::from(*before));
        let step = if column.step > 0.0 { column.step } else { column.error / 50.0 };
        let mut values = vec![before];
        if !matches!(column.kind, FeatureKind::Category { .. }) {
            values.extend([0.5, 0.75, 0.9, 0.97].map(|part| before + part * (now - before)));
            values.push(now - step.copysign(now - before));
        }
        for value in values {
            let mut nearer = row.to_vec();
            if let Some(place) = nearer.get_mut(at) {
                *place = column.nearest(single(before), single(value));
            }
            wanted.push(nearer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Layout;
    use crate::evasion::tests::Linear;
    use crate::pace::Quiet;
    use crate::tabular::rulebook::tests::{PATIENT, column, ward};

    /// Class 1 where `weights · unit + bias` is above 0.
    fn linear(weights: &[f32], bias: f32) -> Linear {
        Linear {
            weights: vec![vec![0.0; weights.len()], weights.to_vec()],
            bias: vec![0.0, bias],
            layout: Layout::Table { features: weights.len() },
            asked: 0,
        }
    }

    fn scale(book: &Rulebook) -> Scale {
        Scale {
            low: book.columns().iter().map(|c| c.min as f32).collect(),
            span: book.columns().iter().map(|c| (c.max - c.min) as f32).collect(),
        }
    }

    #[test]
    fn the_cheapest_cell_is_found_and_told_in_its_units() {
        let book = Rulebook::of(
            vec![
                column("potassium", FeatureKind::Real, 0.0, 10.0, 0.1, 0.1),
                column("glucose", FeatureKind::Real, 0.0, 1000.0, 1.0, 50.0),
            ],
            vec![],
        );
        // Either potassium by 1 (ten errors) or glucose by 100 (two errors).
        let mut model = linear(&[1.0, 1.0], -0.599);
        let row = [3.0, 200.0];
        for shown in [true, false] {
            let mut model = if shown { Shown::Gradients(&mut model) } else { Shown::Scores(&mut model) };
            let found = least_change(&mut model, &scale(&book), &book, &row, 0, &Settings::default(), &Quiet)
                .unwrap();
            let change = found.change.unwrap();
            assert_eq!(change.cells.len(), 1, "{change:?}");
            assert_eq!((change.cells[0].feature.as_str(), change.cells[0].unit.as_str()), ("glucose", "1"));
            assert!(
                (change.cells[0].after - 300.0).abs() < 1e-6 && (change.cost - 2.0).abs() < 1e-6,
                "{change:?}"
            );
            assert_eq!((change.from, change.to), (0, 1));
        }
    }

    #[test]
    fn the_largest_of_the_errors_is_spread_over_all_values() {
        let columns = ["a", "b", "c", "d"].map(|n| column(n, FeatureKind::Real, 0.0, 10.0, 0.0, 0.5));
        let book = Rulebook::of(columns.to_vec(), vec![]);
        // The sum lacks 4.0: two errors of 0.5 in each of four values.
        let mut model = linear(&[1.0; 4], -1.6);
        let settings = Settings { norm: Norm::Linf, ..Settings::default() };
        let mut shown = Shown::Gradients(&mut model);
        let found = least_change(&mut shown, &scale(&book), &book, &[3.0; 4], 0, &settings, &Quiet).unwrap();
        let change = found.change.unwrap();
        assert!(change.cells.len() == 4 && (1.999..2.1).contains(&change.cost), "{change:?}");
    }

    #[test]
    fn a_row_that_breaks_its_own_rules_is_refused_with_the_reason() {
        let book = ward();
        let mut row = PATIENT;
        row[2] = 140.0;
        let mut model = linear(&[0.1; 7], 0.0);
        let found = least_change(
            &mut Shown::Scores(&mut model),
            &scale(&book),
            &book,
            &row,
            1,
            &Settings::default(),
            &Quiet,
        )
        .unwrap();
        assert!(found.change.is_none() && found.refused.unwrap().contains("diastolic < systolic"));
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(48))]
        #[test]
        fn every_change_keeps_the_rulebook(
            weights in proptest::collection::vec(-2.0_f32..2.0, 7), bias in -1.0_f32..1.0, norm in 0..3_usize
        ) {
            let book = ward();
            let mut model = linear(&weights, bias);
            let norm = [Norm::L1, Norm::L2, Norm::Linf][norm];
            let settings = Settings { norm, queries: 4_000, ..Settings::default() };
            for label in [0, 1] {
                let mut shown = Shown::Gradients(&mut model);
                let found = least_change(&mut shown, &scale(&book), &book, &PATIENT, label, &settings, &Quiet).unwrap();
                proptest::prop_assert!(found.queries <= 4_000);
                if let Some(change) = found.change {
                    proptest::prop_assert_eq!(book.keeps(&PATIENT, &change.row), Ok(()));
                    proptest::prop_assert_ne!(change.to, label);
                    proptest::prop_assert!(!change.cells.is_empty() && change.cells.iter().all(|c| c.feature != "age"));
                }
            }
        }
    }
}
