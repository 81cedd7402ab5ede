//! Where things stand in the file.

use sha2::{Digest as _, Sha256};

pub(super) const MAGIC: &[u8; 8] = b"ASEPKG\0\x01";
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER: usize = 64;
pub(super) const SECTIONS: usize = 8;
/// Offset (8 bytes), count (4), zero (4).
pub(super) const SECTION: usize = 16;

/// Sections in the order of the table, each with the size of a record.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Sources = 1,
    Nodes = 2,
    Names = 3,
    Edges = 4,
    Inward = 5,
    Doses = 6,
    Ids = 7,
}

/// Size of a record of each part, in the order of [`Part`].
pub(super) const RECORD: [usize; SECTIONS] = [1, 32, 44, 12, 20, 4, 56, 4];

/// Words for error messages, in the order of [`Part`].
pub(super) const WORD: [&str; SECTIONS] =
    ["strings", "sources", "nodes", "names", "edges", "inward edges", "doses", "ids"];

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

pub(super) fn f64_at(bytes: &[u8], at: usize) -> f64 {
    f64::from_bits(u64_at(bytes, at))
}

/// SHA-256 of everything after the header.
pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes.get(HEADER..).unwrap_or_default()).into()
}

/// Writes length and digest into the header.
pub(super) fn seal(bytes: &mut [u8]) {
    let sum = digest(bytes);
    let len = (bytes.len() as u64).to_le_bytes();
    if let Some(slot) = bytes.get_mut(16..48) {
        slot.copy_from_slice(&sum);
    }
    if let Some(slot) = bytes.get_mut(48..56) {
        slot.copy_from_slice(&len);
    }
}
