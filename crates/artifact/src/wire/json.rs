//! JSON (RFC 8259) read strictly, token by token, from a source of any size.
//!
//! The usual parsers keep the last of two equal keys and forget the first. Two readers of the same file then see two
//! different models, so this one reports every duplicate, at every level. It is for formats that are defined as JSON and nothing else;
//! settings that people write, with comments and several documents in one file, are read by `text::json` into the tree that YAML
//! has too.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use crate::{ReadError, Source};

/// Arrays and objects inside each other.
pub(crate) const DEPTH_MAX: usize = 128;
/// Longest string or number, bytes.
pub(crate) const TOKEN_BYTES_MAX: usize = 16 << 20;
/// Keys of one object that are remembered to see duplicates.
const KEYS_MAX: usize = 1 << 20;
/// Values of a tree made by [`tree`].
pub(crate) const NODES_MAX: usize = 400_000;
/// Bytes read at once.
const STEP: u64 = 64 * 1024;

/// Why it is not JSON.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JsonError {
    /// The text breaks the grammar.
    #[error("not JSON at byte {at}: {what}")]
    Syntax {
        /// Where.
        at: u64,
        /// What was wrong.
        what: &'static str,
    },
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("JSON nested deeper than {DEPTH_MAX} at byte {at}")]
    Deep {
        /// Where.
        at: u64,
    },
    /// Longer or larger than the bounds of this reader.
    #[error("JSON too large at byte {at}: {what}")]
    Large {
        /// Where.
        at: u64,
        /// Which bound.
        what: &'static str,
    },
    /// The bytes could not be had.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// `{`
    Object,
    /// `}`
    EndObject,
    /// `[`
    Array,
    /// `]`
    EndArray,
    /// A member's name; `true` when the object had it already.
    Key(String, bool),
    /// A string.
    Text(String),
    /// A number, as written.
    Number(String),
    /// `true` or `false`.
    Bool(bool),
    /// `null`
    Null,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    CommaOrEnd,
    Done,
}

struct Level {
    object: bool,
    keys: HashSet<u64>,
}

/// Reads one JSON text. `length` bytes from `at` on; what follows the value must be white space.
pub(crate) struct Reader<'a> {
    source: &'a dyn Source,
    start: u64,
    end: u64,
    chunk: Vec<u8>,
    /// Next byte in `chunk`.
    next: usize,
    levels: Vec<Level>,
    expect: Expect,
    /// Without a random seed: the same text has the same duplicates everywhere, and whoever finds two keys of one hash only has a
    /// file of their own refused.
    hasher: BuildHasherDefault<DefaultHasher>,
    /// Python's `NaN` and `Infinity` are let through; RFC 8259 has neither.
    lenient: bool,
}

impl<'a> Reader<'a> {
    /// A reader of `length` bytes from `at` on.
    pub(crate) fn new(source: &'a dyn Source, at: u64, length: u64) -> Self {
        Self {
            source,
            start: at,
            end: at.saturating_add(length).min(source.len()),
            chunk: Vec::new(),
            next: 0,
            levels: Vec::new(),
            expect: Expect::Value,
            hasher: BuildHasherDefault::default(),
            lenient: false,
        }
    }

    /// Lets `NaN` and `Infinity` through, which Python writes.
    pub(crate) fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Position of the next byte in the source.
    pub(crate) fn position(&self) -> u64 {
        self.start + self.next as u64
    }

    fn peek(&mut self) -> Result<Option<u8>, JsonError> {
        if self.next >= self.chunk.len() {
            self.start += self.next as u64;
            self.next = 0;
            let most = STEP.min(self.end.saturating_sub(self.start));
            self.chunk =
                if most == 0 { Vec::new() } else { self.source.bytes(self.start, most, most)?.into_owned() };
        }
        Ok(self.chunk.get(self.next).copied())
    }

    fn syntax<T>(&self, what: &'static str) -> Result<T, JsonError> {
        Err(JsonError::Syntax { at: self.position(), what })
    }

    fn space(&mut self) -> Result<Option<u8>, JsonError> {
        loop {
            match self.peek()? {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.next += 1,
                other => return Ok(other),
            }
        }
    }

    /// The next token; `None` after the value and the white space behind it.
    pub(crate) fn token(&mut self) -> Result<Option<Token>, JsonError> {
        loop {
            let Some(byte) = self.space()? else {
                return if self.expect == Expect::Done { Ok(None) } else { self.syntax("it ends too early") };
            };
            match (self.expect, byte) {
                (Expect::Done, _) => return self.syntax("something follows the value"),
                (Expect::CommaOrEnd, b',') => {
                    self.next += 1;
                    let object = self.levels.last().is_some_and(|l| l.object);
                    self.expect = if object { Expect::Key } else { Expect::Value };
                }
                (Expect::CommaOrEnd | Expect::KeyOrEnd, b'}') if self.in_object() => {
                    return self.close(Token::EndObject).map(Some);
                }
                (Expect::CommaOrEnd | Expect::ValueOrEnd, b']') if !self.in_object() => {
                    return self.close(Token::EndArray).map(Some);
                }
                (Expect::CommaOrEnd, _) => return self.syntax("a comma or an end is missing"),
                (Expect::Key | Expect::KeyOrEnd, b'"') => return self.key().map(Some),
                (Expect::Key | Expect::KeyOrEnd, _) => return self.syntax("a key is missing"),
                (Expect::Value | Expect::ValueOrEnd, _) => return self.value(byte).map(Some),
            }
        }
    }

