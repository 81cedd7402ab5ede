//! Black and white exchanged.

use numeric::Rng;

use super::super::picture::{OnImage, Picture};
use super::super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Black and white are exchanged, as when MONOCHROME1 is read as MONOCHROME2.
    ///
    /// ## What it is
    /// Each level becomes 255 minus itself. One severity. Deterministic.
    ///
    /// ## Why it matters in care
    /// DICOM stores X-rays either way round and says so in one attribute; software that ignores it hands the model a negative. A person sees it at once,
    /// a model answers with full confidence.
    ///
    /// ## Limits
    /// All or nothing; a guard that knows the mean level sees it in most images, not in all.
    ///
    /// ## References
    /// DICOM PS3.3 C.7.6.3.1.2, Photometric Interpretation.
    pub static ENTRY = { id: "X114", name: "inversion", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Condition,
    strengths: &Strengths { values: &[1.0], low: 1.0, high: 1.0, means: "inverted" },
    make: |_| Act::Image(Box::new(Inversion)),
};

struct Inversion;

impl OnImage for Inversion {
    fn corrupt(&self, picture: &mut Picture, _rng: &mut Rng) {
        picture.levels.iter_mut().for_each(|level| *level = u8::MAX - *level);
    }
}
