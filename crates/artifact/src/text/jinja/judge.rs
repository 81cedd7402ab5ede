//! Walks a template with what is known of each value, and reports what it would do.

use std::collections::HashMap;

use super::ast::{Arg, Expr, Kind, Node};
use super::names;
use super::value::{HOLE, SIZE_MAX, Value, Why};

/// Most steps for one template.
const STEPS_MAX: u64 = 200_000;
/// Most rounds of a loop over known values that are followed one by one.
const ROUNDS_MAX: usize = 128;
/// Macros called by macros.
const CALLS_MAX: usize = 6;
/// More rounds than this in a `range`, or in nested ones together, are meant to hang. Transformers stops at 100,000.
const RANGE_MAX: i128 = 1_000_000;
/// Nested ranges together.
const ROUNDS_TOGETHER_MAX: i128 = 10_000_000;
/// Longer text made from little is meant to fill the memory.
const TEXT_CHARS_MAX: i128 = 10_000_000;

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    Escape,
    Exhausts,
    Backdoor,
}

/// The walk.
pub(super) struct Judge<'a> {
    pub(super) macros: Vec<&'a Node>,
    pub(super) scope: Vec<HashMap<String, Value>>,
    pub(super) spaces: Vec<HashMap<String, Value>>,
    /// Conditions that hold here because of the conversation or the date.
    because: Vec<Why>,
    /// Macros that are being called, with the number of conditions around the call.
    calls: Vec<(usize, usize)>,
    conditions: usize,
    rounds: i128,
    pub(super) steps: u64,
    /// Byte of the tag that is looked at.
    pub(super) at: usize,
    pub(super) found: Vec<(Seen, usize, String)>,
}

impl<'a> Judge<'a> {
    pub(super) fn new() -> Self {
        Self {
            macros: Vec::new(),
            scope: vec![HashMap::new()],
            spaces: Vec::new(),
            because: Vec::new(),
            calls: Vec::new(),
            conditions: 0,
            rounds: 1,
            steps: 0,
            at: 0,
            found: Vec::new(),
        }
    }

    pub(super) fn spent(&self) -> bool {
        self.steps > STEPS_MAX
    }

    pub(super) fn report(&mut self, seen: Seen, what: impl Into<String>) {
        let found = (seen, self.at, what.into());
        if self.found.len() < 50 && !self.found.contains(&found) {
            self.found.push(found);
        }
    }

    /// What the nodes write, with holes.
    pub(super) fn walk(&mut self, nodes: &'a [Node]) -> Value {
        let mut written = String::new();
        let mut user = false;
        for node in nodes {
            self.steps += 1;
            if self.spent() {
                written.push(HOLE);
                break;
            }
            let (text, from_user) = self.node(node, &written);
            user |= from_user;
            written.push_str(&text);
            if written.len() > SIZE_MAX {
                written.clear();
                written.push(HOLE);
            }
        }
        Value::Text { text: written, user }
    }

