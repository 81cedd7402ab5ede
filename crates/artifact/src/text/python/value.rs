//! What a Python expression is known to be, without running it.

use super::lexer::HOLE;

/// A value, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Unknown,
    /// Text or bytes (one character a byte), with holes.
    Text(String),
    Int(i128),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// A module, or what is in it: `os`, `os.system`.
    Path(String),
    /// What calling that gave.
    Made(String),
    /// A method of a text, before it is called.
    Method(String, String),
    /// What was decoded, decompressed, received or read by the code itself: code, if it is run.
    Outside(String),
}

/// Longest text and list that are followed.
pub(super) const SIZE_MAX: usize = 1 << 20;

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        let text: String = text.into();
        if text.len() > SIZE_MAX { Self::Text(HOLE.to_string()) } else { Self::Text(text) }
    }

    /// The text, when all of it is known.
    pub(super) fn constant(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.contains(HOLE) => Some(text),
            _ => None,
        }
    }

    pub(super) fn int(&self) -> Option<i128> {
        if let Self::Int(n) = self { Some(*n) } else { None }
    }

    pub(super) fn as_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Int(n) => n.to_string(),
            _ => HOLE.to_string(),
        }
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => {
                format!("'{}'", text.replace(HOLE, "…").chars().take(120).collect::<String>())
            }
            Self::Int(n) => n.to_string(),
            Self::Path(path) => path.clone(),
            Self::Made(path) => format!("{path}(…)"),
            Self::List(items) => {
                format!("[{}]", items.iter().take(8).map(Self::shown).collect::<Vec<_>>().join(", "))
            }
            Self::Outside(what) => format!("<{what}>"),
            _ => "…".to_owned(),
        }
    }
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

fn text_of(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().map(|b| char::from(*b)).collect(), str::to_owned)
}

/// A method of a known text.
pub(super) fn method(text: &str, name: &str, arguments: &[Value]) -> Value {
    let one = arguments.first().and_then(Value::constant);
    let made = match name {
        "lower" | "casefold" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        "title" | "capitalize" => {
            let mut chars = text.chars();
            chars
                .next()
                .map(|c| c.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase())
                .unwrap_or_default()
        }
        "swapcase" => text
            .chars()
            .map(|c| if c.is_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() })
            .collect(),
        "strip" | "lstrip" | "rstrip" => {
            let cut = |c: char| one.map_or(c.is_whitespace(), |o| o.contains(c));
            match name {
                "strip" => text.trim_matches(cut),
                "lstrip" => text.trim_start_matches(cut),
                _ => text.trim_end_matches(cut),
            }
            .to_owned()
        }
        "replace" => match (one, arguments.get(1)) {
            (Some(from), Some(to)) if !from.is_empty() => text.replace(from, &to.as_text()),
            _ => return Value::Text(HOLE.to_string()),
        },
        "encode" => text.to_owned(),
        "decode" => match one {
            Some("hex" | "base64" | "rot13" | "rot_13") => return decode(one.unwrap_or_default(), text),
            _ => bytes_of(text).map_or_else(|| text.to_owned(), |b| text_of(&b)),
        },
        "hex" => return Value::Text(HOLE.to_string()),
        "format" | "format_map" => {
            let mut out = String::new();
            let mut rest = text;
            let mut next = 0usize;
            while let Some((before, after)) = rest.split_once('{') {
                out.push_str(before);
                let Some((field, after)) = after.split_once('}') else { break };
                let root: String = field.chars().take_while(|c| c.is_ascii_digit()).collect();
                let index = root.parse().unwrap_or(next);
                next += 1;
                out.push_str(&arguments.get(index).map_or_else(|| HOLE.to_string(), Value::as_text));
                rest = after;
                if out.len() > SIZE_MAX {
                    break;
                }
            }
            out + rest
        }
        "join" => match arguments.first() {
            Some(Value::List(items)) => items.iter().map(Value::as_text).collect::<Vec<_>>().join(text),
            Some(Value::Text(inner)) => inner.chars().map(String::from).collect::<Vec<_>>().join(text),
            _ => HOLE.to_string(),
        },
        "split" | "rsplit" => {
            let items: Vec<Value> = match one {
                Some(at) if !at.is_empty() => text.split(at).take(4096).map(Value::text).collect(),
                _ => text.split_whitespace().take(4096).map(Value::text).collect(),
            };
            return Value::List(items);
        }
        "translate" | "zfill" | "ljust" | "rjust" => HOLE.to_string(),
        _ => return Value::Unknown,
    };
    Value::text(made)
}

/// Undoes an encoding; what cannot be undone here is code from outside.
pub(super) fn decode(kind: &str, text: &str) -> Value {
    let outside = || Value::Outside(format!("decoded {kind}"));
    let decoded = match kind {
        "base64" | "b64decode" | "urlsafe_b64decode" | "standard_b64decode" | "decodebytes"
        | "decodestring" | "a2b_base64" => crate::text::decode_base64(text).map(|b| text_of(&b)),
        "hex" | "unhexlify" | "a2b_hex" | "fromhex" | "b16decode" => {
            let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
            Some(text_of(
                &digits
                    .chunks(2)
                    .filter_map(|p| u8::try_from(p.iter().fold(0, |n, d| n * 16 + d)).ok())
                    .collect::<Vec<_>>(),
            ))
        }
        "rot13" | "rot_13" => Some(
            text.chars()
                .map(|c| match c {
                    'a'..='z' => char::from((c as u8 - b'a' + 13) % 26 + b'a'),
                    'A'..='Z' => char::from((c as u8 - b'A' + 13) % 26 + b'A'),
                    c => c,
                })
                .collect(),
        ),
        "utf-8" | "utf8" | "ascii" | "latin-1" | "latin1" => Some(text.to_owned()),
        _ => None,
    };
    match decoded {
        Some(text) if text.chars().all(|c| !c.is_control() || c.is_whitespace()) => Value::text(text),
        _ => outside(),
    }
}
