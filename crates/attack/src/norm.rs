//! Perturbation budgets: a norm, a radius, and the unit box around everything.

use serde::{Deserialize, Serialize};

/// How the size of a perturbation is measured, in the unit box.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Largest change of one value.
    Linf,
    /// Root of the sum of squares.
    L2,
    /// Sum of absolute changes.
    L1,
    /// Number of values changed (for images: of values, not of pixels with all their channels).
    L0,
}

impl Norm {
    /// Name as written in suites and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linf => "linf",
            Self::L2 => "l2",
            Self::L1 => "l1",
            Self::L0 => "l0",
        }
    }

    /// Size of `x - start`; NaN when a value is NaN. The lengths must be equal.
    pub fn distance(self, start: &[f32], x: &[f32]) -> f64 {
        let changes = start.iter().zip(x).map(|(a, b)| (f64::from(*b) - f64::from(*a)).abs());
        match self {
            Self::Linf => changes.fold(0.0, |m, c| if c.is_nan() || c > m { c } else { m }),
            Self::L2 => changes.map(|c| c * c).sum::<f64>().sqrt(),
            Self::L1 => changes.sum(),
            Self::L0 => changes.map(|c| if c.is_nan() { c } else { f64::from(u8::from(c > 0.0)) }).sum(),
        }
    }
}

/// All rows within `epsilon` of a start, in the unit box.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ball {
    /// How distance is measured.
    pub norm: Norm,
    /// Radius, in the unit box: 8/255 is eight grey levels. For L0, the number of values.
    pub epsilon: f64,
}

/// Rounding that a distance may exceed the radius by: single precision over a row of a few thousand values.
pub const EPSILON_SLACK: f64 = 2e-6;

impl Ball {
    /// Whether `x` is within the radius of `start` and in the unit box, up to rounding.
    pub fn contains(&self, start: &[f32], x: &[f32]) -> bool {
        let inside = x.iter().all(|v| (0.0..=1.0).contains(v));
        inside && self.admits(self.norm.distance(start, x))
    }

    /// Whether `distance` is within the radius, up to rounding.
    pub fn admits(&self, distance: f64) -> bool {
        distance <= self.epsilon * (1.0 + EPSILON_SLACK) + EPSILON_SLACK
    }

    /// Moves `x` to the nearest row (in the Euclidean sense) that is in the unit box and within the radius of `start`, exactly: ball and box at once, so that no budget is
    /// lost where the box cuts the ball. A value that is not a number goes back to its start. `start` must lie in the box; the lengths must be equal.
    /// For L1: Croce and Hein 2021, arXiv:2103.01208; for L0: Croce and Hein 2019, arXiv:1909.05040.
    pub fn project(&self, start: &[f32], x: &mut [f32]) {
        for (v, s) in x.iter_mut().zip(start) {
            if v.is_nan() {
                *v = *s;
            }
        }
        match self.norm {
            Norm::Linf => project_linf(start, x, self.epsilon),
            Norm::L0 => project_l0(start, x, self.epsilon),
            Norm::L2 | Norm::L1 => self.project_rounded(start, x),
        }
    }

    /// L2 and L1: rounding to single precision may carry the sum a little beyond the radius, so the radius is drawn in until it does not.
    fn project_rounded(&self, start: &[f32], x: &mut [f32]) {
        let mut radius = self.epsilon;
        for _ in 0..ROUNDINGS_MAX {
            if self.norm == Norm::L2 {
                project_l2(start, x, radius);
            } else {
                project_l1(start, x, radius);
            }
            let distance = self.norm.distance(start, x);
            if distance <= self.epsilon {
                return;
            }
            radius -= 2.0 * (distance - self.epsilon);
        }
    }

