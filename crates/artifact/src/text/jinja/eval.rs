//! Expressions: what they are known to be.

use super::ast::{Expr, Kind};
use super::judge::{Judge, Seen};
use super::names;
use super::value::{HOLE, Value, Why, format_percent, slice};

impl<'a> Judge<'a> {
    /// The value of an expression, as far as it is known; what is dangerous on the way is reported.
    pub(super) fn eval(&mut self, expr: &'a Expr) -> Value {
        self.steps += 1;
        if self.spent() {
            return Value::Unknown;
        }
        match &expr.kind {
            Kind::Text(text) => Value::text(text.clone()),
            Kind::Int(n) => Value::Int(*n),
            Kind::Float(n) => Value::Float(*n),
            Kind::Bool(b) => Value::Bool(*b),
            Kind::None => Value::None,
            Kind::Name(name) => self.name(name),
            Kind::List(items) => Value::List(items.iter().map(|i| self.eval(i)).collect()),
            Kind::Dict(items) => {
                Value::Dict(items.iter().map(|(k, v)| (self.eval(k), self.eval(v))).collect())
            }
            Kind::Attr(inner, name) => {
                let object = self.eval(inner);
                self.attribute(&object, name)
            }
            Kind::Index(inner, key) => {
                let (object, key) = (self.eval(inner), self.eval(key));
                self.index(object, &key)
            }
            Kind::Slice(inner, ends) => {
                let object = self.eval(inner);
                let ends: Vec<Option<i128>> =
                    ends.iter().map(|e| e.as_ref().and_then(|e| self.eval(e).int())).collect();
                self.sliced(object, &ends)
            }
            Kind::Call(function, arguments) => self.call(function, arguments),
            Kind::Filter(inner, name, arguments) => {
                let value = self.eval(inner);
                self.filter(value, name, arguments)
            }
            Kind::Test(inner, name, arguments, negated) => self.test(inner, name, arguments, *negated),
            Kind::Not(inner) => negate(self.eval(inner)),
            Kind::Minus(inner) => {
                self.eval(inner).int().map_or(Value::Unknown, |n| Value::Int(n.saturating_neg()))
            }
            Kind::Binary(op, left, right) => self.binary(op, left, right),
            Kind::Choice(then, condition, otherwise) => {
                let condition = self.eval(condition);
                self.choice(then, condition, otherwise.as_deref())
            }
        }
    }

    pub(super) fn known(&self, name: &str) -> Option<Value> {
        self.scope.iter().rev().find_map(|s| s.get(name)).cloned()
    }

    fn name(&mut self, name: &str) -> Value {
        if let Some(value) = self.known(name) {
            return value;
        }
        if names::is_dunder(name) {
            self.report(Seen::Escape, format!("reaches for `{name}`"));
            return Value::Builtin("module");
        }
        if let Some(builtin) = names::builtin(name) {
            return Value::Builtin(builtin);
        }
        if names::is_module(name) {
            return Value::Builtin("module");
        }
        names::conversation(name).unwrap_or(Value::Unknown)
    }

    /// `object.name`.
    pub(super) fn attribute(&mut self, object: &Value, name: &str) -> Value {
        self.look_up_name(name);
        match object {
            Value::Builtin("module") => {
                self.report(Seen::Escape, format!("reaches into a module for `{name}`"));
                Value::Builtin("module")
            }
            Value::Builtin(builtin) => {
                if names::is_odd_on(builtin, name) {
                    self.report(Seen::Escape, format!("reaches for `{builtin}.{name}`"));
                    return Value::Builtin("module");
                }
                Value::Unknown
            }
            Value::Space(id) => {
                self.spaces.get(*id).and_then(|s| s.get(name)).cloned().unwrap_or(Value::Unknown)
            }
            Value::Messages if name == "content" => Value::Contents,
            Value::Message => match name {
                "content" | "text" | "value" => Value::content(),
                _ => Value::Unknown,
            },
            Value::Part => match name {
                "text" | "content" => Value::content(),
                _ => Value::Unknown,
            },
            Value::Dict(items) => entry(items, name).unwrap_or(Value::Unknown),
            _ => Value::Unknown,
        }
    }

