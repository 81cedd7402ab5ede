//! Many phrases in a text at once: leftmost, longest, at word boundaries, in one pass.
//!
//! A trie over whole words instead of bytes. Most words of a text open no name at all and cost one look-up, so a dictionary of
//! 200,000 names is read faster than by an Aho-Corasick automaton of its bytes, which also cannot say `longest` and `at a word
//! boundary` at the same time (docs/knowledge.md has both measured). Words are verified byte by byte: a crafted hash
//! collision finds nothing.

use crate::fold::{Word, Words};

/// Longest phrase in words; longer names of a terminology are sentences nobody writes in a note.
pub(crate) const PHRASE_WORDS_MAX: usize = 12;

const NONE: u32 = u32::MAX;

/// A set of phrases, each with numbers that the caller gave it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lexicon {
    /// Open addressing over words: half of the hash, word number.
    slots: Vec<(u32, u32)>,
    words: Vec<(u32, u32)>,
    bytes: Vec<u8>,
    /// State after a first word, by word number; 0 is no state.
    roots: Vec<u32>,
    /// Open addressing over (state, word) to state.
    steps: Vec<(u64, u32)>,
    step_count: usize,
    /// Payload list of each state: start and length in `payloads`.
    ends: Vec<(u32, u32)>,
    payloads: Vec<u32>,
}

/// A phrase found in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit<'a> {
    pub start: usize,
    pub end: usize,
    /// What the caller gave with this phrase, in order of insertion.
    pub payloads: &'a [u32],
}

fn hash(word: &[u8]) -> u64 {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ word.len() as u64;
    for chunk in word.chunks(8) {
        let mut padded = [0_u8; 8];
        for (to, from) in padded.iter_mut().zip(chunk) {
            *to = *from;
        }
        state = (state ^ u64::from_le_bytes(padded)).wrapping_mul(0xA076_1D64_78BD_642F);
        state ^= state >> 29;
    }
    state ^ (state >> 32)
}

