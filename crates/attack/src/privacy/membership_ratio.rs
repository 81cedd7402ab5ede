//! Membership by the likelihood ratio of shadow models.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Scores};
use crate::measure::{log_odds, scores_of};
use crate::pace::Pace;
use crate::privacy::membership::{Membership, judge};
use crate::training::{AsIs, Samples, StopOnly, Targets, Trainer, Training};

domain::catalogue_entry! {
    /// Shadow models show how sure a model is of a row that it has learned and of one that it has not; that tells members.
    ///
    /// ## What it is
    /// LiRA: many models of the same recipe are trained on random halves of the rows. For each row, the logarithm of the odds of its true class follows one normal distribution
    /// in the models that learned it and another in those that did not; the ratio of the two at the odds of the model under test is the score. Offline, only
    /// the models that did not learn the row are used.
    ///
    /// ## Why it matters in care
    /// The measure of an audit: it names single patients with hardly a false alarm, also where the average over all rows looks like guessing.
    ///
    /// ## Limits
    /// The attacker is taken to know the recipe and to have rows of the same kind. Few shadow models make the fits rough: below 64 of them the variances are shared by all rows. At 0.1 % false alarms
    /// at least 1,000 rows that were not in the training data are needed, else no false alarm at all is allowed.
    ///
    /// ## References
    /// Carlini et al. 2022, arXiv:2112.03570.
    pub static ENTRY = { id: "X241", name: "membership-ratio", kind: Attack, since: "0.1.0", maps: ["AML.T0024.000", "AML.T0005.000", "NISTAML.033"] };
}

/// Most shadow models.
const SHADOWS_MAX: usize = 1024;

/// Fewest: two that learned a row and two that did not.
const SHADOWS_MIN: usize = 4;

/// From so many shadow models on, each row has its own variances; below, all rows share theirs (section VI-D of the paper).
const OWN_VARIANCE_FROM: usize = 64;

/// Odds beyond e^100 are taken as that: a score of minus infinity would leave no variance.
const LOG_ODDS_MAX: f64 = 100.0;

/// Which shadow models count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Those that learned the row and those that did not: the strongest.
    Online,
    /// Only those that did not: they can be trained before the rows in question are known.
    Offline,
}

/// What is to be told apart.
#[derive(Clone, Copy)]
pub struct Ratio<'a> {
    /// All rows in question, members and others.
    pub pool: Samples<'a>,
    /// Whether each row was in the training data of the model under test.
    pub member: &'a [bool],
    /// Shadow models; 4 at least.
    pub shadows: usize,
    /// Which of them count.
    pub form: Form,
    /// Seed of all randomness.
    pub seed: u64,
    /// Told after each training, asked whether to stop.
    pub pace: &'a dyn Pace,
}

/// Tells members from others by the likelihood ratio of shadow models.
///
/// # Errors
/// [`Fault::Shape`] when `member` does not fit; [`Fault::NotApplicable`] with too few or too many shadow models, or without rows of both kinds;
/// [`Fault::Stopped`] when stopped before four shadow models stood, later stops give what those show; else what model and trainer say.
pub fn membership_by_ratio(
    model: &mut dyn Scores,
    trainer: &mut dyn Trainer,
    ratio: &Ratio<'_>,
) -> Result<Membership, Fault> {
    let rows = ratio.pool.len();
    if ratio.member.len() != rows {
        return Err(Fault::Shape(format!("{} marks of membership for {rows} rows", ratio.member.len())));
    }
    if !(SHADOWS_MIN..=SHADOWS_MAX).contains(&ratio.shadows) {
        return Err(Fault::NotApplicable(format!(
            "give {SHADOWS_MIN} to {SHADOWS_MAX} shadow models, not `{}`",
            ratio.shadows
        )));
    }
    let target = odds(model, &ratio.pool)?;
    let halves: Vec<Vec<bool>> = (0..rows).map(|row| half(ratio, row)).collect();
    let mut seen: Vec<Vec<f64>> = Vec::new();
    let stopped = loop {
        if seen.len() == ratio.shadows {
            break false;
        }
        match shadow(trainer, ratio, &halves, seen.len()) {
            Ok(odds) => seen.push(odds),
            Err(Fault::Stopped) => break true,
            Err(other) => return Err(other),
        }
        ratio.pace.step(seen.len() as u64, ratio.shadows as u64);
    };
    if stopped && seen.len() < SHADOWS_MIN {
        return Err(Fault::Stopped);
    }
    let fits: Vec<Fit> = (0..rows).map(|row| Fit::of(&seen, &halves, row)).collect();
    let shared = Fit::shared(&fits);
    let own = seen.len() >= OWN_VARIANCE_FROM;
    let scores: Vec<(Option<f64>, bool)> = fits
        .iter()
        .zip(&target)
        .zip(ratio.member)
        .map(|((fit, odds), member)| (fit.score(*odds, if own { fit } else { &shared }, ratio.form), *member))
        .collect();
    judge(&ENTRY, &scores, seen.len() as u64, stopped)
}

