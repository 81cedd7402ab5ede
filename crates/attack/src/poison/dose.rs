//! The dose-response of a poison: models trained at growing shares of poisoned rows, and the smallest share that works.

use serde::{Deserialize, Serialize};

use crate::access::Fault;
use crate::measure::{Share, Standing, called, standing};
use crate::pace::Pace;
use crate::poison::{Criterion, Poison, Registered, Stage};
use crate::training::{AsIs, Samples, StopOnly, Targets, Trained, Trainer, Training};

/// Most shares, and most seeds, of an exercise: each pair is a training.
const POINTS_MAX: usize = 64;

/// Most steps of the search for the smallest share: it halves the bracket each time.
const BISECTIONS_MAX: u32 = 32;

/// What is to be measured.
#[derive(Clone, Copy)]
pub struct Dose<'a> {
    /// Clean training data.
    pub train: Samples<'a>,
    /// Held-out rows.
    pub test: Samples<'a>,
    /// Shares of the training rows that are poisoned, each in (0, 1].
    pub rates: &'a [f64],
    /// Seeds; each is a training at each share.
    pub seeds: &'a [u64],
    /// When it counts as having worked; what the poison says when not given.
    pub criterion: Option<Criterion>,
    /// Steps of the search between the largest share that did not work and the smallest that did; 0 to leave it at the shares given.
    pub bisections: u32,
    /// Told after each training, asked whether to stop.
    pub pace: &'a dyn Pace,
}

/// What growing shares of poisoned rows do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DoseResponse {
    /// Id of the kind of poisoning.
    pub attack: String,
    /// When it counted as having worked.
    pub criterion: Criterion,
    /// Rows of the training data.
    pub train_rows: u64,
    /// Rows held out.
    pub test_rows: u64,
    /// Without poisoning.
    pub clean: DosePoint,
    /// By number of poisoned rows, ascending.
    pub points: Vec<DosePoint>,
    /// The smallest dose that worked, if any did.
    pub smallest: Option<Smallest>,
    /// Models trained.
    pub trainings: u64,
    /// Ended before everything was measured, because it was asked to; what there is stands.
    pub stopped: bool,
}

/// What one share does, as the mean over the seeds. The intervals are those of one model on the rows, not of all seeds together: see `runs` for how much
/// the seeds differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DosePoint {
    /// Share of the training rows.
    pub rate: f64,
    /// Rows poisoned; fewer than the share where not enough rows are fit for it.
    pub poisoned: u64,
    /// Clean test rows called right.
    pub accuracy: Share,
    /// Area under the curve on clean test rows.
    pub auc: Option<f64>,
    /// Share of the rows that the attacker wants to control which are called what he wants. Absent when harm is all that is wanted.
    pub success: Option<Share>,
    /// The same rows put to the clean model of the same seed.
    pub baseline: Option<Share>,
    /// Whether the criterion is met.
    pub works: bool,
    /// Seed by seed.
    pub runs: Vec<DoseRun>,
}

/// One training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DoseRun {
    /// Its seed.
    pub seed: u64,
    /// Rows poisoned.
    pub poisoned: u64,
    /// The model on clean rows.
    pub standing: Standing,
    /// As in [`DosePoint`].
    pub success: Option<Share>,
    /// As in [`DosePoint`].
    pub baseline: Option<Share>,
}

/// The smallest dose that worked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Smallest {
    /// Share of the training rows.
    pub rate: f64,
    /// Rows.
    pub poisoned: u64,
    /// The largest smaller dose that was tried and did not work, in rows; 0 when none was tried.
    pub fails_at: u64,
}

/// Trains without poisoning and at each share, with each seed, and searches the smallest share that works.
///
/// # Errors
/// [`Fault::Shape`] when train and test do not fit each other; [`Fault::NotApplicable`] for shares outside (0, 1], no seed or too many of either, or what the poison says;
/// [`Fault::Stopped`] when stopped before the clean models stood; later stops give what there is.
pub fn dose_response(
    trainer: &mut dyn Trainer,
    registered: &Registered,
    poison: &dyn Poison,
    dose: &Dose<'_>,
) -> Result<DoseResponse, Fault> {
    check(dose)?;
    let mut counts: Vec<usize> = dose.rates.iter().map(|r| rows_at(*r, dose.train.len())).collect();
    counts.sort_unstable();
    counts.dedup();
    let mut bench = Bench::new(trainer, poison, dose, counts.len())?;
    let clean = bench.clean_point();
    let mut points: Vec<DosePoint> = Vec::new();
    let stopped = match measure(&mut bench, &counts, &clean, &mut points) {
        Ok(()) => false,
        Err(Fault::Stopped) => true,
        Err(other) => return Err(other),
    };
    points.sort_by_key(|p| p.poisoned);
    Ok(DoseResponse {
        attack: registered.entry.id.to_owned(),
        criterion: bench.criterion,
        train_rows: dose.train.len() as u64,
        test_rows: dose.test.len() as u64,
        clean,
        smallest: smallest(&points),
        points,
        trainings: bench.done,
        stopped,
    })
}

