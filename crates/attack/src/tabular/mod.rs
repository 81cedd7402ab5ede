//! Clinical tables: attacks that stay within what a patient can be.
//!
//! A [`Rulebook`] says what a plausible row is: declared ranges, whole numbers, codes, what never changes, and relations between features.
//! [`least_change`] searches the cheapest plausible row of another class for any model with scores; [`least_change_of_trees`] finds it exactly for tree ensembles,
//! or says between which bounds it lies. Costs are in units of measurement error, so that a result reads: "two values, each
//! within what a second measurement could give, and the answer turns over".

mod bound;
mod change;
mod exact;
mod forest;
mod oracle;
mod relation;
mod rulebook;
mod walks;

use domain::Entry;

pub use bound::margin_bound;
pub use change::{Cell, Change, Found, Scale, Settings, Shown, least_change};
pub use exact::{Axis, Least, Steps, Work, least_change_of_trees, least_flip};
pub use forest::{Compare, Decision, Forest, Node, Tree};
pub use relation::{Relation, RelationError};
pub use rulebook::{Broken, Column, Rulebook};

/// The attacks on tables.
pub static ENTRIES: &[&Entry] = &[&change::ENTRY, &exact::ENTRY];
