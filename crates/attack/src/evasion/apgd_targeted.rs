//! Auto-PGD towards one wrong class after the other.

use serde::{Deserialize, Serialize};

use crate::evasion::apgd::{Aim, Plan};
use crate::evasion::walk::{NEAR, checked_near};
use crate::evasion::{Access, Evasion, Registered, checked, parameters};
use crate::norm::Norm;

domain::catalogue_entry! {
    /// Auto-PGD towards one wrong class after the other, the most likely first.
    ///
    /// ## What it is
    /// The climb of `apgd-ce` on the targeted ratio: the score of one wrong class minus the true one, over the spread of the scores. All wrong classes are tried in the
    /// order of their scores, at most `classes` (9) of them. With two classes there is one target, and the margin is climbed. Further parameters as `apgd-ce`.
    ///
    /// ## Why it matters in care
    /// An untargeted climb runs towards the nearest wrong class and can get stuck there while another class is within reach; in triage it also matters which wrong class can be had.
    ///
    /// ## Limits
    /// It needs the model's gradients and costs one climb per class.
    ///
    /// ## References
    /// Croce and Hein 2020, arXiv:2003.01690, equation 7.
    pub static ENTRY = { id: "X005", name: "apgd-t", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    minimal: false,
    build: |given| {
        let targeted = parameters::<Targeted>(given)?;
        checked("steps", targeted.steps, 10_000)?;
        checked("restarts", targeted.restarts, 1_000)?;
        checked("classes", targeted.classes, 10_000)?;
        checked("eot", targeted.eot, 1_000)?;
        checked_near(targeted.near)?;
        let plan = Plan {
            steps: targeted.steps,
            restarts: targeted.restarts,
            near: targeted.near,
            eot: targeted.eot,
        };
        Ok(Evasion::Gradients(Box::new(plan.aimed(Aim::Classes(targeted.classes as usize), 5))))
    },
};

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Targeted {
    steps: u32,
    restarts: u32,
    near: f64,
    classes: u32,
    eot: u32,
}

impl Default for Targeted {
    fn default() -> Self {
        Self { steps: 100, restarts: 8, near: NEAR, classes: 9, eot: 1 }
    }
}

#[cfg(test)]
mod tests {
    use crate::evasion::tests::check_breaks_the_linear_model;

    #[test]
    fn it_breaks_what_lies_within_reach_and_nothing_else() {
        check_breaks_the_linear_model("apgd-t", 1.0);
    }
}
