//! Cross-entropy of logits, and its derivative.

/// Mean cross-entropy of rows of logits in nats, and its derivative by the logits (divided by the number of rows).
/// With one logit a row it is the logit of class 1. Labels are below the number of classes (the caller checks).
/// Rows whose largest logit is at their label are counted as right.
pub(super) fn cross_entropy(logits: &[f32], labels: &[usize], d: &mut Vec<f32>) -> (f64, usize) {
    d.clear();
    let width = logits.len().checked_div(labels.len()).unwrap_or(0).max(1);
    let share = 1.0 / labels.len().max(1) as f64;
    let (mut total, mut right) = (0.0, 0);
    for (row, label) in logits.chunks_exact(width).zip(labels) {
        if let [z] = row {
            let z = f64::from(*z);
            // softplus, without overflow at either end
            total += z.max(0.0) - z * *label as f64 + (-z.abs()).exp().ln_1p();
            d.push(((1.0 / (1.0 + (-z).exp()) - *label as f64) * share) as f32);
            right += usize::from((z > 0.0) == (*label == 1));
            continue;
        }
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row.iter().map(|z| f64::from(z - top).exp()).sum();
        let own = row.get(*label).copied().unwrap_or(f32::NAN);
        total += sum.ln() - f64::from(own - top);
        right += usize::from(own == top);
        for (class, z) in row.iter().enumerate() {
            let p = f64::from(z - top).exp() / sum;
            d.push(((p - f64::from(u8::from(class == *label))) * share) as f32);
        }
    }
    (total * share, right)
}

/// What the rows of a step are to learn.
pub(super) struct Step<'a> {
    pub(super) labels: &'a [usize],
    /// Probabilities in place of the classes, row-major.
    pub(super) soft: Option<Vec<f32>>,
    /// How much each row counts.
    pub(super) weights: Option<Vec<f32>>,
}

impl Step<'_> {
    /// As [`cross_entropy`]. The cross-entropy with probabilities t is that with any class c, plus the sum of (z_c - z_k) t_k; its derivative is the
    /// softmax minus t. With one logit, the probabilities are ignored: there is no column for them. Weights multiply a row's part of the derivative; the loss told stays that of
    /// the rows as they are.
    pub(super) fn loss(&self, logits: &[f32], d: &mut Vec<f32>) -> (f64, usize) {
        let (mut loss, right) = cross_entropy(logits, self.labels, d);
        let rows = self.labels.len().max(1);
        let width = (logits.len() / rows).max(1);
        let share = 1.0 / rows as f64;
        if let Some(soft) = self.soft.as_ref().filter(|_| width > 1) {
            let steps =
                logits.chunks_exact(width).zip(d.chunks_exact_mut(width)).zip(soft.chunks_exact(width));
            for (((row, slope), soft), label) in steps.zip(self.labels) {
                let own = row.get(*label).copied().unwrap_or(f32::NAN);
                for (class, ((z, slope), t)) in row.iter().zip(slope).zip(soft).enumerate() {
                    loss += f64::from(own - z) * f64::from(*t) * share;
                    let hard = f32::from(u8::from(class == *label));
                    *slope += (f64::from(hard - t) * share) as f32;
                }
            }
        }
        if let Some(weights) = &self.weights {
            for (slope, weight) in d.chunks_exact_mut(width).zip(weights) {
                slope.iter_mut().for_each(|s| *s *= weight);
            }
        }
        (loss, right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_targets_have_the_derivative_of_their_loss_and_hard_ones_are_a_special_case() {
        let logits = [0.3_f32, -1.0, 0.5, 2.0, 0.1, -0.4];
        let soft = vec![0.2_f32, 0.7, 0.1, 0.0, 1.0, 0.0];
        let step = |soft| Step { labels: &[1, 1], soft, weights: None };
        let (mut d, mut unused) = (Vec::new(), Vec::new());
        let towards = step(Some(soft));
        let (loss, _) = towards.loss(&logits, &mut d);
        for at in 0..6 {
            let mut up = logits;
            up[at] += 1e-2;
            let mut down = logits;
            down[at] -= 1e-2;
            let slope = (towards.loss(&up, &mut unused).0 - towards.loss(&down, &mut unused).0) / 0.02;
            assert!((slope - f64::from(d[at])).abs() < 1e-4, "{at}: {slope} {}", d[at]);
        }
        assert!(loss > 0.0);
        let hard = step(Some(vec![0.0, 1.0, 0.0, 0.0, 1.0, 0.0])).loss(&logits, &mut unused);
        let plain = step(None).loss(&logits, &mut d);
        assert!((hard.0 - plain.0).abs() < 1e-6 && hard.1 == plain.1);
        assert!(unused.iter().zip(&d).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
