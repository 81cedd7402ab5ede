//! Documents with a meaning of their own: MLflow's model file, skops' schema, TorchServe's manifest, modules of
//! sentence-transformers, notebooks, environments, and the settings of models for the bill of materials.

use domain::{Entry, Severity, catalogue_entry};

use super::config::{OUTSIDE, code_of, outside, target};
use super::document::{Document, Node};
use super::{requirements, script};
use crate::{Context, Part};

catalogue_entry! {
    /// A model file names a loader that is not part of its framework.
    ///
    /// ## What it is
    /// MLflow imports the `loader_module` of a model, with the folders of `code` on the path; TorchServe imports the
    /// `handler` of an archive. Here it is a module of Python itself that runs things, or a path out of the model.
    ///
    /// ## Why it matters in care
    /// The loader runs before any weight is read, with the rights of the service.
    ///
    /// ## Limits
    /// A loader that lies in the model's folder is a remark here; its source is judged by itself.
    ///
    /// ## References
    /// CWE-829 Inclusion of Functionality from Untrusted Control Sphere; CWE-94; MLflow model format; TorchServe archives.
    pub static LOADER = {
        id: "S116", name: "foreign-loader", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "CWE-829", "CWE-94"],
    };
}

/// Entries of this file.
pub(crate) const ENTRIES: &[&Entry] = &[&LOADER];

const REMEDY: &str = "read the code that is named before the model is loaded anywhere; ask the sender for a model that needs none";
/// Most cells of a notebook.
const CELLS_MAX: usize = 10_000;

/// Looks for documents that this file knows.
pub(crate) fn judge(document: &Document, part: &mut Part, cx: &mut Context<'_>) {
    for root in &document.roots {
        match root {
            Node::Map(_) => {
                mlflow(root, part, cx);
                archive(root, part, cx);
                notebook(root, part, cx);
                environment(root, part, cx);
                facts(root, part);
            }
            Node::List(items) if items.iter().any(|i| i.get("idx").is_some() && i.get("path").is_some()) => {
                for item in items {
                    if let Some(text) =
                        item.text_at("type").filter(|t| !t.starts_with("sentence_transformers."))
                    {
                        code_of("type", text, part, cx);
                    }
                    escapes("path", item.text_at("path"), part, cx);
                }
            }
            _ => {}
        }
    }
}

fn escapes(name: &str, path: Option<&str>, part: &mut Part, cx: &mut Context<'_>) {
    if let Some(path) = path
        && let Some(why) = outside(path)
        && why != "an address"
    {
        cx.find(part, &OUTSIDE, Severity::Medium, None, format!("`{name}` names `{path}`, {why}"), REMEDY);
    }
}

fn mlflow(root: &Node, part: &mut Part, cx: &mut Context<'_>) {
    let Some(flavors) = root.get("flavors").filter(|f| !f.items().is_empty()) else { return };
    part.facts.framework = Some("MLflow model".to_owned());
    if let Some(version) = root.text_at("mlflow_version") {
        part.facts.libraries.insert(format!("mlflow=={version}"));
    }
    for (flavor, settings) in flavors.items() {
        part.facts.note(format!("flavor {flavor}"), settings.text_at("loader_module").unwrap_or_default());
        if let Some(module) = settings.text_at("loader_module")
            && module != "mlflow"
            && !module.starts_with("mlflow.")
        {
            target("loader_module", module, true, part, cx);
            let dangerous = matches!(
                module.split('.').next().unwrap_or_default(),
                "os" | "posix"
                    | "subprocess"
                    | "builtins"
                    | "pty"
                    | "runpy"
                    | "importlib"
                    | "code"
                    | "sys"
                    | "shutil"
                    | "ctypes"
                    | "pip"
                    | "pickle"
                    | "marshal"
                    | "socket"
                    | "webbrowser"
            ) || module.contains(['/', '\\', '-', ' ']);
            let severity = if dangerous { Severity::High } else { Severity::Low };
            let message = format!("`loader_module` of `{flavor}` is `{module}`, which is not MLflow's");
            cx.find(part, &LOADER, severity, None, message, REMEDY);
        }
        for name in [
            "code",
            "code_path",
            "data",
            "model_path",
            "pickled_model",
            "model_data",
            "python_model",
            "model_code_path",
            "env",
        ] {
            for path in settings.get(name).map(Node::texts).unwrap_or_default() {
                escapes(name, Some(path), part, cx);
            }
        }
        if let Some(Node::Map(artifacts)) = settings.get("artifacts") {
            for (_, artifact) in artifacts {
                escapes("artifacts", artifact.text_at("path"), part, cx);
            }
        }
    }
}

/// `MAR-INF/MANIFEST.json`.
fn archive(root: &Node, part: &mut Part, cx: &mut Context<'_>) {
    let Some(model) = root.get("model").filter(|m| m.get("handler").is_some()) else { return };
    part.facts.framework = Some("TorchServe archive".to_owned());
    let handler = model.text_at("handler").unwrap_or_default();
    let builtin = matches!(
        handler,
        "image_classifier"
            | "image_segmenter"
            | "object_detector"
            | "text_classifier"
            | "base_handler"
            | "text_handler"
            | "vision_handler"
    );
    let module = handler.split(':').next().unwrap_or_default().trim_end_matches(".py");
    if !builtin {
        target("handler", module, true, part, cx);
        let outside = outside(handler).is_some();
        let severity = if outside { Severity::High } else { Severity::Low };
        cx.find(part, &LOADER, severity, None, format!("requests are handled by `{handler}`"), REMEDY);
    }
    for name in ["serializedFile", "modelFile", "extraFiles", "requirementsFile", "configFile"] {
        for path in model.get(name).map(Node::texts).unwrap_or_default().iter().flat_map(|t| t.split(',')) {
            escapes(name, Some(path), part, cx);
        }
    }
}

