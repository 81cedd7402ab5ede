//! Normalisations along channels or axes: BatchNormalization, InstanceNormalization, LayerNormalization, Softmax, LogSoftmax.

use super::{Compiled, Kernel, NodeCtx, done, maybe, need};
use crate::error::{OpResult, op_bail};
use crate::value::{Ctx, Value, axis, product};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    match ctx.node.operator.as_str() {
        "BatchNormalization" => {
            if ctx.int("training_mode", 0)? != 0 || ctx.node.outputs.iter().flatten().count() > 1 {
                op_bail!("is in training mode; export the model in evaluation mode");
            }
            if ctx.int("spatial", 1)? != 1 {
                op_bail!("attribute `spatial` other than 1 is not covered");
            }
            done(Batch { epsilon: ctx.float("epsilon", 1e-5)? })
        }
        "LayerNormalization" => {
            if ctx.node.outputs.iter().flatten().count() > 1 {
                op_bail!("more than one output is not covered");
            }
            done(Layer { axis: ctx.int("axis", -1)?, epsilon: ctx.float("epsilon", 1e-5)? })
        }
        "InstanceNormalization" => done(Instance { epsilon: ctx.float("epsilon", 1e-5)? }),
        "Softmax" | "LogSoftmax" => done(Softmax::read(ctx)?),
        _ => Ok(None),
    }
}

struct Batch {
    epsilon: f32,
}

impl Kernel for Batch {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let Some(&c) = x.shape.get(1) else { op_bail!("needs at least two dimensions, got {:?}", x.shape) };
        let part = |at: usize| -> OpResult<&[f32]> {
            let values = need(inputs, at)?.f32_values()?;
            if values.len() != c {
                op_bail!("input {at} has {} values for {c} channels", values.len());
            }
            Ok(values)
        };
        let (scale, shift, mean, var) = (part(1)?, part(2)?, part(3)?, part(4)?);
        let values = x.f32_values()?;
        let mut y = ctx.f32_buffer(&x.shape)?;
        let plane = product(x.shape.get(2..).unwrap_or_default()).max(1);
        for (at, (to, from)) in y.chunks_exact_mut(plane).zip(values.chunks_exact(plane)).enumerate() {
            let c = at % c.max(1);
            let factor = f64::from(scale[c]) / (f64::from(var[c]) + f64::from(self.epsilon)).sqrt();
            let offset = f64::from(shift[c]) - f64::from(mean[c]) * factor;
            for (to, from) in to.iter_mut().zip(from) {
                *to = (f64::from(*from) * factor + offset) as f32;
            }
        }
        Ok(vec![Value::f32s(x.shape.clone(), y)])
    }
}

/// Mean and reciprocal standard deviation (population) of some values, in float64.
pub(crate) fn moments(values: &[f32], epsilon: f32) -> (f64, f64) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let var = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count;
    (mean, 1.0 / (var + f64::from(epsilon)).sqrt())
}

struct Layer {
    axis: i64,
    epsilon: f32,
}

impl Kernel for Layer {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let at = axis(self.axis, x.rank())?;
        let normal = x.shape.get(at..).unwrap_or_default();
        let width = product(normal).max(1);
        let scale = need(inputs, 1)?.f32_values()?;
        let shift = maybe(inputs, 2).map(Value::f32_values).transpose()?;
        if scale.len() != width || shift.is_some_and(|s| s.len() != width) {
            op_bail!("scale or bias does not have the {width} values of the normalised axes");
        }
        let values = x.f32_values()?;
        let mut y = ctx.f32_buffer(&x.shape)?;
        for (to, from) in y.chunks_exact_mut(width).zip(values.chunks_exact(width)) {
            let (mean, inverse) = moments(from, self.epsilon);
            for (i, (to, from)) in to.iter_mut().zip(from).enumerate() {
                let normal = ((f64::from(*from) - mean) * inverse) as f32;
                *to = normal * scale[i] + shift.map_or(0.0, |s| s[i]);
            }
        }
        Ok(vec![Value::f32s(x.shape.clone(), y)])
    }
}

struct Instance {
    epsilon: f32,
}

impl Kernel for Instance {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let [_, c, spatial @ ..] = &x.shape[..] else { op_bail!("needs images, got shape {:?}", x.shape) };
        let (scale, shift) = (need(inputs, 1)?.f32_values()?, need(inputs, 2)?.f32_values()?);
        if scale.len() != *c || shift.len() != *c {
            op_bail!("scale or bias does not have {c} values");
        }
        let plane = product(spatial).max(1);
        let values = x.f32_values()?;
        let mut y = ctx.f32_buffer(&x.shape)?;
        for (at, (to, from)) in y.chunks_exact_mut(plane).zip(values.chunks_exact(plane)).enumerate() {
            let (mean, inverse) = moments(from, self.epsilon);
            let c = at % c;
            for (to, from) in to.iter_mut().zip(from) {
                *to = ((f64::from(*from) - mean) * inverse) as f32 * scale[c] + shift[c];
            }
        }
        Ok(vec![Value::f32s(x.shape.clone(), y)])
    }
}

pub(crate) struct Softmax {
    axis: i64,
    flat: bool,
    pub(crate) log: bool,
}

impl Softmax {
    pub(crate) fn read(ctx: &NodeCtx<'_>) -> OpResult<Self> {
        let log = ctx.node.operator == "LogSoftmax";
        // Before opset 13 the tensor is seen as a matrix split at `axis`, later only that axis is normalised.
        let flat = ctx.opset < 13;
        Ok(Self { axis: ctx.int("axis", if flat { 1 } else { -1 })?, flat, log })
    }

    /// Length of a normalised line, and the distance between its values.
    pub(crate) fn line_of(&self, shape: &[usize]) -> OpResult<(usize, usize)> {
        let at = axis(self.axis, shape.len())?;
        Ok(if self.flat {
            (product(shape.get(at..).unwrap_or_default()), 1)
        } else {
            (shape.get(at).copied().unwrap_or(1), product(shape.get(at + 1..).unwrap_or_default()))
        })
    }
}

impl Kernel for Softmax {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let (length, inner) = self.line_of(&x.shape)?;
        let values = x.f32_values()?;
        let mut y = ctx.f32_buffer(&x.shape)?;
        let size = length * inner;
        if size > 0 {
            for (to, from) in y.chunks_exact_mut(size).zip(values.chunks_exact(size)) {
                for i in 0..inner {
                    self.line(&from[i..], &mut to[i..], length, inner);
                }
            }
        }
        Ok(vec![Value::f32s(x.shape.clone(), y)])
    }
}

impl Softmax {
    /// One normalised line of `length` values, `step` apart; the maximum is taken off first.
    fn line(&self, from: &[f32], to: &mut [f32], length: usize, step: usize) {
        let line = || from.iter().step_by(step).take(length);
        let max = line().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
        let mut sum = 0.0f32;
        for (to, &v) in to.iter_mut().step_by(step).zip(line()) {
            let e = (v - max).exp();
            sum += e;
            *to = if self.log { v - max } else { e };
        }
        let log_sum = sum.ln();
        for to in to.iter_mut().step_by(step).take(length) {
            *to = if self.log { *to - log_sum } else { *to / sum };
        }
    }
}
