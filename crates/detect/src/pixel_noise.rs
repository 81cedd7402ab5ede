//! G007: images whose pixels do not follow from their neighbours as in the reference images.

use domain::{InputSchema, Location, Outcome, Severity, catalogue_entry};
use numeric::{Matrix, least_squares};
use serde::{Deserialize, Serialize};

use crate::FitError;
use crate::out_of_distribution::{Threshold, some_rows};
use crate::rows::{Report, Watch};
use crate::settings::{Rate, guard_settings};

catalogue_entry! {
    /// Fine noise over the whole image that its detector does not make: what an adversarial perturbation looks like.
    ///
    /// ## What it is
    /// Each pixel is predicted from the 24 around it by weights learnt on the reference images; the lower quartile of the absolute errors says how much noise lies
    /// over the whole image, edges and markers left out. Its logarithm is compared with what the image's own brightness and contrast let
    /// expect. The threshold is a split-conformal quantile on images that took no part in fitting.
    ///
    /// ## Why it matters in care
    /// A perturbation that flips a diagnosis is invisible to the radiologist, but it is spread over all pixels and follows the model's gradient, not anatomy: neighbours no
    /// longer predict each other. This is the only guard that sees an attack which needs a single query.
    ///
    /// ## Limits
    /// Perturbations that are smooth, few or smaller than the detector's own noise are not seen; an attacker who knows the guard and pays for smoothness gets through, with
    /// less success (docs/guards.md has the figures). Another scanner, another reconstruction or a re-compressed image changes the noise too and is flagged, rightly
    /// or not. Images smaller than 8 × 8 pixels are not looked at.
    ///
    /// ## References
    /// Prediction of pixels from their neighbourhood for finding hidden changes: Fridrich and Kodovsky 2012, doi:10.1109/TIFS.2012.2190402, and for adversarial
    /// examples Liu et al. 2019, arXiv:1806.09186; Vovk et al. 2005, doi:10.1007/b106715.
    pub static ENTRY = {
        id: "G007", name: "pixel-noise", kind: Guard, since: "0.1.0",
        maps: ["AML.T0043", "AML.T0015", "ML01:2023", "NISTAML.022"],
    };
}

guard_settings! {
    /// Settings of G007.
    pub struct PixelNoiseSettings { mode: Flag, budget_us: 50_000 }

    /// Share of ordinary images that may be flagged.
    false_positive_rate: Rate = Rate::new(0.01);
}

/// Pixels on each side of the neighbourhood.
const REACH: usize = 2;
/// Neighbours: 5 × 5 without the middle.
const NEIGHBOURS: usize = 24;
/// Smallest image side.
const SIDE_MIN: usize = 8;
/// Pixels looked at per channel; of larger images every second, third … row and column.
const PIXELS_MAX: usize = 16_384;
/// Most channels that are looked at.
const CHANNELS_MAX: usize = 4;
/// Images that the weights are learnt on, and pixels of each.
const IMAGES_MAX: usize = 1_024;
const PIXELS_PER_IMAGE: usize = 128;
/// Which of the sorted errors stands for the noise over the whole image.
const QUARTILE: f64 = 0.25;
/// Added before logarithms: a fifth of the smallest step of 8-bit images.
const FLOOR: f32 = 0.2 / 255.0;

/// What the guard learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NoiseFit {
    /// Weights of the neighbours, row by row, and the constant.
    weights: Vec<f32>,
    /// What the noise follows from: constant, brightness, logarithm of the contrast.
    usual: [f32; 3],
    threshold: Threshold,
}

/// Where the declared image lies in a row.
#[derive(Clone, Copy)]
struct Frame {
    channels: usize,
    height: usize,
    width: usize,
    low: f32,
    per_span: f32,
}

