//! The trainer that exercises ask for small models: poisoning, theft, membership and hardening train with it.

use attack::training::{self as exercise, Hook, Targets, Trained, Training};
use attack::{Cotangent, Fault, Gradients, Labels, Layout, Replies, Rows, Scores, Space};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Architecture, Goal, TrainError, TrainOptions, Trainable, logistic, mlp, small_cnn};
use crate::error::RunError;
use crate::grad::Gradient;
use crate::grad::tape::Wanted;
use crate::model::Model;
use crate::tensor::{Dim, ValueInfo};

/// Rows of one pass: their activations stay in the processor's cache.
const ROWS_AT_ONCE: usize = 64;

/// Smallest deviation that a feature is divided by; what moves less is left as it is.
const DEVIATION_MIN: f64 = 1e-3;

/// The network that is trained anew for each model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipe {
    /// Logistic regression.
    Logistic,
    /// A multilayer perceptron with these hidden layers.
    Mlp(Vec<usize>),
    /// Two-pool convolutional network for images of 4 pixels a side at least; see [`small_cnn`].
    SmallCnn,
}

/// Trains networks of one recipe. Each model standardises its inputs by the mean and deviation of its own training rows: of each feature for tables,
/// of all pixels for images.
#[derive(Debug, Clone, PartialEq)]
pub struct SmallModels {
    /// The network.
    pub recipe: Recipe,
    /// How it is trained; its seed is that of each model.
    pub options: TrainOptions,
}

impl SmallModels {
    /// The recipe with the default options.
    pub fn new(recipe: Recipe) -> Self {
        Self { recipe, options: TrainOptions::default() }
    }

    fn architecture(&self, data: &Training<'_>) -> Result<Architecture, Fault> {
        let (layout, classes) = (data.space.layout, data.space.classes);
        let plain = match (&self.recipe, layout) {
            (Recipe::SmallCnn, Layout::Image { channels, height, width }) => {
                if height.min(width) < 4 {
                    return Err(Fault::NotApplicable(format!(
                        "a small CNN needs images of 4 pixels a side, not {height} by {width}: take an MLP"
                    )));
                }
                small_cnn(channels, height, width, classes)
            }
            (Recipe::SmallCnn, Layout::Table { .. }) => {
                return Err(Fault::NotApplicable(
                    "a small CNN is for images: take an MLP for a table".to_owned(),
                ));
            }
            (Recipe::Logistic, _) => logistic(layout.len(), classes),
            (Recipe::Mlp(hidden), _) => mlp(layout.len(), hidden, classes),
        };
        let (mean, deviation) = scale(data);
        Ok(plain.standardised(&mean, &deviation))
    }
}

/// Mean and deviation of each feature, or of all pixels. Constant features are left as they are.
fn scale(data: &Training<'_>) -> (Vec<f32>, Vec<f32>) {
    let columns = match data.space.layout {
        Layout::Table { features } => features,
        Layout::Image { .. } => 1,
    };
    let (mut sums, mut squares) = (vec![0.0_f64; columns], vec![0.0_f64; columns]);
    for chunk in data.rows.chunks(columns) {
        for ((sum, square), value) in sums.iter_mut().zip(&mut squares).zip(chunk) {
            *sum += f64::from(*value);
            *square += f64::from(*value).powi(2);
        }
    }
    let n = (data.rows.len() / columns).max(1) as f64;
    let moments = sums.iter().zip(&squares).map(|(sum, square)| {
        let mean = sum / n;
        let deviation = (square / n - mean * mean).max(0.0).sqrt();
        (mean as f32, if deviation < DEVIATION_MIN { 1.0 } else { deviation as f32 })
    });
    moments.unzip()
}

fn failed(error: RunError) -> Fault {
    Fault::Model(format!("the model in training does not run: {error}"))
}

impl exercise::Trainer for SmallModels {
    fn train(
        &mut self,
        data: &Training<'_>,
        seed: u64,
        hook: &mut dyn Hook,
    ) -> Result<Box<dyn Trained>, Fault> {
        data.check()?;
        let model = Trainable::fresh(&self.architecture(data)?, seed).map_err(refused)?;
        fit(model, &self.options, data, seed, hook)
    }
}

/// Trains on from the weights of a file, on rows of the unit box.
#[derive(Debug, Clone)]
pub struct Continued {
    /// The model.
    pub model: Model,
    /// Its output with the scores: one for each class, or one logit or probability of class 1.
    pub output: String,
    /// The model's own value is `low + unit × span`; one pair, or one for each value of a row.
    pub low: Vec<f32>,
    /// See `low`.
    pub span: Vec<f32>,
    /// How it is trained; its seed is that of each training.
    pub options: TrainOptions,
}

