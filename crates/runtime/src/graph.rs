//! The graph as the file states it: values, nodes, attributes, constants, in an order that can be executed.
//!
//! This is the public intermediate form. The execution plan is made from it by fusing; reverse-mode differentiation
//! starts from it too, so nothing of the model's meaning is lost here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::LoadError;
use crate::limits::Limits;
use crate::proto::{RawGraph, RawNode};
use crate::tensor::{Tensor, ValueInfo};

/// A value of the graph (an input, an initializer or a node's output): an index into [`Graph::values`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

impl ValueId {
    /// The index as `usize`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An attribute of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// One float.
    Float(f32),
    /// One integer.
    Int(i64),
    /// One byte string.
    Text(String),
    /// One tensor.
    Tensor(Tensor),
    /// Floats.
    Floats(Vec<f32>),
    /// Integers.
    Ints(Vec<i64>),
    /// Byte strings.
    Texts(Vec<String>),
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Node {
    /// Name in the file, or the name of its first output if it has none.
    pub name: String,
    /// Operator type, for example `Conv`.
    pub operator: String,
    /// `true` for operators of `ai.onnx.ml`.
    pub is_ml: bool,
    /// Input values; `None` where an optional input is left out.
    pub inputs: Vec<Option<ValueId>>,
    /// Output values; `None` where an optional output is not wanted.
    pub outputs: Vec<Option<ValueId>>,
    /// Attributes by name.
    pub attributes: BTreeMap<String, Attribute>,
}

/// A checked graph: every input of a node is produced before it, every value once.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Name of each value, by [`ValueId`].
    pub values: Vec<String>,
    /// Nodes in an executable order (the file's own, where that is one).
    pub nodes: Vec<Node>,
    /// Constants by value.
    pub initializers: BTreeMap<ValueId, Arc<Tensor>>,
    /// Inputs the caller gives, in order. Initializers that are also listed as inputs are not among them.
    pub inputs: Vec<(ValueId, ValueInfo)>,
    /// Outputs, in order.
    pub outputs: Vec<(ValueId, ValueInfo)>,
    /// Operator set version of the default domain.
    pub opset: i64,
    /// Operator set version of `ai.onnx.ml`, 0 if not imported.
    pub opset_ml: i64,
}

impl Graph {
    /// The value of this name.
    pub fn value(&self, name: &str) -> Option<ValueId> {
        let at = self.values.iter().position(|value| value == name)?;
        u32::try_from(at).ok().map(ValueId)
    }

    /// The name of a value.
    pub fn name(&self, id: ValueId) -> &str {
        self.values.get(id.index()).map_or("", String::as_str)
    }

    pub(crate) fn build(
        raw: RawGraph,
        opset: i64,
        opset_ml: i64,
        limits: &Limits,
    ) -> Result<Self, LoadError> {
        let mut names = Names::default();
        let mut initializers = BTreeMap::new();
        for (name, tensor) in raw.initializers {
            let id = names.define(&name, "initializer")?;
            initializers.insert(id, Arc::new(tensor));
        }
        let mut inputs = Vec::new();
        for info in raw.inputs {
            if names.is_defined(&info.name) {
                // Files of IR version 3 list initializers among the inputs as defaults; the default is used.
                if names.ids.get(&info.name).is_some_and(|id| initializers.contains_key(id)) {
                    continue;
                }
            }
            let id = names.define(&info.name, "input")?;
            inputs.push((id, info));
        }
        let mut nodes = Vec::new();
        for raw_node in raw.nodes {
            nodes.push(names.node(raw_node)?);
        }
        let mut outputs = Vec::new();
        for info in raw.outputs {
            let id = names.id(&info.name)?;
            if outputs.iter().any(|(other, _)| *other == id) {
                return Err(invalid(format!("output `{}` is listed twice", info.name)));
            }
            outputs.push((id, info));
        }
        names.check_all_defined()?;
        let nodes = order(nodes, names.names.len(), &initializers, &inputs, limits)?;
        Ok(Self { values: names.names, nodes, initializers, inputs, outputs, opset, opset_ml })
    }
}

fn invalid(what: String) -> LoadError {
    LoadError::Graph { what }
}

/// Interns value names and remembers which have a producer.
#[derive(Default)]
struct Names {
    names: Vec<String>,
    ids: HashMap<String, ValueId>,
    defined: Vec<bool>,
}

