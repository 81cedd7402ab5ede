//! Judges of texts that are programs.

pub(crate) mod jinja;