    fn in_object(&self) -> bool {
        self.levels.last().is_some_and(|l| l.object)
    }

    fn close(&mut self, token: Token) -> Result<Token, JsonError> {
        self.next += 1;
        self.levels.pop();
        self.after_value();
        Ok(token)
    }

    fn after_value(&mut self) {
        self.expect = if self.levels.is_empty() { Expect::Done } else { Expect::CommaOrEnd };
    }

    fn key(&mut self) -> Result<Token, JsonError> {
        let key = self.string()?;
        if self.space()? != Some(b':') {
            return self.syntax("a colon is missing");
        }
        self.next += 1;
        self.expect = Expect::Value;
        let (hash, at) = (self.hasher.hash_one(&key), self.position());
        let mut twice = false;
        if let Some(level) = self.levels.last_mut() {
            if level.keys.len() >= KEYS_MAX {
                return Err(JsonError::Large { at, what: "too many keys in one object" });
            }
            twice = !level.keys.insert(hash);
        }
        Ok(Token::Key(key, twice))
    }

    fn value(&mut self, byte: u8) -> Result<Token, JsonError> {
        match byte {
            b'{' | b'[' => {
                if self.levels.len() >= DEPTH_MAX {
                    return Err(JsonError::Deep { at: self.position() });
                }
                self.next += 1;
                let object = byte == b'{';
                self.levels.push(Level { object, keys: HashSet::new() });
                self.expect = if object { Expect::KeyOrEnd } else { Expect::ValueOrEnd };
                Ok(if object { Token::Object } else { Token::Array })
            }
            b'"' => {
                let text = self.string()?;
                self.after_value();
                Ok(Token::Text(text))
            }
            _ => {
                let word = self.word()?;
                self.after_value();
                match word.as_str() {
                    "true" => Ok(Token::Bool(true)),
                    "false" => Ok(Token::Bool(false)),
                    "null" => Ok(Token::Null),
                    "NaN" | "Infinity" | "-Infinity" if self.lenient => Ok(Token::Number(word)),
                    _ if is_number(&word) => Ok(Token::Number(word)),
                    _ => self.syntax("neither a value nor a number"),
                }
            }
        }
    }

    /// A run of characters that numbers and words are made of.
    fn word(&mut self) -> Result<String, JsonError> {
        /// Longest number, bytes: f64 needs 25, a few writers give more digits.
        const WORD_BYTES_MAX: usize = 400;
        let mut word = String::new();
        while let Some(byte) = self.peek()? {
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')) {
                break;
            }
            if word.len() >= WORD_BYTES_MAX {
                return Err(JsonError::Large { at: self.position(), what: "a number without end" });
            }
            word.push(char::from(byte));
            self.next += 1;
        }
        Ok(word)
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.next += 1;
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            if self.peek()?.is_none() {
                return self.syntax("a string does not end");
            }
            // Plain bytes in one go.
            let rest = &self.chunk[self.next..];
            let plain =
                rest.iter().position(|b| matches!(b, b'"' | b'\\') || *b < 0x20).unwrap_or(rest.len());
            if bytes.len() + plain > TOKEN_BYTES_MAX {
                return Err(JsonError::Large { at: self.position(), what: "a string without end" });
            }
            bytes.extend_from_slice(&rest[..plain]);
            self.next += plain;
            match self.peek()? {
                Some(b'"') => {
                    self.next += 1;
                    let at = self.position();
                    return String::from_utf8(bytes).map_err(|_| JsonError::Syntax { at, what: "not UTF-8" });
                }
                Some(b'\\') => {
                    self.next += 1;
                    let c = self.escape()?;
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(b) if b < 0x20 => return self.syntax("a control character in a string"),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let Some(byte) = self.peek()? else { return self.syntax("a string does not end") };
        self.next += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex4()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                if self.peek()? != Some(b'\\') {
                    return Ok(char::REPLACEMENT_CHARACTER);
                }
                self.next += 1;
                if self.peek()? != Some(b'u') {
                    return self.escape_after_lone_half();
                }
                self.next += 1;
                let second = self.hex4()?;
                let low = second.wrapping_sub(0xdc00) & 0x3ff;
                char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low)
                    .unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return self.syntax("an escape that JSON does not have"),
        })
    }

    /// Half a surrogate pair, and then an ordinary escape: the half is dropped.
    fn escape_after_lone_half(&mut self) -> Result<char, JsonError> {
        let Some(byte) = self.peek()? else { return self.syntax("a string does not end") };
        self.next += 1;
        match byte {
            b'"' | b'\\' | b'/' => Ok(char::from(byte)),
            b'b' | b'f' | b'n' | b'r' | b't' => Ok(' '),
            _ => self.syntax("an escape that JSON does not have"),
        }
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek()?.and_then(|b| char::from(b).to_digit(16));
            let Some(digit) = digit else { return self.syntax("four hexadecimal digits are missing") };
            self.next += 1;
            value = value * 16 + digit;
        }
        Ok(value)
    }
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
fn is_number(word: &str) -> bool {
    let rest = word.strip_prefix('-').unwrap_or(word);
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return false;
    }
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let n = digits(fraction);
        if n == 0 {
            return false;
        }
        rest = &fraction[n..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

/// A small JSON text as a tree. Objects keep all members, also duplicates, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `null`, `true`, `false`, a number.
    Plain(String),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The last member of this name: what most readers see.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Object(members) => members.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// A string.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A member that is a string.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::text)
    }
}

