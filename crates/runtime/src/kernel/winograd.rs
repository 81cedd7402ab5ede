//! Convolution with 3 by 3 kernels by Winograd's minimal filtering F(2x2, 3x3): 16 products where the direct sum needs 36.
//!
//! An output tile of 2 by 2 pixels is `Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A` of the kernel `g` and the 4 by 4 input pixels `d` under it;
//! summed over input channels the middle is 16 small matrix products. Kernels are transformed once, when they are packed. Rounding
//! is that of sums in another order (about 1e-6 of the largest term); an infinity becomes NaN in its tile.
//!
//! Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, doi 10.1109/CVPR.2016.435.

use pulp::{Simd, WithSimd};

use super::tile::{Window, accumulate, relu};
use super::{Aligned, Isa};

/// Transformed kernels may take this much, half of a common second-level cache: beyond it they would be read from memory again for each image.
const BYTES_MAX: usize = 512 << 10;

/// Positions of a transformed tile.
const SPOTS: usize = 16;

/// Tiles worked on together: their transforms stay in the first two cache levels. A multiple of every register tile's width.
const STRIP: usize = 28;

/// Transformed kernels, packed as `[group][spot][ic][u][lane]`, `u` vectors of output channels a group.
#[derive(Debug, Clone)]
pub(crate) struct Transformed {
    isa: Isa,
    lanes: usize,
    input_blocks: usize,
    output_blocks: usize,
    /// Vectors of output channels in a group, except in the last, which may have fewer.
    vectors: usize,
    weights: Aligned,
}

impl Transformed {
    /// Transforms kernels of shape `[oc, ic, 3, 3]`; `None` if this way would not be faster for this shape.
    pub(crate) fn new(isa: Isa, [oc, ic, kh, kw]: [usize; 4], weights: &[f32]) -> Option<Self> {
        let lanes = isa.lanes();
        let (inputs, outputs) = (ic.next_multiple_of(lanes), oc.next_multiple_of(lanes));
        let bytes = SPOTS * size_of::<f32>() * inputs.checked_mul(outputs)?;
        // Fewer channels than lanes leave most of the work to the transforms.
        if (kh, kw) != (3, 3) || ic < lanes || oc < lanes || bytes > BYTES_MAX {
            return None;
        }
        let output_blocks = outputs / lanes;
        let vectors = if lanes == 16 && output_blocks.is_multiple_of(4) { 4 } else { 2 };
        let kernels: Vec<[f32; SPOTS]> = weights.as_chunks::<9>().0.iter().map(transform_kernel).collect();
        let mut packed = Vec::with_capacity(SPOTS * inputs * outputs);
        for first in (0..output_blocks).step_by(vectors) {
            let last = (first + vectors).min(output_blocks);
            for spot in 0..SPOTS {
                for i in 0..inputs {
                    for o in first * lanes..last * lanes {
                        let kernel = if i < ic && o < oc { kernels.get(o * ic + i) } else { None };
                        packed.push(kernel.map_or(0.0, |k| k[spot]));
                    }
                }
            }
        }
        Some(Self {
            isa,
            lanes,
            input_blocks: inputs / lanes,
            output_blocks,
            vectors,
            weights: Aligned::new(&packed),
        })
    }

    /// Floats of working memory that [`Run`] needs.
    pub(crate) fn scratch(&self) -> usize {
        SPOTS * STRIP * self.lanes * (self.input_blocks + self.vectors)
    }
}

/// `G g Gᵀ`.
fn transform_kernel(g: &[f32; 9]) -> [f32; SPOTS] {
    let ends = |a: f64, b: f64, c: f64| [a, (a + b + c) / 2.0, (a - b + c) / 2.0, c];
    let at = |row: usize, column: usize| f64::from(g[row * 3 + column]);
    let columns = [0, 1, 2].map(|c| ends(at(0, c), at(1, c), at(2, c)));
    let mut out = [0.0; SPOTS];
    for row in 0..4 {
        let line = ends(columns[0][row], columns[1][row], columns[2][row]);
        for (to, from) in out[row * 4..row * 4 + 4].iter_mut().zip(line) {
            #[expect(clippy::cast_possible_truncation, reason = "weights are kept in single precision")]
            {
                *to = from as f32;
            }
        }
    }
    out
}

/// One convolution of stride 1 and dilation 1 of some images; laid out as in [`super::conv::Run`].
pub(crate) struct Run<'a> {
    pub(crate) kernels: &'a Transformed,
    pub(crate) bias: &'a [f32],
    pub(crate) x: &'a [f32],
    pub(crate) images: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) y: &'a mut [f32],
    pub(crate) out: [usize; 2],
    pub(crate) residual: Option<&'a [f32]>,
    pub(crate) relu: bool,
    /// [`Transformed::scratch`] floats; what is in them does not matter.
    pub(crate) scratch: &'a mut [f32],
}

