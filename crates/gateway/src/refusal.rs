//! What the gateway answers instead of a model's output. Each refusal has a stable code, a page in the catalogue and a
//! next step for the caller; its status on the wire is decided in `api` alone.

use domain::{Digest, Entry, GuardVerdict, SystemId};

use crate::refusal_entries as entries;

/// A refusal. The message is for the caller: it may repeat names the caller sent, never a patient's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// E001: the body is not what the protocol asks for.
    #[error("the request is malformed: {detail}")]
    Malformed {
        /// What is wrong and where.
        detail: String,
    },
    /// E002: body, batch or a count in the request is above the limit.
    #[error("the request is too large: {detail}")]
    TooLarge {
        /// What is too large, and the limit.
        detail: String,
    },
    /// E003: the content type is not one the address reads.
    #[error(
        "media type `{media_type}` is not read here; send `application/json` or `application/octet-stream`"
    )]
    UnsupportedMediaType {
        /// What was declared.
        media_type: String,
    },
    /// E004: no such system.
    #[error("system `{system}` is not known here; `GET /v2` and your administrator name those that are")]
    UnknownSystem {
        /// What was asked for, cut to 80 characters.
        system: String,
    },
    /// E005: no key came with the request.
    #[error("no API key came with the request; send `Authorization: Bearer <key>`")]
    NoKey,
    /// E006: the key opens nothing here.
    #[error("the API key is not known here; check it for missing characters, or ask for a new one")]
    BadKey,
    /// E007: the key has expired or was revoked.
    #[error("the API key is no longer valid; ask for a new one")]
    ExpiredKey,
    /// E008: the policies do not allow it.
    #[error("this key may not {action}; ask an administrator for the role or the scope")]
    NotAllowed {
        /// What was wanted, in words.
        action: String,
    },
    /// E009: the client is in quarantine.
    #[error("this client is in quarantine: {reason}; speak with the security team before going on")]
    Quarantined {
        /// Why, as written by who put it there.
        reason: String,
    },
    /// E010: too many requests in a short time.
    #[error("too many requests; wait {retry_after_s} s and slow down")]
    RateLimited {
        /// Seconds until the next request can pass.
        retry_after_s: u32,
    },
    /// E011: the day's budget of rows is used up.
    #[error("the budget of {rows_max} rows a day is used up; it renews at midnight UTC")]
    BudgetUsedUp {
        /// The budget.
        rows_max: u64,
    },
    /// E012: the deployment gate is shut.
    #[error("the deployment gate of `{system}` is shut: {}; no version may answer until the evidence is there", because.join(", "))]
    GateShut {
        /// The system.
        system: SystemId,
        /// Ids of the controls that keep it shut.
        because: Vec<String>,
    },
    /// E013: a person stopped the system.
    #[error("`{system}` was suspended by {by}: {reason}")]
    Suspended {
        /// The system.
        system: SystemId,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// E014: a guard refused the request.
    #[error("the request was refused by {}; the verdicts say what to check", quoted(guards))]
    Blocked {
        /// Names of the guards that block.
        guards: Vec<String>,
    },
    /// E015: a guard withheld the answer.
    #[error("the answer was withheld by {}; decide without it", quoted(guards))]
    Withheld {
        /// Names of the guards that block.
        guards: Vec<String>,
    },
    /// E016: the model did not compute.
    #[error("the model failed: {detail}")]
    ModelFailed {
        /// What happened, no patient's value.
        detail: String,
    },
    /// E017: the model server cannot be reached.
    #[error("the model server of `{system}` cannot be reached; try later, the platform team is alerted")]
    UpstreamUnreachable {
        /// The system.
        system: SystemId,
    },
    /// E018: the model server did not answer in time.
    #[error("the model server of `{system}` did not answer in time; try later")]
    UpstreamTimeout {
        /// The system.
        system: SystemId,
    },
    /// E019: the model server's answer is not what the protocol says.
    #[error("the model server's answer was refused: {detail}")]
    UpstreamBadReply {
        /// What is wrong.
        detail: String,
    },
    /// E020: the model server failed repeatedly and is left alone for a while.
    #[error("the model server of `{system}` failed repeatedly and is given {retry_after_s} s to recover")]
    CircuitOpen {
        /// The system.
        system: SystemId,
        /// Seconds until the next attempt.
        retry_after_s: u32,
    },
    /// E021: too many exchanges at once.
    #[error("the gateway is busy; try again in {retry_after_s} s")]
    Busy {
        /// Seconds to wait.
        retry_after_s: u32,
    },
    /// E022: the ledger cannot be written, so nothing is answered.
    #[error("the ledger cannot be written, so nothing is answered; the platform team must look at the disk")]
    LedgerUnavailable,
    /// E023: the exchange took longer than its limit.
    #[error("no answer within the limit of {limit_ms} ms; send a smaller batch or try later")]
    TimedOut {
        /// The limit.
        limit_ms: u64,
    },
    /// E024: the caller went away before the end. Never sent; written in the ledger.
    #[error("the caller closed the connection before the answer")]
    CallerGone,
    /// E025: the system has no such version.
    #[error("`{system}` does not serve version `{version}`; leave the version out to get the admitted one")]
    UnknownVersion {
        /// The system.
        system: SystemId,
        /// What was asked for, cut to 80 characters.
        version: String,
    },
    /// E026: no such address.
    #[error("there is nothing at this address; the OpenAPI document lists what there is")]
    NoSuchAddress,
    /// E027: the address does not take this method.
    #[error("this address does not take `{method}`")]
    MethodNotAllowed {
        /// What came.
        method: String,
    },
    /// E028: the body did not arrive in time.
    #[error("the request's body did not arrive within {limit_ms} ms; send it without pauses")]
    TooSlow {
        /// The limit.
        limit_ms: u64,
    },
    /// E029: the model server refused the request itself.
    #[error("the model server refused the request: `{code}`; correct the request")]
    UpstreamDeclined {
        /// The server's short word for why.
        code: String,
    },
    /// E030: the day's budget of tokens is used up.
    #[error("the budget of {tokens_max} tokens a day is used up; it renews at midnight UTC")]
    TokensUsedUp {
        /// The budget.
        tokens_max: u64,
    },
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

impl Refusal {
    /// The page in the catalogue.
    pub fn entry(&self) -> &'static Entry {
        match self {
            Self::Malformed { .. } => &entries::E001,
            Self::TooLarge { .. } => &entries::E002,
            Self::UnsupportedMediaType { .. } => &entries::E003,
            Self::UnknownSystem { .. } => &entries::E004,
            Self::NoKey => &entries::E005,
            Self::BadKey => &entries::E006,
            Self::ExpiredKey => &entries::E007,
            Self::NotAllowed { .. } => &entries::E008,
            Self::Quarantined { .. } => &entries::E009,
            Self::RateLimited { .. } => &entries::E010,
            Self::BudgetUsedUp { .. } => &entries::E011,
            Self::GateShut { .. } => &entries::E012,
            Self::Suspended { .. } => &entries::E013,
            Self::Blocked { .. } => &entries::E014,
            Self::Withheld { .. } => &entries::E015,
            Self::ModelFailed { .. } => &entries::E016,
            Self::UpstreamUnreachable { .. } => &entries::E017,
            Self::UpstreamTimeout { .. } => &entries::E018,
            Self::UpstreamBadReply { .. } => &entries::E019,
            Self::CircuitOpen { .. } => &entries::E020,
            Self::Busy { .. } => &entries::E021,
            Self::LedgerUnavailable => &entries::E022,
            Self::TimedOut { .. } => &entries::E023,
            Self::CallerGone => &entries::E024,
            Self::UnknownVersion { .. } => &entries::E025,
            Self::NoSuchAddress => &entries::E026,
            Self::MethodNotAllowed { .. } => &entries::E027,
            Self::TooSlow { .. } => &entries::E028,
            Self::UpstreamDeclined { .. } => &crate::refusal_entries_text::E029,
            Self::TokensUsedUp { .. } => &crate::refusal_entries_text::E030,
        }
    }

    /// The stable code, `E001` and so on.
    pub fn code(&self) -> &'static str {
        self.entry().id
    }

    /// Its short name, `malformed-request` and so on.
    pub fn name(&self) -> &'static str {
        self.entry().name
    }

    /// One sentence on what to do next.
    pub fn what_to_do(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "correct the request; the OpenAPI document shows its form",
            Self::TooLarge { .. } => "send fewer rows in a request",
            Self::UnsupportedMediaType { .. } => "set the content type to `application/json`",
            Self::UnknownSystem { .. } => "check the system's name",
            Self::NoKey | Self::BadKey | Self::ExpiredKey => {
                "ask your administrator for a key (`asepsis key create`)"
            }
            Self::NotAllowed { .. } => "ask your administrator for the role or the scope",
            Self::Quarantined { .. } => "speak with the security team",
            Self::RateLimited { .. } | Self::Busy { .. } => {
                "wait as long as `Retry-After` says, then try again"
            }
            Self::BudgetUsedUp { .. } | Self::TokensUsedUp { .. } => {
                "ask the owner of the system for a larger budget, or wait until midnight UTC"
            }
            Self::GateShut { .. } => {
                "decide without the system; its owner sees what is owed with `asepsis gate`"
            }
            Self::Suspended { .. } => "decide without the system until it is resumed",
            Self::Blocked { .. } => {
                "check the named values against the patient's record and send the request again"
            }
            Self::Withheld { .. } => "decide without the system for this patient",
            Self::ModelFailed { .. } => "decide without the system and tell its owner",
            Self::UpstreamUnreachable { .. } | Self::UpstreamTimeout { .. } | Self::CircuitOpen { .. } => {
                "decide without the system and try later"
            }
            Self::UpstreamBadReply { .. } => "decide without the system and tell its owner",
            Self::LedgerUnavailable => {
                "decide without the system; the platform team must make the ledger writable"
            }
            Self::TimedOut { .. } => "send a smaller batch or try later",
            Self::CallerGone => "nothing; no answer left the gateway",
            Self::UnknownVersion { .. } => "leave the version out",
            Self::NoSuchAddress | Self::MethodNotAllowed { .. } => {
                "check address and method in the OpenAPI document"
            }
            Self::TooSlow { .. } => "send the body at once",
            Self::UpstreamDeclined { .. } => "correct what the model server names, or use another model",
        }
    }

    /// Seconds to wait before trying again, where that helps.
    pub fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::RateLimited { retry_after_s }
            | Self::Busy { retry_after_s }
            | Self::CircuitOpen { retry_after_s, .. } => Some(*retry_after_s),
            _ => None,
        }
    }
}

