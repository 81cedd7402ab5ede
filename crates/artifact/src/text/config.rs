//! What a configuration would run: names of functions to call, expressions, code from elsewhere.

use domain::{Entry, Severity, catalogue_entry};

use super::config_expressions::{evaluated, resolvers};
use super::document::{Document, Node, is_telling};
use super::python::{Judge, Place};
use crate::effects::{self, Effect};
use crate::{Context, Part};

catalogue_entry! {
    /// A configuration names a function that does more than build a model.
    ///
    /// ## What it is
    /// Frameworks such as Hydra, MONAI, NeMo and Lightning call whatever `_target_`, `class_path` or `target` names, with
    /// the arguments beside it; skops, jsonpickle and Keras build the class that `__module__` and `__class__` name. Here
    /// the name is that of a function which runs commands, loads code, opens connections or changes files.
    ///
    /// ## Why it matters in care
    /// A configuration looks harmless and is read first. `os.system` as a target runs before a single weight is loaded.
    ///
    /// ## Limits
    /// Names of packages that are not known are taken for the model's own and only noted; their code is looked at where
    /// it lies beside the configuration.
    ///
    /// ## References
    /// CWE-470 Use of Externally-Controlled Input to Select Classes or Code; CVE-2025-23304 (NeMo); Hydra documentation.
    pub static CALLS = {
        id: "S107", name: "configuration-calls-function", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "CWE-470", "CWE-94"],
    };
}

catalogue_entry! {
    /// An expression in a configuration reaches for files, processes or the network.
    ///
    /// ## What it is
    /// MONAI evaluates every value that begins with `$` as Python, OmegaConf has resolvers that evaluate, and some
    /// programs run texts of a configuration. The expression is parsed and followed, through imports, aliases, texts put
    /// together from pieces and decoded ones.
    ///
    /// ## Why it matters in care
    /// MONAI bundles are how imaging models are shared between hospitals. One `$` expression runs with the rights of the
    /// person who opens the bundle, beside the images of patients.
    ///
    /// ## Limits
    /// Objects of the bundle (`@name`) are not followed. Reading a data file with `json.load(open(…))` is taken as
    /// ordinary; opening any other file is reported.
    ///
    /// ## References
    /// CWE-95 Improper Neutralization of Directives in Dynamically Evaluated Code; MONAI bundle specification.
    pub static EXPRESSION = {
        id: "S108", name: "configuration-expression", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "CWE-95"],
    };
}

catalogue_entry! {
    /// The model brings code along, or takes it from another place.
    ///
    /// ## What it is
    /// `auto_map`, `custom_pipelines`, `modules.json` and the like name Python code that is loaded with the model. When
    /// the name points to another repository (`owner/name--module.Class`), that repository decides what runs, now and
    /// whenever it changes; when it points beside the model, the code is in the scan and this is a remark.
    ///
    /// ## Why it matters in care
    /// What was approved is not what runs: the owner of the other repository can change the code after the review.
    ///
    /// ## Limits
    /// Whether the hospital's program allows remote code (`trust_remote_code`) is not known here.
    ///
    /// ## References
    /// CWE-829 Inclusion of Functionality from Untrusted Control Sphere; CWE-494 Download of Code Without Integrity Check.
    pub static ELSEWHERE = {
        id: "S109", name: "code-from-elsewhere", kind: Rule, since: "0.1.0",
        maps: ["AML.T0010.003", "AML.T0011.000", "CWE-829", "CWE-494"],
    };
}

catalogue_entry! {
    /// A list of weight files points outside the model's folder.
    ///
    /// ## What it is
    /// `weight_map` and similar lists hold an absolute path, a path with `..`, or an address.
    ///
    /// ## Why it matters in care
    /// The loader reads a file that was not part of what was checked, or a secret of the machine.
    ///
    /// ## Limits
    /// Links in the file system are not seen here; the reader of the folder reports them.
    ///
    /// ## References
    /// CWE-22 Path Traversal; CWE-73 External Control of File Name or Path.
    pub static OUTSIDE = {
        id: "S110", name: "weights-outside-folder", kind: Rule, since: "0.1.0",
        maps: ["AML.T0010.003", "AML.T0011.000", "CWE-22", "CWE-73"],
    };
}

