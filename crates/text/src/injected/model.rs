//! The trained weights and the running sum that finds where in a text they speak.
//!
//! Each token adds the weights of its features; the sum leaks and never starts below zero (Page's CUSUM, 1954,
//! doi:10.1093/biomet/41.1-2.100), so a few sentences of an order stand out at any place of a note of any length, and
//! the peak says where. Two heads share one table: `attack` (orders to a model, in any text) and `alien` (language of
//! tasks as against language of care, only meaningful inside a clinical text).

use std::sync::LazyLock;

use super::features::{BITS, tokens};

/// What of the sum is kept from token to token: a weight 33 tokens back counts a third.
pub const LEAK: f32 = 0.97;

/// Heads of the model.
pub const HEADS: usize = 2;
/// Orders to a model.
pub const ATTACK: usize = 0;
/// Language that is not that of care.
pub const ALIEN: usize = 1;

/// Weights of one bucket.
type Row = [i8; HEADS];

/// What can be wrong with a file of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Too short or too long.
    #[error("weights have {found} bytes where {expected} are due; train them again with this version")]
    Size {
        /// Bytes that came.
        found: usize,
        /// Bytes that this version reads.
        expected: usize,
    },
    /// A scale that is not a positive number.
    #[error("the scale of head {head} is not a positive number; train the weights again")]
    Scale {
        /// Which head.
        head: usize,
    },
}

/// Weights of both heads.
#[derive(Debug, Clone)]
pub struct Model {
    rows: Vec<Row>,
    scale: [f32; HEADS],
    bias: [f32; HEADS],
}

static SHIPPED: LazyLock<Model> =
    LazyLock::new(|| Model::read(include_bytes!("weights.bin")).unwrap_or_else(|_| Model::silent()));

impl Model {
    /// The weights that ship with the program.
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// A model that never speaks; only what stands in place of weights that cannot be read (a test forbids that).
    fn silent() -> Self {
        Self { rows: vec![[0; HEADS]; 1 << BITS], scale: [1.0; HEADS], bias: [-1.0; HEADS] }
    }

    /// Reads weights: for each head scale and weight of a token as little-endian f32, then the rows.
    ///
    /// # Errors
    /// [`ModelError`] when the bytes are not weights of this version.
    pub fn read(bytes: &[u8]) -> Result<Self, ModelError> {
        let head = HEADS * 8;
        let expected = head + (HEADS << BITS);
        if bytes.len() != expected {
            return Err(ModelError::Size { found: bytes.len(), expected });
        }
        let (header, rest) = bytes.split_at(head);
        let mut scale = [0.0; HEADS];
        let mut bias = [0.0; HEADS];
        for (i, pair) in header.chunks_exact(8).enumerate() {
            let (s, b) = pair.split_at(4);
            let s = f32::from_le_bytes(s.try_into().unwrap_or_default());
            if !(s.is_finite() && s > 0.0) {
                return Err(ModelError::Scale { head: i });
            }
            if let (Some(scale), Some(bias)) = (scale.get_mut(i), bias.get_mut(i)) {
                *scale = s;
                *bias = f32::from_le_bytes(b.try_into().unwrap_or_default());
            }
        }
        let rows = rest.chunks_exact(HEADS).map(|row| [row[0].cast_signed(), row[1].cast_signed()]).collect();
        Ok(Self { rows, scale, bias })
    }