impl exercise::Trainer for Continued {
    fn train(
        &mut self,
        data: &Training<'_>,
        seed: u64,
        hook: &mut dyn Hook,
    ) -> Result<Box<dyn Trained>, Fault> {
        data.check()?;
        let model = Trainable::of_unit(&self.model, &self.output, &self.low, &self.span).map_err(refused)?;
        if model.width() != data.space.layout.len() || model.classes() != data.space.classes {
            return Err(Fault::Shape(format!(
                "the model takes {} values and tells {} classes apart, the rows have {} and {}",
                model.width(),
                model.classes(),
                data.space.layout.len(),
                data.space.classes
            )));
        }
        fit(model, &self.options, data, seed, hook)
    }
}

fn refused(error: TrainError) -> Fault {
    Fault::Model(format!("the model cannot be trained: {error}"))
}

/// Trains a model as `data` says.
fn fit(
    mut model: Trainable,
    options: &TrainOptions,
    data: &Training<'_>,
    seed: u64,
    hook: &mut dyn Hook,
) -> Result<Box<dyn Trained>, Fault> {
    let options = TrainOptions { seed, ..options.clone() };
    let (labels, soft) = match data.targets {
        Targets::Labels(labels) => (labels.to_vec(), None),
        Targets::Soft(soft) => {
            let best = |row: &[f32]| attack::access::argmax(row).unwrap_or(0);
            (soft.chunks_exact(data.space.classes).map(best).collect(), Some(soft))
        }
    };
    let goal = Goal { labels: &labels, soft, weights: data.weights };
    let steps = (data.len().div_ceil(options.batch.max(1)) * options.epochs) as u64;
    // A hook's own error does not fit the trainer's type: kept here, and given back after the training has ended with it.
    let (mut fault, mut step, space, wanted) = (None, 0_u64, data.space, hook.wanted());
    let mut change = |batch: &mut super::Batch<'_>| {
        let now = step;
        step += 1;
        if !wanted {
            return Ok(());
        }
        let mut live = Live { model: &mut *batch.model, space };
        let rows = batch.x.as_mut_slice();
        let given = exercise::Batch { rows, labels: batch.labels, samples: batch.places, step: now, steps };
        hook.batch(&mut live, given).map_err(|e| {
            let what = e.to_string();
            fault = Some(e);
            RunError::Node { operator: "hook".to_owned(), node: String::new(), what }
        })
    };
    let mut stopped = false;
    let mut follow = |_: super::Progress| {
        stopped = data.pace.stop();
        if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let done = model.train_towards(data.rows, goal, &options, &mut change, &mut follow);
    if let Some(fault) = fault {
        return Err(fault);
    }
    done.map_err(refused)?;
    if stopped {
        return Err(Fault::Stopped);
    }
    Ok(Box::new(Small { model, space, features: None }))
}

/// A model in training, as a hook sees it.
struct Live<'m> {
    model: &'m mut Trainable,
    space: Space,
}

/// A trained model.
struct Small {
    model: Trainable,
    space: Space,
    features: Option<Features>,
}

/// Its hidden layer before the last.
struct Features {
    gradient: Gradient,
    space: Space,
}

impl Live<'_> {
    fn ask(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        out.reset(rows.len(), self.space.classes);
        let places = out.scores.chunks_mut(ROWS_AT_ONCE * self.space.classes);
        for (part, place) in rows.values().chunks(ROWS_AT_ONCE * rows.width()).zip(places) {
            let scores = self.model.run(part, part.len() / rows.width()).map_err(failed)?;
            if scores.len() * 2 == place.len() && self.space.classes == 2 {
                // One logit z stands for the scores [0, z].
                place.chunks_exact_mut(2).zip(scores).for_each(|(pair, z)| pair.copy_from_slice(&[0.0, *z]));
                continue;
            }
            if scores.len() != place.len() {
                return Err(Fault::Model("the model changed its number of classes".to_owned()));
            }
            place.copy_from_slice(scores);
        }
        Ok(())
    }

    fn climb(
        &mut self,
        rows: Rows<'_>,
        cotangent: &mut Cotangent<'_>,
        replies: &mut Replies,
        gradient: &mut Vec<f32>,
    ) -> Result<(), Fault> {
        let (width, classes) = (rows.width(), self.space.classes);
        replies.reset(rows.len(), classes);
        gradient.clear();
        for (part, values) in rows.values().chunks(ROWS_AT_ONCE * width).enumerate() {
            let first = part * ROWS_AT_ONCE;
            let scores = self.model.run(values, values.len() / width).map_err(failed)?;
            let one = scores.len() * 2 == values.len() / width * classes && classes == 2;
            let paired: Vec<f32>;
            let scores = if one {
                paired = scores.iter().flat_map(|z| [0.0, *z]).collect();
                &paired
            } else {
                scores
            };
            let mut slopes = vec![0.0; scores.len()];
            for (at, (row, slope)) in
                scores.chunks_exact(classes).zip(slopes.chunks_exact_mut(classes)).enumerate()
            {
                cotangent(first + at, row, slope);
                let place = (first + at) * classes;
                if let Some(place) = replies.scores.get_mut(place..place + classes) {
                    place.copy_from_slice(row);
                }
            }
            if one {
                slopes = slopes.iter().skip(1).step_by(2).copied().collect();
            }
            self.model.tape.backward(&self.model.slots, &slopes, Wanted::Input).map_err(failed)?;
            match self.model.tape.input_gradient() {
                Some(found) if found.len() == values.len() => gradient.extend_from_slice(found),
                Some(found) => {
                    return Err(failed(RunError::Length {
                        what: "gradient",
                        expected: values.len(),
                        got: found.len(),
                    }));
                }
                None => gradient.resize(gradient.len() + values.len(), 0.0),
            }
        }
        Ok(())
    }
}

