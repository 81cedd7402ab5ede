//! Projected gradient descent onto few values.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, argmax};
use crate::evasion::walk::{Walk, Wants, drive, points};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithGradients, checked, parameters};
use crate::loss::Loss;
use crate::norm::{Ball, Norm};

domain::catalogue_entry! {
    /// Gradient steps on all values at once, after each of which only the few largest changes are kept (projected gradient descent in L0).
    ///
    /// ## What it is
    /// From a row in which as many random values as the budget allows were set at random, each step follows the gradient and then keeps, of all changes, those that bring the row nearest to
    /// where it wanted to go within box and budget. Values can be dropped again for better ones. Parameters: `steps` (60), `restarts` (4), `step` (1.0: by how much the
    /// steepest value moves at first; it falls as a cosine).
    ///
    /// ## Why it matters in care
    /// As `saliency`: few wrong cells, few dead pixels. It finds sets that only work together.
    ///
    /// ## Limits
    /// It needs the model's gradients. The set of values is found by a local search, so standing it is no proof.
    ///
    /// ## References
    /// Croce and Hein 2019, arXiv:1909.05040 (PGD0).
    pub static ENTRY = { id: "X014", name: "pgd0", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::L0],
    minimal: false,
    build: |given| {
        let plan = parameters::<Pgd0>(given)?;
        checked("steps", plan.steps, 10_000)?;
        checked("restarts", plan.restarts, 1_000)?;
        if !(plan.step.is_finite() && plan.step > 0.0) {
            return Err("`step` must be above 0".into());
        }
        Ok(Evasion::Gradients(Box::new(plan)))
    },
};

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Pgd0 {
    steps: u32,
    restarts: u32,
    step: f64,
}

impl Default for Pgd0 {
    fn default() -> Self {
        Self { steps: 60, restarts: 4, step: 1.0 }
    }
}

impl WithGradients for Pgd0 {
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault> {
        drive(model, task, 1, |at| Path {
            plan: self,
            ball: task.ball,
            label: task.labels.get(at).copied().unwrap_or(0),
            start: task.start(at),
            x: task.start(at).to_vec(),
            rng: task.rng(at, 14),
            taken: 0,
            restarts: self.restarts,
            wants: if task.ball.places() == 0 { Wants::Nothing } else { Wants::Gradient },
            found: false,
        })
    }
}

/// One row on its way; the first run begins at the start itself.
struct Path<'t> {
    plan: &'t Pgd0,
    ball: Ball,
    label: usize,
    start: &'t [f32],
    x: Vec<f32>,
    rng: numeric::Rng,
    taken: u32,
    restarts: u32,
    wants: Wants,
    found: bool,
}

impl Walk for Path<'_> {
    fn wants(&self) -> Wants {
        self.wants
    }

    fn at(&self) -> &[f32] {
        &self.x
    }

    fn cotangent(&self, scores: &[f32], out: &mut [f32]) {
        Loss::LogOdds.of(scores, self.label, out);
    }

    fn hear(&mut self, scores: &[f32], gradient: &[f32]) {
        if argmax(scores).is_some_and(|seen| seen != self.label) {
            self.found = true;
            self.wants = Wants::Nothing;
        } else if self.taken == self.plan.steps {
            self.restarts = self.restarts.saturating_sub(1);
            self.taken = 0;
            self.wants = if self.restarts == 0 { Wants::Nothing } else { Wants::Gradient };
            self.ball.random(self.start, &mut self.rng, &mut self.x);
        } else {
            if points(gradient) {
                let turn = std::f64::consts::PI * f64::from(self.taken) / f64::from(self.plan.steps);
                self.ball.ascend(gradient, self.plan.step * 0.5 * (1.0 + turn.cos()), &mut self.x);
                self.ball.project(self.start, &mut self.x);
            } else {
                self.ball.random(self.start, &mut self.rng, &mut self.x);
            }
            self.taken += 1;
            if self.taken == self.plan.steps {
                self.wants = Wants::Scores;
            }
        }
    }

    fn refused(&mut self) {
        self.wants = Wants::Nothing;
    }

    fn found(&self) -> Option<&[f32]> {
        self.found.then_some(self.x.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use crate::evasion::tests::check_breaks_the_linear_model;

    #[test]
    fn it_breaks_what_lies_within_reach_and_nothing_else() {
        check_breaks_the_linear_model("pgd0", 1.0);
    }
}
