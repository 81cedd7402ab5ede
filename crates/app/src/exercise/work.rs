//! The work itself: pieces (one step, condition or search on one chunk) shared out to threads. Which thread computes a piece changes nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use attack::evasion::Access;
use attack::scorecard::{Assembly, Sample, assemble};
use attack::suite::{
    Answers, ChangePiece, Chunk, ConditionPiece, Piece, attack_chunk, change_chunk, condition_chunk,
};
use attack::{Fault, Pace};

use super::conditions::{self, Ward};
use super::open::Opened;
use super::state::{Kept, State};
use super::victim::Victim;
use super::{Event, Request, Watch};
use crate::AppError;

/// Units of progress in one piece.
const UNITS: u64 = 1_000;
/// Time between two signs of progress.
const TELL_EVERY: Duration = Duration::from_millis(80);

/// What is worked on: samples in chunks.
pub(super) struct Work<'a> {
    pub(super) request: &'a Request,
    pub(super) opened: &'a Opened,
    pub(super) ward: &'a Ward,
    /// The samples that the model gets right: what is attacked.
    pub(super) chunks: &'a [Chunk],
    /// All samples: what conditions are done to.
    pub(super) whole: &'a [Chunk],
    pub(super) samples: &'a [Sample],
}

/// What was worked.
pub(super) struct Worked {
    pub(super) pieces: Vec<Piece>,
    pub(super) conditions: Vec<ConditionPiece>,
    pub(super) changes: Vec<ChangePiece>,
    /// Why it ended before everything was done.
    pub(super) why: Option<String>,
}

/// One piece of work: which item of the suite on which chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// A step.
    Attack(usize, usize),
    /// A condition.
    Condition(usize, usize),
    /// A search for the least change.
    Change(usize, usize),
}

/// What is done.
#[derive(Default)]
struct Done {
    pieces: BTreeMap<(usize, usize), Piece>,
    conditions: BTreeMap<(usize, usize), ConditionPiece>,
    changes: BTreeMap<(usize, usize), ChangePiece>,
}

/// What the threads share.
struct Floor<'a> {
    work: &'a Work<'a>,
    request: &'a Request,
    opened: &'a Opened,
    chunks: &'a [Chunk],
    state: &'a State,
    watch: &'a Arc<dyn Watch>,
    samples: &'a [Sample],
    /// Lists of pieces that must follow one another.
    lines: Vec<Vec<Unit>>,
    next: AtomicUsize,
    done: Mutex<Done>,
    error: Mutex<Option<AppError>>,
    broken: AtomicBool,
    late: AtomicBool,
    started: Instant,
    units: AtomicU64,
    told: Mutex<Instant>,
}

impl Worked {
    /// Works until everything is done, the time is spent, or somebody asks to stop.
    pub(super) fn run(work: &Work<'_>, state: &State, watch: &Arc<dyn Watch>) -> Result<Self, AppError> {
        let floor = Floor {
            work,
            request: work.request,
            opened: work.opened,
            chunks: work.chunks,
            state,
            watch,
            samples: work.samples,
            lines: lines(work),
            next: AtomicUsize::new(0),
            done: Mutex::default(),
            error: Mutex::default(),
            broken: AtomicBool::new(false),
            late: AtomicBool::new(false),
            started: Instant::now(),
            units: AtomicU64::new(0),
            told: Mutex::new(Instant::now()),
        };
        super::on_threads(work.request.threads, floor.lines.len(), || floor.work());
        if let Some(error) = floor.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let why = floor.why();
        let done = floor.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Self {
            pieces: done.pieces.into_values().collect(),
            conditions: done.conditions.into_values().collect(),
            changes: done.changes.into_values().collect(),
            why,
        })
    }

    /// Whether a piece ended by a fault.
    pub(super) fn failed(&self) -> bool {
        self.pieces.iter().any(Kept::failed)
            || self.conditions.iter().any(Kept::failed)
            || self.changes.iter().any(Kept::failed)
    }

    /// Why parts of the suite cannot be run on this target; none when something was.
    pub(super) fn inapplicable(&self) -> Option<String> {
        let all = self.pieces.iter().map(|p| &p.skipped);
        let all = all.chain(self.conditions.iter().map(|p| &p.skipped));
        let mut all = all.chain(self.changes.iter().map(|p| &p.skipped)).peekable();
        let first =
            all.peek().map_or_else(|| Some("its steps are for other rows".to_owned()), |s| (*s).clone());
        first.filter(|_| all.all(Option::is_some))
    }
}

