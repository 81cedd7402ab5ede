//! What goes wrong outside. Messages say whose turn it is; none holds a patient's value.

use std::fmt;

use domain::Phi;
use oip::WireError;

/// Text that another server wrote about a request. It may repeat the patient's values, so it is not printed.
pub struct Detail {
    text: Phi<String>,
    word: bool,
}

/// Longest text kept of what a server wrote, in bytes.
const DETAIL_BYTES_MAX: usize = 1_024;

impl Detail {
    pub(crate) fn new(mut text: String) -> Self {
        let end = (0..=DETAIL_BYTES_MAX).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
        text.truncate(end.min(text.len()));
        Self { text: Phi::new(text), word: false }
    }

    /// A word of a protocol, which is nobody's data.
    pub(crate) fn word(word: String) -> Self {
        Self { word: !word.is_empty(), text: Phi::new(word) }
    }

    /// The word of a protocol in which the server gave its reason, if it did.
    pub fn as_word(&self) -> Option<&str> {
        self.word.then(|| self.text.expose().as_str())
    }

    /// The text, for the caller whose patient it is about and for nobody else.
    pub const fn phi(&self) -> &Phi<String> {
        &self.text
    }
}

impl fmt::Debug for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Detail(not shown)")
    }
}

/// Why nothing usable came from outside.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The settings cannot work.
    #[error("{0}")]
    Settings(String),
    /// No connection.
    #[error("cannot reach {target}: {reason}; check that it runs, its address and the network between")]
    Unreachable {
        /// Who.
        target: String,
        /// What the connection failed of.
        reason: String,
    },
    /// No answer in time.
    #[error("{target} gave no answer within {after_ms} ms: see why it is slow, or allow more time")]
    Timeout {
        /// Who.
        target: String,
        /// The time allowed, in milliseconds.
        after_ms: u64,
    },
    /// It answered that it will not.
    #[error("{target} refused with {status}: {}", advice(status))]
    Refused {
        /// Who.
        target: String,
        /// `HTTP 404` or `gRPC NotFound`.
        status: String,
        /// What it wrote.
        detail: Detail,
    },
    /// It is asked too much and says when to come back.
    #[error("{target} refused with {status}: it asks to wait {retry_after_ms} ms")]
    AskedToWait {
        /// Who.
        target: String,
        /// `HTTP 429` or `HTTP 503`.
        status: String,
        /// How long it asks to wait (`Retry-After` in seconds, RFC 9110, 10.2.3), in milliseconds.
        retry_after_ms: u64,
    },
    /// Its answer is not one.
    #[error("the answer of {target} cannot be used: {reason}")]
    BadReply {
        /// Who.
        target: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More came than is let in.
    #[error("the answer of {target} is larger than {max} bytes: ask for less at once, or raise the limit")]
    TooLarge {
        /// Who.
        target: String,
        /// Bytes let in.
        max: u64,
    },
    /// It failed so often that it is left alone.
    #[error(
        "{target} failed several times in a row and is left alone for {retry_after_ms} ms: mend it, or wait"
    )]
    CircuitOpen {
        /// Who.
        target: String,
        /// When the next request may go out, in milliseconds from now.
        retry_after_ms: u64,
    },
    /// The request cannot be written in the way the server reads.
    #[error("the request cannot be sent: {0}")]
    Unsendable(#[from] WireError),
    /// What came is not what was published.
    #[error(
        "the file from {target} has another {algorithm} than published: it was not kept; try again, then ask the publisher"
    )]
    WrongDigest {
        /// From where.
        target: String,
        /// Which digest.
        algorithm: &'static str,
    },
    /// The file could not be written.
    #[error("cannot write `{path}`: {reason}")]
    File {
        /// Where to.
        path: String,
        /// What the system says.
        reason: String,
    },
}

impl UpstreamError {
    /// Stable short name for problem documents, logs and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Settings(_) => "upstream-settings",
            Self::Unreachable { .. } => "upstream-unreachable",
            Self::Timeout { .. } => "upstream-timeout",
            Self::Refused { .. } | Self::AskedToWait { .. } => "upstream-refused",
            Self::BadReply { .. } => "upstream-bad-reply",
            Self::TooLarge { .. } => "upstream-too-large",
            Self::CircuitOpen { .. } => "upstream-circuit-open",
            Self::Unsendable(_) => "upstream-unsendable",
            Self::WrongDigest { .. } => "download-wrong-digest",
            Self::File { .. } => "download-file",
        }
    }

    /// How long to wait before asking again, in milliseconds, when the server is asked too much; 0 when it does not say how long. `None` when waiting
    /// would not help.
    pub fn wait_ms(&self) -> Option<u64> {
        match self {
            Self::AskedToWait { retry_after_ms, .. } | Self::CircuitOpen { retry_after_ms, .. } => {
                Some(*retry_after_ms)
            }
            Self::Refused { status, .. } => {
                let busy = ["HTTP 429", "HTTP 503", "gRPC ResourceExhausted", "gRPC Unavailable"];
                busy.contains(&status.as_str()).then_some(0)
            }
            _ => None,
        }
    }

    /// True when the server is to blame, so that the circuit counts it. A refusal of one request is not.
    pub(crate) fn is_servers_fault(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::AskedToWait { .. }
            | Self::BadReply { .. }
            | Self::TooLarge { .. } => true,
            Self::Refused { status, .. } => is_overload(status),
            _ => false,
        }
    }
}

/// Statuses that say the server, and not the request, is in trouble.
pub(crate) fn is_overload(status: &str) -> bool {
    status.starts_with("HTTP 5")
        || status == "HTTP 429"
        || matches!(status, "gRPC Internal" | "gRPC Unknown" | "gRPC DataLoss" | "gRPC ResourceExhausted")
}

/// What to do about a refusal.
fn advice(status: &str) -> &'static str {
    match status {
        "HTTP 401" | "HTTP 403" | "gRPC Unauthenticated" | "gRPC PermissionDenied" => {
            "check the bearer token in the configuration"
        }
        "HTTP 404" | "gRPC NotFound" => "check the model's name and version in the configuration",
        "HTTP 413" => "send fewer rows at once",
        s if s.starts_with("HTTP 3") => "redirects are not followed; configure the final address",
        s if is_overload(s) => "see the log of the model server",
        _ => "compare the request with the model's inputs",
    }
}
