//! Images with few grey levels.

use super::super::picture::{OnImage, Picture, table};
use super::super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Images keep only a few bits of grey.
    ///
    /// ## What it is
    /// Levels are rounded to 6, 5, 4, 3, 2 bits (severity 1 to 5), black and white kept. Deterministic.
    ///
    /// ## Why it matters in care
    /// Screenshots, teaching files, fax and palette formats reduce grey levels; so does a 12-bit image that was cut to its upper bits on the way.
    ///
    /// ## Limits
    /// Rounding in equal steps; dithering and palettes are not imitated.
    ///
    /// ## References
    /// DICOM PS3.3 C.7.6.3 (bits stored); the severities are our own.
    pub static ENTRY = { id: "X113", name: "bit_depth", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Condition,
    strengths: &Strengths {
        values: &[6.0, 5.0, 4.0, 3.0, 2.0],
        low: 1.0,
        high: 8.0,
        means: "bits of grey left",
    },
    make: |bits| Act::Image(Box::new(BitDepth(table(|level| rounded(level, bits))))),
};

struct BitDepth([u8; 256]);

impl OnImage for BitDepth {
    fn corrupt(&self, picture: &mut Picture, _rng: &mut numeric::Rng) {
        picture.map(&self.0);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
fn rounded(level: u8, bits: f64) -> u8 {
    let top = bits.exp2().floor() - 1.0;
    ((f64::from(level) / 255.0 * top).round() / top * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_leave_that_many_levels_and_eight_leave_all() {
        for (bits, levels) in [(1.0, 2), (2.0, 4), (3.0, 8), (6.0, 64), (8.0, 256)] {
            let mut seen = table(|l| rounded(l, bits)).to_vec();
            seen.dedup();
            assert_eq!(seen.len(), levels, "{bits}");
            assert_eq!((seen[0], seen[levels - 1]), (0, 255));
        }
    }
}
