//! What was found in a file: a tree of parts, each with its findings and with what could not be read.

use domain::{Finding, Severity};
use serde::{Deserialize, Serialize};

use crate::Facts;

/// What a scan answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All of it was understood and nothing in it is dangerous.
    Clean,
    /// Something was not understood; nothing dangerous was seen in the rest.
    Inconclusive,
    /// Something dangerous is in it.
    Found,
}

impl Verdict {
    /// One word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Inconclusive => "inconclusive",
            Self::Found => "found",
        }
    }
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// First byte of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub byte: Option<u64>,
    /// What and why, lower case, one line.
    pub reason: String,
}

/// One file, or one thing inside a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Part {
    /// Name inside its container; the file's name for the whole.
    pub name: String,
    /// Format as recognised by content, for example `pickle`; several joined by `+` for a polyglot.
    pub format: String,
    /// Length, bytes.
    pub bytes: u64,
    /// What the part says about itself.
    #[serde(default)]
    pub facts: Facts,
    /// What was found in it, without the parts below. Findings under [`Severity::Medium`] are remarks.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub findings: Vec<Finding>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unread: Vec<Unread>,
    /// What is inside.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<Part>,
    /// The format is a guess from bytes that could be something else.
    #[serde(skip)]
    pub(crate) guessed: bool,
}

impl Part {
    /// A part in which nothing has been looked at yet.
    pub fn new(name: &str, format: &str, bytes: u64) -> Self {
        Self {
            name: name.to_owned(),
            format: format.to_owned(),
            bytes,
            facts: Facts::default(),
            findings: Vec::new(),
            unread: Vec::new(),
            parts: Vec::new(),
            guessed: false,
        }
    }

    /// The part and all below it, depth first.
    pub fn walk(&self) -> Vec<&Part> {
        let mut all = vec![self];
        let mut next = 0;
        while next < all.len() {
            let part: &Part = all[next];
            next += 1;
            all.splice(next..next, part.parts.iter());
        }
        all
    }

    /// All findings, of the parts below too.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.walk().into_iter().flat_map(|p| p.findings.iter())
    }

    /// The worst that was found.
    pub fn worst(&self) -> Option<Severity> {
        self.all_findings().map(|f| f.severity).max()
    }

    /// What to say of the whole.
    pub fn verdict(&self) -> Verdict {
        let parts = self.walk();
        if parts.iter().any(|p| p.findings.iter().any(|f| f.severity >= Severity::Medium)) {
            Verdict::Found
        } else if parts.iter().any(|p| !p.unread.is_empty()) {
            Verdict::Inconclusive
        } else {
            Verdict::Clean
        }
    }
}
