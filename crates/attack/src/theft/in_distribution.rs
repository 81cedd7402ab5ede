//! Asking with rows like those of the model's patients.

use serde::{Deserialize, Serialize};

use crate::access::Fault;
use crate::evasion::parameters;
use crate::theft::{Registered, Round, Strategy};

domain::catalogue_entry! {
    /// The model is asked with rows like those it was made for, and a copy is trained on the answers.
    ///
    /// ## What it is
    /// Rows of the thief's own, of the same kind but without labels, are asked in random order, each once. Reported is the share of held-out rows on which the copy agrees
    /// with the model, against the number of queries.
    ///
    /// ## Why it matters in care
    /// Every hospital has patients of its own: five hundred ordinary looking X-rays were enough for a copy that agrees on 93 of 100. Each query
    /// looks like care, so that only its number tells.
    ///
    /// ## Limits
    /// The copy has the architecture of the exercise's trainer; a larger one may agree more. Agreement on held-out rows says little about agreement on adversarial rows.
    ///
    /// ## References
    /// Orekondy, Schiele, Fritz 2019, arXiv:1812.02766; Jagielski et al. 2020, arXiv:1909.01838.
    pub static ENTRY = { id: "X221", name: "extraction-in-distribution", kind: Attack, since: "0.1.0", maps: ["AML.T0024.002", "AML.T0005.001", "NISTAML.031"] };
}

/// In the registry.
pub static STRATEGY: Registered =
    Registered { entry: &ENTRY, build: |given| Ok(Box::new(parameters::<InDistribution>(given)?)) };

/// No parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct InDistribution {}

impl Strategy for InDistribution {
    fn next(&self, round: &mut Round<'_>, count: usize) -> Result<Vec<f32>, Fault> {
        if round.taken.is_empty() {
            return Err(Fault::NotApplicable(
                "`extraction-in-distribution` needs rows of the thief's own: give a pool".to_owned(),
            ));
        }
        Ok(round.from_pool(count))
    }
}

#[cfg(test)]
mod tests {
    use crate::theft::tests::steal;

    #[test]
    fn each_row_of_the_pool_is_asked_once() {
        let found = steal("extraction-in-distribution", &[100, 5000]);
        assert_eq!(found.points.last().unwrap().queries, 400, "the pool has no more");
        assert!(found.points.last().unwrap().agreement.share > 0.9, "{:?}", found.points);
    }
}
