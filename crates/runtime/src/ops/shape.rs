//! Operators that change or make shapes: Reshape, Flatten, Squeeze, Unsqueeze, Shape, Size, ConstantOfShape, Range, Expand.

use super::{Compiled, Kernel, NodeCtx, broadcast_shape, done, ints_of, maybe, need};
use crate::error::{OpResult, op_bail};
use crate::tensor::{Tensor, TensorData, map_type};
use crate::value::{Ctx, Value, axis, product};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    match ctx.node.operator.as_str() {
        "Reshape" => done(Reshape { zero_is_zero: ctx.int("allowzero", 0)? != 0 }),
        "Flatten" => done(Flatten { axis: ctx.int("axis", 1)? }),
        "Squeeze" => done(Squeeze { axes: ctx.ints("axes")?.map(<[i64]>::to_vec) }),
        "Unsqueeze" => done(Unsqueeze { axes: ctx.ints("axes")?.map(<[i64]>::to_vec) }),
        "Shape" => {
            let end = ctx.node.attributes.contains_key("end").then(|| ctx.int("end", 0)).transpose()?;
            done(Shape { start: ctx.int("start", 0)?, end })
        }
        "Size" => done(Size),
        "ConstantOfShape" => done(ConstantOfShape { value: ctx.tensor("value")?.cloned() }),
        "Range" => done(Range),
        "Expand" => done(Expand),
        _ => Ok(None),
    }
}

/// The same values under another shape; float32 values go into a kept buffer.
fn reshaped(ctx: &mut Ctx<'_>, x: &Value, shape: Vec<usize>) -> OpResult<Vec<Value>> {
    ctx.count(&shape)?;
    let data = match &x.data {
        TensorData::F32(values) => {
            let mut out = ctx.take(values.len());
            out.copy_from_slice(values);
            TensorData::F32(out)
        }
        other => other.clone(),
    };
    Ok(vec![Value::plain(shape, data)])
}

struct Reshape {
    zero_is_zero: bool,
}

impl Kernel for Reshape {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let wanted = need(inputs, 1)?.int_values()?;
        if wanted.len() > 64 {
            op_bail!("asks for {} dimensions", wanted.len());
        }
        let mut shape = Vec::with_capacity(wanted.len());
        let mut open = None;
        for (at, &length) in wanted.iter().enumerate() {
            shape.push(match length {
                -1 if open.is_none() => {
                    open = Some(at);
                    1
                }
                0 if !self.zero_is_zero => match x.shape.get(at) {
                    Some(&length) => length,
                    None => op_bail!("copies dimension {at}, which shape {:?} does not have", x.shape),
                },
                _ => match usize::try_from(length) {
                    Ok(length) => length,
                    Err(_) => op_bail!("target shape {wanted:?} is not valid"),
                },
            });
        }
        let count = product(&x.shape);
        let Some(known) = crate::tensor::elements(&shape) else {
            op_bail!("target shape {wanted:?} overflows")
        };
        if let Some(place) = open.and_then(|at| shape.get_mut(at))
            && known > 0
        {
            *place = count / known;
        }
        if crate::tensor::elements(&shape) != Some(count) {
            op_bail!("cannot reshape {:?} to {wanted:?}", x.shape);
        }
        reshaped(ctx, x, shape)
    }
}

struct Flatten {
    axis: i64,
}

impl Kernel for Flatten {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let at =
            if usize::try_from(self.axis) == Ok(x.rank()) { x.rank() } else { axis(self.axis, x.rank())? };
        let (outer, inner) = x.shape.split_at(at);
        let shape = vec![product(outer), product(inner)];
        reshaped(ctx, x, shape)
    }
}

struct Squeeze {
    axes: Option<Vec<i64>>,
}

impl Kernel for Squeeze {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let axes = ints_of(self.axes.as_deref(), maybe(inputs, 1))?;
        let mut drop = vec![false; x.rank()];
        match axes {
            Some(axes) => {
                for a in axes {
                    let at = axis(a, x.rank())?;
                    if x.shape.get(at) != Some(&1) {
                        op_bail!("axis {a} of shape {:?} is not 1", x.shape);
                    }
                    drop[at] = true;
                }
            }
            None => drop = x.shape.iter().map(|&length| length == 1).collect(),
        }
        let shape =
            x.shape.iter().zip(&drop).filter(|(_, drop)| !**drop).map(|(length, _)| *length).collect();
        reshaped(ctx, x, shape)
    }
}