fn check(dose: &Dose<'_>) -> Result<(), Fault> {
    if dose.train.space() != dose.test.space() {
        return Err(Fault::Shape("training and test rows are not laid out alike".to_owned()));
    }
    if dose.train.is_empty() || dose.test.is_empty() {
        return Err(Fault::Shape("poisoning needs training rows and test rows".to_owned()));
    }
    if let Some(rate) = dose.rates.iter().find(|r| !(**r > 0.0 && **r <= 1.0)) {
        return Err(Fault::NotApplicable(format!("share `{rate}` of poisoned rows is not in 0 to 1")));
    }
    if dose.seeds.is_empty() || dose.seeds.len() > POINTS_MAX || dose.rates.len() > POINTS_MAX {
        return Err(Fault::NotApplicable(format!("give 1 to {POINTS_MAX} seeds and at most as many shares")));
    }
    Ok(())
}

/// Rows at a share, at least one.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count is between 0 and the count"
)]
fn rows_at(rate: f64, rows: usize) -> usize {
    ((rate * rows as f64).round() as usize).clamp(1, rows.max(1))
}

/// The shares given, then the search; what was measured before an error stays in `points`.
fn measure(
    bench: &mut Bench<'_, '_>,
    counts: &[usize],
    clean: &DosePoint,
    points: &mut Vec<DosePoint>,
) -> Result<(), Fault> {
    for count in counts {
        points.push(bench.point(*count, clean)?);
    }
    for _ in 0..bench.dose.bisections.min(BISECTIONS_MAX) {
        points.sort_by_key(|p| p.poisoned);
        let Some(found) = smallest(points) else { break };
        let Some(middle) = between(found.fails_at, found.poisoned) else { break };
        points.push(bench.point(usize::try_from(middle).unwrap_or(1), clean)?);
    }
    Ok(())
}

/// The dose to try next: halfway by factors, since doses matter by factors. `None` when the bracket is narrower than a twentieth.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "row counts stay far below 2^53"
)]
fn between(fails: u64, works: u64) -> Option<u64> {
    if works - fails <= 1 + works / 20 {
        return None;
    }
    let middle = if fails == 0 { works / 2 } else { ((fails as f64) * (works as f64)).sqrt().round() as u64 };
    Some(middle.clamp(fails + 1, works - 1))
}

/// The smallest working dose of `points` (ascending), with the next smaller one.
fn smallest(points: &[DosePoint]) -> Option<Smallest> {
    let at = points.iter().position(|p| p.works)?;
    let found = points.get(at)?;
    let fails_at = at.checked_sub(1).and_then(|below| points.get(below)).map_or(0, |p| p.poisoned);
    Some(Smallest { rate: found.rate, poisoned: found.poisoned, fails_at })
}

/// The clean models, kept for comparison, and whoever trains the others.
struct Bench<'b, 'd> {
    trainer: &'b mut dyn Trainer,
    poison: &'b dyn Poison,
    dose: &'b Dose<'d>,
    criterion: Criterion,
    clean: Vec<(Box<dyn Trained>, Standing)>,
    surrogate: Option<Box<dyn Trained>>,
    done: u64,
    total: u64,
}

impl<'b, 'd> Bench<'b, 'd> {
    fn new(
        trainer: &'b mut dyn Trainer,
        poison: &'b dyn Poison,
        dose: &'b Dose<'d>,
        points: usize,
    ) -> Result<Self, Fault> {
        let steps = 1 + points + dose.bisections.min(BISECTIONS_MAX) as usize;
        let total = (dose.seeds.len() * steps + usize::from(poison.needs_surrogate())) as u64;
        let criterion = dose.criterion.unwrap_or_else(|| poison.criterion());
        let (clean, surrogate) = (Vec::new(), None);
        let mut bench = Self { trainer, poison, dose, criterion, clean, surrogate, done: 0, total };
        for seed in dose.seeds {
            let mut model = bench.train(dose.train.rows(), dose.train.labels(), *seed)?;
            let seen = standing(model.as_mut(), &dose.test)?;
            bench.clean.push((model, seen));
        }
        if poison.needs_surrogate() {
            // The attacker knows the recipe and the data, not the seeds of the models that he attacks.
            let seed = dose.seeds.iter().fold(0x5eed_0a11_u64, |all, s| all.rotate_left(7) ^ s);
            bench.surrogate = Some(bench.train(dose.train.rows(), dose.train.labels(), seed)?);
        }
        Ok(bench)
    }

