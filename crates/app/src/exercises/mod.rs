//! Exercises as people start them at the desk: one at a time, beside the traffic, kept on disk so that neither a closed browser nor a restart loses
//! anything. The exercise itself is [`crate::exercise::run`], the evidence that of the command line.
//!
//! Below `exercises/` of the data directory: `jobs/ID/` holds what was asked (`order.json`), what is finished so far (`state/`), the scorecard and how it
//! ended (`end.json`); `received/` holds scorecards from elsewhere; files beside them are those of the command line. What stands there is written
//! beside its place and renamed.

mod compare;
mod follow;
mod list;
mod name;
mod order;
mod receive;
mod remove;
mod run;
mod shelf;
mod start;
mod stop;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use attack::Norm;
use attack::scorecard::{Row, Scorecard, Share};
use domain::{SystemId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

pub use compare::{Compared, compare};
pub use list::{Listing, Offer, job, listing, scorecard};
pub use name::CardId;
pub use order::{MINUTES_MAX, Order, SAMPLES_MAX};
pub use receive::{RECEIVED_BYTES_MAX, checked, receive};
pub use remove::remove;
pub use start::{resume, start};
pub use stop::{end, stop};

/// Changes that a slow reader may fall behind before it is told that it missed some; it looks again in any case.
const CHANGES_MAX: usize = 32;

/// How an exercise stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It runs.
    Running,
    /// Somebody asked it to stop; it ends with the piece that it works on.
    Stopping,
    /// The program ended before it did. It can go on.
    CutOff,
    /// It was stopped, or its time was spent; what was done is kept and it can go on.
    Stopped,
    /// It could not be run, or its scorecard could not be kept. It can be tried again.
    Failed,
    /// Everything is done.
    Finished,
}

impl JobState {
    /// Whether it can go on.
    pub const fn can_resume(self) -> bool {
        matches!(self, Self::CutOff | Self::Stopped | Self::Failed)
    }

    /// Whether it runs now.
    pub const fn runs(self) -> bool {
        matches!(self, Self::Running | Self::Stopping)
    }
}

/// How far an exercise is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// All units; 0 before the first piece.
    pub total: u64,
    /// What is being done.
    pub step: String,
    /// Seconds it will probably still take, by the pace of the last seconds; none while that is not known.
    pub remaining_s: Option<u64>,
}

/// How an exercise ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// Why it did not come to its end; none for a finished one.
    #[serde(default)]
    pub why: Option<String>,
    /// Whether `why` is an error and not somebody's wish.
    #[serde(default)]
    pub failed: bool,
    /// Position of its evidence in the ledger; only what is complete is evidence.
    #[serde(default)]
    pub evidence: Option<u64>,
    /// The figures in short; none where there is no scorecard.
    #[serde(default)]
    pub summary: Option<Summary>,
}

/// An exercise started at the desk.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its name.
    pub id: CardId,
    /// What was asked.
    pub order: Order,
    /// Who asked.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How it stands.
    pub state: JobState,
    /// How far it is, while it runs.
    pub progress: Progress,
    /// What should be read: what was noticed in the data, a wait.
    pub notes: Vec<String>,
    /// `image` or `table`; empty before the first step is finished.
    pub kind: String,
    /// The steps that are finished on all samples, in their order.
    pub rows: Vec<Row>,
    /// What is finished and has no budgets (a condition, a search): what it is, and what it showed.
    pub said: Vec<(String, String)>,
    /// How it ended.
    pub ended: Option<Ended>,
}

/// Where a scorecard comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Started at the desk.
    Desk,
    /// Run by the command line on a system of this hospital.
    CommandLine,
    /// Sent by somebody else.
    Elsewhere {
        /// By whom, as the person wrote who brought it in.
        from: String,
    },
}

/// A scorecard that is kept here.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Its name.
    pub id: CardId,
    /// Where it comes from.
    pub source: Source,
    /// When it was written here.
    pub at: Timestamp,
    /// Its figures in short.
    pub summary: Summary,
}

/// The worst that attacks did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WorstCase {
    /// How the change is measured.
    pub norm: Norm,
    /// Its size, in the unit box.
    pub epsilon: f64,
    /// Share that is still right.
    pub robust: Share,
}

/// A scorecard in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// The system, where it names one.
    pub system: Option<String>,
    /// The model.
    pub model: String,
    /// `image` or `table`.
    pub kind: String,
    /// Name of the suite.
    pub suite: String,
    /// Its version.
    pub version: u32,
    /// Digest of its content.
    pub suite_digest: String,
    /// Seed.
    pub seed: u64,
    /// Samples.
    pub samples: usize,
    /// Whether everything was done.
    pub complete: bool,
    /// Accuracy without an attack.
    pub clean: Share,
    /// The lowest accuracy under attack, over all norms and budgets.
    pub worst: Option<WorstCase>,
    /// Share of the right answers that stand the smallest budgets.
    pub kept: Option<f64>,
}

impl Summary {
    /// Of a scorecard.
    pub fn of(card: &Scorecard) -> Self {
        let tried = card.worst.iter().filter(|w| w.robust.all.of > 0);
        let worst = tried.min_by(|a, b| a.robust.all.share.total_cmp(&b.robust.all.share));
        Self {
            system: card.subject.system.clone(),
            model: card.subject.model.clone(),
            kind: card.subject.kind.clone(),
            suite: card.suite.name.clone(),
            version: card.suite.version,
            suite_digest: card.suite_digest.clone(),
            seed: card.suite.seed,
            samples: card.samples.len(),
            complete: card.complete,
            clean: card.clean.all,
            worst: worst.map(|w| WorstCase { norm: w.norm, epsilon: w.epsilon, robust: w.robust.all }),
            kept: card.kept(),
        }
    }
}

/// The exercises of one data directory: which one runs, and where all of them lie.
pub struct Exercises {
    folder: PathBuf,
    /// The one that runs. One at a time, on one thread: the gateway answers beside it.
    running: Mutex<Option<Arc<follow::Running>>>,
    shelf: shelf::Shelf,
    changes: broadcast::Sender<()>,
}

impl Exercises {
    /// Those below `folder`, which need not be there yet.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self {
            shelf: shelf::Shelf::default(),
            running: Mutex::default(),
            changes: broadcast::channel(CHANGES_MAX).0,
            folder,
        }
    }

    /// Follows changes: an exercise got farther, began, ended; a scorecard came or went.
    pub fn subscribe(&self) -> broadcast::Receiver<()> {
        self.changes.subscribe()
    }

    fn touch(&self) {
        let _ = self.changes.send(());
    }

    fn running(&self) -> MutexGuard<'_, Option<Arc<follow::Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one of that name, if it runs.
    fn running_as(&self, id: &CardId) -> Option<Arc<follow::Running>> {
        self.running().as_ref().filter(|r| r.id == *id).map(Arc::clone)
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn jobs(&self) -> PathBuf {
        self.folder.join("jobs")
    }

    fn job_folder(&self, id: &CardId) -> PathBuf {
        self.jobs().join(id.as_str())
    }

    fn received(&self) -> PathBuf {
        self.folder.join("received")
    }
}

/// The system that a scorecard is about, if it names one of those.
fn system_of(summary: &Summary) -> Option<SystemId> {
    summary.system.as_deref().and_then(|s| s.parse().ok())
}