struct Unsqueeze {
    axes: Option<Vec<i64>>,
}

impl Kernel for Unsqueeze {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let Some(axes) = ints_of(self.axes.as_deref(), maybe(inputs, 1))? else { op_bail!("has no axes") };
        let rank = x.rank() + axes.len();
        if axes.len() > 64 {
            op_bail!("adds {} dimensions", axes.len());
        }
        let mut added = vec![false; rank];
        for a in axes {
            let at = axis(a, rank)?;
            if std::mem::replace(&mut added[at], true) {
                op_bail!("axis {a} is given twice");
            }
        }
        let mut old = x.shape.iter().copied();
        let shape = added.iter().map(|&added| if added { 1 } else { old.next().unwrap_or(1) }).collect();
        reshaped(ctx, x, shape)
    }
}

struct Shape {
    start: i64,
    end: Option<i64>,
}

impl Kernel for Shape {
    fn run(&self, _: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let rank = i64::try_from(x.rank()).unwrap_or(i64::MAX);
        let clamp = |v: i64| {
            usize::try_from(if v < 0 { v.saturating_add(rank) } else { v }.clamp(0, rank)).unwrap_or(0)
        };
        let (start, end) = (clamp(self.start), clamp(self.end.unwrap_or(rank)));
        let part = x.shape.get(start..end).unwrap_or_default();
        let values: Vec<i64> = part.iter().map(|&length| i64::try_from(length).unwrap_or(i64::MAX)).collect();
        Ok(vec![Value::i64s(vec![values.len()], values)])
    }

    fn takes_blocked(&self) -> bool {
        true
    }
}

struct Size;

impl Kernel for Size {
    fn run(&self, _: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let count = product(&need(inputs, 0)?.shape);
        Ok(vec![Value::i64s(vec![], vec![i64::try_from(count).unwrap_or(i64::MAX)])])
    }
}

/// Integers as lengths of a shape.
pub(super) fn lengths(values: &[i64]) -> OpResult<Vec<usize>> {
    if values.len() > 64 {
        op_bail!("asks for {} dimensions", values.len());
    }
    match values.iter().map(|&v| usize::try_from(v).ok()).collect() {
        Some(shape) => Ok(shape),
        None => op_bail!("shape {values:?} is not valid"),
    }
}

struct ConstantOfShape {
    value: Option<Tensor>,
}

fn repeated<T: Clone>(value: &[T], count: usize) -> Vec<T> {
    value.first().map_or_else(Vec::new, |v| vec![v.clone(); count])
}

impl Kernel for ConstantOfShape {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let shape = lengths(&need(inputs, 0)?.int_values()?)?;
        let count = ctx.count(&shape)?;
        let data = match &self.value {
            None => TensorData::F32(vec![0.0; count]),
            Some(value) if value.data.len() == 1 => {
                map_type!(&value.data, v => repeated(v, count))
            }
            Some(_) => op_bail!("attribute `value` must be one value"),
        };
        Ok(vec![Value::plain(shape, data)])
    }
}

struct Range;

impl Kernel for Range {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let part = |at| -> OpResult<i64> {
            match need(inputs, at)?.int_values()?.first() {
                Some(value) => Ok(*value),
                None => op_bail!("input {at} is empty"),
            }
        };
        let (start, limit, step) = (part(0)?, part(1)?, part(2)?);
        if step == 0 {
            op_bail!("has a step of 0");
        }
        let span = i128::from(limit) - i128::from(start);
        let step_wide = i128::from(step);
        let count =
            if (span > 0) == (step > 0) { (span.abs() + step_wide.abs() - 1) / step_wide.abs() } else { 0 };
        let count = ctx.count(&[usize::try_from(count).unwrap_or(usize::MAX)])?;
        let mut values = Vec::with_capacity(count);
        let mut at = start;
        for _ in 0..count {
            values.push(at);
            at = at.wrapping_add(step);
        }
        Ok(vec![Value::i64s(vec![count], values)])
    }
}

struct Expand;

impl Kernel for Expand {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let wanted = lengths(&need(inputs, 1)?.int_values()?)?;
        let Some(shape) = broadcast_shape(&x.shape, &wanted) else {
            op_bail!("cannot expand {:?} to {wanted:?}", x.shape)
        };
        super::movement::expand(ctx, x, shape)
    }
}
