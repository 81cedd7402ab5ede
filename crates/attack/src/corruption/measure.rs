//! What a corruption costs: decisions, ranking and calibration side by side, since each can fail while the others hold.

use serde::{Deserialize, Serialize};

use crate::access::{Replies, argmax};
use crate::measure::Share;

/// Bins of the calibration error: the field's usual number at a few hundred samples and more.
const BINS: usize = 15;

/// Area under the curve with its interval at 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Area {
    /// Probability that a random positive scores above a random negative, ties by half.
    pub area: f64,
    /// Lower end (DeLong).
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How a model did on labelled rows. Rows without an answer (refused by a guard, not a number) are counted and left out of the rest: a refusal is not a wrong
/// decision, and a report shows both numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Measures {
    /// Rows that were put to the model.
    pub rows: usize,
    /// Of these, not answered: refused.
    pub refused: usize,
    /// Of these, answered with a score that is not a number.
    pub not_a_number: usize,
    /// Right decisions among the answered rows, Wilson's interval.
    pub accuracy: Share,
    /// Mean over the classes that occur of the share of their rows decided rightly; none without answered rows.
    pub balanced_accuracy: Option<f64>,
    /// Area under the curve of the positive class against all others, by its probability (DeLong's interval); none when a side is empty.
    pub area: Option<Area>,
    /// Calibration of the decided class: 15 bins of equal mass over the confidence ([`numeric::calibration_error`]); none without answered rows.
    pub calibration_error: Option<f64>,
    /// Brier score of the positive class ([`numeric::brier_score`]); none without answered rows.
    pub brier: Option<f64>,
    /// Mean probability of the decided class; none without answered rows.
    pub confidence: Option<f64>,
}

impl Measures {
    /// The measures of `replies` to rows with the classes `labels`; `positive` is the class that ranking and Brier score are about. Scores are taken as logits or
    /// logarithms of probabilities (softmax gives probabilities from both). `None` when the lengths differ or a class is beyond the number of scores.
    pub fn of(replies: &Replies, labels: &[usize], positive: usize) -> Option<Self> {
        let classes = replies.classes;
        if replies.answered.len() != labels.len()
            || positive >= classes
            || labels.iter().any(|l| *l >= classes)
        {
            return None;
        }
        let mut seen = Seen { right: vec![0; classes], rows: vec![0; classes], ..Seen::default() };
        let (mut refused, mut not_a_number) = (0, 0);
        for (at, label) in labels.iter().enumerate() {
            match replies.row(at).map(|scores| (argmax(scores), scores)) {
                None => refused += 1,
                Some((None, _)) => not_a_number += 1,
                Some((Some(decided), scores)) => seen.add(scores, decided, *label, positive),
            }
        }
        Some(Self {
            rows: labels.len(),
            refused,
            not_a_number,
            accuracy: Share::new(seen.correct.iter().filter(|c| **c).count(), seen.correct.len()),
            balanced_accuracy: seen.balanced(),
            area: seen.area(),
            calibration_error: numeric::calibration_error(&seen.confidence, &seen.correct, BINS),
            brier: numeric::brier_score(&seen.probability, &seen.event),
            confidence: (!seen.confidence.is_empty()).then(|| numeric::mean(&seen.confidence)),
        })
    }
}

/// What the answered rows showed.
#[derive(Default)]
struct Seen {
    correct: Vec<bool>,
    confidence: Vec<f64>,
    probability: Vec<f64>,
    /// How far the positive class leads, for ranking: probabilities run into 1 where logits still differ.
    lead: Vec<f64>,
    event: Vec<bool>,
    right: Vec<usize>,
    rows: Vec<usize>,
}

