//! The directory read by somebody else's code: the crates `tlog_tiles` and `signed_note` know nothing of ours.

use crate::common::{ORIGIN, entry, signer, verifier};
use signed_note::{Note, StandardVerifier, VerifierList};
use std::path::{Path, PathBuf};
use store::log::{Log, Options};
use tlog_tiles::{
    Checkpoint, Hash, HashReader, Tile, TileHashReader, TileReader, check_record, check_tree, prove_record,
    prove_tree, record_hash, stored_hash_index, tree_hash,
};

struct Directory(PathBuf);

impl TileReader for Directory {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        // That crate writes paths with the height in front, as Go's checksum database does; c2sp.org/tlog-tiles fixes the height.
        let read = |tile: &Tile| std::fs::read(self.0.join(tile.path().replacen("tile/8/", "tile/", 1)));
        Ok(tiles
            .iter()
            .map(|tile| read(tile).unwrap_or_else(|error| panic!("{}: {error}", tile.path())))
            .collect())
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

/// Size and root out of a checkpoint, its signature verified by `signed_note`.
fn their_checkpoint(note: &[u8], key: &str) -> (u64, Hash) {
    let verifiers = VerifierList::new(vec![Box::new(StandardVerifier::new(key).unwrap())]);
    let note = Note::from_bytes(note).unwrap();
    let (verified, _) = note.verify(&verifiers).unwrap();
    assert_eq!(verified.len(), 1);
    let checkpoint = Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!(checkpoint.origin(), ORIGIN);
    (checkpoint.size(), *checkpoint.hash())
}

fn write(dir: &Path, sizes: &[u64]) -> Vec<(u64, Hash)> {
    let log = Log::open(dir, signer(), Options::default()).unwrap();
    let mut checkpoints = Vec::new();
    for size in sizes {
        for index in log.head().size..*size {
            let _ = log.append_blocking(&entry(&index.to_string())).unwrap();
        }
        log.flush_tiles().unwrap();
        checkpoints
            .push(their_checkpoint(&std::fs::read(dir.join("checkpoint")).unwrap(), &log.verifier_text()));
        assert_eq!(checkpoints.last().unwrap().0, *size);
        assert_eq!(std::fs::read_to_string(dir.join("checkpoint")).unwrap(), *log.checkpoint_note());
    }
    log.close().unwrap();
    checkpoints
}

#[test]
fn an_independent_implementation_verifies_our_directory() {
    let dir = tempfile::tempdir().unwrap();
    // Around the edges of a tile and of the second level.
    let checkpoints = write(dir.path(), &[1, 5, 255, 256, 257, 1000, 65_535, 65_536, 66_000]);
    for (size, root) in &checkpoints {
        // Only the newest partial tiles are sure to be there; older trees are reached through the fuller ones.
        let (newest, newest_root) = checkpoints.last().unwrap();
        let directory = Directory(dir.path().to_owned());
        let hashes = TileHashReader::new(*newest, *newest_root, &directory);
        assert_eq!(tree_hash(*size, &hashes).unwrap(), *root, "root at {size}");
        let proof = prove_tree(*newest, *size, &hashes).unwrap();
        check_tree(&proof, *newest, *newest_root, *size, *root).unwrap();
        for index in [0, size / 3, size - 1] {
            let leaf = record_hash(&entry(&index.to_string()));
            let stored = hashes.read_hashes(&[stored_hash_index(0, index)]).unwrap();
            assert_eq!(stored, [leaf], "entry {index}");
            let proof = prove_record(*newest, index, &hashes).unwrap();
            check_record(&proof, *newest, *newest_root, index, leaf).unwrap();
        }
    }
}

#[test]
fn our_proofs_are_their_proofs() {
    let dir = tempfile::tempdir().unwrap();
    let (size, root) = write(dir.path(), &[1234])[0];
    let log = Log::open(dir.path(), signer(), Options::default()).unwrap();
    let directory = Directory(dir.path().to_owned());
    let hashes = TileHashReader::new(size, root, &directory);
    for index in [0, 1, 600, 1233] {
        let ours: Vec<[u8; 32]> =
            log.prove_inclusion(index, size).unwrap().into_iter().map(<[u8; 32]>::from).collect();
        let theirs: Vec<[u8; 32]> =
            prove_record(size, index, &hashes).unwrap().into_iter().map(|hash| hash.0).collect();
        assert_eq!(ours, theirs, "entry {index}");
        let text = log.proof_file(index).unwrap().to_text();
        let read = ledger::ProofFile::parse(text.as_bytes()).unwrap();
        assert_eq!(read.verify_entry(&entry(&index.to_string()), &verifier()).unwrap().size, size);
    }
    for old in [1, 256, 1000] {
        let ours: Vec<[u8; 32]> =
            log.prove_consistency(old, size).unwrap().into_iter().map(<[u8; 32]>::from).collect();
        let theirs: Vec<[u8; 32]> =
            prove_tree(size, old, &hashes).unwrap().into_iter().map(|hash| hash.0).collect();
        assert_eq!(ours, theirs, "{old} to {size}");
    }
}

#[test]
fn keys_are_exchanged_as_text() {
    let theirs = signed_note::StandardSigner::new(&signer().to_secret_text());
    assert!(theirs.is_ok());
    assert!(StandardVerifier::new(&verifier().to_text()).is_ok());
}
