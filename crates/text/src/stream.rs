//! Masking and restoring a text that comes in pieces, as over server-sent events.
//!
//! [`StreamMasker`] waits until it holds more than [`HELD_CHARS_MAX`] characters, looks at them with what went before and gives
//! out all but the last half of that. [`StreamRestorer`] gives out all but what may still become a placeholder or a stand-in.
//! Neither ever holds more than [`HELD_CHARS_MAX`] characters back.
//!
//! An identifier that is longer than what may be held is masked in parts: the part that has come is replaced as a whole,
//! then the next part. No character of it goes out.

use crate::Span;
use crate::mask::{HELD_CHARS_MAX, Masked, Next, Reading, Session, Table};
use crate::phi::{Finder, Identifier};

/// How much of what was given out is kept to see what follows in context, in bytes.
const CONTEXT_BYTES: usize = 512;
/// Characters that stay when the rest is given out: what follows a word decides what it is.
const AHEAD_CHARS: usize = HELD_CHARS_MAX / 2;

/// Bytes that are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// After this many good bytes.
    #[error("byte {0} of the stream is not UTF-8, send text in UTF-8")]
    NotUtf8(u64),
}

/// Puts bytes together to text: what is cut inside a character waits for its rest.
#[derive(Default)]
struct Utf8 {
    rest: Vec<u8>,
    good: u64,
}

impl Utf8 {
    fn push(&mut self, bytes: &[u8]) -> Result<String, StreamError> {
        self.rest.extend_from_slice(bytes);
        let (text, rest) = match std::str::from_utf8(&self.rest) {
            Ok(text) => (text.to_owned(), Vec::new()),
            Err(error) if error.error_len().is_none() => {
                let (good, rest) = self.rest.split_at(error.valid_up_to());
                (String::from_utf8_lossy(good).into_owned(), rest.to_vec())
            }
            Err(error) => return Err(StreamError::NotUtf8(self.good + error.valid_up_to() as u64)),
        };
        self.good += text.len() as u64;
        self.rest = rest;
        Ok(text)
    }

    fn finish(&mut self) -> Result<(), StreamError> {
        if self.rest.is_empty() { Ok(()) } else { Err(StreamError::NotUtf8(self.good)) }
    }
}

/// Masks a text that comes in pieces.
pub struct StreamMasker {
    session: Session,
    finder: Finder<'static>,
    utf8: Utf8,
    /// What came: `context` bytes that were given out, then what is held.
    text: String,
    context: usize,
    /// The end of what was given out, as it was given out.
    shown: String,
    /// Characters that are held.
    held_chars: usize,
}

impl StreamMasker {
    /// Masks for `session`, which knows what went before.
    pub fn new(session: Session) -> Self {
        let (text, shown) = (String::new(), String::new());
        Self {
            session,
            finder: Finder::default(),
            utf8: Utf8::default(),
            text,
            context: 0,
            shown,
            held_chars: 0,
        }
    }

    /// Takes the next piece as text and gives out what may leave.
    pub fn push(&mut self, piece: &str) -> String {
        self.text += piece;
        self.held_chars += piece.chars().count();
        if self.held_chars <= HELD_CHARS_MAX {
            return String::new();
        }
        self.release(false)
    }

    /// Takes the next piece as bytes, which may end inside a character.
    ///
    /// # Errors
    /// [`StreamError::NotUtf8`]; nothing more should be sent then.
    pub fn push_bytes(&mut self, piece: &[u8]) -> Result<String, StreamError> {
        let text = self.utf8.push(piece)?;
        Ok(self.push(&text))
    }

    /// How many characters are held.
    pub fn held(&self) -> usize {
        self.held_chars
    }

    /// Gives out the rest, and the session for the way back.
    ///
    /// # Errors
    /// [`StreamError::NotUtf8`] when the stream ended inside a character.
    pub fn finish(mut self) -> Result<(String, Session), StreamError> {
        self.utf8.finish()?;
        let rest = self.release(true);
        Ok((rest, self.session))
    }

    /// Gives out what is old enough, or all of it at the end.
    fn release(&mut self, end: bool) -> String {
        let held = self.text.get(self.context..).unwrap_or_default();
        let cut = if end { held.len() } else { cut_before(held, AHEAD_CHARS) };
        if cut == 0 {
            return String::new();
        }
        let found = self.finder.find(&self.text);
        let held = self.text.get(self.context..).unwrap_or_default();
        let to = whole_identifier(&found, self.context, held, cut, end);
        if to == 0 {
            return String::new();
        }
        let part = held.get(..to).unwrap_or_default();
        self.held_chars = self.held_chars.saturating_sub(part.chars().count());
        let next = match held.get(to..).and_then(|t| t.chars().next()) {
            Some(c) => Next::Is(c),
            None if end => Next::End,
            None => Next::Unknown,
        };
        let here = within(&found, self.context, to);
        let Masked { text, .. } = self.session.mask_after(&self.shown, part, &here, next);
        self.shown += &text;
        forget(&mut self.shown, HELD_CHARS_MAX * 4);
        self.context += to;
        let drop = self.text.floor_char_boundary(self.context.saturating_sub(CONTEXT_BYTES));
        self.text.drain(..drop);
        self.context -= drop;
        text
    }
}