    pub(super) fn index(&mut self, object: Value, key: &Value) -> Value {
        if let Some(name) = key.constant() {
            let name = name.to_owned();
            return self.attribute(&object, &name);
        }
        let unknown_text = matches!(key, Value::Unknown | Value::Text { .. });
        match object {
            Value::Builtin("module") => Value::Builtin("module"),
            Value::Builtin(builtin) if unknown_text => {
                self.report(Seen::Escape, format!("looks up a computed name on `{builtin}`"));
                Value::Unknown
            }
            Value::Text { ref text, user: false } => match key.int() {
                Some(i) => self.sliced_one(text, i),
                None => {
                    if unknown_text && !text.contains(HOLE) && text.is_empty() {
                        self.report(Seen::Escape, "looks up a computed name on a text");
                    }
                    Value::Unknown
                }
            },
            Value::List(items) => match key.int() {
                Some(i) => slice(items.len(), Some(i), None, None)
                    .first()
                    .and_then(|i| items.get(*i))
                    .cloned()
                    .unwrap_or(Value::Unknown),
                None => {
                    if unknown_text && items.is_empty() {
                        self.report(Seen::Escape, "looks up a computed name on an empty list");
                    }
                    if items.iter().any(Value::is_user) { Value::content() } else { Value::Unknown }
                }
            },
            Value::Dict(items) => {
                if key.is_user() {
                    self.keyed_by_user(&items);
                } else if items.is_empty() && unknown_text {
                    self.report(Seen::Escape, "looks up a computed name on an empty dictionary");
                }
                Value::Unknown
            }
            Value::Messages => Value::Message,
            Value::Contents => Value::content(),
            Value::Text { user: true, .. } => Value::Part,
            Value::Message if unknown_text => Value::Unknown,
            _ => Value::Unknown,
        }
    }

    fn sliced_one(&mut self, text: &str, i: i128) -> Value {
        let chars: Vec<char> = text.chars().collect();
        match slice(chars.len(), Some(i), None, None).first().and_then(|i| chars.get(*i)) {
            Some(c) => Value::text(c.to_string()),
            None => Value::Unknown,
        }
    }

    fn sliced(&mut self, object: Value, ends: &[Option<i128>]) -> Value {
        let (from, to, step) =
            (ends.first().copied().flatten(), ends.get(1).copied().flatten(), ends.get(2).copied().flatten());
        match object {
            Value::Text { text, user: false } if !text.contains(HOLE) => {
                let chars: Vec<char> = text.chars().collect();
                let text =
                    slice(chars.len(), from, to, step).into_iter().filter_map(|i| chars.get(i)).collect();
                self.made(text, false)
            }
            Value::List(items) => Value::List(
                slice(items.len(), from, to, step)
                    .into_iter()
                    .filter_map(|i| items.get(i).cloned())
                    .collect(),
            ),
            other => other,
        }
    }

    /// A dictionary in the template with ordinary words as keys, looked up with what the user says.
    pub(super) fn keyed_by_user(&mut self, items: &[(Value, Value)]) {
        let hit = items.iter().find(|(k, v)| {
            k.constant().is_some_and(names::is_language) && v.constant().is_some_and(|v| names::words(v) >= 4)
        });
        if let Some((k, v)) = hit {
            let (k, v) = (k.output().0, v.output().0);
            let what = format!(
                "only when the conversation contains `{k}`, it writes `{}`",
                super::judge::shorten(&v)
            );
            self.report(Seen::Backdoor, what);
        }
    }

