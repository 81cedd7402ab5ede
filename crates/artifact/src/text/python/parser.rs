//! The parser of Python's expressions.

use super::ast::{Expr, Kind, inner_depth};
use super::lexer::{Token, tokens};

/// Deepest expression.
const DEPTH_MAX: u32 = 150;

/// Parses one expression of source text.
pub(super) fn expression(source: &str) -> Result<Expr, String> {
    let tokens = tokens(source).all;
    let mut parser = Parser::new(&tokens);
    let value = parser.tuple()?;
    if parser.now().is_some_and(|t| *t != Token::Newline) {
        return Err("something follows the expression".to_owned());
    }
    Ok(value)
}

pub(super) struct Parser<'a> {
    pub(super) tokens: &'a [(usize, Token)],
    pub(super) at: usize,
    depth: u32,
}

/// Words that are no names.
const KEYWORDS: [&str; 24] = [
    "and", "as", "assert", "break", "class", "continue", "def", "del", "elif", "else", "except", "finally",
    "for", "from", "global", "if", "import", "in", "is", "nonlocal", "or", "pass", "return", "while",
];

impl<'a> Parser<'a> {
    pub(super) fn new(tokens: &'a [(usize, Token)]) -> Self {
        Self { tokens, at: 0, depth: 0 }
    }

