//! Text and numbers as the opcodes write them, with the quirks of both of Python's unpicklers.

use std::borrow::Cow;

/// Text of a `STRING`, `UNICODE`, `BINSTRING`, `BINUNICODE`, … argument (without the opcode and its count, with the
/// newline of a line). `None` where Python would refuse: a `STRING` without quotes.
pub(super) fn text(op: u8, argument: &[u8]) -> Option<Cow<'_, str>> {
    match op {
        b'S' => Some(Cow::Owned(latin1(&unescape(quoted(line(argument))?)))),
        b'V' => Some(raw_unicode(line(argument))),
        b'P' => Some(String::from_utf8_lossy(line(argument))),
        b'T' | b'U' => Some(Cow::Owned(latin1(argument))),
        _ => Some(String::from_utf8_lossy(argument)),
    }
}

/// A line without its newline.
pub(super) fn line(argument: &[u8]) -> &[u8] {
    argument.strip_suffix(b"\n").unwrap_or(argument)
}

/// What stands between the quotes. A carriage return before the newline is tolerated: a text-mode copy of a pickle.
fn quoted(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line {
        [a @ (b'\'' | b'"'), inside @ .., b] if a == b => Some(inside),
        _ => None,
    }
}

/// Bytes as characters of the same number.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// Python's escapes of a byte string: `\n`, `\x41`, `\101`, `\'`; unknown ones stay as they are.
pub(super) fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        at += 1;
        if b != b'\\' {
            out.push(b);
            continue;
        }
        let Some(&kind) = bytes.get(at) else {
            out.push(b'\\');
            break;
        };
        at += 1;
        match kind {
            b'\n' => {}
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'v' => out.push(11),
            b'\\' | b'\'' | b'"' => out.push(kind),
            b'x' => {
                let digits = bytes.get(at..at + 2).and_then(hex);
                at += if digits.is_some() { 2 } else { 0 };
                out.push(digits.map_or(b'?', |d| d as u8));
            }
            b'0'..=b'7' => {
                let mut value = u32::from(kind - b'0');
                for _ in 0..2 {
                    if let Some(d @ b'0'..=b'7') = bytes.get(at) {
                        value = value * 8 + u32::from(d - b'0');
                        at += 1;
                    }
                }
                out.push(value as u8);
            }
            _ => out.extend([b'\\', kind]),
        }
    }
    out
}

/// Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
fn raw_unicode(bytes: &[u8]) -> Cow<'_, str> {
    if bytes.is_ascii() && !bytes.contains(&b'\\') {
        return String::from_utf8_lossy(bytes);
    }
    let mut out = String::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let long = match bytes.get(at..at + 2) {
            Some(b"\\u") => 4,
            Some(b"\\U") => 8,
            _ => 0,
        };
        let code = bytes.get(at + 2..at + 2 + long).filter(|d| !d.is_empty()).and_then(hex);
        if let Some(code) = code {
            out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            at += 2 + long;
        } else {
            out.push(char::from(b));
            at += 1;
        }
    }
    Cow::Owned(out)
}

fn hex(digits: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok()?;
    if text.starts_with('+') { None } else { u32::from_str_radix(text, 16).ok() }
}

/// An integer as a line: Python takes `_`, signs, white space and prefixes (`0x1f`), C also leading zeros as octal.
/// `I00` and `I01` are booleans, which the caller tells from the text. `None`: not an integer, or more than 64 bits.
pub(super) fn integer(line: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(line).ok()?.trim().trim_end_matches('L').replace('_', "");
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let radix = |prefix: &str| {
        digits.get(..2).filter(|p| p.eq_ignore_ascii_case(prefix)).and_then(|_| digits.get(2..))
    };
    let value = if let Some(rest) = radix("0x") {
        i64::from_str_radix(rest, 16).ok()?
    } else if let Some(rest) = radix("0o") {
        i64::from_str_radix(rest, 8).ok()?
    } else if let Some(rest) = radix("0b") {
        i64::from_str_radix(rest, 2).ok()?
    } else {
        digits.parse().ok()?
    };
    if negative { value.checked_neg() } else { Some(value) }
}

/// Whether a line is an integer, of any length.
pub(super) fn is_integer(line: &[u8]) -> bool {
    let digits = line.trim_ascii().strip_suffix(b"L").unwrap_or(line.trim_ascii());
    let digits = digits.strip_prefix(b"-").or(digits.strip_prefix(b"+")).unwrap_or(digits);
    !digits.is_empty()
        && digits.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b'_' | b'x' | b'X' | b'o' | b'O'))
}

/// A two's complement little-endian integer of at most 8 bytes.
pub(super) fn long(bytes: &[u8]) -> Option<i64> {
    let mut eight = if bytes.last().is_some_and(|b| *b >= 0x80) { [0xff; 8] } else { [0; 8] };
    eight.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(eight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_read_as_python_reads_them() {
        assert_eq!(text(b'S', b"'a\\x62\\143\\n\\q'\n").unwrap(), "abc\n\\q");
        assert_eq!(text(b'S', b"\"os\"\r\n").unwrap(), "os");
        assert!(text(b'S', b"os\n").is_none());
        assert_eq!(text(b'V', b"\\u006fs\\x\n").unwrap(), "os\\x");
        assert_eq!(text(0x8c, "é".as_bytes()).unwrap(), "é");
        assert_eq!(text(b'U', b"\xe9").unwrap(), "é");
    }

    #[test]
    fn integers_read_as_python_reads_them() {
        assert_eq!(integer(b"12_3"), Some(123));
        assert_eq!(integer(b" -0x1F "), Some(-31));
        assert_eq!(integer(b"010L"), Some(10));
        assert_eq!(integer(b"0b11"), Some(3));
        assert_eq!(integer(b"x"), None);
        assert_eq!(long(&[]), Some(0));
        assert_eq!(long(&[0xff]), Some(-1));
        assert_eq!(long(&[0, 1]), Some(256));
        assert_eq!(long(&[0; 9]), None);
    }
}
