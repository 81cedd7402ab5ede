//! A proof that travels alone (c2sp.org/tlog-proof): index, inclusion proof and signed checkpoint in one text.
//!
//! Whoever has the entry, this text and the log's public key can check, without the log and without us, that the entry was logged.

use crate::checkpoint::{Checkpoint, CheckpointError, parse_decimal};
use crate::hash::{Hash, leaf_hash};
use crate::note::{NOTE_BYTES_MAX, Verifier};
use crate::proof::{PROOF_HASHES_MAX, ProofError, verify_inclusion};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// First line of every proof file.
pub const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Most bytes of extra data that are read.
pub const EXTRA_BYTES_MAX: usize = 64 * 1024;
/// Largest proof file that is read, in bytes: extra data, proof and checkpoint at their own limits.
pub const PROOF_FILE_BYTES_MAX: usize = NOTE_BYTES_MAX + EXTRA_BYTES_MAX * 2 + 8 * 1024;

/// Why a proof file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileError {
    /// Not a proof file.
    #[error("not a proof file: {0}; expected one made by `asepsis audit prove`")]
    Malformed(&'static str),
    /// The checkpoint in it is not signed by the log.
    #[error("checkpoint in the proof: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The proof does not hold.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// The content of a proof file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// Data beside the proof, not authenticated by it.
    pub extra: Option<Vec<u8>>,
    /// Index of the entry.
    pub index: u64,
    /// Inclusion proof, from the leaf upwards.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl ProofFile {
    /// The text, to be stored as `NAME.tlog-proof`.
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", STANDARD.encode(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.hashes {
            text.push_str(&format!("{hash}\n"));
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Reads a proof file, strictly; nothing is verified.
    ///
    /// # Errors
    /// [`ProofFileError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        let malformed = ProofFileError::Malformed;
        if bytes.len() > PROOF_FILE_BYTES_MAX {
            return Err(malformed("it is too large"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("not UTF-8"))?;
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(malformed("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(malformed("the first line is not `c2sp.org/tlog-proof@v1`"));
        }
        let mut extra = None;
        if let Some(base64) = lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            if base64.len() > EXTRA_BYTES_MAX * 4 / 3 + 4 {
                return Err(malformed("the extra data is too large"));
            }
            extra = Some(STANDARD.decode(base64).map_err(|_| malformed("the extra data is not base64"))?);
            lines.next();
        }
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(parse_decimal)
            .ok_or(malformed("the index line is not `index NUMBER`"))?;
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == PROOF_HASHES_MAX {
                return Err(malformed("it has more than 65 hashes"));
            }
            hashes.push(Hash::from_base64(line).ok_or(malformed("a hash line is not base64 of 32 bytes"))?);
        }
        Ok(Self { extra, index, hashes, checkpoint: checkpoint.to_owned() })
    }

    /// Checks checkpoint signature and proof for the bytes of an entry; returns the checkpoint that holds it.
    ///
    /// # Errors
    /// Any [`ProofFileError`]: the entry is then not proven.
    pub fn verify_entry(&self, entry: &[u8], verifier: &Verifier) -> Result<Checkpoint, ProofFileError> {
        self.verify_leaf(&leaf_hash(entry), verifier)
    }

    /// As [`verify_entry`](Self::verify_entry), when only the entry's leaf hash is known.
    ///
    /// # Errors
    /// Any [`ProofFileError`]: the entry is then not proven.
    pub fn verify_leaf(&self, leaf: &Hash, verifier: &Verifier) -> Result<Checkpoint, ProofFileError> {
        let checkpoint = Checkpoint::verify(self.checkpoint.as_bytes(), verifier)?;
        verify_inclusion(leaf, self.index, checkpoint.size, &checkpoint.root, &self.hashes)?;
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EdgeTiles, Signer, prove_inclusion, root_at};

    fn proof(extra: Option<Vec<u8>>) -> (ProofFile, Signer) {
        let mut tiles = EdgeTiles::new();
        (0..1000u32).for_each(|i| tiles.push(leaf_hash(&i.to_be_bytes())));
        let signer = Signer::from_seed("log.example", &[9; 32]).unwrap();
        let root = root_at(&tiles, 1000).unwrap();
        let checkpoint = Checkpoint::new("log.example", 1000, root).sign(&signer).unwrap();
        let hashes = prove_inclusion(&tiles, 700, 1000).unwrap();
        (ProofFile { extra, index: 700, hashes, checkpoint }, signer)
    }

    #[test]
    fn a_proof_file_proves_its_entry_and_no_other() {
        for extra in [None, Some(b"note".to_vec()), Some(Vec::new())] {
            let (file, signer) = proof(extra);
            let read = ProofFile::parse(file.to_text().as_bytes()).unwrap();
            assert_eq!(read, file);
            assert_eq!(read.verify_entry(&700u32.to_be_bytes(), signer.verifier()).unwrap().size, 1000);
            assert!(read.verify_entry(&701u32.to_be_bytes(), signer.verifier()).is_err());
            let stranger = Signer::from_seed("log.example", &[8; 32]).unwrap();
            assert!(read.verify_entry(&700u32.to_be_bytes(), stranger.verifier()).is_err());
        }
    }

    #[test]
    fn any_changed_byte_is_refused() {
        let (file, signer) = proof(None);
        let text = file.to_text().into_bytes();
        for at in 0..text.len() {
            for flip in [1u8, 0x20, 0x80] {
                let mut changed = text.clone();
                changed[at] ^= flip;
                let verdict = ProofFile::parse(&changed)
                    .and_then(|proof| proof.verify_entry(&700u32.to_be_bytes(), signer.verifier()));
                assert!(verdict.is_err(), "byte {at}");
            }
            assert!(
                ProofFile::parse(&text[..at])
                    .and_then(|proof| proof.verify_entry(&700u32.to_be_bytes(), signer.verifier()))
                    .is_err()
            );
        }
    }

    #[test]
    fn limits_hold_at_and_above() {
        let (mut file, _) = proof(Some(vec![0; EXTRA_BYTES_MAX]));
        file.hashes = vec![leaf_hash(b""); PROOF_HASHES_MAX];
        assert!(ProofFile::parse(file.to_text().as_bytes()).is_ok());
        file.hashes.push(leaf_hash(b""));
        assert!(ProofFile::parse(file.to_text().as_bytes()).is_err());
        file.hashes.clear();
        file.extra = Some(vec![0; EXTRA_BYTES_MAX + 4]);
        assert!(ProofFile::parse(file.to_text().as_bytes()).is_err());
        assert!(ProofFile::parse(&vec![b'a'; PROOF_FILE_BYTES_MAX + 1]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics_and_what_is_read_is_written_the_same(text in "(c2sp.org/tlog-proof@v1\n)?(extra [A-Za-z0-9+/]{0,8}=?=?\n)?(index [0-9]{1,21}\n)?([A-Za-z0-9+/]{43}=\n){0,3}\n?.{0,40}") {
            if let Ok(file) = ProofFile::parse(text.as_bytes()) {
                proptest::prop_assert_eq!(file.to_text(), text);
            }
        }
    }
}