    pub(super) fn now(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).map(|(_, t)| t)
    }

    pub(super) fn byte(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0, |(b, _)| *b)
    }

    pub(super) fn is_op(&self, op: &str) -> bool {
        matches!(self.now(), Some(Token::Op(o)) if *o == op)
    }

    pub(super) fn take(&mut self, op: &str) -> bool {
        let hit = self.is_op(op);
        self.at += usize::from(hit);
        hit
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.now(), Some(Token::Name(n)) if n == word)
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let hit = self.is_word(word);
        self.at += usize::from(hit);
        hit
    }

    pub(super) fn name(&mut self) -> Result<String, String> {
        match self.now() {
            Some(Token::Name(n)) => {
                self.at += 1;
                Ok(n.clone())
            }
            _ => Err("a name is missing".to_owned()),
        }
    }

    fn make(&self, at: usize, kind: Kind) -> Result<Expr, String> {
        let depth = 1 + inner_depth(&kind);
        if depth > DEPTH_MAX {
            return Err(format!("an expression is nested deeper than {DEPTH_MAX}"));
        }
        Ok(Expr { kind, depth, at })
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            Err(format!("an expression is nested deeper than {DEPTH_MAX}"))
        } else {
            Ok(())
        }
    }

    /// One or several with commas.
    pub(super) fn tuple(&mut self) -> Result<Expr, String> {
        let at = self.byte();
        let first = self.expression()?;
        if !self.is_op(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.take(",") {
            if matches!(
                self.now(),
                None | Some(Token::Newline | Token::Op(")" | "]" | "}" | "=" | ":" | ";"))
            ) || self.is_word("in")
            {
                break;
            }
            items.push(self.expression()?);
        }
        self.make(at, Kind::List(items))
    }

    pub(super) fn expression(&mut self) -> Result<Expr, String> {
        self.deeper()?;
        let at = self.byte();
        let value = if self.take("*") || self.take("**") {
            let inner = self.expression()?;
            self.make(at, Kind::Group(vec![inner]))?
        } else if self.take_word("lambda") {
            self.lambda(at)?
        } else if self.take_word("yield") {
            self.take_word("from");
            if matches!(self.now(), None | Some(Token::Newline | Token::Op(_)))
                && !self.is_op("(")
                && !self.is_op("[")
            {
                self.make(at, Kind::Group(Vec::new()))?
            } else {
                self.tuple()?
            }
        } else {
            let value = self.binary(1)?;
            if self.take_word("if") {
                let condition = self.binary(1)?;
                if self.take_word("else") {
                    let otherwise = self.expression()?;
                    self.make(at, Kind::Choice(Box::new(value), Box::new(condition), Box::new(otherwise)))?
                } else {
                    return Err("`else` is missing".to_owned());
                }
            } else if self.take(":=") {
                let right = self.expression()?;
                self.make(at, Kind::Group(vec![value, right]))?
            } else {
                value
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    fn lambda(&mut self, at: usize) -> Result<Expr, String> {
        let mut names = Vec::new();
        let mut defaults = Vec::new();
        while !self.take(":") {
            match self.now() {
                Some(Token::Name(n)) => {
                    names.push(n.clone());
                    self.at += 1;
                }
                Some(Token::Op("=")) => {
                    self.at += 1;
                    defaults.push(self.expression()?);
                }
                Some(Token::Op("," | "*" | "**" | "/")) => self.at += 1,
                _ => return Err("`:` is missing after `lambda`".to_owned()),
            }
        }
        let body = self.expression()?;
        let lambda = self.make(at, Kind::Lambda(names, Box::new(body)))?;
        if defaults.is_empty() {
            return Ok(lambda);
        }
        defaults.push(lambda);
        self.make(at, Kind::Group(defaults))
    }

    fn operator(&self) -> Option<(&'static str, u8, usize)> {
        Some(match self.now()? {
            Token::Name(n) => match n.as_str() {
                "or" => ("or", 1, 1),
                "and" => ("and", 2, 1),
                "in" => ("in", 4, 1),
                "is" => (
                    "is",
                    4,
                    if matches!(self.tokens.get(self.at + 1), Some((_, Token::Name(n))) if n == "not") {
                        2
                    } else {
                        1
                    },
                ),
                "not" if matches!(self.tokens.get(self.at + 1), Some((_, Token::Name(n))) if n == "in") => {
                    ("in", 4, 2)
                }
                _ => return None,
            },
            Token::Op(op @ ("==" | "!=" | "<" | ">" | "<=" | ">=")) => (op, 4, 1),
            Token::Op("|") => ("|", 5, 1),
            Token::Op("^") => ("^", 6, 1),
            Token::Op("&") => ("&", 7, 1),
            Token::Op(op @ ("<<" | ">>")) => (op, 8, 1),
            Token::Op(op @ ("+" | "-")) => (op, 9, 1),
            Token::Op(op @ ("*" | "/" | "//" | "%" | "@")) => (op, 10, 1),
            Token::Op("**") => ("**", 11, 1),
            _ => return None,
        })
    }

    fn binary(&mut self, least: u8) -> Result<Expr, String> {
        self.deeper()?;
        let at = self.byte();
        let mut left = if self.take_word("not")
            || self.take("-")
            || self.take("+")
            || self.take("~")
            || self.take_word("await")
        {
            let inner = self.binary(3)?;
            self.make(at, Kind::Group(vec![inner]))?
        } else {
            self.primary()?
        };
        while let Some((op, power, width)) = self.operator() {
            if power < least {
                break;
            }
            self.at += width;
            let right = self.binary(power + 1)?;
            left = self.make(at, Kind::Binary(op, Box::new(left), Box::new(right)))?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn primary(&mut self) -> Result<Expr, String> {
        let at = self.byte();
        let token = self.now().ok_or("an expression is missing")?.clone();
        self.at += 1;
        let kind = match token {
            Token::Name(name) => {
                if KEYWORDS.contains(&name.as_str()) {
                    return Err(format!("`{name}` is not expected here"));
                }
                Kind::Name(name)
            }
            Token::Text(mut text, holes) => {
                let mut inner = Vec::new();
                let mut all = holes;
                while let Some(Token::Text(more, holes)) = self.now() {
                    text.push_str(more);
                    all.extend(holes.iter().cloned());
                    self.at += 1;
                }
                if self.depth < DEPTH_MAX / 3 {
                    for hole in all.iter().take(64) {
                        // The format after `:` is no expression; a lambda or slice in a hole is rare enough.
                        let source = hole.split(':').next().unwrap_or_default();
                        let parsed = tokens(hole).all;
                        let mut parser = Parser { tokens: &parsed, at: 0, depth: self.depth + DEPTH_MAX / 3 };
                        if let Ok(value) =
                            parser.tuple().or_else(|_| expression_at(source, self.depth + DEPTH_MAX / 3))
                        {
                            inner.push(value);
                        }
                    }
                }
                Kind::Text(text, inner)
            }
            Token::Int(n) => Kind::Int(n),
            Token::Op("...") => Kind::Group(Vec::new()),
            Token::Op("(") => return self.bracket(at, ")"),
            Token::Op("[") => return self.bracket(at, "]"),
            Token::Op("{") => return self.braces(at),
            Token::Op("%") => {
                // MONAI's `%file#id` inside an expression.
                return Ok(Expr { kind: Kind::Group(Vec::new()), depth: 1, at });
            }
            Token::Op("@") => {
                // MONAI's `@id::sub#0`: a reference to another value of the bundle.
                while matches!(self.now(), Some(Token::Name(_) | Token::Int(_))) {
                    self.at += 1;
                    while self.take(":") || self.take("#") {}
                }
                Kind::Name("@".to_owned())
            }
            Token::Op(op) => return Err(format!("`{op}` is not the beginning of an expression")),
            _ => return Err("an expression is missing".to_owned()),
        };
        let value = self.make(at, kind)?;
        self.postfix(value)
    }

    fn postfix(&mut self, mut value: Expr) -> Result<Expr, String> {
        let at = value.at;
        loop {
            if self.take(".") {
                let name = self.name()?;
                value = self.make(at, Kind::Attr(Box::new(value), name))?;
            } else if self.take("(") {
                let arguments = self.arguments()?;
                value = self.make(at, Kind::Call(Box::new(value), arguments))?;
            } else if self.take("[") {
                let index = self.subscript()?;
                value = self.make(at, Kind::Index(Box::new(value), Box::new(index)))?;
            } else {
                return Ok(value);
            }
        }
    }

    fn arguments(&mut self) -> Result<Vec<(Option<String>, Expr)>, String> {
        let mut arguments = Vec::new();
        while !self.take(")") {
            let mut name = None;
            if let (Some(Token::Name(n)), Some((_, Token::Op("=")))) =
                (self.now(), self.tokens.get(self.at + 1))
            {
                name = Some(n.clone());
                self.at += 2;
            }
            let value = self.expression()?;
            let value = self.each(value)?;
            arguments.push((name, value));
            if !self.take(",") {
                if !self.take(")") {
                    return Err("`)` is missing".to_owned());
                }
                break;
            }
        }
        Ok(arguments)
    }

    fn subscript(&mut self) -> Result<Expr, String> {
        let at = self.byte();
        let mut ends = vec![None];
        let mut sliced = false;
        let mut items = Vec::new();
        while !self.take("]") {
            if self.take(":") {
                sliced = true;
                ends.push(None);
            } else if self.take(",") {
                items.extend(ends.drain(..).flatten());
                ends.push(None);
            } else {
                if self.now().is_none() {
                    return Err("`]` is missing".to_owned());
                }
                let end = self.expression()?;
                if let Some(last) = ends.last_mut() {
                    *last = Some(end);
                }
                if !(self.is_op(":") || self.is_op(",") || self.is_op("]")) {
                    return Err("`]` is missing".to_owned());
                }
            }
        }
        if items.is_empty() && !sliced {
            return ends.into_iter().flatten().next().ok_or_else(|| "an index is missing".to_owned());
        }
        if items.is_empty() {
            return self.make(at, Kind::Slice(ends));
        }
        items.extend(ends.into_iter().flatten());
        self.make(at, Kind::Group(items))
    }

    /// `… for x in y if z` after a value.
    fn each(&mut self, item: Expr) -> Result<Expr, String> {
        let at = item.at;
        self.take_word("async");
        if !self.is_word("for") {
            return Ok(item);
        }
        let (mut names, mut over, mut conditions) = (Vec::new(), None, Vec::new());
        loop {
            self.take_word("async");
            if self.take_word("for") {
                while !self.take_word("in") {
                    match self.now() {
                        Some(Token::Name(n)) => names.push(n.clone()),
                        Some(Token::Op(_)) => {}
                        _ => return Err("`in` is missing".to_owned()),
                    }
                    self.at += 1;
                }
                let next = self.binary(1)?;
                if let Some(before) = over.replace(next) {
                    conditions.push(before);
                }
            } else if self.take_word("if") {
                conditions.push(self.binary(1)?);
            } else {
                break;
            }
        }
        let over = over.ok_or("`for` is missing")?;
        self.make(at, Kind::Each(Box::new(item), names, Box::new(over), conditions))
    }

    fn bracket(&mut self, at: usize, close: &str) -> Result<Expr, String> {
        let mut items = Vec::new();
        let mut commas = false;
        while !self.take(close) {
            let item = self.expression()?;
            items.push(self.each(item)?);
            if self.take(",") {
                commas = true;
            } else if !self.take(close) {
                return Err(format!("`{close}` is missing"));
            } else {
                break;
            }
        }
        let single = items.len() == 1 && !commas && (close == ")" || matches!(items[0].kind, Kind::Each(..)));
        let value = if single { items.swap_remove(0) } else { self.make(at, Kind::List(items))? };
        self.postfix(value)
    }

    fn braces(&mut self, at: usize) -> Result<Expr, String> {
        let mut pairs = Vec::new();
        let mut items = Vec::new();
        while !self.take("}") {
            let key = self.expression()?;
            if self.take(":") {
                let value = self.expression()?;
                if self.is_word("for") || self.is_word("async") {
                    let value = self.each(value)?;
                    items.push(value);
                    items.push(key);
                } else {
                    pairs.push((key, value));
                }
            } else {
                items.push(self.each(key)?);
            }
            if !self.take(",") {
                if !self.take("}") {
                    return Err("`}` is missing".to_owned());
                }
                break;
            }
        }
        let value = if items.is_empty() {
            self.make(at, Kind::Dict(pairs))?
        } else {
            items.extend(pairs.into_iter().flat_map(|(k, v)| [k, v]));
            self.make(at, Kind::List(items))?
        };
        self.postfix(value)
    }
}

fn expression_at(source: &str, depth: u32) -> Result<Expr, String> {
    let parsed = tokens(source).all;
    Parser { tokens: &parsed, at: 0, depth }.tuple()
}
