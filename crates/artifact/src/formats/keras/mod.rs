//! Keras models as JSON: a `.keras` archive's `config.json`, a `to_json` file, the attribute of an HDF5 file, the nodes
//! of a SavedModel's `keras_metadata.pb`.

mod judge;
mod modules;

use domain::{Entry, catalogue_entry};

use super::{Format, Input, Sure};
use crate::wire::json::{self, Value};
use crate::wire::proto::{Message, Payload};
use crate::{Context, Part};

pub(crate) use judge::STRAY;

catalogue_entry! {
    /// A Keras model carries Python code.
    ///
    /// ## What it is
    /// A `Lambda` layer, or any other object made of a serialised function: compiled Python in base64 that Keras unmarshals
    /// and calls.
    ///
    /// ## Why it matters in care
    /// Loading or first use of the model runs the supplier's code with the rights of the service. `safe_mode` does not
    /// protect: it is off in old files and has been bypassed (CVE-2024-3660, CVE-2025-1550, CVE-2025-9905).
    ///
    /// ## Limits
    /// Harmless lambdas (a scaling of the input) are reported too: the code is compiled and cannot be told apart with
    /// certainty.
    ///
    /// ## References
    /// CWE-94 Code Injection; CWE-502 Deserialization of Untrusted Data; CERT VU#253266.
    pub(crate) static LAMBDA = {
        id: "S073", name: "keras-lambda", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0018.002", "CWE-94", "CWE-502"],
    };
}

catalogue_entry! {
    /// A Keras model names a class or function that is not a layer of Keras.
    ///
    /// ## What it is
    /// The configuration asks to import something from outside Keras (`os.system`, a package of the supplier), or a part
    /// of Keras that is no building block of models (downloads, deserialisers, configuration).
    ///
    /// ## Why it matters in care
    /// Keras imports the module and calls what it finds there with arguments from the file: the file chooses what runs.
    ///
    /// ## Limits
    /// A supplier's own layers are reported when they name the supplier's package; with `__main__` or none they are noted
    /// as needed code.
    ///
    /// ## References
    /// CVE-2025-1550, CVE-2025-8747, CVE-2025-9906; CWE-470 Use of Externally-Controlled Input to Select Classes or Code.
    pub(crate) static FOREIGN = {
        id: "S074", name: "keras-foreign-object", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "CWE-470", "CWE-502"],
    };
}

catalogue_entry! {
    /// A Keras model reads files or addresses when it is loaded.
    ///
    /// ## What it is
    /// A layer takes its vocabulary, weights or a whole model from a path or URL in the configuration.
    ///
    /// ## Why it matters in care
    /// Loading the model reads that file of the service or asks that address from inside the network (CVE-2025-12058).
    ///
    /// ## Limits
    /// A model saved with a vocabulary file beside it is reported when the file is named by path.
    ///
    /// ## References
    /// CVE-2025-12058, CVE-2025-12060; CWE-73 External Control of File Name; CWE-918 Server-Side Request Forgery.
    pub(crate) static FILE = {
        id: "S075", name: "keras-file-reference", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0037", "CWE-73", "CWE-918"],
    };
}

catalogue_entry! {
    /// A Keras model carries a pickled PyTorch module or another framework's function.
    ///
    /// ## What it is
    /// `TorchModuleWrapper` holds a whole pickle that `torch.load` opens without protection.
    ///
    /// ## Why it matters in care
    /// Loading the model unpickles it: whatever the pickle calls runs.
    ///
    /// ## Limits
    /// The pickle is also read for what it would call; the finding stands whatever it is.
    ///
    /// ## References
    /// CWE-502 Deserialization of Untrusted Data.
    pub(crate) static PICKLED = {
        id: "S077", name: "keras-pickled-module", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0018.002", "CWE-502"],
    };
}

/// Entries of this format.
pub(crate) const ENTRIES: &[&Entry] = &[&LAMBDA, &FOREIGN, &FILE, &PICKLED, &judge::STRAY];

/// Keras JSON.
pub(super) struct KerasJson;

impl Format for KerasJson {
    fn name(&self) -> &'static str {
        "keras-json"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let start = input.head.iter().position(|b| !b.is_ascii_whitespace())?;
        let has = |word: &[u8]| crate::wire::position(input.head, word).is_some();
        (matches!(input.head.get(start), Some(b'{' | b'[')) && has(b"\"class_name\"") && has(b"\"config\""))
            .then_some(Sure::Certain)
    }

    fn includes(&self, _input: &Input<'_>) -> &'static [&'static str] {
        &["json", "yaml", "text"]
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        part.facts.framework = Some("Keras".to_owned());
        match json::tree(input.source, 0, input.source.len()) {
            Ok(tree) => judge::judge(&tree, "the configuration", part, cx),
            Err(e) => cx.unread(part, Some(0), e.to_string()),
        }
    }
}

/// Judges a configuration that is a text inside something else.
pub(super) fn judge_text(text: &str, what: &str, part: &mut Part, cx: &mut Context<'_>) {
    match json::tree(&text.as_bytes(), 0, text.len() as u64) {
        Ok(tree) => judge::judge(&tree, what, part, cx),
        Err(e) => cx.unread(part, None, format!("{what}: {e}")),
    }
}

/// `keras_metadata.pb`: the objects of a Keras 2 SavedModel.
pub(super) struct KerasMetadata;

impl Format for KerasMetadata {
    fn name(&self) -> &'static str {
        "keras-metadata"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        if input.head.first() != Some(&0x0a) || crate::wire::position(input.head, b"_tf_keras_").is_none() {
            return None;
        }
        let message = Message::new(input.source, 0);
        let fits = message
            .fields()
            .all(|f| f.is_ok_and(|f| f.number == 1 && matches!(f.payload, Payload::Bytes { .. })));
        fits.then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        /// Longest description of one object, bytes.
        const JSON_BYTES_MAX: u64 = 16 << 20;
        part.facts.framework = Some("Keras 2 (SavedModel)".to_owned());
        let message = Message::new(input.source, 0);
        for field in message.fields().flatten() {
            let text = message.open(&field, |node| {
                node.fields().flatten().find(|f| f.number == 5).map(|f| node.text(&f, JSON_BYTES_MAX))
            });
            if let Some(text) = text.ok().flatten().flatten().filter(|t| !t.is_empty()) {
                judge_text(&text, "the description of an object", part, cx);
            }
        }
    }
}

/// Whether a value is an object that Keras would build.
fn class_of(value: &Value) -> Option<&str> {
    value.text_of("class_name")
}

#[cfg(test)]
mod tests;
