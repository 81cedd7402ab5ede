//! A letter burnt into the picture.

use numeric::Rng;

use super::super::picture::{OnImage, Picture};
use super::super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// A laterality marker, L or R, is burnt into an upper corner.
    ///
    /// ## What it is
    /// A white letter of 0.12, 0.16, 0.20, 0.25, 0.30 of the image's height (severity 1 to 5), L or R and left or right corner at random, near the border.
    ///
    /// ## Why it matters in care
    /// Lead markers lie on most films, and their shape tells the hospital, the technician and the ward. Models have learnt the marker in place of the disease.
    ///
    /// ## Limits
    /// One drawn font. At 28 pixels a small letter is a few bright pixels; real markers have a ring, initials or beads.
    ///
    /// ## References
    /// Zech et al. 2018, doi:10.1371/journal.pmed.1002683; DeGrave, Janizek, Lee 2021, doi:10.1038/s42256-021-00338-7.
    pub static ENTRY = { id: "X116", name: "laterality_marker", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Condition,
    strengths: &Strengths {
        values: &[0.12, 0.16, 0.20, 0.25, 0.30],
        low: 0.02,
        high: 0.8,
        means: "height of the letter, as a share of the image's",
    },
    make: |size| Act::Image(Box::new(Marker(size))),
};

/// A straight stroke from one point to another, `(x, y)` in a box of width 0.7 and height 1.
type Stroke = [(f64, f64); 2];

const L: &[Stroke] = &[[(0.0, 0.0), (0.0, 1.0)], [(0.0, 1.0), (0.7, 1.0)]];
const R: &[Stroke] = &[
    [(0.0, 0.0), (0.0, 1.0)],
    [(0.0, 0.0), (0.5, 0.0)],
    [(0.5, 0.0), (0.7, 0.15)],
    [(0.7, 0.15), (0.7, 0.35)],
    [(0.7, 0.35), (0.5, 0.5)],
    [(0.5, 0.5), (0.0, 0.5)],
    [(0.3, 0.5), (0.7, 1.0)],
];
/// Half the width of a stroke, as a share of the letter's height.
const HALF_STROKE: f64 = 0.08;
/// Distance from the border, as a share of the image's height.
const MARGIN: f64 = 0.05;

struct Marker(f64);

impl OnImage for Marker {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of levels")]
    fn corrupt(&self, picture: &mut Picture, rng: &mut Rng) {
        let (height, width, area) = (picture.height, picture.width, picture.area());
        let strokes = if rng.below(2) == 0 { L } else { R };
        let (tall, margin) = (self.0 * height as f64, MARGIN * height as f64);
        let left = if rng.below(2) == 0 { margin } else { width as f64 - margin - 0.7 * tall };
        // Never thinner than a pixel, else small letters would vanish between pixels.
        let half = (HALF_STROKE * tall).max(0.5);
        for y in 0..height {
            for x in 0..width {
                let point = ((x as f64 + 0.5 - left) / tall, (y as f64 + 0.5 - margin) / tall);
                let nearest = strokes.iter().map(|s| distance(point, s) * tall).fold(f64::INFINITY, f64::min);
                let covered = (half + 0.5 - nearest).clamp(0.0, 1.0);
                if covered > 0.0 {
                    for plane in picture.levels.chunks_exact_mut(area) {
                        let level = &mut plane[y * width + x];
                        *level = (f64::from(*level) * (1.0 - covered) + 255.0 * covered).round() as u8;
                    }
                }
            }
        }
    }
}

/// Distance from a point to a stroke.
fn distance(point: (f64, f64), stroke: &Stroke) -> f64 {
    let [a, b] = stroke;
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let along = ((point.0 - a.0) * dx + (point.1 - a.1) * dy) / (dx * dx + dy * dy);
    let along = along.clamp(0.0, 1.0);
    (point.0 - a.0 - along * dx).hypot(point.1 - a.1 - along * dy)
}
