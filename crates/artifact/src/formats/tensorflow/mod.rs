//! TensorFlow: SavedModel, meta graph and frozen graph, with the functions inside them.

mod flow;
mod graph;
mod names;
mod operators;
mod pbtxt;

use domain::{Entry, Severity, catalogue_entry};

use super::{Format, Input, Sure};
use crate::wire::proto::{Field, Message, Payload};
use crate::{Context, Part, Port, embedded, payload};
use graph::Library;
pub(super) use operators::{Effect, effect};
pub(super) use pbtxt::GraphText;

catalogue_entry! {
    /// A TensorFlow graph reads, writes or sends something when it runs.
    ///
    /// ## What it is
    /// An operator that reads or writes files, lists folders, opens a network connection or prints to a file, in the graph
    /// or in any function of its library. The operators with which TensorFlow saves and restores its own weights are
    /// followed: they pass when the file name is the one that the loader gives, and are reported when the model chose it.
    ///
    /// ## Why it matters in care
    /// A graph is a program. Run with a patient's data it can read the service's keys, overwrite files or send the data
    /// out, without a line of Python and past scanners that look for pickles.
    ///
    /// ## Limits
    /// An input pipeline that was exported together with the model reads files too, and is reported. Names of files that
    /// are computed are shown as far as they are constant.
    ///
    /// ## References
    /// TensorFlow SECURITY.md ("models are programs"); CWE-73 External Control of File Name; CWE-829.
    pub(crate) static EFFECT = {
        id: "S068", name: "tensorflow-side-effect", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0018.001", "AML.T0037", "AML.T0025", "CWE-73", "CWE-829"],
    };
}

catalogue_entry! {
    /// A TensorFlow graph calls Python.
    ///
    /// ## What it is
    /// `PyFunc`, `PyFuncStateless` or `EagerPyFunc` in the graph or a function.
    ///
    /// ## Why it matters in care
    /// The operator runs whatever Python function is registered under its token in the process that serves the model. A
    /// plug-in that comes with the model registers it.
    ///
    /// ## Limits
    /// The Python function is not in the file and cannot be judged.
    ///
    /// ## References
    /// TensorFlow `tf.py_function`; CWE-94 Code Injection.
    pub(crate) static PYTHON = {
        id: "S069", name: "tensorflow-python", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0018.001", "AML.T0050", "CWE-94"],
    };
}

catalogue_entry! {
    /// A TensorFlow graph uses an operator that TensorFlow does not have.
    ///
    /// ## What it is
    /// The name of the operator is neither one of TensorFlow's nor a function in the model's own library.
    ///
    /// ## Why it matters in care
    /// It runs only after a native library of the supplier was loaded into the service.
    ///
    /// ## Limits
    /// Published extensions (TensorFlow Text, Decision Forests) are known by the beginning of their operators' names and
    /// noted as needed libraries; others are reported.
    ///
    /// ## References
    /// `tf.load_op_library`; CWE-829 Inclusion of Functionality from Untrusted Control Sphere.
    pub(crate) static OPERATOR = {
        id: "S070", name: "tensorflow-foreign-operator", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "AML.T0018.001", "CWE-829"],
    };
}

catalogue_entry! {
    /// A TensorFlow model names files outside its folder.
    ///
    /// ## What it is
    /// An asset whose name is absolute or climbs out of the folder of assets.
    ///
    /// ## Why it matters in care
    /// Loading the model reads that file of the service as a vocabulary or table.
    ///
    /// ## Limits
    /// What an asset inside the folder holds is judged by its own format.
    ///
    /// ## References
    /// CWE-22 Path Traversal.
    pub(crate) static ASSET = {
        id: "S071", name: "tensorflow-asset-outside", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0037", "CWE-22"],
    };
}

/// Entries of these formats.
pub(crate) const ENTRIES: &[&Entry] = &[&EFFECT, &PYTHON, &OPERATOR, &ASSET];

/// Fields looked at to recognise a message.
const FIELDS_MAX: usize = 200_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    SavedModel,
    MetaGraph,
    Graph,
}

/// The format.
pub(super) struct TensorFlow;

