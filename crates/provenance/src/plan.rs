//! What has to be hashed, in pieces that the caller spreads over its threads, and how the digests become a manifest.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cache::DigestCache;
use crate::error::SignError;
use crate::hash::{ContentDigest, HashAlgorithm};
use crate::limits::RESOURCES_MAX;
use crate::listing::{EntryKind, LinkPolicy, Listing, TreeEntry};
use crate::manifest::{IGNORED_BY_DEFAULT, Manifest, Method, Resource};
use crate::name::name_problem;

/// A range of one file that has to be hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    path: Arc<str>,
    start: u64,
    end: u64,
    last: bool,
}

impl Piece {
    /// Path of the file from the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// First byte.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// One after the last byte.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Bytes in it.
    pub const fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Whether the file ends with it.
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// The name of its line in a manifest.
    fn name(&self, method: Method) -> String {
        match method {
            Method::Files => self.path.to_string(),
            Method::Shards { .. } => format!("{}:{}:{}", self.path, self.start, self.end),
        }
    }
}

/// Indices of pieces, the largest first: threads that take them in this order end at about the same time.
pub fn largest_first(pieces: &[Piece]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(pieces.get(*i).map_or(0, Piece::bytes)));
    order
}

/// The pieces of one file: itself, or its shards (none when it is empty).
pub(crate) fn pieces_of(entry: &TreeEntry, method: Method, out: &mut Vec<Piece>) {
    let path: Arc<str> = entry.path.as_str().into();
    match method {
        Method::Files => out.push(Piece { path, start: 0, end: entry.size, last: true }),
        Method::Shards { size } => {
            let mut start = 0;
            while start < entry.size && out.len() <= RESOURCES_MAX {
                let end = entry.size.min(start.saturating_add(size.get()));
                out.push(Piece { path: path.clone(), start, end, last: end == entry.size });
                start = end;
            }
        }
    }
}

/// What a signer decides.
#[derive(Debug, Clone)]
pub struct SignOptions {
    /// The model's name, for people.
    pub subject: String,
    /// How content is hashed; SHA-256 is what every verifier reads.
    pub algorithm: HashAlgorithm,
    /// Whole files or shards.
    pub method: Method,
    /// Which links are read through.
    pub links: LinkPolicy,
    /// Paths that are left out, with everything under them. They are written into the signature.
    pub ignore: Vec<String>,
    /// Where the signature file itself will lie, when that is inside the folder.
    pub signature_file: Option<String>,
}

impl SignOptions {
    /// SHA-256 of whole files, no links, git's own files left out.
    pub fn new(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            algorithm: HashAlgorithm::Sha256,
            method: Method::Files,
            links: LinkPolicy::Refuse,
            ignore: IGNORED_BY_DEFAULT.map(str::to_owned).to_vec(),
            signature_file: None,
        }
    }
}

/// What has to be hashed to sign a folder.
#[derive(Debug, Clone)]
pub struct SigningPlan {
    options: SignOptions,
    pieces: Vec<Piece>,
    known: BTreeMap<String, ContentDigest>,
    stamps: BTreeMap<Arc<str>, TreeEntry>,
    uncovered: Vec<String>,
}

