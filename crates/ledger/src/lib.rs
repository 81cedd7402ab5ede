//! L1: the append-only Merkle log: RFC 6962 hashing, C2SP tiles, signed checkpoints, proofs. Pure, no I/O.
//!
//! Everything another organisation needs to check our ledger without trusting us is in this crate, and nothing else:
//! it takes bytes and returns hashes, paths, texts and verdicts. The files themselves are `store::log`'s.
//!
//! | module | what | source |
//! |---|---|---|
//! | [`hash`] | leaf and node hashes | RFC 6962 section 2.1 |
//! | [`tree`] | the growing tree in O(log n) memory | RFC 6962 section 2.1 |
//! | [`proof`] | inclusion and consistency proofs | RFC 6962 sections 2.1.1, 2.1.2; RFC 9162 sections 2.1.3.2, 2.1.4.2 |
//! | [`tile`] | tile coordinates and paths | c2sp.org/tlog-tiles |
//! | [`edge`] | the tiles at the right edge, in memory | c2sp.org/tlog-tiles |
//! | [`bundle`] | entry bundles | c2sp.org/tlog-tiles |
//! | [`note`] | signed notes and key texts | c2sp.org/signed-note, golang.org/x/mod/sumdb/note |
//! | [`checkpoint`] | signed tree heads | c2sp.org/tlog-checkpoint |
//! | [`proof_file`] | a proof that travels alone | c2sp.org/tlog-proof |

pub mod bundle;
pub mod checkpoint;
pub mod edge;
pub mod hash;
pub mod note;
pub mod proof;
pub mod proof_file;
#[cfg(test)]
mod reference;
pub mod tile;
pub mod tree;

pub use bundle::{BundleError, ENTRY_BYTES_MAX};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use edge::EdgeTiles;
pub use hash::{Hash, leaf_hash, node_hash};
pub use note::{Note, NoteError, Signer, Verifier};
pub use proof::{
    ProofError, TileReader, prove_consistency, prove_inclusion, root_at, verify_consistency, verify_inclusion,
};
pub use proof_file::{ProofFile, ProofFileError};
pub use tile::{LayoutError, TILE_WIDTH, TileId};
pub use tree::Tree;
