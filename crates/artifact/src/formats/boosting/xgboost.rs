//! XGBoost: JSON, UBJSON and the old binary form.

use domain::Severity;

use super::trees::{Event, Model};
use super::{STRUCTURE, flaw, ubjson};
use crate::formats::{Format, Input, Sure};
use crate::wire::json::{JsonError, Reader, Token};
use crate::{Context, Cursor, Part, payload};

/// JSON.
pub(in crate::formats) struct XgboostJson;

impl Format for XgboostJson {
    fn name(&self) -> &'static str {
        "xgboost-json"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let start = input.head.iter().position(|b| !b.is_ascii_whitespace())?;
        let has = |word: &[u8]| crate::wire::position(input.head, word).is_some();
        let model = has(b"\"learner\"")
            && (has(b"\"gradient_booster\"")
                || has(b"\"learner_model_param\"")
                || has(b"\"attributes\"")
                || has(b"\"feature_names\""));
        (input.head.get(start) == Some(&b'{') && model).then_some(Sure::Certain)
    }

    fn includes(&self, _input: &Input<'_>) -> &'static [&'static str] {
        &["json", "yaml", "text"]
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        part.facts.framework = Some("XGBoost (JSON)".to_owned());
        let mut reader = Reader::new(input.source, 0, input.source.len()).lenient();
        let mut model = Model::default();
        loop {
            let at = reader.position();
            let event = match reader.token() {
                Ok(Some(token)) => token,
                Ok(None) => break,
                Err(JsonError::Deep { at }) => {
                    return flaw(part, cx, at, "the JSON is nested too deep".to_owned());
                }
                Err(e) => return cx.unread(part, Some(at), e.to_string()),
            };
            if cx.step(1).is_err() {
                return cx.unread(
                    part,
                    Some(at),
                    "the limit of steps is reached; scan the parts of this artefact apart",
                );
            }
            let event = match event {
                Token::Object => Event::Open(true),
                Token::Array => Event::Open(false),
                Token::EndObject | Token::EndArray => Event::Close,
                Token::Key(key, twice) => Event::Key(key, twice),
                Token::Text(text) => Event::Text(text),
                Token::Number(n) => Event::Number(n.parse().ok()),
                Token::Bool(_) | Token::Null => Event::Other,
            };
            model.event(event, at, part, cx);
        }
        close(&model, part);
    }
}

/// UBJSON.
pub(in crate::formats) struct XgboostUbj;

impl Format for XgboostUbj {
    fn name(&self) -> &'static str {
        "xgboost-ubjson"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let length = match input.head {
            [b'{', b'L', ..] => 10,
            [b'{', b'l', ..] => 6,
            [b'{', b'I', ..] => 4,
            [b'{', b'i' | b'U', ..] => 3,
            _ => return None,
        };
        let key = input.head.get(length..)?;
        (key.starts_with(b"learner") || key.starts_with(b"version") || key.starts_with(b"Config"))
            .then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        part.facts.framework = Some("XGBoost (UBJSON)".to_owned());
        let mut reader = ubjson::Reader::new(Cursor::new(input.source, 0));
        let mut model = Model::default();
        loop {
            let at = reader.cursor.position();
            match reader.event() {
                Ok(Some(event)) => {
                    if cx.step(1).is_err() {
                        return cx.unread(
                            part,
                            Some(at),
                            "the limit of steps is reached; scan the parts of this artefact apart",
                        );
                    }
                    model.event(event, at, part, cx);
                }
                Ok(None) => break,
                Err(ubjson::UbjError::Broken { at, what }) => return flaw(part, cx, at, what.to_owned()),
                Err(e) => return cx.unread(part, Some(at), e.to_string()),
            }
        }
        let end = reader.cursor.position();
        if end < input.source.len() {
            let rest = crate::Range::from(input.source, end);
            payload::bytes(&rest, "what follows the model", Some(end), part, cx);
            flaw(part, cx, end, format!("{} bytes follow the model", input.source.len() - end));
        }
        close(&model, part);
    }
}

fn close(model: &Model, part: &mut Part) {
    if model.trees > 0 {
        part.facts.note("trees", &model.trees.to_string());
        part.facts.parameters = Some(model.all_nodes);
    }
}

/// The old binary form.
pub(in crate::formats) struct XgboostBinary;

impl Format for XgboostBinary {
    fn name(&self) -> &'static str {
        "xgboost-binary"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        /// Length of the parameters in front, bytes.
        const PARAMETERS: usize = 136;
        let start = if input.head.starts_with(b"binf") { 4 } else { 0 };
        let (objective, next) = text(input.head, start + PARAMETERS)?;
        let (booster, _) = text(input.head, next)?;
        let known = matches!(booster.as_str(), "gbtree" | "gblinear" | "dart");
        (known && objective.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b':' | b'_' | b'0'..=b'9')))
            .then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        part.facts.framework = Some("XGBoost (binary)".to_owned());
        let message = "the old binary form is read without checks; its trees were not followed";
        cx.find(
            part,
            &STRUCTURE,
            Severity::Low,
            Some(0),
            message,
            "ask the supplier for the model as JSON or UBJSON",
        );
        // Texts stand at the end: attributes and the names of metrics.
        let text = String::from_utf8_lossy(input.tail).into_owned();
        let printable: String = text
            .chars()
            .map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '\n' } else { c })
            .collect();
        payload::text(&printable, "a text of the model", None, part, cx);
    }
}

/// A text with its length in front, and where it ends.
fn text(head: &[u8], at: usize) -> Option<(String, usize)> {
    /// Longest name of an objective or booster.
    const NAME_MAX: u64 = 64;
    let length = u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?);
    let end = at + 8 + usize::try_from(length).ok().filter(|_| (1..=NAME_MAX).contains(&length))?;
    Some((std::str::from_utf8(head.get(at + 8..end)?).ok()?.to_owned(), end))
}
