//! Statements, line by line: what is imported, assigned, defined and called, and whether it runs at once.

use std::collections::HashMap;

use domain::Severity;

use super::ast::{Expr, Kind};
use super::judge::{Judge, Place};
use super::lexer::{Token, tokens};
use super::parser::Parser;
use super::value::Value;

/// What a block of lines belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    /// `if`, `for`, `with`, …: runs where it stands.
    Plain,
    Class,
    Function,
    /// `if __name__ == "__main__"`: does not run on import.
    Main,
}

impl Judge {
    /// Follows source text.
    pub(crate) fn source(&mut self, source: &str) {
        let tokens = tokens(source).all;
        let mut blocks: Vec<Block> = Vec::new();
        let mut pending: Option<Block> = None;
        let mut from = 0;
        for (i, (_, token)) in tokens.iter().enumerate() {
            if self.spent() {
                break;
            }
            match token {
                Token::Indent => {
                    let block = pending.take().unwrap_or(Block::Plain);
                    self.enter(block);
                    blocks.push(block);
                    from = i + 1;
                }
                Token::Dedent => {
                    if let Some(block) = blocks.pop() {
                        self.leave(block);
                    }
                    from = i + 1;
                }
                Token::Newline => {
                    let line = tokens.get(from..i).unwrap_or_default();
                    if !line.is_empty() {
                        // A block that is opened by the line before and has no lines of its own.
                        pending = self.line(line);
                    }
                    from = i + 1;
                }
                _ => {}
            }
        }
        while let Some(block) = blocks.pop() {
            self.leave(block);
        }
    }

    fn enter(&mut self, block: Block) {
        match block {
            Block::Function => {
                self.functions += 1;
                self.scope.push(HashMap::new());
            }
            Block::Main => self.functions += 1,
            Block::Class | Block::Plain => {}
        }
    }

    fn leave(&mut self, block: Block) {
        match block {
            Block::Function => {
                self.functions = self.functions.saturating_sub(1);
                if self.scope.len() > 1 {
                    self.scope.pop();
                }
            }
            Block::Main => self.functions = self.functions.saturating_sub(1),
            Block::Class | Block::Plain => {}
        }
    }

    /// One logical line; the block it opens.
    fn line(&mut self, line: &[(usize, Token)]) -> Option<Block> {
        let mut parser = Self::parser(line);
        let mut block = None;
        while parser.now().is_some() {
            let begin = parser.at;
            match self.statement(&mut parser) {
                Ok(opened) => {
                    if let Some(opened) = opened {
                        // What follows the colon on the same line.
                        if parser.now().is_some() {
                            self.enter(opened);
                            let rest = line.get(parser.at..).unwrap_or_default();
                            let inner = if self.nested < 40 {
                                self.nested += 1;
                                let inner = self.line(rest);
                                self.nested -= 1;
                                inner
                            } else {
                                None
                            };
                            self.leave(opened);
                            return inner;
                        }
                        block = Some(opened);
                    }
                }
                // What is no Python here is gone over token by token, so that a call behind it is still seen.
                Err(_) => parser.at = parser.at.max(begin + 1),
            }
            while parser.take(";") {}
            if parser.at == begin {
                parser.at += 1;
            }
        }
        block
    }

