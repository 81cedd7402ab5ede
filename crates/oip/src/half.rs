//! IEEE 754 binary16, which Rust has no stable type for. `FP16` elements are kept as the `f32` they equal.

/// The `f32` equal to the binary16 with these bits. Exact for every input; NaN stays NaN.
pub(crate) fn to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10 & 0x1f);
    let fraction = u32::from(bits & 0x03ff);
    let out = match (exponent, fraction) {
        (0, 0) => sign,
        (0, _) => {
            // Subnormal: fraction * 2^-24, normalised. The highest set bit of `fraction` becomes the hidden one.
            let shift = fraction.leading_zeros() - 21;
            let exponent = 113 - shift;
            sign | exponent << 23 | (fraction << shift & 0x03ff) << 13
        }
        (31, _) => sign | 0x7f80_0000 | fraction << 13,
        _ => sign | (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(out)
}

/// The binary16 nearest to `value`, ties to even (IEEE 754 roundTiesToEven). Above 65,519.99 it is infinite.
pub(crate) fn from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    // 65,520 and above round to infinity.
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00;
    }
    if magnitude >= 0x3880_0000 {
        // Normal: rebias, round the 13 bits that fall off.
        let rebiased = magnitude - 0x3800_0000;
        return sign | round(rebiased, 13);
    }
    // Below 2^-25 everything rounds to zero (2^-25 itself ties to even zero).
    let exponent = magnitude >> 23;
    if exponent < 102 {
        return sign;
    }
    let fraction = magnitude & 0x007f_ffff | 0x0080_0000;
    sign | round(fraction, 126 - exponent)
}

/// `value >> drop`, rounded to nearest, ties to even.
fn round(value: u32, drop: u32) -> u16 {
    let kept = value >> drop;
    let rest = value & ((1 << drop) - 1);
    let tie = 1 << (drop - 1);
    let up = rest > tie || (rest == tie && kept & 1 == 1);
    // At most 0x7c00: callers pass magnitudes below the infinite one.
    (kept + u32::from(up)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_the_way_to_f32_and_back() {
        for bits in 0..=u16::MAX {
            let value = to_f32(bits);
            if value.is_nan() {
                assert!(to_f32(from_f32(value)).is_nan());
            } else {
                assert_eq!(from_f32(value), bits, "{value}");
            }
        }
    }

    #[test]
    fn known_halves_have_their_values() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 2.0_f32.powi(-24)),
            (0x0400, 2.0_f32.powi(-14)),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(to_f32(bits), value);
        }
    }

    #[test]
    fn rounding_is_to_nearest_with_ties_to_even() {
        // Against the definition: of the two neighbours the nearer one, the even one if equally near.
        for low in 0..0x7bff_u16 {
            let (a, b) = (f64::from(to_f32(low)), f64::from(to_f32(low + 1)));
            #[expect(clippy::cast_possible_truncation, reason = "the middle of two halves is an f32")]
            let middle = ((a + b) / 2.0) as f32;
            assert_eq!(from_f32(middle), if low & 1 == 0 { low } else { low + 1 });
            assert_eq!(from_f32(middle.next_down()), low);
            assert_eq!(from_f32(middle.next_up()), low + 1);
        }
        assert_eq!(from_f32(65_519.99), 0x7bff);
        assert_eq!(from_f32(65_520.0), 0x7c00);
        assert_eq!(from_f32(2.0_f32.powi(-25)), 0);
        assert_eq!(from_f32(2.0_f32.powi(-25).next_up()), 1);
    }
}
