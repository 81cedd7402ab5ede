//! The full audit: recomputes everything from the entries to the signed root and names each file that does not fit.
//!
//! It needs the directory and the public key, not the service; with an anchor from elsewhere it also finds a rolled-back log.

use super::error::{Damage, OpenError};
use super::files::{self, Mark};
use super::published::LogFiles;
use super::wal::{self, ReadError, Segment};
use ledger::bundle::parse_entries;
use ledger::hash::subtree_root;
use ledger::tile::{LEVEL_MAX, LayoutPath, entries_path, hashes_at_level, partial_tiles, tile_bytes};
use ledger::{Checkpoint, EdgeTiles, Hash, TILE_WIDTH, TileId, Tree, Verifier, leaf_hash};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const WIDTH: usize = TILE_WIDTH as usize;
/// Findings are listed up to this number; a log with more is beyond listing.
pub const FINDINGS_MAX: usize = 1000;
/// Directory levels below `tile`: level, seven path elements, partial tiles.
const DEPTH_MAX: usize = 10;

/// One file that does not hold what it should.
pub type Finding = Damage;

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// Name of the log.
    pub origin: String,
    /// Entries checked: published ones, and those in write-ahead segments unless `in_use`.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// Entries in tiles.
    pub published: u64,
    /// Bytes of a write a crash has cut off; their entries were never acknowledged.
    pub torn_bytes: u64,
    /// Files beyond the checkpoint, left by an interrupted publication; the next open replaces them.
    pub leftovers: u64,
    /// A process has the log open: its write-ahead segments and mark were left out, as they change while being read.
    pub in_use: bool,
    /// Every damaged file, up to `FINDINGS_MAX`.
    pub findings: Vec<Finding>,
}

