//! Least plausible changes of a suite: for each patient that the model gets right, the cheapest change of the row that a patient could have and that turns the answer over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::parse::{SuiteError, wrong};
use super::{Chunk, SAMPLES_MAX, settled};
use crate::access::{Fault, Rows};
use crate::evasion::Target;
use crate::norm::Norm;
use crate::pace::Pace;
use crate::tabular::{
    Change as Found, Forest, Rulebook, Scale, Settings, Shown, Work, least_change, least_change_of_trees,
};

/// Most searches of one suite.
pub const CHANGES_MAX: usize = 16;
/// Most relations, errors and costs of one search.
const LISTED_MAX: usize = 256;
/// Most rows asked per patient, and boxes looked at.
const BUDGET_MAX: u64 = 100_000_000;

/// A search for the least plausible change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LeastChange {
    /// How reports call it.
    pub label: String,
    /// How the costs of a row's cells are put together: `l1` their sum, `l2` the root of the sum of squares, `linf` the largest.
    pub norm: Norm,
    /// What another code costs, in measurement errors.
    pub category: f64,
    /// Features changed at most by the search; the exact search of trees knows no such bound.
    pub features: usize,
    /// Rows asked at most, per patient.
    pub queries_max: u64,
    /// Boxes looked at per patient in the exact search of a tree ensemble; 0 never tries it.
    pub boxes_max: u64,
    /// Costs at which it is said how many patients stand, upwards, in measurement errors.
    pub within: Vec<f64>,
    /// Measurement errors by name of the feature, in its unit; the others are taken from the reference rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, f64>,
    /// Features that never change, beside those declared so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub immutable: Vec<String>,
    /// What holds between features, for example `systolic > diastolic`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<String>,
    /// Only so many of the samples, from the front.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
}

/// A search as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct FileChange {
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    norm: Option<Norm>,
    #[serde(default)]
    category: Option<f64>,
    #[serde(default)]
    features: Option<usize>,
    #[serde(default)]
    queries_max: Option<u64>,
    #[serde(default)]
    boxes_max: Option<u64>,
    #[serde(default)]
    within: Option<Vec<f64>>,
    #[serde(default)]
    errors: BTreeMap<String, f64>,
    #[serde(default)]
    immutable: Vec<String>,
    #[serde(default)]
    relations: Vec<String>,
    #[serde(default)]
    samples: Option<usize>,
}

pub(super) fn understand(n: usize, given: FileChange) -> Result<LeastChange, SuiteError> {
    let usual = Settings::default();
    let label = given.label.unwrap_or_else(|| "least-change".to_owned());
    let refuse = |message: &str| Err(wrong(format!("change {n} (`{label}`)"), message));
    let above = |v: f64| v.is_finite() && v > 0.0;
    let mut within: Vec<f64> =
        given.within.unwrap_or_else(|| vec![1.0, 2.0, 4.0, 8.0]).into_iter().map(settled).collect();
    within.sort_by(f64::total_cmp);
    within.dedup();
    if within.is_empty() || within.len() > 32 || !within.iter().all(|w| above(*w)) {
        return refuse("`within` takes 1 to 32 costs above 0, in measurement errors");
    }
    if given.norm == Some(Norm::L0) {
        return refuse("costs of cells are put together by l1, l2 or linf");
    }
    if given.category.is_some_and(|c| !above(c)) || !given.errors.values().all(|e| above(*e)) {
        return refuse("measurement errors and the cost of another code are above 0");
    }
    if given.queries_max.is_some_and(|q| q == 0 || q > BUDGET_MAX) {
        return refuse("a budget of 0 queries asks nothing: write 1 to 100000000, or leave queries-max out");
    }
    if given.boxes_max.is_some_and(|b| b > BUDGET_MAX) {
        return refuse("boxes-max takes at most 100000000");
    }
    if given.features.is_some_and(|f| f == 0 || f > 1000) {
        return refuse("`features` takes 1 to 1000: how many cells may change");
    }
    if given.samples.is_some_and(|s| s == 0 || s > SAMPLES_MAX) {
        return refuse("0 samples show nothing: write 1 or more, or leave samples out");
    }
    if [given.errors.len(), given.immutable.len(), given.relations.len()].iter().any(|n| *n > LISTED_MAX) {
        return refuse("at most 256 errors, features and relations are taken");
    }
    Ok(LeastChange {
        label,
        norm: given.norm.unwrap_or(usual.norm),
        category: settled(given.category.unwrap_or(usual.category)),
        features: given.features.unwrap_or(usual.features),
        queries_max: given.queries_max.unwrap_or(usual.queries),
        boxes_max: given.boxes_max.unwrap_or(Work::default().boxes_max),
        within,
        errors: given.errors.into_iter().map(|(name, e)| (name, settled(e))).collect(),
        immutable: given.immutable,
        relations: given.relations,
        samples: given.samples,
    })
}

