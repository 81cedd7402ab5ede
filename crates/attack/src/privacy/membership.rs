//! How membership inference is judged: by what it finds at very few false alarms, not on average.

use domain::Entry;
use serde::{Deserialize, Serialize};

use crate::access::Fault;
use crate::measure::Share;

/// False alarm rates at which finding members is reported (Carlini et al. 2022, arXiv:2112.03570, section III).
const RATES: [f64; 2] = [0.001, 0.01];

/// How well members of the training data are told from others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Membership {
    /// Id of the attack.
    pub attack: String,
    /// Rows that were in the training data.
    pub members: u64,
    /// Rows that were not.
    pub others: u64,
    /// Rows that got no score: not answered, or never seen by a shadow model.
    pub left_out: u64,
    /// Area under the curve of members against others: 0.5 is guessing.
    pub auc: f64,
    /// Lower end of its interval at 95 % (DeLong).
    pub auc_low: f64,
    /// Upper end.
    pub auc_high: f64,
    /// Members found at few false alarms.
    pub at: Vec<Found>,
    /// Shadow models trained.
    pub shadows: u64,
    /// Ended early, because it was asked to; fewer shadow models stood behind the scores.
    pub stopped: bool,
}

/// Members found at a rate of false alarms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    /// Highest share of others that may be taken for members.
    pub rate: f64,
    /// Others that were. With fewer than `1 / rate` others none may be, which understates what an attacker finds.
    pub false_alarms: u64,
    /// Members found.
    pub found: Share,
}

/// Scores of each row (high: a member), `None` where there is none, with whether it was a member.
pub(super) fn judge(
    entry: &Entry,
    scores: &[(Option<f64>, bool)],
    shadows: u64,
    stopped: bool,
) -> Result<Membership, Fault> {
    let of = |wanted: bool| -> Vec<f64> {
        scores
            .iter()
            .filter(|(s, m)| *m == wanted && s.is_some_and(|s| !s.is_nan()))
            .filter_map(|(s, _)| *s)
            .collect()
    };
    let (members, others) = (of(true), of(false));
    let Some(roc) = numeric::roc_area(&members, &others) else {
        return Err(Fault::NotApplicable(
            "membership needs answered rows that were in the training data and rows that were not".to_owned(),
        ));
    };
    let found = |rate: f64| {
        let at = numeric::sensitivity_at(&members, &others, rate)?;
        let found = Share::new(at.found, members.len());
        Some(Found { rate, false_alarms: at.false_alarms as u64, found })
    };
    Ok(Membership {
        attack: entry.id.to_owned(),
        members: members.len() as u64,
        others: others.len() as u64,
        left_out: (scores.len() - members.len() - others.len()) as u64,
        auc: roc.area,
        auc_low: roc.low,
        auc_high: roc.high,
        at: RATES.into_iter().filter_map(found).collect(),
        shadows,
        stopped,
    })
}
