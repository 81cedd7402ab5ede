//! The encodings that payloads are wrapped in.

/// Base64, standard or URL-safe, white space left out, padding optional. `None` when something else is in it.
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for b in text {
        let six = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' | b'\n' | b'\r' | b' ' => continue,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

/// Hexadecimal digits, white space left out.
pub(super) fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .iter()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    let digits = digits?;
    if digits.len() % 2 == 1 {
        return None;
    }
    Some(digits.chunks_exact(2).map(|d| d[0] << 4 | d[1]).collect())
}

/// Rotation of the letters by 13.
fn rot13(text: &[u8]) -> Vec<u8> {
    text.iter()
        .map(|b| match b {
            b'a'..=b'z' => (b - b'a' + 13) % 26 + b'a',
            b'A'..=b'Z' => (b - b'A' + 13) % 26 + b'A',
            _ => *b,
        })
        .collect()
}

/// Python's binary and text transforms by their codec names.
pub(super) fn by_name(encoding: &str, bytes: Vec<u8>) -> Option<Vec<u8>> {
    match encoding.replace('_', "").trim_end_matches("codec") {
        "hex" => hex(&bytes),
        "base64" => base64(&bytes),
        "rot13" | "rot-13" => Some(rot13(&bytes)),
        "unicodeescape" | "stringescape" => Some(super::literal::unescape(&bytes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_unwrapped() {
        assert_eq!(base64(b"b3M=").unwrap(), b"os");
        assert_eq!(base64(b"gASVAQAA_-8").unwrap().first(), Some(&0x80));
        assert!(base64(b"os.system").is_none());
        assert_eq!(hex(b"6f 73").unwrap(), b"os");
        assert!(hex(b"6f7").is_none());
        assert_eq!(by_name("rot_13", b"bf".to_vec()).unwrap(), b"os");
        assert_eq!(by_name("hex_codec", b"6f73".to_vec()).unwrap(), b"os");
    }
}
