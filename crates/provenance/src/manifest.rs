//! The signed list: every file or shard with its digest, and the in-toto statement that carries it.

use std::num::NonZeroU64;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use sha2::{Digest as _, Sha256};

use crate::hash::{ContentDigest, HashAlgorithm};

/// The in-toto statement's `_type`.
pub(crate) const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The predicate of OpenSSF Model Signing v1.0.
pub(crate) const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";
/// The predicate of the experimental release 0.2.
pub(crate) const LEGACY_PREDICATE_TYPE: &str = "https://model_signing/Digests/v0.1";

/// The specification's size of a shard: 10⁹ bytes.
pub const SHARD_BYTES_DEFAULT: NonZeroU64 = match NonZeroU64::new(1_000_000_000) {
    Some(size) => size,
    None => NonZeroU64::MIN,
};

/// Paths at the root that signers leave out by default: what a version control system changes by itself.
pub const IGNORED_BY_DEFAULT: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// What one resource of the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A whole file.
    Files,
    /// A range of a file; a large file is hashed by several threads. Empty files have no shard and are not covered.
    Shards {
        /// Bytes of a shard; the last of a file may be shorter.
        size: NonZeroU64,
    },
}

impl Method {
    /// `files` or `shards`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Shards { .. } => "shards",
        }
    }
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Path from the root, or `path:start:end` for a shard. As signed: perhaps unsafe, see [`crate::name_problem`].
    pub name: String,
    /// Its digest.
    pub digest: ContentDigest,
}

/// The signed list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub(crate) subject: String,
    pub(crate) method: Method,
    pub(crate) algorithm: HashAlgorithm,
    pub(crate) allow_symlinks: bool,
    pub(crate) ignore_paths: Vec<String>,
    pub(crate) resources: Vec<Resource>,
}

impl Manifest {
    /// The model's name, for people: a folder's name, not an identity.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Files or shards.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// How content is hashed.
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// Whether the signer read through symbolic links.
    pub const fn allow_symlinks(&self) -> bool {
        self.allow_symlinks
    }

    /// Paths that the signer left out.
    pub fn ignore_paths(&self) -> &[String] {
        &self.ignore_paths
    }

    /// The lines, in the signed order.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// One digest for the whole model: SHA-256 over the raw digests in their order, whatever algorithm made them.
    pub fn root(&self) -> domain::Digest {
        let mut hasher = Sha256::new();
        self.resources.iter().for_each(|r| hasher.update(r.digest.as_bytes()));
        domain::Digest::from_bytes(hasher.finalize().into())
    }

    /// The bytes that are signed: the in-toto statement as compact JSON, strictly by the schema of the specification.
    pub fn to_payload(&self) -> Vec<u8> {
        // Texts and numbers only: writing to a vector cannot fail, and no bytes would fit no schema.
        serde_json::to_vec(&Statement(self)).unwrap_or_default()
    }
}

struct Statement<'a>(&'a Manifest);
struct Subject<'a>(&'a Manifest);
struct Predicate<'a>(&'a Manifest);
struct Serialization<'a>(&'a Manifest);
struct Line<'a>(&'a Resource);

impl Serialize for Statement<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Statement", 4)?;
        out.serialize_field("_type", STATEMENT_TYPE)?;
        out.serialize_field("subject", &[Subject(self.0)])?;
        out.serialize_field("predicateType", PREDICATE_TYPE)?;
        out.serialize_field("predicate", &Predicate(self.0))?;
        out.end()
    }
}

impl Serialize for Subject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digest = std::collections::BTreeMap::from([("sha256", hex::encode(self.0.root().as_bytes()))]);
        let mut out = serializer.serialize_struct("Subject", 2)?;
        out.serialize_field("name", &self.0.subject)?;
        out.serialize_field("digest", &digest)?;
        out.end()
    }
}

impl Serialize for Predicate<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lines: Vec<Line<'_>> = self.0.resources.iter().map(Line).collect();
        let mut out = serializer.serialize_struct("Predicate", 2)?;
        out.serialize_field("serialization", &Serialization(self.0))?;
        out.serialize_field("resources", &lines)?;
        out.end()
    }
}

impl Serialize for Serialization<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Serialization", 5)?;
        out.serialize_field("method", self.0.method.as_str())?;
        out.serialize_field("hash_type", self.0.algorithm.as_str())?;
        if let Method::Shards { size } = self.0.method {
            out.serialize_field("shard_size", &size)?;
        }
        out.serialize_field("allow_symlinks", &self.0.allow_symlinks)?;
        if !self.0.ignore_paths.is_empty() {
            out.serialize_field("ignore_paths", &self.0.ignore_paths)?;
        }
        out.end()
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Resource", 3)?;
        out.serialize_field("name", &self.0.name)?;
        out.serialize_field("algorithm", self.0.digest.algorithm().as_str())?;
        out.serialize_field("digest", &self.0.digest.to_hex())?;
        out.end()
    }
}
