//! Guessing a sensitive feature from the others and the model's answer.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Layout, Scores, Space};
use crate::measure::{Share, probabilities, scores_of};
use crate::pace::Pace;
use crate::theft::Answers;
use crate::training::{AsIs, Samples, StopOnly, Targets, Trained, Trainer, Training};

domain::catalogue_entry! {
    /// A feature that the attacker does not know is guessed from the other features and the model's answer.
    ///
    /// ## What it is
    /// The attacker knows all features of a patient but one, and what the model said of the patient. He asks the model with each possible value of the missing feature and weighs how well its answer agrees with what
    /// was said, times how likely the value is given the other features. The latter alone (imputation, learned from rows of the same kind) is reported beside it, and the
    /// difference with its interval: only that is what the model gives away.
    ///
    /// ## Why it matters in care
    /// A risk score on a referral letter can tell a genotype, a habit or a test result that was left out on purpose.
    ///
    /// ## Limits
    /// For tables. A feature with more than 16 values is guessed in quarters. The attacker must be able to ask the model himself. That a guess is good does not mean that the model leaks: see the gain.
    ///
    /// ## References
    /// Fredrikson et al. 2014 (USENIX Security); Jayaraman and Evans 2022, arXiv:2209.01292.
    pub static ENTRY = { id: "X242", name: "attribute-inference", kind: Attack, since: "0.1.0", maps: ["AML.T0024.001", "NISTAML.032"] };
}

/// Most values of a feature that are told apart; one with more is cut into quarters.
const VALUES_MAX: usize = 16;

/// Places within a quarter at which the model is asked.
const SUPPORT: usize = 5;

/// How sure a decision that agrees makes the attacker, where only decisions are shown.
const AGREES: f64 = 0.99;

/// What is to be guessed.
#[derive(Clone, Copy)]
pub struct Inference<'a> {
    /// The patients whose feature is guessed, complete, so that the guess can be judged.
    pub records: Samples<'a>,
    /// Rows of the same kind that the attacker knows completely.
    pub auxiliary: Samples<'a>,
    /// Place of the feature that is guessed.
    pub feature: usize,
    /// What of the model's answer the attacker sees.
    pub answers: Answers,
    /// Half the last digit of a probability as it is shown; 0.005 for whole per cents.
    pub precision: f64,
    /// Seed of all randomness.
    pub seed: u64,
    /// Asked whether to stop.
    pub pace: &'a dyn Pace,
}

/// How often the guess was right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AttributeInference {
    /// Id of the attack.
    pub attack: String,
    /// Place of the feature.
    pub feature: u64,
    /// Values, or quarters of values, told apart.
    pub values: u64,
    /// Always guessing the commonest value.
    pub commonest: Share,
    /// Guessing from the other features alone.
    pub imputation: Share,
    /// With the model's answer as well.
    pub with_model: Share,
    /// Patients guessed right only with the model.
    pub gained: u64,
    /// Patients guessed right only without.
    pub lost: u64,
    /// What the model gives away: the difference of the two shares.
    pub gain: f64,
    /// Lower end of its interval at 95 %, for paired shares.
    pub gain_low: f64,
    /// Upper end.
    pub gain_high: f64,
    /// Patients that the model did not answer; they are left out.
    pub left_out: u64,
    /// Ended early, because it was asked to; the patients done stand.
    pub stopped: bool,
}

/// Guesses the feature of each record.
///
/// # Errors
/// [`Fault::NotApplicable`] on images, for a feature that is constant or not there, or a precision outside (0, 0.5); [`Fault::Shape`] when rows do not fit the model;
/// [`Fault::Stopped`] when stopped before the first patient; else what model and trainer say.
pub fn attribute_inference(
    model: &mut dyn Scores,
    trainer: &mut dyn Trainer,
    inference: &Inference<'_>,
) -> Result<AttributeInference, Fault> {
    let features = check(model.space(), inference)?;
    let values = Values::of(&inference.auxiliary, inference.feature)?;
    let truth: Vec<usize> = (0..inference.records.len())
        .map(|at| values.class(inference.records.row(at).get(inference.feature).copied().unwrap_or(0.0)))
        .collect();
    let mut imputer = imputer(trainer, inference, &values, features)?;
    let without: Vec<f32> = (0..inference.records.len())
        .flat_map(|at| others(inference.records.row(at), inference.feature))
        .collect();
    let prior = scores_of(imputer.as_mut(), &without, features - 1)?;
    let known = values.commonest(&inference.auxiliary, inference.feature);
    let mut tally = Tally::default();
    for (at, truth) in truth.iter().enumerate() {
        if inference.pace.stop() {
            if tally.n == 0 {
                return Err(Fault::Stopped);
            }
            tally.stopped = true;
            break;
        }
        let Some(prior) = prior.row(at) else {
            tally.left_out += 1;
            continue;
        };
        let row = inference.records.row(at);
        let Some(evidence) = evidence(model, row, inference, &values)? else {
            tally.left_out += 1;
            continue;
        };
        let log_prior: Vec<f64> = probabilities(prior).iter().map(|p| f64::from(*p).max(1e-9).ln()).collect();
        let both: Vec<f64> = log_prior.iter().zip(&evidence).map(|(p, e)| p + e).collect();
        tally.add(*truth, known, best(&log_prior), best(&both));
        inference.pace.step(at as u64 + 1, inference.records.len() as u64);
    }
    Ok(tally.report(inference, values.len()))
}

