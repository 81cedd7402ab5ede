//! Randomised smoothing: the answer that the model gives most often under noise, with a proof of how far it holds.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, Labels, Rows};
use crate::harden::{Course, Protection, check, protection, train};
use crate::measure::Share;
use crate::pace::Pace;
use crate::training::{AsIs, Batch, Hook, Samples, Trained, Trainer};

domain::catalogue_entry! {
    /// Noise is added many times over, the commonest answer counts, and a radius is proven within which no attack can change it.
    ///
    /// ## What it is
    /// The model is trained with Gaussian noise of deviation `sigma`. In use, each row is asked `certify` times with such noise. From the lower limit of Clopper and Pearson for the share of the commonest
    /// answer follows a Euclidean radius: nothing within it changes the answer of the smoothed model, whatever the attack, save with probability `alpha`. Where the answers are too mixed it abstains.
    ///
    /// ## Why it matters in care
    /// A proof instead of a list of attacks survived; and to abstain is what a clinician would want of a model that is unsure.
    ///
    /// ## Limits
    /// The radius is Euclidean and small; large single values (a swapped unit, a patch) are outside. Costs as many queries as samples of noise, and clean accuracy. Noise is cut to the range of the
    /// inputs, which is part of the smoothed model and does not weaken the proof.
    ///
    /// ## References
    /// Cohen, Rosenfeld, Kolter 2019, arXiv:1902.02918.
    pub static ENTRY = { id: "X261", name: "randomised-smoothing", kind: Attack, since: "0.1.0", maps: ["AML.M0003", "AML.T0043", "NISTAML.022"] };
}

/// Most samples of noise a row.
const SAMPLES_MAX: u64 = 10_000_000;

/// Rows of noise asked at once.
const BATCH_ROWS: u64 = 256;

/// How a model is smoothed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Smoothing {
    /// Deviation of the noise, in the unit box. The largest radius that can be proven grows with it.
    pub sigma: f64,
    /// Samples of noise from which the answer is chosen; 100 as in the paper.
    pub select: u64,
    /// Samples of noise from which the radius is proven. The paper takes 100,000; 1,000 prove up to 2.5 sigma and take a hundredth of the time.
    pub certify: u64,
    /// Probability that a radius is wrong; 0.001 as in the paper.
    pub alpha: f64,
}

impl Default for Smoothing {
    fn default() -> Self {
        Self { sigma: 0.25, select: 100, certify: 1000, alpha: 0.001 }
    }
}

impl Smoothing {
    /// Whether these settings make sense.
    ///
    /// # Errors
    /// [`Fault::NotApplicable`] saying what does not.
    pub fn check(&self) -> Result<(), Fault> {
        let sizes = [self.select, self.certify].iter().all(|n| (1..=SAMPLES_MAX).contains(n));
        if !(self.sigma > 0.0 && self.sigma.is_finite() && self.alpha > 0.0 && self.alpha < 1.0 && sizes) {
            return Err(Fault::NotApplicable(format!(
                "sigma is above 0, alpha in 0 to 1, and 1 to {SAMPLES_MAX} samples are drawn"
            )));
        }
        Ok(())
    }
}

/// What was proven of one row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Certified {
    /// The smoothed model's answer; absent where it abstains.
    pub class: Option<u64>,
    /// Nothing within this Euclidean distance, in the unit box, changes it; 0 where it abstains.
    pub radius: f64,
}

/// The smoothed model on many rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SmoothedStanding {
    /// Rows answered, and right.
    pub accuracy: Share,
    /// Rows on which it abstains.
    pub abstained: Share,
    /// Share of rows that are right and proven up to each radius.
    pub curve: Vec<CertifiedAt>,
    /// Mean radius of all rows, 0 where wrong or abstaining (average certified radius, Zhai et al. 2020, arXiv:2001.02378).
    pub radius_mean: f64,
    /// Row by row.
    pub rows: Vec<Certified>,
    /// Ended early, because it was asked to; the rows done stand.
    pub stopped: bool,
}

/// Right and proven up to a radius.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CertifiedAt {
    /// Euclidean, in the unit box.
    pub radius: f64,
    /// Share of the rows.
    pub accuracy: Share,
}

