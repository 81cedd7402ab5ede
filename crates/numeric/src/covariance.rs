//! A covariance estimate that a few wrong rows in the reference data cannot bend.

use serde::{Deserialize, Serialize};

use crate::{Cholesky, Matrix, cholesky, mean};

/// Location and inverse covariance of clean data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RobustCovariance {
    /// The centre.
    pub centre: Vec<f32>,
    /// Factor of the shrunk covariance.
    pub factor: Cholesky,
    /// How far the covariance was shrunk to its diagonal, 0 (not) to 1 (only the diagonal).
    pub shrinkage: f64,
}

/// Concentration steps at most; in practice the subset settles in five to ten.
const STEPS_MAX: usize = 30;

/// Minimum covariance determinant by concentration steps (Rousseeuw and Van Driessen 1999,
/// doi:10.1080/00401706.1999.10485670) from one deterministic start (the rows nearest the coordinate-wise median, as
/// in DetMCD: Hubert, Rousseeuw and Verdonck 2012, doi:10.1080/10618600.2012.672100), on the share `keep` of the rows,
/// each step with the covariance shrunk to its diagonal so that few rows with many features stay invertible
/// (intensity after Schäfer and Strimmer 2005, doi:10.2202/1544-6115.1175, target D).
///
/// Expects columns on comparable (robust) scales. `None` for fewer than three rows, no columns, or values that are
/// not finite.
pub fn robust_covariance(data: &Matrix, keep: f64) -> Option<RobustCovariance> {
    if data.rows < 3 || data.cols == 0 || !data.is_consistent() || !data.is_finite() {
        return None;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the rows"
    )]
    let kept = ((data.rows as f64 * keep.clamp(0.5, 1.0)).ceil() as usize).clamp(2, data.rows);
    let mut columns: Vec<Vec<f64>> = (0..data.cols).map(|j| data.column(j)).collect();
    let medians: Vec<f64> = columns.iter_mut().map(|c| crate::median(c)).collect();
    let start = |row: &[f32]| row.iter().zip(&medians).map(|(v, m)| (f64::from(*v) - m).abs()).sum::<f64>();
    let mut subset = nearest(&data.iter_rows().map(start).collect::<Vec<_>>(), kept);
    let mut estimate = estimate_from(&data.select(&subset))?;
    let mut work = Vec::with_capacity(data.cols);
    for _ in 0..STEPS_MAX {
        let lengths: Vec<f64> =
            data.iter_rows().map(|row| f64::from(estimate.squared_length(row, &mut work))).collect();
        let next = nearest(&lengths, kept);
        if next == subset {
            break;
        }
        subset = next;
        estimate = estimate_from(&data.select(&subset))?;
    }
    Some(estimate)
}

impl RobustCovariance {
    /// Squared Mahalanobis distance of `row` from the centre. `work` is scratch space. NaN for another length.
    pub fn squared_length(&self, row: &[f32], work: &mut Vec<f32>) -> f32 {
        if row.len() != self.centre.len() {
            return f32::NAN;
        }
        let centred: Vec<f32> = row.iter().zip(&self.centre).map(|(v, c)| v - c).collect();
        self.factor.squared_length(&centred, work)
    }

    /// True when the parts fit each other; false for damaged bytes.
    pub fn is_consistent(&self) -> bool {
        self.factor.is_consistent() && self.factor.size() == self.centre.len()
    }
}

/// Numbers of the `count` smallest values, ascending by number; ties go to the lower number.
fn nearest(values: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]).then(a.cmp(&b)));
    order.truncate(count);
    order.sort_unstable();
    order
}

/// Mean and shrunk covariance of all rows.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn estimate_from(data: &Matrix) -> Option<RobustCovariance> {
    let (n, p) = (data.rows as f64, data.cols);
    let centre: Vec<f64> = (0..p).map(|j| mean(&data.column(j))).collect();
    let centred: Vec<Vec<f64>> = data
        .iter_rows()
        .map(|row| row.iter().zip(&centre).map(|(v, c)| f64::from(*v) - c).collect())
        .collect();
    // Sums of products and of squared products give the covariance and the variance of each of its entries.
    let (mut sums, mut squares) = (vec![0.0; p * p], vec![0.0; p * p]);
    for row in &centred {
        for i in 0..p {
            for j in 0..=i {
                let w = row[i] * row[j];
                sums[i * p + j] += w;
                squares[i * p + j] += w * w;
            }
        }
    }
    let (mut noise, mut signal) = (0.0, 0.0);
    for i in 0..p {
        for j in 0..i {
            let w = sums[i * p + j] / n;
            noise += (squares[i * p + j] / n - w * w).max(0.0) / n;
            signal += w * w;
        }
    }
    let few = (p as f64 / n).min(1.0);
    let shrinkage = if signal > 0.0 { (few * noise / signal).clamp(0.0, 1.0) } else { 1.0 };
    let unbiased = 1.0 / (n - 1.0).max(1.0);
    let floor = (0..p).map(|i| sums[i * p + i] * unbiased).fold(0.0, f64::max).max(1e-9) * 1e-6;
    let mut cov = vec![0.0; p * p];
    for i in 0..p {
        for j in 0..i {
            let shrunk = sums[i * p + j] * unbiased * (1.0 - shrinkage);
            cov[i * p + j] = shrunk;
            cov[j * p + i] = shrunk;
        }
        cov[i * p + i] = sums[i * p + i] * unbiased + floor;
    }
    let factor = cholesky(&cov, p)?;
    #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
    let centre = centre.iter().map(|v| *v as f32).collect();
    Some(RobustCovariance { centre, factor, shrinkage })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    #[expect(clippy::cast_possible_truncation, reason = "test")]
    fn cloud(rows: usize, cols: usize, outliers: usize) -> Matrix {
        let mut rng = Rng::new(11, 0);
        let data = (0..rows)
            .flat_map(|i| {
                let shift = if i < outliers { 50.0 } else { 0.0 };
                (0..cols).map(|_| (rng.normal() + shift) as f32).collect::<Vec<_>>()
            })
            .collect();
        Matrix::new(rows, cols, data).unwrap()
    }

    #[test]
    fn a_tenth_of_wrong_rows_does_not_move_the_centre() {
        let c = robust_covariance(&cloud(200, 4, 20), 0.75).unwrap();
        assert!(c.centre.iter().all(|v| v.abs() < 0.4), "{:?}", c.centre);
        assert!(c.squared_length(&[50.0; 4], &mut Vec::new()) > 1000.0);
    }

    #[test]
    fn fewer_rows_than_columns_still_invert() {
        let c = robust_covariance(&cloud(10, 30, 0), 1.0).unwrap();
        assert!(c.is_consistent() && c.squared_length(&[0.0; 30], &mut Vec::new()).is_finite());
    }

    #[test]
    fn odd_shapes_are_refused_and_constant_columns_are_not() {
        assert!(robust_covariance(&Matrix::default(), 1.0).is_none());
        assert!(robust_covariance(&Matrix::new(2, 1, vec![1.0, 2.0]).unwrap(), 1.0).is_none());
        assert!(robust_covariance(&Matrix::new(3, 1, vec![1.0, f32::NAN, 2.0]).unwrap(), 1.0).is_none());
        let constant = robust_covariance(&Matrix::new(4, 2, vec![1.0; 8]).unwrap(), 1.0).unwrap();
        assert!(constant.squared_length(&[1.0, 1.0], &mut Vec::new()) < 1e-3);
    }
}
