//! Projected gradient descent with random starts.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, argmax};
use crate::evasion::walk::{NEAR, Rise, Walk, Wants, checked_near, drive, points};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithGradients, checked, parameters};
use crate::loss::Loss;
use crate::norm::{Ball, Norm};

domain::catalogue_entry! {
    /// Many small steps along the gradient, each drawn back into the budget, from random starts (projected gradient descent).
    ///
    /// ## What it is
    /// From a random row within the budget, the loss of the true class is climbed step by step; after each step the row is projected onto budget and box at
    /// once. The steps shrink as a cosine from a fifth of the budget to nothing, four budgets in all, so that the walk first travels and then settles. A sample ends with its
    /// first wrong answer. A sample whose loss, at half of the steps, still lacks more than `near` of what it has gained is given up; the others are started again, first from the sample itself, up to
    /// `restarts` times. Parameters: `steps` (40), `restarts` (4), `near` (0.25; a large number gives nothing up), `step` (first step as a share of the budget, 8 divided by the steps when not given),
    /// `random-start` (true), `eot` (1: queries averaged per step, for models that do not answer the same twice).
    ///
    /// ## Why it matters in care
    /// It is the attack that adversarial training is trained on and most published robustness is measured with: a model that falls here needs no finer tool.
    ///
    /// ## Limits
    /// It needs the model's gradients. A fixed schedule stops short on models with uneven loss (`apgd-ce` adapts its own). Where gradients are missing or not
    /// numbers it goes on from random rows and says so in the report; standing it then means nothing.
    ///
    /// ## References
    /// Madry et al. 2018, arXiv:1706.06083. For L1: Tramer and Boneh 2019, arXiv:1904.13000.
    pub static ENTRY = { id: "X002", name: "pgd", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    minimal: false,
    build: |given| {
        let pgd = parameters::<Pgd>(given)?;
        checked("steps", pgd.steps, 10_000)?;
        checked("restarts", pgd.restarts, 1_000)?;
        checked("eot", pgd.eot, 1_000)?;
        checked_near(pgd.near)?;
        if pgd.step.is_some_and(|step| !(step.is_finite() && step > 0.0)) {
            return Err("`step` must be above 0: the first step as a share of the budget".into());
        }
        Ok(Evasion::Gradients(Box::new(pgd)))
    },
};

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Pgd {
    steps: u32,
    restarts: u32,
    near: f64,
    step: Option<f64>,
    random_start: bool,
    eot: u32,
}

impl Default for Pgd {
    fn default() -> Self {
        Self { steps: 40, restarts: 4, near: NEAR, step: None, random_start: true, eot: 1 }
    }
}

impl WithGradients for Pgd {
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault> {
        drive(model, task, self.eot as usize, |at| {
            let start = task.start(at);
            let mut path = Path {
                plan: self,
                ball: task.ball,
                label: task.labels.get(at).copied().unwrap_or(0),
                start,
                x: start.to_vec(),
                rng: task.rng(at, 2),
                taken: 0,
                rise: Rise::default(),
                restarts: self.restarts,
                wants: Wants::Gradient,
                found: false,
            };
            if self.random_start {
                path.ball.random(start, &mut path.rng, &mut path.x);
            }
            path
        })
    }
}

/// First step times steps, in budgets: four budgets are travelled in all, enough to leave any random start behind.
const TRAVEL: f64 = 8.0;

/// One row on its way.
struct Path<'t> {
    plan: &'t Pgd,
    ball: Ball,
    label: usize,
    start: &'t [f32],
    x: Vec<f32>,
    rng: numeric::Rng,
    /// Steps taken since the last start.
    taken: u32,
    rise: Rise,
    /// Starts left, with this one.
    restarts: u32,
    wants: Wants,
    found: bool,
}

impl Path<'_> {
    /// The second run begins at the start itself, where the budget holds no noise; later ones at random rows again.
    fn begin_again(&mut self) {
        if self.restarts + 1 == self.plan.restarts {
            self.x.copy_from_slice(self.start);
        } else {
            self.ball.random(self.start, &mut self.rng, &mut self.x);
        }
    }

    /// Size of the next step: a cosine from the first to nearly 0.
    fn size(&self) -> f64 {
        let steps = f64::from(self.plan.steps);
        let first = self.plan.step.unwrap_or((TRAVEL / steps).min(2.0)) * self.ball.epsilon;
        first * 0.5 * (1.0 + (std::f64::consts::PI * f64::from(self.taken) / steps).cos())
    }
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
            return;
        }
        let mut unused = vec![0.0; scores.len()];
        self.rise.hear(Loss::LogOdds.of(scores, self.label, &mut unused));
        if self.taken >= self.plan.steps.div_ceil(2) && !self.rise.is_near(self.plan.near) {
            self.wants = Wants::Nothing;
            return;
        }
        if self.taken == self.plan.steps {
            self.rise = Rise::default();
            self.restarts = self.restarts.saturating_sub(1);
            self.taken = 0;
            self.wants = if self.restarts == 0 { Wants::Nothing } else { Wants::Gradient };
            self.begin_again();
            return;
        }
        if points(gradient) {
            self.ball.ascend(gradient, self.size(), &mut self.x);
            self.ball.project(self.start, &mut self.x);
        } else {
            self.ball.random(self.start, &mut self.rng, &mut self.x);
        }
        self.taken += 1;
        if self.taken == self.plan.steps {
            self.wants = Wants::Scores;
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
        check_breaks_the_linear_model("pgd", 1.0);
    }
}
