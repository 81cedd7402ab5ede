//! Scores for points in space: rows of a table, or activations of a model.

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
    /// Middle and spread of the logarithm of both distances on calibration data.
    levels: [Level; 2],
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
        Ok(Self { floors, centre, per_spread, principal, covariance, anchors, levels })
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
        if row.len() != self.centre.len() || row.iter().any(|v| !v.is_finite()) {
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
        let mut best = [f32::INFINITY; NEIGHBOURS];
        for anchor in self.anchors.data.chunks_exact(self.anchors.cols.max(1)) {
            let d = squared_distance(point, anchor);
            if d < best[NEIGHBOURS - 1] {
                let at = best.iter().position(|b| d < *b).unwrap_or(NEIGHBOURS - 1);
                best[at..].rotate_right(1);
                best[at] = d;
            }
        }
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

/// Squared Euclidean distance in eight lanes, which the compiler turns into vector instructions.
fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let (mut xs, mut ys) = (a.chunks_exact(8), b.chunks_exact(8));
    for (x, y) in xs.by_ref().zip(ys.by_ref()) {
        for k in 0..8 {
            let d = x[k] - y[k];
            lanes[k] += d * d;
        }
    }
    let rest: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| (x - y) * (x - y)).sum();
    lanes.iter().sum::<f32>() + rest
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