/// Before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SmoothingReport {
    /// Id of the measure.
    pub measure: String,
    /// How the model was smoothed.
    pub settings: Smoothing,
    /// The plain model.
    pub before: Protection,
    /// The model trained with noise, without smoothing.
    pub noise_trained: Protection,
    /// The smoothed model.
    pub after: SmoothedStanding,
}

/// Adds noise to each batch.
#[derive(Debug, Clone)]
pub struct NoiseHook {
    /// Deviation, in the unit box.
    pub sigma: f64,
    /// Seed of the noise.
    pub seed: u64,
}

impl Hook for NoiseHook {
    fn batch(&mut self, _model: &mut dyn Gradients, batch: Batch<'_>) -> Result<(), Fault> {
        let mut rng = numeric::Rng::new(self.seed ^ 0xC02, batch.step);
        noise(batch.rows, self.sigma, &mut rng);
        Ok(())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rows are of single precision")]
fn noise(rows: &mut [f32], sigma: f64, rng: &mut numeric::Rng) {
    for value in rows {
        *value = (f64::from(*value) + sigma * rng.normal()).clamp(0.0, 1.0) as f32;
    }
}

/// How often each class is said of noisy copies of `row`. Refused queries count for no class.
fn count(
    model: &mut dyn Labels,
    row: &[f32],
    sample: usize,
    sigma: f64,
    n: u64,
    rng: &mut numeric::Rng,
) -> Result<Vec<u64>, Fault> {
    let mut counts = vec![0; model.space().classes];
    let mut labels = Vec::new();
    let mut left = n;
    while left > 0 {
        let now = usize::try_from(left.min(BATCH_ROWS)).unwrap_or(1);
        let mut rows = row.repeat(now);
        noise(&mut rows, sigma, rng);
        model.labels(Rows::new(&rows, row.len(), &vec![sample; now])?, &mut labels)?;
        for class in labels.iter().flatten() {
            counts.iter_mut().skip(*class).take(1).for_each(|c| *c += 1);
        }
        left -= now as u64;
    }
    Ok(counts)
}

/// Certifies one row (procedure CERTIFY of the paper): the class is chosen from one set of noise, and its share bounded from another. `sample` names the row, and
/// is the number of its random stream.
///
/// # Errors
/// [`Fault::NotApplicable`] for settings that make no sense; what the model says.
pub fn certify(
    model: &mut dyn Labels,
    row: &[f32],
    sample: usize,
    settings: &Smoothing,
    seed: u64,
) -> Result<Certified, Fault> {
    settings.check()?;
    let mut rng = numeric::Rng::new(seed ^ 0xC03, sample as u64);
    let chosen = count(model, row, sample, settings.sigma, settings.select, &mut rng)?;
    let mut class = 0;
    for (at, n) in chosen.iter().enumerate() {
        class = if chosen.get(class).is_some_and(|best| n > best) { at } else { class };
    }
    let counts = count(model, row, sample, settings.sigma, settings.certify, &mut rng)?;
    let hits = counts.get(class).copied().unwrap_or(0);
    let (low, _) = numeric::clopper_pearson(hits, settings.certify, settings.alpha);
    if low <= 0.5 {
        return Ok(Certified { class: None, radius: 0.0 });
    }
    Ok(Certified { class: Some(class as u64), radius: settings.sigma * numeric::normal_quantile(low) })
}

/// Certifies all rows, and draws the curve of those that are right and proven up to each of `radii`.
///
/// # Errors
/// As [`certify`]; [`Fault::Stopped`] when stopped before the first row.
pub fn certify_all(
    model: &mut dyn Labels,
    test: &Samples<'_>,
    settings: &Smoothing,
    radii: &[f64],
    seed: u64,
    pace: &dyn Pace,
) -> Result<SmoothedStanding, Fault> {
    let mut rows = Vec::new();
    for at in 0..test.len() {
        if pace.stop() {
            break;
        }
        rows.push(certify(model, test.row(at), at, settings, seed)?);
        pace.step(at as u64 + 1, test.len() as u64);
    }
    if rows.is_empty() {
        return Err(Fault::Stopped);
    }
    let right = |(row, label): (&Certified, &usize)| (row.class == Some(*label as u64)).then_some(row.radius);
    let radii_right: Vec<f64> = rows.iter().zip(test.labels()).filter_map(right).collect();
    let share = |hits: usize| Share::new(hits, rows.len());
    let at = |radius: &f64| CertifiedAt {
        radius: *radius,
        accuracy: share(radii_right.iter().filter(|r| **r >= *radius).count()),
    };
    #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
    let radius_mean = radii_right.iter().sum::<f64>() / rows.len() as f64;
    Ok(SmoothedStanding {
        accuracy: share(radii_right.len()),
        abstained: share(rows.iter().filter(|r| r.class.is_none()).count()),
        curve: radii.iter().map(at).collect(),
        radius_mean,
        stopped: rows.len() < test.len(),
        rows,
    })
}

/// Trains a plain model and one with noise from the same seed, and certifies the latter.
///
/// # Errors
/// As [`certify_all`], and what the trainer says.
pub fn smoothing(
    trainer: &mut dyn Trainer,
    course: &Course<'_>,
    settings: Smoothing,
    radii: &[f64],
) -> Result<(Box<dyn Trained>, SmoothingReport), Fault> {
    check(course)?;
    settings.check()?;
    let mut plain = train(trainer, course, &mut AsIs)?;
    let before = protection(plain.as_mut(), course)?;
    let mut hook = NoiseHook { sigma: settings.sigma, seed: course.seed };
    let mut model = train(trainer, course, &mut hook)?;
    let noise_trained = protection(model.as_mut(), course)?;
    let after = certify_all(model.as_mut(), &course.test, &settings, radii, course.seed, course.pace)?;
    Ok((model, SmoothingReport { measure: ENTRY.id.to_owned(), settings, before, noise_trained, after }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evasion::tests::Linear;
    use crate::pace::Quiet;

    /// A linear model, whose smoothed radius is known: the distance to the boundary.
    #[test]
    fn the_proven_radius_is_close_to_the_true_one_and_never_above() {
        let mut model = Linear::halves(16);
        let settings = Smoothing { sigma: 0.05, select: 100, certify: 20_000, alpha: 0.001 };
        for lift in [0.01_f32, 0.02, 0.03] {
            let row: Vec<f32> = (0..16).map(|i| if i < 8 { 0.5 + lift } else { 0.5 }).collect();
            // Scores differ by 2 w.x with w of ones and minus ones: the distance is (sum of the lifts) / |w|.
            let true_radius = 8.0 * f64::from(lift) / 4.0;
            let found = certify(&mut model, &row, 3, &settings, 1).unwrap();
            assert_eq!(found.class, Some(0));
            assert!(found.radius <= true_radius + 1e-6, "{} of {true_radius}", found.radius);
            assert!(found.radius > 0.85 * true_radius, "{} of {true_radius}", found.radius);
        }
        let undecided = certify(&mut model, &[0.5; 16], 3, &settings, 1).unwrap();
        assert_eq!(undecided, Certified { class: None, radius: 0.0 });
    }

    #[test]
    fn the_curve_falls_and_settings_are_checked() {
        let mut model = Linear::halves(4);
        let rows = [[0.9_f32, 0.9, 0.1, 0.1], [0.55, 0.55, 0.5, 0.5], [0.1, 0.1, 0.9, 0.9]].concat();
        let test = Samples::new(&rows, &[0, 0, 0], model.space()).unwrap();
        let settings = Smoothing { sigma: 0.1, certify: 2000, ..Smoothing::default() };
        let all = certify_all(&mut model, &test, &settings, &[0.0, 0.02, 0.1, 9.0], 1, &Quiet).unwrap();
        let hits: Vec<usize> = all.curve.iter().map(|c| c.accuracy.hits).collect();
        assert_eq!(hits, [2, 2, 1, 0], "{all:?}");
        assert_eq!((all.accuracy.hits, all.abstained.hits, all.stopped), (2, 0, false));
        let again = certify_all(&mut model, &test, &settings, &[0.0, 0.02, 0.1, 9.0], 1, &Quiet).unwrap();
        assert_eq!(all, again, "same seed, same certificate");
        for bad in [Smoothing { sigma: 0.0, ..settings }, Smoothing { certify: 0, ..settings }] {
            assert!(certify(&mut model, &rows[..4], 0, &bad, 1).is_err(), "{bad:?}");
        }
    }
}
