//! Noise of the same size everywhere.

use super::channel::{Channel, normal_around};
use super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Normal noise of one size on all pixels, as of read-out electronics.
    ///
    /// ## What it is
    /// To each pixel a normal number is added with the deviation 0.04, 0.05, 0.06, 0.07, 0.08 of white (severity 1 to 5); the sum is cut to a level.
    /// One independent draw per pixel and channel, from the seed, the family and the sample's number.
    ///
    /// ## Why it matters in care
    /// Electronic noise is in every detector; a model that loses accuracy here is one warm detector away from trouble.
    ///
    /// ## Limits
    /// Works on 256 levels; the noise has no texture (no correlation between pixels), unlike that after post-processing.
    ///
    /// ## References
    /// Di Salvo, Doerrich, Ledig 2024, MedMNIST-C, arXiv:2406.17536; Hendrycks, Dietterich 2019, arXiv:1903.12261.
    pub static ENTRY = { id: "X102", name: "gaussian_noise", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths {
        values: &[0.04, 0.05, 0.06, 0.07, 0.08],
        low: 0.0,
        high: 2.0,
        means: "standard deviation, as a share of white",
    },
    make: |deviation| Act::Image(Box::new(Channel::new(|level, out| normal_around(level, deviation, out)))),
};
