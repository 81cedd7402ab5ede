//! The ledger on disk: entries become durable in groups, and the directory is a C2SP tlog-tiles log anybody can check.
//!
//! [`Log::append`] gives an entry its index at once; [`Appended::durable`] returns when entry, root and signed checkpoint are on
//! the disk. One thread writes everything that queued up meanwhile with one write and one `fdatasync` to a write-ahead segment
//! (`wal`); a second one turns finished segments into tiles, bundles and the published checkpoint (`publish`).
//!
//! The format, the guarantees and the way back after damage are in `docs/ledger.md`.

mod audit;
mod error;
mod export;
mod files;
mod publish;
mod published;
mod queue;
mod recover;
mod sync;
mod view;
mod wal;
mod writer;

pub use audit::{AuditError, AuditReport, Finding, audit};
pub use error::{Damage, LogError, OpenError};
pub use export::{ExportCheckError, ExportError, check_export, export};
pub use queue::{QUEUE_BYTES_MAX, QUEUE_ENTRIES_MAX, Stats};
pub use recover::OpenReport;
pub use view::Head;
pub use wal::scan_bytes as scan_segment;
pub use writer::{SEGMENT_BYTES, SEGMENT_ENTRIES, SEGMENTS_WAITING_MAX};

use files::MarkFile;
use ledger::{Hash, ProofFile, Signer};
use publish::Publisher;
use queue::Shared;
use recover::Recovered;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;
use view::View;
use writer::Writer;

/// Up to this many published entries [`VerifyOnOpen::Auto`] recomputes all of them: about a second of hashing and reading.
pub const FULL_CHECK_ENTRIES_MAX: u64 = 100_000;
/// Most entries one [`Log::read_range`] returns.
pub const READ_RANGE_ENTRIES_MAX: u64 = 4096;

/// How much of the published log [`Log::open`] recomputes. The write-ahead segments are always checked in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifyOnOpen {
    /// Everything up to [`FULL_CHECK_ENTRIES_MAX`] entries, above that the right edge.
    #[default]
    Auto,
    /// Every entry and tile, however long it takes.
    Full,
    /// Only the tiles and entries at the right edge: bounded time. Damage further left is found by [`audit`] or when read.
    Edge,
}

/// How a log is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How much is recomputed on opening.
    pub verify_on_open: VerifyOnOpen,
    /// Size and root the caller knows to have been durable, from elsewhere: a log that does not contain them is refused.
    /// Without it, a directory replaced whole by an older copy of itself cannot be told from the newest one.
    pub anchor: Option<(u64, [u8; 32])>,
    /// How long entries may be only in write-ahead segments before they appear in tiles and `checkpoint`; `None`: until the
    /// segment is full, [`Log::flush_tiles`] or [`Log::close`]. It has no influence on durability. Default 5 seconds: often enough
    /// for people and monitors, rare enough to cost nothing.
    pub publish_every: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self { verify_on_open: VerifyOnOpen::Auto, anchor: None, publish_every: Some(Duration::from_secs(5)) }
    }
}

/// An open log. One process at a time; share it between tasks and threads in an `Arc`.
///
/// Dropping it commits and publishes what is queued, as [`close`](Log::close) does, but cannot say whether that worked.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    dir: PathBuf,
    signer: Signer,
    options: Options,
    threads: Mutex<Vec<JoinHandle<()>>>,
    report: Mutex<OpenReport>,
    lock: File,
}

/// An entry that has its index but is not durable yet. Dropping it does not take the entry back.
#[derive(Debug, Clone)]
#[must_use = "an entry counts only once `durable` or `wait` has returned its index"]
pub struct Appended {
    index: u64,
    epoch: usize,
    shared: Arc<Shared>,
}

impl Appended {
    /// The index the entry has if it becomes durable. After a failure the same index can go to another entry.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Waits until the entry is on the disk and returns its index.
    ///
    /// # Errors
    /// [`LogError::Full`], [`LogError::Io`], [`LogError::Damaged`], [`LogError::Closed`]: the entry was not acknowledged; after
    /// [`Log::reopen`] it may or may not be in the log.
    pub const fn durable(self) -> Durable {
        Durable { appended: self, waiting: None }
    }

    /// As [`durable`](Self::durable), blocking the thread.
    ///
    /// # Errors
    /// As [`durable`](Self::durable).
    pub fn wait(self) -> Result<u64, LogError> {
        self.shared.wait(self.epoch, self.index).map(|()| self.index)
    }
}

/// Ends when an entry is durable, or is known not to be. Made by [`Appended::durable`].
#[derive(Debug)]
#[must_use = "an entry counts only once this has ended"]
pub struct Durable {
    appended: Appended,
    waiting: Option<Waker>,
}

impl Future for Durable {
    type Output = Result<u64, LogError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Appended { index, epoch, shared } = &this.appended;
        shared.poll_durable((*epoch, *index), &mut this.waiting, cx).map(|outcome| outcome.map(|()| *index))
    }
}

