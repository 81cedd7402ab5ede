//! Suites as the user names them: shipped ones by name, others by file; overrides of the command line make another suite.

use std::path::Path;

use attack::corruption::CORRUPTIONS;
use attack::evasion::ATTACKS;
use attack::suite::{self, SAMPLES_MAX, Suite, SuiteError};

use super::data::bad;
use crate::AppError;
use crate::config::{nearest_name, suggest};
use crate::dataset;

/// Largest file of a suite, bytes.
const SUITE_BYTES_MAX: u64 = 1 << 20;

/// What the command line changes of a suite. A changed suite has another digest, so that it is not compared with the unchanged one by accident.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Number of samples.
    pub samples: Option<usize>,
    /// Seed.
    pub seed: Option<u64>,
    /// Rows that may be asked per sample and budget, for every step.
    pub queries_max: Option<u64>,
}

impl Overrides {
    /// The suite with these changes.
    ///
    /// # Errors
    /// [`AppError::BadInput`] for a budget of nothing.
    pub fn apply(&self, mut suite: Suite) -> Result<Suite, AppError> {
        if self.queries_max == Some(0) {
            return Err(bad("a budget of 0 queries asks nothing: give 1 or more"));
        }
        if let Some(samples) = self.samples {
            if samples == 0 || samples > SAMPLES_MAX {
                return Err(bad(format!("{samples} samples: give 1 to {SAMPLES_MAX}")));
            }
            suite.samples = samples;
        }
        suite.seed = self.seed.unwrap_or(suite.seed);
        if let Some(max) = self.queries_max {
            for step in &mut suite.steps {
                step.queries_max = Some(step.queries_max.map_or(max, |own| own.min(max)));
            }
            for change in &mut suite.changes {
                change.queries_max = change.queries_max.min(max);
            }
        }
        Ok(suite)
    }
}

/// The suite called `named`: a shipped one, or a file.
///
/// # Errors
/// [`AppError::BadInput`], with the nearest name.
pub fn load(named: &str) -> Result<Suite, AppError> {
    if let Some(text) = suite::shipped(named) {
        return read(named, text);
    }
    let path = Path::new(named);
    let is_file = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")) || path.is_file();
    if !is_file {
        let known: Vec<&str> = suite::SHIPPED.iter().map(|(name, _)| *name).collect();
        let hint = nearest_name(named, known.iter().copied())
            .map_or_else(String::new, |n| format!(": did you mean `{n}`?"));
        return Err(bad(format!(
            "there is no suite `{named}`{hint}; shipped are {}, or name a TOML file",
            known.join(", ")
        )));
    }
    let bytes = dataset::read_file(path, SUITE_BYTES_MAX)
        .map_err(|e| bad(e.to_string().replace("reference data", "the suite")))?;
    let text = String::from_utf8(bytes).map_err(|_| bad(format!("`{named}` is not UTF-8 text")))?;
    read(named, &text)
}

/// Reads the text of a suite.
///
/// # Errors
/// [`AppError::BadInput`] naming line or step, and the nearest name.
pub fn read(named: &str, text: &str) -> Result<Suite, AppError> {
    suite::parse(text).map_err(|error| {
        let said = match &error {
            SuiteError::Syntax { line, message } => format!("line {line}: {}", suggest(message)),
            SuiteError::Parameters { step, label, message } => {
                format!("step {step} (`{label}`): {}", suggest(message))
            }
            SuiteError::UnknownAttack { typed, .. } => {
                let names = ATTACKS.iter().flat_map(|a| [a.entry.id, a.entry.name]);
                let hint =
                    nearest_name(typed, names).map_or_else(String::new, |n| format!(": did you mean `{n}`?"));
                format!("{error}{hint}; `asepsis exercise list` shows all")
            }
            SuiteError::UnknownFamily { typed, .. } => {
                let groups = suite::GROUPS.iter().map(|(name, _)| *name);
                let names = CORRUPTIONS.iter().flat_map(|c| [c.entry.id, c.entry.name]).chain(groups);
                let hint =
                    nearest_name(typed, names).map_or_else(String::new, |n| format!(": did you mean `{n}`?"));
                format!("{error}{hint}; `asepsis exercise list` shows all")
            }
            SuiteError::UnknownName { typed, known, .. } => {
                let hint = nearest_name(typed, known.iter().copied()).map_or_else(
                    || format!("; there are {}", known.join(", ")),
                    |n| format!(": did you mean `{n}`?"),
                );
                format!("{error}{hint}")
            }
            SuiteError::Meaning { .. } => error.to_string(),
        };
        bad(format!("suite `{named}`: {said}"))
    })
}

/// All shipped suites.
///
/// # Errors
/// When one does not read; a test keeps that from happening.
pub fn shipped() -> Result<Vec<Suite>, AppError> {
    suite::SHIPPED.iter().map(|(name, text)| read(name, text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_names_are_met_with_the_nearest() {
        let text = suite::shipped("quick").unwrap();
        for (from, to, expected) in [
            ("samples = ", "sampels = ", "did you mean `samples`"),
            ("attack = \"fgsm\"", "attack = \"fgms\"", "did you mean `fgsm`"),
        ] {
            let said = read("s", &text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
        }
        assert!(load("quik").unwrap_err().to_string().contains("did you mean `quick`"));
    }

    #[test]
    fn an_override_is_another_suite_and_nothing_is_no_budget() {
        let suite = load("quick").unwrap();
        let changed = Overrides { seed: Some(5), ..Overrides::default() }.apply(suite.clone()).unwrap();
        assert_ne!(changed.digest(), suite.digest());
        assert!(Overrides { queries_max: Some(0), ..Overrides::default() }.apply(suite.clone()).is_err());
        assert!(Overrides { samples: Some(0), ..Overrides::default() }.apply(suite).is_err());
    }
}
