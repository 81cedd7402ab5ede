//! A wrong window.

use numeric::Rng;

use super::super::picture::{OnImage, Picture, table};
use super::super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Levels pass through a wrong window: what lies outside becomes black or white.
    ///
    /// ## What it is
    /// A window of 0.8, 0.65, 0.5, 0.35, 0.2 of the range of levels (severity 1 to 5), placed at random for each image, is stretched over all levels.
    ///
    /// ## Why it matters in care
    /// Window centre and width are a reader's choice, saved with the image or applied at export: lung, bone and soft tissue windows of the same slice are
    /// three different inputs.
    ///
    /// ## Limits
    /// Linear windows on 256 levels; from the 12 bits of an archive a window would still show detail that is lost here.
    ///
    /// ## References
    /// DICOM PS3.3 C.11.2.1.2, Window Center and Window Width; the severities are our own.
    pub static ENTRY = { id: "X115", name: "window", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Condition,
    strengths: &Strengths {
        values: &[0.8, 0.65, 0.5, 0.35, 0.2],
        low: 0.01,
        high: 1.0,
        means: "width of the window, as a share of all levels",
    },
    make: |width| Act::Image(Box::new(Window(width))),
};

struct Window(f64);

impl OnImage for Window {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a level")]
    fn corrupt(&self, picture: &mut Picture, rng: &mut Rng) {
        let low = rng.range(0.0, 1.0 - self.0);
        picture.map(&table(|level| {
            ((f64::from(level) / 255.0 - low) / self.0 * 255.0).round().clamp(0.0, 255.0) as u8
        }));
    }
}
