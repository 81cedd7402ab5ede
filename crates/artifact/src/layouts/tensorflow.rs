//! The folder of a SavedModel, and TensorFlow checkpoints.

use super::{Layout, Listing, Role};
use crate::{Context, Part};

/// The layout.
pub(super) struct TensorFlow;

impl Layout for TensorFlow {
    fn name(&self) -> &'static str {
        "tensorflow"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        listing.members.iter().any(|m| is_saved_model(m.name) || is_shard(m.name))
    }

    /// Shards and their index are numbers and a table of names; the fingerprint is five hashes.
    fn role(&self, listing: &Listing<'_>, name: &str) -> Option<Role> {
        /// A fingerprint has about a hundred bytes.
        const FINGERPRINT_BYTES_MAX: u64 = 4096;
        let index = name.strip_suffix(".index").is_some_and(|stem| {
            listing
                .members
                .iter()
                .any(|m| m.name.strip_prefix(stem).is_some_and(|rest| rest.starts_with(".data-")))
        });
        let fingerprint = name.ends_with("fingerprint.pb")
            && listing.get(name).is_some_and(|m| m.source.len() < FINGERPRINT_BYTES_MAX);
        (is_shard(name) || index || fingerprint).then_some(Role::Weights)
    }

    fn read(&self, _listing: &Listing<'_>, _part: &mut Part, _cx: &mut Context<'_>) {}
}

fn is_saved_model(name: &str) -> bool {
    name == "saved_model.pb" || name.ends_with("/saved_model.pb")
}

/// `….data-00000-of-00001`
fn is_shard(name: &str) -> bool {
    let numbers = name.rsplit_once(".data-").map(|(_, numbers)| numbers);
    numbers
        .and_then(|n| n.split_once("-of-"))
        .is_some_and(|(a, b)| [a, b].iter().all(|n| n.len() == 5 && n.bytes().all(|b| b.is_ascii_digit())))
}
