//! The five lifecycle stages of a clinical AI system, and their order.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A lifecycle stage (after NIST AI RMF 1.0, figure 3, in the words hospitals use). Later stages need all
/// that earlier ones need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// A vendor's files have arrived; nothing has been run.
    Procurement,
    /// Built or adapted on local data.
    Development,
    /// Shown to work on the hospital's own held-out data.
    Validation,
    /// Allowed to answer through the gateway.
    Deployment,
    /// In daily use, watched.
    RoutineUse,
}

/// Why a text is not a stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a lifecycle stage: use procurement, development, validation, deployment or routine-use"
)]
pub struct UnknownStage(String);

impl Stage {
    /// All stages, first to last.
    pub const ALL: [Self; 5] =
        [Self::Procurement, Self::Development, Self::Validation, Self::Deployment, Self::RoutineUse];

    /// The name in configuration, on the command line and in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Procurement => "procurement",
            Self::Development => "development",
            Self::Validation => "validation",
            Self::Deployment => "deployment",
            Self::RoutineUse => "routine-use",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|stage| stage.as_str() == text)
            .ok_or_else(|| UnknownStage(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_ordered_and_named() {
        assert!(Stage::Procurement < Stage::RoutineUse);
        for stage in Stage::ALL {
            assert_eq!(stage.as_str().parse::<Stage>().unwrap(), stage);
        }
        assert!("live".parse::<Stage>().unwrap_err().to_string().contains("routine-use"));
    }
}
