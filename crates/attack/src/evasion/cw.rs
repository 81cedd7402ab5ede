//! Carlini and Wagner's attack in L2.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, argmax};
use crate::evasion::plane::{Bisection, between};
use crate::evasion::walk::{Walk, Wants, drive};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithGradients, checked, parameters};
use crate::loss::Loss;
use crate::norm::Norm;

domain::catalogue_entry! {
    /// The smallest Euclidean change by optimisation: distance and misclassification weighed against each other, the weight searched (Carlini and Wagner).
    ///
    /// ## What it is
    /// Squared distance plus `c` times the margin that the true class still has is minimised by Adam, each step cut by the box. (The authors keep the box by a change of
    /// variable, which pins down whatever is black or white at the start; in an X-ray that is much.) A search over `c` finds the
    /// weight at which the class just changes: halved between success and failure, ten times as much before the first success. At the end the way from the start to the
    /// best row is halved. Parameters: `steps` (120 for each weight), `search` (6 weights), `rate` (0.02, falling as a cosine), `weight` (1.0, the first), `confidence` (0: by how much the wrong score must lead).
    ///
    /// ## Why it matters in care
    /// It defeated defences that stood all gradient-sign attacks; the small spread-out changes it finds are the ones that nobody sees in an image.
    ///
    /// ## Limits
    /// Hundreds of gradients for each sample, whether or not it is easy. The distance is an upper bound. What lies beyond the budget of an exercise counts as standing there.
    ///
    /// ## References
    /// Carlini and Wagner 2017, arXiv:1608.04644; Adam: Kingma and Ba 2015, arXiv:1412.6980.
    pub static ENTRY = { id: "X009", name: "cw", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::L2],
    minimal: true,
    build: |given| {
        let plan = parameters::<Cw>(given)?;
        checked("steps", plan.steps, 100_000)?;
        checked("search", plan.search, 100)?;
        for (name, value) in [("rate", plan.rate), ("weight", plan.weight)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(format!("`{name}` must be above 0"));
            }
        }
        if !(plan.confidence.is_finite() && plan.confidence >= 0.0) {
            return Err("`confidence` must be 0 or more".into());
        }
        Ok(Evasion::Gradients(Box::new(plan)))
    },
};

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Cw {
    steps: u32,
    search: u32,
    rate: f64,
    weight: f64,
    confidence: f64,
}

impl Default for Cw {
    fn default() -> Self {
        Self { steps: 120, search: 6, rate: 0.02, weight: 1.0, confidence: 0.0 }
    }
}

/// Adam's decay rates and its smallest divisor, by its authors.
const DECAY: [f64; 2] = [0.9, 0.999];
const DIVISOR_MIN: f64 = 1e-8;
/// The last steps are this share of the first.
const RATE_MIN: f64 = 0.02;
/// What the weight is multiplied by until the first success.
const GROWTH: f64 = 10.0;
/// A weight is given up when its loss has not fallen by a ten-thousandth within this share of its steps.
const PATIENCE: f64 = 0.1;
const FALL: f64 = 0.9999;
/// Halvings of the way between the start and the best row at the end.
const HALVINGS: u32 = 8;

impl WithGradients for Cw {
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault> {
        drive(model, task, 1, |at| {
            let start = task.start(at);
            let mut path = Path {
                plan: self,
                label: task.labels.get(at).copied().unwrap_or(0),
                start,
                x: start.to_vec(),
                adam: Adam::default(),
                weight: self.weight,
                low: 0.0,
                high: None,
                searched: 0,
                succeeded: false,
                checked: f64::INFINITY,
                best: None,
                polish: None,
                wants: Wants::Gradient,
            };
            path.begin();
            path
        })
    }
}

/// The variable of the search with its moments.
#[derive(Default)]
struct Adam {
    at: Vec<f64>,
    mean: Vec<f64>,
    square: Vec<f64>,
    taken: u32,
}

/// One row on its way.
struct Path<'t> {
    plan: &'t Cw,
    label: usize,
    start: &'t [f32],
    x: Vec<f32>,
    adam: Adam,
    weight: f64,
    low: f64,
    high: Option<f64>,
    searched: u32,
    succeeded: bool,
    /// The loss when patience was last tried.
    checked: f64,
    best: Option<(f64, Vec<f32>)>,
    polish: Option<(Bisection, Vec<f32>)>,
    wants: Wants,
}