/// A tree and the keys that occur twice in one object.
pub(crate) type Tree = (Value, Vec<String>);

/// Reads a JSON text of at most [`NODES_MAX`] values.
///
/// # Errors
/// [`JsonError`].
pub(crate) fn tree(source: &dyn Source, at: u64, length: u64) -> Result<Tree, JsonError> {
    let mut reader = Reader::new(source, at, length).lenient();
    let mut stack: Vec<(Value, Option<String>)> = Vec::new();
    let mut twice = Vec::new();
    let mut key = None;
    let mut root = None;
    let mut nodes = 0;
    while let Some(token) = reader.token()? {
        nodes += 1;
        if nodes > NODES_MAX {
            return Err(JsonError::Large { at: reader.position(), what: "too many values" });
        }
        let done = match token {
            Token::Object => {
                stack.push((Value::Object(Vec::new()), key.take()));
                continue;
            }
            Token::Array => {
                stack.push((Value::List(Vec::new()), key.take()));
                continue;
            }
            Token::Key(name, seen) => {
                if seen && twice.len() < 20 {
                    twice.push(name.clone());
                }
                key = Some(name);
                continue;
            }
            Token::EndObject | Token::EndArray => {
                let Some((value, name)) = stack.pop() else { continue };
                key = name;
                value
            }
            Token::Text(text) => Value::Text(text),
            Token::Number(number) => Value::Plain(number),
            Token::Bool(b) => Value::Plain(b.to_string()),
            Token::Null => Value::Plain("null".to_owned()),
        };
        match stack.last_mut() {
            Some((Value::Object(members), _)) => members.push((key.take().unwrap_or_default(), done)),
            Some((Value::List(list), _)) => list.push(done),
            _ => root = Some(done),
        }
    }
    root.map(|root| (root, twice)).ok_or(JsonError::Syntax { at, what: "it is empty" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tree, JsonError> {
        tree(&text.as_bytes(), 0, text.len() as u64)
    }

    #[test]
    fn agrees_with_serde_json_on_what_is_json() {
        for text in [
            "{}",
            "[]",
            "0",
            "-0.5e+3",
            "01",
            "1.",
            ".5",
            "+1",
            "\"\\u00e9\\ud83d\\ude00\"",
            "\"\\x\"",
            "{\"a\":1,}",
            "[1 2]",
            "[1,]",
            "{\"a\"}",
            "{\"a\":{\"b\":[null,true,false]}}",
            "tru",
            "\"\u{1}\"",
            "{} {}",
            " [ ] ",
            "",
        ] {
            let theirs = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(read(text).is_ok(), theirs, "{text}");
        }
        let (value, _) = read("{\"a\":\"\\ud83d\\ude00\"}").unwrap();
        assert_eq!(value.text_of("a"), Some("😀"));
    }

    #[test]
    fn duplicate_keys_are_seen_at_every_level() {
        assert_eq!(read(r#"{"a":{"b":1,"c":2,"b":3}}"#).unwrap().1, ["b"]);
        assert_eq!(read(r#"{"a":{"b":1},"c":{"b":2}}"#).unwrap().1, [""; 0]);
        assert_eq!(read(r#"{"\u0061":1,"a":2}"#).unwrap().1, ["a"]);
    }

    #[test]
    fn depth_is_bounded() {
        let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(read(&nest(DEPTH_MAX)).is_ok());
        assert!(matches!(read(&nest(DEPTH_MAX + 1)), Err(JsonError::Deep { .. })));
    }

    proptest::proptest! {
        #[test]
        fn survives_anything(text in "[\\[\\]{},:\"a0\\\\ ntu.e-]{0,60}") {
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            let ours = read(&text).is_ok();
            // serde_json refuses lone halves of surrogate pairs and numbers beyond f64, Python does not.
            proptest::prop_assert!(ours || !theirs, "{}", text);
        }
    }
}
