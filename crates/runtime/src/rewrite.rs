//! Rewrites of the graph before it is compiled: dead code, identities, batch normalisation into convolution, biases
//! and activations into the operator before them. Values that are outputs or taps are never rewritten away.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::graph::{Attribute, Graph, Node, ValueId};
use crate::ops::Activation;
use crate::tensor::{Tensor, TensorData};

/// A node on its way into the plan.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) node: Node,
    pub(crate) activation: Activation,
}

/// The nodes to compile and the constants they use.
pub(crate) struct Drafts {
    pub(crate) nodes: Vec<Draft>,
    pub(crate) constants: BTreeMap<ValueId, Arc<Tensor>>,
    next_value: u32,
}

/// Rewrites the graph for a plan that yields `wanted`. With `join_norm` a normalisation becomes part of the convolution
/// before it; training needs both apart.
pub(crate) fn rewrite(graph: &Graph, wanted: &[ValueId], join_norm: bool) -> Drafts {
    let nodes =
        graph.nodes.iter().cloned().map(|node| Draft { node, activation: Activation::None }).collect();
    let next_value = u32::try_from(graph.values.len()).unwrap_or(u32::MAX);
    let mut drafts = Drafts { nodes, constants: graph.initializers.clone(), next_value };
    drafts.constants_of_nodes();
    drafts.drop_identities(wanted);
    drafts.drop_dead(wanted);
    if join_norm {
        drafts.fuse_scale(wanted);
    }
    drafts.fuse_bias(wanted);
    drafts.fuse_residual(wanted);
    drafts.fuse_relu(wanted);
    drafts
}

impl Drafts {
    fn constant(&mut self, tensor: Tensor) -> ValueId {
        let id = ValueId(self.next_value);
        self.next_value = self.next_value.saturating_add(1);
        self.constants.insert(id, Arc::new(tensor));
        id
    }

    /// `Constant` nodes become constants.
    fn constants_of_nodes(&mut self) {
        let constants = &mut self.constants;
        self.nodes.retain(|draft| {
            let (node, Some(Some(out))) = (&draft.node, draft.node.outputs.first()) else { return true };
            if node.operator != "Constant" || node.is_ml {
                return true;
            }
            let Some((name, value)) = node.attributes.first_key_value() else { return true };
            let tensor = match (name.as_str(), value) {
                ("value", Attribute::Tensor(tensor)) => tensor.clone(),
                ("value_float", Attribute::Float(v)) => {
                    Tensor { shape: vec![], data: TensorData::F32(vec![*v]) }
                }
                ("value_int", Attribute::Int(v)) => Tensor { shape: vec![], data: TensorData::I64(vec![*v]) },
                ("value_floats", Attribute::Floats(v)) => {
                    Tensor { shape: vec![v.len()], data: TensorData::F32(v.clone()) }
                }
                ("value_ints", Attribute::Ints(v)) => {
                    Tensor { shape: vec![v.len()], data: TensorData::I64(v.clone()) }
                }
                _ => return true,
            };
            constants.insert(*out, Arc::new(tensor));
            false
        });
    }

    /// `Identity` and inference-time `Dropout` disappear, unless their output must keep its own name.
    fn drop_identities(&mut self, wanted: &[ValueId]) {
        let mut alias: HashMap<ValueId, ValueId> = HashMap::new();
        self.nodes.retain_mut(|draft| {
            let node = &mut draft.node;
            for input in node.inputs.iter_mut().flatten() {
                if let Some(to) = alias.get(input) {
                    *input = *to;
                }
            }
            let one_output = node.outputs.iter().flatten().count() == 1;
            let trivial = node.operator == "Identity"
                || (node.operator == "Dropout"
                    && one_output
                    && node.inputs.get(2).copied().flatten().is_none());
            match (node.inputs.first(), node.outputs.first()) {
                (Some(Some(from)), Some(Some(to))) if trivial && !node.is_ml && !wanted.contains(to) => {
                    alias.insert(*to, *from);
                    false
                }
                _ => true,
            }
        });
    }

