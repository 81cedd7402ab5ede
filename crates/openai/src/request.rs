//! A request to a language model.

use std::borrow::Cow;

use crate::json::{Kind, Tree, quoted};
use crate::message::Message;
use crate::walk::Walk;
use crate::{Limits, Media, Piece, Place, Role, WireError};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/embeddings`.
    Embeddings,
}

impl Endpoint {
    /// The path behind the version.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
        }
    }
}

/// A request, read in full.
#[derive(Clone)]
pub struct Request {
    endpoint: Endpoint,
    message: Message,
    model: String,
    stream: bool,
    stored: bool,
}

/// Fields that hold text as numbers, which no guard can read.
const UNREADABLE: &[&str] = &["prompt_token_ids", "prompt_embeds", "input_ids"];

impl Request {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`WireError`]: a bound was passed, the body is not JSON in UTF-8, a key stands twice, `model` or the input is missing,
    /// or a text comes as numbers.
    pub fn parse(endpoint: Endpoint, body: Vec<u8>, limits: &Limits) -> Result<Self, WireError> {
        let message = Message::read(body, limits, |walk| root(endpoint, walk))?;
        let model = message.text_at(&["model"]).map(Cow::into_owned).unwrap_or_default();
        if message.find(&["model"]).is_some_and(|at| !matches!(message.tree.kind(at), Kind::Text(_))) {
            return Err(WireError::Field { field: "model", what: "is not a text" });
        }
        let stream = message.is_true(&["stream"]);
        let present = |key: &str| message.find(&[key]).is_some_and(|at| message.tree.kind(at) != Kind::Null);
        let stored = present("previous_response_id") || present("conversation");
        Ok(Self { endpoint, model, stream, stored, message })
    }

    /// What is asked for.
    pub const fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The model's name, as the caller wrote it; empty when it wrote none.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Whether the reply is wanted as a stream.
    pub const fn is_stream(&self) -> bool {
        self.stream
    }

    /// Whether it goes on with a conversation that the model's server keeps, of which nothing is known here.
    pub const fn is_stored(&self) -> bool {
        self.stored
    }

    /// Every text in it.
    pub fn pieces(&self) -> &[Piece] {
        &self.message.pieces
    }

    /// What it holds beside text.
    pub fn media(&self) -> &[Media] {
        &self.message.media
    }

    /// What a piece says now; empty when there is no such piece.
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

    /// Tokens that it may cost before it is answered: a token is about four bytes of English.
    pub fn tokens_estimated(&self) -> u64 {
        let bytes: usize = (0..self.message.pieces.len()).map(|n| self.text(n).len()).sum();
        bytes.div_ceil(4) as u64
    }

    /// The body for a server that calls the model `model`: changed texts and the model's name exchanged, the rest as it came.
    pub fn write(&self, model: &str) -> Vec<u8> {
        match self.message.find(&["model"]) {
            Some(at) => self.message.write(&[(at, quoted(model))], None),
            None => self.message.write(&[], Some((Tree::ROOT, "model", &quoted(model)))),
        }
    }
}

fn root(endpoint: Endpoint, walk: &mut Walk<'_>) -> Result<(), WireError> {
    walk.cases(Tree::ROOT)?;
    let mut asked = false;
    for (key, value) in walk.fields(Tree::ROOT) {
        if UNREADABLE.contains(&&*key) {
            let what = "holds text as numbers, which cannot be screened; send the text";
            return Err(WireError::Field { field: "prompt_token_ids", what });
        }
        match (&*key, endpoint) {
            ("model" | "stream", _) => {}
            ("messages", Endpoint::Chat) => {
                asked = true;
                messages(walk, value)?;
            }
            ("input", Endpoint::Responses) => {
                asked = true;
                input_items(walk, value)?;
            }
            ("input", Endpoint::Embeddings) => {
                asked = true;
                embedded(walk, value)?;
            }
            ("prompt", Endpoint::Responses) => {
                asked = walk.everything(value, Role::System, Place::of("prompt")).map(|()| true)?
            }
            ("instructions", _) => walk.everything(value, Role::System, Place::of("instructions"))?,
            ("tools" | "functions" | "response_format" | "text", _) => {
                walk.everything(value, Role::Definition, Place::of("tools"))?;
            }
            ("documents", _) => walk.everything(value, Role::Document, Place::of("documents"))?,
            _ => walk.field(&key, value, Role::Other, Place::of("other"))?,
        }
    }
    if !asked {
        let field = if endpoint == Endpoint::Chat { "messages" } else { "input" };
        return Err(WireError::Field { field, what: "is missing; send what is asked" });
    }
    Ok(())
}

fn messages(walk: &mut Walk<'_>, at: crate::json::At) -> Result<(), WireError> {
    let items = walk.items(at)?;
    if items.is_empty() {
        return Err(WireError::Field { field: "messages", what: "is not a list of messages" });
    }
    for (n, message) in items.into_iter().enumerate() {
        if walk.kind(message) != Kind::Object {
            return Err(WireError::Field {
                field: "messages",
                what: "holds something that is not a message",
            });
        }
        walk.message(message, Place::of("messages").item(n), None)?;
    }
    Ok(())
}

fn input_items(walk: &mut Walk<'_>, at: crate::json::At) -> Result<(), WireError> {
    match walk.kind(at) {
        Kind::Text(_) => walk.piece(Role::User, Place::of("input"), at),
        Kind::List => {
            for (n, item) in walk.items(at)?.into_iter().enumerate() {
                walk.message(item, Place::of("input").item(n), None)?;
            }
        }
        _ => return Err(WireError::Field { field: "input", what: "is neither a text nor a list of items" }),
    }
    Ok(())
}

fn embedded(walk: &mut Walk<'_>, at: crate::json::At) -> Result<(), WireError> {
    let unreadable = WireError::Field {
        field: "input",
        what: "is neither a text nor a list of texts; numbers of tokens cannot be screened",
    };
    match walk.kind(at) {
        Kind::Text(_) => walk.piece(Role::Document, Place::of("input"), at),
        Kind::List => {
            for (n, item) in walk.items(at)?.into_iter().enumerate() {
                if !matches!(walk.kind(item), Kind::Text(_)) {
                    return Err(unreadable);
                }
                walk.piece(Role::Document, Place::of("input").item(n), item);
            }
        }
        _ => return Err(unreadable),
    }
    Ok(())
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
