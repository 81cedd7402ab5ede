//! Nodes and functions as tables that flow can be followed in.

use std::collections::HashMap;

use super::Walk;
use crate::payload;
use crate::wire::proto::{Field, Message, Payload};

/// Nodes of one model, all functions together.
const NODES_MAX: usize = 2_000_000;
/// Inputs of one node that are kept.
const INPUTS_MAX: usize = 10_000;

/// One node.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) kind: String,
    /// Names of the nodes or arguments that it takes, without output numbers; control inputs are left out.
    pub(super) inputs: Vec<String>,
    /// The text of a constant, when it is one text.
    pub(super) text: Option<String>,
    /// Functions that its attributes name.
    pub(super) functions: Vec<String>,
    /// Attributes that are texts.
    pub(super) attributes: Vec<(String, String)>,
    /// Place in the file.
    pub(super) at: u64,
}

/// The graph or one function.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// Empty for the graph itself.
    pub(super) name: String,
    pub(super) nodes: Vec<Node>,
    /// Place of each node by name.
    pub(super) places: HashMap<String, usize>,
}

/// Everything of one meta graph.
#[derive(Debug, Default)]
pub(super) struct Library {
    pub(super) bodies: Vec<Body>,
    /// Tensors that the saver names: file name, save, restore.
    pub(super) saver: Vec<String>,
    /// Tensors that stand for the paths of assets.
    pub(super) assets: Vec<String>,
    nodes: usize,
}

impl Walk<'_, '_> {
    pub(super) fn graph(&mut self, message: &Message<'_>) {
        let mut body = Body::default();
        for field in message.fields() {
            let Ok(field) = field else {
                self.cx.unread(self.part, Some(message.base), "the graph is cut off or broken");
                break;
            };
            match field.number {
                1 => self.within(message, &field, |walk, node| walk.node(&node, &mut body)),
                2 => self.within(message, &field, |walk, library| {
                    for inner in library.fields().flatten().filter(|f| f.number == 1) {
                        walk.within(&library, &inner, |walk, function| walk.function(&function));
                    }
                }),
                _ => {}
            }
        }
        self.library.bodies.push(body);
    }

    fn function(&mut self, message: &Message<'_>) {
        let mut body = Body::default();
        for field in message.fields() {
            let Ok(field) = field else {
                self.cx.unread(self.part, Some(message.base), "a function is cut off or broken");
                break;
            };
            match field.number {
                1 => {
                    let name = message.open(&field, |s| {
                        s.fields().flatten().find(|f| f.number == 1).map(|f| s.text(&f, 1000))
                    });
                    body.name = name.ok().flatten().flatten().unwrap_or_default();
                }
                3 => self.within(message, &field, |walk, node| walk.node(&node, &mut body)),
                _ => {}
            }
        }
        if body.name.is_empty() {
            "a function without a name".clone_into(&mut body.name);
        }
        self.library.bodies.push(body);
    }

    fn node(&mut self, message: &Message<'_>, body: &mut Body) {
        if self.library.nodes >= NODES_MAX {
            return self.cx.unread(self.part, Some(message.base), format!("more than {NODES_MAX} nodes"));
        }
        self.library.nodes += 1;
        let mut node = Node { at: message.base, ..Node::default() };
        for field in message.fields() {
            let Ok(field) = field else {
                self.cx.unread(self.part, Some(message.base), "a node is cut off or broken");
                break;
            };
            match field.number {
                1 => node.name = message.text(&field, 4096),
                2 => node.kind = message.text(&field, 1000),
                3 if node.inputs.len() < INPUTS_MAX => {
                    let input = message.text(&field, 4096);
                    if !input.starts_with('^') {
                        node.inputs.push(input.split(':').next().unwrap_or_default().to_owned());
                    }
                }
                5 => self.within(message, &field, |walk, entry| walk.attribute(&entry, &mut node)),
                _ => {}
            }
        }
        self.part.facts.operator(&node.kind);
        body.places.insert(node.name.clone(), body.nodes.len());
        body.nodes.push(node);
    }

    /// An entry of the map of attributes.
    fn attribute(&mut self, message: &Message<'_>, node: &mut Node) {
        let mut key = String::new();
        for field in message.fields().flatten() {
            match field.number {
                1 => key = message.text(&field, 1000),
                2 => self.within(message, &field, |walk, value| walk.value(&value, &key, node, 0)),
                _ => {}
            }
        }
    }

