//! What stands for what in a session, and the reading of a text by it.

use std::collections::BTreeMap;

use domain::Phi;
use zeroize::Zeroizing;

use super::surrogate::SURROGATE_CHARS_MAX;
use crate::phi::Kind;

/// Longest placeholder that is read as one: `[`, a word of nine letters, `_`, seven digits, `]`.
pub(super) const PLACEHOLDER_CHARS_MAX: usize = 19;
/// Most characters that a stream holds back.
pub const HELD_CHARS_MAX: usize = 64;

const _: () = assert!(SURROGATE_CHARS_MAX < HELD_CHARS_MAX && PLACEHOLDER_CHARS_MAX < HELD_CHARS_MAX);

/// The word of a placeholder for text that only looked like one of ours.
pub(super) const LITERAL: &str = "TEXT";

/// One original and what stands for it.
#[derive(Clone)]
pub(crate) struct Entry {
    /// The patient's data.
    pub(crate) original: Phi<Zeroizing<String>>,
    /// What stands for it outside.
    pub(super) shown: String,
    /// What it is; `None` for text that only looked like a placeholder or a stand-in.
    pub(super) kind: Option<Kind>,
}

/// The entries with their ways in: by a keyed hash of the original, by what is shown. No `Debug`: it holds patient data.
#[derive(Clone, Default)]
pub(crate) struct Table {
    entries: Vec<Entry>,
    by_original: BTreeMap<[u8; 32], usize>,
    by_shown: BTreeMap<String, usize>,
    /// First bytes of placeholders and stand-ins as bits, so that most places of a text are passed over.
    first: [u64; 4],
    /// Lengths of stand-ins in bytes, longest first.
    lengths: Vec<usize>,
}

/// What stands at a place of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Nothing of ours.
    Nothing,
    /// This entry, in this many bytes.
    Entry(usize, usize),
    /// More text is needed to tell.
    Unfinished,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entry(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }

    pub(super) fn by_original(&self, hash: &[u8; 32]) -> Option<usize> {
        self.by_original.get(hash).copied()
    }

    pub(super) fn is_shown(&self, shown: &str) -> bool {
        self.by_shown.contains_key(shown)
    }

    /// Adds an entry; its index.
    pub(super) fn add(&mut self, hash: [u8; 32], entry: Entry) -> usize {
        let index = self.entries.len();
        self.by_original.insert(hash, index);
        self.show(index, &entry.shown);
        self.entries.push(entry);
        index
    }

    fn show(&mut self, index: usize, shown: &str) {
        self.by_shown.insert(shown.to_owned(), index);
        let Some(first) = shown.bytes().next() else { return };
        if let Some(bits) = self.first.get_mut(usize::from(first >> 6)) {
            *bits |= 1 << (first & 63);
        }
        if first != b'['
            && let Err(at) = self.lengths.binary_search_by(|l| shown.len().cmp(l))
        {
            self.lengths.insert(at, shown.len());
        }
    }

    fn may_begin(&self, byte: u8) -> bool {
        self.first.get(usize::from(byte >> 6)).is_some_and(|bits| bits >> (byte & 63) & 1 == 1)
    }

    /// Shows another text for an entry that nobody has seen yet.
    pub(super) fn show_instead(&mut self, index: usize, shown: String) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        self.by_shown.remove(&entry.shown);
        entry.shown.clone_from(&shown);
        self.show(index, &shown);
    }

    /// What stands at byte `at` of `text`. `open` when more text may follow.
    pub(crate) fn read(&self, text: &str, at: usize, open: bool) -> Reading {
        let rest = text.get(at..).unwrap_or_default();
        let Some(first) = rest.bytes().next() else { return Reading::Nothing };
        if first == b'[' {
            return self.read_placeholder(rest, open);
        }
        if !self.may_begin(first) || text.get(..at).is_some_and(ends_in_word) {
            return Reading::Nothing;
        }
        let longer =
            self.by_shown.range::<str, _>((std::ops::Bound::Included(rest), std::ops::Bound::Unbounded));
        if open && longer.take(1).any(|(shown, _)| shown.starts_with(rest)) {
            return Reading::Unfinished;
        }
        for length in &self.lengths {
            let Some((shown, tail)) = rest.split_at_checked(*length) else { continue };
            if let Some(index) = self.by_shown.get(shown)
                && !(ends_in_word(shown) && tail.starts_with(char::is_alphanumeric))
            {
                return Reading::Entry(*index, *length);
            }
        }
        Reading::Nothing
    }

    fn read_placeholder(&self, rest: &str, open: bool) -> Reading {
        match placeholder(rest) {
            Placeholder::Whole(length) => {
                let shown = rest.get(..length).unwrap_or_default().to_ascii_uppercase();
                self.by_shown.get(&shown).map_or(Reading::Nothing, |index| Reading::Entry(*index, length))
            }
            Placeholder::Part if open => Reading::Unfinished,
            _ => Reading::Nothing,
        }
    }

    /// All entries in `text` from byte `from` on, left to right: byte, length, index.
    pub(super) fn matches(&self, text: &str, from: usize) -> Vec<(usize, usize, usize)> {
        let mut out = Vec::new();
        let mut at = from;
        // What is shown begins with the first byte of a character, so bytes can be looked at one by one.
        while let Some(skip) =
            text.as_bytes().get(at..).and_then(|t| t.iter().position(|b| self.may_begin(*b)))
        {
            at += skip;
            if let Reading::Entry(index, length) = self.read(text, at, false) {
                out.push((at, length, index));
                at += length;
            } else {
                at += 1;
            }
        }
        out
    }

    /// `text` with what stands for something replaced by it.
    pub(super) fn restore(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for (at, length, index) in self.matches(text, 0) {
            out += text.get(done..at).unwrap_or_default();
            if let Some(entry) = self.entries.get(index) {
                out += entry.original.expose();
            }
            done = at + length;
        }
        out += text.get(done..).unwrap_or_default();
        out
    }
}

