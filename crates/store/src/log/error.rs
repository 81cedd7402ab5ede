//! What can go wrong with the log on disk, and whose fault it is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why an entry was not accepted or not made durable, or why it cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The queue of entries waiting for the disk is full. Nothing was taken; try again when the disk has caught up.
    #[error("the ledger's queue is full; the disk is slower than the requests, try again shortly")]
    Busy,
    /// The entry is too large for the format.
    #[error("entry of {0} bytes is larger than 65535; log a digest of the content instead")]
    EntryTooLarge(usize),
    /// The disk is full. Every entry not yet acknowledged is refused until [`reopen`](super::Log::reopen).
    #[error("the disk of the ledger is full ({0}); free space on it, then reopen the ledger")]
    Full(Arc<str>),
    /// The disk failed. Every entry not yet acknowledged is refused until [`reopen`](super::Log::reopen).
    #[error("the disk of the ledger failed ({0}); check disk and rights, then reopen the ledger")]
    Io(Arc<str>),
    /// The log was closed.
    #[error("the ledger is closed")]
    Closed,
    /// There is no such entry, or not yet.
    #[error("entry {index} is not in the ledger, which has {size} durable entries")]
    NoSuchEntry {
        /// Entry asked for.
        index: u64,
        /// Durable entries.
        size: u64,
    },
    /// A file of the log does not hold what it should.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A proof that cannot be made.
    #[error(transparent)]
    Proof(#[from] ledger::ProofError),
}

impl LogError {
    /// Sorts an error of the disk: full, or failed.
    pub(super) fn from_io(error: &io::Error, what: &Path) -> Self {
        let text: Arc<str> = format!("`{}`: {error}", what.display()).into();
        if is_full(error) { Self::Full(text) } else { Self::Io(text) }
    }
}

/// Whether an error says that there is no room left: disk, quota, or the process's file size limit.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// A file that does not hold what was committed to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ledger file `{file}` is damaged: {what}")]
pub struct Damage {
    /// Path below the log's directory.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

impl Damage {
    pub(super) fn new(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: file.into(), what: what.into() }
    }
}

/// Why a log was not opened. Nothing in the directory was changed by a refusal.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the ledger in `{0}` is in use by another process; stop that one or choose another directory")]
    InUse(PathBuf),
    /// A committed file was changed, cut short or lost.
    #[error("{damage}; the ledger was left as it is: run `asepsis audit verify` for the full extent, then restore `{dir}` from a copy", dir = dir.display())]
    Damaged {
        /// Directory of the log.
        dir: PathBuf,
        /// The first damaged file found.
        damage: Damage,
    },
    /// The log is older than what the caller has seen of it, or another one.
    #[error("the ledger in `{dir}` was rolled back or replaced: {what}; restore the newer copy, or start with a new directory and keep this one as evidence", dir = dir.display())]
    RolledBack {
        /// Directory of the log.
        dir: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// The key is not the one that signed the log.
    #[error("the key `{key}` did not sign the ledger in `{dir}` ({reason}); give the key it was made with", dir = dir.display())]
    Key {
        /// Directory of the log.
        dir: PathBuf,
        /// Name of the key.
        key: String,
        /// What the check said.
        reason: String,
    },
    /// The disk refused.
    #[error("cannot use ledger file `{path}`: {source}; check that the disk has room and that the user may write there", path = path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub(super) fn damaged(dir: &Path) -> impl FnOnce(Damage) -> Self + '_ {
        move |damage| Self::Damaged { dir: dir.to_owned(), damage }
    }
}
