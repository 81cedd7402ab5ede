//! One difference between a signature and a folder, and how it is told.

use domain::{Entry, Finding, Location, Severity};
use serde::Serialize;

use crate::checks;
use crate::name::shown;

/// One difference. `path` is always the name in the folder, or in the signature for what is not in the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "difference", rename_all = "kebab-case")]
pub enum Difference {
    /// Another content than was signed.
    Changed {
        /// The file.
        path: String,
        /// Byte ranges that differ, where shards were signed.
        ranges: Vec<(u64, u64)>,
    },
    /// Nobody signed it.
    Added {
        /// The file.
        path: String,
    },
    /// Signed and not there.
    Missing {
        /// The file.
        path: String,
    },
    /// Signed under another name.
    Renamed {
        /// The signed name.
        from: String,
        /// The name now.
        path: String,
    },
    /// Signed under a name that differs in upper and lower case only.
    CaseRenamed {
        /// The signed name.
        from: String,
        /// The name now.
        path: String,
        /// Whether its content changed as well.
        changed: bool,
    },
    /// Two signed files under each other's name.
    Swapped {
        /// The one.
        path: String,
        /// The other.
        with: String,
    },
    /// Holds what was signed under another name.
    HoldsOther {
        /// The file.
        path: String,
        /// The name that its content was signed under.
        signed_as: String,
    },
    /// A symbolic link.
    Link {
        /// The link.
        path: String,
        /// Whether it was allowed and its target compared.
        read: bool,
    },
    /// Neither a file nor a link to one.
    Special {
        /// Its name.
        path: String,
        /// What it is.
        what: String,
    },
    /// There, and left out of the signature by one of its rules.
    Ignored {
        /// The file.
        path: String,
        /// The rule.
        rule: String,
    },
    /// An empty file, which a signature by shards never covers.
    EmptyNotCovered {
        /// The file.
        path: String,
    },
    /// A name that leaves the folder on some system.
    UnsafeName {
        /// The name.
        path: String,
        /// Why.
        #[serde(skip)]
        reason: &'static str,
        /// In the signature (or else in the folder).
        signed: bool,
    },
    /// Signed twice.
    Duplicate {
        /// The name.
        path: String,
    },
}

/// What to do when the model is not what was signed.
const GET_AGAIN: &str = "do not use the model; get it again from its maker";

impl Difference {
    /// The name it is about.
    pub fn path(&self) -> &str {
        match self {
            Self::Changed { path, .. }
            | Self::Added { path }
            | Self::Missing { path }
            | Self::Renamed { path, .. }
            | Self::CaseRenamed { path, .. }
            | Self::Swapped { path, .. }
            | Self::HoldsOther { path, .. }
            | Self::Link { path, .. }
            | Self::Special { path, .. }
            | Self::Ignored { path, .. }
            | Self::EmptyNotCovered { path }
            | Self::UnsafeName { path, .. }
            | Self::Duplicate { path } => path,
        }
    }

    /// Whether it is only said, unless everything has to be signed.
    pub(crate) const fn is_notice(&self) -> bool {
        matches!(self, Self::Ignored { .. } | Self::EmptyNotCovered { .. } | Self::Link { read: true, .. })
    }

    /// The difference as a finding. `strict` raises what is only said otherwise.
    pub(crate) fn finding(&self, strict: bool) -> Finding {
        let noticed = if strict { Severity::High } else { Severity::Low };
        let (entry, severity, remedy) = self.kind(noticed);
        Finding {
            check: entry.id.to_owned(),
            severity,
            location: Location::named(shown(self.path())),
            message: self.message(),
            technique: (severity >= Severity::High).then(|| "AML.T0010.003".to_owned()),
            remedy: remedy.to_owned(),
        }
    }

    fn kind(&self, noticed: Severity) -> (&'static Entry, Severity, &'static str) {
        match self {
            Self::Changed { .. } => (&checks::CHANGED, Severity::Critical, GET_AGAIN),
            Self::Added { .. } => (
                &checks::ADDED,
                Severity::High,
                "remove the file, or ask the maker for a signature that covers it",
            ),
            Self::Missing { .. } => (&checks::MISSING, Severity::High, GET_AGAIN),
            Self::Renamed { .. } | Self::CaseRenamed { changed: false, .. } => {
                (&checks::RENAMED, Severity::High, "give the file its signed name again")
            }
            Self::CaseRenamed { .. } | Self::Swapped { .. } | Self::HoldsOther { .. } => {
                (&checks::RENAMED, Severity::Critical, GET_AGAIN)
            }
            Self::Link { read: true, .. } => (
                &checks::LINK,
                noticed,
                "replace the link by its file, so that later changes elsewhere do not reach it",
            ),
            Self::Link { .. } | Self::Special { .. } => {
                (&checks::LINK, Severity::High, "replace it by the file that was signed, or remove it")
            }
            Self::Ignored { .. } => (
                &checks::UNCOVERED,
                noticed,
                "remove what the model does not need, or verify with --strict to refuse it",
            ),
            Self::EmptyNotCovered { .. } => {
                (&checks::UNCOVERED, noticed, "remove it, or ask the maker to sign whole files")
            }
            Self::UnsafeName { .. } | Self::Duplicate { .. } => (
                &checks::NAME,
                Severity::Critical,
                "do not use the model; no honest signer writes such a name",
            ),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Changed { ranges, .. } if ranges.is_empty() => {
                "its content is not what was signed".to_owned()
            }
            Self::Changed { ranges, .. } => {
                let list: Vec<String> = ranges.iter().map(|(from, to)| format!("{from} to {to}")).collect();
                format!("its content is not what was signed in the bytes {}", list.join(", "))
            }
            Self::Added { .. } => "nobody signed it".to_owned(),
            Self::Missing { .. } => "it was signed and is not there".to_owned(),
            Self::Renamed { from, .. } => format!("it was signed as `{}`", shown(from)),
            Self::CaseRenamed { from, changed: false, .. } => {
                format!("it was signed as `{}`, which differs in upper and lower case", shown(from))
            }
            Self::CaseRenamed { from, .. } => {
                format!("`{}` was signed; this has another content and the name in another case", shown(from))
            }
            Self::Swapped { with, .. } => format!("it and `{}` stand under each other's name", shown(with)),
            Self::HoldsOther { signed_as, .. } => {
                format!("it holds what was signed as `{}`", shown(signed_as))
            }
            Self::Link { read: true, .. } => "it is a symbolic link, whose target was compared".to_owned(),
            Self::Link { .. } => "it is a symbolic link, and links are not allowed".to_owned(),
            Self::Special { what, .. } => format!("it is no file: {}", shown(what)),
            Self::Ignored { rule, .. } => {
                format!("the signature leaves it out (`{}`): anybody may have changed it", shown(rule))
            }
            Self::EmptyNotCovered { .. } => {
                "it is empty, and a signature by shards covers no empty file".to_owned()
            }
            Self::UnsafeName { reason, signed: true, .. } => {
                format!("the signature lists an unsafe name: {reason}")
            }
            Self::UnsafeName { reason, .. } => format!("the folder holds an unsafe name: {reason}"),
            Self::Duplicate { .. } => "the signature lists it twice".to_owned(),
        }
    }
}
