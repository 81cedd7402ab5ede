//! Sketches: what is kept of a query, 24 bytes from which no patient can be read back, in a space where a noisy copy
//! stays near and another patient stays far.
//!
//! An image is averaged over blocks first, which takes three quarters off independent pixel noise; a table's row is
//! scaled by the reference data's spread. Both are then turned onto their principal axes, the strongest 24 of which
//! hold nearly all of the distance between patients but only their share of an attacker's noise.

use domain::InputSchema;
use numeric::{Matrix, Principal, principal_components, robust_scale};
use serde::{Deserialize, Serialize};

use crate::FitError;
use crate::pixels::{GRID, block_means};

/// Bytes of a sketch: one per axis.
pub(crate) const DIMS: usize = 24;

/// A sketch.
pub(crate) type Sketch = [u8; DIMS];

/// Robust deviations at which a single value of a table is cut off.
const CLIP: f32 = 8.0;

/// Deviations along the widest axis that fit the range of a byte on each side.
const REACH: f32 = 5.0;

/// Rows that axes and radii are learnt from at most: two million pairs.
const ROWS_MAX: usize = 2_048;

/// Pairs that the anchor of the extrapolation stands on, so that its own error is below a quarter.
const ANCHOR_PAIRS: usize = 20;

/// Turns rows into sketches and knows how near is near.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sketcher {
    /// Medians of the columns; empty for images.
    centre: Vec<f32>,
    /// Reciprocal spreads of the columns; empty for images.
    per_spread: Vec<f32>,
    principal: Principal,
    /// Width of one quantisation step.
    step: f32,
    /// Distance below which a share [`Tail::share`] of distinct reference pairs lies, and how the share grows.
    tail: Tail,
}

/// Lower tail of the distances between distinct reference patients: share(r) = share · (r / distance)^slope.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Tail {
    distance: f32,
    share: f64,
    slope: f64,
}

/// Scratch space.
#[derive(Debug, Default)]
pub(crate) struct SketchWork {
    cells: Vec<f32>,
    point: Vec<f32>,
}

impl Sketcher {
    /// Learns axes, quantisation and the tail of the distances.
    pub(crate) fn fit(schema: &InputSchema, inputs: &Matrix, seed: u64) -> Result<Self, FitError> {
        let rows = crate::out_of_distribution::some_rows(inputs, ROWS_MAX, seed.wrapping_add(2));
        let (mut centre, mut per_spread) = (Vec::new(), Vec::new());
        if matches!(schema, InputSchema::Table { .. }) {
            for j in 0..rows.cols {
                let s = robust_scale(&rows.column(j)).ok_or(FitError::NotFinite { what: "fit" })?;
                #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
                let (c, w) = (s.centre as f32, (1.0 / s.spread) as f32);
                centre.push(c);
                per_spread.push(w);
            }
        }
        let tail = Tail { distance: 0.0, share: 1.0, slope: 1.0 };
        let mut sketcher = Self { centre, per_spread, principal: Principal::default(), step: 1.0, tail };
        let mut cells = Vec::new();
        let spread_out: Vec<Vec<f32>> = rows
            .iter_rows()
            .map(|row| {
                sketcher.cells(schema, row, &mut cells);
                cells.clone()
            })
            .collect();
        let spread_out = Matrix::from_rows(&spread_out).map_err(|_| FitError::Degenerate { what: "fit" })?;
        sketcher.principal = principal_components(&spread_out, DIMS, seed);
        let widest = sketcher.principal.deviations.first().copied().unwrap_or(0.0);
        if !(widest.is_finite() && widest > 0.0) {
            return Err(FitError::Degenerate { what: "fit" });
        }
        sketcher.step = widest * REACH / 127.0;
        let mut work = SketchWork::default();
        let mut sketches: Vec<Sketch> =
            rows.iter_rows().map(|row| sketcher.sketch(schema, row, &mut work)).collect();
        sketches.sort_unstable();
        sketches.dedup();
        sketcher.tail = tail_of(&sketches, sketcher.step).ok_or(FitError::Degenerate { what: "fit" })?;
        Ok(sketcher)
    }

    pub(crate) fn is_consistent(&self, schema: &InputSchema) -> bool {
        let scaled = match schema {
            InputSchema::Table { features, .. } => features.len(),
            InputSchema::Image { .. } => 0,
        };
        self.centre.len() == scaled
            && self.per_spread.len() == scaled
            && self.principal.is_consistent()
            && self.principal.len() <= DIMS
            && self.step > 0.0
            && self.tail.slope > 0.0
            && self.tail.share > 0.0
    }

    fn cells(&self, schema: &InputSchema, row: &[f32], out: &mut Vec<f32>) {
        if self.centre.is_empty() {
            block_means(schema, row, GRID, out);
        } else {
            out.clear();
            let scaled = row.iter().zip(&self.centre).zip(&self.per_spread);
            out.extend(scaled.map(|((v, c), s)| ((v - c) * s).clamp(-CLIP, CLIP)));
        }
    }

