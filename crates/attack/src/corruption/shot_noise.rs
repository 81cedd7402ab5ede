//! Noise of counting photons.

use super::channel::Channel;
use super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Photon noise, as of a lower dose: each pixel becomes a Poisson count.
    ///
    /// ## What it is
    /// A pixel at the share v of white becomes a Poisson count with the mean v times 300, 200, 150, 100, 80 (severity 1 to 5), divided by that number
    /// again and cut at white: the photons that a white pixel collects.
    ///
    /// ## Why it matters in care
    /// Dose reduction is good practice and adds exactly this noise; a model should be told apart from one that only works at the dose of its training set.
    ///
    /// ## Limits
    /// Works on 256 levels after the detector's tone curve; real counting happens before it. Black pixels stay black.
    ///
    /// ## References
    /// Di Salvo, Doerrich, Ledig 2024, MedMNIST-C, arXiv:2406.17536; Hendrycks, Dietterich 2019, arXiv:1903.12261.
    pub static ENTRY = { id: "X105", name: "shot_noise", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry. At 600 photons the probability of no photon is still a normal number.
pub(super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths {
        values: &[300.0, 200.0, 150.0, 100.0, 80.0],
        low: 1.0,
        high: 600.0,
        means: "photons that a white pixel collects; fewer are worse",
    },
    make: |photons| Act::Image(Box::new(Channel::new(|level, out| counts(level, photons, out)))),
};

/// Probabilities of `⌊min(N / photons, 1) · 255⌋` for a Poisson count N with the mean `level / 255 · photons`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 255 by the cut at white"
)]
fn counts(level: u8, photons: f64, out: &mut [f64; 256]) {
    let mean = f64::from(level) / 255.0 * photons;
    let (mut chance, mut sum, mut count) = ((-mean).exp(), 0.0, 0.0);
    while count < photons {
        out[(count / photons * 255.0) as usize] += chance;
        sum += chance;
        count += 1.0;
        chance *= mean / count;
    }
    out[255] += (1.0 - sum).max(0.0);
}
