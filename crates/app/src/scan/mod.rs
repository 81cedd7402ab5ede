//! Scanning artefacts: files, folders, standard input. What is in them is for the crate `artifact`; this opens, reads once,
//! digests, remembers, and applies the hospital's policy.

mod cache;
mod file;
mod policy;
pub(crate) mod sarif;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use artifact::{Limits, Member, Part, Source, Verdict};
use domain::{Digest, Severity, Timestamp};
use serde::{Deserialize, Serialize};

pub use cache::Cache;
pub(crate) use file::list;
pub use file::{FOLDER_FILES_MAX, FileSource, digest_of};
pub use policy::{Allowed, Policy, PolicyError};
pub use sarif::sarif;
pub use words::{plain, text};

/// Form of the JSON report; a change that breaks readers gets a new number.
pub const SCHEMA: &str = "asepsis-scan/1";

/// One thing to scan.
#[derive(Clone)]
pub enum Target {
    /// A file or a folder. Links inside a folder are not followed.
    Path(PathBuf),
    /// Bytes that came on standard input, in a file of ours.
    Standard(PathBuf),
    /// A file fetched whole from elsewhere.
    Fetched {
        /// Its address.
        url: String,
        /// Where it is now.
        path: PathBuf,
    },
    /// A file elsewhere that is read in parts.
    Remote {
        /// Its address.
        url: String,
        /// Its bytes.
        source: Arc<dyn Source + Send + Sync>,
    },
}

impl Target {
    /// As the user named it.
    fn named(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Standard(_) => "-".to_owned(),
            Self::Fetched { url, .. } | Self::Remote { url, .. } => url.clone(),
        }
    }

    /// The name of the file itself, for the places of findings.
    fn name(&self) -> String {
        match self {
            Self::Path(path) => file::name_of(path),
            Self::Standard(_) => "standard input".to_owned(),
            Self::Fetched { url, .. } | Self::Remote { url, .. } => {
                let path = url.split(['?', '#']).next().unwrap_or(url);
                path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(url).to_owned()
            }
        }
    }
}

/// How to scan.
pub struct Wishes<'a> {
    /// Bounds of each scan.
    pub limits: Limits,
    /// What the hospital lets pass, and what counts as found.
    pub policy: Policy,
    /// Verdicts of files scanned before.
    pub cache: Option<Cache>,
    /// Threads, at least 1.
    pub threads: usize,
    /// Now, for the ends of allowances.
    pub now: Timestamp,
    /// Told how many of how many files are done.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
    /// Asked now and then: stop, and keep what is done?
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// Everything one scan says. Holds no time and no path of the machine that was not typed, so that the same bytes give
/// the same report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of the program.
    pub version: String,
    /// Number of rules it knows.
    pub rules: usize,
    /// The worst verdict of all, after the policy.
    pub verdict: Verdict,
    /// Results by verdict.
    pub summary: BTreeMap<String, usize>,
    /// Per target, in the order given.
    pub results: Vec<Scanned>,
    /// Whether the scan was stopped before its end.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub stopped: bool,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Scanned {
    /// As named by the user.
    pub target: String,
    /// The verdict, after the policy.
    pub verdict: Verdict,
    /// What that means, for somebody who buys a model.
    pub says: String,
    /// Digest of the file; none for a folder.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// Digests of the files of a folder, by path below it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub digests: BTreeMap<String, Digest>,
    /// Allowances of the policy that were used, or that would have been but have ended.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub allowed: Vec<Allowed>,
    /// What is inside, and what was found.
    pub part: Part,
}

/// Why a target could not be scanned at all.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The path cannot be opened or listed.
    #[error("cannot read `{path}`: {cause}")]
    Unreadable {
        /// The path.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A folder with too many files.
    #[error("`{path}` holds more than {FOLDER_FILES_MAX} files: scan its folders one by one")]
    TooMany {
        /// The folder.
        path: String,
    },
    /// Neither a file nor a folder.
    #[error("`{path}` is neither a file nor a folder: devices, pipes and sockets are not scanned")]
    Special {
        /// The path.
        path: String,
    },
}

