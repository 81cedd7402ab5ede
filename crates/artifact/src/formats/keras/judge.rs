//! Judges a configuration: every object in it, wherever it is.

use domain::{Severity, catalogue_entry};

use super::modules::{self, Origin};
use super::{FILE, FOREIGN, LAMBDA, PICKLED, class_of};
use crate::payload;
use crate::wire::json::{Tree, Value};
use crate::{Context, Part};

catalogue_entry! {
    /// A Keras archive holds something that is no part of a Keras model, or its configuration says one thing twice.
    ///
    /// ## What it is
    /// A file beside `config.json`, `metadata.json`, the weights and the assets; or a key that is in one object twice.
    ///
    /// ## Why it matters in care
    /// Programs that unpack the archive bring the stray file along; code and pickles have been hidden so. Of two equal keys
    /// different readers see different ones.
    ///
    /// ## Limits
    /// Notes that a supplier adds to the archive are reported when they are code or unknown.
    ///
    /// ## References
    /// Keras v3 saved model format; CWE-506 Embedded Malicious Code; CWE-436 Interpretation Conflict.
    pub(crate) static STRAY = {
        id: "S078", name: "keras-stray-content", kind: Rule, since: "0.1.0",
        maps: ["AML.T0018.002", "AML.T0074", "CWE-506", "CWE-436"],
    };
}

/// Layers that read their vocabulary from a file when it is a text.
const LOOKUPS: &[&str] = &[
    "vocabulary",
    "idf_weights",
    "vocabulary_file",
    "vocab_file",
    "vocab_filename",
    "merges",
    "proto",
    "sentencepiece_model",
];
/// Keys whose text is opened.
const PATHS: &[&str] = &[
    "filepath",
    "file_path",
    "filename",
    "path",
    "fname",
    "origin",
    "url",
    "cache_dir",
    "cache_subdir",
    "weights_path",
    "checkpoint",
    "checkpoint_path",
    "model_path",
    "saved_model_path",
    "directory",
    "file",
];

struct Judge<'j, 'l> {
    what: &'j str,
    part: &'j mut Part,
    cx: &'j mut Context<'l>,
}

/// Judges a whole configuration.
pub(super) fn judge(tree: &Tree, what: &str, part: &mut Part, cx: &mut Context<'_>) {
    let (root, twice) = tree;
    if let Some(class) = class_of(root)
        && part.facts.architecture.is_none()
    {
        let name = root.get("config").and_then(|c| c.text_of("name")).unwrap_or_default();
        part.facts.architecture = Some(format!("{class} {name}").trim().to_owned());
    }
    let mut judge = Judge { what, part, cx };
    for key in twice {
        let message = format!("the key `{key}` is twice in one object of {what}");
        judge.cx.find(
            judge.part,
            &STRAY,
            Severity::Medium,
            None,
            message,
            "do not use the file; ask the supplier for a valid export",
        );
    }
    // Depth first, without recursion; the reader has bounded the depth and the number.
    let mut next = vec![("", root)];
    while let Some((key, value)) = next.pop() {
        match value {
            Value::Text(text) => judge.text(key, text),
            Value::Object(members) => {
                judge.object(value);
                next.extend(members.iter().map(|(k, v)| (k.as_str(), v)));
            }
            Value::List(list) => next.extend(list.iter().map(|v| (key, v))),
            Value::Plain(_) => {}
        }
    }
}

impl Judge<'_, '_> {
    fn lambda(&mut self, class: &str, code: Option<&str>) {
        let shown = code
            .map(|c| format!(" over the names `{}`", names(c).join("`, `")))
            .filter(|s| !s.ends_with("``"))
            .unwrap_or_default();
        let message =
            format!("{} has `{class}`: compiled Python that runs when the model is used{shown}", self.what);
        let remedy = "do not load it; ask the supplier for a model without Lambda layers";
        self.cx.find(self.part, &LAMBDA, Severity::High, None, message, remedy);
    }