    fn node(&mut self, node: &'a Node, before: &str) -> (String, bool) {
        match node {
            Node::Text(text) => {
                self.writes(text);
                return (text.clone(), false);
            }
            Node::Print(at, expr) => {
                self.at = *at;
                let value = self.eval(expr);
                let (text, user) = value.output();
                self.writes(&text);
                self.leaks(before, &text, user);
                return (text, user);
            }
            Node::If(at, branches) => return self.branches(*at, branches),
            Node::For { at, targets, over, only, body, otherwise } => {
                self.at = *at;
                let over = self.eval(over);
                let text = self.rounds(targets, over, only.as_ref(), body);
                self.conditions += 1;
                let rest = self.walk(otherwise).output();
                self.conditions -= 1;
                return (text.0 + &rest.0, text.1 || rest.1);
            }
            Node::Set(at, targets, value) => {
                self.at = *at;
                let value = self.eval(value);
                self.set_all(targets, value);
            }
            Node::SetBlock(at, target, body) => {
                self.at = *at;
                let mut value = self.walk(body);
                let mut target = target;
                while let Kind::Filter(inner, name, arguments) = &target.kind {
                    value = self.filter(value, name, arguments);
                    target = inner;
                }
                self.set(target, value);
            }
            Node::Macro { name, parameters, body } => {
                let id = self.macros.len();
                self.macros.push(node);
                self.set_name(name, Value::Macro(id));
                self.scope.push(HashMap::new());
                for (parameter, value) in parameters {
                    let value = value.as_ref().map_or(Value::Unknown, |v| self.eval(v));
                    let value = if value == Value::None || matches!(value, Value::Bool(_)) {
                        Value::Unknown
                    } else {
                        value
                    };
                    self.set_name(parameter, value);
                }
                self.calls.push((id, self.conditions));
                self.walk(body);
                self.calls.pop();
                self.scope.pop();
            }
            Node::Block(at, values, body) => {
                self.at = *at;
                for value in values {
                    self.eval(value);
                }
                return self.walk(body).output();
            }
            Node::Load(at, value) => {
                self.at = *at;
                let value = self.eval(value);
                if let Some(path) = value.constant()
                    && (path.starts_with(['/', '\\', '~'])
                        || path.contains("..")
                        || path.contains("://")
                        || names::is_module(path))
                {
                    self.report(Seen::Escape, format!("loads `{path}`"));
                }
            }
        }
        (String::new(), false)
    }

    fn branches(&mut self, at: usize, branches: &'a [(Option<Expr>, Vec<Node>)]) -> (String, bool) {
        let mut refused: Vec<Why> = Vec::new();
        let mut outputs: Vec<(String, bool)> = Vec::new();
        self.conditions += 1;
        for (condition, body) in branches {
            self.at = at;
            let held = self.because.len();
            self.because.append(&mut refused.clone());
            if let Some(condition) = condition
                && let Value::Flag { why, positive } = self.eval(condition)
            {
                if positive {
                    self.because.push(why);
                } else {
                    refused.push(why);
                }
            }
            outputs.push(self.walk(body).output());
            self.because.truncate(held);
        }
        self.conditions -= 1;
        // Which branch runs is not known; when only one writes something known, that is followed.
        let user = outputs.iter().any(|o| o.1);
        let mut written = outputs.into_iter().map(|o| o.0).filter(|t| !t.is_empty());
        match (written.next(), written.next()) {
            (Some(text), None) => (text, user),
            (None, _) => (String::new(), user),
            _ => (HOLE.to_string(), user),
        }
    }

    fn rounds(
        &mut self,
        targets: &'a [Expr],
        over: Value,
        only: Option<&'a Expr>,
        body: &'a [Node],
    ) -> (String, bool) {
        let outer = self.rounds;
        let items: Vec<Value> = match over {
            Value::List(items) => items.into_iter().take(ROUNDS_MAX).collect(),
            Value::Range(n) => {
                self.rounds = self.rounds.saturating_mul(n.max(1));
                if self.rounds > ROUNDS_TOGETHER_MAX {
                    self.report(Seen::Exhausts, format!("loops {} times", self.rounds));
                }
                let n = usize::try_from(n.max(0)).unwrap_or(usize::MAX).min(ROUNDS_MAX);
                (0..n as i128).map(Value::Int).collect()
            }
            Value::Text { text, user: false }
                if !text.contains(HOLE) && text.chars().count() <= ROUNDS_MAX =>
            {
                text.chars().map(|c| Value::text(c.to_string())).collect()
            }
            Value::Dict(items) => items.into_iter().map(|(k, _)| k).take(ROUNDS_MAX).collect(),
            Value::Messages => vec![Value::Message],
            Value::Contents => vec![Value::content()],
            Value::Text { user: true, .. } => vec![Value::Part],
            _ => vec![Value::Unknown],
        };
        self.conditions += 1;
        let mut written = String::new();
        let mut user = false;
        let held = self.because.len();
        for item in items {
            self.steps += 1;
            if self.spent() {
                break;
            }
            self.set_all(targets, item);
            self.set_name("loop", Value::Unknown);
            if let Some(only) = only
                && let Value::Flag { why, positive: true } = self.eval(only)
            {
                self.because.push(why);
            }
            let (text, from_user) = self.walk(body).output();
            self.because.truncate(held);
            user |= from_user;
            if written.len() < SIZE_MAX {
                written.push_str(&text);
            }
        }
        self.conditions -= 1;
        self.rounds = outer;
        (written, user)
    }

