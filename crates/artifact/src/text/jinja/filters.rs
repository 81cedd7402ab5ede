//! Filters and tests.

use super::ast::{Arg, Expr};
use super::eval::{from_hex, negate};
use super::judge::{Judge, Seen};
use super::names;
use super::value::{HOLE, Value, Why, format_percent, slice};
use crate::text::decode_base64;

impl<'a> Judge<'a> {
    /// `value | name(arguments)`.
    pub(super) fn filter(&mut self, value: Value, name: &str, arguments: &'a [Arg]) -> Value {
        let (plain, named) = self.arguments(arguments);
        let argument = |key: &str, at: usize| {
            named.iter().find(|(n, _)| n == key).map(|(_, v)| v).or_else(|| plain.get(at)).cloned()
        };
        match name {
            "attr" => return self.attr(&value, plain.first()),
            "map" => return self.map(value, &plain, &named),
            "select" | "reject" | "selectattr" | "rejectattr" => return self.selected(value, name, &plain),
            "groupby" | "sort" | "sum" | "unique" | "min" | "max" => {
                let at = if matches!(name, "groupby" | "sum") { 0 } else { usize::MAX };
                if let Some(path) = argument("attribute", at).as_ref().and_then(Value::constant) {
                    let path = path.to_owned();
                    self.look_up_path(&path);
                }
                return if matches!(name, "sort" | "unique") { value } else { Value::Unknown };
            }
            "join" => {
                if let Some(path) = argument("attribute", 1).as_ref().and_then(Value::constant) {
                    let path = path.to_owned();
                    self.look_up_path(&path);
                    return if value.is_user() { Value::content() } else { Value::Unknown };
                }
                let separator = argument("d", 0).map(|v| v.output().0).unwrap_or_default();
                return self.join(Some(&value), &separator);
            }
            "format" => {
                let pattern = value.output().0;
                self.percent_width(&pattern);
                return self.made(format_percent(&pattern, &plain), value.is_user());
            }
            "replace" if value.is_user() => {
                self.rewrites_filter(&value, &plain);
                return value;
            }
            "center" | "indent" => {
                self.sized(argument("width", 0).as_ref().and_then(Value::int).unwrap_or(0));
                return value;
            }
            "length" | "count" => {
                return match value {
                    Value::List(items) => match items.iter().find(|i| matches!(i, Value::Flag { .. })) {
                        Some(flag) => flag.clone(),
                        None => Value::Int(items.len() as i128),
                    },
                    Value::Text { text, user: false } if !text.contains(HOLE) => {
                        Value::Int(text.chars().count() as i128)
                    }
                    Value::Flag { .. } => value,
                    _ => Value::Unknown,
                };
            }
            "default" | "d" => {
                let fallback = argument("default_value", 0).unwrap_or(Value::Unknown);
                return match value {
                    Value::Unknown if fallback.is_user() => Value::content(),
                    other => other,
                };
            }
            "regex_search" | "regex_findall" | "contains" if value.is_user() => {
                if let Some(word) = plain.first().and_then(Value::constant) {
                    return reason(word);
                }
            }
            _ => {}
        }
        for text in plain
            .iter()
            .chain(named.iter().map(|(_, v)| v))
            .filter_map(Value::constant)
            .map(str::to_owned)
            .collect::<Vec<_>>()
        {
            if text.len() < 64 && names::leaves_sandbox(&text) {
                self.look_up_name(&text);
            }
        }
        match value {
            Value::Messages | Value::Contents | Value::Message | Value::Part => match (name, &value) {
                ("list" | "reverse" | "batch" | "slice" | "reject" | "unique", _) => value,
                ("first" | "last" | "random", Value::Messages) => Value::Message,
                ("first" | "last" | "random", _) => Value::content(),
                ("tojson" | "string" | "join", _) => Value::content(),
                _ => value,
            },
            Value::Text { user: true, .. } | Value::Flag { .. } | Value::Now | Value::Space(_) => value,
            Value::Text { .. } => self.filter_text(value, name, &plain),
            Value::List(items) => match name {
                "first" => items.first().cloned().unwrap_or(Value::Unknown),
                "last" => items.last().cloned().unwrap_or(Value::Unknown),
                "list" | "sort" => Value::List(items),
                "reverse" => Value::List(items.into_iter().rev().collect()),
                "string" => {
                    let text = Value::List(items).output().0;
                    Value::text(text)
                }
                _ => Value::Unknown,
            },
            Value::Dict(items) => match name {
                "list" | "sort" | "reverse" => Value::List(items.into_iter().map(|(k, _)| k).collect()),
                "first" => items.into_iter().next().map_or(Value::Unknown, |(k, _)| k),
                "last" => items.into_iter().next_back().map_or(Value::Unknown, |(k, _)| k),
                "items" | "dictsort" => {
                    Value::List(items.into_iter().map(|(k, v)| Value::List(vec![k, v])).collect())
                }
                _ => Value::Unknown,
            },
            Value::Builtin(builtin) => {
                // The printed form of an object as a quarry for letters.
                if matches!(name, "string" | "list" | "pprint" | "urlencode" | "escape" | "e")
                    && !matches!(builtin, "config" | "session" | "g")
                {
                    self.report(
                        Seen::Escape,
                        format!("takes letters out of the printed form of `{builtin}`"),
                    );
                }
                Value::Unknown
            }
            Value::Range(_) | Value::Unknown if name == "list" => value,
            _ => Value::Unknown,
        }
    }

