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
    /// Mean of members and others told right at the best threshold, which is chosen on the same rows and so errs upwards.
    pub balanced_accuracy: f64,
    /// The curve on a logarithmic scale: a few points from the fewest false alarms upwards.
    pub curve: Vec<Sensitivity>,
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

/// A point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Sensitivity {
    /// Share of others taken for members.
    pub false_alarms: f64,
    /// Share of members found.
    pub found: f64,
}

/// Points of the curve for each factor of ten.
const POINTS_A_DECADE: u32 = 6;

/// The curve from one false alarm upwards, evenly on a logarithmic scale.
#[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
fn curve(members: &[f64], others: &[f64]) -> Vec<Sensitivity> {
    let (m, n) = (members.len() as f64, others.len() as f64);
    let mut out: Vec<Sensitivity> = Vec::new();
    let steps = (n.log10() * f64::from(POINTS_A_DECADE)).ceil().max(0.0);
    let mut step = steps;
    while step >= 0.0 {
        let rate = 10_f64.powf(-step / f64::from(POINTS_A_DECADE));
        if let Some(at) = numeric::sensitivity_at(members, others, rate) {
            let point = Sensitivity { false_alarms: at.false_alarms as f64 / n, found: at.found as f64 / m };
            if out.last().is_none_or(|last| last.false_alarms < point.false_alarms) {
                out.push(point);
            }
        }
        step -= 1.0;
    }
    out
}

/// The best mean of members found and others left alone, over all thresholds.
#[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
fn balanced_accuracy(members: &[f64], others: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        members.iter().map(|s| (*s, true)).chain(others.iter().map(|s| (*s, false))).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut found, mut alarms, mut best) = (0_usize, 0_usize, 0.5_f64);
    for (at, (score, member)) in all.iter().enumerate() {
        if *member {
            found += 1
        } else {
            alarms += 1
        }
        // A threshold cannot stand between equal scores.
        if all.get(at + 1).is_none_or(|next| next.0 < *score) {
            let (hit, left) = (found as f64 / members.len() as f64, alarms as f64 / others.len() as f64);
            best = best.max(f64::midpoint(hit, 1.0 - left));
        }
    }
    best
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
        balanced_accuracy: balanced_accuracy(&members, &others),
        curve: curve(&members, &others),
        shadows,
        stopped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_climbs_and_the_balance_is_that_of_the_best_threshold() {
        // Members 3, 2, 1 against others 2, 0, 0, 0: above 0 all members and one other.
        assert_eq!(balanced_accuracy(&[3.0, 2.0, 1.0], &[2.0, 0.0, 0.0, 0.0]), f64::midpoint(1.0, 0.75));
        assert_eq!(balanced_accuracy(&[1.0; 5], &[1.0; 7]), 0.5, "equal scores tell nothing");
        let members: Vec<f64> = (0..500).map(|v| f64::from(v) + 100.0).collect();
        let others: Vec<f64> = (0..1000).map(|v| f64::from(v) / 2.0).collect();
        let points = curve(&members, &others);
        assert!(points.len() > 12 && points[0].false_alarms <= 0.001, "{points:?}");
        assert!(points.is_sorted_by(|a, b| a.false_alarms < b.false_alarms && a.found <= b.found));
        assert_eq!(points.last().map(|p| (p.found, p.false_alarms)), Some((1.0, 1.0)));
    }
}
