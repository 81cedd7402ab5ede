//! A language model as the gateway knows it: which servers answer for it, in order, and what screens what is said.

use std::sync::Arc;

use detect::TextGuards;
use domain::{Digest, SystemId};
use upstream::Language;

/// A system that is a language model.
pub struct LanguageServed {
    /// Its name.
    pub id: SystemId,
    /// Its title for people.
    pub title: String,
    /// Whether it answers.
    pub state: LanguageState,
}

impl LanguageServed {
    /// Whether it answers.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, LanguageState::Open(_))
    }
}

/// Whether a language model answers.
pub enum LanguageState {
    /// It does.
    Open(Arc<LanguageVersion>),
    /// The deployment gate is shut.
    Shut {
        /// Ids of the controls that keep it shut.
        because: Vec<String>,
    },
    /// A person stopped it.
    Suspended {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// One server that answers for a language model.
pub struct ServedUpstream {
    /// The server.
    pub server: Arc<Language>,
    /// The model's name there; none when it is the one the caller uses.
    pub model: Option<String>,
}

impl ServedUpstream {
    /// What answered, as far as anybody outside can say: the server's address and the model's name there.
    pub(crate) fn identity(&self, model: &str) -> Digest {
        Digest::of(format!("{}\n{model}\n", self.server.target()).as_bytes())
    }
}

/// What a version of a language model is made of.
pub struct LanguageParts {
    /// Names of models that callers may ask for; the first is asked when none is named.
    pub models: Vec<String>,
    /// The servers, in the order in which they are tried.
    pub upstreams: Vec<ServedUpstream>,
    /// What screens what is said.
    pub guards: Arc<TextGuards>,
    /// Whether a request may go on with a conversation that the server keeps.
    pub stored: bool,
}

/// A language model, ready to answer.
pub struct LanguageVersion {
    pub(crate) parts: LanguageParts,
}

impl LanguageVersion {
    /// A version of these parts.
    pub const fn new(parts: LanguageParts) -> Self {
        Self { parts }
    }

    /// Names of models that callers may ask for.
    pub fn models(&self) -> &[String] {
        &self.parts.models
    }

    /// The model that is meant by `asked`; an empty name, or that of the system, means the first.
    pub(crate) fn model<'v>(&'v self, system: &SystemId, asked: &str) -> Option<&'v str> {
        let first = asked.is_empty() || asked == system.as_str();
        let mut models = self.parts.models.iter().map(String::as_str);
        if first { models.next() } else { models.find(|m| *m == asked) }
    }
}
