//! Training of small models: any differentiable ONNX file, or a fresh [`Architecture`], by gradient descent on one thread.
//!
//! The same data, options and seed give the same weights, bit for bit, on machines with the same vector instructions.
//! Normalisations use the statistics that the file holds, and dropout is left out, while training too.

mod architecture;
mod export;
mod loss;
mod optimizer;
mod parameters;
mod trainer;
mod trees;
mod writer;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use thiserror::Error;

pub use architecture::{Architecture, logistic, mlp, small_cnn};
pub use optimizer::Optimizer;
pub use trainer::{Continued, Recipe, SmallModels};
pub use trees::BoostedTrees;

use crate::error::{LoadError, RunError};
use crate::grad::tape::{Slots, Tape, Wanted};
use crate::grad::{prepare, row_shape};
use crate::graph::{Graph, ValueId};
use crate::kernel::Isa;
use crate::limits::Limits;
use crate::model::Model;
use crate::plan::Budget;
use crate::tensor::{Tensor, TensorView};
use numeric::Rng;

/// Why a model could not be trained.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum TrainError {
    /// The model, or a model made here, is not accepted.
    #[error(transparent)]
    Model(#[from] LoadError),
    /// An operator could not run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// No weight was found.
    #[error("the model has no weights that can be trained; use an architecture of its own, such as `mlp`")]
    NoWeights,
    /// The data do not fit the model.
    #[error("training data do not fit: {what}")]
    Data {
        /// What does not fit.
        what: String,
    },
    /// The loss is not a number any more.
    #[error("the loss is {loss} in epoch {epoch}; lower the learning rate and look for NaN in the data")]
    Diverged {
        /// Epoch, counted from 0.
        epoch: usize,
        /// The loss.
        loss: f64,
    },
}

/// Where the first weights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// Those of the file.
    Kept,
    /// Drawn anew with this seed (He's initialisation).
    Fresh {
        /// Seed.
        seed: u64,
    },
}

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Passes over the data. Default 5.
    pub epochs: usize,
    /// Rows in a step. Default 32; the last step of an epoch may have fewer.
    pub batch: usize,
    /// Length of a step. Default 1e-3, which suits AdamW.
    pub learning_rate: f32,
    /// Share by which weights shrink in each step, times the learning rate. Default 1e-4.
    pub weight_decay: f32,
    /// How weights follow gradients. Default AdamW.
    pub optimizer: Optimizer,
    /// Seed of the order of rows and of everything a hook draws. Default 0.
    pub seed: u64,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            epochs: 5,
            batch: 32,
            learning_rate: 1e-3,
            weight_decay: 1e-4,
            optimizer: Optimizer::AdamW,
            seed: 0,
        }
    }
}

/// How far training has come, told after every step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Epoch, counted from 0.
    pub epoch: usize,
    /// Step in the epoch, counted from 0, of `steps`.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Mean loss of the epoch so far, in nats.
    pub loss: f64,
    /// Share of the epoch's rows that were classified right when their turn came.
    pub accuracy: f64,
}

/// A model whose weights can be changed.
pub struct Trainable {
    graph: Graph,
    parameters: Vec<parameters::Parameter>,
    weights: Vec<Tensor>,
    tape: Tape,
    slots: Slots,
    shape: Vec<usize>,
    width: usize,
    classes: usize,
    limits: Limits,
    fixed: Option<usize>,
}

impl std::fmt::Debug for Trainable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainable").field("weights", &self.weights.len()).finish_non_exhaustive()
    }
}

/// Rows of a step on their way into the model, for a hook: noise, adversarial training, augmentation.
pub struct Batch<'a> {
    /// Epoch, counted from 0.
    pub epoch: usize,
    /// The rows, `labels.len()` times the width of a row. What a hook leaves here is trained on.
    pub x: &'a mut Vec<f32>,
    /// Their classes.
    pub labels: &'a [usize],
    /// Place of each row in the training data.
    pub places: &'a [usize],
    /// The generator of this training run.
    pub rng: &'a mut Rng,
    model: &'a mut Trainable,
}

/// What is learned of each row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal<'a> {
    /// Its class; of soft targets, the most probable.
    pub(crate) labels: &'a [usize],
    /// A probability for each class of each row, row-major, in place of the class.
    pub(crate) soft: Option<&'a [f32]>,
    /// How much each row counts.
    pub(crate) weights: Option<&'a [f32]>,
}

