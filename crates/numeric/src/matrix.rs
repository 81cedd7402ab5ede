//! A dense row-major matrix of `f32`: the shape in which reference data reaches the guards.

use serde::{Deserialize, Serialize};

/// Rows are observations, columns are features.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Matrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
    /// `rows * cols` values, row after row.
    pub data: Vec<f32>,
}

/// Why values do not make a matrix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// Another number of values than the shape asks for.
    #[error(
        "a matrix of {rows} rows and {cols} columns cannot hold {found} values: give as many as the shape asks for"
    )]
    Shape {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
        /// Values given.
        found: usize,
    },
}

impl Matrix {
    /// A matrix of `rows` × `cols` from its values, row after row.
    ///
    /// # Errors
    /// When the number of values is not `rows * cols`.
    pub fn new(rows: usize, cols: usize, data: Vec<f32>) -> Result<Self, MatrixError> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(MatrixError::Shape { rows, cols, found: data.len() });
        }
        Ok(Self { rows, cols, data })
    }

    /// A matrix from rows of equal length; no rows give an empty matrix.
    ///
    /// # Errors
    /// When the rows differ in length.
    pub fn from_rows(rows: &[Vec<f32>]) -> Result<Self, MatrixError> {
        let cols = rows.first().map_or(0, Vec::len);
        let data: Vec<f32> = rows.iter().flatten().copied().collect();
        if rows.iter().any(|r| r.len() != cols) {
            return Err(MatrixError::Shape { rows: rows.len(), cols, found: data.len() });
        }
        Self::new(rows.len(), cols, data)
    }

    /// True when the fields agree; false for a matrix put together by hand with the wrong number of values.
    pub fn is_consistent(&self) -> bool {
        self.rows.checked_mul(self.cols) == Some(self.data.len())
    }

    /// Row `i`; empty when there is none.
    pub fn row(&self, i: usize) -> &[f32] {
        let start = i.saturating_mul(self.cols);
        self.data.get(start..start.saturating_add(self.cols)).unwrap_or(&[])
    }

    /// The rows in order.
    pub fn iter_rows(&self) -> impl Iterator<Item = &[f32]> + Clone {
        (0..self.rows).map(|i| self.row(i))
    }

    /// Column `j` as `f64`; empty when there is none.
    pub fn column(&self, j: usize) -> Vec<f64> {
        if j >= self.cols {
            return Vec::new();
        }
        self.iter_rows().filter_map(|r| r.get(j).map(|&v| f64::from(v))).collect()
    }

    /// The rows with these numbers, in this order; numbers out of range are left out.
    pub fn select(&self, rows: &[usize]) -> Self {
        let kept: Vec<usize> = rows.iter().copied().filter(|&i| i < self.rows).collect();
        let data = kept.iter().flat_map(|&i| self.row(i).iter().copied()).collect();
        Self { rows: kept.len(), cols: self.cols, data }
    }

    /// True when no value is NaN or infinite.
    pub fn is_finite(&self) -> bool {
        all_finite(&self.data)
    }
}

/// True when every value is finite; true of none. Looks at all of them without stopping early, which vectorises and is several times faster on the
/// rows that are asked about: they are finite.
pub fn all_finite(values: &[f32]) -> bool {
    values.iter().fold(true, |finite, v| finite & v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_that_does_not_fit_is_refused() {
        assert!(Matrix::new(2, 2, vec![0.0; 4]).is_ok());
        assert!(Matrix::new(2, 2, vec![0.0; 3]).is_err());
        assert!(Matrix::new(usize::MAX, 2, vec![]).is_err(), "no overflow");
        assert!(Matrix::from_rows(&[vec![1.0], vec![1.0, 2.0]]).is_err());
    }

    #[test]
    fn rows_and_columns_out_of_range_are_empty() {
        let m = Matrix::new(2, 2, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!((m.row(1), m.row(2)), (&[3.0, 4.0][..], &[][..]));
        assert_eq!((m.column(1), m.column(2)), (vec![2.0, 4.0], vec![]));
        assert_eq!(m.select(&[1, 7, 0]).data, [3.0, 4.0, 1.0, 2.0]);
    }
}
