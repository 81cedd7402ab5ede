//! What the least plausible change of patients' rows showed: how many flip, at what cost in measurement errors, and who first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::assemble::Book;
use super::{Breakdown, Note, Share};
use crate::norm::Norm;
use crate::suite::{ChangePiece, Changed, LeastChange, settled};

/// One search over all patients that the model gets right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChangeRow {
    /// Which search of the suite, counted from 0.
    pub change: usize,
    /// How the suite calls it.
    pub label: String,
    /// How the costs of a row's cells are put together.
    pub norm: Norm,
    /// Patients flipped by a plausible change, of those that could be searched.
    pub flipped: Share,
    /// Patients whose cost is proven to be the least there is, or for whom it is proven that no plausible change flips them.
    pub exact: usize,
    /// Patients left out because their own row breaks the rules.
    pub left_out: usize,
    /// Least cost of all patients, in measurement errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_min: Option<f64>,
    /// Median cost of those that were flipped, in measurement errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_median: Option<f64>,
    /// Rows asked for one patient: the median.
    pub queries_median: u64,
    /// Rows asked, all patients together.
    pub queries: u64,
    /// How many stand changes up to some costs.
    pub levels: Vec<ChangeLevel>,
    /// The patients, the cheapest to flip first; those not flipped last.
    pub patients: Vec<ChangedPatient>,
}

/// Who stands changes up to one cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChangeLevel {
    /// Cost, in measurement errors.
    pub within: f64,
    /// Samples that are right and not known to flip within it, of all that were tried (wrong from the start counts as wrong).
    pub stands: Breakdown,
    /// One character per sample, as in [`super::Row::flags`].
    pub flags: String,
}

/// One patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChangedPatient {
    /// Which sample, counted from 0 in `samples`.
    pub sample: usize,
    /// Cost of the cheapest plausible change found, in measurement errors; none when none was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// No plausible change is cheaper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// The cost is the least there is, or there is no plausible change.
    pub exact: bool,
    /// Class seen after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<usize>,
    /// How many cells were changed.
    pub changed: usize,
    /// The patient's row, changed cells first, dearest first. Holds the patient's values; empty when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<ChangeCell>,
}

/// One cell of a patient's row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChangeCell {
    /// Name of the feature.
    pub name: String,
    /// Unit; `1` for none.
    pub unit: String,
    /// Value before.
    pub before: f64,
    /// Value after.
    pub after: f64,
    /// What the change costs, in measurement errors; 0 where nothing changed.
    pub errors: f64,
}

/// Rows of patients shown: by search and sample.
pub type ShownRows = BTreeMap<(usize, usize), Vec<ChangeCell>>;

/// What is made of the pieces of all searches.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) rows: Vec<ChangeRow>,
    pub(super) skipped: Vec<Note>,
    pub(super) faults: Vec<Note>,
    pub(super) missing: usize,
}

impl Changes {
    /// From pieces in order of searches and chunks; `chunks` is how many chunks there are.
    pub(super) fn of(
        book: &Book<'_>,
        list: &[LeastChange],
        pieces: &[ChangePiece],
        chunks: usize,
        shown: &ShownRows,
    ) -> Self {
        let mut out = Self::default();
        for (at, change) in list.iter().enumerate() {
            let own: Vec<&ChangePiece> = pieces.iter().filter(|p| p.change == at).collect();
            let about = |text: &String| Note { about: change.label.clone(), text: text.clone() };
            if let Some(why) = own.iter().find_map(|p| p.skipped.as_ref()) {
                out.skipped.push(about(why));
                continue;
            }
            out.missing += chunks.saturating_sub(own.len());
            let said: std::collections::BTreeSet<&String> =
                own.iter().filter_map(|p| p.fault.as_ref()).collect();
            out.faults.extend(said.into_iter().map(about));
            let patients: Vec<&Changed> = own.iter().flat_map(|p| &p.patients).collect();
            if patients.is_empty() {
                continue;
            }
            let mut reasons: BTreeMap<&String, usize> = BTreeMap::new();
            patients
                .iter()
                .filter_map(|p| p.left_out.as_ref())
                .for_each(|why| *reasons.entry(why).or_default() += 1);
            for (why, count) in reasons {
                out.skipped.push(about(&format!("{count} patients were left out: {why}")));
            }
            out.rows.push(book.change(at, change, &patients, shown));
        }
        out
    }
}

impl Book<'_> {
    fn change(&self, at: usize, change: &LeastChange, patients: &[&Changed], shown: &ShownRows) -> ChangeRow {
        let searched: Vec<&&Changed> = patients.iter().filter(|p| p.left_out.is_none()).collect();
        let mut costs: Vec<f64> = searched.iter().filter_map(|p| p.cost).collect();
        costs.sort_by(f64::total_cmp);
        let mut asked: Vec<u64> = searched.iter().map(|p| p.queries).collect();
        asked.sort_unstable();
        let levels =
            change.within.iter().map(|within| self.change_level(change, *within, &searched)).collect();
        let mut list: Vec<ChangedPatient> = searched
            .iter()
            .map(|p| ChangedPatient {
                sample: p.sample,
                cost: p.cost,
                lower: p.lower,
                exact: p.exact,
                seen: p.seen,
                changed: p.cells.len(),
                cells: shown.get(&(at, p.sample)).cloned().unwrap_or_default(),
            })
            .collect();
        let price = |p: &ChangedPatient| p.cost.unwrap_or(f64::INFINITY);
        list.sort_by(|a, b| price(a).total_cmp(&price(b)).then(a.sample.cmp(&b.sample)));
        ChangeRow {
            change: at,
            label: change.label.clone(),
            norm: change.norm,
            flipped: Share::new(costs.len(), searched.len()),
            exact: searched.iter().filter(|p| p.exact).count(),
            left_out: patients.len() - searched.len(),
            cost_min: costs.first().copied(),
            cost_median: (!costs.is_empty()).then(|| settled(numeric::median(&mut costs))),
            queries_median: asked.get(asked.len() / 2).copied().unwrap_or(0),
            queries: asked.iter().sum(),
            levels,
            patients: list,
        }
    }

    fn change_level(&self, change: &LeastChange, within: f64, searched: &[&&Changed]) -> ChangeLevel {
        let count = change.samples.unwrap_or(usize::MAX);
        let mut flags: Vec<u8> = self
            .clean
            .iter()
            .enumerate()
            .map(|(n, f)| if *f == b'x' && n < count { b'x' } else { b'-' })
            .collect();
        for patient in searched {
            if let Some(flag) = flags.get_mut(patient.sample) {
                *flag = if patient.cost.is_some_and(|c| c <= within) { b'0' } else { b'1' };
            }
        }
        let stands = self.breakdown(&flags);
        ChangeLevel { within, stands, flags: String::from_utf8(flags).unwrap_or_default() }
    }
}