    fn drop_dead(&mut self, wanted: &[ValueId]) {
        let mut live: HashSet<ValueId> = wanted.iter().copied().collect();
        let mut kept = Vec::with_capacity(self.nodes.len());
        while let Some(draft) = self.nodes.pop() {
            if draft.node.outputs.iter().flatten().any(|out| live.contains(out)) {
                live.extend(draft.node.inputs.iter().flatten());
                kept.push(draft);
            }
        }
        kept.reverse();
        self.nodes = kept;
    }

    /// How often each value is read.
    fn uses(&self, wanted: &[ValueId]) -> HashMap<ValueId, usize> {
        let mut uses = HashMap::new();
        for id in self.nodes.iter().flat_map(|d| d.node.inputs.iter().flatten()).chain(wanted) {
            *uses.entry(*id).or_insert(0) += 1;
        }
        uses
    }

    /// Index of the node that makes each value.
    fn producers(&self) -> HashMap<ValueId, usize> {
        let outputs = |(at, d): (usize, &Draft)| {
            d.node.outputs.iter().flatten().map(move |id| (*id, at)).collect::<Vec<_>>()
        };
        self.nodes.iter().enumerate().flat_map(outputs).collect()
    }

    /// Calls `fuse` for each node whose input `at` comes from a node used nowhere else; `true` removes the later node
    /// and gives its output to the earlier one.
    fn fuse_pairs(&mut self, wanted: &[ValueId], at: usize, fuse: impl Fn(&mut Self, usize, usize) -> bool) {
        let uses = self.uses(wanted);
        let mut producers = self.producers();
        let mut removed = vec![false; self.nodes.len()];
        for later in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(later).map(|d| &d.node) else { continue };
            let Some(Some(input)) = node.inputs.get(at).copied() else { continue };
            let Some(Some(output)) = node.outputs.first().copied() else { continue };
            let Some(&earlier) = producers.get(&input) else { continue };
            let single = uses.get(&input) == Some(&1)
                && node.outputs.iter().flatten().count() == 1
                && self.nodes.get(earlier).is_some_and(|d| d.node.outputs.len() == 1);
            if !single || !fuse(self, earlier, later) {
                continue;
            }
            if let Some(draft) = self.nodes.get_mut(earlier) {
                draft.node.outputs = vec![Some(output)];
            }
            producers.insert(output, earlier);
            if let Some(flag) = removed.get_mut(later) {
                *flag = true;
            }
        }
        let mut flags = removed.into_iter();
        self.nodes.retain(|_| !flags.next().unwrap_or(false));
    }

    fn floats(&self, node: &Node, at: usize) -> Option<&Tensor> {
        let id = (*node.inputs.get(at)?)?;
        self.constants.get(&id).map(Arc::as_ref).filter(|tensor| tensor.as_f32().is_some())
    }

    /// BatchNormalization after Conv: `w' = w·γ/√(σ²+ε)`, `b' = (b−μ)·γ/√(σ²+ε)+β`, computed in float64.
    fn fuse_scale(&mut self, wanted: &[ValueId]) {
        self.fuse_pairs(wanted, 0, |drafts, conv, norm| {
            let folded = drafts.fold_norm(conv, norm);
            let Some((weight, bias)) = folded else { return false };
            let (weight, bias) = (drafts.constant(weight), drafts.constant(bias));
            let Some(draft) = drafts.nodes.get_mut(conv) else { return false };
            draft.node.inputs.truncate(1);
            draft.node.inputs.extend([Some(weight), Some(bias)]);
            true
        });
    }

    fn fold_norm(&self, conv: usize, norm: usize) -> Option<(Tensor, Tensor)> {
        let (conv, norm) = (&self.nodes.get(conv)?.node, &self.nodes.get(norm)?.node);
        if conv.operator != "Conv" || norm.operator != "BatchNormalization" || norm.is_ml {
            return None;
        }
        if norm.attributes.get("training_mode").is_some_and(|a| *a != Attribute::Int(0)) {
            return None;
        }
        let epsilon = match norm.attributes.get("epsilon") {
            Some(Attribute::Float(v)) => f64::from(*v),
            None => 1e-5,
            _ => return None,
        };
        let weight = self.floats(conv, 1)?;
        let channels = *weight.shape.first()?;
        let part = |at| self.floats(norm, at).and_then(Tensor::as_f32).filter(|v| v.len() == channels);
        let (scale, shift, mean, var) = (part(1)?, part(2)?, part(3)?, part(4)?);
        let zeros = vec![0.0; channels];
        let bias = match conv.inputs.get(2) {
            Some(Some(_)) => self.floats(conv, 2)?.as_f32().filter(|v| v.len() == channels)?,
            _ => &zeros,
        };
        let values = weight.as_f32()?;
        let each = values.len().checked_div(channels)?;
        let (mut weights, mut biases) = (Vec::with_capacity(values.len()), Vec::with_capacity(channels));
        for (c, row) in values.chunks_exact(each.max(1)).take(channels).enumerate() {
            let factor = f64::from(*scale.get(c)?) / (f64::from(*var.get(c)?) + epsilon).sqrt();
            weights.extend(row.iter().map(|w| (f64::from(*w) * factor) as f32));
            let moved =
                (f64::from(*bias.get(c)?) - f64::from(*mean.get(c)?)) * factor + f64::from(*shift.get(c)?);
            biases.push(moved as f32);
        }
        Some((Tensor::f32(&weight.shape, weights)?, Tensor::f32(&[channels], biases)?))
    }

    /// `MatMul` by a constant matrix followed by `Add` of a constant vector becomes one operator with a bias.
    fn fuse_bias(&mut self, wanted: &[ValueId]) {
        for at in [0, 1] {
            self.fuse_pairs(wanted, at, |drafts, product, sum| {
                let (Some(a), Some(b)) = (drafts.nodes.get(product), drafts.nodes.get(sum)) else {
                    return false;
                };
                let (a, b) = (&a.node, &b.node);
                if a.operator != "MatMul" || b.operator != "Add" || b.is_ml || a.inputs.len() != 2 {
                    return false;
                }
                let (Some(weight), Some(bias)) = (drafts.floats(a, 1), drafts.floats(b, 1 - at)) else {
                    return false;
                };
                let fits = weight.shape.len() == 2
                    && bias.shape.len() == 1
                    && weight.shape.last() == bias.shape.first();
                let id = b.inputs.get(1 - at).copied().flatten();
                match drafts.nodes.get_mut(product) {
                    Some(draft) if fits => {
                        draft.node.inputs.push(id);
                        true
                    }
                    _ => false,
                }
            });
        }
    }

    /// `Add` of a residual after Conv joins the convolution as its fourth input.
    fn fuse_residual(&mut self, wanted: &[ValueId]) {
        for at in [0, 1] {
            let producers = self.producers();
            self.fuse_pairs(wanted, at, |drafts, conv, sum| {
                let (Some(a), Some(b)) = (drafts.nodes.get(conv), drafts.nodes.get(sum)) else {
                    return false;
                };
                if a.node.operator != "Conv"
                    || b.node.operator != "Add"
                    || b.node.is_ml
                    || a.node.inputs.len() > 3
                {
                    return false;
                }
                let Some(Some(other)) = b.node.inputs.get(1 - at).copied() else { return false };
                // The residual must exist before the convolution runs, and must be a computed value of equal shape:
                // only another convolution's (or its activation's) output qualifies, checked again when it runs.
                let Some(&from) = producers.get(&other) else { return false };
                let from_node = drafts.nodes.get(from).map(|d| d.node.operator.as_str());
                if from >= conv || !matches!(from_node, Some("Conv" | "Relu" | "Add" | "MaxPool")) {
                    return false;
                }
                match drafts.nodes.get_mut(conv) {
                    Some(draft) => {
                        draft.node.inputs.resize(3, None);
                        draft.node.inputs.push(Some(other));
                        true
                    }
                    None => false,
                }
            });
        }
    }

    fn fuse_relu(&mut self, wanted: &[ValueId]) {
        self.fuse_pairs(wanted, 0, |drafts, earlier, relu| {
            let is_relu = drafts.nodes.get(relu).is_some_and(|d| d.node.operator == "Relu" && !d.node.is_ml);
            match drafts.nodes.get_mut(earlier) {
                Some(draft)
                    if is_relu
                        && draft.activation == Activation::None
                        && !draft.node.is_ml
                        && matches!(draft.node.operator.as_str(), "Conv" | "Gemm" | "MatMul" | "Add") =>
                {
                    draft.activation = Activation::Relu;
                    true
                }
                _ => false,
            }
        });
    }
}