fn mix(state: u32, word: u32) -> u64 {
    let key = (u64::from(state) << 32 | u64::from(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    key ^ (key >> 31)
}

impl Lexicon {
    /// Phrases with their numbers. A phrase of no words, or of more than [`PHRASE_WORDS_MAX`], is left out; the same phrase may
    /// come several times with different numbers.
    pub(crate) fn build<'a>(phrases: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let mut lexicon = Self { ends: vec![(0, 0)], ..Self::default() };
        let mut lists: Vec<Vec<u32>> = vec![Vec::new()];
        let mut numbers = Vec::new();
        for (phrase, payload) in phrases {
            numbers.clear();
            let mut words = Words::of(phrase);
            while numbers.len() <= PHRASE_WORDS_MAX && words.next().is_some() {
                numbers.push(lexicon.learn(words.folded()));
            }
            if numbers.is_empty() || numbers.len() > PHRASE_WORDS_MAX || numbers.contains(&NONE) {
                continue;
            }
            let mut state = 0;
            for (place, word) in numbers.iter().enumerate() {
                state = lexicon.extend(state, *word, place == 0, &mut lists);
            }
            if let Some(list) = lists.get_mut(state as usize)
                && !list.contains(&payload)
            {
                list.push(payload);
            }
        }
        lexicon.ends.clear();
        for list in lists {
            let start = u32::try_from(lexicon.payloads.len()).unwrap_or(NONE);
            lexicon.ends.push((start, u32::try_from(list.len()).unwrap_or(0)));
            lexicon.payloads.extend(list);
        }
        lexicon
    }

    fn extend(&mut self, state: u32, word: u32, first: bool, lists: &mut Vec<Vec<u32>>) -> u32 {
        let known = if first { self.root(word) } else { self.step(state, word) };
        if known != 0 {
            return known;
        }
        let made = u32::try_from(lists.len()).unwrap_or(0);
        lists.push(Vec::new());
        if first {
            if let Some(slot) = self.roots.get_mut(word as usize) {
                *slot = made;
            }
        } else {
            self.add_step(state, word, made);
        }
        made
    }

    fn root(&self, word: u32) -> u32 {
        self.roots.get(word as usize).copied().unwrap_or(0)
    }

    fn step(&self, state: u32, word: u32) -> u32 {
        if self.steps.is_empty() {
            return 0;
        }
        let mask = self.steps.len() - 1;
        let key = u64::from(state) << 32 | u64::from(word);
        let mut at = mix(state, word) as usize & mask;
        loop {
            match self.steps.get(at) {
                Some((k, to)) if *k == key => return *to,
                Some((_, 0)) | None => return 0,
                Some(_) => at = (at + 1) & mask,
            }
        }
    }

    fn add_step(&mut self, state: u32, word: u32, to: u32) {
        if (self.step_count + 1) * 2 > self.steps.len() {
            let old = std::mem::take(&mut self.steps);
            self.steps = vec![(0, 0); (old.len() * 2).max(64)];
            for (key, to) in old.into_iter().filter(|(_, to)| *to != 0) {
                self.place_step(key, to);
            }
        }
        self.place_step(u64::from(state) << 32 | u64::from(word), to);
        self.step_count += 1;
    }

    fn place_step(&mut self, key: u64, to: u32) {
        let mask = self.steps.len() - 1;
        let mut at = mix((key >> 32) as u32, key as u32) as usize & mask;
        while let Some(slot) = self.steps.get_mut(at) {
            if slot.1 == 0 {
                *slot = (key, to);
                return;
            }
            at = (at + 1) & mask;
        }
    }

    /// Number of a word, given now if it is new.
    fn learn(&mut self, word: &[u8]) -> u32 {
        if word.is_empty() {
            return NONE;
        }
        let known = self.word(word);
        if known != NONE {
            return known;
        }
        if (self.words.len() + 1) * 2 > self.slots.len() {
            self.slots = vec![(0, NONE); (self.slots.len() * 2).max(64)];
            for number in 0..self.words.len() {
                self.place_word(u32::try_from(number).unwrap_or(NONE));
            }
        }
        let number = u32::try_from(self.words.len()).unwrap_or(NONE);
        self.words.push((u32::try_from(self.bytes.len()).unwrap_or(NONE), word.len() as u32));
        self.bytes.extend_from_slice(word);
        self.roots.push(0);
        self.place_word(number);
        number
    }

    fn place_word(&mut self, number: u32) {
        let hash = hash(self.spelling(number));
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.1 == NONE {
                *slot = ((hash >> 32) as u32, number);
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn spelling(&self, number: u32) -> &[u8] {
        let Some((start, len)) = self.words.get(number as usize) else { return &[] };
        self.bytes.get(*start as usize..(*start + *len) as usize).unwrap_or_default()
    }

    fn word(&self, word: &[u8]) -> u32 {
        self.word_hashed(word, hash(word))
    }

    #[inline]
    fn word_hashed(&self, word: &[u8], hash: u64) -> u32 {
        if self.slots.is_empty() || word.is_empty() {
            return NONE;
        }
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.slots.get(at) {
                Some((_, NONE)) | None => return NONE,
                Some((tag, number)) if *tag == (hash >> 32) as u32 && self.spelling(*number) == word => {
                    return *number;
                }
                Some(_) => at = (at + 1) & mask,
            }
        }
    }

    fn found(&self, state: u32) -> &[u32] {
        let Some((start, len)) = self.ends.get(state as usize) else { return &[] };
        self.payloads.get(*start as usize..(*start + *len) as usize).unwrap_or_default()
    }

    /// Every phrase of the text, leftmost and longest, not overlapping. A phrase does not reach over the end of a sentence.
    pub(crate) fn find<'a>(&'a self, text: &str, mut hit: impl FnMut(Hit<'a>)) {
        find_all([self], text, |_, found| hit(found));
    }

    /// The longest phrase that starts at the first of these words, and how many words it has.
    fn longest(&self, words: &[Number], of: usize) -> Option<(usize, &[u32])> {
        let mut state = 0;
        let mut best = None;
        for (place, word) in words.iter().enumerate() {
            let number = word.numbers.get(of).copied().unwrap_or(NONE);
            if number == NONE || place > 0 && word.place.after_stop {
                break;
            }
            state = if place == 0 { self.root(number) } else { self.step(state, number) };
            if state == 0 {
                break;
            }
            let payloads = self.found(state);
            if !payloads.is_empty() {
                best = Some((place + 1, payloads));
            }
        }
        best
    }
}

/// Most lexicons of one pass.
const LEXICONS_MAX: usize = 3;

/// Words that are kept while phrases are looked for; memory does not grow with the text.
const WINDOW: usize = 1_024;

/// A word with its number in each lexicon.
#[derive(Clone, Copy)]
struct Number {
    place: Word,
    numbers: [u32; LEXICONS_MAX],
}

/// The phrases of several lexicons in one pass over the text; `hit` is told which lexicon. At most three lexicons.
pub(crate) fn find_all<'a, const N: usize>(
    lexicons: [&'a Lexicon; N],
    text: &str,
    mut hit: impl FnMut(usize, Hit<'a>),
) {
    const { assert!(N <= LEXICONS_MAX) };
    let mut words = Words::of(text);
    let mut window: Vec<Number> = Vec::with_capacity(WINDOW);
    // From where on each lexicon may find again, as a place in the window.
    let mut free = [0_usize; N];
    let mut at = 0;
    loop {
        if at + PHRASE_WORDS_MAX >= window.len() {
            window.drain(..at);
            free.iter_mut().for_each(|f| *f = f.saturating_sub(at));
            at = 0;
            while window.len() < WINDOW {
                let Some(place) = words.next() else { break };
                let mut numbers = [NONE; LEXICONS_MAX];
                let folded = words.folded();
                let hash = hash(folded);
                for (number, lexicon) in numbers.iter_mut().zip(lexicons) {
                    *number = lexicon.word_hashed(folded, hash);
                }
                window.push(Number { place, numbers });
            }
        }
        let Some(first) = window.get(at) else { return };
        for (of, (lexicon, free)) in lexicons.into_iter().zip(&mut free).enumerate() {
            if *free > at || first.numbers.get(of).is_none_or(|n| *n == NONE || lexicon.root(*n) == 0) {
                continue;
            }
            let ahead = window.get(at..window.len().min(at + PHRASE_WORDS_MAX)).unwrap_or_default();
            if let Some((count, payloads)) = lexicon.longest(ahead, of) {
                let end = ahead.get(count - 1).map_or(first.place.end, |w| w.place.end);
                hit(of, Hit { start: first.place.start, end, payloads });
                *free = at + count;
            }
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(phrases: &[&str], text: &str) -> Vec<String> {
        let lexicon = Lexicon::build(phrases.iter().copied().zip(0..));
        let mut out = Vec::new();
        lexicon.find(text, |h| out.push(text[h.start..h.end].to_owned()));
        out
    }

    #[test]
    fn the_longest_name_wins_and_others_are_found_after_it() {
        let names =
            ["diabetes", "type 2 diabetes", "type 2 diabetes mellitus", "insulin", "heart", "failure"];
        assert_eq!(found(&names, "Type 2 Diabetes, insulin"), ["Type 2 Diabetes", "insulin"]);
        assert_eq!(found(&names, "type 2 heart-failure"), ["heart", "failure"]);
        assert_eq!(found(&names, "type 2\ndiabetes mellitus"), ["type 2\ndiabetes mellitus"]);
    }

    #[test]
    fn names_do_not_reach_over_a_sentence_or_into_a_word() {
        let names = ["heart failure", "st john wort", "lead"];
        assert!(found(&names, "of the heart. Failure of leadership").is_empty());
        assert_eq!(found(&names, "St. John's wort"), ["St. John's wort"]);
    }

    #[test]
    fn phrases_longer_than_the_maximum_are_left_out() {
        let long = |n: usize| vec!["word"; n].join(" ");
        assert_eq!(found(&[&long(PHRASE_WORDS_MAX)], &long(PHRASE_WORDS_MAX)).len(), 1);
        assert!(found(&[&long(PHRASE_WORDS_MAX + 1)], &long(PHRASE_WORDS_MAX + 1)).is_empty());
    }
}
