//! From summed votes to labels and scores, with the special cases of two classes as onnxruntime 1.32 has them.

use super::NodeCtx;
use crate::error::{OpResult, op_bail};
use crate::tensor::TensorData;
use crate::value::Value;

/// What is applied to a row of scores at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Post {
    None,
    Softmax,
    SoftmaxZero,
    Logistic,
    Probit,
}

impl Post {
    pub(crate) fn read(ctx: &NodeCtx<'_>) -> OpResult<Self> {
        Ok(match ctx.text("post_transform", "NONE")? {
            "NONE" => Self::None,
            "SOFTMAX" => Self::Softmax,
            "SOFTMAX_ZERO" => Self::SoftmaxZero,
            "LOGISTIC" => Self::Logistic,
            "PROBIT" => Self::Probit,
            other => op_bail!("post_transform `{other}` is not known"),
        })
    }

    /// Applies the transform to one row of at least two scores (or a regressor's scores).
    pub(super) fn apply(self, row: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Logistic => row.iter_mut().for_each(|v| *v = logistic(*v)),
            Self::Probit => row.iter_mut().for_each(|v| *v = probit(*v)),
            Self::Softmax | Self::SoftmaxZero => {
                let max = row.iter().copied().fold(f32::MIN, |m, v| if v > m { v } else { m });
                let mut sum = 0.0;
                for v in row.iter_mut() {
                    if self == Self::SoftmaxZero && v.abs() <= 1e-7 {
                        // Scores of 0 stay out of the sum.
                        *v *= (-max).exp();
                    } else {
                        *v = (*v - max).exp();
                        sum += *v;
                    }
                }
                row.iter_mut().for_each(|v| *v /= sum);
            }
        }
    }
}

pub(super) fn logistic(v: f32) -> f32 {
    let p = 1.0 / (1.0 + (-v.abs()).exp());
    if v < 0.0 { 1.0 - p } else { p }
}

/// The inverse of the normal distribution function by Winitzki's approximation (a = 0.147), as the reference has it.
fn probit(v: f32) -> f32 {
    let x = 2.0 * v - 1.0;
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let a = 2.0 / (std::f32::consts::PI * 0.147) + 0.5 * log;
    let inverse = (-a + (a * a - log / 0.147).sqrt()).sqrt();
    std::f32::consts::SQRT_2 * if x < 0.0 { -inverse } else { inverse }
}

/// Class labels, integers or text.
#[derive(Debug, Clone)]
pub(super) enum Labels {
    Ints(Vec<i64>),
    Texts(Vec<String>),
}

impl Labels {
    pub(super) fn read(ctx: &NodeCtx<'_>, ints: &str, texts: &str) -> OpResult<Self> {
        match (ctx.ints(ints)?, ctx.texts(texts)?) {
            (Some(labels), _) if !labels.is_empty() => Ok(Self::Ints(labels.to_vec())),
            (_, Some(labels)) => Ok(Self::Texts(labels.to_vec())),
            _ => op_bail!("has no class labels"),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Ints(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }

    /// The labels at these class indices, as a tensor of one dimension.
    pub(super) fn pick(&self, classes: &[usize]) -> Value {
        let data = match self {
            Self::Ints(labels) => {
                TensorData::I64(classes.iter().map(|c| labels.get(*c).copied().unwrap_or(0)).collect())
            }
            Self::Texts(labels) => TensorData::Text(
                classes.iter().map(|c| labels.get(*c).cloned().unwrap_or_default()).collect(),
            ),
        };
        Value::plain(vec![classes.len()], data)
    }
}

/// How an ensemble's sums become scores.
#[derive(Debug, Clone)]
pub(super) struct Scores {
    pub(super) targets: usize,
    pub(super) base: Vec<f32>,
    pub(super) post: Post,
    /// Two classes, all votes for one of them.
    pub(super) binary: bool,
    pub(super) positive_weights: bool,
    pub(super) labels: Option<Labels>,
}

impl Scores {
    pub(super) fn check(&self) -> OpResult<()> {
        let n = self.base.len();
        let two = self.labels.is_some() && self.targets == 2 && n == 1;
        if n != 0 && n != self.targets && !two {
            op_bail!("has {n} base values for {} classes or targets", self.targets);
        }
        Ok(())
    }

    /// Class of a row of two sums, and the scores written over them.
    fn two(&self, row: &mut [f32; 2], seen: [bool; 2]) -> usize {
        match self.base[..] {
            // A class that no leaf voted for gets no base value.
            [base, ..] if seen[0] => row[0] += base,
            _ => {}
        }
        let weight = if seen[1] { row[1] } else { row[0] };
        let probabilities = self.binary && self.positive_weights;
        let class = usize::from(if probabilities { weight > 0.5 } else { weight > 0.0 });
        if seen[1] || self.base.len() == 2 {
            self.post.apply(row);
            return class;
        }
        // Votes for the first class only: one score that stands for both classes.
        let score = row[0];
        *row = match self.post {
            Post::Probit => [probit(score), 0.0],
            Post::Logistic => [logistic(-score), logistic(score)],
            _ if probabilities => [1.0 - score, score],
            _ => [-score, score],
        };
        class
    }
}

/// Turns sums into the operator's outputs: labels and scores, or scores alone for a regressor.
pub(super) fn finish(
    scores: &Scores,
    mut sums: Vec<f32>,
    seen: Vec<bool>,
    rows: usize,
) -> OpResult<Vec<Value>> {
    let n = scores.targets;
    let mut classes = Vec::with_capacity(rows);
    for (row, seen) in sums.chunks_exact_mut(n).zip(seen.chunks_exact(n)) {
        if scores.labels.is_none() || n != 2 {
            for ((v, base), seen) in row.iter_mut().zip(&scores.base).zip(seen) {
                // A regressor's target without votes stays 0, a class without votes gets its base value.
                if *seen || scores.labels.is_some() {
                    *v += base;
                }
            }
        }
        match (&scores.labels, <&mut [f32; 2]>::try_from(&mut *row)) {
            (None, _) => scores.post.apply(row),
            (Some(_), Ok(two)) => {
                classes.push(scores.two(two, [seen[0], seen[1]]));
            }
            (Some(_), Err(_)) => {
                let mut best: Option<usize> = None;
                for (i, v) in row.iter().enumerate() {
                    let known = seen[i] || !scores.base.is_empty();
                    if known && best.is_none_or(|b| *v > row[b]) {
                        best = Some(i);
                    }
                }
                classes.push(best.unwrap_or(0));
                scores.post.apply(row);
            }
        }
    }
    let values = Value::f32s(vec![rows, n], sums);
    Ok(match &scores.labels {
        Some(labels) => vec![labels.pick(&classes), values],
        None => vec![values],
    })
}
