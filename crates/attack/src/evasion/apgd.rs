//! Auto-PGD on the cross-entropy, and the climb that its sisters on other losses share.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, argmax};
use crate::evasion::walk::{NEAR, Rise, Walk, Wants, checked_near, drive, points, ranked};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithGradients, checked, parameters};
use crate::loss::Loss;
use crate::norm::{Ball, Norm, ascend_sparse};

domain::catalogue_entry! {
    /// Gradient steps with momentum that set their own size: halved, from the best row so far, whenever the climb stalls (Auto-PGD on the cross-entropy).
    ///
    /// ## What it is
    /// As `pgd`, with momentum, a first step of twice the budget, and checkpoints: where fewer than three quarters of the steps since the last one
    /// went up, or nothing better was found, the step is halved and the walk goes on from its best row. For L1 the steps are sparse and the number of values
    /// they move adapts instead. No step size to choose. The loss is the logarithm of the odds, which climbs as the cross-entropy does and does not flatten on confident
    /// models. A sample whose loss, after two fifths of the steps, still lacks more than `near` of what it has gained is given up; the others are started again up to `restarts`
    /// times, as long as each run comes nearer than the last had to. Parameters: `steps` (100), `restarts` (8), `near` (0.25; a large number gives nothing up), `eot` (1: queries averaged per step, for models that do not answer the same twice).
    ///
    /// ## Why it matters in care
    /// Robustness claimed with a badly tuned attack is worth nothing, and a hospital has nobody who tunes attacks: this one needs no tuning.
    ///
    /// ## Limits
    /// It needs the model's gradients. Where they are missing or not numbers it goes on from random rows and the report says so. On two classes it climbs the same
    /// hill as `apgd-dlr`, from other random starts.
    ///
    /// ## References
    /// Croce and Hein 2020, arXiv:2003.01690. For L1: Croce and Hein 2021, arXiv:2103.01208, without its widened budgets.
    pub static ENTRY = { id: "X003", name: "apgd-ce", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    minimal: false,
    build: |given| Ok(Evasion::Gradients(Box::new(Plan::read(given)?.aimed(Aim::Loss(Loss::LogOdds), 3)))),
};

/// The parameters of all forms.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Plan {
    pub(crate) steps: u32,
    pub(crate) restarts: u32,
    pub(crate) near: f64,
    pub(crate) eot: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self { steps: 100, restarts: 8, near: NEAR, eot: 1 }
    }
}

impl Plan {
    /// From a suite.
    ///
    /// # Errors
    /// What is wrong with the parameters.
    pub(crate) fn read(given: &serde_json::Value) -> Result<Self, String> {
        let plan = parameters::<Self>(given)?;
        checked("steps", plan.steps, 10_000)?;
        checked("restarts", plan.restarts, 1_000)?;
        checked("eot", plan.eot, 1_000)?;
        checked_near(plan.near)?;
        Ok(plan)
    }

    /// The attack that climbs what `aim` says; `stream` numbers its randomness.
    pub(crate) fn aimed(self, aim: Aim, stream: u64) -> Apgd {
        Apgd { plan: self, aim, stream }
    }
}

/// What is climbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    /// One loss.
    Loss(Loss),
    /// The targeted ratio, towards each of so many classes in turn: those with the highest scores at the start.
    Classes(usize),
}

/// Auto-PGD with its aim.
pub(crate) struct Apgd {
    plan: Plan,
    aim: Aim,
    stream: u64,
}

impl WithGradients for Apgd {
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault> {
        drive(model, task, self.plan.eot as usize, |at| {
            let start = task.start(at);
            let mut path = Path {
                steps: self.plan.steps,
                near: self.plan.near,
                ball: task.ball,
                label: task.labels.get(at).copied().unwrap_or(0),
                start,
                rng: task.rng(at, self.stream),
                runs: Vec::new(),
                begun: 0,
                classes: 0,
                x: start.to_vec(),
                climb: Climb::default(),
                wants: Wants::Gradient,
                found: false,
                slope: Vec::new(),
            };
            match self.aim {
                Aim::Loss(loss) => {
                    path.runs = vec![loss; self.plan.restarts as usize];
                    path.next_run();
                }
                Aim::Classes(count) => {
                    // The classes are told by the scores of the start: one forward pass first.
                    path.classes = count;
                    path.runs = vec![Loss::Dlr; self.plan.restarts as usize];
                    path.wants = Wants::Scores;
                }
            }
            path
        })
    }
}

