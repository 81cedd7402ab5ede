//! Privacy: what a model tells about the people it was trained on. One file per attack.

mod attribute;
mod membership;
mod membership_loss;
mod membership_ratio;

use domain::Entry;

pub use attribute::{AttributeInference, Inference, attribute_inference};
pub use membership::{Found, Membership, Sensitivity};
pub use membership_loss::membership_by_loss;
pub use membership_ratio::{Form, Ratio, membership_by_ratio};

/// Their pages.
pub static ENTRIES: &[&Entry] = &[&membership_loss::ENTRY, &membership_ratio::ENTRY, &attribute::ENTRY];

/// Page of membership by the loss.
pub const fn loss_entry() -> &'static Entry {
    &membership_loss::ENTRY
}

/// Page of membership by shadow models.
pub const fn ratio_entry() -> &'static Entry {
    &membership_ratio::ENTRY
}

/// Page of attribute inference.
pub const fn attribute_entry() -> &'static Entry {
    &attribute::ENTRY
}
