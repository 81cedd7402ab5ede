//! JSON and Base64 from outside: bounded before it is read.

use base64::{Engine as _, engine::general_purpose};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};

use crate::error::SignatureError;
use crate::limits::JSON_DEPTH_MAX;

/// Reads a document of at most `max` bytes and [`JSON_DEPTH_MAX`] levels.
pub(crate) fn parse<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
    max: usize,
) -> Result<T, SignatureError> {
    if bytes.len() > max {
        return Err(SignatureError::TooLarge { what, found: bytes.len(), max });
    }
    if depth(bytes) > JSON_DEPTH_MAX {
        return Err(SignatureError::malformed(what, format!("more than {JSON_DEPTH_MAX} levels deep")));
    }
    serde_json::from_slice(bytes).map_err(|e| SignatureError::malformed(what, e))
}

/// Deepest nesting outside strings; exact for valid JSON, some number for anything else.
fn depth(bytes: &[u8]) -> usize {
    let (mut deepest, mut level, mut quoted, mut escaped) = (0, 0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' if !quoted => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Base64 as protobuf's JSON and DSSE allow it: standard or URL-safe alphabet, padded.
pub(crate) fn base64(what: &'static str, text: &str) -> Result<Vec<u8>, SignatureError> {
    let engine =
        if text.contains(['-', '_']) { general_purpose::URL_SAFE } else { general_purpose::STANDARD };
    engine.decode(text).map_err(|e| SignatureError::malformed(what, format!("not base64: {e}")))
}

/// Bytes in Base64.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    general_purpose::STANDARD.encode(bytes)
}

/// A 64-bit number, which protobuf's JSON writes as text.
pub(crate) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i64),
        Text(String),
    }
    match Option::<Either>::deserialize(from)? {
        None => Ok(None),
        Some(Either::Number(number)) => Ok(Some(number)),
        Some(Either::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        for (text, expected) in
            [("{}", 1), ("[[{}]]", 3), (r#"{"a":"[[[["}"#, 1), (r#"["\"[["]"#, 1), ("", 0)]
        {
            assert_eq!(depth(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn limits_hold_at_the_edge() {
        let nested = |levels: usize| [vec![b'['; levels], vec![b']'; levels]].concat();
        assert!(parse::<serde_json::Value>("x", &nested(JSON_DEPTH_MAX), 100).is_ok());
        assert!(parse::<serde_json::Value>("x", &nested(JSON_DEPTH_MAX + 1), 100).is_err());
        assert!(parse::<serde_json::Value>("x", b"[]", 2).is_ok());
        assert!(matches!(parse::<serde_json::Value>("x", b"[] ", 2), Err(SignatureError::TooLarge { .. })));
    }
}
