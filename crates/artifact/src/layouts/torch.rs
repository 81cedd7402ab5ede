//! PyTorch's zip formats: state dicts and modules, TorchScript, exported programs.

use domain::{Entry, Severity, catalogue_entry};

use super::{Layout, Listing, Role};
use crate::{Context, Part};

catalogue_entry! {
    /// A PyTorch archive holds files that PyTorch never writes.
    ///
    /// ## What it is
    /// Beside the folder that PyTorch reads there are other files, or the folder holds a member that is encrypted.
    ///
    /// ## Why it matters in care
    /// PyTorch looks for its files below the first folder it meets; whatever else is there travels unseen with the model.
    ///
    /// ## Limits
    /// Files outside of the folder are remarked on, not found, unless their own content is dangerous.
    ///
    /// ## References
    /// PyTorch, torch/serialization.py and caffe2/serialize/inline_container.h; CWE-506; MITRE ATLAS AML.T0018.002.
    pub static EXTRA = {
        id: "S044", name: "pytorch-archive-extra-files", kind: Rule, since: "0.1.0",
        maps: ["AML.T0018.002", "CWE-506"],
    };
}

catalogue_entry! {
    /// The code inside of a compiled PyTorch model reads or writes files, reaches out, or needs a foreign library.
    ///
    /// ## What it is
    /// The source of a TorchScript model, or the graph of an exported program, calls an operator that opens files
    /// (`from_file`, `save`, `read_file`), calls other machines (`rpc`), or belongs to a library that is not part of
    /// PyTorch and would have to be loaded beside it.
    ///
    /// ## Why it matters in care
    /// TorchScript is advertised as the safe format. It still runs its operators with the rights of the inference
    /// service, which holds the images and records of patients.
    ///
    /// ## Limits
    /// Operators of the well-known extensions (vision, audio, text, geometric) are taken as harmless. What a harmless
    /// operator computes is not judged.
    ///
    /// ## References
    /// PyTorch, torch/csrc/jit/runtime/register_prim_ops.cpp; CWE-829; CWE-73; MITRE ATLAS AML.T0018.000, AML.T0011.000.
    pub static OPERATOR = {
        id: "S045", name: "pytorch-operator", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0018.000", "CWE-829", "CWE-73"],
    };
}

/// Catalogue entries of the PyTorch layouts.
pub(super) const ENTRIES: &[&Entry] = &[&EXTRA, &OPERATOR];

const REMEDY: &str = "do not run it; ask the sender why the model needs this, or for a model without it";
/// Longest source or graph that is read, bytes.
const SOURCE_MAX: u64 = 32 << 20;

/// PyTorch archives.
pub(super) struct Torch;

/// Files that make a folder the root of a PyTorch archive.
const MARKS: [&str; 5] = ["/data.pkl", "/constants.pkl", "/archive_format", "/.format_version", PACKAGE];
/// What only `torch.package` writes: the modules that a package expects on the machine that loads it.
const PACKAGE: &str = "/.data/extern_modules";

/// The folder in which the pickle is.
fn root<'a>(listing: &'a Listing<'_>) -> Option<&'a str> {
    listing.members.iter().find_map(|m| {
        let root = MARKS.iter().find_map(|mark| m.name.strip_suffix(mark))?;
        (!root.contains('/')).then_some(root)
    })
}

/// Below the root: whether this is raw storage.
fn is_storage(path: &str) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else { return false };
    if let (".data", Some(number)) = (folder, file.strip_suffix(".storage")) {
        return number.bytes().all(|b| b.is_ascii_digit());
    }
    let known = matches!(
        folder,
        "data" | "constants" | "tensors" | "traced_inputs" | "data/weights" | "data/constants"
    );
    let stem = file.trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '_');
    known && !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_digit())
}