impl Format for TensorFlow {
    fn name(&self) -> &'static str {
        "tensorflow"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        if !matches!(input.head.first(), Some(0x08 | 0x0a | 0x12 | 0x22)) {
            return None;
        }
        let shape = shape(&Message::new(input.source, 0))?;
        // A saved model is always one; a bare graph of one node could be an accident.
        Some(if shape == Shape::Graph && input.source.len() < 16 { Sure::Likely } else { Sure::Certain })
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let message = Message::new(input.source, 0);
        let Some(shape) = shape(&message) else { return };
        let mut walk = Walk { part, cx, library: Library::default(), parameters: 0 };
        walk.part.facts.framework = Some(
            match shape {
                Shape::SavedModel => "TensorFlow SavedModel",
                Shape::MetaGraph => "TensorFlow meta graph",
                Shape::Graph => "TensorFlow graph",
            }
            .to_owned(),
        );
        match shape {
            Shape::SavedModel => {
                for field in message.fields().flatten().filter(|f| f.number == 2) {
                    walk.within(&message, &field, |walk, meta| walk.meta_graph(&meta));
                    walk.judge();
                }
            }
            Shape::MetaGraph => {
                walk.meta_graph(&message);
                walk.judge();
            }
            Shape::Graph => {
                walk.graph(&message);
                walk.judge();
            }
        }
        embedded::search(input.source, walk.part, walk.cx);
        payload::tail(input, walk.part, walk.cx);
        walk.part.facts.parameters = (walk.parameters > 0).then_some(walk.parameters);
    }
}

fn shape(message: &Message<'_>) -> Option<Shape> {
    if fits(message, &mut |f| {
        matches!((f.number, f.payload), (1, Payload::Varint(0..=2)) | (2, Payload::Bytes { .. }))
    }) && message.fields().flatten().filter(|f| f.number == 2).all(|f| opens(message, &f, is_meta_graph))
        && message.fields().flatten().any(|f| f.number == 2)
    {
        return Some(Shape::SavedModel);
    }
    if is_graph(message) {
        return Some(Shape::Graph);
    }
    is_meta_graph(message).then_some(Shape::MetaGraph)
}

fn fits(message: &Message<'_>, one: &mut dyn FnMut(&Field) -> bool) -> bool {
    message.len() > 0 && message.fields().take(FIELDS_MAX).all(|f| f.is_ok_and(|f| one(&f)))
}

fn opens(message: &Message<'_>, field: &Field, with: fn(&Message<'_>) -> bool) -> bool {
    matches!(message.open(field, |m| with(&m)), Ok(Some(true)))
}

fn is_meta_graph(message: &Message<'_>) -> bool {
    fits(message, &mut |f| matches!((f.number, f.payload), (1..=7, Payload::Bytes { .. })))
        && message
            .fields()
            .flatten()
            .filter(|f| f.number == 2)
            .take(1)
            .any(|f| opens(message, &f, |g| g.len() == 0 || is_graph(g)))
}

fn is_graph(message: &Message<'_>) -> bool {
    /// Nodes that are looked into.
    const NODES: usize = 3;
    let fields = fits(message, &mut |f| {
        matches!(
            (f.number, f.payload),
            (1 | 2 | 4 | 5, Payload::Bytes { .. }) | (3, Payload::Varint(0..=100_000))
        )
    });
    let mut nodes = message.fields().flatten().filter(|f| f.number == 1).take(NODES).peekable();
    let any = nodes.peek().is_some()
        || message.fields().flatten().any(|f| f.number == 2 && opens(message, &f, is_library));
    fields && any && nodes.all(|f| opens(message, &f, is_node))
}

fn is_library(message: &Message<'_>) -> bool {
    fits(message, &mut |f| matches!((f.number, f.payload), (1..=3, Payload::Bytes { .. })))
}

/// A node has a name, and an operator whose name is an identifier.
fn is_node(message: &Message<'_>) -> bool {
    let fields = fits(message, &mut |f| matches!((f.number, f.payload), (1..=7, Payload::Bytes { .. })));
    let operator = message.fields().flatten().find(|f| f.number == 2).map(|f| message.text(&f, 300));
    fields
        && operator.is_some_and(|o| {
            !o.is_empty()
                && o.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '>' | '.' | '-' | '/'))
        })
}

/// One reading.
struct Walk<'w, 'l> {
    part: &'w mut Part,
    cx: &'w mut Context<'l>,
    library: Library,
    parameters: u64,
}

