//! Privacy: what a model tells about the people it was trained on. One file per attack.

mod attribute;
mod membership;
mod membership_loss;
mod membership_ratio;

use domain::Entry;

pub use attribute::{AttributeInference, Inference, attribute_inference};
pub use membership::{Found, Membership};
pub use membership_loss::membership_by_loss;
pub use membership_ratio::{Form, Ratio, membership_by_ratio};

/// Their pages.
pub static ENTRIES: &[&Entry] = &[&membership_loss::ENTRY, &membership_ratio::ENTRY, &attribute::ENTRY];
