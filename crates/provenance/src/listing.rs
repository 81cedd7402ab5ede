//! What is in a folder, as the caller found it. This crate opens nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits::TREE_ENTRIES_MAX;
use crate::name::is_under;

/// What a name in the folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A symbolic link to a regular file inside the folder.
    LinkInside,
    /// A symbolic link to a regular file outside the folder.
    LinkOutside,
    /// A link to a folder or to nothing, a socket, a device, a name that is no UTF-8, a folder that cannot be opened.
    /// The text says which, for people: lower case, one line.
    Other(String),
}

/// When and where a file was last written, as the file system says; used by the digest cache only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stamp {
    /// Modification time, nanoseconds since 1970 (about until the year 2262).
    pub modified_ns: i64,
    /// Change time of the inode in the same unit, which no program can set; 0 where there is none.
    pub changed_ns: i64,
    /// Number of the inode; 0 where there is none.
    pub inode: u64,
}

/// One name in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Path from the root with `/`; lossy where the name is no UTF-8 (its kind is then [`EntryKind::Other`]).
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of the file (of the link's target); 0 for anything else.
    pub size: u64,
    /// For the digest cache; `None` never reuses a digest.
    pub stamp: Option<Stamp>,
}

/// Which symbolic links are read through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkPolicy {
    /// None: the specification's default, and ours.
    #[default]
    Refuse,
    /// Those whose target lies inside the folder.
    Inside,
    /// All that lead to a regular file (caches of model hubs are made of such links).
    Anywhere,
}

impl LinkPolicy {
    /// Whether an entry is read under this policy.
    pub(crate) const fn reads(self, kind: &EntryKind) -> bool {
        match kind {
            EntryKind::File => true,
            EntryKind::LinkInside => matches!(self, Self::Inside | Self::Anywhere),
            EntryKind::LinkOutside => matches!(self, Self::Anywhere),
            EntryKind::Other(_) => false,
        }
    }
}

/// A folder's content in the order of its names. Folders themselves are not listed: only what is in them counts.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    entries: BTreeMap<String, TreeEntry>,
}

/// Why entries make no listing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// More than is looked at.
    #[error("the folder has more than {TREE_ENTRIES_MAX} files: sign its parts")]
    TooMany,
    /// The same name twice.
    #[error("`{0}` is listed twice: list each name once")]
    Twice(String),
}

impl Listing {
    /// Takes what a walk over the folder found, in any order.
    ///
    /// # Errors
    /// [`ListingError`] for too many names or one that comes twice.
    pub fn new(found: impl IntoIterator<Item = TreeEntry>) -> Result<Self, ListingError> {
        let mut entries = BTreeMap::new();
        for entry in found {
            if entries.len() == TREE_ENTRIES_MAX {
                return Err(ListingError::TooMany);
            }
            if let Some(twice) = entries.insert(entry.path.clone(), entry) {
                return Err(ListingError::Twice(twice.path));
            }
        }
        Ok(Self { entries })
    }

    /// All entries, by name.
    pub fn entries(&self) -> impl Iterator<Item = &TreeEntry> {
        self.entries.values()
    }

    /// The entry of that name.
    pub fn get(&self, path: &str) -> Option<&TreeEntry> {
        self.entries.get(path)
    }

    /// The first of `rules` that leaves `path` out.
    pub(crate) fn rule<'a>(path: &str, rules: &'a [String]) -> Option<&'a str> {
        rules.iter().map(String::as_str).find(|rule| is_under(path, rule))
    }
}