impl Layout for Torch {
    fn name(&self) -> &'static str {
        "pytorch"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        root(listing).is_some()
    }

    fn role(&self, listing: &Listing<'_>, name: &str) -> Option<Role> {
        let path = name.strip_prefix(root(listing)?)?.strip_prefix('/')?;
        is_storage(path).then_some(Role::Weights)
    }

    fn read(&self, listing: &Listing<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let Some(root) = root(listing).map(str::to_owned) else { return };
        let code = listing.members.iter().any(|m| m.name.starts_with(&format!("{root}/code/")));
        let graph = listing.get(&format!("{root}/archive_format")).is_some();
        let kind = if code {
            "TorchScript"
        } else if graph {
            "PyTorch export"
        } else if listing.get(&format!("{root}{PACKAGE}")).is_some() {
            "PyTorch package"
        } else {
            "PyTorch"
        };
        part.facts.framework = Some(kind.to_owned());
        for name in ["version", ".format_version", "archive_version", "byteorder"] {
            let Some(member) = listing.get(&format!("{root}/{name}")) else { continue };
            if let Ok(bytes) = member.source.head(64) {
                part.facts.note(name, String::from_utf8_lossy(&bytes).trim());
            }
        }
        let pickle = format!("{root}/data.pkl");
        if let Some(child) = part.parts.iter().find(|p| p.name == pickle) {
            part.facts.parameters = child.facts.parameters;
            part.facts.architecture.clone_from(&child.facts.architecture);
        }
        for member in listing.members {
            let Some(path) = member.name.strip_prefix(&root).and_then(|p| p.strip_prefix('/')) else {
                let message =
                    format!("`{}` is outside of the folder `{root}` that PyTorch reads", member.name);
                cx.find(part, &EXTRA, Severity::Low, None, message, "ask the sender what the file is for");
                continue;
            };
            let source = path.starts_with("code/") && path.ends_with(".py");
            let graph = path.starts_with("models/") && path.ends_with(".json");
            if !source && !graph {
                continue;
            }
            let name = member.name.to_owned();
            match member.source.bytes(0, member.source.len(), SOURCE_MAX) {
                Ok(bytes) if source => script(&String::from_utf8_lossy(&bytes), &name, part, cx),
                Ok(bytes) => exported(&bytes, &name, part, cx),
                Err(e) => cx.unread(part, None, format!("`{name}`: {e}")),
            }
        }
    }
}

/// An exported program as PyTorch 2.1 to 2.7 wrote it: no folder.
pub(super) struct Exported;

const GRAPH: &str = "serialized_exported_program.json";

impl Layout for Exported {
    fn name(&self) -> &'static str {
        "pytorch-export"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        listing.get(GRAPH).is_some()
    }

    fn role(&self, _listing: &Listing<'_>, _name: &str) -> Option<Role> {
        None
    }

    fn read(&self, listing: &Listing<'_>, part: &mut Part, cx: &mut Context<'_>) {
        part.facts.framework = Some("PyTorch export".to_owned());
        let Some(member) = listing.get(GRAPH) else { return };
        match member.source.bytes(0, member.source.len(), SOURCE_MAX) {
            Ok(bytes) => exported(&bytes, GRAPH, part, cx),
            Err(e) => cx.unread(part, None, format!("`{GRAPH}`: {e}")),
        }
    }
}

/// Libraries whose operators are known.
const LIBRARIES: &[&str] = &[
    "aten",
    "prim",
    "prims",
    "quantized",
    "quantized_decomposed",
    "prepacked",
    "sparse",
    "mkldnn",
    "mkldnn_prepacked",
    "onednn",
    "xnnpack",
    "vulkan",
    "vulkan_prepack",
    "metal",
    "metal_prepack",
    "mkl",
    "caffe2",
    "_caffe2",
    "inductor",
    "higher_order",
    "profiler",
    "torchvision",
    "torchaudio",
    "torchtext",
    "torch_scatter",
    "torch_sparse",
    "torch_cluster",
    "torch_spline_conv",
    "pyg",
    "fbgemm",
    "torchao",
    "image",
    "static_runtime",
    "cudnn",
    "_quantized",
    "executorch",
    "dim_order_ops",
    "et_vk",
    "_test",
    "torch_tensorrt",
    "tensorrt",
];

