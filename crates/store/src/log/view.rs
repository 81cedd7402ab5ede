//! What readers see: the durable head, and every entry and tile up to it, from files or from the right edge in memory.

use super::error::{Damage, LogError};
use super::files::{self, FILE_BYTES_MAX};
use super::sync::{read_lock, write_lock};
use super::wal::{self, FRAME_BODY_BYTES_MAX};
use ledger::bundle::parse_entries;
use ledger::tile::entries_path;
use ledger::{EdgeTiles, Hash, TILE_WIDTH, TileId, TileReader, leaf_hash};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

/// How often a read starts again when a publication replaced the file under it. Each publication can do so once.
const READ_ATTEMPTS_MAX: usize = 8;

/// The newest durable state of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Durable entries.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// Checkpoint of exactly this size and root, signed: a note of c2sp.org/tlog-checkpoint.
    pub checkpoint: Arc<str>,
}

/// Where the entries of one committed batch lie.
#[derive(Debug, Clone, Copy)]
pub struct FrameRef {
    /// First entry.
    pub first: u64,
    /// First entry of the segment it is in.
    pub segment: u64,
    /// Offset of its body in the segment.
    pub body_at: u64,
    /// Bytes of its body.
    pub body_bytes: u32,
}

#[derive(Debug)]
struct Inner {
    head: Head,
    /// Entries in published tiles and bundles; the rest is in `frames` and `edge`.
    published: u64,
    edge: EdgeTiles,
    frames: VecDeque<FrameRef>,
}

/// Shared by the writer, the publisher and all readers.
#[derive(Debug)]
pub struct View {
    dir: PathBuf,
    inner: RwLock<Inner>,
}

enum Place {
    Bundle(u64),
    Frame(FrameRef),
}

impl View {
    /// The view of a log whose durable entries are all published.
    pub fn new(dir: &Path, head: Head, edge: EdgeTiles) -> Self {
        let published = head.size;
        Self {
            dir: dir.to_owned(),
            inner: RwLock::new(Inner { head, published, edge, frames: VecDeque::new() }),
        }
    }

    /// Starts over from a recovered state.
    pub fn reset(&self, head: Head, edge: EdgeTiles) {
        let mut inner = write_lock(&self.inner);
        inner.published = head.size;
        *inner = Inner { published: head.size, head, edge, frames: VecDeque::new() };
    }

    /// Adds what a commit has made durable.
    pub fn commit(&self, head: Head, leaves: &[Hash], frames: &[FrameRef]) {
        let mut inner = write_lock(&self.inner);
        leaves.iter().for_each(|leaf| inner.edge.push(*leaf));
        inner.frames.extend(frames);
        inner.head = head;
    }

    /// Notes that tiles and bundles up to `size` are on disk: memory for them is given back.
    pub fn published(&self, size: u64) {
        let mut inner = write_lock(&self.inner);
        inner.published = size;
        inner.edge.forget_before(size);
        while inner.frames.front().is_some_and(|frame| frame.first < size) {
            inner.frames.pop_front();
        }
    }

    /// The durable head.
    pub fn head(&self) -> Head {
        read_lock(&self.inner).head.clone()
    }

    /// The log's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The first hashes of a tile that is still in memory.
    pub fn edge_tile(&self, tile: TileId) -> Option<Vec<Hash>> {
        read_lock(&self.inner).edge.tile(tile).map(<[Hash]>::to_vec)
    }

    fn place(&self, index: u64) -> Result<(Place, u64), LogError> {
        let inner = read_lock(&self.inner);
        let size = inner.head.size;
        if index >= size {
            return Err(LogError::NoSuchEntry { index, size });
        }
        if index < inner.published {
            return Ok((Place::Bundle(index / TILE_WIDTH), inner.published));
        }
        let at = inner.frames.partition_point(|frame| frame.first <= index);
        let frame = at.checked_sub(1).and_then(|at| inner.frames.get(at)).copied();
        let frame = frame.ok_or(LogError::NoSuchEntry { index, size })?;
        Ok((Place::Frame(frame), inner.published))
    }