/// Pieces in order: conditions, which are quick, first; then the steps of a chunk after one another where they build on one another, else each for itself.
fn lines(work: &Work<'_>) -> Vec<Vec<Unit>> {
    let (suite, layout) = (&work.request.suite, work.opened.rows.layout);
    let conditions = suite.conditions.iter().enumerate().filter(|(_, c)| c.subject.takes(layout));
    let mut out: Vec<Vec<Unit>> = conditions
        .flat_map(|(n, _)| (0..work.whole.len()).map(move |c| vec![Unit::Condition(n, c)]))
        .collect();
    let steps = suite.steps.iter().enumerate().filter(|(_, s)| s.subject.takes(layout)).map(|(n, _)| n);
    let steps: Vec<usize> = steps.collect();
    let chunks = 0..work.chunks.len();
    if suite.chain && !steps.is_empty() {
        out.extend(chunks.clone().map(|c| steps.iter().map(|s| Unit::Attack(*s, c)).collect()));
    } else {
        let each = |s: &usize| {
            let s = *s;
            chunks.clone().map(move |c| vec![Unit::Attack(s, c)])
        };
        out.extend(steps.iter().flat_map(each));
    }
    let searches = 0..work.ward.clinics.len();
    out.extend(searches.flat_map(|n| chunks.clone().map(move |c| vec![Unit::Change(n, c)])));
    out
}

/// Tells one piece of work when to stop, and the watcher how far it is.
struct Piecework<'a, 'b> {
    floor: &'a Floor<'b>,
    label: &'a str,
    counted: AtomicU64,
    book: Option<Arc<super::through_model::Book>>,
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

    fn round(&self, budget: Option<usize>) {
        if let Some(book) = &self.book {
            book.round(budget);
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
        let done = {
            let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            done.pieces.len() + done.conditions.len() + done.changes.len()
        };
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
            for unit in line {
                if self.should_stop() || !self.unit(&mut victim, *unit) {
                    return;
                }
            }
        }
    }

    /// Does one piece; false when the work should end.
    fn unit(&self, victim: &mut Victim, unit: Unit) -> bool {
        match unit {
            Unit::Attack(at, number) => self.attack(victim, at, number),
            Unit::Condition(at, number) => self.condition(victim, at, number),
            Unit::Change(at, number) => self.change(victim, at, number),
        }
    }

    /// Keeps what was done, or does nothing more; what failed on a server that is gone ends the work. True when it goes on.
    fn keep<T: Kept>(&self, victim: &Victim, piece: &T) -> Option<bool> {
        if let Err(error) = self.state.write(piece) {
            *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            self.broken.store(true, Ordering::Relaxed);
            return None;
        }
        // A server that is gone answers the next piece no better.
        let gone = piece.failed() && matches!(victim, Victim::Remote(_) | Victim::Through { .. });
        if gone {
            self.broken.store(true, Ordering::Relaxed);
        }
        Some(!gone)
    }

    fn condition(&self, victim: &mut Victim, at: usize, number: usize) -> bool {
        let (Some(condition), Some(chunk)) =
            (self.request.suite.conditions.get(at), self.work.whole.get(number))
        else {
            return true;
        };
        let pace = Piecework { floor: self, label: &condition.label, counted: AtomicU64::new(0), book: None };
        let table = self.work.ward.table.as_ref();
        let piece = match (self.state.read(('c', at, number)), table) {
            (Some(piece), _) => piece,
            (None, Some(Err(why))) => ConditionPiece {
                condition: at,
                chunk: number,
                skipped: Some(why.clone()),
                ..ConditionPiece::default()
            },
            (None, table) => {
                let table = table.and_then(|t| t.as_ref().ok());
                victim.once();
                let mut target = victim.target(self.request.labels_only);
                let seed = self.request.suite.seed;
                match condition_chunk(at, condition, &mut target, chunk, table, seed, &pace) {
                    Ok(piece) => conditions::seen(piece, victim.once()),
                    Err(Fault::Stopped) => return false,
                    Err(other) => conditions::failed(at, number, &other),
                }
            }
        };
        let Some(goes_on) = self.keep(victim, &piece) else { return false };
        pace.step(1, 1);
        let line = {
            let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            done.conditions.insert((at, number), piece);
            let own: Vec<&ConditionPiece> =
                done.conditions.range((at, 0)..(at + 1, 0)).map(|(_, p)| p).collect();
            (own.len() == self.work.whole.len())
                .then(|| conditions::condition_line(self.request, at, &own, self.samples))
                .flatten()
        };
        self.said(line);
        goes_on
    }

