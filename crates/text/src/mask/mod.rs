//! Identifiers out of a text on its way to a model, and back in its reply.
//!
//! A [`Session`] replaces what [`crate::phi::find`] found by placeholders (`[NAME_1]`) or by stand-ins that look alike
//! and are the same for the same original all through the session. [`Session::restore`] puts the originals back:
//! `restore(mask(x)) == x` for every text, by construction:
//!
//! - a placeholder has its only `[` at its start, so none can arise where two pieces meet; what looks like one in the
//!   text itself is replaced by a placeholder of its own (`[TEXT_1]`);
//! - a stand-in is taken only if a word or a pair of neighbouring words of it never stood in what the session sent, and
//!   a text that holds one is treated as above;
//! - before a masked text is given out it is read as [`Session::restore`] would read it; where the reading is not what
//!   was meant, stand-ins are changed to placeholders until it is.
//!
//! ## Limits
//! - A model that rewrites a placeholder (`NAME 1`) or declines a stand-in gets no original back in its place.
//! - The table of originals is patient data: it is in [`domain::Phi`] and overwritten when the session ends. It lives
//!   as long as the caller keeps the session.
//! - Stand-ins for dates keep distances in days, not weekdays or holidays.

mod days;
mod pieces;
mod surrogate;
mod table;

use domain::Phi;
use zeroize::{Zeroize as _, Zeroizing};

use crate::Span;
use crate::phi::{Identifier, Kind};
use pieces::{Piece, Seen};
pub use table::HELD_CHARS_MAX;
use table::{Entry, LITERAL, Placeholder, placeholder};
pub(crate) use table::{Reading, Table};

/// Most tries for a stand-in before a placeholder is taken.
const ATTEMPTS_MAX: u32 = 24;
/// Most rounds of reading a masked text and mending it, before all of it becomes one placeholder.
const ROUNDS_MAX: usize = 64;

/// What is done with identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The text goes on as it is; what was found is reported.
    Flag,
    /// The text does not go on.
    Block,
    /// Placeholders with the kind and a number.
    Mask,
    /// Stand-ins that look alike.
    Pseudonymise,
}

/// What stands for an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// `[NAME_1]`.
    Placeholder,
    /// Another name, a date moved, another number of the same form.
    Surrogate,
}

/// What stands after a part of a text that is masked by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing: the text ends.
    End,
    /// This character.
    Is(char),
    /// What has not come yet.
    Unknown,
}

/// What an action did to a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It may go on like this.
    Pass(Masked),
    /// It must not go on; what was found.
    Blocked(Vec<Identifier>),
}

/// A text that may leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Masked {
    /// The text.
    pub text: String,
    /// What was replaced, in order.
    pub changes: Vec<Change>,
}

/// One replacement. It names no original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where the original stood, in the text that came.
    pub original: Span,
    /// Where its replacement stands, in the text that leaves.
    pub replacement: Span,
    /// What it is; `None` for text that only looked like a placeholder or a stand-in.
    pub kind: Option<Kind>,
}

