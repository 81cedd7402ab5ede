//! Images with more or less contrast.

use numeric::Rng;

use super::picture::{OnImage, Picture, blend, table};
use super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Images gain contrast: levels move away from the image's mean.
    ///
    /// ## What it is
    /// Each level's distance from the mean level of the image is multiplied by 1.1, 1.2, 1.3, 1.4, 1.6 (severity 1 to 5), cut at black and
    /// white. The mean is that of the luminance, rounded. Deterministic.
    ///
    /// ## Why it matters in care
    /// Vendors post-process differently; an image that looks crisper to a reader is another input to a model.
    ///
    /// ## Limits
    /// Works on 256 levels, on the whole image: no local contrast enhancement.
    ///
    /// ## References
    /// Di Salvo, Doerrich, Ledig 2024, MedMNIST-C, arXiv:2406.17536.
    pub static ENTRY_UP = { id: "X109", name: "contrast_up", kind: Attack, since: "0.1.0", maps: [] };
}

domain::catalogue_entry! {
    /// Images lose contrast: levels move towards the image's mean.
    ///
    /// ## What it is
    /// Each level's distance from the mean level of the image is multiplied by 0.9, 0.8, 0.7, 0.6, 0.4 (severity 1 to 5). Deterministic.
    ///
    /// ## Why it matters in care
    /// Scatter, obese patients and old detectors give flat images; models trained on crisp ones see disease in the haze, or none.
    ///
    /// ## Limits
    /// Works on 256 levels, on the whole image. Real scatter is not uniform.
    ///
    /// ## References
    /// Di Salvo, Doerrich, Ledig 2024, MedMNIST-C, arXiv:2406.17536.
    pub static ENTRY_DOWN = { id: "X110", name: "contrast_down", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(super) static UP: Registered = Registered {
    entry: &ENTRY_UP,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths {
        values: &[1.1, 1.2, 1.3, 1.4, 1.6],
        low: 1.0,
        high: 10.0,
        means: "factor on the distance from the mean level",
    },
    make,
};

/// In the registry.
pub(super) static DOWN: Registered = Registered {
    entry: &ENTRY_DOWN,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths {
        values: &[0.9, 0.8, 0.7, 0.6, 0.4],
        low: 0.0,
        high: 1.0,
        means: "factor on the distance from the mean level",
    },
    make,
};

fn make(factor: f64) -> Act {
    Act::Image(Box::new(Contrast(factor)))
}

struct Contrast(f64);

impl OnImage for Contrast {
    fn corrupt(&self, picture: &mut Picture, _rng: &mut Rng) {
        let mean = mean_luminance(picture);
        let of = table(|level| blend(mean, level, self.0));
        picture.map(&of);
    }
}

/// Mean level, rounded half up: of the luminance (ITU-R BT.601, in 16-bit whole numbers) for colour, of all values otherwise. 0 for no pixels.
fn mean_luminance(picture: &Picture) -> u8 {
    let area = picture.area();
    let sum: u64 = if picture.channels == 3 {
        let (red, rest) = picture.levels.split_at(area);
        let (green, blue) = rest.split_at(area);
        let pixels = red.iter().zip(green).zip(blue);
        pixels
            .map(|((r, g), b)| {
                (u64::from(*r) * 19_595 + u64::from(*g) * 38_470 + u64::from(*b) * 7_471 + 32_768) >> 16
            })
            .sum()
    } else {
        picture.levels.iter().map(|l| u64::from(*l)).sum()
    };
    let n = if picture.channels == 3 { area } else { picture.levels.len() } as u64;
    let rounded = if n == 0 { 0 } else { (2 * sum + n) / (2 * n) };
    u8::try_from(rounded).unwrap_or(u8::MAX)
}
