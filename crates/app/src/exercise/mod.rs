//! Exercises: attack a model with a suite and write down what stood. The command line and the console call the same function with an observer.

mod conditions;
mod data;
mod evidence;
mod exhibit;
mod harden;
mod open;
pub(crate) mod page;
mod reader;
mod remote;
mod sarif;
mod state;
mod studies;
mod suites;
mod text;
mod text_through;
mod through;
mod through_clean;
mod through_model;
mod victim;
mod watch;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use attack::scorecard::{Assembly, Sample, Scorecard, Subject, assemble};
use attack::suite::{Answers, Chunk, Suite};
use tokio::runtime::Handle;

use crate::AppError;
use data::bad;
use open::Opened;

pub use data::Reading;
pub(crate) use evidence::evidence as evidence_of;
pub use evidence::keep;
pub(crate) use evidence::keep_bytes;
pub use harden::{Certificate, Hardened, Hardening, Method, harden};
pub use page::{page as scorecard_html, policy as scorecard_policy};
pub use remote::Address;
pub use sarif::sarif as scorecard_sarif;
pub use suites::{Overrides, load as load_suite, read as read_suite, shipped as shipped_suites};
pub use text::{compared as compare_text, scorecard as scorecard_text};
pub use through::{Door, Guarded, KEYS_MAX, Room, Through, guarded};
pub use watch::{Event, Unwatched, Watch};

/// Samples attacked together. Fixed, so that the number of threads cannot change a result; large enough for the kernels, small enough that little is lost when
/// an exercise is ended.
const CHUNK_ROWS: usize = 32;
/// Most exhibits of a scorecard.
pub const EXHIBITS_MAX: usize = 200;

/// What is attacked.
#[derive(Debug, Clone)]
pub enum Target {
    /// An ONNX file in this process.
    File {
        /// The model.
        model: PathBuf,
        /// Rows and labels.
        data: PathBuf,
    },
    /// A server that shows its outputs.
    Remote {
        /// Where.
        address: Address,
        /// Bearer token.
        token: Option<String>,
        /// Rows and labels.
        data: PathBuf,
    },
    /// A system of the configuration, on its held-out rows.
    System(Box<crate::config::SystemSettings>),
}

/// What an exercise is to do.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is attacked.
    pub target: Target,
    /// With what.
    pub suite: Suite,
    /// How the data are read.
    pub reading: Reading,
    /// Output tensor, where the first is not the one.
    pub output: Option<String>,
    /// Show the attacks decisions only.
    pub labels_only: bool,
    /// Threads; they change the time and nothing else.
    pub threads: usize,
    /// End after this time; what is done is kept.
    pub time_max: Option<Duration>,
    /// Folder for what is finished, so that an exercise can go on; none keeps nothing.
    pub state: Option<PathBuf>,
    /// Go on where the last one of the same exercise ended.
    pub resume: bool,
    /// Samples shown with what was changed; 0 keeps patients' values out of the scorecard.
    pub exhibits_max: usize,
    /// Largest model and data file, bytes.
    pub bytes_max: u64,
    /// Sent through a gateway with the system's guards, as clients would; none asks the model itself.
    pub through: Option<Through>,
}

/// Runs an exercise. Blocks; runs `request.threads` threads of its own. `handle` is for talking to servers.
///
/// # Errors
/// [`AppError`] for what cannot be attacked at all. What fails on the way ends in the scorecard, with what was finished before.
pub fn run(request: &Request, watch: &Arc<dyn Watch>, handle: &Handle) -> Result<Scorecard, AppError> {
    let opened = open::open(request, watch, handle)?;
    run_on(request, opened, watch)
}

/// Runs an exercise on what is opened.
fn run_on(request: &Request, opened: Opened, watch: &Arc<dyn Watch>) -> Result<Scorecard, AppError> {
    for note in &opened.rows.notes {
        watch.event(Event::Note(note.clone()));
    }
    let remembered = opened.source.warm(request.suite.seed)?;
    let (samples, clean) = gather(request, &opened, watch)?;
    let chosen: Vec<usize> = samples.iter().map(|s| s.row).collect();
    let bench = studies::Bench::open(request, &opened, &chosen)?;
    let chunks = chunks_of(&opened, &samples, |s| s.seen == Some(s.label));
    let whole =
        if request.suite.conditions.is_empty() { Vec::new() } else { chunks_of(&opened, &samples, |_| true) };
    let ward = conditions::Ward::new(request, &opened);
    if let Some(note) = &ward.note {
        watch.event(Event::Note(note.clone()));
    }
    let key = state::key(request, &opened);
    let state = state::State::open(request.state.as_deref(), key, request.resume)?;
    let work = work::Work {
        request,
        opened: &opened,
        ward: &ward,
        chunks: &chunks,
        whole: &whole,
        samples: &samples,
    };
    let ended = work::Worked::run(&work, &state, watch)?;
    let studied = bench.run(&state, watch, ended.why.is_some())?;
    if let (Some(why), None, None) = (studied.inapplicable(ended.inapplicable()), &ended.why, &studied.ended)
    {
        return Err(bad(format!(
            "nothing of the suite `{}` applies to this target: {why}",
            request.suite.name
        )));
    }
    let exhibits = exhibit::choose(&opened, request, &samples, &ended.pieces);
    let shown = conditions::shown(&opened, request, &samples, &ended.changes);
    let passage = opened.source.passage(&opened.rows, &ended.pieces, remembered, request.suite.seed)?;
    let finished = studied.ended.is_none() && studied.faults.is_empty();
    if finished && ended.why.is_none() && !ended.failed() {
        state.remove();
    }
    let mut card = assemble(Assembly {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        subject: subject(request, &opened, samples.len()),
        suite: request.suite.clone(),
        clean,
        samples,
        chunks: chunks.iter().map(|c| c.samples.clone()).collect(),
        whole: whole.len(),
        pieces: ended.pieces,
        conditions: ended.conditions,
        changes: ended.changes,
        shown,
        ended: ended.why,
        exhibits,
        passage,
    });
    attack::scorecard::study::add(&mut card, studied);
    Ok(card)
}

