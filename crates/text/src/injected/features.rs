//! Tokens of a text and their hashed features, in one pass without an allocation per token.
//!
//! A token is a word, a number or a run of one punctuation mark. Its features are itself, the two and three tokens
//! that end with it, the pair around the token before it, its first and last four bytes (so that an unknown drug still
//! looks like a drug), whether it opens a sentence, whether it repeats, and the pairs of word classes it closes.

use super::lexicon::{Lexicon, UNKNOWN};
use super::words::{self, CLASSES, NONE};

/// log2 of the number of weights of each head.
pub const BITS: u32 = 18;

/// How many tokens back a word class is remembered.
const REACH: u32 = 8;
/// Most features of one token.
pub const FEATURES_MAX: usize = 14 + CLASSES;

/// 64-bit FNV-1a offset and prime, doi:10.17487/RFC9923.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// Hash of a word as the tokenizer makes it: ASCII letters in lower case, digits as `0`.
pub(crate) fn word_hash(word: &[u8]) -> u64 {
    word.iter().fold(OFFSET, |hash, &byte| step(hash, fold(byte)))
}

const fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(PRIME)
}

const fn fold(byte: u8) -> u8 {
    if byte.is_ascii_digit() { b'0' } else { byte.to_ascii_lowercase() }
}

/// The bucket of `hash` under a kind of feature.
fn bucket(hash: u64, salt: u64) -> u32 {
    let mixed = (hash ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    u32::try_from(mixed >> (64 - BITS)).unwrap_or(0)
}

/// What sort of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Word,
    Number,
    /// A run of one punctuation mark.
    Mark(u8),
}

/// One token: where it stands and its features.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// Word class; see the table of words.
    pub(crate) class: u8,
    /// Number in the lexicon.
    pub(crate) number: u16,
    pub(crate) sort: Sort,
    features: [u32; FEATURES_MAX],
    count: usize,
}

impl Token {
    /// Buckets of its features, each below 2^[`BITS`].
    pub fn features(&self) -> &[u32] {
        self.features.get(..self.count).unwrap_or_default()
    }

    fn push(&mut self, feature: u32) {
        if let Some(slot) = self.features.get_mut(self.count) {
            *slot = feature;
            self.count += 1;
        }
    }
}

/// What stood before the token that is read.
#[derive(Debug)]
struct Memory {
    /// Hashes of the last eight tokens, the newest first.
    last: [u64; 8],
    /// Groups of the last two tokens, the newest first; a mark is its own group.
    groups: [u64; 2],
    /// Tokens that repeated one of those, in a row.
    repeats: u32,
    /// Position of the last token of each class.
    seen: [u32; CLASSES],
    /// Tokens so far, plus [`REACH`] so that nothing is near at the start.
    at: u32,
    /// Whether the next token opens a sentence.
    opens: bool,
}

