//! Turned images: a little, by a tilted patient, or by quarters, by a wrong orientation.

use numeric::Rng;

use super::super::picture::{OnImage, Picture};
use super::super::{Act, Registered, Source, Strengths, Subject};
use super::place::moved;

domain::catalogue_entry! {
    /// Images are tilted by some degrees, to one side or the other.
    ///
    /// ## What it is
    /// The image is turned about its centre by 3, 6, 10, 15, 20 degrees (severity 1 to 5), clockwise or not at random for each image; corners that come in are
    /// black.
    ///
    /// ## Why it matters in care
    /// Children wriggle and bedside films are never straight.
    ///
    /// ## Limits
    /// The picture turns, not the patient: a turned chest changes its projection too. Interpolation blurs a little.
    ///
    /// ## References
    /// The severities are our own.
    pub static ENTRY = { id: "X117", name: "rotation", kind: Attack, since: "0.1.0", maps: [] };
}

domain::catalogue_entry! {
    /// Images lie on their side or on their head: turned by quarters.
    ///
    /// ## What it is
    /// The image is turned clockwise by 90, 180, 270 degrees (severity 1 to 3). Deterministic. Images that are not square keep their frame: what turns out of it is lost,
    /// what turns in is black.
    ///
    /// ## Why it matters in care
    /// Cassettes are put in any way round, and viewers turn the display without turning the pixels that are sent on.
    ///
    /// ## Limits
    /// A person notices at once; the question is whether the model's owner does.
    ///
    /// ## References
    /// DICOM PS3.3 C.7.6.1.1.1, Patient Orientation.
    pub static ENTRY_TURNED = { id: "X118", name: "turned", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Condition,
    strengths: &Strengths { values: &[3.0, 6.0, 10.0, 15.0, 20.0], low: 0.0, high: 180.0, means: "degrees" },
    make: |degrees| Act::Image(Box::new(Rotation { degrees, either: true })),
};

/// In the registry.
pub(in super::super) static TURNED: Registered = Registered {
    entry: &ENTRY_TURNED,
    subject: Subject::Image,
    source: Source::Condition,
    strengths: &Strengths {
        values: &[90.0, 180.0, 270.0],
        low: 0.0,
        high: 360.0,
        means: "degrees clockwise",
    },
    make: |degrees| Act::Image(Box::new(Rotation { degrees, either: false })),
};

struct Rotation {
    degrees: f64,
    either: bool,
}

impl OnImage for Rotation {
    fn corrupt(&self, picture: &mut Picture, rng: &mut Rng) {
        let sign = if self.either { rng.sign() } else { 1.0 };
        let (sin, cos) = (sign * self.degrees.to_radians()).sin_cos();
        // Quarters are exact, so that turning a square loses no pixel.
        let (sin, cos) = if self.degrees % 90.0 == 0.0 { (sin.round(), cos.round()) } else { (sin, cos) };
        let (middle_y, middle_x) = ((picture.height as f64 - 1.0) / 2.0, (picture.width as f64 - 1.0) / 2.0);
        moved(picture, |y, x| {
            let (dy, dx) = (y - middle_y, x - middle_x);
            (middle_y + cos * dy - sin * dx, middle_x + sin * dy + cos * dx)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_moves_the_upper_left_corner_to_the_upper_right() {
        let mut picture = Picture::new(1, 4, 4);
        picture.levels = (1..=16).collect();
        let before = picture.clone();
        let quarter = Rotation { degrees: 90.0, either: false };
        quarter.corrupt(&mut picture, &mut Rng::new(0, 0));
        assert_eq!(picture.levels[..4], [13, 9, 5, 1]);
        for _ in 0..3 {
            quarter.corrupt(&mut picture, &mut Rng::new(0, 0));
        }
        assert_eq!(picture.levels, before.levels);
    }
}
