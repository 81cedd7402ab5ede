//! The work itself: pieces (one step on one chunk) shared out to threads. Which thread computes a piece changes nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use attack::scorecard::{Assembly, Sample, assemble};
use attack::suite::{Chunk, Piece, attack_chunk};
use attack::{Fault, Pace};

use super::open::Opened;
use super::state::State;
use super::{Event, Request, Watch};
use crate::AppError;

/// Units of progress in one piece.
const UNITS: u64 = 1_000;
/// Time between two signs of progress.
const TELL_EVERY: Duration = Duration::from_millis(80);

/// What was worked.
pub(super) struct Worked {
    pub(super) pieces: Vec<Piece>,
    /// Why it ended before everything was done.
    pub(super) why: Option<String>,
}

/// What the threads share.
struct Floor<'a> {
    request: &'a Request,
    opened: &'a Opened,
    chunks: &'a [Chunk],
    state: &'a State,
    watch: &'a Arc<dyn Watch>,
    samples: &'a [Sample],
    /// Lists of pieces that must follow one another.
    lines: Vec<Vec<(usize, usize)>>,
    next: AtomicUsize,
    done: Mutex<BTreeMap<(usize, usize), Piece>>,
    error: Mutex<Option<AppError>>,
    broken: AtomicBool,
    late: AtomicBool,
    started: Instant,
    units: AtomicU64,
    told: Mutex<Instant>,
}

impl Worked {
    /// Works until everything is done, the time is spent, or somebody asks to stop.
    pub(super) fn run(
        request: &Request,
        opened: &Opened,
        chunks: &[Chunk],
        state: &State,
        watch: &Arc<dyn Watch>,
        samples: &[Sample],
    ) -> Result<Self, AppError> {
        let floor = Floor {
            request,
            opened,
            chunks,
            state,
            watch,
            samples,
            lines: lines(request, opened, chunks),
            next: AtomicUsize::new(0),
            done: Mutex::default(),
            error: Mutex::default(),
            broken: AtomicBool::new(false),
            late: AtomicBool::new(false),
            started: Instant::now(),
            units: AtomicU64::new(0),
            told: Mutex::new(Instant::now()),
        };
        let threads = request.threads.clamp(1, 64).min(floor.lines.len().max(1));
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| floor.work());
            }
            floor.work();
        });
        if let Some(error) = floor.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let why = floor.why();
        let pieces = floor.done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect();
        Ok(Self { pieces, why })
    }
}

/// Pieces in order: the steps of a chunk after one another where they build on one another, else each for itself.
fn lines(request: &Request, opened: &Opened, chunks: &[Chunk]) -> Vec<Vec<(usize, usize)>> {
    let layout = opened.rows.layout;
    let steps =
        request.suite.steps.iter().enumerate().filter(|(_, s)| s.subject.takes(layout)).map(|(n, _)| n);
    let steps: Vec<usize> = steps.collect();
    if request.suite.chain {
        return (0..chunks.len()).map(|c| steps.iter().map(|s| (*s, c)).collect()).collect();
    }
    steps.iter().flat_map(|s| (0..chunks.len()).map(move |c| vec![(*s, c)])).collect()
}

/// Tells one piece of work when to stop, and the watcher how far it is.
struct Piecework<'a, 'b> {
    floor: &'a Floor<'b>,
    label: &'a str,
    counted: AtomicU64,
}

impl Pace for Piecework<'_, '_> {
    fn stop(&self) -> bool {
        self.floor.should_stop()
    }

    fn step(&self, done: u64, total: u64) {
        let now = (done.min(total) * UNITS).checked_div(total).unwrap_or(0).min(UNITS);
        let before = self.counted.fetch_max(now, Ordering::Relaxed);
        if now > before {
            self.floor.units.fetch_add(now - before, Ordering::Relaxed);
            self.floor.tell(self.label, false);
        }
    }
}

