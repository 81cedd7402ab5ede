//! The second look: a small convolutional network over the words of a stretch that the running sums point at.
//!
//! Words as vectors of the lexicon, filters over three words in a row, the highest value of each filter over the
//! stretch, one sum (Kim 2014, doi:10.3115/v1/D14-1181). It runs on suspicious stretches only, so it may cost more per
//! word than the sums do.

use std::sync::LazyLock;

use super::features::{Sort, tokens};
use super::lexicon::{Lexicon, UNKNOWN, WIDTH};
use crate::Span;

/// Numbers that describe one token: its vector, then what sort of token it is.
pub const INPUTS: usize = WIDTH + 8;
/// Filters.
pub const FILTERS: usize = 64;
/// Words that a filter sees.
pub const REACH: usize = 3;
/// Most tokens of a stretch; of a longer one the last.
pub const TOKENS_MAX: usize = 64;
/// Bytes to each side of a stretch that are looked at with it.
const AROUND: usize = 32;

/// One token as the network sees it.
pub type Input = [f32; INPUTS];

/// What the network knows, as trained.
#[derive(Debug, Clone)]
pub struct Net {
    /// Weight of filter `f` for number `i` of the word at place `k`: `[k][i][f]`.
    pub filters: Vec<[f32; FILTERS]>,
    /// What each filter adds.
    pub offsets: [f32; FILTERS],
    /// Weight of each filter's highest value.
    pub out: [f32; FILTERS],
    /// What the sum begins with.
    pub bias: f32,
}

/// Highest value of each filter and at which token it was.
pub struct Pooled {
    /// Values, not below zero.
    pub values: [f32; FILTERS],
    /// Tokens.
    pub places: [usize; FILTERS],
}

static SHIPPED: LazyLock<Net> = LazyLock::new(|| Net::read(include_bytes!("net.bin")));

impl Net {
    /// The network that ships with the program.
    pub fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// A network of zeros.
    pub fn empty() -> Self {
        let filters = vec![[0.0; FILTERS]; REACH * INPUTS];
        Self { filters, offsets: [0.0; FILTERS], out: [0.0; FILTERS], bias: 0.0 }
    }

    /// Reads little-endian f32; what is missing or not finite is 0.
    pub fn read(bytes: &[u8]) -> Self {
        let mut numbers = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap_or_default()));
        let mut next = || numbers.next().filter(|n| n.is_finite()).unwrap_or(0.0);
        let mut net = Self::empty();
        net.filters.iter_mut().flatten().for_each(|slot| *slot = next());
        net.offsets.iter_mut().for_each(|slot| *slot = next());
        net.out.iter_mut().for_each(|slot| *slot = next());
        net.bias = next();
        net
    }

    /// The bytes that [`Net::read`] reads.
    pub fn write(&self) -> Vec<u8> {
        let numbers = self.filters.iter().flatten().chain(&self.offsets).chain(&self.out).chain([&self.bias]);
        numbers.flat_map(|n| n.to_le_bytes()).collect()
    }

    /// The log-odds that a stretch is an order or a task rather than care.
    pub fn score(&self, inputs: &[Input]) -> f32 {
        let pooled = self.pool(inputs);
        self.bias + self.out.iter().zip(&pooled.values).map(|(w, v)| w * v).sum::<f32>()
    }

    /// The highest value of each filter.
    pub fn pool(&self, inputs: &[Input]) -> Pooled {
        let mut pooled = Pooled { values: [0.0; FILTERS], places: [0; FILTERS] };
        for at in 0..inputs.len() {
            let mut sums = self.offsets;
            for place in 0..REACH {
                let Some(input) = (at + place).checked_sub(REACH / 2).and_then(|i| inputs.get(i)) else {
                    continue;
                };
                let rows = self.filters.iter().skip(place * INPUTS);
                for (&x, row) in input.iter().zip(rows) {
                    if x != 0.0 {
                        sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += x * w);
                    }
                }
            }
            let tops = pooled.values.iter_mut().zip(&mut pooled.places);
            for ((value, place), sum) in tops.zip(sums) {
                if sum > *value {
                    (*value, *place) = (sum, at);
                }
            }
        }
        pooled
    }
}

/// The tokens of `span` in `text`, a few words to each side with them, as the network sees them.
pub fn inputs(text: &str, span: Span) -> Vec<Input> {
    let mut start = span.start().saturating_sub(AROUND).min(text.len());
    let mut end = (span.end() + AROUND).min(text.len());
    while !text.is_char_boundary(start) {
        start += 1;
    }
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let lexicon = Lexicon::shipped();
    let mut found = Vec::new();
    tokens(text.get(start..end).unwrap_or_default(), |token| {
        let mut input = [0.0; INPUTS];
        let (vector, sorts) = input.split_at_mut(WIDTH);
        for (slot, &v) in vector.iter_mut().zip(&lexicon.word(token.number).vector) {
            *slot = f32::from(v) / 32.0;
        }
        let sort = match token.sort {
            Sort::Word if token.number == UNKNOWN => 0,
            Sort::Word => 1,
            Sort::Number => 2,
            Sort::Mark(b'.' | b'!') => 3,
            Sort::Mark(b'?') => 4,
            Sort::Mark(b':' | b';') => 5,
            Sort::Mark(b',') => 6,
            Sort::Mark(_) => 7,
        };
        if let Some(slot) = sorts.get_mut(sort) {
            *slot = 1.0;
        }
        found.push(input);
    });
    let extra = found.len().saturating_sub(TOKENS_MAX);
    found.drain(..extra);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_written_and_read() {
        let mut net = Net::empty();
        net.filters[7][3] = 0.5;
        net.out[3] = 2.0;
        net.bias = -1.0;
        let again = Net::read(&net.write());
        let mut input = [0.0; INPUTS];
        input[7] = 1.0;
        assert!((again.score(&[[0.0; INPUTS], input]) - net.score(&[[0.0; INPUTS], input])).abs() < 1e-6);
        assert!((Net::read(&[1, 2, 3]).score(&[]) - 0.0).abs() < 1e-6);
    }

    #[test]
    fn a_stretch_is_cut_at_characters_and_bounded() {
        let text = "é ".repeat(400);
        assert!(inputs(&text, Span::new(1, 700)).len() <= TOKENS_MAX);
        assert!(inputs("", Span::new(0, 0)).is_empty());
        assert!(inputs("abc", Span::new(5, 9)).len() <= 1);
    }
}
