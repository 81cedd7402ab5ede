//! Images of a coarse grid.

use numeric::Rng;

use super::picture::{OnImage, Picture};
use super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Images lose resolution: made smaller by averaging, then large again.
    ///
    /// ## What it is
    /// The image is reduced to 0.8, 0.7, 0.6, 0.5, 0.4 of its size (severity 1 to 5, whole pixels) by averaging whole pixels, and enlarged again by
    /// repeating them. Deterministic.
    ///
    /// ## Why it matters in care
    /// Thumbnails, compressed previews and telemedicine links deliver fewer pixels than the model was trained on.
    ///
    /// ## Limits
    /// Works on 256 levels; resampling in practice is smoother.
    ///
    /// ## References
    /// Di Salvo, Doerrich, Ledig 2024, MedMNIST-C, arXiv:2406.17536.
    pub static ENTRY = { id: "X100", name: "pixelate", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths {
        values: &[0.8, 0.7, 0.6, 0.5, 0.4],
        low: 0.01,
        high: 1.0,
        means: "share of the width and height that is left",
    },
    make: |share| Act::Image(Box::new(Pixelate(share))),
};

struct Pixelate(f64);

impl OnImage for Pixelate {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the size")]
    fn corrupt(&self, picture: &mut Picture, _rng: &mut Rng) {
        let (height, width) = (picture.height, picture.width);
        let fewer = |n: usize| ((n as f64 * self.0) as usize).max(1);
        let (low, narrow) = (fewer(height), fewer(width));
        let (across, down) = (windows(width, narrow), windows(height, low));
        let (back_across, back_down) = (windows(narrow, width), windows(low, height));
        let area = picture.area();
        for plane in picture.levels.chunks_exact_mut(area.max(1)) {
            let small = resized(plane, width, &across, &down);
            plane.copy_from_slice(&resized(&small, narrow, &back_across, &back_down));
        }
    }
}

/// For each of `to` places, which of `from` pixels are averaged: those whose centre lies in the window.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positions between 0 and `from`")]
fn windows(from: usize, to: usize) -> Vec<std::ops::Range<usize>> {
    let scale = from as f64 / to as f64;
    let half = scale.max(1.0) / 2.0;
    (0..to)
        .map(|at| {
            let centre = (at as f64 + 0.5) * scale;
            let first = (centre - half + 0.5).max(0.0) as usize;
            let last = ((centre + half + 0.5) as usize).min(from);
            // A pixel counts when its centre is above the lower edge of the window and not above the upper one.
            let inside = |p: usize| {
                let apart = (p as f64 - centre + 0.5) / scale.max(1.0);
                apart > -0.5 && apart <= 0.5
            };
            let first = (first..last).find(|p| inside(*p)).unwrap_or(first);
            let last = (first..last).rfind(|p| inside(*p)).map_or(last, |p| p + 1);
            first..last.max(first + 1).min(from)
        })
        .collect()
}

/// Averages along rows, rounds, then along columns, rounds.
fn resized(
    plane: &[u8],
    width: usize,
    across: &[std::ops::Range<usize>],
    down: &[std::ops::Range<usize>],
) -> Vec<u8> {
    let mut rows = Vec::with_capacity(plane.len() / width.max(1) * across.len());
    for line in plane.chunks_exact(width.max(1)) {
        rows.extend(across.iter().map(|window| average(line[window.clone()].iter().copied())));
    }
    let narrow = across.len();
    let mut out = Vec::with_capacity(down.len() * narrow);
    for window in down {
        out.extend((0..narrow).map(|x| average(window.clone().map(|y| rows[y * narrow + x]))));
    }
    out
}

/// Mean, by a weight of 22 binary places as the reference has it, rounded half up.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of levels")]
fn average(levels: impl Iterator<Item = u8>) -> u8 {
    let (sum, n) = levels.fold((0_i64, 0_u32), |(sum, n), l| (sum + i64::from(l), n + 1));
    let weight = (0.5 + f64::from(1_u32 << 22) / f64::from(n.max(1))) as i64;
    ((sum * weight + (1 << 21)) >> 22).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_pixel_when_shrinking_and_one_when_growing() {
        let seen = windows(28, 14);
        assert!(seen.iter().enumerate().all(|(at, w)| *w == (2 * at..2 * at + 2)));
        assert!(windows(14, 28).iter().enumerate().all(|(at, w)| *w == (at / 2..at / 2 + 1)));
        assert_eq!(windows(5, 1).first(), Some(&(0..5)));
    }

    #[test]
    fn all_of_the_size_changes_nothing() {
        let mut picture = Picture::new(1, 4, 4);
        picture.levels = (0..16).map(|v| v * 15).collect();
        let before = picture.levels.clone();
        Pixelate(1.0).corrupt(&mut picture, &mut Rng::new(0, 0));
        assert_eq!(picture.levels, before);
    }
}
