//! Calls: what a known function does with what it is given.

use domain::Severity;

use super::ast::{Expr, Kind};
use super::judge::Judge;
use super::lexer::HOLE;
use super::parser::expression;
use super::value::{SIZE_MAX, Value, decode, method};
use crate::effects::{self, Effect};

/// Functions that read data from an open file and run nothing of it.
const DATA_READERS: [&str; 6] =
    ["json.load", "yaml.safe_load", "csv.reader", "csv.DictReader", "toml.load", "tomllib.load"];

/// Code inside code: constants given to `exec`.
const NESTED_MAX: u32 = 3;

impl Judge {
    pub(super) fn call(&mut self, function: &Expr, arguments: &[(Option<String>, Expr)], at: usize) -> Value {
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
        } else if (inline || self.strict()) && path.ends_with("loads") {
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
