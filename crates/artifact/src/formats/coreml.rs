//! Core ML models (`.mlmodel`).

use domain::{Entry, Severity, catalogue_entry};

use super::{Format, Input, Sure};
use crate::wire::proto::{Field, Message, Payload};
use crate::{Context, Part, Port, embedded, payload};

catalogue_entry! {
    /// A Core ML model needs code of the supplier, or names files outside its package.
    ///
    /// ## What it is
    /// A custom model or custom layer (a class of the application, by name), a linked model, or weights at a path that
    /// leaves the package.
    ///
    /// ## Why it matters in care
    /// The class that the file names is looked up in the application and run; a path that leaves the package reads other
    /// files.
    ///
    /// ## Limits
    /// What the class does is not in the file.
    ///
    /// ## References
    /// Core ML model format (coremltools); CWE-470 Use of Externally-Controlled Input to Select Classes or Code; CWE-22.
    pub(crate) static CUSTOM = {
        id: "S082", name: "coreml-custom-code", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0018.001", "CWE-470", "CWE-22"],
    };
}

/// Entries of this format.
pub(crate) const ENTRIES: &[&Entry] = &[&CUSTOM];

/// Kinds of models by the number of their field.
const KINDS: &[(u32, &str)] = &[
    (200, "pipeline classifier"),
    (201, "pipeline regressor"),
    (202, "pipeline"),
    (300, "GLM regressor"),
    (301, "support vector regressor"),
    (302, "tree ensemble regressor"),
    (303, "neural network regressor"),
    (304, "Bayesian probit regressor"),
    (400, "GLM classifier"),
    (401, "support vector classifier"),
    (402, "tree ensemble classifier"),
    (403, "neural network classifier"),
    (404, "k nearest neighbours"),
    (500, "neural network"),
    (501, "item similarity"),
    (502, "ML program"),
    (555, "custom model"),
    (556, "linked model"),
    (560, "class confidence thresholding"),
    (600, "one-hot encoder"),
    (601, "imputer"),
    (602, "feature vectorizer"),
    (603, "dictionary vectorizer"),
    (604, "scaler"),
    (606, "categorical mapping"),
    (607, "normalizer"),
    (609, "array feature extractor"),
    (610, "non-maximum suppression"),
    (900, "identity"),
    (2000, "text classifier"),
    (2001, "word tagger"),
    (2002, "vision feature print"),
    (2003, "sound analysis"),
    (2004, "gazetteer"),
    (2005, "word embedding"),
    (2006, "audio feature print"),
    (3000, "serialized model"),
];
/// Highest version of the format that exists, with room for the next years.
const VERSION_MAX: u64 = 40;
/// Messages inside each other.
const DEPTH_MAX: u32 = 24;
/// Longest text that is judged, bytes.
const TEXT_BYTES_MAX: u64 = 16 << 20;
const REMEDY: &str = "ask the supplier for a model without classes of its own; do not run it inside an application of theirs unseen";

/// The format.
pub(super) struct CoreMl;

impl Format for CoreMl {
    fn name(&self) -> &'static str {
        "coreml"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        if input.head.first() != Some(&8) {
            return None;
        }
        let message = Message::new(input.source, 0);
        let (mut version, mut kind) = (false, false);
        for field in message.fields() {
            match field.ok().map(|f| (f.number, f.payload))? {
                (1, Payload::Varint(1..=VERSION_MAX)) => version = true,
                (2, Payload::Bytes { .. }) | (10, Payload::Varint(0 | 1)) => {}
                (number, Payload::Bytes { .. }) if KINDS.iter().any(|k| k.0 == number) => kind = true,
                _ => return None,
            }
        }
        (version && kind).then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        embedded::search(input.source, part, cx);
        payload::tail(input, part, cx);
        let mut walk = Walk { part, cx };
        walk.model(&Message::new(input.source, 0), 0);
    }
}

struct Walk<'w, 'l> {
    part: &'w mut Part,
    cx: &'w mut Context<'l>,
}

