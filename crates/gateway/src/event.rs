//! What the gateway tells those who watch: the console's live page, alerts, the terminal. No patient's value has a
//! place in an event; verdict messages are the guards' own words, which never hold one.

use domain::{Advice, ClientId, GuardNote, SystemId, Timestamp};

/// Clients whose name starts so are rehearsing: their events are labelled.
pub const REHEARSAL_PREFIX: &str = "rehearsal-";

/// True when `client` only rehearses.
pub fn is_rehearsal(client: &ClientId) -> bool {
    client.as_str().starts_with(REHEARSAL_PREFIX)
}

/// Something that happened on the inference path.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An exchange ended, answered or refused.
    Exchange(Box<Exchange>),
    /// A caller was turned away before an exchange opened.
    Rejected {
        /// When.
        at: Timestamp,
        /// Stable code.
        code: &'static str,
        /// Who, where known.
        client: Option<ClientId>,
        /// Which system, where known.
        system: Option<SystemId>,
        /// Whether the client only rehearses.
        rehearsal: bool,
    },
}

/// One exchange, as seen from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// Position of the closing entry.
    pub ledger_index: u64,
    /// When it ended.
    pub at: Timestamp,
    /// Which system.
    pub system: SystemId,
    /// Who asked.
    pub client: ClientId,
    /// Rows in the batch.
    pub rows: u32,
    /// Advice given; `do not use` when refused.
    pub advice: Advice,
    /// Stable code of the refusal; none when answered.
    pub refused: Option<&'static str>,
    /// Guards that were not clean.
    pub guards: Vec<GuardNote>,
    /// What those guards said: instance, severity word, message, remedy.
    pub messages: Vec<Message>,
    /// From arrival to the closing entry, microseconds.
    pub took_us: u64,
    /// Time the model took, microseconds; 0 when it did not run.
    pub model_us: u64,
    /// Wait for the entries to be durable, microseconds.
    pub commit_wait_us: u64,
    /// Whether the client only rehearses.
    pub rehearsal: bool,
}

/// What one guard said of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Name of the guard instance.
    pub instance: String,
    /// Catalogue id.
    pub check: String,
    /// Severity word, or `inconclusive`.
    pub severity: String,
    /// What was seen.
    pub message: String,
    /// What to do.
    pub remedy: String,
}
