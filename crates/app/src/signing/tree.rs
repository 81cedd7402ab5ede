//! The folder or file that is signed: listed without following links, read in pieces on threads.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use provenance::{
    ContentDigest, EntryKind, HashAlgorithm, Listing, Piece, Stamp, TreeEntry, hash_piece, largest_first,
};

use super::{Progress, SigningError};

/// Folders inside folders.
const DEPTH_MAX: usize = 128;

/// What is signed: a folder with all under it, or one file in its folder.
pub(super) struct Root {
    folder: PathBuf,
    only: Option<PathBuf>,
}

impl Root {
    /// The root of a model.
    pub(super) fn of(model: &Path) -> Result<Self, SigningError> {
        let unreadable = |cause| SigningError::Folder { path: model.display().to_string(), cause };
        let meta = fs::metadata(model).map_err(unreadable)?;
        if meta.is_dir() {
            return Ok(Self { folder: model.to_owned(), only: None });
        }
        let folder = model.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        Ok(Self { folder: folder.to_owned(), only: Some(model.to_owned()) })
    }

    /// Where a file lies below the root, when it does.
    pub(super) fn below(&self, file: &Path) -> Option<String> {
        if self.only.is_some() {
            return None;
        }
        let folder = fs::canonicalize(&self.folder).ok()?;
        let parent = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let file = fs::canonicalize(parent).ok()?.join(file.file_name()?);
        file.strip_prefix(folder).ok()?.to_str().map(str::to_owned)
    }

    /// Everything in it but folders. Folders are never entered through a link.
    pub(super) fn listing(&self) -> Result<Listing, SigningError> {
        let unreadable = |path: &Path| {
            let path = path.display().to_string();
            move |cause| SigningError::Folder { path, cause }
        };
        let inside = self.folder.canonicalize().map_err(unreadable(&self.folder))?;
        let mut entries = Vec::new();
        if let Some(only) = &self.only {
            let meta = fs::metadata(only).map_err(unreadable(only))?;
            entries.push(self.entry(&inside, only, &meta));
            return Ok(Listing::new(entries)?);
        }
        let mut folders = vec![(self.folder.clone(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(unreadable(&folder))? {
                let path = entry.map_err(unreadable(&folder))?.path();
                let meta = fs::symlink_metadata(&path).map_err(unreadable(&path))?;
                if meta.is_dir() && depth < DEPTH_MAX {
                    folders.push((path, depth + 1));
                } else {
                    entries.push(self.entry(&inside, &path, &meta));
                }
                if entries.len() > provenance::limits::TREE_ENTRIES_MAX {
                    return Err(provenance::ListingError::TooMany.into());
                }
            }
        }
        Ok(Listing::new(entries)?)
    }

    fn entry(&self, inside: &Path, path: &Path, meta: &fs::Metadata) -> TreeEntry {
        let relative = match &self.only {
            Some(only) => Path::new(only.file_name().unwrap_or(only.as_os_str())),
            None => path.strip_prefix(&self.folder).unwrap_or(path),
        };
        let target = fs::metadata(path).ok().filter(fs::Metadata::is_file);
        let (kind, meta) = match (relative.to_str(), meta.is_symlink(), target) {
            (None, ..) => (EntryKind::Other("its name is no UTF-8".to_owned()), None),
            (_, true, None) => (EntryKind::Other("it is a link to a folder or to nothing".to_owned()), None),
            (_, true, Some(target)) => {
                let within = path.canonicalize().is_ok_and(|p| p.starts_with(inside));
                (if within { EntryKind::LinkInside } else { EntryKind::LinkOutside }, Some(target))
            }
            (_, false, _) if meta.is_file() => (EntryKind::File, Some(meta.clone())),
            _ => (EntryKind::Other("it is a socket, a pipe, a device or too deep".to_owned()), None),
        };
        TreeEntry {
            path: relative.to_string_lossy().into_owned(),
            kind,
            size: meta.as_ref().map_or(0, fs::Metadata::len),
            stamp: meta.as_ref().map(stamp),
        }
    }

    /// Hashes pieces on `threads` threads, the largest first; one result for each, in their order.
    pub(super) fn hash_all(
        &self,
        pieces: &[Piece],
        algorithm: HashAlgorithm,
        threads: usize,
        progress: Progress<'_>,
    ) -> Vec<Result<ContentDigest, String>> {
        let order = largest_first(pieces);
        let all: u64 = pieces.iter().map(Piece::bytes).sum();
        let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
        let slots: Vec<Mutex<Result<ContentDigest, String>>> =
            pieces.iter().map(|_| Mutex::new(Err("it was not read".to_owned()))).collect();
        let work = || {
            let mut buffer = Vec::new();
            while let Some(&n) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (Some(piece), Some(slot)) = (pieces.get(n), slots.get(n)) else { continue };
                let count = |read: usize| {
                    progress(done.fetch_add(read as u64, Ordering::Relaxed) + read as u64, all);
                };
                let result = self.hash_one(piece, algorithm, &mut buffer, &count);
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = result;
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads.clamp(1, pieces.len().max(1)) {
                scope.spawn(work);
            }
            work();
        });
        slots.into_iter().map(|s| s.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
    }

    fn hash_one(
        &self,
        piece: &Piece,
        algorithm: HashAlgorithm,
        buffer: &mut Vec<u8>,
        count: &dyn Fn(usize),
    ) -> Result<ContentDigest, String> {
        let path = self.only.clone().unwrap_or_else(|| self.folder.join(piece.path()));
        let file = File::open(path).map_err(|e| e.to_string())?;
        let read = |at, into: &mut [u8]| {
            let read = file.read_at(into, at)?;
            count(read);
            Ok::<_, std::io::Error>(read)
        };
        hash_piece(piece, algorithm, buffer, read).map_err(|e| e.to_string())
    }
}

fn stamp(meta: &fs::Metadata) -> Stamp {
    let ns = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    Stamp {
        modified_ns: ns(meta.mtime(), meta.mtime_nsec()),
        changed_ns: ns(meta.ctime(), meta.ctime_nsec()),
        inode: meta.ino(),
    }
}