    /// Up to `count` entries from `index` on, at most to the end of the bundle or batch that holds it, each checked against its leaf hash.
    ///
    /// # Errors
    /// [`LogError::NoSuchEntry`], [`LogError::Damaged`], [`LogError::Io`].
    pub fn entries_from(&self, index: u64, count: usize) -> Result<Vec<Vec<u8>>, LogError> {
        for _ in 0..READ_ATTEMPTS_MAX {
            let (place, published) = self.place(index)?;
            let found = match place {
                Place::Bundle(bundle) => {
                    self.bundle(bundle, published)?.map(|bytes| (bundle * TILE_WIDTH, bytes))
                }
                Place::Frame(frame) => self.frame(frame)?.map(|bytes| (frame.first, bytes)),
            };
            // Published in between: the file was replaced by a fuller one, so look again.
            let Some((first, bytes)) = found else { continue };
            return self.checked(&bytes, first, index, count);
        }
        Err(Damage::new(entries_path(index / TILE_WIDTH, TILE_WIDTH), "it is missing").into())
    }

    fn checked(&self, bytes: &[u8], first: u64, index: u64, count: usize) -> Result<Vec<Vec<u8>>, LogError> {
        let damaged =
            |what: String| LogError::Damaged(Damage::new(entries_path(index / TILE_WIDTH, TILE_WIDTH), what));
        let entries =
            parse_entries(bytes, FRAME_BODY_BYTES_MAX / 2).map_err(|error| damaged(error.to_string()))?;
        let skip = usize::try_from(index - first).unwrap_or(usize::MAX);
        let mut tile: Option<(u64, Vec<Hash>)> = None;
        let mut checked = Vec::new();
        for (at, entry) in (first..).zip(entries).skip(skip).take(count) {
            let number = at / TILE_WIDTH;
            let leaves = match &mut tile {
                Some((known, leaves)) if *known == number => leaves,
                other => &mut other.insert((number, self.leaf_tile(number)?)).1,
            };
            let within = usize::try_from(at % TILE_WIDTH).unwrap_or(usize::MAX);
            if leaves.get(within) != Some(&leaf_hash(entry)) {
                return Err(damaged(format!("entry {at} does not fit its leaf hash")));
            }
            checked.push(entry.to_vec());
        }
        if checked.is_empty() {
            return Err(damaged(format!("entry {index} is missing")));
        }
        Ok(checked)
    }

    fn leaf_tile(&self, number: u64) -> Result<Vec<Hash>, LogError> {
        let size = self.head().size;
        let tile = TileId::in_tree(0, number, size)
            .ok_or(LogError::NoSuchEntry { index: number.saturating_mul(TILE_WIDTH), size })?;
        self.tile(tile)
    }

    fn bundle(&self, number: u64, published: u64) -> Result<Option<Vec<u8>>, LogError> {
        let width = (published - number * TILE_WIDTH).min(TILE_WIDTH);
        let path = self.dir.join(entries_path(number, width));
        files::read(&path, FILE_BYTES_MAX).map_err(|error| LogError::from_io(&error, &path))
    }

    fn frame(&self, frame: FrameRef) -> Result<Option<Vec<u8>>, LogError> {
        let path = self.dir.join(wal::segment_name(frame.segment));
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(frame.body_at))?;
            let mut bytes = Vec::new();
            file.take(u64::from(frame.body_bytes)).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::from_io(&error, &path)),
        }
    }

    /// The hashes of a tile of the durable log, at least its width.
    ///
    /// # Errors
    /// [`LogError::Damaged`], [`LogError::Io`].
    pub fn tile(&self, tile: TileId) -> Result<Vec<Hash>, LogError> {
        if let Some(hashes) = self.edge_tile(tile) {
            return Ok(hashes);
        }
        // Memory only forgets tiles that are full on disk.
        let full = TileId::new(tile.level(), tile.index(), TILE_WIDTH)
            .map_err(|error| Damage::new(tile.path(), error.to_string()))?;
        let path = self.dir.join(full.path());
        let bytes = files::read(&path, FILE_BYTES_MAX)
            .map_err(|error| LogError::from_io(&error, &path))?
            .ok_or_else(|| Damage::new(full.path(), "it is missing"))?;
        Ok(full.parse(&bytes).map_err(|error| Damage::new(full.path(), error.to_string()))?)
    }
}

impl TileReader for View {
    fn read_tile(&self, tile: TileId) -> Result<Vec<Hash>, String> {
        self.tile(tile).map_err(|error| error.to_string())
    }
}
