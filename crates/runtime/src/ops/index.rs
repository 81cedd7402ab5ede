//! Slice and Gather.

use super::{Compiled, Kernel, NodeCtx, done, ints_of, maybe, movement, need};
use crate::error::{OpResult, op_bail};
use crate::value::{Ctx, Value, axis, product, strides};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    match ctx.node.operator.as_str() {
        "Slice" => done(Slice {
            starts: ctx.ints("starts")?.map(<[i64]>::to_vec),
            ends: ctx.ints("ends")?.map(<[i64]>::to_vec),
            axes: ctx.ints("axes")?.map(<[i64]>::to_vec),
        }),
        "Gather" => done(Gather { axis: ctx.int("axis", 0)? }),
        _ => Ok(None),
    }
}

struct Slice {
    starts: Option<Vec<i64>>,
    ends: Option<Vec<i64>>,
    axes: Option<Vec<i64>>,
}

/// Indices taken along an axis of `length`: NumPy's rule for `start:end:step`.
fn taken(length: usize, start: i64, end: i64, step: i64) -> OpResult<Vec<usize>> {
    if step == 0 {
        op_bail!("has a step of 0");
    }
    let n = i64::try_from(length).unwrap_or(i64::MAX);
    let wrap = |v: i64| if v < 0 { v.saturating_add(n) } else { v };
    let (mut at, end) = if step > 0 {
        (wrap(start).clamp(0, n), wrap(end).clamp(0, n))
    } else {
        // Going down, the end may be one before the first element.
        (wrap(start).clamp(-1, n - 1), wrap(end).clamp(-1, n - 1))
    };
    let mut out = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        out.push(usize::try_from(at).unwrap_or(0));
        at = at.saturating_add(step);
    }
    Ok(out)
}

impl Kernel for Slice {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let Some(starts) = ints_of(self.starts.as_deref(), maybe(inputs, 1))? else {
            op_bail!("has no starts")
        };
        let Some(ends) = ints_of(self.ends.as_deref(), maybe(inputs, 2))? else { op_bail!("has no ends") };
        let axes = ints_of(self.axes.as_deref(), maybe(inputs, 3))?;
        let steps = ints_of(None, maybe(inputs, 4))?.unwrap_or_else(|| vec![1; starts.len()]);
        let default = || (0..starts.len()).map(|a| i64::try_from(a).unwrap_or(i64::MAX)).collect();
        let axes: Vec<i64> = axes.unwrap_or_else(default);
        if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
            op_bail!("starts, ends, axes and steps differ in length");
        }
        ctx.count(&x.shape)?;
        let mut tables: Vec<Vec<usize>> = x.shape.iter().map(|&length| (0..length).collect()).collect();
        let mut cut = vec![false; x.rank()];
        for i in 0..starts.len() {
            let at = axis(axes[i], x.rank())?;
            if std::mem::replace(&mut cut[at], true) {
                op_bail!("axis {} is given twice", axes[i]);
            }
            tables[at] = taken(x.shape[at], starts[i], ends[i], steps[i])?;
        }
        let shape: Vec<usize> = tables.iter().map(Vec::len).collect();
        let (own, new) = (strides(&x.shape), strides(&shape));
        let source = |at: usize| {
            (0..shape.len()).map(|d| tables[d][at / new[d] % shape[d].max(1)] * own[d]).sum::<usize>()
        };
        let from: Vec<usize> = (0..product(&shape)).map(source).collect();
        Ok(vec![Value::plain(shape, movement::pick(&x.data, &from))])
    }
}

struct Gather {
    axis: i64,
}

impl Kernel for Gather {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let (x, indices) = (need(inputs, 0)?, need(inputs, 1)?);
        gather(ctx, x, indices, axis(self.axis, x.rank())?)
    }
}

/// `x` indexed along `at` by every index; also ArrayFeatureExtractor.
pub(super) fn gather(ctx: &mut Ctx<'_>, x: &Value, indices: &Value, at: usize) -> OpResult<Vec<Value>> {
    let length = x.shape.get(at).copied().unwrap_or(1);
    let wanted = indices.int_values()?;
    let mut rows = Vec::with_capacity(wanted.len());
    for index in wanted {
        match axis(index, length) {
            Ok(row) => rows.push(row),
            Err(_) => op_bail!("index {index} is outside an axis of {length}"),
        }
    }
    let (outer, inner) = (product(&x.shape[..at]), product(x.shape.get(at + 1..).unwrap_or_default()));
    let mut shape = x.shape[..at].to_vec();
    shape.extend(&indices.shape);
    shape.extend(x.shape.get(at + 1..).unwrap_or_default());
    let count = ctx.count(&shape)?;
    let mut from = Vec::with_capacity(count);
    if count > 0 {
        for o in 0..outer {
            for row in &rows {
                let start = (o * length + row) * inner;
                from.extend(start..start + inner);
            }
        }
    }
    Ok(vec![Value::plain(shape, movement::pick(&x.data, &from))])
}