    fn change(&self, victim: &mut Victim, at: usize, number: usize) -> bool {
        let (Some(change), Some(chunk), Some(clinic)) =
            (self.request.suite.changes.get(at), self.chunks.get(number), self.work.ward.clinics.get(at))
        else {
            return true;
        };
        let pace = Piecework { floor: self, label: &change.label, counted: AtomicU64::new(0), book: None };
        let piece = match (self.state.read(('l', at, number)), clinic) {
            (Some(piece), _) => piece,
            (None, Err(why)) => conditions::refused(at, number, why),
            (None, Ok(clinic)) => {
                let rows = conditions::clinical(self.opened, self.samples, chunk);
                victim.begin_runs();
                let mut target = victim.target(self.request.labels_only);
                let done = change_chunk(at, change, &mut target, chunk, &rows, clinic, &pace);
                // Its queries went in runs of their own; the report of sightings is about attacks.
                victim.sighted();
                match done {
                    Ok(piece) => piece,
                    Err(Fault::Stopped) => return false,
                    Err(other) => ChangePiece {
                        change: at,
                        chunk: number,
                        fault: Some(other.to_string()),
                        ..ChangePiece::default()
                    },
                }
            }
        };
        let Some(goes_on) = self.keep(victim, &piece) else { return false };
        pace.step(1, 1);
        let line = {
            let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            done.changes.insert((at, number), piece);
            let own: Vec<&ChangePiece> = done.changes.range((at, 0)..(at + 1, 0)).map(|(_, p)| p).collect();
            (own.len() == self.chunks.len())
                .then(|| conditions::change_line(self.request, at, &own))
                .flatten()
        };
        self.said(line);
        goes_on
    }

    fn said(&self, line: Option<(String, String)>) {
        if let Some((step, text)) = line {
            self.watch.event(Event::Said { step, text });
        }
    }

    /// Does one step on one chunk; false when the work should end.
    fn attack(&self, victim: &mut Victim, at: usize, number: usize) -> bool {
        let (Some(step), Some(chunk)) = (self.request.suite.steps.get(at), self.chunks.get(number)) else {
            return true;
        };
        let book = victim.begin(at, step, chunk);
        let pace = Piecework { floor: self, label: &step.label, counted: AtomicU64::new(0), book };
        let piece = match self.state.read(('a', at, number)) {
            Some(piece) => piece,
            None => {
                let fallen = self.fallen(at, number);
                let seed = self.request.suite.seed;
                let needs = attack::evasion::find(&step.attack).map_or(Access::Labels, |r| r.needs);
                let mut target = victim.target_for(self.request.labels_only, needs);
                let fell = |sample: usize| fallen.get(&sample).copied();
                match attack_chunk(at, step, &mut target, chunk, &fell, seed, &pace) {
                    Ok(mut piece) => {
                        if let Err(fault) = victim.send_once(needs, &mut piece.nearest) {
                            piece.fault = Some(fault.to_string());
                        }
                        piece.sighted = victim.sighted();
                        piece
                    }
                    Err(Fault::Stopped) => return false,
                    Err(other) => {
                        Piece { step: at, chunk: number, fault: Some(other.to_string()), ..Piece::default() }
                    }
                }
            }
        };
        let Some(goes_on) = self.keep(victim, &piece) else { return false };
        pace.step(1, 1);
        self.finished(at, number, piece);
        goes_on
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
        for piece in done.pieces.range(..(at, 0)).map(|(_, p)| p).filter(|p| p.chunk == chunk) {
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
            done.pieces.insert((at, number), piece);
            let of_step: Vec<Piece> =
                done.pieces.range((at, 0)..(at + 1, 0)).map(|(_, p)| p.clone()).collect();
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
            whole: 0,
            clean: Answers::default(),
            pieces,
            conditions: Vec::new(),
            changes: Vec::new(),
            shown: attack::scorecard::ShownRows::new(),
            ended: None,
            exhibits: Vec::new(),
            passage: None,
        });
        let kind = card.subject.kind;
        let rows: Vec<_> = card.rows.into_iter().filter(|r| r.step == at).collect();
        if !rows.is_empty() {
            self.watch.event(Event::Rows { kind, rows });
        }
        self.tell(label, true);
    }
}