catalogue_entry! {
    /// A name that decides what is loaded stands twice in one document.
    ///
    /// ## What it is
    /// JSON and YAML readers differ in which of two equal names they take. Names such as `_target_`, `auto_map` or
    /// `chat_template` come twice in the same map, or any name does (then it is a remark).
    ///
    /// ## Why it matters in care
    /// The reviewer's tool shows one value, the loader takes the other.
    ///
    /// ## Limits
    /// Both values are judged; the rule only says that there are two.
    ///
    /// ## References
    /// RFC 8259 section 4; CWE-436 Interpretation Conflict.
    pub static TWICE = {
        id: "S106", name: "name-twice", kind: Rule, since: "0.1.0",
        maps: ["AML.T0074", "CWE-436"],
    };
}

/// Entries of this file.
pub(crate) const ENTRIES: &[&Entry] = &[&TWICE, &CALLS, &EXPRESSION, &ELSEWHERE, &OUTSIDE];

pub(super) const REMEDY_CALL: &str =
    "do not open the configuration with the framework it is for; ask the sender for one without this entry";
const REMEDY_CODE: &str = "load only a copy whose code is inside the folder and was reviewed; never allow remote code for this model";

/// Names under which frameworks look for what to call.
const TARGETS: [&str; 11] = [
    "network_class_name",
    "network_arch_class_name",
    "_target_",
    "__target__",
    "class_path",
    "_callable_",
    "()",
    "py/object",
    "py/type",
    "py/function",
    "py/reduce",
];
/// Names that may hold such a thing, or something else.
const MAYBE_TARGETS: [&str; 22] = [
    "target",
    "func",
    "function",
    "fn",
    "callable",
    "class",
    "cls",
    "type",
    "module",
    "factory",
    "constructor",
    "hook",
    "callback",
    "callbacks",
    "initializer",
    "loader",
    "entry_point",
    "class_name",
    "_partial_",
    "object",
    "method",
    "path",
];

/// Judges a document.
pub(crate) fn judge(document: &Document, part: &mut Part, cx: &mut Context<'_>) {
    for name in &document.twice {
        let severity = if is_telling(name) { Severity::Medium } else { Severity::Info };
        cx.find(
            part,
            &TWICE,
            severity,
            None,
            format!("the name `{name}` stands twice in one map"),
            "ask the sender which of the two values is meant",
        );
    }
    if document.cut {
        cx.unread(part, None, "more texts that may be expressions than can be followed in one document");
    }
    let mut expressions: Vec<&str> = Vec::new();
    let mut bundle = false;
    let mut texts: Vec<(&str, &str)> = document.late.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    for root in &document.roots {
        root.walk(|name, node| {
            if let Node::Text(text) = node {
                texts.push((name, text));
            }
        });
    }
    for (name, text) in &texts {
        bundle |= *name == "_target_" || *name == "bundle_root" || text.starts_with('@');
        if text.starts_with('$') && !text.starts_with("${") && text.len() > 1 {
            expressions.push(text);
        }
        one_text(name, text, part, cx);
    }
    evaluated(&expressions, bundle, part, cx);
    for root in &document.roots {
        let mut maps: Vec<&Node> = Vec::new();
        root.walk(|_, node| {
            if matches!(node, Node::Map(_)) {
                maps.push(node);
            }
        });
        for map in maps {
            one_map(map, part, cx);
        }
    }
}

