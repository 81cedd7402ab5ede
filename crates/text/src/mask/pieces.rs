//! The pieces of a text that are replaced, and the memory of words that went out.

use std::collections::BTreeSet;

use super::surrogate::keyed;
use crate::phi::{Kind, Lexicon, Role};

/// Most words and pairs of words that a session remembers; beyond, it takes placeholders only.
const SEEN_MAX: usize = 400_000;

/// Bytes of a text and the entry that stands for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) entry: usize,
}

/// Joins overlapping spans. What looks like one of ours (no kind) makes the whole a literal.
pub(super) fn join(spans: &mut Vec<(usize, usize, Option<Kind>)>) {
    spans.sort_by_key(|s| (s.0, std::cmp::Reverse(s.1)));
    let mut out: Vec<(usize, usize, Option<Kind>)> = Vec::with_capacity(spans.len());
    for (start, end, kind) in spans.drain(..) {
        match out.last_mut().filter(|last| start < last.1) {
            Some(last) => {
                last.1 = last.1.max(end);
                last.2 = last.2.and(kind);
            }
            None => out.push((start, end, kind)),
        }
    }
    *spans = out;
}

/// Letters and digits of a text in runs, as bytes.
fn words(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let start = at + rest.find(char::is_alphanumeric)?;
        let tail = text.get(start..)?;
        let end = start + tail.find(|c: char| !c.is_alphanumeric()).unwrap_or(tail.len());
        at = end;
        Some((start, end))
    })
}

/// The pieces of a name that get stand-ins of their own: each word, with an initial that stands beside it. Titles,
/// `MD` and particles stay. Empty when there is no whole word.
pub(super) fn name_words(name: &str) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    let mut initial: Option<usize> = None;
    let mut last_is_word = false;
    let mut lone = false;
    for (start, end) in words(name) {
        let word = name.get(start..end).unwrap_or_default();
        let role = Lexicon::shared().word(word).role;
        let single = word.chars().count() == 1;
        if matches!(role, Role::Title | Role::Credential) && !single {
            last_is_word = false;
        } else if single {
            match out.last_mut().filter(|_| last_is_word) {
                Some(last) => last.1 = end,
                None => initial = initial.or(Some(start)),
            }
            lone |= !last_is_word;
            last_is_word = false;
        } else if role == Role::Particle && word.chars().all(char::is_lowercase) {
            last_is_word = false;
        } else {
            out.push((initial.take().unwrap_or(start), end));
            (last_is_word, lone) = (true, false);
        }
    }
    if lone { Vec::new() } else { out }
}

/// The first word of two letters and more.
pub(super) fn long_word(text: &str) -> Option<(usize, usize)> {
    words(text).find(|(start, end)| text.get(*start..*end).is_some_and(|w| w.chars().count() > 1))
}

/// What stands before and after the word at `from..to`, with other initials.
pub(super) fn other_initials(key: &[u8; 32], text: &str, from: usize, to: usize) -> (String, String) {
    let [a, b, ..] = keyed(key, &[b"initial", text.as_bytes()]);
    let other = |part: &str, byte: u8| {
        part.chars()
            .map(|c| if c.is_alphabetic() { char::from(b'A' + byte % 26) } else { c })
            .collect::<String>()
            .replace(['[', ']'], " ")
    };
    (other(text.get(..from).unwrap_or_default(), a), other(text.get(to..).unwrap_or_default(), b))
}

/// Hashes of the words and the pairs of neighbouring words that went out. It holds no word.
#[derive(Default)]
pub(super) struct Seen {
    hashes: BTreeSet<u64>,
}

fn hash(words: &[&str]) -> u64 {
    let bytes = words.iter().flat_map(|w| w.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

impl Seen {
    /// Remembers the words of `text`, which stands after `before`.
    pub(super) fn add(&mut self, before: &str, text: &str) {
        let joined = [before, text].concat();
        let mut last = None;
        for (start, end) in words(&joined) {
            if self.hashes.len() > SEEN_MAX {
                return;
            }
            let word = joined.get(start..end).unwrap_or_default();
            self.hashes.insert(hash(&[word]));
            if let Some(last) = last {
                self.hashes.insert(hash(&[last, word]));
            }
            last = Some(word);
        }
    }

    /// Whether `text` cannot have been in what went out: a word or a pair of words of it is not remembered.
    pub(super) fn never(&self, text: &str) -> bool {
        let words: Vec<&str> = words(text).filter_map(|(s, e)| text.get(s..e)).collect();
        let new = |w: &[&str]| !self.hashes.contains(&hash(w));
        self.hashes.len() <= SEEN_MAX && (words.windows(1).any(new) || words.windows(2).any(new))
    }
}
