//! A Core ML package (`.mlpackage`).

use super::{Layout, Listing, Role};
use crate::{Context, Part};

/// The layout.
pub(super) struct CoreMl;

impl Layout for CoreMl {
    fn name(&self) -> &'static str {
        "coreml-package"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        listing.ending("Manifest.json").is_some()
            && listing.members.iter().any(|m| m.name.ends_with(".mlmodel"))
    }

    fn role(&self, _listing: &Listing<'_>, name: &str) -> Option<Role> {
        (name.contains("/weights/") && name.ends_with(".bin")).then_some(Role::Weights)
    }

    fn read(&self, _listing: &Listing<'_>, _part: &mut Part, _cx: &mut Context<'_>) {}
}
