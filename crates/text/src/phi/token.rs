//! Words, numbers and marks of a text in one pass over its bytes.

use super::lexicon::{Entry, Lexicon};

/// What a token looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shape {
    /// `word`
    Small,
    /// `Word`
    Capital,
    /// `WORD`
    Capitals,
    /// `W`
    Letter,
    /// `McDonald`, `mRNA`
    MixedCase,
    /// One digit; two, three, four, five or six, seven to nine, ten and more follow.
    Digit1,
    /// `12`
    Digit2,
    /// `123`
    Digit3,
    /// `1234`
    Digit4,
    /// `12345`
    Digit5,
    /// `1234567`
    Digit7,
    /// `1234567890`
    Digit10,
    /// `A123`: capital letters and digits.
    Code,
    /// `12th`, `x4`: small letters and digits.
    SmallCode,
    /// One character that is neither letter nor digit.
    Mark,
}

/// One token. `lex` and `role` come from the [`Lexicon`].
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// First byte.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
    /// Hash of the word in lower case without a possessive ending; of a mark, its character; of a number, its shape.
    pub hash: u32,
    /// Value of a number of at most nine digits, the character of a mark, else 0.
    pub value: u32,
    /// Lists it is in.
    pub entry: Entry,
    /// Its look.
    pub shape: Shape,
    /// What is between it and the one before: 0 nothing, 1 blanks, 2 a line end, 3 an empty line.
    pub gap: u8,
    /// Bytes of a possessive ending at its end (`'s`).
    pub possessive: u8,
}

impl Token {
    /// Whether it is this mark.
    pub fn is(&self, mark: char) -> bool {
        self.shape == Shape::Mark && self.value == mark as u32
    }

    /// Whether it has only digits.
    pub fn is_number(&self) -> bool {
        (Shape::Digit1 as u8..=Shape::Digit10 as u8).contains(&(self.shape as u8))
    }

    /// Whether it has only letters.
    pub fn is_word(&self) -> bool {
        self.shape as u8 <= Shape::MixedCase as u8
    }

    /// Whether it is a word that starts with a capital.
    pub fn is_capital(&self) -> bool {
        matches!(self.shape, Shape::Capital | Shape::Capitals | Shape::Letter)
            || (self.shape == Shape::MixedCase && self.value == 1)
    }

    /// Whether it has a digit.
    pub fn has_digit(&self) -> bool {
        self.is_number() || matches!(self.shape, Shape::Code | Shape::SmallCode)
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }
}

const FNV_START: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

/// Hash of a word in lower case (FNV-1a over its UTF-8 bytes, 32 bits).
pub fn hash_word(word: &str) -> u32 {
    if word.is_ascii() {
        word.bytes().fold(FNV_START, |h, b| (h ^ u32::from(b.to_ascii_lowercase())).wrapping_mul(FNV_PRIME))
    } else {
        let mut bytes = [0u8; 4];
        word.chars().flat_map(char::to_lowercase).fold(FNV_START, |h, c| {
            c.encode_utf8(&mut bytes).bytes().fold(h, |h, b| (h ^ u32::from(b)).wrapping_mul(FNV_PRIME))
        })
    }
}

/// Classes of bytes: 0 a mark, 1 a blank, 2 a line end, 3 small letter, 4 capital, 5 digit, 6 beyond ASCII.
const CLASS: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = match i as u8 {
            b' ' | b'\t' | 0x0b | 0x0c | b'\r' => 1,
            b'\n' => 2,
            b'a'..=b'z' => 3,
            b'A'..=b'Z' => 4,
            b'0'..=b'9' => 5,
            0x80..=0xff => 6,
            _ => 0,
        };
        i += 1;
    }
    table
};

fn class(byte: u8) -> u8 {
    CLASS[byte as usize]
}

/// Splits `text` into `tokens` (emptied first). Offsets are those of `text`.
pub fn tokenise(text: &str, lexicon: &Lexicon, tokens: &mut Vec<Token>) {
    tokens.clear();
    let bytes = text.as_bytes();
    let (mut at, mut gap, mut lines) = (0usize, 2u8, 1u8);
    while let Some(&byte) = bytes.get(at) {
        match class(byte) {
            1 => {
                gap = gap.max(1);
                at += 1;
            }
            2 => {
                lines = lines.saturating_add(1);
                gap = if lines >= 2 { 3 } else { 2 };
                at += 1;
            }
            c => {
                let first = if c == 6 { char_at(text, at) } else { byte as char };
                if c == 6 && first.is_whitespace() {
                    gap = gap.max(1);
                    at += first.len_utf8();
                    continue;
                }
                let token = if c == 0 || (c == 6 && !in_word(first)) {
                    mark(at, first, gap)
                } else {
                    word(text, at, gap, lexicon)
                };
                at = token.end as usize;
                tokens.push(token);
                (gap, lines) = (0, 0);
            }
        }
    }
}

fn char_at(text: &str, at: usize) -> char {
    text.get(at..).and_then(|t| t.chars().next()).unwrap_or('\u{fffd}')
}

/// Letters, digits and combining marks beyond ASCII.
fn in_word(c: char) -> bool {
    c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c)
}