/// Number of features, when everything fits.
fn check(space: Space, inference: &Inference<'_>) -> Result<usize, Fault> {
    let Layout::Table { features } = space.layout else {
        return Err(Fault::NotApplicable("`attribute-inference` is for tables".to_owned()));
    };
    if inference.records.space() != space || inference.auxiliary.space() != space {
        return Err(Fault::Shape("the rows are not laid out as the model takes them".to_owned()));
    }
    if inference.feature >= features || features < 2 {
        return Err(Fault::NotApplicable(format!(
            "there is no feature `{}` beside others: the table has {features}",
            inference.feature
        )));
    }
    if !(inference.precision > 0.0 && inference.precision < 0.5) {
        return Err(Fault::NotApplicable(format!("precision `{}` is not in 0 to 0.5", inference.precision)));
    }
    if inference.records.is_empty() {
        return Err(Fault::NotApplicable("there is no record to guess at".to_owned()));
    }
    Ok(features)
}

/// The values that are told apart, each with the places at which the model is asked.
struct Values {
    /// Upper end of each but the last, ascending.
    cuts: Vec<f32>,
    support: Vec<Vec<f32>>,
}

impl Values {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "quantiles of single-precision values, at a few places"
    )]
    fn of(auxiliary: &Samples<'_>, feature: usize) -> Result<Self, Fault> {
        let mut all: Vec<f32> =
            (0..auxiliary.len()).filter_map(|at| auxiliary.row(at).get(feature).copied()).collect();
        all.sort_by(f32::total_cmp);
        let mut distinct = all.clone();
        distinct.dedup();
        if distinct.len() < 2 {
            return Err(Fault::NotApplicable(format!(
                "feature `{feature}` is constant: there is nothing to guess"
            )));
        }
        if distinct.len() <= VALUES_MAX {
            let cuts =
                distinct.windows(2).filter_map(|w| Some(f32::midpoint(*w.first()?, *w.last()?))).collect();
            return Ok(Self { cuts, support: distinct.into_iter().map(|v| vec![v]).collect() });
        }
        let sorted: Vec<f64> = all.iter().map(|v| f64::from(*v)).collect();
        let at = |p: f64| numeric::quantile(&sorted, p) as f32;
        let mut cuts = vec![at(0.25), at(0.5), at(0.75)];
        cuts.dedup();
        let of = |bin: usize| {
            let own = |v: &&f32| cuts.iter().filter(|c| v > c).count() == bin;
            let inside: Vec<f64> = all.iter().filter(own).map(|v| f64::from(*v)).collect();
            let place = |i: usize| numeric::quantile(&inside, (i as f64 + 0.5) / SUPPORT as f64) as f32;
            (0..SUPPORT).map(place).filter(|v| !v.is_nan()).collect()
        };
        let support = (0..=cuts.len()).map(of).collect();
        Ok(Self { cuts, support })
    }

    const fn len(&self) -> usize {
        self.support.len()
    }

    /// Which of them `value` is.
    fn class(&self, value: f32) -> usize {
        self.cuts.iter().filter(|cut| value > **cut).count()
    }

    /// The one that most rows have.
    fn commonest(&self, samples: &Samples<'_>, feature: usize) -> usize {
        let mut counts = vec![0_u64; self.len()];
        for at in 0..samples.len() {
            let class = self.class(samples.row(at).get(feature).copied().unwrap_or(0.0));
            counts.iter_mut().skip(class).take(1).for_each(|c| *c += 1);
        }
        let mut best = 0;
        for (at, count) in counts.iter().enumerate() {
            best = if counts.get(best).is_some_and(|b| count > b) { at } else { best };
        }
        best
    }
}