impl Seen {
    fn add(&mut self, scores: &[f32], decided: usize, label: usize, positive: usize) {
        let probability = |of: usize| 1.0 / (1.0 + lead(scores, of).exp());
        self.correct.push(decided == label);
        self.confidence.push(probability(decided));
        self.probability.push(probability(positive));
        self.lead.push(-lead(scores, positive));
        self.event.push(label == positive);
        if let (Some(rows), Some(right)) = (self.rows.get_mut(label), self.right.get_mut(label)) {
            *rows += 1;
            *right += usize::from(decided == label);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn balanced(&self) -> Option<f64> {
        let pairs = self.right.iter().zip(&self.rows).filter(|(_, rows)| **rows > 0);
        let recalls: Vec<f64> = pairs.map(|(right, rows)| *right as f64 / *rows as f64).collect();
        (!recalls.is_empty()).then(|| numeric::mean(&recalls))
    }

    fn area(&self) -> Option<Area> {
        let of = |event: bool| -> Vec<f64> {
            let pairs = self.lead.iter().zip(&self.event);
            pairs.filter(|(_, e)| **e == event).map(|(s, _)| *s).collect()
        };
        let found = numeric::roc_area(&of(true), &of(false))?;
        Some(Area { area: found.area, low: found.low, high: found.high })
    }
}

/// `ln Σ exp(other) - score`: minus the log-odds of class `of` against all others. Infinite scores are decided, never NaN.
fn lead(scores: &[f32], of: usize) -> f64 {
    let own = scores.get(of).copied().map_or(f64::NEG_INFINITY, f64::from);
    let others = || scores.iter().enumerate().filter(|(at, _)| *at != of).map(|(_, s)| f64::from(*s));
    let top = others().fold(f64::NEG_INFINITY, f64::max);
    if top == own {
        // Two equal infinities: neither leads.
        let equal = if top.is_finite() { others().map(|s| (s - top).exp()).sum::<f64>().ln() } else { 0.0 };
        return equal;
    }
    if !top.is_finite() || !own.is_finite() {
        return if top > own { f64::INFINITY } else { f64::NEG_INFINITY };
    }
    top + others().map(|s| (s - top).exp()).sum::<f64>().ln() - own
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(rows: &[[f32; 3]]) -> Replies {
        Replies { scores: rows.concat(), answered: vec![true; rows.len()], classes: 3 }
    }

    const ACCURACY: f64 = 0.3;
    const BALANCED: f64 = 0.2956709956709957;
    const AREA: f64 = 0.708;
    const BRIER: f64 = 0.2290801895619044;
    const CONFIDENCE: f64 = 0.6594422967560314;
    const ERROR: f64 = 0.37399813619855177;

    #[test]
    fn three_classes_are_measured_as_scikit_learn_does() {
        // Scores (7i % 41) / 8, (5i % 43) / 8, (3i % 47) / 8 and labels (i² + ⌊i / 5⌋) % 3 for i in 0..40; accuracy_score, balanced_accuracy_score, roc_auc_score and
        // brier_score_loss of scikit-learn 1.9.1 on scipy.special.softmax.
        let at = |n: u16| f32::from(n) / 8.0;
        let rows: Vec<[f32; 3]> =
            (0..40_u16).map(|i| [at(7 * i % 41), at(5 * i % 43), at(3 * i % 47)]).collect();
        let labels: Vec<usize> = (0..40_usize).map(|i| (i * i + i / 5) % 3).collect();
        let seen = Measures::of(&replies(&rows), &labels, 1).unwrap();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        near(seen.accuracy.share, ACCURACY);
        near(seen.balanced_accuracy.unwrap(), BALANCED);
        near(seen.area.unwrap().area, AREA);
        near(seen.brier.unwrap(), BRIER);
        near(seen.confidence.unwrap(), CONFIDENCE);
        near(seen.calibration_error.unwrap(), ERROR);
    }

    #[test]
    fn what_was_not_answered_is_counted_and_left_out() {
        let mut some = replies(&[[0.0, 1.0, 0.0], [2.0, 1.0, 0.0], [f32::NAN, 0.0, 0.0]]);
        some.answered[1] = false;
        let seen = Measures::of(&some, &[1, 0, 0], 1).unwrap();
        assert_eq!((seen.rows, seen.refused, seen.not_a_number, seen.accuracy.of), (3, 1, 1, 1));
        assert_eq!((seen.accuracy.share, seen.area), (1.0, None));
        some.answered = vec![false; 3];
        let none = Measures::of(&some, &[1, 0, 0], 1).unwrap();
        assert_eq!((none.accuracy.share, none.brier, none.confidence), (0.0, None, None));
        assert_eq!(Measures::of(&some, &[1, 0], 1), None);
        assert_eq!(Measures::of(&some, &[1, 0, 3], 1), None);
        assert_eq!(Measures::of(&some, &[1, 0, 0], 3), None);
    }

    #[test]
    fn infinite_scores_are_decided() {
        let seen = Measures::of(
            &replies(&[[f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY], [f32::INFINITY, 0.0, 0.0]]),
            &[1, 0],
            1,
        )
        .unwrap();
        assert_eq!((seen.confidence, seen.brier, seen.area.unwrap().area), (Some(1.0), Some(0.0), 1.0));
    }
}
