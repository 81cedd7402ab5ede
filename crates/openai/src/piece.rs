//! What a body says, piece by piece.

use std::fmt;

use crate::json::At;

/// Who says a piece, which is how far it is to be trusted: a model obeys all of them alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The application: system and developer messages, instructions.
    System,
    /// The person in front of it.
    User,
    /// The model, in earlier turns and in the reply.
    Assistant,
    /// What a tool gave back: web pages, records, other people's text.
    Tool,
    /// Files and passages put into the conversation.
    Document,
    /// Names and descriptions of tools, and schemas.
    Definition,
    /// A field this program does not know, or one that is not for the model: metadata, the user's name.
    Other,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::System,
        Self::User,
        Self::Assistant,
        Self::Tool,
        Self::Document,
        Self::Definition,
        Self::Other,
    ];

    /// Its word in settings and verdicts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Document => "document",
            Self::Definition => "definition",
            Self::Other => "other",
        }
    }

    /// True for text that nobody on this side of the gateway has written: results of tools, files, unknown fields.
    pub const fn is_untrusted(self) -> bool {
        matches!(self, Self::Tool | Self::Document | Self::Other)
    }
}

/// Where a piece stands, as `messages[3].content[1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub(crate) field: &'static str,
    pub(crate) item: Option<u32>,
    pub(crate) inner: &'static str,
    pub(crate) part: Option<u32>,
}

impl Place {
    pub(crate) const fn of(field: &'static str) -> Self {
        Self { field, item: None, inner: "", part: None }
    }

    pub(crate) fn item(self, item: usize) -> Self {
        Self { item: u32::try_from(item).ok(), ..self }
    }

    pub(crate) const fn inner(self, inner: &'static str) -> Self {
        Self { inner, part: None, ..self }
    }

    pub(crate) fn part(self, part: usize) -> Self {
        Self { part: u32::try_from(part).ok(), ..self }
    }

    /// A reply's text, said by the stream it comes in.
    pub const fn streamed(choice: u32, inner: &'static str, part: Option<u32>) -> Self {
        Self { field: "choices", item: Some(choice), inner, part }
    }

    /// Number of the message, item or choice.
    pub const fn number(&self) -> Option<u32> {
        self.item
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.field)?;
        self.item.map_or(Ok(()), |n| write!(f, "[{n}]"))?;
        if !self.inner.is_empty() {
            write!(f, ".{}", self.inner)?;
        }
        self.part.map_or(Ok(()), |n| write!(f, "[{n}]"))
    }
}

/// One text of a body.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// Who says it.
    pub role: Role,
    /// Where it stands.
    pub place: Place,
    pub(crate) at: At,
}

/// What a body holds beside text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture in the body itself.
    InlineImage,
    /// A picture that the model's server would fetch: the address can carry anything out.
    LinkedImage,
    /// Sound, film, or a file that is not text.
    File,
}

/// A picture, sound or file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    /// What it is.
    pub kind: MediaKind,
    /// Where it stands.
    pub place: Place,
}