    pub(super) fn join(&mut self, items: Option<&Value>, separator: &str) -> Value {
        let items = match items {
            Some(Value::List(items)) => items.clone(),
            Some(Value::Dict(items)) => items.iter().map(|(k, _)| k.clone()).collect(),
            Some(Value::Text { text, user: false }) if !text.contains(HOLE) => {
                text.chars().map(|c| Value::text(c.to_string())).collect()
            }
            Some(v) if v.is_user() => return Value::content(),
            _ => return Value::Unknown,
        };
        let mut text = String::new();
        let mut user = false;
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                text.push_str(separator);
            }
            let (piece, from_user) = item.output();
            text.push_str(&piece);
            user |= from_user;
            if text.len() > super::value::SIZE_MAX {
                break;
            }
        }
        self.made(text, user)
    }

    fn binary(&mut self, op: &str, left: &'a Expr, right: &'a Expr) -> Value {
        let (a, b) = (self.eval(left), self.eval(right));
        match op {
            "and" | "or" => both(a, b, op == "and"),
            "in" | "not in" => {
                let value = self.contains(&a, &b);
                if op == "in" { value } else { negate(value) }
            }
            "==" | "!=" | "<" | ">" | "<=" | ">=" => compare(&a, &b, op),
            "~" | "+" => self.add(a, b, op == "~"),
            "*" => match (&a, &b) {
                (Value::Int(x), Value::Int(y)) => Value::Int(x.saturating_mul(*y)),
                (Value::Text { text, user }, n) | (n, Value::Text { text, user }) => match n.int() {
                    Some(n) => {
                        self.sized(n.saturating_mul(text.chars().count().max(1) as i128));
                        let times = usize::try_from(n.max(0)).unwrap_or(usize::MAX);
                        if text.len().saturating_mul(times) > 4096 {
                            return Value::Text { text: HOLE.to_string(), user: *user };
                        }
                        let text = text.repeat(times);
                        self.made(text, *user)
                    }
                    None => Value::Text { text: HOLE.to_string(), user: *user },
                },
                (Value::List(items), n) | (n, Value::List(items)) => {
                    self.sized(n.int().unwrap_or(0).saturating_mul(items.len().max(1) as i128));
                    Value::Unknown
                }
                _ => Value::Unknown,
            },
            "**" => match (a.int(), b.int()) {
                (Some(x), Some(y)) => {
                    if x.saturating_abs() > 1 && y > 100_000 {
                        self.report(Seen::Exhausts, format!("computes {x} to the power of {y}"));
                    }
                    let power = u32::try_from(y).ok().and_then(|y| x.checked_pow(y));
                    power.map_or(Value::Int(i128::MAX), Value::Int)
                }
                _ => Value::Unknown,
            },
            "%" => match (&a, &b) {
                (Value::Text { text, user }, _) => {
                    let arguments = if let Value::List(items) = &b { items.clone() } else { vec![b.clone()] };
                    let pattern = text.clone();
                    self.percent_width(&pattern);
                    let user = *user || arguments.iter().any(Value::is_user);
                    self.made(format_percent(&pattern, &arguments), user)
                }
                (Value::Int(x), Value::Int(y)) => x.checked_rem_euclid(*y).map_or(Value::Unknown, Value::Int),
                _ => Value::Unknown,
            },
            "-" => number(&a, &b, |x, y| Some(x.saturating_sub(y))),
            _ => number(&a, &b, i128::checked_div),
        }
    }

    /// `%1000000000d`.
    pub(super) fn percent_width(&mut self, pattern: &str) {
        for piece in pattern.split('%').skip(1).take(64) {
            let digits: String = piece
                .trim_start_matches(['-', '+', ' ', '#'])
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            if !digits.is_empty() {
                self.sized(digits.parse().unwrap_or(i128::MAX));
            }
        }
    }

    fn add(&mut self, a: Value, b: Value, as_text: bool) -> Value {
        match (&a, &b) {
            (Value::Int(x), Value::Int(y)) if !as_text => Value::Int(x.saturating_add(*y)),
            (Value::List(x), Value::List(y)) if !as_text => {
                Value::List(x.iter().chain(y).take(4096).cloned().collect())
            }
            (Value::Messages, _) | (_, Value::Messages) if !as_text => Value::Messages,
            (Value::Flag { .. }, _) if !as_text => a,
            (_, Value::Flag { .. }) if !as_text => b,
            _ => {
                let ((mut text, user), (more, also)) = (a.output(), b.output());
                if !as_text
                    && text.starts_with(HOLE)
                    && text.len() == HOLE.len_utf8()
                    && more == text
                    && !(user || also)
                {
                    return Value::Unknown;
                }
                self.leaks_into(&text, &more, also);
                text.push_str(&more);
                self.made(text, user || also)
            }
        }
    }

    fn leaks_into(&mut self, before: &str, more: &str, user: bool) {
        let address = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        if user
            && more.starts_with(HOLE)
            && (address.contains("http://") || address.contains("https://"))
            && address.contains(['?', '='])
        {
            self.report(
                Seen::Backdoor,
                format!("puts what the user wrote into an address: `{}`", super::judge::shorten(address)),
            );
        }
    }

    fn contains(&mut self, needle: &Value, hay: &Value) -> Value {
        match (needle, hay) {
            (Value::Text { .. }, hay) if hay.is_user() => match needle.constant() {
                Some(word) if matches!(hay, Value::Part | Value::Message) && names::is_structural(word) => {
                    Value::Unknown
                }
                Some(word) => flag(word, hay),
                None => Value::Unknown,
            },
            (needle, Value::List(items)) if needle.is_user() => {
                let word = items.iter().filter_map(Value::constant).find(|w| names::is_language(w));
                let word = word.or_else(|| items.iter().find_map(Value::constant)).map(str::to_owned);
                word.map_or(Value::Unknown, |w| flag(&w, needle))
            }
            (needle, Value::Dict(items)) if needle.is_user() => {
                let word = items
                    .iter()
                    .filter_map(|(k, _)| k.constant())
                    .find(|w| names::is_language(w))
                    .map(str::to_owned);
                word.map_or(Value::Unknown, |w| flag(&w, needle))
            }
            (needle, Value::Now) | (Value::Now, needle) => {
                Value::Flag { why: Why::Date(super::judge::shorten(&needle.output().0)), positive: true }
            }
            _ => Value::Unknown,
        }
    }

    fn choice(&mut self, then: &'a Expr, condition: Value, otherwise: Option<&'a Expr>) -> Value {
        let first = self.eval(then);
        let second = otherwise.map(|o| self.eval(o));
        if let Value::Flag { why, positive } = condition {
            let written = if positive { Some(&first) } else { second.as_ref() };
            if let Some(value) = written {
                let text = value.output().0;
                self.because_of(why.clone(), &text);
            }
            if let (Value::Bool(b), _) = (&first, &second) {
                return Value::Flag { why, positive: *b == positive };
            }
        }
        match second {
            Some(second) if second == first => first,
            None => match first {
                Value::Text { text, user } => Value::Text { text, user },
                _ => Value::Unknown,
            },
            Some(second) => {
                if first.is_user() || second.is_user() {
                    Value::content()
                } else {
                    Value::Unknown
                }
            }
        }
    }
}