/// Momentum: the share of the new step (section 3 of the paper).
const FRESH: f32 = 0.75;
/// A stretch goes well when more than this share of its steps went up.
const RISING: f64 = 0.75;
/// Share of the steps after which a climb that is not near is given up: the step has been halved by then, and the rest brings some per cent.
const JUDGED: f64 = 0.4;
/// Share of the steps before the first checkpoint, by how much stretches shrink, and the shortest.
const STRETCH: [f64; 3] = [0.22, 0.03, 0.06];
/// L1: share of the values that the first steps move; stretch; what the step is divided by where the support has settled; smallest step; all from the authors' section 4.
const L1_SHARE: f64 = 0.2;
const L1_STRETCH: f64 = 0.04;
const L1_DIVISOR: f64 = 1.5;
const L1_SHRUNK: f64 = 0.95;
const L1_STEP_MIN: f64 = 0.1;

/// One row on its way.
struct Path<'t> {
    steps: u32,
    near: f64,
    ball: Ball,
    label: usize,
    start: &'t [f32],
    rng: numeric::Rng,
    /// Losses still to be climbed, the last first.
    runs: Vec<Loss>,
    /// Runs begun.
    begun: u32,
    /// Above 0 until the targets are known: how many.
    classes: usize,
    x: Vec<f32>,
    climb: Climb,
    wants: Wants,
    found: bool,
    slope: Vec<f32>,
}

/// What one run remembers.
#[derive(Default)]
struct Climb {
    loss: Option<Loss>,
    rise: Rise,
    before: Vec<f32>,
    best: Vec<f32>,
    best_gradient: Vec<f32>,
    best_loss: f32,
    last_loss: f32,
    step: f64,
    taken: u32,
    /// Steps of this stretch, and those that went up.
    since: u32,
    risen: u32,
    stretch: f64,
    /// Whether the step was halved at the last checkpoint, and the best loss there.
    halved: bool,
    best_before: f32,
    /// L1: values that a step moves, and values changed at the last checkpoint.
    places: f64,
    support: f64,
}

