//! Where file names come from, and which functions touch files.

use std::collections::{HashMap, HashSet};

use domain::Severity;

use super::graph::{Body, Library, Node};
use super::operators::{self, Effect};
use super::{EFFECT, OPERATOR, PYTHON, Walk};
use crate::payload;

/// Nodes followed backwards from one input.
const FOLLOW_MAX: usize = 2_000;

/// What a value is made of.
#[derive(Debug, Default)]
struct Origin {
    /// Constant texts.
    texts: Vec<String>,
    /// Arguments of the function, or placeholders of the graph.
    given: Vec<String>,
}

impl Body {
    fn origin(&self, input: &str) -> Origin {
        let mut origin = Origin::default();
        let mut seen = HashSet::new();
        let mut next = vec![input];
        while let Some(name) = next.pop() {
            if !seen.insert(name) || seen.len() > FOLLOW_MAX {
                continue;
            }
            match self.places.get(name).and_then(|i| self.nodes.get(*i)) {
                None => origin.given.push(name.to_owned()),
                Some(node) if node.kind.starts_with("Placeholder") && node.inputs.is_empty() => {
                    origin.given.push(name.to_owned())
                }
                Some(node) => {
                    origin.texts.extend(node.text.clone());
                    if node.kind == "PlaceholderWithDefault" {
                        origin.given.push(name.to_owned());
                    }
                    next.extend(node.inputs.iter().map(String::as_str));
                }
            }
        }
        origin
    }
}

impl Walk<'_, '_> {
    /// Judges everything that was collected.
    pub(super) fn judge(&mut self) {
        let library = std::mem::take(&mut self.library);
        let names: HashSet<&str> = library.bodies.iter().map(|b| b.name.as_str()).collect();
        for body in &library.bodies {
            for node in &body.nodes {
                self.node_effect(node, body, &names, &library);
            }
        }
        self.calls(&library);
        self.library = Library::default();
    }

    fn node_effect(&mut self, node: &Node, body: &Body, names: &HashSet<&str>, library: &Library) {
        let place = if body.name.is_empty() {
            "the graph".to_owned()
        } else {
            format!("the function `{}`", body.name)
        };
        let kind = &node.kind;
        let remedy = "do not run the model; ask the supplier why it touches anything but its input, and for an export without";
        match operators::effect(kind) {
            Effect::None => {}
            Effect::Python => {
                let message = format!("`{kind}` (node `{}` in {place}) calls Python", node.name);
                self.cx.find(self.part, &PYTHON, Severity::High, Some(node.at), message, remedy);
            }
            Effect::Files | Effect::Network => {
                let origin = node.inputs.first().map(|i| body.origin(i)).unwrap_or_default();
                let names =
                    origin.texts.iter().chain(node.attributes.iter().map(|a| &a.1)).find(|t| t.len() > 2);
                let shown = names.map(|t| format!(" `{t}`")).unwrap_or_default();
                let does = if operators::effect(kind) == Effect::Files {
                    "reads or writes files"
                } else {
                    "opens connections"
                };
                let message = format!("`{kind}` (node `{}` in {place}) {does}{shown}", node.name);
                self.cx.find(self.part, &EFFECT, Severity::High, Some(node.at), message, remedy);
            }
            Effect::Saver => self.saver(node, body, &place),
            Effect::Table => self.table(node, body, library, &place),
            Effect::Attribute(name) => {
                let value = node.attributes.iter().find(|a| a.0 == name && !harmless(name, &a.1));
                if let Some((_, value)) = value {
                    let message = format!("`{kind}` (node `{}` in {place}) sends to `{value}`", node.name);
                    self.cx.find(self.part, &EFFECT, Severity::High, Some(node.at), message, remedy);
                }
            }
            Effect::Extension(name) => drop(self.part.facts.libraries.insert(name.to_owned())),
            Effect::Unknown if names.contains(kind.as_str()) => {}
            Effect::Unknown => {
                let message =
                    format!("`{kind}` (node `{}` in {place}) is no operator of TensorFlow", node.name);
                let remedy = "ask the supplier for an export in TensorFlow's own operators; do not load a library that comes with a model";
                self.cx.find(self.part, &OPERATOR, Severity::Medium, Some(node.at), message, remedy);
            }
        }
    }

