//! The directory of a log: names, the lock, the acknowledged mark, and writes that survive a power cut.

use super::error::{Damage, OpenError};
use ledger::Hash;
use ledger::hash::HASH_BYTES;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Signed checkpoint of what is in the tiles.
pub const CHECKPOINT: &str = "checkpoint";
/// Directory of tiles and entry bundles.
pub const TILES: &str = "tile";
/// Directory of the write-ahead segments.
pub const WAL: &str = "wal";
/// Size and root last acknowledged.
pub const MARK: &str = "acknowledged";
/// Zeros on their way to become a segment; belongs to nothing yet.
pub const SPARE: &str = "spare";
/// Zeros written to it between two syncs, so that no commit's sync waits long behind them.
static ZEROS: [u8; 256 << 10] = [0; 256 << 10];
/// Pause after each: what nobody waits for leaves the disk to those who are being waited for.
const ZEROS_PAUSE: Duration = Duration::from_millis(1);
/// A publication syncs what it wrote whenever it is this much: a sync that carries all of a segment holds up every commit behind it.
pub const BYTES_BETWEEN_SYNCS: usize = 2 << 20;
/// Lock file, empty.
const LOCK: &str = "lock";

/// How often the lock is tried before the log counts as in use ...
const LOCK_ATTEMPTS_MAX: usize = 5;
/// ... and the pause between.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

const MARK_MAGIC: &[u8; 8] = b"asepack1";
/// Bytes of the mark: magic, size, root, first 16 bytes of the SHA-256 over them.
pub const MARK_BYTES: usize = 64;

/// Largest file that is read whole: a full bundle of the largest entries.
pub const FILE_BYTES_MAX: u64 = ledger::bundle::BUNDLE_BYTES_MAX as u64;

/// Takes the exclusive lock of the directory; it is released when the file is dropped or the process ends in any way.
pub fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(OpenError::io(&path))?;
    for attempt in 1..=LOCK_ATTEMPTS_MAX {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // An audit looks at the lock for a moment; a running service keeps it.
            Err(TryLockError::WouldBlock) if attempt < LOCK_ATTEMPTS_MAX => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(source)) => return Err(OpenError::Io { path, source }),
        }
    }
    Err(OpenError::InUse(dir.to_owned()))
}

/// Whether some process has the log open. An audit then leaves the write-ahead segments alone.
pub fn is_locked(dir: &Path) -> bool {
    let Ok(file) = File::open(dir.join(LOCK)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Reads a file of bounded size; `Ok(None)` when there is none.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes a file that nothing points to yet, without syncing it.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let made = File::create(path);
    let mut file = match made {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            File::create(path)?
        }
        other => other?,
    };
    file.write_all(bytes)
}

/// Replaces a file so that after a power cut either the old or the new content is there, whole.
pub fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.tmp"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    sync_dir(dir)
}

/// The bytes of a bundle of the first `width` of these entries, each of which came out of a bundle and so fits one.
pub fn bundle_bytes(entries: &[Vec<u8>], width: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries.iter().take(usize::try_from(width).unwrap_or(usize::MAX)) {
        let _ = ledger::bundle::push_entry(&mut bytes, entry);
    }
    bytes
}

/// Makes the names in a directory durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// A file of so many zeros (rounded up), written and synced: a segment written over it needs no room, and its syncs carry data only.
pub fn make_spare(dir: &Path, bytes: u64) -> io::Result<File> {
    let mut file = File::create(dir.join(SPARE))?;
    let mut written = 0;
    while written < bytes {
        file.write_all(&ZEROS)?;
        written += ZEROS.len() as u64;
        file.sync_data()?;
        std::thread::sleep(ZEROS_PAUSE);
    }
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Removes what [`make_spare`] made, if it is there. Left behind it does no harm.
pub fn remove_spare(dir: &Path) {
    let _ = fs::remove_file(dir.join(SPARE));
}

/// Makes everything written below `dir` durable: one call for the whole file system where there is one, since a publication
/// writes hundreds of small files and syncing each costs a disk flush a file.
#[cfg(target_os = "linux")]
pub fn sync_below(dir: &Path, _written: &[PathBuf]) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(dir)?)?)
}

/// Makes the written files and their directories durable, one by one.
#[cfg(not(target_os = "linux"))]
pub fn sync_below(dir: &Path, written: &[PathBuf]) -> io::Result<()> {
    for path in written {
        File::open(path)?.sync_all()?;
        for parent in path.ancestors().skip(1).take_while(|parent| parent.starts_with(dir)) {
            sync_dir(parent)?;
        }
    }
    Ok(())
}

/// The last size and root for which an acknowledgement was given.
///
/// It is written after the sync that made them durable and before anybody is told, but not synced itself. So it never claims too
/// much; after kill -9 it is exact, and after a power cut it may lag. A log shorter than its mark has lost acknowledged entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Entries acknowledged.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

impl Mark {
    /// The 64 bytes of the file.
    pub fn to_bytes(self) -> [u8; MARK_BYTES] {
        let mut bytes = [0u8; MARK_BYTES];
        let parts = MARK_MAGIC
            .iter()
            .chain(&self.size.to_be_bytes())
            .chain(self.root.as_bytes())
            .copied()
            .collect::<Vec<_>>();
        let digest = Sha256::digest(&parts);
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().chain(digest)) {
            *to = from;
        }
        bytes
    }

    /// Reads the 64 bytes back; `None` when any bit is wrong.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let size = u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?);
        let mark = Self { size, root: Hash::from_slice(bytes.get(16..16 + HASH_BYTES)?)? };
        (mark.to_bytes() == bytes).then_some(mark)
    }

    /// Reads the mark of a log.
    pub fn load(dir: &Path) -> io::Result<Result<Option<Self>, Damage>> {
        let Some(bytes) = read(&dir.join(MARK), MARK_BYTES as u64)? else { return Ok(Ok(None)) };
        Ok(Self::parse(&bytes).map(Some).ok_or_else(|| Damage::new(MARK, "its checksum does not fit")))
    }
}

/// The open mark file, rewritten in place: 64 bytes within one sector.
#[derive(Debug)]
pub struct MarkFile(File);

impl MarkFile {
    /// Opens the mark of an existing log.
    pub fn open(dir: &Path) -> io::Result<Self> {
        OpenOptions::new().write(true).open(dir.join(MARK)).map(Self)
    }

    /// Notes what is about to be acknowledged.
    pub fn write(&mut self, mark: Mark) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(&mark.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_with_any_bit_changed_is_refused() {
        let mark = Mark { size: 77, root: ledger::leaf_hash(b"x") };
        let bytes = mark.to_bytes();
        assert_eq!(Mark::parse(&bytes), Some(mark));
        for bit in 0..MARK_BYTES * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::parse(&changed), None, "bit {bit}");
        }
        assert_eq!(Mark::parse(&bytes[..63]), None);
        assert_eq!(Mark::parse(&[bytes.as_slice(), &[0]].concat()), None);
    }

    #[test]
    fn a_second_lock_is_refused_with_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        assert!(is_locked(dir.path()));
        assert!(matches!(lock(dir.path()), Err(OpenError::InUse(_))));
        drop(held);
        assert!(!is_locked(dir.path()));
        lock(dir.path()).unwrap();
    }
}
