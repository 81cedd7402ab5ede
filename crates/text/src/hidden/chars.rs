//! Reads a text line by line; a line of plain ASCII is passed over at the speed of memory.

use super::disguised;
use super::invisible;
use super::letters::{Script, script};
use super::trick::Trick;

/// What a model reads for a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Itself.
    Keep,
    /// Nothing.
    Drop,
    /// Another character.
    As(char),
    /// Several.
    Text(&'static str),
}

/// Characters looked at together at most.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Whether every byte is printable ASCII, a tab, a line end or a form feed.
pub(super) fn plain(text: &str) -> bool {
    text.as_bytes().chunks(4096).all(|chunk| chunk.iter().fold(true, |ok, &byte| ok & is_plain(byte)))
}

const fn is_plain(byte: u8) -> bool {
    // The two `|` and `&` stay without branches so that the loop runs on vectors.
    (byte.wrapping_sub(0x20) < 0x5f) | (byte.wrapping_sub(9) < 2) | (byte.wrapping_sub(12) < 2)
}

/// What the whole text says about its scripts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scripts {
    pub(super) right_to_left: bool,
    pub(super) east: bool,
    /// A Cyrillic or Greek word that cannot be taken for Latin.
    pub(super) other_alphabet: bool,
}

impl Scripts {
    fn of(text: &str) -> Self {
        let mut found = Self::default();
        let mut odd = 0;
        for c in text.chars().filter(|c| !c.is_ascii()) {
            match script(c) {
                Some(Script::RightToLeft) => found.right_to_left = true,
                Some(Script::East) => {
                    found.east |= !matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
                }
                Some(Script::Cyrillic) if super::letters::alike(c).is_none() => odd += 1,
                _ => {}
            }
        }
        found.other_alphabet = odd >= 3;
        found
    }
}

/// One line that is not plain.
pub(super) struct Line<'a> {
    /// Its first byte in the text.
    pub(super) start: usize,
    pub(super) text: &'a str,
    pub(super) chars: Vec<(usize, char)>,
    pub(super) readings: Vec<Reading>,
    pub(super) scripts: Scripts,
    /// Whether it has a letter of a script that runs from right to left.
    pub(super) right_to_left: bool,
}

/// Characters `first..end` of a line do a trick; `decoded` is what they say where that is not their reading.
pub(super) struct Hit {
    pub(super) trick: &'static Trick,
    pub(super) first: usize,
    pub(super) end: usize,
    pub(super) decoded: Option<String>,
}

impl Line<'_> {
    pub(super) fn at(&self, i: usize) -> Option<char> {
        self.chars.get(i).map(|c| c.1)
    }

    pub(super) fn before(&self, i: usize) -> Option<char> {
        i.checked_sub(1).and_then(|i| self.at(i))
    }

    pub(super) fn set(&mut self, i: usize, reading: Reading) {
        if let Some(slot) = self.readings.get_mut(i) {
            *slot = reading;
        }
    }

    /// Byte of the line where character `i` begins.
    pub(super) fn byte(&self, i: usize) -> usize {
        self.chars.get(i).map_or(self.text.len(), |c| c.0)
    }

    /// The runs of characters that `fits` takes.
    pub(super) fn runs(&self, fits: impl Fn(char) -> bool) -> Vec<(usize, usize)> {
        let mut runs = Vec::new();
        let mut start = None;
        for (i, &(_, c)) in self.chars.iter().enumerate() {
            match (fits(c), start) {
                (true, None) => start = Some(i),
                (false, Some(first)) => {
                    runs.push((first, i));
                    start = None;
                }
                _ => {}
            }
        }
        if let Some(first) = start {
            runs.push((first, self.chars.len()));
        }
        runs
    }

    /// What a model reads of characters `first..end`.
    pub(super) fn read(&self, first: usize, end: usize) -> String {
        let mut out = String::new();
        let pieces = self.chars.iter().zip(&self.readings).take(end).skip(first);
        for (&(_, c), reading) in pieces {
            match *reading {
                Reading::Keep => out.push(c),
                Reading::Drop => {}
                Reading::As(other) => out.push(other),
                Reading::Text(other) => out.push_str(other),
            }
        }
        out
    }

    /// `first..end` grown to whole words.
    pub(super) fn words(&self, first: usize, end: usize) -> (usize, usize) {
        let blank = |i: usize| self.at(i).is_none_or(char::is_whitespace);
        let (mut first, mut end) = (first, end);
        while first > 0 && !blank(first - 1) {
            first -= 1;
        }
        while !blank(end) {
            end += 1;
        }
        (first, end)
    }
}