    fn statement(&mut self, parser: &mut Parser<'_>) -> Result<Option<Block>, String> {
        let at = parser.byte();
        if parser.take("@") {
            let decorator = parser.expression()?;
            self.eval(&decorator);
            return Ok(None);
        }
        parser.take_word("async");
        let Some(Token::Name(word)) = parser.now() else {
            self.simple(parser)?;
            return Ok(None);
        };
        let word = word.clone();
        match word.as_str() {
            "import" => self.import(parser, at)?,
            "from" => self.import_from(parser, at)?,
            "def" => return self.define(parser).map(Some),
            "class" => return self.class(parser).map(Some),
            "if" | "elif" | "while" => {
                parser.at += 1;
                let condition = parser.expression()?;
                self.eval(&condition);
                parser.take(":");
                let main = matches!(&condition.kind, Kind::Binary("==", a, b)
                    if matches!(&a.kind, Kind::Name(n) if n == "__name__") && b.is_plain_text() == Some("__main__"));
                return Ok(Some(if main { Block::Main } else { Block::Plain }));
            }
            "for" => {
                parser.at += 1;
                let mut names = Vec::new();
                while !parser.take_word("in") {
                    match parser.now() {
                        Some(Token::Name(n)) => names.push(n.clone()),
                        Some(_) => {}
                        None => return Err("`in` is missing".to_owned()),
                    }
                    parser.at += 1;
                }
                let over = parser.tuple()?;
                let over = self.eval(&over);
                let item = match over {
                    Value::List(items) => items.into_iter().next().unwrap_or(Value::Unknown),
                    Value::Outside(what) => Value::Outside(what),
                    _ => Value::Unknown,
                };
                for name in &names {
                    self.set(name, if names.len() == 1 { item.clone() } else { Value::Unknown });
                }
                parser.take(":");
                return Ok(Some(Block::Plain));
            }
            "with" | "except" => {
                parser.at += 1;
                parser.take("*");
                parser.take("(");
                while parser.now().is_some() && !parser.take(":") {
                    let value = parser.expression()?;
                    // The class of an exception is no function that is handed over.
                    let value = if word == "except" { Value::Unknown } else { self.eval(&value) };
                    if parser.take_word("as") {
                        let target = parser.expression()?;
                        self.assign(&target, value);
                    }
                    if !parser.take(",") {
                        parser.take(")");
                    }
                }
                return Ok(Some(Block::Plain));
            }
            "try" | "else" | "finally" => {
                parser.at += 1;
                parser.take(":");
                return Ok(Some(Block::Plain));
            }
            "return" | "del" | "raise" | "assert" | "yield" | "await" => {
                parser.at += 1;
                while parser.now().is_some() && !parser.take(";") {
                    let value = parser.tuple()?;
                    self.eval(&value);
                    if !(parser.take(",") || parser.take_word("from")) {
                        break;
                    }
                }
            }
            "global" | "nonlocal" | "pass" | "break" | "continue" => {
                while parser.now().is_some() && !parser.is_op(";") {
                    parser.at += 1;
                }
            }
            _ => self.simple(parser)?,
        }
        Ok(None)
    }

    fn dotted(parser: &mut Parser<'_>) -> Result<String, String> {
        let mut path = parser.name()?;
        while parser.take(".") {
            path.push('.');
            path.push_str(&parser.name()?);
        }
        Ok(path)
    }

    fn import(&mut self, parser: &mut Parser<'_>, at: usize) -> Result<(), String> {
        parser.at += 1;
        loop {
            let path = Self::dotted(parser)?;
            self.imported(&path, at);
            if parser.take_word("as") {
                let name = parser.name()?;
                self.set(&name, Value::Path(path));
            } else {
                let root = path.split('.').next().unwrap_or_default().to_owned();
                self.set(&root.clone(), Value::Path(root));
            }
            if !parser.take(",") {
                return Ok(());
            }
        }
    }

    fn import_from(&mut self, parser: &mut Parser<'_>, at: usize) -> Result<(), String> {
        parser.at += 1;
        let mut local = false;
        while parser.take(".") || parser.take("...") {
            local = true;
        }
        let module = if parser.is_word("import") { String::new() } else { Self::dotted(parser)? };
        if !parser.take_word("import") {
            return Err("`import` is missing".to_owned());
        }
        if !local {
            self.imported(&module, at);
        }
        parser.take("(");
        loop {
            if parser.take("*") {
                if !local && matches!(module.as_str(), "os" | "subprocess" | "pty" | "posix") {
                    for name in [
                        "system",
                        "popen",
                        "run",
                        "Popen",
                        "call",
                        "check_output",
                        "spawn",
                        "execv",
                        "remove",
                    ] {
                        self.set(name, Value::Path(format!("{module}.{name}")));
                    }
                }
                return Ok(());
            }
            let name = parser.name()?;
            let known = if parser.take_word("as") { parser.name()? } else { name.clone() };
            self.set(&known, if local { Value::Unknown } else { Value::Path(format!("{module}.{name}")) });
            if !parser.take(",") || parser.take(")") || parser.now().is_none() {
                parser.take(")");
                return Ok(());
            }
        }
    }

