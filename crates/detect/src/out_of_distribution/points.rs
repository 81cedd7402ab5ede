//! Scores for points in space: rows of a table, or activations of a model.

use std::sync::OnceLock;

use numeric::{
    Matrix, Principal, RobustCovariance, principal_components, quantile, robust_covariance, robust_scale,
};
use serde::{Deserialize, Serialize};

use super::Work;
use crate::FitError;

/// Distance to the centre and to the nearest reference points, each brought to the same scale by its logarithm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Points {
    /// For each column the floor above which its logarithm is taken; 0 for columns that are taken as they are.
    floors: Vec<f32>,
    centre: Vec<f32>,
    /// Reciprocal spreads.
    per_spread: Vec<f32>,
    /// Rotation to fewer dimensions, for wide data.
    principal: Option<Principal>,
    covariance: RobustCovariance,
    anchors: Matrix,
    #[serde(skip)]
    blocks: Blocks,
    /// Middle and spread of the logarithm of both distances on calibration data.
    levels: [Level; 2],
}

/// Anchors compared at once.
const TOGETHER: usize = 32;

/// The anchors once more, [`TOGETHER`] at a time and axis by axis, so that one instruction serves many; made at first use. What
/// is missing in the last block is infinitely far away.
#[derive(Debug, Clone, Default)]
struct Blocks(OnceLock<Vec<[f32; TOGETHER]>>);

