//! Guards over what is said to and by a language model. A guard looks at one text in its role and says what it saw, as [`Hit`]s;
//! everything else (modes, roles, edits, verdicts, time, streams) is the same for all of them and stands in [`TextGuards`].
//!
//! | guard | looks at | may change |
//! |---|---|---|
//! | G008 `unread-media` | pictures, files and addresses that no guard can read | nothing |
//! | G009 `hidden-text` | characters and markup that a person does not see | nothing |
//! | G010 `injected-instructions` | orders to the model in what it should only read | nothing |
//! | G011 `patient-identifiers` | who the patient is | masks, or gives stand-ins, and restores |
//! | G012 `clinical-claims` | what is claimed about drugs, doses and diseases | nothing |

pub(crate) mod claims;
pub(crate) mod hidden;
pub(crate) mod identifiers;
pub(crate) mod injected;
pub(crate) mod media;
mod screen;
mod settings;
mod stream;
mod talk;

use domain::{Entry, Severity};
use openai::Role;
use text::Span;

use crate::settings::Common;

pub use claims::ClinicalClaimsSettings;
pub use hidden::HiddenTextSettings;
pub use identifiers::{IdentifierAction, PatientIdentifiersSettings};
pub use injected::InjectedInstructionsSettings;
pub use media::{ImagePolicy, UnreadMediaSettings};
pub use screen::TextGuards;
pub use settings::{HoldBack, RoleMode, RoleModes, TextGuardSettings};
pub use stream::{Blocked, Frame, StreamEnd, StreamScreen};
pub use talk::{Note, Talk};

/// One thing that a guard saw in one text.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// Where.
    pub(crate) span: Span,
    /// How bad.
    pub(crate) severity: Severity,
    /// What, without the text itself.
    pub(crate) message: String,
    /// MITRE ATLAS id.
    pub(crate) technique: Option<&'static str>,
    /// What to do.
    pub(crate) remedy: &'static str,
    /// What is said to the one whose reply it is, and to nobody else; else the message.
    pub(crate) detail: Option<String>,
    /// What takes its place, when the guard changes texts.
    pub(crate) replacement: Option<String>,
}

/// Which way a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the model.
    In,
    /// To the caller.
    Out,
}

/// A guard over texts. Each stands in one file of this folder.
pub(crate) trait TextGuard: Send + Sync {
    /// Its page.
    fn entry(&self) -> &'static Entry;
    /// Mode, doubt and time.
    fn common(&self) -> Common;
    /// Modes for single roles.
    fn roles(&self) -> &RoleModes;
    /// Whether it looks at texts that go this way.
    fn reads(&self, way: Way) -> bool;
    /// Whether what it sees in a reply must be known before the reply is let go: it blocks, or it changes texts.
    fn acts_on_replies(&self) -> bool {
        self.reads(Way::Out) && self.mode(Way::Out, Role::Assistant) == Some(domain::GuardMode::Block)
    }
    /// The mode for a text of this role that goes this way; none when it is not looked at.
    fn mode(&self, _way: Way, role: Role) -> Option<domain::GuardMode> {
        self.roles().of(role, self.common().mode)
    }
    /// What it sees.
    fn hits(&self, way: Way, role: Role, text: &str, talk: &mut Talk) -> Vec<Hit>;
}

#[cfg(test)]
mod tests;
