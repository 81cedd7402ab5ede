//! The public face: load a model from bytes, ask what it is, run it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::{LoadError, RunError};
use crate::graph::{Graph, ValueId};
use crate::kernel::Isa;
use crate::limits::Limits;
use crate::plan::{Budget, Plan};
use crate::proto;
use crate::tensor::{DataType, Dim, Tensor, TensorView, ValueInfo, ViewData, each_type, elements};
use crate::value::Scratch;

/// What a model file says about itself, and what was counted in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// ONNX file format version.
    pub ir_version: i64,
    /// Operator sets imported, by domain (`""` is the default domain).
    pub opsets: Vec<(String, i64)>,
    /// Program that wrote the file, and its version; either may be empty.
    pub producer: String,
    /// Version of that program.
    pub producer_version: String,
    /// Name of the graph.
    pub graph_name: String,
    /// Version the producer gave the model.
    pub model_version: i64,
    /// Free text of the producer, cut at `name_bytes_max`.
    pub doc: String,
    /// Key and value pairs of the producer.
    pub metadata: Vec<(String, String)>,
    /// How many nodes there are of each operator (`ai.onnx.ml.` in front of that domain's).
    pub operators: BTreeMap<String, usize>,
    /// Values held in initializers of float type (trainable parameters and constants alike).
    pub parameters: u64,
}

/// A model ready to run. It is immutable: share it between threads, one [`Scratch`] each.
#[derive(Debug, Clone)]
pub struct Model {
    graph: Arc<Graph>,
    plan: Arc<Plan>,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
    summary: Arc<Summary>,
    limits: Limits,
    isa: Isa,
}

/// Operator set versions of the default domain that are covered.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=21;
/// Operator set versions of `ai.onnx.ml` that are covered.
const OPSETS_ML: std::ops::RangeInclusive<i64> = 1..=4;

impl Model {
    /// Parses, checks and compiles a model.
    ///
    /// Shapes are checked by a trial run on zeros with every batch dimension 1, when all other dimensions are declared.
    ///
    /// # Errors
    /// [`LoadError`] says what in the file is malformed, too large, not covered or inconsistent, and where.
    pub fn load(bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        Self::load_on(bytes, limits, Isa::detect())
    }

    pub(crate) fn load_on(bytes: &[u8], limits: &Limits, isa: Isa) -> Result<Self, LoadError> {
        if bytes.len() > limits.file_bytes_max {
            let (got, max) = (bytes.len() as u64, limits.file_bytes_max as u64);
            return Err(LoadError::Limit { what: "model file bytes", got, max });
        }
        let mut raw = proto::model(bytes, limits)?;
        let Some(raw_graph) = raw.graph.take() else {
            return Err(LoadError::Malformed { what: "no graph in the file", at: 0 });
        };
        let (opset, opset_ml) = opsets(&raw.opsets)?;
        let graph_name = raw_graph.name.clone();
        let graph = Graph::build(raw_graph, opset, opset_ml, limits)?;
        if graph.outputs.is_empty() {
            return Err(LoadError::Graph { what: "it has no outputs".to_owned() });
        }
        let summary = summarise(raw, graph_name, &graph);
        let wanted: Vec<ValueId> = graph.outputs.iter().map(|(id, _)| *id).collect();
        let plan = Plan::compile(&graph, &wanted, limits, isa)?;
        let model = Self {
            inputs: graph.inputs.iter().map(|(_, info)| info.clone()).collect(),
            outputs: graph.outputs.iter().map(|(_, info)| info.clone()).collect(),
            graph: Arc::new(graph),
            plan: Arc::new(plan),
            summary: Arc::new(summary),
            limits: limits.clone(),
            isa,
        };
        model.trial()?;
        Ok(model)
    }

    /// The inputs to give, in the file's order.
    pub fn inputs(&self) -> &[ValueInfo] {
        &self.inputs
    }

    /// The outputs, in the order [`Model::run`] gives them (taps last).
    pub fn outputs(&self) -> &[ValueInfo] {
        &self.outputs
    }

