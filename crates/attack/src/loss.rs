//! What an attacker climbs: losses of the scores of one row, with their derivative.

use crate::access::argmax;

/// A loss of one row's scores; higher is worse for the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Cross-entropy of the true class.
    CrossEntropy,
    /// Logarithm of the odds against the true class: the logarithm of the summed exponentials of the other scores, minus the true score. It rises and
    /// falls with [`Loss::CrossEntropy`] and points the same way, but never flattens: where a confident model's cross-entropy rounds to 0, with its
    /// gradient, this one is still a difference of scores. On two classes it equals [`Loss::Margin`].
    LogOdds,
    /// Highest other score minus the true one. On two classes it is the difference of logits: positive means misclassified.
    Margin,
    /// Difference of logits ratio (Croce and Hein 2020, arXiv:2003.01690, equation 6): the margin over the distance between the first and the
    /// third score, which no rescaling of the logits hides. Three classes at least; on two the ratio is undefined and [`Loss::Margin`] takes its place.
    Dlr,
    /// Its targeted form (equation 7 there): towards the class given.
    DlrTargeted {
        /// The class to be reached.
        target: usize,
    },
}

/// Smallest divisor of a ratio.
const RATIO_MIN: f32 = 1e-12;

impl Loss {
    /// The loss of `scores` under the true class `label`; its derivative by each score is written to `cotangent` (same length).
    pub fn of(self, scores: &[f32], label: usize, cotangent: &mut [f32]) -> f32 {
        cotangent.fill(0.0);
        match self {
            Self::CrossEntropy => cross_entropy(scores, label, cotangent),
            Self::LogOdds => log_odds(scores, label, cotangent),
            Self::Dlr if scores.len() > 2 => dlr(scores, label, None, cotangent),
            Self::DlrTargeted { target } if scores.len() > 2 => dlr(scores, label, Some(target), cotangent),
            Self::DlrTargeted { target } => towards(scores, label, target, cotangent),
            Self::Margin | Self::Dlr => {
                let other = best_other(scores, label);
                towards(scores, label, other, cotangent)
            }
        }
    }
}

/// The class with the highest score beside `label`.
pub fn best_other(scores: &[f32], label: usize) -> usize {
    let mut best = usize::from(label == 0);
    for (at, score) in scores.iter().enumerate() {
        if at != label && scores.get(best).is_some_and(|b| score > b) {
            best = at;
        }
    }
    best
}

fn at(scores: &[f32], class: usize) -> f32 {
    scores.get(class).copied().unwrap_or(f32::NAN)
}

fn add(cotangent: &mut [f32], class: usize, value: f32) {
    if let Some(place) = cotangent.get_mut(class) {
        *place += value;
    }
}

fn towards(scores: &[f32], label: usize, target: usize, cotangent: &mut [f32]) -> f32 {
    add(cotangent, target, 1.0);
    add(cotangent, label, -1.0);
    at(scores, target) - at(scores, label)
}

fn cross_entropy(scores: &[f32], label: usize, cotangent: &mut [f32]) -> f32 {
    let top = argmax(scores).map_or(f32::NAN, |best| at(scores, best));
    let sum: f32 = scores.iter().map(|s| (s - top).exp()).sum();
    let mut others = 0.0;
    for (class, (place, score)) in cotangent.iter_mut().zip(scores).enumerate() {
        if class != label {
            *place = (score - top).exp() / sum;
            others += *place;
        }
    }
    // The probabilities sum to 1; written so, a probability of nearly 1 loses no digits.
    add(cotangent, label, -others);
    // In this order a confident model keeps its precision: ln(1 + small) instead of a difference of large numbers.
    sum.ln() - (at(scores, label) - top)
}

