//! Settings of the text guards: what `[language.guards.NAME]` may say.

use std::collections::BTreeMap;

use domain::GuardMode;
use openai::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ClinicalClaimsSettings, HiddenTextSettings, InjectedInstructionsSettings, PatientIdentifiersSettings,
    UnreadMediaSettings,
};
use crate::settings::Common;

/// All text guards of one system.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TextGuardSettings {
    /// Pictures, files and addresses that no guard reads (G008).
    pub unread_media: UnreadMediaSettings,
    /// Text that a model reads and a person does not see (G009).
    pub hidden_text: HiddenTextSettings,
    /// Orders to the model in what it should only read (G010).
    pub injected_instructions: InjectedInstructionsSettings,
    /// Who the patient is (G011).
    pub patient_identifiers: PatientIdentifiersSettings,
    /// What the model claims about drugs, doses and diseases (G012).
    pub clinical_claims: ClinicalClaimsSettings,
}

impl TextGuardSettings {
    /// The guards by name, with what they have in common.
    pub fn modes(&self) -> Vec<(&'static str, Common)> {
        vec![
            ("unread-media", self.unread_media.common()),
            ("hidden-text", self.hidden_text.common()),
            ("injected-instructions", self.injected_instructions.common()),
            ("patient-identifiers", self.patient_identifiers.common()),
            ("clinical-claims", self.clinical_claims.common()),
        ]
    }
}

/// What a guard may do with texts of one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoleMode {
    /// Not looked at.
    Off,
    /// Written down.
    Observe,
    /// Changes the advice.
    Flag,
    /// Refuses.
    Block,
}

impl RoleMode {
    /// As a guard's mode; none when it does not look.
    pub const fn mode(self) -> Option<GuardMode> {
        match self {
            Self::Off => None,
            Self::Observe => Some(GuardMode::Observe),
            Self::Flag => Some(GuardMode::Flag),
            Self::Block => Some(GuardMode::Block),
        }
    }
}

/// Who says a text, as settings name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    /// The application.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// Results of tools.
    Tool,
    /// Files and retrieved passages.
    Document,
    /// Descriptions of tools.
    Definition,
    /// Fields that are not known.
    Other,
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::System => Self::System,
            Role::User => Self::User,
            Role::Assistant => Self::Assistant,
            Role::Tool => Self::Tool,
            Role::Document => Self::Document,
            Role::Definition => Self::Definition,
            Role::Other => Self::Other,
        }
    }
}

/// Modes of a guard for single roles; a role that is not named has the guard's own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RoleModes(BTreeMap<RoleName, RoleMode>);

impl RoleModes {
    /// The mode for a role; none when texts of that role are not looked at.
    pub fn of(&self, role: Role, own: GuardMode) -> Option<GuardMode> {
        self.0.get(&role.into()).map_or(Some(own), |mode| mode.mode())
    }
}

/// How much of a streamed reply is held back, so that something that is said in pieces is seen before its first piece is let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldBack {
    /// So many characters at most.
    Characters(u8),
    /// All of it, until it is complete.
    WholeReply,
}

/// Characters held back unless set otherwise, and the most that can be set: a name, a number or a date is shorter.
pub const HOLD_BACK_CHARS_MAX: u8 = 64;

impl Default for HoldBack {
    fn default() -> Self {
        Self::Characters(HOLD_BACK_CHARS_MAX)
    }
}
