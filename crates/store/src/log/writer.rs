//! The writer thread: takes everything queued, one write and one sync, then acknowledges all of it.

use super::error::{Damage, LogError};
use super::files::{self, Mark, MarkFile};
use super::publish::Publisher;
use super::sync::lock;
use super::view::{FrameRef, Head, View};
use super::wal::{self, FRAME_BODY_BYTES, FRAME_HEADER_BYTES, ReadError, Segment};
use ledger::bundle::push_entry;
use ledger::{Checkpoint, ENTRY_BYTES_MAX, Hash, Signer, Tree, leaf_hash};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Entries that may wait for the disk; one more is refused with [`LogError::Busy`].
pub const QUEUE_ENTRIES_MAX: usize = 65_536;
/// Bytes that may wait for the disk.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;
/// A segment is published once it has this many bytes ...
pub const SEGMENT_BYTES: u64 = 32 << 20;
/// ... or this many entries: bounds what is held in memory for it.
pub const SEGMENT_ENTRIES: u64 = 65_536;
/// Segments that may wait for publication before commits wait for it.
pub const SEGMENTS_WAITING_MAX: usize = 4;

/// Where the queue is in its life.
#[derive(Debug)]
enum State {
    Open,
    Closing,
    Failed(LogError),
}

#[derive(Debug)]
struct Queue {
    body: Vec<u8>,
    leaves: Vec<Hash>,
    /// Index the next entry gets.
    next: u64,
    /// Counts reopenings, so that an entry lost in a failure is never taken for a later one of the same index.
    epoch: usize,
    state: State,
    publish: bool,
}

/// Counts since the log was opened, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Commits: one write and one sync each.
    pub commits: u64,
    /// Entries made durable.
    pub entries: u64,
    /// Bytes written to segments.
    pub wal_bytes: u64,
    /// Time spent in write and sync together.
    pub sync_time: Duration,
    /// Publications of tiles and checkpoint.
    pub publications: u64,
}

#[derive(Debug, Default)]
struct Progress {
    stats: Stats,
    epoch: usize,
    durable: u64,
    published: u64,
    waiting: usize,
    ended: Option<LogError>,
    /// For each past epoch: how far it was durable, and how it ended.
    past: Vec<(u64, LogError)>,
}

/// What producers, writer, publisher and readers share.
#[derive(Debug)]
pub struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    room: Condvar,
    room_async: Notify,
    progress: Mutex<Progress>,
    changed: Condvar,
    tick: watch::Sender<()>,
    pub view: View,
}

impl Shared {
    pub fn new(view: View) -> Self {
        let size = view.head().size;
        let queue =
            Queue { body: Vec::new(), leaves: Vec::new(), next: size, epoch: 0, state: State::Open, publish: false };
        Self {
            queue: Mutex::new(queue),
            work: Condvar::new(),
            room: Condvar::new(),
            room_async: Notify::new(),
            progress: Mutex::new(Progress { durable: size, published: size, ..Progress::default() }),
            changed: Condvar::new(),
            tick: watch::Sender::new(()),
            view,
        }
    }

    /// Starts the next epoch after a failure, from a recovered head of `size` entries.
    pub fn restart(&self, size: u64) {
        let mut queue = lock(&self.queue);
        let mut progress = lock(&self.progress);
        let ended = progress.ended.take().unwrap_or(LogError::Closed);
        let durable = progress.durable;
        progress.past.push((durable, ended));
        progress.epoch += 1;
        (progress.durable, progress.published, progress.waiting) = (size, size, 0);
        queue.body.clear();
        queue.leaves.clear();
        (queue.next, queue.epoch, queue.state, queue.publish) = (size, progress.epoch, State::Open, false);
    }

    /// Queues one entry: its index and epoch.
    pub fn append(&self, entry: &[u8]) -> Result<(u64, usize), LogError> {
        if entry.len() > ENTRY_BYTES_MAX {
            return Err(LogError::EntryTooLarge(entry.len()));
        }
        // Outside the lock: hashing is the producers' work, spread over their threads.
        let leaf = leaf_hash(entry);
        let mut queue = lock(&self.queue);
        queue.check()?;
        if queue.is_full(entry.len()) {
            return Err(LogError::Busy);
        }
        push_entry(&mut queue.body, entry).map_err(|_| LogError::EntryTooLarge(entry.len()))?;
        queue.leaves.push(leaf);
        let index = queue.next;
        queue.next += 1;
        let epoch = queue.epoch;
        let first = queue.leaves.len() == 1;
        drop(queue);
        if first {
            self.work.notify_one();
        }
        Ok((index, epoch))
    }

