//! A detail in place of the whole.

use numeric::Rng;

use super::super::picture::{OnImage, Picture};
use super::super::{Act, Registered, Source, Strengths, Subject};
use super::place::moved;

domain::catalogue_entry! {
    /// Only a detail of the field is shown, enlarged to the whole frame.
    ///
    /// ## What it is
    /// A window of 0.95, 0.90, 0.80, 0.70, 0.60 of width and height (severity 1 to 5), placed at random, is enlarged to the full size.
    ///
    /// ## Why it matters in care
    /// Cropping at export and close collimation change the scale; a model that has learnt sizes reads a normal heart as a large one.
    ///
    /// ## Limits
    /// Enlarging blurs a little. The content is what the smaller field shows, without the sharper detail of a true close-up.
    ///
    /// ## References
    /// The severities are our own.
    pub static ENTRY = { id: "X121", name: "cropped", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Condition,
    strengths: &Strengths {
        values: &[0.95, 0.90, 0.80, 0.70, 0.60],
        low: 0.05,
        high: 1.0,
        means: "share of the width and height that is kept",
    },
    make: |share| Act::Image(Box::new(Cropped(share))),
};

struct Cropped(f64);

impl OnImage for Cropped {
    fn corrupt(&self, picture: &mut Picture, rng: &mut Rng) {
        let mut start = |n: usize| rng.range(0.0, 1.0 - self.0) * (n as f64 - 1.0);
        let (top, left) = (start(picture.height), start(picture.width));
        moved(picture, |y, x| (top + y * self.0, left + x * self.0));
    }
}