#[expect(clippy::cast_possible_truncation, reason = "a piece has at most CHUNK_BYTES_MAX bytes")]
fn mark(at: usize, c: char, gap: u8) -> Token {
    let (start, end) = (at as u32, (at + c.len_utf8()) as u32);
    let value = match c {
        '\u{2018}' | '\u{2019}' => '\'' as u32,
        '\u{2010}'..='\u{2015}' => '-' as u32,
        _ => c as u32,
    };
    Token { start, end, hash: value, value, entry: Entry::default(), shape: Shape::Mark, gap, possessive: 0 }
}

#[expect(clippy::cast_possible_truncation, reason = "a piece has at most CHUNK_BYTES_MAX bytes")]
fn word(text: &str, start: usize, gap: u8, lexicon: &Lexicon) -> Token {
    let bytes = text.as_bytes();
    let (mut at, mut hash) = (start, FNV_START);
    let (mut small, mut capitals, mut digits, mut value) = (0u32, 0u32, 0u32, 0u32);
    let first_class = class(bytes.get(start).copied().unwrap_or(0));
    let mut first_capital = first_class == 4;
    while let Some(&byte) = bytes.get(at) {
        let lower = match class(byte) {
            3 => {
                small += 1;
                byte
            }
            4 => {
                capitals += 1;
                byte | 0x20
            }
            5 => {
                digits += 1;
                value = value.wrapping_mul(10).wrapping_add(u32::from(byte - b'0'));
                byte
            }
            6 => {
                let c = char_at(text, at);
                if !in_word(c) {
                    break;
                }
                if c.is_uppercase() {
                    capitals += 1;
                    first_capital |= at == start;
                } else if c.is_numeric() {
                    digits += 1;
                } else {
                    small += 1;
                }
                let mut buffer = [0u8; 4];
                for l in c.to_lowercase() {
                    for b in l.encode_utf8(&mut buffer).bytes() {
                        hash = (hash ^ u32::from(b)).wrapping_mul(FNV_PRIME);
                    }
                }
                at += c.len_utf8();
                continue;
            }
            _ => break,
        };
        hash = (hash ^ u32::from(lower)).wrapping_mul(FNV_PRIME);
        at += 1;
    }
    let shape = shape(small, capitals, digits, first_capital);
    let possessive = if digits == 0 { possessive(bytes, at) } else { 0 };
    let is_word = digits == 0;
    let entry = if is_word { lexicon.get(hash) } else { Entry::default() };
    let hash = if digits > 0 && small + capitals == 0 { shape as u32 } else { hash };
    let value = if is_word { u32::from(first_capital) } else { value };
    let end = at + usize::from(possessive);
    Token { start: start as u32, end: end as u32, hash, value, entry, shape, gap, possessive }
}

/// Bytes of `'s` or `’s` at `at`, when no letter follows it.
fn possessive(bytes: &[u8], at: usize) -> u8 {
    let rest = bytes.get(at..).unwrap_or_default();
    let mark = if rest.starts_with(b"'") {
        1
    } else if rest.starts_with("\u{2019}".as_bytes()) {
        3
    } else {
        return 0;
    };
    let s = matches!(rest.get(mark), Some(b's' | b'S'));
    let over = rest.get(mark + 1).is_none_or(|b| matches!(class(*b), 0..=2));
    if s && over { u8::try_from(mark + 1).unwrap_or(0) } else { 0 }
}

fn shape(small: u32, capitals: u32, digits: u32, first_capital: bool) -> Shape {
    match (small, capitals, digits) {
        (0, 0, 1) => Shape::Digit1,
        (0, 0, 2) => Shape::Digit2,
        (0, 0, 3) => Shape::Digit3,
        (0, 0, 4) => Shape::Digit4,
        (0, 0, 5 | 6) => Shape::Digit5,
        (0, 0, 7..=9) => Shape::Digit7,
        (0, 0, _) => Shape::Digit10,
        (_, 0, 0) => Shape::Small,
        (0, 1, 0) => Shape::Letter,
        (0, _, 0) => Shape::Capitals,
        (_, 1, 0) if first_capital => Shape::Capital,
        (_, _, 0) => Shape::MixedCase,
        (_, 0, _) => Shape::SmallCode,
        _ => Shape::Code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut tokens = Vec::new();
        tokenise(text, Lexicon::shared(), &mut tokens);
        let found: Vec<&str> = tokens.iter().map(|t| &text[t.start as usize..t.end as usize]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn words_numbers_and_marks_are_apart() {
        check("Mary's 12/3, A1-b", &["Mary's", "12", "/", "3", ",", "A1", "-", "b"]);
        check("O'Brien’s", &["O", "'", "Brien’s"]);
        check("Ottarsdóttir µm", &["Ottarsdóttir", "µm"]);
        check("", &[]);
    }

    #[test]
    fn the_hash_is_that_of_the_word_in_lower_case() {
        let mut tokens = Vec::new();
        tokenise("ÉCLAIR's Mary", Lexicon::shared(), &mut tokens);
        assert_eq!(tokens[0].hash, hash_word("éclair"));
        assert_eq!(tokens[1].hash, hash_word("mary"));
        assert_eq!(tokens[1].shape, Shape::Capital);
        assert_eq!(tokens[0].possessive, 2);
    }

    #[test]
    fn gaps_tell_lines_apart() {
        let mut tokens = Vec::new();
        tokenise("a b\nc\n\nd-e", Lexicon::shared(), &mut tokens);
        assert_eq!(tokens.iter().map(|t| t.gap).collect::<Vec<_>>(), [2, 1, 2, 3, 0, 0]);
    }
}
