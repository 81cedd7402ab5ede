//! A piece of a text with its tokens and what the rules have marked.

use super::kind::Kind;
use super::lexicon::{Lexicon, Role};
use super::token::{Token, tokenise};

/// Something found, as a range of tokens or of bytes inside the piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mark {
    /// First byte in the piece.
    pub(super) start: usize,
    /// Byte after the last.
    pub(super) end: usize,
    /// What it is.
    pub(super) kind: Kind,
    /// 0 to 1.
    pub(super) confidence: f32,
}

/// A piece with its tokens.
#[derive(Debug, Default)]
pub(super) struct Doc<'t> {
    /// The piece.
    pub(super) text: &'t str,
    /// Its tokens.
    pub(super) tokens: Vec<Token>,
    /// What the rules said of each token; same length.
    pub(super) ruled: Vec<Option<Kind>>,
    /// What was found so far.
    pub(super) marks: Vec<Mark>,
}

impl<'t> Doc<'t> {
    /// Takes a new piece, keeping the memory of the last.
    pub(super) fn load(&mut self, text: &'t str) {
        self.text = text;
        tokenise(text, Lexicon::shared(), &mut self.tokens);
        self.ruled.clear();
        self.ruled.resize(self.tokens.len(), None);
        self.marks.clear();
    }

    /// Token `i`.
    pub(super) fn at(&self, i: usize) -> Option<&Token> {
        self.tokens.get(i)
    }

    /// The token `back` places before `i`.
    pub(super) fn before(&self, i: usize, back: usize) -> Option<&Token> {
        i.checked_sub(back).and_then(|j| self.tokens.get(j))
    }

    /// The text of token `i`.
    pub(super) fn text_of(&self, i: usize) -> &'t str {
        self.at(i).and_then(|t| self.text.get(t.start as usize..t.end as usize)).unwrap_or_default()
    }

    /// Whether token `i` is the mark `c`.
    pub(super) fn is(&self, i: usize, c: char) -> bool {
        self.at(i).is_some_and(|t| t.is(c))
    }

    /// Whether token `i` is the mark `c` with nothing before it.
    pub(super) fn glued(&self, i: usize, c: char) -> bool {
        self.at(i).is_some_and(|t| t.is(c) && t.gap == 0)
    }

    /// Role of token `i`.
    pub(super) fn role(&self, i: usize) -> Role {
        self.at(i).map_or(Role::None, |t| t.entry.role)
    }

    /// Whether a rule has taken token `i`.
    pub(super) fn taken(&self, i: usize) -> bool {
        self.ruled.get(i).is_some_and(Option::is_some)
    }

    /// The token after the run that starts at `i` and has no blank inside.
    pub(super) fn run_end(&self, i: usize) -> usize {
        let mut end = i + 1;
        while self.at(end).is_some_and(|t| t.gap == 0) {
            end += 1;
        }
        end
    }

    /// Marks tokens `from..to`.
    pub(super) fn mark(&mut self, from: usize, to: usize, kind: Kind, confidence: f32) {
        let (Some(first), Some(last)) = (self.at(from), to.checked_sub(1).and_then(|i| self.at(i))) else {
            return;
        };
        let (start, end) = (first.start as usize, last.end as usize);
        self.marks.push(Mark { start, end, kind, confidence });
        for slot in self.ruled.iter_mut().take(to).skip(from) {
            *slot = Some(kind);
        }
    }

    /// Whether one of the `reach` tokens before `i`, on the same line or the one above, has a role that `wanted` takes.
    pub(super) fn cue_before(&self, i: usize, reach: usize, wanted: impl Fn(Role) -> bool) -> bool {
        let mut lines = 0;
        for back in 1..=reach {
            if self.at(i + 1 - back).is_some_and(|t| t.gap >= 2) {
                lines += 1;
            }
            let Some(token) = self.before(i, back).filter(|_| lines < 2) else { return false };
            if wanted(token.entry.role) {
                return true;
            }
        }
        false
    }
}