/// What a search knows of the table: the rules, the ranges, and the trees where the model is an ensemble of them.
#[derive(Debug, Clone)]
pub struct Clinic {
    /// What a row can be.
    pub book: Rulebook,
    /// From clinical units to the unit box.
    pub scale: Scale,
    /// The trees, where the model is in the searcher's hands and made of them.
    pub forest: Option<Forest>,
}

/// One cell that was changed, in clinical units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChangedCell {
    /// Its column.
    pub column: usize,
    /// Value after.
    pub after: f64,
    /// What it cost, in measurement errors.
    pub errors: f64,
}

/// What came of one patient.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Changed {
    /// Which sample.
    pub sample: usize,
    /// Cost of the cheapest plausible change found; none when none was found.
    pub cost: Option<f64>,
    /// No plausible change is cheaper than this; none where nothing is proven.
    pub lower: Option<f64>,
    /// `cost` is the least there is, or it is proven that there is no plausible change.
    pub exact: bool,
    /// Class seen after the change.
    pub seen: Option<usize>,
    /// What was changed, dearest first.
    pub cells: Vec<ChangedCell>,
    /// Rows asked.
    pub queries: u64,
    /// Why nothing could be searched.
    pub left_out: Option<String>,
}

/// What a search found on one chunk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ChangePiece {
    /// Which search, counted from 0.
    pub change: usize,
    /// Which chunk, counted from 0.
    pub chunk: usize,
    /// One entry per patient.
    pub patients: Vec<Changed>,
    /// Why it ended before its end.
    pub fault: Option<String>,
    /// Why it cannot be run on this target at all.
    pub skipped: Option<String>,
}

/// Searches for each sample of `chunk` (those the model gets right). `clinical` are their rows in clinical units, as recorded.
///
/// # Errors
/// [`Fault::Stopped`] when it was asked to end; nothing of the piece is kept then. Other faults end in the piece.
pub fn change_chunk(
    at: usize,
    change: &LeastChange,
    target: &mut Target<'_>,
    chunk: &Chunk,
    clinical: &[f32],
    clinic: &Clinic,
    pace: &dyn Pace,
) -> Result<ChangePiece, Fault> {
    let mut piece = ChangePiece { change: at, chunk: chunk.number, ..ChangePiece::default() };
    let count = change.samples.unwrap_or(usize::MAX);
    let width = clinic.book.columns().len().max(1);
    let patients = chunk.samples.iter().zip(&chunk.labels).zip(clinical.chunks_exact(width));
    for (n, ((sample, label), row)) in patients.enumerate() {
        if *sample >= count {
            continue;
        }
        if pace.stop() {
            return Err(Fault::Stopped);
        }
        match patient(change, target, clinic, row, *label, &Inner(pace)) {
            Ok(found) => piece.patients.push(Changed { sample: *sample, ..found }),
            Err(Fault::Stopped) => return Err(Fault::Stopped),
            Err(Fault::NotApplicable(why)) => {
                piece.skipped = Some(why);
                return Ok(piece);
            }
            Err(other) => {
                piece.fault = Some(other.to_string());
                return Ok(piece);
            }
        }
        pace.step(n as u64 + 1, chunk.samples.len() as u64);
    }
    // What was found while somebody asked to stop may be cut short.
    if pace.stop() { Err(Fault::Stopped) } else { Ok(piece) }
}

