//! Derivatives of operators on several tensors with broadcasting: arithmetic, Min, Max, Sum, Mean, PRelu, Where.

use super::adjoint::{Adjoint, Ruled, done};
use super::tape::{Flow, values_mut};
use super::unary::relu;
use crate::error::{OpResult, op_bail};
use crate::ops::binary::{broadcast_strides, for_each_run, zip};
use crate::ops::{Activation, NodeCtx};
use crate::tensor::TensorData;
use crate::value::{Ctx, Value, product};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    PRelu,
}

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Ruled {
    let operation = match ctx.node.operator.as_str() {
        "Add" => Operation::Add,
        "Sub" => Operation::Sub,
        "Mul" => Operation::Mul,
        "Div" => Operation::Div,
        "Pow" => Operation::Pow,
        "PRelu" => Operation::PRelu,
        "Sum" => return done(Chain { mean: false }),
        "Mean" => return done(Chain { mean: true }),
        "Min" | "Max" => return done(Extreme),
        "Where" => return done(Where),
        _ => return Ok(None),
    };
    done(Binary { operation, relu: ctx.activation == Activation::Relu })
}

/// A plain gradient summed over the dimensions along which a tensor of `shape` was repeated.
pub(super) fn reduced(ctx: &mut Ctx<'_>, d: Value, shape: &[usize]) -> OpResult<Value> {
    if d.shape == shape {
        return Ok(d);
    }
    let count = product(shape);
    let mut out = ctx.take(count);
    out.fill(0.0);
    let values = d.f32_values()?;
    if values.len() == count {
        out.copy_from_slice(values);
    } else {
        let steps = broadcast_strides(shape, &d.shape);
        let step = steps.last().copied().unwrap_or(0);
        let zeros = vec![0; d.shape.len()];
        for_each_run(&d.shape, &steps, &zeros, |to, _, from, length| {
            let from = &values[from..from + length];
            if step == 0 {
                out[to] += from.iter().sum::<f32>();
            } else {
                out[to..].iter_mut().step_by(step).zip(from).for_each(|(to, from)| *to += from);
            }
        });
    }
    ctx.give_value(d);
    Ok(Value::f32s(shape.to_vec(), out))
}

fn copy(ctx: &mut Ctx<'_>, d: &Value) -> OpResult<Value> {
    let values = d.f32_values()?;
    let mut out = ctx.take(values.len());
    out.copy_from_slice(values);
    Ok(Value { shape: d.shape.clone(), data: TensorData::F32(out), block: d.block })
}

/// Combines a plain gradient with a tensor that broadcasts to its shape.
fn with(ctx: &mut Ctx<'_>, d: &Value, other: &Value, f: impl Fn(f32, f32) -> f32) -> OpResult<Value> {
    let values = d.f32_values()?;
    let mut out = ctx.take(values.len());
    zip((values, &d.shape), (floats(other)?.as_ref(), &other.shape), &d.shape, &mut out, f);
    Ok(Value::f32s(d.shape.clone(), out))
}

/// Values as float32; an exponent may be an integer.
fn floats(value: &Value) -> OpResult<std::borrow::Cow<'_, [f32]>> {
    match &value.data {
        TensorData::F32(v) => Ok(std::borrow::Cow::Borrowed(v)),
        TensorData::I64(v) => Ok(v.iter().map(|v| *v as f32).collect()),
        _ => op_bail!("needs float32 values, got {}", value.data_type()),
    }
}

struct Binary {
    operation: Operation,
    relu: bool,
}

impl Adjoint for Binary {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(mut d) = flow.dy(0) else { return Ok(()) };
        if self.relu {
            let y = flow.y(0)?;
            d = flow.like(d, y);
            relu(values_mut(&mut d)?, y.f32_values()?);
        }
        let (a, b) = (flow.x(0)?, flow.x(1)?);
        if matches!(self.operation, Operation::Add | Operation::Sub) && a.shape == b.shape {
            return self.sum_of_equals(flow, d);
        }
        let d = flow.plain(d);
        let (a, b) = (flow.plain_saved(a), flow.plain_saved(b));
        if flow.wants(0) {
            let da = self.first(flow.ctx, &d, &a, &b)?;
            let da = reduced(flow.ctx, da, &a.shape)?;
            flow.give(0, da)?;
        }
        if flow.wants(1) {
            let y = flow.y(0)?;
            let y = flow.plain_saved(y);
            let db = self.second(flow.ctx, &d, &a, &b, &y)?;
            let db = reduced(flow.ctx, db, &b.shape)?;
            flow.give(1, db)?;
        }
        flow.ctx.give_value(d);
        Ok(())
    }
}

impl Binary {
    /// A sum or difference without broadcasting: gradients stay as they are, in blocks too.
    fn sum_of_equals(&self, flow: &mut Flow<'_, '_>, d: Value) -> OpResult<()> {
        if !flow.wants(1) {
            return flow.give(0, d);
        }
        let mut second = copy(flow.ctx, &d)?;
        if self.operation == Operation::Sub {
            values_mut(&mut second)?.iter_mut().for_each(|v| *v = -*v);
        }
        flow.give(0, d)?;
        flow.give(1, second)
    }