impl Path<'_> {
    /// Starts from the start with the present weight.
    fn begin(&mut self) {
        let at: Vec<f64> = self.start.iter().copied().map(f64::from).collect();
        let zeros = vec![0.0; at.len()];
        self.adam = Adam { mean: zeros.clone(), square: zeros, at, taken: 0 };
        self.succeeded = false;
        self.checked = f64::INFINITY;
        self.show();
    }

    /// The row that the variable stands for.
    #[expect(clippy::cast_possible_truncation, reason = "rounded to the precision of the rows")]
    fn show(&mut self) {
        for (x, at) in self.x.iter_mut().zip(&self.adam.at) {
            *x = *at as f32;
        }
    }

    /// One step of Adam down the loss, whose misclassification part has this gradient by the row.
    fn descend(&mut self, gradient: Option<&[f32]>) {
        let adam = &mut self.adam;
        adam.taken += 1;
        let age = i32::try_from(adam.taken).unwrap_or(i32::MAX);
        let (a, b) = (1.0 - DECAY[0].powi(age), 1.0 - DECAY[1].powi(age));
        let turn = std::f64::consts::PI * f64::from(adam.taken) / f64::from(self.plan.steps);
        let rate = self.plan.rate * (RATE_MIN + (1.0 - RATE_MIN) * 0.5 * (1.0 + turn.cos()));
        let moments = adam.mean.iter_mut().zip(adam.square.iter_mut());
        for (at, ((w, (m, v)), s)) in adam.at.iter_mut().zip(moments).zip(self.start).enumerate() {
            let away = 2.0 * (*w - f64::from(*s));
            // The margin of the wrong class is to rise, so its gradient is subtracted.
            let push = gradient.and_then(|g| g.get(at)).map_or(0.0, |g| self.weight * f64::from(*g));
            let slope = away - push;
            *m = DECAY[0] * *m + (1.0 - DECAY[0]) * slope;
            *v = DECAY[1] * *v + (1.0 - DECAY[1]) * slope * slope;
            *w = (*w - rate * (*m / a) / ((*v / b).sqrt() + DIVISOR_MIN)).clamp(0.0, 1.0);
        }
        self.show();
    }

    /// After the steps of one weight: the next weight, or the end.
    fn next_weight(&mut self) {
        self.searched += 1;
        if self.searched >= self.plan.search {
            self.polish();
            return;
        }
        if self.succeeded {
            self.high = Some(self.weight);
        } else {
            self.low = self.weight;
        }
        self.weight = self.high.map_or(self.weight * GROWTH, |high| f64::midpoint(self.low, high));
        self.begin();
    }

    /// After all weights: the way from the start to the best row is halved.
    fn polish(&mut self) {
        self.wants = Wants::Nothing;
        let Some((_, best)) = &self.best else { return };
        let (bisection, end) = self.polish.get_or_insert_with(|| (Bisection::new(HALVINGS), best.clone()));
        if let Some(share) = bisection.next() {
            self.x = between(self.start, end, share);
            self.wants = Wants::Scores;
        }
    }

    /// True when the loss has stopped falling.
    fn stalled(&mut self, loss: f64) -> bool {
        let every = (f64::from(self.plan.steps) * PATIENCE).max(1.0);
        if f64::from(self.adam.taken) % every.floor() != 0.0 {
            return false;
        }
        let stalled = loss > self.checked * FALL;
        self.checked = loss;
        stalled
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
        Loss::Margin.of(scores, self.label, out);
    }

    fn hear(&mut self, scores: &[f32], gradient: &[f32]) {
        let mut unused = vec![0.0; scores.len()];
        let margin = f64::from(Loss::Margin.of(scores, self.label, &mut unused));
        let wrong = argmax(scores).is_some_and(|seen| seen != self.label);
        if wrong && (margin >= self.plan.confidence || self.polish.is_some()) {
            self.succeeded = true;
            let distance = Norm::L2.distance(self.start, &self.x);
            if self.best.as_ref().is_none_or(|(best, _)| distance < *best) {
                self.best = Some((distance, self.x.clone()));
            }
        }
        if let Some((bisection, _)) = &mut self.polish {
            bisection.hear(wrong);
            self.polish();
            return;
        }
        let finite = gradient.iter().all(|g| g.is_finite());
        let lacking = (self.plan.confidence - margin).max(0.0);
        let loss = Norm::L2.distance(self.start, &self.x).powi(2) + self.weight * lacking;
        if self.adam.taken == self.plan.steps || !finite || !margin.is_finite() || self.stalled(loss) {
            self.next_weight();
            return;
        }
        self.descend((lacking > 0.0 || !wrong).then_some(gradient));
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
        check_breaks_the_linear_model("cw", 0.95);
        check_finds_the_smallest_change("cw", 0.05);
    }
}