/// The byte before the last `keep` characters, moved back to a blank if there is one close by.
fn cut_before(text: &str, keep: usize) -> usize {
    text.char_indices().rev().nth(keep.saturating_sub(1)).map_or(0, |(at, _)| at)
}

/// The end of what may be given out, in bytes of `held`: `cut`, or the end of the identifier that lies over it, or the
/// end of the word. A placeholder's look-alike over the cut goes with it as a whole.
fn whole_identifier(found: &[Identifier], context: usize, held: &str, cut: usize, end: bool) -> usize {
    if end {
        return held.len();
    }
    let over =
        |at: usize| found.iter().map(|f| f.span).find(|s| s.start() < at + context && at + context < s.end());
    let mut to = cut;
    // A word is not cut when its end is in sight.
    let tail = held.get(to..).unwrap_or_default();
    if held.get(..to).is_some_and(|t| t.ends_with(char::is_alphanumeric)) {
        to += tail.find(|c: char| !c.is_alphanumeric()).unwrap_or(0);
    }
    if let Some(open) = held.get(..to).and_then(|t| t.rfind('[')).filter(|open| to - open < 20) {
        let length = held.get(open..).and_then(|t| t.find(']')).map_or(0, |l| l + 1);
        if (1..=20).contains(&length) {
            to = to.max(open + length);
        }
    }
    while let Some(span) = over(to) {
        to = (span.end() - context).min(held.len());
        if to == held.len() {
            // It may go on. It waits as a whole if that is not too long, else its part goes as a part.
            let start = span.start().saturating_sub(context);
            let waiting = held.get(start..).unwrap_or_default().chars().count();
            return if start > 0 && waiting <= HELD_CHARS_MAX { start } else { to };
        }
    }
    held.ceil_char_boundary(to)
}

/// The identifiers, or their parts, in the bytes `context..context + to`, counted from `context`.
fn within(found: &[Identifier], context: usize, to: usize) -> Vec<Identifier> {
    let part = |f: &Identifier| {
        let start = f.span.start().max(context) - context;
        let end = f.span.end().min(context + to).saturating_sub(context);
        (start < end).then(|| Identifier { span: Span::new(start, end), ..*f })
    };
    found.iter().filter_map(part).collect()
}

/// Leaves about the last `keep` bytes.
fn forget(text: &mut String, keep: usize) {
    let drop = text.ceil_char_boundary(text.len().saturating_sub(keep));
    text.drain(..drop);
}

/// Restores a reply that comes in pieces. It takes a copy of the session's table as it is.
pub struct StreamRestorer {
    table: Table,
    utf8: Utf8,
    held: String,
    /// The last character given out, before it was restored.
    last: Option<char>,
}

impl StreamRestorer {
    /// With what `session` knows now.
    pub fn new(session: &Session) -> Self {
        Self { table: session.table().clone(), utf8: Utf8::default(), held: String::new(), last: None }
    }

    /// Takes the next piece as text and gives out what is certain.
    pub fn push(&mut self, piece: &str) -> String {
        self.held += piece;
        self.release(true)
    }

    /// Takes the next piece as bytes, which may end inside a character.
    ///
    /// # Errors
    /// [`StreamError::NotUtf8`]; nothing more should be sent then.
    pub fn push_bytes(&mut self, piece: &[u8]) -> Result<String, StreamError> {
        let text = self.utf8.push(piece)?;
        Ok(self.push(&text))
    }

    /// How many characters are held.
    pub fn held(&self) -> usize {
        self.held.chars().count()
    }

    /// Gives out the rest.
    ///
    /// # Errors
    /// [`StreamError::NotUtf8`] when the stream ended inside a character.
    pub fn finish(mut self) -> Result<String, StreamError> {
        self.utf8.finish()?;
        Ok(self.release(false))
    }

    fn release(&mut self, open: bool) -> String {
        // One character of what went before decides whether a word begins here.
        let head = self.last.map(String::from).unwrap_or_default();
        let text = [head.as_str(), self.held.as_str()].concat();
        let mut out = String::with_capacity(self.held.len());
        let mut at = head.len();
        while let Some(c) = text.get(at..).and_then(|t| t.chars().next()) {
            match self.table.read(&text, at, open) {
                Reading::Unfinished => break,
                Reading::Nothing => {
                    out.push(c);
                    at += c.len_utf8();
                }
                Reading::Entry(index, length) => {
                    if let Some(entry) = self.table.entry(index) {
                        out += entry.original.expose();
                    }
                    at += length;
                }
            }
        }
        self.last = text.get(..at).and_then(|t| t.chars().next_back());
        self.held = text.get(at..).unwrap_or_default().to_owned();
        out
    }
}
