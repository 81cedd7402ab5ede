//! Asking with noise.

use serde::{Deserialize, Serialize};

use crate::access::Fault;
use crate::evasion::parameters;
use crate::theft::{Registered, Round, Strategy};

domain::catalogue_entry! {
    /// The model is asked with random rows, and a copy is trained on the answers.
    ///
    /// ## What it is
    /// Rows of uniform noise over the whole range of the inputs are asked. Reported is the share of held-out rows on which a copy trained on the answers agrees with the model, against the
    /// number of queries.
    ///
    /// ## Why it matters in care
    /// The floor: what somebody without any patient data of his own can copy. Tables fall to it; images hardly do, since the model sees the same in all noise.
    ///
    /// ## Limits
    /// Easily told from real traffic. That it fails says nothing about thieves with data.
    ///
    /// ## References
    /// Tramer et al. 2016, arXiv:1609.02943.
    pub static ENTRY = { id: "X220", name: "extraction-random", kind: Attack, since: "0.1.0", maps: ["AML.T0024.002", "AML.T0005.001", "NISTAML.031"] };
}

/// In the registry.
pub static STRATEGY: Registered =
    Registered { entry: &ENTRY, build: |given| Ok(Box::new(parameters::<Random>(given)?)) };

/// No parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Random {}

impl Strategy for Random {
    fn next(&self, round: &mut Round<'_>, count: usize) -> Result<Vec<f32>, Fault> {
        Ok(round.noise(count))
    }
}

#[cfg(test)]
mod tests {
    use crate::theft::tests::steal;

    #[test]
    fn a_table_model_falls_to_noise() {
        let found = steal("extraction-random", &[50, 400]);
        assert_eq!(found.points.len(), 2);
        assert!(found.points[1].agreement.share > 0.85, "{:?}", found.points);
    }
}
