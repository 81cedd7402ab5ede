//! What can go wrong with the state database, and what to do then.

use std::path::{Path, PathBuf};

/// An error of the state database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder is missing.
    #[error("the folder of `{}` does not exist: create it, or choose another data directory", .0.display())]
    NoDirectory(PathBuf),
    /// The file or its folder cannot be written.
    #[error("`{}` cannot be written: give this account write access to the file and its folder", .0.display())]
    ReadOnly(PathBuf),
    /// Not a state database of this program; it was left as it is.
    #[error("`{}` is not a state database of asepsis, and was left untouched: choose another data directory, or move the file away", .0.display())]
    NotADatabase(PathBuf),
    /// Damaged; it was left as it is.
    #[error("the state database `{}` is damaged and was left untouched ({detail}): move it away and restore the last backup, see docs/state.md", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the check says.
        detail: String,
    },
    /// Somebody else holds it.
    #[error("the state database `{}` is locked by another process: stop the other one, or try again when it is done", .0.display())]
    Locked(PathBuf),
    /// No space. What was acknowledged before is safe, this write did not happen.
    #[error("no space left for the state database `{}`: free disk space and try again; nothing acknowledged was lost", .0.display())]
    Full(PathBuf),
    /// Written by a newer program.
    #[error("the state database `{}` has schema {found}, this program knows up to {known}: use the newer program that wrote it", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Schema step differs from the one this program has.
    #[error("schema step {version} of `{}` is not the one of this program: use the program that wrote it, or restore a backup", .path.display())]
    OtherSchema {
        /// The file.
        path: PathBuf,
        /// Which step.
        version: i64,
    },
    /// A row that cannot be read back.
    #[error(
        "a row of table `{table}` cannot be read ({detail}): the database was changed from outside, restore a backup"
    )]
    Row {
        /// Table.
        table: &'static str,
        /// What is wrong, without the value.
        detail: String,
    },
    /// The caller wants to write what must not be.
    #[error("{0}")]
    Refused(String),
    /// Over a limit.
    #[error("{what} has {found}, at most {max} are stored: shorten it")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How much it is.
        found: usize,
        /// How much it may be.
        max: usize,
    },
    /// Anything else the database says.
    #[error("the state database `{}` failed ({detail}): try again, and look at the disk's health if it stays", .path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What it says.
        detail: String,
    },
}

impl StoreError {
    pub(crate) fn damaged(path: &Path, detail: impl Into<String>) -> Self {
        let detail: String = detail.into();
        let detail = detail.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::Damaged { path: path.to_owned(), detail: detail.chars().take(200).collect() }
    }
}

/// Refuses a text that is too long, counted in bytes.
pub(crate) fn bounded(what: &'static str, text: &[u8], max: usize) -> Result<(), StoreError> {
    if text.len() > max {
        return Err(StoreError::TooLarge { what, found: text.len(), max });
    }
    Ok(())
}
