//! XML 1.0, token by token. Declarations of entities are reported, never followed.

use crate::{ReadError, Source};

/// Elements inside each other.
pub(crate) const DEPTH_MAX: usize = 256;
/// Longest name, attribute or stretch of text, bytes.
const TOKEN_BYTES_MAX: usize = 16 << 20;
/// Attributes of one element.
const ATTRIBUTES_MAX: usize = 10_000;
/// Bytes read at once.
const STEP: u64 = 64 * 1024;

/// Why it is not XML.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XmlError {
    /// The text breaks the grammar.
    #[error("not XML at byte {at}: {what}")]
    Syntax {
        /// Where.
        at: u64,
        /// What was wrong.
        what: &'static str,
    },
    /// A bound of this reader was reached.
    #[error("XML too large at byte {at}: {what}")]
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
    /// An element begins: its name and attributes.
    Start(String, Vec<(String, String)>),
    /// An element ends.
    End(String),
    /// Text between elements, without entities resolved.
    Text(String),
    /// A document type declaration, whole.
    Doctype(String),
    /// A processing instruction or the XML declaration.
    Instruction(String),
}

/// Reads one document.
pub(crate) struct Reader<'a> {
    source: &'a dyn Source,
    start: u64,
    chunk: Vec<u8>,
    next: usize,
    open: Vec<String>,
    /// An element without content still has to end.
    closing: Option<String>,
    seen: bool,
}

