//! Jinja's expressions to a bounded tree.

use super::ast::{Arg, Expr, Kind};
use super::lexer::Token;

/// Deepest expression.
const DEPTH_MAX: u32 = 200;

/// A parser over the tokens of one tag.
pub(super) struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: u32,
}

impl<'a> Parser<'a> {
    pub(super) fn new(tokens: &'a [Token]) -> Self {
        Self { tokens, at: 0, depth: 0 }
    }

    fn now(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    pub(super) fn end(&self) -> Result<(), String> {
        if self.is_done() { Ok(()) } else { Err("something follows the expression in a tag".to_owned()) }
    }

    pub(super) fn peek(&self, op: &str) -> bool {
        matches!(self.now(), Some(Token::Op(o)) if *o == op)
    }

    pub(super) fn take(&mut self, op: &str) -> bool {
        let hit = self.peek(op);
        self.at += usize::from(hit);
        hit
    }

    fn need(&mut self, op: &str) -> Result<(), String> {
        if self.take(op) { Ok(()) } else { Err(format!("`{op}` is missing in a tag")) }
    }

    fn peek_name(&self, name: &str) -> bool {
        matches!(self.now(), Some(Token::Name(n)) if n == name)
    }

    pub(super) fn take_name(&mut self, name: &str) -> bool {
        let hit = self.peek_name(name);
        self.at += usize::from(hit);
        hit
    }

    pub(super) fn name(&mut self) -> Result<String, String> {
        match self.now() {
            Some(Token::Name(n)) => {
                self.at += 1;
                Ok(n.clone())
            }
            _ => Err("a name is missing in a tag".to_owned()),
        }
    }

    pub(super) fn make(&self, kind: Kind) -> Result<Expr, String> {
        let depth = 1 + kind.inner_depth();
        if depth > DEPTH_MAX {
            return Err(format!("an expression is nested deeper than {DEPTH_MAX}"));
        }
        Ok(Expr { kind, depth })
    }

    /// A name, `ns.name` or `(a, b)` that is assigned to.
    pub(super) fn target(&mut self) -> Result<Expr, String> {
        if self.take("(") {
            let mut items = Vec::new();
            while !self.take(")") {
                items.push(self.target()?);
                if !self.take(",") {
                    self.need(")")?;
                    break;
                }
            }
            return self.make(Kind::List(items));
        }
        let name = self.name()?;
        let mut target = self.make(Kind::Name(name))?;
        while self.take(".") {
            let attribute = self.name()?;
            target = self.make(Kind::Attr(Box::new(target), attribute))?;
        }
        while self.take("[") {
            let key = self.expression()?;
            self.need("]")?;
            target = self.make(Kind::Index(Box::new(target), Box::new(key)))?;
        }
        Ok(target)
    }

    pub(super) fn parameters(&mut self) -> Result<Vec<(String, Option<Expr>)>, String> {
        self.need("(")?;
        let mut parameters = Vec::new();
        while !self.take(")") {
            let name = self.name()?;
            let value = if self.take("=") { Some(self.expression()?) } else { None };
            parameters.push((name, value));
            if !self.take(",") {
                self.need(")")?;
                break;
            }
        }
        Ok(parameters)
    }

    pub(super) fn tuple(&mut self) -> Result<Expr, String> {
        let first = self.expression()?;
        self.rest_of_tuple(first)
    }

    pub(super) fn tuple_without_choice(&mut self) -> Result<Expr, String> {
        let first = self.binary(0)?;
        self.rest_of_tuple(first)
    }

    fn rest_of_tuple(&mut self, first: Expr) -> Result<Expr, String> {
        if !self.peek(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.take(",") {
            if self.is_done() {
                break;
            }
            items.push(self.binary(0)?);
        }
        self.make(Kind::List(items))
    }

    /// `a if b else c` and all below.
    pub(super) fn expression(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX / 2 {
            return Err(format!("an expression is nested deeper than {}", DEPTH_MAX / 2));
        }
        let mut value = self.binary(0)?;
        while self.take_name("if") {
            let condition = self.binary(0)?;
            let otherwise = if self.take_name("else") { Some(Box::new(self.expression()?)) } else { None };
            value = self.make(Kind::Choice(Box::new(value), Box::new(condition), otherwise))?;
        }
        self.depth -= 1;
        Ok(value)
    }

    /// The operator here and how tightly it binds.
    fn operator(&self) -> Option<(&'static str, u8, usize)> {
        Some(match self.now()? {
            Token::Name(n) => match n.as_str() {
                "or" => ("or", 1, 1),
                "and" => ("and", 2, 1),
                "in" => ("in", 4, 1),
                "not" if matches!(self.tokens.get(self.at + 1), Some(Token::Name(n)) if n == "in") => {
                    ("not in", 4, 2)
                }
                _ => return None,
            },
            Token::Op(op @ ("==" | "!=" | "<" | ">" | "<=" | ">=")) => (op, 4, 1),
            Token::Op(op @ ("+" | "-")) => (op, 5, 1),
            Token::Op("~") => ("~", 6, 1),
            Token::Op(op @ ("*" | "/" | "//" | "%")) => (op, 7, 1),
            _ => return None,
        })
    }

    fn binary(&mut self, least: u8) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX / 2 {
            return Err(format!("an expression is nested deeper than {}", DEPTH_MAX / 2));
        }
        let mut left = if self.take_name("not") {
            let value = self.binary(3)?;
            self.make(Kind::Not(Box::new(value)))?
        } else {
            self.unary()?
        };
        while let Some((op, power, width)) = self.operator() {
            if power < least || power == 0 {
                break;
            }
            self.at += width;
            let right = self.binary(power + 1)?;
            left = self.make(Kind::Binary(op, Box::new(left), Box::new(right)))?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX / 2 {
            return Err(format!("an expression is nested deeper than {}", DEPTH_MAX / 2));
        }
        let value = if self.take("-") {
            let value = self.unary()?;
            self.make(Kind::Minus(Box::new(value)))?
        } else if self.take("+") {
            self.unary()?
        } else {
            let primary = self.primary()?;
            let value = self.postfix(primary)?;
            let value = if self.take("**") {
                let power = self.unary()?;
                self.make(Kind::Binary("**", Box::new(value), Box::new(power)))?
            } else {
                value
            };
            self.filter_chain(value, false)?
        };
        self.depth -= 1;
        Ok(value)
    }

    fn primary(&mut self) -> Result<Expr, String> {
        let token = self.now().ok_or("an expression is missing in a tag")?.clone();
        self.at += 1;
        let kind = match token {
            Token::Text(mut text) => {
                // Neighbouring strings are one.
                while let Some(Token::Text(more)) = self.now() {
                    text.push_str(more);
                    self.at += 1;
                }
                Kind::Text(text)
            }
            Token::Int(n) => Kind::Int(n),
            Token::Float(n) => Kind::Float(n),
            Token::Name(name) => match name.as_str() {
                "true" | "True" => Kind::Bool(true),
                "false" | "False" => Kind::Bool(false),
                "none" | "None" => Kind::None,
                _ => Kind::Name(name),
            },
            Token::Op("(") => return self.list_until(")"),
            Token::Op("[") => return self.list_until("]"),
            Token::Op("{") => {
                let mut items = Vec::new();
                while !self.take("}") {
                    let key = self.expression()?;
                    let value = if self.take(":") { self.expression()? } else { self.make(Kind::None)? };
                    items.push((key, value));
                    if !self.take(",") {
                        self.need("}")?;
                        break;
                    }
                }
                Kind::Dict(items)
            }
            Token::Op(op) => return Err(format!("`{op}` is not the beginning of an expression")),
        };
        self.make(kind)
    }

    fn list_until(&mut self, close: &str) -> Result<Expr, String> {
        let mut items = Vec::new();
        let mut commas = false;
        while !self.take(close) {
            items.push(self.expression()?);
            if self.take(",") {
                commas = true;
            } else {
                self.need(close)?;
                break;
            }
        }
        if close == ")" && items.len() == 1 && !commas {
            return Ok(items.swap_remove(0));
        }
        self.make(Kind::List(items))
    }

    fn postfix(&mut self, mut value: Expr) -> Result<Expr, String> {
        loop {
            if self.take(".") {
                let kind = match self.now() {
                    Some(Token::Int(n)) => {
                        let index = self.make(Kind::Int(*n))?;
                        Kind::Index(Box::new(value), Box::new(index))
                    }
                    Some(Token::Name(n)) => Kind::Attr(Box::new(value), n.clone()),
                    _ => return Err("a name is missing after `.`".to_owned()),
                };
                self.at += 1;
                value = self.make(kind)?;
            } else if self.take("[") {
                value = self.subscript(value)?;
            } else if self.peek("(") {
                let arguments = self.arguments()?;
                value = self.make(Kind::Call(Box::new(value), arguments))?;
            } else {
                return Ok(value);
            }
        }
    }

    fn subscript(&mut self, value: Expr) -> Result<Expr, String> {
        let mut ends: Vec<Option<Expr>> = vec![None];
        let mut sliced = false;
        while !self.take("]") {
            if self.take(":") {
                sliced = true;
                ends.push(None);
            } else if self.take(",") {
                ends.push(None);
            } else {
                let end = self.expression()?;
                if let Some(last) = ends.last_mut() {
                    *last = Some(end);
                }
                if !self.peek(":") && !self.peek(",") && !self.peek("]") {
                    return Err("`]` is missing in a tag".to_owned());
                }
            }
            if self.is_done() {
                return Err("`]` is missing in a tag".to_owned());
            }
        }
        if sliced {
            return self.make(Kind::Slice(Box::new(value), ends));
        }
        let index = ends.into_iter().flatten().next().ok_or("an index is missing")?;
        self.make(Kind::Index(Box::new(value), Box::new(index)))
    }

    fn arguments(&mut self) -> Result<Vec<Arg>, String> {
        self.need("(")?;
        let mut arguments = Vec::new();
        while !self.take(")") {
            let _stars = self.take("**") || self.take("*");
            let name = match (self.now(), self.tokens.get(self.at + 1)) {
                (Some(Token::Name(n)), Some(Token::Op("="))) => {
                    self.at += 2;
                    Some(n.clone())
                }
                _ => None,
            };
            arguments.push(Arg { name, value: self.expression()? });
            if !self.take(",") {
                self.need(")")?;
                break;
            }
        }
        Ok(arguments)
    }

    pub(super) fn filters_of(&mut self, value: Expr) -> Result<Expr, String> {
        self.filter_chain(value, false)
    }

    /// `| filter(…)` and `is test` after a value. `first`: the first filter stands without its bar.
    pub(super) fn filter_chain(&mut self, mut value: Expr, mut first: bool) -> Result<Expr, String> {
        loop {
            if first || self.take("|") {
                first = false;
                let mut name = self.name()?;
                while self.take(".") {
                    name = format!("{name}.{}", self.name()?);
                }
                let arguments = if self.peek("(") { self.arguments()? } else { Vec::new() };
                value = self.make(Kind::Filter(Box::new(value), name, arguments))?;
                // `x|list[0]` and `(x|first).y` both occur.
                value = self.postfix(value)?;
            } else if self.take_name("is") {
                let negated = self.take_name("not");
                let name = self.name()?;
                let arguments = if self.peek("(") {
                    self.arguments()?
                } else if self.test_argument() {
                    let primary = self.primary()?;
                    vec![Arg { name: None, value: self.postfix(primary)? }]
                } else {
                    Vec::new()
                };
                value = self.make(Kind::Test(Box::new(value), name, arguments, negated))?;
            } else {
                return Ok(value);
            }
        }
    }

    /// Whether the test's argument follows without brackets, as in `is divisibleby 3`.
    fn test_argument(&self) -> bool {
        match self.now() {
            Some(Token::Text(_) | Token::Int(_) | Token::Float(_) | Token::Op("[" | "{")) => true,
            Some(Token::Name(n)) => {
                !matches!(n.as_str(), "and" | "or" | "not" | "if" | "else" | "is" | "in" | "recursive")
            }
            _ => false,
        }
    }
}