/// The row without the feature.
fn others(row: &[f32], feature: usize) -> impl Iterator<Item = f32> {
    row.iter().enumerate().filter(move |(at, _)| *at != feature).map(|(_, v)| *v)
}

/// Learns the feature from the others.
fn imputer(
    trainer: &mut dyn Trainer,
    inference: &Inference<'_>,
    values: &Values,
    features: usize,
) -> Result<Box<dyn Trained>, Fault> {
    let (known, feature) = (&inference.auxiliary, inference.feature);
    let rows: Vec<f32> = (0..known.len()).flat_map(|at| others(known.row(at), feature)).collect();
    let labels: Vec<usize> =
        (0..known.len()).map(|at| values.class(known.row(at).get(feature).copied().unwrap_or(0.0))).collect();
    let space = Space { layout: Layout::Table { features: features - 1 }, classes: values.len() };
    let pace = StopOnly(inference.pace);
    let training =
        Training { rows: &rows, targets: Targets::Labels(&labels), weights: None, space, pace: &pace };
    trainer.train(&training, inference.seed, &mut AsIs)
}

/// Logarithm of how likely the model's answer to the whole row is under each value; `None` when the model does not answer.
fn evidence(
    model: &mut dyn Scores,
    row: &[f32],
    inference: &Inference<'_>,
    values: &Values,
) -> Result<Option<Vec<f64>>, Fault> {
    let mut rows = row.to_vec();
    for value in values.support.iter().flatten() {
        let from = rows.len();
        rows.extend_from_slice(row);
        rows.iter_mut().skip(from + inference.feature).take(1).for_each(|v| *v = *value);
    }
    let replies = scores_of(model, &rows, row.len())?;
    let Some(seen) = replies.row(0) else { return Ok(None) };
    let decided = replies.label(0);
    // As it is shown: rounded.
    let digit = 2.0 * inference.precision;
    let shown: Vec<f64> =
        probabilities(seen).iter().map(|p| (f64::from(*p) / digit).round() * digit).collect();
    let mut next = 1;
    let mut all = Vec::new();
    for support in &values.support {
        let answers: Vec<Option<Vec<f64>>> = (next..next + support.len())
            .map(|at| replies.row(at).map(|s| probabilities(s).iter().map(|p| f64::from(*p)).collect()))
            .collect();
        let agree = (next..next + support.len()).filter(|at| replies.label(*at) == decided).count();
        next += support.len();
        all.push(match inference.answers {
            Answers::Scores => agreement(&shown, &answers, inference.precision),
            #[expect(clippy::cast_precision_loss, reason = "a handful of places")]
            Answers::Labels => {
                let share = agree as f64 / support.len().max(1) as f64;
                (share * AGREES + (1.0 - share) * (1.0 - AGREES)).ln()
            }
        });
    }
    Ok(Some(all))
}

/// Logarithm of the mean density of what was shown about the answers at the places of one value: normal, as wide as the last digit, or as the
/// answers of neighbouring places are apart.
#[expect(clippy::cast_precision_loss, reason = "a handful of places")]
fn agreement(shown: &[f64], answers: &[Option<Vec<f64>>], precision: f64) -> f64 {
    let gap = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let known: Vec<&Vec<f64>> = answers.iter().flatten().collect();
    if known.is_empty() {
        return f64::NEG_INFINITY;
    }
    let steps: Vec<f64> = known.windows(2).filter_map(|w| Some(gap(w.first()?, w.last()?))).collect();
    let apart = if steps.is_empty() { 0.0 } else { numeric::mean(&steps) };
    let width = precision.max(apart);
    let logs: Vec<f64> =
        known.iter().map(|answer| -0.5 * (gap(shown, answer) / width).powi(2) - width.ln()).collect();
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + (logs.iter().map(|l| (l - top).exp()).sum::<f64>() / logs.len() as f64).ln()
}

/// The highest, the first of equals.
fn best(scores: &[f64]) -> usize {
    let mut best = 0;
    for (at, score) in scores.iter().enumerate() {
        best = if scores.get(best).is_some_and(|b| score > b) { at } else { best };
    }
    best
}

#[derive(Debug, Default)]
struct Tally {
    n: usize,
    commonest: usize,
    imputed: usize,
    with_model: usize,
    gained: usize,
    lost: usize,
    left_out: u64,
    stopped: bool,
}

