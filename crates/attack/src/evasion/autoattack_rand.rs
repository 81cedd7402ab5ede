//! The ensemble for models that do not answer the same twice.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::evasion::ensemble::{Ensemble, When};
use crate::evasion::{Access, Evasion, Registered, checked, parameters};
use crate::norm::Norm;

domain::catalogue_entry! {
    /// The ensemble for models that do not answer the same twice: every step follows the mean of several gradients (`AutoAttack`, version for randomised models).
    ///
    /// ## What it is
    /// `apgd-ce`, then `apgd-dlr`, each step along the mean of `eot` (20) gradients at the same row, a sample counting as broken when the mean of the scores does. Further parameters: `steps` (100),
    /// `restarts` (1).
    ///
    /// ## Why it matters in care
    /// Noise in front of a model, dropout left on, and random resizing blur a single gradient and so look like robustness; the mean sees through them.
    ///
    /// ## Limits
    /// Twenty times the cost. The last check of the harness is one draw: a row that breaks the model half of the time may be reported as unstable instead of broken. On a model that
    /// always answers the same it does what two runs of `apgd-ce` and `apgd-dlr` do.
    ///
    /// ## References
    /// Croce and Hein 2020, arXiv:2003.01690; expectation over transformation: Athalye et al. 2018, arXiv:1707.07397.
    pub static ENTRY = { id: "X012", name: "autoattack-rand", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    minimal: false,
    build: |given| {
        let plan = parameters::<Rand>(given)?;
        checked("steps", plan.steps, 10_000)?;
        checked("restarts", plan.restarts, 1_000)?;
        checked("eot", plan.eot, 1_000)?;
        let climb = json!({ "steps": plan.steps, "restarts": plan.restarts, "eot": plan.eot });
        let ensemble =
            Ensemble::of(&[("apgd-ce", climb.clone(), When::Always), ("apgd-dlr", climb, When::Always)])?;
        Ok(Evasion::Gradients(Box::new(ensemble)))
    },
};

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Rand {
    steps: u32,
    restarts: u32,
    eot: u32,
}

impl Default for Rand {
    fn default() -> Self {
        Self { steps: 100, restarts: 1, eot: 20 }
    }
}