impl Run<'_> {
    pub(crate) fn run(self) {
        self.kernels.isa.run(self);
    }
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let k = self.kernels;
        let [oh, ow] = self.out;
        let tiles = Tiles { height: self.height, width: self.width, out: self.out, across: ow.div_ceil(2) };
        let count = oh.div_ceil(2) * tiles.across;
        let depth = k.input_blocks * k.lanes;
        let plane = oh * ow;
        let (y, _) = S::as_mut_simd_f32s(self.y);
        let (x, _) = S::as_simd_f32s(self.x);
        let (bias, _) = S::as_simd_f32s(self.bias);
        let (weights, _) = S::as_simd_f32s(&k.weights);
        let residual = self.residual.map(|r| S::as_simd_f32s(r).0);
        let (inputs, products) = self.scratch.split_at_mut(SPOTS * STRIP * depth);
        let (products, _) = S::as_mut_simd_f32s(products);
        let in_plane = self.height * self.width;
        for image in 0..self.images {
            let x = &x[image * k.input_blocks * in_plane..][..k.input_blocks * in_plane];
            let from = image * k.output_blocks * plane;
            let y = &mut y[from..from + k.output_blocks * plane];
            let residual = residual.map(|r| &r[from..from + k.output_blocks * plane]);
            for first in (0..count).step_by(STRIP) {
                let strip = first..(first + STRIP).min(count);
                let length = strip.len();
                tiles.transform(simd, x, strip.clone(), k.input_blocks, S::as_mut_simd_f32s(inputs).0);
                let mut left = weights;
                for group in (0..k.output_blocks).step_by(k.vectors) {
                    let u = k.vectors.min(k.output_blocks - group);
                    let (own, rest) = left.split_at(SPOTS * depth * u);
                    left = rest;
                    let (x, m) = (&*inputs, &mut *products);
                    match u {
                        4 if S::REGISTER_COUNT >= 32 => multiply::<S, 4>(simd, x, depth, length, own, m),
                        2 => multiply::<S, 2>(simd, x, depth, length, own, m),
                        _ => multiply::<S, 1>(simd, x, depth, length, own, m),
                    }
                    for v in 0..u {
                        let at = (group + v) * plane..(group + v + 1) * plane;
                        let end = End {
                            bias: bias[group + v],
                            residual: residual.map(|r| &r[at.clone()]),
                            relu: self.relu,
                        };
                        tiles.finish(simd, &products[v..], u, strip.clone(), end, &mut y[at]);
                    }
                }
            }
        }
    }
}

/// Products of one group at every spot: `m[(spot * STRIP + tile) * U + u]`.
#[inline(always)]
fn multiply<S: Simd, const U: usize>(
    simd: S,
    inputs: &[f32],
    depth: usize,
    tiles: usize,
    weights: &[S::f32s],
    m: &mut [S::f32s],
) {
    for spot in 0..SPOTS {
        let x = &inputs[spot * STRIP * depth..][..STRIP * depth];
        let weights = &weights[spot * depth * U..][..depth * U];
        let m = &mut m[spot * STRIP * U..][..STRIP * U];
        let mut done = 0;
        while done < tiles {
            let (x, m) = (&x[done * depth..], &mut m[done * U..]);
            let left = tiles - done;
            done += if S::REGISTER_COUNT >= 32 {
                match left {
                    14.. if U < 4 => product::<S, 14, U>(simd, x, depth, weights, m),
                    7.. => product::<S, 7, U>(simd, x, depth, weights, m),
                    4.. => product::<S, 4, U>(simd, x, depth, weights, m),
                    2.. => product::<S, 2, U>(simd, x, depth, weights, m),
                    _ => product::<S, 1, U>(simd, x, depth, weights, m),
                }
            } else {
                match left {
                    6.. => product::<S, 6, U>(simd, x, depth, weights, m),
                    3.. => product::<S, 3, U>(simd, x, depth, weights, m),
                    2.. => product::<S, 2, U>(simd, x, depth, weights, m),
                    _ => product::<S, 1, U>(simd, x, depth, weights, m),
                }
            };
        }
    }
}

