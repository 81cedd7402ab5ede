//! L2: the guards: pure detectors over requests and replies, one file each, and the proof type [`Screened`].
//!
//! What a guard knows is learnt once, at admission, by [`fit()`] from reference data; what it remembers of the traffic
//! is in [`History`], which the caller keeps and stores. Nothing here does I/O, reads a clock or draws randomness
//! that was not seeded.
//!
//! | guard | looks at | remembers |
//! |---|---|---|
//! | G001 `schema` | names, types, shapes, NaN | nothing |
//! | G002 `clinical-range`, `unit-mix-up` | single values and their units | nothing |
//! | G003 `out-of-distribution`, `out-of-distribution-features` | the whole row; activations | nothing |
//! | G004 `uncertainty` | class probabilities | nothing |
//! | G005 `query-similarity` | the row against earlier queries of everybody | fingerprints |
//! | G006 `extraction` | a client's queries of the day | counts and evidence per client |
//! | G007 `pixel-noise` | the fine noise of an image | nothing |
//! | G008 `unread-media` | pictures and files in a conversation | nothing |
//! | G009 `hidden-text` | what a model reads and a person does not see | nothing |
//! | G010 `injected-instructions` | orders to a model in what it should only read | nothing |
//! | G011 `patient-identifiers` | who the patient is | the originals, as long as the exchange |
//! | G012 `clinical-claims` | what a model claims about drugs, doses and diseases | nothing |

mod clinical_range;
mod evaluate;
mod extraction;
mod fit;
mod guard_set;
mod history;
mod lines;
mod memory;
mod out_of_distribution;
mod pixel_noise;
mod pixels;
mod query_similarity;
mod reference;
mod rows;
mod schema;
mod screened;
mod settings;
mod sketch;
mod snapshot;
mod text;
mod uncertainty;

pub use clinical_range::ClinicalRangeSettings;
pub use evaluate::{Evaluation, GuardRate, evaluate};
pub use extraction::ExtractionSettings;
pub use fit::{FitError, Fitted, fit};
pub use guard_set::{Context, GuardSet, Instance, Screening, Side};
pub use history::History;
pub use out_of_distribution::OutOfDistributionSettings;
pub use pixel_noise::PixelNoiseSettings;
pub use query_similarity::QuerySimilaritySettings;
pub use reference::{CLASSES_MAX, OutputKind, Reference, class_scores};
pub use schema::SchemaSettings;
pub use screened::Screened;
pub use settings::{Common, Count, GuardSettings, Rate, SettingError};
pub use snapshot::SnapshotError;
pub use text::{
    Blocked, ClinicalClaimsSettings, Frame, HiddenTextSettings, HoldBack, IdentifierAction, ImagePolicy,
    InjectedInstructionsSettings, Note, PatientIdentifiersSettings, RoleMode, RoleModes, StreamEnd,
    StreamScreen, Talk, TextGuardSettings, TextGuards, UnreadMediaSettings,
};
pub use uncertainty::UncertaintySettings;

pub(crate) use guard_set::Passed;
use text::{claims, hidden, identifiers, injected, media};

/// The catalogue entries of all guards, in the order in which they run.
pub static ENTRIES: &[&domain::Entry] = &[
    &schema::ENTRY,
    &clinical_range::ENTRY,
    &out_of_distribution::ENTRY,
    &uncertainty::ENTRY,
    &query_similarity::ENTRY,
    &extraction::ENTRY,
    &pixel_noise::ENTRY,
    &media::ENTRY,
    &hidden::ENTRY,
    &injected::ENTRY,
    &identifiers::ENTRY,
    &claims::ENTRY,
];

#[cfg(test)]
mod catalogue_tests;
#[cfg(test)]
mod test_support;
