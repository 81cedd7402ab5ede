//! The picture that the console and the terminal show: one snapshot of everything, assembled from live and durable state.

use domain::{ClientId, Stage, SystemId, Timestamp};
use serde::Serialize;

use crate::gate::GateReport;
use crate::live::{AlarmRow, ClientCounts, Decision, RehearsalStep, SystemCounts};

/// Whether a system answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Serving {
    /// Answers with its present version.
    Open,
    /// Answers with the last admitted version, because the present one's gate is shut.
    Fallback {
        /// Controls that keep the present version out.
        because: Vec<String>,
    },
    /// Does not answer: the gate is shut.
    Shut {
        /// Controls that keep it shut.
        because: Vec<String>,
    },
    /// Does not answer: somebody stopped it.
    Suspended {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

impl Serving {
    /// One word for pages.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Fallback { .. } => "fallback",
            Self::Shut { .. } => "shut",
            Self::Suspended { .. } => "suspended",
        }
    }
}

/// One guard of a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuardLine {
    /// Instance name.
    pub name: String,
    /// Catalogue id.
    pub check: String,
    /// `observe`, `flag` or `block`.
    pub mode: String,
}

/// One system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SystemCard {
    /// Name.
    pub id: SystemId,
    /// Title.
    pub title: String,
    /// What it is for.
    pub purpose: String,
    /// Who answers for it.
    pub owner: String,
    /// Whether it answers.
    pub serving: Serving,
    /// First digits of the digest of the model that answers.
    pub model: Option<String>,
    /// `in process` or the remote server's address.
    pub place: String,
    /// The highest stage whose gate is open.
    pub stage: Option<Stage>,
    /// The gate of routine use: all controls with their states.
    pub gate: GateReport,
    /// Its guards.
    pub guards: Vec<GuardLine>,
    /// Counts.
    pub counts: SystemCounts,
}

/// One client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientCard {
    /// Name.
    pub id: ClientId,
    /// Title.
    pub title: String,
    /// Counts.
    pub counts: ClientCounts,
    /// Who quarantined it, if somebody did.
    pub quarantined_by: Option<String>,
    /// Rows asked today, and the budget.
    pub rows_today: u64,
    /// Rows a day.
    pub rows_per_day: u64,
}

/// The head of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerHead {
    /// Entries.
    pub size: u64,
    /// Root hash, hexadecimal.
    pub root: String,
    /// When the ledger was last verified from end to end.
    pub verified_at: Option<Timestamp>,
}

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overview {
    /// Name of the hospital.
    pub hospital: String,
    /// The moment.
    pub at: Timestamp,
    /// The ledger.
    pub ledger: LedgerHead,
    /// All systems.
    pub systems: Vec<SystemCard>,
    /// All clients that were seen or are configured.
    pub clients: Vec<ClientCard>,
    /// Alarms, newest first: all unacknowledged and some others.
    pub alarms: Vec<AlarmRow>,
    /// Decisions, newest first.
    pub decisions: Vec<Decision>,
    /// Callers turned away before an exchange opened, by code.
    pub rejected: Vec<(String, u64)>,
    /// The rehearsal, empty when there is none.
    pub rehearsal: Vec<RehearsalStep>,
}
