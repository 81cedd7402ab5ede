//! What an attacker may ask of a model: labels, scores, or gradients as well.

/// What a model takes and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// How the values of a row are laid out.
    pub layout: Layout,
    /// Number of classes, 2 at least. A model with one logit `z` is shown as two classes with scores `[0, z]`.
    pub classes: usize,
}

/// How the values of a row are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One patient's features.
    Table {
        /// Number of features.
        features: usize,
    },
    /// An image, channels first.
    Image {
        /// Number of channels.
        channels: usize,
        /// Rows of pixels.
        height: usize,
        /// Columns of pixels.
        width: usize,
    },
}

impl Layout {
    /// Values in a row.
    pub const fn len(&self) -> usize {
        match *self {
            Self::Table { features } => features,
            Self::Image { channels, height, width } => channels * height * width,
        }
    }

    /// True when a row has no values.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Rows put to a model at once, with the sample that each belongs to: queries are counted per sample.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    values: &'a [f32],
    width: usize,
    samples: &'a [usize],
}

impl<'a> Rows<'a> {
    /// `values` row-major in [0, 1], `samples.len()` rows of `width`.
    ///
    /// # Errors
    /// [`Fault::Shape`] when the lengths do not fit.
    pub fn new(values: &'a [f32], width: usize, samples: &'a [usize]) -> Result<Self, Fault> {
        if width == 0 || values.len() != width * samples.len() {
            return Err(Fault::Shape(format!(
                "{} values are not {} rows of {width}",
                values.len(),
                samples.len()
            )));
        }
        Ok(Self { values, width, samples })
    }

    /// All values, row-major.
    pub const fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Values in a row.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Which sample of the exercise each row belongs to.
    pub const fn samples(&self) -> &'a [usize] {
        self.samples
    }

    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.samples.len()
    }

    /// True without rows.
    pub const fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Each row.
    pub fn iter(&self) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.width)
    }
}

/// Scores of several rows. Kept by the caller and filled again, so that asking does not allocate.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replies {
    /// Row-major, one score per class: logits, or logarithms of probabilities. Zeros where there was no answer.
    pub scores: Vec<f32>,
    /// Whether each row was answered. A defence that blocks a query leaves it unanswered: the attacker learns that much.
    pub answered: Vec<bool>,
    /// Number of classes.
    pub classes: usize,
}

impl Replies {
    /// Makes room for `rows` answered rows with scores of 0.
    pub fn reset(&mut self, rows: usize, classes: usize) {
        self.classes = classes;
        self.scores.clear();
        self.scores.resize(rows * classes, 0.0);
        self.answered.clear();
        self.answered.resize(rows, true);
    }

    /// Scores of row `at`, `None` when it was not answered.
    pub fn row(&self, at: usize) -> Option<&[f32]> {
        let answered = self.answered.get(at).copied().unwrap_or(false);
        if !answered {
            return None;
        }
        self.scores.get(at * self.classes..(at + 1) * self.classes)
    }

    /// The class with the highest score of row `at`, the first of equals; `None` when it was not answered or a score is NaN.
    pub fn label(&self, at: usize) -> Option<usize> {
        argmax(self.row(at)?)
    }
}

/// Position of the highest value, the first of equals; `None` when empty or when one is NaN.
pub fn argmax(scores: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (at, &score) in scores.iter().enumerate() {
        if score.is_nan() {
            return None;
        }
        if best.is_none_or(|(_, b)| score > b) {
            best = Some((at, score));
        }
    }
    best.map(|(at, _)| at)
}

/// Why a model gave no answers at all. What was found before is kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// A shape does not fit; a fault of the caller or of a server that lies about itself.
    #[error("{0}")]
    Shape(String),
    /// The model failed or could not be reached; says what to do.
    #[error("{0}")]
    Model(String),
    /// The user asked to stop, or the time is spent.
    #[error("stopped before the end")]
    Stopped,
    /// The attack cannot be run on this model; says why.
    #[error("{0}")]
    NotApplicable(String),
    /// An attack broke its own rules: a value outside the box or the budget. A fault of this program.
    #[error("{0}")]
    Rules(String),
}

/// Only the decision is shown.
pub trait Labels {
    /// What the model takes and gives.
    fn space(&self) -> Space;

    /// The class of each row, `None` where the query was refused or the answer was not a number. `out` is filled anew.
    ///
    /// # Errors
    /// [`Fault`] when there are no answers at all.
    fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault>;
}

