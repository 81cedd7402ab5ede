//! Inclusion and consistency proofs: made from tiles, verified from nothing but hashes.
//!
//! Making follows the recursive definitions of RFC 6962, sections 2.1.1 and 2.1.2; verifying follows the loops of RFC 9162,
//! sections 2.1.3.2 and 2.1.4.2. The two are written differently on purpose and tested against each other.

use crate::hash::{EMPTY_ROOT, Hash, node_hash, subtree_root};
use crate::tile::{TILE_HEIGHT, TILE_WIDTH, TileId};

/// Most hashes a proof of a tree below 2^64 entries can have; longer ones are refused unread.
pub const PROOF_HASHES_MAX: usize = 65;

/// Why a proof cannot be made or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The entry is not in a tree of that size.
    #[error("entry {index} is not in a log of {size} entries; ask for a smaller index or a larger size")]
    IndexOutside {
        /// Entry asked for.
        index: u64,
        /// Size asked for.
        size: u64,
    },
    /// The first size is larger than the second.
    #[error("size {old} is larger than size {new}; give the older size first")]
    SizesReversed {
        /// Older size.
        old: u64,
        /// Newer size.
        new: u64,
    },
    /// The number of hashes does not fit index and sizes.
    #[error(
        "the proof has {found} hashes, which does not fit its index and sizes; it was changed or cut short"
    )]
    Length {
        /// Hashes given.
        found: usize,
    },
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the given root; the entry, the proof or the root was changed")]
    Mismatch,
    /// A tile could not be read.
    #[error("{0}")]
    Tile(String),
}

/// Where tiles come from: files, memory, or another party's server.
pub trait TileReader {
    /// The hashes of a tile, at least `tile.width()` of them (a fuller tile serves as well).
    ///
    /// # Errors
    /// A text saying which tile is missing or damaged and what to do, taken into [`ProofError::Tile`].
    fn read_tile(&self, tile: TileId) -> Result<Vec<Hash>, String>;
}

/// One tree of a fixed size, read through tiles that are each fetched once.
struct Nodes<'a, R: TileReader + ?Sized> {
    reader: &'a R,
    size: u64,
    /// Tiles read so far; a proof touches at most a few a level.
    read: Vec<(TileId, Vec<Hash>)>,
}

impl<'a, R: TileReader + ?Sized> Nodes<'a, R> {
    fn new(reader: &'a R, size: u64) -> Self {
        Self { reader, size, read: Vec::new() }
    }

    /// Hash of the complete subtree of 2^`height` entries that starts at entry `first`, a multiple of that number.
    fn node(&mut self, height: u32, first: u64) -> Result<Hash, ProofError> {
        let level = height / TILE_HEIGHT;
        let count = 1u64 << (height % TILE_HEIGHT);
        let at = first >> (level * TILE_HEIGHT);
        let missing = || ProofError::Tile(format!("the tile holding entry {first} is not in the log"));
        let level = u8::try_from(level).map_err(|_| missing())?;
        let tile = TileId::in_tree(level, at / TILE_WIDTH, self.size).ok_or_else(missing)?;
        let start = usize::try_from(at % TILE_WIDTH).map_err(|_| missing())?;
        let end = start + usize::try_from(count).map_err(|_| missing())?;
        let hashes = self.tile(tile)?;
        hashes.get(start..end).and_then(subtree_root).ok_or_else(missing)
    }

    fn tile(&mut self, tile: TileId) -> Result<&[Hash], ProofError> {
        let at = match self.read.iter().position(|(id, _)| *id == tile) {
            Some(at) => at,
            None => {
                self.read.push((tile, self.reader.read_tile(tile).map_err(ProofError::Tile)?));
                self.read.len() - 1
            }
        };
        Ok(self.read.get(at).map(|(_, hashes)| hashes.as_slice()).unwrap_or_default())
    }

    /// MTH(D[first:end]) for a range as the definitions split it: `first` a multiple of the power of two at or above its length.
    fn range(&mut self, first: u64, end: u64) -> Result<Hash, ProofError> {
        let length = end - first;
        if length.is_power_of_two() {
            return self.node(length.trailing_zeros(), first);
        }
        let middle = first + split(length);
        let left = self.range(first, middle)?;
        let right = self.range(middle, end)?;
        Ok(node_hash(&left, &right))
    }
}

/// Largest power of two below `n` (which is at least 2).
fn split(n: u64) -> u64 {
    1u64 << (63 - (n - 1).leading_zeros())
}

/// The root of the first `size` entries.
///
/// # Errors
/// [`ProofError::Tile`].
pub fn root_at<R: TileReader + ?Sized>(reader: &R, size: u64) -> Result<Hash, ProofError> {
    if size == 0 {
        return Ok(EMPTY_ROOT);
    }
    Nodes::new(reader, size).range(0, size)
}