/// Calls `each` for every line with its first byte, its text and, when it is not plain, its readings.
pub(super) fn each_line(text: &str, mut each: impl FnMut(usize, &str, Option<&[Reading]>)) {
    walk(text, &mut |start, line, read| {
        each(start, line, read.as_ref().map(|line| line.0.readings.as_slice()))
    });
}

/// Calls `each` for every line that is not plain, with what it hides.
pub(super) fn each_hit(text: &str, mut each: impl FnMut(&Line<'_>, Vec<Hit>)) {
    walk(text, &mut |_, _, read| {
        if let Some((line, hits)) = read {
            each(&line, hits);
        }
    });
}

/// What is called for a line: its first byte, its text, and what was read of it when it is not plain.
type Visit<'a> = dyn FnMut(usize, &str, Option<(Line<'_>, Vec<Hit>)>) + 'a;

fn walk(text: &str, each: &mut Visit<'_>) {
    let scripts = Scripts::of(text);
    let mut start = 0;
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        let end = line_end(rest);
        let line = rest.get(..end).unwrap_or(rest);
        if plain(line) {
            each(start, line, None);
        } else {
            each(start, line, Some(read(start, line, scripts)));
        }
        start += line.len().max(1);
    }
}

/// Bytes of the first line of `rest`, its end included, cut at [`LINE_BYTES_MAX`].
fn line_end(rest: &str) -> usize {
    let most = rest.len().min(LINE_BYTES_MAX);
    let found = rest.as_bytes().iter().take(most).position(|&byte| byte == b'\n');
    let mut end = found.map_or(most, |at| at + 1);
    while !rest.is_char_boundary(end) {
        end += 1;
    }
    end
}

fn read(start: usize, text: &str, scripts: Scripts) -> (Line<'_>, Vec<Hit>) {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let readings = vec![Reading::Keep; chars.len()];
    let right_to_left = chars.iter().any(|c| script(c.1) == Some(Script::RightToLeft));
    let mut line = Line { start, text, chars, readings, scripts, right_to_left };
    let mut hits = Vec::new();
    if line.chars.iter().all(|c| ordinary(c.1)) {
        disguised::typography(&mut line);
    } else {
        invisible::read(&mut line, &mut hits);
        disguised::read(&mut line, &mut hits);
    }
    (line, hits)
}

/// Characters that do no trick in any company: what a keyboard types, accented Latin, marks of print and of measure.
/// A line that has no others is not looked at further.
const fn ordinary(c: char) -> bool {
    match c {
        ' '..='~' | '\t' | '\n' | '\r' | '\u{c}' => true,
        '\u{a0}'..='\u{ac}' | '\u{ae}'..='\u{24f}' => !matches!(c, 'ƃ' | 'ǝ' | 'ƅ' | 'ǀ' | 'ſ' | 'ı'),
        '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{20a0}'..='\u{20bf}' => true,
        '\u{2070}' | '\u{2074}'..='\u{207e}' | '\u{2080}'..='\u{208e}' | '\u{2190}'..='\u{22ff}' => true,
        '℃' | '™' | '■' | '□' | '▪' | '●' | '☐' | '☑' | '☒' | '✓' | '✔' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_what_a_keyboard_of_ascii_types() {
        assert!(plain("a b\tc\r\nd\u{c}~"));
        for odd in ["\u{b}", "\u{8}", "\u{7f}", "é", "\u{0}", "\u{1b}"] {
            assert!(!plain(odd), "{odd:?}");
        }
    }

    #[test]
    fn a_line_longer_than_the_most_is_cut_at_a_character() {
        let text = "é".repeat(LINE_BYTES_MAX);
        let mut bytes = 0;
        each_line(&text, |start, line, _| {
            assert_eq!(start, bytes);
            bytes += line.len();
        });
        assert_eq!(bytes, text.len());
    }
}
