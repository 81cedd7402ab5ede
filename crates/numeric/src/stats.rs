//! Order statistics, robust scale, conformal quantiles and intervals.

/// Factor from the median absolute deviation to the standard deviation of a normal distribution: 1 / Φ⁻¹(3/4).
pub const MAD_TO_SIGMA: f64 = 1.482_602_218_505_602;

/// Arithmetic mean; NaN for no values.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation with n - 1 in the denominator; NaN for fewer than two values.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn standard_deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    let centre = mean(values);
    (values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

/// Quantile of **sorted** values at `p` in [0, 1] by linear interpolation: type 7 of Hyndman and Fan (1996),
/// doi:10.1080/00031305.1996.10473566, the default of R and NumPy. NaN for no values; `p` outside is clamped.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the position is between 0 and n - 1"
)]
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = p.clamp(0.0, 1.0) * last as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(last);
    let (a, b) = (sorted[low.min(last)], sorted[high]);
    a + (b - a) * (at - at.floor())
}

/// Median; sorts `values`. NaN for no values. NaN values sort last (IEEE 754 total order).
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    quantile(values, 0.5)
}

/// Where a feature's values lie and how far they spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// The median.
    pub centre: f64,
    /// Spread comparable to a standard deviation, always above 0.
    pub spread: f64,
}

/// Median and a spread that survives outliers: the scaled median absolute deviation; when that is 0 because more
/// than half of the values are equal, the standard deviation; when that is 0 too, 1 (a constant feature).
/// `None` for no values or values that are not finite.
pub fn robust_scale(values: &[f64]) -> Option<Scale> {
    if values.is_empty() || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mut work = values.to_vec();
    let centre = median(&mut work);
    work.iter_mut().for_each(|v| *v = (*v - centre).abs());
    let mad = median(&mut work) * MAD_TO_SIGMA;
    let deviation = standard_deviation(values);
    let spread = [mad, deviation].into_iter().find(|s| *s > 1e-12).unwrap_or(1.0);
    Some(Scale { centre, spread })
}

/// The split-conformal quantile: the ⌈(n + 1)(1 - alpha)⌉-th smallest of **sorted** scores, so that a new
/// exchangeable score is above it with probability at most `alpha` (Vovk, Gammerman and Shafer 2005,
/// doi:10.1007/b106715; Lei et al. 2018, doi:10.1080/01621459.2017.1307116). `None` when n is too small for that
/// `alpha`, that is when (n + 1) · alpha < 1.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the rank is between 1 and n + 1"
)]
pub fn conformal_quantile(sorted: &[f64], alpha: f64) -> Option<f64> {
    let n = sorted.len();
    // The small term keeps 0.9 * 10 from rounding up to rank 10.
    let rank = ((n as f64 + 1.0) * (1.0 - alpha) - 1e-9).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

/// Conformal p-value of `score` among **sorted** calibration scores, large scores being strange:
/// (1 + #{calibration ≥ score}) / (n + 1), in (0, 1]. A score that is NaN counts as the strangest.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn conformal_p(sorted: &[f64], score: f64) -> f64 {
    let below = sorted.partition_point(|s| *s < score);
    let at_least = if score.is_nan() { 0 } else { sorted.len() - below };
    (1.0 + at_least as f64) / (sorted.len() as f64 + 1.0)
}

/// Quantile of the standard normal distribution by Acklam's rational approximation (2003), relative error below
/// 1.2e-9. `p` in (0, 1); 0 and 1 give the infinities, anything else NaN.
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let poly = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, k| sum * x + k);
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p == 0.0 || p == 1.0 {
        return if p == 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    if !(0.024_25..=1.0 - 0.024_25).contains(&p) {
        let q = (-2.0 * p.min(1.0 - p).ln()).sqrt();
        let tail = poly(&C, q) / (poly(&D, q) * q + 1.0);
        return if p < 0.5 { tail } else { -tail };
    }
    let q = p - 0.5;
    let r = q * q;
    poly(&A, r) * q / (poly(&B, r) * r + 1.0)
}

/// Distribution function of the standard normal, Φ(x), within 1e-15 of the true value: by the Taylor series near 0 and Laplace's
/// continued fraction of the tail beyond 3 (Abramowitz and Stegun 1964, 26.2.11 and 26.2.14). NaN gives NaN.
pub fn normal_cdf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let density = (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let size = x.abs();
    if size > 3.0 {
        let fraction = (1..=60).rev().map(f64::from).fold(size, |below, k| size + k / below);
        let tail = density / fraction;
        return if x < 0.0 { tail } else { 1.0 - tail };
    }
    let (mut term, mut sum) = (x, x);
    for k in (3..=101).step_by(2).map(f64::from) {
        term *= x * x / k;
        sum += term;
        if term.abs() < 1e-17 {
            break;
        }
    }
    0.5 + density * sum
}

