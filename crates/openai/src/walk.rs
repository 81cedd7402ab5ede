//! The walk through a body: every text in it becomes a piece, in a role. What is not known is a piece as well, so that a new
//! field of the protocol, or one that a server has for itself, is no way around the guards.

use std::borrow::Cow;

use crate::json::{At, Kind, Tree};
use crate::{Limits, Media, MediaKind, Piece, Place, Role, WireError};

/// Keys whose value is a word of the protocol when it looks like one.
const WORDS: &[&str] = &[
    "type",
    "role",
    "id",
    "object",
    "model",
    "status",
    "finish_reason",
    "tool_call_id",
    "call_id",
    "item_id",
    "detail",
    "format",
    "service_tier",
    "system_fingerprint",
    "response_id",
    "effort",
    "tool_choice",
    "voice",
    "encoding_format",
    "index",
    "verbosity",
    "truncation",
    "prompt_cache_key",
    "strict",
    "container_id",
    "phase",
];
/// Longest word of the protocol.
const WORD_BYTES_MAX: usize = 128;
/// Keys whose value is a picture, a sound or a file.
const PICTURES: &[&str] = &["image_url", "image"];
const FILES: &[&str] =
    &["input_audio", "audio", "audio_url", "video_url", "video", "file_data", "file_url", "file_id", "data"];
/// Keys whose value is opaque on purpose: vectors in base64, reasoning that only its maker reads.
const OPAQUE: &[&str] = &["embedding", "encrypted_content", "b64_json", "obfuscation"];
/// Known keys of the objects that say something. A server that reads without regard to case must not be shown another request.
const KNOWN: &[&str] = &[
    "messages",
    "model",
    "role",
    "content",
    "text",
    "input",
    "instructions",
    "tools",
    "functions",
    "tool_calls",
    "function",
    "arguments",
    "stream",
    "type",
    "output",
    "prompt",
    "image_url",
    "name",
    "documents",
    "store",
    "previous_response_id",
    "conversation",
];

