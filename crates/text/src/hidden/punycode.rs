//! Punycode of one label, without its `xn--` (RFC 3492).

const LABEL_MAX: usize = 59;

/// The label in Unicode; `None` when it is not punycode.
pub(super) fn decode(label: &str) -> Option<String> {
    if label.len() > LABEL_MAX {
        return None;
    }
    let (basic, extended) = label.rsplit_once('-').unwrap_or(("", label));
    let mut out: Vec<char> = basic.chars().collect();
    let (mut code, mut at, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = extended.bytes();
    while digits.len() > 0 {
        let old = at;
        let (mut weight, mut k) = (1_u32, 36_u32);
        loop {
            let digit = match digits.next()?.to_ascii_lowercase() {
                byte @ b'a'..=b'z' => u32::from(byte - b'a'),
                byte @ b'0'..=b'9' => u32::from(byte - b'0') + 26,
                _ => return None,
            };
            at = at.checked_add(digit.checked_mul(weight)?)?;
            let threshold = k.saturating_sub(bias).clamp(1, 26);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(36 - threshold)?;
            k += 36;
        }
        let length = u32::try_from(out.len()).ok()? + 1;
        bias = adapt(at - old, length, old == 0);
        code = code.checked_add(at / length)?;
        at %= length;
        out.insert(usize::try_from(at).ok()?, char::from_u32(code)?);
        at += 1;
    }
    Some(out.into_iter().collect())
}

const fn adapt(delta: u32, length: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / length;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read() {
        assert_eq!(decode("mnchen-3ya").as_deref(), Some("münchen"));
        assert_eq!(decode("80ak6aa92e").as_deref(), Some("аррӏе"));
        assert_eq!(decode("99999999999"), None);
    }
}
