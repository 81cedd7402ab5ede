//! Common English words: which mean alike, and a short vector of each, so that "disregard" speaks where only "ignore"
//! was seen in training.
//!
//! The table is made by `examples/injected` from the input embeddings of all-MiniLM-L6-v2 (Apache-2.0).

use std::sync::LazyLock;

use super::features::word_hash;

/// Numbers in the vector of a word.
pub const WIDTH: usize = 32;
/// Slots of the table, a power of two.
const SLOTS: usize = 1 << 15;
/// Bits of a slot that hold the number of the word; the others check its hash.
const INDEX_BITS: u32 = 15;

/// Number of a word that the table does not have.
pub const UNKNOWN: u16 = 0;

/// One word of the table.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// Group of words that mean alike, from 1.
    pub group: u16,
    /// Its place among all words, each number a 127th of the largest.
    pub vector: [i8; WIDTH],
}

const NO_WORD: Word = Word { group: 0, vector: [0; WIDTH] };

/// Words by their hashes; see the module.
#[derive(Debug, Clone)]
pub struct Lexicon {
    slots: Vec<u32>,
    words: Vec<Word>,
}

static SHIPPED: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::read(include_bytes!("lexicon.bin")));

impl Lexicon {
    /// The table that ships with the program.
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// Reads a table; what is missing is empty.
    fn read(bytes: &[u8]) -> Self {
        let (slots, words) = bytes.split_at_checked(SLOTS * 4).unwrap_or_default();
        let mut slots: Vec<u32> =
            slots.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap_or_default())).collect();
        slots.resize(SLOTS, 0);
        let word = |row: &[u8]| {
            let (group, vector) = row.split_at(2);
            let mut word = NO_WORD;
            word.group = u16::from_le_bytes(group.try_into().unwrap_or_default());
            word.vector.iter_mut().zip(vector).for_each(|(slot, &byte)| *slot = byte.cast_signed());
            word
        };
        let words = std::iter::once(NO_WORD).chain(words.chunks_exact(2 + WIDTH).map(word)).collect();
        Self { slots, words }
    }

    /// The bytes of a table of words in lower case. A word for which there is no room is left out.
    pub fn write(words: &[(&str, Word)]) -> Vec<u8> {
        let mut slots = vec![0_u32; SLOTS];
        let mut rows = Vec::new();
        for (number, (word, entry)) in (1_u32..).zip(words.iter().take(SLOTS * 3 / 4)) {
            let (first, check) = place(word_hash(word.as_bytes()));
            let free =
                (0..SLOTS).map(|i| (first + i) % SLOTS).find(|&at| slots.get(at).is_some_and(|&s| s == 0));
            if let Some(slot) = free.and_then(|at| slots.get_mut(at)) {
                *slot = check | number;
            }
            rows.extend_from_slice(&entry.group.to_le_bytes());
            rows.extend(entry.vector.iter().map(|v| v.cast_unsigned()));
        }
        slots.into_iter().flat_map(u32::to_le_bytes).chain(rows).collect()
    }

    /// The number of the word with this hash.
    pub(crate) fn number(&self, hash: u64) -> u16 {
        let (mut at, check) = place(hash);
        while let Some(&slot) = self.slots.get(at) {
            if slot == 0 {
                return UNKNOWN;
            }
            if slot >> INDEX_BITS == check >> INDEX_BITS {
                return u16::try_from(slot & ((1 << INDEX_BITS) - 1)).unwrap_or(UNKNOWN);
            }
            at = (at + 1) % SLOTS;
        }
        UNKNOWN
    }

    /// The word with this number.
    pub(crate) fn word(&self, number: u16) -> &Word {
        self.words.get(usize::from(number)).unwrap_or(&NO_WORD)
    }
}

/// First slot of a hash, and the bits that check it.
fn place(hash: u64) -> (usize, u32) {
    let first = usize::try_from(hash >> 20).unwrap_or(0) % SLOTS;
    let check = u32::try_from(hash >> 40 & 0x1_ffff).unwrap_or(0) << INDEX_BITS;
    (first, check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_with_what_they_have_and_others_are_unknown() {
        let word = |group| Word { group, vector: [-5; WIDTH] };
        let table = Lexicon::read(&Lexicon::write(&[("ignore", word(7)), ("poem", word(1023))]));
        let found = table.word(table.number(word_hash(b"IGNORE")));
        assert_eq!((found.group, found.vector[31]), (7, -5));
        assert_eq!(table.word(table.number(word_hash(b"poem"))).group, 1023);
        assert_eq!(table.number(word_hash(b"aspirin")), UNKNOWN);
        assert_eq!(table.word(UNKNOWN).group, 0);
    }

    #[test]
    fn the_shipped_table_knows_common_words() {
        for word in ["ignore", "write", "the", "instructions"] {
            assert_ne!(Lexicon::shipped().number(word_hash(word.as_bytes())), UNKNOWN, "{word}");
        }
    }
}