    fn train(&mut self, rows: &[f32], labels: &[usize], seed: u64) -> Result<Box<dyn Trained>, Fault> {
        if self.dose.pace.stop() {
            return Err(Fault::Stopped);
        }
        let space = self.dose.train.space();
        let pace = StopOnly(self.dose.pace);
        let training = Training { rows, targets: Targets::Labels(labels), weights: None, space, pace: &pace };
        let model = self.trainer.train(&training, seed, &mut AsIs)?;
        self.done += 1;
        self.dose.pace.step(self.done, self.total.max(self.done));
        Ok(model)
    }

    fn clean_point(&self) -> DosePoint {
        let run = |(seed, (_, standing)): (&u64, &(Box<dyn Trained>, Standing))| DoseRun {
            seed: *seed,
            poisoned: 0,
            standing: *standing,
            success: None,
            baseline: None,
        };
        let runs = self.dose.seeds.iter().zip(&self.clean).map(run).collect();
        self.join(0.0, runs, None)
    }

    fn point(&mut self, count: usize, clean: &DosePoint) -> Result<DosePoint, Fault> {
        let mut runs = Vec::new();
        for (at, seed) in self.dose.seeds.iter().enumerate() {
            let mut stage = Stage {
                train: self.dose.train,
                test: self.dose.test,
                count,
                seed: *seed,
                surrogate: None,
                pace: self.dose.pace,
            };
            if let Some(model) = self.surrogate.as_deref_mut() {
                stage.surrogate = Some(model);
            }
            let made = self.poison.poison(&mut stage)?;
            let mut model = self.train(&made.rows, &made.labels, *seed)?;
            let width = self.dose.train.width();
            let success = called(model.as_mut(), &made.probes, width, &made.wanted)?;
            let baseline = match self.clean.get_mut(at) {
                Some((clean, _)) => called(clean.as_mut(), &made.probes, width, &made.wanted)?,
                None => None,
            };
            let standing = standing(model.as_mut(), &self.dose.test)?;
            let poisoned = made.touched.len() as u64;
            runs.push(DoseRun { seed: *seed, poisoned, standing, success, baseline });
        }
        #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
        let rate = count as f64 / self.dose.train.len() as f64;
        Ok(self.join(rate, runs, Some(clean)))
    }

    fn join(&self, rate: f64, runs: Vec<DoseRun>, clean: Option<&DosePoint>) -> DosePoint {
        let mean = |of: &dyn Fn(&DoseRun) -> Option<Share>| {
            let known: Vec<Share> = runs.iter().filter_map(of).collect();
            Share::mean(&known)
        };
        let accuracy = mean(&|r| Some(r.standing.accuracy)).unwrap_or_else(|| Share::new(0, 0));
        let (success, baseline) = (mean(&|r| r.success), mean(&|r| r.baseline));
        let areas: Option<Vec<f64>> = runs.iter().map(|r| r.standing.auc).collect();
        let works = clean.is_some_and(|clean| match self.criterion {
            Criterion::Success(least) => {
                success.is_some_and(|s| s.share >= least && baseline.is_none_or(|base| s.low > base.share))
            }
            Criterion::AccuracyLoss(least) => clean.accuracy.share - accuracy.share >= least,
        });
        let poisoned = runs.iter().map(|r| r.poisoned).max().unwrap_or(0);
        let auc = areas.map(|a| numeric::mean(&a));
        DosePoint { rate, poisoned, accuracy, auc, success, baseline, works, runs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_halves_by_factors_and_ends() {
        assert_eq!(between(0, 30), Some(15));
        assert_eq!(between(3, 30), Some(9));
        assert_eq!(between(0, 2), Some(1));
        for (fails, works) in [(0, 1), (29, 30), (1000, 1020)] {
            assert_eq!(between(fails, works), None);
        }
    }

    #[test]
    fn a_share_is_at_least_one_row() {
        assert_eq!(rows_at(0.005, 4708), 24);
        assert_eq!(rows_at(1e-9, 4708), 1);
        assert_eq!(rows_at(1.0, 4708), 4708);
    }
}