    fn object(&mut self, value: &Value) {
        let config = value.get("config");
        let legacy = value.get("function_type").is_some() && value.get("function").is_some();
        let Some(class) = class_of(value) else {
            if legacy {
                self.lambda("a serialised function", value.get("function").and_then(code));
            }
            return;
        };
        // `package>Class` is how a registered class is written.
        let base = class.rsplit('>').next().unwrap_or(class);
        let registered = value.text_of("registered_name").map(|r| r.rsplit('>').next().unwrap_or(r));
        if [Some(base), registered]
            .iter()
            .flatten()
            .any(|c| matches!(c.to_ascii_lowercase().as_str(), "lambda" | "__lambda__"))
            || legacy
        {
            self.lambda(
                class,
                config.and_then(|c| c.get("code").or_else(|| c.get("function")).and_then(code)),
            );
        }
        if !matches!(
            class,
            "__keras_tensor__"
                | "__tensor__"
                | "__numpy__"
                | "__tuple__"
                | "__ellipsis__"
                | "__slice__"
                | "__bytes__"
                | "function"
                | "DTypePolicy"
        ) {
            self.part.facts.operator(base);
        }
        self.special(base, config);
        self.module(value, class, base, config);
        if let Some(config) = config {
            self.paths(class, config);
        }
    }

    fn special(&mut self, base: &str, config: Option<&Value>) {
        match base {
            "TorchModuleWrapper" => {
                let message = format!("{} has `TorchModuleWrapper`: a pickled PyTorch module", self.what);
                self.cx.find(
                    self.part,
                    &PICKLED,
                    Severity::High,
                    None,
                    message,
                    "do not load it; ask the supplier for a model without pickles",
                );
            }
            "FlaxLayer" | "JaxLayer" => {
                let message = format!("{} has `{base}`: a function of another framework", self.what);
                self.cx.find(
                    self.part,
                    &PICKLED,
                    Severity::Medium,
                    None,
                    message,
                    "ask the supplier for a model in layers of Keras",
                );
            }
            "TFOpLambda" | "TFClassMethodDispatcher" | "TFOpLayer" | "TensorFlowOpLayer" => {
                let called = config.and_then(|c| {
                    c.text_of("function")
                        .or_else(|| c.get("node_def").and_then(|n| n.text_of("op").or_else(|| n.text())))
                });
                let called = called.unwrap_or_default();
                let acts = [
                    "io.",
                    "raw_ops.",
                    "data.",
                    "saved_model",
                    "train.",
                    "py_function",
                    "numpy_function",
                    "load_",
                    "debugging.",
                    "print",
                    "summary.",
                    "distribute",
                    "config",
                    "WriteFile",
                    "ReadFile",
                    "PyFunc",
                ]
                .iter()
                .any(|a| {
                    called.strip_prefix("tf.").unwrap_or(called).starts_with(a)
                        || called.contains("WriteFile")
                        || called.contains("PyFunc")
                });
                if acts {
                    let message = format!("{} calls TensorFlow's `{called}`", self.what);
                    self.cx.find(
                        self.part,
                        &FOREIGN,
                        Severity::High,
                        None,
                        message,
                        "do not load it; ask the supplier for a model made of layers of Keras",
                    );
                }
            }
            "TFSMLayer" => {
                let path = config.and_then(|c| c.text_of("filepath")).unwrap_or_default();
                let message = format!("{} loads another model from `{path}`", self.what);
                self.cx.find(
                    self.part,
                    &FILE,
                    Severity::High,
                    None,
                    message,
                    "do not load it; ask the supplier for one file with the whole model",
                );
            }
            _ => {}
        }
    }

