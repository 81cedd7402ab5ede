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
mod prepare;
mod reduce;
mod shape;
mod tape;
mod unary;

use std::collections::BTreeMap;

use crate::error::{LoadError, RunError};
use crate::graph::Graph;
use crate::kernel::Isa;
use crate::limits::Limits;
use crate::model::Model;
use crate::plan::Budget;
use crate::tensor::{Dim, TensorView};
use tape::{Slots, Tape, Wanted};

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
    /// The forward pass, a part for each `fixed` rows.
    parts: Vec<Slots>,
    rows: usize,
    scores: Vec<f32>,
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
        Gradient::compile(self.graph(), output, self.limits(), self.isa())
    }

    /// The name of the value that enters the Softmax, LogSoftmax or Sigmoid that makes an output; the output itself if
    /// nothing of the kind does. Gradients of these logits do not vanish where the probabilities are saturated.
    pub fn logits<'a>(&'a self, output: &'a str) -> &'a str {
        let graph = self.graph();
        let Some(id) = graph.value(output) else { return output };
        let maker = graph.nodes.iter().find(|node| node.outputs.first() == Some(&Some(id)));
        match maker {
            Some(node) if matches!(node.operator.as_str(), "Softmax" | "LogSoftmax" | "Sigmoid") => {
                node.inputs.first().copied().flatten().map_or(output, |id| graph.name(id))
            }
            _ => output,
        }
    }
}

/// Lengths after the first dimension, and the rows of a batch if the file fixes more than one of them.
fn row_shape(graph: &Graph) -> Result<(Vec<usize>, Option<usize>), LoadError> {
    let open = |name: &str| LoadError::Unsupported {
        what: format!("gradients by input `{name}`, whose shape is open beyond the number of rows"),
    };
    let Some((_, info)) = graph.inputs.first() else { return Ok((Vec::new(), None)) };
    let Some([first, rest @ ..]) = info.shape.as_deref() else { return Err(open(&info.name)) };
    let fixed = |dim: &Dim| if let Dim::Fixed(length) = dim { Some(*length) } else { None };
    let shape: Option<Vec<usize>> = rest.iter().map(fixed).collect();
    Ok((shape.ok_or_else(|| open(&info.name))?, fixed(first)))
}

impl Gradient {
    pub(crate) fn compile(graph: &Graph, output: &str, limits: &Limits, isa: Isa) -> Result<Self, LoadError> {
        let graph = prepare::in_f32(graph)?;
        let Some(id) = graph.value(output) else {
            return Err(LoadError::Graph { what: format!("no value is named `{output}`") });
        };
        let (shape, fixed) = row_shape(&graph)?;
        let width = crate::tensor::elements(&shape).filter(|w| *w > 0 && *w <= limits.tensor_elements_max);
        let Some(width) = width else {
            return Err(LoadError::Unsupported { what: format!("gradients by an input of shape {shape:?}") });
        };
        let tape = Tape::compile(&graph, id, limits, isa, &BTreeMap::new())?;
        let limits = limits.clone();
        let (parts, scores) = (vec![Slots::new()], Vec::new());
        let mut gradient = Self { tape, limits, shape, width, classes: 1, fixed, parts, rows: 0, scores };
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
        let x = vec![0.0; rows.saturating_mul(self.width).min(self.limits.tensor_elements_max)];
        self.pass(&x, rows, Budget::of_load(&self.limits)).map_err(node)?;
        self.classes = self.scores.len() / rows.max(1);
        let (d, mut out) = (vec![0.0; self.scores.len()], vec![0.0; x.len()]);
        self.backward(&d, &mut out).map_err(node)
    }

    fn pass(&mut self, input: &[f32], rows: usize, budget: Budget) -> Result<(), RunError> {
        self.rows = 0;
        self.scores.clear();
        let each = self.fixed.unwrap_or(rows).max(1);
        let mut shape = Vec::with_capacity(self.shape.len() + 1);
        shape.push(each);
        shape.extend_from_slice(&self.shape);
        if rows == 0 || !rows.is_multiple_of(each) {
            return Err(RunError::Length { what: "batch, in rows,", expected: each, got: rows });
        }
        let count = rows / each;
        if self.parts.len() < count {
            self.parts.resize_with(count, Slots::new);
        }
        for (part, slots) in input.chunks_exact(each * self.width).zip(&mut self.parts) {
            self.tape.forward(TensorView::f32(&shape, part), slots, budget)?;
            let output = self.tape.output(slots).map_err(at_output)?;
            let values = output.f32_values().map_err(at_output)?;
            if output.shape.first() != Some(&each) || values.is_empty() {
                return Err(at_output(crate::error::OpError::new(format!(
                    "scores have shape {:?} for {each} rows; a row of scores for each input row is needed",
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
        let each = self.fixed.unwrap_or(self.rows).max(1);
        let classes = self.scores.len() / self.rows;
        let parts = cotangent.chunks_exact(each * classes).zip(out.chunks_exact_mut(each * self.width));
        for (slots, (d, out)) in self.parts.iter().zip(parts) {
            self.tape.backward(slots, d, Wanted::Input)?;
            match self.tape.input_gradient() {
                Some(values) if values.len() == out.len() => out.copy_from_slice(values),
                // Nothing flowed back: every way there is flat.
                _ => out.fill(0.0),
            }
        }
        Ok(())
    }
}

fn check(what: &'static str, expected: Option<usize>, got: usize) -> Result<(), RunError> {
    if expected == Some(got) {
        return Ok(());
    }
    Err(RunError::Length { what, expected: expected.unwrap_or(usize::MAX), got })
}

fn at_output(error: crate::error::OpError) -> RunError {
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
