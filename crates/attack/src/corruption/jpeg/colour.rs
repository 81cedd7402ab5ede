//! Colour in JPEG: luminance at full, chrominance at half resolution, as encoders do by default (4:2:0).

use super::super::picture::Picture;
use super::compress as compress_plane;
use super::dct::{SIDE, Steps};

/// Compresses a picture of red, green and blue planes in place.
pub(super) fn compress(picture: &mut Picture, luminance: &Steps, chrominance: &Steps) {
    let (height, width, area) = (picture.height, picture.width, picture.area());
    to_luminance(&mut picture.levels, area);
    let (low, padded) = (height.div_ceil(2), width.div_ceil(2 * SIDE) * SIDE);
    for (at, plane) in picture.levels.chunks_exact_mut(area).enumerate() {
        if at == 0 {
            compress_plane(plane, height, width, luminance);
        } else {
            let mut half = halved(plane, height, width);
            compress_plane(&mut half, low, padded, chrominance);
            doubled(&half, padded, plane, width);
        }
    }
    from_luminance(&mut picture.levels, area);
}

/// 16 fractional bits.
const HALF: i32 = 1 << 15;

/// Levels from a sum with 16 fractional bits.
fn level(sum: i32) -> u8 {
    u8::try_from((sum >> 16).clamp(0, 255)).unwrap_or(0)
}

/// Red, green, blue to luminance and the two chrominances (ITU-T T.871), in 16-bit fixed point.
fn to_luminance(levels: &mut [u8], area: usize) {
    let (red, rest) = levels.split_at_mut(area);
    let (green, blue) = rest.split_at_mut(area);
    for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
        let [red, green, blue] = [*r, *g, *b].map(i32::from);
        *r = level(19_595 * red + 38_470 * green + 7_471 * blue + HALF);
        // Just under one half, so that the largest value stays a level.
        let middle = (128 << 16) + HALF - 1;
        *g = level(-11_059 * red - 21_709 * green + 32_768 * blue + middle);
        *b = level(32_768 * red - 27_439 * green - 5_329 * blue + middle);
    }
}

/// Back to red, green, blue.
fn from_luminance(levels: &mut [u8], area: usize) {
    let (first, rest) = levels.split_at_mut(area);
    let (second, third) = rest.split_at_mut(area);
    for ((a, b), c) in first.iter_mut().zip(second).zip(third) {
        let y = i32::from(*a);
        let (cb, cr) = (i32::from(*b) - 128, i32::from(*c) - 128);
        let clamp = |v: i32| u8::try_from(v.clamp(0, 255)).unwrap_or(0);
        *a = clamp(y + ((91_881 * cr + HALF) >> 16));
        *b = clamp(y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16));
        *c = clamp(y + ((116_130 * cb + HALF) >> 16));
    }
}

/// Averages of 2 by 2 pixels. Halves are rounded up and down in turn along a row, so that no brightness is gained. An odd last row counts twice;
/// rows are filled up to whole blocks by averages of their last pixel.
fn halved(plane: &[u8], height: usize, width: usize) -> Vec<u8> {
    let padded = width.div_ceil(2 * SIDE) * SIDE;
    let mut out = Vec::with_capacity(height.div_ceil(2) * padded);
    for y in (0..height).step_by(2) {
        let (upper, lower) = (y * width, (y + 1).min(height - 1) * width);
        for at in 0..padded {
            let (left, right) = ((2 * at).min(width - 1), (2 * at + 1).min(width - 1));
            let four = [plane[upper + left], plane[upper + right], plane[lower + left], plane[lower + right]];
            let bias = 1 + u16::from(at % 2 == 1);
            let sum = four.iter().map(|v| u16::from(*v)).sum::<u16>() + bias;
            out.push(u8::try_from(sum / 4).unwrap_or(u8::MAX));
        }
    }
    out
}

/// Twice as many pixels each way, three quarters of the nearer and one quarter of the farther neighbour in each direction ("fancy" upsampling,
/// the default of decoders). `half` has rows of `padded`, `out` of `width`.
fn doubled(half: &[u8], padded: usize, out: &mut [u8], width: usize) {
    let narrow = width.div_ceil(2);
    let low = half.len() / padded;
    for (y, line) in out.chunks_exact_mut(width).enumerate() {
        let near = y / 2;
        let far = if y % 2 == 0 { near.saturating_sub(1) } else { (near + 1).min(low - 1) };
        // Down first: between 0 and 4 times 255.
        let column = |x: usize| 3 * u16::from(half[near * padded + x]) + u16::from(half[far * padded + x]);
        for (x, level) in line.iter_mut().enumerate() {
            let (own, bias) = (x / 2, if x % 2 == 0 { 8 } else { 7 });
            let other = if x % 2 == 0 { own.saturating_sub(1) } else { (own + 1).min(narrow - 1) };
            *level = u8::try_from((3 * column(own) + column(other) + bias) / 16).unwrap_or(u8::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_has_no_chrominance_and_comes_back() {
        let mut levels: Vec<u8> = (0..3).flat_map(|_| 0..=255).collect();
        to_luminance(&mut levels, 256);
        assert!(levels[..256].iter().copied().eq(0..=255));
        assert!(levels[256..].iter().all(|c| *c == 128));
        from_luminance(&mut levels, 256);
        assert!(levels.chunks_exact(256).all(|plane| plane.iter().copied().eq(0..=255)));
    }

    #[test]
    fn flat_planes_stay_flat_at_odd_sizes() {
        let plane = vec![77; 7 * 5];
        let half = halved(&plane, 7, 5);
        assert_eq!(half, vec![77; 4 * 8]);
        let mut out = vec![0; 7 * 5];
        doubled(&half, 8, &mut out, 5);
        assert_eq!(out, plane);
    }
}
