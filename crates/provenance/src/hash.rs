//! Content digests of the three algorithms of OpenSSF Model Signing, and the loop that reads a file once.

use std::fmt;

use blake2::Blake2b512;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::error::SignatureError;
use crate::limits::CHUNK_BYTES;
use crate::plan::Piece;

/// How the content of files is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum HashAlgorithm {
    /// SHA-256 (FIPS 180-4): what every implementation reads.
    #[default]
    Sha256,
    /// BLAKE2b with 512 bits (RFC 7693).
    Blake2b,
    /// BLAKE3 with 256 bits.
    Blake3,
}

impl HashAlgorithm {
    /// The identifier of the algorithm registry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake2b => "blake2b",
            Self::Blake3 => "blake3",
        }
    }

    /// Bytes of a digest.
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 | Self::Blake3 => 32,
            Self::Blake2b => 64,
        }
    }

    /// Reads an identifier of the registry.
    ///
    /// # Errors
    /// [`SignatureError::Unsupported`] for any other.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "blake2b" => Ok(Self::Blake2b),
            "blake3" => Ok(Self::Blake3),
            _ => Err(SignatureError::Unsupported {
                what: "the hash algorithm",
                found: text.chars().take(60).collect(),
                remedy: "sha256, blake2b and blake3 are understood",
            }),
        }
    }

    /// As [`HashAlgorithm::parse`], and also what the reference implementation up to 1.1.1 writes against the schema:
    /// `blake2`, and `sha256-sharded-1000` in place of `sha256`. The flag says that it did.
    pub(crate) fn parse_tolerant(text: &str) -> Result<(Self, bool), SignatureError> {
        if let Ok(found) = Self::parse(text) {
            return Ok((found, false));
        }
        let plain = match text.split_once("-sharded-") {
            Some((name, size)) if !size.is_empty() && size.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => text,
        };
        let plain = if plain == "blake2" { "blake2b" } else { plain };
        Self::parse(plain)
            .map(|found| (found, true))
            .or_else(|_| Self::parse(text).map(|found| (found, false)))
    }
}

/// A digest of some content, made by a [`HashAlgorithm`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest {
    algorithm: HashAlgorithm,
    bytes: Box<[u8]>,
}

impl ContentDigest {
    /// Wraps a digest made elsewhere; `None` when the length is not that of the algorithm.
    pub fn new(algorithm: HashAlgorithm, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == algorithm.digest_bytes()).then(|| Self { algorithm, bytes: bytes.into() })
    }

    /// Reads lower-case hexadecimal digits; `None` for anything else.
    pub fn from_hex(algorithm: HashAlgorithm, text: &str) -> Option<Self> {
        let lower = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let right = text.len() == 2 * algorithm.digest_bytes();
        if !lower || !right {
            return None;
        }
        hex::decode(text).ok().and_then(|bytes| Self::new(algorithm, &bytes))
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(&self.bytes)
    }

    /// The digest in the vocabulary of the rest of the program; `None` unless it is SHA-256.
    pub fn to_sha256(&self) -> Option<domain::Digest> {
        (self.algorithm == HashAlgorithm::Sha256)
            .then(|| <[u8; 32]>::try_from(&*self.bytes).ok().map(domain::Digest::from_bytes))
            .flatten()
    }

    /// Whether two digests are the same, without telling by the time it takes where they differ.
    pub fn same(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && bool::from(self.bytes.ct_eq(&other.bytes))
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.to_hex())
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A digest fed piece by piece.
#[derive(Clone)]
pub struct ContentHasher(Inner);

#[derive(Clone)]
enum Inner {
    Sha256(Sha256),
    Blake2b(Box<Blake2b512>),
    Blake3(Box<blake3::Hasher>),
}

impl ContentHasher {
    /// Starts empty.
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self(match algorithm {
            HashAlgorithm::Sha256 => Inner::Sha256(Sha256::new()),
            HashAlgorithm::Blake2b => Inner::Blake2b(Box::new(Blake2b512::new())),
            HashAlgorithm::Blake3 => Inner::Blake3(Box::new(blake3::Hasher::new())),
        })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Inner::Sha256(state) => state.update(bytes),
            Inner::Blake2b(state) => state.update(bytes),
            Inner::Blake3(state) => {
                state.update(bytes);
            }
        }
    }

    /// The digest of all that was added.
    pub fn finish(self) -> ContentDigest {
        let (algorithm, bytes): (_, Box<[u8]>) = match self.0 {
            Inner::Sha256(state) => (HashAlgorithm::Sha256, state.finalize().as_slice().into()),
            Inner::Blake2b(state) => (HashAlgorithm::Blake2b, state.finalize().as_slice().into()),
            Inner::Blake3(state) => (HashAlgorithm::Blake3, state.finalize().as_bytes().as_slice().into()),
        };
        ContentDigest { algorithm, bytes }
    }
}

/// Why a piece has no digest.
#[derive(Debug, thiserror::Error)]
pub enum HashError<E> {
    /// The caller's read failed.
    #[error("reading failed: {0}")]
    Read(E),
    /// The file is not as long as it was when it was listed.
    #[error("it changed while it was read: {expected} bytes were listed up to here, {found} are there")]
    Changed {
        /// Offset at which the piece ends.
        expected: u64,
        /// Offset at which the file ended, or that one after when it goes on.
        found: u64,
    },
}

/// Hashes one piece of a plan in a single pass with at most [`CHUNK_BYTES`] in memory. Call it on any thread.
///
/// `read` fills the start of its buffer with the bytes at that offset of the file and says how many; 0 is the end.
/// `buffer` is kept by the caller between pieces. A file that became shorter or longer since it was listed is an error,
/// never a digest: what is signed is what was listed.
///
/// # Errors
/// [`HashError::Read`], [`HashError::Changed`].
pub fn hash_piece<E>(
    piece: &Piece,
    algorithm: HashAlgorithm,
    buffer: &mut Vec<u8>,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<usize, E>,
) -> Result<ContentDigest, HashError<E>> {
    buffer.resize(CHUNK_BYTES, 0);
    let mut hasher = ContentHasher::new(algorithm);
    let mut at = piece.start();
    while at < piece.end() {
        let want = usize::try_from(piece.end() - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let part = buffer.get_mut(..want).unwrap_or_default();
        let got = read(at, part).map_err(HashError::Read)?;
        let bytes = part.get(..got).unwrap_or_default();
        if bytes.is_empty() {
            return Err(HashError::Changed { expected: piece.end(), found: at });
        }
        hasher.update(bytes);
        at += bytes.len() as u64;
    }
    if piece.is_last() && read(at, buffer.get_mut(..1).unwrap_or_default()).map_err(HashError::Read)? != 0 {
        return Err(HashError::Changed { expected: at, found: at + 1 });
    }
    Ok(hasher.finish())
}
