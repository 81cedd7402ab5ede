//! G008: what stands in a conversation and cannot be read by any guard.

use domain::{Clock, GuardVerdict, Location, Severity, catalogue_entry};
use openai::{Media, MediaKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rows::Report;
use crate::settings::guard_settings;

catalogue_entry! {
    /// A picture, a sound, a file or an address in a conversation that no guard can read.
    ///
    /// ## What it is
    /// Text guards read text. A picture of a note, a PDF or a recording goes past them, and an address of a picture
    /// makes the model's server fetch it. The policy says which of these are let through: none, pictures in the
    /// request itself, or all.
    ///
    /// ## Why it matters in care
    /// A photographed wristband holds a name, a birth date and a record number; white text on a white page holds
    /// orders that a person does not see and a model obeys. An address that is fetched can carry out what stands in it.
    ///
    /// ## Limits
    /// It knows that there is a picture, not what is on it. What is let through is said in the receipt as not looked at.
    ///
    /// ## References
    /// OWASP LLM01:2025 and LLM02:2025; CWE-918 Server-Side Request Forgery; MITRE ATLAS AML.T0051.001.
    pub static ENTRY = {
        id: "G008", name: "unread-media", kind: Guard, since: "0.1.0", maps: ["CWE-918", "AML.T0051.001"],
    };
}

/// Which pictures and files are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImagePolicy {
    /// None.
    #[default]
    Refuse,
    /// Pictures in the request itself.
    Inline,
    /// Everything, addresses and files as well.
    Any,
}

guard_settings! {
    /// Settings of G008. Blocks by default: what cannot be read cannot be vouched for.
    pub struct UnreadMediaSettings { mode: Block, budget_us: 1_000 }
    /// What is let through: `refuse`, `inline` (pictures in the request itself) or `any`.
    images: ImagePolicy = ImagePolicy::Refuse;
}

pub(super) struct UnreadMedia(pub(super) UnreadMediaSettings);

impl UnreadMedia {
    /// What it says of everything in a request that is not text.
    pub(super) fn verdict(&self, media: &[Media], clock: &dyn Clock) -> GuardVerdict {
        let started_us = clock.monotonic_us();
        let common = self.0.common();
        let mut report = Report::new(ENTRY.id);
        media.iter().for_each(|media| self.look(*media, &mut report));
        GuardVerdict {
            instance: ENTRY.name.into(),
            check: ENTRY.id.into(),
            mode: common.mode,
            on_inconclusive: common.on_inconclusive,
            outcome: report.finish(),
            took_us: clock.monotonic_us().saturating_sub(started_us),
        }
    }

    fn look(&self, media: Media, report: &mut Report) {
        let let_through = match (self.0.images, media.kind) {
            (ImagePolicy::Any, _) | (ImagePolicy::Inline, MediaKind::InlineImage) => true,
            (ImagePolicy::Refuse | ImagePolicy::Inline, _) => false,
        };
        let what = match media.kind {
            MediaKind::InlineImage => "a picture",
            MediaKind::LinkedImage => "the address of a picture",
            MediaKind::File => "a file or recording",
        };
        let (severity, said) = if let_through {
            (Severity::Info, "let through unread")
        } else {
            (Severity::Medium, "cannot be read")
        };
        let remedy = "send its text instead, or let the owner of the system allow it (`images`)";
        report.find(
            severity,
            Location::named(media.place.to_string()),
            None,
            format!("{what} {said}"),
            remedy,
        );
    }
}