impl Walk<'_, '_> {
    fn within(&mut self, message: &Message<'_>, field: &Field, with: impl FnOnce(&mut Self, Message<'_>)) {
        if self.cx.step(1).is_err() {
            return self.cx.unread(
                self.part,
                Some(message.base),
                "the limit of steps is reached; scan the parts of this artefact apart",
            );
        }
        if let Err(e) = message.open(field, |m| with(&mut *self, m)) {
            self.cx.unread(self.part, Some(message.base), e.to_string());
        }
    }

    fn found(&mut self, severity: Severity, at: u64, message: String) {
        self.cx.find(self.part, &CUSTOM, severity, Some(at), message, REMEDY);
    }

    fn model(&mut self, message: &Message<'_>, depth: u32) {
        if depth > DEPTH_MAX {
            return self.cx.unread(self.part, Some(message.base), "models are nested too deep");
        }
        for field in message.fields().flatten() {
            if let Some((_, kind)) = KINDS.iter().find(|k| k.0 == field.number) {
                self.part.facts.operator(kind);
                if depth == 0 {
                    self.part.facts.architecture = Some((*kind).to_owned());
                }
            }
            match field.number {
                1 if depth == 0 => self.part.facts.framework = field.varint().map(|n| format!("Core ML {n}")),
                2 => self
                    .within(message, &field, |walk, description| walk.description(&description, depth == 0)),
                200 | 201 => self.within(message, &field, |walk, pipeline| {
                    for inner in pipeline.fields().flatten().filter(|f| f.number == 1) {
                        walk.within(&pipeline, &inner, |walk, pipeline| walk.pipeline(&pipeline, depth));
                    }
                }),
                202 => self.within(message, &field, |walk, pipeline| walk.pipeline(&pipeline, depth)),
                303 | 403 | 500 => {
                    self.within(message, &field, |walk, network| walk.network(&network, depth))
                }
                502 => self.within(message, &field, |walk, program| walk.program(&program)),
                555 => self.within(message, &field, |walk, custom| {
                    let class = custom
                        .fields()
                        .flatten()
                        .find(|f| f.number == 10)
                        .map(|f| custom.text(&f, 1000))
                        .unwrap_or_default();
                    walk.found(
                        Severity::Medium,
                        custom.base,
                        format!("the model is the class `{class}` of the application"),
                    );
                    walk.sweep(&custom, depth + 1);
                }),
                556 => self.within(message, &field, |walk, linked| {
                    walk.found(
                        Severity::Medium,
                        linked.base,
                        "the model is a link to another model".to_owned(),
                    );
                    walk.sweep(&linked, depth + 1);
                }),
                3000 => {
                    let range = message.range(&field);
                    payload::bytes(&range, "the serialized model", Some(message.base), self.part, self.cx);
                }
                _ => {}
            }
        }
    }

    fn pipeline(&mut self, message: &Message<'_>, depth: u32) {
        for field in message.fields().flatten().filter(|f| f.number == 1) {
            self.within(message, &field, |walk, model| walk.model(&model, depth + 1));
        }
    }

    fn description(&mut self, message: &Message<'_>, outer: bool) {
        /// Ports kept.
        const PORTS_MAX: usize = 100;
        for field in message.fields().flatten() {
            match field.number {
                1 | 10 if outer => {
                    let mut port = Port { name: String::new(), datatype: String::new(), shape: Vec::new() };
                    self.within(message, &field, |_, feature| {
                        for inner in feature.fields().flatten() {
                            match inner.number {
                                1 => port.name = feature.text(&inner, 1000),
                                3 => {
                                    let kind = feature.open(&inner, |t| {
                                        t.fields().flatten().map(|f| f.number).find(|n| *n < 10)
                                    });
                                    port.datatype =
                                        datatype(kind.ok().flatten().flatten().unwrap_or(0)).to_owned();
                                }
                                _ => {}
                            }
                        }
                    });
                    let list = if field.number == 1 {
                        &mut self.part.facts.inputs
                    } else {
                        &mut self.part.facts.outputs
                    };
                    if list.len() < PORTS_MAX {
                        list.push(port);
                    }
                }
                100 => self.within(message, &field, |walk, metadata| walk.metadata(&metadata, outer)),
                _ => {}
            }
        }
    }

    fn metadata(&mut self, message: &Message<'_>, outer: bool) {
        for field in message.fields().flatten() {
            let (key, value) = match field.number {
                1..=4 => (
                    ["", "description", "version", "author", "license"][field.number as usize].to_owned(),
                    message.text(&field, TEXT_BYTES_MAX),
                ),
                100 => {
                    let pair = message.open(&field, |entry| {
                        let text = |n| {
                            entry
                                .fields()
                                .flatten()
                                .find(|f| f.number == n)
                                .map(|f| entry.text(&f, TEXT_BYTES_MAX))
                                .unwrap_or_default()
                        };
                        (text(1), text(2))
                    });
                    pair.ok().flatten().unwrap_or_default()
                }
                _ => continue,
            };
            if outer {
                match key.as_str() {
                    "license" if !value.is_empty() => {
                        self.part.facts.licence = Some(value.chars().take(200).collect())
                    }
                    "author" | "com.github.apple.coremltools.version" => {
                        self.part.facts.producer = Some(value.chars().take(200).collect())
                    }
                    _ => self.part.facts.note(key.clone(), &value),
                }
            }
            payload::text(&value, &format!("metadata `{key}`"), Some(message.base), self.part, self.cx);
        }
    }

    fn network(&mut self, message: &Message<'_>, depth: u32) {
        /// The field of a layer that stands for a class of the application.
        const CUSTOM_LAYER: u32 = 500;
        for field in message.fields().flatten().filter(|f| f.number == 1) {
            self.within(message, &field, |walk, layer| {
                for inner in layer.fields().flatten().filter(|f| f.number >= 100) {
                    walk.part.facts.operator(&format!("layer {}", inner.number));
                    if inner.number == CUSTOM_LAYER {
                        walk.within(&layer, &inner, |walk, custom| {
                            let class = custom
                                .fields()
                                .flatten()
                                .find(|f| f.number == 10)
                                .map(|f| custom.text(&f, 1000))
                                .unwrap_or_default();
                            walk.found(
                                Severity::Medium,
                                custom.base,
                                format!("a layer is the class `{class}` of the application"),
                            );
                            walk.sweep(&custom, depth + 1);
                        });
                    }
                }
            });
        }
    }

    /// Functions, their blocks, and the operations in them.
    fn program(&mut self, message: &Message<'_>) {
        for field in message.fields().flatten().filter(|f| f.number == 2) {
            self.within(message, &field, |walk, entry| {
                for function in entry.fields().flatten().filter(|f| f.number == 2) {
                    walk.within(&entry, &function, |walk, function| {
                        for entry in function.fields().flatten().filter(|f| f.number == 3) {
                            walk.within(&function, &entry, |walk, entry| {
                                for block in entry.fields().flatten().filter(|f| f.number == 2) {
                                    walk.within(&entry, &block, |walk, block| walk.block(&block, 0));
                                }
                            });
                        }
                    });
                }
            });
        }
    }

    fn block(&mut self, message: &Message<'_>, depth: u32) {
        if depth > DEPTH_MAX {
            return self.cx.unread(self.part, Some(message.base), "blocks are nested too deep");
        }
        for field in message.fields().flatten().filter(|f| f.number == 3) {
            self.within(message, &field, |walk, operation| {
                for inner in operation.fields().flatten() {
                    match inner.number {
                        1 => {
                            let kind = operation.text(&inner, 200);
                            walk.part.facts.operator(&kind);
                            if kind.contains("custom") {
                                walk.found(
                                    Severity::Medium,
                                    operation.base,
                                    format!("the operation `{kind}` is a class of the application"),
                                );
                            }
                        }
                        4 => walk.within(&operation, &inner, |walk, block| walk.block(&block, depth + 1)),
                        _ => walk.within(&operation, &inner, |walk, rest| walk.sweep(&rest, depth + 1)),
                    }
                }
            });
        }
    }

    /// Texts in messages whose schema does not matter: paths and anything that is code.
    fn sweep(&mut self, message: &Message<'_>, depth: u32) {
        if depth > DEPTH_MAX || self.cx.step(1).is_err() {
            return;
        }
        let whole = message.fields().all(|f| f.is_ok());
        for field in message.fields().flatten() {
            let Payload::Bytes { length, .. } = field.payload else { continue };
            if length < 4 || !whole {
                continue;
            }
            let bytes = message.bytes(&field, 4096).unwrap_or_default();
            let text = std::str::from_utf8(&bytes)
                .ok()
                .filter(|t| t.chars().all(|c| !c.is_control() || c.is_whitespace()));
            if let Some(text) = text {
                if let Some(path) = text.strip_prefix("@model_path/")
                    && let Some(why) = payload::outside(path)
                {
                    self.found(
                        Severity::High,
                        message.base,
                        format!("weights are read from `{text}`: {why}"),
                    );
                }
                if length > 16 {
                    payload::text(
                        &message.text(&field, TEXT_BYTES_MAX),
                        "a text of the model",
                        Some(message.base),
                        self.part,
                        self.cx,
                    );
                }
            } else {
                let range = message.range(&field);
                if !payload::bytes(&range, "a value of the model", Some(message.base), self.part, self.cx) {
                    self.within(message, &field, |walk, inner| walk.sweep(&inner, depth + 1));
                }
            }
        }
    }
}

