//! Direct 2-D convolution over channel blocks, weights packed at load.
//!
//! Output channels lie in vector lanes; a register tile holds up to 14 neighbouring output pixels of one row. Input
//! images are copied with their zero padding into a buffer first, so the inner loop has no edge cases. Loop order (channel
//! group, input block, image, row) reads each packed weight once per batch and adds up partial sums in the output.

use pulp::{Simd, WithSimd};

use super::tile::{Window, accumulate, relu};
use super::winograd::{self, Transformed};
use super::{Aligned, Isa};

/// Weights `[oc, ic, kh, kw]` packed as `[group][input block][kh][kw][ic][u][lane]`, `u` vectors a group.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    isa: Isa,
    pub(crate) lanes: usize,
    /// Input channels in one block: the lanes, or all of them if fewer.
    pub(crate) block: usize,
    input_blocks: usize,
    pub(crate) output_blocks: usize,
    kernel: [usize; 2],
    groups: Vec<Group>,
    weights: Aligned,
    bias: Vec<f32>,
    /// The same kernels for the faster way, where there is one.
    transformed: Option<Transformed>,
}

/// Some neighbouring vectors of output channels.
#[derive(Debug, Clone, Copy)]
struct Group {
    first: usize,
    vectors: usize,
    weights_at: usize,
}

impl Packed {
    /// Packs weights of shape `[oc, ic, kh, kw]`; `weights` and `bias` have fitting lengths (the caller checks).
    pub(crate) fn new(isa: Isa, shape: [usize; 4], weights: &[f32], bias: Option<&[f32]>) -> Self {
        let [oc, ic, kh, kw] = shape;
        let lanes = isa.lanes();
        let block = ic.min(lanes);
        let (input_blocks, output_blocks) = (ic.div_ceil(block), oc.div_ceil(lanes));
        let mut packed = Vec::with_capacity(output_blocks * lanes * input_blocks * block * kh * kw);
        let mut groups = Vec::new();
        let mut first = 0;
        while first < output_blocks {
            // Measured on AVX-512: four vectors by 7 pixels beat two by 14 by 2 to 5%; 16 registers hold only two by 6.
            let vectors = match output_blocks - first {
                4.. if lanes == 16 => 4,
                2.. => 2,
                _ => 1,
            };
            groups.push(Group { first, vectors, weights_at: packed.len() });
            for ib in 0..input_blocks {
                for at in 0..kh * kw {
                    for i in ib * block..(ib + 1) * block {
                        for o in first * lanes..(first + vectors) * lanes {
                            let inside = o < oc && i < ic;
                            packed.push(if inside { weights[(o * ic + i) * kh * kw + at] } else { 0.0 });
                        }
                    }
                }
            }
            first += vectors;
        }
        let mut padded_bias = vec![0.0; output_blocks * lanes];
        if let Some(bias) = bias {
            padded_bias[..oc].copy_from_slice(bias);
        }
        let kernel = [kh, kw];
        Self {
            isa,
            lanes,
            block,
            input_blocks,
            output_blocks,
            kernel,
            groups,
            weights: Aligned::new(&packed),
            bias: padded_bias,
            transformed: Transformed::new(isa, shape, weights),
        }
    }

    /// The faster way, if there is one for these kernels at this stride, dilation and size of the output.
    fn transformed(&self, stride: [usize; 2], dilation: [usize; 2], out: [usize; 2]) -> Option<&Transformed> {
        let fits = stride == [1, 1] && dilation == [1, 1] && out.iter().all(|&o| o >= OUT_MIN);
        self.transformed.as_ref().filter(|_| fits)
    }

    /// Floats of working memory that a [`Run`] with these settings needs.
    pub(crate) fn scratch(&self, stride: [usize; 2], dilation: [usize; 2], out: [usize; 2]) -> usize {
        self.transformed(stride, dilation, out).map_or(0, Transformed::scratch)
    }
}

/// Smallest output side for the transformed way: on less, tiles that hang over the end and half-filled register tiles eat the gain.
const OUT_MIN: usize = 4;

/// One convolution of some images.
pub(crate) struct Run<'a> {
    pub(crate) packed: &'a Packed,
    /// Padded images, `[image][input block][height][width][block]`.
    pub(crate) x: &'a [f32],
    pub(crate) images: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) stride: [usize; 2],
    pub(crate) dilation: [usize; 2],
    /// Output `[image][output block][oh][ow][lanes]`.
    pub(crate) y: &'a mut [f32],
    pub(crate) out: [usize; 2],
    /// Added before the activation; laid out as the output.
    pub(crate) residual: Option<&'a [f32]>,
    pub(crate) relu: bool,
    /// [`Packed::scratch`] floats; what is in them does not matter.
    pub(crate) scratch: &'a mut [f32],
}

