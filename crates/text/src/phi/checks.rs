//! Check digits, and the numbers that are never given out.

/// The Luhn sum of the digits in `text` (other bytes are left out) is a multiple of 10 (ISO/IEC 7812-1).
pub fn luhn(text: &str) -> bool {
    luhn_sum(text).is_multiple_of(10)
}

fn luhn_sum(text: &str) -> u32 {
    let digits = text.bytes().rev().filter(u8::is_ascii_digit).map(|b| u32::from(b - b'0'));
    digits.enumerate().map(|(i, d)| if i % 2 == 0 { d } else { (2 * d) / 10 + (2 * d) % 10 }).sum()
}

/// Ten digits that are a National Provider Identifier: Luhn with the prefix 80840 (45 CFR 162.406).
pub fn npi(text: &str) -> bool {
    text.len() == 10 && text.starts_with(['1', '2']) && luhn(&format!("80840{text}"))
}

/// A DEA registration number: two letters, seven digits, the last of which is d1+d3+d5+2(d2+d4+d6) modulo 10.
pub fn dea(text: &str) -> bool {
    let (letters, digits) = text.as_bytes().split_at(text.len().min(2));
    let Ok(d) = <[u8; 7]>::try_from(digits) else { return false };
    let sum = |at: [usize; 3]| at.into_iter().map(|i| u32::from(d[i].wrapping_sub(b'0'))).sum::<u32>();
    letters.iter().all(u8::is_ascii_alphabetic)
        && d.iter().all(u8::is_ascii_digit)
        && (sum([0, 2, 4]) + 2 * sum([1, 3, 5])) % 10 == u32::from(d[6] - b'0')
}

/// A vehicle identification number with its check digit (49 CFR 565.15): seventeen signs without I, O and Q.
pub fn vin(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let values: Option<Vec<u32>> = text.bytes().map(vin_value).collect();
    let Some(values) = values.filter(|v| v.len() == 17) else { return false };
    let rest = values.iter().zip(WEIGHTS).map(|(v, w)| v * w).sum::<u32>() % 11;
    let check = text.as_bytes().get(8).copied().unwrap_or(0);
    if rest == 10 { check == b'X' } else { u32::from(check.wrapping_sub(b'0')) == rest }
}

fn vin_value(byte: u8) -> Option<u32> {
    Some(match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'H' => u32::from(byte - b'A') + 1,
        b'J'..=b'N' => u32::from(byte - b'J') + 1,
        b'P' => 7,
        b'R' => 9,
        b'S'..=b'Z' => u32::from(byte - b'S') + 2,
        _ => return None,
    })
}

/// An international bank account number: the rest modulo 97 is 1 (ISO 13616).
pub fn iban(text: &str) -> bool {
    if !(15..=34).contains(&text.len()) || !text.is_ascii() {
        return false;
    }
    let (head, tail) = text.split_at(4);
    let formed = head.as_bytes().iter().take(2).all(u8::is_ascii_uppercase)
        && head.as_bytes().iter().skip(2).all(u8::is_ascii_digit);
    let mut rest = 0u32;
    for byte in tail.bytes().chain(head.bytes()) {
        rest = match byte {
            b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
            b'A'..=b'Z' => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
            _ => return false,
        };
    }
    formed && rest == 1
}

/// Whether three groups of digits may be a Social Security number: area 000, 666 and 900 to 999, group 00 and serial
/// 0000 were never given out.
pub fn ssn_given_out(area: u32, group: u32, serial: u32) -> bool {
    area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_pass_and_one_digit_more_does_not() {
        assert!(luhn("4111 1111 1111 1111") && !luhn("4111 1111 1111 1112"));
        assert!(npi("1234567893") && !npi("1234567890"));
        assert!(vin("1M8GDM9AXKP042788") && !vin("1M8GDM9A1KP042788"));
        assert!(iban("GB82WEST12345698765432") && !iban("GB82WEST12345698765433"));
        assert!(dea("AP5836727") && !dea("AP5836728"));
        assert!(ssn_given_out(123, 45, 6789) && !ssn_given_out(666, 45, 6789));
    }
}