    /// What the file says about itself.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The graph as the file states it.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// The same model with intermediate values as further outputs, after its own. Compile once and keep it: operators
    /// are not fused across a tap.
    ///
    /// # Errors
    /// [`LoadError::Graph`] if no value has one of the names.
    pub fn with_taps(&self, names: &[&str]) -> Result<Self, LoadError> {
        let mut wanted: Vec<ValueId> = self.graph.outputs.iter().map(|(id, _)| *id).collect();
        let mut outputs = self.graph.outputs.iter().map(|(_, info)| info.clone()).collect::<Vec<_>>();
        for name in names {
            let Some(id) = self.graph.value(name) else {
                return Err(LoadError::Graph { what: format!("no value is named `{name}`") });
            };
            if !wanted.contains(&id) {
                wanted.push(id);
                outputs.push(ValueInfo { name: (*name).to_owned(), data_type: None, shape: None });
            }
        }
        let plan = Plan::compile(&self.graph, &wanted, &self.limits, self.isa)?;
        Ok(Self { plan: Arc::new(plan), outputs, ..self.clone() })
    }

    /// The name of the value that enters the last Gemm or MatMul: the features a classifier's last layer sees.
    /// `None` if there is no such layer or its input is the model's own input (a linear model).
    pub fn penultimate(&self) -> Option<&str> {
        let is_last = |operator: &str| matches!(operator, "Gemm" | "MatMul");
        let last = self.graph.nodes.iter().rev().find(|node| !node.is_ml && is_last(&node.operator))?;
        let id = last.inputs.first().copied().flatten()?;
        let outside = self.graph.inputs.iter().any(|(input, _)| *input == id);
        (!outside && !self.graph.initializers.contains_key(&id)).then(|| self.graph.name(id))
    }

    /// Runs the model on one thread. Inputs may be in any order; outputs come in the order of [`Model::outputs`].
    /// NaN and infinite values are computed with, not refused.
    ///
    /// # Errors
    /// [`RunError`] says which input does not fit, or which operator could not run.
    pub fn run(
        &self,
        inputs: &[(&str, TensorView<'_>)],
        scratch: &mut Scratch,
    ) -> Result<Vec<(String, Tensor)>, RunError> {
        let ordered = self.ordered(inputs)?;
        let tensors = self.plan.run(&ordered, scratch, Budget::of_run(&self.limits))?;
        Ok(self.outputs.iter().map(|info| info.name.clone()).zip(tensors).collect())
    }

    /// The views in the model's order, checked.
    fn ordered<'a>(&self, inputs: &[(&str, TensorView<'a>)]) -> Result<Vec<TensorView<'a>>, RunError> {
        if let Some((name, _)) = inputs.iter().find(|(name, _)| !self.inputs.iter().any(|i| i.name == *name))
        {
            let known: Vec<String> = self.inputs.iter().map(|i| format!("`{}`", i.name)).collect();
            return Err(RunError::UnknownInput { name: (*name).to_owned(), known: known.join(", ") });
        }
        let mut symbols: HashMap<&str, usize> = HashMap::new();
        let mut ordered = Vec::with_capacity(self.inputs.len());
        for info in &self.inputs {
            let mut given = inputs.iter().filter(|(name, _)| *name == info.name);
            let Some((_, view)) = given.next() else {
                return Err(RunError::MissingInput { name: info.name.clone(), expected: info.describe() });
            };
            if given.next().is_some() {
                return Err(RunError::DuplicateInput { name: info.name.clone() });
            }
            if !fits(info, view, &mut symbols) {
                return Err(RunError::InputMismatch {
                    name: info.name.clone(),
                    expected: info.describe(),
                    got: format!(
                        "{} {:?} with {} values",
                        view.data.data_type(),
                        view.shape,
                        view.data.len()
                    ),
                });
            }
            ordered.push(*view);
        }
        Ok(ordered)
    }

    /// Runs on zeros once, so that shapes that do not fit are found while loading.
    fn trial(&self) -> Result<(), LoadError> {
        let mut shapes = Vec::with_capacity(self.inputs.len());
        for info in &self.inputs {
            let Some(dims) = &info.shape else { return Ok(()) };
            // Zeros are fair values for floats; for integers they may be divisors, steps or lengths.
            if !matches!(info.data_type, Some(DataType::F32 | DataType::F64)) {
                return Ok(());
            }
            let mut shape = Vec::with_capacity(dims.len());
            for (at, dim) in dims.iter().enumerate() {
                match dim {
                    Dim::Fixed(length) => shape.push(*length),
                    _ if at == 0 => shape.push(1),
                    _ => return Ok(()),
                }
            }
            let count = elements(&shape).filter(|count| *count <= self.limits.tensor_elements_max);
            let Some(count) = count else {
                return Err(LoadError::Graph { what: format!("input `{}` is too large", info.name) });
            };
            shapes.push((shape, count, info.data_type.unwrap_or(DataType::F32)));
        }
        let tensors: Vec<Tensor> =
            shapes.into_iter().map(|(shape, count, data_type)| zeros(shape, count, data_type)).collect();
        let views: Vec<TensorView<'_>> = tensors.iter().map(Tensor::view).collect();
        match self.plan.run(&views, &mut Scratch::new(), Budget::of_load(&self.limits)) {
            Ok(_) => Ok(()),
            Err(RunError::Node { operator, node, what }) => Err(LoadError::Node { operator, node, what }),
            Err(other) => Err(LoadError::Graph { what: other.to_string() }),
        }
    }
}