/// Wilson's score interval for `hits` of `n` at 95 % (1927), doi:10.1080/01621459.1927.10502953: the honest range
/// of a measured rate. (0, 1) for n = 0.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn wilson_interval(hits: usize, n: usize) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if n == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (n as f64, hits as f64 / n as f64);
    let centre = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0))
}

/// Turns logits into probabilities in place, shifted by the maximum so that nothing overflows. Empty input stays
/// empty; a NaN makes all of them NaN.
pub fn softmax_in_place(logits: &mut [f32]) {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for v in logits.iter_mut() {
        *v = (*v - top).exp();
        sum += *v;
    }
    logits.iter_mut().for_each(|v| *v /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([1, 2, 4, 8], [0, .25, .5, .9, 1]), NumPy 2.
        let values = [1.0, 2.0, 4.0, 8.0];
        for (p, expected) in [(0.0, 1.0), (0.25, 1.75), (0.5, 3.0), (0.9, 6.8), (1.0, 8.0)] {
            assert!((quantile(&values, p) - expected).abs() < 1e-12);
        }
        assert!(quantile(&[], 0.5).is_nan() && median(&mut []).is_nan());
    }

    #[test]
    fn normal_quantiles_are_scipys() {
        // scipy.stats.norm.ppf
        for (p, expected) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.001, -3.090_232_306_167_813_5),
            (0.75, 0.674_489_750_196_081_7),
        ] {
            assert!((normal_quantile(p) - expected).abs() < 1e-8, "{p}");
        }
    }

    #[test]
    fn normal_probabilities_are_scipys() {
        // scipy.stats.norm.cdf, SciPy 1.17
        for (x, expected) in [
            (0.0, 0.5),
            (-1.0, 0.158_655_253_931_457_05),
            (2.999, 0.998_645_663_466_272_9),
            (3.001, 0.998_654_527_174_915),
            (-3.5, 0.000_232_629_079_035_525_04),
            (-8.0, 6.220_960_574_271_74e-16),
            (f64::INFINITY, 1.0),
            (f64::NEG_INFINITY, 0.0),
        ] {
            let seen = normal_cdf(x);
            assert!((seen - expected).abs() < 1e-15, "{x}: {seen} {expected}");
        }
        assert!(normal_cdf(f64::NAN).is_nan());
    }

    #[test]
    fn wilson_is_the_published_interval() {
        // statsmodels.stats.proportion.proportion_confint(1, 10, method="wilson")
        let (low, high) = wilson_interval(1, 10);
        assert!((low - 0.017_876_213).abs() < 1e-6 && (high - 0.404_150_02).abs() < 1e-6, "{low} {high}");
        assert_eq!(wilson_interval(0, 0), (0.0, 1.0));
    }

    #[test]
    fn a_constant_feature_has_spread_one_and_a_rare_one_its_deviation() {
        assert_eq!(robust_scale(&[3.0; 5]), Some(Scale { centre: 3.0, spread: 1.0 }));
        assert!(robust_scale(&[0.0, 0.0, 0.0, 1.0]).unwrap().spread > 0.4);
        assert_eq!(robust_scale(&[]), None);
        assert_eq!(robust_scale(&[f64::NAN]), None);
    }

    #[test]
    fn too_few_scores_give_no_conformal_quantile() {
        let scores: Vec<f64> = (1..=99).map(f64::from).collect();
        assert_eq!(conformal_quantile(&scores, 0.01), Some(99.0));
        assert_eq!(conformal_quantile(&scores[..98], 0.01), None);
        assert_eq!(conformal_quantile(&scores[..9], 0.1), Some(9.0));
    }

    proptest! {
        #[test]
        fn at_most_alpha_of_exchangeable_scores_lie_above_the_conformal_quantile(
            mut scores in proptest::collection::vec(-1e3..1e3_f64, 20..200), alpha in 0.06..0.5_f64,
        ) {
            // Leave-one-out over the whole set is the exchangeability argument itself.
            scores.sort_unstable_by(f64::total_cmp);
            let above = (0..scores.len()).filter(|&i| {
                let mut rest = scores.clone();
                let own = rest.remove(i);
                conformal_quantile(&rest, alpha).is_some_and(|q| own > q)
            }).count();
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let rate = above as f64 / scores.len() as f64;
            prop_assert!(rate <= alpha + 1e-9);
        }

        #[test]
        fn p_values_are_in_range_and_fall_with_the_score(
            mut scores in proptest::collection::vec(-1e3..1e3_f64, 0..50), a in -1e3..1e3_f64, b in -1e3..1e3_f64,
        ) {
            scores.sort_unstable_by(f64::total_cmp);
            let (low, high) = (a.min(b), a.max(b));
            let (pl, ph) = (conformal_p(&scores, low), conformal_p(&scores, high));
            prop_assert!(ph > 0.0 && ph <= pl && pl <= 1.0);
        }

        #[test]
        fn softmax_sums_to_one(mut v in proptest::collection::vec(-80.0..80.0_f32, 1..20)) {
            softmax_in_place(&mut v);
            prop_assert!((v.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        }
    }
}
