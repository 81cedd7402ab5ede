//! Follows Python source from top to bottom and says what it would do.

use std::collections::HashMap;

use domain::Severity;

use super::ast::{Expr, Kind};
use super::lexer::{HOLE, Token};
use super::parser::{Parser, expression};
use super::value::{SIZE_MAX, Value};
use crate::effects::{self, Effect};

/// Most steps for one source.
const STEPS_MAX: u64 = 2_000_000;

/// Where code stands, which decides how bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file of Python: what stands outside functions runs as soon as it is imported.
    Source,
    /// An expression in a configuration: no file or process is any of its business.
    Expression,
}

/// Something dangerous that was seen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) severity: Severity,
    pub(crate) at: usize,
    pub(crate) what: String,
}

/// The walk through one source.
pub(crate) struct Judge {
    pub(super) place: Place,
    pub(super) scope: Vec<HashMap<String, Value>>,
    /// Functions around the code that is looked at.
    pub(super) functions: usize,
    pub(super) steps: u64,
    pub(super) nested: u32,
    pub(crate) seen: Vec<Seen>,
    /// Modules that are imported, first part of the name.
    pub(crate) modules: Vec<String>,
    pub(super) source_at: usize,
    /// Inside the arguments of a function that reads data and nothing else, such as `json.load`.
    pub(super) reads_data: bool,
    /// Constants that were decoded so far: code that hides is dangerous whatever it does.
    pub(super) decoded: u32,
}