#[inline(always)]
fn product<S: Simd, const T: usize, const U: usize>(
    simd: S,
    x: &[f32],
    depth: usize,
    weights: &[S::f32s],
    m: &mut [S::f32s],
) -> usize {
    let window = Window { pixel: depth, rows: 1, row: 0, runs: 1, run: 0, length: depth };
    let acc = accumulate::<S, T, U>(simd, [[simd.splat_f32s(0.0); U]; T], x, &window, weights);
    let (m, _) = m.as_chunks_mut::<U>();
    m[..T].copy_from_slice(&acc);
    T
}

/// How tiles lie in one image: row by row, each 2 by 2 output pixels; the last may hang over the end.
struct Tiles {
    height: usize,
    width: usize,
    out: [usize; 2],
    across: usize,
}

/// What is done to a finished sum.
struct End<'a, V> {
    bias: V,
    residual: Option<&'a [V]>,
    relu: bool,
}

impl Tiles {
    /// `Bᵀ d B` of each tile of the strip: `to[(spot * STRIP + tile) * blocks + block]`.
    #[inline(always)]
    fn transform<S: Simd>(
        &self,
        simd: S,
        x: &[S::f32s],
        strip: std::ops::Range<usize>,
        blocks: usize,
        to: &mut [S::f32s],
    ) {
        let in_plane = self.height * self.width;
        let zero = simd.splat_f32s(0.0);
        for (t, tile) in strip.enumerate() {
            let (top, left) = (tile / self.across * 2, tile % self.across * 2);
            let inside = top + 4 <= self.height && left + 4 <= self.width;
            for block in 0..blocks {
                let x = &x[block * in_plane..][..in_plane];
                let mut d = [[zero; 4]; 4];
                for r in 0..4 {
                    if inside {
                        d[r].copy_from_slice(&x[(top + r) * self.width + left..][..4]);
                    } else if top + r < self.height {
                        let line = &x[(top + r) * self.width..][..self.width];
                        let wide = 4.min(self.width - left);
                        d[r][..wide].copy_from_slice(&line[left..left + wide]);
                    }
                }
                let mut half = [[zero; 4]; 4];
                for c in 0..4 {
                    half[0][c] = simd.sub_f32s(d[0][c], d[2][c]);
                    half[1][c] = simd.add_f32s(d[1][c], d[2][c]);
                    half[2][c] = simd.sub_f32s(d[2][c], d[1][c]);
                    half[3][c] = simd.sub_f32s(d[1][c], d[3][c]);
                }
                for (r, h) in half.iter().enumerate() {
                    let line = [
                        simd.sub_f32s(h[0], h[2]),
                        simd.add_f32s(h[1], h[2]),
                        simd.sub_f32s(h[2], h[1]),
                        simd.sub_f32s(h[1], h[3]),
                    ];
                    for (c, value) in line.into_iter().enumerate() {
                        to[((r * 4 + c) * STRIP + t) * blocks + block] = value;
                    }
                }
            }
        }
    }

