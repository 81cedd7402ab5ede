//! Blades in the picture.

use numeric::Rng;

use super::super::picture::{OnImage, Picture};
use super::super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Collimator blades darken the borders.
    ///
    /// ## What it is
    /// A black border of 0.05, 0.10, 0.15, 0.20, 0.25 of width and height on each side (severity 1 to 5, at least one pixel). Deterministic.
    ///
    /// ## Why it matters in care
    /// Collimation saves dose and is good practice; the black frame is not in curated training sets, and moves every mean and histogram.
    ///
    /// ## Limits
    /// Straight, symmetric and fully black; real blades leave scatter and can be tilted.
    ///
    /// ## References
    /// DICOM PS3.3 C.8.7.3, X-Ray Collimator; the severities are our own.
    pub static ENTRY = { id: "X122", name: "collimation", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Condition,
    strengths: &Strengths {
        values: &[0.05, 0.10, 0.15, 0.20, 0.25],
        low: 0.0,
        high: 0.5,
        means: "width of the border, as a share of the image's size",
    },
    make: |share| Act::Image(Box::new(Collimation(share))),
};

struct Collimation(f64);

impl OnImage for Collimation {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most half the size")]
    fn corrupt(&self, picture: &mut Picture, _rng: &mut Rng) {
        let (height, width, area) = (picture.height, picture.width, picture.area());
        let blade = |n: usize| ((self.0 * n as f64).round() as usize).max(usize::from(self.0 > 0.0));
        let (upper, side) = (blade(height), blade(width));
        for plane in picture.levels.chunks_exact_mut(area.max(1)) {
            for (y, line) in plane.chunks_exact_mut(width).enumerate() {
                let dark = y < upper || y + upper >= height;
                let outside = |x: usize| dark || x < side || x + side >= width;
                line.iter_mut().enumerate().filter(|(x, _)| outside(*x)).for_each(|(_, level)| *level = 0);
            }
        }
    }
}
