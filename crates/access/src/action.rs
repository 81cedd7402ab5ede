//! What can be asked for. Each name is stable: policies, ledger entries and hospitals' own files use it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An action. The comment of each says what it acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Send a patient's values to a system and get its answer.
    Infer,
    /// Read a system's metadata and health, or the server's.
    ReadModel,
    /// See the console: of the hospital, or one system in it.
    ViewConsole,
    /// Read ledger entries: all, or those of one system.
    ViewLedger,
    /// Say that an answer of a system was wrong.
    FlagAnswer,
    /// Say that an alarm has been seen and is being dealt with.
    AcknowledgeAlarm,
    /// Shut a client out, or let it in again.
    QuarantineClient,
    /// Stop a system from answering, or let it answer again.
    SuspendSystem,
    /// Bring in a version of a system.
    AdmitSystem,
    /// Let a gate open for a limited time although a control is not met.
    AcceptRisk,
    /// Load the configuration again.
    ReloadConfiguration,
    /// Make, rotate and revoke keys, and sign-in links.
    ManageKeys,
    /// Start the labelled rehearsal of attacks.
    StartRehearsal,
    /// Start, stop or go on with an exercise on a system; or bring in a scorecard from elsewhere.
    StartExercise,
    /// See exercises and scorecards of a system, or those from elsewhere.
    ViewExercise,
    /// Read the metrics.
    ReadMetrics,
    /// Take the ledger and its proofs out of the house.
    ExportAudit,
}

/// Why a text is not an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an action: docs/access.md lists them")]
pub struct UnknownAction(String);

impl Action {
    /// All actions, in the order of docs/access.md.
    pub const ALL: [Self; 17] = [
        Self::Infer,
        Self::ReadModel,
        Self::ViewConsole,
        Self::ViewLedger,
        Self::FlagAnswer,
        Self::AcknowledgeAlarm,
        Self::QuarantineClient,
        Self::SuspendSystem,
        Self::AdmitSystem,
        Self::AcceptRisk,
        Self::ReloadConfiguration,
        Self::ManageKeys,
        Self::StartRehearsal,
        Self::StartExercise,
        Self::ViewExercise,
        Self::ReadMetrics,
        Self::ExportAudit,
    ];

    /// The name in policies, on pages and in the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::ReadModel => "read-model",
            Self::ViewConsole => "view-console",
            Self::ViewLedger => "view-ledger",
            Self::FlagAnswer => "flag-answer",
            Self::AcknowledgeAlarm => "acknowledge-alarm",
            Self::QuarantineClient => "quarantine-client",
            Self::SuspendSystem => "suspend-system",
            Self::AdmitSystem => "admit-system",
            Self::AcceptRisk => "accept-risk",
            Self::ReloadConfiguration => "reload-configuration",
            Self::ManageKeys => "manage-keys",
            Self::StartRehearsal => "start-rehearsal",
            Self::StartExercise => "start-exercise",
            Self::ViewExercise => "view-exercise",
            Self::ReadMetrics => "read-metrics",
            Self::ExportAudit => "export-audit",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|action| action.as_str() == text)
            .ok_or_else(|| UnknownAction(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_read_back_from_its_name() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse::<Action>().unwrap(), action);
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
        }
        assert!("delete-ledger".parse::<Action>().is_err());
    }
}