    /// A random row of the ball and the box, into `x`: uniform for Linf; for L2 and L1 of the full radius in a random direction; for L0 that many values, each at an end of the
    /// box. Attacks start here.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounded to the precision of the rows, then projected"
    )]
    pub fn random(&self, start: &[f32], rng: &mut numeric::Rng, x: &mut [f32]) {
        x.copy_from_slice(start);
        match self.norm {
            Norm::Linf => {
                for v in x.iter_mut() {
                    *v += rng.range(-self.epsilon, self.epsilon) as f32;
                }
            }
            Norm::L2 => {
                let draws: Vec<f64> = x.iter().map(|_| rng.normal()).collect();
                let length = draws.iter().map(|d| d * d).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
                for (v, d) in x.iter_mut().zip(draws) {
                    *v += (d / length * self.epsilon) as f32;
                }
            }
            Norm::L1 => {
                let draws: Vec<f64> = x.iter().map(|_| -(1.0 - rng.uniform()).ln()).collect();
                let length = draws.iter().sum::<f64>().max(f64::MIN_POSITIVE);
                for (v, d) in x.iter_mut().zip(draws) {
                    *v += (rng.sign() * d / length * self.epsilon) as f32;
                }
            }
            Norm::L0 => {
                for place in rng.permutation(start.len()).into_iter().take(self.places()) {
                    if let Some(v) = x.get_mut(place) {
                        *v = if rng.uniform() < 0.5 { 0.0 } else { 1.0 };
                    }
                }
            }
        }
        self.project(start, x);
    }

    /// Moves `x` by a step of size `by` in this norm, along the direction in which a linear function with this `gradient` rises most within the norm; no projection.
    /// For L1 the step is spread over the [`SPARSE_SHARE`] of values with the steepest slopes that still have room in the box (as in Tramer and Boneh 2019, arXiv:1904.13000);
    /// for L0 the largest slope moves its value by `by`, the others in proportion (Croce and Hein 2019). A gradient without a finite, positive size moves nothing.
    #[expect(clippy::cast_possible_truncation, reason = "rounded to the precision of the rows")]
    pub fn ascend(&self, gradient: &[f32], by: f64, x: &mut [f32]) {
        match self.norm {
            Norm::Linf => {
                let by = by as f32;
                for (v, g) in x.iter_mut().zip(gradient) {
                    *v += if *g > 0.0 {
                        by
                    } else if *g < 0.0 {
                        -by
                    } else {
                        0.0
                    };
                }
            }
            Norm::L2 => {
                let length = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
                scaled(gradient, by / length, x);
            }
            Norm::L1 => {
                #[expect(clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a row")]
                let count = ((x.len() as f64 * SPARSE_SHARE).ceil() as usize).max(1);
                ascend_sparse(gradient, count, by, x);
            }
            Norm::L0 => {
                let top = gradient.iter().fold(0.0_f64, |m, g| m.max(f64::from(g.abs())));
                scaled(gradient, by / top, x);
            }
        }
    }

    /// How many values may change under L0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count; negative becomes 0"
    )]
    pub fn places(&self) -> usize {
        (self.epsilon + EPSILON_SLACK).max(0.0) as usize
    }
}

/// Share of the values that a step in L1 moves.
pub const SPARSE_SHARE: f64 = 0.05;

/// How often the radius is drawn in to make up for rounding.
const ROUNDINGS_MAX: usize = 8;

/// Halvings of an interval until it is below double precision.
const HALVINGS: usize = 60;

#[expect(clippy::cast_possible_truncation, reason = "rounded to the precision of the rows")]
fn scaled(gradient: &[f32], factor: f64, x: &mut [f32]) {
    if !factor.is_finite() {
        return;
    }
    for (v, g) in x.iter_mut().zip(gradient) {
        *v += (f64::from(*g) * factor) as f32;
    }
}