impl Floor<'_> {
    fn should_stop(&self) -> bool {
        if self.request.time_max.is_some_and(|max| self.started.elapsed() >= max) {
            self.late.store(true, Ordering::Relaxed);
        }
        self.late.load(Ordering::Relaxed) || self.broken.load(Ordering::Relaxed) || self.watch.stop()
    }

    fn why(&self) -> Option<String> {
        let all: usize = self.lines.iter().map(Vec::len).sum();
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).len();
        if done >= all {
            return None;
        }
        let reason = match (self.broken.load(Ordering::Relaxed), self.late.load(Ordering::Relaxed)) {
            (true, _) => "the model stopped answering",
            (_, true) => "the time was spent",
            _ => "stopped",
        };
        Some(format!("{reason} after {done} of {all} pieces of work: go on with --resume"))
    }

    fn tell(&self, label: &str, always: bool) {
        let Ok(mut told) = self.told.try_lock() else { return };
        if always || told.elapsed() >= TELL_EVERY {
            *told = Instant::now();
            let total = self.lines.iter().map(Vec::len).sum::<usize>() as u64 * UNITS;
            let done = self.units.load(Ordering::Relaxed);
            self.watch.event(Event::Progress { done, total, step: label.to_owned() });
        }
    }

    fn work(&self) {
        let mut victim = self.opened.source.worker();
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(line) = self.lines.get(at) else { return };
            for (step, chunk) in line {
                if self.should_stop() || !self.piece(&mut victim, *step, *chunk) {
                    return;
                }
            }
        }
    }

    /// Does one piece; false when the work should end.
    fn piece(&self, victim: &mut super::victim::Victim, at: usize, number: usize) -> bool {
        let (Some(step), Some(chunk)) = (self.request.suite.steps.get(at), self.chunks.get(number)) else {
            return true;
        };
        let pace = Piecework { floor: self, label: &step.label, counted: AtomicU64::new(0) };
        let piece = match self.state.read(at, number) {
            Some(piece) => piece,
            None => {
                let fallen = self.fallen(at, number);
                let seed = self.request.suite.seed;
                let mut target = victim.target(self.request.labels_only);
                let fell = |sample: usize| fallen.get(&sample).copied();
                match attack_chunk(at, step, &mut target, chunk, &fell, seed, &pace) {
                    Ok(piece) => piece,
                    Err(Fault::Stopped) => return false,
                    Err(other) => {
                        Piece { step: at, chunk: number, fault: Some(other.to_string()), ..Piece::default() }
                    }
                }
            }
        };
        if let Err(error) = self.state.write(&piece) {
            *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            self.broken.store(true, Ordering::Relaxed);
            return false;
        }
        pace.step(1, 1);
        // A server that is gone answers the next piece no better.
        let gone = piece.fault.is_some() && matches!(victim, super::victim::Victim::Remote(_));
        self.finished(at, number, piece);
        if gone {
            self.broken.store(true, Ordering::Relaxed);
        }
        !gone
    }

    /// Least distances at which samples of the chunk fell to earlier steps in the same norm; empty where steps stand for themselves.
    fn fallen(&self, at: usize, chunk: usize) -> BTreeMap<usize, f64> {
        let mut out = BTreeMap::new();
        if !self.request.suite.chain {
            return out;
        }
        let steps = &self.request.suite.steps;
        let norm = steps.get(at).map(|s| s.norm);
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in done.range(..(at, 0)).map(|(_, p)| p).filter(|p| p.chunk == chunk) {
            if steps.get(piece.step).map(|s| s.norm) != norm {
                continue;
            }
            for found in piece.budgets.iter().flatten() {
                if let Some(distance) = found.fell {
                    let place = out.entry(found.sample).or_insert(distance);
                    *place = distance.min(*place);
                }
            }
        }
        out
    }

    /// Keeps a piece; tells the rows of a step when its last chunk is done.
    fn finished(&self, at: usize, number: usize, piece: Piece) {
        let label = self.request.suite.steps.get(at).map_or("", |s| s.label.as_str());
        let whole: Option<Vec<Piece>> = {
            let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            done.insert((at, number), piece);
            let of_step: Vec<Piece> = done.range((at, 0)..(at + 1, 0)).map(|(_, p)| p.clone()).collect();
            (of_step.len() == self.chunks.len()).then_some(of_step)
        };
        self.tell(label, false);
        let Some(pieces) = whole else { return };
        let card = assemble(Assembly {
            tool: String::new(),
            subject: super::subject(self.request, self.opened, self.samples.len()),
            suite: self.request.suite.clone(),
            samples: self.samples.to_vec(),
            chunks: Vec::new(),
            pieces,
            ended: None,
            exhibits: Vec::new(),
        });
        let kind = card.subject.kind;
        let rows: Vec<_> = card.rows.into_iter().filter(|r| r.step == at).collect();
        if !rows.is_empty() {
            self.watch.event(Event::Rows { kind, rows });
        }
        self.tell(label, true);
    }
}