/// One text under its name.
fn one_text(name: &str, text: &str, part: &mut Part, cx: &mut Context<'_>) {
    if name == "chat_template"
        || name == "template" && super::jinja::is_template(text) && text.contains("messages")
    {
        super::jinja::judge(text, part, cx);
    } else {
        super::jinja::judge_maybe(text, part, cx);
    }
    if TARGETS.contains(&name) {
        target(name, text, true, part, cx);
    } else if MAYBE_TARGETS.contains(&name) {
        target(name, text, false, part, cx);
    } else if text.contains('.')
        && !matches!(name, "blocklist" | "blacklist" | "forbidden" | "deny" | "unsafe")
    {
        // nnU-Net imports any text of `arch_kwargs`; a name that runs commands is no ordinary text anywhere.
        target(name, text, false, part, cx);
    }
    if text.contains("${") {
        resolvers(text, part, cx);
    }
    if effects::is_sensitive_path(text) && !text.contains(char::is_whitespace) && text.len() < 300 {
        let message = format!("`{name}` names a file that holds secrets or starts programs: `{text}`");
        cx.find(
            part,
            &OUTSIDE,
            Severity::Medium,
            None,
            message,
            "do not load the model; ask the sender why it needs this file",
        );
    }
    if name == "py/repr" {
        cx.find(
            part,
            &CALLS,
            Severity::Critical,
            None,
            format!("`py/repr` is evaluated as Python: `{text}`"),
            REMEDY_CALL,
        );
    }
    if looks_like_code(text) {
        let mut judge = Judge::new(Place::Expression);
        if judge.expression(text).is_err() && super::python::looks_like(text) {
            judge.source(text);
        }
        let seen = judge.seen.into_iter().find(|s| s.severity >= Severity::High);
        if let Some(seen) = seen {
            let message = format!("`{name}` holds code which {}", seen.what);
            cx.find(part, &EXPRESSION, Severity::High, None, message, REMEDY_CALL);
        }
    }
}

/// A text with calls that no setting needs.
pub(super) fn looks_like_code(text: &str) -> bool {
    const CALLS: [&str; 9] = [
        "__import__(",
        "os.system",
        "os.popen",
        "subprocess.",
        "eval(",
        "exec(",
        "os.exec",
        "importlib.",
        "pty.spawn",
    ];
    text.len() < 1 << 20 && text.contains('(') && CALLS.iter().any(|c| text.contains(c))
}

/// Whether a text is a dotted name.
pub(super) fn is_dotted(text: &str) -> bool {
    !text.is_empty()
        && text.len() < 300
        && text.split('.').all(|p| {
            !p.is_empty()
                && !p.starts_with(|c: char| c.is_ascii_digit())
                && p.chars().all(|c| c.is_alphanumeric() || c == '_')
        })
}

/// What a configuration says is to be called.
pub(crate) fn target(name: &str, text: &str, sure: bool, part: &mut Part, cx: &mut Context<'_>) {
    let dotted = text.trim().replace(['/', ':'], ".");
    let dotted = dotted.trim_start_matches('.');
    if !is_dotted(dotted) || !(sure || dotted.contains('.')) {
        return;
    }
    let effect = effects::of(dotted);
    let severity = match effect {
        Effect::Executes => Severity::Critical,
        Effect::Native | Effect::Sends | Effect::Fetches | Effect::Imports => Severity::High,
        Effect::Unpickles | Effect::Opens | Effect::Writes => Severity::Medium,
        Effect::LoadsWeights => Severity::Low,
        Effect::Harmless => return,
        Effect::Unknown
            if sure && (effects::is_deep(dotted) || dotted.split('.').any(|p| p.starts_with("__"))) =>
        {
            Severity::Medium
        }
        Effect::Unknown => return,
    };
    if !sure {
        // Under a common name only what is beyond doubt counts.
        let root = dotted.split('.').next().unwrap_or_default();
        let certain = matches!(
            root,
            "os" | "posix"
                | "nt"
                | "subprocess"
                | "builtins"
                | "pty"
                | "runpy"
                | "importlib"
                | "ctypes"
                | "socket"
                | "shutil"
                | "marshal"
                | "pickle"
                | "__builtin__"
        );
        if !certain || severity < Severity::Medium {
            return;
        }
    }
    cx.find(
        part,
        &CALLS,
        severity,
        None,
        format!("`{name}` names `{text}`, which {}", does(effect)),
        REMEDY_CALL,
    );
}

fn does(effect: Effect) -> &'static str {
    match effect {
        Effect::Executes => "runs commands or code",
        Effect::Native => "loads machine code",
        Effect::Imports => "loads code by a name it is given",
        Effect::Fetches => "fetches from the network",
        Effect::Sends => "opens a connection",
        Effect::Unpickles => "reads a format that can run code",
        Effect::LoadsWeights => "loads a checkpoint",
        Effect::Opens => "opens a file",
        Effect::Writes => "changes files",
        Effect::Harmless | Effect::Unknown => "lies deep inside Python",
    }
}