    fn define(&mut self, parser: &mut Parser<'_>) -> Result<Block, String> {
        parser.at += 1;
        let name = parser.name()?;
        self.set(&name, Value::Unknown);
        self.skip_brackets(parser, "[", "]");
        if parser.take("(") {
            // Parameters: defaults and annotations are worked out where the function is defined.
            let mut names = Vec::new();
            while parser.now().is_some() && !parser.take(")") {
                match parser.now() {
                    Some(Token::Name(n)) => {
                        names.push(n.clone());
                        parser.at += 1;
                        if parser.take(":") {
                            parser.expression()?;
                        }
                        if parser.take("=") {
                            let value = parser.expression()?;
                            self.eval(&value);
                        }
                    }
                    _ => parser.at += 1,
                }
            }
        }
        if parser.take("->") {
            parser.tuple()?;
        }
        parser.take(":");
        if name == "__reduce__" || name == "__reduce_ex__" || name == "__setstate__" {
            self.report(
                Severity::Low,
                parser.byte(),
                format!("defines `{name}`, which runs when a pickle is loaded"),
            );
        }
        Ok(Block::Function)
    }

    fn class(&mut self, parser: &mut Parser<'_>) -> Result<Block, String> {
        parser.at += 1;
        let name = parser.name()?;
        self.set(&name, Value::Unknown);
        self.skip_brackets(parser, "[", "]");
        if parser.take("(") {
            while parser.now().is_some() && !parser.take(")") {
                if matches!(
                    (parser.now(), parser.tokens.get(parser.at + 1)),
                    (Some(Token::Name(_)), Some((_, Token::Op("="))))
                ) {
                    parser.at += 2;
                }
                let base = parser.expression()?;
                // A base class is used, not called.
                if !matches!(base.kind, Kind::Name(_) | Kind::Attr(..)) {
                    self.eval(&base);
                }
                parser.take(",");
            }
        }
        parser.take(":");
        Ok(Block::Class)
    }

    fn skip_brackets(&mut self, parser: &mut Parser<'_>, open: &str, close: &str) {
        if parser.take(open) {
            while parser.now().is_some() && !parser.take(close) {
                parser.at += 1;
            }
        }
    }

    /// An assignment or an expression.
    fn simple(&mut self, parser: &mut Parser<'_>) -> Result<(), String> {
        let first = parser.tuple()?;
        if parser.take(":") {
            // `name: type = value`.
            parser.expression()?;
            if parser.take("=") {
                let value = parser.tuple()?;
                let value = self.eval(&value);
                self.assign(&first, value);
            }
            return Ok(());
        }
        if let Some(Token::Op(op)) = parser.now()
            && op.len() >= 2
            && op.ends_with('=')
            && !matches!(*op, "==" | "!=" | "<=" | ">=")
        {
            parser.at += 1;
            let value = parser.tuple()?;
            let (old, new) = (self.eval(&first), self.eval(&value));
            let joined = match (old, new) {
                (Value::Text(a), Value::Text(b)) if a.len() + b.len() < super::value::SIZE_MAX => {
                    Value::text(a + &b)
                }
                (Value::Text(a), _) => Value::text(a + &super::lexer::HOLE.to_string()),
                (Value::List(mut a), Value::List(b)) if a.len() + b.len() < 4096 => {
                    a.extend(b);
                    Value::List(a)
                }
                (Value::Outside(what), _) | (_, Value::Outside(what)) => Value::Outside(what),
                _ => Value::Unknown,
            };
            self.assign(&first, joined);
            return Ok(());
        }
        if !parser.is_op("=") {
            self.eval(&first);
            return Ok(());
        }
        let mut targets = vec![first];
        while parser.take("=") {
            targets.push(parser.tuple()?);
        }
        let value = targets.pop().map_or(Value::Unknown, |v| self.eval(&v));
        for target in &targets {
            self.assign(target, value.clone());
        }
        Ok(())
    }

    fn assign(&mut self, target: &Expr, value: Value) {
        match (&target.kind, value) {
            (Kind::Name(name), value) => self.set(name, value),
            (Kind::List(targets), Value::List(values)) if targets.len() == values.len() => {
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value);
                }
            }
            (Kind::List(targets), _) => {
                for target in targets.iter().take(1000) {
                    self.assign(target, Value::Unknown);
                }
            }
            (Kind::Index(inner, key), _) => {
                self.eval(key);
                // `sys.modules['x'] = …` and the like only name things; the object is looked at without calling it.
                if self.place == Place::Expression {
                    self.eval(inner);
                }
            }
            _ => {}
        }
    }
}