/// A walk under way.
pub(crate) struct Walk<'a> {
    tree: &'a Tree,
    text: &'a str,
    limits: &'a Limits,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) media: Vec<Media>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(tree: &'a Tree, text: &'a str, limits: &'a Limits) -> Self {
        Self { tree, text, limits, pieces: Vec::with_capacity(8), media: Vec::new() }
    }

    pub(crate) fn fields(&self, at: At) -> Vec<(Cow<'a, str>, At)> {
        self.tree.fields(at, self.text).collect()
    }

    pub(crate) fn kind(&self, at: At) -> Kind {
        self.tree.kind(at)
    }

    pub(crate) fn word(&self, at: At, key: &str) -> Option<Cow<'a, str>> {
        self.tree.text(self.tree.get(at, key, self.text)?, self.text)
    }

    pub(crate) fn items(&self, at: At) -> Result<Vec<At>, WireError> {
        let items: Vec<At> = self.tree.items(at).take(self.limits.messages + 1).collect();
        if items.len() > self.limits.messages {
            return Err(WireError::Limit {
                what: "the number of messages or items",
                max: self.limits.messages,
            });
        }
        Ok(items)
    }

    pub(crate) fn piece(&mut self, role: Role, place: Place, at: At) {
        self.pieces.push(Piece { role, place, at });
    }

    /// Refuses keys that are known ones in another case.
    pub(crate) fn cases(&self, at: At) -> Result<(), WireError> {
        for (key, value) in self.tree.fields(at, self.text) {
            let known = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(&key) && **known != key);
            if let Some(known) = known {
                return Err(WireError::KeyCase { at: self.tree.node(value).start as usize, known });
            }
        }
        Ok(())
    }

    /// One message: of a chat, or an item of a response.
    pub(crate) fn message(&mut self, at: At, place: Place, spoken: Option<Role>) -> Result<(), WireError> {
        if self.kind(at) != Kind::Object {
            return self.everything(at, Role::Other, place);
        }
        self.cases(at)?;
        let role = spoken.unwrap_or_else(|| self.role_of(at));
        for (key, value) in self.fields(at) {
            match &*key {
                "content" | "output" | "summary" => self.content(value, role, place.inner("content"))?,
                "tool_calls" => {
                    for (n, call) in self.items(value)?.into_iter().enumerate() {
                        self.everything(call, role, place.inner("tool_calls").part(n))?;
                    }
                }
                "arguments" => self.everything(value, role, place.inner("arguments"))?,
                "name" => self.everything(value, role, place.inner("name"))?,
                _ => self.field(&key, value, role, place.inner("other"))?,
            }
        }
        Ok(())
    }

    fn role_of(&self, at: At) -> Role {
        let (role, kind) = (self.word(at, "role"), self.word(at, "type"));
        match role.as_deref() {
            Some("system" | "developer") => Role::System,
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("tool" | "function") => Role::Tool,
            Some(_) => Role::Other,
            None => match kind.as_deref() {
                Some("function_call" | "reasoning" | "custom_tool_call" | "computer_call") => Role::Assistant,
                Some(kind) if kind.ends_with("_output") => Role::Tool,
                _ => Role::Other,
            },
        }
    }

    /// A text, or parts.
    fn content(&mut self, at: At, role: Role, place: Place) -> Result<(), WireError> {
        match self.kind(at) {
            Kind::Text(_) => self.piece(role, place, at),
            Kind::List => {
                for (n, part) in self.items(at)?.into_iter().enumerate() {
                    self.part(part, role, place.part(n))?;
                }
            }
            _ => self.everything(at, role, place)?,
        }
        Ok(())
    }

    /// One part of a content. Its fields decide, not only the type it gives itself: servers differ in which they believe.
    fn part(&mut self, at: At, role: Role, place: Place) -> Result<(), WireError> {
        if self.kind(at) != Kind::Object {
            return self.everything(at, role, place);
        }
        self.cases(at)?;
        let kind = self.word(at, "type").unwrap_or_default();
        let role = match &*kind {
            "file" | "input_file" | "document" | "search_result" | "tool_result" => Role::Document,
            _ => role,
        };
        for (key, value) in self.fields(at) {
            self.field(&key, value, role, place)?;
        }
        Ok(())
    }

    /// A field under its name.
    pub(crate) fn field(&mut self, key: &str, at: At, role: Role, place: Place) -> Result<(), WireError> {
        let kind = self.kind(at);
        let is_text = matches!(kind, Kind::Text(_));
        if PICTURES.contains(&key) && matches!(kind, Kind::Text(_) | Kind::Object) {
            return self.picture(at, place);
        }
        if FILES.contains(&key)
            && (kind == Kind::Object && key != "data" || is_text && self.is_opaque(at, key))
        {
            self.media.push(Media { kind: MediaKind::File, place });
            return Ok(());
        }
        if OPAQUE.contains(&key) && is_text {
            return Ok(());
        }
        if WORDS.contains(&key) && is_text && self.is_word(at) {
            return Ok(());
        }
        self.everything(at, role, place)
    }

    /// A file by its name, address or bytes; under `data`, only what is a data address or sounds like one.
    fn is_opaque(&self, at: At, key: &str) -> bool {
        key != "data" || self.tree.text(at, self.text).is_some_and(|t| t.len() > 256 && !t.contains(' '))
    }

    fn picture(&mut self, at: At, place: Place) -> Result<(), WireError> {
        let address = match self.kind(at) {
            Kind::Object => self.word(at, "url"),
            _ => self.tree.text(at, self.text),
        };
        let inline =
            address.is_some_and(|a| a.get(..11).is_some_and(|a| a.eq_ignore_ascii_case("data:image/")));
        let kind = if inline { MediaKind::InlineImage } else { MediaKind::LinkedImage };
        self.media.push(Media { kind, place });
        if self.kind(at) == Kind::Object {
            for (key, value) in self.fields(at) {
                if key != "url" {
                    self.field(&key, value, Role::Other, place)?;
                }
            }
        }
        Ok(())
    }

    fn is_word(&self, at: At) -> bool {
        let raw = self.tree.raw(at, self.text);
        let inside = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
        inside.len() <= WORD_BYTES_MAX
            && inside
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'/' | b'#'))
    }

    /// Every text inside a value.
    pub(crate) fn everything(&mut self, at: At, role: Role, place: Place) -> Result<(), WireError> {
        match self.kind(at) {
            Kind::Text(_) => self.piece(role, place, at),
            Kind::List => {
                let items: Vec<At> = self.tree.items(at).collect();
                for item in items {
                    self.everything(item, role, place)?;
                }
            }
            Kind::Object => {
                for (key, value) in self.fields(at) {
                    self.field(&key, value, role, place)?;
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Number | Kind::Numbers => {}
        }
        Ok(())
    }
}

impl Walk<'_> {
    pub(crate) fn number(&self, at: At) -> Option<u32> {
        self.tree.whole_number(at, self.text).and_then(|n| u32::try_from(n).ok())
    }
}