impl Names {
    fn id(&mut self, name: &str) -> Result<ValueId, LoadError> {
        if let Some(&id) = self.ids.get(name) {
            return Ok(id);
        }
        let id = u32::try_from(self.names.len()).map_err(|_| invalid("too many values".to_owned()))?;
        self.names.push(name.to_owned());
        self.defined.push(false);
        self.ids.insert(name.to_owned(), ValueId(id));
        Ok(ValueId(id))
    }

    fn is_defined(&self, name: &str) -> bool {
        self.ids.get(name).and_then(|id| self.defined.get(id.index())).copied().unwrap_or(false)
    }

    fn define(&mut self, name: &str, what: &str) -> Result<ValueId, LoadError> {
        if name.is_empty() {
            return Err(invalid(format!("an {what} has no name")));
        }
        let id = self.id(name)?;
        match self.defined.get_mut(id.index()) {
            Some(slot) if !*slot => {
                *slot = true;
                Ok(id)
            }
            _ => Err(invalid(format!("value `{name}` is produced twice"))),
        }
    }

    fn node(&mut self, raw: RawNode) -> Result<Node, LoadError> {
        let mut inputs = Vec::with_capacity(raw.inputs.len());
        for name in &raw.inputs {
            inputs.push(if name.is_empty() { None } else { Some(self.id(name)?) });
        }
        let mut outputs = Vec::with_capacity(raw.outputs.len());
        for name in &raw.outputs {
            outputs.push(if name.is_empty() { None } else { Some(self.define(name, "output")?) });
        }
        let name =
            if raw.name.is_empty() { raw.outputs.first().cloned().unwrap_or_default() } else { raw.name };
        Ok(Node {
            name,
            operator: raw.operator,
            is_ml: raw.is_ml,
            inputs,
            outputs,
            attributes: raw.attributes,
        })
    }

    fn check_all_defined(&self) -> Result<(), LoadError> {
        match self.defined.iter().position(|defined| !defined) {
            Some(at) => {
                let name = self.names.get(at).map_or("", String::as_str);
                Err(invalid(format!("value `{name}` is used but nothing produces it")))
            }
            None => Ok(()),
        }
    }
}

/// Kahn's algorithm, stable in the file's order; finds cycles, and paths longer than `depth_max`.
fn order(
    nodes: Vec<Node>,
    values: usize,
    initializers: &BTreeMap<ValueId, Arc<Tensor>>,
    inputs: &[(ValueId, ValueInfo)],
    limits: &Limits,
) -> Result<Vec<Node>, LoadError> {
    let mut depth: Vec<Option<usize>> = vec![None; values];
    for id in initializers.keys().chain(inputs.iter().map(|(id, _)| id)) {
        if let Some(slot) = depth.get_mut(id.index()) {
            *slot = Some(0);
        }
    }
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); values];
    let mut missing: Vec<usize> = vec![0; nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        for id in node.inputs.iter().flatten() {
            if depth.get(id.index()).copied().flatten().is_none()
                && let (Some(list), Some(count)) = (users.get_mut(id.index()), missing.get_mut(at))
            {
                list.push(at);
                *count += 1;
            }
        }
    }
    let mut ready: std::collections::BTreeSet<usize> =
        missing.iter().enumerate().filter(|(_, count)| **count == 0).map(|(at, _)| at).collect();
    let mut slots: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(slots.len());
    while let Some(at) = ready.pop_first() {
        let Some(node) = slots.get_mut(at).and_then(Option::take) else { continue };
        let from =
            node.inputs.iter().flatten().filter_map(|id| depth.get(id.index()).copied().flatten()).max();
        let level = from.unwrap_or(0) + 1;
        if level > limits.depth_max {
            return Err(LoadError::Limit {
                what: "depth of the graph",
                got: level as u64,
                max: limits.depth_max as u64,
            });
        }
        for id in node.outputs.iter().flatten() {
            if let Some(slot) = depth.get_mut(id.index()) {
                *slot = Some(level);
            }
            for &user in users.get(id.index()).map(Vec::as_slice).unwrap_or_default() {
                if let Some(count) = missing.get_mut(user) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(user);
                    }
                }
            }
        }
        ordered.push(node);
    }
    match slots.into_iter().flatten().next() {
        Some(node) => Err(invalid(format!("node `{}` is part of a cycle", node.name))),
        None => Ok(ordered),
    }
}
