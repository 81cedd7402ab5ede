//! Reverse-mode differentiation: the gradient of a model's scores by its input, exactly, from the same graph and the
//! same kernels that compute the scores.
//!
//! Method: Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM 2008 (DOI 10.1137/1.9780898717761), chapter 3.
//! Where a function has a corner the rule of PyTorch holds: Relu has slope 0 at 0, the first maximum of a pooling window
//! takes its gradient, equal arguments of Min and Max share it. NaN stays NaN.

mod adjoint;
mod binary;
mod conv;
mod conv_weights;
mod index;
mod linear_ml;
mod matrix;
mod norm;
mod pool;
pub(crate) mod prepare;
mod reduce;
mod shape;
pub(crate) mod tape;
mod unary;

use std::collections::BTreeMap;

use crate::error::{LoadError, OpError, RunError};
use crate::graph::Graph;
use crate::kernel::Isa;
use crate::limits::Limits;
use crate::model::Model;
use crate::plan::Budget;
use crate::tensor::{Dim, TensorView};
use tape::{Slots, Tape, Wanted};

/// Bytes of values that are to stay in the cache between forward and back: a quarter of a common second-level cache.
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes of values of one row from which on they do not fit the cache anyway.
const CACHED_BYTES_MAX: usize = 1 << 20;
/// Rows computed together of such large ones.
const LARGE_ROWS: usize = 32;

/// Fills the derivative of a loss by the scores of some rows: number of the first row, its and the next rows' scores,
/// and the place for as many derivatives.
pub type Loss<'a> = dyn FnMut(usize, &[f32], &mut [f32]) + 'a;

/// A model with the way back: scores forward, and vector-Jacobian products backward. Made by [`Model::differentiate`].
///
/// It keeps the values of one forward pass and its buffers, so use one for each thread, batch after batch.
pub struct Gradient {
    tape: Tape,
    limits: Limits,
    /// Lengths of the input's dimensions after the first.
    shape: Vec<usize>,
    width: usize,
    classes: usize,
    /// Rows of a batch, where the file fixes them.
    fixed: Option<usize>,
    /// Rows computed together.
    together: usize,
    /// The forward pass, in parts.
    parts: Vec<Slots>,
    rows: usize,
    scores: Vec<f32>,
    /// Kept for [`Gradient::both`].
    joined: Vec<f32>,
}

impl std::fmt::Debug for Gradient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gradient")
            .field("width", &self.width)
            .field("classes", &self.classes)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Compiles the gradient of an output (or of any float value of the graph, by name) with respect to the model's input.
    ///
    /// The output has one row for each input row: `[n, K]`, `[n, 1]` or `[n]`. The model has one input with a fixed shape
    /// beyond its first dimension; float64 is computed as float32, an integer input as real numbers if the model makes
    /// it a float at once.
    ///
    /// # Errors
    /// [`LoadError::NotDifferentiable`] names the operator without a derivative (tree ensembles, for one);
    /// [`LoadError::Unsupported`] a model with several inputs or open dimensions; [`LoadError::Graph`] an unknown name.
    pub fn differentiate(&self, output: &str) -> Result<Gradient, LoadError> {
        Gradient::compile(self.graph(), output, &[], self.limits(), self.isa())
    }

    /// As [`Model::differentiate`], for a model whose input shape is open beyond the number of rows: `row` are the
    /// lengths of the dimensions of one row, for example `[30]`. They must agree with what the file declares.
    ///
    /// # Errors
    /// As [`Model::differentiate`].
    pub fn differentiate_rows(&self, output: &str, row: &[usize]) -> Result<Gradient, LoadError> {
        Gradient::compile(self.graph(), output, row, self.limits(), self.isa())
    }

    /// The name of the value that enters the Softmax, LogSoftmax or Sigmoid that makes an output; the output itself if
    /// nothing of the kind does. Gradients of these logits do not vanish where the probabilities are saturated.
    pub fn logits<'a>(&'a self, output: &'a str) -> &'a str {
        self.squashed(output).map_or(output, |(_, before)| before)
    }

    /// The Softmax, LogSoftmax or Sigmoid of ai.onnx that makes an output, and the name of the value that enters it.
    pub(crate) fn squashed(&self, output: &str) -> Option<(&str, &str)> {
        let graph = self.graph();
        let id = graph.value(output)?;
        let maker = graph.nodes.iter().find(|node| node.outputs.first() == Some(&Some(id)) && !node.is_ml)?;
        let operator = maker.operator.as_str();
        let before = maker.inputs.first().copied().flatten()?;
        matches!(operator, "Softmax" | "LogSoftmax" | "Sigmoid").then(|| (operator, graph.name(before)))
    }
}

