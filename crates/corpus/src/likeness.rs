//! How alike two documents are, by 64 bits each.

use serde::{Deserialize, Serialize};

/// A fingerprint whose bits differ in few places for texts that share most of their word triples (SimHash: Charikar 2002, doi:10.1145/509907.509965).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Likeness(pub u64);

impl Likeness {
    /// Number of bits that differ, 0 to 64. Texts without a common word differ in 32 on average.
    pub const fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

/// Of lower-case words, three at a time; what is no letter or digit parts words. Texts of fewer than three words are one piece.
pub fn likeness(text: &str) -> Likeness {
    let mut votes = [0_i32; 64];
    let (mut before, mut last) = (0_u64, 0_u64);
    let mut any = false;
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
        let this = word
            .chars()
            .flat_map(char::to_lowercase)
            .fold(0xcbf2_9ce4_8422_2325, |h, c| step(h, u64::from(c)));
        let triple = mix(step(step(step(0, before), last), this));
        for (bit, vote) in votes.iter_mut().enumerate() {
            *vote += if triple >> bit & 1 == 1 { 1 } else { -1 };
        }
        (before, last) = (last, this);
        any = true;
    }
    let bits = votes.iter().enumerate().filter(|(_, v)| **v > 0).fold(0, |h, (bit, _)| h | 1_u64 << bit);
    Likeness(if any { bits } else { 0 })
}

/// One step of FNV-1a over whole words.
pub(crate) const fn step(hash: u64, by: u64) -> u64 {
    (hash ^ by).wrapping_mul(0x0100_0000_01b3).rotate_left(23)
}

/// Spreads the bits (the finaliser of SplitMix64).
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_in_forty_leaves_texts_alike_and_another_text_is_not() {
        let words: Vec<String> = (0..80).map(|n| format!("word{}", n * 7 % 53)).collect();
        let mut other = words.clone();
        other[40] = "exchanged".to_owned();
        let strange: Vec<String> = (0..80).map(|n| format!("other{}", n * 11 % 61)).collect();
        let base = likeness(&words.join(" "));
        assert_eq!(base.distance(likeness(&words.join("\n  ").to_uppercase())), 0);
        assert!(base.distance(likeness(&other.join(" "))) <= 8);
        assert!(base.distance(likeness(&strange.join(" "))) >= 16);
        assert_eq!(likeness(" \u{200b}.,"), Likeness(0));
    }
}
