//! Images that are too bright or too dark.

use numeric::Rng;

use super::picture::{OnImage, Picture, blend, table};
use super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Images become brighter: every level times a factor above 1, cut at white.
    ///
    /// ## What it is
    /// Each level is multiplied by 1.1, 1.2, 1.3, 1.4, 1.5 (severity 1 to 5) and cut at white. Deterministic.
    ///
    /// ## Why it matters in care
    /// Another exposure, another post-processing, another display setting at export: the picture means the same to a person, and a fixed
    /// decision threshold can fail while the ranking of patients still holds.
    ///
    /// ## Limits
    /// Works on 256 levels: finer pictures lose depth first. A global factor, not the exposure physics of a detector.
    ///
    /// ## References
    /// Di Salvo, Doerrich, Ledig 2024, MedMNIST-C, arXiv:2406.17536.
    pub static ENTRY_UP = { id: "X107", name: "brightness_up", kind: Attack, since: "0.1.0", maps: [] };
}

domain::catalogue_entry! {
    /// Images become darker: every level times a factor below 1.
    ///
    /// ## What it is
    /// Each level is multiplied by 0.9, 0.8, 0.7, 0.6, 0.5 (severity 1 to 5) and cut to a whole level. Deterministic.
    ///
    /// ## Why it matters in care
    /// Underexposure and changed export settings are everyday events. On the reference X-ray model a factor of 0.7 costs more accuracy than a strong
    /// attack, while the ranking of patients survives: look at accuracy and area under the curve together.
    ///
    /// ## Limits
    /// Works on 256 levels. Real underexposure also adds noise, which this does not; combine with shot noise by judgement.
    ///
    /// ## References
    /// Di Salvo, Doerrich, Ledig 2024, MedMNIST-C, arXiv:2406.17536.
    pub static ENTRY_DOWN = { id: "X108", name: "brightness_down", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(super) static UP: Registered = Registered {
    entry: &ENTRY_UP,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths {
        values: &[1.1, 1.2, 1.3, 1.4, 1.5],
        low: 1.0,
        high: 10.0,
        means: "factor on the level",
    },
    make,
};

/// In the registry.
pub(super) static DOWN: Registered = Registered {
    entry: &ENTRY_DOWN,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths {
        values: &[0.9, 0.8, 0.7, 0.6, 0.5],
        low: 0.0,
        high: 1.0,
        means: "factor on the level",
    },
    make,
};

fn make(factor: f64) -> Act {
    Act::Image(Box::new(Brightness(table(|level| blend(0, level, factor)))))
}

struct Brightness([u8; 256]);

impl OnImage for Brightness {
    fn corrupt(&self, picture: &mut Picture, _rng: &mut Rng) {
        picture.map(&self.0);
    }
}
