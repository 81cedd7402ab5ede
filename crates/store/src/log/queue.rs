//! The queue of entries waiting for the disk, and how far the log has come: what producers, writer and publisher share.

use super::error::LogError;
use super::sync::lock;
use super::view::View;
use ledger::bundle::push_entry;
use ledger::{ENTRY_BYTES_MAX, Hash, leaf_hash};
use std::fs::File;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Entries that may wait for the disk; one more is refused with [`LogError::Busy`].
pub const QUEUE_ENTRIES_MAX: usize = 65_536;
/// Bytes that may wait for the disk.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;

/// After a commit of at least this many entries the next one waits for company: so many arrive within one sync only where many
/// callers are at work at once. A lone caller, or a dozen, never get there and are committed at once.
pub const BUSY_ENTRIES_MIN: usize = 32;
/// How long a commit waits for company at most. A signature and a sync cost some 200 us of processor time whatever they carry; on
/// a fast disk three commits would pass in this time, so under load their cost is shared by three times as many entries.
pub const COMPANY_WAIT_MAX: Duration = Duration::from_millis(1);
/// After a commit of at least this many entries callers are queueing for the processor, not for the disk: their answers take tens
/// of milliseconds whatever we do here, and a longer wait gives them processor time back.
pub const CROWD_ENTRIES_MIN: usize = 64;
/// How much longer a commit waits in a crowd.
pub const CROWD_WAIT_MAX: Duration = Duration::from_millis(2);
/// The wait ends after this long when hardly anything came meanwhile: those who are being waited for may wait for us.
const COMPANY_STEP: Duration = Duration::from_micros(250);
/// The wait ends when this many entries or bytes are together: more makes a commit hardly cheaper per entry.
const COMPANY_ENTRIES: usize = 1_024;
const COMPANY_BYTES: usize = 1 << 20;

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
    /// The writer has been told that it need not wait for company any more.
    told: bool,
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
pub struct Progress {
    pub stats: Stats,
    pub epoch: usize,
    pub durable: u64,
    pub published: u64,
    pub waiting: usize,
    pub ended: Option<LogError>,
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
    /// Who is to be woken when so many entries are durable, or when the epoch ends.
    waiting: Mutex<Vec<(u64, Waker)>>,
    /// A file of zeros for the next segment.
    pub spare: Mutex<Option<File>>,
    pub view: View,
}

impl Shared {
    pub fn new(view: View) -> Self {
        let size = view.head().size;
        let queue = Queue {
            body: Vec::new(),
            leaves: Vec::new(),
            next: size,
            epoch: 0,
            state: State::Open,
            publish: false,
            told: false,
        };
        Self {
            queue: Mutex::new(queue),
            work: Condvar::new(),
            room: Condvar::new(),
            room_async: Notify::new(),
            progress: Mutex::new(Progress { durable: size, published: size, ..Progress::default() }),
            changed: Condvar::new(),
            waiting: Mutex::default(),
            spare: Mutex::new(None),
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
        // Told once, when it becomes true: the writer looks again by itself a moment later anyway.
        let enough = queue.is_enough() && !std::mem::replace(&mut queue.told, true);
        drop(queue);
        if first || enough {
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

    /// The outcome, or `cx` is woken once it is known: not before, so that nobody is woken by the commit ahead of theirs. `known` is the
    /// waker that is waiting already.
    pub fn poll_durable(
        &self,
        (epoch, index): (usize, u64),
        known: &mut Option<Waker>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), LogError>> {
        // Mostly asked after a later entry was waited for: then this one is durable too.
        if let Some(outcome) = self.outcome(epoch, index) {
            return Poll::Ready(outcome);
        }
        if known.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        *known = Some(cx.waker().clone());
        lock(&self.waiting).push((index, cx.waker().clone()));
        // Looked at again, so that a commit in between is not missed.
        self.outcome(epoch, index).map_or(Poll::Pending, Poll::Ready)
    }

    /// Wakes those whose entries are below `durable`, or everybody.
    fn wake(&self, durable: u64, everybody: bool) {
        let due = |waiting: &mut (u64, Waker)| everybody || waiting.0 < durable;
        let woken: Vec<_> = lock(&self.waiting).extract_if(.., due).collect();
        woken.into_iter().for_each(|(_, waker)| waker.wake());
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

    pub fn wait_change(&self, unchanged: impl Fn(&Progress) -> bool) {
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
        if progress.published >= target {
            Ok(())
        } else {
            Err(progress.ended.clone().unwrap_or(LogError::Closed))
        }
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

    pub fn advance(&self, change: impl FnOnce(&mut Progress)) {
        let (durable, ended) = {
            let mut progress = lock(&self.progress);
            change(&mut progress);
            (progress.durable, progress.ended.is_some())
        };
        self.changed.notify_all();
        self.wake(durable, ended);
    }

    fn tell_waiting_appenders(&self) {
        self.room.notify_all();
        self.room_async.notify_waiters();
    }

    /// Waits for work until `deadline`, then, after a commit of `before` entries, for company, and swaps the queue's buffers with
    /// the empty ones of `batch`.
    pub fn take(&self, batch: &mut Batch, deadline: Option<Instant>, before: usize) -> Result<(), LogError> {
        let mut queue = lock(&self.queue);
        // Others came while that commit was under way: where nobody did, the next one is alone again.
        let busy = before >= BUSY_ENTRIES_MIN && !queue.leaves.is_empty();
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
        if busy {
            queue = self.wait_for_company(queue, before >= CROWD_ENTRIES_MIN);
            if let State::Failed(error) = &queue.state {
                return Err(error.clone());
            }
            batch.closing = matches!(queue.state, State::Closing);
        }
        queue.told = false;
        std::mem::swap(&mut queue.body, &mut batch.body);
        std::mem::swap(&mut queue.leaves, &mut batch.leaves);
        batch.publish = std::mem::take(&mut queue.publish);
        drop(queue);
        self.tell_waiting_appenders();
        Ok(())
    }

    /// Waits for [`COMPANY_WAIT_MAX`], in a crowd for [`CROWD_WAIT_MAX`] more, while entries keep coming; not for the last ones of a log that ends, nor for those somebody
    /// wants published. Looks seldom: each look interrupts one of those at work.
    fn wait_for_company<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
        crowd: bool,
    ) -> MutexGuard<'a, Queue> {
        let rest = COMPANY_WAIT_MAX.saturating_sub(COMPANY_STEP * 2);
        let more = if crowd { CROWD_WAIT_MAX } else { Duration::ZERO };
        for part in [COMPANY_STEP, COMPANY_STEP, rest + more] {
            let alone = |queue: &mut Queue| {
                matches!(queue.state, State::Open) && !queue.publish && !queue.is_enough()
            };
            let before = queue.leaves.len();
            let waited = self.work.wait_timeout_while(queue, part, alone);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            if queue.leaves.len().saturating_sub(before) < BUSY_ENTRIES_MIN / 4 {
                break;
            }
        }
        queue
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

    fn is_enough(&self) -> bool {
        self.leaves.len() >= COMPANY_ENTRIES || self.body.len() >= COMPANY_BYTES
    }

    fn is_full(&self, bytes: usize) -> bool {
        self.leaves.len() >= QUEUE_ENTRIES_MAX || self.body.len() + 2 + bytes > QUEUE_BYTES_MAX
    }
}

/// Everything taken from the queue at once.
#[derive(Debug, Default)]
pub struct Batch {
    pub body: Vec<u8>,
    pub leaves: Vec<Hash>,
    pub publish: bool,
    pub closing: bool,
}