impl Small {
    fn live(&mut self) -> Live<'_> {
        Live { model: &mut self.model, space: self.space }
    }

    fn ask(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        self.live().ask(rows, out)
    }

    fn climb(
        &mut self,
        rows: Rows<'_>,
        cotangent: &mut Cotangent<'_>,
        replies: &mut Replies,
        gradient: &mut Vec<f32>,
    ) -> Result<(), Fault> {
        self.live().climb(rows, cotangent, replies, gradient)
    }

    /// The value that enters the last layer, when a ramp made it.
    fn cut(&self) -> Option<Features> {
        let mut graph = self.model.graph.clone();
        for (parameter, weight) in self.model.parameters.iter().zip(&self.model.weights) {
            graph.initializers.insert(parameter.id, Arc::new(weight.clone()));
        }
        let (output, _) = graph.outputs.first()?;
        let maker = |id| graph.nodes.iter().find(|node| node.outputs.first() == Some(&Some(id)));
        let id = maker(*output)?.inputs.first().copied().flatten()?;
        maker(id).filter(|node| node.operator == "Relu")?;
        let name = graph.name(id).to_owned();
        let info = ValueInfo {
            name: name.clone(),
            data_type: None,
            shape: Some(vec![Dim::Symbolic("n".to_owned())]),
        };
        graph.outputs = vec![(id, info)];
        let isa = crate::kernel::Isa::detect();
        let gradient = Gradient::compile(&graph, &name, &[], &self.model.limits, isa).ok()?;
        let space = Space { classes: gradient.classes(), ..self.space };
        Some(Features { gradient, space })
    }
}

impl Features {
    fn ask(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        out.reset(rows.len(), self.space.classes);
        if rows.is_empty() {
            return Ok(());
        }
        let scores = self.gradient.forward(rows.values(), rows.len()).map_err(failed)?;
        out.scores.copy_from_slice(scores);
        Ok(())
    }

    fn climb(
        &mut self,
        rows: Rows<'_>,
        cotangent: &mut Cotangent<'_>,
        replies: &mut Replies,
        gradient: &mut Vec<f32>,
    ) -> Result<(), Fault> {
        self.ask(rows, replies)?;
        gradient.clear();
        gradient.resize(rows.values().len(), 0.0);
        if rows.is_empty() {
            return Ok(());
        }
        let mut slopes = vec![0.0; replies.scores.len()];
        let classes = self.space.classes;
        for (at, (row, slope)) in
            replies.scores.chunks_exact(classes).zip(slopes.chunks_exact_mut(classes)).enumerate()
        {
            cotangent(at, row, slope);
        }
        self.gradient.backward(&slopes, gradient).map_err(failed)
    }
}

/// The three levels of access, for what can `ask` and `climb`.
macro_rules! shown {
    ($type:ty) => {
        impl Labels for $type {
            fn space(&self) -> Space {
                self.space
            }

            fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
                self.decisions(rows, out)
            }
        }

        impl Scores for $type {
            fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
                self.ask(rows, out)
            }
        }

        impl Gradients for $type {
            fn gradient(
                &mut self,
                rows: Rows<'_>,
                cotangent: &mut Cotangent<'_>,
                replies: &mut Replies,
                gradient: &mut Vec<f32>,
            ) -> Result<(), Fault> {
                self.climb(rows, cotangent, replies, gradient)
            }
        }
    };
}

shown!(Live<'_>);
shown!(Small);
shown!(Features);

impl Trained for Small {
    fn features(&mut self) -> Option<&mut dyn Gradients> {
        if self.features.is_none() {
            self.features = self.cut();
        }
        self.features.as_mut().map(|features| features as &mut dyn Gradients)
    }

    fn onnx(&self, low: &[f32], span: &[f32]) -> Option<Vec<u8>> {
        Some(self.model.to_onnx_from_units(low, span))
    }
}
