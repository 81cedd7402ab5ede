//! Exact intervals of a binomial rate: the incomplete beta function and the limits of Clopper and Pearson.

/// Terms of the continued fraction; it needs about the root of the larger argument, so this carries counts of 10^9.
const TERMS_MAX: u32 = 200_000;

/// Halvings of an interval of length 1: beyond these, `f64` has no more digits.
const HALVINGS: u32 = 64;

/// Natural logarithm of the gamma function by Lanczos' approximation (1964, doi:10.1137/0701008; coefficients of Godfrey for g = 7, nine
/// terms), relative error below 1e-13. `x` above 0; anything else gives NaN.
pub fn ln_gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    if x < 0.5 {
        // Reflection: the series is for arguments above one half.
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let z = x - 1.0;
    let mut sum = C[0];
    let mut place = z;
    for c in &C[1..] {
        place += 1.0;
        sum += c / place;
    }
    let t = z + G + 0.5;
    0.5 * std::f64::consts::TAU.ln() + (z + 0.5) * t.ln() - t + sum.ln()
}

/// Regularised incomplete beta function I_x(a, b), the distribution function of Beta(a, b): by its continued fraction (DLMF 8.17.22) with
/// the evaluation of Lentz (1976, doi:10.1364/AO.15.000668). `a`, `b` above 0, `x` in [0, 1]; the result is in [0, 1]; NaN outside.
pub fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if !(a > 0.0 && b > 0.0 && (0.0..=1.0).contains(&x)) {
        return f64::NAN;
    }
    if x == 0.0 || x == 1.0 {
        return x;
    }
    // The fraction converges quickly on one side of the mean; the other side is its complement.
    if x > (a + 1.0) / (a + b + 2.0) {
        return (1.0 - incomplete_beta_low(b, a, 1.0 - x)).clamp(0.0, 1.0);
    }
    incomplete_beta_low(a, b, x).clamp(0.0, 1.0)
}

fn incomplete_beta_low(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |v: f64| if v.abs() < TINY { TINY } else { v };
    let ln_front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for term in 1..=TERMS_MAX {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        let step = d * c;
        fraction *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (ln_front + fraction.ln() - a.ln()).exp()
}

/// Quantile of Beta(a, b) at `p` in [0, 1], by halving: the `x` with I_x(a, b) = p. NaN for arguments outside.
pub fn beta_quantile(a: f64, b: f64, p: f64) -> f64 {
    if !(a > 0.0 && b > 0.0 && (0.0..=1.0).contains(&p)) {
        return f64::NAN;
    }
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if incomplete_beta(a, b, middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The one-sided limits of Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404, for `hits` of `n`: with probability at least
/// 1 - `alpha` the true rate is above the first; with probability at least 1 - `alpha` it is below the second. A two-sided interval at
/// 1 - alpha takes alpha / 2. Never too narrow, unlike approximate intervals, which is what a certificate needs. (0, 1) for n = 0 or
/// `alpha` outside (0, 1); `hits` above `n` count as `n`.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn clopper_pearson(hits: u64, n: u64, alpha: f64) -> (f64, f64) {
    if n == 0 || !(alpha > 0.0 && alpha < 1.0) {
        return (0.0, 1.0);
    }
    let hits = hits.min(n);
    let (k, m) = (hits as f64, (n - hits) as f64);
    let low = if hits == 0 { 0.0 } else { beta_quantile(k, m + 1.0, alpha) };
    let high = if hits == n { 1.0 } else { beta_quantile(k + 1.0, m, 1.0 - alpha) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_and_gamma_functions_are_scipys() {
        // scipy.special.betainc, scipy.special.gammaln, SciPy 1.17.1.
        for (a, b, x, expected) in [
            (2.0, 3.0, 0.4, 0.524_799_999_999_999_9),
            (0.5, 0.5, 0.1, 0.204_832_764_699_133_45),
            (100.0, 1.0, 0.95, 0.005_920_529_220_334_001),
            (990.0, 11.0, 0.98, 0.010_236_548_159_763_346),
            (50_000.5, 50_000.5, 0.501, 0.736_456_094_586_664_3),
            (1.0, 9.0, 0.0, 0.0),
            (5.0, 2.0, 1.0, 1.0),
        ] {
            let found = incomplete_beta(a, b, x);
            assert!((found - expected).abs() < 1e-9, "I_{x}({a}, {b}) = {found}");
        }
        for (x, expected) in [
            (0.5, 0.572_364_942_924_7),
            (1.0, 0.0),
            (3.5, 1.200_973_602_347_074_3),
            (10.0, 12.801_827_480_081_469),
            (1000.25, 5_906.947_268_271_117_5),
        ] {
            assert!((ln_gamma(x) - expected).abs() < 1e-10 * expected.abs().max(1.0), "{x}");
        }
        assert!(incomplete_beta(-1.0, 1.0, 0.5).is_nan() && ln_gamma(0.0).is_nan());
        assert!(beta_quantile(1.0, 1.0, 2.0).is_nan());
    }

    #[test]
    fn exact_limits_are_scipys() {
        // scipy.stats.beta.ppf(alpha, k, n - k + 1) and ppf(1 - alpha, k + 1, n - k), SciPy 1.17.1.
        for (hits, n, alpha, low, high) in [
            (100, 100, 0.001, 0.933_254_300_796_991, 1.0),
            (990, 1000, 0.001, 0.976_036_187_155_311_4, 0.997_030_499_069_504_1),
            (60, 100, 0.001, 0.440_984_265_221_299_4, 0.745_463_795_420_825_9),
            (0, 100, 0.05, 0.0, 0.029_513_049_607_039_925),
            (99_900, 100_000, 0.001, 0.998_650_992_446_753, 0.999_280_688_615_002_5),
            (1, 10, 0.05, 0.005_116_196_891_823_701, 0.394_163_302_436_502_46),
        ] {
            let found = clopper_pearson(hits, n, alpha);
            assert!((found.0 - low).abs() < 1e-9 && (found.1 - high).abs() < 1e-9, "{hits}/{n}: {found:?}");
        }
        assert_eq!(clopper_pearson(0, 0, 0.05), (0.0, 1.0));
        assert_eq!(clopper_pearson(3, 9, 0.0), (0.0, 1.0));
    }
}