#[expect(clippy::cast_possible_truncation, reason = "models take single precision")]
fn frame(schema: &InputSchema) -> Option<Frame> {
    let InputSchema::Image { channels, height, width, min, max, .. } = schema else { return None };
    let span = ((max - min) as f32).max(f32::MIN_POSITIVE);
    (*height >= SIDE_MIN && *width >= SIDE_MIN).then_some(Frame {
        channels: (*channels).min(CHANNELS_MAX),
        height: *height,
        width: *width,
        low: *min as f32,
        per_span: 1.0 / span,
    })
}

/// Learns weights and usual noise on `fit`, the threshold on `calibration`; `None` for tables and tiny images.
pub(crate) fn fit(
    settings: &PixelNoiseSettings,
    schema: &InputSchema,
    fit: &Matrix,
    calibration: &Matrix,
    seed: u64,
) -> Result<Option<NoiseFit>, FitError> {
    let Some(frame) = frame(schema) else { return Ok(None) };
    let chosen = some_rows(fit, IMAGES_MAX, seed);
    let weights = learn_weights(&frame, &chosen).ok_or(FitError::Degenerate { what: "fit" })?;
    let mut noise = NoiseFit { weights, usual: [0.0; 3], threshold: Threshold::never() };
    let mut errors = Vec::new();
    let (mut known, mut levels) = (Vec::new(), Vec::new());
    for row in chosen.iter_rows() {
        let (level, brightness, contrast) = noise.measure(&frame, row, &mut errors);
        known.extend([1.0, f64::from(brightness), f64::from(contrast)]);
        levels.push(f64::from(level));
    }
    let usual = least_squares(&known, &levels, 3).ok_or(FitError::Degenerate { what: "fit" })?;
    #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
    for (place, value) in noise.usual.iter_mut().zip(usual) {
        *place = value as f32;
    }
    let scores =
        calibration.iter_rows().map(|row| f64::from(noise.score(&frame, row, &mut errors))).collect();
    noise.threshold = Threshold::set(scores, settings.false_positive_rate)?;
    Ok(Some(noise))
}

/// Weights that predict a pixel from its neighbours best in the sense of least squares.
fn learn_weights(frame: &Frame, images: &Matrix) -> Option<Vec<f32>> {
    let (mut known, mut wanted) = (Vec::new(), Vec::new());
    let mut around = [0.0; NEIGHBOURS];
    let inner = (frame.height - 2 * REACH) * (frame.width - 2 * REACH);
    let stride = (inner / PIXELS_PER_IMAGE).max(1);
    for (i, row) in images.iter_rows().enumerate() {
        let plane = row.get(..frame.height * frame.width)?;
        // Another offset in each image, so that all places are seen.
        for at in (i % stride..inner).step_by(stride) {
            let y = REACH + at / (frame.width - 2 * REACH);
            let x = REACH + at % (frame.width - 2 * REACH);
            neighbours(frame, plane, y, x, &mut around);
            known.extend(around.iter().map(|v| f64::from(*v)));
            known.push(1.0);
            wanted.push(f64::from(plane.get(y * frame.width + x)? - frame.low) * f64::from(frame.per_span));
        }
    }
    let weights = least_squares(&known, &wanted, NEIGHBOURS + 1)?;
    #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
    Some(weights.into_iter().map(|w| w as f32).collect())
}

/// The values around a pixel, scaled to the declared range; beyond the edge the image is mirrored.
fn neighbours(frame: &Frame, plane: &[f32], y: usize, x: usize, out: &mut [f32; NEIGHBOURS]) {
    let mirrored = |at: usize, by: usize, length: usize| {
        let moved = at + by;
        if moved < REACH {
            REACH - moved
        } else {
            (moved - REACH).min(2 * (length - 1) - (moved - REACH).min(2 * (length - 1)))
        }
    };
    let mut next = out.iter_mut();
    for dy in 0..=2 * REACH {
        let from = mirrored(y, dy, frame.height) * frame.width;
        for dx in 0..=2 * REACH {
            if (dy, dx) == (REACH, REACH) {
                continue;
            }
            if let (Some(place), Some(v)) = (next.next(), plane.get(from + mirrored(x, dx, frame.width))) {
                *place = (v - frame.low) * frame.per_span;
            }
        }
    }
}