/// They say the same as the anchors.
impl PartialEq for Blocks {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Blocks {
    fn of(&self, anchors: &Matrix) -> &[[f32; TOGETHER]] {
        self.0.get_or_init(|| {
            let blocks = anchors.rows.div_ceil(TOGETHER);
            let mut all = vec![[f32::INFINITY; TOGETHER]; blocks * anchors.cols];
            for (r, anchor) in anchors.iter_rows().enumerate() {
                let block = &mut all[r / TOGETHER * anchors.cols..];
                block.iter_mut().zip(anchor).for_each(|(axis, v)| axis[r % TOGETHER] = *v);
            }
            all
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Level {
    middle: f32,
    spread: f32,
}

/// Neighbours whose distances are averaged: one alone is noisy, many blur small groups of patients.
const NEIGHBOURS: usize = 5;

/// Dimensions kept of wide data: what carries the distances, and a bound on the time.
const DIMENSIONS_MAX: usize = 48;

/// Robust deviations beyond which a single value adds no more, so that one wild value cannot overflow.
const CLIP: f32 = 50.0;

/// Share of the reference rows that may be wrong without bending the covariance: a quarter.
const KEEP: f64 = 0.75;

/// Rows that the covariance is computed on at most.
const COVARIANCE_ROWS_MAX: usize = 2_048;

/// Rows needed to speak of a distribution at all.
pub(crate) const ROWS_MIN: usize = 20;

impl Points {
    /// Learns scales, covariance and anchors.
    pub(crate) fn fit(data: &Matrix, anchors_max: usize, seed: u64) -> Result<Self, FitError> {
        if data.rows < ROWS_MIN || data.cols == 0 {
            return Err(FitError::TooFewRows { what: "fit", rows: data.rows, needed: ROWS_MIN });
        }
        let floors: Vec<f32> = (0..data.cols).map(|j| floor_of(&mut data.column(j))).collect();
        let logged = Matrix {
            rows: data.rows,
            cols: data.cols,
            data: data.iter_rows().flat_map(|r| r.iter().zip(&floors).map(|(v, f)| eased(*v, *f))).collect(),
        };
        let data = &logged;
        let scales: Option<Vec<_>> = (0..data.cols).map(|j| robust_scale(&data.column(j))).collect();
        let scales = scales.ok_or(FitError::NotFinite { what: "fit" })?;
        #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
        let (centre, per_spread): (Vec<f32>, Vec<f32>) =
            scales.iter().map(|s| (s.centre as f32, (1.0 / s.spread) as f32)).unzip();
        let mut scaled =
            Matrix { rows: data.rows, cols: data.cols, data: Vec::with_capacity(data.data.len()) };
        for row in data.iter_rows() {
            scaled.data.extend(row.iter().zip(&centre).zip(&per_spread).map(|((v, c), s)| scale(*v, *c, *s)));
        }
        let mut principal = None;
        if data.cols > DIMENSIONS_MAX {
            let axes =
                principal_components(&some_rows(&scaled, COVARIANCE_ROWS_MAX, seed), DIMENSIONS_MAX, seed);
            scaled = rotate(&axes, &scaled);
            principal = Some(axes);
        }
        let covariance = robust_covariance(&some_rows(&scaled, COVARIANCE_ROWS_MAX, seed), KEEP)
            .ok_or(FitError::Degenerate { what: "fit" })?;
        let anchors = some_rows(&scaled, anchors_max, seed.wrapping_add(1));
        let levels = [Level { middle: 0.0, spread: 1.0 }; 2];
        let blocks = Blocks::default();
        Ok(Self { floors, centre, per_spread, principal, covariance, anchors, blocks, levels })
    }

    /// Brings both distances to one scale on held-out data and gives its scores.
    #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
    pub(crate) fn calibrate(&mut self, held_out: &Matrix) -> Vec<f64> {
        let mut work = Work::default();
        let pairs: Vec<[f32; 2]> = held_out.iter_rows().map(|row| self.distances(row, &mut work)).collect();
        for (k, level) in self.levels.iter_mut().enumerate() {
            let values: Vec<f64> = pairs.iter().map(|p| f64::from(p[k])).collect();
            if let Some(s) = robust_scale(&values) {
                *level = Level { middle: s.centre as f32, spread: s.spread as f32 };
            }
        }
        pairs.iter().map(|p| f64::from(self.combine(*p))).collect()
    }

    /// Width of a row before rotation.
    pub(crate) fn width(&self) -> usize {
        self.centre.len()
    }

    pub(crate) fn is_consistent(&self, width: usize) -> bool {
        let inner = self.principal.as_ref().map_or(width, Principal::len);
        self.centre.len() == width
            && self.per_spread.len() == width
            && self.floors.len() == width
            && self.principal.as_ref().is_none_or(|p| p.is_consistent() && p.mean.len() == width)
            && self.covariance.is_consistent()
            && self.covariance.centre.len() == inner
            && self.anchors.is_consistent()
            && self.anchors.cols == inner
            && self.anchors.rows > 0
    }

    /// Large is strange; NaN for another width or values that are not finite.
    pub(crate) fn score(&self, row: &[f32], work: &mut Work) -> f32 {
        if row.len() != self.centre.len() || !numeric::all_finite(row) {
            return f32::NAN;
        }
        let distances = self.distances(row, work);
        self.combine(distances)
    }

    fn combine(&self, distances: [f32; 2]) -> f32 {
        let of = |k: usize| (distances[k] - self.levels[k].middle) / self.levels[k].spread;
        of(0).max(of(1))
    }

    /// Logarithms of the distance to the centre and of the mean distance to the nearest anchors.
    fn distances(&self, row: &[f32], work: &mut Work) -> [f32; 2] {
        let Work { a, b, c } = work;
        a.clear();
        let columns = self.floors.iter().zip(&self.centre).zip(&self.per_spread);
        a.extend(row.iter().zip(columns).map(|(v, ((f, m), s))| scale(eased(*v, *f), *m, *s)));
        if let Some(principal) = &self.principal {
            principal.project(a, b);
            std::mem::swap(a, b);
        }
        let nearest = self.nearest(a);
        for (v, m) in a.iter_mut().zip(&self.covariance.centre) {
            *v -= m;
        }
        let centre = self.covariance.factor.squared_length(a, c).max(0.0).sqrt();
        [(centre + 1e-6).ln(), (nearest + 1e-6).ln()]
    }

    /// Mean distance to the [`NEIGHBOURS`] nearest anchors.
    fn nearest(&self, point: &[f32]) -> f32 {
        let blocks = self.blocks.of(&self.anchors);
        let mut best = [f32::INFINITY; NEIGHBOURS];
        pulp::Arch::new().dispatch(Look { blocks, point, best: &mut best });
        let found = best.iter().filter(|d| d.is_finite());
        let (sum, count) = found.fold((0.0, 0.0_f32), |(s, n), d| (s + d.sqrt(), n + 1.0));
        sum / count.max(1.0)
    }
}

/// A column whose values are all above 0 and lean to the right is looked at by its logarithm: in clinical data that
/// makes products and ratios straight lines. The floor is a thousandth of its lowest value.
fn floor_of(column: &mut [f64]) -> f32 {
    column.sort_unstable_by(f64::total_cmp);
    let [low, middle, high] = [0.0228, 0.5, 0.9772].map(|p| quantile(column, p));
    let leans = high + low - 2.0 * middle > 0.1 * (high - low);
    #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
    let floor = column.first().map_or(0.0, |v| *v as f32 * 1e-3);
    if leans && floor > 0.0 { floor } else { 0.0 }
}

/// The logarithm above the floor, or the value itself where there is none.
fn eased(value: f32, floor: f32) -> f32 {
    if floor > 0.0 { value.max(floor).ln() } else { value }
}

fn scale(value: f32, centre: f32, per_spread: f32) -> f32 {
    ((value - centre) * per_spread).clamp(-CLIP, CLIP)
}

/// Keeps the smallest squared distances between `point` and the anchors. Inlined into what `pulp` compiles for each kind of
/// processor; sums are taken axis by axis whatever its vectors' width, so that all give the same bits.
struct Look<'a> {
    blocks: &'a [[f32; TOGETHER]],
    point: &'a [f32],
    best: &'a mut [f32; NEIGHBOURS],
}

impl pulp::WithSimd for Look<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { blocks, point, best } = self;
        for block in blocks.chunks_exact(point.len().max(1)) {
            let mut sums = [0.0_f32; TOGETHER];
            for (axis, x) in block.iter().zip(point) {
                for k in 0..TOGETHER {
                    let d = x - axis[k];
                    sums[k] += d * d;
                }
            }
            for d in sums {
                if d < best[NEIGHBOURS - 1] {
                    // Each keeps the smaller and hands the larger on.
                    let mut rest = d;
                    for kept in best.iter_mut() {
                        (*kept, rest) = (kept.min(rest), kept.max(rest));
                    }
                }
            }
        }
    }
}

/// At most `max` rows, drawn with `seed` and kept in their order.
pub(crate) fn some_rows(data: &Matrix, max: usize, seed: u64) -> Matrix {
    if data.rows <= max {
        return data.clone();
    }
    let mut order = numeric::Rng::new(seed, 0x726f_7773).permutation(data.rows);
    order.truncate(max);
    order.sort_unstable();
    data.select(&order)
}

fn rotate(axes: &Principal, data: &Matrix) -> Matrix {
    let mut out = Vec::new();
    let rows: Vec<f32> = data
        .iter_rows()
        .flat_map(|row| {
            axes.project(row, &mut out);
            out.clone()
        })
        .collect();
    Matrix { rows: data.rows, cols: axes.len(), data: rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The five nearest, found one by one and sorted.
    fn slowly(points: &Points, point: &[f32]) -> f64 {
        let mut all: Vec<f64> = points
            .anchors
            .iter_rows()
            .map(|a| a.iter().zip(point).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt())
            .collect();
        all.sort_unstable_by(f64::total_cmp);
        all.truncate(NEIGHBOURS);
        #[expect(clippy::cast_precision_loss, reason = "at most five")]
        let count = all.len() as f64;
        all.iter().sum::<f64>() / count
    }

    #[test]
    fn the_nearest_anchors_are_found_at_every_number_of_them() {
        let mut rng = numeric::Rng::new(11, 0);
        #[expect(clippy::cast_possible_truncation, reason = "test")]
        let mut rows = |n: usize| -> Vec<Vec<f32>> {
            (0..n).map(|_| (0..7).map(|_| rng.normal() as f32).collect()).collect()
        };
        let data = Matrix::from_rows(&rows(200)).unwrap();
        let fitted = Points::fit(&data, 200, 1).unwrap();
        let asked = rows(20);
        for n in [1, 4, 5, TOGETHER - 1, TOGETHER, TOGETHER + 1, 200] {
            let anchors = fitted.anchors.select(&(0..n).collect::<Vec<_>>());
            let points = Points { anchors, blocks: Blocks::default(), ..fitted.clone() };
            for point in &asked {
                let (found, expected) = (f64::from(points.nearest(point)), slowly(&points, point));
                assert!((found - expected).abs() <= expected * 1e-5, "{n} anchors: {found}, {expected}");
            }
        }
    }
}