impl Judge {
    /// Nothing is known yet.
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            scope: vec![HashMap::new()],
            functions: 0,
            steps: 0,
            nested: 0,
            seen: Vec::new(),
            modules: Vec::new(),
            source_at: 0,
            reads_data: false,
            decoded: 0,
        }
    }

    pub(crate) fn spent(&self) -> bool {
        self.steps > STEPS_MAX
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// A name that the configuration's program provides.
    pub(crate) fn knows(&mut self, name: &str, path: &str) {
        self.set(name, Value::Path(path.to_owned()));
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        if let Some(scope) = self.scope.last_mut()
            && scope.len() < 100_000
        {
            scope.insert(name.to_owned(), value);
        }
    }

    pub(super) fn report(&mut self, severity: Severity, at: usize, what: String) {
        let seen = Seen { severity, at: self.source_at + at, what };
        if self.seen.len() < 100 && !self.seen.iter().any(|s| s.what == seen.what) {
            self.seen.push(seen);
        }
    }

    pub(super) fn strict(&self) -> bool {
        self.place == Place::Expression
    }

    /// Runs as soon as the file is imported or the configuration read.
    pub(super) fn at_once(&self) -> bool {
        self.strict() || self.functions == 0
    }

    pub(super) fn eval(&mut self, expr: &Expr) -> Value {
        let value = self.value(expr);
        // A dangerous function that is handed over is called by somebody else.
        if let Value::Path(path) = &value {
            let path = path.clone();
            self.handed_over(&path, expr.at);
        }
        value
    }

    fn handed_over(&mut self, path: &str, at: usize) {
        let effect = effects::of(path);
        let module_only = !path.contains('.') && !effects::BUILTINS.contains(&path);
        if !module_only
            && matches!(effect, Effect::Executes)
            && !path.ends_with('.')
            && path.chars().next_back().is_some_and(|c| c != '.')
        {
            let last = path.rsplit('.').next().unwrap_or_default();
            // Classes and constants of such a module are named in `except` and annotations.
            let constant = last.chars().next().is_some_and(char::is_uppercase) && last != "Popen"
                || matches!(last, "compile");
            if !constant {
                self.report(Severity::High, at, format!("hands over `{path}`"));
            }
        }
    }

    /// The value without the check of what it is handed to.
    pub(super) fn value(&mut self, expr: &Expr) -> Value {
        self.steps += 1;
        if self.spent() {
            return Value::Unknown;
        }
        match &expr.kind {
            Kind::Name(name) => self.name(name),
            Kind::Text(text, holes) => {
                let values: Vec<Value> = holes.iter().map(|h| self.eval(h)).collect();
                fill(text, &values)
            }
            Kind::Int(n) => Value::Int(*n),
            Kind::Attr(inner, name) => {
                let object = self.value(inner);
                self.attribute(object, name, expr.at)
            }
            Kind::Index(inner, index) => {
                let object = self.value(inner);
                self.index(object, index, expr.at)
            }
            Kind::Slice(ends) => {
                for end in ends.iter().flatten() {
                    self.eval(end);
                }
                Value::Unknown
            }
            Kind::Call(function, arguments) => self.call(function, arguments, expr.at),
            Kind::Binary(op, left, right) => self.binary(op, left, right),
            Kind::List(items) => Value::List(items.iter().map(|i| self.eval(i)).collect()),
            Kind::Dict(items) => {
                Value::Dict(items.iter().map(|(k, v)| (self.eval(k), self.eval(v))).collect())
            }
            Kind::Each(item, names, over, conditions) => self.each(item, names, over, conditions),
            Kind::Lambda(names, body) => {
                self.scope.push(names.iter().map(|n| (n.clone(), Value::Unknown)).collect());
                self.functions += 1;
                self.eval(body);
                self.functions -= 1;
                self.scope.pop();
                Value::Unknown
            }
            Kind::Choice(then, condition, otherwise) => {
                self.eval(condition);
                let (a, b) = (self.eval(then), self.eval(otherwise));
                if a == Value::Unknown { b } else { a }
            }
            Kind::Group(items) => {
                let values: Vec<Value> = items.iter().map(|i| self.eval(i)).collect();
                match values.as_slice() {
                    [Value::Int(_)] => Value::Unknown,
                    [one] => one.clone(),
                    [.., last] => last.clone(),
                    [] => Value::Unknown,
                }
            }
        }
    }

    pub(super) fn name(&mut self, name: &str) -> Value {
        if let Some(value) = self.scope.iter().rev().find_map(|s| s.get(name)) {
            return value.clone();
        }
        if name == "__builtins__" || name == "__builtin__" || name == "builtins" {
            return Value::Path("builtins".to_owned());
        }
        if effects::BUILTINS.contains(&name) {
            return Value::Path(format!("builtins.{name}"));
        }
        if matches!(
            name,
            "chr"
                | "ord"
                | "bytes"
                | "bytearray"
                | "str"
                | "map"
                | "reversed"
                | "list"
                | "tuple"
                | "vars"
                | "input"
                | "type"
                | "print"
        ) {
            return Value::Path(name.to_owned());
        }
        Value::Unknown
    }

    pub(super) fn attribute(&mut self, object: Value, name: &str, at: usize) -> Value {
        const WAYS_OUT: [&str; 6] =
            ["__subclasses__", "__globals__", "__builtins__", "__getattribute__", "__code__", "gi_frame"];
        if self.strict()
            && (WAYS_OUT.contains(&name)
                || matches!(name, "__class__" | "__mro__" | "__base__" | "__bases__" | "__dict__"))
            || matches!(name, "__subclasses__" | "__globals__" | "__builtins__")
        {
            self.report(Severity::Medium, at, format!("reaches for `{name}`"));
            if matches!(name, "__globals__" | "__builtins__") {
                return Value::Path("builtins".to_owned());
            }
        }
        match object {
            Value::Path(path) if matches!(name, "__dict__" | "__builtins__") => Value::Path(path),
            Value::Path(path) => Value::Path(format!("{path}.{name}")),
            Value::Made(path) => match path.as_str() {
                "importlib.import_module" | "builtins.__import__" => Value::Unknown,
                // What came out of a dangerous call is data; the call itself was reported.
                _ if matches!(
                    effects::of(&path),
                    Effect::Executes
                        | Effect::Fetches
                        | Effect::Sends
                        | Effect::Unpickles
                        | Effect::LoadsWeights
                ) =>
                {
                    Value::Outside(format!("result of `{path}`"))
                }
                _ => Value::Path(format!("{path}.{name}")),
            },
            Value::Text(text) => Value::Method(text, name.to_owned()),
            Value::Outside(what) => Value::Outside(what),
            _ => Value::Unknown,
        }
    }

    fn index(&mut self, object: Value, index: &Expr, at: usize) -> Value {
        if let Kind::Slice(ends) = &index.kind {
            let ends: Vec<Option<i128>> =
                ends.iter().map(|e| e.as_ref().and_then(|e| negative(self, e))).collect();
            return cut(object, &ends);
        }
        let key = self.eval(index);
        match (object, key.constant()) {
            // `sys.modules['os']`, `globals()['exec']`, `os.__dict__['system']`.
            (Value::Path(path), Some(name)) if path == "sys.modules" => Value::Path(name.to_owned()),
            (Value::Path(path) | Value::Made(path), Some(name))
                if matches!(path.as_str(), "builtins.globals" | "builtins.locals" | "vars") =>
            {
                let name = name.to_owned();
                self.name(&name)
            }
            (Value::Path(path), Some(name)) => {
                let name = name.to_owned();
                self.attribute(Value::Path(path), &name, at)
            }
            (Value::List(items), None) => match key.int().and_then(|i| usize::try_from(i).ok()) {
                Some(i) => items.get(i).cloned().unwrap_or(Value::Unknown),
                None => Value::Unknown,
            },
            (Value::Dict(items), _) => {
                items.into_iter().find(|(k, _)| *k == key).map_or(Value::Unknown, |(_, v)| v)
            }
            (Value::Text(text), None) => {
                let chars: Vec<char> = text.chars().collect();
                match key.int().and_then(|i| usize::try_from(i).ok()).and_then(|i| chars.get(i)) {
                    Some(c) => Value::text(c.to_string()),
                    None => Value::Unknown,
                }
            }
            (Value::Outside(what), _) => Value::Outside(what),
            _ => Value::Unknown,
        }
    }

    fn each(&mut self, item: &Expr, names: &[String], over: &Expr, conditions: &[Expr]) -> Value {
        let over = self.eval(over);
        let items: Vec<Value> = match over {
            Value::List(items) if items.len() <= 4096 => items,
            Value::Text(text) if text.len() <= 4096 && !text.contains(HOLE) => {
                text.chars().map(|c| Value::text(c.to_string())).collect()
            }
            _ => vec![Value::Unknown],
        };
        self.scope.push(HashMap::new());
        let mut values = Vec::new();
        for value in items {
            if self.spent() {
                break;
            }
            match (names, value) {
                ([name], value) => self.set(name, value),
                (names, Value::List(parts)) => {
                    for (name, part) in names.iter().zip(parts) {
                        self.set(name, part);
                    }
                }
                _ => {}
            }
            for condition in conditions {
                self.eval(condition);
            }
            values.push(self.eval(item));
        }
        self.scope.pop();
        if values == [Value::Unknown] { Value::Unknown } else { Value::List(values) }
    }

    fn binary(&mut self, op: &str, left: &Expr, right: &Expr) -> Value {
        let (a, b) = (self.eval(left), self.eval(right));
        match (op, &a, &b) {
            ("+", Value::Text(x), Value::Text(y)) => Value::text(format!("{x}{y}")),
            ("+", Value::Text(x), _) => Value::text(format!("{x}{HOLE}")),
            ("+", _, Value::Text(y)) => Value::text(format!("{HOLE}{y}")),
            ("+", Value::List(x), Value::List(y)) if x.len() + y.len() < 4096 => {
                Value::List(x.iter().chain(y).cloned().collect())
            }
            ("+", Value::Int(x), Value::Int(y)) => Value::Int(x.wrapping_add(*y)),
            ("-", Value::Int(x), Value::Int(y)) => Value::Int(x.wrapping_sub(*y)),
            ("^", Value::Int(x), Value::Int(y)) => Value::Int(x ^ y),
            ("*", Value::Int(x), Value::Int(y)) => Value::Int(x.wrapping_mul(*y)),
            ("%", Value::Text(x), y) => {
                let arguments = if let Value::List(items) = y { items.clone() } else { vec![y.clone()] };
                let mut out = String::new();
                let mut pieces = x.split("%s").collect::<Vec<_>>();
                let first = if pieces.is_empty() { "" } else { pieces.remove(0) };
                out.push_str(first);
                for (i, piece) in pieces.into_iter().enumerate().take(4096) {
                    out.push_str(&arguments.get(i).map_or_else(|| HOLE.to_string(), Value::as_text));
                    out.push_str(piece);
                }
                Value::text(out)
            }
            ("*", Value::Text(x), Value::Int(n)) if (0..4096).contains(n) && x.len() < 4096 => {
                Value::text(x.repeat(usize::try_from(*n).unwrap_or(0)))
            }
            ("or" | "and", Value::Unknown, other) | ("or" | "and", other, _) => other.clone(),
            (_, Value::Outside(what), _) | (_, _, Value::Outside(what)) => Value::Outside(what.clone()),
            _ => Value::Unknown,
        }
    }
}

