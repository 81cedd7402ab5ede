//! The seam to whoever trains small models: what a trainer is given, and what it gives back.
//!
//! Exercises on poisoning, theft and privacy train models again and again. How is not their business: anything that implements [`Trainer`]
//! and gives the same model for the same data and seed will do.

use crate::access::{Fault, Gradients, Layout, Space};
use crate::pace::Pace;

/// Rows with their true classes, checked once.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    rows: &'a [f32],
    labels: &'a [usize],
    space: Space,
}

impl<'a> Samples<'a> {
    /// `rows` row-major in [0, 1], one label a row below `space.classes`.
    ///
    /// # Errors
    /// [`Fault::Shape`] when the lengths do not fit, a label is no class, or a value is NaN or outside [0, 1].
    pub fn new(rows: &'a [f32], labels: &'a [usize], space: Space) -> Result<Self, Fault> {
        let width = space.layout.len();
        if width == 0 || space.classes < 2 {
            return Err(Fault::Shape(
                "a model takes at least one value and has at least two classes".to_owned(),
            ));
        }
        if rows.len() != width * labels.len() {
            return Err(Fault::Shape(format!(
                "{} values are not {} rows of {width}",
                rows.len(),
                labels.len()
            )));
        }
        if let Some(label) = labels.iter().find(|l| **l >= space.classes) {
            return Err(Fault::Shape(format!("label `{label}` is none of {} classes", space.classes)));
        }
        if let Some(at) = rows.iter().position(|v| !(0.0..=1.0).contains(v)) {
            return Err(Fault::Shape(format!(
                "row {} has a value that is missing or outside its declared range: fill or scale it first",
                at / width
            )));
        }
        Ok(Self { rows, labels, space })
    }

    /// All values, row-major.
    pub const fn rows(&self) -> &'a [f32] {
        self.rows
    }

    /// The class of each row.
    pub const fn labels(&self) -> &'a [usize] {
        self.labels
    }

    /// What a model of these rows takes and gives.
    pub const fn space(&self) -> Space {
        self.space
    }

    /// How a row is laid out.
    pub const fn layout(&self) -> Layout {
        self.space.layout
    }

    /// Values in a row.
    pub const fn width(&self) -> usize {
        self.space.layout.len()
    }

    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.labels.len()
    }

    /// True without rows.
    pub const fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Row `at`; empty when there is none.
    pub fn row(&self, at: usize) -> &'a [f32] {
        let width = self.width();
        self.rows.get(at * width..(at + 1) * width).unwrap_or_default()
    }

    /// The rows at these places, in this order, with their labels; places out of range are left out.
    pub fn pick(&self, places: &[usize]) -> (Vec<f32>, Vec<usize>) {
        let known: Vec<usize> = places.iter().copied().filter(|at| *at < self.len()).collect();
        let rows = known.iter().flat_map(|at| self.row(*at)).copied().collect();
        let labels = known.iter().filter_map(|at| self.labels.get(*at)).copied().collect();
        (rows, labels)
    }

    /// The same rows and labels as the training of a plain model.
    pub const fn training(&self, pace: &'a dyn Pace) -> Training<'a> {
        Training {
            rows: self.rows,
            targets: Targets::Labels(self.labels),
            weights: None,
            space: self.space,
            pace,
        }
    }
}

/// What a model is to learn for each row.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a> {
    /// A class a row.
    Labels(&'a [usize]),
    /// A probability for each class of each row, row-major; they sum to 1.
    Soft(&'a [f32]),
}

/// What a trainer is given.
#[derive(Clone, Copy)]
pub struct Training<'a> {
    /// Row-major, in the unit box.
    pub rows: &'a [f32],
    /// What is to be learned, one a row.
    pub targets: Targets<'a>,
    /// How much each row counts, 0 or more; all the same when not given.
    pub weights: Option<&'a [f32]>,
    /// What the model is to take and give.
    pub space: Space,
    /// Asked between batches whether to stop: training then ends with [`Fault::Stopped`]. Progress is told by whoever started the trainings.
    pub pace: &'a dyn Pace,
}