/// What an operator does that a model must not.
fn effect(library: &str, operator: &str) -> Option<&'static str> {
    let base = operator.split('.').next().unwrap_or(operator);
    Some(match (library, base) {
        (_, "from_file") => "opens a file as a tensor",
        ("aten" | "prim", "save" | "_save" | "save_to_file") => "writes a file",
        ("aten" | "prim", "load" | "_load" | "load_from_file" | "read_file") => "reads a file",
        ("image" | "video" | "video_reader", name) if name.contains("write") => "writes a file",
        ("image" | "video" | "video_reader", name) if name.contains("read") && !name.contains("memory") => {
            "reads a file"
        }
        ("torchaudio", name)
            if name.contains("sox_io") || name.contains("file") || name.contains("stream") =>
        {
            "opens a file or a stream"
        }
        (_, name) if name.starts_with("rpc_") || name.starts_with("remote") => "calls another machine",
        ("c10d" | "_c10d_functional" | "c10d_functional", _) => "talks to other machines",
        (library, _) if !LIBRARIES.contains(&library) => "belongs to a library that is not part of PyTorch",
        _ => return None,
    })
}

fn report(library: &str, operator: &str, name: &str, shown: &str, part: &mut Part, cx: &mut Context<'_>) {
    part.facts.operator(&format!("{library}::{operator}"));
    if let Some(effect) = effect(library, operator) {
        let message = format!("`{name}` calls `{shown}`, which {effect}");
        cx.find(part, &OPERATOR, Severity::High, None, message, REMEDY);
    }
}

/// Calls in the source of a TorchScript model: `ops.library.operator(…)` and `torch.operator(…)`.
fn script(text: &str, name: &str, part: &mut Part, cx: &mut Context<'_>) {
    for (path, rest) in paths(text) {
        let argument: String = rest.chars().take(60).take_while(|c| *c != '\n').collect();
        let shown = format!("{path}{argument}");
        if let Some(does) = leaves(path) {
            let message = format!("`{name}` calls `{shown}`, which {does}");
            cx.find(part, &OPERATOR, Severity::High, None, message, REMEDY);
            continue;
        }
        let mut words = path.split('.');
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let tail = words.next();
        match (first, tail) {
            ("ops", Some(operator)) => report(second, operator, name, &shown, part, cx),
            ("torch", None) => report("aten", second, name, &shown, part, cx),
            ("torch", Some(operator)) if second == "ops" => {
                report(operator, words.next().unwrap_or_default(), name, &shown, part, cx);
            }
            _ => {}
        }
    }
}

/// What a name does that is no operator: Python left in the model, calls to other machines, foreign classes.
fn leaves(path: &str) -> Option<&'static str> {
    if path.starts_with('^') {
        return Some("is a function of Python that runs beside the model");
    }
    if let Some(class) = path.strip_prefix("__torch__.torch.classes.") {
        let library = class.split('.').next().unwrap_or_default();
        let known = LIBRARIES.contains(&library) || CLASSES.contains(&library);
        return (!known).then_some("belongs to a library that is not part of PyTorch");
    }
    let last = path.rsplit('.').next().unwrap_or_default();
    if matches!(last, "rpc_sync" | "rpc_async" | "rpc_remote") {
        return Some("calls another machine");
    }
    let deep = path.strip_prefix("torch.").filter(|p| p.contains('.') && !p.starts_with("ops."))?;
    deep.split('.').any(|w| LEADS_OUT.contains(&w)).then_some("is no operator of PyTorch")
}

/// Libraries of classes in C++ that come with PyTorch, beside those of its operators.
const CLASSES: &[&str] = &["rnn", "_nnapi", "profiling", "xnnpack", "tensorexpr"];

/// Dotted names outside of string literals and comments that are called, each with the text behind it.
fn paths(text: &str) -> Vec<(&str, &str)> {
    let bytes = text.as_bytes();
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'.';
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let b = bytes[at];
        if b == b'"' || b == b'\'' {
            at += 1;
            while at < bytes.len() && bytes[at] != b && bytes[at] != b'\n' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            at += 1;
        } else if b == b'#' {
            while at < bytes.len() && bytes[at] != b'\n' {
                at += 1;
            }
        } else if word(b) || b == b'^' && bytes.get(at + 1).is_some_and(|b| word(*b)) {
            // The caret marks what TorchScript could not compile and calls in Python.
            let start = at;
            at += usize::from(b == b'^');
            while at < bytes.len() && word(bytes[at]) {
                at += 1;
            }
            // A name that is not called right there may still be called through a variable.
            if let (Some(path), Some(rest)) = (text.get(start..at), text.get(at..))
                && (["ops.", "torch.", "rpc_", "^", "__torch__.torch.classes."]
                    .iter()
                    .any(|p| path.starts_with(p)))
            {
                found.push((path, rest));
            }
        } else {
            at += 1;
        }
    }
    found
}

