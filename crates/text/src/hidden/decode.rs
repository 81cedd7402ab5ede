//! Decoders of small codes. Each gives nothing for what is not of its code.

/// Codes of [`shift`]: 1 to 25 are places in the alphabet, then Atbash, then backwards.
pub(super) const ATBASH: u8 = 26;
pub(super) const BACKWARDS: u8 = 27;

fn text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok().map(|text| text.trim_matches('\0').to_owned())
}

fn digits(run: &str, value: fn(u8) -> Option<u32>, bits: u32) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(run.len());
    let (mut held, mut count) = (0_u32, 0);
    for byte in run.bytes() {
        held = (held << bits | value(byte)?) & 0xffff;
        count += bits;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(held >> count & 0xff).ok()?);
        }
    }
    Some(out)
}

/// Base64 of either alphabet, padded or not.
pub(super) fn base64(run: &str) -> Option<String> {
    text(digits(run.trim_end_matches('='), value64, 6)?)
}

fn value64(byte: u8) -> Option<u32> {
    Some(match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// Base32 in capitals.
pub(super) fn base32(run: &str) -> Option<String> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'2'..=b'7' => Some(u32::from(byte - b'2') + 26),
        _ => None,
    };
    text(digits(run.trim_end_matches('='), value, 5)?)
}

/// Pairs of hexadecimal digits, with or without a leading `0x`.
pub(super) fn hex(run: &str) -> Option<String> {
    let run = run.strip_prefix("0x").unwrap_or(run);
    if !run.len().is_multiple_of(2) {
        return None;
    }
    text(digits(run, |byte| char::from(byte).to_digit(16), 4)?)
}

/// Groups of eight binary digits.
pub(super) fn binary(run: &str) -> Option<String> {
    if !run.len().is_multiple_of(8) {
        return None;
    }
    text(digits(run, |byte| matches!(byte, b'0' | b'1').then(|| u32::from(byte - b'0')), 1)?)
}

/// The character of a decimal code between blanks or commas: printable ASCII.
pub(super) fn code(word: &[u8]) -> Option<char> {
    let word = word.strip_suffix(b",").unwrap_or(word);
    if !(2..=3).contains(&word.len()) || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = word.iter().fold(0_u32, |sum, &byte| sum * 10 + u32::from(byte - b'0'));
    char::from_u32(value).filter(|c| (' '..='~').contains(c))
}

/// A run with at least four escapes (`%69`, `\x69`, `\u0069`, `&#105;`, `&#x69;`), what stands between them kept.
pub(super) fn escapes(run: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = run;
    let mut count = 0;
    while let Some(c) = rest.chars().next() {
        if let Some((said, after)) = escape(rest) {
            out.push(said);
            rest = after;
            count += 1;
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..)?;
        }
    }
    // Escapes of letters are hiding; a link has them for blanks and signs.
    let letters = out.chars().filter(char::is_ascii_alphabetic).count();
    (count >= 4 && count * 2 >= letters).then_some(out)
}

fn escape(rest: &str) -> Option<(char, &str)> {
    let number = |body: &str, radix: u32| u32::from_str_radix(body, radix).ok().and_then(char::from_u32);
    let take = |body: &'_ str, digits: usize| -> Option<(char, usize)> {
        Some((number(body.get(..digits)?, 16)?, digits))
    };
    if let Some(body) = rest.strip_prefix('%') {
        let (said, used) = take(body, 2)?;
        return Some((said, body.get(used..)?));
    }
    if let Some(body) = rest.strip_prefix("\\x") {
        let (said, used) = take(body, 2)?;
        return Some((said, body.get(used..)?));
    }
    if let Some(body) = rest.strip_prefix("\\u") {
        let (said, used) = take(body, 4)?;
        return Some((said, body.get(used..)?));
    }
    let body = rest.strip_prefix("&#")?;
    let end = body.as_bytes().iter().take(9).position(|&b| b == b';')?;
    let name = body.get(..end)?;
    let said = match name.strip_prefix(['x', 'X']) {
        Some(hex) => number(hex, 16)?,
        None => number(name, 10)?,
    };
    Some((said, body.get(end + 1..)?))
}

/// The letter that a sign stands for.
pub(super) const fn leet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'0' => b'o',
        b'1' | b'!' => b'i',
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'7' => b't',
        b'8' => b'b',
        b'9' => b'g',
        _ => return None,
    })
}

const MORSE: [&str; 26] = [
    ".-", "-...", "-.-.", "-..", ".", "..-.", "--.", "....", "..", ".---", "-.-", ".-..", "--", "-.", "---",
    ".--.", "--.-", ".-.", "...", "-", "..-", "...-", ".--", "-..-", "-.--", "--..",
];

/// Morse signs between blanks; nothing unless eight letters, both signs and two vowels come out.
pub(super) fn morse(run: &str) -> Option<String> {
    let mut said = String::new();
    let mut bad = 0;
    for sign in run.split_ascii_whitespace() {
        if sign.starts_with(['/', '|']) {
            said.push(' ');
            continue;
        }
        match MORSE.iter().zip('A'..='Z').find(|(code, _)| **code == sign) {
            Some((_, letter)) => said.push(letter),
            None => bad += 1,
        }
    }
    let letters = said.chars().filter(char::is_ascii_alphabetic).count();
    let mut kinds: Vec<char> = said.chars().filter(char::is_ascii_alphabetic).collect();
    kinds.sort_unstable();
    kinds.dedup();
    (letters >= 8 && kinds.len() >= 5 && bad * 5 <= letters).then_some(said)
}

fn turn(byte: u8, places: u8, base: u8) -> u8 {
    base + (byte - base + places) % 26
}

/// `plain` in a code.
pub(super) fn shift(plain: &str, code: u8) -> String {
    if code == BACKWARDS {
        return plain.chars().rev().collect();
    }
    let one =
        |byte: u8, base: u8| if code == ATBASH { base + 25 - (byte - base) } else { turn(byte, code, base) };
    plain
        .chars()
        .map(|c| match u8::try_from(c) {
            Ok(byte @ b'a'..=b'z') => char::from(one(byte, b'a')),
            Ok(byte @ b'A'..=b'Z') => char::from(one(byte, b'A')),
            _ => c,
        })
        .collect()
}

/// `coded` taken back.
pub(super) fn unshift(coded: &str, code: u8) -> String {
    if code >= ATBASH { shift(coded, code) } else { shift(coded, 26 - code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_taken_back() {
        for code in 1..=BACKWARDS {
            assert_eq!(
                unshift(&shift("Ignore all, please: é", code), code),
                "Ignore all, please: é",
                "{code}"
            );
        }
    }

    #[test]
    fn what_is_not_of_a_code_gives_nothing() {
        assert_eq!(base64("not base64!"), None);
        assert_eq!(hex("abc"), None);
        assert_eq!(binary("0101"), None);
        assert_eq!(escapes("50%off"), None);
        assert_eq!(base32("MFRGG==="), Some("abc".to_owned()));
    }
}
