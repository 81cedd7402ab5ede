//! Jinja templates as tokens: text, tags and what is inside the tags, with string escapes undone.

/// Longest template that is read, bytes. Real chat templates stay under 40 KiB.
pub(crate) const TEMPLATE_BYTES_MAX: usize = 1 << 20;

/// One piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Output as it is.
    Text(String),
    /// `{{ … }}`, from this byte on.
    Print(usize, Vec<Token>),
    /// `{% … %}`, from this byte on.
    Tag(usize, Vec<Token>),
}

/// One token inside a tag.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Text(String),
    Int(i128),
    Float(f64),
    /// An operator or bracket.
    Op(&'static str),
}

/// Operators, longest first.
const OPERATORS: [&str; 30] = [
    "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{",
    "}", ",", ":", ".", "|", ";", "!", "&", "@", "^",
];

/// Splits a template. Comments are left out.
pub(super) fn pieces(source: &str) -> Result<Vec<Piece>, String> {
    if source.len() > TEMPLATE_BYTES_MAX {
        return Err(format!("the template is longer than {TEMPLATE_BYTES_MAX} bytes"));
    }
    let mut lexer = Lexer { source, at: 0, trim_next: false };
    let mut pieces = Vec::new();
    while lexer.at < source.len() {
        lexer.piece(&mut pieces)?;
    }
    Ok(pieces)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    trim_next: bool,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn piece(&mut self, into: &mut Vec<Piece>) -> Result<(), String> {
        let rest = self.rest();
        let opening = opening(rest);
        let mut text = rest.get(..opening.unwrap_or(rest.len())).unwrap_or_default();
        let begin = self.at + text.len();
        let after = rest.get(text.len()..).unwrap_or_default();
        if self.trim_next {
            text = text.trim_start();
        }
        if after.get(2..3) == Some("-") {
            text = text.trim_end();
        }
        if !text.is_empty() {
            into.push(Piece::Text(text.to_owned()));
        }
        self.trim_next = false;
        self.at = begin;
        if opening.is_none() {
            return Ok(());
        }
        if after.starts_with("{#") {
            let end = after.find("#}").ok_or("a comment is not closed")?;
            self.trim_next = end > 2 && after.as_bytes().get(end - 1) == Some(&b'-');
            self.at += end + 2;
            return Ok(());
        }
        let print = after.starts_with("{{");
        self.at += 2;
        if matches!(self.rest().as_bytes().first(), Some(b'-' | b'+')) {
            self.at += 1;
        }
        let tokens = self.tokens(if print { "}}" } else { "%}" })?;
        if print {
            into.push(Piece::Print(begin, tokens));
        } else if tokens == [Token::Name("raw".to_owned())] || tokens == [Token::Name("verbatim".to_owned())]
        {
            self.raw(into)?;
        } else {
            into.push(Piece::Tag(begin, tokens));
        }
        Ok(())
    }

    /// Text up to `{% endraw %}`.
    fn raw(&mut self, into: &mut Vec<Piece>) -> Result<(), String> {
        let rest = self.rest();
        let mut from = 0;
        while let Some(open) = rest.get(from..).and_then(|r| r.find("{%")) {
            let inner = rest.get(from + open + 2..).unwrap_or_default();
            let word = inner.trim_start_matches(['-', '+']).trim_start();
            if word.starts_with("endraw") || word.starts_with("endverbatim") {
                let close = inner.find("%}").ok_or("`endraw` is not closed")?;
                into.push(Piece::Text(rest.get(..from + open).unwrap_or_default().to_owned()));
                self.at += from + open + 2 + close + 2;
                return Ok(());
            }
            from += open + 2;
        }
        Err("`raw` is not closed".to_owned())
    }

    /// Tokens up to and past `close` outside brackets and strings.
    fn tokens(&mut self, close: &str) -> Result<Vec<Token>, String> {
        let mut tokens = Vec::new();
        let mut open = 0usize;
        loop {
            let trimmed = self.rest().trim_start();
            self.at = self.source.len() - trimmed.len();
            let Some(first) = trimmed.chars().next() else {
                return Err(format!("a tag is not closed by `{close}`"));
            };
            if open == 0 || close == "%}" {
                let sign = usize::from(matches!(first, '-' | '+'));
                if trimmed.get(sign..).is_some_and(|t| t.starts_with(close)) {
                    self.at += sign + 2;
                    self.trim_next = first == '-';
                    return Ok(tokens);
                }
            }
            match first {
                '\'' | '"' => tokens.push(self.string(first)?),
                '0'..='9' => tokens.push(self.number()),
                _ if is_underscore(first) || first.is_alphabetic() => {
                    let end = trimmed
                        .find(|c: char| !is_underscore(c) && !c.is_alphanumeric())
                        .unwrap_or(trimmed.len());
                    let name = trimmed.get(..end).unwrap_or_default();
                    // Python compares names after NFKC; the full-width underscore is the one that matters here.
                    tokens.push(Token::Name(name.replace(is_underscore, "_")));
                    self.at += end;
                }
                _ => {
                    let op = OPERATORS.iter().find(|op| trimmed.starts_with(**op));
                    let op = op.ok_or_else(|| format!("`{first}` is not part of a template's language"))?;
                    match *op {
                        "(" | "[" | "{" => open += 1,
                        ")" | "]" | "}" => open = open.saturating_sub(1),
                        _ => {}
                    }
                    tokens.push(Token::Op(op));
                    self.at += op.len();
                }
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<Token, String> {
        let body = self.rest().get(1..).unwrap_or_default();
        let mut escaped = false;
        for (i, c) in body.char_indices() {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                self.at += i + 2;
                return Ok(Token::Text(unescape(body.get(..i).unwrap_or_default())));
            }
        }
        Err("a string is not closed".to_owned())
    }

    fn number(&mut self) -> Token {
        let rest = self.rest();
        let hex =
            rest.len() > 2 && matches!(rest.as_bytes().get(1), Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B'));
        let mut end = 0;
        let bytes = rest.as_bytes();
        let mut float = false;
        while let Some(&b) = bytes.get(end) {
            let next = bytes.get(end + 1).copied().unwrap_or(0);
            match b {
                b'0'..=b'9' | b'_' => {}
                _ if hex && b.is_ascii_alphanumeric() => {}
                b'.' if !float && next.is_ascii_digit() => float = true,
                b'e' | b'E' if next.is_ascii_digit() || matches!(next, b'+' | b'-') => {
                    float = true;
                    end += 1;
                }
                _ => break,
            }
            end += 1;
        }
        end = end.min(rest.len());
        let text = rest.get(..end).unwrap_or_default().replace('_', "");
        self.at += end.max(1);
        if float {
            return Token::Float(text.parse().unwrap_or(f64::INFINITY));
        }
        let (digits, radix) = match text.get(..2) {
            Some("0x" | "0X") => (text.get(2..), 16),
            Some("0o" | "0O") => (text.get(2..), 8),
            Some("0b" | "0B") => (text.get(2..), 2),
            _ => (Some(text.as_str()), 10),
        };
        Token::Int(i128::from_str_radix(digits.unwrap_or_default(), radix).unwrap_or(i128::MAX))
    }
}

/// `_`, and what becomes one under NFKC.
fn is_underscore(c: char) -> bool {
    matches!(c, '_' | '\u{ff3f}' | '\u{fe33}' | '\u{fe34}' | '\u{fe4d}'..='\u{fe4f}')
}

/// Where the next tag or comment begins.
fn opening(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len()).find(|&i| bytes[i] == b'{' && matches!(bytes.get(i + 1), Some(b'{' | b'%' | b'#')))
}

/// Undoes Python's escapes, as Jinja does with the strings in a tag.
pub(crate) fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some(kind) = chars.next() else { break };
        let mut digits = |most: usize, radix: u32, first: Option<char>| {
            let mut n = first.and_then(|c| c.to_digit(radix)).unwrap_or(0);
            for _ in 0..most {
                let Some(d) = chars.peek().and_then(|c| c.to_digit(radix)) else { break };
                n = n.wrapping_mul(radix).wrapping_add(d);
                chars.next();
            }
            char::from_u32(n).unwrap_or('\u{fffd}')
        };
        match kind {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'v' => out.push('\u{b}'),
            '\n' => {}
            'x' => out.push(digits(2, 16, None)),
            'u' => out.push(digits(4, 16, None)),
            'U' => out.push(digits(8, 16, None)),
            '0'..='7' => out.push(digits(2, 8, Some(kind))),
            'N' if chars.peek() == Some(&'{') => {
                let name: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                out.push(if name.eq_ignore_ascii_case("low line") { '_' } else { '\u{fffd}' });
            }
            '\\' | '\'' | '"' => out.push(kind),
            _ => {
                out.push('\\');
                out.push(kind);
            }
        }
    }
    out
}
