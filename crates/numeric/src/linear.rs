//! Small linear algebra: Cholesky factors and leading principal components.

use serde::{Deserialize, Serialize};

use crate::{Matrix, Rng};

/// Lower-triangular factor of a positive definite matrix, rows one after another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cholesky {
    size: usize,
    /// Full square storage; the upper triangle is 0. The diagonal holds reciprocals, since solving divides by it.
    factor: Vec<f32>,
}

/// Factor L with L·Lᵀ = `a`, a symmetric matrix of `size` × `size` in row-major order. `None` when `a` is not positive
/// definite, not finite or of another size. Computed in `f64`, kept in `f32`.
pub fn cholesky(a: &[f64], size: usize) -> Option<Cholesky> {
    if a.len() != size.checked_mul(size)? || a.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mut l = vec![0.0_f64; size * size];
    for i in 0..size {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| l[i * size + k] * l[j * size + k]).sum();
            let rest = a[i * size + j] - dot;
            if i == j {
                if rest <= 0.0 {
                    return None;
                }
                l[i * size + i] = rest.sqrt();
            } else {
                l[i * size + j] = rest / l[j * size + j];
            }
        }
    }
    (0..size).for_each(|i| l[i * size + i] = l[i * size + i].recip());
    #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
    let factor: Vec<f32> = l.into_iter().map(|v| v as f32).collect();
    factor.iter().all(|v| v.is_finite()).then_some(Cholesky { size, factor })
}

/// Coefficients c that make the sum of (y - x·c)² smallest, by the normal equations with a ridge of 1e-9 of their mean diagonal, in `f64`. `x` is row-major with
/// `columns` values a row, one row per value of `y`; include a column of ones for a constant. `None` when the lengths do not fit, there
/// are fewer rows than columns, or a value is not finite.
pub fn least_squares(x: &[f64], y: &[f64], columns: usize) -> Option<Vec<f64>> {
    if columns == 0 || y.len() < columns || x.len() != y.len().checked_mul(columns)? {
        return None;
    }
    let (mut a, mut b) = (vec![0.0; columns * columns], vec![0.0; columns]);
    for (row, wanted) in x.chunks_exact(columns).zip(y) {
        for (i, v) in row.iter().enumerate() {
            b[i] += v * wanted;
            for (place, w) in a[i * columns..=i * columns + i].iter_mut().zip(row) {
                *place += v * w;
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a few columns")]
    let ridge = 1e-9 * (0..columns).map(|i| a[i * columns + i]).sum::<f64>() / columns as f64;
    // Factor in place (lower triangle), then forward and backward substitution.
    for i in 0..columns {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| a[i * columns + k] * a[j * columns + k]).sum();
            let rest = a[i * columns + j] - dot + if i == j { ridge } else { 0.0 };
            a[i * columns + j] = if i == j { rest.sqrt() } else { rest / a[j * columns + j] };
        }
    }
    for i in 0..columns {
        let dot: f64 = (0..i).map(|k| a[i * columns + k] * b[k]).sum();
        b[i] = (b[i] - dot) / a[i * columns + i];
    }
    for i in (0..columns).rev() {
        let dot: f64 = (i + 1..columns).map(|k| a[k * columns + i] * b[k]).sum();
        b[i] = (b[i] - dot) / a[i * columns + i];
    }
    b.iter().all(|v| v.is_finite()).then_some(b)
}

impl Cholesky {
    /// Rows and columns.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// True when the stored factor has the size it says; false for damaged bytes.
    pub fn is_consistent(&self) -> bool {
        self.size.checked_mul(self.size) == Some(self.factor.len())
            && self.factor.iter().all(|v| v.is_finite())
    }

    /// Squared Mahalanobis length xᵀ·A⁻¹·x by forward substitution. `work` is scratch space, resized as needed.
    /// NaN when `x` has another length.
    pub fn squared_length(&self, x: &[f32], work: &mut Vec<f32>) -> f32 {
        if x.len() != self.size {
            return f32::NAN;
        }
        work.clear();
        let mut sum = 0.0;
        for (i, value) in x.iter().enumerate() {
            let row = &self.factor[i * self.size..i * self.size + i + 1];
            let dot: f32 = row.iter().zip(work.iter()).map(|(a, b)| a * b).sum();
            let y = (value - dot) * row.last().copied().unwrap_or(0.0);
            work.push(y);
            sum += y * y;
        }
        sum
    }
}

/// Leading principal components of a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Principal {
    /// Mean of each column.
    pub mean: Vec<f32>,
    /// One unit vector per row, the strongest first.
    pub axes: Matrix,
    /// Standard deviation of the data along each axis.
    pub deviations: Vec<f32>,
}