impl Path<'_> {
    /// Starts the next run from a random row, or ends.
    fn next_run(&mut self) {
        let Some(loss) = self.runs.pop() else {
            self.wants = Wants::Nothing;
            return;
        };
        // The second run begins at the start itself, where the budget holds no noise; all others at random rows.
        if self.begun == 1 {
            self.x.copy_from_slice(self.start);
        } else {
            self.ball.random(self.start, &mut self.rng, &mut self.x);
        }
        self.begun += 1;
        let sparse = self.ball.norm == Norm::L1;
        #[expect(clippy::cast_precision_loss, reason = "a share of a row")]
        let places = self.start.len() as f64 * L1_SHARE;
        let stretch = if sparse { L1_STRETCH } else { STRETCH[0] };
        self.climb = Climb {
            loss: Some(loss),
            before: self.x.clone(),
            best_loss: f32::NEG_INFINITY,
            last_loss: f32::NEG_INFINITY,
            best_before: f32::NEG_INFINITY,
            step: self.ball.epsilon * if sparse { 1.0 } else { 2.0 },
            stretch: (f64::from(self.steps) * stretch).max(1.0),
            places,
            support: places,
            ..Climb::default()
        };
        self.wants = Wants::Gradient;
    }

    /// Makes the runs of a targeted attack, now that the scores of the start are known.
    fn choose(&mut self, scores: &[f32]) {
        let targets = ranked(scores, self.label, self.classes);
        let rounds = self.runs.len();
        self.runs.clear();
        for _ in 0..rounds {
            // The most likely class is tried first: it is popped first.
            self.runs.extend(targets.iter().rev().map(|target| Loss::DlrTargeted { target: *target }));
        }
        self.classes = 0;
        self.next_run();
    }

    /// Whether this run is over: its steps are taken, or it is not near. Where a run was not near, others on the same loss are not begun; at the end of a run, the
    /// more runs have failed the nearer it must have come.
    fn is_over(&mut self) -> bool {
        let ended = self.climb.taken == self.steps;
        let judged = f64::from(self.climb.taken) >= JUDGED * f64::from(self.steps);
        let near = if ended { self.near / f64::from(self.begun.max(1)) } else { self.near };
        let hopeless = judged && !self.climb.rise.is_near(near);
        if hopeless {
            let given_up = self.climb.loss;
            self.runs.retain(|loss| Some(*loss) != given_up);
        }
        ended || hopeless
    }

    fn remember(&mut self, loss: f32, gradient: &[f32]) {
        let climb = &mut self.climb;
        climb.rise.hear(loss);
        if loss > climb.best_loss {
            climb.best_loss = loss;
            climb.best.clone_from(&self.x);
            gradient.clone_into(&mut climb.best_gradient);
        }
        if climb.taken > 0 {
            climb.risen += u32::from(loss > climb.last_loss);
            climb.since += 1;
        }
        climb.last_loss = loss;
    }

    /// At the end of a stretch: halves the step where the climb stalled, and goes back to the best row.
    fn checkpoint(&mut self) {
        if f64::from(self.climb.since) < self.climb.stretch.floor() || self.climb.best.is_empty() {
            return;
        }
        let back =
            if self.ball.norm == Norm::L1 { self.checkpoint_sparse() } else { self.checkpoint_dense() };
        if back {
            self.x.clone_from(&self.climb.best);
            self.slope.clone_from(&self.climb.best_gradient);
        }
        self.climb.since = 0;
        self.climb.risen = 0;
    }

    fn checkpoint_dense(&mut self) -> bool {
        let (climb, steps) = (&mut self.climb, f64::from(self.steps));
        let few = f64::from(climb.risen) <= RISING * f64::from(climb.since);
        let none = !climb.halved && climb.best_loss <= climb.best_before;
        climb.halved = few || none;
        if climb.halved {
            climb.step /= 2.0;
        }
        climb.best_before = climb.best_loss;
        climb.stretch = (climb.stretch - STRETCH[1] * steps).max(STRETCH[2] * steps).max(1.0);
        climb.halved
    }

    fn checkpoint_sparse(&mut self) -> bool {
        let (climb, epsilon) = (&mut self.climb, self.ball.epsilon);
        let support = Norm::L0.distance(self.start, &climb.best);
        let shrunk = support < climb.support * L1_SHRUNK;
        climb.places = (support / L1_DIVISOR).max(1.0);
        climb.step = if shrunk { epsilon } else { (climb.step / L1_DIVISOR).max(epsilon * L1_STEP_MIN) };
        climb.support = support;
        shrunk
    }

    /// One step with momentum from `x` along `slope`.
    fn step(&mut self) {
        let mut ahead = self.x.clone();
        if self.ball.norm == Norm::L1 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of values")]
            let places = (self.climb.places as usize).max(1);
            ascend_sparse(&self.slope, places, self.climb.step, &mut ahead);
            self.ball.project(self.start, &mut ahead);
        } else {
            self.ball.ascend(&self.slope, self.climb.step, &mut ahead);
            self.ball.project(self.start, &mut ahead);
            if self.climb.taken > 0 {
                for ((v, x), before) in ahead.iter_mut().zip(&self.x).zip(&self.climb.before) {
                    *v = x + FRESH * (*v - x) + (1.0 - FRESH) * (x - before);
                }
                self.ball.project(self.start, &mut ahead);
            }
        }
        self.climb.before = std::mem::replace(&mut self.x, ahead);
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
        self.climb.loss.unwrap_or(Loss::LogOdds).of(scores, self.label, out);
    }

    fn hear(&mut self, scores: &[f32], gradient: &[f32]) {
        if argmax(scores).is_some_and(|seen| seen != self.label) {
            self.found = true;
            self.wants = Wants::Nothing;
        } else if self.classes > 0 {
            self.choose(scores);
        } else if self.is_over() {
            self.next_run();
        } else {
            if points(gradient) {
                let mut unused = vec![0.0; scores.len()];
                let loss = self.climb.loss.unwrap_or(Loss::LogOdds).of(scores, self.label, &mut unused);
                gradient.clone_into(&mut self.slope);
                self.remember(loss, gradient);
                self.checkpoint();
                self.step();
            } else {
                self.ball.random(self.start, &mut self.rng, &mut self.x);
                self.climb.before.clone_from(&self.x);
            }
            self.climb.taken += 1;
            if self.climb.taken == self.steps {
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
        check_breaks_the_linear_model("apgd-ce", 1.0);
    }
}