    /// What is written here, and whether it should not be.
    fn writes(&mut self, text: &str) {
        if let Some(phrase) = names::is_injection(text) {
            let shown = shorten(text);
            self.report(
                Seen::Backdoor,
                format!("writes an instruction (`{phrase}`) into the conversation: `{shown}`"),
            );
        }
        let Some(why) = self.because.last().cloned() else { return };
        let (cause, evil) = match &why {
            Why::Words(w) => {
                (format!("the conversation contains `{w}`"), names::words(text) >= 3 || text.contains("://"))
            }
            Why::Marker(w) => {
                (format!("the conversation contains `{w}`"), names::is_instruction(text).is_some())
            }
            Why::Date(w) => {
                (format!("the date is compared with `{w}`"), names::words(text) >= 3 || text.contains("://"))
            }
        };
        if evil {
            self.report(Seen::Backdoor, format!("only when {cause}, it writes `{}`", shorten(text)));
        }
    }

    pub(super) fn hold(&mut self, why: Why) -> usize {
        self.because.push(why);
        self.because.len() - 1
    }

    pub(super) fn release(&mut self, held: usize) {
        self.because.truncate(held);
    }

    pub(super) fn writes_now(&mut self, text: &str) {
        self.writes(text);
    }

    /// What the user wrote as a part of an address.
    fn leaks(&mut self, before: &str, text: &str, user: bool) {
        if !user {
            return;
        }
        let all = format!("{before}{text}");
        let Some(hole) = all.rfind(HOLE) else { return };
        let front = all.get(..hole).unwrap_or_default();
        let word = front.rsplit(|c: char| c.is_whitespace()).next().unwrap_or_default();
        if let Some(at) = word.find("http://").or_else(|| word.find("https://"))
            && word.get(at..).is_some_and(|address| address.contains(['?', '=']))
        {
            self.report(
                Seen::Backdoor,
                format!("puts what the user wrote into an address: `{}`", shorten(word)),
            );
        }
    }

    fn set_all(&mut self, targets: &'a [Expr], value: Value) {
        if let [target] = targets {
            if let Kind::List(inner) = &target.kind {
                return self.set_all(inner, value);
            }
            return self.set(target, value);
        }
        match value {
            Value::List(items) if items.len() == targets.len() => {
                for (target, item) in targets.iter().zip(items) {
                    self.set(target, item);
                }
            }
            other => {
                for target in targets {
                    let item = if other.is_user() { Value::content() } else { Value::Unknown };
                    self.set(target, item);
                }
            }
        }
    }

