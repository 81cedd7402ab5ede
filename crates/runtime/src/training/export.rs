//! A model trained on rows of the unit box, as one that takes values in their own units; and the other way round.

use std::sync::Arc;

use super::{TrainError, Trainable, Weights, writer};
use crate::graph::{Graph, Node, ValueId};
use crate::model::Model;
use crate::tensor::{Dim, Tensor, TensorData};

impl Trainable {
    /// As [`Trainable::of`] with the weights of the file, for rows of the unit box: the model's own value is `low + unit × span`.
    ///
    /// # Errors
    /// As [`Trainable::of`].
    pub fn of_unit(model: &Model, output: &str, low: &[f32], span: &[f32]) -> Result<Self, TrainError> {
        let logits = model.logits(output).to_owned();
        let mut graph = model.graph().clone();
        to_units(&mut graph, low, span);
        Self::new(&graph, &logits, Weights::Kept, model.limits(), model.isa())
    }

    /// As [`Trainable::to_onnx`], for a model of the unit box: the file takes values in units, `value = low + unit × span`.
    pub fn to_onnx_from_units(&self, low: &[f32], span: &[f32]) -> Vec<u8> {
        let mut graph = self.trained();
        from_units(&mut graph, low, span);
        writer::model(&graph, "trained")
    }

    /// The model with its present weights as an ONNX file.
    pub fn to_onnx(&self) -> Vec<u8> {
        writer::model(&self.trained(), "trained")
    }

    /// The graph with its present weights.
    fn trained(&self) -> Graph {
        let mut graph = self.graph.clone();
        for (parameter, weight) in self.parameters.iter().zip(&self.weights) {
            graph.initializers.insert(parameter.id, Arc::new(weight.clone()));
        }
        graph
    }
}

/// Puts `(x - low) / span` in front: the file takes model units where the graph took the unit box. A span of 0 counts as 1.
fn from_units(graph: &mut Graph, low: &[f32], span: &[f32]) {
    front(graph, "from_units", [("Sub", low), ("Div", &filled(span))]);
}

/// Puts `low + unit × span` in front: the graph takes the unit box where it took model units. A span of 0 counts as 1.
fn to_units(graph: &mut Graph, low: &[f32], span: &[f32]) {
    front(graph, "to_units", [("Mul", &filled(span)), ("Add", low)]);
}

fn filled(span: &[f32]) -> Vec<f32> {
    span.iter().map(|s| if *s > 0.0 { *s } else { 1.0 }).collect()
}

/// Two operators with a constant each between the input and whatever reads it.
fn front(graph: &mut Graph, name: &str, steps: [(&str, &[f32]); 2]) {
    let Some((input, info)) = graph.inputs.first().cloned() else { return };
    let row: Vec<usize> = info
        .shape
        .iter()
        .flat_map(|dims| dims.iter().skip(1))
        .map(|d| if let Dim::Fixed(n) = d { *n } else { 0 })
        .collect();
    let mut last = input;
    let mut nodes = Vec::new();
    for (operator, values) in steps {
        let shape = match values.len() {
            1 => Vec::new(),
            n if row.iter().product::<usize>() == n => row.clone(),
            n => vec![n],
        };
        let constant = fresh(graph, &format!("{name}.{}", operator.to_lowercase()));
        let tensor = Tensor { shape, data: TensorData::F32(values.to_vec()) };
        graph.initializers.insert(constant, Arc::new(tensor));
        let output = fresh(graph, &format!("{name}.{}_out", operator.to_lowercase()));
        nodes.push(Node {
            name: graph.name(output).to_owned(),
            operator: operator.to_owned(),
            is_ml: false,
            inputs: vec![Some(last), Some(constant)],
            outputs: vec![Some(output)],
            attributes: std::collections::BTreeMap::new(),
        });
        last = output;
    }
    for node in &mut graph.nodes {
        for id in node.inputs.iter_mut().flatten().filter(|id| **id == input) {
            *id = last;
        }
    }
    nodes.append(&mut graph.nodes);
    graph.nodes = nodes;
}

/// A value of a name that nothing has yet.
fn fresh(graph: &mut Graph, wanted: &str) -> ValueId {
    let mut name = wanted.to_owned();
    let mut number = 1;
    while graph.values.contains(&name) {
        number += 1;
        name = format!("{wanted}_{number}");
    }
    let id = ValueId(u32::try_from(graph.values.len()).unwrap_or(u32::MAX));
    graph.values.push(name);
    id
}
