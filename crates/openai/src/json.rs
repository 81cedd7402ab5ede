//! JSON (RFC 8259) as a tree of byte ranges: checked in full, copied nowhere. Numbers stay the bytes they were.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::{Limits, WireError};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number,
    /// A text; true when it holds no escape.
    Text(bool),
    List,
    /// A list of numbers only, kept as one value.
    Numbers,
    /// Its children are key, value, key, value.
    Object,
}

/// A value: bytes `start..end`, quotes and brackets included. The next value that is not inside it has number `after`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) start: u32,
    pub(crate) end: u32,
    after: u32,
}

/// Number of a value in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At(u32);

/// The tree. The root is the first value.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

/// What stands for a number that cannot be.
const NOTHING: Node = Node { kind: Kind::Null, start: 0, end: 0, after: 0 };
/// Keys up to which an object is compared pair by pair.
const KEYS_COMPARED: usize = 12;

impl Tree {
    pub(crate) const ROOT: At = At(0);

    /// Reads the one value in `text`.
    pub(crate) fn parse(text: &str, limits: &Limits) -> Result<Self, WireError> {
        if text.len() > limits.body_bytes || u32::try_from(text.len()).is_err() {
            return Err(WireError::Limit { what: "bytes of the body", max: limits.body_bytes });
        }
        let mut scanner =
            Scanner { text, bytes: text.as_bytes(), at: 0, nodes: Vec::with_capacity(64), limits };
        scanner.space();
        scanner.value(0)?;
        scanner.space();
        if scanner.at < scanner.bytes.len() {
            return Err(scanner.wrong("nothing after the value"));
        }
        Ok(Self { nodes: scanner.nodes })
    }

    pub(crate) fn node(&self, at: At) -> Node {
        self.nodes.get(at.0 as usize).copied().unwrap_or(NOTHING)
    }

    pub(crate) fn kind(&self, at: At) -> Kind {
        self.node(at).kind
    }

    /// The elements of a list; none for anything else.
    pub(crate) fn items(&self, at: At) -> Children<'_> {
        let node = self.node(at);
        let is = node.kind == Kind::List;
        Children { tree: self, next: at.0 + 1, end: if is { node.after } else { 0 } }
    }

    /// The fields of an object; none for anything else.
    pub(crate) fn fields<'t>(&'t self, at: At, text: &'t str) -> impl Iterator<Item = (Cow<'t, str>, At)> {
        let node = self.node(at);
        let is = node.kind == Kind::Object;
        let mut all = Children { tree: self, next: at.0 + 1, end: if is { node.after } else { 0 } };
        std::iter::from_fn(move || {
            let key = all.next()?;
            Some((self.text(key, text).unwrap_or_default(), all.next()?))
        })
    }

    /// The value of a key.
    pub(crate) fn get(&self, at: At, key: &str, text: &str) -> Option<At> {
        self.fields(at, text).find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value at a path of keys.
    pub(crate) fn find(&self, at: At, path: &[&str], text: &str) -> Option<At> {
        path.iter().try_fold(at, |at, key| self.get(at, key, text))
    }

    /// What a text says, escapes undone.
    pub(crate) fn text<'t>(&self, at: At, text: &'t str) -> Option<Cow<'t, str>> {
        let node = self.node(at);
        let Kind::Text(plain) = node.kind else { return None };
        let inside = text.get(node.start as usize + 1..(node.end as usize).checked_sub(1)?)?;
        Some(if plain { Cow::Borrowed(inside) } else { Cow::Owned(unescape(inside)) })
    }

    /// The bytes of a value.
    pub(crate) fn raw<'t>(&self, at: At, text: &'t str) -> &'t str {
        let node = self.node(at);
        text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    pub(crate) fn whole_number(&self, at: At, text: &str) -> Option<u64> {
        (self.kind(at) == Kind::Number).then(|| self.raw(at, text).parse().ok())?
    }
}

/// Values next to each other.
pub(crate) struct Children<'t> {
    tree: &'t Tree,
    next: u32,
    end: u32,
}

impl Iterator for Children<'_> {
    type Item = At;

    fn next(&mut self) -> Option<At> {
        if self.next >= self.end {
            return None;
        }
        let at = At(self.next);
        self.next = self.tree.node(at).after.max(self.next + 1);
        Some(at)
    }
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    limits: &'a Limits,
}