/// Which shadow models learn a row: a random half of them.
fn half(ratio: &Ratio<'_>, row: usize) -> Vec<bool> {
    let order = numeric::Rng::new(ratio.seed ^ 0xB01, row as u64).permutation(ratio.shadows);
    let mut learns = vec![false; ratio.shadows];
    for at in order.into_iter().take(ratio.shadows / 2) {
        learns.iter_mut().skip(at).take(1).for_each(|l| *l = true);
    }
    learns
}

/// Logarithm of the odds of each row's true class; NaN where there was no answer.
fn odds(model: &mut dyn Scores, pool: &Samples<'_>) -> Result<Vec<f64>, Fault> {
    let replies = scores_of(model, pool.rows(), pool.width())?;
    let of = |(at, label): (usize, &usize)| {
        let odds = replies.row(at).map_or(f64::NAN, |scores| log_odds(scores, *label));
        odds.clamp(-LOG_ODDS_MAX, LOG_ODDS_MAX)
    };
    Ok(pool.labels().iter().enumerate().map(of).collect())
}

fn shadow(
    trainer: &mut dyn Trainer,
    ratio: &Ratio<'_>,
    halves: &[Vec<bool>],
    which: usize,
) -> Result<Vec<f64>, Fault> {
    if ratio.pace.stop() {
        return Err(Fault::Stopped);
    }
    let learns = |row: &usize| halves.get(*row).and_then(|h| h.get(which)) == Some(&true);
    let places: Vec<usize> = (0..ratio.pool.len()).filter(learns).collect();
    let (rows, labels) = ratio.pool.pick(&places);
    let pace = StopOnly(ratio.pace);
    let space = ratio.pool.space();
    let training =
        Training { rows: &rows, targets: Targets::Labels(&labels), weights: None, space, pace: &pace };
    let seed = ratio.seed ^ (which as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut model = trainer.train(&training, seed, &mut AsIs)?;
    odds(model.as_mut(), &ratio.pool)
}

/// The odds of one row over the shadow models: number, mean and sum of squares about it, in those that learned it and those that did not.
#[derive(Debug, Clone, Copy, Default)]
struct Fit {
    learned: Side,
    not: Side,
}

#[derive(Debug, Clone, Copy, Default)]
struct Side {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Side {
    #[expect(clippy::cast_precision_loss, reason = "at most a thousand shadow models")]
    fn of(odds: &[f64]) -> Self {
        let n = odds.len() as f64;
        let mean = if odds.is_empty() { 0.0 } else { numeric::mean(odds) };
        Self { n, mean, squares: odds.iter().map(|o| (o - mean).powi(2)).sum() }
    }

    /// Standard deviation; never 0, so that a ratio can be taken.
    fn deviation(&self) -> f64 {
        (self.squares / (self.n - 1.0).max(1.0)).sqrt().max(1e-6)
    }
}

impl Fit {
    fn of(seen: &[Vec<f64>], halves: &[Vec<bool>], row: usize) -> Self {
        let odds = |learned: bool| -> Vec<f64> {
            let learns = |which: usize| halves.get(row).and_then(|h| h.get(which)) == Some(&learned);
            let of = seen.iter().enumerate().filter(|(which, _)| learns(*which));
            of.filter_map(|(_, odds)| odds.get(row).copied()).filter(|o| !o.is_nan()).collect()
        };
        Self { learned: Side::of(&odds(true)), not: Side::of(&odds(false)) }
    }

    /// The spread about each row's own mean, over all rows.
    fn shared(fits: &[Self]) -> Self {
        let pool = |of: &dyn Fn(&Self) -> Side| {
            let sides = || fits.iter().map(of).filter(|s| s.n > 1.0);
            let freedom: f64 = sides().map(|s| s.n - 1.0).sum();
            Side { n: freedom + 1.0, mean: 0.0, squares: sides().map(|s| s.squares).sum() }
        };
        Self { learned: pool(&|f| f.learned), not: pool(&|f| f.not) }
    }

    /// Logarithm of the ratio of the likelihoods (constants left out); offline, how far above the models that did not learn the row.
    fn score(&self, odds: f64, spread: &Self, form: Form) -> Option<f64> {
        let distance = |side: &Side, deviation: f64| (odds - side.mean) / deviation;
        let (inside, outside) = (spread.learned.deviation(), spread.not.deviation());
        if self.not.n < 1.0 || odds.is_nan() {
            return None;
        }
        let far = distance(&self.not, outside);
        match form {
            Form::Offline => Some(far),
            Form::Online if self.learned.n < 1.0 => None,
            Form::Online => {
                let near = distance(&self.learned, inside);
                Some(far.powi(2) / 2.0 + outside.ln() - near.powi(2) / 2.0 - inside.ln())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::pace::Quiet;
    use crate::privacy::membership_by_loss;
    use crate::training::Trained;
    use crate::training::small::{Generated, Small, memorable};

    const HEART: Small = Small { hidden: 24, epochs: 60, rate: 0.05 };

    const WIDTH: usize = 20;

    /// A model that learned the first half of a pool by heart.
    fn scene() -> (Generated, Vec<bool>, Box<dyn Trained>) {
        let pool = memorable(240, WIDTH, 0.3, 1);
        let member: Vec<bool> = (0..240).map(|at| at < 120).collect();
        let half = Samples::new(&pool.rows[..120 * WIDTH], &pool.labels[..120], pool.space).unwrap();
        let model = { HEART }.train(&half.training(&Quiet), 77, &mut AsIs).unwrap();
        (pool, member, model)
    }

    #[test]
    fn shadow_models_find_more_than_the_loss_alone() {
        let (pool, member, mut model) = scene();
        let samples = pool.samples();
        let part = |from: usize, to: usize| {
            Samples::new(&pool.rows[from * WIDTH..to * WIDTH], &pool.labels[from..to], pool.space).unwrap()
        };
        let plain = membership_by_loss(model.as_mut(), &part(0, 120), &part(120, 240), &Quiet).unwrap();
        for (form, least) in [(Form::Online, plain.auc + 0.02), (Form::Offline, 0.65)] {
            let ratio = Ratio { pool: samples, member: &member, shadows: 12, form, seed: 5, pace: &Quiet };
            let found = membership_by_ratio(model.as_mut(), &mut { HEART }, &ratio).unwrap();
            assert!(found.auc > least && found.auc_low > 0.55, "{form:?}: {} after {}", found.auc, plain.auc);
            assert_eq!((found.shadows, found.left_out, found.stopped), (12, 0, false));
            let again = membership_by_ratio(model.as_mut(), &mut { HEART }, &ratio).unwrap();
            assert_eq!(found, again, "same seed, same result");
        }
    }

    #[test]
    fn a_model_that_never_saw_the_rows_tells_nothing() {
        let (pool, member, _) = scene();
        let other = memorable(120, WIDTH, 0.3, 9);
        let mut model = { HEART }.train(&other.samples().training(&Quiet), 77, &mut AsIs).unwrap();
        let ratio = Ratio {
            pool: pool.samples(),
            member: &member,
            shadows: 8,
            form: Form::Online,
            seed: 5,
            pace: &Quiet,
        };
        let found = membership_by_ratio(model.as_mut(), &mut { HEART }, &ratio).unwrap();
        assert!(found.auc_low < 0.5 && found.auc_high > 0.5, "{found:?}");
    }

    struct StopAfter(u64, Cell<u64>);

    impl Pace for StopAfter {
        fn stop(&self) -> bool {
            self.1.get() >= self.0
        }

        fn step(&self, done: u64, _total: u64) {
            self.1.set(done);
        }
    }

    #[test]
    fn a_stop_keeps_what_four_shadows_show_and_not_less() {
        let (pool, member, mut model) = scene();
        let mut run = |after: u64| {
            let pace = StopAfter(after, Cell::new(0));
            let pool = pool.samples();
            let ratio =
                Ratio { pool, member: &member, shadows: 8, form: Form::Offline, seed: 5, pace: &pace };
            membership_by_ratio(model.as_mut(), &mut { HEART }, &ratio)
        };
        assert_eq!(run(3), Err(Fault::Stopped));
        let found = run(5).unwrap();
        assert!(found.stopped && found.shadows == 5);
    }
}
