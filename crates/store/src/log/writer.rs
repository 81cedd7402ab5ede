//! The writer thread: takes everything queued, one write and one sync, then acknowledges all of it.

use super::error::{Damage, LogError};
use super::files::{self, Mark, MarkFile};
use super::publish::Publisher;
use super::queue::{Batch, Shared};
use super::sync::lock;
use super::view::{FrameRef, Head};
use super::wal::{self, FRAME_BODY_BYTES, FRAME_HEADER_BYTES, ReadError, Segment};
use ledger::{Checkpoint, Signer, Tree};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// A segment is published once it has this many bytes ...
pub const SEGMENT_BYTES: u64 = 32 << 20;
/// ... or this many entries: bounds what is held in memory for it.
pub const SEGMENT_ENTRIES: u64 = 65_536;
/// A segment is written over zeros put there ahead if the one before had at least this many bytes. Below that, growing costs little
/// because it happens seldom.
const SPARE_BYTES_MIN: u64 = 16 << 10;
/// The most zeros put there ahead: a full segment and its last batch.
const SPARE_BYTES_MAX: u64 = SEGMENT_BYTES + (2 << 20);
/// How much the publisher gives way: at 10 it gets a tenth of a core that everybody wants, enough to keep up with a full disk.
#[cfg(target_os = "linux")]
const PUBLISHER_NICE: i32 = 10;
/// Segments that may wait for publication before commits wait for it.
pub const SEGMENTS_WAITING_MAX: usize = 4;

/// A closed segment on its way to publication.
#[derive(Debug)]
pub struct Job {
    segment: Segment,
    head: Head,
    bytes: u64,
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
        let mut before = 0;
        loop {
            self.shared.take(&mut batch, self.segment.as_ref().and_then(|segment| segment.due), before)?;
            before = batch.leaves.len();
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
        let (head, frames, ends) = self.encode(batch, &mut tree, first, written)?;
        let path = dir.join(wal::segment_name(first));
        let fail = |error: &std::io::Error| LogError::from_io(error, &path);
        let fresh = self.segment.is_none();
        if fresh {
            let file = self.new_segment(&dir, &path).map_err(|e| fail(&e))?;
            let due = self.publish_every.map(|every| Instant::now() + every);
            self.segment = Some(OpenSegment { first, file, bytes: 0, due });
        }
        let Some(segment) = &mut self.segment else { return Err(LogError::Closed) };
        let started = Instant::now();
        // Almost always one. A frame is written when the one before it is on the disk: what is torn is then always the last one.
        let mut from = 0;
        for end in ends {
            let frame = self.out.get(from..end).unwrap_or_default();
            segment.file.write_all(frame).map_err(|e| fail(&e))?;
            segment.file.sync_data().map_err(|e| fail(&e))?;
            from = end;
        }
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

    /// A new segment: zeros that are ready, or an empty file.
    fn new_segment(&self, dir: &Path, path: &Path) -> io::Result<File> {
        let spare = lock(&self.shared.spare).take();
        if let Some(file) = spare.filter(|_| fs::rename(dir.join(files::SPARE), path).is_ok()) {
            return Ok(file);
        }
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    /// Frames of about [`FRAME_BODY_BYTES`] into `out`, each with the signed checkpoint after it; and where in `out` each ends.
    fn encode(
        &mut self,
        batch: &Batch,
        tree: &mut Tree,
        segment: u64,
        written: u64,
    ) -> Result<(Head, Vec<FrameRef>, Vec<usize>), LogError> {
        let (mut frames, mut ends) = (Vec::new(), Vec::new());
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
            ends.push(self.out.len());
            frames.push(FrameRef {
                first,
                segment,
                body_at,
                body_bytes: u32::try_from(now.len()).unwrap_or(u32::MAX),
            });
            head = Head { size: tree.size(), root, checkpoint: note.into() };
            (body, leaves) = (later, rest);
        }
        Ok((head, frames, ends))
    }

    /// Closes the open segment and hands it to the publisher, waiting while too many are before it.
    fn rotate(&mut self) -> Result<(), LogError> {
        let Some(segment) = self.segment.take() else { return Ok(()) };
        self.shared
            .wait_change(|progress| progress.waiting >= SEGMENTS_WAITING_MAX && progress.ended.is_none());
        if let Some(error) = self.shared.ended() {
            return Err(error);
        }
        self.shared.advance(|progress| progress.waiting += 1);
        let (first, bytes) = (segment.first, segment.bytes);
        let job = Job { segment: Segment { first, newest: false }, head: self.shared.view.head(), bytes };
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

/// Lets the calling thread give way to all others of the process: nobody waits for a publication unless segments pile up, and a burst of it on
/// a machine of two cores would hold up hundreds of answers. Other systems than Linux have no such call for one thread; there nothing happens.
fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(PUBLISHER_NICE);
}

/// Runs the publisher thread until the writer is gone or publishing fails.
pub fn run_publisher(shared: &Shared, mut publisher: Publisher, jobs: &Receiver<Job>) {
    give_way();
    while let Ok(job) = jobs.recv() {
        match publisher.publish(&shared.view, &[job.segment], &job.head) {
            Ok(()) => shared.advance(|progress| {
                progress.published = job.head.size;
                progress.stats.publications += 1;
                progress.waiting = progress.waiting.saturating_sub(1);
            }),
            Err(error) => return shared.end(log_error(error)),
        }
        if job.bytes >= SPARE_BYTES_MIN && lock(&shared.spare).is_none() {
            // The next segment will be about as large as this one. Without room for zeros it grows as it is written.
            let spare =
                files::make_spare(shared.view.dir(), (job.bytes + job.bytes / 4).min(SPARE_BYTES_MAX));
            *lock(&shared.spare) = spare.ok();
        }
    }
    *lock(&shared.spare) = None;
    files::remove_spare(shared.view.dir());
}

fn log_error(error: ReadError) -> LogError {
    match error {
        ReadError::Damaged(damage) => LogError::Damaged(damage),
        ReadError::Io(path, error) => LogError::from_io(&error, &path),
    }
}
