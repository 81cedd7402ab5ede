//! Moving the pixels of a picture: where each comes from.

use super::super::picture::Picture;

/// Fills each pixel from the place `from(y, x)` of the same plane, in pixels, by weighing the four neighbours; what lies outside is black.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a weighted mean of levels")]
pub(super) fn moved(picture: &mut Picture, from: impl Fn(f64, f64) -> (f64, f64)) {
    let (height, width, area) = (picture.height, picture.width, picture.area());
    if area == 0 {
        return;
    }
    for y in 0..height {
        for x in 0..width {
            let (v, u) = from(y as f64, x as f64);
            let (top, left) = (v.floor(), u.floor());
            let (down, right) = (v - top, u - left);
            for (plane, out) in picture.levels.chunks_exact(area).zip(picture.spare.chunks_exact_mut(area)) {
                let at = |dy: f64, dx: f64| level(plane, height, width, top + dy, left + dx);
                let upper = at(0.0, 0.0) * (1.0 - right) + at(0.0, 1.0) * right;
                let lower = at(1.0, 0.0) * (1.0 - right) + at(1.0, 1.0) * right;
                out[y * width + x] = (upper * (1.0 - down) + lower * down).round() as u8;
            }
        }
    }
    picture.swap();
}

/// The level at a whole place, 0 outside.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "inside the picture")]
fn level(plane: &[u8], height: usize, width: usize, y: f64, x: f64) -> f64 {
    if y < 0.0 || x < 0.0 || y >= height as f64 || x >= width as f64 {
        return 0.0;
    }
    f64::from(plane[y as usize * width + x as usize])
}