    /// The sketch of a row. Values that are not finite count as the middle.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of a byte"
    )]
    pub(crate) fn sketch(&self, schema: &InputSchema, row: &[f32], work: &mut SketchWork) -> Sketch {
        self.cells(schema, row, &mut work.cells);
        self.principal.project(&work.cells, &mut work.point);
        let mut out = [0; DIMS];
        for (byte, v) in out.iter_mut().zip(&work.point) {
            *byte = (v / self.step + 127.5).clamp(0.0, 255.0) as u8;
        }
        out
    }

    /// Radius, in squared steps, within which `chance` of `stored` other patients' queries are expected to lie.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "clamped to the range of the type"
    )]
    pub(crate) fn squared_radius(&self, stored: usize, chance: f64) -> u32 {
        let share = chance / stored.max(1) as f64;
        let radius = f64::from(self.tail.distance) * (share / self.tail.share).powf(1.0 / self.tail.slope);
        (radius / f64::from(self.step)).powi(2).clamp(0.0, 1e9) as u32
    }
}

/// The lower tail of all distances between different sketches. `None` when there are too few.
#[expect(clippy::cast_precision_loss, reason = "at most two million pairs")]
fn tail_of(sketches: &[Sketch], step: f32) -> Option<Tail> {
    let mut distances: Vec<u32> = Vec::with_capacity(sketches.len() * sketches.len() / 2);
    for (i, a) in sketches.iter().enumerate() {
        distances.extend(sketches[i + 1..].iter().map(|b| squared_distance(a, b)));
    }
    let pairs = distances.len();
    let (near, far) = (ANCHOR_PAIRS.min(pairs / 10), (ANCHOR_PAIRS * 10).min(pairs / 2));
    if near == 0 || far <= near {
        return None;
    }
    distances.sort_unstable();
    let at = |k: usize| f64::from(distances[k - 1].max(1)).sqrt() * f64::from(step);
    let (low, high) = (at(near), at(far));
    let slope = (far as f64 / near as f64).ln() / (high / low).ln().max(1e-3);
    #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
    let distance = low as f32;
    // A slope above the number of axes is noise of the estimate, one below 2 would make every radius vanish.
    Some(Tail { distance, share: near as f64 / pairs as f64, slope: slope.clamp(2.0, DIMS as f64) })
}

/// Squared Euclidean distance between sketches, in steps.
pub(crate) fn squared_distance(a: &Sketch, b: &Sketch) -> u32 {
    // Subtracted in 16 bits: for that, and for the sum of the squares, processors have one instruction each.
    let mut gaps = [0_i16; DIMS];
    for k in 0..DIMS {
        gaps[k] = i16::from(a[k]) - i16::from(b[k]);
    }
    gaps.iter().map(|gap| i32::from(*gap) * i32::from(*gap)).sum::<i32>().unsigned_abs()
}

/// Axes that the memory looks at first: the widest, which tell most patients apart.
pub(crate) const HEAD: usize = 8;

/// True when the widest axes alone put two sketches further apart than `limit` (squared steps): a cheap way to pass
/// over nearly all stored queries.
#[inline]
pub(crate) fn is_beyond(a: &Sketch, b: &Sketch, limit: u32) -> bool {
    let mut sum = 0_i32;
    for k in 0..HEAD {
        let d = i32::from(i16::from(a[k]) - i16::from(b[k]));
        sum += d * d;
    }
    sum.unsigned_abs() > limit
}

/// Words that [`tag`] hashes side by side: one after the other, an image's 784 values took longer than everything else that is done with it.
const LANES: usize = 8;

/// A tag that differs between different rows: multiply and rotate over the bits in [`LANES`] lanes, folded to 32 bits. Not a secret and not a proof;
/// a collision makes one near query look like a repeat.
pub(crate) fn tag(row: &[f32]) -> u32 {
    const SEED: u64 = 0xcbf2_9ce4_8422_2325;
    const FACTOR: u64 = 0xff51_afd7_ed55_8ccd;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(FACTOR).rotate_left(23);
    let mut lanes = [SEED; LANES];
    let (blocks, rest) = row.as_chunks::<{ 2 * LANES }>();
    for block in blocks {
        for (lane, pair) in lanes.iter_mut().zip(block.as_chunks::<2>().0) {
            *lane = mix(*lane, u64::from(pair[0].to_bits()) | u64::from(pair[1].to_bits()) << 32);
        }
    }
    let hash = rest.iter().fold(row.len() as u64, |hash, v| mix(hash, v.to_bits().into()));
    let hash = lanes.iter().fold(hash, |hash, lane| mix(hash, *lane));
    #[expect(clippy::cast_possible_truncation, reason = "folded")]
    let folded = (hash ^ (hash >> 32)) as u32;
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_any_bit_of_any_value_changes_the_tag() {
        for width in [1, 15, 16, 17, 30, 784] {
            let row: Vec<f32> = (0..width).map(|i| 0.5 + i as f32 / 7.0).collect();
            let whole = tag(&row);
            assert_eq!(whole, tag(&row));
            for at in 0..width {
                for bit in [0, 1, 22, 31] {
                    let mut other = row.clone();
                    other[at] = f32::from_bits(other[at].to_bits() ^ (1 << bit));
                    assert_ne!(whole, tag(&other), "{width} values, bit {bit} of value {at}");
                }
            }
        }
        assert_ne!(tag(&[0.0; 16]), tag(&[0.0; 32]));
    }
}