    fn module(&mut self, value: &Value, class: &str, base: &str, config: Option<&Value>) {
        let function = class == "function";
        let name = if function { config.and_then(Value::text).unwrap_or(base) } else { base };
        let module = value.text_of("module");
        // A class may itself be written as a dotted path.
        let dotted = name.rsplit_once('.').map(|(m, _)| m);
        let mut origin = modules::origin(module.or(dotted), name, function);
        if let (Some(dotted), Some(module)) = (dotted, module) {
            origin = modules::origin(Some(&format!("{module}.{dotted}")), name, function);
        }
        let full = module.map_or_else(|| name.to_owned(), |m| format!("{m}.{name}"));
        let remedy = "do not load it; ask the supplier for a model made of layers of Keras";
        let (severity, what) = match origin {
            Origin::Keras => return,
            Origin::Registered => {
                if module.is_some() && value.text_of("registered_name").is_some() {
                    self.part.facts.note(format!("needs {full}"), "code that is not in the file");
                }
                return;
            }
            Origin::Dangerous => (Severity::High, "calls"),
            Origin::Inside => (Severity::High, "uses, as if it were a layer,"),
            Origin::Foreign => (Severity::Medium, "imports"),
        };
        let message = format!("{} {what} `{full}`{}", self.what, arguments(config, value));
        self.cx.find(self.part, &FOREIGN, severity, None, message, remedy);
    }

    fn paths(&mut self, class: &str, config: &Value) {
        let Value::Object(members) = config else { return };
        for (key, value) in members {
            let Some(text) = value.text().filter(|t| !t.is_empty()) else { continue };
            let lookup = LOOKUPS.contains(&key.as_str());
            let path = PATHS.contains(&key.as_str())
                && (payload::outside(text).is_some() || text.contains(['/', '\\']));
            if lookup || path || (key == "weights" && text.contains(['/', '\\'])) {
                let message = format!("`{class}` in {} reads `{text}` when the model is loaded", self.what);
                let remedy = "do not load it; ask the supplier for a model that holds its vocabulary itself";
                self.cx.find(self.part, &FILE, Severity::High, None, message, remedy);
            }
        }
    }

    fn text(&mut self, key: &str, text: &str) {
        let what = format!("`{key}` in {}", self.what);
        payload::text(text, &what, None, self.part, self.cx);
    }
}

/// The base64 of a serialised function.
fn code(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        Value::List(list) => list.first().and_then(Value::text),
        Value::Object(_) => value.get("config").and_then(|c| c.get("code")).and_then(Value::text),
        Value::Plain(_) => None,
    }
}

/// Identifiers in compiled Python: what it uses, as far as it can be read.
fn names(code: &str) -> Vec<String> {
    /// Names shown.
    const NAMES_MAX: usize = 12;
    let Some(bytes) = payload::base64(code) else { return Vec::new() };
    let mut names: Vec<String> = Vec::new();
    // Short ASCII texts are written as a kind (`z`, `Z`, with or without the reference flag), a length and the text.
    for (at, kind) in bytes.iter().enumerate() {
        if !matches!(kind & 0x7f, b'z' | b'Z') {
            continue;
        }
        let length = bytes.get(at + 1).map_or(0, |n| usize::from(*n));
        let text = bytes.get(at + 2..at + 2 + length).and_then(|t| std::str::from_utf8(t).ok());
        if let Some(text) =
            text.filter(|t| t.len() > 1 && t.chars().all(|c| c.is_ascii_graphic() || c == ' '))
            && names.len() < NAMES_MAX
            && !names.iter().any(|n| n == text)
        {
            names.push(text.to_owned());
        }
    }
    names
}

/// Arguments as text, for the message.
fn arguments(config: Option<&Value>, value: &Value) -> String {
    let mut shown = Vec::new();
    for source in [config, value.get("arguments")].into_iter().flatten() {
        if let Value::Object(members) = source {
            shown.extend(members.iter().filter_map(|(k, v)| v.text().map(|t| format!("{k}=`{t}`"))).take(4));
        }
    }
    if shown.is_empty() { String::new() } else { format!(" with {}", shown.join(", ")) }
}
