//! Derivatives of normalisations: BatchNormalization (with stored statistics), InstanceNormalization,
//! LayerNormalization, Softmax, LogSoftmax.

use super::adjoint::{Adjoint, Ruled, done};
use super::tape::{Flow, values_mut};
use crate::error::{OpResult, op_bail};
use crate::ops::NodeCtx;
use crate::ops::norm::{Softmax, moments};
use crate::value::{Value, axis, product};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Ruled {
    match ctx.node.operator.as_str() {
        "BatchNormalization" => done(Batch { epsilon: ctx.float("epsilon", 1e-5)? }),
        "LayerNormalization" => {
            done(Centred { epsilon: ctx.float("epsilon", 1e-5)?, layer: Some(ctx.int("axis", -1)?) })
        }
        "InstanceNormalization" => done(Centred { epsilon: ctx.float("epsilon", 1e-5)?, layer: None }),
        "Softmax" | "LogSoftmax" => done(Softmax::read(ctx)?),
        _ => Ok(None),
    }
}

struct Batch {
    epsilon: f32,
}

impl Adjoint for Batch {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let mut d = flow.plain(d);
        let x = flow.x(0)?;
        let Some(&c) = x.shape.get(1) else { op_bail!("needs at least two dimensions, got {:?}", x.shape) };
        let plane = product(x.shape.get(2..).unwrap_or_default()).max(1);
        let (scale, mean, var) = (flow.x(1)?, flow.x(3)?.f32_values()?, flow.x(4)?.f32_values()?);
        let inverse: Vec<f64> =
            var.iter().map(|v| 1.0 / (f64::from(*v) + f64::from(self.epsilon)).sqrt()).collect();
        if flow.wants(1) || flow.wants(2) {
            let x = flow.plain_saved(x);
            let (mut by_scale, mut by_shift) = (vec![0.0f64; c], vec![0.0f64; c]);
            let planes = d.f32_values()?.chunks_exact(plane).zip(x.f32_values()?.chunks_exact(plane));
            for (at, (d, x)) in planes.enumerate() {
                let c = at % c.max(1);
                by_shift[c] += d.iter().map(|d| f64::from(*d)).sum::<f64>();
                let centred = |x: &f32| (f64::from(*x) - f64::from(mean[c])) * inverse[c];
                by_scale[c] += d.iter().zip(x).map(|(d, x)| f64::from(*d) * centred(x)).sum::<f64>();
            }
            let narrow = |v: Vec<f64>| Value::f32s(vec![c], v.into_iter().map(|v| v as f32).collect());
            flow.give(1, narrow(by_scale))?;
            flow.give(2, narrow(by_shift))?;
        }
        let scale = scale.f32_values()?;
        for (at, d) in values_mut(&mut d)?.chunks_exact_mut(plane).enumerate() {
            let c = at % c.max(1);
            let factor = (f64::from(scale[c]) * inverse[c]) as f32;
            d.iter_mut().for_each(|d| *d *= factor);
        }
        flow.give(0, d)
    }
}

/// Normalisation by the mean and deviation of the values themselves: `layer` axes on, or each channel of each image.
struct Centred {
    epsilon: f32,
    layer: Option<i64>,
}

impl Adjoint for Centred {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let d = flow.plain(d);
        let x = flow.x(0)?;
        let x = flow.plain_saved(x);
        let scale_value = flow.x(1)?;
        let scale = scale_value.f32_values()?;
        let split = match self.layer {
            Some(at) => axis(at, x.rank())?,
            None => 2.min(x.rank()),
        };
        let width = product(x.shape.get(split..).unwrap_or_default()).max(1);
        // Which scale belongs to value `i` of group `g`.
        let layer = self.layer.is_some();
        let at = |group: usize, i: usize| if layer { i } else { group % scale.len().max(1) };
        let mut dx = Value::f32s(x.shape.clone(), flow.ctx.take(product(&x.shape)));
        let (mut by_scale, mut by_shift) = (vec![0.0f64; scale.len()], vec![0.0f64; scale.len()]);
        let groups = values_mut(&mut dx)?.chunks_exact_mut(width);
        let sources = x.f32_values()?.chunks_exact(width).zip(d.f32_values()?.chunks_exact(width));
        for (group, (to, (x, d))) in groups.zip(sources).enumerate() {
            let (mean, inverse) = moments(x, self.epsilon);
            let (mut sum, mut along) = (0.0f64, 0.0f64);
            for (i, (x, d)) in x.iter().zip(d).enumerate() {
                let normal = (f64::from(*x) - mean) * inverse;
                let g = f64::from(*d) * f64::from(scale[at(group, i)]);
                by_scale[at(group, i)] += f64::from(*d) * normal;
                by_shift[at(group, i)] += f64::from(*d);
                sum += g;
                along += g * normal;
            }
            let count = width as f64;
            for (i, (to, (x, d))) in to.iter_mut().zip(x.iter().zip(d)).enumerate() {
                let normal = (f64::from(*x) - mean) * inverse;
                let g = f64::from(*d) * f64::from(scale[at(group, i)]);
                *to = (inverse * (g - sum / count - normal * along / count)) as f32;
            }
        }
        let narrow =
            |v: Vec<f64>| Value::f32s(scale_value.shape.clone(), v.into_iter().map(|v| v as f32).collect());
        flow.give(1, narrow(by_scale))?;
        flow.give(2, narrow(by_shift))?;
        flow.ctx.give_value(d);
        flow.give(0, dx)
    }
}

impl Adjoint for Softmax {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let mut d = flow.plain(d);
        let y = flow.y(0)?;
        let (length, step) = self.line_of(&y.shape)?;
        let size = length * step;
        let y = y.f32_values()?;
        if size > 0 {
            for (d, y) in values_mut(&mut d)?.chunks_exact_mut(size).zip(y.chunks_exact(size)) {
                for i in 0..step {
                    self.line_back(&mut d[i..], &y[i..], length, step);
                }
            }
        }
        flow.give(0, d)
    }
}

impl Softmax {
    /// One normalised line, `step` apart.
    fn line_back(&self, d: &mut [f32], y: &[f32], length: usize, step: usize) {
        let pairs = || d.iter().step_by(step).zip(y.iter().step_by(step)).take(length);
        let dot: f64 = if self.log {
            pairs().map(|(d, _)| f64::from(*d)).sum()
        } else {
            pairs().map(|(d, y)| f64::from(*d) * f64::from(*y)).sum()
        };
        let dot = dot as f32;
        for (d, y) in d.iter_mut().step_by(step).zip(y.iter().step_by(step)).take(length) {
            *d = if self.log { *d - y.exp() * dot } else { y * (*d - dot) };
        }
    }
}