impl Batch<'_> {
    /// The gradient of the mean loss by `x` (of the batch's length, not changed), into `out`; gives the loss.
    ///
    /// # Errors
    /// [`RunError`] if `x` or `out` are of another length.
    pub fn loss_gradient(&mut self, x: &[f32], out: &mut [f32]) -> Result<f64, RunError> {
        self.model.loss_gradient(x, self.labels, out)
    }

    /// Adds normal noise of standard deviation `sigma`: training for randomised smoothing (Cohen et al., ICML 2019,
    /// arXiv:1902.02918).
    pub fn add_noise(&mut self, sigma: f32) {
        for v in self.x.iter_mut() {
            *v += sigma * self.rng.normal() as f32;
        }
    }

    /// Moves each row to a nearby one that the model gets wrong, if projected gradient descent from a random start finds
    /// it (Madry et al., ICLR 2018, arXiv:1706.06083): at most `epsilon` a value away, inside `low..=high`, in `steps`
    /// steps of `step`.
    ///
    /// # Errors
    /// [`RunError`] if the model does not run.
    pub fn perturb(
        &mut self,
        epsilon: f32,
        step: f32,
        steps: usize,
        (low, high): (f32, f32),
    ) -> Result<(), RunError> {
        let clean = self.x.clone();
        let mut x = clean.clone();
        for v in &mut x {
            *v = (*v + epsilon * self.rng.range(-1.0, 1.0) as f32).clamp(low, high);
        }
        let mut gradient = vec![0.0; x.len()];
        for _ in 0..steps {
            self.loss_gradient(&x, &mut gradient)?;
            for ((v, g), c) in x.iter_mut().zip(&gradient).zip(&clean) {
                let direction = if *g == 0.0 { 0.0 } else { g.signum() };
                *v = (*v + step * direction).clamp(c - epsilon, c + epsilon).clamp(low, high);
            }
        }
        *self.x = x;
        Ok(())
    }
}

/// Changes a batch before its step.
pub type Hook<'a> = dyn FnMut(&mut Batch<'_>) -> Result<(), RunError> + 'a;

impl Goal<'_> {
    /// The part of a step, whose rows stand at `places`.
    fn of<'l>(&self, places: &[usize], classes: usize, labels: &'l [usize]) -> loss::Step<'l> {
        let soft = |all: &[f32]| {
            let row = |at: &usize| all.get(at * classes..(at + 1) * classes).unwrap_or_default();
            places.iter().flat_map(row).copied().collect()
        };
        let weights = |all: &[f32]| places.iter().filter_map(|at| all.get(*at)).copied().collect();
        loss::Step { labels, soft: self.soft.map(soft), weights: self.weights.map(weights) }
    }
}

impl Trainable {
    /// A model whose `output` is trained; where the output is a softmax or sigmoid, training goes by the logits before.
    /// float64 weights become float32.
    ///
    /// # Errors
    /// [`TrainError::Model`] if the model has no gradient (see [`Model::differentiate`]), [`TrainError::NoWeights`].
    pub fn of(model: &Model, output: &str, weights: Weights) -> Result<Self, TrainError> {
        let logits = model.logits(output).to_owned();
        Self::new(model.graph(), &logits, weights, model.limits(), model.isa())
    }

    /// A fresh network.
    ///
    /// # Errors
    /// [`TrainError::Model`] if the architecture's sizes do not fit each other.
    pub fn fresh(architecture: &Architecture, seed: u64) -> Result<Self, TrainError> {
        let weights = Weights::Fresh { seed };
        Self::new(&architecture.graph, "logits", weights, &Limits::default(), Isa::detect())
    }

