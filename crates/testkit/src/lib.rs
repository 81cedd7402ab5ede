//! dev: data readers, small models and clients that copy a model, for measurements and tests.
//!
//! A pure library: bytes, seeds and closures come in, nothing is read or written. Searches for an evasion are not here: measurements use those of the
//! crate `attack`.

pub mod data;
pub mod extraction;
pub mod surrogate;
pub mod systems;
