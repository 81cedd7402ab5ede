//! A hospital in work: configuration, ledger, state and everything known of its systems, behind one handle.
//!
//! The ledger is the truth; the state database is a projection of it for quick reading, and is brought up to date from
//! the ledger at every start. So a crash between the two loses nothing.

mod memory;
mod open;
mod picture;
mod project;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use access::{Action, Policies, Principal, Resource};
use arc_swap::ArcSwap;
use domain::{Acceptance, Clock, Control, Evidence, Record, Stage, Subject, SystemId, Timestamp};
use store::blobs::Blobs;
use store::db::Db;
use store::log::Log;

use crate::AppError;
use crate::config::{ModelSource, Settings, SystemSettings};
use crate::gate::{self, GateReport, Knowledge};
use crate::live::Live;
use crate::subjects::{self, FileDigests};

pub(crate) use memory::state;
pub use open::{Opening, random, write_secret};
pub(crate) use open::{load_policies, private_folder};
pub use picture::ended;

/// Evidence kept in memory per system; older pieces stay in ledger and state.
const EVIDENCE_MAX: usize = 512;

/// Where everything lies below the data directory.
#[derive(Debug, Clone)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// Below `root`.
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }
    /// The data directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// The example hospital's folder.
    pub fn example(&self) -> PathBuf {
        self.root.join("hospital")
    }
    /// The state database.
    pub fn state(&self) -> PathBuf {
        self.root.join("state.sqlite3")
    }
    /// The ledger's folder.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }
    /// Content-addressed models and fitted guards.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }
    /// Exercises and scorecards.
    pub fn exercises(&self) -> PathBuf {
        self.root.join("exercises")
    }
    /// Secret keys.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }
    /// The ledger's signing key.
    pub fn ledger_key(&self) -> PathBuf {
        self.keys().join("ledger.key")
    }
    /// The socket through which the command line reaches a running program.
    pub fn control_socket(&self) -> PathBuf {
        self.root.join("control.sock")
    }
}

/// What is known of one system from the ledger.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    pub(crate) evidence: Vec<(u64, Evidence)>,
    pub(crate) acceptances: Vec<Acceptance>,
}

/// An entry on its way from the ledger into the state.
struct Pending<'a> {
    hospital: &'a Hospital,
    index: u64,
    done: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.done {
            let mut lowest = self.hospital.unprojected.lock().unwrap_or_else(PoisonError::into_inner);
            *lowest = Some(lowest.map_or(self.index, |at| at.min(self.index)));
        }
    }
}

/// The handle. Cheap to share in an `Arc`.
pub struct Hospital {
    pub(crate) paths: Paths,
    pub(crate) config_path: PathBuf,
    pub(crate) settings: ArcSwap<Settings>,
    pub(crate) policies: ArcSwap<Policies>,
    pub(crate) controls: Vec<Control>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Arc<Log>,
    pub(crate) db: Db,
    pub(crate) blobs: Blobs,
    pub(crate) live: Live,
    pub(crate) files: FileDigests,
    pub(crate) digest_key: [u8; 32],
    pub(crate) facts: Mutex<BTreeMap<SystemId, Facts>>,
    pub(crate) gates: Mutex<BTreeMap<SystemId, (GateReport, domain::Digest)>>,
    /// The lowest ledger position that is not in the state yet, if a projection failed or was cut off.
    pub(crate) unprojected: Mutex<Option<u64>>,
    pub(crate) admitting: tokio::sync::Mutex<()>,
    pub(crate) changed: tokio::sync::Notify,
    pub(crate) kept_budgets: tokio::sync::Mutex<BTreeMap<domain::ClientId, (i64, u64)>>,
    pub(crate) shut_out: std::sync::atomic::AtomicUsize,
    pub(crate) kept_decisions: std::sync::atomic::AtomicU64,
    pub(crate) exercises: crate::exercises::Exercises,
    pub(crate) loaded: Mutex<BTreeMap<(SystemId, u64), Arc<crate::serving::Loaded>>>,
}

impl Hospital {
    /// Where everything lies.
    pub const fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The configuration in force.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// The policies in force.
    pub fn policies(&self) -> Arc<Policies> {
        self.policies.load_full()
    }

    /// The ledger.
    pub const fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What is going on.
    pub const fn live(&self) -> &Live {
        &self.live
    }

    /// Exercises and scorecards.
    pub const fn exercises(&self) -> &crate::exercises::Exercises {
        &self.exercises
    }

