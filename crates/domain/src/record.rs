//! What the ledger holds: one JSON line per entry. Digests and metadata only; no variant has a place for a patient's value.

use serde::{Deserialize, Serialize};

use crate::{
    Acceptance, Advice, ClientId, Digest, Evidence, GuardMode, OnInconclusive, Stage, SystemId, Timestamp,
};

/// One ledger entry. Serialised as JSON with the tag `type`; new variants may come, old ones stay readable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// The first entry of a ledger.
    Genesis {
        /// When.
        at: Timestamp,
        /// Version of the program.
        tool: String,
        /// Name of the hospital.
        origin: String,
    },
    /// A request came in, was parsed and may be served.
    Opened {
        /// When.
        at: Timestamp,
        /// Number of the exchange, the same in its closing entry: 16 random bytes in hexadecimal.
        exchange: String,
        /// Who calls.
        client: ClientId,
        /// Which system.
        system: SystemId,
        /// Keyed digest of the request: comparable within this ledger, not guessable outside it.
        request: Digest,
        /// Rows in the batch.
        rows: u32,
    },
    /// How it ended.
    Closed {
        /// When.
        at: Timestamp,
        /// Number of the exchange.
        exchange: String,
        /// Position of the opening entry.
        opened: u64,
        /// Model that answered; none when it was refused before the model ran.
        model: Option<Digest>,
        /// Keyed digest of the reply; none when there was none.
        reply: Option<Digest>,
        /// Stable code of the refusal; none when it was answered.
        refused: Option<String>,
        /// Advice given.
        advice: Advice,
        /// Guards that were not clean: instance name and `found` or `inconclusive` with the check ids.
        guards: Vec<GuardNote>,
        /// Time from arrival to this entry, in microseconds.
        took_us: u64,
    },
    /// A caller was turned away before an exchange opened (bad key, not allowed, over budget). Batched per second and
    /// kind so that a flood cannot fill the ledger.
    Rejected {
        /// When.
        at: Timestamp,
        /// Stable code.
        code: String,
        /// Who, where known.
        client: Option<ClientId>,
        /// Which system, where known.
        system: Option<SystemId>,
        /// How many in this second.
        count: u32,
    },
    /// Evidence.
    Evidence {
        /// The evidence.
        evidence: Evidence,
    },
    /// A person accepted a risk.
    Accepted {
        /// The acceptance.
        acceptance: Acceptance,
    },
    /// A gate opened or shut.
    Gate {
        /// When.
        at: Timestamp,
        /// Which system.
        system: SystemId,
        /// Which stage.
        stage: Stage,
        /// Whether it is open now.
        open: bool,
        /// Ids of the controls that keep it shut.
        because: Vec<String>,
        /// Model version served from now on; none when nothing is.
        serving: Option<Digest>,
    },
    /// A guard was loosened or tightened by configuration.
    GuardChanged {
        /// When.
        at: Timestamp,
        /// Which system.
        system: SystemId,
        /// Which instance.
        instance: String,
        /// Mode now; none when it was taken away.
        mode: Option<GuardMode>,
        /// What its doubt counts as now.
        on_inconclusive: Option<OnInconclusive>,
        /// True when the change lets more through than before.
        loosened: bool,
    },
    /// A person or the program did something else worth proving: key made, client quarantined, system stopped, configuration loaded.
    Action {
        /// When.
        at: Timestamp,
        /// Who.
        by: String,
        /// What, a stable word: `key-created`, `client-quarantined`, `system-suspended`, …
        action: String,
        /// On what.
        target: String,
        /// Why, as given.
        reason: Option<String>,
    },
    /// An alarm was raised.
    Alarm {
        /// When.
        at: Timestamp,
        /// Catalogue id of the alarm.
        alarm: String,
        /// Which system, where one.
        system: Option<SystemId>,
        /// Which client, where one.
        client: Option<ClientId>,
        /// What was seen, no patient's value.
        message: String,
    },
}

/// What a guard that was not clean left in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardNote {
    /// Name of the instance.
    pub instance: String,
    /// `found` or `inconclusive`.
    pub outcome: String,
    /// Feature names or places, bounded; no values.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub places: Vec<String>,
}

impl Record {
    /// The word in the entry's `type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Genesis { .. } => "genesis",
            Self::Opened { .. } => "opened",
            Self::Closed { .. } => "closed",
            Self::Rejected { .. } => "rejected",
            Self::Evidence { .. } => "evidence",
            Self::Accepted { .. } => "accepted",
            Self::Gate { .. } => "gate",
            Self::GuardChanged { .. } => "guard-changed",
            Self::Action { .. } => "action",
            Self::Alarm { .. } => "alarm",
        }
    }
}