impl AuditReport {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Why an audit could not be done at all. It is never a pass.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// No log there, or its checkpoint cannot be trusted: there is nothing to check against.
    #[error(transparent)]
    Checkpoint(#[from] OpenError),
    /// A file needed to go on is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The disk refused.
    #[error("cannot read ledger file `{path}`: {source}; check disk and rights", path = path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Checks the whole log in `dir`: every entry, tile, bundle, write-ahead segment, signature, and the anchor (size and root known
/// from elsewhere). `progress` is told entries done and entries in all. Memory stays flat.
///
/// # Errors
/// [`AuditError`] when checkpoint or disk do not allow an audit; damage beyond that is in the report's findings.
pub fn audit(
    dir: &Path,
    verifier: &Verifier,
    anchor: Option<(u64, [u8; 32])>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<AuditReport, AuditError> {
    let in_use = files::is_locked(dir);
    let log = LogFiles::open(dir, verifier)?;
    let mut walk = Walk::new(&log);
    if let Some((size, root)) = anchor {
        walk.expect(
            size,
            Hash::new(root),
            "anchor",
            "it is not the ledger that was acknowledged: rolled back or replaced",
        );
    }
    if !in_use {
        walk.expect_mark()?;
    }
    walk.published(progress)?;
    let leftovers = walk.stray_files()?;
    if !in_use {
        walk.segments(verifier)?;
    }
    walk.unmet_expectations(in_use);
    Ok(AuditReport {
        origin: log.checkpoint.origin.clone(),
        size: walk.tree.size(),
        root: walk.tree.root(),
        published: log.checkpoint.size,
        torn_bytes: walk.torn_bytes,
        leftovers,
        in_use,
        findings: walk.findings,
    })
}

/// The full check of the published part, for opening: the first damaged file.
pub(super) fn check_published(dir: &Path, checkpoint: &Checkpoint) -> Result<(), OpenError> {
    let log = LogFiles { dir: dir.to_owned(), checkpoint: checkpoint.clone(), note: String::new() };
    let mut walk = Walk::new(&log);
    let checked = walk.published(&mut |_, _| {}).and_then(|()| walk.stray_files());
    match (checked, walk.findings.into_iter().next()) {
        (_, Some(damage)) | (Err(AuditError::Damaged(damage)), None) => Err(OpenError::damaged(dir)(damage)),
        (Err(AuditError::Io { path, source }), None) => Err(OpenError::Io { path, source }),
        (Err(AuditError::Checkpoint(error)), None) => Err(error),
        (Ok(_), None) => Ok(()),
    }
}

/// A root some other source says the log had at a size.
struct Expectation {
    size: u64,
    root: Hash,
    source: &'static str,
    what: &'static str,
    met: Option<bool>,
}

/// One pass over a log, entry by entry.
struct Walk<'a> {
    log: &'a LogFiles,
    tree: Tree,
    edge: EdgeTiles,
    expectations: Vec<Expectation>,
    findings: Vec<Finding>,
    torn_bytes: u64,
}

impl<'a> Walk<'a> {
    fn new(log: &'a LogFiles) -> Self {
        let (tree, edge) = (Tree::new(), EdgeTiles::new());
        Self { log, tree, edge, expectations: Vec::new(), findings: Vec::new(), torn_bytes: 0 }
    }

    fn expect(&mut self, size: u64, root: Hash, source: &'static str, what: &'static str) {
        let met = (size == 0).then_some(root == self.tree.root());
        self.expectations.push(Expectation { size, root, source, what, met });
    }

    fn expect_mark(&mut self) -> Result<(), AuditError> {
        let path = self.log.dir.join(files::MARK);
        match Mark::load(&self.log.dir).map_err(|source| AuditError::Io { path, source })? {
            Ok(Some(mark)) => {
                self.expect(
                    mark.size,
                    mark.root,
                    files::MARK,
                    "acknowledged entries are missing or were changed",
                );
            }
            Ok(None) => self.found(Damage::new(files::MARK, "it is missing")),
            Err(damage) => self.found(damage),
        }
        Ok(())
    }

    fn found(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    fn push(&mut self, leaf: Hash) {
        self.tree.push(leaf);
        self.edge.push(leaf);
        for expectation in self.expectations.iter_mut().filter(|e| e.size == self.tree.size()) {
            expectation.met = Some(expectation.root == self.tree.root());
        }
    }

    /// Damage becomes a finding; anything else ends the audit.
    fn keep<T>(&mut self, read: Result<T, AuditError>) -> Result<Option<T>, AuditError> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(AuditError::Damaged(damage)) => {
                self.found(damage);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Recomputes the published tree and compares every tile the checkpoint needs.
    fn published(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), AuditError> {
        let size = self.log.checkpoint.size;
        for bundle in 0..self.log.bundles() {
            let leaves = self.leaves(bundle)?;
            leaves.into_iter().for_each(|leaf| self.push(leaf));
            self.upper_tiles(bundle)?;
            self.edge.forget_before(self.tree.size());
            progress(self.tree.size(), size);
        }
        for tile in partial_tiles(size).into_iter().filter(|tile| tile.level() > 0) {
            self.compare(tile, self.edge.tile(tile).map(<[Hash]>::to_vec))?;
        }
        if self.tree.root() != self.log.checkpoint.root && self.findings.is_empty() {
            let what = "entries and tiles fit each other but not the signed root: they were rewritten";
            self.found(Damage::new(files::CHECKPOINT, what));
        }
        Ok(())
    }

    /// The leaf hashes of a bundle, from its entries; when these do not fit the leaf tile, the parent says which is wrong.
    fn leaves(&mut self, bundle: u64) -> Result<Vec<Hash>, AuditError> {
        let width = self.log.width(bundle);
        let name = entries_path(bundle, width);
        let tile = TileId::new(0, bundle, width).map_err(|error| Damage::new(&name, error.to_string()))?;
        let (entries, stored) = (self.log.bundle(bundle), self.log.tile(tile));
        let computed: Option<Vec<Hash>> =
            self.keep(entries)?.map(|entries| entries.iter().map(|entry| leaf_hash(entry)).collect());
        let stored = self.keep(stored)?;
        match (computed, stored) {
            (Some(computed), Some(stored)) if computed == stored => Ok(computed),
            (Some(computed), Some(stored)) => {
                let parent = TileId::in_tree(1, bundle / TILE_WIDTH, self.log.checkpoint.size);
                let parent = parent.and_then(|parent| self.log.tile(parent).ok());
                let parent =
                    parent.and_then(|row| row.get(usize::try_from(bundle % TILE_WIDTH).ok()?).copied());
                // The last tile has no parent if it is partial, but the signed root itself.
                let fits = |leaves: &[Hash]| {
                    let mut tree = self.tree.clone();
                    leaves.iter().for_each(|leaf| tree.push(*leaf));
                    let signed =
                        (tree.size(), tree.root()) == (self.log.checkpoint.size, self.log.checkpoint.root);
                    signed || (parent.is_some() && subtree_root(leaves) == parent)
                };
                let (stored_fits, computed_fits) = (fits(&stored), fits(&computed));
                if stored_fits {
                    self.found(Damage::new(
                        name,
                        "its entries were changed: they do not fit their leaf hashes",
                    ));
                    return Ok(stored);
                }
                if !computed_fits {
                    self.found(Damage::new(
                        name,
                        "its entries do not fit their leaf hashes; one of the two was changed",
                    ));
                }
                self.found(Damage::new(tile.path(), "its leaf hashes do not fit the entries"));
                Ok(computed)
            }
            (Some(leaves), None) | (None, Some(leaves)) => Ok(leaves),
            (None, None) => {
                Err(Damage::new(name, "neither its entries nor their leaf hashes can be read").into())
            }
        }
    }

    /// Compares the tiles above level 0 that this bundle has completed.
    fn upper_tiles(&mut self, bundle: u64) -> Result<(), AuditError> {
        let mut index = bundle;
        let mut complete = self.log.width(bundle) == TILE_WIDTH;
        for level in 1..=LEVEL_MAX {
            complete = complete && index % TILE_WIDTH == TILE_WIDTH - 1;
            if !complete {
                return Ok(());
            }
            index /= TILE_WIDTH;
            let Ok(tile) = TileId::new(level, index, TILE_WIDTH) else { return Ok(()) };
            self.compare(tile, self.edge.tile(tile).map(<[Hash]>::to_vec))?;
        }
        Ok(())
    }

    fn compare(&mut self, tile: TileId, computed: Option<Vec<Hash>>) -> Result<(), AuditError> {
        let stored = self.log.tile(tile);
        if let Some(stored) = self.keep(stored)?
            && computed.as_ref() != Some(&stored)
        {
            self.found(Damage::new(tile.path(), "its hashes do not fit the tiles below"));
        }
        Ok(())
    }

    /// Looks at every file below `tile`: older partial tiles must be beginnings of the present ones, and nothing else may be there.
    fn stray_files(&mut self) -> Result<u64, AuditError> {
        let mut leftovers = 0;
        self.stray_below(files::TILES.to_owned(), 0, &mut leftovers)?;
        Ok(leftovers)
    }

    fn stray_below(&mut self, name: String, depth: usize, leftovers: &mut u64) -> Result<(), AuditError> {
        let path = self.log.dir.join(&name);
        let io = |source| AuditError::Io { path: path.clone(), source };
        let entries = match fs::read_dir(&path) {
            // Removed by the service meanwhile; what the checkpoint needs was checked above.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(io)?,
        };
        for entry in entries {
            let entry = entry.map_err(io)?;
            let below = format!("{name}/{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(io)?;
            if kind.is_dir() && depth < DEPTH_MAX {
                self.stray_below(below, depth + 1, leftovers)?;
                continue;
            }
            match LayoutPath::parse(&below) {
                Ok(path) if kind.is_file() => self.stray_file(path, leftovers)?,
                _ => self.found(Damage::new(below, "it does not belong to the log")),
            }
        }
        Ok(())
    }

    fn stray_file(&mut self, path: LayoutPath, leftovers: &mut u64) -> Result<(), AuditError> {
        let (level, index, width) = match path {
            LayoutPath::Tile(tile) => (tile.level(), tile.index(), tile.width()),
            LayoutPath::Entries { index, width } => (0, index, width),
        };
        let last = index.checked_mul(TILE_WIDTH).and_then(|first| first.checked_add(width));
        if last.is_none_or(|last| last > hashes_at_level(level, self.log.checkpoint.size)) {
            *leftovers += 1;
            return Ok(());
        }
        let current = TileId::in_tree(level, index, self.log.checkpoint.size);
        if width == TILE_WIDTH || current.is_none_or(|current| current.width() == width) {
            return Ok(()); // Needed by the checkpoint, so compared already.
        }
        let Some(found) = self.log.read(&path.path())? else { return Ok(()) };
        let expected = match (path, current) {
            (LayoutPath::Tile(_), Some(current)) => self.log.tile(current).map(|row| tile_bytes(&row)),
            _ => self.log.bundle(index).map(|entries| files::bundle_bytes(&entries, width)),
        };
        // A damaged current file has its finding already.
        let Ok(expected) = expected else { return Ok(()) };
        let wanted = match path {
            LayoutPath::Tile(_) => {
                expected.get(..usize::try_from(width).unwrap_or(WIDTH) * 32).unwrap_or_default()
            }
            LayoutPath::Entries { .. } => &expected,
        };
        if found != wanted {
            self.found(Damage::new(path.path(), "it is not the beginning of the fuller tile"));
        }
        Ok(())
    }

    /// Goes on through the write-ahead segments.
    fn segments(&mut self, verifier: &Verifier) -> Result<(), AuditError> {
        let dir = self.log.dir.clone();
        let path = dir.join(files::WAL);
        let firsts = wal::list(&dir).map_err(|source| AuditError::Io { path, source })?;
        let Some(firsts) = self.keep(firsts.map_err(AuditError::from))? else { return Ok(()) };
        let newest = firsts.last().copied();
        for first in firsts {
            let segment = Segment { first, newest: Some(first) == newest };
            let read = wal::read_segment(&dir, segment, &mut |frame| self.frame(verifier, first, &frame));
            match read {
                Ok(end) => self.torn_bytes += end.bytes(),
                Err(ReadError::Io(path, source)) => return Err(AuditError::Io { path, source }),
                Err(ReadError::Damaged(damage)) => {
                    self.found(damage);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn frame(&mut self, verifier: &Verifier, segment: u64, frame: &wal::Frame<'_>) -> Result<(), ReadError> {
        let damaged = |what: String| Damage::new(wal::segment_name(segment), what);
        let checkpoint =
            Checkpoint::verify(frame.note, verifier).map_err(|error| damaged(error.to_string()))?;
        let end = frame.first.saturating_add(u64::from(frame.count));
        if end <= self.tree.size() {
            return Ok(());
        }
        if frame.first != self.tree.size() {
            let what = format!("entries {} to {} before it are missing", self.tree.size(), frame.first);
            return Err(damaged(what).into());
        }
        let entries =
            parse_entries(frame.body, frame.count as usize).map_err(|error| damaged(error.to_string()))?;
        entries.into_iter().map(leaf_hash).for_each(|leaf| self.push(leaf));
        self.edge.forget_before(self.tree.size());
        if (checkpoint.size, checkpoint.root) != (self.tree.size(), self.tree.root()) {
            return Err(damaged(format!(
                "the entries from {} do not lead to their signed root",
                frame.first
            ))
            .into());
        }
        Ok(())
    }

    fn unmet_expectations(&mut self, in_use: bool) {
        for expectation in std::mem::take(&mut self.expectations) {
            let Expectation { size, source, what, met, .. } = expectation;
            let finding = match met {
                Some(true) => continue,
                Some(false) => format!("{what}: another root at {size} entries"),
                // What a running service has beyond its tiles was not looked at.
                None if in_use => continue,
                None => format!("{what}: {size} entries were acknowledged, {} are there", self.tree.size()),
            };
            self.found(Damage::new(source, finding));
        }
    }
}
