//! What the readers of text share: templates, documents (JSON, YAML), Python.

pub(crate) mod config;
mod config_expressions;
pub(crate) mod document;
pub(crate) mod jinja;
pub(crate) mod json;
pub(crate) mod manifests;
pub(crate) mod python;
pub(crate) mod requirements;
pub(crate) mod script;
#[cfg(test)]
mod survives;
pub(crate) mod yaml;

pub(crate) use jinja::slice;

/// Decodes base64, standard or URL alphabet, padding optional. None when it is something else.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut n) = (0u32, 0u32);
    for b in text.bytes().filter(|b| !b.is_ascii_whitespace()) {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        n += 6;
        if n >= 8 {
            n -= 8;
            out.push(u8::try_from(bits >> n & 0xff).unwrap_or_default());
        }
    }
    Some(out)
}
