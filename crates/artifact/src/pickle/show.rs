//! Values as the Python expression that would make them, bounded.

use super::bytes;
use super::heap::{Heap, Kind, Made, Node, Val, View};
use crate::Source;

/// Longest expression, bytes.
const SHOWN_MAX: usize = 300;
/// Longest constant shown, bytes.
const CONSTANT_MAX: u64 = 120;
/// Items shown of one container.
const ITEMS_MAX: usize = 8;
/// Levels shown.
const LEVELS_MAX: u32 = 6;

/// The call of `callee` with `args`.
pub(super) fn call(heap: &Heap, source: &dyn Source, callee: Val, args: Val) -> String {
    let mut shown = Shown { heap, source, out: String::new() };
    shown.value(callee, 0);
    shown.out.push('(');
    match heap.view(args) {
        View::Node(node @ Node { kind: Kind::Tuple | Kind::List, .. }) => shown.items(node, 1),
        View::EmptyTuple => {}
        _ => {
            shown.out.push('*');
            shown.value(args, 1);
        }
    }
    shown.out.push(')');
    shown.out
}

/// One value.
pub(super) fn value(heap: &Heap, source: &dyn Source, value: Val) -> String {
    let mut shown = Shown { heap, source, out: String::new() };
    shown.value(value, 0);
    shown.out
}

struct Shown<'a> {
    heap: &'a Heap,
    source: &'a dyn Source,
    out: String,
}

impl Shown<'_> {
    fn value(&mut self, value: Val, level: u32) {
        if self.out.len() > SHOWN_MAX || level > LEVELS_MAX {
            self.out.push('…');
            return;
        }
        match self.heap.view(value) {
            View::None => self.out.push_str("None"),
            View::Bool(true) => self.out.push_str("True"),
            View::Bool(false) => self.out.push_str("False"),
            View::EmptyTuple => self.out.push_str("()"),
            View::Unseen => self.out.push('?'),
            View::Int(int) => self.out.push_str(&int.to_string()),
            View::Float(at) => match super::summary::float(self.source, at) {
                Some(float) => self.out.push_str(&format!("{float:?}")),
                None => self.out.push('?'),
            },
            View::Long => self.out.push_str("<big integer>"),
            View::Text(at) => {
                let text = bytes::text(self.source, at, CONSTANT_MAX).unwrap_or_default();
                self.text(&text);
            }
            View::Bytes(at) => {
                let argument = bytes::argument(self.source, at, CONSTANT_MAX);
                let (held, length) =
                    argument.map_or_else(Default::default, |(_, held, _, length)| (held, length));
                self.bytes(&held, length);
            }
            View::Made(Made::Text(text)) => self.text(text),
            View::Made(Made::Bytes(bytes)) => self.bytes(bytes, bytes.len() as u64),
            View::Global(global) => {
                if &*global.module != "builtins" && &*global.module != "__builtin__" {
                    self.out.push_str(&global.module);
                    self.out.push_str(if global.name.is_empty() { "" } else { "." });
                }
                self.out.push_str(&global.name);
            }
            View::Node(node) => self.node(node, level),
        }
    }

    fn node(&mut self, node: &Node, level: u32) {
        let (open, close) = match node.kind {
            Kind::Tuple => ("(", ")"),
            Kind::List => ("[", "]"),
            Kind::Dict | Kind::Set => ("{", "}"),
            Kind::FrozenSet => ("frozenset({", "})"),
            Kind::Call => ("(", ")"),
            Kind::New => (".__new__(", ")"),
            Kind::Persistent => ("<persistent ", ">"),
            Kind::Attribute => (".", ""),
        };
        if node.kind == Kind::Persistent {
            self.out.push_str(open);
            self.value(node.head, level + 1);
        } else {
            if node.head != Val::ABSENT {
                self.value(node.head, level + 1);
            }
            self.out.push_str(open);
            if node.kind == Kind::Attribute {
                if let Some(View::Text(at)) = self.heap.kids(node).first().map(|k| self.heap.view(*k)) {
                    self.out.push_str(&bytes::text(self.source, at, CONSTANT_MAX).unwrap_or_default());
                }
            } else {
                self.items(node, level + 1);
            }
        }
        self.out.push_str(close);
        if node.state != Val::ABSENT && level < 2 {
            self.out.push_str(".__setstate__(");
            self.value(node.state, level + 2);
            self.out.push(')');
        }
    }

    fn items(&mut self, node: &Node, level: u32) {
        let dict = node.kind == Kind::Dict;
        for (i, kid) in self.heap.kids(node).iter().take(ITEMS_MAX).enumerate() {
            if i > 0 {
                self.out.push_str(if dict && i % 2 == 1 { ": " } else { ", " });
            }
            self.value(*kid, level);
        }
        if node.total as usize > ITEMS_MAX {
            self.out.push_str(", …");
        }
        if node.kind == Kind::Tuple && node.total == 1 && level > 1 {
            self.out.push(',');
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars().take(CONSTANT_MAX as usize) {
            match c {
                '"' | '\\' => self.out.extend(['\\', c]),
                '\n' => self.out.push_str("\\n"),
                _ => self.out.push(c),
            }
        }
        self.out.push_str(if text.len() as u64 >= CONSTANT_MAX { "…\"" } else { "\"" });
    }

    fn bytes(&mut self, bytes: &[u8], length: u64) {
        self.out.push_str("b\"");
        self.out.extend(bytes.iter().take(40).flat_map(|b| std::ascii::escape_default(*b)).map(char::from));
        self.out.push_str(if length > 40 { "…\"" } else { "\"" });
    }
}
