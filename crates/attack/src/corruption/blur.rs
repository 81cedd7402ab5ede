//! Images out of focus.

use numeric::Rng;

use super::picture::{OnImage, Picture};
use super::{Act, Registered, Source, Strengths, Subject};

domain::catalogue_entry! {
    /// Images are blurred by a normal kernel.
    ///
    /// ## What it is
    /// A separable normal kernel of 3, 5, 7, 9, 11 pixels (severity 1 to 5) with the deviation 0.15 times the kernel plus 0.35 pixels; the image is
    /// mirrored at its border without repeating the border. Deterministic. Even kernels are made odd.
    ///
    /// ## Why it matters in care
    /// Patients move, detectors scatter, archives resample. Small nodules and fractures are the first to go.
    ///
    /// ## Limits
    /// Works on 256 levels; blur by motion has a direction, this has none. A kernel of 11 pixels on 28 is far beyond what a clinic would accept.
    ///
    /// ## References
    /// Di Salvo, Doerrich, Ledig 2024, MedMNIST-C, arXiv:2406.17536.
    pub static ENTRY = { id: "X106", name: "gaussian_blur", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Image,
    source: Source::Benchmark,
    strengths: &Strengths {
        values: &[3.0, 5.0, 7.0, 9.0, 11.0],
        low: 1.0,
        high: 255.0,
        means: "width of the kernel, in pixels",
    },
    make: |kernel| Act::Image(Box::new(Blur(weights(kernel)))),
};

struct Blur(Vec<f32>);

/// Normal weights at whole pixels, sum 1, an odd number of them.
#[expect(clippy::cast_possible_truncation, reason = "single precision, as the reference computes")]
fn weights(kernel: f64) -> Vec<f32> {
    let half = ((kernel - 1.0) / 2.0).floor();
    let kernel = 2.0 * half + 1.0;
    let deviation = 0.15 * kernel + 0.35;
    let steps = std::iter::successors(Some(-half), |x| (*x < half).then_some(x + 1.0));
    let heights: Vec<f64> = steps.map(|x| (-0.5 * (x / deviation).powi(2)).exp()).collect();
    let sum: f64 = heights.iter().sum();
    heights.iter().map(|h| (h / sum) as f32).collect()
}

/// Place `at` of a line of `n`, mirrored at both ends without repeating them: -1 is 1, n is n - 2.
fn mirrored(at: isize, n: usize) -> usize {
    let period = 2 * (n as isize - 1);
    if period <= 0 {
        return 0;
    }
    let within = at.rem_euclid(period);
    within.min(period - within).unsigned_abs()
}

impl Blur {
    /// Writes `line`, mirrored at both ends, into `wide` so that every pixel has all its neighbours.
    fn widen(&self, line: impl Fn(usize) -> f32, n: usize, wide: &mut Vec<f32>) {
        let half = (self.0.len() / 2) as isize;
        wide.clear();
        wide.extend((-half..n as isize + half).map(|at| line(mirrored(at, n))));
    }

    fn at(&self, wide: &[f32], at: usize) -> f32 {
        wide.iter().skip(at).zip(&self.0).map(|(v, w)| v * w).sum()
    }
}

impl OnImage for Blur {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an average of levels, rounded"
    )]
    fn corrupt(&self, picture: &mut Picture, _rng: &mut Rng) {
        let (height, width, area) = (picture.height, picture.width, picture.area());
        let (mut wide, mut rows) = (Vec::new(), vec![0.0_f32; area]);
        for plane in picture.levels.chunks_exact_mut(area.max(1)) {
            for (line, out) in plane.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
                self.widen(|x| f32::from(line[x]), width, &mut wide);
                out.iter_mut().enumerate().for_each(|(x, v)| *v = self.at(&wide, x));
            }
            for x in 0..width {
                self.widen(|y| rows[y * width + x], height, &mut wide);
                for y in 0..height {
                    plane[y * width + x] = self.at(&wide, y).round_ties_even() as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_mirrored_without_repeating_their_ends() {
        let seen: Vec<usize> = (-4..8).map(|at| mirrored(at, 4)).collect();
        assert_eq!(seen, [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1]);
        assert_eq!((mirrored(-7, 1), mirrored(9, 1)), (0, 0));
    }

    #[test]
    fn a_flat_image_stays_flat_and_a_kernel_of_one_changes_nothing() {
        for kernel in [1.0, 3.0, 4.0, 11.0] {
            let mut picture = Picture::new(2, 3, 5);
            picture.levels.fill(200);
            Blur(weights(kernel)).corrupt(&mut picture, &mut Rng::new(0, 0));
            assert!(picture.levels.iter().all(|l| *l == 200), "{kernel}");
        }
        assert_eq!(weights(1.0), [1.0]);
        assert_eq!(weights(4.0).len(), 3);
    }
}
