//! Images that went through JPEG, coefficient by coefficient, without the entropy coding, which loses nothing.

mod colour;
mod dct;

use numeric::Rng;

use super::picture::{OnImage, Picture};
use super::{Act, Registered, Source, Strengths, Subject};
use dct::{SIDE, Steps};

domain::catalogue_entry! {
    /// Images are compressed with loss by JPEG, at falling quality.
    ///
    /// ## What it is
    /// Compression and decompression at the quality 50, 30, 15, 10, 7 (severity 1 to 5) of the Independent JPEG Group's scale: transform of 8 by 8
    /// blocks in fixed point, quantisation by the tables of the standard, and back. Colour images (three channels) go through luminance and
    /// chrominance at half resolution, as encoders do by default. Deterministic.
    ///
    /// ## Why it matters in care
    /// Archives, teaching files, messengers and web viewers compress with loss, often unseen; blocks and ringing look like texture to a model.
    ///
    /// ## Limits
    /// 256 levels only: the 12-bit process, JPEG 2000 and JPEG-LS are not covered. Equal to the reference within one grey level, since decoders
    /// may differ in rounding.
    ///
    /// ## References
    /// ITU-T T.81 (1992); Loeffler, Ligtenberg, Moschytz 1989, doi:10.1109/ICASSP.1989.266596; Di Salvo, Doerrich, Ledig 2024, MedMNIST-C,
    /// arXiv:2406.17536.
    pub static ENTRY = { id: "X101", name: "jpeg_compression", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths {
        values: &[50.0, 30.0, 15.0, 10.0, 7.0],
        low: 1.0,
        high: 100.0,
        means: "quality, 1 to 100; lower is worse",
    },
    make: |quality| {
        let luminance = Steps::new(&dct::LUMINANCE, quality);
        Act::Image(Box::new(Jpeg { luminance, chrominance: Steps::new(&dct::CHROMINANCE, quality) }))
    },
};

struct Jpeg {
    luminance: Steps,
    chrominance: Steps,
}

impl OnImage for Jpeg {
    fn corrupt(&self, picture: &mut Picture, _rng: &mut Rng) {
        let (height, width, area) = (picture.height, picture.width, picture.area());
        if area == 0 {
            return;
        }
        if picture.channels == 3 {
            colour::compress(picture, &self.luminance, &self.chrominance);
            return;
        }
        for plane in picture.levels.chunks_exact_mut(area) {
            compress(plane, height, width, &self.luminance);
        }
    }
}

/// Compresses one plane in place. Blocks that reach over the edge are filled with the last pixel of the row and the last row, as encoders do.
fn compress(plane: &mut [u8], height: usize, width: usize, steps: &Steps) {
    for top in (0..height).step_by(SIDE) {
        for left in (0..width).step_by(SIDE) {
            let mut block = [[0_u8; SIDE]; SIDE];
            for (y, line) in block.iter_mut().enumerate() {
                let row = (top + y).min(height - 1) * width;
                for (x, level) in line.iter_mut().enumerate() {
                    *level = plane[row + (left + x).min(width - 1)];
                }
            }
            let seen = steps.through(&block);
            for (y, line) in seen.iter().enumerate().take(height - top) {
                let row = (top + y) * width + left;
                let n = SIDE.min(width - left);
                plane[row..row + n].copy_from_slice(&line[..n]);
            }
        }
    }
}
