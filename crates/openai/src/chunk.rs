//! One event of a streamed reply: which texts it adds to, and what it says whole.

use std::borrow::Cow;

use crate::json::{At, Kind, Tree, quoted};
use crate::message::Message;
use crate::walk::Walk;
use crate::{Endpoint, Limits, Piece, Place, Role, Usage, WireError};

/// Which of a reply's growing texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// What the model says.
    Content,
    /// Why it will not.
    Refusal,
    /// What it thinks aloud.
    Reasoning,
    /// Arguments of a call of a tool.
    Arguments,
    /// Something newer than this program.
    Other,
}

impl Field {
    const fn word(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Refusal => "refusal",
            Self::Reasoning => "reasoning",
            Self::Arguments => "arguments",
            Self::Other => "other",
        }
    }
}

/// One text that grows event by event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel {
    /// Number of the choice, or of the output item.
    pub choice: u32,
    /// Which text of it.
    pub field: Field,
    /// Number of the call or of the part of the content.
    pub part: u32,
}

impl Channel {
    /// As a place.
    pub fn place(&self) -> Place {
        let part = (self.part > 0 || self.field == Field::Arguments).then_some(self.part);
        Place::streamed(self.choice, self.field.word(), part)
    }
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkKind {
    /// It adds to texts, or says something else on the way.
    Part,
    /// It is one of those at the end: the reason why a choice ended, tokens, the whole response.
    End,
    /// The server says that it failed.
    Failed,
}

/// An event's data.
#[derive(Clone)]
pub struct Chunk {
    endpoint: Endpoint,
    kind: ChunkKind,
    message: Message,
    /// Growing texts: the channel and the number of the piece.
    deltas: Vec<(Channel, usize)>,
    /// Probabilities of tokens, which repeat the text.
    logprobs: Vec<At>,
    /// Choices that are over.
    ended: Vec<u32>,
}

impl Chunk {
    /// Reads the data of an event.
    ///
    /// # Errors
    /// [`WireError`] when it passes a bound or is not an object in JSON.
    pub fn parse(endpoint: Endpoint, data: String, limits: &Limits) -> Result<Self, WireError> {
        let bounds = Limits { body_bytes: limits.event_bytes, text_bytes: limits.event_bytes, ..*limits };
        let (mut deltas, mut logprobs, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        let mut kind = ChunkKind::Part;
        let message = Message::read(data.into_bytes(), &bounds, |walk| {
            let mut found =
                Found { deltas: &mut deltas, logprobs: &mut logprobs, ended: &mut ended, kind: &mut kind };
            match endpoint {
                Endpoint::Responses => response_event(walk, &mut found),
                _ => chat_chunk(walk, &mut found),
            }
        })?;
        Ok(Self { endpoint, kind, message, deltas, logprobs, ended })
    }

    /// What it is.
    pub const fn kind(&self) -> ChunkKind {
        self.kind
    }

    /// The growing texts it adds to: channel and number of the piece.
    pub fn deltas(&self) -> &[(Channel, usize)] {
        &self.deltas
    }

    /// Every text in it.
    pub fn pieces(&self) -> &[Piece] {
        &self.message.pieces
    }

    /// The texts that are whole, by number of the piece.
    pub fn wholes(&self) -> impl Iterator<Item = usize> {
        (0..self.message.pieces.len()).filter(|n| !self.deltas.iter().any(|(_, of)| of == n))
    }

    /// What a piece says now.
    pub fn text(&self, piece: usize) -> Cow<'_, str> {
        self.message.said(piece)
    }

    /// Gives a piece another text.
    pub fn set_text(&mut self, piece: usize, text: String) {
        self.message.set(piece, text);
    }

    /// Whether a text was changed.
    pub fn is_changed(&self) -> bool {
        self.message.is_changed()
    }

    /// The choices that are over with this event.
    pub fn ended(&self) -> &[u32] {
        &self.ended
    }

    /// The name under which an event of a response goes: its type.
    pub fn event_name(&self) -> String {
        self.message.text_at(&["type"]).map(Cow::into_owned).unwrap_or_default()
    }

