//! The gradient of a convolution's weights: for every tap the products of gradients and inputs, summed over pixels.
//!
//! Output channels lie in vector lanes, as in [`super::conv`]; a register tile holds up to 8 input channels of one tap,
//! and the same inner loop runs over the pixels.

use pulp::{Simd, WithSimd};

use super::Isa;
use super::tile::{Window, accumulate};

/// One image of a convolution whose weights are differentiated.
pub(crate) struct Run<'a> {
    /// Gradients of the result, `[output block][oh][ow][lanes]`.
    pub(crate) d: &'a [f32],
    pub(crate) out: [usize; 2],
    /// The padded image, `[ic][height][width]`.
    pub(crate) x: &'a [f32],
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) dilation: [usize; 2],
    /// Added to, `[output block][kh][kw][ic][lanes]`.
    pub(crate) sums: &'a mut [f32],
}

impl Run<'_> {
    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (d, _) = S::as_simd_f32s(self.d);
        let (sums, _) = S::as_mut_simd_f32s(self.sums);
        let (pixels, plane) = (self.out[0] * self.out[1], self.height * self.width);
        let channels = self.x.len() / plane.max(1);
        let touching = self.stride[1] == 1;
        let window = Window {
            pixel: plane,
            rows: self.out[0],
            row: self.stride[0] * self.width,
            runs: if touching { 1 } else { self.out[1] },
            run: self.stride[1],
            length: if touching { self.out[1] } else { 1 },
        };
        let taps = self.kernel[0] * self.kernel[1];
        if pixels == 0 || channels == 0 {
            return;
        }
        for (d, sums) in d.chunks_exact(pixels).zip(sums.chunks_exact_mut(taps * channels)) {
            for (tap, sums) in sums.chunks_exact_mut(channels).enumerate() {
                let (ky, kx) = (tap / self.kernel[1], tap % self.kernel[1]);
                let at = ky * self.dilation[0] * self.width + kx * self.dilation[1];
                let mut done = 0;
                while done < channels {
                    let x = &self.x[at + done * plane..];
                    done += match channels - done {
                        8.. => tile::<S, 8>(simd, x, &window, d, &mut sums[done..]),
                        4.. => tile::<S, 4>(simd, x, &window, d, &mut sums[done..]),
                        2.. => tile::<S, 2>(simd, x, &window, d, &mut sums[done..]),
                        _ => tile::<S, 1>(simd, x, &window, d, &mut sums[done..]),
                    };
                }
            }
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const T: usize>(
    simd: S,
    x: &[f32],
    window: &Window,
    d: &[S::f32s],
    sums: &mut [S::f32s],
) -> usize {
    let mut acc = [[simd.splat_f32s(0.0); 1]; T];
    for (acc, sum) in acc.iter_mut().zip(sums.iter()) {
        *acc = [*sum];
    }
    let acc = accumulate::<S, T, 1>(simd, acc, x, window, d);
    for (sum, [acc]) in sums.iter_mut().zip(acc) {
        *sum = acc;
    }
    T
}
