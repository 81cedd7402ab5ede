//! What stands in a clinical text that must not leave the hospital or must not be obeyed by a model.
//!
//! Everything here takes `&str` and gives [`Span`]s of it: no file, socket, clock or unseeded random number.

pub mod hidden;
pub mod injected;
pub mod mask;
pub mod phi;
mod span;
pub mod stream;

pub use span::Span;
