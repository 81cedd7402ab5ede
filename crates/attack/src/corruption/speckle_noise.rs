//! Noise that grows with the signal.

use super::channel::{Channel, normal_around};
use super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Normal noise in proportion to the level, as of coherent imaging.
    ///
    /// ## What it is
    /// Each pixel is multiplied by 1 plus a normal number with the deviation 0.05, 0.07, 0.10, 0.15, 0.20 (severity 1 to 5); the product is cut to a
    /// level. Black stays black. One independent draw per pixel and channel.
    ///
    /// ## Why it matters in care
    /// Speckle is the grain of ultrasound and optical coherence tomography; gain differences of detector cells act alike.
    ///
    /// ## Limits
    /// Works on 256 levels; real speckle is correlated over a few pixels and not normal.
    ///
    /// ## References
    /// Di Salvo, Doerrich, Ledig 2024, MedMNIST-C, arXiv:2406.17536; Hendrycks, Dietterich 2019, arXiv:1903.12261.
    pub static ENTRY = { id: "X103", name: "speckle_noise", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths {
        values: &[0.05, 0.07, 0.10, 0.15, 0.20],
        low: 0.0,
        high: 2.0,
        means: "standard deviation, as a share of the level",
    },
    make: |deviation| {
        let at = move |level: u8| deviation * f64::from(level) / 255.0;
        Act::Image(Box::new(Channel::new(|level, out| normal_around(level, at(level), out))))
    },
};
