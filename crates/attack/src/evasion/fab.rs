//! Fast adaptive boundary: the smallest change, found by walking along the boundary.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, argmax};
use crate::evasion::plane::{Bisection, Plane, Planes, between, reach};
use crate::evasion::walk::{Walk, Wants, drive};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithGradients, checked, parameters};
use crate::norm::{Ball, Norm};

domain::catalogue_entry! {
    /// The smallest change that alters the class, found by walking along the boundary with a pull towards the start (fast adaptive boundary).
    ///
    /// ## What it is
    /// At each row the model is taken as linear. The row and the start are both projected onto the nearest plane on which a wrong class draws level, and the walk goes
    /// to a mixture of the two: it stays at the boundary and is drawn to the point of it that is closest to the start. From a wrong row it steps back towards the start.
    /// Restarts begin at random rows within the budget. Parameters: `steps` (100), `restarts` (1), `classes` (10 most likely ones that are looked at), `until-broken` (false: the
    /// smallest change is sought; true: ends as soon as the budget is kept, and when the change found after two fifths of the steps is half as much again as the budget).
    ///
    /// ## Why it matters in care
    /// One run gives the accuracy at every budget: the curve of how much change each patient's result stands, not a single point of it.
    ///
    /// ## Limits
    /// It needs the model's gradients, one for each class looked at in each step, and is misled where they are flat or rough. What lies beyond the budget of an exercise counts as
    /// standing there.
    ///
    /// ## References
    /// Croce and Hein 2020, arXiv:1907.02044.
    pub static ENTRY = { id: "X006", name: "fab", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    minimal: true,
    build: |given| Ok(Evasion::Gradients(Box::new(Fab { plan: Plan::read(given)?, targeted: false }))),
};

/// The parameters of both forms.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Plan {
    steps: u32,
    restarts: u32,
    classes: u32,
    until_broken: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self { steps: 100, restarts: 1, classes: 10, until_broken: false }
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
        checked("classes", plan.classes, 10_000)?;
        Ok(plan)
    }
}

/// The attack, on the nearest of all wrong classes or on one after the other.
pub(crate) struct Fab {
    pub(crate) plan: Plan,
    pub(crate) targeted: bool,
}

/// Largest pull to the start (`alpha_max`), how far beyond the plane (`eta`), and how far to step back from a wrong row (`beta`): the authors' values.
const PULL_MAX: f64 = 0.1;
const BEYOND: f64 = 1.05;
const BACK: f64 = 0.9;
/// When only the budget counts: share of the steps after which a run is given up whose smallest change is this much larger than the budget.
const JUDGED: f64 = 0.4;
const FAR: f64 = 1.5;
/// Smallest length that is divided by.
const LENGTH_MIN: f64 = 1e-8;
/// Halvings of the way between the start and the best row at the end.
const HALVINGS: u32 = 8;

impl WithGradients for Fab {
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault> {
        drive(model, task, 1, |at| {
            let start = task.start(at);
            Path {
                fab: self,
                ball: task.ball,
                label: task.labels.get(at).copied().unwrap_or(0),
                start,
                rng: task.rng(at, if self.targeted { 7 } else { 6 }),
                x: start.to_vec(),
                all: None,
                planes: None,
                run: 0,
                taken: 0,
                best: None,
                polish: None,
                wants: Wants::Scores,
            }
        })
    }
}

/// One row on its way.
struct Path<'t> {
    fab: &'t Fab,
    ball: Ball,
    label: usize,
    start: &'t [f32],
    rng: numeric::Rng,
    x: Vec<f32>,
    /// All wrong classes, known from the scores of the start.
    all: Option<Planes>,
    /// Those of this run.
    planes: Option<Planes>,
    run: u32,
    taken: u32,
    best: Option<(f64, Vec<f32>)>,
    /// The last halvings, and the row they lead to.
    polish: Option<(Bisection, Vec<f32>)>,
    wants: Wants,
}

