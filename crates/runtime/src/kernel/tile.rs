//! The one inner loop of convolution and matrix product: a register tile of `T` pixels (or rows) by `U` vectors of
//! output channels, accumulated over a window of the input.

use pulp::Simd;

/// How the window of one output pixel lies in the input buffer, in floats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Distance between the windows of neighbouring output pixels.
    pub(crate) pixel: usize,
    /// Number of window rows, and the distance between them.
    pub(crate) rows: usize,
    pub(crate) row: usize,
    /// Runs per window row, their distance, and the length of each run (contiguous).
    pub(crate) runs: usize,
    pub(crate) run: usize,
    pub(crate) length: usize,
}

impl Window {
    /// Values of one window: also the number of weight vectors per output vector.
    pub(crate) fn depth(&self) -> usize {
        self.rows * self.runs * self.length
    }
}

/// Adds, for each pixel `t` and output vector `u`, the products of the window's values and the weights
/// `w[(k * U) + u]`, `k` counting the window's values in order.
#[inline(always)]
pub(crate) fn accumulate<S: Simd, const T: usize, const U: usize>(
    simd: S,
    mut acc: [[S::f32s; U]; T],
    x: &[f32],
    window: &Window,
    weights: &[S::f32s],
) -> [[S::f32s; U]; T] {
    let mut left = weights;
    for row in 0..window.rows {
        for run in 0..window.runs {
            let at = row * window.row + run * window.run;
            // Plain loops, not `map` or `from_fn`: those are not always inlined, and then lose the instruction set.
            let mut lines: [&[f32]; T] = [&[]; T];
            for (t, line) in lines.iter_mut().enumerate() {
                *line = &x[at + t * window.pixel..][..window.length];
            }
            let (block, rest) = left.split_at(window.length * U);
            left = rest;
            let (block, _) = block.as_chunks::<U>();
            for (k, w) in block.iter().enumerate().take(window.length) {
                for t in 0..T {
                    let value = simd.splat_f32s(lines[t][k]);
                    for u in 0..U {
                        acc[t][u] = simd.mul_add_e_f32s(value, w[u], acc[t][u]);
                    }
                }
            }
        }
    }
    acc
}

/// Negative values become 0; NaN stays NaN, so that a broken model does not look calm.
#[inline(always)]
pub(crate) fn relu<S: Simd>(simd: S, v: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_f32s(v, zero), zero, v)
}
