//! Leaf and node hashes of RFC 6962, section 2.1: SHA-256 with a domain byte in front.
//!
//! The domain byte (0x00 leaf, 0x01 node) is what stops somebody from passing an inner node off as an entry.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};
use std::fmt;

/// Bytes in a hash.
pub const HASH_BYTES: usize = 32;

/// One SHA-256 hash of the tree. Shown as standard base64, the way checkpoints and proofs write it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; HASH_BYTES]);

/// The root of the tree without entries: SHA-256 of nothing (RFC 6962, section 2.1).
pub const EMPTY_ROOT: Hash = Hash([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

impl Hash {
    /// A hash from its 32 bytes.
    pub const fn new(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// Reads exactly 32 bytes; `None` for any other length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads standard, padded, canonical base64 of exactly 32 bytes; `None` for anything else.
    pub fn from_base64(text: &str) -> Option<Self> {
        // 32 bytes are 44 characters: a longer text is not decoded at all.
        if text.len() != 44 {
            return None;
        }
        STANDARD.decode(text).ok().and_then(|bytes| Self::from_slice(&bytes))
    }

    /// Standard padded base64, 44 characters.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", self.to_base64())
    }
}

impl From<[u8; HASH_BYTES]> for Hash {
    fn from(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }
}

impl From<Hash> for [u8; HASH_BYTES] {
    fn from(hash: Hash) -> Self {
        hash.0
    }
}

/// The hash of one entry: SHA-256(0x00 || entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut sha = Sha256::new();
    sha.update([0u8]);
    sha.update(entry);
    Hash(sha.finalize().into())
}

/// The hash of an inner node: SHA-256(0x01 || left || right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut sha = Sha256::new();
    sha.update([1u8]);
    sha.update(left.0);
    sha.update(right.0);
    Hash(sha.finalize().into())
}

/// The root over a run of sibling hashes whose number is a power of two, such as the 256 of a full tile.
///
/// `None` when the number is not a power of two: such a run is no complete subtree.
pub fn subtree_root(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks_exact(2)
            .filter_map(|pair| pair.first().zip(pair.get(1)).map(|(l, r)| node_hash(l, r)))
            .collect();
    }
    row.first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaf_and_node_hashes_are_those_of_rfc_6962() {
        // Published vectors of the certificate-transparency test suite: empty leaf, "L123456", node of "N123" and "N456".
        assert_eq!(
            hex::encode(leaf_hash(b"").as_bytes()),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(
            hex::encode(leaf_hash(b"L123456").as_bytes()),
            "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
        );
        assert_eq!(hex::encode(Sha256::digest(b"")), hex::encode(EMPTY_ROOT.as_bytes()));
    }

    #[test]
    fn base64_is_strict() {
        let hash = leaf_hash(b"x");
        assert_eq!(Hash::from_base64(&hash.to_base64()), Some(hash));
        let text = hash.to_base64();
        assert_eq!(Hash::from_base64(text.trim_end_matches('=')), None);
        assert_eq!(Hash::from_base64(&format!("{text}=")), None);
        assert_eq!(Hash::from_base64(&format!(" {}", &text[1..])), None);
        // Non-canonical: the last character before the padding carries two bits that must be zero.
        let mut chars: Vec<char> = text.chars().collect();
        let at = 42;
        let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
        let value = alphabet.iter().position(|c| *c == chars[at]).unwrap();
        chars[at] = alphabet[value | 1];
        assert_eq!(Hash::from_base64(&chars.iter().collect::<String>()), None);
    }

    #[test]
    fn subtree_root_refuses_incomplete_runs() {
        let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
        assert_eq!(subtree_root(&[]), None);
        assert_eq!(subtree_root(&[a]), Some(a));
        assert_eq!(subtree_root(&[a, b]), Some(node_hash(&a, &b)));
        assert_eq!(subtree_root(&[a, b, a]), None);
    }
}
