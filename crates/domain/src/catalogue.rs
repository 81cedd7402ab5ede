//! The catalogue: everything a user can name has one entry, and the entry is its page.
//!
//! An entry is declared in the one file of the thing it describes, with [`catalogue_entry!`](crate::catalogue_entry): the doc comment
//! becomes the page that `asepsis explain ID`, the console and the generated reference show. There is no
//! link-time registration; each crate lists its entries in a plain slice, so a reader finds them all.

use serde::Serialize;

/// Headings that every page has, in this order.
pub const REQUIRED_HEADINGS: [&str; 4] =
    ["## What it is", "## Why it matters in care", "## Limits", "## References"];

/// What sort of thing an entry describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A check on the inference path.
    Guard,
    /// A check made at admission; ends as evidence.
    Check,
    /// A requirement that stays with a system over its versions.
    Control,
    /// An answer the gateway gives instead of a model's output.
    Refusal,
    /// A message that asks a person to look.
    Alarm,
    /// Something the scanner of artefacts looks for.
    Rule,
    /// Something an exercise does to a model: an attack, a corruption, an unexpected condition.
    Attack,
}

impl Kind {
    /// One word for pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Check => "check",
            Self::Control => "control",
            Self::Refusal => "refusal",
            Self::Alarm => "alarm",
            Self::Rule => "rule",
            Self::Attack => "attack",
        }
    }
}

/// One thing a user can name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Stable id, never reused: a letter for the kind and three digits, for example `G002`.
    pub id: &'static str,
    /// Short name; the name in configuration and results.
    pub name: &'static str,
    /// What sort of thing.
    pub kind: Kind,
    /// First version that had it.
    pub since: &'static str,
    /// Ids in the frameworks: ATLAS `AML.…`, `CWE-…`, `OWASP ML01:2023`, `NISTAML.…`.
    pub maps: &'static [&'static str],
    /// The page, Markdown, with the [`REQUIRED_HEADINGS`].
    pub doc: &'static str,
    /// Source file, for contributors.
    pub file: &'static str,
}

impl Entry {
    /// First sentence of the page: what it is, in one line.
    pub fn summary(&self) -> &'static str {
        self.doc.trim().lines().next().unwrap_or_default().trim()
    }
}

/// Declares a catalogue entry; see the module documentation.
///
/// ```
/// domain::catalogue_entry! {
///     /// Values that a patient cannot have.
///     ///
///     /// ## What it is
///     /// …
///     pub static ENTRY = { id: "G999", name: "example", kind: Guard, since: "0.1.0", maps: ["AML.T0043"] };
/// }
/// assert!(ENTRY.summary().starts_with("Values"));
/// ```
#[macro_export]
macro_rules! catalogue_entry {
    ($(#[doc = $doc:expr])* $vis:vis static $name:ident = {
        id: $id:literal, name: $title:literal, kind: $kind:ident, since: $since:literal, maps: [$($map:literal),* $(,)?] $(,)?
    };) => {
        $(#[doc = $doc])*
        $vis static $name: $crate::Entry = $crate::Entry {
            id: $id,
            name: $title,
            kind: $crate::Kind::$kind,
            since: $since,
            maps: &[$($map),*],
            doc: concat!($($doc, "\n"),*),
            file: file!(),
        };
    };
}
