//! What the guards said of one exchange, and what the caller should make of the answer.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, Outcome, Severity};

/// What a guard may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum GuardMode {
    /// Writes down what it sees; neither answer nor advice change.
    Observe,
    /// Changes the advice on the answer.
    #[default]
    Flag,
    /// Refuses the request, or withholds the answer.
    Block,
}

/// What a guard that could not decide counts as. Choosing `Pass` is loosening and is recorded as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum OnInconclusive {
    /// The answer goes out with the advice as computed from the others.
    Pass,
    /// The answer goes out with the advice `use with care`.
    #[default]
    Flag,
    /// The request is refused.
    Block,
}

/// What the reader of an answer should do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// No guard objects.
    Use,
    /// A guard has a doubt: check against the patient before relying on it.
    UseWithCare,
    /// A guard says that the answer cannot be trusted.
    DoNotUse,
}

impl Advice {
    /// The words of the receipt.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::UseWithCare => "use with care",
            Self::DoNotUse => "do not use",
        }
    }

    /// The advice that follows from a severity: medium asks for care, high and critical forbid.
    pub const fn from_severity(severity: Severity) -> Self {
        match severity {
            Severity::Info | Severity::Low => Self::Use,
            Severity::Medium => Self::UseWithCare,
            Severity::High | Severity::Critical => Self::DoNotUse,
        }
    }

    /// The advice on an answer with these verdicts: the strictest that any guard not in `observe` asks for.
    pub fn from_verdicts(verdicts: &[GuardVerdict]) -> Self {
        verdicts.iter().map(GuardVerdict::advice).max().unwrap_or(Self::Use)
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The answer of one guard instance on one exchange. Keyed by the instance's name, so that two instances of one
/// kind cannot hide each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardVerdict {
    /// Name of the instance in the configuration, for example `clinical-range`.
    pub instance: Cow<'static, str>,
    /// Catalogue id of its kind.
    pub check: Cow<'static, str>,
    /// What it may do.
    pub mode: GuardMode,
    /// What its doubt counts as.
    pub on_inconclusive: OnInconclusive,
    /// What it said.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Time it took, in microseconds.
    pub took_us: u64,
}

impl GuardVerdict {
    /// True when this verdict stops the exchange. In `block` mode that takes a finding of medium severity or worse.
    pub fn blocks(&self) -> bool {
        let doubted = matches!(self.outcome, Outcome::Inconclusive { .. });
        let found = self.outcome.worst().is_some_and(|s| s >= Severity::Medium);
        (self.mode == GuardMode::Block && found) || (doubted && self.on_inconclusive == OnInconclusive::Block)
    }

    /// The advice that this verdict alone gives.
    pub fn advice(&self) -> Advice {
        let doubted = matches!(self.outcome, Outcome::Inconclusive { .. });
        let doubt = match self.on_inconclusive {
            OnInconclusive::Pass => Advice::Use,
            OnInconclusive::Flag => Advice::UseWithCare,
            OnInconclusive::Block => Advice::DoNotUse,
        };
        let doubt = if doubted { doubt } else { Advice::Use };
        if self.mode == GuardMode::Observe {
            return doubt;
        }
        self.outcome.worst().map_or(Advice::Use, Advice::from_severity).max(doubt)
    }
}

/// What every answer carries: where it is written down, which model gave it, and whether to use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Position of the closing entry in the ledger, counted from 0.
    pub ledger_index: u64,
    /// Content digest of the model that answered.
    pub model: Digest,
    /// What to make of the answer.
    pub advice: Advice,
    /// What each guard said.
    pub verdicts: Vec<GuardVerdict>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Finding, Location};

    fn verdict(mode: GuardMode, on_inconclusive: OnInconclusive, outcome: Outcome) -> GuardVerdict {
        GuardVerdict {
            instance: "x".into(),
            check: "X000".into(),
            mode,
            on_inconclusive,
            outcome,
            took_us: 0,
        }
    }

    fn found(severity: Severity) -> Outcome {
        Outcome::from_findings(vec![Finding {
            check: "X000".into(),
            severity,
            location: Location::whole(),
            message: "m".into(),
            technique: None,
            remedy: "r".into(),
        }])
    }

    #[test]
    fn observing_never_changes_the_advice_and_blocking_needs_medium() {
        let quiet = verdict(GuardMode::Observe, OnInconclusive::Flag, found(Severity::Critical));
        assert_eq!((quiet.advice(), quiet.blocks()), (Advice::Use, false));
        let low = verdict(GuardMode::Block, OnInconclusive::Flag, found(Severity::Low));
        assert!(!low.blocks());
        assert!(verdict(GuardMode::Block, OnInconclusive::Flag, found(Severity::Medium)).blocks());
    }

    #[test]
    fn a_doubt_is_never_a_pass_unless_somebody_chose_so() {
        let doubt = || Outcome::inconclusive("X000", "no time left");
        for mode in [GuardMode::Observe, GuardMode::Flag, GuardMode::Block] {
            assert_eq!(verdict(mode, OnInconclusive::default(), doubt()).advice(), Advice::UseWithCare);
            assert!(verdict(mode, OnInconclusive::Block, doubt()).blocks());
        }
        assert_eq!(verdict(GuardMode::Flag, OnInconclusive::Pass, doubt()).advice(), Advice::Use);
    }

    #[test]
    fn the_strictest_guard_gives_the_advice() {
        let verdicts = [
            verdict(GuardMode::Flag, OnInconclusive::Flag, Outcome::Clean),
            verdict(GuardMode::Flag, OnInconclusive::Flag, found(Severity::High)),
            verdict(GuardMode::Flag, OnInconclusive::Flag, found(Severity::Medium)),
        ];
        assert_eq!(Advice::from_verdicts(&verdicts), Advice::DoNotUse);
        assert_eq!(Advice::from_verdicts(&[]), Advice::Use);
    }
}
