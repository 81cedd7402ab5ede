//! Content-addressed blobs: model files, reference data, fitted guards. A blob's name is its digest, so it never changes, and
//! reading it checks it.
//!
//! Layout: `blobs/ab/cdef…`, the first two hexadecimal digits as folder. A blob is written to a temporary file, synced, renamed, and its
//! folder synced: after `put` returns it survives a power cut, and no reader ever sees half of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use domain::Digest;

/// Largest blob, in bytes: 4 GiB, twice what ONNX allows in one file.
pub const BLOB_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Folder for files that are being written.
const TEMPORARY: &str = "tmp";

/// Temporary files older than this were left by a crash.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Most leftovers cleared at one start.
const LEFTOVERS_MAX: usize = 10_000;

/// Why a blob cannot be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// Not there.
    #[error("blob {0} is missing: admit the system again, or restore a backup")]
    Missing(Digest),
    /// Its content is not what its name says.
    #[error(
        "blob {0} is damaged, its content has another digest: admit the system again, or restore a backup"
    )]
    Damaged(Digest),
    /// Larger than the caller allows.
    #[error("a blob of {bytes} bytes is too large, at most {max} are allowed here")]
    TooLarge {
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        max: u64,
    },
    /// No space. Nothing half-written stays.
    #[error("no space left under `{}`: free disk space and try again", .0.display())]
    Full(PathBuf),
    /// Not writable.
    #[error("`{}` cannot be written: give this account write access to the folder", .0.display())]
    ReadOnly(PathBuf),
    /// Anything else.
    #[error("`{}` failed ({source}): look at the disk's health", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn io_error(path: &Path, source: io::Error) -> BlobError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BlobError::Full(path.to_owned()),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            BlobError::ReadOnly(path.to_owned())
        }
        _ => BlobError::Io { path: path.to_owned(), source },
    }
}

/// A folder of blobs. Its functions wait for the disk: asynchronous callers run them on a blocking thread.
#[derive(Debug)]
pub struct Blobs {
    folder: PathBuf,
    next: AtomicU64,
}

impl Blobs {
    /// Opens the folder, or makes it (its parent must exist), and clears what crashes left behind a day ago or earlier.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(folder: &Path) -> Result<Self, BlobError> {
        make_folder(folder)?;
        let temporary = folder.join(TEMPORARY);
        make_folder(&temporary)?;
        let now = SystemTime::now();
        for entry in fs::read_dir(&temporary).map_err(|e| io_error(&temporary, e))?.take(LEFTOVERS_MAX) {
            let Ok(entry) = entry else { continue };
            let age =
                entry.metadata().and_then(|m| m.modified()).ok().and_then(|t| now.duration_since(t).ok());
            if age.is_some_and(|age| age > LEFTOVER_AGE) {
                // What cannot be removed now is tried again at the next start.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Self { folder: folder.to_owned(), next: AtomicU64::new(0) })
    }

    /// Where a blob is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let text = digest.to_string();
        let hex = text.trim_start_matches("sha256:");
        let (folder, name) = hex.split_at(2);
        self.folder.join(folder).join(name)
    }

    /// Stores bytes under their digest. Storing the same again does nothing, or repairs a damaged copy.
    ///
    /// # Errors
    /// When the bytes are too many, or the disk is full or cannot be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let length = bytes.len() as u64;
        if length > BLOB_BYTES_MAX {
            return Err(BlobError::TooLarge { bytes: length, max: BLOB_BYTES_MAX });
        }
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        if path.exists() && self.get(&digest, length).is_ok() {
            return Ok(digest);
        }
        let folder = path.parent().unwrap_or(&self.folder);
        make_folder(folder)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let temporary =
            self.folder.join(TEMPORARY).join(format!("{}-{}-{number}", digest.short(), std::process::id()));
        let written = write_synced(&temporary, bytes)
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| sync_folder(folder));
        written.map_err(|e| {
            let _ = fs::remove_file(&temporary);
            io_error(&path, e)
        })?;
        Ok(digest)
    }

    /// The bytes of a blob, if there are at most `bytes_max` and they have the right digest.
    ///
    /// # Errors
    /// `Missing`, `TooLarge`, `Damaged`, or what the disk says.
    pub fn get(&self, digest: &Digest, bytes_max: u64) -> Result<Vec<u8>, BlobError> {
        let path = self.path(digest);
        let file = match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(BlobError::Missing(*digest)),
            opened => opened.map_err(|e| io_error(&path, e))?,
        };
        let length = file.metadata().map_err(|e| io_error(&path, e))?.len();
        if length > bytes_max {
            return Err(BlobError::TooLarge { bytes: length, max: bytes_max });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(length).read_to_end(&mut bytes).map_err(|e| io_error(&path, e))?;
        if Digest::of(&bytes) != *digest {
            return Err(BlobError::Damaged(*digest));
        }
        Ok(bytes)
    }

    /// Whether a blob is there; says nothing about its content.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }
}

