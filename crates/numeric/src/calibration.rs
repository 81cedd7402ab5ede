//! Whether probabilities mean what they say: the Brier score and the expected calibration error.

/// Mean squared distance between a probability and what happened: `Σ (p - y)² / n` (Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2),
/// for one event; in [0, 1], smaller is better, 0.25 for always one half. `probabilities[i]` in [0, 1] belongs to `happened[i]`.
/// `None` for no values, lengths that differ, or a probability that is NaN or outside [0, 1].
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn brier_score(probabilities: &[f64], happened: &[bool]) -> Option<f64> {
    if !fits(probabilities, happened) {
        return None;
    }
    let pairs = probabilities.iter().zip(happened);
    Some(pairs.map(|(p, y)| (p - f64::from(u8::from(*y))).powi(2)).sum::<f64>() / probabilities.len() as f64)
}

/// Expected calibration error over `bins` bins of **equal mass**: the values in order of their probability are cut into bins of sizes that differ
/// by one at most (larger ones first), and the distances between mean probability and share of events are averaged, weighted by size
/// (Naeini, Cooper, Hauskrecht 2015, doi:10.1609/aaai.v29i1.9602; equal mass: Nixon et al. 2019, arXiv:1904.01685). Equal mass and not equal width,
/// since clinical models crowd at the ends and wide bins in the middle hold nobody.
///
/// In [0, 1], smaller is better; a perfect model still shows about `√(bins / n)` by chance. Values of equal probability are ordered by what
/// happened, so that the result does not depend on the order of the arguments. More bins than values are as many as values. `None` for no values, no bins, lengths
/// that differ, or a probability that is NaN or outside [0, 1].
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn calibration_error(probabilities: &[f64], happened: &[bool], bins: usize) -> Option<f64> {
    if bins == 0 || !fits(probabilities, happened) {
        return None;
    }
    let mut pairs: Vec<(f64, bool)> = probabilities.iter().copied().zip(happened.iter().copied()).collect();
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let n = pairs.len();
    let bins = bins.min(n);
    let (each, more) = (n / bins, n % bins);
    let mut rest = pairs.as_slice();
    let mut sum = 0.0;
    for bin in 0..bins {
        let size = each + usize::from(bin < more);
        let (now, later) = rest.split_at(size.min(rest.len()));
        // Sums, not means: the weight of a bin is its size.
        let apart: f64 = now.iter().map(|(p, y)| p - f64::from(u8::from(*y))).sum();
        sum += apart.abs();
        rest = later;
    }
    Some(sum / n as f64)
}

fn fits(probabilities: &[f64], happened: &[bool]) -> bool {
    !probabilities.is_empty()
        && probabilities.len() == happened.len()
        && probabilities.iter().all(|p| (0.0..=1.0).contains(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// p = ((i * 37) % 101) / 100, y = (i * 53) % 97 < 97 p, for i in 0..60, but every seventh the other way.
    fn example() -> (Vec<f64>, Vec<bool>) {
        let p: Vec<f64> = (0..60_u32).map(|i| f64::from((i * 37) % 101) / 100.0).collect();
        let happened = |i: u32, p: f64| (f64::from((i * 53) % 97) < 97.0 * p) != i.is_multiple_of(7);
        let y = (0..60_u32).zip(&p).map(|(i, p)| happened(i, *p)).collect();
        (p, y)
    }

    const BRIER: f64 = 0.25115499999999996;
    const ERRORS: [(usize, f64); 5] = [
        (5, 0.1605),
        (10, 0.23316666666666663),
        (15, 0.29016666666666663),
        (60, 0.41616666666666663),
        (100, 0.41616666666666663),
    ];

    #[test]
    fn figures_are_those_of_scikit_learn_and_numpy() {
        // sklearn.metrics.brier_score_loss, scikit-learn 1.9.1; numpy.array_split of the sorted pairs, NumPy 1.26.
        let (p, y) = example();
        assert!((brier_score(&p, &y).unwrap() - BRIER).abs() < 1e-12, "{:?}", brier_score(&p, &y));
        for (bins, expected) in ERRORS {
            let seen = calibration_error(&p, &y, bins).unwrap();
            assert!((seen - expected).abs() < 1e-12, "{bins}: {seen}");
        }
    }

    #[test]
    fn order_does_not_matter_and_bad_input_has_no_figure() {
        let (mut p, mut y) = example();
        let before = calibration_error(&p, &y, 7);
        p.reverse();
        y.reverse();
        assert_eq!(calibration_error(&p, &y, 7), before);
        assert_eq!(calibration_error(&[0.5; 4], &[true, false, true, false], 2), Some(0.5));
        assert_eq!(calibration_error(&[1.0, 0.0], &[true, false], 50), Some(0.0));
        for bad in [&[][..], &[f64::NAN], &[1.5], &[0.1, 0.2]] {
            assert_eq!((brier_score(bad, &[true]), calibration_error(bad, &[true], 3)), (None, None));
        }
        assert_eq!(calibration_error(&[0.5], &[true], 0), None);
    }
}
