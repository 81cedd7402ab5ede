//! What the layouts of repositories share: finding their files below any folder, and reading the small ones.

use super::Listing;
use crate::Member;
use crate::text::document::Node;
use crate::text::{json, yaml};

/// Longest document that a layout reads again, bytes.
const DOCUMENT_BYTES_MAX: u64 = 4 << 20;

/// The folder (with `/`, or empty) in which `path` is, nearest to the top, and the file.
pub(super) fn below<'a>(listing: &Listing<'a>, path: &str) -> Option<(&'a str, &'a Member<'a>)> {
    let here = |m: &&'a Member<'a>| {
        m.name.strip_suffix(path).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
    };
    let member = listing.members.iter().filter(here).min_by_key(|m| m.name.len())?;
    Some((member.name.strip_suffix(path).unwrap_or_default(), member))
}

/// The content of a JSON or YAML file, when it is small and whole.
pub(super) fn document(member: &Member<'_>) -> Option<Node> {
    let bytes =
        member.source.bytes(0, member.source.len().min(DOCUMENT_BYTES_MAX + 1), DOCUMENT_BYTES_MAX).ok()?;
    if json::looks_like(&bytes) {
        return json::read(&bytes.as_ref()).ok()?.roots.into_iter().next();
    }
    let text = std::str::from_utf8(&bytes).ok()?;
    yaml::read(text).document.roots.into_iter().next()
}

/// Whether Python code for a dotted name lies below `folder`, directly or in one of its own folders.
pub(super) fn has_module(listing: &Listing<'_>, folder: &str, dotted: &str) -> bool {
    let path = dotted.replace('.', "/");
    let names = [format!("{path}.py"), format!("{path}/__init__.py"), format!("{path}.pyc")];
    listing
        .members
        .iter()
        .filter_map(|m| m.name.strip_prefix(folder))
        .any(|name| names.iter().any(|n| name == n || name.ends_with(&format!("/{n}"))))
}
