//! Controls: what a system must have shown before it may pass a gate. They stay with the system, not with a version.

use serde::{Deserialize, Serialize};

use crate::{Digest, Severity, Stage};

/// What part of a system a piece of evidence speaks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubjectRole {
    /// The model file, or the declared identity of a remote model.
    Model,
    /// The data that guards are fitted on and the model is checked against.
    Reference,
    /// Which guards run, in which mode, with which settings.
    Guards,
    /// Names, units, types, ranges and mutability of the inputs.
    Inputs,
    /// How the system is connected: upstream, clients, limits.
    Integration,
    /// Who vouches for the model file: the signature and the key it is verified with.
    Origin,
    /// What the hospital asks of the model: acceptance bounds, and on which rows it is judged.
    Bounds,
}

impl SubjectRole {
    /// All roles.
    pub const ALL: [Self; 7] = [
        Self::Model,
        Self::Reference,
        Self::Guards,
        Self::Inputs,
        Self::Integration,
        Self::Origin,
        Self::Bounds,
    ];

    /// The words for pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Reference => "reference data",
            Self::Guards => "guard configuration",
            Self::Inputs => "declared inputs",
            Self::Integration => "integration",
            Self::Origin => "proof of origin",
            Self::Bounds => "acceptance bounds",
        }
    }
}

impl std::fmt::Display for SubjectRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One subject: a role and the digest of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// Which part.
    pub role: SubjectRole,
    /// Its content.
    pub digest: Digest,
}

/// Evidence that a control asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Requirement {
    /// Catalogue id of the check whose evidence counts.
    pub check: String,
    /// The subjects that the evidence must cover in their present content.
    pub covers: Vec<SubjectRole>,
    /// Days after which the evidence is too old; none means it ages only by change.
    #[serde(default)]
    pub age_days_max: Option<u32>,
    /// Severity from which a finding keeps the gate shut; `high` if left out.
    #[serde(default = "high")]
    pub shuts_from: Severity,
}

const fn high() -> Severity {
    Severity::High
}

/// Where a model runs, for controls that make sense for one place only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Its file is here.
    File,
    /// Somebody else's server runs it; the file is not ours to see.
    Remote,
}

/// A control, as data in `catalog/controls.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Control {
    /// Stable id, `C001` and so on.
    pub id: String,
    /// Short title.
    pub title: String,
    /// The stage whose gate needs it (and with it every later gate).
    pub stage: Stage,
    /// What it asks, in a sentence a governance lead understands.
    pub statement: String,
    /// What goes wrong in care without it.
    pub why: String,
    /// Ids in the frameworks.
    pub maps: Vec<String>,
    /// What proves it; all are needed.
    pub requires: Vec<Requirement>,
    /// Only for models in this place; for all if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_for: Option<Place>,
}
