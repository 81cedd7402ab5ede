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