    /// Blocks until an entry of that many bytes fits, or the log has ended.
    pub fn wait_for_room(&self, bytes: usize) {
        let queue = lock(&self.queue);
        let waited = self.room.wait_while(queue, |queue| queue.check().is_ok() && queue.is_full(bytes));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// As [`append`](Self::append), waiting for room.
    pub async fn append_when_room(&self, entry: &[u8]) -> Result<(u64, usize), LogError> {
        loop {
            let room = self.room_async.notified();
            tokio::pin!(room);
            // Registered before looking, so that room made in between is not missed.
            room.as_mut().enable();
            match self.append(entry) {
                Err(LogError::Busy) => room.await,
                other => return other,
            }
        }
    }

    /// Whether entry `index` of `epoch` is durable, lost, or (`None`) still under way.
    pub fn outcome(&self, epoch: usize, index: u64) -> Option<Result<(), LogError>> {
        let progress = lock(&self.progress);
        let (durable, ended) = match progress.past.get(epoch) {
            Some((durable, ended)) => (*durable, Some(ended)),
            None => (progress.durable, progress.ended.as_ref()),
        };
        if index < durable { Some(Ok(())) } else { ended.map(|error| Err(error.clone())) }
    }

    /// Waits for the outcome without blocking the thread.
    pub async fn durable(&self, epoch: usize, index: u64) -> Result<(), LogError> {
        let mut tick = self.tick.subscribe();
        loop {
            if let Some(outcome) = self.outcome(epoch, index) {
                return outcome;
            }
            if tick.changed().await.is_err() {
                return Err(LogError::Closed);
            }
        }
    }

    /// Blocks for the outcome.
    pub fn wait(&self, epoch: usize, index: u64) -> Result<(), LogError> {
        loop {
            if let Some(outcome) = self.outcome(epoch, index) {
                return outcome;
            }
            self.wait_change(|progress| {
                progress.epoch == epoch && progress.ended.is_none() && progress.durable <= index
            });
        }
    }

    fn wait_change(&self, unchanged: impl Fn(&Progress) -> bool) {
        let progress = lock(&self.progress);
        let waited = self.changed.wait_while(progress, |progress| unchanged(progress));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// The present epoch, and the index the next entry would get.
    pub fn next(&self) -> (usize, u64) {
        let queue = lock(&self.queue);
        (queue.epoch, queue.next)
    }

    /// Asks for publication and blocks until everything queued before is published.
    pub fn publish_now(&self) -> Result<(), LogError> {
        let target = {
            let mut queue = lock(&self.queue);
            queue.check()?;
            queue.publish = true;
            queue.next
        };
        self.work.notify_one();
        self.wait_change(|progress| progress.published < target && progress.ended.is_none());
        let progress = lock(&self.progress);
        if progress.published >= target { Ok(()) } else { Err(progress.ended.clone().unwrap_or(LogError::Closed)) }
    }

    /// No more entries; what is queued is still committed.
    pub fn close(&self) {
        let mut queue = lock(&self.queue);
        if matches!(queue.state, State::Open) {
            queue.state = State::Closing;
        }
        drop(queue);
        self.work.notify_one();
        self.tell_waiting_appenders();
    }

    /// Ends the epoch: nothing more becomes durable in it. The first reason stays.
    pub fn end(&self, error: LogError) {
        let mut queue = lock(&self.queue);
        if !matches!(queue.state, State::Failed(_)) {
            queue.state = State::Failed(error.clone());
        }
        // Freed, not only cleared: this may be tens of megabytes, and it may be long until somebody reopens.
        (queue.body, queue.leaves) = (Vec::new(), Vec::new());
        drop(queue);
        self.advance(|progress| {
            progress.ended.get_or_insert(error);
        });
        self.work.notify_one();
        self.tell_waiting_appenders();
    }

    /// Counts so far.
    pub fn stats(&self) -> Stats {
        lock(&self.progress).stats
    }

    /// Entries waiting for the disk.
    pub fn queued(&self) -> usize {
        lock(&self.queue).leaves.len()
    }

    /// Why the epoch ended, if it did.
    pub fn ended(&self) -> Option<LogError> {
        lock(&self.progress).ended.clone()
    }

    fn advance(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut lock(&self.progress));
        self.changed.notify_all();
        self.tick.send_replace(());
    }

    fn tell_waiting_appenders(&self) {
        self.room.notify_all();
        self.room_async.notify_waiters();
    }

    /// Waits for work until `deadline` and swaps the queue's buffers with the empty ones of `batch`.
    fn take(&self, batch: &mut Batch, deadline: Option<Instant>) -> Result<(), LogError> {
        let mut queue = lock(&self.queue);
        loop {
            if let State::Failed(error) = &queue.state {
                return Err(error.clone());
            }
            batch.closing = matches!(queue.state, State::Closing);
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if !queue.leaves.is_empty() || queue.publish || batch.closing || left == Some(Duration::ZERO) {
                break;
            }
            queue = match left {
                Some(left) => self.work.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.work.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
        std::mem::swap(&mut queue.body, &mut batch.body);
        std::mem::swap(&mut queue.leaves, &mut batch.leaves);
        batch.publish = std::mem::take(&mut queue.publish);
        drop(queue);
        self.tell_waiting_appenders();
        Ok(())
    }
}

impl Queue {
    fn check(&self) -> Result<(), LogError> {
        match &self.state {
            State::Open => Ok(()),
            State::Closing => Err(LogError::Closed),
            State::Failed(error) => Err(error.clone()),
        }
    }

    fn is_full(&self, bytes: usize) -> bool {
        self.leaves.len() >= QUEUE_ENTRIES_MAX || self.body.len() + 2 + bytes > QUEUE_BYTES_MAX
    }
}

/// Everything taken from the queue at once.
#[derive(Debug, Default)]
struct Batch {
    body: Vec<u8>,
    leaves: Vec<Hash>,
    publish: bool,
    closing: bool,
}

/// A closed segment on its way to publication.
#[derive(Debug)]
pub struct Job {
    segment: Segment,
    head: Head,
}

#[derive(Debug)]
struct OpenSegment {
    first: u64,
    file: File,
    bytes: u64,
    /// When it must be published at the latest.
    due: Option<Instant>,
}

/// The state of the writer thread.
#[derive(Debug)]
pub struct Writer {
    pub shared: Arc<Shared>,
    pub signer: Signer,
    pub tree: Tree,
    pub mark: MarkFile,
    pub publish_every: Option<Duration>,
    pub jobs: Sender<Job>,
    segment: Option<OpenSegment>,
    out: Vec<u8>,
}

impl Writer {
    pub fn new(
        shared: Arc<Shared>,
        signer: Signer,
        tree: Tree,
        mark: MarkFile,
        publish_every: Option<Duration>,
        jobs: Sender<Job>,
    ) -> Self {
        Self { shared, signer, tree, mark, publish_every, jobs, segment: None, out: Vec::new() }
    }

    /// Runs until the log is closed or fails.
    pub fn run(mut self) {
        if let Err(error) = self.serve() {
            // Cut off what was not acknowledged, as far as the disk still lets us: keeps the next open simple.
            if let Some(segment) = &self.segment {
                let _ = segment.file.set_len(segment.bytes);
            }
            self.shared.end(error);
        }
    }

    fn serve(&mut self) -> Result<(), LogError> {
        let mut batch = Batch::default();
        loop {
            self.shared.take(&mut batch, self.segment.as_ref().and_then(|segment| segment.due))?;
            if !batch.leaves.is_empty() {
                self.commit(&batch)?;
                batch.body.clear();
                batch.leaves.clear();
            }
            let due = self.segment.as_ref().is_some_and(|segment| {
                segment.bytes >= SEGMENT_BYTES
                    || self.tree.size() - segment.first >= SEGMENT_ENTRIES
                    || segment.due.is_some_and(|at| at <= Instant::now())
            });
            if due || batch.publish || batch.closing {
                self.rotate()?;
            }
            if batch.closing {
                return Ok(());
            }
        }
    }

    /// One write, one sync, the mark, and then the acknowledgement.
    fn commit(&mut self, batch: &Batch) -> Result<(), LogError> {
        let mut tree = self.tree.clone();
        let dir = self.shared.view.dir().to_owned();
        let first = self.segment.as_ref().map_or(tree.size(), |segment| segment.first);
        let written = self.segment.as_ref().map_or(0, |segment| segment.bytes);
        self.out.clear();
        if self.segment.is_none() {
            self.out.extend_from_slice(&wal::segment_header(first, &tree.root()));
        }
        let (head, frames) = self.encode(batch, &mut tree, first, written)?;
        let path = dir.join(wal::segment_name(first));
        let fail = |error: &std::io::Error| LogError::from_io(error, &path);
        let fresh = self.segment.is_none();
        if fresh {
            let file = OpenOptions::new().append(true).create_new(true).open(&path).map_err(|e| fail(&e))?;
            let due = self.publish_every.map(|every| Instant::now() + every);
            self.segment = Some(OpenSegment { first, file, bytes: 0, due });
        }
        let Some(segment) = &mut self.segment else { return Err(LogError::Closed) };
        let started = Instant::now();
        segment.file.write_all(&self.out).map_err(|e| fail(&e))?;
        segment.file.sync_data().map_err(|e| fail(&e))?;
        if fresh {
            files::sync_dir(&dir.join(files::WAL)).map_err(|e| fail(&e))?;
        }
        let took = started.elapsed();
        let bytes = self.out.len() as u64;
        segment.bytes += bytes;
        self.mark
            .write(Mark { size: head.size, root: head.root })
            .map_err(|error| LogError::from_io(&error, &dir.join(files::MARK)))?;
        self.tree = tree;
        let size = head.size;
        self.shared.view.commit(head, &batch.leaves, &frames);
        self.shared.advance(|progress| {
            progress.durable = size;
            progress.stats.commits += 1;
            progress.stats.entries += batch.leaves.len() as u64;
            progress.stats.wal_bytes += bytes;
            progress.stats.sync_time += took;
        });
        Ok(())
    }

    /// Frames of about [`FRAME_BODY_BYTES`] into `out`, each with the signed checkpoint after it.
    fn encode(
        &mut self,
        batch: &Batch,
        tree: &mut Tree,
        segment: u64,
        written: u64,
    ) -> Result<(Head, Vec<FrameRef>), LogError> {
        let mut frames = Vec::new();
        let (mut body, mut leaves) = (batch.body.as_slice(), batch.leaves.as_slice());
        let mut head = self.shared.view.head();
        while !leaves.is_empty() {
            let (bytes, count) = frame_extent(body);
            let (now, later) = body.split_at_checked(bytes).unwrap_or((body, &[]));
            let (hashes, rest) = leaves.split_at_checked(count).unwrap_or((leaves, &[]));
            let first = tree.size();
            hashes.iter().for_each(|leaf| tree.push(*leaf));
            let root = tree.root();
            let note = Checkpoint::new(self.signer.verifier().name(), tree.size(), root)
                .sign(&self.signer)
                .map_err(|error| LogError::Io(error.to_string().into()))?;
            let body_at = written + (self.out.len() + FRAME_HEADER_BYTES) as u64;
            wal::push_frame(&mut self.out, first, hashes.len(), now, &note)
                .ok_or_else(|| Damage::new(wal::segment_name(segment), "a batch is larger than its limit"))?;
            frames.push(FrameRef {
                first,
                segment,
                body_at,
                body_bytes: u32::try_from(now.len()).unwrap_or(u32::MAX),
            });
            head = Head { size: tree.size(), root, checkpoint: note.into() };
            (body, leaves) = (later, rest);
        }
        Ok((head, frames))
    }

    /// Closes the open segment and hands it to the publisher, waiting while too many are before it.
    fn rotate(&mut self) -> Result<(), LogError> {
        let Some(segment) = self.segment.take() else { return Ok(()) };
        self.shared.wait_change(|progress| progress.waiting >= SEGMENTS_WAITING_MAX && progress.ended.is_none());
        if let Some(error) = self.shared.ended() {
            return Err(error);
        }
        self.shared.advance(|progress| progress.waiting += 1);
        let job = Job { segment: Segment { first: segment.first, newest: false }, head: self.shared.view.head() };
        self.jobs.send(job).map_err(|_| LogError::Closed)
    }
}

/// How many bytes and entries of `body` go into the next frame.
fn frame_extent(body: &[u8]) -> (usize, usize) {
    let (mut at, mut count) = (0usize, 0usize);
    while at < FRAME_BODY_BYTES {
        let Some(length) = body.get(at..).and_then(|rest| rest.first_chunk::<2>()) else { break };
        at += 2 + usize::from(u16::from_be_bytes(*length));
        count += 1;
    }
    (at, count)
}

/// Runs the publisher thread until the writer is gone or publishing fails.
pub fn run_publisher(shared: &Shared, mut publisher: Publisher, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        match publisher.publish(&shared.view, &[job.segment], &job.head) {
            Ok(()) => shared.advance(|progress| {
                progress.published = job.head.size;
                progress.stats.publications += 1;
                progress.waiting = progress.waiting.saturating_sub(1);
            }),
            Err(error) => return shared.end(log_error(error)),
        }
    }
}

fn log_error(error: ReadError) -> LogError {
    match error {
        ReadError::Damaged(damage) => LogError::Damaged(damage),
        ReadError::Io(path, error) => LogError::from_io(&error, &path),
    }
}