impl Walk<'_, '_> {
    fn within(&mut self, message: &Message<'_>, field: &Field, with: impl FnOnce(&mut Self, Message<'_>)) {
        if self.cx.step(1).is_err() {
            self.cx.unread(
                self.part,
                Some(message.base),
                "the limit of steps is reached; scan the parts of this artefact apart",
            );
            return;
        }
        if let Err(e) = message.open(field, |m| with(&mut *self, m)) {
            self.cx.unread(self.part, Some(message.base), e.to_string());
        }
    }

    fn meta_graph(&mut self, message: &Message<'_>) {
        self.library = Library::default();
        for field in message.fields() {
            let Ok(field) = field else {
                return self.cx.unread(self.part, Some(message.base), "the meta graph is cut off or broken");
            };
            match field.number {
                1 => self.within(message, &field, |walk, info| walk.info(&info)),
                2 => self.within(message, &field, |walk, graph| walk.graph(&graph)),
                3 => {
                    for inner in [1, 2, 3] {
                        let name = message.open(&field, |s| {
                            s.fields().flatten().find(|f| f.number == inner).map(|f| s.text(&f, 1000))
                        });
                        self.library.saver.extend(name.ok().flatten().flatten());
                    }
                }
                5 => self.within(message, &field, |walk, entry| walk.signature(&entry)),
                6 => self.within(message, &field, |walk, asset| walk.asset(&asset)),
                _ => {}
            }
        }
    }

    fn info(&mut self, message: &Message<'_>) {
        for field in message.fields().flatten() {
            match field.number {
                4 => self.part.facts.note("tag", &message.text(&field, 200)),
                5 => self.part.facts.producer = Some(format!("TensorFlow {}", message.text(&field, 200))),
                _ => {}
            }
        }
    }

    fn asset(&mut self, message: &Message<'_>) {
        for field in message.fields().flatten() {
            match field.number {
                1 => {
                    let name = message.open(&field, |info| {
                        info.fields().flatten().find(|f| f.number == 1).map(|f| info.text(&f, 1000))
                    });
                    self.library.assets.extend(name.ok().flatten().flatten());
                }
                2 => {
                    let name = message.text(&field, 4096);
                    if let Some(why) = payload::outside(&name) {
                        let remedy =
                            "do not load the model; ask the supplier for one that keeps its files beside it";
                        let message_ = format!("the asset `{name}` is {why}");
                        self.cx.find(self.part, &ASSET, Severity::High, Some(message.base), message_, remedy);
                    }
                    self.part.facts.note(format!("asset {name}"), "");
                }
                _ => {}
            }
        }
    }

    /// An entry of the map of signatures: what the model takes and gives.
    fn signature(&mut self, message: &Message<'_>) {
        /// Ports kept.
        const PORTS_MAX: usize = 100;
        for field in message.fields().flatten().filter(|f| f.number == 2) {
            self.within(message, &field, |walk, signature| {
                for inner in signature.fields().flatten().filter(|f| matches!(f.number, 1 | 2)) {
                    let port = signature.open(&inner, |entry| port(&entry)).ok().flatten();
                    let facts = &mut walk.part.facts;
                    let list = if inner.number == 1 { &mut facts.inputs } else { &mut facts.outputs };
                    if list.len() < PORTS_MAX {
                        list.extend(port);
                    }
                }
            });
        }
    }
}

/// A map entry from a name to a tensor's description.
fn port(message: &Message<'_>) -> Port {
    let mut port = Port { name: String::new(), datatype: String::new(), shape: Vec::new() };
    for field in message.fields().flatten() {
        match field.number {
            1 => port.name = message.text(&field, 1000),
            2 => {
                let _ = message.open(&field, |info| {
                    for inner in info.fields().flatten() {
                        match (inner.number, inner.payload) {
                            (2, Payload::Varint(n)) => graph::datatype(n).clone_into(&mut port.datatype),
                            (3, _) => {
                                port.shape =
                                    info.open(&inner, |s| graph::shape(&s)).ok().flatten().unwrap_or_default()
                            }
                            _ => {}
                        }
                    }
                });
            }
            _ => {}
        }
    }
    port.shape = std::mem::take(&mut port.shape);
    port
}

#[cfg(test)]
mod tests;
