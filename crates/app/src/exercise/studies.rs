//! The studies of a suite: shared out to threads, each kept when it is finished. A study computes on one thread, so that the number of threads changes nothing.

mod ground;
mod lab;
mod words;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use attack::scorecard::Note;
use attack::scorecard::study::{Studied, StudyResult};
use attack::suite::study::{Study, What};
use attack::{Fault, Pace};

use super::open::Opened;
use super::state::State;
use super::{Event, Request, Watch};
use crate::AppError;

pub(super) use words::{answers, compared, criterion, headline, interval, sarif, text};
pub(crate) use words::{figures, findings};

pub(in crate::exercise) use ground::{Ground, Set};
pub(in crate::exercise) use lab::trainer;

/// Units of progress of the smallest study.
const UNITS: u64 = 1_000;
/// Time between two signs of progress.
const TELL_EVERY: Duration = Duration::from_millis(80);

/// Studies that are meant for the rows at hand, with the rows they work on. Made before anything is attacked, so that what cannot be used is said at once.
pub(super) struct Bench<'a> {
    request: &'a Request,
    opened: &'a Opened,
    /// Place in the suite, and the study.
    studies: Vec<(usize, &'a Study)>,
    ground: Option<Ground>,
    started: Instant,
}

impl<'a> Bench<'a> {
    /// Reads training rows, when a study wants them.
    ///
    /// # Errors
    /// [`AppError::BadInput`] when there are none, or of one class only, or a column is not there.
    pub(super) fn open(request: &'a Request, opened: &'a Opened, chosen: &[usize]) -> Result<Self, AppError> {
        let layout = opened.rows.layout;
        let all = request.suite.studies.iter().enumerate();
        let studies: Vec<(usize, &Study)> = all.filter(|(_, s)| s.subject.takes(layout)).collect();
        let ground = match studies.is_empty() {
            true => None,
            false => Some(Ground::of(request, &opened.rows, opened.source.worker().space(), chosen)?),
        };
        if let Some(ground) = &ground {
            for (_, study) in &studies {
                ground.check(study)?;
            }
        }
        Ok(Self { request, opened, studies, ground, started: Instant::now() })
    }

    /// Runs what is left to do. `stopped` says that the exercise was ended before.
    ///
    /// # Errors
    /// When what is finished cannot be kept.
    pub(super) fn run(
        self,
        state: &State,
        watch: &Arc<dyn Watch>,
        stopped: bool,
    ) -> Result<Studied, AppError> {
        let Some(ground) = &self.ground else { return Ok(Studied::default()) };
        for note in &ground.notes {
            watch.event(Event::Note(note.clone()));
        }
        let floor = Floor {
            bench: &self,
            ground,
            state,
            watch,
            next: AtomicUsize::new(0),
            late: AtomicBool::new(stopped),
            halted: AtomicBool::new(stopped),
            done: Mutex::default(),
            error: Mutex::default(),
            weights: self.studies.iter().map(|(_, s)| weight(s, ground)).collect(),
            counted: self.studies.iter().map(|_| AtomicU64::new(0)).collect(),
            told: Mutex::new(Instant::now()),
        };
        super::on_threads(self.request.threads, self.studies.len(), || floor.work());
        if let Some(error) = floor.error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        Ok(floor.studied(stopped))
    }
}

/// How long a study takes next to others, in rows that are learned from.
fn weight(study: &Study, ground: &Ground) -> u64 {
    let rows = study.recipe.rows.min(ground.train.len()) as u64;
    let epochs = lab::plan(&study.recipe, ground.space.layout).epochs as u64;
    let learned = match &study.what {
        What::Poisoning { fractions, repeats, bisections } => {
            (*repeats as u64) * (1 + fractions.len() as u64 + u64::from(*bisections)) * rows
        }
        What::Theft { queries, .. } => queries.iter().map(|q| *q as u64).sum(),
        What::Membership { shadows, .. } => rows + *shadows as u64 * rows / 2,
        What::Attribute { columns, columns_max, .. } => (columns.len().max(*columns_max) as u64) * rows,
    };
    (learned * epochs).max(1)
}

/// What became of one study.
enum Ended {
    Shown(Box<StudyResult>, Option<String>),
    Skipped(String),
    Failed(String),
}

/// What the threads share.
struct Floor<'a> {
    bench: &'a Bench<'a>,
    ground: &'a Ground,
    state: &'a State,
    watch: &'a Arc<dyn Watch>,
    next: AtomicUsize,
    late: AtomicBool,
    halted: AtomicBool,
    done: Mutex<Vec<(usize, Ended)>>,
    error: Mutex<Option<AppError>>,
    weights: Vec<u64>,
    /// Thousandths of each study that are done.
    counted: Vec<AtomicU64>,
    told: Mutex<Instant>,
}