    /// Saving and restoring is TensorFlow's own when the loader gives the file name.
    fn saver(&mut self, node: &Node, body: &Body, place: &str) {
        let inputs = if node.kind == "MergeV2Checkpoints" { 2 } else { 1 };
        for input in node.inputs.iter().take(inputs) {
            let origin = body.origin(input);
            let path = origin.texts.iter().find(|t| payload::outside(t).is_some());
            if !origin.given.is_empty() && path.is_none() {
                continue;
            }
            let shown = path.or_else(|| origin.texts.first()).cloned().unwrap_or_default();
            let message = format!(
                "`{}` (node `{}` in {place}) reads or writes `{shown}`, a file that the model chose",
                node.kind, node.name
            );
            let remedy = "do not run the model; ask the supplier for an export without it";
            self.cx.find(self.part, &EFFECT, Severity::High, Some(node.at), message, remedy);
            return;
        }
    }

    /// A table filled from a file: an asset passes, another path does not.
    fn table(&mut self, node: &Node, body: &Body, library: &Library, place: &str) {
        let Some(input) = node.inputs.get(1) else { return };
        let origin = body.origin(input);
        let asset = library.assets.iter().any(|a| a.split(':').next() == Some(input));
        if asset || !origin.given.is_empty() || origin.texts.is_empty() {
            return;
        }
        let message = format!(
            "`{}` (node `{}` in {place}) reads `{}`, which is no asset of the model",
            node.kind,
            node.name,
            origin.texts.join("")
        );
        let remedy = "do not load the model; ask the supplier for one that keeps its vocabularies as assets";
        self.cx.find(self.part, &EFFECT, Severity::Medium, Some(node.at), message, remedy);
    }

    /// Functions that save or read by a name they are given: who calls them, and with which name?
    fn calls(&mut self, library: &Library) {
        let touching = touching(library);
        for body in
            library.bodies.iter().filter(|b| b.name.is_empty() || !touching.contains_key(b.name.as_str()))
        {
            for node in &body.nodes {
                let Some(saves) = callees(node).find_map(|f| touching.get(f)) else { continue };
                let mut given = false;
                let mut path = None;
                for input in &node.inputs {
                    let asset = library.assets.iter().any(|a| a.split(':').next() == Some(input));
                    let origin = body.origin(input);
                    given |= origin
                        .given
                        .iter()
                        .any(|g| library.saver.iter().any(|s| s.split(':').next() == Some(g)));
                    if !asset {
                        path =
                            path.or_else(|| origin.texts.into_iter().find(|t| payload::outside(t).is_some()));
                    }
                }
                let by_saver =
                    given || library.saver.iter().any(|s| s.split(':').next() == Some(node.name.as_str()));
                if path.is_none() && (by_saver || !saves) {
                    continue;
                }
                let shown = path.map(|p| format!(" `{p}`")).unwrap_or_default();
                let message = format!(
                    "node `{}` runs a function that reads or writes files{shown} outside of saving and restoring",
                    node.name
                );
                let remedy = "do not run the model; ask the supplier for an export without it";
                self.cx.find(self.part, &EFFECT, Severity::High, Some(node.at), message, remedy);
            }
        }
    }
}

fn callees(node: &Node) -> impl Iterator<Item = &str> {
    node.functions.iter().map(String::as_str).chain(std::iter::once(node.kind.as_str()))
}

/// Functions that save (`true`) or fill tables (`false`), themselves or through others.
fn touching(library: &Library) -> HashMap<&str, bool> {
    let mut callers: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut touching: HashMap<&str, bool> = HashMap::new();
    let mut next = Vec::new();
    for body in library.bodies.iter().filter(|b| !b.name.is_empty()) {
        for node in &body.nodes {
            let saves = match operators::effect(&node.kind) {
                Effect::Saver => Some(true),
                Effect::Table => Some(false),
                _ => None,
            };
            if let Some(saves) = saves {
                *touching.entry(&body.name).or_default() |= saves;
                next.push(body.name.as_str());
            }
            for callee in callees(node) {
                callers.entry(callee).or_default().push(&body.name);
            }
        }
    }
    while let Some(name) = next.pop() {
        let saves = touching.get(name).copied().unwrap_or_default();
        for caller in callers.get(name).into_iter().flatten() {
            let known = touching.get(caller).copied();
            if known.is_none() || (saves && known == Some(false)) {
                touching.insert(caller, saves || known.unwrap_or_default());
                next.push(caller);
            }
        }
    }
    touching
}

/// Values of an attribute that send nothing anywhere.
fn harmless(attribute: &str, value: &str) -> bool {
    value.is_empty() || (attribute == "output_stream" && !value.contains("file://"))
}