impl Tally {
    fn add(&mut self, truth: usize, commonest: usize, imputed: usize, with_model: usize) {
        let (without, with) = (imputed == truth, with_model == truth);
        self.n += 1;
        self.commonest += usize::from(commonest == truth);
        self.imputed += usize::from(without);
        self.with_model += usize::from(with);
        self.gained += usize::from(with && !without);
        self.lost += usize::from(without && !with);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn report(&self, inference: &Inference<'_>, values: usize) -> AttributeInference {
        const Z: f64 = 1.959_963_984_540_054;
        let (n, up, down) = (self.n.max(1) as f64, self.gained as f64, self.lost as f64);
        let gain = (up - down) / n;
        // Of paired shares (Fleiss, Levin, Paik 2003, doi:10.1002/0471445428, chapter 13).
        let error = (up + down - (up - down).powi(2) / n).max(0.0).sqrt() / n;
        AttributeInference {
            attack: ENTRY.id.to_owned(),
            feature: inference.feature as u64,
            values: values as u64,
            commonest: Share::new(self.commonest, self.n),
            imputation: Share::new(self.imputed, self.n),
            with_model: Share::new(self.with_model, self.n),
            gained: self.gained as u64,
            lost: self.lost as u64,
            gain,
            gain_low: (gain - Z * error).max(-1.0),
            gain_high: (gain + Z * error).min(1.0),
            left_out: self.left_out,
            stopped: self.stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::Quiet;
    use crate::training::small::{Generated, Small};

    /// Four features and a habit that nothing else tells; the class is risky when the sum is high, and the habit weighs `weight` in it.
    fn table(rows: usize, weight: f64, seed: u64) -> Generated {
        let mut rng = numeric::Rng::new(seed, 3);
        let (mut values, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            let habit = rng.below(2) as f64;
            let rest: Vec<f64> = (0..4).map(|_| rng.uniform()).collect();
            labels.push(usize::from(rest.iter().sum::<f64>() + weight * habit > 2.0 + weight / 2.0));
            values.push(habit as f32);
            values.extend(rest.iter().map(|v| *v as f32));
        }
        let layout = Layout::Table { features: 5 };
        Generated { rows: values, labels, space: Space { layout, classes: 2 } }
    }

    fn infer(weight: f64, feature: usize, answers: Answers) -> AttributeInference {
        let (train, known, records) = (table(300, weight, 1), table(300, weight, 2), table(200, weight, 3));
        let mut trainer = Small { hidden: 0, epochs: 40, rate: 0.1 };
        let mut model = trainer.train(&train.samples().training(&Quiet), 1, &mut AsIs).unwrap();
        let inference = Inference {
            records: records.samples(),
            auxiliary: known.samples(),
            feature,
            answers,
            precision: 0.005,
            seed: 1,
            pace: &Quiet,
        };
        attribute_inference(model.as_mut(), &mut trainer, &inference).unwrap()
    }

    #[test]
    fn a_score_tells_a_habit_that_weighs_in_it_and_a_decision_tells_less() {
        let scores = infer(1.0, 0, Answers::Scores);
        assert!(scores.with_model.share > 0.9 && scores.imputation.share < 0.65, "{scores:?}");
        assert!(scores.gain_low > 0.25 && scores.values == 2, "{scores:?}");
        let labels = infer(1.0, 0, Answers::Labels);
        assert!(labels.gain < scores.gain, "{labels:?}");
    }

    #[test]
    fn a_model_that_does_not_use_the_feature_gives_little_away() {
        let idle = infer(0.0, 0, Answers::Labels);
        assert!(idle.gain_low <= 0.05, "{idle:?}");
    }

    #[test]
    fn a_continuous_feature_is_guessed_in_quarters() {
        let found = infer(0.2, 2, Answers::Scores);
        assert_eq!(found.values, 4);
        assert!(found.with_model.share > found.imputation.share + 0.2, "{found:?}");
    }

    #[test]
    fn what_cannot_be_guessed_is_refused() {
        let train = table(50, 1.0, 1);
        let mut trainer = Small::LOGISTIC;
        let mut model = trainer.train(&train.samples().training(&Quiet), 1, &mut AsIs).unwrap();
        let inference = Inference {
            records: train.samples(),
            auxiliary: train.samples(),
            feature: 5,
            answers: Answers::Scores,
            precision: 0.005,
            seed: 1,
            pace: &Quiet,
        };
        assert!(attribute_inference(model.as_mut(), &mut trainer, &inference).is_err(), "no such feature");
        let coarse = Inference { feature: 0, precision: 0.0, ..inference };
        assert!(attribute_inference(model.as_mut(), &mut trainer, &coarse).is_err());
    }
}