    /// The bytes that [`Model::read`] reads, from weights as floats: rows of both heads, then the weight that every
    /// token has. Each head is scaled so that its largest weight is 127; a weight below half a step becomes 0.
    pub fn write(weights: &[[f32; HEADS]], bias: [f32; HEADS]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADS * 8 + weights.len() * HEADS);
        let mut scales = [1.0_f32; HEADS];
        for (head, scale) in scales.iter_mut().enumerate() {
            let top = weights.iter().filter_map(|row| row.get(head)).fold(0.0_f32, |top, w| top.max(w.abs()));
            *scale = if top > 0.0 { top / 127.0 } else { 1.0 };
        }
        for (scale, bias) in scales.iter().zip(bias) {
            bytes.extend_from_slice(&scale.to_le_bytes());
            bytes.extend_from_slice(&bias.to_le_bytes());
        }
        for row in weights {
            for (weight, scale) in row.iter().zip(scales) {
                #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of an i8")]
                let step = (weight / scale).round().clamp(-127.0, 127.0) as i8;
                bytes.extend_from_slice(&step.to_le_bytes());
            }
        }
        bytes
    }

    /// Runs over `text`; see [`Track`].
    pub fn track(&self, text: &str, thresholds: [f32; HEADS]) -> [Track; HEADS] {
        let [attack, alien] = thresholds;
        let mut tracks = [Track::new(attack), Track::new(alien)];
        let (Some(scale_a), Some(scale_b)) = (self.scale.first(), self.scale.last()) else { return tracks };
        let (Some(bias_a), Some(bias_b)) = (self.bias.first(), self.bias.last()) else { return tracks };
        let [first, second] = &mut tracks;
        let mask = self.rows.len() - 1;
        tokens(text, |token| {
            let (mut a, mut b) = (0_i32, 0_i32);
            for &feature in token.features() {
                let [wa, wb] = self.rows.get(feature as usize & mask).copied().unwrap_or_default();
                a += i32::from(wa);
                b += i32::from(wb);
            }
            #[expect(clippy::cast_precision_loss, reason = "at most 29 weights of 127")]
            let (a, b) = (a as f32 * scale_a + bias_a, b as f32 * scale_b + bias_b);
            first.add(a, token.start, token.end, token.class);
            second.add(b, token.start, token.end, token.class);
        });
        first.close();
        second.close();
        tracks
    }
}

/// A stretch of a text where the running sum passed its threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// First byte of the stretch that the sum began with.
    pub start: usize,
    /// Byte after the token where the sum was highest.
    pub end: usize,
    /// The highest sum.
    pub score: f32,
    /// Tokens before the stretch, and the sum of their weights.
    pub before: (u32, f32),
    /// Tokens up to the end of the stretch, and the sum of their weights.
    pub upto: (u32, f32),
    /// Word classes that were met, one bit each.
    pub(crate) classes: u32,
}

/// Most peaks kept of one text: the highest.
pub const PEAKS_MAX: usize = 256;

/// The running sum of one head.
#[derive(Debug, Clone)]
pub struct Track {
    threshold: f32,
    sum: f32,
    total: f32,
    count: u32,
    current: Peak,
    open: Peak,
    /// The highest sum anywhere, threshold or not; negative infinity when there is no token.
    pub best: f32,
    /// Stretches above the threshold, in order of the text.
    pub peaks: Vec<Peak>,
}

const NO_PEAK: Peak =
    Peak { start: 0, end: 0, score: f32::NEG_INFINITY, before: (0, 0.0), upto: (0, 0.0), classes: 0 };

impl Track {
    fn new(threshold: f32) -> Self {
        Self {
            threshold,
            sum: 0.0,
            total: 0.0,
            count: 0,
            current: NO_PEAK,
            open: NO_PEAK,
            best: f32::NEG_INFINITY,
            peaks: Vec::new(),
        }
    }

    /// Tokens of the text and the sum of their weights.
    pub const fn total(&self) -> (u32, f32) {
        (self.count, self.total)
    }

    fn add(&mut self, weight: f32, start: usize, end: usize, class: u8) {
        if self.sum <= 0.0 {
            self.close();
            self.current = Peak { start, before: (self.count, self.total), ..NO_PEAK };
            self.sum = 0.0;
        }
        self.sum = self.sum * LEAK + weight;
        self.total += weight;
        self.count += 1;
        self.current.classes |= 1 << class;
        if self.sum > self.best {
            self.best = self.sum;
        }
        if self.sum > self.threshold && self.sum > self.open.score {
            self.open = Peak { end, score: self.sum, upto: (self.count, self.total), ..self.current };
        }
    }

    fn close(&mut self) {
        let open = std::mem::replace(&mut self.open, NO_PEAK);
        if open.score == f32::NEG_INFINITY {
            return;
        }
        if self.peaks.len() < PEAKS_MAX {
            self.peaks.push(open);
            return;
        }
        // The place stays with the lowest: a text that has so many is not read in order any more, but found.
        let lowest = self.peaks.iter_mut().min_by(|a, b| a.score.total_cmp(&b.score));
        if let Some(lowest) = lowest.filter(|lowest| lowest.score < open.score) {
            *lowest = open;
        }
    }
}