impl NoiseFit {
    /// False for damaged bytes, or when the fit belongs to a table.
    pub(crate) fn fits(&self, schema: &InputSchema) -> bool {
        frame(schema).is_some() && self.weights.len() == NEIGHBOURS + 1
    }

    /// Logarithm of the noise, brightness, and logarithm of the contrast of one image.
    fn measure(&self, frame: &Frame, row: &[f32], errors: &mut Vec<f32>) -> (f32, f32, f32) {
        errors.clear();
        let size = frame.height * frame.width;
        let mut step = 1;
        while size / (step * step) > PIXELS_MAX {
            step += 1;
        }
        let (weights, constant) = self.weights.split_at(NEIGHBOURS.min(self.weights.len()));
        let constant = constant.first().copied().unwrap_or(f32::NAN);
        let (mut sum, mut squares) = (0.0_f64, 0.0_f64);
        let mut around = [0.0; NEIGHBOURS];
        for plane in row.chunks_exact(size).take(frame.channels) {
            for y in (0..frame.height).step_by(step) {
                for x in (0..frame.width).step_by(step) {
                    neighbours(frame, plane, y, x, &mut around);
                    let value =
                        plane.get(y * frame.width + x).map_or(f32::NAN, |v| (v - frame.low) * frame.per_span);
                    let expected = around.iter().zip(weights).map(|(v, w)| v * w).sum::<f32>() + constant;
                    errors.push((value - expected).abs());
                    sum += f64::from(value);
                    squares += f64::from(value) * f64::from(value);
                }
            }
        }
        if errors.iter().any(|e| e.is_nan()) || errors.is_empty() {
            return (f32::NAN, f32::NAN, f32::NAN);
        }
        #[expect(clippy::cast_precision_loss, reason = "pixels of one image")]
        let count = errors.len() as f64;
        let mean = sum / count;
        let deviation = (squares / count - mean * mean).max(0.0).sqrt();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place in the list; measures in single precision"
        )]
        let (place, mean, deviation) = ((count * QUARTILE) as usize, mean as f32, deviation as f32);
        let (_, quartile, _) = errors.select_nth_unstable_by(place, f32::total_cmp);
        ((*quartile + FLOOR).ln(), mean, (deviation + FLOOR).ln())
    }

    /// How much more noise there is than usual, as a logarithm; NaN when a pixel is not a number.
    fn score(&self, frame: &Frame, row: &[f32], errors: &mut Vec<f32>) -> f32 {
        let (level, brightness, contrast) = self.measure(frame, row, errors);
        let [constant, by_brightness, by_contrast] = self.usual;
        level - (constant + by_brightness * brightness + by_contrast * contrast)
    }

    /// The rate that holds for exchangeable images.
    pub(crate) const fn stated(&self) -> f64 {
        self.threshold.stated
    }
}

/// Checks the images of a request.
pub(crate) fn check(schema: &InputSchema, fit: &NoiseFit, rows: &Matrix, watch: &Watch<'_>) -> Outcome {
    const REMEDY: &str =
        "compare with the image in the archive; do not act on the answer unless both are the same";
    let mut report = Report::new(ENTRY.id);
    let Some(frame) = frame(schema) else {
        return Outcome::inconclusive(ENTRY.id, "the declared input is not an image");
    };
    let mut errors = Vec::new();
    for (r, row) in rows.iter_rows().enumerate() {
        if watch.is_over(r) {
            report.out_of_time(r);
            break;
        }
        let score = fit.score(&frame, row, &mut errors);
        if score.is_nan() {
            report.doubt(format!("row {r} could not be scored"));
        } else if score > fit.threshold.value {
            let times = score.exp();
            report.find(
                Severity::High,
                Location::row(r, None),
                Some("AML.T0043"),
                format!("fine noise over the whole image, {times:.1} times what its kind has"),
                REMEDY,
            );
        }
    }
    report.finish()
}

#[cfg(test)]
#[path = "pixel_noise_tests.rs"]
mod tests;