fn zeros(shape: Vec<usize>, count: usize, data_type: DataType) -> Tensor {
    use crate::tensor::TensorData as D;
    let data = match data_type {
        DataType::F32 => D::F32(vec![0.0; count]),
        DataType::F64 => D::F64(vec![0.0; count]),
        DataType::I64 => D::I64(vec![0; count]),
        DataType::I32 => D::I32(vec![0; count]),
        DataType::I8 => D::I8(vec![0; count]),
        DataType::U8 => D::U8(vec![0; count]),
        DataType::Bool => D::Bool(vec![false; count]),
        DataType::Text => D::Text(vec![String::new(); count]),
    };
    Tensor { shape, data }
}

fn fits<'s>(info: &'s ValueInfo, view: &TensorView<'_>, symbols: &mut HashMap<&'s str, usize>) -> bool {
    let count = each_type!(view.data, ViewData, v => v.len());
    if elements(view.shape) != Some(count) || count == 0 {
        return false;
    }
    if info.data_type.is_some_and(|t| t != view.data.data_type()) {
        return false;
    }
    let Some(dims) = &info.shape else { return true };
    dims.len() == view.shape.len()
        && dims.iter().zip(view.shape).all(|(dim, &length)| match dim {
            Dim::Fixed(fixed) => *fixed == length,
            Dim::Symbolic(name) => *symbols.entry(name).or_insert(length) == length,
            Dim::Unknown => true,
        })
}

/// Versions of the two covered domains; other imports are allowed as long as no node uses them.
fn opsets(imports: &[(String, i64)]) -> Result<(i64, i64), LoadError> {
    let version =
        |names: &[&str]| imports.iter().find(|(d, _)| names.contains(&d.as_str())).map_or(0, |(_, v)| *v);
    let (main, ml) = (version(&["", "ai.onnx"]), version(&["ai.onnx.ml"]));
    if main == 0 && ml == 0 {
        return Err(LoadError::Malformed { what: "no operator set is imported", at: 0 });
    }
    for (version, covered, domain) in [(main, OPSETS, "ai.onnx"), (ml, OPSETS_ML, "ai.onnx.ml")] {
        if version != 0 && !covered.contains(&version) {
            let what = format!(
                "operator set {version} of `{domain}` (covered: {} to {})",
                covered.start(),
                covered.end()
            );
            return Err(LoadError::Unsupported { what });
        }
    }
    Ok((main, ml))
}

fn summarise(raw: proto::RawModel, graph_name: String, graph: &Graph) -> Summary {
    let mut operators = BTreeMap::new();
    for node in &graph.nodes {
        let prefix = if node.is_ml { "ai.onnx.ml." } else { "" };
        *operators.entry(format!("{prefix}{}", node.operator)).or_insert(0) += 1;
    }
    let is_float = |t: &&Arc<Tensor>| matches!(t.data_type(), DataType::F32 | DataType::F64);
    Summary {
        ir_version: raw.ir_version,
        opsets: raw.opsets,
        producer: raw.producer,
        producer_version: raw.producer_version,
        graph_name,
        model_version: raw.model_version,
        doc: raw.doc,
        metadata: raw.metadata,
        operators,
        parameters: graph.initializers.values().filter(is_float).map(|t| t.data.len() as u64).sum(),
    }
}

