//! What a person asks of an exercise, and the request that it becomes.

use std::path::PathBuf;
use std::time::Duration;

use attack::suite::{self, Suite};
use domain::{SystemId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::AppError;
use crate::config::SystemSettings;
use crate::exercise::{Overrides, Reading, Request, Target, load_suite};

/// Most samples of an exercise at the desk; the command line takes more.
pub const SAMPLES_MAX: usize = 2_000;
/// Longest exercise at the desk, minutes: a night.
pub const MINUTES_MAX: u32 = 12 * 60;
/// Samples shown with what was changed, where they are shown.
const EXHIBITS: usize = 40;
/// Largest model or data file, bytes.
const FILE_BYTES_MAX: u64 = 2 << 30;
/// Threads. One: the others answer requests.
const THREADS: usize = 1;

/// What is asked of an exercise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Order {
    /// Which system, on its held-out rows.
    pub system: SystemId,
    /// Name of a shipped suite.
    pub suite: String,
    /// Samples; the suite's number where none is said.
    pub samples: Option<usize>,
    /// Seed; the suite's where none is said.
    pub seed: Option<u64>,
    /// Most queries per sample and budget.
    pub queries_max: Option<u64>,
    /// Most minutes.
    pub minutes_max: Option<u32>,
    /// Show the attacks decisions only, as a service does that hides its scores.
    pub labels_only: bool,
    /// Keep patients' values out of the scorecard.
    pub without_patients: bool,
}

/// An order with who gave it, as it lies in the folder of its job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Placed {
    pub(super) order: Order,
    pub(super) by: String,
    pub(super) at: Timestamp,
}

impl Order {
    /// The suite with what the order changes of it.
    ///
    /// # Errors
    /// [`AppError::BadInput`] for a suite that is not shipped (files of the server are not read at a browser's word) and for budgets of nothing or beyond what
    /// may run beside the traffic.
    pub fn suite(&self) -> Result<Suite, AppError> {
        if suite::shipped(&self.suite).is_none() {
            let known: Vec<&str> = suite::SHIPPED.iter().map(|(name, _)| *name).collect();
            let typed: String = self.suite.chars().take(80).collect();
            return Err(AppError::BadInput(format!(
                "there is no suite `{typed}` at the desk: choose one of {}; suites in files are run by `asepsis exercise run`",
                known.join(", ")
            )));
        }
        if self.samples.is_some_and(|n| n > SAMPLES_MAX) {
            return Err(AppError::BadInput(format!(
                "an exercise beside the traffic takes at most {SAMPLES_MAX} samples: run a larger one with `asepsis exercise run`"
            )));
        }
        if self.minutes_max.is_some_and(|m| m == 0 || m > MINUTES_MAX) {
            return Err(AppError::BadInput(format!("the time must be between 1 and {MINUTES_MAX} minutes")));
        }
        let overrides = Overrides { samples: self.samples, seed: self.seed, queries_max: self.queries_max };
        overrides.apply(load_suite(&self.suite)?)
    }

    /// The request, keeping what is finished in `state`.
    pub(super) fn request(
        &self,
        system: SystemSettings,
        state: PathBuf,
        resume: bool,
    ) -> Result<Request, AppError> {
        Ok(Request {
            target: Target::System(Box::new(system)),
            suite: self.suite()?,
            reading: Reading::default(),
            output: None,
            labels_only: self.labels_only,
            threads: THREADS,
            time_max: self.minutes_max.map(|m| Duration::from_secs(60 * u64::from(m))),
            state: Some(state),
            resume,
            exhibits_max: if self.without_patients { 0 } else { EXHIBITS },
            bytes_max: FILE_BYTES_MAX,
            through: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            system: "breast-mass".parse().unwrap(),
            suite: "quick".into(),
            samples: None,
            seed: None,
            queries_max: None,
            minutes_max: None,
            labels_only: false,
            without_patients: false,
        }
    }

    #[test]
    fn an_order_has_ends_and_names_no_file() {
        assert!(order().suite().is_ok());
        assert!(Order { samples: Some(SAMPLES_MAX), ..order() }.suite().is_ok());
        assert!(Order { minutes_max: Some(MINUTES_MAX), ..order() }.suite().is_ok());
        for (bad, word) in [
            (Order { samples: Some(SAMPLES_MAX + 1), ..order() }, "at most 2000 samples"),
            (Order { samples: Some(0), ..order() }, "0 samples"),
            (Order { queries_max: Some(0), ..order() }, "0 queries"),
            (Order { minutes_max: Some(0), ..order() }, "between 1 and 720"),
            (Order { minutes_max: Some(MINUTES_MAX + 1), ..order() }, "between 1 and 720"),
            (Order { suite: "/etc/passwd".into(), ..order() }, "no suite `/etc/passwd`"),
            (Order { suite: "../quick.toml".into(), ..order() }, "no suite"),
        ] {
            let said = bad.suite().unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
    }
}
