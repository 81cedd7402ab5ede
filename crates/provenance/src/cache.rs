//! The digest cache: after one small file changed, signing again hashes that file only.
//!
//! What it trusts: that the file system's stamps of a file (size, modification time, change time, inode) change when
//! its content does, and that nobody but the signer writes the cache file. Change times cannot be set by a program, so
//! a rewritten file with its old modification time is still noticed where the system has them. A stamp that is not
//! clearly older than the listing says nothing, because a second write within the clock's step leaves it as it is: such
//! files are hashed again. **Verification never uses a cache.** Keep it outside of the model's folder, readable and
//! writable by the signer only; without it everything is hashed and the result is the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::SignatureError;
use crate::hash::{ContentDigest, HashAlgorithm};
use crate::json;
use crate::limits::{CACHE_BYTES_MAX, RESOURCES_MAX};
use crate::listing::{Stamp, TreeEntry};
use crate::manifest::Method;
use crate::name::shard_parts;

/// A stamp must be older than the listing by this much: file systems with the coarsest clock count in 2 seconds.
const SETTLED_NS: i64 = 2_000_000_000;
const FORMAT: &str = "asepsis-digest-cache/1";

/// Digests of files by their stamps. See the module's documentation for what it trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestCache {
    lines: BTreeMap<String, Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    size: u64,
    stamp: Stamp,
    digest: ContentDigest,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    lines: Vec<RawLine>,
}

#[derive(Serialize, Deserialize)]
struct RawLine {
    name: String,
    size: u64,
    #[serde(flatten)]
    stamp: Stamp,
    algorithm: String,
    digest: String,
}

impl DigestCache {
    /// Reads a cache file.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`], [`SignatureError::TooLarge`]: delete it, everything is hashed then.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let what = "the digest cache";
        let file: File = json::parse(what, bytes, CACHE_BYTES_MAX)?;
        if file.format != FORMAT {
            return Err(SignatureError::malformed(what, format!("its format is not `{FORMAT}`")));
        }
        if file.lines.len() > RESOURCES_MAX {
            return Err(SignatureError::TooLarge { what, found: file.lines.len(), max: RESOURCES_MAX });
        }
        let mut lines = BTreeMap::new();
        for raw in file.lines {
            let algorithm = HashAlgorithm::parse(&raw.algorithm)?;
            let digest = ContentDigest::from_hex(algorithm, &raw.digest)
                .ok_or_else(|| SignatureError::malformed(what, "a digest of the wrong length"))?;
            lines.insert(raw.name, Line { size: raw.size, stamp: raw.stamp, digest });
        }
        Ok(Self { lines })
    }

    /// The cache as a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let lines = self
            .lines
            .iter()
            .map(|(name, line)| RawLine {
                name: name.clone(),
                size: line.size,
                stamp: line.stamp,
                algorithm: line.digest.algorithm().as_str().to_owned(),
                digest: line.digest.to_hex(),
            })
            .collect();
        // Texts and numbers only; an empty file is a cache that cannot be read, and everything is hashed.
        serde_json::to_vec(&File { format: FORMAT.to_owned(), lines }).unwrap_or_default()
    }

    /// How many digests it holds.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The digest of a line, when its file still has the same stamp.
    pub(crate) fn digest(
        &self,
        entry: &TreeEntry,
        name: &str,
        algorithm: HashAlgorithm,
    ) -> Option<&ContentDigest> {
        let line = self.lines.get(name)?;
        let same = Some(line.stamp) == entry.stamp && line.size == entry.size;
        (same && line.digest.algorithm() == algorithm).then_some(&line.digest)
    }

    pub(crate) fn of<'a>(
        lines: impl Iterator<Item = (&'a str, &'a ContentDigest)>,
        method: Method,
        algorithm: HashAlgorithm,
        stamps: &BTreeMap<Arc<str>, TreeEntry>,
        now_ns: i64,
    ) -> Self {
        let mut kept = BTreeMap::new();
        for (name, digest) in lines.filter(|(_, d)| d.algorithm() == algorithm) {
            let path = match method {
                Method::Files => name,
                Method::Shards { .. } => shard_parts(name).map_or(name, |(path, ..)| path),
            };
            let Some(entry) = stamps.get(path) else { continue };
            let Some(stamp) = entry.stamp else { continue };
            let settled = now_ns.saturating_sub(SETTLED_NS);
            if stamp.modified_ns < settled && stamp.changed_ns < settled {
                kept.insert(name.to_owned(), Line { size: entry.size, stamp, digest: digest.clone() });
            }
        }
        Self { lines: kept }
    }
}
