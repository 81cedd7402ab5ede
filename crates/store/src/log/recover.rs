//! Opening a log: find out what is on disk, refuse what is damaged, publish what was only in the write-ahead segments.

use super::audit;
use super::error::{Damage, OpenError};
use super::files::{self, FILE_BYTES_MAX, Mark};
use super::publish::Publisher;
use super::view::{Head, View};
use super::wal::{self, ReadError, Segment};
use super::{Options, VerifyOnOpen};
use ledger::bundle::parse_entries;
use ledger::hash::EMPTY_ROOT;
use ledger::note::NOTE_BYTES_MAX;
use ledger::proof::{peaks_at, root_at};
use ledger::tile::{entries_path, partial_tiles};
use ledger::{
    Checkpoint, CheckpointError, EdgeTiles, Hash, NoteError, Signer, TILE_WIDTH, Tree, Verifier, leaf_hash,
};
use std::fs;
use std::path::Path;

/// What opening found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// Durable entries.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// Whether the log was made by this opening.
    pub created: bool,
    /// Entries that were in write-ahead segments only, and are in tiles now: above 0 after a crash.
    pub replayed_entries: u64,
    /// Bytes of a write that a crash cut off. Their entries were never acknowledged and are not in the log.
    pub torn_bytes: u64,
    /// Whether every published entry was recomputed, not only the right edge.
    pub fully_verified: bool,
}

/// A log ready to be written to.
#[derive(Debug)]
pub struct Recovered {
    pub tree: Tree,
    pub head: Head,
    pub edge: EdgeTiles,
    pub publisher: Publisher,
    pub report: OpenReport,
}

/// Recovers the log in `dir`, whose lock is held.
pub fn recover(dir: &Path, signer: &Signer, options: &Options) -> Result<Recovered, OpenError> {
    let created = create_if_absent(dir, signer, options)?;
    files::remove_spare(dir);
    let checkpoint = load_checkpoint(dir, signer.verifier())?;
    let note = read_or_damaged(dir, files::CHECKPOINT)?;
    let mark = Mark::load(dir).map_err(OpenError::io(&dir.join(files::MARK)))?;
    let mark = mark.and_then(|mark| mark.ok_or_else(|| Damage::new(files::MARK, "it is missing")));
    let mark = mark.map_err(OpenError::damaged(dir))?;

    let full = match options.verify_on_open {
        VerifyOnOpen::Full => true,
        VerifyOnOpen::Edge => false,
        VerifyOnOpen::Auto => checkpoint.size <= super::FULL_CHECK_ENTRIES_MAX,
    };
    if full {
        audit::check_published(dir, &checkpoint)?;
    }
    let (tree, edge) = load_edge(dir, &checkpoint).or_else(|error| {
        // The edge says only that something is wrong; the full check says which file.
        audit::check_published(dir, &checkpoint)?;
        Err(error)
    })?;

    let published = Head { size: checkpoint.size, root: checkpoint.root, checkpoint: text(&note).into() };
    let mut replay = Replay {
        dir,
        verifier: signer.verifier(),
        tree,
        edge: edge.clone(),
        head: published.clone(),
        torn_bytes: 0,
    };
    let segments = replay.run()?;
    let Replay { tree, edge: replayed, head, torn_bytes, .. } = replay;

    let view = View::new(dir, published, edge);
    view.reset(head.clone(), replayed.clone());
    check_mark(dir, &view, &head, mark)?;
    check_anchor(dir, &view, &head, options.anchor)?;

    let mut publisher = Publisher::open(dir, checkpoint.size).map_err(|error| open_error(dir, error))?;
    publisher.remove_leftovers(head.size).map_err(|error| open_error(dir, error))?;
    publisher.publish(&view, &segments, &head).map_err(|error| open_error(dir, error))?;
    let report = OpenReport {
        size: head.size,
        root: head.root,
        created,
        replayed_entries: head.size - checkpoint.size,
        torn_bytes,
        fully_verified: full,
    };
    let mut edge = replayed;
    edge.forget_before(head.size);
    Ok(Recovered { tree, head, edge, publisher, report })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Turns what a reader of segments says into what an opener is told.
pub fn open_error(dir: &Path, error: ReadError) -> OpenError {
    match error {
        ReadError::Damaged(damage) => OpenError::damaged(dir)(damage),
        ReadError::Io(path, source) => OpenError::Io { path, source },
    }
}

/// Reads a file that must be there.
pub fn read_or_damaged(dir: &Path, name: &str) -> Result<Vec<u8>, OpenError> {
    let path = dir.join(name);
    files::read(&path, FILE_BYTES_MAX)
        .map_err(OpenError::io(&path))?
        .ok_or_else(|| OpenError::damaged(dir)(Damage::new(name, "it is missing")))
}

/// Makes an empty log where there is none. A directory that holds parts of a log is never taken for an empty one.
fn create_if_absent(dir: &Path, signer: &Signer, options: &Options) -> Result<bool, OpenError> {
    let checkpoint = dir.join(files::CHECKPOINT);
    if checkpoint.try_exists().map_err(OpenError::io(&checkpoint))? {
        return Ok(false);
    }
    if let Some((size, _)) = options.anchor.filter(|(size, _)| *size > 0) {
        let what = format!("no ledger is there although {size} entries were acknowledged");
        return Err(OpenError::RolledBack { dir: dir.to_owned(), what });
    }
    // Left over from an interrupted creation, these hold nothing; anything else was a log whose checkpoint is gone.
    let lost = |name: &str, what: &str| OpenError::damaged(dir)(Damage::new(name, what));
    match Mark::load(dir).map_err(OpenError::io(&dir.join(files::MARK)))? {
        Ok(None) => {}
        Ok(Some(mark)) if mark.size == 0 => {}
        _ => return Err(lost(files::CHECKPOINT, "it is missing")),
    }
    for name in [files::TILES, files::WAL] {
        let path = dir.join(name);
        let holds = fs::read_dir(&path).map(|mut entries| entries.next().is_some()).unwrap_or(false);
        if holds {
            return Err(lost(files::CHECKPOINT, &format!("it is missing although `{name}` is not empty")));
        }
        fs::create_dir_all(&path).map_err(OpenError::io(&path))?;
    }
    let mark = Mark { size: 0, root: EMPTY_ROOT };
    files::replace(dir, files::MARK, &mark.to_bytes()).map_err(OpenError::io(&dir.join(files::MARK)))?;
    let origin = signer.verifier().name();
    let note = Checkpoint::new(origin, 0, EMPTY_ROOT).sign(signer).map_err(|error| OpenError::Key {
        dir: dir.to_owned(),
        key: origin.to_owned(),
        reason: error.to_string(),
    })?;
    files::replace(dir, files::CHECKPOINT, note.as_bytes()).map_err(OpenError::io(&checkpoint))?;
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        files::sync_dir(parent).map_err(OpenError::io(parent))?;
    }
    Ok(true)
}