/// The originals of one conversation and what stands for them.
///
/// It has no `Debug` and no `Serialize`.
/// ```compile_fail
/// println!("{:?}", text::mask::Session::new([0; 32], text::mask::Style::Placeholder));
/// ```
pub struct Session {
    key: [u8; 32],
    style: Style,
    table: Table,
    numbers: [u32; 20],
    seen: Seen,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl Session {
    /// An empty session. `key` decides the stand-ins: the same key gives the same ones, so give each conversation its own
    /// unless they shall be comparable; it must be secret and random.
    pub fn new(key: [u8; 32], style: Style) -> Self {
        Self { key, style, table: Table::default(), numbers: [0; 20], seen: Seen::default() }
    }

    /// How many originals it holds.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Does `action` to `text`, in which `found` was found. [`Action::Mask`] and [`Action::Pseudonymise`] set the style
    /// for this text.
    pub fn apply(&mut self, action: Action, text: &str, found: &[Identifier]) -> Outcome {
        match action {
            Action::Block if !found.is_empty() => return Outcome::Blocked(found.to_vec()),
            Action::Flag | Action::Block => {
                return Outcome::Pass(Masked { text: text.to_owned(), changes: Vec::new() });
            }
            Action::Mask => self.style = Style::Placeholder,
            Action::Pseudonymise => self.style = Style::Surrogate,
        }
        Outcome::Pass(self.mask(text, found))
    }

    /// Replaces what was found in `text`. Spans beyond its end or inside a character are widened or cut to it.
    pub fn mask(&mut self, text: &str, found: &[Identifier]) -> Masked {
        self.mask_after("", text, found, Next::End)
    }

    /// Puts the originals back into a text: a reply, or what [`Self::mask`] gave.
    pub fn restore(&self, text: &str) -> String {
        self.table.restore(text)
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// As [`Self::mask`], for a text that stands after `before` (the end of what was given out) and before `next`.
    pub(crate) fn mask_after(
        &mut self,
        before: &str,
        text: &str,
        found: &[Identifier],
        next: Next,
    ) -> Masked {
        let known = self.table.len();
        if self.style == Style::Surrogate {
            self.seen.add(before, text);
        }
        let mut pieces = self.pieces(text, found);
        let mut round = 0;
        let masked = loop {
            let masked = self.assemble(text, &pieces);
            if round >= ROUNDS_MAX {
                let all = self.all(text);
                break self.assemble(text, &all);
            }
            if !self.mend(before, text, &masked, &mut pieces, known, next) {
                break masked;
            }
            round += 1;
        };
        if self.style == Style::Surrogate {
            self.seen.add(before, &masked.text);
        }
        masked
    }

    /// The whole text as one placeholder.
    fn all(&mut self, text: &str) -> Vec<Piece> {
        let entry = self.literal(text);
        vec![Piece { start: 0, end: text.len(), entry }]
    }

    /// What is replaced in `text`, sorted, without overlaps.
    fn pieces(&mut self, text: &str, found: &[Identifier]) -> Vec<Piece> {
        let mut spans: Vec<(usize, usize, Option<Kind>)> = found
            .iter()
            .map(|f| {
                let start = text.floor_char_boundary(f.span.start());
                (start, text.ceil_char_boundary(f.span.end()), Some(f.kind))
            })
            .filter(|(start, end, _)| start < end)
            .collect();
        for (at, _) in text.match_indices('[') {
            if let Placeholder::Whole(length) = placeholder(text.get(at..).unwrap_or_default()) {
                let word =
                    text.get(at + 1..at + length).and_then(|t| t.split('_').next()).unwrap_or_default();
                if word.eq_ignore_ascii_case(LITERAL) || Kind::from_word(word).is_some() {
                    spans.push((at, at + length, None));
                }
            }
        }
        spans.extend(self.table.matches(text, 0).into_iter().map(|(at, length, _)| (at, at + length, None)));
        pieces::join(&mut spans);
        spans.into_iter().flat_map(|(start, end, kind)| self.replace(text, start, end, kind)).collect()
    }

    /// The pieces for one span: its words when it is a name that gets stand-ins, else the whole.
    fn replace(&mut self, text: &str, start: usize, end: usize, kind: Option<Kind>) -> Vec<Piece> {
        let original = text.get(start..end).unwrap_or_default();
        let Some(kind) = kind else { return vec![Piece { start, end, entry: self.literal(original) }] };
        if self.style == Style::Surrogate && kind == Kind::Name {
            let words = pieces::name_words(original);
            if !words.is_empty() {
                return words
                    .into_iter()
                    .map(|(from, to)| {
                        let entry = self.entry(kind, original.get(from..to).unwrap_or_default());
                        Piece { start: start + from, end: start + to, entry }
                    })
                    .collect();
            }
        }
        vec![Piece { start, end, entry: self.entry(kind, original) }]
    }

    /// The entry for an original, new when it has none.
    fn entry(&mut self, kind: Kind, original: &str) -> usize {
        let hash = surrogate::keyed(&self.key, &[b"original", original.as_bytes()]);
        if let Some(index) = self.table.by_original(&hash) {
            return index;
        }
        let stand_in = if self.style == Style::Surrogate { self.stand_in(kind, original) } else { None };
        let shown = stand_in.unwrap_or_else(|| self.next_placeholder(Some(kind)));
        self.add(hash, original, shown, Some(kind))
    }

    fn add(&mut self, hash: [u8; 32], original: &str, shown: String, kind: Option<Kind>) -> usize {
        let original = Phi::new(Zeroizing::new(original.to_owned()));
        self.table.add(hash, Entry { original, shown, kind })
    }

    /// The entry for text that only looks like something of ours: always a placeholder.
    fn literal(&mut self, original: &str) -> usize {
        let hash = surrogate::keyed(&self.key, &[b"literal", original.as_bytes()]);
        if let Some(index) = self.table.by_original(&hash) {
            return index;
        }
        let shown = self.next_placeholder(None);
        self.add(hash, original, shown, None)
    }

    fn next_placeholder(&mut self, kind: Option<Kind>) -> String {
        let slot = kind.map_or(19, |k| k as usize);
        let number = self.numbers.get_mut(slot).map_or(0, |n| {
            *n += 1;
            *n
        });
        format!("[{}_{number}]", kind.map_or(LITERAL, Kind::word))
    }

    /// A stand-in that cannot have stood anywhere in what the session sent.
    fn stand_in(&self, kind: Kind, original: &str) -> Option<String> {
        if kind == Kind::Name {
            return self.name_stand_in(original);
        }
        let tries = (0..ATTEMPTS_MAX).filter_map(|a| surrogate::surrogate(&self.key, kind, original, a));
        tries.into_iter().find(|s| self.is_new(s))
    }

    fn is_new(&self, shown: &str) -> bool {
        !self.table.is_shown(shown) && self.seen.never(shown)
    }

    /// For one word of a name; with an initial beside it, the word's own stand-in with another initial.
    fn name_stand_in(&self, original: &str) -> Option<String> {
        let (from, to) = pieces::long_word(original)?;
        let word = original.get(from..to)?;
        let hash = surrogate::keyed(&self.key, &[b"original", word.as_bytes()]);
        let known = self.table.by_original(&hash).and_then(|i| self.table.entry(i));
        let known = known.map(|e| e.shown.clone()).filter(|s| !s.starts_with('['));
        let tries = (0..ATTEMPTS_MAX).filter_map(|a| surrogate::surrogate(&self.key, Kind::Name, word, a));
        let stand_in = known.clone().or_else(|| tries.into_iter().find(|s| self.is_new(s)))?;
        if from == 0 && to == original.len() {
            return known.is_none().then_some(stand_in);
        }
        let initials = pieces::other_initials(&self.key, original, from, to);
        let whole = format!("{}{stand_in}{}", initials.0, initials.1);
        self.is_new(&whole).then_some(whole)
    }

    /// `text` with its pieces replaced.
    fn assemble(&self, text: &str, pieces: &[Piece]) -> Masked {
        let mut out =
            Masked { text: String::with_capacity(text.len()), changes: Vec::with_capacity(pieces.len()) };
        let mut done = 0;
        for piece in pieces {
            out.text += text.get(done..piece.start).unwrap_or_default();
            let Some(entry) = self.table.entry(piece.entry) else { continue };
            let from = out.text.len();
            out.text += &entry.shown;
            out.changes.push(Change {
                original: Span::new(piece.start, piece.end),
                replacement: Span::new(from, out.text.len()),
                kind: entry.kind,
            });
            done = piece.end;
        }
        out.text += text.get(done..).unwrap_or_default();
        out
    }

    /// Reads `masked` as [`Self::restore`] will, and changes `pieces` or new entries where the reading is not what was
    /// meant. Whether anything was changed.
    fn mend(
        &mut self,
        before: &str,
        text: &str,
        masked: &Masked,
        pieces: &mut Vec<Piece>,
        known: usize,
        next: Next,
    ) -> bool {
        let offset = before.len();
        let inside = masked.text.len() + offset;
        let joined = |next: &str| [before, masked.text.as_str(), next].concat();
        let mut next_char = [0u8; 4];
        // What has not come yet may go on with a word or end one: what is meant must be read before a letter, too, and
        // what is not meant must not be read before a mark either.
        let (strict, loose) = match next {
            Next::End => ("", ""),
            Next::Is(c) => {
                let c: &str = c.encode_utf8(&mut next_char);
                (c, c)
            }
            Next::Unknown => ("a", ""),
        };
        let matches = self.table.matches(&joined(strict), 0);
        let read = |change: &Change| {
            let wanted = (change.replacement.start() + offset, change.replacement.len());
            matches.iter().any(|(at, length, _)| (*at, *length) == wanted)
        };
        if let Some(at) = masked.changes.iter().position(|c| !read(c)) {
            let Some(piece) = pieces.get(at).copied() else { return false };
            self.give_placeholder(text, pieces, at, piece, known);
            return true;
        }
        let matches = if strict == loose { matches } else { self.table.matches(&joined(loose), 0) };
        let meant = |at: usize, length: usize| {
            masked
                .changes
                .iter()
                .any(|c| (c.replacement.start() + offset, c.replacement.len()) == (at, length))
        };
        let wrong = matches
            .iter()
            .find(|(at, length, _)| *at + *length > offset && *at < inside && !meant(*at, *length));
        let Some((at, length, index)) = wrong.copied() else { return false };
        if index >= known && self.table.entry(index).is_some_and(|e| !e.shown.starts_with('[')) {
            let kind = self.table.entry(index).and_then(|e| e.kind);
            let shown = self.next_placeholder(kind);
            self.table.show_instead(index, shown);
            return true;
        }
        self.hide(text, masked, pieces, (at.max(offset) - offset, (at + length).min(inside) - offset));
        true
    }

    /// Gives a piece that is not read as meant a placeholder: its entry when nobody has seen it, else a literal one.
    fn give_placeholder(&mut self, text: &str, pieces: &mut [Piece], at: usize, piece: Piece, known: usize) {
        let entry = self.table.entry(piece.entry).map(|e| (e.kind, e.shown.starts_with('[')));
        if let Some((kind, false)) = entry.filter(|_| piece.entry >= known) {
            let shown = self.next_placeholder(kind);
            self.table.show_instead(piece.entry, shown);
        } else {
            let entry = self.literal(text.get(piece.start..piece.end).unwrap_or_default());
            if let Some(slot) = pieces.get_mut(at) {
                slot.entry = entry;
            }
        }
    }

    /// Replaces the kept text under `range` of the masked text by a literal placeholder.
    fn hide(&mut self, text: &str, masked: &Masked, pieces: &mut Vec<Piece>, range: (usize, usize)) {
        let back = |at: usize| {
            let (mut original, mut shown) = (0, 0);
            for change in &masked.changes {
                if at < change.replacement.start() {
                    break;
                }
                (original, shown) = (change.original.end(), change.replacement.end());
                if at < shown {
                    return change.original.start();
                }
            }
            original + (at - shown)
        };
        let (start, end) = (back(range.0), back(range.1).max(back(range.0) + 1));
        let (start, end) = (text.floor_char_boundary(start), text.ceil_char_boundary(end));
        let mut spans = vec![(start, end)];
        pieces.retain(|p| {
            let apart = p.end <= start || p.start >= end;
            if !apart {
                spans.push((p.start, p.end));
            }
            apart
        });
        let start = spans.iter().map(|s| s.0).min().unwrap_or(start);
        let end = spans.iter().map(|s| s.1).max().unwrap_or(end);
        let entry = self.literal(text.get(start..end).unwrap_or_default());
        pieces.push(Piece { start, end, entry });
        pieces.sort_by_key(|p| p.start);
    }
}
