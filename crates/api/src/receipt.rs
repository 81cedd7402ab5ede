//! The receipt on the wire: parameters of the protocol's answer, and two headers over REST.

use std::borrow::Cow;
use std::io::Write as _;

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

/// [`parameters`] as JSON, the same bytes, in one go: the verdicts are JSON inside a JSON text, whose quotes are written escaped
/// instead of being looked for.
pub(crate) fn parameters_json(receipt: &Receipt) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + receipt.verdicts.len() * 128);
    // Writing into a vector cannot fail.
    let _ = write!(
        out,
        r#"{{"asepsis_advice":"{}","asepsis_model":"{}","asepsis_receipt":"{}","asepsis_verdicts":"{{"#,
        receipt.advice.as_str(),
        receipt.model,
        receipt.ledger_index
    );
    for (i, verdict) in receipt.verdicts.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        inside(&verdict.instance, &mut out);
        if verdict.outcome.is_clean() {
            out.extend_from_slice(br#":{\"outcome\":\"clean\"}"#);
        } else {
            said(&summary(&verdict.outcome), &mut out);
        }
    }
    out.extend_from_slice(br#"}"}"#);
    out
}

/// What a guard that was not clean said, behind its name.
fn said(said: &Said<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#":{\"outcome\":"#);
    inside(said.outcome, out);
    if let Some(severity) = said.severity {
        let _ = write!(out, r#",\"severity\":\"{severity}\""#);
    }
    for (name, text) in
        [(&br#",\"message\":"#[..], said.message.as_deref()), (br#",\"remedy\":"#, said.remedy)]
    {
        if let Some(text) = text {
            out.extend_from_slice(name);
            inside(text, out);
        }
    }
    if said.more > 0 {
        let _ = write!(out, r#",\"more\":{}"#, said.more);
    }
    out.push(b'}');
}

/// A text in quotes inside a text in quotes: escaped twice.
fn inside(text: &str, out: &mut Vec<u8>) {
    // Without a way out in the middle, so that many bytes are looked at at once.
    let escaped = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\');
    if !text.bytes().fold(false, |any, b| any | escaped(b)) {
        out.extend_from_slice(br#"\""#);
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(br#"\""#);
        return;
    }
    let once = serde_json::to_string(text).unwrap_or_default();
    let twice = serde_json::to_string(&once).unwrap_or_default();
    // Without the quotes of the outer text, which is being written.
    out.extend_from_slice(twice.get(1..twice.len() - 1).unwrap_or_default().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Advice, Digest, GuardMode, OnInconclusive};

    #[test]
    fn a_clean_receipt_is_short_and_a_doubt_says_why() {
        let verdict = |instance: &'static str, outcome| GuardVerdict {
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
        let finding = domain::Finding {
            check: "G001".into(),
            severity: Severity::High,
            location: domain::Location::named("a \"quoted\" name"),
            message: "back\\slash, tab\t, é".into(),
            technique: None,
            remedy: "look".into(),
        };
        let found = verdict("c", Outcome::from_findings(vec![finding.clone(), finding]));
        for verdicts in [vec![], receipt.verdicts.clone(), [receipt.verdicts.clone(), vec![found]].concat()] {
            let receipt = Receipt { verdicts, ..receipt.clone() };
            let plain = serde_json::to_string(&super::parameters(&receipt)).unwrap();
            assert_eq!(String::from_utf8(parameters_json(&receipt)).unwrap(), plain);
        }
    }
}
