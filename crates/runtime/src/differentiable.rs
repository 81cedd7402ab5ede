//! A classifier whose gradients an exercise may ask for.

use attack::{Cotangent, Fault, Gradients, Labels, Replies, Rows, Scores, Space};

use crate::classifier::{Classifier, Head, PROBABILITY_MIN, score};
use crate::grad::Gradient;

/// Rows of one pass forward and back: their activations stay in the processor's cache.
const ROWS_AT_ONCE: usize = 32;

/// A [`Classifier`] with the way back; one per thread.
#[derive(Debug)]
pub struct Differentiable {
    classifier: Classifier,
    gradient: Gradient,
    values: Vec<f32>,
    cotangent: Vec<f32>,
    raw: Vec<f32>,
}

impl Classifier {
    /// The same classifier with gradients.
    ///
    /// # Errors
    /// [`Fault::NotApplicable`] names the operator that has none, or why the input has none.
    pub fn differentiable(self) -> Result<Differentiable, Fault> {
        let gradient = self
            .model()
            .differentiate(self.reading().0)
            .map_err(|e| Fault::NotApplicable(format!("this model shows no gradients: {e}")))?;
        Ok(Differentiable {
            classifier: self,
            gradient,
            values: Vec::new(),
            cotangent: Vec::new(),
            raw: Vec::new(),
        })
    }
}

impl Differentiable {
    /// The classifier without its gradients.
    pub fn into_classifier(self) -> Classifier {
        self.classifier
    }

    /// Scores and gradients of at most [`ROWS_AT_ONCE`] rows; `start` is the place of the first among all.
    fn part(
        &mut self,
        unit: &[f32],
        start: usize,
        cotangent: &mut Cotangent<'_>,
        replies: &mut Replies,
        out: &mut [f32],
    ) -> Result<(), Fault> {
        let width = self.classifier.space().layout.len();
        let rows = unit.len() / width;
        let step = self.classifier.batch().unwrap_or(1);
        let given = rows.next_multiple_of(step);
        self.classifier.scale_into(unit, given, &mut self.values);
        let failed = |e: crate::RunError| Fault::Model(format!("the model does not run: {e}"));
        let columns = self.gradient.forward(&self.values, given).map_err(failed)?.len() / given.max(1);
        let (head, classes) = (self.classifier.reading().1, replies.classes);
        self.cotangent.clear();
        self.cotangent.resize(given * columns, 0.0);
        let mut by_score = vec![0.0; classes];
        let scores = self.gradient.scores().chunks_exact(columns);
        for (at, (seen, slope)) in scores.zip(self.cotangent.chunks_exact_mut(columns)).take(rows).enumerate()
        {
            let place = (start + at) * classes;
            let Some(row) = replies.scores.get_mut(place..place + classes) else { continue };
            if matches!(head, Head::Logits | Head::Probabilities) && columns != classes {
                return Err(Fault::Model("the model changed its number of classes".to_owned()));
            }
            score(head, seen, row);
            cotangent(start + at, row, &mut by_score);
            back_through(head, seen, &by_score, slope);
        }
        self.raw.clear();
        self.raw.resize(given * width, 0.0);
        self.gradient.backward(&self.cotangent, &mut self.raw).map_err(failed)?;
        for (out, raw) in out.chunks_exact_mut(width).zip(self.raw.chunks_exact(width)) {
            self.classifier.scale_gradient(raw, out);
        }
        Ok(())
    }
}

/// From derivatives by the scores to derivatives by the output's columns; the reverse of [`score`].
fn back_through(head: Head, columns: &[f32], by_score: &[f32], out: &mut [f32]) {
    let given = |k: usize| by_score.get(k).copied().unwrap_or(0.0);
    let column = |j: usize| columns.get(j).copied().unwrap_or(f32::NAN);
    let mut put = |j: usize, value: f32| {
        if let Some(place) = out.get_mut(j) {
            *place = value;
        }
    };
    let per = |p: f32| 1.0 / p.max(PROBABILITY_MIN);
    match head {
        Head::Logits => by_score.iter().enumerate().for_each(|(j, d)| put(j, *d)),
        Head::Probabilities => by_score.iter().enumerate().for_each(|(j, d)| put(j, d * per(column(j)))),
        Head::OneLogit => put(0, given(1)),
        Head::FindingLogit(j) => put(j, given(1)),
        Head::OneProbability => put(0, given(1) * per(column(0)) - given(0) * per(1.0 - column(0))),
        Head::FindingProbability(j) => put(j, given(1) * per(column(j)) - given(0) * per(1.0 - column(j))),
    }
}

