//! A detector with dead lines.

use numeric::Rng;

use super::super::picture::{OnImage, Picture};
use super::super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Lines of the detector are dead: black, or stuck at white.
    ///
    /// ## What it is
    /// Of the rows, or of the columns, as drawn for each image, 0.02, 0.04, 0.08, 0.12, 0.20 (severity 1 to 5, at least one) are replaced by black or white, each
    /// with equal chances.
    ///
    /// ## Why it matters in care
    /// Read-out lines fail between two services of a detector; correction hides them until it does not.
    ///
    /// ## Limits
    /// Each image has its own lines, as if from its own detector; the same lines in all images would be one detector's fault and one sample of it.
    ///
    /// ## References
    /// The severities are our own.
    pub static ENTRY = { id: "X123", name: "dead_lines", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Condition,
    strengths: &Strengths {
        values: &[0.02, 0.04, 0.08, 0.12, 0.20],
        low: 0.0,
        high: 1.0,
        means: "share of the lines that are dead",
    },
    make: |share| Act::Image(Box::new(DeadLines(share))),
};

struct DeadLines(f64);

impl OnImage for DeadLines {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most the number of lines"
    )]
    fn corrupt(&self, picture: &mut Picture, rng: &mut Rng) {
        let (width, area) = (picture.width, picture.area());
        let rows = rng.below(2) == 0;
        let lines = if rows { picture.height } else { width };
        let dead = ((self.0 * lines as f64).round() as usize).max(usize::from(self.0 > 0.0));
        for line in rng.permutation(lines).into_iter().take(dead) {
            let level = if rng.below(2) == 0 { 0 } else { u8::MAX };
            for plane in picture.levels.chunks_exact_mut(area.max(1)) {
                if rows {
                    plane[line * width..(line + 1) * width].fill(level);
                } else {
                    plane.iter_mut().skip(line).step_by(width).for_each(|v| *v = level);
                }
            }
        }
    }
}
