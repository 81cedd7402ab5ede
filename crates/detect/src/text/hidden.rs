//! G009: text that a model reads and a person does not see.

use domain::{Entry, Severity, catalogue_entry};
use openai::Role;
use text::hidden::{self, Family};

use super::{Hit, RoleModes, Talk, TextGuard, Way};
use crate::settings::{Common, guard_settings};

catalogue_entry! {
    /// Text that a model reads and a person does not see, or sees as something else.
    ///
    /// ## What it is
    /// Some forty tricks: invisible tag characters, zero-width characters inside words, direction controls, variation
    /// selectors that carry bytes, look-alike letters, floods of combining marks, text in a code, markup that is not
    /// shown. Each is named and, where it carries something, decoded.
    ///
    /// ## Why it matters in care
    /// A letter from outside can hold orders to the hospital's own assistant that nobody reading the letter sees; and a
    /// drug's name in look-alike letters goes past every list.
    ///
    /// ## Limits
    /// Text that is hidden by its rendering (white on white, size zero in a PDF) arrives here as plain text and is the
    /// business of G010. Private-use characters of a hospital's own fonts are found as well.
    ///
    /// ## References
    /// Boucher et al. 2022, doi 10.1109/SP46214.2022.9833641; Unicode Technical Standard 39; CWE-176, CWE-451;
    /// OWASP LLM01:2025.
    pub static ENTRY = {
        id: "G009", name: "hidden-text", kind: Guard, since: "0.1.0",
        maps: ["CWE-451", "CWE-176", "AML.T0051.001", "AML.T0068"],
    };
}

guard_settings! {
    /// Settings of G009. Flags by default; block it for documents and tools where nothing hidden has a place.
    pub struct HiddenTextSettings { mode: Flag, budget_us: 50_000 }
    /// Modes for single roles, as `{ tool = "block", document = "block" }`.
    roles: RoleModes = RoleModes::default();
}

pub(super) struct HiddenText(pub(super) HiddenTextSettings);

impl TextGuard for HiddenText {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn common(&self) -> Common {
        self.0.common()
    }

    fn roles(&self) -> &RoleModes {
        &self.0.roles
    }

    fn reads(&self, _way: Way) -> bool {
        true
    }

    fn hits(&self, _way: Way, _role: Role, text: &str, _talk: &mut Talk) -> Vec<Hit> {
        let found = hidden::find(text).into_iter();
        found
            .map(|found| Hit {
                span: found.span,
                severity: severity(&found),
                message: format!("{} (`{}`)", found.trick.what, found.trick.name),
                technique: Some("AML.T0051.001"),
                remedy: "look at the text's source; send the text as a person sees it",
                replacement: None,
                detail: None,
            })
            .collect()
    }
}

/// A code stands in the open and may have a reason; what takes no room, or is drawn to deceive, seldom has one.
fn severity(found: &hidden::Hidden) -> Severity {
    match found.trick.family {
        Family::Encoded => Severity::Low,
        Family::Invisible | Family::Disguised | Family::Markup => Severity::Medium,
    }
}
