//! An OpenVINO model: `name.xml` and `name.bin`.

use super::{Layout, Listing, Role};
use crate::{Context, Part};

/// The layout.
pub(super) struct OpenVino;

impl Layout for OpenVino {
    fn name(&self) -> &'static str {
        "openvino"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        listing.members.iter().any(|m| self.role(listing, m.name).is_some())
    }

    /// The weights are the file of the same name, when the description is one of a network.
    fn role(&self, listing: &Listing<'_>, name: &str) -> Option<Role> {
        /// Bytes in which the root element begins.
        const HEAD: u64 = 1024;
        let description = listing.get(&format!("{}.xml", name.strip_suffix(".bin")?))?;
        let head = description.source.head(HEAD).ok()?;
        crate::wire::position(&head, b"<net").map(|_| Role::Weights)
    }

    fn read(&self, _listing: &Listing<'_>, _part: &mut Part, _cx: &mut Context<'_>) {}
}