impl Training<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len() / self.space.layout.len().max(1)
    }

    /// True without rows.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether targets and weights fit the rows.
    ///
    /// # Errors
    /// [`Fault::Shape`] saying what does not.
    pub fn check(&self) -> Result<(), Fault> {
        let (rows, classes) = (self.len(), self.space.classes);
        let targets = match self.targets {
            Targets::Labels(labels) => labels.len() == rows && labels.iter().all(|l| *l < classes),
            Targets::Soft(soft) => soft.len() == rows * classes && soft.iter().all(|p| p.is_finite()),
        };
        let weights = self.weights.is_none_or(|w| w.len() == rows && w.iter().all(|w| *w >= 0.0));
        if rows * self.space.layout.len() != self.rows.len() || !targets || !weights {
            return Err(Fault::Shape(format!("targets or weights do not fit {rows} rows of training data")));
        }
        Ok(())
    }
}

/// The rows of one step of training, before the model learns from them.
pub struct Batch<'b> {
    /// Row-major; may be changed within the unit box.
    pub rows: &'b mut [f32],
    /// The class of each row: of soft targets, the most probable.
    pub labels: &'b [usize],
    /// Place of each row in the training data.
    pub samples: &'b [usize],
    /// How many steps were done before.
    pub step: u64,
    /// How many there will be.
    pub steps: u64,
}

/// Called with each batch and the model as it is then: adversarial training and training with noise change the rows here.
pub trait Hook {
    /// Changes the rows of the batch, or leaves them.
    ///
    /// # Errors
    /// What the model says; training ends with it.
    fn batch(&mut self, model: &mut dyn Gradients, batch: Batch<'_>) -> Result<(), Fault>;

    /// False when [`Hook::batch`] does nothing, so that a trainer need not show its model.
    fn wanted(&self) -> bool {
        true
    }
}

/// Plain training.
#[derive(Debug, Clone, Copy, Default)]
pub struct AsIs;

impl Hook for AsIs {
    fn batch(&mut self, _model: &mut dyn Gradients, _batch: Batch<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn wanted(&self) -> bool {
        false
    }
}

/// A trained model.
pub trait Trained: Gradients {
    /// The same model cut before its last layer: its features stand where the scores were. `None` when it has no layer before the last.
    fn features(&mut self) -> Option<&mut dyn Gradients> {
        None
    }

    /// The model as an ONNX file that takes values in units: `value = low + unit × span`, one pair for all values of a row or one for each. `None` when it
    /// cannot be written.
    fn onnx(&self, _low: &[f32], _span: &[f32]) -> Option<Vec<u8>> {
        None
    }
}

/// Trains small models. The same data and seed give the same model, whatever the number of threads.
pub trait Trainer {
    /// Trains a new model.
    ///
    /// # Errors
    /// [`Fault::Shape`] when the data do not fit, [`Fault::Stopped`] when asked to, else what goes wrong.
    fn train(
        &mut self,
        data: &Training<'_>,
        seed: u64,
        hook: &mut dyn Hook,
    ) -> Result<Box<dyn Trained>, Fault>;
}

/// Passes the wish to stop on, and keeps steps of a part from being taken for steps of the whole.
pub(crate) struct StopOnly<'a>(pub(crate) &'a dyn Pace);

impl Pace for StopOnly<'_> {
    fn stop(&self) -> bool {
        self.0.stop()
    }

    fn step(&self, _done: u64, _total: u64) {}
}

#[cfg(test)]
pub(crate) mod small;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_do_not_fit_are_refused() {
        let space = Space { layout: Layout::Table { features: 2 }, classes: 2 };
        assert!(Samples::new(&[0.0, 1.0], &[1], space).is_ok());
        assert!(Samples::new(&[0.0, 1.0], &[2], space).is_err(), "no such class");
        assert!(Samples::new(&[0.0], &[0], space).is_err(), "too short");
        assert!(Samples::new(&[0.0, f32::NAN], &[0], space).is_err(), "missing value");
        assert!(Samples::new(&[0.0, 1.1], &[0], space).is_err(), "outside its range");
        assert!(Samples::new(&[], &[], Space { classes: 1, ..space }).is_err(), "one class");
    }
}