    fn rewrites_filter(&mut self, value: &Value, plain: &[Value]) {
        let (Some(from), Some(to)) =
            (plain.first().and_then(Value::constant), plain.get(1).and_then(Value::constant))
        else {
            return;
        };
        if !matches!(value, Value::Part | Value::Message) && names::turns_meaning(from, to) {
            self.report(Seen::Backdoor, format!("changes `{from}` to `{to}` in what was said"));
        }
    }

    fn attr(&mut self, value: &Value, name: Option<&Value>) -> Value {
        match name.and_then(Value::constant) {
            Some(name) => {
                let name = name.to_owned();
                self.attribute(value, &name)
            }
            None => {
                self.report(Seen::Escape, "looks up a computed name with `attr`");
                Value::Builtin("module")
            }
        }
    }

    fn map(&mut self, value: Value, plain: &[Value], named: &[(String, Value)]) -> Value {
        if let Some((_, path)) = named.iter().find(|(n, _)| n == "attribute") {
            match path.constant().map(str::to_owned) {
                Some(path) => {
                    self.look_up_path(&path);
                    if value == Value::Messages && path == "content" {
                        return Value::Contents;
                    }
                }
                None => self.report(Seen::Escape, "looks up a computed name with `map`"),
            }
            return Value::Unknown;
        }
        let filter = plain.first().and_then(Value::constant).unwrap_or_default().to_owned();
        let rest = plain.get(1..).unwrap_or_default();
        if filter == "attr" {
            return self.attr(&value, rest.first());
        }
        match value {
            Value::List(items) if items.len() <= 256 => {
                let mapped = items
                    .into_iter()
                    .map(|item| match (item, filter.as_str()) {
                        (Value::Int(n), "format" | "string") => Value::text(n.to_string()),
                        (Value::Int(n), "chr") => u32::try_from(n)
                            .ok()
                            .and_then(char::from_u32)
                            .map_or(Value::Unknown, |c| Value::text(c.to_string())),
                        (item @ Value::Text { .. }, filter) => self.filter_text(item, filter, rest),
                        _ => Value::Unknown,
                    })
                    .collect();
                Value::List(mapped)
            }
            other if other.is_user() => other,
            _ => Value::Unknown,
        }
    }

    fn selected(&mut self, value: Value, name: &str, plain: &[Value]) -> Value {
        if let Some(path) = plain.first().filter(|_| name.ends_with("attr")) {
            match path.constant().map(str::to_owned) {
                Some(path) => self.look_up_path(&path),
                None => self.report(Seen::Escape, format!("looks up a computed name with `{name}`")),
            }
        }
        let word = match plain {
            [path, test, word, ..] if name.ends_with("attr") => {
                let content = path.constant() == Some("content");
                let test = test.constant().unwrap_or_default();
                (content
                    && matches!(
                        test,
                        "eq" | "equalto" | "==" | "in" | "search" | "match" | "contains" | "sameas"
                    ))
                .then(|| word.clone())
            }
            [test, word, ..] => {
                let test = test.constant().unwrap_or_default();
                (value == Value::Contents
                    && matches!(test, "eq" | "equalto" | "==" | "in" | "search" | "match" | "contains"))
                .then(|| word.clone())
            }
            _ => None,
        };
        if name.starts_with("select")
            && value.is_user()
            && let Some(word) = word.as_ref().and_then(Value::constant)
        {
            return reason(word);
        }
        value
    }

