//! Suites: which attacks, in which norms, at which budgets, which conditions at which strengths, which least changes, on how many samples. Data (`catalog/suites/*.toml`), versioned and known by the digest
//! of their content, so that two hospitals can run the same test and know that they did.

mod change;
mod condition;
mod diff;
mod parse;
pub mod study;
mod work;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::Layout;
use crate::norm::Norm;

pub use change::{CHANGES_MAX, ChangePiece, Changed, ChangedCell, Clinic, LeastChange, change_chunk};
pub use condition::{Answers, CONDITIONS_MAX, Condition, ConditionPiece, GROUPS, Level, condition_chunk};
pub use diff::diff;
pub use parse::{SuiteError, parse};
pub use work::{Chunk, Found, Piece, attack_chunk};

/// Most steps of one suite.
pub const STEPS_MAX: usize = 64;
/// Most budgets of one step.
pub const BUDGETS_MAX: usize = 32;
/// Most samples of one exercise.
pub const SAMPLES_MAX: usize = 100_000;

/// A suite, understood: names resolved to ids, budgets sorted upwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Suite {
    /// Short name.
    pub name: String,
    /// Version; counts up with every change of content.
    pub version: u32,
    /// Title for people.
    pub title: String,
    /// What it is for.
    pub purpose: String,
    /// Samples, chosen so that the classes are as even as the data allow.
    pub samples: usize,
    /// Seed of all randomness.
    pub seed: u64,
    /// Whether a sample that fell to an earlier step, in the same norm and within the budget, is spared the later ones. The worst case is the
    /// same and found sooner; the figures of later steps then include what fell before.
    pub chain: bool,
    /// Share of the right answers that must stand the smallest budget of each norm, 0 to 1; below it the exercise fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps_min: Option<f64>,
    /// The attacks, in order.
    pub steps: Vec<Step>,
    /// What happens to inputs without an attacker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Searches for the least plausible change of a patient's row; tables only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<LeastChange>,
    /// Poisoning, theft and privacy, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub studies: Vec<study::Study>,
}

/// One attack of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Step {
    /// How reports call it; the attack's name unless the suite says otherwise.
    pub label: String,
    /// Id of the attack.
    pub attack: String,
    /// Norm of the budgets.
    pub norm: Norm,
    /// Budgets in the unit box, upwards.
    pub epsilons: Vec<f64>,
    /// What rows it is for.
    #[serde(rename = "for")]
    pub subject: Subject,
    /// Parameters of the attack.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// Rows that may be asked per sample and budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries_max: Option<u64>,
    /// Only so many of the samples, from the front; for attacks that take long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
}

/// What rows a step is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// Any.
    #[default]
    All,
    /// Images only.
    Image,
    /// Tables only.
    Table,
}

impl Subject {
    /// Whether rows of `layout` are meant.
    pub const fn takes(self, layout: Layout) -> bool {
        matches!(
            (self, layout),
            (Self::All, _) | (Self::Image, Layout::Image { .. }) | (Self::Table, Layout::Table { .. })
        )
    }
}

/// A number to twelve significant digits, so that it is the same after being written as decimal text and read again, by any reader.
pub fn settled(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    format!("{value:.11e}").parse().unwrap_or(value)
}

impl Suite {
    /// Digest of what shapes the result: everything but title and purpose.
    pub fn digest(&self) -> domain::Digest {
        let content = Self { title: String::new(), purpose: String::new(), ..self.clone() };
        domain::Digest::of(&serde_json::to_vec(&content).unwrap_or_default())
    }
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../catalog/suites/", $name, ".toml")))),*]
    };
}

/// The suites that the product ships: name and text.
pub static SHIPPED: &[(&str, &str)] = shipped![
    "adaptive",
    "admission",
    "conditions",
    "euclid",
    "least-change",
    "poisoning",
    "privacy",
    "queries",
    "quick",
    "rand",
    "standard",
    "tables",
    "theft",
    "two-class-standard",
];

/// The text of the shipped suite called `name`.
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_suite_reads_and_is_called_as_its_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog/suites");
        let files = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(files, SHIPPED.len(), "a suite is not in the list, or has no file");
        let mut digests = std::collections::BTreeSet::new();
        for (name, text) in SHIPPED {
            let suite = parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(suite.name, *name);
            assert!(digests.insert(suite.digest().to_string()), "{name}");
        }
    }

    #[test]
    fn prose_is_not_content_and_everything_else_is() {
        let suite = parse(shipped("quick").unwrap()).unwrap();
        let mut other = suite.clone();
        other.title = "Another title".to_owned();
        assert_eq!(suite.digest(), other.digest());
        assert!(diff(&suite, &other).is_empty());
        other.seed += 1;
        assert_ne!(suite.digest(), other.digest());
        assert_eq!(diff(&suite, &other).len(), 1);
    }
}
