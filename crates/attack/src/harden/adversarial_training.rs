//! Training on the worst rows within a budget instead of on the rows themselves.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, Replies, Rows};
use crate::harden::{BeforeAfter, Course, Hardened, check, protection, train};
use crate::loss::Loss;
use crate::norm::Norm;
use crate::training::{AsIs, Batch, Hook, Trainer};

domain::catalogue_entry! {
    /// The model is trained on rows that were attacked a moment before.
    ///
    /// ## What it is
    /// In each step of training, the rows of the batch are moved by projected gradient descent to where the present model does worst within the budget; the model learns from those. The radius
    /// grows from 0 over the first part of the training. Reported are accuracy on clean rows and under the attacks given, before and after.
    ///
    /// ## Why it matters in care
    /// The one training known to withstand strong attacks of the kind and radius that it was made for. Measured on a small chest X-ray network: at 8/255 the attacked
    /// accuracy rose severalfold, for a few points of clean accuracy.
    ///
    /// ## Limits
    /// Costs clean accuracy, and as many times the training time as there are steps. Protects within its norm and radius only. A radius that is too large, or growing too fast, leaves a model that says
    /// the same to everybody: look at the clean accuracy first.
    ///
    /// ## References
    /// Madry et al. 2018, arXiv:1706.06083; Rice, Wong, Kolter 2020, arXiv:2002.11569.
    pub static ENTRY = { id: "X260", name: "adversarial-training", kind: Attack, since: "0.1.0", maps: ["AML.M0003", "AML.T0043", "NISTAML.022"] };
}

/// Most steps of the inner attack.
const STEPS_MAX: usize = 1000;

/// How rows are attacked in training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AdversarialTraining {
    /// Linf or L2.
    pub norm: Norm,
    /// Radius in the unit box.
    pub epsilon: f64,
    /// Steps of the inner attack; 7 as in the paper.
    pub steps: usize,
    /// Length of a step; 2.5 `epsilon / steps` when not given, which reaches every point of the ball.
    pub step: Option<f64>,
    /// Share of the training over which the radius grows from 0, in [0, 1]: without it, small networks stay at one answer for all.
    pub warm_up: f64,
}

impl Default for AdversarialTraining {
    fn default() -> Self {
        Self { norm: Norm::Linf, epsilon: 8.0 / 255.0, steps: 7, step: None, warm_up: 0.3 }
    }
}

/// Moves each batch to where the model does worst.
#[derive(Debug, Clone)]
pub struct Adversary {
    settings: AdversarialTraining,
    seed: u64,
}

impl Adversary {
    /// With these settings and seed.
    ///
    /// # Errors
    /// [`Fault::NotApplicable`] for another norm than Linf and L2, a radius that is not positive, or too many steps.
    pub fn new(settings: AdversarialTraining, seed: u64) -> Result<Self, Fault> {
        let AdversarialTraining { norm, epsilon, steps, step, warm_up } = settings;
        if !matches!(norm, Norm::Linf | Norm::L2) {
            return Err(Fault::NotApplicable(format!(
                "adversarial training has no form in the norm {}: choose linf or l2",
                norm.as_str()
            )));
        }
        let positive = |v: f64| v > 0.0 && v.is_finite();
        if !positive(epsilon) || !step.is_none_or(positive) || !(0.0..=1.0).contains(&warm_up) {
            return Err(Fault::NotApplicable(
                "radius and step are above 0, the warm-up is a share in 0 to 1".to_owned(),
            ));
        }
        if steps == 0 || steps > STEPS_MAX {
            return Err(Fault::NotApplicable(format!("give 1 to {STEPS_MAX} steps, not `{steps}`")));
        }
        Ok(Self { settings, seed })
    }
}