fn log_odds(scores: &[f32], label: usize, cotangent: &mut [f32]) -> f32 {
    let other = best_other(scores, label);
    let top = at(scores, other);
    if top == f32::NEG_INFINITY {
        // Every other class has probability 0: no digits are left to climb by but the true score itself.
        return towards(scores, label, other, cotangent);
    }
    let mut sum = 0.0;
    for (class, score) in scores.iter().enumerate() {
        if class != label {
            let share = (score - top).exp();
            sum += share;
            add(cotangent, class, share);
        }
    }
    cotangent.iter_mut().for_each(|place| *place /= sum);
    add(cotangent, label, -1.0);
    top + sum.ln() - at(scores, label)
}

fn dlr(scores: &[f32], label: usize, target: Option<usize>, cotangent: &mut [f32]) -> f32 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| at(scores, *b).total_cmp(&at(scores, *a)));
    let place = |n: usize| order.get(n).copied().unwrap_or(0);
    // Untargeted: z1 - z3. Targeted: z1 - (z3 + z4) / 2; with three classes the fourth is the third.
    let (first, third) = (place(0), place(2));
    let fourth = if target.is_some() { place(3.min(scores.len() - 1)) } else { third };
    let other = target.unwrap_or_else(|| best_other(scores, label));
    let above = at(scores, other) - at(scores, label);
    let below = at(scores, first) - (at(scores, third) + at(scores, fourth)) / 2.0 + RATIO_MIN;
    add(cotangent, other, 1.0 / below);
    add(cotangent, label, -1.0 / below);
    let slope = above / (below * below);
    add(cotangent, first, -slope);
    add(cotangent, third, slope / 2.0);
    add(cotangent, fourth, slope / 2.0);
    above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_equal_finite_differences() {
        let scores = [1.5_f32, -0.3, 0.9, 0.2];
        let losses =
            [Loss::CrossEntropy, Loss::LogOdds, Loss::Margin, Loss::Dlr, Loss::DlrTargeted { target: 3 }];
        for loss in losses {
            for classes in 2..=4 {
                let z = &scores[..classes];
                let (mut exact, mut unused) = (vec![0.0; classes], vec![0.0; classes]);
                let loss = match loss {
                    Loss::DlrTargeted { .. } => Loss::DlrTargeted { target: classes - 1 },
                    other => other,
                };
                loss.of(z, 0, &mut exact);
                for j in 0..classes {
                    let (mut up, mut down) = (z.to_vec(), z.to_vec());
                    up[j] += 1e-2;
                    down[j] -= 1e-2;
                    let slope = (loss.of(&up, 0, &mut unused) - loss.of(&down, 0, &mut unused)) / 2e-2;
                    assert!((slope - exact[j]).abs() < 2e-3, "{loss:?} {classes} {j}: {slope} {}", exact[j]);
                }
            }
        }
    }

    #[test]
    fn a_confident_model_flattens_the_cross_entropy_and_not_the_odds() {
        let scores = [200.0, -5.0, 0.0];
        let mut cotangent = [0.0; 3];
        assert!(Loss::CrossEntropy.of(&scores, 0, &mut cotangent) == 0.0 && cotangent == [0.0; 3]);
        assert!((Loss::LogOdds.of(&scores, 0, &mut cotangent) + 199.9933).abs() < 1e-3);
        assert!(cotangent[0] == -1.0 && cotangent[2] > 0.99, "{cotangent:?}");
        // A probability of 1 - 1e-8 rounds to 1; its derivative must not round to 0.
        Loss::CrossEntropy.of(&[18.4, 0.0], 0, &mut cotangent[..2]);
        assert!(cotangent[0] < 0.0 && (cotangent[0] + cotangent[1]).abs() < 1e-12, "{cotangent:?}");
    }

    #[test]
    fn two_classes_have_a_margin_in_place_of_the_ratio() {
        let mut cotangent = [0.0; 2];
        assert!((Loss::Dlr.of(&[3.0, 1.0], 0, &mut cotangent) + 2.0).abs() < 1e-6);
        assert_eq!(cotangent, [-1.0, 1.0]);
    }
}