/// Scores are shown: logits or probabilities.
pub trait Scores: Labels {
    /// The scores of each row. `out` is filled anew.
    ///
    /// # Errors
    /// [`Fault`] when there are no answers at all.
    fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault>;

    /// The classes of the highest scores: what [`Labels::labels`] is for a model that shows its scores.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    fn decisions(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
        let mut replies = Replies::default();
        self.scores(rows, &mut replies)?;
        out.clear();
        out.extend((0..rows.len()).map(|at| replies.label(at)));
        Ok(())
    }
}

/// Writes the derivative of the attacker's loss by each score of a row: called with the row's place, its scores, and where to write.
pub type Cotangent<'c> = dyn FnMut(usize, &[f32], &mut [f32]) + 'c;

/// The model itself is in the attacker's hands.
pub trait Gradients: Scores {
    /// One forward and one backward pass. `cotangent(row, scores, out)` is called for each row with its scores and writes the derivative of
    /// the attacker's loss by each score; `gradient` (`rows × width`, filled by this function) receives the derivative of that loss by each
    /// value in the unit box. NaN stays NaN: a gradient that cannot be computed is never turned into 0.
    ///
    /// # Errors
    /// [`Fault`] when the model fails.
    fn gradient(
        &mut self,
        rows: Rows<'_>,
        cotangent: &mut Cotangent<'_>,
        replies: &mut Replies,
        gradient: &mut Vec<f32>,
    ) -> Result<(), Fault>;
}

/// A model that is asked row by row, by a function: a client of a guarded system, for example. The function is given the sample and the row, and gives one score per class,
/// or `None` when the query was not answered.
pub struct RowByRow<F> {
    space: Space,
    ask: F,
}

impl<F: FnMut(usize, &[f32]) -> Result<Option<Vec<f32>>, Fault>> RowByRow<F> {
    /// `ask` answers for rows of `space`.
    pub const fn new(space: Space, ask: F) -> Self {
        Self { space, ask }
    }
}

impl<F: FnMut(usize, &[f32]) -> Result<Option<Vec<f32>>, Fault>> Labels for RowByRow<F> {
    fn space(&self) -> Space {
        self.space
    }

    fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
        self.decisions(rows, out)
    }
}

impl<F: FnMut(usize, &[f32]) -> Result<Option<Vec<f32>>, Fault>> Scores for RowByRow<F> {
    fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        out.reset(rows.len(), self.space.classes);
        for (at, (row, sample)) in rows.iter().zip(rows.samples()).enumerate() {
            let answer = (self.ask)(*sample, row)?;
            let place = out.scores.get_mut(at * self.space.classes..(at + 1) * self.space.classes);
            match (answer, place) {
                (Some(scores), Some(place)) if scores.len() == place.len() => place.copy_from_slice(&scores),
                (Some(scores), _) => {
                    return Err(Fault::Shape(format!(
                        "{} scores for {} classes",
                        scores.len(),
                        self.space.classes
                    )));
                }
                (None, _) => {
                    if let Some(answered) = out.answered.get_mut(at) {
                        *answered = false;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_that_is_not_a_number_is_no_label() {
        assert_eq!(argmax(&[0.0, f32::NAN]), None);
        assert_eq!(argmax(&[1.0, 1.0, 0.0]), Some(0));
        assert_eq!(argmax(&[]), None);
    }

    #[test]
    fn a_row_that_is_not_answered_has_no_label_and_odd_scores_are_refused() {
        let space = Space { layout: Layout::Table { features: 1 }, classes: 2 };
        let mut shy = RowByRow::new(space, |_, row: &[f32]| Ok((row[0] < 0.5).then(|| vec![1.0, 0.0])));
        let mut labels = Vec::new();
        shy.labels(Rows::new(&[0.1, 0.9], 1, &[0, 1]).unwrap(), &mut labels).unwrap();
        assert_eq!(labels, [Some(0), None]);
        let mut odd = RowByRow::new(space, |_, _: &[f32]| Ok(Some(vec![1.0; 3])));
        assert!(odd.labels(Rows::new(&[0.1], 1, &[0]).unwrap(), &mut labels).is_err());
    }

    #[test]
    fn rows_must_fit() {
        assert!(Rows::new(&[0.0; 6], 3, &[0, 1]).is_ok());
        assert!(Rows::new(&[0.0; 5], 3, &[0, 1]).is_err());
        assert!(Rows::new(&[], 0, &[]).is_err());
    }
}
