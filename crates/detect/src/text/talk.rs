//! What is kept of one exchange between its request and the end of its reply.

use std::borrow::Cow;
use std::collections::HashSet;

use domain::{Phi, Severity};
use openai::Place;
use text::mask::Session;
use text::phi::Finder;
use text::stream::StreamRestorer;

/// Most notes of one exchange.
const NOTES_MAX: usize = 256;
/// Most words of identifiers that are known of one request.
const WORDS_MAX: usize = 65_536;

/// What a guard says of one place, for the person who reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Id of the guard.
    pub check: &'static str,
    /// Which text.
    pub place: Place,
    /// First byte: in the request's text as the caller sent it, in the reply's as the caller gets it.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
    /// How bad.
    pub severity: Severity,
    /// What was seen or done, and by which source.
    pub message: String,
}

/// What is kept of one exchange. The originals of what was masked are in it, and are overwritten when it goes.
#[derive(Default)]
pub struct Talk {
    pub(super) session: Option<Session>,
    finder: Option<Box<Finder<'static>>>,
    known: Option<Phi<HashSet<String>>>,
    /// What is said of the request and of the reply.
    pub notes: Vec<Note>,
}

impl Talk {
    pub(super) fn new(session: Option<Session>) -> Self {
        Self { session, ..Self::default() }
    }

    /// The finder of identifiers, which keeps its memory from one text to the next.
    pub(super) fn finder(&mut self) -> &mut Finder<'static> {
        self.finder.get_or_insert_with(Box::default)
    }

    /// Remembers the words of an identifier that stood in the request.
    pub(super) fn know(&mut self, identifier: &str) {
        let known = self.known.take().map_or_else(HashSet::new, Phi::into_inner);
        let mut known = known;
        if known.len() < WORDS_MAX {
            known.extend(words(identifier).map(Cow::into_owned));
        }
        self.known = Some(Phi::new(known));
    }

    /// Whether all words of an identifier stood in one of the request's.
    pub(super) fn knows(&self, identifier: &str) -> bool {
        let Some(known) = &self.known else { return false };
        words(identifier).all(|word| known.expose().contains(&*word))
    }

    /// The text with its originals, when something was taken out of the request.
    pub(super) fn restored(&self, text: &str) -> Option<String> {
        let session = self.session.as_ref().filter(|session| !session.is_empty())?;
        Some(session.restore(text)).filter(|restored| restored != text)
    }

    /// What puts originals back into a text that grows, when something was taken out of the request.
    pub(super) fn restorer(&self) -> Option<StreamRestorer> {
        self.session.as_ref().filter(|session| !session.is_empty()).map(StreamRestorer::new)
    }

    pub(super) fn note(&mut self, note: Note) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note);
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let all = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    all.map(|word| {
        if word.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()) {
            Cow::Borrowed(word)
        } else {
            Cow::Owned(word.to_lowercase())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stood_in_the_request_is_known_by_its_words() {
        let mut talk = Talk::default();
        assert!(!talk.knows("Okafor"));
        talk.know("Dr. Chinedu Okafor");
        assert!(talk.knows("okafor, Chinedu") && talk.knows("Dr Okafor") && !talk.knows("Ada Okafor"));
    }
}
