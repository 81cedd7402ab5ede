//! The folder of exercises: finding, reading and writing what lies there. What is damaged is left out of lists and named when it is asked for.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use attack::scorecard::{FORM, Scorecard};
use domain::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::name::unknown;
use super::order::Placed;
use super::start::JOBS_MAX;
use super::{Card, CardId, Ended, Exercises, Job, JobState, Progress, Source, Summary};
use crate::AppError;
use crate::hospital::private_folder;

/// What was asked.
pub(super) const ORDER: &str = "order.json";
/// What is finished so far.
pub(super) const STATE: &str = "state";
/// The scorecard.
pub(super) const CARD: &str = "scorecard.json";
/// How it ended.
pub(super) const END: &str = "end.json";

/// Largest scorecard that is read, bytes.
const CARD_BYTES_MAX: u64 = 64 << 20;
/// Largest of the small files, bytes.
const SMALL_BYTES_MAX: u64 = 64 << 10;
/// Scorecards kept in memory, for live pages that look again and again.
const OPEN_MAX: usize = 4;
/// Names looked at in one folder.
const NAMES_MAX: usize = 4 * JOBS_MAX;

/// Where something lies.
pub(super) enum Place {
    /// Folder of an exercise.
    Job(PathBuf),
    /// A scorecard from elsewhere.
    Received(PathBuf),
    /// A scorecard of the command line.
    CommandLine(PathBuf),
}

/// What tells whether a file is still the one that was read: when it was written, and its size.
type Mark = (Option<SystemTime>, u64);

/// What was read before: summaries of all scorecards, and the last few as a whole.
#[derive(Default)]
pub(super) struct Shelf {
    known: Mutex<BTreeMap<PathBuf, (Mark, Summary)>>,
    open: Mutex<VecDeque<(PathBuf, Mark, Arc<Scorecard>)>>,
}

fn mark(file: &Path) -> Result<Mark, AppError> {
    let meta = fs::metadata(file).map_err(AppError::files("cannot read", file))?;
    Ok((meta.modified().ok(), meta.len()))
}

impl Shelf {
    /// The summary of the scorecard in `file`; reads it only when it changed.
    pub(super) fn summary(&self, file: &Path) -> Result<Summary, AppError> {
        let now = mark(file)?;
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, summary)) = known().get(file)
            && *at == now
        {
            return Ok(summary.clone());
        }
        let summary = Summary::of(&read_card(file)?);
        let mut all = known();
        if all.len() >= NAMES_MAX {
            all.clear();
        }
        all.insert(file.to_owned(), (now, summary.clone()));
        Ok(summary)
    }

    /// The scorecard in `file`.
    pub(super) fn card(&self, file: &Path) -> Result<Arc<Scorecard>, AppError> {
        let now = mark(file)?;
        let open = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, card)) = open().iter().find(|(path, at, _)| path == file && *at == now) {
            return Ok(Arc::clone(card));
        }
        let card = Arc::new(read_card(file)?);
        let mut all = open();
        all.retain(|(path, ..)| path != file);
        all.push_back((file.to_owned(), now, Arc::clone(&card)));
        if all.len() > OPEN_MAX {
            all.pop_front();
        }
        Ok(card)
    }
}

/// Makes a folder that only its owner can enter.
pub(super) fn make(folder: &Path) -> Result<(), AppError> {
    private_folder(folder)
}

/// Writes a file beside its place, waits until it is on the disk, and renames it.
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<(), AppError> {
    let beside = file.with_extension("part");
    let written = fs::File::create(&beside).and_then(|mut out| {
        out.write_all(bytes)?;
        out.sync_all()
    });
    written.map_err(AppError::files("cannot write", &beside))?;
    fs::rename(&beside, file).map_err(AppError::files("cannot write", file))
}

/// Writes a value as JSON.
pub(super) fn write_json(file: &Path, value: &impl Serialize) -> Result<(), AppError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|e| AppError::Internal(e.to_string()))?;
    write(file, &bytes)
}

fn read(file: &Path, max: u64) -> Result<Vec<u8>, AppError> {
    let bytes = fs::metadata(file).map_err(AppError::files("cannot read", file))?.len();
    if bytes > max {
        return Err(AppError::BadInput(format!("`{}` has {bytes} bytes, more than {max}", named(file))));
    }
    fs::read(file).map_err(AppError::files("cannot read", file))
}

