//! The receipt of a conversation on the wire: one object, `asepsis`, beside the protocol's own fields, which unchanged clients
//! pass over.

use detect::Note;
use domain::{GuardVerdict, Receipt, Severity};
use serde::Serialize;

use crate::receipt::Verdicts;

/// What the guards say of one place of the reply.
#[derive(Serialize)]
struct WireNote<'a> {
    check: &'static str,
    place: String,
    /// First byte in the text of that place.
    start: usize,
    /// The byte behind the last.
    end: usize,
    severity: Severity,
    message: &'a str,
}

/// The object beside an answer.
#[derive(Serialize)]
struct Answered<'a> {
    receipt: String,
    model: String,
    advice: &'static str,
    verdicts: Verdicts<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<WireNote<'a>>,
}

/// The object beside an error.
#[derive(Serialize)]
pub(crate) struct Refused<'a> {
    what_to_do: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdicts: Option<Verdicts<'a>>,
}

impl<'a> Refused<'a> {
    pub(crate) fn of(refused: &'a gateway::Refused) -> Self {
        let verdicts: &[GuardVerdict] = &refused.verdicts;
        Self {
            what_to_do: refused.refusal.what_to_do(),
            receipt: refused.ledger_index.map(|i| i.to_string()),
            verdicts: (!verdicts.is_empty()).then_some(Verdicts(verdicts)),
        }
    }
}

/// The object beside an answer, as JSON.
pub(crate) fn asepsis(receipt: &Receipt, notes: &[Note]) -> String {
    let notes = notes.iter().map(|note| WireNote {
        check: note.check,
        place: note.place.to_string(),
        start: note.start,
        end: note.end,
        severity: note.severity,
        message: &note.message,
    });
    let answered = Answered {
        receipt: receipt.ledger_index.to_string(),
        model: receipt.model.to_string(),
        advice: receipt.advice.as_str(),
        verdicts: Verdicts(&receipt.verdicts),
        notes: notes.collect(),
    };
    serde_json::to_string(&answered).unwrap_or_else(|_| "{}".to_owned())
}