/// One map: pairs of names that mean something together.
fn one_map(map: &Node, part: &mut Part, cx: &mut Context<'_>) {
    for (module, class) in [
        ("__module__", "__class__"),
        ("module", "class_name"),
        ("module", "class"),
        ("module", "function"),
        ("module", "name"),
        ("module_name", "class_name"),
        ("module_path", "function"),
        ("module_path", "name"),
    ] {
        if let (Some(m), Some(c)) = (map.text_at(module), map.text_at(class)) {
            target(
                class,
                &format!("{m}.{c}"),
                module.starts_with("__module") || module == "module_path",
                part,
                cx,
            );
        }
    }
    if let Some(node) = map.get("auto_map") {
        for (_, value) in node.items() {
            for text in value.texts() {
                code_of("auto_map", text, part, cx);
            }
        }
        for text in node.texts() {
            code_of("auto_map", text, part, cx);
        }
    }
    if let Some(node) = map.get("custom_pipelines") {
        for (_, value) in node.items() {
            if let Some(text) = value.text_at("impl") {
                code_of("custom_pipelines", text, part, cx);
            }
        }
    }
    if let Some(text) = map.text_at("custom_generate") {
        let severity =
            if text.contains('/') && !text.starts_with("./") { Severity::Medium } else { Severity::Low };
        cx.find(
            part,
            &ELSEWHERE,
            severity,
            None,
            format!("`custom_generate` takes code from `{text}`"),
            REMEDY_CODE,
        );
    }
    if matches!(map.get("trust_remote_code"), Some(Node::Bool(true))) {
        cx.find(
            part,
            &ELSEWHERE,
            Severity::Low,
            None,
            "the configuration allows remote code itself (`trust_remote_code`)",
            REMEDY_CODE,
        );
    }
    if let Some(Node::Map(files)) = map.get("weight_map") {
        let mut told: Vec<&str> = Vec::new();
        for file in files.iter().filter_map(|(_, f)| f.text()) {
            if told.contains(&file) || told.len() > 16 {
                continue;
            }
            if let Some(why) = outside(file) {
                told.push(file);
                let message = format!("`weight_map` names `{file}`, {why}");
                cx.find(
                    part,
                    &OUTSIDE,
                    Severity::High,
                    None,
                    message,
                    "do not load the model; ask for one whose weights are all in its folder",
                );
            }
        }
    }
}

/// Why a file name leaves the folder it is named in.
pub(crate) fn outside(file: &str) -> Option<&'static str> {
    let plain = file
        .replace("%2e", ".")
        .replace("%2E", ".")
        .replace("%2f", "/")
        .replace("%2F", "/")
        .replace('\\', "/");
    if plain.contains("://") || plain.starts_with("file:") {
        Some("an address")
    } else if plain.starts_with('/') || plain.starts_with('~') || plain.get(1..3) == Some(":/") {
        Some("an absolute path")
    } else if plain.split('/').any(|p| p == "..") {
        Some("a path that climbs out of the folder")
    } else if plain.contains('\0') {
        Some("a path with a zero byte")
    } else {
        None
    }
}

/// Code that a model names: `module.Class` beside it, or `owner/name--module.Class` elsewhere.
pub(crate) fn code_of(name: &str, text: &str, part: &mut Part, cx: &mut Context<'_>) {
    if text.contains("--") || text.contains("://") || text.contains('@') {
        let message = format!("`{name}` takes its code from another repository: `{text}`");
        cx.find(part, &ELSEWHERE, Severity::High, None, message, REMEDY_CODE);
    } else if text.contains("..") || text.starts_with('/') {
        let message = format!("`{name}` takes its code from outside the folder: `{text}`");
        cx.find(part, &ELSEWHERE, Severity::High, None, message, REMEDY_CODE);
    } else {
        target(name, text, true, part, cx);
        let message = format!("`{name}` names code that comes with the model: `{text}`");
        cx.find(part, &ELSEWHERE, Severity::Low, None, message, REMEDY_CODE);
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