impl Scanner<'_> {
    fn wrong(&self, what: &'static str) -> WireError {
        WireError::NotJson { at: self.at, what }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn put(&mut self, kind: Kind, start: usize) -> Result<usize, WireError> {
        if self.nodes.len() >= self.limits.values {
            return Err(WireError::Limit { what: "the number of values", max: self.limits.values });
        }
        let number = self.nodes.len();
        self.nodes.push(Node { kind, start: short(start), end: short(self.at), after: short(number + 1) });
        Ok(number)
    }

    fn close(&mut self, number: usize) {
        let (end, after) = (short(self.at), short(self.nodes.len()));
        if let Some(node) = self.nodes.get_mut(number) {
            (node.end, node.after) = (end, after);
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), WireError> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                let plain = self.string()?;
                self.put(Kind::Text(plain), start).map(|_| ())
            }
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.list(depth + 1),
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                self.put(Kind::Number, start).map(|_| ())
            }
            Some(b't') => self.word(b"true", Kind::Bool(true)),
            Some(b'f') => self.word(b"false", Kind::Bool(false)),
            Some(b'n') => self.word(b"null", Kind::Null),
            _ => Err(self.wrong("a value should stand here")),
        }
    }

    fn word(&mut self, word: &[u8], kind: Kind) -> Result<(), WireError> {
        let start = self.at;
        if !self.bytes.get(start..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.wrong("a value should stand here"));
        }
        self.at += word.len();
        self.put(kind, start).map(|_| ())
    }

    fn deeper(&self, depth: usize) -> Result<(), WireError> {
        if depth > self.limits.depth {
            return Err(WireError::Limit { what: "the nesting of the JSON", max: self.limits.depth });
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<(), WireError> {
        self.deeper(depth)?;
        let number = self.put(Kind::List, self.at)?;
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            self.close(number);
            return Ok(());
        }
        let mut only_numbers = true;
        loop {
            let child = self.nodes.len();
            self.value(depth)?;
            only_numbers &= self.nodes.get(child).is_some_and(|n| n.kind == Kind::Number);
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                Some(b']') => break,
                _ => return Err(self.wrong("`,` or `]` should stand here")),
            }
        }
        self.at += 1;
        if only_numbers && let Some(node) = self.nodes.get_mut(number) {
            // However long it is, it stays one value.
            node.kind = Kind::Numbers;
            self.nodes.truncate(number + 1);
        }
        self.close(number);
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), WireError> {
        self.deeper(depth)?;
        let number = self.put(Kind::Object, self.at)?;
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.close(number);
            return Ok(());
        }
        let mut keys: Vec<Node> = Vec::with_capacity(8);
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a key in quotes should stand here"));
            }
            let start = self.at;
            let plain = self.string()?;
            let key = self.put(Kind::Text(plain), start)?;
            keys.extend(self.nodes.get(key).copied());
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.wrong("`:` should stand here"));
            }
            self.at += 1;
            self.space();
            self.value(depth)?;
            self.space();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.space();
                }
                Some(b'}') => break,
                _ => return Err(self.wrong("`,` or `}` should stand here")),
            }
        }
        self.at += 1;
        self.close(number);
        if self.twice(&keys) {
            let at = self.nodes.get(number).map_or(0, |n| n.start as usize);
            return Err(WireError::KeyTwice { at });
        }
        Ok(())
    }

    fn twice(&self, keys: &[Node]) -> bool {
        let said = |node: &Node| {
            let inside = self.text.get(node.start as usize + 1..(node.end as usize).saturating_sub(1));
            let inside = inside.unwrap_or_default();
            if node.kind == Kind::Text(true) { Cow::Borrowed(inside) } else { Cow::Owned(unescape(inside)) }
        };
        if keys.len() <= KEYS_COMPARED {
            let said: Vec<_> = keys.iter().map(said).collect();
            return said.iter().enumerate().any(|(n, key)| said.iter().skip(n + 1).any(|other| other == key));
        }
        let mut seen = HashSet::with_capacity(keys.len());
        !keys.iter().all(|key| seen.insert(said(key)))
    }

    /// Passes over a text; true when it holds no escape.
    fn string(&mut self) -> Result<bool, WireError> {
        let start = self.at;
        self.at += 1;
        let mut plain = true;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let stop = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20);
            let Some(stop) = stop else {
                self.at = self.bytes.len();
                return Err(self.wrong("the text has no end"));
            };
            self.at += stop;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    self.escape()?;
                }
                _ => return Err(self.wrong("a control character must be escaped")),
            }
        }
        self.at += 1;
        if self.at - start > self.limits.text_bytes {
            return Err(WireError::Limit {
                what: "the length of a text in bytes",
                max: self.limits.text_bytes,
            });
        }
        Ok(plain)
    }

    fn escape(&mut self) -> Result<(), WireError> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let first = self.unit(self.at + 2);
                let length = match first {
                    Some(0xD800..=0xDBFF) => {
                        let pair = self.bytes.get(self.at + 6..self.at + 8) == Some(b"\\u");
                        let second = self.unit(self.at + 8).filter(|u| pair && (0xDC00..=0xDFFF).contains(u));
                        second.map(|_| 12)
                    }
                    Some(0xDC00..=0xDFFF) | None => None,
                    Some(_) => Some(6),
                };
                self.at += length.ok_or_else(|| self.wrong("the escape is not a character"))?;
                Ok(())
            }
            _ => Err(self.wrong("there is no such escape")),
        }
    }

    /// Four hexadecimal digits.
    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.bytes.get(at..at + 4)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<(), WireError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else if self.digits() == 0 {
            return Err(self.wrong("a digit should stand here"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.wrong("a digit should stand here"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.wrong("a digit should stand here"));
            }
        }
        Ok(())
    }
}

