//! Words of a text as they are compared: folded to lower case without accents, singular, with their place in the text.
//!
//! Names in notes come as `Beta-Blockers`, `beta blocker`, `Sjögren's` or `SJOGREN`, over a line end or with a typographic hyphen.
//! All of that is decided here, once, for dictionaries and texts alike: what folds to the same words is the same name.

/// Longest word that is compared; longer runs of letters (a base64 blob, a sequence) are no word of any dictionary.
pub(crate) const WORD_BYTES_MAX: usize = 48;

/// What a byte is: 0 = parts words, 1 = a byte of a longer UTF-8 sequence, otherwise the folded byte.
const CLASS: [u8; 256] = classes();

/// Letters U+00C0 to U+00FF without their accents; `\0` where there is none (the signs × and ÷).
const LATIN: &[u8; 64] = b"aaaaaaaceeeeiiiidnooooo\0ouuuuytsaaaaaaaceeeeiiiidnooooo\0ouuuuyty";

const fn classes() -> [u8; 256] {
    let mut table = [0_u8; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            upper @ b'A'..=b'Z' => upper + 32,
            same @ (b'a'..=b'z' | b'0'..=b'9') => same,
            0x80..=0xFF => 1,
            _ => 0,
        };
        byte += 1;
    }
    table
}

/// Where one word of a text stands; its folded bytes are in [`Words::folded`] until the next one is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    /// First byte in the text.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// A sentence, list item or paragraph may have ended between the word before and this one.
    pub after_stop: bool,
}

/// The words of a text in order. Memory does not grow with the text.
pub(crate) struct Words<'a> {
    text: &'a [u8],
    at: usize,
    last_len: usize,
    word: [u8; WORD_BYTES_MAX],
    len: usize,
}

impl<'a> Words<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text: text.as_bytes(), at: 0, last_len: 0, word: [0; WORD_BYTES_MAX], len: 0 }
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    /// The folded byte at a place and how many bytes it takes; `None` where words part.
    #[inline]
    fn fold_at(&self, at: usize) -> Option<(u8, usize)> {
        let byte = self.byte(at);
        match CLASS[usize::from(byte)] {
            0 => None,
            1 => self.fold_long(at, byte),
            folded => Some((folded, 1)),
        }
    }

    /// Letters outside ASCII: Latin with accents fold to their letter, typographic dashes and quotes and odd spaces part words,
    /// everything else stays as its bytes.
    #[cold]
    fn fold_long(&self, at: usize, byte: u8) -> Option<(u8, usize)> {
        match (byte, self.byte(at + 1)) {
            (0xC3, next @ 0x80..=0xBF) => {
                let letter = LATIN.get(usize::from(next - 0x80)).copied().unwrap_or(0);
                (letter != 0).then_some((letter, 2))
            }
            (0xC2, _) | (0xE2, 0x80 | 0x81) => None,
            _ => Some((byte, 1)),
        }
    }

    fn skip_gap(&mut self) -> bool {
        let mut stop = false;
        let mut lines = 0;
        while self.at < self.text.len() && self.fold_at(self.at).is_none() {
            let byte = self.byte(self.at);
            let next = self.byte(self.at + 1);
            match byte {
                b'.' | b'!' | b'?' | b';' | b':' => {
                    stop |= self.last_len > 2 && (next == 0 || next.is_ascii_whitespace());
                }
                b'\n' => lines += 1,
                b'\t' | b'|' => stop = true,
                _ => {}
            }
            self.at += match byte {
                0xE2 => 3,
                0xC2 | 0xC3 => 2,
                _ => 1,
            };
        }
        stop || lines > 1
    }
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        let mut after_stop = false;
        loop {
            after_stop |= self.skip_gap();
            let start = self.at;
            if start >= self.text.len() {
                return None;
            }
            let mut len = 0_usize;
            while let Some((folded, bytes)) = self.fold_at(self.at) {
                if let Some(slot) = self.word.get_mut(len) {
                    *slot = folded;
                }
                len += 1;
                self.at += bytes;
                if self.at >= self.text.len() {
                    break;
                }
            }
            self.last_len = len;
            // The s of a possessive is no word: `Crohn's disease` is `Crohn disease`.
            if len == 1 && self.word[0] == b's' && start > 0 && self.is_apostrophe_before(start) {
                continue;
            }
            self.len = if len > WORD_BYTES_MAX { 0 } else { singular(&mut self.word, len) };
            return Some(Word { start, end: self.at.min(self.text.len()), after_stop });
        }
    }
}

impl Words<'_> {
    /// The word that was read last, as it is compared.
    pub(crate) fn folded(&self) -> &[u8] {
        self.word.get(..self.len).unwrap_or_default()
    }
}

/// The words of a text as they are compared, one string each.
pub(crate) fn folded_words(text: &str) -> Vec<String> {
    let mut words = Words::of(text);
    let mut out = Vec::new();
    while words.next().is_some() {
        out.push(String::from_utf8_lossy(words.folded()).into_owned());
    }
    out
}

impl Words<'_> {
    fn is_apostrophe_before(&self, at: usize) -> bool {
        self.byte(at - 1) == b'\''
            || (at >= 3 && matches!(self.text.get(at - 3..at), Some([0xE2, 0x80, 0x98 | 0x99])))
    }
}

/// Length of the singular of a folded word, written in place. Crude on purpose, since both sides of a comparison go through it:
/// `allergies` and `allergy`, `ulcers` and `ulcer` become equal; `diabetes` becomes `diabete` in the dictionary and in the text.
fn singular(word: &mut [u8; WORD_BYTES_MAX], len: usize) -> usize {
    if len < 5 || word.get(len - 1) != Some(&b's') {
        return len;
    }
    match word.get(len - 3..len - 1) {
        Some([_, b's' | b'u' | b'i' | b'a' | b'o']) if word.get(len - 3..len) != Some(b"ies") => len,
        Some(b"ie") if len > 5 => {
            if let Some(slot) = word.get_mut(len - 3) {
                *slot = b'y';
            }
            len - 2
        }
        _ => len - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Vec<String> {
        folded_words(text)
    }

    #[test]
    fn spellings_of_one_name_fold_to_the_same_words() {
        for (left, right) in [
            ("Beta-Blockers", "beta blocker"),
            ("Crohn's disease", "crohn disease"),
            ("Crohn’s Disease", "Crohn disease"),
            ("SJÖGREN", "sjogren"),
            ("drug allergies", "drug allergy"),
            ("non–small\ncell", "non-small cell"),
        ] {
            assert_eq!(folded(left), folded(right), "{left}");
        }
        assert_ne!(folded("lens"), folded("len"));
        assert_eq!(folded("virus pus bias"), ["virus", "pus", "bias"]);
    }

    #[test]
    fn places_are_bytes_of_the_text() {
        let text = "naïve Sjögren’s, β-blocker";
        for word in Words::of(text) {
            assert!(text.get(word.start..word.end).is_some(), "{word:?}");
        }
    }

    #[test]
    fn words_of_more_than_the_maximum_are_no_words() {
        let at = "a".repeat(WORD_BYTES_MAX);
        assert_eq!(folded(&at), std::slice::from_ref(&at));
        assert_eq!(folded(&format!("{at}a")), [""]);
    }
}
