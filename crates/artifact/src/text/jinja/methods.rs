//! Calls in a template: functions of the environment, methods of texts, lists and of what the user wrote.

use super::ast::{Arg, Expr, Kind};
use super::eval::{entry, flag, from_hex, shown};
use super::judge::{Judge, Seen};
use super::names;
use super::value::{Value, format_braces};

impl<'a> Judge<'a> {
    pub(super) fn call(&mut self, function: &'a Expr, arguments: &'a [Arg]) -> Value {
        match &function.kind {
            Kind::Attr(inner, name) => {
                let object = self.eval(inner);
                let reached = self.attribute(&object, name);
                let (plain, named) = self.arguments(arguments);
                if names::is_method(name) {
                    self.report(Seen::Escape, format!("calls `{name}({})`", shown(&plain)));
                }
                if reached == Value::Builtin("module") {
                    return reached;
                }
                self.method(object, name, &plain, &named)
            }
            Kind::Name(name) if self.known(name).is_none() => {
                let (plain, named) = self.arguments(arguments);
                self.function(name, &plain, named)
            }
            _ => {
                let callee = self.eval(function);
                let (plain, named) = self.arguments(arguments);
                match callee {
                    Value::Macro(id) => self.call_macro(id, &plain, &named),
                    Value::Builtin("module") => Value::Builtin("module"),
                    _ => Value::Unknown,
                }
            }
        }
    }

    fn function(&mut self, name: &str, plain: &[Value], named: Vec<(String, Value)>) -> Value {
        if names::is_function(name) {
            self.report(Seen::Escape, format!("calls `{name}({})`", shown(plain)));
            if let Some(path) = plain.get(1).and_then(Value::constant).map(str::to_owned) {
                self.look_up_path(&path);
            }
            return Value::Builtin("module");
        }
        match name {
            "range" => self.range(plain),
            "namespace" => {
                self.spaces.push(named.into_iter().collect());
                Value::Space(self.spaces.len() - 1)
            }
            "dict" => Value::Dict(named.into_iter().map(|(k, v)| (Value::text(k), v)).collect()),
            "chr" => {
                let c = plain
                    .first()
                    .and_then(Value::int)
                    .and_then(|n| u32::try_from(n).ok())
                    .and_then(char::from_u32);
                c.map_or(Value::Unknown, |c| Value::text(c.to_string()))
            }
            "str" => plain.first().map_or(Value::Unknown, |v| {
                let (text, user) = v.output();
                Value::Text { text, user }
            }),
            "strftime_now" => Value::Now,
            "lipsum" => {
                let n = named.iter().find(|(n, _)| n == "n").map(|(_, v)| v).or(plain.first());
                if let Some(n) = n.and_then(Value::int) {
                    self.sized(n.saturating_mul(1000));
                }
                Value::Unknown
            }
            "bytes" | "bytearray" => Value::List(match plain.first() {
                Some(Value::List(items)) => items.clone(),
                _ => return Value::Unknown,
            }),
            _ => Value::Unknown,
        }
    }

