//! What must not be in texts that a clinical language model is trained on: hidden text, orders to a model, claims that medicine contradicts, floods of one
//! claim in near copies, sources that stand out, and whoever can be identified.
//!
//! [`Screen::judge`] looks at one document; [`Floods`] and [`Sources`] see all of them, and say at the end which documents belong together. Nothing here reads a
//! file: the caller brings documents and keeps what is said about them.
//!
//! The attack that this is for: Alber et al. 2025, doi:10.1038/s41591-024-03445-1, where a thousandth of a per cent of the tokens sufficed.

mod flood;
mod judge;
mod likeness;
mod source;

pub use flood::{Flood, Floods};
pub use judge::{Identifiers, Judged, MARKS_MAX, Mark, Screen, What};
pub use likeness::{Likeness, likeness};
pub use source::{SOURCES_MAX, SourceCount, Sources};