    fn new(
        graph: &Graph,
        output: &str,
        first: Weights,
        limits: &Limits,
        isa: Isa,
    ) -> Result<Self, TrainError> {
        let graph = parameters::folded(&prepare::in_f32(graph)?, limits, isa)?;
        let Some(id) = graph.value(output) else {
            return Err(LoadError::Graph { what: format!("no value is named `{output}`") }.into());
        };
        let (shape, fixed) = row_shape(&graph, &[])?;
        let parameters = parameters::of(&graph);
        if parameters.is_empty() {
            return Err(TrainError::NoWeights);
        }
        let numbers: BTreeMap<ValueId, usize> =
            parameters.iter().enumerate().map(|(number, p)| (p.id, number)).collect();
        let tape = Tape::compile(&graph, id, limits, isa, &numbers)?;
        let weights =
            parameters.iter().filter_map(|p| Some(graph.initializers.get(&p.id)?.as_ref().clone())).collect();
        let (width, limits) = (shape.iter().product(), limits.clone());
        let slots = Slots::new();
        let mut model =
            Self { graph, parameters, weights, tape, slots, shape, width, classes: 1, limits, fixed };
        if let Weights::Fresh { seed } = first {
            let mut rng = Rng::new(seed, 0);
            for (parameter, weight) in model.parameters.iter().zip(&mut model.weights) {
                *weight = parameter.fresh(&weight.shape, &mut rng);
            }
            model.tape.refresh(&model.weights)?;
        }
        let rows = fixed.unwrap_or(1);
        let scores = model.scores(&vec![0.0; rows * model.width], rows)?;
        model.classes = scores.len() / rows.max(1);
        Ok(model)
    }

    /// Values of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Classes told apart: the scores of a row, or 2 if there is one.
    pub fn classes(&self) -> usize {
        self.classes.max(2)
    }

    /// How many numbers are trained.
    pub fn parameters(&self) -> usize {
        self.weights.iter().map(|w| w.data.len()).sum()
    }

    fn run(&mut self, x: &[f32], rows: usize) -> Result<&[f32], RunError> {
        let expected = rows.saturating_mul(self.width);
        if x.len() != expected || rows == 0 {
            return Err(RunError::Length { what: "input", expected, got: x.len() });
        }
        let shape: Vec<usize> = std::iter::once(rows).chain(self.shape.iter().copied()).collect();
        self.tape.forward(TensorView::f32(&shape, x), &mut self.slots, Budget::of_run(&self.limits))?;
        let output = self.tape.output(&self.slots).and_then(|value| value.f32_values());
        output.map_err(|error| RunError::Node {
            operator: "output".to_owned(),
            node: String::new(),
            what: error.0,
        })
    }

    /// Logits of `rows` rows with the present weights.
    ///
    /// # Errors
    /// [`RunError`] if the length of `x` does not fit, or an operator could not run.
    pub fn scores(&mut self, x: &[f32], rows: usize) -> Result<Vec<f32>, RunError> {
        let mut out = Vec::with_capacity(rows.saturating_mul(self.classes));
        let each = self.fixed.unwrap_or(256).max(1);
        if x.len() != rows.saturating_mul(self.width) {
            let expected = rows.saturating_mul(self.width);
            return Err(RunError::Length { what: "input", expected, got: x.len() });
        }
        for part in x.chunks(each.saturating_mul(self.width).max(1)) {
            let rows = part.len() / self.width.max(1);
            out.extend_from_slice(self.run(part, rows)?);
        }
        Ok(out)
    }