/// Reads the published checkpoint and checks its signature.
pub fn load_checkpoint(dir: &Path, verifier: &Verifier) -> Result<Checkpoint, OpenError> {
    let note = read_or_damaged(dir, files::CHECKPOINT)?;
    let note = note.get(..NOTE_BYTES_MAX.min(note.len())).unwrap_or_default();
    Checkpoint::verify(note, verifier).map_err(|error| match error {
        CheckpointError::Note(NoteError::Unsigned(_)) | CheckpointError::Origin { .. } => {
            OpenError::Key { dir: dir.to_owned(), key: verifier.name().to_owned(), reason: error.to_string() }
        }
        other => OpenError::damaged(dir)(Damage::new(files::CHECKPOINT, other.to_string())),
    })
}

/// The check of bounded time: the partial tiles lead to the signed root, and the last entries to the last leaf hashes.
fn load_edge(dir: &Path, checkpoint: &Checkpoint) -> Result<(Tree, EdgeTiles), OpenError> {
    let size = checkpoint.size;
    let damaged = OpenError::damaged(dir);
    let read = |name: &str| -> Result<Vec<u8>, Damage> {
        files::read(&dir.join(name), FILE_BYTES_MAX)
            .map_err(|error| Damage::new(name, error.to_string()))?
            .ok_or_else(|| Damage::new(name, "it is missing"))
    };
    let load = || -> Result<(Tree, EdgeTiles), Damage> {
        let edge = EdgeTiles::from_partial_tiles(size, |tile| {
            tile.parse(&read(&tile.path())?).map_err(|error| Damage::new(tile.path(), error.to_string()))
        })?;
        let first = partial_tiles(size).first().map_or_else(|| files::TILES.to_owned(), |tile| tile.path());
        let peaks = peaks_at(&edge, size).map_err(|error| Damage::new(first.clone(), error.to_string()))?;
        let tree = Tree::from_peaks(size, peaks).filter(|tree| tree.root() == checkpoint.root);
        let tree = tree.ok_or_else(|| {
            Damage::new(first.clone(), "the tiles at the right edge do not lead to the signed root")
        })?;
        if !size.is_multiple_of(TILE_WIDTH) {
            let name = entries_path(size / TILE_WIDTH, size % TILE_WIDTH);
            let bytes = read(&name)?;
            let entries = parse_entries(&bytes, TILE_WIDTH as usize)
                .map_err(|error| Damage::new(&name, error.to_string()))?;
            let leaves: Vec<Hash> = entries.into_iter().map(leaf_hash).collect();
            if partial_tiles(size).first().and_then(|tile| edge.tile(*tile)) != Some(leaves.as_slice()) {
                return Err(Damage::new(name, "its entries do not fit their leaf hashes"));
            }
        }
        Ok((tree, edge))
    };
    load().map_err(damaged)
}

