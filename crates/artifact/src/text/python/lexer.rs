//! Python as tokens: names, texts with their escapes undone, numbers, operators, lines and indentation.

use crate::text::jinja::unescape;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    /// A text or bytes; the expressions of an f-string beside it, their places are holes in the text.
    Text(String, Vec<String>),
    Int(i128),
    Op(&'static str),
    Newline,
    Indent,
    Dedent,
}

/// Stands in a text for what is not known.
pub(super) const HOLE: char = '\u{fffc}';

const OPERATORS: [&str; 47] = [
    "**=", "//=", ">>=", "<<=", "...", "!=", "==", "<=", ">=", "->", ":=", "+=", "-=", "*=", "/=", "%=",
    "&=", "|=", "^=", "@=", "**", "//", "<<", ">>", "+", "-", "*", "/", "%", "@", "&", "|", "^", "~", "<",
    ">", "=", "(", ")", "[", "]", "{", "}", ",", ":", ".", ";",
];

/// Tokens with the byte where each begins. What is no Python is left out and counted.
pub(super) struct Tokens {
    pub(super) all: Vec<(usize, Token)>,
    /// Characters that are no Python, and texts that are not closed.
    pub(super) odd: usize,
}

/// Splits source text.
pub(super) fn tokens(source: &str) -> Tokens {
    let mut lexer = Lexer {
        source,
        at: 0,
        out: Tokens { all: Vec::new(), odd: 0 },
        open: 0,
        indents: vec![0],
        fresh: true,
    };
    while lexer.at < source.len() {
        lexer.step();
    }
    lexer.push(Token::Newline);
    for _ in 1..lexer.indents.len() {
        lexer.push(Token::Dedent);
    }
    lexer.out
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    out: Tokens,
    /// Brackets that are open.
    open: usize,
    indents: Vec<usize>,
    /// At the beginning of a line.
    fresh: bool,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn push(&mut self, token: Token) {
        self.out.all.push((self.at, token));
    }

    fn step(&mut self) {
        if self.fresh && self.open == 0 {
            self.indentation();
        }
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return };
        match first {
            '\n' => {
                if self.open == 0 && !matches!(self.out.all.last(), Some((_, Token::Newline)) | None) {
                    self.push(Token::Newline);
                }
                self.at += 1;
                self.fresh = self.open == 0;
            }
            ' ' | '\t' | '\r' | '\x0c' | '\u{feff}' | '\u{a0}' => self.at += first.len_utf8(),
            '\\' => {
                let line = if rest.starts_with("\\\r\n") { 3 } else { 2 };
                let skip = rest.get(..line).map_or(1, str::len);
                self.at += skip;
            }
            '#' => self.at += rest.find('\n').unwrap_or(rest.len()),
            '\'' | '"' => self.text(""),
            '0'..='9' => self.number(),
            _ if first == '_' || first.is_alphabetic() => {
                let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
                let word = rest.get(..end).unwrap_or_default();
                let quote = matches!(rest.as_bytes().get(end), Some(b'\'' | b'"'));
                if quote
                    && word.len() <= 2
                    && word
                        .chars()
                        .all(|c| matches!(c, 'r' | 'b' | 'u' | 'f' | 't' | 'R' | 'B' | 'U' | 'F' | 'T'))
                {
                    self.at += end;
                    let prefix = word.to_ascii_lowercase();
                    self.text(&prefix);
                } else {
                    self.push(Token::Name(word.to_owned()));
                    self.at += end;
                }
            }
            _ => match OPERATORS.iter().find(|op| rest.starts_with(**op)) {
                Some(op) => {
                    match *op {
                        "(" | "[" | "{" => self.open += 1,
                        ")" | "]" | "}" => self.open = self.open.saturating_sub(1),
                        _ => {}
                    }
                    self.push(Token::Op(op));
                    self.at += op.len();
                }
                None => {
                    // `%magic`, `!shell` and `$` of notebooks and templates.
                    self.out.odd += 1;
                    self.at += first.len_utf8();
                }
            },
        }
    }

    fn indentation(&mut self) {
        self.fresh = false;
        let rest = self.rest();
        let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\x0c']).len();
        if matches!(rest.as_bytes().get(blank), None | Some(b'\n' | b'\r' | b'#')) {
            return;
        }
        let width = rest.bytes().take(blank).map(|b| if b == b'\t' { 8 } else { 1 }).sum();
        let mut last = self.indents.last().copied().unwrap_or(0);
        if width > last {
            if self.indents.len() < 100 {
                self.indents.push(width);
                self.push(Token::Indent);
            }
            return;
        }
        while width < last && self.indents.len() > 1 {
            self.indents.pop();
            self.push(Token::Dedent);
            last = self.indents.last().copied().unwrap_or(0);
        }
    }

    fn text(&mut self, prefix: &str) {
        let rest = self.rest();
        let quote = rest.get(..1).unwrap_or_default();
        let triple = rest.get(..3).filter(|t| *t == quote.repeat(3));
        let close = triple.unwrap_or(quote);
        let body = rest.get(close.len()..).unwrap_or_default();
        let mut end = None;
        let mut skip = false;
        for (i, c) in body.char_indices() {
            if skip {
                skip = false;
            } else if c == '\\' {
                skip = true;
            } else if body.get(i..).is_some_and(|b| b.starts_with(close)) {
                end = Some(i);
                break;
            } else if c == '\n' && triple.is_none() {
                break;
            }
        }
        let Some(end) = end else {
            self.out.odd += 1;
            self.at += close.len();
            return;
        };
        let raw = body.get(..end).unwrap_or_default();
        let (raw, holes) =
            if prefix.contains(['f', 't']) { f_string(raw) } else { (raw.to_owned(), Vec::new()) };
        let text = if prefix.contains('r') { raw } else { unescape(&raw) };
        self.push(Token::Text(text, holes));
        self.at += close.len() + end + close.len();
    }

    fn number(&mut self) {
        let rest = self.rest();
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default().replace('_', "");
        let (digits, radix) = match text.get(..2) {
            Some("0x" | "0X") => (text.get(2..), 16),
            Some("0o" | "0O") => (text.get(2..), 8),
            Some("0b" | "0B") => (text.get(2..), 2),
            _ => (Some(text.as_str()), 10),
        };
        self.push(Token::Int(i128::from_str_radix(digits.unwrap_or_default(), radix).unwrap_or(0)));
        self.at += end.max(1);
        // `1e-5` and `1.`.
        if text.ends_with(['e', 'E'])
            && radix == 10
            && matches!(self.rest().as_bytes().first(), Some(b'+' | b'-'))
        {
            self.at += 1;
        }
    }
}

/// The text of an f-string with holes, and what is in them.
fn f_string(raw: &str) -> (String, Vec<String>) {
    let mut text = String::new();
    let mut holes = Vec::new();
    let mut inner = String::new();
    let mut depth = 0usize;
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' if depth == 0 && chars.peek() == Some(&'{') => {
                chars.next();
                text.push('{');
            }
            '}' if depth == 0 => {
                chars.next_if_eq(&'}');
                text.push('}');
            }
            '{' => {
                if depth > 0 {
                    inner.push(c);
                }
                depth += 1;
            }
            '}' => {
                depth -= 1;
                if depth == 0 {
                    text.push(HOLE);
                    let expression = inner
                        .split_once('!')
                        .filter(|(_, s)| s.len() <= 1)
                        .map_or(inner.as_str(), |(e, _)| e);
                    if holes.len() < 64 {
                        holes.push(expression.trim_end_matches('=').to_owned());
                    }
                    inner.clear();
                } else {
                    inner.push(c);
                }
            }
            _ if depth > 0 => inner.push(c),
            _ => text.push(c),
        }
    }
    (text, holes)
}
