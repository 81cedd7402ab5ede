//! ONNX models: graphs, functions, weights, and where the weights are when they are not in the file.

mod graph;
mod operators;
mod tensor;

use std::collections::BTreeMap;

use domain::{Entry, Severity, catalogue_entry};

use super::{Format, Input, Sure};
use crate::wire::proto::{Field, Message, Payload};
use crate::{Context, Part, Port, embedded, payload};

catalogue_entry! {
    /// The weights of an ONNX model are to be read from a place outside its folder.
    ///
    /// ## What it is
    /// The location of external data is an absolute path, climbs out with `..`, or is an address.
    ///
    /// ## Why it matters in care
    /// Loading the model reads any file that the service may read, a key or a patient list, into the weights, from where it
    /// can be asked back through ordinary predictions.
    ///
    /// ## Limits
    /// A link inside the folder that points out of it is found where the folder is read, not here.
    ///
    /// ## References
    /// CWE-22 Path Traversal; CVE-2022-25882, CVE-2024-27318, CVE-2024-5187 (onnx external data).
    pub(crate) static EXTERNAL = {
        id: "S065", name: "onnx-data-outside", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0037", "CWE-22", "CWE-73"],
    };
}

catalogue_entry! {
    /// An ONNX graph uses an operator that only a foreign library brings.
    ///
    /// ## What it is
    /// A node of a domain that neither the standard nor ONNX Runtime has and that the model does not define itself, or an
    /// operator that runs Python, calls out over the network or reads files.
    ///
    /// ## Why it matters in care
    /// To run the model somebody must load a native library that came with it: the supplier's code then runs with the
    /// rights of the service, whatever the graph looks like.
    ///
    /// ## Limits
    /// A runtime for special hardware brings operators of its own; the finding is right that they are foreign, and the file
    /// can be allowed by digest. What the library does is not seen.
    ///
    /// ## References
    /// ONNX operator sets; ONNX Runtime custom operators; CWE-829 Inclusion of Functionality from Untrusted Control Sphere.
    pub(crate) static OPERATOR = {
        id: "S066", name: "onnx-foreign-operator", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "AML.T0018.001", "CWE-829"],
    };
}

catalogue_entry! {
    /// An ONNX file contradicts itself.
    ///
    /// ## What it is
    /// A tensor whose shape overflows, is negative or does not fit its data; functions that call each other in a circle;
    /// graphs nested without end.
    ///
    /// ## Why it matters in care
    /// Readers take memory by the shape and then copy by the data: the difference has been a crash or worse.
    ///
    /// ## Limits
    /// Shapes that follow from computation are not followed.
    ///
    /// ## References
    /// ONNX IR specification; CWE-190 Integer Overflow; CWE-674 Uncontrolled Recursion.
    pub(crate) static STRUCTURE = {
        id: "S067", name: "onnx-contradiction", kind: Rule, since: "0.1.0",
        maps: ["AML.T0076", "AML.T0029", "CWE-190", "CWE-674", "CWE-1284"],
    };
}

/// Entries of this format.
pub(crate) const ENTRIES: &[&Entry] = &[&EXTERNAL, &OPERATOR, &STRUCTURE];

/// Highest IR version that exists, with room for the next years.
const IR_VERSION_MAX: u64 = 40;
/// Longest name or text that is kept, bytes.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// The format.
pub(super) struct Onnx;

impl Format for Onnx {
    fn name(&self) -> &'static str {
        "onnx"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        /// Top-level fields looked at: a model has one graph and a few dozen others.
        const FIELDS_MAX: usize = 10_000;
        /// Fields that no version of the format has.
        const UNKNOWN_MAX: u32 = 64;
        let head = input.head.first()?;
        // The first field is one of the model's own, of a sensible kind.
        if !matches!(head, 0x08 | 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42 | 0x72) {
            return None;
        }
        let message = Message::new(input.source, 0);
        let (mut version, mut graph, mut opset) = (false, false, false);
        let mut unknown = 0;
        for field in message.fields().take(FIELDS_MAX) {
            let field = field.ok()?;
            match (field.number, field.payload) {
                (1, Payload::Varint(n)) if (1..=IR_VERSION_MAX).contains(&n) => version = true,
                (5, Payload::Varint(_)) | (2..=4 | 6 | 14 | 20 | 25 | 26, Payload::Bytes { .. }) => {}
                (7, Payload::Bytes { .. }) => graph |= looks_like_graph(&message, &field),
                (8, Payload::Bytes { length, .. }) if length < 4096 => opset = true,
                // Readers skip fields that they do not know.
                (n, _) if n > 8 && unknown < UNKNOWN_MAX => unknown += 1,
                _ => return None,
            }
        }
        let known = (version && (graph || opset)) || (graph && opset);
        (known && (unknown == 0 || graph)).then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let message = Message::new(input.source, 0);
        let mut walk = Walk {
            part,
            cx,
            local: Vec::new(),
            calls: Vec::new(),
            current: None,
            imports: BTreeMap::new(),
            parameters: 0,
            external: Vec::new(),
        };
        walk.collect(&message);
        walk.model(&message);
        walk.circles();
        embedded::search(input.source, walk.part, walk.cx);
        payload::tail(input, walk.part, walk.cx);
        walk.close();
    }
}

