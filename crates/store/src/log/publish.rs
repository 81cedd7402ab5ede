//! Publication: turns write-ahead segments into C2SP tiles, bundles and the checkpoint, then removes them.
//!
//! Order, each step durable before the next: tiles and bundles, the checkpoint that covers them, removal of the segments. A crash in
//! between leaves the segments, from which the next open publishes again; files beyond the checkpoint are not yet part of the log.

use super::files::{self, FILE_BYTES_MAX};
use super::view::{Head, View};
use super::wal::{self, ReadError, Segment};
use ledger::bundle::{parse_entries, push_entry};
use ledger::tile::{LEVEL_MAX, entries_path, hashes_at_level, partial_tiles, tile_bytes};
use ledger::{TILE_WIDTH, TileId};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const WIDTH: usize = TILE_WIDTH as usize;

/// What is published so far, and the entries of the last bundle, which the next publication continues.
#[derive(Debug)]
pub struct Publisher {
    dir: PathBuf,
    published: u64,
    bundle: Vec<u8>,
    bundle_entries: usize,
    written: Vec<PathBuf>,
    written_bytes: usize,
}

impl Publisher {
    /// Continues from a log of `published` entries.
    pub fn open(dir: &Path, published: u64) -> Result<Self, ReadError> {
        let width = published % TILE_WIDTH;
        let mut bundle = Vec::new();
        if width > 0 {
            let name = entries_path(published / TILE_WIDTH, width);
            let path = dir.join(&name);
            bundle = files::read(&path, FILE_BYTES_MAX)
                .map_err(|error| ReadError::Io(path, error))?
                .ok_or_else(|| super::error::Damage::new(name, "it is missing"))?;
        }
        let bundle_entries = usize::try_from(width).unwrap_or(0);
        Ok(Self {
            dir: dir.to_owned(),
            published,
            bundle,
            bundle_entries,
            written: Vec::new(),
            written_bytes: 0,
        })
    }

    /// Removes what an interrupted publication left beyond the checkpoint, in a log that has `size` entries with its segments.
    ///
    /// Such a file can be torn. Were it kept, a later checkpoint would make it part of the log.
    pub fn remove_leftovers(&self, size: u64) -> Result<(), ReadError> {
        for level in 0..=LEVEL_MAX {
            let (from, to) = (hashes_at_level(level, self.published), hashes_at_level(level, size));
            for index in from / TILE_WIDTH..=to / TILE_WIDTH {
                let kept = if index == from / TILE_WIDTH { from % TILE_WIDTH } else { 0 };
                let tile = TileId::new(level, index, TILE_WIDTH)
                    .map_err(|error| super::error::Damage::new(files::TILES, error.to_string()))?;
                remove_wider(&self.dir.join(tile.path()), kept)?;
                if level == 0 {
                    remove_wider(&self.dir.join(entries_path(index, TILE_WIDTH)), kept)?;
                }
            }
        }
        Ok(())
    }

