//! Derivatives of reductions over axes.

use super::adjoint::{Adjoint, Ruled, done};
use super::tape::{Flow, values_mut};
use crate::error::{OpResult, op_bail};
use crate::ops::NodeCtx;
use crate::ops::binary::{broadcast_strides, for_each_run};
use crate::ops::reduce::{Kind, Reduce};
use crate::value::Value;

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Ruled {
    match Reduce::read(ctx)? {
        Some(reduce) if reduce.kind == Kind::Prod => op_bail!("products have no derivative here"),
        Some(reduce) => done(reduce),
        None => Ok(None),
    }
}

impl Adjoint for Reduce {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let d = flow.plain(d);
        let x = flow.x(0)?;
        let Some(reduced) = self.reduced(x.rank(), flow.maybe_x(1))? else { return flow.give(0, d) };
        let x = flow.plain_saved(x);
        let y = flow.y(0)?;
        let (values, results, gradients) = (x.f32_values()?, y.f32_values()?, d.f32_values()?);
        let kept: Vec<usize> =
            x.shape.iter().zip(&reduced).map(|(length, gone)| if *gone { 1 } else { *length }).collect();
        let steps = broadcast_strides(&kept, &x.shape);
        let step = steps.last().copied().unwrap_or(0);
        let zeros = vec![0; x.rank()];
        // For the largest and smallest: how many values of a group are equal to it and share its gradient.
        let extreme = matches!(self.kind, Kind::Max | Kind::Min);
        let mut shares = vec![0.0f32; results.len()];
        let same = |x: f32, y: f32| x == y || (x.is_nan() && y.is_nan());
        if extreme {
            for_each_run(&x.shape, &steps, &zeros, |group, _, at, length| {
                for (i, v) in values[at..at + length].iter().enumerate() {
                    shares[group + i * step] += f32::from(u8::from(same(*v, results[group + i * step])));
                }
            });
        }
        let count = (values.len() / results.len().max(1)) as f32;
        let slope = |x: f32, y: f32, share: f32| match self.kind {
            Kind::Sum => 1.0,
            Kind::Mean => 1.0 / count,
            Kind::Max | Kind::Min => {
                if same(x, y) {
                    1.0 / share
                } else {
                    0.0
                }
            }
            Kind::L1 => {
                if x == 0.0 {
                    0.0
                } else {
                    x.signum()
                }
            }
            Kind::L2 => {
                if y == 0.0 {
                    0.0
                } else {
                    x / y
                }
            }
            Kind::SumSquare => 2.0 * x,
            Kind::LogSum => (-y).exp(),
            Kind::LogSumExp => (x - y).exp(),
            Kind::Prod => f32::NAN,
        };
        let mut dx = Value::f32s(x.shape.clone(), flow.ctx.take(values.len()));
        let out = values_mut(&mut dx)?;
        for_each_run(&x.shape, &steps, &zeros, |group, _, at, length| {
            for (i, (to, x)) in out[at..at + length].iter_mut().zip(&values[at..]).enumerate() {
                let group = group + i * step;
                *to = gradients[group] * slope(*x, results[group], shares[group]);
            }
        });
        flow.ctx.give_value(d);
        flow.give(0, dx)
    }
}