/// Lengths after the first dimension (`given` fills what the file leaves open), and the rows of a batch if the file
/// fixes them.
pub(crate) fn row_shape(graph: &Graph, given: &[usize]) -> Result<(Vec<usize>, Option<usize>), LoadError> {
    let Some((_, info)) = graph.inputs.first() else { return Ok((Vec::new(), None)) };
    let open = || LoadError::Unsupported {
        what: format!(
            "gradients by input `{}`, whose shape is {} (give the shape of a row)",
            info.name,
            info.describe()
        ),
    };
    let fixed = |dim: &Dim| if let Dim::Fixed(length) = dim { Some(*length) } else { None };
    let Some([first, rest @ ..]) = info.shape.as_deref() else {
        return if given.is_empty() { Err(open()) } else { Ok((given.to_vec(), None)) };
    };
    let length = |(at, dim): (usize, &Dim)| match (fixed(dim), given.get(at)) {
        (Some(a), Some(b)) if a != *b => None,
        (Some(a), _) => Some(a),
        (None, b) => b.copied(),
    };
    let shape: Option<Vec<usize>> = rest.iter().enumerate().map(length).collect();
    let fits = given.is_empty() || given.len() == rest.len();
    Ok((shape.filter(|_| fits).ok_or_else(open)?, fixed(first)))
}

impl Gradient {
    pub(crate) fn compile(
        graph: &Graph,
        output: &str,
        row: &[usize],
        limits: &Limits,
        isa: Isa,
    ) -> Result<Self, LoadError> {
        let graph = prepare::in_f32(graph)?;
        let Some(id) = graph.value(output) else {
            return Err(LoadError::Graph { what: format!("no value is named `{output}`") });
        };
        let (shape, fixed) = row_shape(&graph, row)?;
        let width = crate::tensor::elements(&shape).filter(|w| *w > 0 && *w <= limits.tensor_elements_max);
        let Some(width) = width else {
            return Err(LoadError::Unsupported { what: format!("gradients by an input of shape {shape:?}") });
        };
        let tape = Tape::compile(&graph, id, limits, isa, &BTreeMap::new())?;
        let limits = limits.clone();
        let (parts, scores) = (vec![Slots::new()], Vec::new());
        let mut gradient = Self {
            tape,
            limits,
            shape,
            width,
            classes: 1,
            fixed,
            together: 1,
            parts,
            rows: 0,
            scores,
            joined: Vec::new(),
        };
        gradient.trial()?;
        Ok(gradient)
    }

    /// Values of one input row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Scores of one row.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Lengths of the dimensions of one input row, for example `[1, 28, 28]`.
    pub fn row_shape(&self) -> &[usize] {
        &self.shape
    }

    /// Forward and back once on zeros: shapes that do not fit are found here, and the number of scores.
    fn trial(&mut self) -> Result<(), LoadError> {
        let node = |error| match error {
            RunError::Node { operator, node, what } => LoadError::Node { operator, node, what },
            other => LoadError::Graph { what: other.to_string() },
        };
        let rows = self.fixed.unwrap_or(1);
        self.together = rows;
        let x = vec![0.0; rows.saturating_mul(self.width).min(self.limits.tensor_elements_max)];
        self.pass(&x, rows, Budget::of_load(&self.limits)).map_err(node)?;
        self.classes = self.scores.len() / rows.max(1);
        if self.fixed.is_none() {
            let held = self.parts.iter().flatten().flatten().map(|value| value.data.len() * 4).sum::<usize>();
            // Values of a row that fit the cache should stay there on the way back; of larger ones several rows
            // together use the weights more than once.
            self.together =
                if held > CACHED_BYTES_MAX { LARGE_ROWS } else { (CHUNK_BYTES / held.max(1)).max(1) };
        }
        let (d, mut out) = (vec![0.0; self.scores.len()], vec![0.0; x.len()]);
        self.backward(&d, &mut out).map_err(node)?;
        self.rows = 0;
        Ok(())
    }

