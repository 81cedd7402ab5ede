//! Pooling over channel blocks, one vector register a pixel.

use pulp::{Simd, WithSimd};

use super::Isa;

/// How one dimension's windows lie: input length, output length, kernel, stride, dilation, padding before and after.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side {
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) before: usize,
    pub(crate) after: usize,
}

impl Side {
    /// First kernel position inside the input, and one past the last, for an output position.
    pub(crate) fn inside(&self, out: usize) -> (usize, usize) {
        let start = out * self.stride;
        let first = self.before.saturating_sub(start).div_ceil(self.dilation);
        let end = (self.input + self.before).saturating_sub(start).div_ceil(self.dilation).min(self.kernel);
        (first.min(end), end)
    }

    /// Kernel positions inside input or padding (a `ceil_mode` window may hang over both).
    pub(crate) fn padded(&self, out: usize) -> usize {
        let room = (self.input + self.before + self.after).saturating_sub(out * self.stride);
        room.div_ceil(self.dilation).min(self.kernel)
    }
}

/// What is taken of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The maximum; NaN wins.
    Max,
    /// The average, padding counted or not.
    Average {
        /// Whether padded positions count.
        padding_counts: bool,
    },
}

impl Kind {
    /// What the sum of a window is divided by.
    pub(crate) fn divisor(self, y: &Side, x: &Side, oy: usize, ox: usize) -> f32 {
        let inside = |side: &Side, at| {
            let (first, end) = side.inside(at);
            end - first
        };
        let count = match self {
            Self::Max => 1,
            Self::Average { padding_counts: true } => y.padded(oy) * x.padded(ox),
            Self::Average { padding_counts: false } => inside(y, oy) * inside(x, ox),
        };
        count as f32
    }
}

/// Pools planes of `[h, w, lanes]` into `[oh, ow, lanes]`; `lanes` are those of the instruction set.
pub(crate) struct Run<'a> {
    pub(crate) kind: Kind,
    pub(crate) y: Side,
    pub(crate) x: Side,
    pub(crate) from: &'a [f32],
    pub(crate) to: &'a mut [f32],
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
        let (sy, sx) = (self.y, self.x);
        let (from, _) = S::as_simd_f32s(self.from);
        let (to, _) = S::as_mut_simd_f32s(self.to);
        let (plane_in, plane_out) = (sy.input * sx.input, sy.output * sx.output);
        if plane_in == 0 || plane_out == 0 {
            return;
        }
        let start = if self.kind == Kind::Max { f32::NEG_INFINITY } else { 0.0 };
        for (from, to) in from.chunks_exact(plane_in).zip(to.chunks_exact_mut(plane_out)) {
            for oy in 0..sy.output {
                let (first_y, end_y) = sy.inside(oy);
                for ox in 0..sx.output {
                    let (first_x, end_x) = sx.inside(ox);
                    let mut acc = simd.splat_f32s(start);
                    for ky in first_y..end_y {
                        let row = (oy * sy.stride + ky * sy.dilation - sy.before) * sx.input;
                        for kx in first_x..end_x {
                            let v = from[row + ox * sx.stride + kx * sx.dilation - sx.before];
                            if self.kind == Kind::Max {
                                let larger = simd.select_f32s(simd.less_than_or_equal_f32s(v, acc), acc, v);
                                acc = simd.select_f32s(simd.equal_f32s(acc, acc), larger, acc);
                            } else {
                                acc = simd.add_f32s(acc, v);
                            }
                        }
                    }
                    if self.kind != Kind::Max {
                        let divisor = self.kind.divisor(&sy, &sx, oy, ox);
                        acc = simd.div_f32s(acc, simd.splat_f32s(divisor));
                    }
                    to[oy * sx.output + ox] = acc;
                }
            }
        }
    }
}

/// The way back through [`Run`]: adds to `dx` (laid out as `from`, the pooled input) what the gradients `d` of the
/// result `to` say; writes it where [`Back::covers`], so that `dx` need not be 0 before.
pub(crate) struct Back<'a> {
    pub(crate) kind: Kind,
    pub(crate) y: Side,
    pub(crate) x: Side,
    pub(crate) from: &'a [f32],
    pub(crate) to: &'a [f32],
    pub(crate) d: &'a [f32],
    pub(crate) dx: &'a mut [f32],
}

impl Back<'_> {
    /// Whether every input pixel is in exactly one window.
    pub(crate) fn covers(sides: [&Side; 2]) -> bool {
        sides.into_iter().all(|s| {
            s.dilation == 1 && s.before == 0 && s.kernel == s.stride && s.input == s.output * s.stride
        })
    }

    pub(crate) fn run(self, isa: Isa) {
        isa.run(self);
    }
}

impl WithSimd for Back<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (sy, sx) = (self.y, self.x);
        let ((from, _), (to, _), (d, _)) =
            (S::as_simd_f32s(self.from), S::as_simd_f32s(self.to), S::as_simd_f32s(self.d));
        let (dx, _) = S::as_mut_simd_f32s(self.dx);
        let (plane_in, plane_out) = (sy.input * sx.input, sy.output * sx.output);
        if plane_in == 0 || plane_out == 0 {
            return;
        }
        let zero = simd.splat_f32s(0.0);
        let covers = Self::covers([&sy, &sx]);
        let planes = from.chunks_exact(plane_in).zip(dx.chunks_exact_mut(plane_in));
        let results = to.chunks_exact(plane_out).zip(d.chunks_exact(plane_out));
        for ((from, dx), (to, d)) in planes.zip(results) {
            for oy in 0..sy.output {
                let (first_y, end_y) = sy.inside(oy);
                for ox in 0..sx.output {
                    let (first_x, end_x) = sx.inside(ox);
                    let at = oy * sx.output + ox;
                    let (max, mut left) = (to[at], d[at]);
                    if self.kind != Kind::Max {
                        left = simd.div_f32s(left, simd.splat_f32s(self.kind.divisor(&sy, &sx, oy, ox)));
                    }
                    for ky in first_y..end_y {
                        let row = (oy * sy.stride + ky * sy.dilation - sy.before) * sx.input;
                        for kx in first_x..end_x {
                            let at = row + ox * sx.stride + kx * sx.dilation - sx.before;
                            let mut share = left;
                            if self.kind == Kind::Max {
                                // Nothing is larger than the maximum; NaN is not smaller, and takes the gradient too.
                                let smaller = simd.less_than_f32s(from[at], max);
                                share = simd.select_f32s(smaller, zero, left);
                                left = simd.select_f32s(smaller, left, zero);
                            }
                            dx[at] = if covers { share } else { simd.add_f32s(dx[at], share) };
                        }
                    }
                }
            }
        }
    }
}
