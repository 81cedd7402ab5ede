//! G011: who the patient is.

use domain::{Entry, GuardMode, Severity, catalogue_entry};
use openai::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use text::mask::Style;
use text::phi::Kind;

use super::{Hit, RoleMode, RoleModes, Talk, TextGuard, Way};
use crate::settings::{Common, guard_settings};

catalogue_entry! {
    /// Names, dates, addresses, numbers and whatever else says who a patient is.
    ///
    /// ## What it is
    /// Finds the eighteen identifiers of HIPAA's Safe Harbor by their form, by what stands around them and by a small
    /// trained tagger. It reports, refuses, or takes them out on the way to the model: placeholders (`[NAME_1]`), or
    /// stand-ins that look alike and are the same for the same original. In the reply the originals stand again.
    ///
    /// ## Why it matters in care
    /// A question to a model outside the hospital needs the disease and the dose, seldom the name. What is not sent
    /// cannot be kept, trained on or leaked there.
    ///
    /// ## Limits
    /// Recall is not complete, and rare diseases identify without any of the eighteen; the measured rates are in
    /// docs/text-phi.md. English only. A model that rewrites a placeholder gets no original back in its place. In the
    /// reply, an identifier counts when none of its words stood in the request: dates that the model works out count too.
    ///
    /// ## References
    /// 45 CFR 164.514(b)(2); OWASP LLM02:2025 Sensitive Information Disclosure; CWE-359.
    pub static ENTRY = {
        id: "G011", name: "patient-identifiers", kind: Guard, since: "0.1.0", maps: ["CWE-359", "AML.T0057", "AML.T0024"],
    };
}

/// What is done with identifiers on their way to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdentifierAction {
    /// Nothing but what the mode says: `observe`, `flag` or `block`.
    #[default]
    Keep,
    /// Placeholders take their place; the reply gets the originals back.
    Mask,
    /// Stand-ins that look alike take their place; the reply gets the originals back.
    Pseudonymise,
}

guard_settings! {
    /// Settings of G011. Flags by default; for models outside the hospital, mask.
    pub struct PatientIdentifiersSettings { mode: Flag, budget_us: 200_000 }
    /// What is done with them: `keep` (only what the mode says), `mask` or `pseudonymise`.
    action: IdentifierAction = IdentifierAction::Keep;
    /// Identifiers in the reply that did not stand in the request: `off`, `observe`, `flag` or `block`. Observed by default, because a date
    /// that the model works out is one.
    replies: RoleMode = RoleMode::Observe;
    /// Modes for single roles of the request, as `{ document = "block" }`.
    roles: RoleModes = RoleModes::default();
}

pub(super) struct PatientIdentifiers(pub(super) PatientIdentifiersSettings);

impl PatientIdentifiers {
    /// How identifiers are replaced, if they are.
    pub(super) const fn style(&self) -> Option<Style> {
        match self.0.action {
            IdentifierAction::Keep => None,
            IdentifierAction::Mask => Some(Style::Placeholder),
            IdentifierAction::Pseudonymise => Some(Style::Surrogate),
        }
    }

    fn asked(&self, text: &str, talk: &mut Talk) -> Vec<Hit> {
        let found = talk.finder().find(text);
        found.iter().for_each(|one| talk.know(one.span.of(text)));
        let Some(session) = talk.session.as_mut() else {
            let hit = |kind: Kind| format!("an identifier of a person: {}", kind.word());
            return found.iter().map(|one| seen(one.span, Severity::Medium, hit(one.kind), None)).collect();
        };
        let masked = session.mask(text, &found);
        let hits = masked.changes.iter().map(|change| {
            let message = match change.kind {
                Some(kind) => format!("replaced on its way to the model: {}", kind.word()),
                None => "replaced, because it looks like a replacement".to_owned(),
            };
            let with = change.replacement.of(&masked.text).to_owned();
            seen(change.original, Severity::Info, message, Some(with))
        });
        hits.collect()
    }

    fn said(&self, text: &str, talk: &mut Talk) -> Vec<Hit> {
        let found = talk.finder().find(text).into_iter();
        found
            .filter(|one| !talk.knows(one.span.of(text)))
            .map(|one| {
                let message = format!("an identifier that was not in the request: {}", one.kind.word());
                seen(one.span, Severity::Medium, message, None)
            })
            .collect()
    }
}

fn seen(span: text::Span, severity: Severity, message: String, replacement: Option<String>) -> Hit {
    Hit {
        span,
        severity,
        message,
        technique: None,
        remedy: "leave out who it is about, or let the owner of the system have it masked",
        replacement,
        detail: None,
    }
}

impl TextGuard for PatientIdentifiers {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn common(&self) -> Common {
        self.0.common()
    }

    fn roles(&self) -> &RoleModes {
        &self.0.roles
    }

    fn reads(&self, way: Way) -> bool {
        way == Way::In || self.0.replies != RoleMode::Off
    }

    fn mode(&self, way: Way, role: Role) -> Option<GuardMode> {
        match way {
            Way::In => self.0.roles.of(role, self.0.mode),
            Way::Out => self.0.replies.mode(),
        }
    }

    fn hits(&self, way: Way, _role: Role, text: &str, talk: &mut Talk) -> Vec<Hit> {
        match way {
            Way::In => self.asked(text, talk),
            Way::Out => self.said(text, talk),
        }
    }
}
