//! Asking where the copy is least sure.

use serde::{Deserialize, Serialize};

use crate::access::Fault;
use crate::evasion::parameters;
use crate::measure::{probabilities, scores_of};
use crate::theft::{Registered, Round, Strategy};

domain::catalogue_entry! {
    /// Of the thief's own rows, those are asked on which his copy is least sure.
    ///
    /// ## What it is
    /// Active learning against somebody else's model: a few random rows of the pool, then in each round the rows with the smallest distance between the two highest
    /// probabilities of the copy, at most half as many as were asked before.
    ///
    /// ## Why it matters in care
    /// The thief with much data of his own and a limit on queries: the limit buys him more of the model.
    ///
    /// ## Limits
    /// Early copies are sure of the wrong things, so that the first rounds gain little. Needs a pool that is larger than the budget.
    ///
    /// ## References
    /// Pal et al. 2020, arXiv:1905.09165 (ActiveThief); Chandrasekaran et al. 2020, arXiv:1811.02054.
    pub static ENTRY = { id: "X223", name: "extraction-uncertainty", kind: Attack, since: "0.1.0", maps: ["AML.T0024.002", "AML.T0005.001", "NISTAML.031"] };
}

/// In the registry.
pub static STRATEGY: Registered =
    Registered { entry: &ENTRY, build: |given| Ok(Box::new(parameters::<Uncertainty>(given)?)) };

/// How it begins.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Uncertainty {
    /// Random rows asked before the first copy.
    seeds: usize,
}

impl Default for Uncertainty {
    fn default() -> Self {
        Self { seeds: 64 }
    }
}

/// Distance between the two highest probabilities.
fn margin(scores: &[f32]) -> f32 {
    let mut p = probabilities(scores);
    p.sort_by(|a, b| b.total_cmp(a));
    p.first().copied().unwrap_or(1.0) - p.get(1).copied().unwrap_or(0.0)
}

impl Strategy for Uncertainty {
    fn next(&self, round: &mut Round<'_>, count: usize) -> Result<Vec<f32>, Fault> {
        if round.taken.is_empty() {
            return Err(Fault::NotApplicable(
                "`extraction-uncertainty` needs rows of the thief's own: give a pool".to_owned(),
            ));
        }
        let (width, asked) = (round.space.layout.len(), round.asked.len());
        if asked < self.seeds.max(1) {
            return Ok(round.from_pool(count.min(self.seeds.max(1) - asked)));
        }
        let Some(copy) = round.surrogate.as_deref_mut() else { return Ok(Vec::new()) };
        let free: Vec<usize> =
            (0..round.taken.len()).filter(|at| round.taken.get(*at) == Some(&false)).collect();
        let mut rows = Vec::with_capacity(free.len() * width);
        for at in &free {
            rows.extend_from_slice(round.pool.get(at * width..(at + 1) * width).unwrap_or_default());
        }
        let replies = scores_of(copy, &rows, width)?;
        let mut order: Vec<(f32, usize)> = free
            .iter()
            .enumerate()
            .map(|(at, place)| (replies.row(at).map_or(1.0, margin), *place))
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let places: Vec<usize> =
            order.into_iter().take(count.min(asked.div_ceil(2))).map(|(_, place)| place).collect();
        Ok(round.take(&places))
    }

    fn adaptive(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theft::tests::steal;

    #[test]
    fn the_copy_is_asked_where_it_is_unsure() {
        assert!(margin(&[0.0, 0.1]) < margin(&[0.0, 3.0]));
        assert!((margin(&[5.0, 5.0, -90.0])).abs() < 1e-6);
        let found = steal("extraction-uncertainty", &[64, 250]);
        let last = found.points.last().unwrap();
        assert_eq!(last.queries, 250);
        assert!(last.agreement.share > 0.9, "{:?}", found.points);
    }
}
