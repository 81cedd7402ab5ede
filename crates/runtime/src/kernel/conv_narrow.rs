//! Convolution to few output channels, as the gradient by a grey image needs it: input channels lie in the vector lanes
//! and are summed up at the end, where [`super::conv`] would leave all lanes but one or two of its outputs empty.

use pulp::{Simd, WithSimd};

use super::{Aligned, Isa};

/// Weights `[oc, ic, kh, kw]` packed as `[oc][input block][kh][kw][lane]`.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    isa: Isa,
    outputs: usize,
    blocks: usize,
    kernel: [usize; 2],
    weights: Aligned,
}

impl Packed {
    /// Packs weights of shape `[oc, ic, kh, kw]`; `weights` has a fitting length (the caller checks).
    pub(crate) fn new(isa: Isa, [oc, ic, kh, kw]: [usize; 4], weights: &[f32]) -> Self {
        let lanes = isa.lanes();
        let blocks = ic.div_ceil(lanes);
        let mut packed = Vec::with_capacity(oc * blocks * kh * kw * lanes);
        for o in 0..oc {
            for block in 0..blocks {
                for at in 0..kh * kw {
                    for i in block * lanes..(block + 1) * lanes {
                        packed.push(if i < ic { weights[(o * ic + i) * kh * kw + at] } else { 0.0 });
                    }
                }
            }
        }
        Self { isa, outputs: oc, blocks, kernel: [kh, kw], weights: Aligned::new(&packed) }
    }
}

/// One convolution of stride 1.
pub(crate) struct Run<'a> {
    pub(crate) packed: &'a Packed,
    /// Padded images, `[image][input block][height][width][lanes]`.
    pub(crate) x: &'a [f32],
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) dilation: [usize; 2],
    /// Output `[image][oc][oh][ow]`.
    pub(crate) y: &'a mut [f32],
    pub(crate) out: [usize; 2],
}

impl Run<'_> {
    pub(crate) fn run(self) {
        self.packed.isa.run(self);
    }
}

/// Neighbouring output pixels computed together, so that sums do not wait for each other.
const TILE: usize = 4;

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lies = self.lies();
        let Run { packed: p, x, y, out, height, width, .. } = self;
        let (x, _) = S::as_simd_f32s(x);
        let (weights, _) = S::as_simd_f32s(&p.weights);
        let (plane, taps) = (height * width, p.kernel[0] * p.kernel[1]);
        let images = x.chunks_exact((p.blocks * plane).max(1));
        for (x, y) in images.zip(y.chunks_exact_mut((p.outputs * out[0] * out[1]).max(1))) {
            for (o, y) in y.chunks_exact_mut(out[0] * out[1]).enumerate() {
                let weights = &weights[o * p.blocks * taps..][..p.blocks * taps];
                for (row, y) in y.chunks_exact_mut(out[1]).enumerate() {
                    let mut column = 0;
                    while column < out[1] {
                        let from = row * width + column;
                        if out[1] - column >= TILE {
                            p.tile::<S, TILE>(simd, weights, x, from, &lies, &mut y[column..]);
                            column += TILE;
                        } else {
                            p.tile::<S, 1>(simd, weights, x, from, &lies, &mut y[column..]);
                            column += 1;
                        }
                    }
                }
            }
        }
    }
}

/// Distances in the input, in pixels.
struct Lies {
    plane: usize,
    row: usize,
    column: usize,
}

impl Run<'_> {
    #[inline(always)]
    fn lies(&self) -> Lies {
        let row = self.dilation[0] * self.width;
        Lies { plane: self.height * self.width, row, column: self.dilation[1] }
    }
}

impl Packed {
    #[inline(always)]
    fn tile<S: Simd, const T: usize>(
        &self,
        simd: S,
        weights: &[S::f32s],
        x: &[S::f32s],
        from: usize,
        lies: &Lies,
        y: &mut [f32],
    ) {
        let mut acc = [simd.splat_f32s(0.0); T];
        let mut weight = weights.iter();
        for block in 0..self.blocks {
            for ky in 0..self.kernel[0] {
                for kx in 0..self.kernel[1] {
                    let x = &x[block * lies.plane + from + ky * lies.row + kx * lies.column..][..T];
                    let Some(w) = weight.next() else { return };
                    for t in 0..T {
                        acc[t] = simd.mul_add_e_f32s(x[t], *w, acc[t]);
                    }
                }
            }
        }
        for (y, acc) in y.iter_mut().zip(acc) {
            *y = simd.reduce_sum_f32s(acc);
        }
    }
}