/// Rounds of subspace iteration: enough for axes whose variances differ by a tenth to separate.
const ROUNDS: usize = 24;

/// The `count` strongest principal components of `data` by block power iteration with Gram–Schmidt (Halko,
/// Martinsson and Tropp 2011, doi:10.1137/090771806), on the covariance matrix. Fewer come back when the data has
/// less rank. Deterministic in `seed`. Cost: rows·cols² + rounds·cols²·count.
pub fn principal_components(data: &Matrix, count: usize, seed: u64) -> Principal {
    let cols = data.cols;
    let mean: Vec<f64> = (0..cols).map(|j| crate::mean(&data.column(j))).collect();
    let cov = covariance(data, &mean);
    let count = count.min(cols).min(data.rows.saturating_sub(1));
    let mut rng = Rng::new(seed, 0x0070_6361);
    let mut basis: Vec<Vec<f64>> = (0..count).map(|_| (0..cols).map(|_| rng.normal()).collect()).collect();
    orthonormalise(&mut basis);
    for _ in 0..ROUNDS {
        for axis in &mut basis {
            *axis = times(&cov, axis);
        }
        orthonormalise(&mut basis);
    }
    let mut found: Vec<(f64, Vec<f64>)> = basis
        .into_iter()
        .map(|axis| (times(&cov, &axis).iter().zip(&axis).map(|(a, b)| a * b).sum::<f64>(), axis))
        .filter(|(variance, _)| *variance > 1e-12)
        .collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
    let principal = Principal {
        mean: mean.iter().map(|v| *v as f32).collect(),
        deviations: found.iter().map(|(variance, _)| variance.sqrt() as f32).collect(),
        axes: Matrix {
            rows: found.len(),
            cols,
            data: found.iter().flat_map(|(_, axis)| axis.iter().map(|v| *v as f32)).collect(),
        },
    };
    principal
}

/// Sample covariance, row-major, with n - 1 in the denominator (1 for a single row).
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn covariance(data: &Matrix, mean: &[f64]) -> Vec<f64> {
    let cols = data.cols;
    let mut cov = vec![0.0; cols * cols];
    let mut centred = vec![0.0; cols];
    for row in data.iter_rows() {
        for ((c, v), m) in centred.iter_mut().zip(row).zip(mean) {
            *c = f64::from(*v) - m;
        }
        for (i, a) in centred.iter().enumerate() {
            let line = &mut cov[i * cols..(i + 1) * cols];
            line.iter_mut().zip(&centred).for_each(|(s, b)| *s += a * b);
        }
    }
    let n = data.rows.saturating_sub(1).max(1) as f64;
    cov.iter_mut().for_each(|v| *v /= n);
    cov
}

fn times(square: &[f64], x: &[f64]) -> Vec<f64> {
    square.chunks_exact(x.len().max(1)).map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
}

/// Modified Gram–Schmidt; vectors that lie in the span of earlier ones, up to rounding, become 0 and stay so.
fn orthonormalise(basis: &mut [Vec<f64>]) {
    for i in 0..basis.len() {
        let (done, rest) = basis.split_at_mut(i);
        let Some(axis) = rest.first_mut() else { return };
        let before = axis.iter().map(|v| v * v).sum::<f64>().sqrt();
        for earlier in done.iter() {
            let dot: f64 = axis.iter().zip(earlier).map(|(a, b)| a * b).sum();
            axis.iter_mut().zip(earlier).for_each(|(a, b)| *a -= dot * b);
        }
        let length = axis.iter().map(|v| v * v).sum::<f64>().sqrt();
        let scale = if length > before * 1e-10 && length > 1e-30 { length.recip() } else { 0.0 };
        axis.iter_mut().for_each(|v| *v *= scale);
    }
}

