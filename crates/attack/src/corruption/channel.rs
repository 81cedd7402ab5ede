//! Noise as a channel: for each level that goes in, the exact probabilities of the level that comes out.
//!
//! Every family of noise here works on pixels one by one, so it is 256 distributions over 256 levels. They are worked out once per strength; a
//! pixel then costs one 32-bit random number (alias method: Walker 1977, doi:10.1145/355744.355749; Vose 1991, doi:10.1109/32.92917).
//! Probabilities are kept to 2^-32.

use numeric::Rng;

use super::picture::{OnImage, Picture};

/// Levels.
const LEVELS: usize = 256;
/// 24 bits decide between a column and its alias.
const WHOLE: f64 = 16_777_216.0;

/// A channel of noise on single pixels.
pub(super) struct Channel {
    /// For each level that goes in, 256 columns: the upper 24 bits say how likely the column itself is, the lower 8 name its alias.
    columns: Vec<u32>,
}

impl Channel {
    /// `probabilities(level, out)` fills in how likely each level is to come out; the sum need not be exactly 1.
    pub(super) fn new(mut probabilities: impl FnMut(u8, &mut [f64; LEVELS])) -> Self {
        let mut columns = Vec::with_capacity(LEVELS * LEVELS);
        let mut of = [0.0; LEVELS];
        for level in 0..=255 {
            of.fill(0.0);
            probabilities(level, &mut of);
            columns.extend_from_slice(&alias(&of));
        }
        Self { columns }
    }

    fn draw(&self, level: u8, word: u32) -> u8 {
        let [column, a, b, c] = word.to_le_bytes();
        let cell = self.columns[usize::from(level) * LEVELS + usize::from(column)];
        let chance = u32::from_le_bytes([a, b, c, 0]);
        let [other, ..] = cell.to_le_bytes();
        if chance < cell >> 8 { column } else { other }
    }
}

impl OnImage for Channel {
    fn corrupt(&self, picture: &mut Picture, rng: &mut Rng) {
        for pair in picture.levels.chunks_mut(2) {
            let bits = rng.bits();
            for (level, shift) in pair.iter_mut().zip([0, 32]) {
                #[expect(clippy::cast_possible_truncation, reason = "one half of the word each")]
                let word = (bits >> shift) as u32;
                *level = self.draw(*level, word);
            }
        }
    }
}

/// Columns of equal width, each shared by two levels at most. All zeros give level 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a column, below 2^24"
)]
fn alias(probabilities: &[f64; LEVELS]) -> [u32; LEVELS] {
    let sum: f64 = probabilities.iter().sum();
    let scale = if sum > 0.0 { LEVELS as f64 / sum } else { 0.0 };
    let mut left = probabilities.map(|p| p * scale);
    let mut columns = [0_u32; LEVELS];
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..LEVELS).partition(|at| left[*at] < 1.0);
    while let (Some(&low), Some(&high)) = (small.last(), large.last()) {
        small.pop();
        columns[low] = (((left[low] * WHOLE) as u32).min(0x00ff_ffff) << 8) | high as u32;
        left[high] -= 1.0 - left[low];
        if left[high] < 1.0 {
            large.pop();
            small.push(high);
        }
    }
    // What remains is full up to rounding: its alias is itself.
    for at in small.into_iter().chain(large) {
        columns[at] = at as u32;
    }
    columns
}

/// Fills in the probabilities of `⌊clip(X, 0, 1) · 255⌋` for a normal X with the mean `level / 255` and the deviation `deviation`, both as shares
/// of white. A deviation of 0 leaves the level.
pub(super) fn normal_around(level: u8, deviation: f64, out: &mut [f64; LEVELS]) {
    let centre = f64::from(level);
    let width = deviation * 255.0;
    if width <= 0.0 {
        out[usize::from(level)] = 1.0;
        return;
    }
    let below = |edge: f64| numeric::normal_cdf((edge - centre) / width);
    let mut before = 0.0;
    for (edge, place) in (1..).map(f64::from).zip(out.iter_mut()) {
        // White is what reaches the last edge, and everything beyond.
        let now = if edge > 255.0 { 1.0 } else { below(edge) };
        *place = (now - before).max(0.0);
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_the_probabilities() {
        let mut wanted = [0.0; LEVELS];
        for (at, p) in wanted.iter_mut().enumerate().take(40) {
            *p = f64::from(u8::try_from((at * 7) % 11).unwrap());
        }
        let sum: f64 = wanted.iter().sum();
        let mut held = [0.0; LEVELS];
        for (at, cell) in alias(&wanted).iter().enumerate() {
            let own = f64::from(cell >> 8) / WHOLE;
            held[at] += own / 256.0;
            held[usize::from(cell.to_le_bytes()[0])] += (1.0 - own) / 256.0;
        }
        for (h, w) in held.iter().zip(wanted) {
            assert!((h - w / sum).abs() < 1e-7, "{h} {w}");
        }
    }

    #[test]
    fn a_certain_level_always_comes_out() {
        let channel = Channel::new(|level, out| out[usize::from(255 - level)] = 1.0);
        let mut picture = Picture::new(1, 16, 16);
        picture.levels = (0..=255).collect();
        channel.corrupt(&mut picture, &mut Rng::new(1, 1));
        assert!(picture.levels.iter().copied().eq((0..=255).rev()));
    }
}
