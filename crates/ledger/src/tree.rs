//! The growing tree, of which only the roots of its complete subtrees are kept: at most 64 hashes at any size.

use crate::hash::{EMPTY_ROOT, Hash, node_hash};

/// A Merkle tree that grows at its right edge (RFC 6962, section 2.1), in O(log n) memory.
///
/// Cloning it is cheap, so that a commit that fails half way is undone by keeping the clone made before it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tree {
    size: u64,
    /// Roots of the complete subtrees, largest first: one for each bit set in `size`.
    peaks: Vec<Hash>,
}

impl Tree {
    /// The tree without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree from its size and the roots of its complete subtrees, largest (leftmost) first.
    ///
    /// `None` unless there is exactly one for each bit set in `size`.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// Number of entries.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds one leaf hash at the right. Amortised one hash per leaf.
    ///
    /// A tree of 2^64 - 1 entries stays as it is: at a million entries a second that takes half a million years.
    pub fn push(&mut self, leaf: Hash) {
        let Some(size) = self.size.checked_add(1) else { return };
        let mut hash = leaf;
        let mut rest = self.size;
        while rest & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
            rest >>= 1;
        }
        self.peaks.push(hash);
        self.size = size;
    }

    /// The root hash at the present size.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return EMPTY_ROOT };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hash::leaf_hash, reference};

    #[test]
    fn roots_are_those_of_the_reference_tree() {
        let mut tree = Tree::new();
        let mut leaves = Vec::new();
        assert_eq!(tree.root(), reference::root(&leaves));
        for i in 0..700u32 {
            let leaf = leaf_hash(&i.to_be_bytes());
            leaves.push(leaf);
            tree.push(leaf);
            assert_eq!(tree.root(), reference::root(&leaves), "size {}", i + 1);
        }
    }

    #[test]
    fn roots_are_those_of_the_certificate_transparency_suite() {
        // Inputs and roots published with the certificate-transparency reference implementation.
        let inputs = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut tree = Tree::new();
        for (input, root) in inputs.iter().zip(roots) {
            tree.push(leaf_hash(&hex::decode(input).unwrap()));
            assert_eq!(hex::encode(tree.root().as_bytes()), root);
        }
    }

    #[test]
    fn peaks_must_match_the_size() {
        assert!(Tree::from_peaks(3, vec![leaf_hash(b"")]).is_none());
        assert!(Tree::from_peaks(0, vec![]).is_some());
    }
}