impl Principal {
    /// Number of axes.
    pub const fn len(&self) -> usize {
        self.axes.rows
    }

    /// True without axes (constant or empty data).
    pub const fn is_empty(&self) -> bool {
        self.axes.rows == 0
    }

    /// True when the parts fit each other; false for damaged bytes.
    pub fn is_consistent(&self) -> bool {
        self.axes.is_consistent()
            && self.axes.cols == self.mean.len()
            && self.axes.rows == self.deviations.len()
            && self.axes.is_finite()
    }

    /// Coordinates of `x` along the axes, into `out`.
    pub fn project(&self, x: &[f32], out: &mut Vec<f32>) {
        out.clear();
        let width = self.mean.len().min(x.len());
        for axis in self.axes.iter_rows() {
            let mut lanes = [0.0_f32; 8];
            let (a, x, m) = (&axis[..width], &x[..width], &self.mean[..width]);
            for ((a, x), m) in a.chunks_exact(8).zip(x.chunks_exact(8)).zip(m.chunks_exact(8)) {
                for k in 0..8 {
                    lanes[k] += a[k] * (x[k] - m[k]);
                }
            }
            let tail = width - width % 8;
            let rest: f32 = (tail..width).map(|k| a[k] * (x[k] - m[k])).sum();
            out.push(lanes.iter().sum::<f32>() + rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn least_squares_finds_a_line_and_refuses_what_does_not_fit() {
        let x: Vec<f64> = (0..10).flat_map(|i| [1.0, f64::from(i)]).collect();
        let y: Vec<f64> = (0..10).map(|i| 3.0 - 0.5 * f64::from(i)).collect();
        let found = least_squares(&x, &y, 2).unwrap();
        assert!((found[0] - 3.0).abs() < 1e-6 && (found[1] + 0.5).abs() < 1e-6, "{found:?}");
        assert_eq!(least_squares(&x, &y, 3), None);
        assert_eq!(least_squares(&x[..2], &y[..1], 2), None);
        assert_eq!(least_squares(&[1.0, f64::NAN], &[1.0, 1.0], 1), None);
    }

    #[test]
    fn mahalanobis_length_is_the_one_by_hand() {
        // A = [[4, 2], [2, 3]], A⁻¹ = [[3, -2], [-2, 4]] / 8; x = (1, 2): (3 - 8 + 16) / 8.
        let l = cholesky(&[4.0, 2.0, 2.0, 3.0], 2).unwrap();
        assert!((l.squared_length(&[1.0, 2.0], &mut Vec::new()) - 11.0 / 8.0).abs() < 1e-6);
        assert!(l.squared_length(&[1.0], &mut Vec::new()).is_nan());
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_has_no_factor() {
        assert!(cholesky(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(cholesky(&[f64::NAN], 1).is_none());
        assert!(cholesky(&[1.0], 2).is_none());
        assert!(cholesky(&[], 0).is_some_and(|l| l.size() == 0));
    }

    #[test]
    fn the_first_axis_follows_the_widest_direction() {
        let mut rng = Rng::new(5, 0);
        let rows: Vec<Vec<f32>> = (0..400)
            .map(|_| {
                let (a, b) = (rng.normal() * 5.0, rng.normal());
                #[expect(clippy::cast_possible_truncation, reason = "test")]
                let row = vec![(a + b) as f32, (a - b) as f32, 7.0];
                row
            })
            .collect();
        let p = principal_components(&Matrix::from_rows(&rows).unwrap(), 3, 0);
        assert_eq!(p.len(), 2, "the constant column has no axis");
        let first = p.axes.row(0);
        assert!((first[0] / first[1] - 1.0).abs() < 0.1 && p.deviations[0] > 5.0 * p.deviations[1] * 0.8);
        assert!(p.is_consistent());
    }

    #[test]
    fn no_rows_and_one_row_give_no_axes() {
        for rows in [0, 1] {
            let m = Matrix::new(rows, 3, vec![1.0; rows * 3]).unwrap();
            assert!(principal_components(&m, 2, 0).is_empty());
        }
    }
}
