//! L2: exercises: what a strong attacker, a bad day in the clinic or a poisoned training set does to a classifier.
//!
//! Everything here computes on rows in the **unit box**: each value in [0, 1], images as pixels over their range, tables
//! by each feature's declared range. Whoever wires a model in ([`Scores`], [`Gradients`], [`Labels`]) converts to the model's own
//! units. The level of access is a type, so an attack cannot ask for more than an attacker would have, and the same
//! attack runs in process, through the gateway and against a remote server.
//!
//! No file, socket, clock or thread here: a stop is asked for by [`Pace`], and every random number comes from a seed.

pub mod access;
pub mod corruption;
pub mod evasion;
pub mod harden;
pub mod loss;
pub mod measure;
pub mod norm;
pub mod pace;
pub mod poison;
pub mod privacy;
pub mod scorecard;
pub mod suite;
pub mod tabular;
pub mod theft;
pub mod training;

pub use access::{Cotangent, Fault, Gradients, Labels, Layout, Replies, RowByRow, Rows, Scores, Space};
pub use norm::{Ball, Norm};
pub use pace::Pace;

/// Everything this crate can do, for the catalogue.
pub fn entries() -> impl Iterator<Item = &'static domain::Entry> {
    let lists = [tabular::ENTRIES, poison::ENTRIES, theft::ENTRIES, privacy::ENTRIES, harden::ENTRIES];
    let evasions = evasion::ATTACKS.iter().map(|a| a.entry);
    let corruptions = corruption::CORRUPTIONS.iter().map(|c| c.entry);
    let conditions = corruption::service::CONDITIONS.iter().map(|c| c.entry);
    evasions.chain(lists.into_iter().flatten().copied()).chain(corruptions).chain(conditions)
}