impl Hook for Adversary {
    #[expect(clippy::cast_precision_loss, reason = "steps stay far below 2^53")]
    fn batch(&mut self, model: &mut dyn Gradients, batch: Batch<'_>) -> Result<(), Fault> {
        let AdversarialTraining { norm, epsilon, steps, step, warm_up } = self.settings;
        let width = batch.rows.len() / batch.samples.len().max(1);
        let grown = (batch.step as f64 + 1.0) / (batch.steps as f64 * warm_up).max(1.0);
        let radius = epsilon * grown.min(1.0);
        let by = step.unwrap_or(2.5 * epsilon / steps as f64) * grown.min(1.0);
        let starts = batch.rows.to_vec();
        let mut rng = numeric::Rng::new(self.seed ^ 0xC01, batch.step);
        for (row, start) in batch.rows.chunks_exact_mut(width).zip(starts.chunks_exact(width)) {
            let draw: Vec<f64> = row.iter().map(|_| rng.range(-1.0, 1.0)).collect();
            let by = if norm == Norm::L2 { radius * rng.uniform() } else { radius };
            advance(row, &draw, norm, by, norm == Norm::Linf);
            project(row, start, norm, radius);
        }
        let (mut replies, mut gradient) = (Replies::default(), Vec::new());
        for _ in 0..steps {
            let mut climb = |at: usize, scores: &[f32], out: &mut [f32]| {
                Loss::CrossEntropy.of(scores, batch.labels.get(at).copied().unwrap_or(0), out);
            };
            let rows = Rows::new(batch.rows, width, batch.samples)?;
            model.gradient(rows, &mut climb, &mut replies, &mut gradient)?;
            let moved = batch.rows.chunks_exact_mut(width).zip(starts.chunks_exact(width));
            for ((row, start), slope) in moved.zip(gradient.chunks_exact(width)) {
                let slope: Vec<f64> = slope.iter().map(|g| f64::from(*g)).collect();
                if slope.iter().all(|g| g.is_finite()) {
                    let signs = |g: &f64| if *g == 0.0 { 0.0 } else { g.signum() };
                    let slope = if norm == Norm::Linf { slope.iter().map(signs).collect() } else { slope };
                    advance(row, &slope, norm, by, norm == Norm::Linf);
                    project(row, start, norm, radius);
                }
            }
        }
        Ok(())
    }
}

/// Adds `by` times the direction; the direction is brought to length 1 first, unless it is taken value by value.
#[expect(clippy::cast_possible_truncation, reason = "rows are of single precision")]
fn advance(row: &mut [f32], direction: &[f64], norm: Norm, by: f64, valuewise: bool) {
    let length = if valuewise || norm == Norm::Linf {
        1.0
    } else {
        direction.iter().map(|d| d * d).sum::<f64>().sqrt()
    };
    if length > 0.0 {
        row.iter_mut().zip(direction).for_each(|(v, d)| *v = (f64::from(*v) + by * d / length) as f32);
    }
}

/// Back into the ball about `start`, and into the unit box.
#[expect(clippy::cast_possible_truncation, reason = "rows are of single precision")]
fn project(row: &mut [f32], start: &[f32], norm: Norm, radius: f64) {
    let far = norm.distance(start, row);
    let shrink = if norm == Norm::L2 && far > radius { radius / far } else { 1.0 };
    for (v, s) in row.iter_mut().zip(start) {
        let change = (f64::from(*v) - f64::from(*s)) * shrink;
        let change = if norm == Norm::Linf { change.clamp(-radius, radius) } else { change };
        *v = ((f64::from(*s) + change) as f32).clamp(0.0, 1.0);
    }
}

/// Trains a plain and a hardened model from the same seed, and measures both.
///
/// # Errors
/// [`Fault::NotApplicable`] for settings that make no sense, [`Fault::Stopped`], else what trainer and attacks say.
pub fn adversarial_training(
    trainer: &mut dyn Trainer,
    course: &Course<'_>,
    settings: AdversarialTraining,
) -> Result<Hardened, Fault> {
    check(course)?;
    let mut adversary = Adversary::new(settings, course.seed)?;
    let mut plain = train(trainer, course, &mut AsIs)?;
    course.pace.step(1, 4);
    let before = protection(plain.as_mut(), course)?;
    course.pace.step(2, 4);
    let mut model = train(trainer, course, &mut adversary)?;
    course.pace.step(3, 4);
    let after = protection(model.as_mut(), course)?;
    course.pace.step(4, 4);
    let report = BeforeAfter { measure: ENTRY.id.to_owned(), before, after };
    Ok(Hardened { plain, model, report })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stay_in_the_ball_and_in_the_box() {
        for norm in [Norm::Linf, Norm::L2] {
            let start = [0.02_f32, 0.5, 0.98, 0.5];
            let mut row = start;
            advance(&mut row, &[-3.0, 4.0, 5.0, 0.0], norm, 0.2, norm == Norm::Linf);
            project(&mut row, &start, norm, 0.1);
            assert!(norm.distance(&start, &row) <= 0.1 + 1e-6, "{row:?}");
            assert!(row.iter().all(|v| (0.0..=1.0).contains(v)) && row != start);
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let good = AdversarialTraining::default();
        assert!(Adversary::new(good, 1).is_ok());
        for bad in [
            AdversarialTraining { norm: Norm::L0, ..good },
            AdversarialTraining { epsilon: 0.0, ..good },
            AdversarialTraining { steps: 0, ..good },
            AdversarialTraining { warm_up: 2.0, ..good },
        ] {
            assert!(Adversary::new(bad, 1).is_err(), "{bad:?}");
        }
    }
}