/// A graph has nodes, a name, or at least inputs and outputs, all of them length-delimited.
fn looks_like_graph(message: &Message<'_>, field: &Field) -> bool {
    let looks = message.open(field, |graph| {
        graph.fields().take(50).all(|f| {
            f.is_ok_and(|f| matches!((f.number, f.payload), (1 | 2 | 5 | 10..=16, Payload::Bytes { .. })))
        })
    });
    matches!(looks, Ok(Some(true)))
}

/// One reading of a model.
struct Walk<'w, 'l> {
    part: &'w mut Part,
    cx: &'w mut Context<'l>,
    /// Domain and name of the functions the model defines.
    local: Vec<(String, String)>,
    /// Calls between functions: caller and callee as places in `local`.
    calls: Vec<(usize, usize)>,
    /// The function that is being walked.
    current: Option<usize>,
    /// Operator sets by domain.
    imports: BTreeMap<String, u64>,
    parameters: u64,
    /// Files that the weights are in.
    external: Vec<String>,
}

impl Walk<'_, '_> {
    /// First pass: what the model defines itself.
    fn collect(&mut self, message: &Message<'_>) {
        /// Functions of one model.
        const FUNCTIONS_MAX: usize = 20_000;
        for field in message.fields().flatten() {
            if field.number == 25 && self.local.len() < FUNCTIONS_MAX {
                let name = message.open(&field, |f| {
                    let (mut name, mut domain) = (String::new(), String::new());
                    for inner in f.fields().flatten() {
                        match inner.number {
                            1 => name = f.text(&inner, 4096),
                            10 => domain = f.text(&inner, 4096),
                            _ => {}
                        }
                    }
                    (domain, name)
                });
                if let Ok(Some(name)) = name {
                    self.local.push(name);
                }
            }
        }
    }

    /// Second pass: everything.
    fn model(&mut self, message: &Message<'_>) {
        let (mut producer, mut version) = (String::new(), String::new());
        let mut function = 0;
        for field in message.fields() {
            let field = match field {
                Ok(field) => field,
                Err(e) => return self.cx.unread(self.part, Some(message.base), e.to_string()),
            };
            match field.number {
                1 => self.part.facts.framework = field.varint().map(|n| format!("ONNX IR {n}")),
                2 => producer = message.text(&field, 1000),
                3 => version = message.text(&field, 1000),
                4 => {
                    let domain = message.text(&field, 1000);
                    self.part.facts.note("domain", &domain);
                    self.text(&domain, "the domain of the model", message.base);
                }
                5 => self.part.facts.note("model version", &field.varint().unwrap_or(0).to_string()),
                6 => {
                    let text = message.text(&field, TEXT_BYTES_MAX);
                    self.part.facts.note("description", &text);
                    self.text(&text, "the description of the model", message.base);
                }
                7 => self.within(message, &field, |walk, graph| walk.graph(&graph, 0, true)),
                8 => self.within(message, &field, |walk, import| walk.import(&import)),
                14 => self.within(message, &field, |walk, entry| walk.property(&entry)),
                20 => self.within(message, &field, |walk, training| walk.training(&training)),
                25 => {
                    self.current = (function < self.local.len()).then_some(function);
                    self.within(message, &field, |walk, body| walk.function(&body));
                    self.current = None;
                    function += 1;
                }
                _ => self.unknown(message, &field),
            }
        }
        let producer = format!("{producer} {version}");
        self.text(&producer, "the name of the producer", message.base);
        self.part.facts.producer = Some(producer.trim().to_owned()).filter(|p| !p.is_empty());
    }

    /// Opens a field as a message and walks it.
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

    fn text(&mut self, text: &str, what: &str, at: u64) {
        payload::text(text, what, Some(at), self.part, self.cx);
    }

    fn flaw(&mut self, at: u64, what: String) {
        let remedy = "do not use the file; ask the supplier for a valid export";
        self.cx.find(self.part, &STRUCTURE, Severity::Medium, Some(at), what, remedy);
    }

    fn import(&mut self, message: &Message<'_>) {
        let (mut domain, mut version) = (String::new(), 0);
        for field in message.fields().flatten() {
            match field.number {
                1 => domain = message.text(&field, 1000),
                2 => version = field.varint().unwrap_or(0),
                _ => {}
            }
        }
        if self.imports.len() < 1000 {
            self.imports.insert(domain, version);
        }
    }