/// Passes a stop on to a search inside a piece; its steps are no progress of the piece.
struct Inner<'a>(&'a dyn Pace);

impl Pace for Inner<'_> {
    fn stop(&self) -> bool {
        self.0.stop()
    }

    fn step(&self, _done: u64, _total: u64) {}
}

fn patient(
    change: &LeastChange,
    target: &mut Target<'_>,
    clinic: &Clinic,
    row: &[f32],
    label: usize,
    pace: &dyn Pace,
) -> Result<Changed, Fault> {
    let settings = Settings {
        norm: change.norm,
        category: change.category,
        features: change.features,
        queries: change.queries_max,
        ..Settings::default()
    };
    if let Err(broken) = clinic.book.plausible(row) {
        return Ok(Changed { left_out: Some(broken.to_string()), ..Changed::default() });
    }
    let mut out = Changed::default();
    let mut best: Option<Found> = None;
    let forest = clinic.forest.as_ref().filter(|f| change.boxes_max > 0 && f.class(row) == label);
    if let Some(forest) = forest {
        let work = Work { boxes_max: change.boxes_max };
        let (least, found) = least_change_of_trees(forest, &clinic.book, row, label, &settings, work);
        out.lower = least.lower.is_finite().then_some(least.lower).filter(|l| *l > 0.0);
        out.exact = least.exact();
        // The model itself has the last word: it may round otherwise than the trees as data do.
        if let Some(found) = found {
            out.queries += 1;
            match seen(target, clinic, &found.row)? {
                Some(class) if class != label => best = Some(Found { to: class, ..found }),
                _ => out.exact = false,
            }
        }
    }
    if !out.exact {
        let found = search(target, clinic, (row, label), &settings, pace)?;
        out.queries += found.queries;
        out.left_out = found.refused;
        // A value that goes to the unit box and back can end on the other side of a threshold: what is cheaper than the proof allows is such a case.
        let allowed = |cost: f64| out.lower.is_none_or(|lower| cost >= lower * (1.0 - 1e-9));
        if let Some(found) = found.change.filter(|f| allowed(f.cost))
            && best.as_ref().is_none_or(|b| found.cost < b.cost)
        {
            best = Some(found);
        }
    }
    if let Some(best) = best {
        out.cost = Some(settled(best.cost));
        out.seen = Some(best.to);
        out.cells = best
            .cells
            .iter()
            .map(|c| ChangedCell { column: c.column, after: short(c.after), errors: settled(c.errors) })
            .collect();
        out.left_out = None;
    }
    out.lower = if out.exact { out.cost } else { out.lower.map(settled) };
    Ok(out)
}

fn search(
    target: &mut Target<'_>,
    clinic: &Clinic,
    (row, label): (&[f32], usize),
    settings: &Settings,
    pace: &dyn Pace,
) -> Result<crate::tabular::Found, Fault> {
    let mut shown = match target.again() {
        Target::Labels(_) => {
            return Err(Fault::NotApplicable(
                "it needs the scores of the model, which are not shown".to_owned(),
            ));
        }
        Target::Scores(model) => Shown::Scores(model),
        Target::Gradients(model) => Shown::Gradients(model),
    };
    least_change(&mut shown, &clinic.scale, &clinic.book, row, label, settings, pace)
}

/// The class that the model sees in a row in clinical units.
fn seen(target: &mut Target<'_>, clinic: &Clinic, row: &[f32]) -> Result<Option<usize>, Fault> {
    let mut unit = Vec::new();
    clinic.scale.unit(row, &mut unit);
    let mut classes = Vec::new();
    target.labels().labels(Rows::new(&unit, row.len(), &[0])?, &mut classes)?;
    Ok(classes.first().copied().flatten())
}

