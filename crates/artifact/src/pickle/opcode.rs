//! The opcodes of protocols 0 to 5: how many bytes each takes. One table for the machine, for recognition and for
//! the comparison with Python's `pickletools`.

/// How the argument of an opcode is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// No such opcode.
    Unknown,
    /// This many bytes.
    Fixed(u8),
    /// This many lines, each up to a newline.
    Lines(u8),
    /// A little-endian length of this many bytes, then as many bytes.
    Counted(u8),
    /// As `Counted(4)`, but the length is signed and must not be negative.
    Signed,
}

const fn form(op: u8) -> Form {
    match op {
        b'(' | b'.' | b'0' | b'1' | b'2' | b'N' | b'Q' | b'R' | b'a' | b'b' | b'd' | b'}' | b'e' | b'l'
        | b']' => Form::Fixed(0),
        b'o' | b's' | b't' | b')' | b'u' | 0x81 | 0x85..=0x89 | 0x8f..=0x94 | 0x97 | 0x98 => Form::Fixed(0),
        b'F' | b'I' | b'L' | b'P' | b'S' | b'V' | b'g' | b'p' => Form::Lines(1),
        b'c' | b'i' => Form::Lines(2),
        b'K' | b'h' | b'q' | 0x80 | 0x82 => Form::Fixed(1),
        b'M' | 0x83 => Form::Fixed(2),
        b'J' | b'j' | b'r' | 0x84 => Form::Fixed(4),
        b'G' | 0x95 => Form::Fixed(8),
        b'U' | b'C' | 0x8a | 0x8c => Form::Counted(1),
        b'X' | b'B' => Form::Counted(4),
        b'T' | 0x8b => Form::Signed,
        0x8d | 0x8e | 0x96 => Form::Counted(8),
        _ => Form::Unknown,
    }
}

const FORMS: [Form; 256] = {
    let mut forms = [Form::Unknown; 256];
    let mut op = 0;
    while op < 256 {
        forms[op] = form(op as u8);
        op += 1;
    }
    forms
};

/// How long an opcode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// This many bytes with its argument; a counted one may reach past what was given.
    Of(u64),
    /// Cannot be told from so few bytes.
    More,
    /// Not an opcode.
    Unknown,
    /// A length below zero.
    Negative(i32),
}

/// Length of the opcode at the front of `bytes`, with its argument.
#[inline]
pub(super) fn length(bytes: &[u8]) -> Length {
    let Some((&op, rest)) = bytes.split_first() else { return Length::More };
    match FORMS[usize::from(op)] {
        Form::Fixed(n) => {
            if rest.len() < usize::from(n) {
                Length::More
            } else {
                Length::Of(1 + u64::from(n))
            }
        }
        Form::Counted(n) => match number(rest, n) {
            Some(count) => Length::Of(count.saturating_add(1 + u64::from(n))),
            None => Length::More,
        },
        Form::Signed => match rest.first_chunk::<4>().map(|b| i32::from_le_bytes(*b)) {
            Some(count) => {
                u64::try_from(count).map_or(Length::Negative(count), |count| Length::Of(count + 5))
            }
            None => Length::More,
        },
        Form::Lines(lines) => {
            let mut end = 0;
            for _ in 0..lines {
                match rest.get(end..).and_then(|r| r.iter().position(|b| *b == b'\n')) {
                    Some(at) => end += at + 1,
                    None => return Length::More,
                }
            }
            Length::Of(1 + end as u64)
        }
        Form::Unknown => Length::Unknown,
    }
}

/// The little-endian number in the first `n` (at most 8) bytes.
#[inline]
pub(super) fn number(bytes: &[u8], n: u8) -> Option<u64> {
    let mut eight = [0; 8];
    let n = usize::from(n);
    eight.get_mut(..n)?.copy_from_slice(bytes.get(..n)?);
    Some(u64::from_le_bytes(eight))
}

/// Bytes of the length in front of a counted argument.
pub(super) const fn count_bytes(op: u8) -> u8 {
    match FORMS[op as usize] {
        Form::Counted(n) => n,
        Form::Signed => 4,
        _ => 0,
    }
}

/// Position and byte of each opcode of a stream, up to its `STOP` or to the first that cannot be told.
pub(crate) fn opcodes(bytes: &[u8]) -> Vec<(u64, u8)> {
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some(rest) = bytes.get(at..)
        && let Length::Of(length) = length(rest)
        && let Some(length) = usize::try_from(length).ok().filter(|n| *n <= rest.len())
    {
        all.push((at as u64, rest[0]));
        if rest[0] == b'.' {
            break;
        }
        at += length;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_from_the_front() {
        assert_eq!(length(b""), Length::More);
        assert_eq!(length(b"N"), Length::Of(1));
        assert_eq!(length(b"K"), Length::More);
        assert_eq!(length(b"K\x01"), Length::Of(2));
        assert_eq!(length(b"cos\nsystem\nR"), Length::Of(11));
        assert_eq!(length(b"cos\nsystem"), Length::More);
        assert_eq!(length(b"\x8c\x03os"), Length::Of(5));
        assert_eq!(length(b"T\xff\xff\xff\xff"), Length::Negative(-1));
        assert_eq!(length(b"\x96\xff\xff\xff\xff\xff\xff\xff\xff"), Length::Of(u64::MAX));
        assert_eq!(length(b"?"), Length::Unknown);
        let known = (0..=255).filter(|op| FORMS[usize::from(*op as u8)] != Form::Unknown).count();
        assert_eq!(known, 68, "as many as pickletools has");
    }
}