/// Bodies are below 4 GiB: checked before the scan.
fn short(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Undoes the escapes of a text that was checked.
fn unescape(inside: &str) -> String {
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at).unwrap_or_default());
        let tail = rest.get(at + 1..).unwrap_or_default();
        let (character, length) = match tail.as_bytes().first() {
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(b'u') => coded(tail),
            _ => (tail.chars().next().unwrap_or('\\'), tail.chars().next().map_or(0, char::len_utf8)),
        };
        out.push(character);
        rest = tail.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The character of `u….`, and how many bytes it took.
fn coded(tail: &str) -> (char, usize) {
    let unit =
        |at: usize| u32::from_str_radix(tail.get(at..at + 4).unwrap_or_default(), 16).unwrap_or(0xFFFD);
    let first = unit(1);
    if (0xD800..0xDC00).contains(&first) {
        let code = 0x1_0000 + ((first - 0xD800) << 10) + unit(7).wrapping_sub(0xDC00).min(0x3FF);
        return (char::from_u32(code).unwrap_or('\u{FFFD}'), 11);
    }
    (char::from_u32(first).unwrap_or('\u{FFFD}'), 5)
}

/// A text as JSON, in quotes.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Tree, WireError> {
        Tree::parse(text, &Limits::default())
    }

    #[test]
    fn a_list_of_numbers_is_one_value_and_a_mixed_one_keeps_its_texts() {
        let tree = parse("[1,2.5,-3e4]").unwrap();
        assert_eq!((tree.kind(Tree::ROOT), tree.nodes.len()), (Kind::Numbers, 1));
        let text = r#"[1,2,"a",3,{"b":[4]}]"#;
        let tree = parse(text).unwrap();
        let said: Vec<_> = tree.items(Tree::ROOT).map(|at| tree.raw(at, text)).collect();
        assert_eq!(said, ["1", "2", r#""a""#, "3", r#"{"b":[4]}"#]);
    }

    #[test]
    fn a_key_twice_is_refused_even_when_it_is_written_differently() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"{"x":{"b":[],"b":{}}}"#] {
            assert!(matches!(parse(text), Err(WireError::KeyTwice { .. })), "{text}");
        }
        let many: Vec<String> = (0..40).map(|n| format!(r#""k{n}":0"#)).collect();
        assert!(parse(&format!("{{{}}}", many.join(","))).is_ok());
        assert!(parse(&format!("{{{},\"k7\":1}}", many.join(","))).is_err());
    }

    #[test]
    fn nesting_is_taken_at_the_limit_and_refused_beyond() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(parse(&nested(64)).is_ok());
        assert!(matches!(parse(&nested(65)), Err(WireError::Limit { max: 64, .. })));
        assert!(matches!(parse(&"[".repeat(1_000_000)), Err(WireError::Limit { .. })));
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for text in [
            "",
            "{",
            "{\"a\"}",
            "[1,]",
            "01",
            "1.",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\n\"",
            "nul",
            "1 2",
            "{'a':1}",
        ] {
            assert!(matches!(parse(text), Err(WireError::NotJson { .. })), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_that_serde_wrote_is_read_back(text in ".*") {
            let json = serde_json::to_string(&text).unwrap();
            let tree = parse(&json).unwrap();
            prop_assert_eq!(tree.text(Tree::ROOT, &json).unwrap(), text);
        }

        #[test]
        fn what_is_read_is_what_serde_reads(text in r#"[\[\]{}",:\\ua01e.tfn \-]{0,24}"#) {
            let serde = serde_json::from_str::<serde_json::Value>(&text);
            match parse(&text) {
                // A number beyond the range of a double is JSON, and serde refuses it.
                Ok(_) => prop_assert!(serde.map_or_else(|e| e.to_string().contains("out of range"), |_| true)),
                Err(WireError::KeyTwice { .. } | WireError::Limit { .. }) => {}
                Err(_) => prop_assert!(serde.is_err()),
            }
        }
    }
}
