//! Images as cameras, archives and the benchmark know them: 256 levels per channel.

use numeric::Rng;

/// What a family does to an image.
pub trait OnImage: Send + Sync {
    /// Changes the picture in place.
    fn corrupt(&self, picture: &mut Picture, rng: &mut Rng);
}

/// An image of 256 levels per channel, with room to work in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Planes: 1 is grey, 3 are red, green and blue, others are taken as that many grey ones.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Levels, plane after plane, row after row.
    pub levels: Vec<u8>,
    /// A second copy of the same size, for families that cannot work in place. What it holds is not kept.
    pub spare: Vec<u8>,
}

impl Picture {
    /// A black picture.
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        let n = channels * height * width;
        Self { channels, height, width, levels: vec![0; n], spare: vec![0; n] }
    }

    /// Takes a row of the unit box, rounded to the nearest level.
    ///
    /// # Errors
    /// When the row has another length or a value is not a number. Values beyond the box are black or white.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 255 after the clamp"
    )]
    pub fn load(&mut self, row: &[f32]) -> Result<(), &'static str> {
        if row.len() != self.levels.len() {
            return Err("the row is not as long as its layout says");
        }
        let mut finite = true;
        for (level, value) in self.levels.iter_mut().zip(row) {
            finite &= !value.is_nan();
            *level = (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
        }
        if finite { Ok(()) } else { Err("a pixel is not a number; leave the image out or repair it first") }
    }

    /// Appends the levels as values of the unit box.
    pub fn store(&self, out: &mut Vec<f32>) {
        out.extend(self.levels.iter().map(|level| f32::from(*level) / 255.0));
    }

    /// Pixels in a plane.
    pub const fn area(&self) -> usize {
        self.height * self.width
    }

    /// Replaces each level by what the table says.
    pub fn map(&mut self, table: &[u8; 256]) {
        self.levels.iter_mut().for_each(|level| *level = table[usize::from(*level)]);
    }

    /// Makes the spare copy the picture.
    pub fn swap(&mut self) {
        std::mem::swap(&mut self.levels, &mut self.spare);
    }
}

/// A table of 256 levels made by a function.
pub(super) fn table(of: impl Fn(u8) -> u8) -> [u8; 256] {
    let mut made = [0; 256];
    for (level, place) in (0..=255).zip(made.iter_mut()) {
        *place = of(level);
    }
    made
}

/// `a + strength · (b - a)` in single precision, cut (not rounded) to a level: how Pillow blends two images.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates at 0 and 255"
)]
pub(super) fn blend(a: u8, b: u8, strength: f64) -> u8 {
    (f32::from(a) + strength as f32 * (f32::from(b) - f32::from(a))) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_survives_loading_and_storing() {
        let mut picture = Picture::new(1, 16, 16);
        let row: Vec<f32> = (0..=255_u8).map(|l| f32::from(l) / 255.0).collect();
        picture.load(&row).unwrap();
        assert!(picture.levels.iter().copied().eq(0..=255));
        let mut out = Vec::new();
        picture.store(&mut out);
        assert_eq!(out, row);
    }

    #[test]
    fn values_beyond_the_box_are_black_or_white_and_nan_is_refused() {
        let mut picture = Picture::new(1, 1, 2);
        picture.load(&[-3.0, f32::INFINITY]).unwrap();
        assert_eq!(picture.levels, [0, 255]);
        assert!(picture.load(&[0.0, f32::NAN]).is_err() && picture.load(&[0.0]).is_err());
    }
}