/// Moves the `count` values with the steepest slopes that have room in the box, each by `by / count`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "rounded to the precision of the rows"
)]
pub(crate) fn ascend_sparse(gradient: &[f32], count: usize, by: f64, x: &mut [f32]) {
    let slope = |g: f32, v: f32| if (g > 0.0 && v < 1.0) || (g < 0.0 && v > 0.0) { g.abs() } else { 0.0 };
    let mut steep: Vec<f32> =
        gradient.iter().zip(x.iter()).map(|(g, v)| slope(*g, *v)).filter(|s| *s > 0.0).collect();
    let count = count.min(steep.len());
    if count == 0 {
        return;
    }
    let at = steep.len() - count;
    let (_, limit, _) = steep.select_nth_unstable_by(at, f32::total_cmp);
    let (limit, each) = (*limit, (by / count as f64) as f32);
    for (v, g) in x.iter_mut().zip(gradient) {
        if slope(*g, *v) >= limit {
            *v += each.copysign(*g);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounded to the precision of the rows")]
fn project_linf(start: &[f32], x: &mut [f32], epsilon: f64) {
    for (v, s) in x.iter_mut().zip(start) {
        let s = f64::from(*s);
        *v = v.max((s - epsilon).max(0.0) as f32).min((s + epsilon).min(1.0) as f32);
    }
}

/// The change is scaled by the one factor with which, cut by the box, it has the radius. Found by fixing what the box cuts and solving for the rest: the factor
/// only grows, so the set that is cut only grows, and it ends.
#[expect(clippy::cast_possible_truncation, reason = "rounded to the precision of the rows")]
fn project_l2(start: &[f32], x: &mut [f32], radius: f64) {
    let square = radius.max(0.0).powi(2);
    let sums = |x: &[f32], factor: f64| {
        let (mut free, mut cut) = (0.0, 0.0);
        for (v, s) in x.iter().zip(start) {
            let (v, s) = (f64::from(*v), f64::from(*s));
            let moved = s + factor * (v - s);
            if (0.0..=1.0).contains(&moved) {
                free += (v - s).powi(2);
            } else {
                cut += (moved.clamp(0.0, 1.0) - s).powi(2);
            }
        }
        (free, cut)
    };
    let mut factor = 1.0;
    let (free, cut) = sums(x, factor);
    if free + cut > square {
        let whole: f64 = x.iter().zip(start).map(|(v, s)| (f64::from(*v) - f64::from(*s)).powi(2)).sum();
        factor = (square / whole).sqrt();
        for _ in 0..HALVINGS {
            let (free, cut) = sums(x, factor);
            let next = if free > 0.0 { ((square - cut).max(0.0) / free).sqrt().min(1.0) } else { factor };
            if next <= factor * (1.0 + 1e-12) {
                break;
            }
            factor = next;
        }
    }
    for (v, s) in x.iter_mut().zip(start) {
        let s = f64::from(*s);
        *v = (s + factor * (f64::from(*v) - s)).clamp(0.0, 1.0) as f32;
    }
}

/// Every change is drawn in by the one amount with which, cut by the box, their sizes sum to the radius.
#[expect(clippy::cast_possible_truncation, reason = "rounded to the precision of the rows")]
fn project_l1(start: &[f32], x: &mut [f32], radius: f64) {
    let radius = radius.max(0.0);
    let moved = |v: f32, s: f32, less: f64| {
        let change = f64::from(v) - f64::from(s);
        let room = if change > 0.0 { 1.0 - f64::from(s) } else { f64::from(s) };
        (change.abs() - less).max(0.0).min(room).copysign(change)
    };
    let sum = |x: &[f32], less: f64| x.iter().zip(start).map(|(v, s)| moved(*v, *s, less).abs()).sum::<f64>();
    let mut high = 0.0;
    if sum(x, 0.0) > radius {
        high = x.iter().zip(start).fold(0.0, |m: f64, (v, s)| m.max(f64::from((v - s).abs()) + 1e-6));
        let mut low = 0.0;
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if sum(x, middle) > radius {
                low = middle;
            } else {
                high = middle;
            }
        }
    }
    for (v, s) in x.iter_mut().zip(start) {
        *v = (f64::from(*s) + moved(*v, *s, high)).clamp(0.0, 1.0) as f32;
    }
}

/// Keeps the changes that bring `x`, cut by the box, nearest to itself: those with the largest difference of squares. Of equals, the first.
fn project_l0(start: &[f32], x: &mut [f32], epsilon: f64) {
    let places = Ball { norm: Norm::L0, epsilon }.places();
    let gain = |v: f32, s: f32| {
        let (change, lost) = (f64::from(v) - f64::from(s), f64::from(v) - f64::from(v).clamp(0.0, 1.0));
        change * change - lost * lost
    };
    let mut order: Vec<(f64, usize)> =
        x.iter().zip(start).enumerate().map(|(at, (v, s))| (gain(*v, *s), at)).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (rank, (_, at)) in order.into_iter().enumerate() {
        if let (Some(v), Some(s)) = (x.get_mut(at), start.get(at)) {
            *v = if rank < places { v.clamp(0.0, 1.0) } else { *s };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random starts in the box and rows around them, some far outside, some starts on its edge.
    fn rows(seed: u64) -> (Vec<f32>, Vec<f32>) {
        let mut rng = numeric::Rng::new(seed, 0);
        let edge = |v: f64| {
            if v < 0.15 {
                0.0
            } else if v > 0.85 {
                1.0
            } else {
                v
            }
        };
        let start: Vec<f32> = (0..40).map(|_| edge(rng.uniform()) as f32).collect();
        let x = start.iter().map(|s| s + rng.normal() as f32 * 0.7).collect();
        (start, x)
    }

    #[test]
    fn a_projection_is_in_ball_and_box_and_nothing_in_them_is_nearer() {
        for seed in 0..40 {
            let (start, x) = rows(seed);
            for (norm, epsilon) in [(Norm::Linf, 0.2), (Norm::L2, 1.3), (Norm::L1, 4.0), (Norm::L0, 5.0)] {
                let ball = Ball { norm, epsilon };
                let mut nearest = x.clone();
                ball.project(&start, &mut nearest);
                assert!(ball.norm.distance(&start, &nearest) <= epsilon + 1e-7, "{norm:?}");
                assert!(ball.contains(&start, &nearest), "{norm:?}");
                let mut again = nearest.clone();
                ball.project(&start, &mut again);
                assert!(Norm::L2.distance(&nearest, &again) < 1e-5, "{norm:?}: a second projection moved it");
                let reached = Norm::L2.distance(&x, &nearest);
                let mut rng = numeric::Rng::new(seed, 1);
                let mut other = vec![0.0; x.len()];
                for share in [0.01, 0.1, 1.0] {
                    for _ in 0..20 {
                        // Rows of the ball near the projection: between it and another member; convex, save for L0.
                        ball.random(&start, &mut rng, &mut other);
                        let near: Vec<f32> =
                            nearest.iter().zip(&other).map(|(n, o)| n + share * (o - n)).collect();
                        if norm != Norm::L0 || share == 1.0 {
                            assert!(Norm::L2.distance(&x, &near) >= reached - 1e-5, "{norm:?} {share}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_inside_stays_and_not_a_number_goes_home() {
        for norm in [Norm::Linf, Norm::L2, Norm::L1, Norm::L0] {
            let ball = Ball { norm, epsilon: 2.0 };
            let (start, mut x) = ([0.2, 0.8, 0.5], [0.3, 0.8, 0.4]);
            ball.project(&start, &mut x);
            assert_eq!(x, [0.3, 0.8, 0.4], "{norm:?}");
            x[1] = f32::NAN;
            ball.project(&start, &mut x);
            assert_eq!(x, [0.3, 0.8, 0.4], "{norm:?}");
            Ball { norm, epsilon: 0.0 }.project(&start, &mut x);
            assert_eq!(x, start, "{norm:?}");
        }
    }

    #[test]
    fn a_step_is_as_long_as_asked_and_uphill() {
        let gradient = [3.0, -4.0, 0.0, 0.5];
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            let ball = Ball { norm, epsilon: 1.0 };
            let mut x = [0.5_f32; 4];
            ball.ascend(&gradient, 0.1, &mut x);
            assert!((norm.distance(&[0.5; 4], &x) - 0.1).abs() < 1e-6, "{norm:?}: {x:?}");
            assert!(x.iter().zip(gradient).all(|(v, g)| (v - 0.5) * g >= 0.0), "{norm:?}: {x:?}");
            let mut still = [0.5_f32; 4];
            ball.ascend(&[0.0; 4], 0.1, &mut still);
            assert_eq!(still, [0.5; 4]);
        }
    }
}