impl Log {
    /// Opens the log in `dir`, or makes one there. `signer` signs its checkpoints; its name is the log's origin.
    ///
    /// # Errors
    /// [`OpenError`]; nothing on disk was changed unless the error is [`OpenError::Io`], after which opening again goes on.
    pub fn open(dir: &Path, signer: Signer, options: Options) -> Result<Self, OpenError> {
        fs::create_dir_all(dir).map_err(OpenError::io(dir))?;
        let lock = files::lock(dir)?;
        let recovered = recover::recover(dir, &signer, &options)?;
        let report = recovered.report.clone();
        let view = View::new(dir, recovered.head.clone(), recovered.edge.clone());
        let log = Self {
            shared: Arc::new(Shared::new(view)),
            dir: dir.to_owned(),
            signer,
            options,
            threads: Mutex::new(Vec::new()),
            report: Mutex::new(report),
            lock,
        };
        log.start(recovered)?;
        Ok(log)
    }

    fn start(&self, recovered: Recovered) -> Result<(), OpenError> {
        let Recovered { tree, head, publisher, .. } = recovered;
        let mark_path = self.dir.join(files::MARK);
        let mut mark = MarkFile::open(&self.dir).map_err(OpenError::io(&mark_path))?;
        mark.write(files::Mark { size: head.size, root: head.root }).map_err(OpenError::io(&mark_path))?;
        let (jobs, received) = mpsc::channel();
        let writer = Writer::new(
            Arc::clone(&self.shared),
            self.signer.clone(),
            tree,
            mark,
            self.options.publish_every,
            jobs,
        );
        let publish = |shared: Arc<Shared>, publisher: Publisher| {
            move || writer::run_publisher(&shared, publisher, &received)
        };
        let io = OpenError::io(&self.dir);
        let spawn = || -> std::io::Result<Vec<JoinHandle<()>>> {
            let publisher = std::thread::Builder::new()
                .name("ledger-publisher".to_owned())
                .spawn(publish(Arc::clone(&self.shared), publisher))?;
            let writer =
                std::thread::Builder::new().name("ledger-writer".to_owned()).spawn(|| writer.run())?;
            Ok(vec![writer, publisher])
        };
        *sync::lock(&self.threads) = spawn().map_err(io)?;
        Ok(())
    }

    /// What opening (or the last [`reopen`](Self::reopen)) found.
    pub fn open_report(&self) -> OpenReport {
        sync::lock(&self.report).clone()
    }

    /// Queues an entry and gives it its index at once, in queue order. Never blocks on the disk.
    ///
    /// # Errors
    /// [`LogError::Busy`] when [`QUEUE_ENTRIES_MAX`] entries or [`QUEUE_BYTES_MAX`] bytes wait already;
    /// [`LogError::EntryTooLarge`]; the reason of the failure when the log has failed; [`LogError::Closed`].
    pub fn append(&self, entry: &[u8]) -> Result<Appended, LogError> {
        let (index, epoch) = self.shared.append(entry)?;
        Ok(Appended { index, epoch, shared: Arc::clone(&self.shared) })
    }

    /// As [`append`](Self::append), waiting for room in the queue instead of [`LogError::Busy`].
    ///
    /// # Errors
    /// As [`append`](Self::append), without [`LogError::Busy`].
    pub async fn append_when_room(&self, entry: &[u8]) -> Result<Appended, LogError> {
        let (index, epoch) = self.shared.append_when_room(entry).await?;
        Ok(Appended { index, epoch, shared: Arc::clone(&self.shared) })
    }

    /// As [`append_when_room`](Self::append_when_room), blocking the thread.
    ///
    /// # Errors
    /// As [`append`](Self::append), without [`LogError::Busy`].
    pub fn append_blocking(&self, entry: &[u8]) -> Result<Appended, LogError> {
        loop {
            match self.append(entry) {
                Err(LogError::Busy) => self.shared.wait_for_room(entry.len()),
                other => return other,
            }
        }
    }

    /// Waits until entry `index`, appended since the last [`reopen`](Self::reopen), and all before it are on the disk.
    ///
    /// # Errors
    /// [`LogError::NoSuchEntry`] when no such entry was appended; otherwise as [`Appended::durable`].
    pub async fn durable_through(&self, index: u64) -> Result<(), LogError> {
        let (epoch, next) = self.shared.next();
        if index >= next {
            return Err(LogError::NoSuchEntry { index, size: next });
        }
        let appended = Appended { index, epoch, shared: Arc::clone(&self.shared) };
        appended.durable().await.map(|_| ())
    }

    /// Newest durable size and root with their signed checkpoint, which may be ahead of the file `checkpoint`.
    pub fn head(&self) -> Head {
        self.shared.view.head()
    }

    /// The signed checkpoint of [`head`](Self::head).
    pub fn checkpoint_note(&self) -> Arc<str> {
        self.head().checkpoint
    }

    /// The public key of the log, in the text form other tools take.
    pub fn verifier_text(&self) -> String {
        self.signer.verifier().to_text()
    }

    /// One durable entry, checked against its leaf hash.
    ///
    /// # Errors
    /// [`LogError::NoSuchEntry`], [`LogError::Damaged`], [`LogError::Io`].
    pub fn read(&self, index: u64) -> Result<Vec<u8>, LogError> {
        let size = self.head().size;
        self.shared
            .view
            .entries_from(index, 1)?
            .into_iter()
            .next()
            .ok_or(LogError::NoSuchEntry { index, size })
    }