fn ends_in_word(text: &str) -> bool {
    text.ends_with(char::is_alphanumeric)
}

/// How a text begins, read as a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// With one of this many bytes.
    Whole(usize),
    /// With the beginning of one, and it ends there.
    Part,
    /// With none.
    No,
}

/// Reads `[WORD_1]` at the start of `rest`: two to nine letters in any case, a number without leading zero.
pub(super) fn placeholder(rest: &str) -> Placeholder {
    let bytes = rest.as_bytes();
    let run = |from: usize, most: usize, fits: fn(&u8) -> bool| {
        bytes.get(from..).unwrap_or_default().iter().take(most).take_while(|b| fits(b)).count()
    };
    if bytes.first() != Some(&b'[') {
        return Placeholder::No;
    }
    let letters = run(1, 9, u8::is_ascii_alphabetic);
    let underscore = 1 + letters;
    match bytes.get(underscore) {
        None => return Placeholder::Part,
        Some(b'_') if letters >= 2 => {}
        _ => return Placeholder::No,
    }
    let digits = run(underscore + 1, 7, u8::is_ascii_digit);
    let close = underscore + 1 + digits;
    let zero = bytes.get(underscore + 1) == Some(&b'0');
    match bytes.get(close) {
        None if !zero => Placeholder::Part,
        Some(b']') if digits > 0 && !zero => Placeholder::Whole(close + 1),
        _ => Placeholder::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_read_whole_in_part_or_not() {
        assert_eq!(placeholder("[NAME_12] x"), Placeholder::Whole(9));
        assert_eq!(placeholder("[name_1]"), Placeholder::Whole(8));
        for part in ["[", "[NA", "[NAME", "[NAME_", "[NAME_1"] {
            assert_eq!(placeholder(part), Placeholder::Part, "{part}");
        }
        for no in [
            "x",
            "[x]",
            "[NAME_0]",
            "[NAME_01]",
            "[NAME-1]",
            "[NAME_1x]",
            "[ABCDEFGHIJ_1]",
            "[NAME_12345678]",
        ] {
            assert_eq!(placeholder(no), Placeholder::No, "{no}");
        }
    }
}
