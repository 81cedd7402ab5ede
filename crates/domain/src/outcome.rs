//! What a check can answer. There is no fourth answer and no way to lose the third.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad a finding is, for the patient first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing, changes nothing.
    Info,
    /// Should be looked at some day.
    Low,
    /// An answer should be used with care.
    Medium,
    /// An answer should not be used.
    High,
    /// Somebody is probably attacking, or a patient would probably be harmed.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// Where a finding is. Never holds a patient's value, only the place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Location {
    /// Row of the batch, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub row: Option<u32>,
    /// Feature, tensor, key or file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// Byte in a file, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub byte: Option<u64>,
}

impl Location {
    /// The whole request, file or data set.
    pub fn whole() -> Self {
        Self::default()
    }

    /// A named part.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    /// A row of a batch, and perhaps a feature in it.
    pub fn row(row: usize, name: Option<&str>) -> Self {
        Self { row: u32::try_from(row).ok(), name: name.map(str::to_owned), byte: None }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.row) {
            (Some(name), Some(row)) => write!(f, "`{name}` in row {row}")?,
            (Some(name), None) => write!(f, "`{name}`")?,
            (None, Some(row)) => write!(f, "row {row}")?,
            (None, None) => f.write_str("the whole input")?,
        }
        self.byte.map_or(Ok(()), |byte| write!(f, " at byte {byte}"))
    }
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Catalogue id of the check that found it (`asepsis explain ID`).
    pub check: String,
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub location: Location,
    /// What was seen: lower case, one line, no patient's value.
    pub message: String,
    /// MITRE ATLAS technique id, where the finding points at one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub technique: Option<String>,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {} ({})", self.check, self.severity, self.location, self.message, self.remedy)
    }
}

/// Why a check could not decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Catalogue id of the check.
    pub check: String,
    /// Why, lower case, one line, no patient's value.
    pub reason: String,
}

/// The answer of every check. An error is never a pass: what could not be decided is `Inconclusive`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
#[must_use]
pub enum Outcome {
    /// Looked at everything, found nothing.
    Clean,
    /// Found something; at least one finding.
    Found {
        /// What was found.
        findings: Vec<Finding>,
    },
    /// Could not decide. Findings made before that are kept.
    Inconclusive {
        /// Why.
        doubt: Doubt,
        /// What was found all the same.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<Finding>,
    },
}

impl Outcome {
    /// `Clean` for no finding, else `Found`.
    pub fn from_findings(findings: Vec<Finding>) -> Self {
        if findings.is_empty() { Self::Clean } else { Self::Found { findings } }
    }

    /// Could not decide.
    pub fn inconclusive(check: &str, reason: impl Into<String>) -> Self {
        Self::Inconclusive {
            doubt: Doubt { check: check.to_owned(), reason: reason.into() },
            findings: Vec::new(),
        }
    }

    /// What was found, empty when clean.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Clean => &[],
            Self::Found { findings } | Self::Inconclusive { findings, .. } => findings,
        }
    }

    /// True only when everything was looked at and nothing was found.
    pub fn is_clean(&self) -> bool {
        matches!(self, Self::Clean)
    }

    /// The worst severity among the findings.
    pub fn worst(&self) -> Option<Severity> {
        self.findings().iter().map(|f| f.severity).max()
    }

    /// One word: `clean`, `found` or `inconclusive`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Found { .. } => "found",
            Self::Inconclusive { .. } => "inconclusive",
        }
    }

    /// Joins two answers: a doubt in either stays a doubt, findings add up.
    pub fn and(self, other: Self) -> Self {
        let mut findings = self.findings().to_vec();
        findings.extend_from_slice(other.findings());
        match (self, other) {
            (Self::Inconclusive { doubt, .. }, _) | (_, Self::Inconclusive { doubt, .. }) => {
                Self::Inconclusive { doubt, findings }
            }
            _ => Self::from_findings(findings),
        }
    }

    /// The exit code of a command that ends with this answer: 0 clean, 1 found, 2 inconclusive.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Found { .. } => 1,
            Self::Inconclusive { .. } => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity) -> Finding {
        Finding {
            check: "X000".into(),
            severity,
            location: Location::whole(),
            message: "m".into(),
            technique: None,
            remedy: "r".into(),
        }
    }

    #[test]
    fn a_doubt_survives_joining_with_anything() {
        let doubt = Outcome::inconclusive("X000", "no time left");
        let found = Outcome::from_findings(vec![finding(Severity::High)]);
        for joined in [doubt.clone().and(found.clone()), found.and(doubt.clone())] {
            assert_eq!(joined.word(), "inconclusive");
            assert_eq!(joined.worst(), Some(Severity::High), "findings are kept beside the doubt");
        }
        assert_eq!(doubt.and(Outcome::Clean).exit_code(), 2);
    }

    #[test]
    fn no_finding_is_clean_and_one_is_not() {
        assert!(Outcome::from_findings(vec![]).is_clean());
        assert_eq!(Outcome::from_findings(vec![finding(Severity::Info)]).exit_code(), 1);
    }
}