    /// Up to `count` durable entries from `first` on, at most [`READ_RANGE_ENTRIES_MAX`]; fewer at the end of the log.
    ///
    /// # Errors
    /// [`LogError::NoSuchEntry`] when `first` is at or beyond the end; [`LogError::Damaged`], [`LogError::Io`].
    pub fn read_range(&self, first: u64, count: u64) -> Result<Vec<Vec<u8>>, LogError> {
        let size = self.head().size;
        if first >= size {
            return Err(LogError::NoSuchEntry { index: first, size });
        }
        let end = first.saturating_add(count.min(READ_RANGE_ENTRIES_MAX)).min(size);
        let mut entries = Vec::new();
        let mut at = first;
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let found = self.shared.view.entries_from(at, left)?;
            at += found.len() as u64;
            entries.extend(found);
        }
        Ok(entries)
    }

    /// Proof that entry `index` is in the first `size` entries.
    ///
    /// # Errors
    /// [`LogError::NoSuchEntry`] when `size` is not durable yet, [`LogError::Proof`].
    pub fn prove_inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, LogError> {
        self.check_size(size)?;
        Ok(ledger::prove_inclusion(&self.shared.view, index, size)?)
    }

    /// Proof that the first `old` entries are a prefix of the first `new` ones.
    ///
    /// # Errors
    /// [`LogError::NoSuchEntry`] when `new` is not durable yet, [`LogError::Proof`].
    pub fn prove_consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, LogError> {
        self.check_size(new)?;
        Ok(ledger::prove_consistency(&self.shared.view, old, new)?)
    }

    /// A proof of entry `index` that travels alone: with the entry and the public key it can be checked anywhere.
    ///
    /// # Errors
    /// [`LogError::NoSuchEntry`], [`LogError::Proof`].
    pub fn proof_file(&self, index: u64) -> Result<ProofFile, LogError> {
        let head = self.head();
        if index >= head.size {
            return Err(LogError::NoSuchEntry { index, size: head.size });
        }
        let hashes = self.prove_inclusion(index, head.size)?;
        Ok(ProofFile { extra: None, index, hashes, checkpoint: head.checkpoint.to_string() })
    }

    fn check_size(&self, size: u64) -> Result<(), LogError> {
        let durable = self.head().size;
        if size > durable {
            return Err(LogError::NoSuchEntry { index: size.saturating_sub(1), size: durable });
        }
        Ok(())
    }

    /// Publishes everything appended so far: when it returns, tiles and `checkpoint` on disk hold it. Blocks on the disk.
    ///
    /// # Errors
    /// The reason when the log has failed or fails now; [`LogError::Closed`].
    pub fn flush_tiles(&self) -> Result<(), LogError> {
        self.shared.publish_now()
    }

    /// Counts since opening, and how many entries wait for the disk now.
    pub fn stats(&self) -> (Stats, usize) {
        (self.shared.stats(), self.shared.queued())
    }

    /// Why the log has stopped taking entries, if it has. Reading goes on.
    pub fn failure(&self) -> Option<LogError> {
        self.shared.ended()
    }

    /// Starts again after a failure, once its cause is gone: reads the directory anew, as opening does, and takes entries again.
    /// Every acknowledged entry is still there or it is refused. A log that has not failed is left alone.
    ///
    /// # Errors
    /// As [`open`](Self::open); the log then stays failed and reopening can be tried again.
    pub fn reopen(&self) -> Result<OpenReport, OpenError> {
        if self.shared.ended().is_none() {
            return Ok(self.open_report());
        }
        self.join();
        let head = self.head();
        let options = Options { anchor: Some((head.size, head.root.into())), ..self.options.clone() };
        let recovered = recover::recover(&self.dir, &self.signer, &options)?;
        let report = recovered.report.clone();
        self.shared.view.reset(recovered.head.clone(), recovered.edge.clone());
        self.shared.restart(recovered.head.size);
        *sync::lock(&self.report) = report.clone();
        self.start(recovered)?;
        Ok(report)
    }

    /// Commits and publishes everything queued and ends the log: the directory is then complete by the specification.
    ///
    /// # Errors
    /// The reason when the log has failed; acknowledged entries are in the directory nevertheless.
    pub fn close(self) -> Result<(), LogError> {
        self.finish()
    }

    fn finish(&self) -> Result<(), LogError> {
        self.shared.close();
        self.join();
        match self.shared.ended() {
            None => {
                self.shared.end(LogError::Closed);
                Ok(())
            }
            Some(error) => Err(error),
        }
    }

    fn join(&self) {
        let threads = std::mem::take(&mut *sync::lock(&self.threads));
        for thread in threads {
            if thread.join().is_err() {
                self.shared.end(LogError::Io("a thread of the ledger ended unexpectedly".into()));
            }
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = self.finish();
        // Said outright, because a process that somebody is just forking off holds a copy of the file for a moment.
        let _ = self.lock.unlock();
    }
}
