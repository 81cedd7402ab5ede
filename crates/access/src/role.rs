//! The six roles an account can have.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an account may do, in the words of a hospital. An account can have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A machine that sends requests to models.
    Client,
    /// Reads answers and flags wrong ones.
    Clinician,
    /// Admits models, runs rehearsals, steps in.
    Engineer,
    /// Decides at the gate, accepts risks, steps in.
    Governance,
    /// Looks at everything, changes nothing.
    Auditor,
    /// Makes and revokes keys, loads configuration.
    Administrator,
}

/// Why a text is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: use client, clinician, engineer, governance, auditor or administrator")]
pub struct UnknownRole(String);

impl Role {
    /// All roles.
    pub const ALL: [Self; 6] =
        [Self::Client, Self::Clinician, Self::Engineer, Self::Governance, Self::Auditor, Self::Administrator];

    /// The name in policies, configuration and the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Clinician => "clinician",
            Self::Engineer => "engineer",
            Self::Governance => "governance",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_read_back_from_its_name() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert!("root".parse::<Role>().unwrap_err().to_string().contains("administrator"));
    }
}