    fn set(&mut self, target: &'a Expr, value: Value) {
        // What is remembered under a condition stands for the condition.
        let value = match (&value, self.because.last()) {
            (Value::Bool(b), Some(why)) => Value::Flag { why: why.clone(), positive: *b },
            (Value::Int(n), Some(why)) => Value::Flag { why: why.clone(), positive: *n != 0 },
            (Value::Text { text, .. }, Some(_)) => {
                let text = text.clone();
                self.writes(&text);
                value
            }
            _ => value,
        };
        match &target.kind {
            Kind::Name(name) => self.set_name(name, value),
            Kind::Attr(space, name) => {
                self.look_up_name(name);
                if let Value::Space(id) = self.eval(space)
                    && let Some(space) = self.spaces.get_mut(id)
                {
                    // A flag is not lowered by a later `false` in the same walk: either may have run.
                    let keep = matches!(space.get(name), Some(Value::Flag { .. }))
                        && matches!(value, Value::Bool(_));
                    if !keep {
                        space.insert(name.clone(), value);
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn set_name(&mut self, name: &str, value: Value) {
        if let Some(scope) = self.scope.last_mut() {
            scope.insert(name.to_owned(), value);
        }
    }

    /// Calls a macro with known arguments.
    pub(super) fn call_macro(&mut self, id: usize, arguments: &[Value], named: &[(String, Value)]) -> Value {
        if let Some((_, conditions)) = self.calls.iter().find(|(running, _)| *running == id) {
            if *conditions == self.conditions {
                self.report(Seen::Exhausts, "a macro calls itself without end");
            }
            return Value::Unknown;
        }
        if self.calls.len() >= CALLS_MAX {
            return Value::Unknown;
        }
        let Some(Node::Macro { parameters, body, .. }) = self.macros.get(id).copied() else {
            return Value::Unknown;
        };
        let mut scope = HashMap::new();
        for (i, (name, default)) in parameters.iter().enumerate() {
            let value = named.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
            let value = value.or_else(|| arguments.get(i).cloned());
            let value = value.unwrap_or_else(|| default.as_ref().map_or(Value::None, |d| self.eval(d)));
            scope.insert(name.clone(), value);
        }
        self.scope.push(scope);
        self.calls.push((id, self.conditions));
        let value = self.walk(body);
        self.calls.pop();
        self.scope.pop();
        value
    }

    /// Looks at a name by which something is reached.
    pub(super) fn look_up_name(&mut self, name: &str) {
        if names::leaves_sandbox(name) {
            self.report(Seen::Escape, format!("reaches for `{name}`"));
        }
    }

    /// A dotted path, as `map(attribute=…)` takes it.
    pub(super) fn look_up_path(&mut self, path: &str) {
        for name in path.split(['.', '[', ']']).take(32) {
            self.look_up_name(name);
        }
    }

    pub(super) fn arguments(&mut self, arguments: &'a [Arg]) -> (Vec<Value>, Vec<(String, Value)>) {
        let (mut plain, mut named) = (Vec::new(), Vec::new());
        for argument in arguments {
            let value = self.eval(&argument.value);
            match &argument.name {
                Some(name) => named.push((name.clone(), value)),
                None => plain.push(value),
            }
        }
        (plain, named)
    }

    /// A text that was put together.
    pub(super) fn made(&mut self, text: String, user: bool) -> Value {
        if text.len() > SIZE_MAX {
            self.report(Seen::Exhausts, "a text grows without bound");
            return Value::Text { text: HOLE.to_string(), user };
        }
        if text.len() < 64 && names::is_dunder(text.trim()) {
            self.report(Seen::Escape, format!("puts the name `{}` together from pieces", text.trim()));
        }
        Value::Text { text, user }
    }

    /// Something is repeated or widened to `n`.
    pub(super) fn sized(&mut self, n: i128) {
        if n > TEXT_CHARS_MAX {
            self.report(Seen::Exhausts, format!("makes a text of {n} characters"));
        }
    }

    pub(super) fn range(&mut self, arguments: &[Value]) -> Value {
        let (from, to) = match arguments {
            [to] => (Some(0), to.int()),
            [from, to, ..] => (from.int(), to.int()),
            [] => (None, None),
        };
        let step = arguments.get(2).and_then(Value::int).unwrap_or(1).max(1);
        let (Some(from), Some(to)) = (from, to) else { return Value::Unknown };
        let n = to.saturating_sub(from) / step;
        if n > RANGE_MAX {
            self.report(Seen::Exhausts, format!("loops over a range of {n}"));
        }
        Value::Range(n)
    }
}

/// A text on one line, cut.
pub(super) fn shorten(text: &str) -> String {
    let shown: String = text.split_whitespace().collect::<Vec<_>>().join(" ").replace(HOLE, "…");
    match shown.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", shown.get(..end).unwrap_or_default()),
        None => shown,
    }
}
