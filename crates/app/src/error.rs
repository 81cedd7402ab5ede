//! What can go wrong in a use case, and whose fault it is.

use domain::{SystemId, Timestamp};

/// An error of the control plane.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// Reference data are wrong.
    #[error(transparent)]
    Dataset(#[from] crate::dataset::DatasetError),
    /// There is no such system.
    #[error(
        "there is no system `{0}`: declare it in asepsis.toml, or see `asepsis status` for those that are"
    )]
    UnknownSystem(String),
    /// There is no such thing in the catalogue.
    #[error("there is nothing called `{typed}` in the catalogue{hint}; `asepsis explain` lists everything")]
    UnknownId {
        /// What was typed.
        typed: String,
        /// ": did you mean …?"
        hint: String,
    },
    /// There is no such exercise or scorecard.
    #[error("there is no exercise or scorecard `{0}`: the list of exercises has those that are here")]
    UnknownExercise(String),
    /// The caller said something that cannot be.
    #[error("{0}")]
    BadInput(String),
    /// The caller may not do that.
    #[error("`{who}` may not {action}: {why}")]
    Forbidden {
        /// Who.
        who: String,
        /// Stable action name.
        action: String,
        /// What would be needed.
        why: String,
    },
    /// A file or folder cannot be used.
    #[error("{doing} `{path}`: {cause}{}", remedy(cause))]
    Files {
        /// What was tried, as a verb phrase.
        doing: &'static str,
        /// On what.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The ledger cannot be opened or written.
    #[error("ledger: {0}")]
    Ledger(String),
    /// The state database cannot be opened or written.
    #[error("state database: {0}")]
    State(String),
    /// Another asepsis works on this data directory.
    #[error("{0}")]
    Busy(String),
    /// A remote server did not do its part.
    #[error("upstream: {0}")]
    Upstream(String),
    /// The system's gate is shut.
    #[error("the {stage} gate of `{system}` is shut: {because}")]
    GateShut {
        /// Which system.
        system: SystemId,
        /// Which stage.
        stage: domain::Stage,
        /// Controls.
        because: String,
    },
    /// A defect of ours.
    #[error("internal error: {0}; this is a defect, please report it")]
    Internal(String),
}

impl AppError {
    /// Wraps an I/O error with what was tried and on what.
    pub fn files(doing: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        move |cause| Self::Files { doing, path: path.display().to_string(), cause }
    }
}

/// What to do when a file or folder cannot be used for a reason that only the user can mend.
fn remedy(cause: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room and try again, nothing is lost",
        ErrorKind::ReadOnlyFilesystem => "; make it writable, or name another data directory with --dir",
        ErrorKind::PermissionDenied => {
            "; let the user who runs asepsis own it, or name another data directory with --dir"
        }
        _ => "",
    }
}

/// The system's clock, for production; tests hand in their own.
#[derive(Debug)]
pub struct SystemClock(std::time::Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(std::time::Instant::now())
    }
}

impl domain::Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
