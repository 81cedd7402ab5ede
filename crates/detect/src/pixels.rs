//! What the guards look at in an image: block means on a small grid, brightness, and the range of its pixels.

use domain::{InputSchema, Location, Severity};
use numeric::Matrix;

use crate::rows::Report;

/// Cells per side of the coarse grid. 7 × 7 on 28 × 28 pixels averages 16 pixels per cell, which takes three
/// quarters off the noise an attacker adds to each pixel while chest images stay apart.
pub(crate) const GRID: usize = 7;

/// Most channels that are read.
const CHANNELS_MAX: usize = 4;

/// Block means of each channel on a `side` × `side` grid, times the root of the block's pixels so that independent
/// noise keeps its standard deviation; smaller images keep their pixels. Values are scaled to the declared range.
pub(crate) fn block_means(schema: &InputSchema, row: &[f32], side: usize, out: &mut Vec<f32>) {
    out.clear();
    let InputSchema::Image { channels, height, width, min, max, .. } = schema else { return };
    #[expect(clippy::cast_possible_truncation, reason = "models take single precision")]
    let (low, span) = (*min as f32, ((max - min) as f32).max(f32::MIN_POSITIVE));
    let (tall, wide) = (side.min(*height), side.min(*width));
    for c in 0..(*channels).min(CHANNELS_MAX) {
        let Some(plane) = row.get(c * height * width..(c + 1) * height * width) else { return };
        for gy in 0..tall {
            let (top, bottom) = (gy * height / tall, (gy + 1) * height / tall);
            for gx in 0..wide {
                let (left, right) = (gx * width / wide, (gx + 1) * width / wide);
                let sum: f32 = (top..bottom)
                    .map(|y| plane[y * width + left..y * width + right].iter().sum::<f32>())
                    .sum();
                #[expect(clippy::cast_precision_loss, reason = "pixels of one block")]
                let count = ((bottom - top) * (right - left)) as f32;
                out.push((sum / count - low) / span * count.sqrt());
            }
        }
    }
}

/// The mean reference image on the coarse grid, and the lowest correlation of a reference image with it.
pub(crate) fn mean_image(schema: &InputSchema, inputs: &Matrix) -> (Vec<f32>, f32) {
    let mut cells = Vec::new();
    let mut sum: Vec<f32> = Vec::new();
    for row in inputs.iter_rows() {
        block_means(schema, row, GRID, &mut cells);
        sum.resize(cells.len(), 0.0);
        sum.iter_mut().zip(&cells).for_each(|(s, v)| *s += v);
    }
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^24")]
    sum.iter_mut().for_each(|s| *s /= inputs.rows.max(1) as f32);
    let mut lowest = 1.0_f32;
    for row in inputs.iter_rows() {
        block_means(schema, row, GRID, &mut cells);
        lowest = lowest.min(correlation(&cells, &sum).unwrap_or(-1.0));
    }
    (sum, lowest)
}

/// Pearson correlation; `None` for constant or empty input.
fn correlation(a: &[f32], b: &[f32]) -> Option<f32> {
    #[expect(clippy::cast_precision_loss, reason = "cells of a small grid")]
    let n = a.len().min(b.len()) as f32;
    let (ma, mb) = (a.iter().sum::<f32>() / n, b.iter().sum::<f32>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma).powi(2);
        bb += (y - mb).powi(2);
    }
    let scale = (aa * bb).sqrt();
    (scale > 1e-9).then_some(ab / scale)
}

const REMEDY: &str = "check how the image was exported: window, bit depth and photometric interpretation";

/// Tolerance at the ends of the declared range, as a share of it: rounding of 8-bit pixels.
const RANGE_SLACK: f32 = 1e-3;

/// Pixels outside the range, another scale, a constant image.
#[expect(clippy::cast_possible_truncation, reason = "models take single precision")]
pub(crate) fn check_range(report: &mut Report, schema: &InputSchema, row: &[f32], r: usize) {
    let InputSchema::Image { min, max, .. } = schema else { return };
    let (low, high) = (*min as f32, *max as f32);
    let (mut darkest, mut brightest) = (f32::INFINITY, f32::NEG_INFINITY);
    for &v in row {
        darkest = darkest.min(v);
        brightest = brightest.max(v);
    }
    if !(darkest.is_finite() && brightest.is_finite()) {
        return;
    }
    let slack = (high - low) * RANGE_SLACK;
    let place = || Location::row(r, None);
    if darkest < low - slack || brightest > high + slack {
        let message = if low == 0.0 && darkest >= 0.0 && high <= 1.0 && brightest > 2.0 {
            let bits = if brightest <= 255.0 { "0 to 255" } else { "more than 8 bits" };
            format!("the pixels look like {bits}, not {low} to {high}")
        } else {
            format!("a pixel is outside {low} to {high}")
        };
        report.find(Severity::High, place(), None, message, REMEDY);
    } else if brightest - darkest <= slack {
        report.find(Severity::High, place(), None, "all pixels are equal: there is no image", REMEDY);
    } else if high > 2.0 && low == 0.0 && brightest <= 1.0 {
        let message = format!("the pixels look like 0 to 1, not {low} to {high}");
        report.find(Severity::High, place(), None, message, REMEDY);
    }
}

/// An image that resembles the negative of the mean image more than any reference image did.
pub(crate) fn check_inverted(
    report: &mut Report,
    schema: &InputSchema,
    mean: &[f32],
    correlation_min: f32,
    row: &[f32],
    r: usize,
) {
    let mut cells = Vec::new();
    block_means(schema, row, GRID, &mut cells);
    let Some(found) = correlation(&cells, mean) else { return };
    if found < correlation_min.min(0.0) && found < -0.3 {
        report.find(Severity::Medium, Location::row(r, None), None, "the image looks inverted", REMEDY);
    }
}