impl Labels for Differentiable {
    fn space(&self) -> Space {
        self.classifier.space()
    }

    fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
        self.classifier.labels(rows, out)
    }
}

impl Scores for Differentiable {
    fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        self.classifier.scores(rows, out)
    }
}

impl Gradients for Differentiable {
    fn gradient(
        &mut self,
        rows: Rows<'_>,
        cotangent: &mut Cotangent<'_>,
        replies: &mut Replies,
        gradient: &mut Vec<f32>,
    ) -> Result<(), Fault> {
        let (width, classes) = (rows.width(), self.space().classes);
        if width != self.space().layout.len() {
            return Err(Fault::Shape(format!(
                "{width} values a row, the model takes {}",
                self.space().layout.len()
            )));
        }
        replies.reset(rows.len(), classes);
        gradient.clear();
        gradient.resize(rows.values().len(), 0.0);
        let step = ROWS_AT_ONCE * width;
        let parts = rows.values().chunks(step).zip(gradient.chunks_mut(step));
        for (at, (unit, out)) in parts.enumerate() {
            self.part(unit, at * ROWS_AT_ONCE, cotangent, replies, out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use attack::Layout;

    use super::*;
    use crate::{Limits, Model, Reading};

    #[test]
    fn gradients_in_the_unit_box_are_the_slope_of_the_scores() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/hospital/models/wdbc_mlp.onnx");
        let model = Model::load(&std::fs::read(path).unwrap(), &Limits::default()).unwrap();
        let layout = Layout::Table { features: 30 };
        let reading = Reading { low: vec![1.0; 30], span: vec![20.0; 30], ..Reading::unit(layout) };
        let mut model = Classifier::new(&model, &reading, &[]).unwrap().differentiable().unwrap();
        let x: Vec<f32> = (0..30 * 33).map(|i| (i * 37 % 100) as f32 / 100.0).collect();
        let samples: Vec<usize> = (0..33).collect();
        let (mut replies, mut gradient) = (Replies::default(), Vec::new());
        let mut margin = |_: usize, _: &[f32], out: &mut [f32]| out.copy_from_slice(&[1.0, -1.0]);
        model
            .gradient(Rows::new(&x, 30, &samples).unwrap(), &mut margin, &mut replies, &mut gradient)
            .unwrap();
        for (row, feature) in [(0, 3), (31, 17), (32, 29)] {
            let mut f = |by: f32| {
                let mut moved = x[row * 30..(row + 1) * 30].to_vec();
                moved[feature] += by;
                let mut seen = Replies::default();
                model.scores(Rows::new(&moved, 30, &[0]).unwrap(), &mut seen).unwrap();
                seen.scores[0] - seen.scores[1]
            };
            let slope = (f(1e-3) - f(-1e-3)) / 2e-3;
            let exact = gradient[row * 30 + feature];
            assert!((slope - exact).abs() <= 0.02 * slope.abs().max(0.5), "{row} {feature}: {slope} {exact}");
        }
    }

    #[test]
    fn heads_are_walked_back() {
        let slopes = |head, columns: &[f32], by: &[f32]| {
            let mut out = vec![0.0; columns.len()];
            back_through(head, columns, by, &mut out);
            out
        };
        assert_eq!(slopes(Head::OneLogit, &[3.0], &[-1.0, 1.0]), [1.0]);
        assert_eq!(slopes(Head::FindingLogit(1), &[3.0, 2.0], &[-1.0, 1.0]), [0.0, 1.0]);
        assert_eq!(slopes(Head::OneProbability, &[0.5], &[-1.0, 1.0]), [4.0]);
        assert_eq!(slopes(Head::Probabilities, &[0.5, 0.25], &[1.0, 1.0]), [2.0, 4.0]);
    }
}
