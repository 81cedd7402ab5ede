//! Matrix product with a packed right-hand side: `y[m, n] = Σ_k x[m, k] · w[k, n] + bias[n]`.
#![expect(
    clippy::needless_range_loop,
    reason = "loops over const ranges unroll into registers; iterator adapters are not always inlined"
)]

use pulp::{Simd, WithSimd};

use super::tile::{Window, accumulate, relu};
use super::{Aligned, Isa};

/// A matrix `[k, n]` packed as panels of `u` vectors of columns: `[panel][k][u][lane]`.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    isa: Isa,
    lanes: usize,
    pub(crate) depth: usize,
    pub(crate) columns: usize,
    weights: Aligned,
    bias: Vec<f32>,
}

fn vectors(left: usize) -> usize {
    match left {
        4.. => 4,
        2..=3 => 2,
        _ => 1,
    }
}

impl Packed {
    /// Packs a row-major `[k, n]` matrix, or `[n, k]` if `transposed`; `w` has `k * n` values (the caller checks).
    pub(crate) fn new(
        isa: Isa,
        [k, n]: [usize; 2],
        transposed: bool,
        w: &[f32],
        bias: Option<&[f32]>,
    ) -> Self {
        let lanes = isa.lanes();
        let blocks = n.div_ceil(lanes);
        let mut weights = Vec::with_capacity(blocks * lanes * k);
        let mut first = 0;
        while first < blocks {
            let u = vectors(blocks - first);
            for row in 0..k {
                for column in first * lanes..(first + u) * lanes {
                    let at = if transposed { column * k + row } else { row * n + column };
                    weights.push(if column < n { w[at] } else { 0.0 });
                }
            }
            first += u;
        }
        let mut padded = vec![0.0; blocks * lanes];
        if let Some(bias) = bias {
            padded[..n].copy_from_slice(bias);
        }
        Self { isa, lanes, depth: k, columns: n, weights: Aligned::new(&weights), bias: padded }
    }

    /// `x` is `[rows, k]`, `y` is `[rows, n]`, both row-major.
    pub(crate) fn run(&self, x: &[f32], rows: usize, y: &mut [f32], relu: bool) {
        self.isa.run(Run { packed: self, x, rows, y, relu });
    }
}

struct Run<'a> {
    packed: &'a Packed,
    x: &'a [f32],
    rows: usize,
    y: &'a mut [f32],
    relu: bool,
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let p = self.packed;
        let blocks = p.columns.div_ceil(p.lanes);
        let mut first = 0;
        let mut weights: &[f32] = &p.weights;
        while first < blocks {
            let u = vectors(blocks - first);
            let (panel, rest) = weights.split_at(u * p.lanes * p.depth);
            weights = rest;
            let (panel, _) = S::as_simd_f32s(panel);
            match u {
                4 => self.panel::<S, 4>(simd, panel, first),
                2 => self.panel::<S, 2>(simd, panel, first),
                _ => self.panel::<S, 1>(simd, panel, first),
            }
            first += u;
        }
    }
}

/// Rows of the packed matrix used before moving on to other rows of `x`: a panel's share (64 KiB at four vectors of
/// 16) then stays in the first two cache levels.
const DEPTH_BLOCK: usize = 256;

/// A stretch of the inner dimension.
#[derive(Clone, Copy)]
struct Stretch {
    from: usize,
    length: usize,
    first: bool,
    last: bool,
}

impl Run<'_> {
    #[inline(always)]
    fn panel<S: Simd, const U: usize>(&mut self, simd: S, panel: &[S::f32s], column: usize) {
        let depth = self.packed.depth;
        // One row has nothing to use a block twice for.
        let block = if self.rows <= 6 { depth } else { DEPTH_BLOCK };
        let mut from = 0;
        loop {
            let length = block.min(depth - from);
            let stretch = Stretch { from, length, first: from == 0, last: from + length >= depth };
            let weights = &panel[from * U..][..length * U];
            let mut row = 0;
            while row < self.rows {
                let left = self.rows - row;
                row += if S::REGISTER_COUNT >= 32 {
                    match left {
                        6.. => self.tile::<S, 6, U>(simd, weights, column, row, stretch),
                        3..=5 => self.tile::<S, 3, U>(simd, weights, column, row, stretch),
                        2 => self.tile::<S, 2, U>(simd, weights, column, row, stretch),
                        _ => self.tile::<S, 1, U>(simd, weights, column, row, stretch),
                    }
                } else {
                    match left {
                        3.. => self.tile::<S, 3, U>(simd, weights, column, row, stretch),
                        _ => self.tile::<S, 1, U>(simd, weights, column, row, stretch),
                    }
                };
            }
            from += length;
            if from >= depth {
                break;
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const T: usize, const U: usize>(
        &mut self,
        simd: S,
        weights: &[S::f32s],
        column: usize,
        row: usize,
        stretch: Stretch,
    ) -> usize {
        let p = self.packed;
        let n = p.columns;
        let window = Window { pixel: p.depth, rows: 1, row: 0, runs: 1, run: 0, length: stretch.length };
        let (bias, _) = S::as_simd_f32s(&p.bias[column * p.lanes..][..U * p.lanes]);
        let mut start = [simd.splat_f32s(0.0); U];
        start.copy_from_slice(bias);
        let mut acc = [start; T];
        if !stretch.first {
            for t in 0..T {
                for u in 0..U {
                    let at = (column + u) * p.lanes;
                    acc[t][u] = simd.partial_load_f32s(&self.y[(row + t) * n + at..][..p.lanes.min(n - at)]);
                }
            }
        }
        let x = &self.x[row * p.depth + stretch.from..];
        let acc = accumulate::<S, T, U>(simd, acc, x, &window, weights);
        for t in 0..T {
            for u in 0..U {
                let mut v = acc[t][u];
                if stretch.last && self.relu {
                    v = relu(simd, v);
                }
                let at = (column + u) * p.lanes;
                let y = &mut self.y[(row + t) * n + at..][..p.lanes.min(n - at)];
                match S::as_mut_simd_f32s(y) {
                    ([whole], _) => *whole = v,
                    (_, part) => simd.partial_store_f32s(part, v),
                }
            }
        }
        T
    }
}
