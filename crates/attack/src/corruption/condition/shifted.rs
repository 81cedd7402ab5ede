//! The patient beside the middle of the picture.

use numeric::Rng;

use super::super::picture::{OnImage, Picture};
use super::super::{Act, Registered, Source, Strengths, Subject};
use super::place::moved;

domain::catalogue_entry! {
    /// The picture is shifted: part of the patient is cut off, black comes in.
    ///
    /// ## What it is
    /// The image moves by 0.05, 0.10, 0.15, 0.20, 0.30 of its size (severity 1 to 5, whole pixels) in a random direction; what comes in is black.
    ///
    /// ## Why it matters in care
    /// Poor positioning cuts off a lung base or an apex, where pneumonia and pneumothorax hide.
    ///
    /// ## Limits
    /// What was outside is black, not the neighbouring anatomy.
    ///
    /// ## References
    /// The severities are our own.
    pub static ENTRY = { id: "X120", name: "shifted", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Condition,
    strengths: &Strengths {
        values: &[0.05, 0.10, 0.15, 0.20, 0.30],
        low: 0.0,
        high: 1.0,
        means: "distance, as a share of the image's size",
    },
    make: |share| Act::Image(Box::new(Shifted(share))),
};

struct Shifted(f64);

impl OnImage for Shifted {
    fn corrupt(&self, picture: &mut Picture, rng: &mut Rng) {
        let (sin, cos) = rng.range(0.0, std::f64::consts::TAU).sin_cos();
        let down = (sin * self.0 * picture.height as f64).round();
        let right = (cos * self.0 * picture.width as f64).round();
        moved(picture, |y, x| (y - down, x - right));
    }
}