    fn pass(&mut self, input: &[f32], rows: usize, budget: Budget) -> Result<(), RunError> {
        self.rows = 0;
        self.scores.clear();
        if rows == 0 || self.fixed.is_some_and(|each| each == 0 || !rows.is_multiple_of(each)) {
            return Err(RunError::Length {
                what: "batch, in rows,",
                expected: self.fixed.unwrap_or(1),
                got: rows,
            });
        }
        let mut shape: Vec<usize> = std::iter::once(0).chain(self.shape.iter().copied()).collect();
        let parts = input.chunks(self.together.saturating_mul(self.width).max(1));
        if self.parts.len() < parts.len() {
            self.parts.resize_with(parts.len(), Slots::new);
        }
        for (part, slots) in parts.zip(&mut self.parts) {
            let count = part.len() / self.width.max(1);
            if let Some(first) = shape.first_mut() {
                *first = count;
            }
            self.tape.forward(TensorView::f32(&shape, part), slots, budget)?;
            let output = self.tape.output(slots).map_err(at_output)?;
            let values = output.f32_values().map_err(at_output)?;
            if output.shape.first() != Some(&count) || values.is_empty() {
                return Err(at_output(OpError::new(format!(
                    "scores have shape {:?} for {count} rows; a row of scores for each input row is needed",
                    output.shape
                ))));
            }
            self.scores.extend_from_slice(values);
        }
        self.rows = rows;
        Ok(())
    }

    /// Scores of `rows` input rows (`rows x width` values, row-major), `rows x classes`. Keeps what [`Gradient::backward`]
    /// needs until the next call.
    ///
    /// # Errors
    /// [`RunError::Length`] if the number of values or rows does not fit; [`RunError::Node`] if an operator could not run.
    pub fn forward(&mut self, input: &[f32], rows: usize) -> Result<&[f32], RunError> {
        check("input", rows.checked_mul(self.width), input.len())?;
        self.pass(input, rows, Budget::of_run(&self.limits))?;
        check("scores", rows.checked_mul(self.classes), self.scores.len())?;
        Ok(&self.scores)
    }

    /// The scores of the last forward pass.
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }

    /// The vector-Jacobian product of the last forward pass: for each row the sum over its scores of `cotangent` times
    /// the gradient of the score by the input. `cotangent` is `rows x classes`, `out` is `rows x width`; for the gradient
    /// of a loss, `cotangent` is the derivative of the loss by the scores. May be called again with other cotangents.
    ///
    /// NaN and infinite gradients are given as they are; a row of zeros means that the model is flat there.
    ///
    /// # Errors
    /// [`RunError::NoForward`] without a forward pass; [`RunError::Length`] if the number of values does not fit.
    pub fn backward(&mut self, cotangent: &[f32], out: &mut [f32]) -> Result<(), RunError> {
        if self.rows == 0 {
            return Err(RunError::NoForward);
        }
        check("cotangent", Some(self.scores.len()), cotangent.len())?;
        check("gradient", self.rows.checked_mul(self.width), out.len())?;
        let (each, classes) = (self.together.max(1), self.scores.len() / self.rows);
        let parts =
            cotangent.chunks(each.saturating_mul(classes).max(1)).zip(out.chunks_mut(each * self.width));
        for (slots, (d, out)) in self.parts.iter().zip(parts) {
            part_back(&mut self.tape, slots, d, out)?;
        }
        Ok(())
    }

    /// Forward and back in one go, a few rows at a time, so that nothing leaves the cache in between: the fastest way
    /// to a gradient of a loss. `loss` is called with the number of the first row, the scores of some rows from there
    /// on, and their cotangent to fill (as many values); `out` gets the gradients, `rows x width`. There is no
    /// [`Gradient::backward`] after it, and [`Gradient::scores`] has the scores of all rows.
    ///
    /// # Errors
    /// As [`Gradient::forward`] and [`Gradient::backward`].
    pub fn both(
        &mut self,
        input: &[f32],
        rows: usize,
        loss: &mut Loss<'_>,
        out: &mut [f32],
    ) -> Result<(), RunError> {
        check("input", rows.checked_mul(self.width), input.len())?;
        check("gradient", rows.checked_mul(self.width), out.len())?;
        let mut all = std::mem::take(&mut self.joined);
        all.clear();
        let (width, step) = (self.width, self.together.saturating_mul(self.width).max(1));
        let mut cotangent = Vec::new();
        for (at, (x, out)) in input.chunks(step).zip(out.chunks_mut(step)).enumerate() {
            self.pass(x, x.len() / width.max(1), Budget::of_run(&self.limits))?;
            cotangent.clear();
            cotangent.resize(self.scores.len(), 0.0);
            loss(at * self.together, &self.scores, &mut cotangent);
            if let Some(slots) = self.parts.first() {
                part_back(&mut self.tape, slots, &cotangent, out)?;
            }
            all.extend_from_slice(&self.scores);
        }
        self.rows = 0;
        self.joined = std::mem::replace(&mut self.scores, all);
        check("scores", rows.checked_mul(self.classes), self.scores.len())
    }
}