/// Loads arbitrary bytes under tight limits, and differentiates what loads; for fuzzing. Must return for every input.
pub fn fuzz_load(bytes: &[u8]) {
    let limits = Limits {
        file_bytes_max: 4 << 20,
        nodes_max: 500,
        tensor_elements_max: 1 << 20,
        activation_bytes_max: 64 << 20,
        work_max: 1 << 28,
        load_work_max: 1 << 26,
        tree_nodes_max: 100_000,
        ..Limits::default()
    };
    let Ok(model) = Model::load(bytes, &limits) else { return };
    for output in model.outputs() {
        if let Ok(mut gradient) = model.differentiate(&output.name) {
            let (x, mut out) = (vec![0.5; gradient.width()], vec![0.0; gradient.width()]);
            let mut ones = |_: usize, _: &[f32], d: &mut [f32]| d.fill(1.0);
            let _ = gradient.both(&x, 1, &mut ones, &mut out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/");

    fn spread(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 % 1013) as f32 / 506.5 - 1.0) * 3.0).collect()
    }

    fn run(model: &Model, x: &[f32], shape: &[usize]) -> Vec<(String, Tensor)> {
        let name = model.inputs()[0].name.clone();
        model.run(&[(&name, TensorView::f32(shape, x))], &mut Scratch::new()).unwrap()
    }

    #[test]
    fn every_instruction_set_gives_the_same_scores() {
        let index = std::fs::read(format!("{GOLDENS}operators.json")).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        let models = std::fs::read(format!("{GOLDENS}operators.onnxs")).unwrap();
        let mut compared = 0;
        for case in index["cases"].as_array().unwrap() {
            if !matches!(
                case["operator"].as_str(),
                Some("Conv" | "Gemm" | "MatMul" | "MaxPool" | "AveragePool")
            ) {
                continue;
            }
            let from = case["model_at"].as_u64().unwrap() as usize;
            let bytes = &models[from..from + case["model_bytes"].as_u64().unwrap() as usize];
            let mut first: Option<Vec<f32>> = None;
            for isa in Isa::all() {
                let model = Model::load_on(bytes, &Limits::default(), isa).unwrap();
                if model.inputs().len() > 1 {
                    continue;
                }
                let dims = model.inputs()[0].shape.clone().unwrap();
                let shape: Vec<usize> =
                    dims.iter().map(|d| if let Dim::Fixed(n) = d { *n } else { 2 }).collect();
                let out = run(&model, &spread(shape.iter().product()), &shape);
                let got = out[0].1.as_f32().unwrap().to_vec();
                match &first {
                    None => first = Some(got),
                    Some(want) => {
                        compared += 1;
                        for (a, b) in got.iter().zip(want) {
                            let close = (a - b).abs() <= 1e-5 * (1.0 + b.abs().max(10.0));
                            assert!(close, "{} on {}: {a} for {b}", case["operator"], isa.name());
                        }
                    }
                }
            }
        }
        assert!(compared > 0 || Isa::all().len() == 1);
    }

    #[test]
    fn a_tap_gives_the_features_before_the_last_layer() {
        let bytes = std::fs::read(format!("{GOLDENS}sklearn/mlp.onnx")).unwrap();
        let model = Model::load(&bytes, &Limits::default()).unwrap();
        let name = model.penultimate().unwrap().to_owned();
        let tapped = model.with_taps(&[&name]).unwrap();
        let x = spread(8);
        let (plain, both) = (run(&model, &x, &[2, 4]), run(&tapped, &x, &[2, 4]));
        assert_eq!(plain[..], both[..plain.len()]);
        let (last, features) = both.last().unwrap();
        assert_eq!((last.as_str(), &features.shape[..]), (name.as_str(), &[2, 6][..]));
        assert!(model.with_taps(&["nothing"]).is_err());
    }

    #[test]
    fn a_batch_gives_what_its_rows_give_alone() {
        for file in ["sklearn/forest_two.onnx", "sklearn/boosting_two.onnx", "sklearn/logistic_scaled.onnx"] {
            let bytes = std::fs::read(format!("{GOLDENS}{file}")).unwrap();
            let model = Model::load(&bytes, &Limits::default()).unwrap();
            let x: Vec<f32> = spread(30 * 19).iter().map(|v| v * 100.0).collect();
            let all = run(&model, &x, &[19, 30]);
            let all = all[1].1.as_f32().unwrap();
            for (row, want) in x.chunks_exact(30).zip(all.chunks_exact(2)) {
                assert_eq!(run(&model, row, &[1, 30])[1].1.as_f32().unwrap(), want, "{file}");
            }
        }
    }

    #[test]
    fn the_summary_says_what_is_in_the_file() {
        let bytes = std::fs::read(format!("{GOLDENS}sklearn/mlp.onnx")).unwrap();
        let summary = Model::load(&bytes, &Limits::default()).unwrap().summary().clone();
        assert_eq!(summary.producer, "skl2onnx");
        assert_eq!(summary.operators.get("MatMul"), Some(&3));
        assert_eq!(summary.operators.get("ai.onnx.ml.Scaler"), Some(&1));
    }
}