/// Makes a folder that only its owner can enter, and makes it durable.
fn make_folder(folder: &Path) -> Result<(), BlobError> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Ok(()) => folder.parent().map_or(Ok(()), sync_folder).map_err(|e| io_error(folder, e)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(e) => Err(io_error(folder, e)),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn fresh() -> (TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
        (folder, blobs)
    }

    #[test]
    fn a_blob_comes_back_and_lies_where_its_digest_says() {
        let (folder, blobs) = fresh();
        for bytes in [&b""[..], b"model", &[0; 100_000]] {
            let digest = blobs.put(bytes).unwrap();
            assert_eq!(digest, Digest::of(bytes));
            assert_eq!(blobs.put(bytes).unwrap(), digest, "twice is once");
            assert_eq!(blobs.get(&digest, bytes.len() as u64).unwrap(), bytes);
            assert!(blobs.contains(&digest));
        }
        let empty = "blobs/e3/b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(folder.path().join(empty).is_file());
        assert_eq!(fs::read_dir(folder.path().join("blobs/tmp")).unwrap().count(), 0, "nothing left over");
    }

    #[test]
    fn a_missing_or_larger_blob_is_said_so() {
        let (_folder, blobs) = fresh();
        let digest = blobs.put(b"12345").unwrap();
        assert!(matches!(blobs.get(&digest, 4), Err(BlobError::TooLarge { bytes: 5, max: 4 })));
        assert!(matches!(blobs.get(&Digest::of(b"x"), 4), Err(BlobError::Missing(_))));
    }

    #[test]
    fn every_flipped_byte_and_every_truncation_is_found_and_putting_again_repairs() {
        let (_folder, blobs) = fresh();
        let bytes = b"weights of a model";
        let digest = blobs.put(bytes).unwrap();
        let path = blobs.path(&digest);
        for at in 0..bytes.len() {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1 << (at % 8);
            for damaged in [&flipped[..], &bytes[..at]] {
                fs::write(&path, damaged).unwrap();
                assert!(matches!(blobs.get(&digest, 1_000), Err(BlobError::Damaged(_))), "{at}");
            }
        }
        blobs.put(bytes).unwrap();
        assert_eq!(blobs.get(&digest, 1_000).unwrap(), bytes);
    }

    #[cfg(unix)]
    #[test]
    fn blobs_belong_to_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, blobs) = fresh();
        let digest = blobs.put(b"model").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&blobs.path(&digest)), 0o600);
        assert_eq!(mode(&folder.path().join("blobs")), 0o700);
    }

    #[test]
    fn leftovers_of_yesterday_are_cleared_and_those_of_today_stay() {
        let (folder, blobs) = fresh();
        let temporary = folder.path().join("blobs/tmp");
        for (name, age) in [("old", LEFTOVER_AGE + Duration::from_secs(60)), ("new", Duration::ZERO)] {
            let file = File::create(temporary.join(name)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        drop(blobs);
        Blobs::open(&folder.path().join("blobs")).unwrap();
        assert!(!temporary.join("old").exists());
        assert!(temporary.join("new").exists());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"x").unwrap();
        assert!(Blobs::open(&file).is_err());
        assert!(Blobs::open(&folder.path().join("missing/blobs")).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"x");
    }
}