impl Run<'_> {
    pub(crate) fn run(self) {
        let packed = self.packed;
        let Some(kernels) = packed.transformed(self.stride, self.dilation, self.out) else {
            return packed.isa.run(self);
        };
        let Self { x, images, height, width, y, out, residual, relu, scratch, .. } = self;
        let bias = &packed.bias;
        winograd::Run { kernels, bias, x, images, height, width, y, out, residual, relu, scratch }.run();
    }
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Run { packed: p, x, y, out, .. } = self;
        let [kh, kw] = p.kernel;
        let line = self.width * p.block;
        let touching = self.dilation[1] == 1;
        let window = Window {
            pixel: self.stride[1] * p.block,
            rows: kh,
            row: self.dilation[0] * line,
            runs: if touching { 1 } else { kw },
            run: self.dilation[1] * p.block,
            length: if touching { kw * p.block } else { p.block },
        };
        let plane = out[0] * out[1];
        let (y, _) = S::as_mut_simd_f32s(y);
        let (bias, _) = S::as_simd_f32s(&p.bias);
        let residual = self.residual.map(|r| S::as_simd_f32s(r).0);
        for group in &p.groups {
            for ib in 0..p.input_blocks {
                let each = window.depth() * group.vectors * p.lanes;
                let (weights, _) = S::as_simd_f32s(&p.weights[group.weights_at + ib * each..][..each]);
                for image in 0..self.images {
                    let tile_row = TileRow {
                        window,
                        weights,
                        bias: &bias[group.first..group.first + group.vectors],
                        first: ib == 0,
                        last: ib + 1 == p.input_blocks,
                        relu: self.relu,
                        plane,
                    };
                    let from = (image * p.output_blocks + group.first) * plane;
                    let y = &mut y[from..from + group.vectors * plane];
                    let residual = residual.map(|r| &r[from..from + group.vectors * plane]);
                    let x = &x[(image * p.input_blocks + ib) * self.height * line..][..self.height * line];
                    for row in 0..out[0] {
                        let x = &x[row * self.stride[0] * line..];
                        match group.vectors {
                            4 if S::REGISTER_COUNT >= 32 => {
                                tile_row.row::<S, 4>(simd, x, y, residual, row * out[1], out[1]);
                            }
                            2 => tile_row.row::<S, 2>(simd, x, y, residual, row * out[1], out[1]),
                            _ => tile_row.row::<S, 1>(simd, x, y, residual, row * out[1], out[1]),
                        }
                    }
                }
            }
        }
    }
}

/// What stays the same over the tiles of one output row.
struct TileRow<'a, V> {
    window: Window,
    weights: &'a [V],
    bias: &'a [V],
    first: bool,
    last: bool,
    relu: bool,
    plane: usize,
}

impl<V: Copy> TileRow<'_, V> {
    #[inline(always)]
    fn row<S: Simd<f32s = V>, const U: usize>(
        &self,
        simd: S,
        x: &[f32],
        y: &mut [V],
        residual: Option<&[V]>,
        at: usize,
        width: usize,
    ) {
        let mut done = 0;
        // Tile widths that fill the register file: 4 vectors x 7 pixels or 2 x 14 (AVX-512), 2 x 6 (AVX2).
        while done < width {
            let x = &x[done * self.window.pixel..];
            let at = at + done;
            let left = width - done;
            if S::REGISTER_COUNT >= 32 {
                done += match left {
                    14.. if U < 4 => self.tile::<S, 14, U>(simd, x, y, residual, at),
                    7.. => self.tile::<S, 7, U>(simd, x, y, residual, at),
                    4.. => self.tile::<S, 4, U>(simd, x, y, residual, at),
                    2.. => self.tile::<S, 2, U>(simd, x, y, residual, at),
                    _ => self.tile::<S, 1, U>(simd, x, y, residual, at),
                };
            } else {
                done += match left {
                    6.. => self.tile::<S, 6, U>(simd, x, y, residual, at),
                    3.. => self.tile::<S, 3, U>(simd, x, y, residual, at),
                    2.. => self.tile::<S, 2, U>(simd, x, y, residual, at),
                    _ => self.tile::<S, 1, U>(simd, x, y, residual, at),
                };
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd<f32s = V>, const T: usize, const U: usize>(
        &self,
        simd: S,
        x: &[f32],
        y: &mut [V],
        residual: Option<&[V]>,
        at: usize,
    ) -> usize {
        let mut acc = [[simd.splat_f32s(0.0); U]; T];
        for u in 0..U {
            let y = &y[u * self.plane + at..][..T];
            for t in 0..T {
                acc[t][u] = if self.first { self.bias[u] } else { y[t] };
            }
        }
        let mut acc = accumulate::<S, T, U>(simd, acc, x, &self.window, self.weights);
        if self.last {
            if let Some(residual) = residual {
                for u in 0..U {
                    let r = &residual[u * self.plane + at..][..T];
                    for t in 0..T {
                        acc[t][u] = simd.add_f32s(acc[t][u], r[t]);
                    }
                }
            }
            if self.relu {
                for row in &mut acc {
                    for v in row {
                        *v = relu(simd, *v);
                    }
                }
            }
        }
        for u in 0..U {
            let y = &mut y[u * self.plane + at..][..T];
            for t in 0..T {
                y[t] = acc[t][u];
            }
        }
        T
    }
}