    /// The gradient of the first argument, before summing over repeats.
    fn first(&self, ctx: &mut Ctx<'_>, d: &Value, a: &Value, b: &Value) -> OpResult<Value> {
        match self.operation {
            Operation::Add | Operation::Sub => copy(ctx, d),
            Operation::Mul => with(ctx, d, b, |d, b| d * b),
            Operation::Div => with(ctx, d, b, |d, b| d / b),
            Operation::Pow => {
                let power = with(ctx, d, b, |_, b| b)?;
                let slope = with(ctx, &power, a, |b, a| if b == 0.0 { 0.0 } else { b * a.powf(b - 1.0) })?;
                with(ctx, &slope, d, |s, d| s * d)
            }
            Operation::PRelu => {
                let slope = with(ctx, d, b, |_, b| b)?;
                let slope = with(ctx, &slope, a, |b, a| if a > 0.0 { 1.0 } else { b })?;
                with(ctx, &slope, d, |s, d| s * d)
            }
        }
    }

    /// The gradient of the second argument, before summing over repeats.
    fn second(&self, ctx: &mut Ctx<'_>, d: &Value, a: &Value, b: &Value, y: &Value) -> OpResult<Value> {
        match self.operation {
            Operation::Add => copy(ctx, d),
            Operation::Sub => with(ctx, d, d, |d, _| -d),
            Operation::Mul => with(ctx, d, a, |d, a| d * a),
            Operation::Div => {
                let over = with(ctx, y, b, |y, b| -y / b)?;
                with(ctx, &over, d, |o, d| o * d)
            }
            Operation::Pow => {
                let log = with(ctx, y, a, |y, a| if a == 0.0 { 0.0 } else { y * a.ln() })?;
                with(ctx, &log, d, |l, d| l * d)
            }
            Operation::PRelu => with(ctx, d, a, |d, a| if a > 0.0 { 0.0 } else { d * a }),
        }
    }
}

/// Sum and Mean of any number of tensors.
struct Chain {
    mean: bool,
}

impl Adjoint for Chain {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let mut d = flow.plain(d);
        let inputs = flow.inputs();
        if self.mean {
            let count = inputs.len() as f32;
            values_mut(&mut d)?.iter_mut().for_each(|v| *v /= count);
        }
        for (at, input) in inputs.iter().enumerate() {
            if let (Some(input), true) = (input, flow.wants(at)) {
                let each = copy(flow.ctx, &d)?;
                let each = reduced(flow.ctx, each, &input.shape)?;
                flow.give(at, each)?;
            }
        }
        flow.ctx.give_value(d);
        Ok(())
    }
}

/// Min and Max: the gradient goes to the argument that was taken, in equal parts where several are equal.
struct Extreme;

impl Adjoint for Extreme {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let d = flow.plain(d);
        let y = flow.y(0)?;
        let y = flow.plain_saved(y);
        let inputs = flow.inputs();
        let taken = |y: f32, x: f32| if x == y || (x.is_nan() && y.is_nan()) { 1.0 } else { 0.0 };
        let mut hits = Vec::with_capacity(inputs.len());
        let mut count = vec![0.0f32; y.f32_values()?.len()];
        for input in inputs.iter().flatten() {
            let input = flow.plain_saved(input);
            let hit = with(flow.ctx, &y, &input, taken)?;
            count.iter_mut().zip(hit.f32_values()?).for_each(|(c, h)| *c += h);
            hits.push(hit);
        }
        for (at, (input, mut hit)) in inputs.iter().zip(hits).enumerate() {
            let Some(input) = input else { continue };
            for ((h, d), c) in values_mut(&mut hit)?.iter_mut().zip(d.f32_values()?).zip(&count) {
                *h = if *h > 0.0 { d / c } else { 0.0 };
            }
            let part = reduced(flow.ctx, hit, &input.shape)?;
            flow.give(at, part)?;
        }
        flow.ctx.give_value(d);
        Ok(())
    }
}

/// Where: each gradient goes to the side that was chosen.
struct Where;

impl Adjoint for Where {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let d = flow.plain(d);
        let condition = flow.x(0)?;
        let TensorData::Bool(chosen) = &condition.data else { op_bail!("condition must be bool") };
        for (at, side) in [(1, true), (2, false)] {
            if !flow.wants(at) {
                continue;
            }
            let mut part = copy(flow.ctx, &d)?;
            let from = (d.f32_values()?, &d.shape[..]);
            let pick = |d, c| if c == side { d } else { 0.0 };
            zip(from, (chosen, &condition.shape), &d.shape, values_mut(&mut part)?, pick);
            let part = reduced(flow.ctx, part, &flow.x(at)?.shape)?;
            flow.give(at, part)?;
        }
        flow.ctx.give_value(d);
        Ok(())
    }
}
