//! Graphs, nodes, attributes and functions.

use domain::Severity;

use super::operators::{self, Known};
use super::{OPERATOR, TEXT_BYTES_MAX, Walk, port};
use crate::payload;
use crate::wire::proto::{Field, Message};

/// Graphs inside each other (branches, loops).
pub(super) const GRAPHS_MAX: u32 = 32;
/// Inputs or outputs kept for the bill of materials.
const PORTS_MAX: usize = 100;

impl Walk<'_, '_> {
    /// A graph; `outer` when it is that of the model.
    pub(super) fn graph(&mut self, message: &Message<'_>, depth: u32, outer: bool) {
        if depth > GRAPHS_MAX {
            return self.flaw(message.base, format!("graphs are nested deeper than {GRAPHS_MAX}"));
        }
        for field in message.fields() {
            let Ok(field) = field else {
                return self.cx.unread(self.part, Some(message.base), "a graph is cut off or broken");
            };
            match field.number {
                1 => self.within(message, &field, |walk, node| walk.node(&node, depth)),
                2 => {
                    let name = message.text(&field, 1000);
                    if outer {
                        self.part.facts.note("graph", &name);
                    }
                    self.text(&name, "the name of the graph", message.base);
                }
                5 => self.within(message, &field, |walk, tensor| walk.tensor(&tensor, "initializer", true)),
                10 => self.prose(message, &field, "the description of the graph"),
                11 | 12 if outer => self.within(message, &field, |walk, value| {
                    let port = port(&value);
                    let facts = &mut walk.part.facts;
                    let list = if field.number == 11 { &mut facts.inputs } else { &mut facts.outputs };
                    if list.len() < PORTS_MAX {
                        list.push(port);
                    }
                    walk.documented(&value, 3);
                }),
                11..=13 => self.within(message, &field, |walk, value| walk.documented(&value, 3)),
                15 => self.within(message, &field, |walk, sparse| walk.sparse(&sparse)),
                16 => self.within(message, &field, |walk, entry| walk.property(&entry)),
                _ => {}
            }
        }
    }

    /// Text that people may read.
    pub(super) fn prose(&mut self, message: &Message<'_>, field: &Field, what: &str) {
        let text = message.text(field, TEXT_BYTES_MAX);
        self.text(&text, what, message.base);
    }

    /// The description inside a message.
    fn documented(&mut self, message: &Message<'_>, number: u32) {
        for field in message.fields().flatten().filter(|f| f.number == number) {
            self.prose(message, &field, "a description");
        }
    }

    fn node(&mut self, message: &Message<'_>, depth: u32) {
        let (mut kind, mut domain, mut name) = (String::new(), String::new(), String::new());
        for field in message.fields().flatten() {
            match field.number {
                3 => name = message.text(&field, 1000),
                4 => kind = message.text(&field, 1000),
                7 => domain = message.text(&field, 1000),
                _ => {}
            }
        }
        let domain = if domain == "ai.onnx" { String::new() } else { domain };
        let local = self
            .local
            .iter()
            .position(|(d, n)| *n == kind && (*d == domain || (d == "ai.onnx" && domain.is_empty())));
        let shown = if domain.is_empty() { kind.clone() } else { format!("{domain}::{kind}") };
        self.part.facts.operator(&shown);
        match (local, self.current) {
            (Some(callee), Some(caller))
                if self.calls.len() < 1_000_000 && !self.calls.contains(&(caller, callee)) =>
            {
                self.calls.push((caller, callee))
            }
            (Some(_), _) => {}
            (None, _) => self.foreign(&domain, &kind, &shown, message.base),
        }
        let place = if name.is_empty() { shown.clone() } else { name };
        for field in message.fields() {
            let Ok(field) = field else {
                return self.cx.unread(self.part, Some(message.base), "a node is cut off or broken");
            };
            match field.number {
                5 => self.within(message, &field, |walk, attribute| {
                    walk.attribute(&attribute, &shown, &place, depth)
                }),
                6 => self.prose(message, &field, &format!("the description of node `{place}`")),
                9 => self.within(message, &field, |walk, entry| walk.property(&entry)),
                _ => {}
            }
        }
    }

    fn foreign(&mut self, domain: &str, kind: &str, shown: &str, at: u64) {
        let (severity, message) = match operators::known(domain, kind) {
            Known::Plain => return,
            Known::Extension => {
                self.part.facts.libraries.insert("onnxruntime-extensions".to_owned());
                return;
            }
            Known::RunsCode => (
                Severity::High,
                format!("the operator `{shown}` runs Python or calls out when the model runs"),
            ),
            Known::ReadsFiles => (
                Severity::Medium,
                format!("the operator `{shown}` reads files named by the model or its input"),
            ),
            Known::Unknown => (Severity::Medium, format!("the operator `{shown}` needs a foreign library")),
        };
        let remedy = "ask the supplier for an export in standard operators; do not load a library that comes with a model";
        self.cx.find(self.part, &OPERATOR, severity, Some(at), message, remedy);
    }

    fn attribute(&mut self, message: &Message<'_>, kind: &str, place: &str, depth: u32) {
        let mut name = String::new();
        for field in message.fields().flatten().filter(|f| f.number == 1) {
            name = message.text(&field, 1000);
        }
        let what = format!("attribute `{name}` of node `{place}`");
        let context = kind.ends_with("::EPContext") && name == "ep_cache_context";
        for field in message.fields() {
            let Ok(field) = field else {
                return self.cx.unread(self.part, Some(message.base), "an attribute is cut off or broken");
            };
            match field.number {
                4 | 9 if context => {
                    let path = message.text(&field, 4096);
                    // The context itself, instead of a path to it, is binary or long.
                    if path.len() < 1024 && !path.contains(char::REPLACEMENT_CHARACTER) {
                        self.location(&path, &what, message.base);
                    }
                }
                4 | 9 => {
                    let range = message.range(&field);
                    if !payload::bytes(&range, &what, Some(message.base), self.part, self.cx) {
                        self.prose(message, &field, &what);
                    }
                }
                5 | 10 => self.within(message, &field, |walk, tensor| walk.tensor(&tensor, &what, false)),
                6 | 11 => self.within(message, &field, |walk, graph| walk.graph(&graph, depth + 1, false)),
                13 => self.prose(message, &field, &what),
                22 | 23 => self.within(message, &field, |walk, sparse| walk.sparse(&sparse)),
                _ => {}
            }
        }
    }

    fn sparse(&mut self, message: &Message<'_>) {
        for field in message.fields().flatten().filter(|f| matches!(f.number, 1 | 2)) {
            self.within(message, &field, |walk, tensor| {
                walk.tensor(&tensor, "sparse initializer", field.number == 1)
            });
        }
    }

    pub(super) fn function(&mut self, message: &Message<'_>) {
        for field in message.fields() {
            let Ok(field) = field else {
                return self.cx.unread(self.part, Some(message.base), "a function is cut off or broken");
            };
            match field.number {
                7 => self.within(message, &field, |walk, node| walk.node(&node, 0)),
                8 => self.prose(message, &field, "the description of a function"),
                9 => self.within(message, &field, |walk, import| walk.import(&import)),
                11 => self.within(message, &field, |walk, attribute| {
                    walk.attribute(&attribute, "", "a function", 0)
                }),
                14 => self.within(message, &field, |walk, entry| walk.property(&entry)),
                _ => {}
            }
        }
    }
}