fn datatype(kind: u32) -> &'static str {
    match kind {
        1 => "int64",
        2 => "double",
        3 => "string",
        4 => "image",
        5 => "array",
        6 => "dictionary",
        7 => "sequence",
        8 => "state",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::proto::build::{bytes, int, message};
    use crate::{Limits, Part, Verdict, scan};

    fn read(kind: Vec<u8>) -> Part {
        let metadata = message(100, &[bytes(1, "a model"), bytes(4, "MIT")]);
        let description =
            message(2, &[message(1, &[bytes(1, "x"), message(3, &[message(5, &[])])]), metadata]);
        scan("m.mlmodel", &[int(1, 7), description, kind].concat(), &Limits::default())
    }

    #[test]
    fn ordinary_models_are_clean_and_described() {
        let part = read(message(500, &[message(1, &[bytes(1, "layer"), message(140, &[int(1, 3)])])]));
        assert_eq!(part.verdict(), Verdict::Clean, "{part:?}");
        assert_eq!(
            (part.facts.licence.as_deref(), part.facts.inputs[0].datatype.as_str()),
            (Some("MIT"), "array")
        );
    }

    #[test]
    fn classes_of_the_application_and_paths_are_found() {
        assert_eq!(read(message(555, &[bytes(10, "EvilModel")])).verdict(), Verdict::Found);
        assert_eq!(
            read(message(500, &[message(1, &[message(500, &[bytes(10, "EvilLayer")])])])).verdict(),
            Verdict::Found
        );
        let nested = [int(1, 7), message(555, &[bytes(10, "X")])].concat();
        assert_eq!(read(message(202, &[bytes(1, nested)])).verdict(), Verdict::Found);
        let path = message(5, &[message(2, &[message(5, &[bytes(1, "@model_path/../../etc/passwd")])])]);
        let operation = message(3, &[bytes(1, "const"), path]);
        let program = message(
            502,
            &[message(
                2,
                &[
                    bytes(1, "main"),
                    message(2, &[message(3, &[bytes(1, "CoreML6"), message(2, &[operation])])]),
                ],
            )],
        );
        assert_eq!(read(program).verdict(), Verdict::Found);
    }
}