    /// Tokens, if this event says.
    pub fn usage(&self) -> Option<Usage> {
        let here = self.message.number_at(&["usage", "total_tokens"]);
        let total = here.or_else(|| self.message.number_at(&["response", "usage", "total_tokens"]));
        total.map(|total| Usage { total })
    }

    /// The event's data with its changed texts and without the probabilities of tokens, which would say a held text early; with `asepsis`
    /// (JSON) in the object that the client keeps, if given.
    pub fn write(&self, asepsis: Option<&str>) -> Vec<u8> {
        let gone: Vec<(At, String)> = self.logprobs.iter().map(|at| (*at, "null".to_owned())).collect();
        let into = match self.endpoint {
            Endpoint::Responses => self.message.find(&["response"]).unwrap_or(Tree::ROOT),
            _ => Tree::ROOT,
        };
        self.message.write(&gone, asepsis.map(|json| (into, "asepsis", json)))
    }

    /// An event of the same stream that adds `text` to `channel`, made when a held text is let go at the end.
    pub fn adding(&self, channel: Channel, text: &str) -> Vec<u8> {
        if self.endpoint == Endpoint::Responses {
            let mut copy = self.clone();
            if let Some((_, piece)) = self.deltas.iter().find(|(of, _)| *of == channel) {
                copy.set_text(*piece, text.to_owned());
            }
            return copy.write(None);
        }
        let (text, part) = (quoted(text), channel.part);
        let delta = match channel.field {
            Field::Content | Field::Other => format!(r#"{{"content":{text}}}"#),
            Field::Refusal => format!(r#"{{"refusal":{text}}}"#),
            Field::Reasoning => format!(r#"{{"reasoning_content":{text}}}"#),
            Field::Arguments => {
                format!(r#"{{"tool_calls":[{{"index":{part},"function":{{"arguments":{text}}}}}]}}"#)
            }
        };
        self.saying(&format!(r#"{{"index":{},"delta":{delta},"finish_reason":null}}"#, channel.choice), None)
    }

    /// A chat's event of the same stream with this choice (JSON) and perhaps `asepsis`.
    pub fn saying(&self, choice: &str, asepsis: Option<&str>) -> Vec<u8> {
        let field = |key: &str| {
            let at = self.message.find(&[key])?;
            Some(format!("\"{key}\":{},", self.message.tree.raw(at, &self.message.text)))
        };
        let same: String = ["id", "object", "created", "model"].into_iter().filter_map(field).collect();
        let asepsis = asepsis.map(|json| format!(",\"asepsis\":{json}")).unwrap_or_default();
        format!("{{{same}\"choices\":[{choice}]{asepsis}}}").into_bytes()
    }
}

/// What the walk through an event found.
struct Found<'f> {
    deltas: &'f mut Vec<(Channel, usize)>,
    logprobs: &'f mut Vec<At>,
    ended: &'f mut Vec<u32>,
    kind: &'f mut ChunkKind,
}

fn chat_chunk(walk: &mut Walk<'_>, found: &mut Found<'_>) -> Result<(), WireError> {
    for (key, value) in walk.fields(Tree::ROOT) {
        match &*key {
            "choices" => {
                let choices = walk.items(value)?;
                if choices.is_empty() {
                    *found.kind = ChunkKind::End;
                }
                for choice in choices {
                    chat_choice(walk, choice, found)?;
                }
            }
            "error" if walk.kind(value) != Kind::Null => *found.kind = ChunkKind::Failed,
            "asepsis" => {}
            _ => walk.field(&key, value, Role::Other, Place::of("other"))?,
        }
    }
    Ok(())
}

fn chat_choice(walk: &mut Walk<'_>, at: At, found: &mut Found<'_>) -> Result<(), WireError> {
    let fields = walk.fields(at);
    let choice = number(walk, &fields, "index");
    let place = Place::of("choices").item(choice as usize);
    for (key, value) in fields {
        match &*key {
            "delta" => {
                for (key, value) in walk.fields(value) {
                    let field = match &*key {
                        "content" => Field::Content,
                        "refusal" => Field::Refusal,
                        "reasoning_content" | "reasoning" => Field::Reasoning,
                        "tool_calls" => {
                            chat_calls(walk, value, choice, found)?;
                            continue;
                        }
                        _ => {
                            walk.field(&key, value, Role::Assistant, place.inner("other"))?;
                            continue;
                        }
                    };
                    if matches!(walk.kind(value), Kind::Text(_)) {
                        let channel = Channel { choice, field, part: 0 };
                        found.deltas.push((channel, walk.pieces.len()));
                        walk.piece(Role::Assistant, channel.place(), value);
                    } else {
                        walk.everything(value, Role::Assistant, place.inner("other"))?;
                    }
                }
            }
            "logprobs" if walk.kind(value) != Kind::Null => found.logprobs.push(value),
            "finish_reason" => {
                if walk.kind(value) != Kind::Null {
                    found.ended.push(choice);
                    if *found.kind == ChunkKind::Part {
                        *found.kind = ChunkKind::End;
                    }
                }
            }
            _ => walk.field(&key, value, Role::Other, place.inner("other"))?,
        }
    }
    Ok(())
}

fn chat_calls(walk: &mut Walk<'_>, at: At, choice: u32, found: &mut Found<'_>) -> Result<(), WireError> {
    for call in walk.items(at)? {
        let fields = walk.fields(call);
        let channel = Channel { choice, field: Field::Arguments, part: number(walk, &fields, "index") };
        for (key, value) in fields {
            if key != "function" {
                walk.field(&key, value, Role::Assistant, channel.place())?;
                continue;
            }
            for (key, value) in walk.fields(value) {
                if key == "arguments" && matches!(walk.kind(value), Kind::Text(_)) {
                    found.deltas.push((channel, walk.pieces.len()));
                    walk.piece(Role::Assistant, channel.place(), value);
                } else {
                    walk.field(&key, value, Role::Assistant, channel.place())?;
                }
            }
        }
    }
    Ok(())
}

fn response_event(walk: &mut Walk<'_>, found: &mut Found<'_>) -> Result<(), WireError> {
    let fields = walk.fields(Tree::ROOT);
    let name = walk.word(Tree::ROOT, "type").unwrap_or_default().into_owned();
    let choice = number(walk, &fields, "output_index");
    let part = number(walk, &fields, "content_index").max(number(walk, &fields, "summary_index"));
    let field = match name.as_str() {
        "response.output_text.delta" => Field::Content,
        "response.refusal.delta" => Field::Refusal,
        "response.function_call_arguments.delta" => Field::Arguments,
        name if name.starts_with("response.reasoning") => Field::Reasoning,
        _ => Field::Other,
    };
    let channel = Channel { choice, field, part };
    match name.as_str() {
        "response.completed" | "response.incomplete" => *found.kind = ChunkKind::End,
        "response.failed" | "error" => *found.kind = ChunkKind::Failed,
        _ => {}
    }
    let place = Place::of("output").item(choice as usize);
    for (key, value) in fields {
        match &*key {
            "delta" if name.ends_with(".delta") && matches!(walk.kind(value), Kind::Text(_)) => {
                found.deltas.push((channel, walk.pieces.len()));
                walk.piece(Role::Assistant, channel.place(), value);
            }
            "logprobs" if walk.kind(value) != Kind::Null => found.logprobs.push(value),
            "item" => walk.message(value, place, Some(Role::Assistant))?,
            "response" => {
                for (key, value) in walk.fields(value) {
                    match &*key {
                        "output" => {
                            for (n, item) in walk.items(value)?.into_iter().enumerate() {
                                walk.message(item, Place::of("output").item(n), Some(Role::Assistant))?;
                            }
                        }
                        // What the request said, said again; it is the caller's own.
                        "instructions" | "tools" | "metadata" | "asepsis" => {}
                        _ => walk.field(&key, value, Role::Other, Place::of("other"))?,
                    }
                }
            }
            _ => walk.field(&key, value, Role::Assistant, place.inner("other"))?,
        }
    }
    Ok(())
}

fn number(walk: &Walk<'_>, fields: &[(Cow<'_, str>, At)], key: &str) -> u32 {
    let at = fields.iter().find(|(name, _)| name == key).map(|(_, at)| *at);
    at.and_then(|at| walk.number(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(endpoint: Endpoint, data: &str) -> Chunk {
        Chunk::parse(endpoint, data.to_owned(), &Limits::default()).unwrap()
    }

    #[test]
    fn a_chunk_says_what_it_adds_to() {
        let data = r#"{"id":"c","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":1,"delta":{"role":"assistant","content":"Hel","tool_calls":[{"index":2,"id":"call_9","function":{"name":"f","arguments":"{\"a"}}]},"logprobs":{"content":[{"token":"Hel"}]},"finish_reason":null}]}"#;
        let mut chunk = read(Endpoint::Chat, data);
        let said: Vec<_> = chunk
            .deltas()
            .iter()
            .map(|(c, n)| (c.place().to_string(), chunk.text(*n).into_owned()))
            .collect();
        assert_eq!(said[0], ("choices[1].content".to_owned(), "Hel".to_owned()));
        assert_eq!(said[1], ("choices[1].arguments[2]".to_owned(), "{\"a".to_owned()));
        assert_eq!(chunk.wholes().map(|n| chunk.text(n).into_owned()).collect::<Vec<_>>(), ["f"]);
        assert_eq!(chunk.kind(), ChunkKind::Part);
        let piece = chunk.deltas()[0].1;
        chunk.set_text(piece, String::new());
        let written = String::from_utf8(chunk.write(None)).unwrap();
        assert_eq!(
            written,
            data.replace("\"content\":\"Hel\"", "\"content\":\"\"")
                .replace(r#"{"content":[{"token":"Hel"}]}"#, "null")
        );
        let added = String::from_utf8(chunk.adding(chunk.deltas()[1].0, "\"}")).unwrap();
        let delta = r#"{"tool_calls":[{"index":2,"function":{"arguments":"\"}"}}]}"#;
        assert_eq!(
            added,
            format!(
                r#"{{"id":"c","object":"chat.completion.chunk","created":7,"model":"m","choices":[{{"index":1,"delta":{delta},"finish_reason":null}}]}}"#
            )
        );
    }

    #[test]
    fn ends_and_failures_are_told_apart() {
        let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
        assert_eq!(read(Endpoint::Chat, end).kind(), ChunkKind::End);
        let tokens = read(Endpoint::Chat, r#"{"choices":[],"usage":{"total_tokens":5}}"#);
        assert_eq!((tokens.kind(), tokens.usage()), (ChunkKind::End, Some(Usage { total: 5 })));
        assert_eq!(read(Endpoint::Chat, r#"{"error":{"message":"x"}}"#).kind(), ChunkKind::Failed);
        assert_eq!(
            read(Endpoint::Responses, r#"{"type":"response.failed","response":{}}"#).kind(),
            ChunkKind::Failed
        );
    }

    #[test]
    fn the_events_of_a_response_grow_and_repeat() {
        let delta = read(
            Endpoint::Responses,
            r#"{"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":1,"delta":"Hi","sequence_number":4}"#,
        );
        let channel = delta.deltas()[0].0;
        assert_eq!((channel.field, channel.part), (Field::Content, 1));
        let added = String::from_utf8(delta.adding(channel, "!")).unwrap();
        assert!(added.contains(r#""item_id":"i""#) && added.contains(r#""delta":"!""#));
        let whole = read(
            Endpoint::Responses,
            r#"{"type":"response.completed","response":{"id":"r","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi!"}]}],"usage":{"total_tokens":9}}}"#,
        );
        assert_eq!(whole.wholes().map(|n| whole.text(n).into_owned()).collect::<Vec<_>>(), ["Hi!"]);
        let written = String::from_utf8(whole.write(Some("{}"))).unwrap();
        assert!(written.ends_with(r#""usage":{"total_tokens":9},"asepsis":{}}}"#), "{written}");
    }
}