/// Code cells of a notebook.
fn notebook(root: &Node, part: &mut Part, cx: &mut Context<'_>) {
    let Some(cells) = root.get("cells").filter(|_| root.get("nbformat").is_some()) else { return };
    let mut code = String::new();
    for cell in cells.list().iter().take(CELLS_MAX) {
        if cell.text_at("cell_type") != Some("code") {
            continue;
        }
        let source = match cell.get("source") {
            Some(Node::Text(text)) => text.clone(),
            Some(Node::List(lines)) => lines.iter().filter_map(Node::text).collect(),
            _ => continue,
        };
        for line in source.lines() {
            match line.trim_start().strip_prefix('!') {
                Some(command) => script::judge(command, part, cx),
                None if line.trim_start().starts_with('%') => {}
                None => {
                    code.push_str(line);
                    code.push('\n');
                }
            }
        }
    }
    if cells.list().len() > CELLS_MAX {
        cx.unread(part, None, format!("the notebook has more than {CELLS_MAX} cells"));
    }
    script::python(&code, script::Runs::ByHand, part, cx);
}

/// Requirements inside a conda or MLflow environment.
fn environment(root: &Node, part: &mut Part, cx: &mut Context<'_>) {
    let Some(dependencies) = root.get("dependencies") else { return };
    if root.get("channels").is_none()
        && root.get("python").is_none()
        && root.get("build_dependencies").is_none()
        && root.get("name").is_none()
    {
        return;
    }
    for list in [Some(dependencies), root.get("build_dependencies")].into_iter().flatten() {
        for item in list.list() {
            match item {
                Node::Text(line) => requirements::line(line, part, cx),
                Node::Map(_) => {
                    for line in item.get("pip").map(Node::texts).unwrap_or_default() {
                        requirements::line(line, part, cx);
                    }
                }
                _ => {}
            }
        }
    }
}

/// What the settings of a model say about it.
fn facts(root: &Node, part: &mut Part) {
    let facts = &mut part.facts;
    if let Some(Node::List(names)) = root.get("architectures") {
        facts.architecture = names.iter().find_map(Node::text).map(|t| t.chars().take(200).collect());
        facts.framework = Some("transformers".to_owned());
    }
    for name in [
        "model_type",
        "torch_dtype",
        "dtype",
        "task",
        "base_model_name_or_path",
        "peft_type",
        "quant_method",
        "plans_name",
        "dataset_name",
        "version",
        "description",
        "intended_use",
        "data_source",
        "data_type",
        "copyright",
        "authors",
    ] {
        if let Some(text) = root.text_at(name) {
            facts.note(name, text);
        }
    }
    for (name, library) in [
        ("transformers_version", "transformers"),
        ("monai_version", "monai"),
        ("pytorch_version", "torch"),
        ("numpy_version", "numpy"),
        ("_diffusers_version", "diffusers"),
    ] {
        if let Some(version) = root.text_at(name) {
            facts.libraries.insert(format!("{library}=={}", version.chars().take(60).collect::<String>()));
        }
    }
    if let Some(Node::Map(packages)) =
        root.get("optional_packages_version").or_else(|| root.get("required_packages_version"))
    {
        for (library, version) in packages.iter().take(100) {
            if let Some(version) = version.text() {
                facts.libraries.insert(format!("{library}=={version}"));
            }
        }
    }
    if let Some(text) = root.text_at("license").or_else(|| root.text_at("licence")) {
        facts.licence = Some(text.chars().take(200).collect());
    }
    if root.get("monai_version").is_some() {
        facts.framework = Some("MONAI bundle".to_owned());
    }
    if root.get("plans_name").is_some() && root.get("configurations").is_some() {
        facts.framework = Some("nnU-Net".to_owned());
    }
    if let Some(base) = root.text_at("base_model_name_or_path").filter(|b| !b.is_empty()) {
        facts.note("base_model", base);
    }
}

/// The front matter of a model card.
pub(crate) fn card(root: &Node, part: &mut Part) {
    let facts = &mut part.facts;
    if let Some(text) = root.text_at("license").or_else(|| root.text_at("license_name")) {
        facts.licence = Some(text.chars().take(200).collect());
    }
    for text in root.get("datasets").map(Node::texts).unwrap_or_default().into_iter().take(200) {
        facts.datasets.insert(text.chars().take(200).collect());
    }
    if let Some(text) = root.text_at("library_name") {
        facts.framework.get_or_insert_with(|| text.to_owned());
    }
    for (name, key) in [
        ("base_model", "base_model"),
        ("language", "languages"),
        ("tags", "tags"),
        ("metrics", "metrics"),
        ("pipeline_tag", "task"),
    ] {
        let texts = root.get(name).map(Node::texts).unwrap_or_default();
        if !texts.is_empty() {
            facts.note(key, &texts.join(", "));
        }
    }
}
