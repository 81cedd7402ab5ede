//! `asepsis data screen`: what of a corpus a clinical language model should not be trained on. Documents are judged one by one (crate `corpus`), floods of a claim
//! and sources that stand out once all have been seen; then clean and quarantined documents are written apart.
//!
//! The output folder holds everything, so that a run that was stopped, or found the disk full, goes on where it was.

mod documents;
mod page;
mod progress;
mod sort;

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

pub use corpus::Identifiers;
use corpus::{Judged, Screen};
use domain::Digest;
use serde::{Deserialize, Serialize};

use documents::{Document, Documents, Raw, understand};
pub use page::page;
pub use progress::Progress;
pub use sort::{Count, Place, Report, SCHEMA, Source};

/// Documents that are read before they are judged together, and their bytes.
const ROUND_DOCUMENTS: usize = 1_024;
const ROUND_BYTES: usize = 32 << 20;
/// Documents between two notes of what is done.
const NOTE_DOCUMENTS: u64 = 16_384;

/// Names in the output folder.
const VERDICTS: &str = "documents.jsonl";
const REPORT: &str = "report.json";
const PAGE: &str = "report.html";

/// What to screen, and how.
pub struct Request<'a> {
    /// A file or a folder.
    pub path: PathBuf,
    /// Where verdicts, clean and quarantined documents go.
    pub out: PathBuf,
    /// The field of a JSON line that holds the text; found by itself if none is named.
    pub field: Option<String>,
    /// How identifiers count.
    pub identifiers: Identifiers,
    /// Threads, at least 1.
    pub threads: usize,
    /// Goes on where an earlier run into the same folder stopped.
    pub resume: bool,
    /// Told documents done, and bytes read of all.
    pub progress: &'a (dyn Fn(u64, u64, u64) + Sync),
    /// Asked now and then: stop, and keep what is done?
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// Why a corpus could not be screened.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The input cannot be read.
    #[error(transparent)]
    Listing(#[from] crate::scan::ScanError),
    /// A file cannot be read or written.
    #[error("`{path}`: {cause}; what is done is kept: run again with --resume")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The output folder holds another run.
    #[error("`{0}` holds a screening already: name another folder, or go on with --resume")]
    Taken(String),
    /// The run to be resumed was of something else.
    #[error("cannot go on: {0}; name another folder for a new run")]
    Other(String),
    /// The shipped knowledge cannot be opened.
    #[error("the shipped knowledge graph cannot be opened: {0}")]
    Knowledge(#[from] knowledge::GraphError),
}

fn file_error(path: &Path) -> impl FnOnce(std::io::Error) -> CorpusError {
    let path = path.display().to_string();
    move |cause| CorpusError::File { path, cause }
}

/// What is kept of one document: a line of `documents.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Line {
    /// Number of the file in the run.
    file: usize,
    /// Its first line there, from 1.
    line: u64,
    /// What stands in it; nothing when it could not be read.
    #[serde(flatten)]
    judged: Option<Judged>,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    broken: Option<String>,
    /// Where it is from, as it says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    from: Option<String>,
}

/// Screens a corpus. The report is written to the output folder as well; one of a run that was stopped says so.
///
/// # Errors
/// When the input cannot be read, the output cannot be written, or `resume` does not fit what is there.
pub fn screen(request: &Request<'_>) -> Result<Report, CorpusError> {
    let found = crate::scan::list(&request.path)?;
    std::fs::create_dir_all(&request.out).map_err(file_error(&request.out))?;
    let knowledge = knowledge::Knowledge::core()?;
    let wishes = progress::Wishes {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        knowledge: Digest::from_bytes(knowledge.graph().digest()).to_string(),
        field: request.field.clone(),
        identifiers: request.identifiers,
    };
    let mut done = Progress::begin(&request.out, wishes, &found.files, request.resume)?;
    let screen = Screen::new(&knowledge, request.identifiers);
    let mut to = verdicts(&request.out, done.written)?;
    let mut before = done.bytes_done();
    for (at, (_, path)) in found.files.iter().enumerate() {
        if done.files.get(at).is_none_or(|f| f.complete) {
            continue;
        }
        let mut documents = match Documents::open(path) {
            Ok(documents) => documents,
            Err(cause) => {
                done.unread(at, cause.to_string());
                continue;
            }
        };
        if !one_file(request, &screen, &mut done, &mut to, (at, path, &mut documents, before))? {
            done.note(&request.out, &mut to)?;
            return Ok(sort::stopped(&done));
        }
        before += done.files.get(at).map_or(0, |f| f.bytes);
        done.finish(at, crate::scan::digest_of(path).map_err(file_error(path))?);
        (request.progress)(done.documents(), before, done.bytes_all());
    }
    done.note(&request.out, &mut to)?;
    drop(to);
    let report = sort::sort(request, &done, &found.files, &found.left_out)?;
    let bytes = serde_json::to_vec_pretty(&report).map_err(|e| file_error(&request.out)(e.into()))?;
    for (name, bytes) in [(REPORT, bytes), (PAGE, page(&report).into_bytes())] {
        let path = request.out.join(name);
        std::fs::write(&path, bytes).map_err(file_error(&path))?;
    }
    Ok(report)
}

