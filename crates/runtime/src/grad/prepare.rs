//! Makes a graph that computes in float32 from its input on, so that every step can have a derivative.
//!
//! float64 becomes float32 throughout. An integer input is allowed if it is made a float at once: the gradient is then
//! that of the same function on real numbers.

use std::sync::Arc;

use crate::error::LoadError;
use crate::graph::{Attribute, Graph, Node, ValueId};
use crate::tensor::{DataType, Tensor, TensorData};

/// The graph in float32.
pub(crate) fn in_f32(graph: &Graph) -> Result<Graph, LoadError> {
    let mut graph = graph.clone();
    if graph.inputs.len() != 1 {
        let names: Vec<String> = graph.inputs.iter().map(|(_, info)| format!("`{}`", info.name)).collect();
        let what = format!(
            "gradients of a model with {} inputs ({}), only one is covered",
            graph.inputs.len(),
            names.join(", ")
        );
        return Err(LoadError::Unsupported { what });
    }
    for tensor in graph.initializers.values_mut() {
        if tensor.data_type() == DataType::F64 {
            *tensor = Arc::new(narrow(tensor));
        }
    }
    for node in &mut graph.nodes {
        for attribute in node.attributes.values_mut() {
            if let Attribute::Tensor(tensor) = attribute
                && tensor.data_type() == DataType::F64
            {
                *tensor = narrow(tensor);
            }
        }
        if node.operator == "Cast" && node.attributes.get("to") == Some(&Attribute::Int(11)) {
            node.attributes.insert("to".to_owned(), Attribute::Int(1));
        }
    }
    let Some((id, info)) = graph.inputs.first_mut() else { return Ok(graph) };
    let given = info.data_type.unwrap_or(DataType::F32);
    if !matches!(given, DataType::F32 | DataType::F64) {
        let id = *id;
        let ready = |node: &Node| reads_numbers(node) || !node.inputs.contains(&Some(id));
        if given == DataType::Text || !graph.nodes.iter().all(ready) {
            return Err(integers(info.name.clone(), given, &graph.nodes, id));
        }
    }
    info.data_type = Some(DataType::F32);
    Ok(graph)
}

fn integers(name: String, given: DataType, nodes: &[Node], id: ValueId) -> LoadError {
    let reader = nodes.iter().find(|node| node.inputs.contains(&Some(id)) && !reads_numbers(node));
    let (operator, node) = reader.map_or_else(Default::default, |n| (n.operator.clone(), n.name.clone()));
    let what = format!("input `{name}` is {given} and used as such; export a model that takes float32");
    LoadError::NotDifferentiable { operator, node, what }
}

/// Operators that make floats of numbers of any type.
fn reads_numbers(node: &Node) -> bool {
    match node.operator.as_str() {
        "Cast" => node.attributes.get("to") == Some(&Attribute::Int(1)),
        "Scaler" | "LinearClassifier" | "LinearRegressor" | "Normalizer" | "FeatureVectorizer" => node.is_ml,
        _ => false,
    }
}

fn narrow(tensor: &Tensor) -> Tensor {
    match &tensor.data {
        TensorData::F64(v) => {
            let data = TensorData::F32(v.iter().map(|v| *v as f32).collect());
            Tensor { shape: tensor.shape.clone(), data }
        }
        _ => tensor.clone(),
    }
}
