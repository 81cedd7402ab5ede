//! Images through another tone curve.

use numeric::Rng;

use super::picture::{OnImage, Picture, table};
use super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Middle tones become darker: a tone curve with an exponent above 1.
    ///
    /// ## What it is
    /// Levels as shares of white are raised to the power 1.1, 1.2, 1.3, 1.4, 1.6 (severity 1 to 5). Black and white stay. Deterministic.
    ///
    /// ## Why it matters in care
    /// Displays, exports and greyscale standard functions apply different tone curves; the same film reads alike and computes differently.
    ///
    /// ## Limits
    /// Works on 256 levels. Real look-up tables of vendors are sigmoid, not powers.
    ///
    /// ## References
    /// Di Salvo, Doerrich, Ledig 2024, MedMNIST-C, arXiv:2406.17536.
    pub static ENTRY_UP = { id: "X111", name: "gamma_corr_up", kind: Attack, since: "0.1.0", maps: [] };
}

domain::catalogue_entry! {
    /// Middle tones become brighter: a tone curve with an exponent below 1.
    ///
    /// ## What it is
    /// Levels as shares of white are raised to the power 0.9, 0.8, 0.7, 0.6, 0.4 (severity 1 to 5). Black and white stay. Deterministic.
    ///
    /// ## Why it matters in care
    /// Displays, exports and greyscale standard functions apply different tone curves; the same film reads alike and computes differently.
    ///
    /// ## Limits
    /// Works on 256 levels. Real look-up tables of vendors are sigmoid, not powers.
    ///
    /// ## References
    /// Di Salvo, Doerrich, Ledig 2024, MedMNIST-C, arXiv:2406.17536.
    pub static ENTRY_DOWN = { id: "X112", name: "gamma_corr_down", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(super) static UP: Registered = Registered {
    entry: &ENTRY_UP,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths { values: &[1.1, 1.2, 1.3, 1.4, 1.6], low: 1.0, high: 20.0, means: "exponent" },
    make,
};

/// In the registry.
pub(super) static DOWN: Registered = Registered {
    entry: &ENTRY_DOWN,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths { values: &[0.9, 0.8, 0.7, 0.6, 0.4], low: 0.05, high: 1.0, means: "exponent" },
    make,
};

fn make(exponent: f64) -> Act {
    Act::Image(Box::new(Gamma(table(|level| curve(level, exponent)))))
}

/// The share of white to the power, times just below 256 and cut, so that all levels get bins of the same width.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 256 by the factor")]
fn curve(level: u8, exponent: f64) -> u8 {
    ((f64::from(level) / 255.0).powf(exponent) * (256.0 - 1e-3)) as u8
}

struct Gamma([u8; 256]);

impl OnImage for Gamma {
    fn corrupt(&self, picture: &mut Picture, _rng: &mut Rng) {
        picture.map(&self.0);
    }
}