impl<'a> Reader<'a> {
    /// A reader of all bytes.
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self { source, start: 0, chunk: Vec::new(), next: 0, open: Vec::new(), closing: None, seen: false }
    }

    /// Position of the next byte.
    pub(crate) fn position(&self) -> u64 {
        self.start + self.next as u64
    }

    fn peek(&mut self) -> Result<Option<u8>, XmlError> {
        if self.next >= self.chunk.len() {
            self.start += self.next as u64;
            self.next = 0;
            let most = STEP.min(self.source.len().saturating_sub(self.start));
            self.chunk =
                if most == 0 { Vec::new() } else { self.source.bytes(self.start, most, most)?.into_owned() };
        }
        Ok(self.chunk.get(self.next).copied())
    }

    fn syntax<T>(&self, what: &'static str) -> Result<T, XmlError> {
        Err(XmlError::Syntax { at: self.position(), what })
    }

    fn byte(&mut self) -> Result<u8, XmlError> {
        let Some(byte) = self.peek()? else { return self.syntax("it ends too early") };
        self.next += 1;
        Ok(byte)
    }

    /// Everything up to `end`, which is consumed.
    fn until(&mut self, end: &[u8]) -> Result<String, XmlError> {
        let mut bytes = Vec::new();
        loop {
            bytes.push(self.byte()?);
            if bytes.ends_with(end) {
                bytes.truncate(bytes.len() - end.len());
                return Ok(String::from_utf8_lossy(&bytes).into_owned());
            }
            if bytes.len() > TOKEN_BYTES_MAX {
                return Err(XmlError::Large { at: self.position(), what: "a stretch without end" });
            }
        }
    }

    /// The next token; `None` at the end.
    pub(crate) fn token(&mut self) -> Result<Option<Token>, XmlError> {
        if let Some(name) = self.closing.take() {
            return Ok(Some(Token::End(name)));
        }
        loop {
            let Some(byte) = self.peek()? else {
                return if self.open.is_empty() && self.seen {
                    Ok(None)
                } else {
                    self.syntax("an element does not end")
                };
            };
            if byte != b'<' {
                let text = self.text()?;
                if !text.trim_matches(['\u{feff}', ' ', '\n', '\r', '\t']).is_empty() {
                    return if self.open.is_empty() {
                        self.syntax("text outside of the root")
                    } else {
                        Ok(Some(Token::Text(text)))
                    };
                }
                continue;
            }
            self.next += 1;
            match self.peek()? {
                Some(b'?') => {
                    self.next += 1;
                    return Ok(Some(Token::Instruction(self.until(b"?>")?)));
                }
                Some(b'!') => {
                    self.next += 1;
                    if let Some(token) = self.declaration()? {
                        return Ok(Some(token));
                    }
                }
                Some(b'/') => {
                    self.next += 1;
                    let name = self.until(b">")?;
                    let name = name.trim_end();
                    if self.open.pop().as_deref() != Some(name) {
                        return self.syntax("an element ends that did not begin");
                    }
                    return Ok(Some(Token::End(name.to_owned())));
                }
                _ => return self.element().map(Some),
            }
        }
    }

    fn text(&mut self) -> Result<String, XmlError> {
        let mut bytes = Vec::new();
        while let Some(byte) = self.peek()? {
            if byte == b'<' {
                break;
            }
            let rest = &self.chunk[self.next..];
            let plain = rest.iter().position(|b| *b == b'<').unwrap_or(rest.len());
            if bytes.len() + plain > TOKEN_BYTES_MAX {
                return Err(XmlError::Large { at: self.position(), what: "a text without end" });
            }
            bytes.extend_from_slice(&rest[..plain]);
            self.next += plain;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// After `<!`: a comment, CDATA or a document type.
    fn declaration(&mut self) -> Result<Option<Token>, XmlError> {
        match self.byte()? {
            b'-' => {
                if self.byte()? != b'-' {
                    return self.syntax("a broken comment");
                }
                self.until(b"-->")?;
                Ok(None)
            }
            b'[' => {
                let head = self.until(b"[")?;
                if head != "CDATA" {
                    return self.syntax("a broken section");
                }
                self.until(b"]]>").map(|t| Some(Token::Text(t)))
            }
            _ => {
                // Brackets hold declarations of their own, and quotes hold anything.
                let (mut text, mut depth, mut quote) = (Vec::new(), 0usize, None);
                loop {
                    let byte = self.byte()?;
                    match (quote, byte) {
                        (Some(q), b) if q == b => quote = None,
                        (Some(_), _) => {}
                        (None, b'"' | b'\'') => quote = Some(byte),
                        (None, b'[' | b'<') => depth += 1,
                        (None, b']') => depth = depth.saturating_sub(1),
                        (None, b'>') if depth == 0 => {
                            return Ok(Some(Token::Doctype(String::from_utf8_lossy(&text).into_owned())));
                        }
                        (None, b'>') => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    text.push(byte);
                    if text.len() > TOKEN_BYTES_MAX {
                        return Err(XmlError::Large {
                            at: self.position(),
                            what: "a declaration without end",
                        });
                    }
                }
            }
        }
    }

    fn name(&mut self) -> Result<String, XmlError> {
        /// Longest name, bytes.
        const NAME_BYTES_MAX: usize = 1000;
        let mut name = Vec::new();
        while let Some(byte) = self.peek()? {
            if byte.is_ascii_whitespace() || matches!(byte, b'=' | b'/' | b'>' | b'<' | b'"' | b'\'') {
                break;
            }
            if name.len() >= NAME_BYTES_MAX {
                return self.syntax("a name without end");
            }
            name.push(byte);
            self.next += 1;
        }
        if name.is_empty() {
            self.syntax("a name is missing")
        } else {
            Ok(String::from_utf8_lossy(&name).into_owned())
        }
    }

    fn space(&mut self) -> Result<(), XmlError> {
        while self.peek()?.is_some_and(|b| b.is_ascii_whitespace()) {
            self.next += 1;
        }
        Ok(())
    }

    fn element(&mut self) -> Result<Token, XmlError> {
        let name = self.name()?;
        if self.open.is_empty() && self.seen {
            return self.syntax("a second root");
        }
        self.seen = true;
        if self.open.len() >= DEPTH_MAX {
            return Err(XmlError::Large { at: self.position(), what: "elements nested too deep" });
        }
        let mut attributes = Vec::new();
        loop {
            self.space()?;
            match self.byte()? {
                b'>' => {
                    self.open.push(name.clone());
                    return Ok(Token::Start(name, attributes));
                }
                b'/' => {
                    if self.byte()? != b'>' {
                        return self.syntax("a broken element");
                    }
                    self.closing = Some(name.clone());
                    return Ok(Token::Start(name, attributes));
                }
                _ => self.next -= 1,
            }
            let key = self.name()?;
            self.space()?;
            if self.byte()? != b'=' {
                return self.syntax("an attribute without a value");
            }
            self.space()?;
            let quote = self.byte()?;
            if !matches!(quote, b'"' | b'\'') {
                return self.syntax("an attribute without quotes");
            }
            let value = self.until(&[quote])?;
            if attributes.len() >= ATTRIBUTES_MAX || attributes.iter().any(|(k, _)| *k == key) {
                return self.syntax("an attribute twice, or too many");
            }
            attributes.push((key, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Token>, XmlError> {
        let bytes = text.as_bytes();
        let mut reader = Reader::new(&bytes);
        let mut tokens = Vec::new();
        while let Some(token) = reader.token()? {
            tokens.push(token);
        }
        Ok(tokens)
    }

    #[test]
    fn documents_are_read_and_broken_ones_refused() {
        let tokens = read("<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e '>'>]><a x='1' y=\"2\">t<!-- > --><b/><![CDATA[<c>]]></a>\n").unwrap();
        assert_eq!(tokens.len(), 8, "{tokens:?}");
        assert_eq!(tokens[1], Token::Doctype("OCTYPE a [<!ENTITY e '>'>]".to_owned()));
        for text in ["<a>", "<a></b>", "<a/><b/>", "<a x=1/>", "<a x='1' x='2'/>", "t", "", "<a/>t", "<a><!x"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nest = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        assert!(read(&nest(DEPTH_MAX)).is_ok());
        assert!(read(&nest(DEPTH_MAX + 1)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn survives_anything(text in "[<>/!?\\[\\]a='\" -]{0,60}") {
            let _ = read(&text);
        }
    }
}
