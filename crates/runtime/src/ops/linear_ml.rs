//! LinearClassifier, LinearRegressor, Scaler, Normalizer (ai.onnx.ml).

use super::tree_score::{Labels, Post, logistic};
use super::{Compiled, Kernel, NodeCtx, done, need};
use crate::error::{OpResult, op_bail};
use crate::kernel::gemm::Packed;
use crate::tensor::TensorData;
use crate::value::{Ctx, Value};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    match ctx.node.operator.as_str() {
        "LinearClassifier" => linear(ctx, true),
        "LinearRegressor" => linear(ctx, false),
        "Scaler" => done(Scaler {
            offset: ctx.floats("offset")?.unwrap_or_default().to_vec(),
            scale: ctx.floats("scale")?.unwrap_or_default().to_vec(),
        }),
        "Normalizer" => done(Normalizer {
            norm: match ctx.text("norm", "MAX")? {
                "MAX" => Norm::Max,
                "L1" => Norm::L1,
                "L2" => Norm::L2,
                other => op_bail!("norm `{other}` is not known"),
            },
        }),
        _ => Ok(None),
    }
}

/// Rows of features as float32 (numbers of other types are converted), with their count and width.
pub(crate) fn rows(x: &Value) -> OpResult<(std::borrow::Cow<'_, [f32]>, usize, usize)> {
    let values = match &x.data {
        TensorData::F32(v) => std::borrow::Cow::Borrowed(v.as_slice()),
        TensorData::F64(v) => v.iter().map(|v| *v as f32).collect(),
        TensorData::I64(v) => v.iter().map(|v| *v as f32).collect(),
        TensorData::I32(v) => v.iter().map(|v| *v as f32).collect(),
        _ => op_bail!("is not covered on {} values", x.data_type()),
    };
    match x.shape[..] {
        [width] => Ok((values, 1, width)),
        [rows, width] => Ok((values, rows, width)),
        _ => op_bail!("needs rows of features, got shape {:?}", x.shape),
    }
}

fn linear(ctx: &NodeCtx<'_>, classifier: bool) -> Compiled {
    let Some(weights) = ctx.floats("coefficients")?.filter(|w| !w.is_empty()) else {
        op_bail!("attribute `coefficients` is missing")
    };
    let bias = ctx.floats("intercepts")?;
    let labels =
        if classifier { Some(Labels::read(ctx, "classlabels_ints", "classlabels_strings")?) } else { None };
    let targets = match &labels {
        None => usize::try_from(ctx.int("targets", 1)?).unwrap_or(0),
        Some(labels) => match bias {
            // One row of coefficients can stand for two classes.
            Some(bias) if !bias.is_empty() => bias.len(),
            _ => labels.len(),
        },
    };
    if targets == 0 || !weights.len().is_multiple_of(targets) {
        op_bail!("has {} coefficients for {targets} targets", weights.len());
    }
    let one_for_two = labels.as_ref().is_some_and(|l| l.len() == 2) && targets == 1;
    if labels.as_ref().is_some_and(|l| l.len() != targets) && !one_for_two {
        op_bail!("has coefficients for {targets} classes, but other labels");
    }
    let bias = match bias {
        Some(bias) if bias.len() == targets => Some(bias),
        Some(bias) if !bias.is_empty() => op_bail!("has {} intercepts for {targets} targets", bias.len()),
        _ => None,
    };
    let shape = [weights.len() / targets, targets];
    let packed = Packed::new(ctx.isa, shape, true, weights, bias);
    done(Linear { packed, labels, post: Post::read(ctx)? })
}

struct Linear {
    packed: Packed,
    labels: Option<Labels>,
    post: Post,
}

impl Kernel for Linear {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let (x, rows, width) = rows(need(inputs, 0)?)?;
        let (depth, targets) = (self.packed.depth, self.packed.columns);
        if width != depth {
            op_bail!("rows have {width} features, the coefficients need {depth}");
        }
        ctx.charge((rows as u64).checked_mul(depth as u64).and_then(|w| w.checked_mul(targets as u64)))?;
        let mut y = ctx.f32_buffer(&[rows, targets])?;
        self.packed.run(&x, rows, &mut y, false);
        let Some(labels) = &self.labels else {
            y.chunks_exact_mut(targets).for_each(|row| self.post.apply(row));
            return Ok(vec![Value::f32s(vec![rows, targets], y)]);
        };
        let mut classes = Vec::with_capacity(rows);
        if targets == 1 && labels.len() == 2 {
            let mut both = ctx.f32_buffer(&[rows, 2])?;
            for (to, score) in both.as_chunks_mut::<2>().0.iter_mut().zip(&y) {
                // A probability is told from a margin by the transform.
                classes.push(usize::from(*score > 0.0));
                *to = match self.post {
                    Post::Logistic => [1.0 - logistic(*score), logistic(*score)],
                    _ => {
                        let mut pair = [-*score, *score];
                        self.post.apply(&mut pair);
                        pair
                    }
                };
            }
            return Ok(vec![labels.pick(&classes), Value::f32s(vec![rows, 2], both)]);
        }
        for row in y.chunks_exact_mut(targets) {
            let best = row.iter().enumerate().fold(0, |best, (i, v)| if *v > row[best] { i } else { best });
            classes.push(best);
            self.post.apply(row);
        }
        Ok(vec![labels.pick(&classes), Value::f32s(vec![rows, targets], y)])
    }
}

struct Scaler {
    offset: Vec<f32>,
    scale: Vec<f32>,
}

impl Kernel for Scaler {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let (values, _, width) = rows(x)?;
        let fits = |v: &[f32]| v.len() == width || v.len() == 1;
        if !fits(&self.offset) || !fits(&self.scale) {
            op_bail!(
                "has {} offsets and {} scales for {width} features",
                self.offset.len(),
                self.scale.len()
            );
        }
        let at = |v: &[f32], i: usize| if v.len() == 1 { v[0] } else { v[i] };
        let mut y = ctx.f32_buffer(&x.shape)?;
        for (to, from) in y.chunks_exact_mut(width.max(1)).zip(values.chunks_exact(width.max(1))) {
            for (i, (to, from)) in to.iter_mut().zip(from).enumerate() {
                *to = (from - at(&self.offset, i)) * at(&self.scale, i);
            }
        }
        Ok(vec![Value::f32s(x.shape.clone(), y)])
    }
}

#[derive(Debug, Clone, Copy)]
enum Norm {
    Max,
    L1,
    L2,
}

struct Normalizer {
    norm: Norm,
}

impl Kernel for Normalizer {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let (values, _, width) = rows(x)?;
        let mut y = ctx.f32_buffer(&x.shape)?;
        for (to, from) in y.chunks_exact_mut(width.max(1)).zip(values.chunks_exact(width.max(1))) {
            let size = match self.norm {
                Norm::Max => from.iter().copied().fold(f32::MIN, f32::max),
                Norm::L1 => from.iter().map(|v| v.abs()).sum(),
                Norm::L2 => from.iter().map(|v| v * v).sum::<f32>().sqrt(),
            };
            // A row of zeros stays as it is.
            let size = if size == 0.0 { 1.0 } else { size };
            for (to, from) in to.iter_mut().zip(from) {
                *to = from / size;
            }
        }
        Ok(vec![Value::f32s(x.shape.clone(), y)])
    }
}