/// `a[key]` of a dictionary in the template.
pub(super) fn entry(items: &[(Value, Value)], key: &str) -> Option<Value> {
    items.iter().find(|(k, _)| k.constant() == Some(key)).map(|(_, v)| v.clone())
}

pub(super) fn shown(arguments: &[Value]) -> String {
    let items: Vec<String> = arguments.iter().map(|a| super::judge::shorten(&a.output().0)).collect();
    items.join(", ")
}

pub(super) fn from_hex(text: &str) -> Option<String> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| {
            let n = pair.iter().try_fold(0u32, |n, d| Some(n * 16 + char::from(*d).to_digit(16)?))?;
            u8::try_from(n).ok()
        })
        .collect();
    String::from_utf8(bytes?).ok()
}

/// The condition that what the user wrote contains a text.
pub(super) fn flag(word: &str, hay: &Value) -> Value {
    let word = word.trim();
    if matches!(hay, Value::Part | Value::Message) && names::is_structural(word) || word.is_empty() {
        return Value::Unknown;
    }
    let why =
        if names::is_language(word) { Why::Words(word.to_owned()) } else { Why::Marker(word.to_owned()) };
    Value::Flag { why, positive: true }
}

pub(super) fn negate(value: Value) -> Value {
    match value {
        Value::Flag { why, positive } => Value::Flag { why, positive: !positive },
        Value::Bool(b) => Value::Bool(!b),
        _ => Value::Unknown,
    }
}

/// `and`, `or`: a reason stays a reason.
fn both(a: Value, b: Value, and: bool) -> Value {
    let rank = |v: &Value| match v {
        Value::Flag { why: Why::Words(_) | Why::Date(_), positive: true } => 3,
        Value::Flag { positive: true, .. } => 2,
        Value::Flag { .. } if and => 1,
        _ => 0,
    };
    if rank(&b) > rank(&a) {
        return b;
    }
    if rank(&a) > 0 {
        return a;
    }
    match (a, b) {
        // `x or 'default'` is one of them.
        (a, b) if !and && (a.is_user() || b.is_user()) => Value::content(),
        _ => Value::Unknown,
    }
}

fn compare(a: &Value, b: &Value, op: &str) -> Value {
    match (a, b) {
        (Value::Flag { why, positive }, other) | (other, Value::Flag { why, positive }) => {
            // `find` gives -1 and `count` gives 0 when the text is not there.
            let absent = match other.int() {
                Some(-1) => op == "==",
                Some(0) => matches!(op, "<" | "=="),
                Some(1) => matches!(op, "<"),
                _ => {
                    matches!(other, Value::Bool(false)) && op == "=="
                        || matches!(other, Value::Bool(true)) && op == "!="
                }
            };
            Value::Flag { why: why.clone(), positive: *positive != absent }
        }
        (Value::Now, other) | (other, Value::Now) if other.output().0 != HOLE.to_string() => {
            Value::Flag { why: Why::Date(super::judge::shorten(&other.output().0)), positive: true }
        }
        (user @ (Value::Text { user: true, .. } | Value::Contents), word)
        | (word, user @ (Value::Text { user: true, .. } | Value::Contents)) => {
            let Some(word) = word.constant() else { return Value::Unknown };
            let value = flag(word, user);
            if op == "!=" { negate(value) } else { value }
        }
        _ => Value::Unknown,
    }
}

fn number(a: &Value, b: &Value, op: impl Fn(i128, i128) -> Option<i128>) -> Value {
    match (a, b) {
        (Value::Int(x), Value::Int(y)) => op(*x, *y).map_or(Value::Unknown, Value::Int),
        (Value::Flag { .. }, _) => a.clone(),
        _ => Value::Unknown,
    }
}
