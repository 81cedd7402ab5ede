//! Small networks to train from nothing: logistic regression, a multilayer perceptron, a small convolutional network.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::graph::{Attribute, Graph, Node, ValueId};
use crate::tensor::{DataType, Dim, Tensor, TensorData, ValueInfo};

/// A network whose weights have no values yet (they are 0); give it to [`super::Trainable::fresh`].
#[derive(Debug, Clone)]
pub struct Architecture {
    pub(super) graph: Graph,
    last: ValueId,
}

/// Operator set of the graphs made here.
const OPSET: i64 = 17;

/// Logistic regression on rows of `width` values: `classes` logits, or one logit (of class 1) if `classes` is 1.
pub fn logistic(width: usize, classes: usize) -> Architecture {
    mlp(width, &[], classes)
}

/// A multilayer perceptron on rows of `width` values, with ReLU after each hidden layer.
pub fn mlp(width: usize, hidden: &[usize], classes: usize) -> Architecture {
    let mut net = Architecture::empty(&[width]);
    let mut from = width;
    for units in hidden {
        net.dense(from, *units);
        net.simple("Relu", &[]);
        from = *units;
    }
    net.dense(from, classes);
    net.finish(classes)
}

/// A small convolutional network on images `[channels, height, width]`, of 4 pixels a side at least: 3x3 convolutions
/// to 16, 32 and 64 channels with two 2x2 maximum pools, a hidden layer of 128. About 425,000 weights at 28x28.
pub fn small_cnn(channels: usize, height: usize, width: usize, classes: usize) -> Architecture {
    let mut net = Architecture::empty(&[channels, height, width]);
    net.convolution(channels, 16);
    net.convolution(16, 32);
    net.pool();
    net.convolution(32, 64);
    net.pool();
    net.simple("Flatten", &[("axis", Attribute::Int(1))]);
    net.dense(64 * (height / 4) * (width / 4), 128);
    net.simple("Relu", &[]);
    net.dense(128, classes);
    net.finish(classes)
}

impl Architecture {
    fn empty(row: &[usize]) -> Self {
        let name = "input".to_owned();
        let dims = std::iter::once(Dim::Symbolic("n".to_owned())).chain(row.iter().map(|d| Dim::Fixed(*d)));
        let info =
            ValueInfo { name: name.clone(), data_type: Some(DataType::F32), shape: Some(dims.collect()) };
        let input = ValueId(0);
        let graph = Graph {
            values: vec![name],
            nodes: Vec::new(),
            initializers: BTreeMap::new(),
            inputs: vec![(input, info)],
            outputs: Vec::new(),
            opset: OPSET,
            opset_ml: 0,
        };
        Self { graph, last: input }
    }

    fn value(&mut self, name: String) -> ValueId {
        let id = ValueId(u32::try_from(self.graph.values.len()).unwrap_or(u32::MAX));
        self.graph.values.push(name);
        id
    }

    fn constant(&mut self, name: String, shape: &[usize], values: Vec<f32>) -> ValueId {
        let id = self.value(name);
        let tensor = Tensor { shape: shape.to_vec(), data: TensorData::F32(values) };
        self.graph.initializers.insert(id, Arc::new(tensor));
        id
    }

    fn node(&mut self, operator: &str, more: &[ValueId], attributes: &[(&str, Attribute)]) {
        let name = format!("{operator}_{}", self.graph.nodes.len());
        let output = self.value(format!("{name}_out"));
        let inputs = std::iter::once(self.last).chain(more.iter().copied()).map(Some).collect();
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let operator = operator.to_owned();
        let outputs = vec![Some(output)];
        self.graph.nodes.push(Node { name, operator, is_ml: false, inputs, outputs, attributes });
        self.last = output;
    }

    fn simple(&mut self, operator: &str, attributes: &[(&str, Attribute)]) {
        self.node(operator, &[], attributes);
    }

    fn dense(&mut self, from: usize, to: usize) {
        let at = self.graph.nodes.len();
        let weight = self.constant(format!("dense_{at}.weight"), &[to, from], vec![0.0; to * from]);
        let bias = self.constant(format!("dense_{at}.bias"), &[to], vec![0.0; to]);
        self.node("Gemm", &[weight, bias], &[("transB", Attribute::Int(1))]);
    }

    fn convolution(&mut self, from: usize, to: usize) {
        let at = self.graph.nodes.len();
        let shape = [to, from, 3, 3];
        let weight = self.constant(format!("conv_{at}.weight"), &shape, vec![0.0; shape.iter().product()]);
        let bias = self.constant(format!("conv_{at}.bias"), &[to], vec![0.0; to]);
        let attributes =
            [("kernel_shape", Attribute::Ints(vec![3, 3])), ("pads", Attribute::Ints(vec![1, 1, 1, 1]))];
        self.node("Conv", &[weight, bias], &attributes);
        self.simple("Relu", &[]);
    }

    fn pool(&mut self) {
        let two = || Attribute::Ints(vec![2, 2]);
        self.simple("MaxPool", &[("kernel_shape", two()), ("strides", two())]);
    }

    fn finish(mut self, classes: usize) -> Self {
        let name = "logits".to_owned();
        if let Some(place) = self.graph.values.get_mut(self.last.index()) {
            place.clone_from(&name);
        }
        let shape = Some(vec![Dim::Symbolic("n".to_owned()), Dim::Fixed(classes)]);
        let info = ValueInfo { name, data_type: Some(DataType::F32), shape };
        self.graph.outputs.push((self.last, info));
        self
    }

    /// Puts `(x - mean) / deviation` in front, inside the model, so that callers give values in their own units.
    /// One mean and deviation for each value of a row, or one of each for all; deviations of 0 are taken as 1.
    #[must_use]
    pub fn standardised(mut self, mean: &[f32], deviation: &[f32]) -> Self {
        let nodes = std::mem::take(&mut self.graph.nodes);
        let Some((input, info)) = self.graph.inputs.first().cloned() else { return self };
        let rank = info.shape.map_or(2, |s| s.len());
        // Per value only for rows without further dimensions, which is where it is used.
        let shape = |n: usize| if n == 1 || rank != 2 { vec![n; usize::from(n != 1)] } else { vec![n] };
        self.last = input;
        let safe = deviation.iter().map(|d| if *d == 0.0 { 1.0 } else { *d }).collect();
        let mean_id = self.constant("standard.mean".to_owned(), &shape(mean.len()), mean.to_vec());
        self.node("Sub", &[mean_id], &[]);
        let deviation_id = self.constant("standard.deviation".to_owned(), &shape(deviation.len()), safe);
        self.node("Div", &[deviation_id], &[]);
        let scaled = self.last;
        for mut node in nodes {
            for id in node.inputs.iter_mut().flatten().filter(|id| **id == input) {
                *id = scaled;
            }
            self.graph.nodes.push(node);
        }
        if let Some((id, _)) = self.graph.outputs.first() {
            self.last = *id;
        }
        self
    }
}
