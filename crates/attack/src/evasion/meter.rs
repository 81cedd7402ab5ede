//! Counts what is asked per sample, and leaves unanswered what is beyond the query budget.

use std::collections::BTreeMap;

use crate::access::{Cotangent, Fault, Gradients, Labels, Replies, Rows, Scores, Space};

/// A model behind a counter.
pub struct Meter<'a, M: ?Sized> {
    model: &'a mut M,
    asked: BTreeMap<usize, u64>,
    max: Option<u64>,
}

impl<'a, M: ?Sized> Meter<'a, M> {
    /// Counts from 0; rows beyond `max` of a sample are not put to the model.
    pub fn new(model: &'a mut M, max: Option<u64>) -> Self {
        Self { model, asked: BTreeMap::new(), max }
    }

    /// Rows that were put to the model for `sample`.
    pub fn asked(&self, sample: usize) -> u64 {
        self.asked.get(&sample).copied().unwrap_or(0)
    }

    /// Counts `rows` and tells which of them may be asked; `None` when all may.
    fn admit(&mut self, rows: &Rows<'_>) -> Option<Vec<bool>> {
        let mut all = true;
        let admitted = rows
            .samples()
            .iter()
            .map(|sample| {
                let count = self.asked.entry(*sample).or_insert(0);
                let within = self.max.is_none_or(|max| *count < max);
                *count += u64::from(within);
                all &= within;
                within
            })
            .collect();
        if all { None } else { Some(admitted) }
    }
}

/// The admitted rows only.
fn pick(rows: &Rows<'_>, admitted: &[bool]) -> (Vec<f32>, Vec<usize>) {
    let kept = rows.iter().zip(rows.samples()).zip(admitted).filter(|(_, yes)| **yes);
    let (mut values, mut samples) = (Vec::new(), Vec::new());
    for ((row, sample), _) in kept {
        values.extend_from_slice(row);
        samples.push(*sample);
    }
    (values, samples)
}

/// Puts the replies to the admitted rows back in their places.
fn spread(admitted: &[bool], some: &Replies, out: &mut Replies) {
    out.reset(admitted.len(), some.classes);
    let mut next = 0;
    for (at, yes) in admitted.iter().enumerate() {
        let scores = if *yes { some.row(next) } else { None };
        next += usize::from(*yes);
        if let (Some(scores), Some(place)) =
            (scores, out.scores.get_mut(at * some.classes..(at + 1) * some.classes))
        {
            place.copy_from_slice(scores);
        } else if let Some(flag) = out.answered.get_mut(at) {
            *flag = false;
        }
    }
}

impl<M: Labels + ?Sized> Labels for Meter<'_, M> {
    fn space(&self) -> Space {
        self.model.space()
    }

    fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
        let Some(admitted) = self.admit(&rows) else { return self.model.labels(rows, out) };
        let (values, samples) = pick(&rows, &admitted);
        let mut some = Vec::new();
        if !samples.is_empty() {
            self.model.labels(Rows::new(&values, rows.width(), &samples)?, &mut some)?;
        }
        let mut some = some.into_iter();
        out.clear();
        out.extend(admitted.iter().map(|yes| if *yes { some.next().flatten() } else { None }));
        Ok(())
    }
}

impl<M: Scores + ?Sized> Scores for Meter<'_, M> {
    fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        let Some(admitted) = self.admit(&rows) else { return self.model.scores(rows, out) };
        let (values, samples) = pick(&rows, &admitted);
        let mut some = Replies { classes: self.space().classes, ..Replies::default() };
        if !samples.is_empty() {
            self.model.scores(Rows::new(&values, rows.width(), &samples)?, &mut some)?;
        }
        spread(&admitted, &some, out);
        Ok(())
    }
}

impl<M: Gradients + ?Sized> Gradients for Meter<'_, M> {
    fn gradient(
        &mut self,
        rows: Rows<'_>,
        cotangent: &mut Cotangent<'_>,
        replies: &mut Replies,
        gradient: &mut Vec<f32>,
    ) -> Result<(), Fault> {
        let Some(admitted) = self.admit(&rows) else {
            return self.model.gradient(rows, cotangent, replies, gradient);
        };
        let (values, samples) = pick(&rows, &admitted);
        let places: Vec<usize> = (0..rows.len()).filter(|at| admitted.get(*at) == Some(&true)).collect();
        let mut some = Replies { classes: self.space().classes, ..Replies::default() };
        let mut part = Vec::new();
        if !samples.is_empty() {
            let mut moved = |at: usize, scores: &[f32], out: &mut [f32]| {
                cotangent(places.get(at).copied().unwrap_or(at), scores, out);
            };
            let picked = Rows::new(&values, rows.width(), &samples)?;
            self.model.gradient(picked, &mut moved, &mut some, &mut part)?;
        }
        spread(&admitted, &some, replies);
        gradient.clear();
        gradient.resize(rows.len() * rows.width(), 0.0);
        for (row, at) in part.chunks_exact(rows.width()).zip(places) {
            if let Some(place) = gradient.get_mut(at * rows.width()..(at + 1) * rows.width()) {
                place.copy_from_slice(row);
            }
        }
        Ok(())
    }
}