/// Tells one study when to stop, and the watcher how far it is.
struct StudyPace<'a, 'b> {
    floor: &'a Floor<'b>,
    at: usize,
}

impl Pace for StudyPace<'_, '_> {
    fn stop(&self) -> bool {
        self.floor.should_stop()
    }

    fn step(&self, done: u64, total: u64) {
        let now = (done.min(total) * UNITS).checked_div(total).unwrap_or(0);
        if let Some(counted) = self.floor.counted.get(self.at) {
            counted.fetch_max(now, Ordering::Relaxed);
        }
        self.floor.tell(self.at, false);
    }
}

impl Floor<'_> {
    fn should_stop(&self) -> bool {
        let max = self.bench.request.time_max;
        if max.is_some_and(|max| self.bench.started.elapsed() >= max) {
            self.late.store(true, Ordering::Relaxed);
        }
        let stop = self.late.load(Ordering::Relaxed) || self.watch.stop();
        if stop {
            self.halted.store(true, Ordering::Relaxed);
        }
        stop || self.halted.load(Ordering::Relaxed)
    }

    fn tell(&self, at: usize, always: bool) {
        let Ok(mut told) = self.told.try_lock() else { return };
        if always || told.elapsed() >= TELL_EVERY {
            *told = Instant::now();
            let smallest = self.weights.iter().min().copied().unwrap_or(1).max(1);
            let parts = self.weights.iter().map(|w| (w / smallest).max(1)).zip(&self.counted);
            let (mut done, mut total) = (0, 0);
            for (weight, counted) in parts {
                done += weight * counted.load(Ordering::Relaxed);
                total += weight * UNITS;
            }
            let step = self.bench.studies.get(at).map_or_else(String::new, |(_, s)| s.label.clone());
            self.watch.event(Event::Progress { done, total, step });
        }
    }

    fn work(&self) {
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((number, study)) = self.bench.studies.get(at) else { return };
            if self.should_stop() || !self.one(at, *number, study) {
                return;
            }
        }
    }

    /// Does one study; false when the work should end.
    fn one(&self, at: usize, number: usize, study: &Study) -> bool {
        let name = format!("study-{number:02}-{}", self.ground.digest.short());
        let kept: Option<StudyResult> = self.state.read_named(&name);
        let ended = match kept.filter(|k| k.study == number && k.complete) {
            Some(result) => Ended::Shown(Box::new(result), None),
            None => {
                let pace = StudyPace { floor: self, at };
                let lab = lab::Lab {
                    request: self.bench.request,
                    opened: self.bench.opened,
                    ground: self.ground,
                    pace: &pace,
                };
                match lab.run(number, study) {
                    Ok((result, fault)) => Ended::Shown(Box::new(result), fault),
                    Err(Fault::Stopped) => return false,
                    Err(Fault::NotApplicable(why)) => Ended::Skipped(why),
                    Err(other) => Ended::Failed(other.to_string()),
                }
            }
        };
        if let Ended::Shown(result, None) = &ended
            && result.complete
            && let Err(error) = self.state.write_named(&name, result.as_ref())
        {
            *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            self.halted.store(true, Ordering::Relaxed);
            return false;
        }
        if let Ended::Shown(result, _) = &ended {
            self.watch.event(Event::Note(headline(result)));
        }
        if let Some(counted) = self.counted.get(at) {
            counted.store(UNITS, Ordering::Relaxed);
        }
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push((number, ended));
        self.tell(at, true);
        true
    }

    fn studied(self, stopped: bool) -> Studied {
        let all = self.bench.studies.len();
        let mut done = self.done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(number, _)| *number);
        let mut out = Studied::default();
        let finished = done.iter().filter(|(_, e)| !matches!(e, Ended::Shown(r, _) if !r.complete)).count();
        if finished < all && !stopped {
            let reason = if self.late.load(Ordering::Relaxed) { "the time was spent" } else { "stopped" };
            out.ended = Some(format!("{reason} after {finished} of {all} studies: go on with --resume"));
        } else if finished < all {
            out.ended =
                Some(format!("{} of {all} studies were not begun: go on with --resume", all - finished));
        }
        for (number, ended) in done {
            let study = self.bench.request.suite.studies.get(number);
            let about = study.map_or_else(String::new, |s| s.label.clone());
            match ended {
                Ended::Shown(result, fault) => {
                    out.faults.extend(fault.map(|text| Note { about, text }));
                    out.results.push(*result);
                }
                Ended::Skipped(text) => out.skipped.push(Note { about, text }),
                Ended::Failed(text) => out.faults.push(Note { about, text }),
            }
        }
        out
    }
}
