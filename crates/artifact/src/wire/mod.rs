//! Walkers over the encodings that model formats are built from. They give tokens and borrowed stretches, never trees
//! as large as the file, and every one of them has a named bound on depth and count.

pub(crate) mod flat;
pub(crate) mod hdf5;
pub(crate) mod json;
pub(crate) mod proto;
pub(crate) mod xml;

use crate::Source;

/// Where `needle` first is in the first `most` bytes.
pub(crate) fn find(source: &dyn Source, needle: &[u8], most: u64) -> Option<u64> {
    /// Bytes read at once.
    const STEP: u64 = 1 << 20;
    let end = source.len().min(most);
    let overlap = needle.len().saturating_sub(1) as u64;
    let mut at = 0;
    while at < end && !needle.is_empty() {
        let length = (STEP + overlap).min(end - at);
        let bytes = source.bytes(at, length, length).ok()?;
        if let Some(found) = position(&bytes, needle) {
            return Some(at + found as u64);
        }
        at += STEP;
    }
    None
}

/// Where `needle` first is in `bytes`.
pub(crate) fn position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|b| *b == first) {
        if bytes.get(from + at..)?.starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
