//! Evidence: the one currency. Every check, acceptance and watch ends as evidence in the ledger.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Outcome, Subject, SystemId, Timestamp};

/// A measured figure with its unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The figure.
    pub value: f64,
    /// Its unit; `1` for a ratio.
    pub unit: String,
}

impl Metric {
    /// A ratio between 0 and 1.
    pub fn ratio(value: f64) -> Self {
        Self { value, unit: "1".to_owned() }
    }

    /// A count of things.
    pub fn count(value: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        Self { value: value as f64, unit: "items".to_owned() }
    }
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Catalogue id of the check that made it.
    pub check: String,
    /// The system it speaks about.
    pub system: SystemId,
    /// What it covers, by content.
    pub subjects: Vec<Subject>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Who made it: a person's account, or `asepsis` for the program itself.
    pub by: String,
    /// Version of the program.
    pub tool: String,
    /// Settings that shaped the result, seeds among them.
    pub parameters: BTreeMap<String, String>,
    /// The answer.
    pub outcome: Outcome,
    /// Measured figures.
    pub metrics: BTreeMap<String, Metric>,
}

/// A person's decision to go on for a limited time although a control is not met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The system.
    pub system: SystemId,
    /// The control that is not met.
    pub control: String,
    /// Digests of the version the decision was made for; a change ends the acceptance.
    pub subjects: Vec<Subject>,
    /// Who decided.
    pub by: String,
    /// When.
    pub made_at: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}