/// The file of verdicts, behind what counts: what was written after the last note is written again.
fn verdicts(out: &Path, written: u64) -> Result<BufWriter<File>, CorpusError> {
    let path = out.join(VERDICTS);
    let open = || {
        let mut to = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        to.set_len(written)?;
        to.seek(SeekFrom::Start(written))?;
        Ok(BufWriter::new(to))
    };
    open().map_err(file_error(&path))
}

/// Judges what is left of one file: its number and path, its documents, and the bytes of all files before it. Says whether it came to the end, or was stopped.
fn one_file(
    request: &Request<'_>,
    screen: &Screen<'_>,
    done: &mut Progress,
    to: &mut BufWriter<File>,
    (at, path, documents, before): (usize, &Path, &mut Documents, u64),
) -> Result<bool, CorpusError> {
    let out = request.out.join(VERDICTS);
    let already = done.files.get(at).map_or(0, |f| f.documents);
    documents.skip(already).map_err(file_error(path))?;
    let (all, own, mut read) = (done.bytes_all(), done.files.get(at).map_or(0, |f| f.bytes), 0);
    loop {
        if (request.stop)() {
            return Ok(false);
        }
        let (round, fault) = read_round(documents);
        for line in &judge_round(screen, &round, documents.form, request, at) {
            let bytes = serde_json::to_vec(line).map_err(|e| file_error(&out)(e.into()))?;
            to.write_all(&bytes).and_then(|()| to.write_all(b"\n")).map_err(file_error(&out))?;
            done.add(at, bytes.len() as u64 + 1);
        }
        if let Some(fault) = fault {
            done.unread(at, fault.to_string());
            return Ok(true);
        }
        if round.is_empty() {
            return Ok(true);
        }
        if done.since_note >= NOTE_DOCUMENTS {
            done.note(&request.out, to)?;
        }
        read += round.iter().map(|r| r.bytes.len() as u64).sum::<u64>();
        // Of packed files it is not known how far their bytes are: the bar waits at their end.
        (request.progress)(done.documents(), before + read.min(own), all);
    }
}

/// The next documents, and what ended the file before its end.
fn read_round(documents: &mut Documents) -> (Vec<Raw>, Option<std::io::Error>) {
    let (mut round, mut bytes) = (Vec::new(), 0);
    while round.len() < ROUND_DOCUMENTS && bytes < ROUND_BYTES {
        match documents.next() {
            Ok(Some(raw)) => {
                bytes += raw.bytes.len();
                round.push(raw);
            }
            Ok(None) => break,
            Err(fault) => return (round, Some(fault)),
        }
    }
    (round, None)
}

/// Judges on all threads; the order is that of the file.
fn judge_round(
    screen: &Screen<'_>,
    round: &[Raw],
    form: documents::Form,
    request: &Request<'_>,
    file: usize,
) -> Vec<Line> {
    let next = AtomicUsize::new(0);
    let out: Mutex<Vec<(usize, Line)>> = Mutex::new(Vec::with_capacity(round.len()));
    crate::exercise::on_threads(request.threads, round.len(), || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(raw) = round.get(at) else { break };
            let line = match understand(raw, form, request.field.as_deref()) {
                Ok(Document { text, source }) => Line {
                    file,
                    line: raw.line,
                    judged: Some(screen.judge(&text)),
                    broken: None,
                    from: source,
                },
                Err(why) => Line { file, line: raw.line, judged: None, broken: Some(why), from: None },
            };
            out.lock().unwrap_or_else(PoisonError::into_inner).push((at, line));
        }
    });
    let mut out = out.into_inner().unwrap_or_else(PoisonError::into_inner);
    out.sort_by_key(|(at, _)| *at);
    out.into_iter().map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests;