    fn value(&mut self, message: &Message<'_>, key: &str, node: &mut Node, depth: u32) {
        /// Values of one list.
        const LIST_MAX: usize = 100_000;
        for field in message.fields().flatten().take(LIST_MAX) {
            match (field.number, field.payload) {
                // A list of values has the same numbers for texts and functions, save for the last.
                (1, _) if depth == 0 => {
                    self.within(message, &field, |walk, list| walk.value(&list, key, node, 1))
                }
                (2, Payload::Bytes { length, .. }) if length < 4096 => {
                    let text = message.text(&field, 4096);
                    if !text.contains(char::REPLACEMENT_CHARACTER) && !text.contains('\0') {
                        node.attributes.push((key.to_owned(), text));
                    }
                }
                (7, _) if key == "shape" && node.kind.ends_with("VarHandleOp") => self.count(message, &field),
                (8, _) => self.within(message, &field, |walk, tensor| walk.tensor(&tensor, node)),
                (9 | 10, Payload::Bytes { .. }) => {
                    let name = message.open(&field, |f| {
                        f.fields().flatten().find(|i| i.number == 1).map(|i| f.text(&i, 1000))
                    });
                    node.functions.extend(name.ok().flatten().flatten().filter(|n| !n.is_empty()));
                }
                _ => {}
            }
        }
    }

    fn count(&mut self, message: &Message<'_>, field: &Field) {
        let sizes = message.open(field, |s| shape(&s)).ok().flatten().unwrap_or_default();
        let product =
            sizes.iter().try_fold(1u64, |n, d| d.parse::<u64>().ok().and_then(|d| n.checked_mul(d)));
        self.parameters = self.parameters.saturating_add(product.unwrap_or(0));
    }

    fn tensor(&mut self, message: &Message<'_>, node: &mut Node) {
        /// Texts of one tensor that are judged.
        const STRINGS_MAX: usize = 2_000_000;
        /// Shorter ones are labels.
        const LABEL_BYTES_MAX: u64 = 8;
        let what = format!("the constant `{}`", node.name);
        let mut strings = 0;
        let mut kind = 0;
        for field in message.fields().flatten() {
            match (field.number, field.payload) {
                (1, Payload::Varint(n)) => kind = n,
                (4, Payload::Bytes { .. }) => {
                    let range = message.range(&field);
                    payload::bytes(&range, &what, Some(message.base), self.part, self.cx);
                }
                (8, Payload::Bytes { length, .. }) if strings < STRINGS_MAX => {
                    strings += 1;
                    if strings == 1 {
                        // Serialised messages are texts too for TensorFlow, and never names of files.
                        let text = message.text(&field, 4096);
                        node.text = Some(text).filter(|t| {
                            !t.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER)
                        });
                    }
                    if length > LABEL_BYTES_MAX {
                        let range = message.range(&field);
                        if !payload::bytes(&range, &what, Some(message.base), self.part, self.cx) {
                            let text = message.text(&field, payload::TEXT_BYTES_MAX as u64);
                            payload::text(&text, &what, Some(message.base), self.part, self.cx);
                        }
                    }
                }
                (2, _) if node.kind == "Const" && matches!(kind, 1 | 2 | 14 | 19) => {
                    self.count(message, &field)
                }
                _ => {}
            }
        }
    }
}

/// Name of an element type.
pub(super) fn datatype(kind: u64) -> &'static str {
    const KINDS: &[&str] = &[
        "invalid",
        "float32",
        "float64",
        "int32",
        "uint8",
        "int16",
        "int8",
        "string",
        "complex64",
        "int64",
        "bool",
        "qint8",
        "quint8",
        "qint32",
        "bfloat16",
        "qint16",
        "quint16",
        "uint16",
        "complex128",
        "float16",
        "resource",
        "variant",
        "uint32",
        "uint64",
    ];
    usize::try_from(kind % 100).ok().and_then(|k| KINDS.get(k)).copied().unwrap_or("unknown")
}

/// The sizes of a shape, `-1` where open.
pub(super) fn shape(message: &Message<'_>) -> Vec<String> {
    /// Dimensions kept.
    const RANK_MAX: usize = 32;
    let size = |field: &Field| {
        let size =
            message.open(field, |d| d.fields().flatten().find(|f| f.number == 1).and_then(|f| f.varint()));
        size.ok().flatten().flatten().unwrap_or(0).cast_signed().to_string()
    };
    message.fields().flatten().filter(|f| f.number == 2).take(RANK_MAX).map(|f| size(&f)).collect()
}