/// A single-precision value as the shortest decimal number that means it.
#[expect(clippy::cast_possible_truncation, reason = "it comes from single precision")]
fn short(value: f64) -> f64 {
    format!("{}", value as f32).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use domain::FeatureKind;

    use super::*;
    use crate::evasion::tests::Linear;
    use crate::pace::Quiet;
    use crate::tabular::{Column, Compare, Decision, Node, Tree};

    fn clinic(forest: Option<Forest>) -> Clinic {
        let column = |name: &str, immutable| Column {
            name: name.to_owned(),
            unit: "mmol/L".to_owned(),
            kind: FeatureKind::Real,
            min: 0.0,
            max: 10.0,
            immutable,
            step: 0.1,
            error: 0.5,
        };
        let book = Rulebook::of(vec![column("a", false), column("b", true)], Vec::new());
        Clinic { book, scale: Scale { low: vec![0.0; 2], span: vec![10.0; 2] }, forest }
    }

    /// `a` above the threshold is class 0, as the linear model has it where `b` is 4.
    fn stump(threshold: f32) -> Forest {
        let split = Node::Split { feature: 0, threshold, compare: Compare::AtMost, yes: 1, no: 2 };
        let nodes = vec![split, Node::Leaf(vec![0.0, 1.0]), Node::Leaf(vec![1.0, 0.0])];
        Forest {
            features: 2,
            outputs: 2,
            base: vec![0.0; 2],
            trees: vec![Tree { nodes }],
            decision: Decision::Highest,
        }
    }

    fn run(clinic: &Clinic, rows: &[f32], labels_only: bool) -> ChangePiece {
        let change = understand(1, toml::from_str("samples = 8").unwrap()).unwrap();
        let mut model = Linear::halves(2);
        let mut target = if labels_only { Target::Labels(&mut model) } else { Target::Gradients(&mut model) };
        let count = rows.len() / 2;
        let chunk = Chunk {
            number: 3,
            starts: Vec::new(),
            labels: vec![0; count],
            samples: (6..6 + count).collect(),
        };
        change_chunk(0, &change, &mut target, &chunk, rows, clinic, &Quiet).unwrap()
    }

    #[test]
    fn what_may_change_changes_by_the_least_and_nothing_else() {
        // At exactly 4 the model still says class 0 where these trees do not: the model has the last word, and nothing is proven.
        for (forest, exact) in [(None, false), (Some(stump(3.95)), true), (Some(stump(4.0)), false)] {
            let piece = run(&clinic(forest), &[5.0, 4.0, 9.0, 4.0, 9.0, 4.0], false);
            // The third lies beyond the samples asked for.
            assert_eq!(piece.patients.iter().map(|p| p.sample).collect::<Vec<_>>(), [6, 7]);
            let first = &piece.patients[0];
            assert_eq!((first.exact, first.seen, first.cells.len()), (exact, Some(1), 1), "{first:?}");
            // From 5 to 3.9, in steps of 0.1.
            assert!(first.cells[0].column == 0 && (2.19..2.21).contains(&first.cost.unwrap()), "{first:?}");
            assert!(piece.patients[1].cost > first.cost);
            let text = serde_json::to_string(&piece).unwrap();
            assert_eq!(serde_json::from_str::<ChangePiece>(&text).unwrap(), piece);
        }
    }

    #[test]
    fn a_row_that_breaks_the_rules_is_left_out_and_decisions_alone_are_not_enough() {
        let piece = run(&clinic(None), &[50.0, 4.0], false);
        assert!(piece.patients[0].left_out.as_ref().is_some_and(|why| why.contains("`a`")), "{piece:?}");
        assert!(run(&clinic(None), &[5.0, 4.0], true).skipped.is_some_and(|why| why.contains("scores")));
    }
}
