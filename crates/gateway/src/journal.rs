//! Where entries go. One trait, because two things stand behind it: the durable log on disk, and in tests a log that
//! fails on command.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use store::log::{Log, LogError};

/// Why an entry was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Too much is waiting for the disk; nothing was taken.
    #[error("the ledger's queue is full; try again shortly")]
    Busy,
    /// The log does not take entries.
    #[error("{0}")]
    Failed(String),
}

/// Ends when an entry is durable, or is known not to be.
#[must_use = "an entry counts only once this has ended"]
pub struct Durable(store::log::Durable);

impl Future for Durable {
    type Output = Result<(), JournalError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|done| done.map(|_| ()).map_err(|error| sort(&error)))
    }
}

/// An entry that has its position and is on its way to the disk.
pub struct Pending {
    /// Its position in the log, counted from 0.
    pub index: u64,
    /// Waits for it.
    pub durable: Durable,
}

/// An append-only log with group commit.
pub trait Journal: Send + Sync {
    /// Gives the entry its position at once; durability comes later. Dropping what comes back does not take it back.
    ///
    /// # Errors
    /// When the log takes no entries.
    fn append(&self, entry: &[u8]) -> Result<Pending, JournalError>;
}

impl Journal for Log {
    fn append(&self, entry: &[u8]) -> Result<Pending, JournalError> {
        let appended = Log::append(self, entry).map_err(|e| sort(&e))?;
        let index = appended.index();
        Ok(Pending { index, durable: Durable(appended.durable()) })
    }
}

fn sort(error: &LogError) -> JournalError {
    match error {
        LogError::Busy => JournalError::Busy,
        other => JournalError::Failed(other.to_string()),
    }
}