/// Back through one part of the rows.
fn part_back(tape: &mut Tape, slots: &Slots, d: &[f32], out: &mut [f32]) -> Result<(), RunError> {
    tape.backward(slots, d, Wanted::Input)?;
    match tape.input_gradient() {
        Some(values) if values.len() == out.len() => out.copy_from_slice(values),
        // Nothing flowed back: every way there is flat.
        _ => out.fill(0.0),
    }
    Ok(())
}

fn check(what: &'static str, expected: Option<usize>, got: usize) -> Result<(), RunError> {
    if expected == Some(got) {
        return Ok(());
    }
    Err(RunError::Length { what, expected: expected.unwrap_or(usize::MAX), got })
}

fn at_output(error: OpError) -> RunError {
    RunError::Node { operator: "output".to_owned(), node: String::new(), what: error.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ValueId;
    use crate::tensor::{Tensor, TensorData};
    use std::collections::BTreeSet;
    use std::sync::Arc;

    const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/");

    fn noise(seed: u64, count: usize) -> Vec<f32> {
        let mut rng = numeric::Rng::new(seed, 0);
        (0..count).map(|_| rng.normal() as f32).collect()
    }

    fn tensor(json: &serde_json::Value) -> Option<Tensor> {
        let shape = json["shape"].as_array()?.iter().map(|d| d.as_u64().unwrap() as usize).collect();
        let values = json["values"].as_array()?;
        let data = match json["kind"].as_str()? {
            "f32" => TensorData::F32(values.iter().map(|v| v.as_f64().unwrap_or(f64::NAN) as f32).collect()),
            "i64" => TensorData::I64(values.iter().map(|v| v.as_i64().unwrap()).collect()),
            "i32" => TensorData::I32(values.iter().map(|v| v.as_i64().unwrap() as i32).collect()),
            "bool" => TensorData::Bool(values.iter().map(|v| v.as_bool().unwrap()).collect()),
            _ => return None,
        };
        Some(Tensor { shape, data })
    }

    /// The graph with every input but one fixed to a value.
    fn with_one_input(graph: &Graph, open: ValueId, held: &[(ValueId, Tensor)]) -> Graph {
        let mut graph = graph.clone();
        graph.inputs.retain(|(id, _)| *id == open);
        for (id, value) in held {
            if *id != open {
                graph.initializers.insert(*id, Arc::new(value.clone()));
            }
        }
        graph
    }

    struct Probe {
        tape: Tape,
        slots: Slots,
        shape: Vec<usize>,
        weight: Vec<f32>,
    }

    impl Probe {
        /// Whether the output is of floats (labels are not).
        fn is_float(&mut self, x: &[f32]) -> bool {
            let budget = Budget::of_run(&Limits::default());
            self.tape.forward(TensorView::f32(&self.shape, x), &mut self.slots, budget).unwrap();
            self.tape.output(&self.slots).unwrap().f32_values().is_ok()
        }

        /// The sum of the outputs, each times its weight, in float64.
        fn value(&mut self, x: &[f32]) -> f64 {
            let budget = Budget::of_run(&Limits::default());
            self.tape.forward(TensorView::f32(&self.shape, x), &mut self.slots, budget).unwrap();
            let y = self.tape.output(&self.slots).unwrap();
            let y = y.f32_values().unwrap();
            if self.weight.len() != y.len() {
                self.weight = noise(5, y.len());
            }
            y.iter().zip(&self.weight).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
        }

        fn gradient(&mut self, x: &[f32]) -> Vec<f32> {
            self.value(x);
            let weight = self.weight.clone();
            self.tape.backward(&self.slots, &weight, Wanted::Input).unwrap();
            self.tape.input_gradient().map_or_else(|| vec![0.0; x.len()], <[f32]>::to_vec)
        }

        /// Compares with central differences; entries at corners are left out. Gives how many were compared.
        fn compare(&mut self, name: &str, x: &[f32], wrong: &mut Vec<String>) -> usize {
            let got = self.gradient(x);
            let here = self.value(x);
            let mut compared = 0;
            let every = x.len().div_ceil(40).max(1);
            for at in (0..x.len()).step_by(every) {
                let mut moved = x.to_vec();
                let h = 5e-3 * x[at].abs().max(1.0);
                moved[at] = x[at] + h;
                let (up, above) = (moved[at], self.value(&moved));
                moved[at] = x[at] - h;
                let (down, below) = (moved[at], self.value(&moved));
                let slope = (above - below) / f64::from(up - down);
                let sides =
                    ((above - here) / f64::from(up - x[at]), (here - below) / f64::from(x[at] - down));
                let scale = 1.0 + slope.abs() + here.abs() * 0.05;
                if !slope.is_finite() || (sides.0 - sides.1).abs() > 0.02 * scale {
                    continue;
                }
                compared += 1;
                let apart = (f64::from(got[at]) - slope).abs();
                if apart.is_nan() || apart > 6e-3 * scale {
                    wrong.push(format!("{name}, value {at}: {} for {slope}", got[at]));
                }
            }
            compared
        }
    }

    #[test]
    fn every_operator_agrees_with_finite_differences() {
        let index = std::fs::read(format!("{GOLDENS}operators.json")).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        let models = std::fs::read(format!("{GOLDENS}operators.onnxs")).unwrap();
        let (mut wrong, mut covered, mut refused) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let mut compared = 0;
        for (number, case) in index["cases"].as_array().unwrap().iter().enumerate() {
            let operator = case["operator"].as_str().unwrap();
            let from = case["model_at"].as_u64().unwrap() as usize;
            let bytes = &models[from..from + case["model_bytes"].as_u64().unwrap() as usize];
            let model = Model::load(bytes, &Limits::default()).unwrap();
            let named = case["inputs"].as_array().unwrap();
            let held: Option<Vec<(ValueId, Tensor)>> =
                named.iter().map(|v| Some((model.graph().value(v["name"].as_str()?)?, tensor(v)?))).collect();
            let Some(held) = held else { continue };
            for (open, x) in &held {
                let Some(values) = x.as_f32() else { continue };
                let graph = with_one_input(model.graph(), *open, &held);
                for (output, _) in &graph.outputs {
                    for isa in Isa::all() {
                        let limits = Limits::default();
                        let tape = match Tape::compile(&graph, *output, &limits, isa, &BTreeMap::new()) {
                            Ok(tape) => tape,
                            Err(error) => {
                                refused.insert(format!("{operator}: {error}"));
                                continue;
                            }
                        };
                        let mut probe =
                            Probe { tape, slots: Slots::new(), shape: x.shape.clone(), weight: Vec::new() };
                        if !probe.is_float(values) {
                            continue;
                        }
                        let name =
                            format!("{operator} (case {number}, {} by {})", isa.name(), graph.name(*open));
                        compared += probe.compare(&name, values, &mut wrong);
                        covered.insert(operator.to_owned());
                    }
                }
            }
        }
        // No derivative: what is flat, trees, and three rare forms.
        for what in &refused {
            let known = [": operator `output`", "trees are flat", "post_transform", "norm `MAX`", "products"];
            assert!(known.iter().any(|k| what.contains(k)), "{what}");
        }
        assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
        assert!(covered.len() > 50 && compared > 5_000, "{} operators, {compared} values", covered.len());
    }
}
