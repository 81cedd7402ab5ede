//! Measures the guards on held-out clean data: the false-positive rates that admission writes down as evidence.

use std::collections::BTreeMap;

use domain::{
    ClientId, Clock, InferenceReply, InferenceRequest, Phi, SystemId, Tensor, TensorData, Timestamp,
};
use numeric::{Matrix, wilson_interval};

use crate::guard_set::{Context, GuardSet};
use crate::history::History;
use crate::reference::Reference;

/// How often a guard spoke on clean data.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardRate {
    /// Rows on which it found something of medium severity or worse.
    pub flagged: usize,
    /// Rows on which it could not decide.
    pub inconclusive: usize,
    /// Rows it looked at.
    pub rows: usize,
    /// `flagged / rows`.
    pub rate: f64,
    /// 95 % interval of the rate (Wilson).
    pub interval: (f64, f64),
}

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evaluation {
    /// By instance.
    pub guards: BTreeMap<String, GuardRate>,
    /// Per class: share of its patients whose right class stayed possible under G004, and their number.
    pub coverage: Vec<(f64, usize)>,
}

/// Patients that one client of the evaluation sends.
const PATIENTS_PER_CLIENT: usize = 100;

/// A clock that stands still: an evaluation measures answers, not time.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn monotonic_us(&self) -> u64 {
        0
    }
}

/// Screens each row as a request and, where scores are there, as a reply; a hundred patients come from one client, all
/// on one day, into an empty memory. `data` must share no patient with what the guards were fitted on, or the
/// rates are too good.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn evaluate(set: &GuardSet, data: &Reference, client: &ClientId, system: &SystemId) -> Evaluation {
    let history = History::new(set.settings(), set.fitted());
    let mut counts: BTreeMap<String, (usize, usize, usize)> = BTreeMap::new();
    let mut count = |verdicts: &[domain::GuardVerdict]| {
        for v in verdicts {
            let (flagged, unsure, rows) = counts.entry(v.instance.to_string()).or_default();
            *flagged += usize::from(v.outcome.worst().is_some_and(|s| s >= domain::Severity::Medium));
            *unsure += usize::from(matches!(v.outcome, domain::Outcome::Inconclusive { .. }));
            *rows += 1;
        }
    };
    for r in 0..data.inputs.rows {
        // A hundred patients a day and client, so that the size of the data set is not taken for a busy client.
        let name = format!("evaluation-{}", r / PATIENTS_PER_CLIENT);
        let client = name.parse().unwrap_or_else(|_| client.clone());
        let cx = Context { client: &client, at: Timestamp::default(), clock: &Still, history: &history };
        let shape = set.schema().shape(1);
        let data_row = TensorData::Fp32(data.inputs.row(r).to_vec());
        let Ok(tensor) = Tensor::new(set.schema().tensor(), shape, data_row) else { continue };
        let inputs = Phi::new(vec![tensor]);
        let request = InferenceRequest { id: None, system: system.clone(), inputs, outputs: Vec::new() };
        count(set.screen_request(request, &cx).verdicts());
        if let Some(reply) = reply_of(data, r) {
            count(set.screen_reply(reply, &cx).verdicts());
        }
    }
    let guards = counts
        .into_iter()
        .map(|(name, (flagged, inconclusive, rows))| {
            let rate = flagged as f64 / rows.max(1) as f64;
            (name, GuardRate { flagged, inconclusive, rows, rate, interval: wilson_interval(flagged, rows) })
        })
        .collect();
    Evaluation { guards, coverage: coverage(set, data) }
}

/// The reply that the model gave for row `r`, from its scores and activations.
fn reply_of(data: &Reference, r: usize) -> Option<InferenceReply> {
    let scores = data.scores.as_ref()?;
    let row = TensorData::Fp32(scores.row(r).to_vec());
    let output = Tensor::new("probabilities", vec![1, scores.cols], row).ok()?;
    let features = data.features.as_ref().map(|f: &Matrix| Phi::new(vec![f.row(r).to_vec()]));
    Some(InferenceReply { outputs: Phi::new(vec![output]), features })
}

/// Share of each class's patients whose right class stayed possible.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn coverage(set: &GuardSet, data: &Reference) -> Vec<(f64, usize)> {
    let (Some(fit), Some(labels), Some(scores)) = (&set.fitted().uncertainty, &data.labels, &data.scores)
    else {
        return Vec::new();
    };
    let mut counts = vec![(0_usize, 0_usize); fit.classes()];
    for (label, row) in labels.iter().zip(scores.iter_rows()) {
        if let Some((kept, all)) = counts.get_mut(*label as usize) {
            *all += 1;
            *kept += usize::from(fit.possible(row).any(|k| k == *label as usize));
        }
    }
    counts.into_iter().map(|(kept, all)| (kept as f64 / all.max(1) as f64, all)).collect()
}
