//! Python literals: what `ast.literal_eval` takes, as far as file headers use it. Strict, bounded, nothing is evaluated.

use std::fmt;

/// Deepest nesting.
const DEPTH_MAX: u32 = 32;
/// Most values.
const VALUES_MAX: u32 = 100_000;

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer; Python 2 wrote `3L`.
    Int(i64),
    /// Text or bytes.
    Text(String),
    /// Tuple.
    Tuple(Vec<Literal>),
    /// List.
    List(Vec<Literal>),
    /// Dictionary.
    Dict(Vec<(Literal, Literal)>),
}

impl Literal {
    /// The value under a text key of a dictionary; the last when it is there twice, as Python does.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Dict(pairs) = self else { return None };
        pairs.iter().rev().find(|(k, _)| matches!(k, Self::Text(t) if t == key)).map(|(_, v)| v)
    }

    /// The items of a tuple or list.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        match self {
            Self::Tuple(items) | Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The integer.
    pub(crate) fn int(&self) -> Option<i64> {
        if let Self::Int(n) = self { Some(*n) } else { None }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &[Self]| {
            items
                .iter()
                .enumerate()
                .try_for_each(|(n, i)| if n == 0 { write!(f, "{i}") } else { write!(f, ", {i}") })
        };
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(b) => f.write_str(if *b { "True" } else { "False" }),
            Self::Int(n) => write!(f, "{n}"),
            Self::Text(t) => f.write_str(t),
            Self::Tuple(items) | Self::List(items) => {
                f.write_str("(")?;
                list(f, items)?;
                f.write_str(")")
            }
            Self::Dict(pairs) => write!(f, "{{{} keys}}", pairs.len()),
        }
    }
}

/// The literal that `text` is; `None` when it is anything else.
pub(crate) fn parse(text: &str) -> Option<Literal> {
    let mut parser = Parser { rest: text.trim(), values: 0 };
    let value = parser.value(0)?;
    parser.space();
    parser.rest.is_empty().then_some(value)
}

struct Parser<'a> {
    rest: &'a str,
    values: u32,
}

impl Parser<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, c: char) -> bool {
        self.space();
        let Some(rest) = self.rest.strip_prefix(c) else { return false };
        self.rest = rest;
        true
    }

    fn value(&mut self, depth: u32) -> Option<Literal> {
        self.values += 1;
        if depth > DEPTH_MAX || self.values > VALUES_MAX {
            return None;
        }
        self.space();
        for (word, value) in
            [("None", Literal::None), ("True", Literal::Bool(true)), ("False", Literal::Bool(false))]
        {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Some(value);
            }
        }
        match self.rest.chars().next()? {
            '(' => {
                self.eat('(');
                let (items, comma) = self.items(')', depth)?;
                // `(3)` is 3, `(3,)` is a tuple.
                match <[Literal; 1]>::try_from(items) {
                    Ok([one]) if !comma => Some(one),
                    Ok([one]) => Some(Literal::Tuple(vec![one])),
                    Err(items) => Some(Literal::Tuple(items)),
                }
            }
            '[' => {
                self.eat('[');
                Some(Literal::List(self.items(']', depth)?.0))
            }
            '{' => self.dict(depth),
            '0'..='9' | '-' | '+' => self.number(),
            _ => self.text(),
        }
    }

    fn items(&mut self, close: char, depth: u32) -> Option<(Vec<Literal>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        while !self.eat(close) {
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.value(depth + 1)?);
            comma = self.eat(',');
        }
        Some((items, comma))
    }

    fn dict(&mut self, depth: u32) -> Option<Literal> {
        self.eat('{');
        let mut pairs = Vec::new();
        let mut comma = true;
        while !self.eat('}') {
            if !comma {
                return None;
            }
            let key = self.value(depth + 1)?;
            if !self.eat(':') {
                return None;
            }
            pairs.push((key, self.value(depth + 1)?));
            comma = self.eat(',');
        }
        Some(Literal::Dict(pairs))
    }

    fn number(&mut self) -> Option<Literal> {
        let end =
            self.rest.find(|c: char| !c.is_ascii_digit() && c != '-' && c != '+').unwrap_or(self.rest.len());
        let value = self.rest[..end].parse().ok()?;
        self.rest = self.rest[end..].strip_prefix('L').unwrap_or(&self.rest[end..]);
        Some(Literal::Int(value))
    }

    fn text(&mut self) -> Option<Literal> {
        let rest = self.rest.strip_prefix(['b', 'u']).unwrap_or(self.rest);
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let mut out = String::new();
        let mut chars = rest[1..].char_indices();
        while let Some((n, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.rest = &rest[n + 2..];
                    return Some(Literal::Text(out));
                }
                '\n' => return None,
                // Escapes are kept as they are, save those that could end the text.
                '\\' => {
                    let (_, next) = chars.next()?;
                    if !matches!(next, '\\' | '\'' | '"') {
                        out.push('\\');
                    }
                    out.push(next);
                }
                _ => out.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_parse_and_code_does_not() {
        let header = parse(
            "{'descr': [('a', '<f4'), (('t', 'b'), '|O', (2,))], 'fortran_order': False, 'shape': (3L, 2), }",
        );
        assert_eq!(
            header.unwrap().get("shape").unwrap().items().unwrap(),
            [Literal::Int(3), Literal::Int(2)]
        );
        assert_eq!(parse("(3,)"), Some(Literal::Tuple(vec![Literal::Int(3)])));
        assert_eq!(parse("(3)"), Some(Literal::Int(3)));
        assert_eq!(parse(r#""it\'s""#), Some(Literal::Text("it's".to_owned())));
        for code in
            ["__import__('os')", "{'a': 1, 'b': open('x')}", "1+1", "'a' 'b'", "[1,,2]", "{'a'}", "", "'a"]
        {
            assert_eq!(parse(code), None, "{code}");
        }
        assert_eq!(parse(&"(".repeat(100_000)), None);
    }
}