    /// A method of a text, list or dictionary.
    fn method(&mut self, object: Value, name: &str, plain: &[Value], named: &[(String, Value)]) -> Value {
        if matches!(name, "format" | "format_map") {
            let (pattern, user) = object.output();
            let (text, fields) = format_braces(&pattern, plain, named);
            for field in fields {
                self.look_up_path(&field);
                self.spec(&field);
            }
            return self.made(text, user);
        }
        if matches!(name, "ljust" | "rjust" | "center" | "zfill") {
            self.sized(plain.first().and_then(Value::int).unwrap_or(0));
            return object;
        }
        if object.is_user() {
            return self.of_user(object, name, plain);
        }
        match (&object, name) {
            (Value::Text { text, .. }, "join") => {
                let separator = text.clone();
                self.join(plain.first(), &separator)
            }
            (Value::Text { .. }, "decode" | "encode") => {
                let kind = plain.first().and_then(Value::constant).unwrap_or_default();
                if matches!(kind, "base64" | "hex" | "rot13" | "rot_13") {
                    self.filter_text(object, kind, plain)
                } else {
                    object
                }
            }
            (Value::Text { .. }, _) => self.filter_text(object, name, plain),
            (Value::List(items), "pop") => match plain.first().and_then(Value::int).unwrap_or(-1) {
                -1 => items.last().cloned().unwrap_or(Value::Unknown),
                i => usize::try_from(i).ok().and_then(|i| items.get(i)).cloned().unwrap_or(Value::Unknown),
            },
            (Value::List(items), "decode") => {
                let text: Option<String> = items
                    .iter()
                    .map(|i| i.int().and_then(|n| u32::try_from(n).ok()).and_then(char::from_u32))
                    .collect();
                text.map_or(Value::Unknown, |t| self.made(t, false))
            }
            (Value::Dict(items), "get" | "pop" | "setdefault") => match plain.first() {
                Some(key) if key.is_user() => {
                    let items = items.clone();
                    self.keyed_by_user(&items);
                    Value::Unknown
                }
                Some(key) => key.constant().and_then(|k| entry(items, k)).unwrap_or(Value::Unknown),
                None => Value::Unknown,
            },
            (Value::Dict(items), "keys") => Value::List(items.iter().map(|(k, _)| k.clone()).collect()),
            (Value::Dict(items), "values") => Value::List(items.iter().map(|(_, v)| v.clone()).collect()),
            (Value::Now, _) => Value::Now,
            (Value::Unknown, "fromhex") => {
                let text = plain.first().and_then(Value::constant).and_then(from_hex);
                text.map_or(Value::Unknown, |t| self.made(t, false))
            }
            (Value::Unknown | Value::Builtin(_), _) => {
                // `dict.get(obj, "__class__")` and the like: names among the arguments.
                for argument in
                    plain.iter().filter_map(Value::constant).map(str::to_owned).collect::<Vec<_>>()
                {
                    if argument.len() < 64 {
                        self.look_up_name(&argument);
                    }
                }
                Value::Unknown
            }
            _ => Value::Unknown,
        }
    }

    /// A format field that widens, such as `{:>999999999}`.
    fn spec(&mut self, field: &str) {
        if let Some((_, spec)) = field.split_once(':') {
            let digits: String =
                spec.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
            self.sized(digits.parse().unwrap_or(if digits.is_empty() { 0 } else { i128::MAX }));
        }
    }

    /// A method of what the user wrote.
    fn of_user(&mut self, object: Value, name: &str, plain: &[Value]) -> Value {
        let word = plain.first().and_then(Value::constant).map(str::to_owned);
        match (name, word) {
            (
                "startswith" | "endswith" | "find" | "rfind" | "index" | "count" | "__contains__",
                Some(word),
            ) => flag(&word, &object),
            ("startswith" | "endswith", None) => {
                let words = match plain.first() {
                    Some(Value::List(items)) => items
                        .iter()
                        .find_map(|i| i.constant().filter(|c| names::is_language(c)))
                        .map(str::to_owned),
                    _ => None,
                };
                words.map_or(Value::Unknown, |w| flag(&w, &object))
            }
            ("split" | "rsplit" | "splitlines" | "partition" | "rpartition", word) => match word {
                // Split at an ordinary word, the number of pieces tells whether the word is there.
                Some(word) if names::is_language(&word) && word.trim().len() > 2 => {
                    Value::List(vec![Value::content(), flag(&word, &object)])
                }
                _ => Value::Contents,
            },
            ("replace", _) => {
                self.rewrites(&object, plain);
                object
            }
            ("get" | "pop", Some(key)) => self.attribute(&object, &key),
            ("items" | "keys" | "values", _) => Value::Unknown,
            _ => object,
        }
    }

    /// Words of the user that are replaced by other words.
    pub(super) fn rewrites(&mut self, object: &Value, plain: &[Value]) {
        let (Some(from), Some(to)) =
            (plain.first().and_then(Value::constant), plain.get(1).and_then(Value::constant))
        else {
            return;
        };
        if matches!(object, Value::Text { .. } | Value::Contents) && names::turns_meaning(from, to) {
            self.report(Seen::Backdoor, format!("changes `{from}` to `{to}` in what was said"));
        }
    }
}