    /// The class of each row: that of the largest logit, or 1 where the only logit is above 0.
    ///
    /// # Errors
    /// As [`Trainable::scores`].
    pub fn predict(&mut self, x: &[f32], rows: usize) -> Result<Vec<usize>, RunError> {
        let scores = self.scores(x, rows)?;
        let best = |row: &[f32]| match row {
            [z] => usize::from(*z > 0.0),
            _ => (1..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best }),
        };
        Ok(scores.chunks_exact((scores.len() / rows.max(1)).max(1)).map(best).collect())
    }

    fn loss_gradient(&mut self, x: &[f32], labels: &[usize], out: &mut [f32]) -> Result<f64, RunError> {
        let mut d = Vec::new();
        let (loss, _) = loss::cross_entropy(self.run(x, labels.len())?, labels, &mut d);
        self.tape.backward(&self.slots, &d, Wanted::Input)?;
        match self.tape.input_gradient() {
            Some(values) if values.len() == out.len() => out.copy_from_slice(values),
            Some(values) => {
                return Err(RunError::Length { what: "gradient", expected: values.len(), got: out.len() });
            }
            None => out.fill(0.0),
        }
        Ok(loss)
    }

    /// Trains on rows `x` (row-major, `y.len()` times [`Trainable::width`] values) with classes `y`. `progress` is
    /// told of every step and may stop it; what was learned until then stays.
    ///
    /// # Errors
    /// [`TrainError::Data`] if lengths or classes do not fit, [`TrainError::Diverged`] if the loss is no number.
    pub fn train(
        &mut self,
        x: &[f32],
        y: &[usize],
        options: &TrainOptions,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), TrainError> {
        self.train_with(x, y, options, &mut |_| Ok(()), progress)
    }

    /// As [`Trainable::train`]; `hook` may change every batch before its step.
    ///
    /// # Errors
    /// As [`Trainable::train`], and what the hook says.
    pub fn train_with(
        &mut self,
        x: &[f32],
        y: &[usize],
        options: &TrainOptions,
        hook: &mut Hook<'_>,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), TrainError> {
        self.train_towards(x, Goal { labels: y, soft: None, weights: None }, options, hook, progress)
    }

    /// As [`Trainable::train_with`], towards probabilities and with weights, whose lengths the caller has checked.
    pub(crate) fn train_towards(
        &mut self,
        x: &[f32],
        goal: Goal<'_>,
        options: &TrainOptions,
        hook: &mut Hook<'_>,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), TrainError> {
        let y = goal.labels;
        self.check(x, y, options)?;
        let mut state = optimizer::State::for_weights(&self.weights);
        let mut rng = Rng::new(options.seed, 1);
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        let batch = self.fixed.unwrap_or(options.batch).max(1);
        for epoch in 0..options.epochs {
            let order = rng.permutation(y.len());
            let (mut total, mut right, mut seen) = (0.0, 0, 0);
            let parts = order.chunks(batch);
            let steps = parts.len();
            for (step, part) in parts.enumerate() {
                if self.fixed.is_some_and(|fixed| fixed != part.len()) {
                    continue;
                }
                rows.clear();
                labels.clear();
                for &at in part {
                    rows.extend_from_slice(x.get(at * self.width..(at + 1) * self.width).unwrap_or_default());
                    labels.extend(y.get(at));
                }
                hook(&mut Batch {
                    epoch,
                    x: &mut rows,
                    labels: &labels,
                    places: part,
                    rng: &mut rng,
                    model: self,
                })?;
                let (loss, correct) =
                    self.step(&rows, &goal.of(part, self.classes, &labels), options, &mut state)?;
                if !loss.is_finite() {
                    return Err(TrainError::Diverged { epoch, loss });
                }
                seen += part.len();
                total += loss * part.len() as f64;
                right += correct;
                let (loss, accuracy) = (total / seen as f64, right as f64 / seen as f64);
                if progress(Progress { epoch, step, steps, loss, accuracy }).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn check(&self, x: &[f32], y: &[usize], options: &TrainOptions) -> Result<(), TrainError> {
        let bad = |what| Err(TrainError::Data { what });
        if y.is_empty() || x.len() != y.len().saturating_mul(self.width) {
            return bad(format!("{} values for {} rows of {}", x.len(), y.len(), self.width));
        }
        if let Some((row, label)) = y.iter().enumerate().find(|(_, label)| **label >= self.classes()) {
            return bad(format!("row {row} has class {label}, the model tells {} apart", self.classes()));
        }
        if let Some(at) = x.iter().position(|v| !v.is_finite()) {
            return bad(format!("row {} holds a value that is no finite number", at / self.width.max(1)));
        }
        if options.batch == 0 || !options.learning_rate.is_finite() || options.learning_rate <= 0.0 {
            return bad("batch and learning rate must be above 0".to_owned());
        }
        Ok(())
    }

    /// One step on one batch; gives its loss before the step and the rows that were right.
    fn step(
        &mut self,
        x: &[f32],
        goal: &loss::Step<'_>,
        options: &TrainOptions,
        state: &mut optimizer::State,
    ) -> Result<(f64, usize), TrainError> {
        let mut d = Vec::new();
        let (loss, right) = goal.loss(self.run(x, goal.labels.len())?, &mut d);
        if !loss.is_finite() {
            return Ok((loss, right));
        }
        self.tape.backward(&self.slots, &d, Wanted::Weights)?;
        state.begin();
        let pace = (options.learning_rate, options.weight_decay);
        for (number, weight) in self.weights.iter_mut().enumerate() {
            let gradient = self.tape.weights.get(number).and_then(Option::as_ref);
            if let Some(gradient) = gradient.and_then(|g| g.f32_values().ok()) {
                state.step(options.optimizer, pace, number, weight, gradient);
            }
        }
        self.tape.refresh(&self.weights)?;
        Ok((loss, right))
    }
}