/// One file to read: for which target, under which name.
struct Job {
    target: usize,
    name: String,
    place: Place,
}

/// Where the bytes of a job are.
enum Place {
    File(PathBuf),
    Remote(Arc<dyn Source + Send + Sync>),
}

/// Scans all targets.
///
/// # Errors
/// [`ScanError`] when a target cannot be opened; what goes wrong inside a file is in its result.
pub fn scan(targets: &[Target], wishes: &Wishes<'_>) -> Result<Report, ScanError> {
    let mut jobs = Vec::new();
    let mut listed = Vec::new();
    for (n, target) in targets.iter().enumerate() {
        let path = match target {
            Target::Path(path) | Target::Standard(path) | Target::Fetched { path, .. } => path,
            Target::Remote { source, .. } => {
                listed.push((false, Vec::new()));
                let place = Place::Remote(Arc::clone(source));
                jobs.push(Job { target: n, name: target.name(), place });
                continue;
            }
        };
        let found = file::list(path)?;
        listed.push((found.folder, found.left_out));
        jobs.extend(found.files.into_iter().map(|(below, path)| Job {
            target: n,
            name: below.unwrap_or_else(|| target.name()),
            place: Place::File(path),
        }));
    }
    let (done, stopped) = work(&jobs, wishes);
    let mut results = Vec::with_capacity(targets.len());
    let mut done = jobs.iter().zip(done).peekable();
    for (n, target) in targets.iter().enumerate() {
        let mut mine = Vec::new();
        while let Some((job, file)) = done.next_if(|(job, _)| job.target == n) {
            mine.push((job, file));
        }
        let (folder, left_out) = listed.get(n).cloned().unwrap_or_default();
        results.push(result(target, folder, left_out, mine, wishes));
    }
    Ok(report(results, stopped))
}

/// Scans the jobs on as many threads as wished; results in the order of the jobs.
fn work(jobs: &[Job], wishes: &Wishes<'_>) -> (Vec<OneFile>, bool) {
    let next = AtomicUsize::new(0);
    let finished = AtomicUsize::new(0);
    let slots: Vec<Mutex<Option<OneFile>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let run = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(n) else { return };
            if (wishes.stop)() {
                return;
            }
            let file = one_file(job, wishes);
            if let Some(slot) = slots.get(n) {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
            }
            (wishes.progress)(finished.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
        }
    };
    let threads = wishes.threads.clamp(1, jobs.len().max(1));
    if threads == 1 {
        run();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(run);
            }
        });
    }
    let files: Vec<Option<OneFile>> =
        slots.into_iter().map(|s| s.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
    let stopped = files.iter().any(Option::is_none);
    let unscanned = |job: &Job| {
        let mut part = Part::new(&job.name, "unknown", 0);
        part.unread.push(artifact::Unread {
            byte: None,
            reason: "the scan was stopped before this file".to_owned(),
        });
        OneFile { part, digest: None }
    };
    (files.into_iter().zip(jobs).map(|(f, job)| f.unwrap_or_else(|| unscanned(job))).collect(), stopped)
}

/// What one file gave.
struct OneFile {
    part: Part,
    digest: Option<Digest>,
}

