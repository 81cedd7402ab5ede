//! How well scores tell two groups apart: area under the curve with its interval, and the rate found at a fixed rate of false alarms.

/// Area under the receiver operating characteristic, with its interval at 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RocArea {
    /// Probability that a random positive scores above a random negative, ties counting one half.
    pub area: f64,
    /// Lower end, at least 0.
    pub low: f64,
    /// Upper end, at most 1.
    pub high: f64,
}

/// Area under the curve of `positives` (which should score high) against `negatives`, by ranks (Mann and Whitney 1947,
/// doi:10.1214/aoms/1177730491), with the interval of DeLong, DeLong and Clarke-Pearson (1988, doi:10.2307/2531595). The interval is
/// (0, 1) where a group has fewer than two values, and has no width where the groups are apart: then the sizes of the groups say
/// how much that is worth. `None` when a group is empty or a score is NaN.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn roc_area(positives: &[f64], negatives: &[f64]) -> Option<RocArea> {
    const Z: f64 = 1.959_963_984_540_054;
    if positives.is_empty() || negatives.is_empty() || positives.iter().chain(negatives).any(|v| v.is_nan()) {
        return None;
    }
    let (m, n) = (positives.len() as f64, negatives.len() as f64);
    let sorted = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    };
    let (up, down) = (sorted(positives), sorted(negatives));
    // Share of the other group that lies below a value, ties by half.
    let below = |others: &[f64], v: f64| {
        let less = others.partition_point(|o| *o < v);
        let not_more = others.partition_point(|o| *o <= v);
        f64::midpoint(less as f64, not_more as f64) / others.len() as f64
    };
    let of_positives: Vec<f64> = positives.iter().map(|v| below(&down, *v)).collect();
    let of_negatives: Vec<f64> = negatives.iter().map(|v| 1.0 - below(&up, *v)).collect();
    let area = crate::mean(&of_positives);
    if positives.len() < 2 || negatives.len() < 2 {
        return Some(RocArea { area, low: 0.0, high: 1.0 });
    }
    let deviation = |v: &[f64]| crate::standard_deviation(v);
    let error = (deviation(&of_positives).powi(2) / m + deviation(&of_negatives).powi(2) / n).sqrt();
    Some(RocArea { area, low: (area - Z * error).max(0.0), high: (area + Z * error).min(1.0) })
}

/// What is found at a fixed rate of false alarms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sensitivity {
    /// Positives above the threshold.
    pub found: usize,
    /// Negatives above the threshold.
    pub false_alarms: usize,
    /// A value counts when it is above this; infinite when no threshold is low enough to find anything.
    pub threshold: f64,
}

/// The lowest threshold whose false alarms among `negatives` are at most `rate` of them, and what it finds among `positives`. With fewer
/// than 1 / `rate` negatives no false alarm is allowed, so that the result errs towards finding less. `None` when a group is empty,
/// a score is NaN or `rate` is outside [0, 1].
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate of a count is between 0 and the count"
)]
pub fn sensitivity_at(positives: &[f64], negatives: &[f64], rate: f64) -> Option<Sensitivity> {
    let bad = positives.iter().chain(negatives).any(|v| v.is_nan()) || !(0.0..=1.0).contains(&rate);
    if positives.is_empty() || negatives.is_empty() || bad {
        return None;
    }
    let mut down = negatives.to_vec();
    down.sort_unstable_by(|a, b| b.total_cmp(a));
    // The small term keeps 0.001 * 1000 from being 0.
    let allowed = (rate * down.len() as f64 + 1e-9).floor() as usize;
    let threshold = down.get(allowed).copied().unwrap_or(f64::NEG_INFINITY);
    let above = |values: &[f64]| values.iter().filter(|v| **v > threshold).count();
    Some(Sensitivity { found: above(positives), false_alarms: above(negatives), threshold })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_scikit_learns_and_the_interval_delongs() {
        // sklearn.metrics.roc_auc_score 1.9.1; the variance by its definition over all pairs in NumPy.
        let found = roc_area(&[0.9, 0.8, 0.8, 0.4, 0.35], &[0.8, 0.5, 0.3, 0.2, 0.1, 0.05]).unwrap();
        assert!((found.area - 0.833_333_333_333_333_4).abs() < 1e-12);
        assert!((found.low - 0.580_514_017_440_002_7).abs() < 1e-9, "{found:?}");
        assert_eq!(found.high, 1.0);
        assert_eq!(roc_area(&[1.0, 1.0], &[1.0, 1.0, 1.0]).unwrap().area, 0.5);
        assert_eq!(roc_area(&[], &[1.0]), None);
        assert_eq!(roc_area(&[f64::NAN], &[1.0]), None);
        let single = roc_area(&[1.0], &[0.0]).unwrap();
        assert_eq!((single.area, single.low, single.high), (1.0, 0.0, 1.0));
    }

    #[test]
    fn false_alarms_never_exceed_the_rate() {
        let negatives: Vec<f64> = (0..1000).map(f64::from).collect();
        let positives = [999.5, 998.5, 997.5, 0.0];
        let at = |rate| sensitivity_at(&positives, &negatives, rate).unwrap();
        assert_eq!((at(0.001).found, at(0.001).false_alarms), (2, 1));
        assert_eq!((at(0.0).found, at(0.0).false_alarms), (1, 0));
        assert_eq!((at(1.0).found, at(1.0).false_alarms), (4, 1000));
        assert_eq!(sensitivity_at(&positives, &negatives[..10], 0.001).unwrap().false_alarms, 0);
        // Ties are on the careful side: a threshold cannot split them.
        assert_eq!(sensitivity_at(&[5.0, 5.0], &[5.0, 5.0, 1.0], 0.34).unwrap().found, 0);
        assert_eq!(sensitivity_at(&[1.0], &[], 0.1), None);
    }
}
