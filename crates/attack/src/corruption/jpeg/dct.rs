//! The transform of 8 by 8 blocks in fixed point, and the quantisation between forward and inverse.
//!
//! Encoders and decoders in use compute with 13-bit constants and round once after each pass. Which coefficients survive the quantisation
//! hangs on that rounding, so it is kept exactly: the factorisation of Loeffler, Ligtenberg and Moschytz multiplied out is one matrix of whole
//! numbers, and products of whole numbers do not care in which order they are summed.

/// Pixels along a block.
pub(super) const SIDE: usize = 8;

/// √2 · 2¹³ · cos((2j + 1)kπ/16), row k, column j (and 2¹³ in row 0), as the twelve 13-bit constants of the factorisation give them when multiplied
/// out: hence 6437 here and 6436 there. The inverse is the transpose.
const COSINES: [[i32; SIDE]; SIDE] = [
    [8192, 8192, 8192, 8192, 8192, 8192, 8192, 8192],
    [11363, 9633, 6437, 2260, -2260, -6437, -9633, -11363],
    [10703, 4433, -4433, -10703, -10703, -4433, 4433, 10703],
    [9633, -2259, -11362, -6436, 6436, 11362, 2259, -9633],
    [8192, -8192, -8192, 8192, 8192, -8192, -8192, 8192],
    [6437, -11362, 2261, 9633, -9633, -2261, 11362, -6437],
    [4433, -10704, 10704, -4433, -4433, 10704, -10704, 4433],
    [2260, -6436, 9633, -11363, 11363, -9633, 6436, -2260],
];

/// Fractional bits of [`COSINES`].
const BITS: u32 = 13;
/// Fractional bits kept between the two passes.
const KEPT: u32 = 2;

/// Steps for luminance, ITU-T T.81 table K.1, row after row.
pub(super) const LUMINANCE: [i32; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, //
    12, 12, 14, 19, 26, 58, 60, 55, //
    14, 13, 16, 24, 40, 57, 69, 56, //
    14, 17, 22, 29, 51, 87, 80, 62, //
    18, 22, 37, 56, 68, 109, 103, 77, //
    24, 35, 55, 64, 81, 104, 113, 92, //
    49, 64, 78, 87, 103, 121, 120, 101, //
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// Steps for chrominance, ITU-T T.81 table K.2.
pub(super) const CHROMINANCE: [i32; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, //
    18, 21, 26, 66, 99, 99, 99, 99, //
    24, 26, 56, 99, 99, 99, 99, 99, //
    47, 66, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99,
];

type Block = [[i32; SIDE]; SIDE];

/// Quantisation steps at one quality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Steps([[i32; SIDE]; SIDE]);

impl Steps {
    /// The steps of `table` at `quality` (1 to 100, cut to a whole number): the table at 50, its 5000 / quality per cent below, its
    /// 200 - 2 · quality per cent above, each step between 1 and 255.
    #[expect(clippy::cast_possible_truncation, reason = "between 1 and 100")]
    pub(super) fn new(table: &[i32; 64], quality: f64) -> Self {
        let quality = quality.clamp(1.0, 100.0) as i32;
        let per_cent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
        let mut steps = [[1; SIDE]; SIDE];
        for (row, given) in steps.iter_mut().zip(table.chunks_exact(SIDE)) {
            for (step, base) in row.iter_mut().zip(given) {
                *step = ((base * per_cent + 50) / 100).clamp(1, 255);
            }
        }
        Self(steps)
    }

    /// What a block looks like after compression and decompression.
    pub(super) fn through(&self, block: &[[u8; SIDE]; SIDE]) -> [[u8; SIDE]; SIDE] {
        let centred = block.map(|row| row.map(|level| i32::from(level) - 128));
        // Rows, then columns; transposing in between lets both passes run along rows.
        let rows = pass(&centred, &TRANSPOSED, BITS - KEPT);
        let mut coefficients = transposed(&pass(&transposed(&rows), &TRANSPOSED, BITS + KEPT));
        for (row, steps) in coefficients.iter_mut().zip(&self.0) {
            for (value, step) in row.iter_mut().zip(steps) {
                // The transform is 8 times the standard's; half a step rounds away from zero.
                let wide = step * 8;
                *value = (value.abs() + wide / 2) / wide * step * value.signum();
            }
        }
        let columns = transposed(&pass(&transposed(&coefficients), &COSINES, BITS - KEPT));
        let pixels = pass(&columns, &COSINES, BITS + KEPT + 3);
        pixels.map(|row| row.map(|v| u8::try_from((v + 128).clamp(0, 255)).unwrap_or(0)))
    }
}

const TRANSPOSED: Block = transposed(&COSINES);

const fn transposed(block: &Block) -> Block {
    let mut out = [[0; SIDE]; SIDE];
    let mut y = 0;
    while y < SIDE {
        let mut x = 0;
        while x < SIDE {
            out[x][y] = block[y][x];
            x += 1;
        }
        y += 1;
    }
    out
}

/// Each row of `block` times `matrix`, rounded half up after dropping `drop` bits.
fn pass(block: &Block, matrix: &Block, drop: u32) -> Block {
    let mut out = [[0; SIDE]; SIDE];
    for (row, sums) in block.iter().zip(out.iter_mut()) {
        for (value, weights) in row.iter().zip(matrix) {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
        for sum in sums.iter_mut() {
            *sum = (*sum + (1 << (drop - 1))) >> drop;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_the_cosines_within_one_unit() {
        for (k, row) in COSINES.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                let angle = (2 * j + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0;
                let scale = if k == 0 { 1.0 } else { 2.0_f64.sqrt() };
                assert!((scale * 8192.0 * angle.cos() - f64::from(*value)).abs() < 1.5, "{k} {j}");
            }
        }
    }

    #[test]
    fn steps_of_one_change_a_block_by_one_level_at_most() {
        let fine = Steps::new(&LUMINANCE, 100.0);
        assert_eq!(fine, Steps([[1; SIDE]; SIDE]));
        let mut rng = numeric::Rng::new(5, 0);
        for _ in 0..200 {
            let block =
                [[0; SIDE]; SIDE].map(|row: [u8; SIDE]| row.map(|_| u8::try_from(rng.below(256)).unwrap()));
            let seen = fine.through(&block);
            for (a, b) in block.iter().flatten().zip(seen.iter().flatten()) {
                assert!(a.abs_diff(*b) <= 2, "{a} {b}");
            }
        }
    }

    #[test]
    fn quality_scales_the_table_of_the_standard() {
        assert_eq!(Steps::new(&LUMINANCE, 50.0).0[0][..3], [16, 11, 10]);
        assert_eq!(Steps::new(&LUMINANCE, 25.0).0[0][..3], [32, 22, 20]);
        assert_eq!(Steps::new(&LUMINANCE, 1.0).0[0][0], 255);
    }
}
