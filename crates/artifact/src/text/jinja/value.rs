//! What an expression of a template can be known to be, without running it.

/// Stands in a text for what is not known.
pub(super) const HOLE: char = '\u{fffc}';

/// Why a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// The conversation holds these ordinary words.
    Words(String),
    /// The conversation holds this marker, such as `</think>`.
    Marker(String),
    /// The date is so.
    Date(String),
}

/// A value, as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Unknown,
    /// Text with holes; `user` when a part of it is what the user wrote.
    Text {
        text: String,
        user: bool,
    },
    Int(i128),
    Float(f64),
    Bool(bool),
    None,
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// A namespace, by number.
    Space(usize),
    /// `range` over so many.
    Range(i128),
    /// A function or object of the environment.
    Builtin(&'static str),
    Macro(usize),
    /// All messages of the conversation, one of them, one part of a content that is a list.
    Messages,
    Message,
    Part,
    /// Texts of the user.
    Contents,
    /// The date or time now.
    Now,
    /// True when the reason holds (`positive`), or when it does not.
    Flag {
        why: Why,
        positive: bool,
    },
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), user: false }
    }

    /// What the user wrote.
    pub(super) fn content() -> Self {
        Self::Text { text: HOLE.to_string(), user: true }
    }

    /// The text, when all of it is known.
    pub(super) fn constant(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } if !text.contains(HOLE) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_user(&self) -> bool {
        matches!(
            self,
            Self::Text { user: true, .. } | Self::Contents | Self::Messages | Self::Message | Self::Part
        )
    }

    /// As output: known text, holes for the rest.
    pub(super) fn output(&self) -> (String, bool) {
        match self {
            Self::Text { text, user } => (text.clone(), *user),
            Self::Int(n) => (n.to_string(), false),
            Self::Float(n) => (n.to_string(), false),
            Self::Bool(b) => (if *b { "True" } else { "False" }.to_owned(), false),
            Self::None => ("None".to_owned(), false),
            Self::List(items) if items.len() <= 64 && items.iter().all(|i| i.constant().is_some()) => {
                let items: Vec<String> = items.iter().map(|i| format!("'{}'", i.output().0)).collect();
                (format!("[{}]", items.join(", ")), false)
            }
            other => (HOLE.to_string(), other.is_user()),
        }
    }

    pub(super) fn int(&self) -> Option<i128> {
        match self {
            Self::Int(n) => Some(*n),
            Self::Float(n) if n.is_finite() && n.abs() < 1e30 => Some(*n as i128),
            Self::Float(_) => Some(i128::MAX),
            Self::Bool(b) => Some(i128::from(*b)),
            _ => None,
        }
    }
}

/// Most elements of a list and most characters of a text that are followed.
pub(super) const SIZE_MAX: usize = 1 << 18;

/// Python's slice of something with `length` elements: which of them, in order.
pub(crate) fn slice(length: usize, from: Option<i128>, to: Option<i128>, step: Option<i128>) -> Vec<usize> {
    let (n, step) = (length as i128, step.unwrap_or(1).clamp(-1_000_000, 1_000_000));
    if step == 0 {
        return Vec::new();
    }
    let at = |i: i128, low: i128, high: i128| (if i < 0 { i.saturating_add(n) } else { i }).clamp(low, high);
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let mut i = from.map_or(if step > 0 { 0 } else { n - 1 }, |i| at(i, low, high));
    let end = to.map_or(if step > 0 { n } else { -1 }, |i| at(i, low, high));
    let mut all = Vec::new();
    while (step > 0 && i < end) || (step < 0 && i > end) {
        if let Ok(index) = usize::try_from(i)
            && index < length
        {
            all.push(index);
        }
        i += step;
    }
    all
}

/// Fills a `str.format` or `%` pattern. Returns the text and the fields' paths, for example `0.__class__`.
pub(super) fn format_braces(
    pattern: &str,
    arguments: &[Value],
    named: &[(String, Value)],
) -> (String, Vec<String>) {
    let mut out = String::new();
    let mut fields = Vec::new();
    let mut next = 0usize;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.peek() == Some(&'{') => {
                chars.next();
                out.push('{');
            }
            '}' if chars.peek() == Some(&'}') => {
                chars.next();
                out.push('}');
            }
            '{' => {
                let field: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let (path, _spec) = field.split_once([':', '!']).unwrap_or((&field, ""));
                let root: String = path.chars().take_while(|c| !matches!(c, '.' | '[')).collect();
                let value = if root.is_empty() {
                    next += 1;
                    arguments.get(next - 1)
                } else if let Ok(i) = root.parse::<usize>() {
                    arguments.get(i)
                } else {
                    named.iter().find(|(n, _)| *n == root).map(|(_, v)| v)
                };
                match value {
                    Some(v) if path == root => {
                        let as_char = field.ends_with(":c").then(|| v.int()).flatten();
                        match as_char.and_then(|n| u32::try_from(n).ok()).and_then(char::from_u32) {
                            Some(c) => out.push(c),
                            None => out.push_str(&v.output().0),
                        }
                    }
                    _ => out.push(HOLE),
                }
                fields.push(field);
            }
            c => out.push(c),
        }
        if out.len() > SIZE_MAX {
            break;
        }
    }
    (out, fields)
}

/// Fills a `%` pattern.
pub(super) fn format_percent(pattern: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut next = 0usize;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            out.push('%');
            continue;
        }
        if chars.peek() == Some(&'(') {
            chars.by_ref().take_while(|c| *c != ')').for_each(drop);
        }
        while chars.peek().is_some_and(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | ' ' | '#' | '.')) {
            chars.next();
        }
        let kind = chars.next();
        let value = arguments.get(next);
        next += 1;
        match (kind, value) {
            (Some('c'), Some(v)) => {
                match v.int().and_then(|n| u32::try_from(n).ok()).and_then(char::from_u32) {
                    Some(c) => out.push(c),
                    None => out.push_str(&v.output().0),
                }
            }
            (Some('x'), Some(Value::Int(n))) => out.push_str(&format!("{n:x}")),
            (_, Some(v)) => out.push_str(&v.output().0),
            (_, None) => out.push(HOLE),
        }
        if out.len() > SIZE_MAX {
            break;
        }
    }
    out
}