/// Reads one file once: digest and scan.
fn one_file(job: &Job, wishes: &Wishes<'_>) -> OneFile {
    let unreadable = |reason: String| {
        let mut part = Part::new(&job.name, "unknown", 0);
        part.unread.push(artifact::Unread { byte: None, reason });
        OneFile { part, digest: None }
    };
    let path = match &job.place {
        Place::File(path) => path,
        // Read in parts, so nobody knows the digest of the whole.
        Place::Remote(source) => {
            let part = artifact::scan(&job.name, source.as_ref(), &wishes.limits);
            return OneFile { part, digest: None };
        }
    };
    let source = match FileSource::open(path, wishes.limits.memory_max) {
        Ok(source) => source,
        Err(error) => return unreadable(format!("cannot open the file: {error}")),
    };
    let digest = match source.digest() {
        Ok(digest) => digest,
        Err(error) => return unreadable(format!("cannot read the file: {error}")),
    };
    let remembered = wishes.cache.as_ref().and_then(|c| c.get(&digest, &job.name, source.len()));
    let part = remembered.unwrap_or_else(|| {
        let part = artifact::scan(&job.name, &source, &wishes.limits);
        if let Some(cache) = &wishes.cache {
            cache.put(&digest, &part);
        }
        part
    });
    OneFile { part, digest: Some(digest) }
}

fn result(
    target: &Target,
    folder: bool,
    left_out: Vec<String>,
    files: Vec<(&Job, OneFile)>,
    wishes: &Wishes<'_>,
) -> Scanned {
    let named = target.named();
    let digests: BTreeMap<String, Digest> =
        files.iter().filter_map(|(job, file)| Some((job.name.clone(), file.digest?))).collect();
    let ids: Vec<Option<Digest>> = files.iter().map(|(_, file)| file.digest).collect();
    let (part, digest) = if folder {
        let nowhere = PathBuf::new();
        let path = |job: &Job| match &job.place {
            Place::File(path) => path.clone(),
            Place::Remote(_) => nowhere.clone(),
        };
        let sources: Vec<FileSource> =
            files.iter().map(|(job, file)| FileSource::later(&path(job), file.part.bytes)).collect();
        let members: Vec<Member<'_>> =
            files.iter().zip(&sources).map(|((job, _), s)| Member { name: &job.name, source: s }).collect();
        let name = target.name();
        let parts = files.iter().map(|(_, file)| file.part.clone()).collect();
        let mut part = artifact::join(&name, &members, parts, &wishes.limits);
        part.unread.extend(left_out.into_iter().map(|reason| artifact::Unread { byte: None, reason }));
        (part, None)
    } else {
        let first = files.into_iter().next().map(|(_, file)| (file.part, file.digest));
        first.unwrap_or_else(|| (Part::new(&named, "unknown", 0), None))
    };
    let (verdict, allowed) = if folder {
        let files: Vec<(Digest, &Part)> = ids
            .iter()
            .zip(&part.parts)
            .map(|(digest, part)| (digest.unwrap_or_else(|| Digest::of(b"")), part))
            .collect();
        wishes.policy.judge(&files, Some(&part), wishes.now)
    } else {
        wishes.policy.judge(&[(digest.unwrap_or_else(|| Digest::of(b"")), &part)], None, wishes.now)
    };
    let digests = if folder { digests } else { BTreeMap::new() };
    let says = words::plain(&part, verdict, &allowed);
    Scanned { target: named, verdict, says, digest, digests, allowed, part }
}

fn report(results: Vec<Scanned>, stopped: bool) -> Report {
    let mut summary = BTreeMap::new();
    for result in &results {
        *summary.entry(result.verdict.as_str().to_owned()).or_insert(0) += 1;
    }
    let worst = results.iter().map(|r| r.verdict).max().unwrap_or(Verdict::Clean);
    Report {
        schema: SCHEMA.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        rules: artifact::entries().count(),
        verdict: if stopped { worst.max(Verdict::Inconclusive) } else { worst },
        summary,
        results,
        stopped,
    }
}

impl Report {
    /// Exit code of the command line: 0 clean, 1 found, 2 inconclusive.
    pub fn exit(&self) -> u8 {
        match self.verdict {
            Verdict::Clean => 0,
            Verdict::Found => 1,
            Verdict::Inconclusive => 2,
        }
    }
}

/// Findings that count, worst first.
pub(crate) fn counted(part: &Part, from: Severity) -> Vec<&domain::Finding> {
    let mut findings: Vec<_> = part.all_findings().filter(|f| f.severity >= from).collect();
    findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    findings
}
