//! What exercises report: shares with their intervals, accuracy, area under the curve, and models asked in bounded batches.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Labels, Replies, Rows, Scores};
use crate::suite::settled;
use crate::training::Samples;

/// Rows put to a model at once.
const BATCH_ROWS: usize = 256;

/// A share with its interval at 95 % (Wilson 1927), to twelve significant digits, so that it is the same after being written and read again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Share {
    /// How many.
    pub hits: usize,
    /// Of how many.
    pub of: usize,
    /// `hits / of`; 0 of nothing.
    pub share: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Share {
    /// `hits` of `of`.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn new(hits: usize, of: usize) -> Self {
        let (low, high) = numeric::wilson_interval(hits, of);
        let share = if of == 0 { 0.0 } else { hits as f64 / of as f64 };
        Self { hits, of, share: settled(share), low: settled(low), high: settled(high) }
    }

    /// The mean of shares of the same rows, measured on several models: the rows are counted once, because the same rows asked again say
    /// little that is new. `None` of none.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of counts is between 0 and the largest"
    )]
    pub fn mean(shares: &[Self]) -> Option<Self> {
        let of = shares.iter().map(|s| s.of).max()?;
        let mean = shares.iter().map(|s| s.share).sum::<f64>() / shares.len() as f64;
        let counted = Self::new((mean * of as f64).round() as usize, of);
        Some(Self { share: settled(mean), ..counted })
    }
}

/// How well a model does on rows with known classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// Rows called right, of those answered.
    pub accuracy: Share,
    /// Area under the curve: of class 1 for two classes, else the mean of each class against the others. Absent when a class has no rows.
    pub auc: Option<f64>,
    /// Rows that were not answered.
    pub unanswered: u64,
}

/// The scores of all rows, asked in batches.
///
/// # Errors
/// What the model says.
pub fn scores_of(model: &mut dyn Scores, rows: &[f32], width: usize) -> Result<Replies, Fault> {
    let classes = model.space().classes;
    let mut all = Replies { classes, ..Replies::default() };
    let mut part = Replies::default();
    for (batch, chunk) in rows.chunks(BATCH_ROWS * width.max(1)).enumerate() {
        let samples: Vec<usize> = (0..chunk.len() / width.max(1)).map(|i| batch * BATCH_ROWS + i).collect();
        model.scores(Rows::new(chunk, width, &samples)?, &mut part)?;
        if part.scores.len() != samples.len() * classes || part.answered.len() != samples.len() {
            return Err(Fault::Shape(format!(
                "{} scores came back for {} rows and {classes} classes",
                part.scores.len(),
                samples.len()
            )));
        }
        all.scores.extend_from_slice(&part.scores);
        all.answered.extend_from_slice(&part.answered);
    }
    Ok(all)
}

/// The labels of all rows, asked in batches.
///
/// # Errors
/// What the model says.
pub fn labels_of(model: &mut dyn Labels, rows: &[f32], width: usize) -> Result<Vec<Option<usize>>, Fault> {
    let (mut all, mut part) = (Vec::new(), Vec::new());
    for (batch, chunk) in rows.chunks(BATCH_ROWS * width.max(1)).enumerate() {
        let samples: Vec<usize> = (0..chunk.len() / width.max(1)).map(|i| batch * BATCH_ROWS + i).collect();
        model.labels(Rows::new(chunk, width, &samples)?, &mut part)?;
        if part.len() != samples.len() {
            return Err(Fault::Shape(format!("{} labels came back for {} rows", part.len(), samples.len())));
        }
        all.extend_from_slice(&part);
    }
    Ok(all)
}

/// Accuracy and area under the curve on `data`.
///
/// # Errors
/// What the model says.
pub fn standing(model: &mut dyn Scores, data: &Samples<'_>) -> Result<Standing, Fault> {
    let replies = scores_of(model, data.rows(), data.width())?;
    let answered = replies.answered.iter().filter(|a| **a).count();
    let right = data.labels().iter().enumerate().filter(|(at, l)| replies.label(*at) == Some(**l)).count();
    Ok(Standing {
        accuracy: Share::new(right, answered),
        auc: auc(&replies, data.labels()),
        unanswered: (data.len() - answered.min(data.len())) as u64,
    })
}

/// Share of `rows` that the model gives the class wanted for each.
///
/// # Errors
/// What the model says.
pub fn called(
    model: &mut dyn Labels,
    rows: &[f32],
    width: usize,
    wanted: &[usize],
) -> Result<Option<Share>, Fault> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let seen = labels_of(model, rows, width)?;
    let answered = seen.iter().filter(|l| l.is_some()).count();
    let hits = seen.iter().zip(wanted).filter(|(seen, wanted)| **seen == Some(**wanted)).count();
    Ok(Some(Share::new(hits, answered)))
}

/// Probabilities of the scores of one row.
pub fn probabilities(scores: &[f32]) -> Vec<f32> {
    let mut p = scores.to_vec();
    numeric::softmax_in_place(&mut p);
    p
}

/// Logarithm of the odds of `label` under the softmax of `scores`: z_label - ln(sum of e^z of the others), exact also where the probability
/// rounds to 1.
pub fn log_odds(scores: &[f32], label: usize) -> f64 {
    let others = || scores.iter().enumerate().filter(|(at, _)| *at != label).map(|(_, s)| f64::from(*s));
    let top = others().fold(f64::NEG_INFINITY, f64::max);
    let rest = top + others().map(|s| (s - top).exp()).sum::<f64>().ln();
    scores.get(label).map_or(f64::NAN, |own| f64::from(*own) - rest)
}

fn auc(replies: &Replies, labels: &[usize]) -> Option<f64> {
    let of_class = |class: usize| {
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for (at, label) in labels.iter().enumerate() {
            let Some(scores) = replies.row(at) else { continue };
            let side = if *label == class { &mut own } else { &mut others };
            side.push(log_odds(scores, class));
        }
        numeric::roc_area(&own, &others).map(|roc| roc.area)
    };
    if replies.classes == 2 {
        return of_class(1);
    }
    let areas: Vec<f64> = (0..replies.classes).map(of_class).collect::<Option<_>>()?;
    Some(numeric::mean(&areas))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_models_counts_the_rows_once() {
        let mean = Share::mean(&[Share::new(90, 100), Share::new(80, 100)]).unwrap();
        assert_eq!((mean.hits, mean.of), (85, 100));
        assert!((mean.share - 0.85).abs() < 1e-12 && mean.low < 0.78 && mean.high > 0.90);
        assert_eq!(Share::mean(&[]), None);
        assert_eq!(Share::new(0, 0).share, 0.0);
    }

    #[test]
    fn log_odds_do_not_round_to_infinity() {
        assert!((log_odds(&[-60.0, 60.0], 1) - 120.0).abs() < 1e-9);
        assert!((log_odds(&[0.0, 0.0, 0.0], 2) + 2_f64.ln()).abs() < 1e-12);
        assert!(log_odds(&[0.0, 0.0], 5).is_nan());
    }
}
