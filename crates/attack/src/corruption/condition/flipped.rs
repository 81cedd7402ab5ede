//! Mirrored images.

use numeric::Rng;

use super::super::picture::{OnImage, Picture};
use super::super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Images are mirrored: left and right, or top and bottom.
    ///
    /// ## What it is
    /// Severity 1 exchanges left and right, severity 2 top and bottom, severity 3 both. Deterministic.
    ///
    /// ## Why it matters in care
    /// Views from the back stored as views from the front, and films scanned the wrong way round: the heart lies on the right, and the finding on the wrong side.
    ///
    /// ## Limits
    /// Accuracy says little where the task is symmetric; then this shows that the model cannot notice.
    ///
    /// ## References
    /// DICOM PS3.3 C.7.6.1.1.1, Patient Orientation.
    pub static ENTRY = { id: "X119", name: "flipped", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Condition,
    strengths: &Strengths {
        values: &[1.0, 2.0, 3.0],
        low: 1.0,
        high: 3.0,
        means: "1 left and right, 2 top and bottom, 3 both; cut to a whole number",
    },
    make: |which| Act::Image(Box::new(Flipped { across: !(2.0..3.0).contains(&which), down: which >= 2.0 })),
};

struct Flipped {
    across: bool,
    down: bool,
}

impl OnImage for Flipped {
    fn corrupt(&self, picture: &mut Picture, _rng: &mut Rng) {
        let (width, area) = (picture.width, picture.area());
        for plane in picture.levels.chunks_exact_mut(area.max(1)) {
            // All pixels in reverse are both mirrors; rows in reverse undo the one across.
            if self.down {
                plane.reverse();
            }
            if self.across != self.down {
                plane.chunks_exact_mut(width).for_each(<[u8]>::reverse);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mirror_does_what_it_says() {
        for (across, down, expected) in
            [(true, false, [2, 1, 4, 3]), (false, true, [3, 4, 1, 2]), (true, true, [4, 3, 2, 1])]
        {
            let mut picture = Picture::new(1, 2, 2);
            picture.levels = vec![1, 2, 3, 4];
            Flipped { across, down }.corrupt(&mut picture, &mut Rng::new(0, 0));
            assert_eq!(picture.levels, expected);
        }
    }
}
