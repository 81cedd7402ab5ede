//! Which constants of a graph are weights, and their first values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::LoadError;
use crate::graph::{Graph, Node, ValueId};
use crate::kernel::Isa;
use crate::limits::Limits;
use crate::plan::{Plan, Source};
use crate::tensor::{Tensor, TensorData};

/// A trained constant.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) id: ValueId,
    /// Inputs that one output sums over; 0 for biases, shifts and scales.
    pub(super) fan_in: usize,
    /// Value of a fresh parameter without fan-in: 1 for scales, 0 otherwise.
    rest: f32,
}

/// The graph with everything computed that depends on constants only, so that each weight is an initializer.
pub(super) fn folded(graph: &Graph, limits: &Limits, isa: Isa) -> Result<Graph, LoadError> {
    let mut constant: BTreeSet<ValueId> = graph.initializers.keys().copied().collect();
    let (mut nodes, mut made) = (Vec::new(), Vec::new());
    for node in &graph.nodes {
        if node.inputs.iter().flatten().all(|id| constant.contains(id)) {
            constant.extend(node.outputs.iter().flatten());
            made.extend(node.outputs.iter().flatten().copied());
        } else {
            nodes.push(node.clone());
        }
    }
    let read: BTreeSet<ValueId> =
        nodes.iter().flat_map(|node| node.inputs.iter().flatten().copied()).collect();
    made.retain(|id| read.contains(id));
    let mut graph = graph.clone();
    let plan = Plan::compile(&graph, &made, limits, isa)?;
    for (id, source) in made.iter().zip(&plan.outputs) {
        let Source::Constant(at) = source else { continue };
        if let Some(value) = plan.constants.get(*at) {
            graph.initializers.insert(*id, Arc::new(value.clone().into_tensor()));
        }
    }
    graph.nodes = nodes;
    graph.initializers.retain(|id, _| read.contains(id));
    Ok(graph)
}

/// The weights of Conv, Gemm, MatMul, the normalisations and PRelu, and biases added to a product. Other constants
/// (the scaling of inputs, for one) are left as they are.
pub(super) fn of(graph: &Graph) -> Vec<Parameter> {
    let mut found: BTreeMap<ValueId, Parameter> = BTreeMap::new();
    let products: BTreeSet<ValueId> = graph
        .nodes
        .iter()
        .filter(|node| matches!(node.operator.as_str(), "MatMul" | "Gemm" | "Conv"))
        .flat_map(|node| node.outputs.iter().flatten().copied())
        .collect();
    for node in graph.nodes.iter().filter(|node| !node.is_ml) {
        let summed = node.inputs.iter().flatten().any(|id| products.contains(id));
        let at: &[usize] = match node.operator.as_str() {
            "Conv" | "Gemm" | "BatchNormalization" | "LayerNormalization" | "InstanceNormalization" => {
                &[1, 2]
            }
            "MatMul" => &[0, 1],
            "PRelu" => &[1],
            "Add" if summed => &[0, 1],
            _ => continue,
        };
        for at in at {
            let Some(id) = node.inputs.get(*at).copied().flatten() else { continue };
            let Some(tensor) = graph.initializers.get(&id).filter(|t| t.as_f32().is_some()) else { continue };
            let rest = f32::from(u8::from(node.operator.ends_with("Normalization") && *at == 1));
            let fan_in = if *at < 2 { fan_in(node, &tensor.shape) } else { 0 };
            found.entry(id).or_insert(Parameter { id, fan_in, rest });
        }
    }
    found.into_values().collect()
}

fn fan_in(node: &Node, shape: &[usize]) -> usize {
    use crate::graph::Attribute;
    match node.operator.as_str() {
        "Conv" => shape.iter().skip(1).product(),
        "Gemm" => {
            let turned = node.attributes.get("transB").is_some_and(|a| *a != Attribute::Int(0));
            shape.get(usize::from(turned)).copied().unwrap_or(0)
        }
        "MatMul" if shape.len() >= 2 => shape.get(shape.len() - 2).copied().unwrap_or(0),
        _ => 0,
    }
}

impl Parameter {
    /// First values: normal with variance `2 / fan_in` (He et al. 2015, DOI 10.1109/ICCV.2015.123), biases 0, scales 1.
    pub(super) fn fresh(&self, shape: &[usize], rng: &mut numeric::Rng) -> Tensor {
        let count = shape.iter().product();
        let values = if self.fan_in == 0 {
            vec![self.rest; count]
        } else {
            let deviation = (2.0 / self.fan_in as f64).sqrt();
            (0..count).map(|_| (rng.normal() * deviation) as f32).collect()
        };
        Tensor { shape: shape.to_vec(), data: TensorData::F32(values) }
    }
}