    /// A field that the format does not have: readers skip it, and anything can be in it.
    pub(super) fn unknown(&mut self, message: &Message<'_>, field: &Field) {
        /// Shorter ones hold nothing.
        const SHORT: u64 = 16;
        let Payload::Bytes { at, length } = field.payload else { return };
        let (what, byte) = (format!("field {} of the model", field.number), message.base.saturating_add(at));
        let range = message.range(field);
        if length < SHORT || payload::bytes(&range, &what, Some(byte), self.part, self.cx) {
            return;
        }
        match String::from_utf8(message.bytes(field, TEXT_BYTES_MAX).unwrap_or_default().into_owned()) {
            Ok(text) => self.text(&text, &what, byte),
            Err(_) => self.cx.unread(
                self.part,
                Some(byte),
                format!("{what} is in no version of ONNX that is known here; ask the supplier what it holds"),
            ),
        }
    }

    /// A key and a value, both text.
    fn property(&mut self, message: &Message<'_>) {
        let (mut key, mut value) = (String::new(), String::new());
        for field in message.fields().flatten() {
            match field.number {
                1 => key = message.text(&field, 4096),
                2 => value = message.text(&field, TEXT_BYTES_MAX),
                _ => {}
            }
        }
        match key.to_ascii_lowercase().as_str() {
            "license" | "licence" => self.part.facts.licence = Some(value.chars().take(200).collect()),
            "author" | "authors" if self.part.facts.producer.is_none() => {
                self.part.facts.note("author", &value)
            }
            _ => {}
        }
        self.part.facts.note(key.clone(), &value);
        if key.contains("chat_template") {
            crate::text::jinja::judge(&value, self.part, self.cx);
        }
        self.text(&key, "the name of a metadata entry", message.base);
        self.text(&value, &format!("metadata `{key}`"), message.base);
    }

    fn training(&mut self, message: &Message<'_>) {
        for field in message.fields().flatten().filter(|f| matches!(f.number, 1 | 2)) {
            self.within(message, &field, |walk, graph| walk.graph(&graph, 0, false));
        }
    }

    /// Functions that call themselves, through whatever others.
    fn circles(&mut self) {
        let mut left: Vec<usize> =
            (0..self.local.len()).map(|i| self.calls.iter().filter(|c| c.0 == i).count()).collect();
        // Functions that call none are taken away, and those that call only such ones; what stays calls in a circle.
        let mut done: Vec<usize> = (0..self.local.len()).filter(|i| left.get(*i) == Some(&0)).collect();
        let mut next = 0;
        while let Some(&callee) = done.get(next) {
            next += 1;
            for (caller, _) in self.calls.iter().filter(|c| c.1 == callee) {
                if let Some(n) = left.get_mut(*caller) {
                    *n = n.saturating_sub(1);
                    if *n == 0 {
                        done.push(*caller);
                    }
                }
            }
        }
        if done.len() < self.local.len() {
            let name = (0..self.local.len()).find(|i| !done.contains(i)).and_then(|i| self.local.get(i));
            let name = name.map_or_else(String::new, |(d, n)| format!("{d}::{n}"));
            self.flaw(0, format!("the function `{name}` calls itself"));
        }
    }

    fn close(self) {
        let facts = &mut self.part.facts;
        facts.parameters = Some(self.parameters);
        for (domain, version) in &self.imports {
            let domain = if domain.is_empty() { "ai.onnx" } else { domain };
            facts.note(format!("opset {domain}"), &version.to_string());
        }
        if !self.external.is_empty() {
            facts.note("external data", &self.external.join(", "));
        }
    }
}

/// An input or output.
fn port(message: &Message<'_>) -> Port {
    let mut port = Port { name: String::new(), datatype: String::new(), shape: Vec::new() };
    for field in message.fields().flatten() {
        match field.number {
            1 => port.name = message.text(&field, 1000),
            2 => drop(message.open(&field, |kind| datatype(&kind, &mut port))),
            _ => {}
        }
    }
    port
}

fn datatype(message: &Message<'_>, port: &mut Port) {
    for field in message.fields().flatten() {
        let name = match field.number {
            1 => "tensor",
            4 => "sequence",
            5 => "map",
            8 => "sparse tensor",
            9 => "optional",
            _ => continue,
        };
        name.clone_into(&mut port.datatype);
        if !matches!(field.number, 1 | 8) {
            continue;
        }
        let _ = message.open(&field, |tensor| {
            for inner in tensor.fields().flatten() {
                match (inner.number, inner.payload) {
                    (1, Payload::Varint(n)) => tensor::name(n).clone_into(&mut port.datatype),
                    (2, _) => drop(tensor.open(&inner, |shape| dimensions(&shape, port))),
                    _ => {}
                }
            }
        });
    }
}

fn dimensions(message: &Message<'_>, port: &mut Port) {
    /// Dimensions shown.
    const RANK_MAX: usize = 16;
    for field in message.fields().flatten().filter(|f| f.number == 1).take(RANK_MAX) {
        let size = message.open(&field, |size| {
            let mut text = "-1".to_owned();
            for inner in size.fields().flatten() {
                match (inner.number, inner.payload) {
                    (1, Payload::Varint(n)) => text = n.cast_signed().to_string(),
                    (2, _) => text = size.text(&inner, 100),
                    _ => {}
                }
            }
            text
        });
        port.shape.push(size.ok().flatten().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;