impl SigningPlan {
    /// Decides what is signed. With a cache, only files that changed since it was made have to be hashed again;
    /// [`DigestCache`] says what that trusts.
    ///
    /// # Errors
    /// [`SignError::Unsignable`] for a link that the policy refuses, a special file or a name that is not portable;
    /// [`SignError::Empty`], [`SignError::TooMany`].
    pub fn new(
        mut options: SignOptions,
        listing: &Listing,
        cache: Option<&DigestCache>,
    ) -> Result<Self, SignError> {
        options.ignore.extend(options.signature_file.clone());
        options.ignore.sort();
        options.ignore.dedup();
        let (mut pieces, mut known) = (Vec::new(), BTreeMap::new());
        let (mut stamps, mut uncovered) = (BTreeMap::new(), Vec::new());
        for entry in listing.entries() {
            if Listing::rule(&entry.path, &options.ignore).is_some() {
                continue;
            }
            signable(entry, options.links)?;
            if entry.size == 0 && matches!(options.method, Method::Shards { .. }) {
                uncovered.push(entry.path.clone());
            }
            let mut own = Vec::new();
            pieces_of(entry, options.method, &mut own);
            for piece in own {
                let name = piece.name(options.method);
                match cache.and_then(|c| c.digest(entry, &name, options.algorithm)) {
                    Some(digest) => {
                        known.insert(name, digest.clone());
                    }
                    None => pieces.push(piece),
                }
            }
            let lines = pieces.len() + known.len();
            if lines > RESOURCES_MAX {
                return Err(SignError::TooMany { found: lines, max: RESOURCES_MAX });
            }
            stamps.insert(entry.path.as_str().into(), entry.clone());
        }
        if pieces.is_empty() && known.is_empty() {
            return Err(SignError::Empty);
        }
        Ok(Self { options, pieces, known, stamps, uncovered })
    }

    /// What has to be hashed, to be answered in this order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// How it has to be hashed.
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.options.algorithm
    }

    /// Files or shards whose digest came from the cache.
    pub fn reused(&self) -> usize {
        self.known.len()
    }

    /// Empty files that a signature by shards does not cover, by its specification: worth a warning.
    pub fn uncovered(&self) -> &[String] {
        &self.uncovered
    }

    /// The manifest, from one digest for each piece in their order.
    ///
    /// # Errors
    /// [`SignError::Digests`] for another number of digests or another algorithm.
    pub fn manifest(&self, digests: &[ContentDigest]) -> Result<Manifest, SignError> {
        let mut resources: Vec<Resource> = self
            .known
            .iter()
            .map(|(name, digest)| Resource { name: name.clone(), digest: digest.clone() })
            .chain(self.named(digests)?)
            .collect();
        // By Unicode code point, which for UTF-8 is the order of the bytes.
        resources.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Manifest {
            subject: self.options.subject.clone(),
            method: self.options.method,
            algorithm: self.options.algorithm,
            allow_symlinks: self.options.links != LinkPolicy::Refuse,
            ignore_paths: self.options.ignore.clone(),
            resources,
        })
    }

    /// The cache for the next time: the digests of this time with the stamps of their files. `now_ns` is the moment
    /// at which the folder was **listed**, on the clock that stamps files.
    ///
    /// # Errors
    /// As [`SigningPlan::manifest`].
    pub fn cache(&self, digests: &[ContentDigest], now_ns: i64) -> Result<DigestCache, SignError> {
        let fresh: Vec<Resource> = self.named(digests)?.collect();
        let lines = self
            .known
            .iter()
            .map(|(name, digest)| (name.as_str(), digest))
            .chain(fresh.iter().map(|r| (r.name.as_str(), &r.digest)));
        Ok(DigestCache::of(lines, self.options.method, self.options.algorithm, &self.stamps, now_ns))
    }

    fn named(&self, digests: &[ContentDigest]) -> Result<impl Iterator<Item = Resource>, SignError> {
        let fits = digests.iter().all(|d| d.algorithm() == self.options.algorithm);
        if digests.len() != self.pieces.len() || !fits {
            return Err(SignError::Digests { found: digests.len(), asked: self.pieces.len() });
        }
        let method = self.options.method;
        Ok(self
            .pieces
            .iter()
            .zip(digests)
            .map(move |(piece, digest)| Resource { name: piece.name(method), digest: digest.clone() }))
    }
}

fn signable(entry: &TreeEntry, links: LinkPolicy) -> Result<(), SignError> {
    let reason = match (&entry.kind, name_problem(&entry.path)) {
        (_, Some(problem)) => format!("{problem}; rename it"),
        (EntryKind::Other(what), None) => what.clone(),
        (EntryKind::LinkInside | EntryKind::LinkOutside, None) if !links.reads(&entry.kind) => {
            "it is a symbolic link; replace it by its file, or allow links".to_owned()
        }
        _ => return Ok(()),
    };
    Err(SignError::Unsignable { path: crate::name::shown(&entry.path), reason })
}
