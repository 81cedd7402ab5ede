//! Files as sources: small ones are read whole once, large ones in stretches where the reader asks.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use artifact::{ReadError, Source};
use domain::{Digest, Hasher};

use super::ScanError;

/// Files of one folder, all levels together.
pub const FOLDER_FILES_MAX: usize = 1_000_000;
/// Folders inside folders.
const FOLDER_DEPTH_MAX: usize = 64;
/// Bytes read at once for a digest.
const STRETCH: usize = 256 * 1024;

/// A file that is open, or will be when it is read.
pub struct FileSource {
    path: PathBuf,
    length: u64,
    held: Held,
}

enum Held {
    /// All bytes.
    Memory(Vec<u8>),
    /// Larger than what is held in memory.
    Open(File),
    /// Opened for each reading: for folders of many files of which few are read again.
    Later,
}

impl FileSource {
    /// Opens a file; up to `memory_max` bytes it is read at once.
    ///
    /// # Errors
    /// What the system said.
    pub fn open(path: &Path, memory_max: u64) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let held = if length <= memory_max {
            let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
            file.by_ref().take(memory_max.saturating_add(1)).read_to_end(&mut bytes)?;
            Held::Memory(bytes)
        } else {
            Held::Open(file)
        };
        let length = match &held {
            Held::Memory(bytes) => bytes.len() as u64,
            _ => length,
        };
        Ok(Self { path: path.to_owned(), length, held })
    }

    /// A file of known length that is opened only when something reads it.
    pub fn later(path: &Path, length: u64) -> Self {
        Self { path: path.to_owned(), length, held: Held::Later }
    }

    /// The digest of all bytes.
    ///
    /// # Errors
    /// What the system said.
    pub fn digest(&self) -> std::io::Result<Digest> {
        match &self.held {
            Held::Memory(bytes) => Ok(Digest::of(bytes)),
            Held::Open(file) => digest_file(file, self.length),
            Held::Later => digest_file(&File::open(&self.path)?, self.length),
        }
    }
}

/// The digest of a file of any size, in little memory.
///
/// # Errors
/// What the system said.
pub fn digest_of(path: &Path) -> std::io::Result<Digest> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    digest_file(&file, length)
}

fn digest_file(file: &File, length: u64) -> std::io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; STRETCH];
    let mut at = 0;
    while at < length {
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            return Err(std::io::Error::other("the file became shorter while it was read"));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        at += read as u64;
    }
    Ok(hasher.finish())
}

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        let failed = |e: std::io::Error| ReadError::Io(e.to_string());
        match &self.held {
            Held::Memory(bytes) => bytes.read_at(at, into),
            Held::Open(file) => file.read_at(into, at).map_err(failed),
            Held::Later => File::open(&self.path).and_then(|f| f.read_at(into, at)).map_err(failed),
        }
    }

    fn in_memory(&self) -> Option<&[u8]> {
        match &self.held {
            Held::Memory(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// What is at a path.
pub(crate) struct Found {
    /// Whether it is a folder.
    pub folder: bool,
    /// Its files: path below the folder (none for a file itself), path to open.
    pub files: Vec<(Option<String>, PathBuf)>,
    /// What in it was left out, and why.
    pub left_out: Vec<String>,
}

/// The last component of a path, for display.
pub(super) fn name_of(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

/// Lists a path: a file, or the files of a folder in the order of their names. A link inside a folder is followed only
/// to a file of the same folder.
pub(crate) fn list(path: &Path) -> Result<Found, ScanError> {
    let shown = || path.display().to_string();
    let unreadable = |cause| ScanError::Unreadable { path: shown(), cause };
    let kind = std::fs::metadata(path).map_err(unreadable)?;
    if kind.is_file() {
        // Opening tells at once, and by name, what cannot be read.
        File::open(path).map_err(unreadable)?;
        return Ok(Found { folder: false, files: vec![(None, path.to_owned())], left_out: Vec::new() });
    }
    if !kind.is_dir() {
        return Err(ScanError::Special { path: shown() });
    }
    let root = std::fs::canonicalize(path).map_err(unreadable)?;
    let mut files = Vec::new();
    let mut left_out = Vec::new();
    let mut waiting = vec![(path.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        let entries = std::fs::read_dir(&folder)
            .map_err(|cause| ScanError::Unreadable { path: folder.display().to_string(), cause })?;
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            let kind = entry.file_type().map_err(unreadable)?;
            let here = entry.path();
            let below = here.strip_prefix(path).unwrap_or(&here).to_string_lossy().into_owned();
            if kind.is_dir() && depth < FOLDER_DEPTH_MAX {
                waiting.push((here, depth + 1));
            } else if kind.is_dir() {
                left_out
                    .push(format!("`{below}` is deeper than {FOLDER_DEPTH_MAX} folders; scan it by itself"));
            } else if kind.is_file() || (kind.is_symlink() && stays(&root, &here)) {
                files.push((Some(below), here));
            } else if kind.is_symlink() {
                left_out.push(format!(
                    "`{below}` is a link out of the folder and was not followed; scan its target too"
                ));
            } else {
                left_out.push(format!("`{below}` is a pipe, socket or device"));
            }
            if files.len() > FOLDER_FILES_MAX {
                return Err(ScanError::TooMany { path: shown() });
            }
        }
    }
    files.sort();
    left_out.sort();
    Ok(Found { folder: true, files, left_out })
}

/// Whether a link leads to a file inside the folder `root` (which is without links itself).
fn stays(root: &Path, link: &Path) -> bool {
    std::fs::canonicalize(link).is_ok_and(|target| target.starts_with(root) && target.is_file())
}
