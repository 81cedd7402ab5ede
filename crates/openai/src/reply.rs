//! A model server's whole reply.

use std::borrow::Cow;

use crate::json::{Kind, Tree};
use crate::message::Message;
use crate::walk::Walk;
use crate::{Endpoint, Limits, Piece, Place, Role, WireError};

/// Tokens, as the server counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of the request and the reply together.
    pub total: u64,
}

/// A reply, read in full.
#[derive(Clone)]
pub struct Reply {
    endpoint: Endpoint,
    message: Message,
}

impl Reply {
    /// Reads a reply.
    ///
    /// # Errors
    /// [`WireError`] when it passes a bound, is not JSON, or has not what was asked for.
    pub fn parse(endpoint: Endpoint, body: Vec<u8>, limits: &Limits) -> Result<Self, WireError> {
        let bounds = Limits { body_bytes: limits.reply_bytes, text_bytes: limits.reply_bytes, ..*limits };
        let message = Message::read(body, &bounds, |walk| root(endpoint, walk))?;
        Ok(Self { endpoint, message })
    }

    /// Every text in it.
    pub fn pieces(&self) -> &[Piece] {
        &self.message.pieces
    }

    /// What a piece says now.
    pub fn text(&self, piece: usize) -> Cow<'_, str> {
        self.message.said(piece)
    }

    /// Gives a piece another text.
    pub fn set_text(&mut self, piece: usize, text: String) {
        self.message.set(piece, text);
    }

    /// The bytes as they came.
    pub fn original(&self) -> &[u8] {
        self.message.text.as_bytes()
    }

    /// Tokens, if the server says.
    pub fn usage(&self) -> Option<Usage> {
        self.message.number_at(&["usage", "total_tokens"]).map(|total| Usage { total })
    }

    /// What was asked for.
    pub const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The reply with its changed texts, and `asepsis` (JSON) as its last field. A field of that name from the server is replaced.
    pub fn write(&self, asepsis: &str) -> Vec<u8> {
        self.message.write(&[], Some((Tree::ROOT, "asepsis", asepsis)))
    }
}

fn root(endpoint: Endpoint, walk: &mut Walk<'_>) -> Result<(), WireError> {
    let mut answered = false;
    for (key, value) in walk.fields(Tree::ROOT) {
        match (&*key, endpoint) {
            ("choices", Endpoint::Chat) => {
                answered = walk.kind(value) == Kind::List;
                for (n, choice) in walk.items(value)?.into_iter().enumerate() {
                    let place = Place::of("choices").item(n);
                    for (key, value) in walk.fields(choice) {
                        match &*key {
                            "message" => walk.message(value, place, Some(Role::Assistant))?,
                            _ => walk.field(&key, value, Role::Other, place.inner("other"))?,
                        }
                    }
                }
            }
            ("output", Endpoint::Responses) => {
                answered = walk.kind(value) == Kind::List;
                for (n, item) in walk.items(value)?.into_iter().enumerate() {
                    walk.message(item, Place::of("output").item(n), Some(Role::Assistant))?;
                }
            }
            ("data", Endpoint::Embeddings) => {
                answered = walk.kind(value) == Kind::List;
                for (n, item) in walk.items(value)?.into_iter().enumerate() {
                    walk.everything(item, Role::Other, Place::of("data").item(n))?;
                }
            }
            // What the request said, said again; it is the caller's own.
            ("instructions" | "tools" | "metadata" | "asepsis", _) => {}
            _ => walk.field(&key, value, Role::Other, Place::of("other"))?,
        }
    }
    if answered {
        return Ok(());
    }
    let field = match endpoint {
        Endpoint::Chat => "choices",
        Endpoint::Responses => "output",
        Endpoint::Embeddings => "data",
    };
    Err(WireError::Field { field, what: "is missing in the reply" })
}

/// The short word in which a server says why it refused (`error.code`, else `error.type`), if it is one: letters, digits and `_`,
/// 64 at most. Its message is not read: it may repeat the request.
pub fn upstream_error_code(body: &[u8], limits: &Limits) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let tree = Tree::parse(text, limits).ok()?;
    let short = |path: &[&str]| {
        let word = tree.text(tree.find(Tree::ROOT, path, text)?, text)?;
        let fits = (1..=64).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        fits.then(|| word.into_owned())
    };
    short(&["error", "code"]).or_else(|| short(&["error", "type"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(endpoint: Endpoint, body: &str) -> Reply {
        Reply::parse(endpoint, body.as_bytes().to_vec(), &Limits::default()).unwrap()
    }

    #[test]
    fn texts_are_found_and_changed_and_nothing_else_is() {
        let body = r#"{ "id":"c1", "choices":[{"index":0,"message":{"role":"assistant","content":"Hi \u00e9","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"stop"}],"usage":{"total_tokens":12},"new":1.50 }"#;
        let mut reply = read(Endpoint::Chat, body);
        let said: Vec<String> = (0..reply.pieces().len()).map(|n| reply.text(n).into_owned()).collect();
        assert_eq!(said, ["Hi é", "f", r#"{"a":1}"#]);
        assert_eq!(reply.usage(), Some(Usage { total: 12 }));
        reply.set_text(0, "Hi \"you\"".to_owned());
        let written = String::from_utf8(reply.write("{}")).unwrap();
        let expected =
            body.replace(r"Hi \u00e9", "Hi \\\"you\\\"").replace("1.50 }", "1.50 ,\"asepsis\":{}}");
        assert_eq!(written, expected);
    }

    #[test]
    fn what_a_server_says_in_our_name_is_replaced() {
        let reply = read(Endpoint::Chat, r#"{"choices":[],"asepsis":{"advice":"use"}}"#);
        assert_eq!(reply.write("1"), br#"{"choices":[],"asepsis":1}"#);
    }

    #[test]
    fn vectors_are_no_texts() {
        let reply =
            read(Endpoint::Embeddings, r#"{"data":[{"embedding":"AAAA","index":0},{"embedding":[0.5,1]}]}"#);
        assert!(reply.pieces().is_empty());
    }

    #[test]
    fn a_reply_without_an_answer_is_none_and_a_refusal_is_one_word() {
        let body =
            br#"{"error":{"message":"patient Ada","type":"invalid_request_error","code":null}}"#.to_vec();
        assert!(Reply::parse(Endpoint::Chat, body.clone(), &Limits::default()).is_err());
        let code = upstream_error_code(&body, &Limits::default());
        assert_eq!(code.as_deref(), Some("invalid_request_error"));
        assert_eq!(upstream_error_code(br#"{"error":{"code":"Ada Lovelace"}}"#, &Limits::default()), None);
    }
}