    /// Publishes all entries of `segments` (in order, ending at `head`) and removes the segments.
    pub fn publish(&mut self, view: &View, segments: &[Segment], head: &Head) -> Result<(), ReadError> {
        let dir = self.dir.clone();
        let mut fed = self.published;
        for segment in segments {
            wal::read_segment(&dir, *segment, &mut |frame| {
                if frame.first < fed {
                    return Ok(());
                }
                let damaged =
                    |what: String| super::error::Damage::new(wal::segment_name(segment.first), what);
                let entries =
                    parse_entries(frame.body, frame.count as usize).map_err(|e| damaged(e.to_string()))?;
                for entry in entries {
                    self.feed(fed, entry)?;
                    fed += 1;
                }
                Ok(())
            })?;
        }
        if fed != head.size {
            let what = format!("its segments end at entry {fed} instead of {}", head.size);
            return Err(super::error::Damage::new(files::WAL, what).into());
        }
        if fed > self.published {
            self.write_tiles(view, head.size)?;
            self.sync()?;
            files::replace(&dir, files::CHECKPOINT, head.checkpoint.as_bytes())
                .map_err(|error| ReadError::Io(dir.join(files::CHECKPOINT), error))?;
            view.published(head.size);
            self.remove_superseded(head.size);
            self.published = head.size;
        }
        for segment in segments {
            let path = dir.join(wal::segment_name(segment.first));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(ReadError::Io(path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn feed(&mut self, index: u64, entry: &[u8]) -> Result<(), ReadError> {
        push_entry(&mut self.bundle, entry)
            .map_err(|error| super::error::Damage::new(files::WAL, error.to_string()))?;
        self.bundle_entries += 1;
        if self.bundle_entries == WIDTH {
            let bundle = std::mem::take(&mut self.bundle);
            self.bundle_entries = 0;
            self.write(&entries_path(index / TILE_WIDTH, TILE_WIDTH), &bundle)?;
        }
        Ok(())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), ReadError> {
        let path = self.dir.join(name);
        files::write_new(&path, bytes).map_err(|error| ReadError::Io(path.clone(), error))?;
        self.written.push(path);
        self.written_bytes += bytes.len();
        if self.written_bytes >= files::BYTES_BETWEEN_SYNCS { self.sync() } else { Ok(()) }
    }

    /// Makes durable what was written since the last call.
    fn sync(&mut self) -> Result<(), ReadError> {
        files::sync_below(&self.dir, &self.written)
            .map_err(|error| ReadError::Io(self.dir.clone(), error))?;
        self.written.clear();
        self.written_bytes = 0;
        Ok(())
    }

    fn write_tiles(&mut self, view: &View, size: u64) -> Result<(), ReadError> {
        let full = (0..=LEVEL_MAX).flat_map(|level| {
            let tiles = |size| hashes_at_level(level, size) / TILE_WIDTH;
            (tiles(self.published)..tiles(size))
                .filter_map(move |index| TileId::new(level, index, TILE_WIDTH).ok())
        });
        // What the last checkpoint needs is never written again, not even with the same bytes: a crash could leave it empty.
        let before = partial_tiles(self.published);
        let partial = partial_tiles(size).into_iter().filter(|tile| !before.contains(tile));
        for tile in full.chain(partial).collect::<Vec<_>>() {
            let hashes = view
                .edge_tile(tile)
                .ok_or_else(|| super::error::Damage::new(tile.path(), "its hashes are not in memory"))?;
            self.write(&tile.path(), &tile_bytes(&hashes))?;
        }
        if self.bundle_entries > 0 {
            let bundle = std::mem::take(&mut self.bundle);
            let written = self.write(&entries_path(size / TILE_WIDTH, size % TILE_WIDTH), &bundle);
            self.bundle = bundle;
            written?;
        }
        Ok(())
    }

    /// Removes the partial tiles that a full one now replaces, as the specification allows. What is left behind does no harm.
    fn remove_superseded(&self, size: u64) {
        for level in 0..=LEVEL_MAX {
            let (old, new) = (hashes_at_level(level, self.published), hashes_at_level(level, size));
            if old % TILE_WIDTH == 0 || old / TILE_WIDTH == new / TILE_WIDTH {
                continue;
            }
            let Some(tile) = TileId::new(level, old / TILE_WIDTH, TILE_WIDTH).ok() else { continue };
            let _ = fs::remove_dir_all(self.dir.join(format!("{}.p", tile.path())));
            if level == 0 {
                let bundle = entries_path(old / TILE_WIDTH, TILE_WIDTH);
                let _ = fs::remove_dir_all(self.dir.join(format!("{bundle}.p")));
            }
        }
    }
}

/// Removes a full tile and its partial ones wider than `kept`, none of which is part of the log.
fn remove_wider(full: &Path, kept: u64) -> Result<(), ReadError> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ReadError::Io(full.to_owned(), error)),
        _ => Ok(()),
    };
    gone(fs::remove_file(full))?;
    let mut partial = full.to_owned().into_os_string();
    partial.push(".p");
    let partial = PathBuf::from(partial);
    for width in kept + 1..TILE_WIDTH {
        gone(fs::remove_file(partial.join(width.to_string())))?;
    }
    Ok(())
}
