//! Follows Python source from top to bottom and says what it would do.

use std::collections::HashMap;

use domain::Severity;

use super::ast::{Expr, Kind, Parser, expression};
use super::lexer::{HOLE, Token};
use super::value::{SIZE_MAX, Value, decode, method};
use crate::effects::{self, Effect};

/// Most steps for one source.
const STEPS_MAX: u64 = 2_000_000;
/// Code inside code: constants given to `exec`.
const NESTED_MAX: u32 = 3;

/// Functions that read data from an open file and run nothing of it.
const DATA_READERS: [&str; 6] =
    ["json.load", "yaml.safe_load", "csv.reader", "csv.DictReader", "toml.load", "tomllib.load"];

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
    reads_data: bool,
    /// Constants that were decoded so far: code that hides is dangerous whatever it does.
    decoded: u32,
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

    fn strict(&self) -> bool {
        self.place == Place::Expression
    }

    /// Runs as soon as the file is imported or the configuration read.
    fn at_once(&self) -> bool {
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
    fn value(&mut self, expr: &Expr) -> Value {
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

    fn name(&mut self, name: &str) -> Value {
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

    fn call(&mut self, function: &Expr, arguments: &[(Option<String>, Expr)], at: usize) -> Value {
        let callee = self.value(function);
        let mut values: Vec<Value> = Vec::new();
        let mut named: Vec<(&str, Value)> = Vec::new();
        let outer = self.reads_data;
        self.reads_data = matches!(&callee, Value::Path(p) if DATA_READERS.contains(&p.as_str()));
        for (name, argument) in arguments {
            let value = self.eval(argument);
            match name {
                Some(name) => named.push((name, value)),
                None => values.push(value),
            }
        }
        self.reads_data = outer;
        for value in values.iter().chain(named.iter().map(|(_, v)| v)) {
            if let Value::Text(text) = value
                && effects::is_sensitive_path(text)
            {
                let what = format!("names a place that holds secrets or starts programs: {}", value.shown());
                self.report(Severity::High, at, what);
            }
        }
        match callee {
            Value::Method(text, name) => {
                if text.contains(HOLE) && name == "join" {
                    return Value::Unknown;
                }
                if let Some(separator) = (name == "join").then_some(&text)
                    && let Some(Value::Outside(what)) = values.first()
                    && separator.is_empty()
                {
                    return Value::Outside(what.clone());
                }
                method(&text, &name, &values)
            }
            Value::Path(path) => self.call_path(&path, &values, &named, at),
            Value::Outside(what) => Value::Outside(what),
            _ => self.call_method(function, &values, at),
        }
    }

    /// A method of something that is not known: a few names are telling by themselves.
    fn call_method(&mut self, function: &Expr, values: &[Value], at: usize) -> Value {
        let Kind::Attr(_, name) = &function.kind else { return Value::Unknown };
        let severity = match name.as_str() {
            "system" | "popen" if values.first().is_some_and(|v| matches!(v, Value::Text(_))) => {
                Severity::High
            }
            "check_output" | "check_call" | "getoutput" | "Popen" => Severity::Medium,
            "VirtualAlloc" | "VirtualProtect" | "RtlMoveMemory" | "CreateThread" => Severity::High,
            "write_text" | "write_bytes" if self.strict() => Severity::Medium,
            "exec_module" | "load_module" if self.strict() => Severity::Medium,
            "read" | "recv" | "text" => return Value::Outside(format!("result of `{name}`")),
            _ => return Value::Unknown,
        };
        let arguments: Vec<String> = values.iter().map(Value::shown).collect();
        self.report(severity, at, format!("calls `.{name}({})`", arguments.join(", ")));
        Value::Unknown
    }

    fn call_path(&mut self, path: &str, values: &[Value], named: &[(&str, Value)], at: usize) -> Value {
        if let Some(value) = self.known_call(path, values, at) {
            return value;
        }
        let shown: Vec<String> = values
            .iter()
            .map(Value::shown)
            .chain(named.iter().map(|(n, v)| format!("{n}={}", v.shown())))
            .collect();
        let call = format!("`{path}({})`", shown.join(", "));
        let effect = effects::of(path);
        let first = values.first();
        match effect {
            Effect::Executes => {
                let severity = match (self.at_once(), asks_the_machine(path, first)) {
                    (false, true) => Severity::Low,
                    (true, _) => Severity::Critical,
                    (false, false) => Severity::High,
                };
                self.report(severity, at, format!("runs {call}"));
            }
            Effect::Native => {
                let severity = if self.at_once() { Severity::Medium } else { Severity::Low };
                self.report(severity, at, format!("loads machine code: {call}"));
            }
            Effect::Sends => {
                let severity = if self.at_once() { Severity::High } else { Severity::Medium };
                self.report(severity, at, format!("sends to the network: {call}"));
                return Value::Outside("what came over the network".to_owned());
            }
            Effect::Fetches => {
                let severity = if self.at_once() { Severity::High } else { Severity::Low };
                self.report(severity, at, format!("fetches from the network: {call}"));
                return Value::Outside("what came over the network".to_owned());
            }
            Effect::Unpickles => self.unpickles(path, first, &call, at),
            Effect::LoadsWeights => {
                let address = first
                    .and_then(|v| if let Value::Text(t) = v { Some(t.contains("://")) } else { None })
                    .unwrap_or(false);
                let severity = if address { Severity::Medium } else { Severity::Info };
                self.report(severity, at, format!("loads a checkpoint: {call}"));
            }
            Effect::Opens => return self.opens(path, values, named, &call, at),
            Effect::Writes => {
                let severity = if self.at_once() { Severity::Medium } else { Severity::Low };
                self.report(severity, at, format!("changes files: {call}"));
            }
            Effect::Imports => {
                let severity = if self.strict() { Severity::Medium } else { Severity::Info };
                self.report(severity, at, format!("loads code by name: {call}"));
            }
            Effect::Harmless | Effect::Unknown => {
                if self.strict() && effects::is_deep(path) && !is_plain(path) {
                    self.report(Severity::Medium, at, format!("calls deep into Python: {call}"));
                }
            }
        }
        Value::Made(path.to_owned())
    }

    fn unpickles(&mut self, path: &str, first: Option<&Value>, call: &str, at: usize) {
        // `yaml.load(f, Loader=SafeLoader)` is what it is mostly called with.
        let inline = matches!(first, Some(Value::Text(_) | Value::Outside(_)));
        let severity = if path.starts_with("yaml.") && (call.contains("Safe") || call.contains("Base")) {
            return;
        } else if inline && path.ends_with("loads") {
            Severity::High
        } else if self.strict() && path.ends_with("loads") {
            Severity::High
        } else if self.strict() || path.ends_with("loads") && self.at_once() {
            Severity::Medium
        } else {
            Severity::Low
        };
        self.report(severity, at, format!("reads a format that can run code: {call}"));
    }

    fn opens(
        &mut self,
        _path: &str,
        values: &[Value],
        named: &[(&str, Value)],
        call: &str,
        at: usize,
    ) -> Value {
        let mode = named.iter().find(|(n, _)| *n == "mode").map(|(_, v)| v).or_else(|| values.get(1));
        let mode = mode.and_then(Value::constant).unwrap_or("r");
        let writes = mode.len() <= 4 && mode.contains(['w', 'a', 'x', '+']);
        if writes {
            let severity = if self.at_once() { Severity::Medium } else { Severity::Info };
            self.report(severity, at, format!("writes a file: {call}"));
        } else if self.strict() {
            let severity = if self.reads_data { Severity::Low } else { Severity::Medium };
            self.report(severity, at, format!("opens a file: {call}"));
            // A file that a configuration names itself, outside its own folder.
            if values
                .first()
                .and_then(Value::constant)
                .is_some_and(|p| p.starts_with(['/', '~', '\\']) || p.contains(".."))
            {
                self.report(Severity::Medium, at, format!("opens a file outside its folder: {call}"));
            }
        }
        Value::Made("open".to_owned())
    }

    /// Calls whose result is known, and the ways of running code by text.
    fn known_call(&mut self, path: &str, values: &[Value], at: usize) -> Option<Value> {
        let first = values.first();
        let last = path.rsplit('.').next().unwrap_or_default();
        Some(match path {
            "builtins.exec" | "builtins.eval" | "builtins.execfile" => {
                self.runs(last, first.cloned().unwrap_or(Value::Unknown), at);
                Value::Unknown
            }
            "builtins.compile" if self.strict() => {
                self.report(Severity::Medium, at, "compiles code".to_owned());
                first.cloned().unwrap_or(Value::Unknown)
            }
            "builtins.compile" => match first {
                Some(value @ (Value::Text(_) | Value::Outside(_))) => value.clone(),
                _ => Value::Made("open.read".to_owned()),
            },
            "builtins.getattr" => {
                let object = first.cloned().unwrap_or(Value::Unknown);
                match values.get(1).and_then(Value::constant) {
                    Some(name) => {
                        let name = name.to_owned();
                        let value = self.attribute(object, &name, at);
                        if let Value::Path(path) = &value
                            && effects::of(path) == Effect::Executes
                        {
                            self.report(Severity::High, at, format!("takes `{path}` by its name as a text"));
                        }
                        value
                    }
                    None => {
                        if let Value::Path(module) = &object
                            && (self.strict()
                                || matches!(module.as_str(), "os" | "builtins" | "subprocess" | "sys"))
                            && matches!(
                                module.as_str(),
                                "os" | "sys"
                                    | "builtins"
                                    | "subprocess"
                                    | "shutil"
                                    | "socket"
                                    | "importlib"
                                    | "posix"
                                    | "nt"
                            )
                        {
                            self.report(
                                Severity::High,
                                at,
                                format!("takes something out of `{module}` by a computed name"),
                            );
                        }
                        Value::Unknown
                    }
                }
            }
            "builtins.setattr" | "builtins.delattr" => Value::Unknown,
            "builtins.globals" | "builtins.locals" | "vars" => match first {
                Some(Value::Path(module)) => Value::Path(module.clone()),
                _ => Value::Made("builtins.globals".to_owned()),
            },
            "builtins.__import__" | "importlib.import_module" | "importlib.__import__" => match first {
                Some(value) if value.constant().is_some() => {
                    let module = value.constant().unwrap_or_default().to_owned();
                    self.imported(&module, at);
                    if path == "builtins.__import__" && values.len() < 3 {
                        // `__import__('a.b')` gives `a`.
                        return Some(Value::Path(module.split('.').next().unwrap_or_default().to_owned()));
                    }
                    Value::Path(module)
                }
                other => {
                    let severity = if self.strict() || matches!(other, Some(Value::Outside(_))) {
                        Severity::High
                    } else {
                        Severity::Info
                    };
                    self.report(severity, at, "imports a module by a computed name".to_owned());
                    Value::Unknown
                }
            },
            "chr" => first
                .and_then(Value::int)
                .and_then(|n| u32::try_from(n).ok())
                .and_then(char::from_u32)
                .map_or(Value::Unknown, |c| Value::text(c.to_string())),
            "ord" => first
                .and_then(Value::constant)
                .and_then(|t| t.chars().next())
                .map_or(Value::Unknown, |c| Value::Int(i128::from(u32::from(c)))),
            "str" | "reversed" | "list" | "tuple" | "bytes" | "bytearray" => convert(path, first),
            "map" => self.map(first, values.get(1)),
            "bytes.fromhex" | "bytearray.fromhex" => first
                .and_then(Value::constant)
                .map_or(Value::Outside("decoded bytes".to_owned()), |t| decode("hex", t)),
            "codecs.decode" | "codecs.encode" => {
                self.decoded += 1;
                let kind = values.get(1).and_then(Value::constant).unwrap_or("utf-8").to_owned();
                match first.and_then(Value::constant) {
                    Some(text) => decode(&kind, text),
                    None => Value::Outside("decoded text".to_owned()),
                }
            }
            _ if path.starts_with("base64.")
                || path.starts_with("binascii.") && (last.contains("a2b") || last == "unhexlify") =>
            {
                if last.contains("encode") {
                    return Some(Value::Unknown);
                }
                self.decoded += 1;
                match first {
                    Some(Value::Text(text)) if !text.contains(HOLE) => decode(last, text),
                    _ => Value::Outside("decoded text".to_owned()),
                }
            }
            _ if last == "decompress"
                && matches!(
                    path.split('.').next(),
                    Some("zlib" | "bz2" | "lzma" | "gzip" | "zstd" | "zstandard" | "brotli")
                ) =>
            {
                Value::Outside("decompressed bytes".to_owned())
            }
            "input" | "sys.stdin.read" | "os.getenv" | "os.environ.get" => {
                Value::Outside(format!("`{path}`"))
            }
            "str.join" => method(
                &first.map(Value::as_text).unwrap_or_default(),
                "join",
                values.get(1..).unwrap_or_default(),
            ),
            _ if matches!(path, "open.read" | "open.readlines") => Value::Made("open.read".to_owned()),
            _ => return None,
        })
    }

    /// `exec` and `eval`.
    fn runs(&mut self, function: &str, code: Value, at: usize) {
        if let Some(text) = code.constant().filter(|t| t.len() <= SIZE_MAX)
            && self.nested < NESTED_MAX
        {
            let text = text.to_owned();
            let before = self.seen.len();
            self.nested += 1;
            let outer = self.source_at;
            self.source_at += at;
            let parsed = match function {
                "eval" => expression(&text).map(|e| drop(self.eval(&e))),
                _ => {
                    self.source(&text);
                    Ok(())
                }
            };
            self.source_at = outer;
            self.nested -= 1;
            let worse =
                self.seen.get(before..).is_some_and(|s| s.iter().any(|s| s.severity >= Severity::Medium));
            if !worse {
                let severity =
                    if parsed.is_err() || self.strict() { Severity::Medium } else { Severity::Low };
                self.report(
                    severity,
                    at,
                    format!("runs a text as code: `{function}({})`", Value::Text(text).shown()),
                );
            }
            return;
        }
        let severity = match &code {
            Value::Made(made) if made == "open.read" || made == "open" => {
                if self.strict() {
                    Severity::High
                } else {
                    Severity::Low
                }
            }
            Value::Outside(_) => Severity::Critical,
            _ if self.strict() || self.at_once() => Severity::High,
            _ => Severity::Medium,
        };
        self.report(severity, at, format!("runs a computed text as code: `{function}({})`", code.shown()));
    }

    fn map(&mut self, function: Option<&Value>, over: Option<&Value>) -> Value {
        let (Some(Value::Path(path)), Some(Value::List(items))) = (function, over) else {
            return Value::Unknown;
        };
        if !matches!(path.as_str(), "chr" | "str") || items.len() > 65_536 {
            return Value::Unknown;
        }
        let path = path.clone();
        Value::List(
            items
                .iter()
                .map(|item| self.known_call(&path, std::slice::from_ref(item), 0).unwrap_or(Value::Unknown))
                .collect(),
        )
    }

    /// A module that is imported.
    pub(super) fn imported(&mut self, module: &str, at: usize) {
        let root = module.split('.').next().unwrap_or_default();
        if !self.modules.iter().any(|m| m == root) && self.modules.len() < 500 {
            self.modules.push(root.to_owned());
        }
        let alarming = matches!(
            root,
            "subprocess"
                | "pty"
                | "socket"
                | "ctypes"
                | "pexpect"
                | "paramiko"
                | "runpy"
                | "commands"
                | "popen2"
                | "telnetlib"
                | "ftplib"
                | "smtplib"
                | "marshal"
                | "pickle"
                | "dill"
                | "cloudpickle"
        );
        if self.strict() && alarming {
            self.report(Severity::Medium, at, format!("imports `{module}`"));
        }
    }
}

/// Calls inside functions that only ask the machine about itself, or help in development.
fn asks_the_machine(path: &str, first: Option<&Value>) -> bool {
    const TOOLS: [&str; 16] = [
        "nvidia-smi",
        "rocm-smi",
        "nvcc",
        "git",
        "conda",
        "ffmpeg",
        "ffprobe",
        "uname",
        "lscpu",
        "which",
        "hostname",
        "free",
        "df",
        "gcc",
        "g++",
        "npu-smi",
    ];
    if matches!(path, "sys.settrace" | "sys.setprofile" | "builtins.breakpoint" | "logging.config.fileConfig")
        || path.starts_with("pdb.")
    {
        return true;
    }
    let words: Vec<String> = match first {
        Some(Value::Text(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(Value::List(items)) => items.iter().map(Value::as_text).collect(),
        _ => return false,
    };
    let plain = |w: &String| !w.contains(['|', ';', '&', '$', '`', '>', '<', '\n']) && !w.contains("://");
    words.first().is_some_and(|w| TOOLS.contains(&w.as_str())) && words.iter().all(plain)
}

/// Names of deep modules that configurations use and that only look.
fn is_plain(path: &str) -> bool {
    const PLAIN: [&str; 16] = [
        "os.path",
        "os.environ",
        "os.getenv",
        "os.getcwd",
        "os.listdir",
        "os.makedirs",
        "os.mkdir",
        "os.sep",
        "os.cpu_count",
        "os.scandir",
        "os.walk",
        "os.stat",
        "sys.path",
        "sys.version",
        "tempfile.mkdtemp",
        "tempfile.gettempdir",
    ];
    PLAIN.iter().any(|p| path.starts_with(p))
        || path.starts_with("tempfile.Temporary")
        || path.starts_with("platform.")
        || path.starts_with("inspect.")
        || path.starts_with("gc.")
        || path.starts_with("sys.std")
        || path.ends_with("cpu_count")
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

fn convert(path: &str, value: Option<&Value>) -> Value {
    match (path, value) {
        ("bytes" | "bytearray", Some(Value::List(items))) => {
            let text: Option<String> = items
                .iter()
                .map(|i| i.int().and_then(|n| u32::try_from(n).ok()).and_then(char::from_u32))
                .collect();
            text.map_or(Value::Unknown, Value::text)
        }
        ("reversed", Some(Value::Text(text))) => {
            Value::List(text.chars().rev().map(|c| Value::text(c.to_string())).collect())
        }
        ("reversed", Some(Value::List(items))) => Value::List(items.iter().rev().cloned().collect()),
        ("list" | "tuple", Some(Value::Text(text))) if text.len() < 65_536 => {
            Value::List(text.chars().map(|c| Value::text(c.to_string())).collect())
        }
        ("str", Some(Value::Int(n))) => Value::text(n.to_string()),
        (_, Some(value @ (Value::Text(_) | Value::List(_) | Value::Outside(_)))) => value.clone(),
        _ => Value::Unknown,
    }
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