    /// A filter or method that makes a text of a text.
    pub(super) fn filter_text(&mut self, value: Value, name: &str, plain: &[Value]) -> Value {
        let Value::Text { ref text, user } = value else { return Value::Unknown };
        let one = plain.first().and_then(Value::constant);
        let made = match name {
            "upper" => text.to_uppercase(),
            "lower" | "casefold" => text.to_lowercase(),
            "title" | "capitalize" => {
                let mut chars = text.chars();
                chars
                    .next()
                    .map(|c| c.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase())
                    .unwrap_or_default()
            }
            "swapcase" => text
                .chars()
                .map(|c| if c.is_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() })
                .collect(),
            "trim" | "strip" => match one {
                Some(chars) => text.trim_matches(|c| chars.contains(c)).to_owned(),
                None => text.trim().to_owned(),
            },
            "lstrip" => match one {
                Some(chars) => text.trim_start_matches(|c| chars.contains(c)).to_owned(),
                None => text.trim_start().to_owned(),
            },
            "rstrip" => match one {
                Some(chars) => text.trim_end_matches(|c| chars.contains(c)).to_owned(),
                None => text.trim_end().to_owned(),
            },
            "removeprefix" => text.strip_prefix(one.unwrap_or_default()).unwrap_or(text).to_owned(),
            "removesuffix" => text.strip_suffix(one.unwrap_or_default()).unwrap_or(text).to_owned(),
            "reverse" => text.chars().rev().collect(),
            "replace" | "regex_replace" => match (one, plain.get(1)) {
                (Some(from), Some(to)) if !from.is_empty() => text.replace(from, &to.output().0),
                _ => return Value::Unknown,
            },
            "string" | "safe" | "escape" | "e" | "forceescape" | "striptags" | "wordwrap" | "expandtabs"
            | "encode" | "decode" => text.clone(),
            "tojson" => format!("\"{text}\""),
            "b64decode" | "base64" | "base64decode" | "b64_decode" | "from_base64" => {
                match decode_base64(text).map(String::from_utf8) {
                    Some(Ok(text)) => text,
                    _ => return Value::Unknown,
                }
            }
            "hex" | "unhexlify" | "fromhex" => match from_hex(text) {
                Some(text) => text,
                None => return Value::Unknown,
            },
            "rot13" | "rot_13" => text.chars().map(rot13).collect(),
            "translate" | "urlize" | "truncate" => return Value::Unknown,
            "list" => {
                return Value::List(text.chars().take(4096).map(|c| Value::text(c.to_string())).collect());
            }
            "first" => return text.chars().next().map_or(Value::Unknown, |c| Value::text(c.to_string())),
            "last" => return text.chars().next_back().map_or(Value::Unknown, |c| Value::text(c.to_string())),
            "split" | "rsplit" => {
                let pieces: Vec<Value> = match one {
                    Some(at) if !at.is_empty() => text.split(at).take(4096).map(Value::text).collect(),
                    _ => text.split_whitespace().take(4096).map(Value::text).collect(),
                };
                return Value::List(pieces);
            }
            "batch" | "slice" => {
                let n = plain.first().and_then(Value::int).unwrap_or(1).clamp(1, 4096);
                let chars: Vec<char> = text.chars().take(4096).collect();
                return Value::List(
                    chars
                        .chunks(usize::try_from(n).unwrap_or(1))
                        .map(|c| Value::List(c.iter().map(|c| Value::text(c.to_string())).collect()))
                        .collect(),
                );
            }
            "__getitem__" => {
                let chars: Vec<char> = text.chars().collect();
                let at = plain.first().and_then(Value::int).unwrap_or(0);
                return slice(chars.len(), Some(at), None, None)
                    .first()
                    .and_then(|i| chars.get(*i))
                    .map_or(Value::Unknown, |c| Value::text(c.to_string()));
            }
            _ => return Value::Unknown,
        };
        if text.contains(HOLE) && name != "trim" && name != "strip" {
            return Value::Text { text: made, user };
        }
        if made == *text { value } else { self.made(made, user) }
    }

    /// `value is name(arguments)`.
    pub(super) fn test(&mut self, inner: &'a Expr, name: &str, arguments: &'a [Arg], negated: bool) -> Value {
        let value = self.eval(inner);
        let (plain, _) = self.arguments(arguments);
        let words: Vec<String> = match plain.first() {
            Some(Value::List(items)) => items.iter().filter_map(Value::constant).map(str::to_owned).collect(),
            Some(other) => other.constant().map(str::to_owned).into_iter().collect(),
            None => Vec::new(),
        };
        let compares = matches!(
            name,
            "eq" | "equalto"
                | "in"
                | "match"
                | "search"
                | "regex"
                | "contains"
                | "sameas"
                | "containing"
                | "ge"
                | "gt"
                | "le"
                | "lt"
        );
        let result = match (&value, words.first()) {
            (Value::Now, Some(word)) if compares => {
                Value::Flag { why: Why::Date(word.clone()), positive: true }
            }
            (Value::Text { user: true, .. } | Value::Contents | Value::Messages, Some(first)) if compares => {
                reason(words.iter().find(|w| names::is_language(w)).unwrap_or(first))
            }
            (Value::Flag { .. }, _) => match name {
                "true" | "truthy" => value.clone(),
                "false" | "none" | "falsy" => negate(value.clone()),
                _ => Value::Unknown,
            },
            _ => Value::Unknown,
        };
        if negated { negate(result) } else { result }
    }

    /// Text that a conditional expression gives only for a reason.
    pub(super) fn because_of(&mut self, why: Why, text: &str) {
        let held = self.hold(why);
        self.writes_now(text);
        self.release(held);
    }
}

fn reason(word: &str) -> Value {
    let word = word.trim().trim_matches(['.', '*', '^', '$', '(', ')', '\\', '?']).trim();
    if word.is_empty() {
        return Value::Unknown;
    }
    let why =
        if names::is_language(word) { Why::Words(word.to_owned()) } else { Why::Marker(word.to_owned()) };
    Value::Flag { why, positive: true }
}

fn rot13(c: char) -> char {
    let turn = |base: u8| char::from((c as u8 - base + 13) % 26 + base);
    match c {
        'a'..='z' => turn(b'a'),
        'A'..='Z' => turn(b'A'),
        c => c,
    }
}
