//! JSON read from front to back, whatever its size, with Python's extensions (`NaN`, comments are not).

use super::document::{Builder, Document, Node};
use crate::{ReadError, Source};

/// Longest text in a document, bytes.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Bytes read at once.
const STEP: u64 = 256 * 1024;

/// Why a document could not be read.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Where.
    pub(crate) byte: u64,
    /// Why.
    pub(crate) reason: String,
    /// What was read before.
    pub(crate) document: Document,
}

/// Reads a document. `lines`: several documents, one a line.
///
/// # Errors
/// Where and why it is no JSON, with what was read before.
pub(crate) fn read(source: &dyn Source) -> Result<Document, Broken> {
    let mut reader = Reader { source, buffer: Vec::new(), start: 0, at: 0, failed: None };
    let mut builder = Builder::default();
    match reader.documents(&mut builder) {
        Ok(()) => Ok(builder.finish()),
        Err(reason) => {
            let reason = reader.failed.take().map_or(reason, |e| e.to_string());
            Err(Broken { byte: reader.start + reader.at as u64, reason, document: builder.finish() })
        }
    }
}

struct Reader<'a> {
    source: &'a dyn Source,
    buffer: Vec<u8>,
    /// Position in the source of `buffer[0]`.
    start: u64,
    at: usize,
    failed: Option<ReadError>,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<u8> {
        if self.at >= self.buffer.len() {
            self.start += self.buffer.len() as u64;
            self.at = 0;
            let want = STEP.min(self.source.len().saturating_sub(self.start));
            if want == 0 {
                self.buffer.clear();
                return None;
            }
            match self.source.bytes(self.start, want, STEP) {
                Ok(bytes) => {
                    self.buffer.clear();
                    self.buffer.extend_from_slice(&bytes);
                }
                Err(e) => {
                    self.failed = Some(e);
                    self.buffer.clear();
                }
            }
        }
        self.buffer.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// White space, and the comments that settings of some tools have.
    fn space(&mut self) {
        loop {
            while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0c)) {
                self.at += 1;
            }
            if self.peek() != Some(b'/') {
                return;
            }
            self.at += 1;
            match self.next() {
                Some(b'/') => while self.next().is_some_and(|b| b != b'\n') {},
                Some(b'*') => {
                    let mut last = 0;
                    while let Some(byte) = self.next() {
                        if last == b'*' && byte == b'/' {
                            break;
                        }
                        last = byte;
                    }
                }
                _ => return,
            }
        }
    }

    fn documents(&mut self, into: &mut Builder) -> Result<(), String> {
        // A byte order mark.
        if self.peek() == Some(0xef) {
            for expected in [0xef, 0xbb, 0xbf] {
                if self.next() != Some(expected) {
                    return Err("no JSON".to_owned());
                }
            }
        }
        self.space();
        while self.peek().is_some() {
            self.value(into)?;
            self.space();
        }
        if self.failed.is_some() { Err(String::new()) } else { Ok(()) }
    }

    /// One value with all that is in it; the nesting is kept in a list, not on the stack.
    fn value(&mut self, into: &mut Builder) -> Result<(), String> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.space();
            let first = self.peek().ok_or("the document ends in the middle")?;
            let mut ended = true;
            match first {
                b'{' | b'[' => {
                    self.at += 1;
                    into.begin(first == b'{')?;
                    open.push(first);
                    self.space();
                    let close = if first == b'{' { b'}' } else { b']' };
                    if self.peek() == Some(close) {
                        self.at += 1;
                        open.pop();
                        into.end();
                    } else {
                        if first == b'{' {
                            self.name(into)?;
                        }
                        ended = false;
                    }
                }
                b'"' => {
                    let text = self.text()?;
                    into.scalar(Node::Text(text));
                }
                _ => {
                    let node = self.word()?;
                    into.scalar(node);
                }
            }
            if !ended {
                continue;
            }
            loop {
                let Some(&container) = open.last() else { return Ok(()) };
                self.space();
                match (self.next().ok_or("the document ends in the middle")?, container) {
                    (b',', _) => {
                        self.space();
                        // A comma before the end, as some writers leave it.
                        if matches!(self.peek(), Some(b'}' | b']')) {
                            continue;
                        }
                        if container == b'{' {
                            self.name(into)?;
                        }
                        break;
                    }
                    (b'}', b'{') | (b']', b'[') => {
                        open.pop();
                        into.end();
                    }
                    (other, _) => return Err(format!("`{}` is not expected here", char::from(other))),
                }
            }
        }
    }

    fn name(&mut self, into: &mut Builder) -> Result<(), String> {
        self.space();
        if self.peek() != Some(b'"') {
            return Err("a name is missing".to_owned());
        }
        let name = self.text()?;
        into.name(name);
        self.space();
        if self.next() == Some(b':') { Ok(()) } else { Err("`:` is missing".to_owned()) }
    }

    fn text(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let byte = self.next().ok_or("a text is not closed")?;
            match byte {
                b'"' => break,
                b'\\' => {
                    let c = self.escape()?;
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => bytes.push(byte),
            }
            if bytes.len() > TEXT_BYTES_MAX {
                return Err(format!("a text is longer than {TEXT_BYTES_MAX} bytes"));
            }
        }
        String::from_utf8(bytes).map_err(|_| "a text is not UTF-8".to_owned())
    }

    fn escape(&mut self) -> Result<char, String> {
        Ok(match self.next().ok_or("a text is not closed")? {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let high = self.hex()?;
                if (0xd800..0xdc00).contains(&high) && self.peek() == Some(b'\\') {
                    self.at += 1;
                    if self.next() != Some(b'u') {
                        return Err("half of a character".to_owned());
                    }
                    let low = self.hex()?;
                    let code = 0x10000 + ((high - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
                    return Ok(char::from_u32(code).unwrap_or('\u{fffd}'));
                }
                char::from_u32(high).unwrap_or('\u{fffd}')
            }
            other => char::from(other),
        })
    }

    fn hex(&mut self) -> Result<u32, String> {
        let mut n = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|b| char::from(b).to_digit(16)).ok_or("an escape is broken")?;
            n = n * 16 + digit;
        }
        Ok(n)
    }

    fn word(&mut self) -> Result<Node, String> {
        let mut word = String::new();
        while let Some(byte) = self.peek() {
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')) {
                break;
            }
            word.push(char::from(byte));
            self.at += 1;
            if word.len() > 4096 {
                return Err("a number is longer than 4096 digits".to_owned());
            }
        }
        Ok(match word.as_str() {
            "null" => Node::Null,
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            "NaN" | "Infinity" | "-Infinity" => Node::Number(word),
            _ if word.starts_with(|c: char| c.is_ascii_digit() || c == '-')
                && word.len() > usize::from(word.starts_with('-')) =>
            {
                Node::Number(word)
            }
            _ => return Err("no JSON value".to_owned()),
        })
    }
}

/// Whether bytes begin like a JSON object or list.
pub(crate) fn looks_like(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut bytes = head.iter().copied().filter(|b| !b.is_ascii_whitespace());
    match (bytes.next(), bytes.next()) {
        (Some(b'{'), None | Some(b'"' | b'}')) => true,
        (Some(b'['), None | Some(b'"' | b'{' | b'[' | b']' | b'-' | b'0'..=b'9' | b'n' | b't' | b'f')) => {
            let word: Vec<u8> = head.iter().copied().skip_while(|b| *b != b'[').skip(1).take(64).collect();
            !word.first().is_some_and(u8::is_ascii_alphabetic)
                || [&b"null"[..], b"true", b"false"].iter().any(|w| word.starts_with(w))
        }
        _ => false,
    }
}
