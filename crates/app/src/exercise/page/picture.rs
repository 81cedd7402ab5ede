//! Small pictures inside the page: PNG (ISO/IEC 15948) of eight-bit grey or colour, as data addresses.

use std::io::Write as _;

use base64::Engine as _;
use flate2::write::ZlibEncoder;

/// Pixels of an image, channels first, turned into rows of pixels.
pub(super) struct Picture {
    width: usize,
    height: usize,
    channels: usize,
    /// Row-major, channels last.
    pixels: Vec<u8>,
}

impl Picture {
    /// From two hexadecimal digits per value, channels first. One or three channels are shown; of others the first. `None` when the text does not fit the shape.
    pub(super) fn parse(text: &str, shape: &[usize]) -> Option<Self> {
        let &[channels, height, width] = shape else { return None };
        let values: Vec<u8> = (0..text.len() / 2)
            .map(|n| u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok())
            .collect::<Option<_>>()?;
        let plane = height.checked_mul(width)?;
        if values.len() != plane.checked_mul(channels)? || plane == 0 {
            return None;
        }
        let shown = if channels == 3 { 3 } else { 1 };
        let pixels = (0..plane).flat_map(|p| (0..shown).map(move |c| (c, p)));
        let pixels = pixels.map(|(c, p)| values.get(c * plane + p).copied().unwrap_or(0)).collect();
        Some(Self { width, height, channels: shown, pixels })
    }

    /// What differs, around middle grey, and how many times it was enlarged.
    pub(super) fn difference(&self, after: &Self) -> (Self, u32) {
        let largest = self.pixels.iter().zip(&after.pixels).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
        let factor = 127 / i32::from(largest.max(1));
        let pixels = self
            .pixels
            .iter()
            .zip(&after.pixels)
            .map(|(a, b)| u8::try_from(128 + factor * (i32::from(*b) - i32::from(*a))).unwrap_or(255))
            .collect();
        (Self { pixels, ..*self }, factor.unsigned_abs())
    }

    /// The picture as an address that holds it.
    pub(super) fn address(&self) -> Option<String> {
        let png = self.png().ok()?;
        Some(format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png)))
    }

    fn png(&self) -> std::io::Result<Vec<u8>> {
        let mut lines = ZlibEncoder::new(Vec::new(), flate2::Compression::new(7));
        for row in self.pixels.chunks_exact(self.width * self.channels) {
            // Each line begins with its filter: none.
            lines.write_all(&[0])?;
            lines.write_all(row)?;
        }
        let too_large = || std::io::Error::other("too large");
        let mut head = Vec::with_capacity(13);
        head.extend(u32::try_from(self.width).map_err(|_| too_large())?.to_be_bytes());
        head.extend(u32::try_from(self.height).map_err(|_| too_large())?.to_be_bytes());
        head.extend([8, if self.channels == 3 { 2 } else { 0 }, 0, 0, 0]);
        let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, data) in [(b"IHDR", head), (b"IDAT", lines.finish()?), (b"IEND", Vec::new())] {
            out.extend(u32::try_from(data.len()).map_err(|_| too_large())?.to_be_bytes());
            let mut sum = flate2::Crc::new();
            sum.update(kind);
            sum.update(&data);
            out.extend(kind);
            out.extend(&data);
            out.extend(sum.sum().to_be_bytes());
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_picture_holds_its_pixels() {
        let picture = Picture::parse("00ff8040", &[1, 2, 2]).unwrap();
        let png = picture.png().unwrap();
        let at = png.windows(4).position(|w| w == b"IDAT").unwrap() + 4;
        let mut lines = Vec::new();
        flate2::read::ZlibDecoder::new(&png[at..]).read_to_end(&mut lines).unwrap();
        assert_eq!(lines, [0, 0x00, 0xff, 0, 0x80, 0x40]);
        assert!(picture.address().unwrap().starts_with("data:image/png;base64,iVBOR"));
    }

    #[test]
    fn a_difference_is_enlarged_around_middle_grey() {
        let before = Picture::parse("0a0a", &[1, 1, 2]).unwrap();
        let (difference, factor) = before.difference(&Picture::parse("0c0a", &[1, 1, 2]).unwrap());
        assert_eq!((difference.pixels.as_slice(), factor), ([128 + 126, 128].as_slice(), 63));
    }

    #[test]
    fn text_that_does_not_fit_is_no_picture() {
        for (text, shape) in
            [("00", vec![1, 2, 2]), ("0g", vec![1, 1, 1]), ("", vec![1, 0, 0]), ("00", vec![1])]
        {
            assert!(Picture::parse(text, &shape).is_none(), "{text} {shape:?}");
        }
    }
}