/// A text with its holes filled where the values are known.
fn fill(text: &str, values: &[Value]) -> Value {
    let mut out = String::new();
    let mut next = values.iter();
    for c in text.chars() {
        if c == HOLE {
            out.push_str(&next.next().map_or_else(|| HOLE.to_string(), Value::as_text));
        } else {
            out.push(c);
        }
        if out.len() > SIZE_MAX {
            break;
        }
    }
    Value::text(out)
}

fn negative(judge: &mut Judge, expr: &Expr) -> Option<i128> {
    // A minus sign is parsed as a group around a number.
    if let Kind::Group(items) = &expr.kind
        && let [one] = items.as_slice()
    {
        return judge.eval(one).int().map(|n| -n);
    }
    judge.eval(expr).int()
}

fn cut(object: Value, ends: &[Option<i128>]) -> Value {
    let (from, to, step) =
        (ends.first().copied().flatten(), ends.get(1).copied().flatten(), ends.get(2).copied().flatten());
    match object {
        Value::Text(text) if !text.contains(HOLE) => {
            let chars: Vec<char> = text.chars().collect();
            Value::text(
                crate::text::slice(chars.len(), from, to, step)
                    .into_iter()
                    .filter_map(|i| chars.get(i))
                    .collect::<String>(),
            )
        }
        Value::List(items) => Value::List(
            crate::text::slice(items.len(), from, to, step)
                .into_iter()
                .filter_map(|i| items.get(i).cloned())
                .collect(),
        ),
        other => other,
    }
}

impl Judge {
    /// One expression of a configuration.
    ///
    /// # Errors
    /// Why it is no Python.
    pub(crate) fn expression(&mut self, source: &str) -> Result<(), String> {
        let expr = expression(source)?;
        self.eval(&expr);
        Ok(())
    }

    /// The tokens of one statement, as a parser.
    pub(super) fn parser<'t>(tokens: &'t [(usize, Token)]) -> Parser<'t> {
        Parser::new(tokens)
    }
}