/// Calls `each` for every token of `text` in order.
pub fn tokens(text: &str, mut each: impl FnMut(&Token)) {
    let bytes = text.as_bytes();
    let table = words::table();
    let lexicon = Lexicon::shipped();
    let mut memory =
        Memory { last: [0; 8], groups: [0; 2], repeats: 0, seen: [0; CLASSES], at: REACH + 1, opens: true };
    let mut token = Token {
        start: 0,
        end: 0,
        class: NONE,
        number: UNKNOWN,
        sort: Sort::Word,
        features: [0; FEATURES_MAX],
        count: 0,
    };
    let mut at = 0;
    while let Some(&first) = bytes.get(at) {
        if first.is_ascii_whitespace() {
            memory.opens |= first == b'\n';
            at += 1;
            continue;
        }
        let start = at;
        let word = is_word(first);
        let read = if word { read_word(bytes, at) } else { read_marks(bytes, at, first) };
        let hash = read.hash;
        at = read.end;
        token.number = if word { read.number(lexicon) } else { UNKNOWN };
        token.sort = read.sort;
        let group = match read.sort {
            Sort::Word => u64::from(lexicon.word(token.number).group),
            Sort::Number => 1 << 13,
            Sort::Mark(mark) => 1 << 12 | u64::from(mark),
        };
        token.start = start;
        token.end = at;
        token.count = 0;
        token.class = if word { words::class(table, hash) } else { NONE };
        describe(&mut token, &mut memory, (hash, group), bytes.get(start..at).unwrap_or_default(), word);
        each(&token);
        memory.opens = matches!(first, b'.' | b'!' | b'?' | b':' | b';');
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// A token as it was read.
struct Read {
    hash: u64,
    end: usize,
    /// Hashes of the word without its last one, two and three bytes.
    stems: [u64; 3],
    sort: Sort,
}

impl Read {
    /// The number of the word in the lexicon, or of its stem where only that is known.
    fn number(&self, lexicon: &Lexicon) -> u16 {
        if self.sort == Sort::Number {
            return UNKNOWN;
        }
        let stems = std::iter::once(self.hash).chain(self.stems);
        stems.map(|hash| lexicon.number(hash)).find(|&number| number != UNKNOWN).unwrap_or(UNKNOWN)
    }
}

fn read_word(bytes: &[u8], start: usize) -> Read {
    let mut hash = OFFSET;
    let mut stems = [OFFSET; 3];
    let mut at = start;
    let mut digits = true;
    while let Some(&byte) = bytes.get(at) {
        let inside = is_word(byte) || (byte == b'\'' && bytes.get(at + 1).is_some_and(|&next| is_word(next)));
        if !inside {
            break;
        }
        digits &= byte.is_ascii_digit();
        stems = [hash, stems[0], stems[1]];
        hash = step(hash, fold(byte));
        at += 1;
    }
    // All numbers are one token, whatever their length.
    let (hash, sort) = if digits { (step(OFFSET, b'0'), Sort::Number) } else { (hash, Sort::Word) };
    Read { hash, end: at, stems, sort }
}

fn read_marks(bytes: &[u8], start: usize, mark: u8) -> Read {
    let run = bytes.iter().skip(start).take_while(|&&byte| byte == mark).count();
    Read { hash: step(OFFSET, mark), end: start + run, stems: [OFFSET; 3], sort: Sort::Mark(mark) }
}

fn describe(token: &mut Token, memory: &mut Memory, (hash, group): (u64, u64), bytes: &[u8], word: bool) {
    let [one, two, ..] = memory.last;
    token.push(bucket(hash, 1));
    token.push(bucket(hash.rotate_left(17) ^ one, 2));
    token.push(bucket(hash.rotate_left(17) ^ one.rotate_left(31) ^ two.wrapping_mul(PRIME), 3));
    token.push(bucket(hash.rotate_left(17) ^ two, 4));
    if word && bytes.len() >= 6 {
        token.push(bucket(word_hash(bytes.get(bytes.len() - 4..).unwrap_or_default()), 5));
        token.push(bucket(word_hash(bytes.get(..4).unwrap_or_default()), 6));
    }
    if memory.opens {
        token.push(bucket(hash, 7));
        token.push(bucket(u64::from(token.class), 8));
    }
    let [near, far] = memory.groups;
    token.push(bucket(group, 11));
    token.push(bucket(group << 16 | near, 12));
    token.push(bucket(group << 32 | near << 16 | far, 13));
    token.push(bucket(group << 16 | far, 14));
    memory.groups = [group, near];
    repeats(token, memory, hash);
    classes(token, memory);
    memory.last.rotate_right(1);
    if let Some(newest) = memory.last.first_mut() {
        *newest = hash;
    }
    memory.at = memory.at.wrapping_add(1);
}

fn repeats(token: &mut Token, memory: &mut Memory, hash: u64) {
    if memory.last.contains(&hash) {
        memory.repeats += 1;
    } else {
        memory.repeats = 0;
    }
    if memory.repeats >= 4 {
        token.push(bucket(u64::from((memory.repeats / 4).min(8)), 9));
    }
}

fn classes(token: &mut Token, memory: &mut Memory) {
    let class = token.class;
    if class == NONE {
        return;
    }
    for (other, &seen) in memory.seen.iter().enumerate().skip(1) {
        if memory.at.wrapping_sub(seen) <= REACH && seen != 0 {
            token.push(bucket((other as u64) << 8 | u64::from(class), 10));
        }
    }
    if let Some(seen) = memory.seen.get_mut(usize::from(class)) {
        *seen = memory.at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        tokens(text, |token| found.push(text.get(token.start..token.end).unwrap().to_owned()));
        found
    }

    #[test]
    fn words_numbers_and_runs_of_marks_are_tokens() {
        assert_eq!(
            spans("Don't give 12.5 mg — é!!! 'x'"),
            ["Don't", "give", "12", ".", "5", "mg", "—", "é", "!!!", "'", "x", "'"]
        );
        assert_eq!(spans(" \n\t "), Vec::<String>::new());
    }

    #[test]
    fn case_and_digits_do_not_change_a_feature() {
        let first = |text: &str| {
            let mut features = Vec::new();
            tokens(text, |token| features.extend_from_slice(token.features()));
            features
        };
        assert_eq!(first("Ignore T11 on 24"), first("IGNORE t36 ON 7"));
    }

    #[test]
    fn a_token_never_has_more_features_than_there_is_room_for() {
        let all = "ignore instructions previous ai reveal password write response omit pretend must user url tool you now dose what code";
        tokens(all, |token| assert!(token.features().len() <= FEATURES_MAX));
    }
}