/// Words on the way to an operator that lead out of PyTorch's operators.
const LEADS_OUT: &[&str] = &[
    "os",
    "sys",
    "subprocess",
    "builtins",
    "importlib",
    "hub",
    "serialization",
    "load",
    "save",
    "shutil",
    "socket",
    "pickle",
    "eval",
    "exec",
    "system",
    "popen",
    "inspect",
    "utils",
    "multiprocessing",
    "distributed",
    "package",
];

/// Operators that the graph of an exported program names: the loader walks from `torch` (or `math`, `operator`) along the
/// dots.
fn exported(bytes: &[u8], name: &str, part: &mut Part, cx: &mut Context<'_>) {
    let graph: serde_json::Value = match serde_json::from_slice(bytes) {
        Ok(graph) => graph,
        Err(e) => return cx.unread(part, None, format!("`{name}` is no JSON: {e}")),
    };
    let mut open = vec![&graph];
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::Array(items) => open.extend(items),
            serde_json::Value::Object(fields) => {
                if let Some(target) = fields.get("target").and_then(|t| t.as_str())
                    && fields.contains_key("inputs")
                {
                    operator(target, name, part, cx);
                }
                open.extend(fields.values());
            }
            _ => {}
        }
    }
}

fn operator(target: &str, name: &str, part: &mut Part, cx: &mut Context<'_>) {
    if let Some((library, operator)) = target.strip_prefix("torch.ops.").and_then(|p| p.split_once('.')) {
        return report(library, operator, name, target, part, cx);
    }
    let known = ["torch.", "math.", "_operator.", "operator."].iter().any(|p| target.starts_with(p));
    let out = target.split('.').any(|w| LEADS_OUT.contains(&w) || w.starts_with("__"));
    if !known || out {
        let message = format!("`{name}` calls `{target}`, which is no operator of PyTorch");
        cx.find(part, &OPERATOR, Severity::High, None, message, REMEDY);
    } else {
        part.facts.operator(target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_that_reach_out_are_told_from_those_that_compute() {
        for (library, operator) in [
            ("aten", "from_file"),
            ("aten", "save"),
            ("image", "write_file"),
            ("prim", "rpc_async"),
            ("evil", "run"),
        ] {
            assert!(effect(library, operator).is_some(), "{library}::{operator}");
        }
        for (library, operator) in [
            ("aten", "conv2d"),
            ("prim", "device"),
            ("torchvision", "nms"),
            ("quantized", "linear"),
            ("image", "decode_png"),
        ] {
            assert!(effect(library, operator).is_none(), "{library}::{operator}");
        }
    }

    #[test]
    fn python_and_calls_to_other_machines_are_found() {
        for text in [
            "_0 = ^Fn(1)(x)",
            "_0 = torch.distributed.rpc.rpc_sync(x)",
            "_0 = rpc_async(x)",
            "a = __torch__.torch.classes.vendor.Loader.__new__(x)",
        ] {
            assert!(paths(text).iter().any(|(p, _)| leaves(p).is_some()), "{text}");
        }
        for text in [
            "x = torch.add(y, z)\nreturn torch.linalg_norm(x)",
            "# ^Fn(x)\ns = \"^Fn(x)\"",
            "w = __torch__.torch.classes.quantized.Conv2dPackedParamsBase.__new__(x)",
            "h = __torch__.torch.nn.modules.load.Linear.forward(x)",
            "a = x ^ y",
        ] {
            assert!(paths(text).iter().all(|(p, _)| leaves(p).is_none()), "{text}");
        }
    }

    #[test]
    fn names_in_strings_and_comments_are_not_calls() {
        let text =
            "x = torch.add(y)\n# torch.save(x)\nz = \"torch.from_file(1)\"\nw = ops.a.b(\"\\\"ops.c.d(\")\n";
        let names: Vec<&str> = paths(text).into_iter().map(|(p, _)| p).collect();
        assert_eq!(names, ["torch.add", "ops.a.b"]);
    }
}
