//! Words that say what stands beside them: lists of names and places, words of medicine, and cues written by us.
//!
//! A word that is on no list can still be found, and a word on a list is not masked for that: the lists are features
//! of the tagger, which decides in context.

use std::sync::LazyLock;

use super::cues::CUES;
use super::token::hash_word;

/// What a word is a cue for. One per word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum Role {
    /// For nothing.
    #[default]
    None,
    /// `Dr`, `Mrs`: a name follows.
    Title,
    /// `MD`, `RN`: a name stands before.
    Credential,
    /// Name of a month.
    Month,
    /// Name of a day of the week.
    Weekday,
    /// `hospital`, `clinic`: the end of an institution's name.
    Facility,
    /// `street`, `avenue`.
    Street,
    /// `disease`, `syndrome`, `score`: what stands before is an eponym.
    EponymHead,
    /// An eponym or brand of medicine.
    Medical,
    /// A country, a state, a continent: not smaller than a state.
    Large,
    /// Two-letter code of a state.
    StateCode,
    /// `van`, `de`: inside a name.
    Particle,
    /// `mother`, `daughter`, `wife`.
    Kin,
    /// `named`, `patient`: a name may follow.
    NameCue,
    /// `at`, `lives`, `from`: a place may follow.
    PlaceCue,
    /// `admitted`, `seen`, `dob`: a date may follow.
    DateCue,
    /// `phone`, `call`, `pager`.
    PhoneCue,
    /// `fax`.
    FaxCue,
    /// `mrn`, `chart`: a record number follows.
    RecordCue,
    /// `insurance`, `policy`, `member`.
    PlanCue,
    /// `account`, `card`.
    AccountCue,
    /// `license`, `npi`.
    LicenceCue,
    /// `vin`, `plate`.
    VehicleCue,
    /// `serial`, `device`.
    DeviceCue,
    /// `ssn`.
    SsnCue,
    /// `fingerprint`, `voiceprint`.
    BiometricCue,
    /// `id`, `case`, `accession`: some other number follows.
    IdCue,
    /// `number`, `no`, `is`: stands between a cue and its number.
    Filler,
    /// `mg`, `mmhg`, `weeks`: what stands before is a quantity.
    Unit,
    /// `bp`, `strength`, `grade`: the numbers that follow are findings.
    Finding,
    /// `zip`.
    ZipCue,
    /// `aged`, `age`.
    AgeCue,
}

/// What is known of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Entry {
    /// The lists that hold it, by the constants of [`Lexicon`].
    pub lists: u8,
    /// What it is a cue for.
    pub role: Role,
}

impl Entry {
    /// Whether it is on one of these lists.
    pub const fn on(self, lists: u8) -> bool {
        self.lists & lists != 0
    }
}

/// The lists as one open-addressing table from 32-bit hashes. With 160,000 words in 2^32 hashes a word on no list
/// is taken for one that is in 4 of 100,000 cases, which costs nothing as a feature.
#[derive(Debug)]
pub struct Lexicon {
    slots: Vec<(u32, Entry)>,
}

/// 2^18 slots for about 140,000 words.
const SLOTS: usize = 1 << 18;

impl Lexicon {
    /// Given names.
    pub const GIVEN: u8 = 1;
    /// Family names.
    pub const FAMILY: u8 = 2;
    /// Words of names of cities and counties.
    pub const PLACE: u8 = 4;
    /// Words of ordinary and medical English.
    pub const COMMON: u8 = 8;
    /// Words that medical texts write with a capital.
    pub const CAPITAL: u8 = 16;
    /// Words of names of drugs and diseases.
    pub const MEDICAL: u8 = 32;

    /// The lists that are shipped (`src/phi/lists/README.md`), read at first use in some milliseconds.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Lexicon> = LazyLock::new(Lexicon::build);
        &SHARED
    }

    fn build() -> Self {
        let mut lexicon = Self { slots: vec![(0, Entry::default()); SLOTS] };
        for (list, text) in LISTS {
            for word in text.lines() {
                lexicon.slot(hash_word(word)).lists |= list;
            }
        }
        for (role, words) in CUES {
            for word in words.split_whitespace() {
                lexicon.slot(hash_word(word)).role = role;
            }
        }
        lexicon
    }

    fn slot(&mut self, hash: u32) -> &mut Entry {
        let mut at = Self::first(hash);
        while self.slots.get(at).is_some_and(|(h, _)| *h != 0 && *h != hash) {
            at = (at + 1) % SLOTS;
        }
        let slot = &mut self.slots[at];
        slot.0 = hash;
        &mut slot.1
    }

    const fn first(hash: u32) -> usize {
        (hash.wrapping_mul(0x9e37_79b1) >> 14) as usize
    }

    /// What is known of the word with this hash (`hash_word`).
    pub fn get(&self, hash: u32) -> Entry {
        let mut at = Self::first(hash);
        loop {
            match self.slots.get(at) {
                Some((h, entry)) if *h == hash => return *entry,
                Some((0, _)) | None => return Entry::default(),
                _ => at = (at + 1) % SLOTS,
            }
        }
    }

    /// What is known of `word`.
    pub fn word(&self, word: &str) -> Entry {
        self.get(hash_word(word))
    }
}

/// The shipped lists, one word a line, in lower case.
const LISTS: [(u8, &str); 6] = [
    (Lexicon::GIVEN, include_str!("lists/given.txt")),
    (Lexicon::FAMILY, include_str!("lists/family.txt")),
    (Lexicon::PLACE, include_str!("lists/places.txt")),
    (Lexicon::COMMON, include_str!("lists/common.txt")),
    (Lexicon::CAPITAL, include_str!("lists/capital.txt")),
    (Lexicon::MEDICAL, include_str!("lists/medical.txt")),
];

/// The words of one list, for generators of training texts.
pub fn list(which: u8) -> impl Iterator<Item = &'static str> {
    LISTS.iter().filter(move |(l, _)| *l == which).flat_map(|(_, text)| text.lines())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_cues_are_found_by_word() {
        let lexicon = Lexicon::shared();
        assert!(lexicon.word("Mary").on(Lexicon::GIVEN));
        assert!(lexicon.word("johnson").on(Lexicon::FAMILY));
        assert!(lexicon.word("Baltimore").on(Lexicon::PLACE));
        assert!(lexicon.word("hypertension").on(Lexicon::COMMON));
        assert_eq!(lexicon.word("Dr").role, Role::Title);
        assert_eq!(lexicon.word("qqxxy"), Entry::default());
    }

    #[test]
    fn no_word_is_a_cue_for_two_things() {
        let mut seen = std::collections::BTreeMap::new();
        for (role, words) in CUES {
            for word in words.split_whitespace() {
                assert_eq!(seen.insert(word, role), None, "`{word}`");
            }
        }
    }
}