fn named(file: &Path) -> String {
    file.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

fn read_json<T: DeserializeOwned>(file: &Path) -> Result<T, AppError> {
    serde_json::from_slice(&read(file, SMALL_BYTES_MAX)?)
        .map_err(|e| AppError::BadInput(format!("`{}` is damaged: {e}", named(file))))
}

/// Reads a scorecard.
fn read_card(file: &Path) -> Result<Scorecard, AppError> {
    let card: Scorecard = serde_json::from_slice(&read(file, CARD_BYTES_MAX)?).map_err(|e| {
        AppError::BadInput(format!("`{}` is not a scorecard of this version: {e}", named(file)))
    })?;
    if card.form != FORM {
        return Err(AppError::BadInput(format!(
            "`{}` has the form `{}`, this program reads `{FORM}`",
            named(file),
            card.form.chars().take(80).collect::<String>()
        )));
    }
    Ok(card)
}

/// Names in a folder that can be names of exercises, without what follows a dot.
pub(super) fn names(folder: &Path) -> Vec<CardId> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(NAMES_MAX);
    let folders = entries.filter(|e| e.path().is_dir());
    folders.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

/// Scorecards in a folder.
fn card_files(folder: &Path) -> Vec<(CardId, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(NAMES_MAX);
    let files =
        entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "json") && p.is_file());
    files.filter_map(|p| Some((p.file_stem()?.to_str()?.parse().ok()?, p))).collect()
}

/// Where that name lies: exercises of the desk first, then what came from elsewhere, then files of the command line.
pub(super) fn find(desk: &Exercises, id: &CardId) -> Option<Place> {
    let job = desk.job_folder(id);
    if job.join(ORDER).is_file() {
        return Some(Place::Job(job));
    }
    let file = format!("{id}.json");
    let received = desk.received().join(&file);
    if received.is_file() {
        return Some(Place::Received(received));
    }
    let other = desk.folder().join(file);
    other.is_file().then_some(Place::CommandLine(other))
}

/// The file of a scorecard.
pub(super) fn card_file(desk: &Exercises, id: &CardId) -> Option<PathBuf> {
    Some(match find(desk, id)? {
        Place::Job(folder) => folder.join(CARD),
        Place::Received(file) | Place::CommandLine(file) => file,
    })
}

/// An exercise of the desk: as it runs, or as it lies there.
pub(super) fn job(desk: &Exercises, id: &CardId) -> Result<Job, AppError> {
    if let Some(running) = desk.running_as(id) {
        return Ok(running.job());
    }
    let folder = desk.job_folder(id);
    if !folder.join(ORDER).is_file() {
        return Err(unknown(id.as_str()));
    }
    let Placed { order, by, at } = read_json(&folder.join(ORDER))?;
    let end = folder.join(END);
    let ended: Option<Ended> = if end.is_file() { Some(read_json(&end)?) } else { None };
    let state = match &ended {
        None => JobState::CutOff,
        Some(Ended { failed: true, .. }) => JobState::Failed,
        Some(Ended { why: Some(_), .. }) => JobState::Stopped,
        Some(_) => JobState::Finished,
    };
    Ok(Job {
        id: id.clone(),
        order,
        by,
        at,
        state,
        progress: Progress::default(),
        notes: Vec::new(),
        kind: ended.as_ref().and_then(|e| e.summary.as_ref()).map_or_else(String::new, |s| s.kind.clone()),
        rows: Vec::new(),
        said: Vec::new(),
        ended,
    })
}

/// All exercises of the desk, newest first.
pub(super) fn jobs(desk: &Exercises) -> Vec<Job> {
    let mut all: Vec<Job> = names(&desk.jobs()).iter().filter_map(|id| job(desk, id).ok()).collect();
    all.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.id.cmp(&a.id)));
    all
}

/// A scorecard that is a file of its own.
pub(super) fn card(desk: &Exercises, id: CardId, file: &Path, received: bool) -> Result<Card, AppError> {
    let summary = desk.shelf.summary(file)?;
    let source = if received {
        Source::Elsewhere { from: read_json(&file.with_extension("from")).unwrap_or_default() }
    } else {
        Source::CommandLine
    };
    let written = fs::metadata(file).and_then(|m| m.modified()).ok();
    let since = written.and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let at = Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    Ok(Card { id, source, at, summary })
}

/// All scorecards that are files of their own.
pub(super) fn files(desk: &Exercises) -> Vec<Card> {
    let received = card_files(&desk.received()).into_iter().map(|f| (f, true));
    let others = card_files(desk.folder()).into_iter().map(|f| (f, false));
    received.chain(others).filter_map(|((id, file), received)| card(desk, id, &file, received).ok()).collect()
}