impl From<String> for Damage {
    fn from(what: String) -> Self {
        Self::new(files::TILES, what)
    }
}

/// Goes through the write-ahead segments, recomputing every root on the way.
struct Replay<'a> {
    dir: &'a Path,
    verifier: &'a Verifier,
    tree: Tree,
    edge: EdgeTiles,
    head: Head,
    torn_bytes: u64,
}

impl Replay<'_> {
    fn run(&mut self) -> Result<Vec<Segment>, OpenError> {
        let dir = self.dir;
        let firsts =
            wal::list(dir).map_err(OpenError::io(&dir.join(files::WAL)))?.map_err(OpenError::damaged(dir))?;
        let newest = firsts.last().copied();
        let segments: Vec<Segment> =
            firsts.into_iter().map(|first| Segment { first, newest: Some(first) == newest }).collect();
        for segment in &segments {
            let end = wal::read_segment(dir, *segment, &mut |frame| self.frame(segment.first, &frame));
            self.torn_bytes += end.map_err(|error| open_error(dir, error))?.bytes();
        }
        Ok(segments)
    }

    fn frame(&mut self, segment: u64, frame: &wal::Frame<'_>) -> Result<(), ReadError> {
        let damaged = |what: String| Damage::new(wal::segment_name(segment), what);
        let end = frame.first.saturating_add(u64::from(frame.count));
        if end <= self.head.size {
            // Published already: the crash came before the segment was removed. Its digest was checked.
            return Ok(());
        }
        if frame.first != self.head.size {
            let what = format!("entries {} to {} before it are missing", self.head.size, frame.first);
            return Err(damaged(what).into());
        }
        let entries =
            parse_entries(frame.body, frame.count as usize).map_err(|error| damaged(error.to_string()))?;
        for leaf in entries.into_iter().map(leaf_hash) {
            self.tree.push(leaf);
            self.edge.push(leaf);
        }
        let checkpoint =
            Checkpoint::verify(frame.note, self.verifier).map_err(|error| damaged(error.to_string()))?;
        if (checkpoint.size, checkpoint.root) != (self.tree.size(), self.tree.root())
            || end != self.tree.size()
        {
            return Err(damaged(format!(
                "the entries from {} do not lead to their signed root",
                frame.first
            ))
            .into());
        }
        self.head = Head { size: end, root: checkpoint.root, checkpoint: text(frame.note).into() };
        Ok(())
    }
}

fn check_mark(dir: &Path, view: &View, head: &Head, mark: Mark) -> Result<(), OpenError> {
    if mark.size > head.size {
        let file = wal::list(dir).ok().and_then(Result::ok).and_then(|firsts| firsts.last().copied());
        let file = file.map_or_else(|| files::WAL.to_owned(), wal::segment_name);
        let what =
            format!("{} acknowledged entries from {} on are missing", mark.size - head.size, head.size);
        return Err(OpenError::damaged(dir)(Damage::new(file, what)));
    }
    match root_at(view, mark.size) {
        Ok(root) if root == mark.root => Ok(()),
        Ok(_) => {
            let what = format!("its root of {} entries is not the ledger's", mark.size);
            Err(OpenError::damaged(dir)(Damage::new(files::MARK, what)))
        }
        Err(error) => Err(OpenError::damaged(dir)(Damage::new(files::TILES, error.to_string()))),
    }
}

fn check_anchor(
    dir: &Path,
    view: &View,
    head: &Head,
    anchor: Option<(u64, [u8; 32])>,
) -> Result<(), OpenError> {
    let Some((size, root)) = anchor else { return Ok(()) };
    let rolled_back = |what: String| OpenError::RolledBack { dir: dir.to_owned(), what };
    if size > head.size {
        return Err(rolled_back(format!("it has {} entries although {size} were acknowledged", head.size)));
    }
    let found = root_at(view, size)
        .map_err(|error| OpenError::damaged(dir)(Damage::new(files::TILES, error.to_string())))?;
    if found != Hash::new(root) {
        return Err(rolled_back(format!("its first {size} entries are not the ones acknowledged")));
    }
    Ok(())
}