    /// `Aᵀ m A`, bias, residual and activation of each tile of the strip, written to one plane of the output.
    #[inline(always)]
    fn finish<S: Simd>(
        &self,
        simd: S,
        m: &[S::f32s],
        step: usize,
        strip: std::ops::Range<usize>,
        end: End<'_, S::f32s>,
        y: &mut [S::f32s],
    ) {
        let [oh, ow] = self.out;
        let zero = simd.splat_f32s(0.0);
        for (t, tile) in strip.enumerate() {
            let (top, left) = (tile / self.across * 2, tile % self.across * 2);
            let mut half = [[zero; 4]; 2];
            for c in 0..4 {
                let at = |r: usize| m[((r * 4 + c) * STRIP + t) * step];
                let (a, b, c3, d) = (at(0), at(1), at(2), at(3));
                half[0][c] = simd.add_f32s(simd.add_f32s(a, b), c3);
                half[1][c] = simd.sub_f32s(simd.sub_f32s(b, c3), d);
            }
            for (r, h) in half.iter().enumerate() {
                if top + r >= oh {
                    break;
                }
                let pair = [
                    simd.add_f32s(simd.add_f32s(h[0], h[1]), h[2]),
                    simd.sub_f32s(simd.sub_f32s(h[1], h[2]), h[3]),
                ];
                for (c, sum) in pair.into_iter().enumerate().take(ow - left) {
                    let at = (top + r) * ow + left + c;
                    let mut sum = simd.add_f32s(sum, end.bias);
                    if let Some(residual) = end.residual {
                        sum = simd.add_f32s(sum, residual[at]);
                    }
                    y[at] = if end.relu { relu(simd, sum) } else { sum };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use numeric::Rng;

    use super::super::conv;
    use super::*;

    fn values(rng: &mut Rng, count: usize) -> Vec<f32> {
        (0..count).map(|_| rng.range(-0.5, 0.5) as f32).collect()
    }

    /// Image in blocks of `lanes` channels with a border of zeros, and the plain sum of a 3 by 3 convolution of it.
    struct Case {
        isa: Isa,
        channels: [usize; 2],
        out: [usize; 2],
    }

    impl Case {
        /// Largest difference of both ways to the plain sum, relative to the largest term.
        fn check(&self, rng: &mut Rng) {
            let Self { isa, channels: [ic, oc], out: [oh, ow] } = *self;
            let (lanes, images) = (isa.lanes(), 2);
            let (h, w) = (oh + 2, ow + 2);
            let x = values(rng, images * ic * h * w);
            let weights = values(rng, oc * ic * 9);
            let (bias, residual) = (values(rng, oc), values(rng, images * oc * oh * ow));
            let blocked = |from: &[f32], c: usize, plane: usize| {
                let mut to = vec![0.0; images * c.next_multiple_of(lanes) * plane];
                for image in 0..images {
                    for ch in 0..c {
                        for at in 0..plane {
                            let block = image * c.div_ceil(lanes) + ch / lanes;
                            to[(block * plane + at) * lanes + ch % lanes] =
                                from[(image * c + ch) * plane + at];
                        }
                    }
                }
                to
            };
            let packed = conv::Packed::new(isa, [oc, ic, 3, 3], &weights, Some(&bias));
            let size = packed.scratch([1, 1], [1, 1], self.out);
            assert!(size > 0, "the other way was taken");
            let mut y = vec![f32::NAN; images * oc.next_multiple_of(lanes) * oh * ow];
            conv::Run {
                packed: &packed,
                x: &blocked(&x, ic, h * w),
                images,
                height: h,
                width: w,
                stride: [1, 1],
                dilation: [1, 1],
                y: &mut y,
                out: self.out,
                residual: Some(&blocked(&residual, oc, oh * ow)),
                relu: true,
                scratch: &mut vec![f32::NAN; size],
            }
            .run();
            let mut expected = vec![0.0_f32; images * oc * oh * ow];
            for (at, e) in expected.iter_mut().enumerate() {
                let (column, row) = (at % ow, at / ow % oh);
                let (o, image) = (at / (oh * ow) % oc, at / (oh * ow) / oc);
                let mut sum = f64::from(bias[o]) + f64::from(residual[at]);
                for i in 0..ic {
                    for (k, weight) in weights[(o * ic + i) * 9..][..9].iter().enumerate() {
                        let pixel = x[((image * ic + i) * h + row + k / 3) * w + column + k % 3];
                        sum += f64::from(*weight) * f64::from(pixel);
                    }
                }
                *e = sum.max(0.0) as f32;
            }
            for (ours, right) in y.iter().zip(blocked(&expected, oc, oh * ow)) {
                assert!(
                    (ours - right).abs() < 2e-5,
                    "{}: {ic} to {oc}, {oh} by {ow}: {ours}, not {right}",
                    isa.name()
                );
            }
        }
    }

    #[test]
    fn tiles_give_the_plain_sum_on_every_instruction_set() {
        let mut rng = Rng::new(7, 0);
        for isa in Isa::all() {
            for channels in [[16, 16], [17, 33], [32, 64], [48, 96], [64, 16]] {
                for out in [[4, 4], [5, 7], [14, 14], [15, 4], [28, 28]] {
                    Case { isa, channels, out }.check(&mut rng);
                }
            }
        }
    }

    #[test]
    fn what_would_not_gain_goes_the_direct_way() {
        let isa = Isa::detect();
        let packed =
            |shape: [usize; 4]| conv::Packed::new(isa, shape, &vec![0.5; shape.iter().product()], None);
        assert_eq!(packed([32, 1, 3, 3]).scratch([1, 1], [1, 1], [28, 28]), 0, "one channel");
        assert_eq!(packed([32, 32, 5, 5]).scratch([1, 1], [1, 1], [28, 28]), 0, "another kernel");
        assert_eq!(packed([256, 256, 3, 3]).scratch([1, 1], [1, 1], [28, 28]), 0, "larger than the cache");
        let packed = packed([32, 32, 3, 3]);
        assert_eq!(packed.scratch([2, 2], [1, 1], [14, 14]), 0, "a stride");
        assert_eq!(packed.scratch([1, 1], [2, 2], [14, 14]), 0, "a dilation");
        assert_eq!(packed.scratch([1, 1], [1, 1], [3, 9]), 0, "few pixels");
        assert!(packed.scratch([1, 1], [1, 1], [4, 4]) > 0);
    }
}
