//! The receipt on the wire: parameters of the protocol's answer, and two headers over REST.

use std::borrow::Cow;

use domain::{GuardVerdict, Outcome, Receipt, Severity};
use http::HeaderName;
use oip::{Param, Params};
use serde::{Serialize, Serializer};

/// Header with the position of the closing entry in the ledger.
pub const RECEIPT_HEADER: HeaderName = HeaderName::from_static("asepsis-receipt");
/// Header with the advice.
pub const ADVICE_HEADER: HeaderName = HeaderName::from_static("asepsis-advice");

/// What one guard said, in short: the worst finding stands for all.
#[derive(Debug, Serialize)]
pub(crate) struct Said<'a> {
    pub(crate) outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) severity: Option<Severity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Instance of the guard → what it said, written straight from the verdicts.
pub(crate) struct Verdicts<'a>(pub(crate) &'a [GuardVerdict]);

impl Serialize for Verdicts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|v| (&v.instance, summary(&v.outcome))))
    }
}

/// What a guard said, in short.
pub(crate) fn summary(outcome: &Outcome) -> Said<'_> {
    let findings = outcome.findings();
    let worst = findings.iter().rev().max_by_key(|f| f.severity);
    let message = match (worst, outcome) {
        (Some(finding), _) => Some(Cow::Owned(format!("{}: {}", finding.location, finding.message))),
        (None, Outcome::Inconclusive { doubt, .. }) => Some(Cow::Borrowed(doubt.reason.as_str())),
        (None, _) => None,
    };
    Said {
        outcome: outcome.word(),
        severity: worst.map(|f| f.severity),
        message,
        remedy: worst.map(|f| f.remedy.as_str()),
        more: findings.len().saturating_sub(1),
    }
}

/// The parameters of an answer.
pub(crate) fn parameters(receipt: &Receipt) -> Params {
    let verdicts = serde_json::to_string(&Verdicts(&receipt.verdicts)).unwrap_or_default();
    let text = |value: String| Param::String(value);
    Params::from([
        ("asepsis_advice".to_owned(), text(receipt.advice.as_str().to_owned())),
        ("asepsis_model".to_owned(), text(receipt.model.to_string())),
        ("asepsis_receipt".to_owned(), text(receipt.ledger_index.to_string())),
        ("asepsis_verdicts".to_owned(), text(verdicts)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Advice, Digest, GuardMode, OnInconclusive};

    #[test]
    fn a_clean_receipt_is_short_and_a_doubt_says_why() {
        let verdict = |instance: &str, outcome| GuardVerdict {
            instance: instance.into(),
            check: "G001".into(),
            mode: GuardMode::Flag,
            on_inconclusive: OnInconclusive::Flag,
            outcome,
            took_us: 1,
        };
        let verdicts =
            vec![verdict("a", Outcome::Clean), verdict("b", Outcome::inconclusive("G001", "no time left"))];
        let receipt =
            Receipt { ledger_index: 5, model: Digest::of(b"m"), advice: Advice::UseWithCare, verdicts };
        let parameters = parameters(&receipt);
        assert_eq!(parameters["asepsis_receipt"], Param::String("5".into()));
        let expected = r#"{"a":{"outcome":"clean"},"b":{"outcome":"inconclusive","message":"no time left"}}"#;
        assert_eq!(parameters["asepsis_verdicts"], Param::String(expected.into()));
    }
}