impl Path<'_> {
    fn distance(&self) -> f64 {
        self.ball.norm.distance(self.start, &self.x)
    }

    /// Starts run number `self.run`: the first from the start itself, later ones from random rows about half as far as the best found.
    fn begin(&mut self) {
        let Some(all) = &self.all else { return };
        let targets = if self.fab.targeted { all.classes() } else { 1 };
        let restart = self.run as usize / targets.max(1);
        if all.classes() == 0 || restart >= self.fab.plan.restarts as usize {
            self.polish();
            return;
        }
        let planes = if self.fab.targeted { all.only(self.run as usize % targets) } else { all.clone() };
        self.planes = Some(planes);
        self.x.copy_from_slice(self.start);
        if restart > 0 {
            let reached = self.best.as_ref().map_or(self.ball.epsilon, |(distance, _)| *distance);
            let ball = Ball { norm: self.ball.norm, epsilon: reached.min(self.ball.epsilon) / 2.0 };
            ball.random(self.start, &mut self.rng, &mut self.x);
        }
        self.taken = 0;
        self.run += 1;
        self.wants = Wants::Gradient;
    }

    /// After all runs: the way from the start to the best row is halved.
    fn polish(&mut self) {
        self.wants = Wants::Nothing;
        let Some((_, best)) = &self.best else { return };
        let (bisection, end) = self.polish.get_or_insert_with(|| (Bisection::new(HALVINGS), best.clone()));
        if let Some(share) = bisection.next() {
            self.x = between(self.start, end, share);
            self.wants = Wants::Scores;
        }
    }

    /// A wrong row was met. True when the search is over.
    fn crossed(&mut self) -> bool {
        let distance = self.distance();
        if self.best.as_ref().is_none_or(|(best, _)| distance < *best) {
            self.best = Some((distance, self.x.clone()));
        }
        if distance == 0.0 || (self.fab.plan.until_broken && self.ball.contains(self.start, &self.x)) {
            self.wants = Wants::Nothing;
            return true;
        }
        false
    }

    /// When only the budget counts: the boundary was met, and it is too far away.
    fn is_hopeless(&self) -> bool {
        self.fab.plan.until_broken
            && !self.fab.targeted
            && f64::from(self.taken) >= JUDGED * f64::from(self.fab.plan.steps)
            && self.best.as_ref().is_some_and(|(distance, _)| *distance > FAR * self.ball.epsilon)
    }

    /// One step along the boundary.
    #[expect(clippy::cast_possible_truncation, reason = "rounded to the precision of the rows")]
    fn step(&mut self, plane: &Plane) {
        let size = |change: &[f64]| {
            let sizes = change.iter().map(|c| c.abs());
            let size = match self.ball.norm {
                Norm::Linf => sizes.fold(0.0, f64::max),
                Norm::L2 => sizes.map(|c| c * c).sum::<f64>().sqrt(),
                Norm::L1 | Norm::L0 => sizes.sum(),
            };
            size.max(LENGTH_MIN)
        };
        // The same plane seen from the start: what is left of the gap when one stands there.
        let gained: f64 = plane
            .slope
            .iter()
            .zip(self.x.iter().zip(self.start))
            .map(|(w, (x, s))| f64::from(*w) * (f64::from(*x) - f64::from(*s)))
            .sum();
        let from_start = Plane { gap: plane.gap + gained, ..plane.clone() };
        let here = reach(self.ball.norm, &self.x, plane);
        let there = reach(self.ball.norm, self.start, &from_start);
        let (near, far) = (size(&here), size(&there));
        let pull = (near / (near + far)).min(PULL_MAX);
        for (((x, s), h), t) in self.x.iter_mut().zip(self.start).zip(here).zip(there) {
            let from_x = f64::from(*x) + BEYOND * h;
            let from_s = f64::from(*s) + BEYOND * t;
            *x = ((1.0 - pull) * from_x + pull * from_s).clamp(0.0, 1.0) as f32;
        }
    }
}

impl Walk for Path<'_> {
    fn wants(&self) -> Wants {
        self.wants
    }

    fn at(&self) -> &[f32] {
        &self.x
    }

    fn cotangent(&self, _scores: &[f32], out: &mut [f32]) {
        if let Some(planes) = &self.planes {
            planes.cotangent(out);
        }
    }

    fn hear(&mut self, scores: &[f32], gradient: &[f32]) {
        let wrong = argmax(scores).is_some_and(|seen| seen != self.label);
        let at_first = self.planes.as_ref().is_none_or(Planes::at_first);
        if wrong && at_first && self.crossed() {
            return;
        }
        if let Some((bisection, _)) = &mut self.polish {
            bisection.hear(wrong);
            self.polish();
            return;
        }
        if self.all.is_none() {
            self.all = Some(Planes::new(scores, self.label, self.fab.plan.classes as usize));
            self.begin();
            return;
        }
        if self.is_hopeless() {
            self.wants = Wants::Nothing;
            return;
        }
        if self.taken == self.fab.plan.steps {
            self.begin();
            return;
        }
        if wrong && at_first {
            self.x = between(self.start, &self.x, BACK);
            self.taken += 1;
            return;
        }
        let Some(planes) = &mut self.planes else { return };
        match planes.hear(self.ball.norm, scores, gradient) {
            None => {}
            Some(Some(plane)) => {
                self.step(&plane);
                self.taken += 1;
            }
            Some(None) => {
                // No gradient points anywhere here: go on from elsewhere.
                self.ball.random(self.start, &mut self.rng, &mut self.x);
                self.taken += 1;
            }
        }
    }

    fn refused(&mut self) {
        self.wants = Wants::Nothing;
    }

    fn found(&self) -> Option<&[f32]> {
        self.best.as_ref().map(|(_, row)| row.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use crate::evasion::tests::{check_breaks_the_linear_model, check_finds_the_smallest_change};

    #[test]
    fn it_breaks_what_lies_within_reach_and_nothing_else() {
        check_breaks_the_linear_model("fab", 0.99);
        check_finds_the_smallest_change("fab", 0.01);
    }
}
