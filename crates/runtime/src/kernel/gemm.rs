//! Matrix product with a packed right-hand side: `y[m, n] = Σ_k x[m, k] · w[k, n] + bias[n]`.

use pulp::{Simd, WithSimd};

use super::Isa;
use super::tile::{Window, accumulate, relu};

/// A matrix `[k, n]` packed as panels of `u` vectors of columns: `[panel][k][u][lane]`.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    isa: Isa,
    lanes: usize,
    pub(crate) depth: usize,
    pub(crate) columns: usize,
    weights: Vec<f32>,
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
    pub(crate) fn new(isa: Isa, [k, n]: [usize; 2], transposed: bool, w: &[f32], bias: Option<&[f32]>) -> Self {
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
        Self { isa, lanes, depth: k, columns: n, weights, bias: padded }
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
        let mut weights = p.weights.as_slice();
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

impl Run<'_> {
    #[inline(always)]
    fn panel<S: Simd, const U: usize>(&mut self, simd: S, panel: &[S::f32s], first: usize) {
        let mut row = 0;
        while row < self.rows {
            let left = self.rows - row;
            row += if S::REGISTER_COUNT >= 32 {
                match left {
                    6.. => self.tile::<S, 6, U>(simd, panel, first, row),
                    3..=5 => self.tile::<S, 3, U>(simd, panel, first, row),
                    _ => self.tile::<S, 1, U>(simd, panel, first, row),
                }
            } else {
                match left {
                    3.. => self.tile::<S, 3, U>(simd, panel, first, row),
                    _ => self.tile::<S, 1, U>(simd, panel, first, row),
                }
            };
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const T: usize, const U: usize>(
        &mut self,
        simd: S,
        panel: &[S::f32s],
        first: usize,
        row: usize,
    ) -> usize {
        let p = self.packed;
        let window = Window { pixel: p.depth, rows: 1, row: 0, runs: 1, run: 0, length: p.depth };
        let (bias, _) = S::as_simd_f32s(&p.bias[first * p.lanes..][..U * p.lanes]);
        let start: [S::f32s; U] = std::array::from_fn(|u| bias[u]);
        let acc = accumulate::<S, T, U>(simd, [start; T], &self.x[row * p.depth..], &window, panel);
        for (t, vectors) in acc.into_iter().enumerate() {
            for (u, mut v) in vectors.into_iter().enumerate() {
                if self.relu {
                    v = relu(simd, v);
                }
                let column = (first + u) * p.lanes;
                let width = p.lanes.min(p.columns - column);
                let y = &mut self.y[(row + t) * p.columns + column..][..width];
                match S::as_mut_simd_f32s(y) {
                    ([whole], _) => *whole = v,
                    (_, part) => simd.partial_store_f32s(part, v),
                }
            }
        }
        T
    }
}