/// The samples, and what the model says of them without an attack.
fn gather(
    request: &Request,
    opened: &Opened,
    watch: &Arc<dyn Watch>,
) -> Result<(Vec<Sample>, Answers), AppError> {
    let mut chosen = opened.rows.choose(request.suite.samples);
    if chosen.len() < request.suite.samples {
        let text = format!(
            "the data have {} rows where the suite asks for {}: all are used",
            chosen.len(),
            request.suite.samples
        );
        watch.event(Event::Note(text));
    }
    chosen.shrink_to_fit();
    let (seen, scores) = look(opened, &chosen, request.labels_only)?;
    let samples: Vec<Sample> = chosen
        .iter()
        .zip(&seen)
        .map(|(row, seen)| Sample {
            row: *row,
            label: opened.rows.labels.get(*row).copied().unwrap_or_default(),
            seen: *seen,
            group: opened.rows.groups.as_ref().and_then(|g| g.get(*row)).cloned(),
            least: Vec::new(),
        })
        .collect();
    if !samples.iter().any(|s| s.seen == Some(s.label)) {
        return Err(bad(format!(
            "the model gets none of the {} samples right, so there is nothing to attack: check the order of the classes, the range of the inputs (--range) and the output (--output)",
            samples.len()
        )));
    }
    let all: Vec<usize> = (0..samples.len()).collect();
    Ok((samples, Answers::of(&all, seen, &scores)))
}

/// What the model says without an attack. A model that gives every row the same scores is refused here.
fn look(
    opened: &Opened,
    chosen: &[usize],
    labels_only: bool,
) -> Result<(Vec<Option<usize>>, Vec<f32>), AppError> {
    let width = opened.rows.layout.len();
    let mut victim = opened.source.worker();
    let (mut seen, mut scores) = (Vec::new(), Vec::new());
    for part in chosen.chunks(CHUNK_ROWS) {
        let values: Vec<f32> = part.iter().flat_map(|r| opened.rows.row(*r).iter().copied()).collect();
        let numbers: Vec<usize> = (seen.len()..seen.len() + part.len()).collect();
        let rows = attack::Rows::new(&values, width, &numbers).map_err(|f| bad(f.to_string()))?;
        let (labels, replies) = victim.look(rows, labels_only).map_err(fault)?;
        seen.extend(labels);
        scores.extend(replies);
    }
    let classes = victim.space().classes;
    let highest = chosen.iter().filter_map(|r| opened.rows.labels.get(*r)).max().copied().unwrap_or(0);
    if highest >= classes {
        return Err(bad(format!(
            "the labels go up to {highest}, but the model tells {classes} classes apart (0 to {}): these labels belong to another model, or choose one finding with --finding",
            classes.saturating_sub(1)
        )));
    }
    if seen.iter().all(Option::is_none) {
        return Err(bad(
            "the model gives no usable score for any sample (not a number): check the range of the inputs (--range)",
        ));
    }
    let first = scores.get(..classes).unwrap_or_default();
    if chosen.len() > 1 && !first.is_empty() && scores.chunks_exact(classes.max(1)).all(|row| row == first) {
        return Err(bad(format!(
            "the model gives all {} samples the same scores: it is constant, or the inputs are in other units than it was trained on (--range)",
            chosen.len()
        )));
    }
    Ok((seen, scores))
}

/// Most threads of one exercise.
const THREADS_MAX: usize = 64;

/// Does `work` on as many threads as are wanted, the calling one among them, but on no more than there are parts of it.
pub(crate) fn on_threads(wanted: usize, parts: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 1..wanted.clamp(1, THREADS_MAX).min(parts.max(1)) {
            scope.spawn(&work);
        }
        work();
    });
}

/// A fault of the model as an error of the use case.
fn fault(fault: attack::Fault) -> AppError {
    match fault {
        attack::Fault::Stopped => bad("stopped before anything was done"),
        other => bad(other.to_string()),
    }
}

/// Chunks of the samples that are kept, by position among all samples.
fn chunks_of(opened: &Opened, samples: &[Sample], keep: impl Fn(&Sample) -> bool) -> Vec<Chunk> {
    let mut out = Vec::new();
    for start in (0..samples.len()).step_by(CHUNK_ROWS) {
        let mut chunk = Chunk { number: out.len(), ..Chunk::default() };
        let end = (start + CHUNK_ROWS).min(samples.len());
        for at in start..end {
            let Some(sample) = samples.get(at).filter(|s| keep(s)) else { continue };
            chunk.starts.extend_from_slice(opened.rows.row(sample.row));
            chunk.labels.push(sample.label);
            chunk.samples.push(at);
        }
        out.push(chunk);
    }
    out
}

fn subject(request: &Request, opened: &Opened, count: usize) -> Subject {
    let (kind, shape) = attack::scorecard::shape_of(opened.rows.layout);
    let system = match &request.target {
        Target::System(system) => Some(system.id.to_string()),
        _ => None,
    };
    Subject {
        system,
        model: opened.model.clone(),
        model_digest: opened.model_digest.to_string(),
        data: opened.rows.name.clone(),
        data_digest: opened.rows.digest.to_string(),
        rows: format!("{}, {count} of {}", opened.rows.part, opened.rows.len()),
        access: opened.source.access(request.labels_only),
        kind: kind.to_owned(),
        shape,
        classes: opened.classes.clone(),
        group: request.reading.group.clone(),
    }
}
