//! The model as a search in clinical units asks it: counted, bounded, and scaled to the unit box.

use crate::access::{Fault, Replies, Rows, argmax};
use crate::loss::{Loss, best_other};
use crate::tabular::change::{Scale, Shown};

/// Rows put to the model at once.
const ROWS_MAX: usize = 256;

/// Counts what is asked of a model for one patient.
pub(super) struct Oracle<'a, 'm> {
    pub(super) model: &'a mut Shown<'m>,
    pub(super) scale: &'a Scale,
    pub(super) label: usize,
    pub(super) left: u64,
    pub(super) asked: u64,
    pub(super) replies: Replies,
}

impl Oracle<'_, '_> {
    /// Margin of the label and class of each row; `None` for rows that were refused or are beyond the budget.
    pub(super) fn ask(&mut self, rows: &[Vec<f32>]) -> Result<Vec<Option<(f32, usize)>>, Fault> {
        let mut out = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(ROWS_MAX) {
            let may = usize::try_from(self.left).unwrap_or(usize::MAX).min(chunk.len());
            let asked = chunk.get(..may).unwrap_or_default();
            if !asked.is_empty() {
                let mut values = Vec::new();
                asked.iter().for_each(|row| self.scale.unit(row, &mut values));
                let samples = vec![0; asked.len()];
                let rows = Rows::new(&values, self.scale.low.len(), &samples)?;
                match self.model {
                    Shown::Scores(model) => model.scores(rows, &mut self.replies)?,
                    Shown::Gradients(model) => model.scores(rows, &mut self.replies)?,
                }
                self.left -= asked.len() as u64;
                self.asked += asked.len() as u64;
            }
            for n in 0..chunk.len() {
                let scores = if n < may { self.replies.row(n) } else { None };
                out.push(scores.and_then(|s| {
                    let margin = s.get(self.label)? - s.get(best_other(s, self.label))?;
                    Some((margin, argmax(s)?))
                }));
            }
        }
        Ok(out)
    }

    /// The derivative of the margin of the strongest other class by each clinical value; `None` without gradients, or when they are not finite.
    pub(super) fn slope(&mut self, row: &[f32]) -> Result<Option<Vec<f64>>, Fault> {
        let Shown::Gradients(model) = self.model else { return Ok(None) };
        if self.left == 0 {
            return Ok(None);
        }
        let mut values = Vec::new();
        self.scale.unit(row, &mut values);
        let mut gradient = Vec::new();
        let label = self.label;
        let mut climb = |_: usize, scores: &[f32], out: &mut [f32]| {
            Loss::Margin.of(scores, label, out);
        };
        model.gradient(Rows::new(&values, row.len(), &[0])?, &mut climb, &mut self.replies, &mut gradient)?;
        (self.left, self.asked) = (self.left - 1, self.asked + 1);
        let slope: Vec<f64> =
            gradient.iter().zip(&self.scale.span).map(|(g, s)| f64::from(*g) / f64::from(*s)).collect();
        Ok(slope.iter().all(|g| g.is_finite()).then_some(slope))
    }
}
