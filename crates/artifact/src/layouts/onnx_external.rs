//! An ONNX model with its weights in files beside it.

use super::{Layout, Listing, Role};
use crate::wire::find;
use crate::{Context, Part, Source};

/// The layout.
pub(super) struct OnnxExternal;

/// Bytes of a model that are searched for the name of a file.
const SEARCH_BYTES_MAX: u64 = 64 << 20;

impl Layout for OnnxExternal {
    fn name(&self) -> &'static str {
        "onnx-external"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        listing.members.len() > 1 && models(listing).next().is_some()
    }

    /// Files that the model names are raw numbers for the runtime. Code never is, whatever the model says.
    fn role(&self, listing: &Listing<'_>, name: &str) -> Option<Role> {
        let (folder, base) = split(name);
        let named = models(listing).any(|m| {
            let relative = name.strip_prefix(split(m.0).0).unwrap_or(base);
            find(m.1, relative.as_bytes(), SEARCH_BYTES_MAX).is_some() && folder.starts_with(split(m.0).0)
        });
        named.then_some(Role::Weights)
    }

    fn read(&self, _listing: &Listing<'_>, _part: &mut Part, _cx: &mut Context<'_>) {}
}

fn split(name: &str) -> (&str, &str) {
    name.split_at(name.rfind('/').map_or(0, |i| i + 1))
}

/// Files that are called ONNX and begin as a protocol buffer with a version.
fn models<'a>(listing: &Listing<'a>) -> impl Iterator<Item = (&'a str, &'a dyn Source)> {
    listing
        .members
        .iter()
        .filter(|m| m.name.ends_with(".onnx") && m.source.head(1).is_ok_and(|h| h.first() == Some(&8)))
        .map(|m| (m.name, m.source))
}

#[cfg(test)]
mod tests {
    use crate::wire::proto::build::{bytes, int, message};
    use crate::{Limits, Member, Verdict, scan_members};

    #[test]
    fn named_weights_are_understood_and_others_are_not() {
        let place = message(13, &[bytes(1, "location"), bytes(2, "w.data")]);
        let tensor = message(5, &[int(1, 4), int(2, 1), bytes(8, "w"), place, int(14, 1)]);
        let model = [int(1, 9), message(7, &[tensor]), message(8, &[int(2, 17)])].concat();
        let raw: Vec<u8> = (0..16u8).map(|i| i.wrapping_mul(37) | 0x80).collect();
        for (name, verdict) in [("w.data", Verdict::Clean), ("other.data", Verdict::Inconclusive)] {
            let members = [Member { name: "m.onnx", source: &model }, Member { name, source: &raw }];
            assert_eq!(scan_members("m", &members, &Limits::default()).verdict(), verdict, "{name}");
        }
    }
}