/// The roots of the complete subtrees of the first `size` entries, largest first: what [`crate::Tree::from_peaks`] takes.
///
/// # Errors
/// [`ProofError::Tile`].
pub fn peaks_at<R: TileReader + ?Sized>(reader: &R, size: u64) -> Result<Vec<Hash>, ProofError> {
    let mut nodes = Nodes::new(reader, size);
    let mut first = 0u64;
    let mut peaks = Vec::new();
    for height in (0..u64::BITS).rev().filter(|height| size >> height & 1 == 1) {
        peaks.push(nodes.node(height, first)?);
        first += 1u64 << height;
    }
    Ok(peaks)
}

/// Proof that entry `index` is in the tree of `size` entries: sibling hashes from the leaf upwards (RFC 6962, section 2.1.1).
///
/// # Errors
/// [`ProofError::IndexOutside`], [`ProofError::Tile`].
pub fn prove_inclusion<R: TileReader + ?Sized>(
    reader: &R,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::IndexOutside { index, size });
    }
    let mut nodes = Nodes::new(reader, size);
    let (mut first, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - first > 1 {
        let middle = first + split(end - first);
        if index < middle {
            proof.push(nodes.range(middle, end)?);
            end = middle;
        } else {
            proof.push(nodes.range(first, middle)?);
            first = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Proof that the tree of `old` entries is a prefix of the tree of `new` entries (RFC 6962, section 2.1.2).
///
/// Empty when `old` is 0 or equal to `new`: there the roots speak for themselves.
///
/// # Errors
/// [`ProofError::SizesReversed`], [`ProofError::Tile`].
pub fn prove_consistency<R: TileReader + ?Sized>(
    reader: &R,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, ProofError> {
    if old > new {
        return Err(ProofError::SizesReversed { old, new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let mut nodes = Nodes::new(reader, new);
    let (mut first, mut end) = (0, new);
    let mut proof = Vec::new();
    // Down to the subtree that ends exactly at `old`; `first > 0` says that its root is not the old root itself.
    while end != old {
        let middle = first + split(end - first);
        if old <= middle {
            proof.push(nodes.range(middle, end)?);
            end = middle;
        } else {
            proof.push(nodes.range(first, middle)?);
            first = middle;
        }
    }
    if first > 0 {
        proof.push(nodes.range(first, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that `leaf` is entry `index` of the tree of `size` entries with that `root` (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// [`ProofError::IndexOutside`], [`ProofError::Length`], [`ProofError::Mismatch`]: each means "not proven".
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::IndexOutside { index, size });
    }
    let length = ProofError::Length { found: proof.len() };
    if proof.len() > PROOF_HASHES_MAX {
        return Err(length);
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Mismatch) }
}

/// Checks that the tree of `old` entries is a prefix of the one of `new` entries (RFC 9162, section 2.1.4.2).
///
/// # Errors
/// [`ProofError::SizesReversed`], [`ProofError::Length`], [`ProofError::Mismatch`]: each means "not proven".
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::SizesReversed { old, new });
    }
    let length = ProofError::Length { found: proof.len() };
    if proof.len() > PROOF_HASHES_MAX {
        return Err(length);
    }
    if old == new || old == 0 {
        let expected = if old == new { new_root } else { &EMPTY_ROOT };
        return match (proof.is_empty(), old_root == expected) {
            (false, _) => Err(length),
            (true, false) => Err(ProofError::Mismatch),
            (true, true) => Ok(()),
        };
    }
    let mut hashes = proof.iter();
    let start = if old.is_power_of_two() { old_root } else { hashes.next().ok_or(length.clone())? };
    let shift = (old - 1).trailing_ones();
    let (mut node, mut last) =
        ((old - 1).checked_shr(shift).unwrap_or(0), (new - 1).checked_shr(shift).unwrap_or(0));
    let (mut from_old, mut from_new) = (*start, *start);
    for sibling in hashes {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            from_old = node_hash(sibling, &from_old);
            from_new = node_hash(sibling, &from_new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            from_new = node_hash(&from_new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    if from_old == *old_root && from_new == *new_root { Ok(()) } else { Err(ProofError::Mismatch) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EdgeTiles, Tree, hash::leaf_hash, reference};
    use proptest::prelude::*;

    fn log(size: u64) -> (Vec<Hash>, EdgeTiles) {
        let leaves: Vec<Hash> = (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        let mut tiles = EdgeTiles::new();
        leaves.iter().for_each(|leaf| tiles.push(*leaf));
        (leaves, tiles)
    }

    #[test]
    fn every_proof_of_small_logs_is_the_reference_proof_and_holds() {
        let (leaves, tiles) = log(33);
        for size in 1..=33usize {
            let root = reference::root(&leaves[..size]);
            assert_eq!(root_at(&tiles, size as u64).unwrap(), root);
            for index in 0..size {
                let proof = prove_inclusion(&tiles, index as u64, size as u64).unwrap();
                assert_eq!(proof, reference::path(index, &leaves[..size]));
                verify_inclusion(&leaves[index], index as u64, size as u64, &root, &proof).unwrap();
            }
            for old in 1..=size {
                let proof = prove_consistency(&tiles, old as u64, size as u64).unwrap();
                let expected =
                    if old == size { vec![] } else { reference::subproof(old, &leaves[..size], true) };
                assert_eq!(proof, expected, "{old} {size}");
                verify_consistency(old as u64, &reference::root(&leaves[..old]), size as u64, &root, &proof)
                    .unwrap();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn proofs_over_tiles_are_the_reference_proofs(size in 1u64..70_000, a in any::<u64>(), b in any::<u64>()) {
            let (leaves, tiles) = log(size);
            let root = reference::root(&leaves);
            let (index, old) = (a % size, 1 + b % size);
            let old_root = reference::root(&leaves[..old as usize]);
            prop_assert_eq!(root_at(&tiles, old).unwrap(), old_root);
            let peaks = peaks_at(&tiles, old).unwrap();
            prop_assert_eq!(Tree::from_peaks(old, peaks).unwrap().root(), old_root);

            let proof = prove_inclusion(&tiles, index, size).unwrap();
            prop_assert_eq!(&proof, &reference::path(index as usize, &leaves));
            prop_assert!(verify_inclusion(&leaves[index as usize], index, size, &root, &proof).is_ok());

            let proof = prove_consistency(&tiles, old, size).unwrap();
            if old < size {
                prop_assert_eq!(&proof, &reference::subproof(old as usize, &leaves, true));
            }
            prop_assert!(verify_consistency(old, &old_root, size, &root, &proof).is_ok());
        }

        #[test]
        fn changed_proofs_do_not_hold(size in 2u64..600, a in any::<u64>(), which in any::<usize>(), bit in 0usize..256) {
            let (leaves, tiles) = log(size);
            let root = reference::root(&leaves);
            let index = a % size;
            let leaf = leaves[index as usize];
            let mut proof = prove_inclusion(&tiles, index, size).unwrap();
            let other = (index + 1) % size;
            prop_assert!(verify_inclusion(&leaf, other, size, &root, &proof).is_err());
            let at = which % proof.len();
            let mut bytes = *proof[at].as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            proof[at] = Hash::new(bytes);
            prop_assert!(verify_inclusion(&leaf, index, size, &root, &proof).is_err());
            proof.pop();
            prop_assert!(verify_inclusion(&leaf, index, size, &root, &proof).is_err());

            let old = 1 + a % (size - 1);
            let old_root = reference::root(&leaves[..old as usize]);
            let mut proof = prove_consistency(&tiles, old, size).unwrap();
            prop_assert!(verify_consistency(old, &root, size, &root, &proof).is_err());
            let at = which % proof.len();
            let mut bytes = *proof[at].as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            proof[at] = Hash::new(bytes);
            prop_assert!(verify_consistency(old, &old_root, size, &root, &proof).is_err());
        }

        #[test]
        fn any_input_to_the_verifiers_ends(a in any::<u64>(), b in any::<u64>(), n in 0usize..80) {
            let proof = vec![EMPTY_ROOT; n];
            let _ = verify_inclusion(&EMPTY_ROOT, a, b, &EMPTY_ROOT, &proof);
            let _ = verify_consistency(a, &EMPTY_ROOT, b, &EMPTY_ROOT, &proof);
        }
    }

    #[test]
    fn wrong_questions_are_refused() {
        let (_, tiles) = log(10);
        assert_eq!(prove_inclusion(&tiles, 10, 10), Err(ProofError::IndexOutside { index: 10, size: 10 }));
        assert_eq!(prove_consistency(&tiles, 11, 10), Err(ProofError::SizesReversed { old: 11, new: 10 }));
        assert!(matches!(prove_inclusion(&tiles, 0, 11), Err(ProofError::Tile(_))));
        assert_eq!(root_at(&tiles, 0), Ok(EMPTY_ROOT));
        let long = vec![EMPTY_ROOT; PROOF_HASHES_MAX + 1];
        assert_eq!(
            verify_inclusion(&EMPTY_ROOT, 0, 2, &EMPTY_ROOT, &long),
            Err(ProofError::Length { found: PROOF_HASHES_MAX + 1 })
        );
        assert!(verify_consistency(0, &EMPTY_ROOT, 5, &leaf_hash(b""), &[]).is_ok());
        assert!(verify_consistency(0, &leaf_hash(b""), 5, &leaf_hash(b""), &[]).is_err());
    }
}
