//! Scores for images: five measures of a thumbnail, and how unusual they are together.

use domain::InputSchema;
use numeric::{Matrix, Principal, RobustCovariance, principal_components, robust_covariance, robust_scale};
use serde::{Deserialize, Serialize};

use super::Work;
use super::points::{ROWS_MIN, some_rows};
use crate::FitError;
use crate::pixels::block_means;

/// Pixels per side of the thumbnail: larger images are averaged down, smaller ones keep their pixels.
const SIDE: usize = 28;

/// Principal components of the thumbnails: what they leave unexplained is the residual.
const COMPONENTS: usize = 40;

/// Images that the components are computed on at most.
const ROWS_MAX: usize = 2_048;

/// Measures of one image.
const MEASURES: usize = 5;

/// Principal components of thumbnails and the usual values of five measures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImageScorer {
    principal: Principal,
    centre: [f32; MEASURES],
    per_spread: [f32; MEASURES],
    covariance: RobustCovariance,
}

impl ImageScorer {
    /// Components from `fit`; the usual values of the measures from one half of `held_out`, scores of the other
    /// half for the threshold.
    #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
    pub(crate) fn fit(
        schema: &InputSchema,
        fit: &Matrix,
        held_out: &Matrix,
        seed: u64,
    ) -> Result<(Self, Vec<f64>), FitError> {
        if fit.rows < ROWS_MIN {
            return Err(FitError::TooFewRows { what: "fit", rows: fit.rows, needed: ROWS_MIN });
        }
        if held_out.rows < 2 * ROWS_MIN {
            return Err(FitError::TooFewRows {
                what: "calibration",
                rows: held_out.rows,
                needed: 2 * ROWS_MIN,
            });
        }
        let chosen = some_rows(fit, ROWS_MAX, seed);
        let mut cells = Vec::new();
        let thumbs: Vec<Vec<f32>> = chosen
            .iter_rows()
            .map(|row| {
                block_means(schema, row, SIDE, &mut cells);
                cells.clone()
            })
            .collect();
        let thumbs = Matrix::from_rows(&thumbs).map_err(|_| FitError::Degenerate { what: "fit" })?;
        let principal = principal_components(&thumbs, COMPONENTS, seed);
        if principal.is_empty() {
            return Err(FitError::Degenerate { what: "fit" });
        }
        let mut work = Work::default();
        let all: Vec<[f32; MEASURES]> =
            held_out.iter_rows().map(|row| measures(&principal, schema, row, &mut work)).collect();
        let (odd, even): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(i, _)| i % 2 == 1);
        let usual: Vec<[f32; MEASURES]> = odd.into_iter().map(|(_, m)| *m).collect();
        let (mut centre, mut per_spread) = ([0.0; MEASURES], [1.0; MEASURES]);
        for k in 0..MEASURES {
            let values: Vec<f64> = usual.iter().map(|m| f64::from(m[k])).collect();
            let s = robust_scale(&values).ok_or(FitError::NotFinite { what: "calibration" })?;
            (centre[k], per_spread[k]) = (s.centre as f32, (1.0 / s.spread) as f32);
        }
        let scaled: Vec<Vec<f32>> = usual
            .iter()
            .map(|m| (0..MEASURES).map(|k| (m[k] - centre[k]) * per_spread[k]).collect())
            .collect();
        let scaled = Matrix::from_rows(&scaled).map_err(|_| FitError::Degenerate { what: "calibration" })?;
        let covariance =
            robust_covariance(&scaled, 0.9).ok_or(FitError::Degenerate { what: "calibration" })?;
        let scorer = Self { principal, centre, per_spread, covariance };
        let scores = even.into_iter().map(|(_, m)| f64::from(scorer.combine(m, &mut work))).collect();
        Ok((scorer, scores))
    }

    pub(crate) fn is_consistent(&self) -> bool {
        self.principal.is_consistent()
            && self.covariance.is_consistent()
            && self.covariance.centre.len() == MEASURES
    }

    /// Large is strange; NaN when a pixel is not finite or the image has another size.
    pub(crate) fn score(&self, schema: &InputSchema, row: &[f32], work: &mut Work) -> f32 {
        if row.len() != schema.width() {
            return f32::NAN;
        }
        let found = measures(&self.principal, schema, row, work);
        self.combine(&found, work)
    }

    fn combine(&self, found: &[f32; MEASURES], work: &mut Work) -> f32 {
        let mut scaled = [0.0; MEASURES];
        for k in 0..MEASURES {
            scaled[k] = (found[k] - self.centre[k]) * self.per_spread[k] - self.covariance.centre[k];
        }
        self.covariance.factor.squared_length(&scaled, &mut work.c).sqrt()
    }
}

/// Logarithm of the unexplained part, logarithm of the length along the components in their deviations, logarithm of
/// the fine detail, mean and standard deviation.
fn measures(principal: &Principal, schema: &InputSchema, row: &[f32], work: &mut Work) -> [f32; MEASURES] {
    let Work { a, b, .. } = work;
    block_means(schema, row, SIDE, a);
    principal.project(a, b);
    let explained: f32 = b.iter().map(|v| v * v).sum();
    let total: f32 = a.iter().zip(&principal.mean).map(|(v, m)| (v - m) * (v - m)).sum();
    let along: f32 = b.iter().zip(&principal.deviations).map(|(v, d)| (v / d.max(1e-6)).powi(2)).sum();
    #[expect(clippy::cast_precision_loss, reason = "cells of a small grid")]
    let n = a.len().max(1) as f32;
    let mean = a.iter().sum::<f32>() / n;
    let variance = a.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n;
    let detail = fine_detail(schema, a);
    let log = |v: f32| (v.max(0.0) + 1e-6).ln();
    [log(total - explained), log(along), log(detail), mean, variance.sqrt()]
}

/// Mean squared second difference along rows and columns: noise raises it, blur lowers it.
fn fine_detail(schema: &InputSchema, cells: &[f32]) -> f32 {
    let InputSchema::Image { height, width, .. } = schema else { return 0.0 };
    let (tall, wide) = (SIDE.min(*height), SIDE.min(*width));
    let (mut sum, mut count) = (0.0_f32, 0.0_f32);
    for plane in cells.chunks_exact((tall * wide).max(1)) {
        for y in 1..tall.saturating_sub(1) {
            let (above, here, below) = (
                &plane[(y - 1) * wide..y * wide],
                &plane[y * wide..(y + 1) * wide],
                &plane[(y + 1) * wide..(y + 2) * wide],
            );
            for x in 1..wide.saturating_sub(1) {
                let d = 4.0 * here[x] - here[x - 1] - here[x + 1] - above[x] - below[x];
                sum += d * d;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "cells of a small grid")]
        let inner = (tall.saturating_sub(2) * wide.saturating_sub(2)) as f32;
        count += inner;
    }
    sum / count.max(1.0)
}