/// A refusal with what the ledger and the guards say of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{refusal}")]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// Position of the closing entry; none when the exchange never opened.
    pub ledger_index: Option<u64>,
    /// The model, once one was chosen.
    pub model: Option<Digest>,
    /// What the guards said, as far as they came.
    pub verdicts: Vec<GuardVerdict>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, ledger_index: None, model: None, verdicts: Vec::new() }
    }
}

impl From<Refusal> for Box<Refused> {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.into())
    }
}

/// Cuts a caller's text so that no message grows with it.
pub fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_the_list() {
        let mut ids: Vec<_> = crate::ENTRIES.iter().map(|e| e.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), 30);
        assert!(crate::ENTRIES.iter().any(|e| e.id == Refusal::LedgerUnavailable.code()));
    }

    #[test]
    fn pages_have_their_headings() {
        for entry in crate::ENTRIES {
            for heading in domain::REQUIRED_HEADINGS {
                assert!(entry.doc.contains(heading), "{} lacks {heading}", entry.id);
            }
        }
    }

    #[test]
    fn messages_are_one_line_and_do_not_grow_with_the_callers_text() {
        let cutted = cut(&"x\n".repeat(500));
        assert_eq!(cutted.len(), 80);
        assert!(!Refusal::UnknownSystem { system: cutted }.to_string().contains('\n'));
    }
}
