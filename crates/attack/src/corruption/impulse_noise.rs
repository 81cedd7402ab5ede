//! Single pixels that are black or white.

use super::channel::Channel;
use super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Single pixels turn black or white (salt and pepper).
    ///
    /// ## What it is
    /// Each pixel and channel is replaced with the probability 0.005, 0.010, 0.013, 0.017, 0.020 (severity 1 to 5), by black or white with equal
    /// chances.
    ///
    /// ## Why it matters in care
    /// Dead and hot detector cells, and bit errors in transfer. Convolutions answer strongly to single bright pixels.
    ///
    /// ## Limits
    /// Works on 256 levels. Real defects sit in the same place in every image; here each image has its own (dead lines: see `dead_lines`).
    /// medmnistc 0.1.0 itself cannot run this family on its own; the figures compared with are those of the same call with a generator given to it.
    ///
    /// ## References
    /// Di Salvo, Doerrich, Ledig 2024, MedMNIST-C, arXiv:2406.17536; Hendrycks, Dietterich 2019, arXiv:1903.12261.
    pub static ENTRY = { id: "X104", name: "impulse_noise", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths {
        values: &[0.005, 0.01, 0.013, 0.017, 0.02],
        low: 0.0,
        high: 1.0,
        means: "share of the pixels that are replaced",
    },
    make: |share| {
        Act::Image(Box::new(Channel::new(|level, out| {
            out[usize::from(level)] = 1.0 - share;
            out[0] += share / 2.0;
            out[255] += share / 2.0;
        })))
    },
};