    /// Key of the digests of requests in the ledger.
    pub const fn digest_key(&self) -> [u8; 32] {
        self.digest_key
    }

    /// Waits until what is served may have to change: a gate, a key, a quarantine, the configuration.
    pub async fn serving_changed(&self) {
        self.changed.notified().await;
    }

    /// Says that what is served may have to change.
    pub(crate) fn touch_serving(&self) {
        self.changed.notify_one();
        self.live.touch();
    }

    /// Whether `who` may do `action` on `on`.
    pub fn may(&self, who: &Principal, action: Action, on: &Resource) -> bool {
        self.policies.load().decide(who, action, on).allowed
    }

    /// Demands that `who` may do `action` on `on`.
    pub(crate) fn demand(&self, who: &Principal, action: Action, on: &Resource) -> Result<(), AppError> {
        if self.may(who, action, on) {
            return Ok(());
        }
        let why = format!("none of the roles of this account allows it on {on}; see docs/access.md");
        Err(AppError::Forbidden { who: who.id().to_string(), action: action.to_string(), why })
    }

    /// The configured system of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn system(&self, id: &SystemId) -> Result<SystemSettings, AppError> {
        let settings = self.settings.load();
        settings.systems.get(id).cloned().ok_or_else(|| AppError::UnknownSystem(id.to_string()))
    }

    /// Says whether a system of that name is configured, a language model or another.
    ///
    /// # Errors
    /// When there is none.
    pub fn known(&self, id: &SystemId) -> Result<(), AppError> {
        let settings = self.settings.load();
        let known = settings.systems.contains_key(id) || settings.language.contains_key(id);
        if known { Ok(()) } else { Err(AppError::UnknownSystem(id.to_string())) }
    }

    /// The present content of a system.
    pub(crate) fn subjects(&self, system: &SystemSettings) -> Vec<Subject> {
        subjects::present(&self.settings.load(), system, &self.files)
    }

    pub(crate) fn facts(&self) -> MutexGuard<'_, BTreeMap<SystemId, Facts>> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges a gate now.
    ///
    /// # Errors
    /// When there is no such system.
    pub fn gate(&self, id: &SystemId, stage: Stage) -> Result<GateReport, AppError> {
        let system = self.system(id)?;
        Ok(self.gate_for(id, stage, &self.subjects(&system)))
    }

    /// Judges a gate for given content.
    pub(crate) fn gate_for(&self, id: &SystemId, stage: Stage, subjects: &[Subject]) -> GateReport {
        let facts = self.facts().get(id).cloned().unwrap_or_default();
        let known = Knowledge {
            system: id,
            subjects,
            evidence: &facts.evidence,
            acceptances: &facts.acceptances,
            now: self.now(),
            place: self.place_of(id),
        };
        gate::judge(&self.controls, stage, &known)
    }

    /// Where the model of a system runs; what is not configured counts as a file, which asks for more.
    pub(crate) fn place_of(&self, id: &SystemId) -> domain::Place {
        match self.settings.load().systems.get(id).map(|s| &s.model) {
            Some(ModelSource::Remote(_)) => domain::Place::Remote,
            _ => domain::Place::File,
        }
    }

    /// Writes a record into the ledger, waits until it is durable, then brings the state up to date.
    ///
    /// # Errors
    /// When the ledger or the state cannot be written; what is in the ledger by then is projected at the next start.
    pub async fn record(&self, record: Record) -> Result<u64, AppError> {
        let bytes = serde_json::to_vec(&record).map_err(|e| AppError::Internal(e.to_string()))?;
        let appended =
            self.log.append_when_room(&bytes).await.map_err(|e| AppError::Ledger(e.to_string()))?;
        // Dropped before it is done, by an error or by a caller that went away, it keeps the anchor from passing this
        // entry, so that the next start applies it.
        let mut pending = Pending { hospital: self, index: appended.index(), done: false };
        let index = appended.durable().await.map_err(|e| AppError::Ledger(e.to_string()))?;
        self.project(index, &record).await?;
        pending.done = true;
        Ok(index)
    }

    /// An action worth proving.
    pub(crate) async fn record_action(
        &self,
        by: &str,
        action: &str,
        target: &str,
        reason: Option<&str>,
    ) -> Result<u64, AppError> {
        let cut = |text: &str| text.chars().take(500).collect::<String>();
        self.record(Record::Action {
            at: self.now(),
            by: by.to_owned(),
            action: action.to_owned(),
            target: cut(target),
            reason: reason.map(cut),
        })
        .await
    }
}
