//! L4: the data plane: one readable path from a request to a screened, audited reply.
//!
//! [`Gateway::infer`] is that path, and [`Gateway::talk`] the same one for language models. What it serves is a [`Snapshot`], made by the control plane and swapped as a whole;
//! what it says instead of an answer is a [`Refusal`]; what others see of it are [`Event`]s and [`Metrics`].

mod audit;
mod budget;
mod entry;
mod event;
mod gateway;
mod journal;
mod keyed;
mod language;
mod limits;
mod local;
mod metrics;
mod model;
mod refusal;
mod refusal_entries;
mod refusal_entries_text;
mod screen;
mod snapshot;
mod talk;
mod talk_call;

pub use audit::{AuditReceipt, PLACES_MAX, REJECTION_KINDS_MAX};
pub use budget::{Budget, BudgetUsage};
pub use event::{Event, Exchange, Message, REHEARSAL_PREFIX, is_rehearsal};
pub use gateway::{Answer, Arrival, Gateway, Parts};
pub use journal::{Durable, Journal, JournalError, Pending};
pub use keyed::DigestKey;
pub use language::{LanguageParts, LanguageServed, LanguageState, LanguageVersion, ServedUpstream};
pub use limits::Limits;
pub use local::{INLINE_US_MAX, LocalModel};
pub use metrics::{BUCKETS_US, Histogram, Metrics, SERIES_MAX};
pub use refusal::{Refusal, Refused};
pub use refusal_entries::ENTRIES;
pub use snapshot::{Backend, CONCURRENCY_DEFAULT, Served, ServingState, Snapshot, Version, VersionParts};
pub use talk::{TalkAnswer, TalkArrival, TalkReply};
pub use talk_call::Outlet;
