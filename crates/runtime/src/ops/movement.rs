//! Operators that move values about: Transpose, Concat, Split, Pad, Tile, Resize (nearest), Upsample (nearest).

use super::{Compiled, Kernel, NodeCtx, binary, done, ints_of, maybe, need};
use crate::error::{OpResult, op_bail};
use crate::tensor::{DataType, TensorData, map_type};
use crate::value::{Ctx, Value, axis, product, strides};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    match ctx.node.operator.as_str() {
        "Transpose" => done(Transpose { perm: ctx.ints("perm")?.map(<[i64]>::to_vec) }),
        "Concat" => done(Concat { axis: ctx.int("axis", 1)? }),
        "Split" => {
            let parts = ctx.node.outputs.len();
            done(Split { axis: ctx.int("axis", 0)?, sizes: ctx.ints("split")?.map(<[i64]>::to_vec), parts })
        }
        "Pad" => {
            if ctx.text("mode", "constant")? != "constant" {
                op_bail!("mode other than `constant` is not covered");
            }
            done(Pad { pads: ctx.ints("pads")?.map(<[i64]>::to_vec), value: ctx.float("value", 0.0)? })
        }
        "Tile" => done(Tile),
        "Resize" | "Upsample" => resize(ctx),
        _ => Ok(None),
    }
}

/// Values picked by a source index for each position; every type.
pub(super) fn pick(data: &TensorData, from: &[usize]) -> TensorData {
    fn each<T: Clone>(values: &[T], from: &[usize]) -> Vec<T> {
        from.iter().map(|&at| values[at].clone()).collect()
    }
    map_type!(data, v => each(v, from))
}

/// Source offsets of a strided walk over `shape`; in the order of the result.
fn offsets(shape: &[usize], steps: &[usize]) -> Vec<usize> {
    let mut out = Vec::with_capacity(product(shape));
    let zeros = vec![0; shape.len()];
    let step = steps.last().copied().unwrap_or(0);
    binary::for_each_run(shape, steps, &zeros, |at, _, _, length| {
        out.extend((0..length).map(|i| at + i * step))
    });
    out
}

pub(super) fn expand(ctx: &mut Ctx<'_>, x: &Value, shape: Vec<usize>) -> OpResult<Vec<Value>> {
    ctx.count(&shape)?;
    let from = offsets(&shape, &binary::broadcast_strides(&x.shape, &shape));
    Ok(vec![Value::plain(shape, pick(&x.data, &from))])
}

struct Transpose {
    perm: Option<Vec<i64>>,
}

impl Kernel for Transpose {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let rank = x.rank();
        let perm: Vec<usize> = match &self.perm {
            None => (0..rank).rev().collect(),
            Some(perm) => {
                let mut seen = vec![false; rank];
                let mut out = Vec::with_capacity(rank);
                for &p in perm {
                    let at = axis(p, rank)?;
                    if std::mem::replace(&mut seen[at], true) {
                        op_bail!("attribute `perm` {perm:?} repeats an axis");
                    }
                    out.push(at);
                }
                if out.len() != rank {
                    op_bail!("attribute `perm` {perm:?} does not fit shape {:?}", x.shape);
                }
                out
            }
        };
        let own = strides(&x.shape);
        let shape: Vec<usize> = perm.iter().map(|&p| x.shape[p]).collect();
        let steps: Vec<usize> = perm.iter().map(|&p| own[p]).collect();
        ctx.count(&shape)?;
        let from = offsets(&shape, &steps);
        Ok(vec![Value::plain(shape, pick(&x.data, &from))])
    }
}

struct Concat {
    axis: i64,
}

/// Joins vectors of one type row by row.
macro_rules! join {
    ($inputs:expr, $kind:ident, $outer:expr, $axis:expr, $count:expr) => {{
        let mut out = Vec::with_capacity($count);
        for row in 0..$outer {
            for input in $inputs {
                let TensorData::$kind(values) = &input.data else {
                    op_bail!("joins tensors of different types")
                };
                let width = product(input.shape.get($axis..).unwrap_or_default());
                out.extend_from_slice(&values[row * width..][..width]);
            }
        }
        TensorData::$kind(out)
    }};
}

impl Kernel for Concat {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let all: Vec<&Value> = inputs.iter().flatten().copied().collect();
        let Some(first) = all.first() else { op_bail!("has no input") };
        let at = axis(self.axis, first.rank())?;
        let mut shape = first.shape.clone();
        let mut total = 0usize;
        for input in &all {
            let fits = input.rank() == shape.len()
                && input.shape.iter().zip(&shape).enumerate().all(|(d, (a, b))| d == at || a == b);
            if !fits {
                op_bail!("cannot join shapes {:?} and {:?} along axis {at}", first.shape, input.shape);
            }
            total = total.saturating_add(input.shape[at]);
        }
        shape[at] = total;
        let count = ctx.count(&shape)?;
        let outer = if count == 0 { 0 } else { product(&shape[..at]) };
        let all = &all;
        let data = match first.data_type() {
            DataType::F32 => join!(all, F32, outer, at, count),
            DataType::F64 => join!(all, F64, outer, at, count),
            DataType::I64 => join!(all, I64, outer, at, count),
            DataType::I32 => join!(all, I32, outer, at, count),
            DataType::I8 => join!(all, I8, outer, at, count),
            DataType::U8 => join!(all, U8, outer, at, count),
            DataType::Bool => join!(all, Bool, outer, at, count),
            DataType::Text => join!(all, Text, outer, at, count),
        };
        Ok(vec![Value::plain(shape, data)])
    }
}

struct Split {
    axis: i64,
    sizes: Option<Vec<i64>>,
    parts: usize,
}

impl Kernel for Split {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let at = axis(self.axis, x.rank())?;
        let length = x.shape[at];
        let sizes = match ints_of(self.sizes.as_deref(), maybe(inputs, 1))? {
            Some(sizes) => super::shape::lengths(&sizes)?,
            None => {
                let each = length.div_ceil(self.parts.max(1));
                (0..self.parts).map(|i| each.min(length.saturating_sub(i * each))).collect()
            }
        };
        if sizes.iter().try_fold(0usize, |sum, s| sum.checked_add(*s)) != Some(length)
            || sizes.len() < self.parts
        {
            op_bail!("cannot split an axis of {length} into {sizes:?}");
        }
        ctx.count(&x.shape)?;
        let steps = strides(&x.shape);
        let mut start = 0;
        let mut out = Vec::with_capacity(sizes.len());
        for size in sizes {
            let mut shape = x.shape.clone();
            shape[at] = size;
            let from: Vec<usize> =
                offsets(&shape, &steps).into_iter().map(|o| o + start * steps[at]).collect();
            out.push(Value::plain(shape, pick(&x.data, &from)));
            start += size;
        }
        Ok(out)
    }
}

struct Pad {
    pads: Option<Vec<i64>>,
    value: f32,
}

impl Kernel for Pad {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let rank = x.rank();
        let Some(given) = ints_of(self.pads.as_deref(), maybe(inputs, 1))? else { op_bail!("has no pads") };
        let axes: Vec<usize> = match maybe(inputs, 3) {
            Some(axes) => axes.int_values()?.iter().map(|&a| axis(a, rank)).collect::<OpResult<_>>()?,
            None => (0..rank).collect(),
        };
        if given.len() != 2 * axes.len() {
            op_bail!("has {} pads for {} axes", given.len(), axes.len());
        }
        let (mut before, mut after) = (vec![0i64; rank], vec![0i64; rank]);
        for (i, &d) in axes.iter().enumerate() {
            (before[d], after[d]) = (given[i], given[i + axes.len()]);
        }
        let mut shape = Vec::with_capacity(rank);
        for d in 0..rank {
            let length = i64::try_from(x.shape[d]).ok();
            let padded = length.and_then(|l| l.checked_add(before[d])).and_then(|l| l.checked_add(after[d]));
            match padded.and_then(|l| usize::try_from(l).ok()) {
                Some(length) => shape.push(length),
                None => op_bail!("pads {given:?} do not fit shape {:?}", x.shape),
            }
        }
        let count = ctx.count(&shape)?;
        // Position in the result of every value that is kept.
        let (own, steps) = (strides(&x.shape), strides(&shape));
        let mut moved = Vec::new();
        for at in 0..product(&x.shape) {
            let mut target = Some(0usize);
            for d in 0..rank {
                let index =
                    i64::try_from(at / own[d] % x.shape[d].max(1)).unwrap_or(0).saturating_add(before[d]);
                let inside = usize::try_from(index).ok().filter(|i| *i < shape[d]);
                target = target.zip(inside).map(|(t, i)| t + i * steps[d]);
            }
            if let Some(target) = target {
                moved.push((at, target));
            }
        }
        macro_rules! fill {
            ($values:expr, $fill:expr) => {{
                let mut out = vec![$fill; count];
                for (from, to) in moved {
                    out[to] = $values[from];
                }
                out
            }};
        }
        let data = match (&x.data, maybe(inputs, 2).map(|v| &v.data)) {
            (TensorData::F32(v), Some(TensorData::F32(fill))) => {
                TensorData::F32(fill!(v, fill.first().copied().unwrap_or(0.0)))
            }
            (TensorData::F32(v), None) => TensorData::F32(fill!(v, self.value)),
            (TensorData::I64(v), Some(TensorData::I64(fill))) => {
                TensorData::I64(fill!(v, fill.first().copied().unwrap_or(0)))
            }
            (TensorData::I64(v), None) => TensorData::I64(fill!(v, 0)),
            _ => op_bail!("is covered on float32 and int64 values with a value of the same type"),
        };
        Ok(vec![Value::plain(shape, data)])
    }
}

struct Tile;

impl Kernel for Tile {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let repeats = super::shape::lengths(&need(inputs, 1)?.int_values()?)?;
        if repeats.len() != x.rank() {
            op_bail!("has {} repeats for shape {:?}", repeats.len(), x.shape);
        }
        let shape: Option<Vec<usize>> =
            x.shape.iter().zip(&repeats).map(|(l, r)| l.checked_mul(*r)).collect();
        let Some(shape) = shape else { op_bail!("repeats {repeats:?} overflow") };
        let count = ctx.count(&shape)?;
        let (own, steps) = (strides(&x.shape), strides(&shape));
        let source = |at: usize| {
            (0..x.rank()).map(|d| at / steps[d] % shape[d].max(1) % x.shape[d].max(1) * own[d]).sum::<usize>()
        };
        let from: Vec<usize> = (0..count).map(source).collect();
        Ok(vec![Value::plain(shape, pick(&x.data, &from))])
    }
}

fn resize(ctx: &NodeCtx<'_>) -> Compiled {
    if ctx.text("mode", "nearest")? != "nearest" {
        op_bail!("mode other than `nearest` is not covered");
    }
    // Upsample and Resize 10 scale by plain division and floor.
    let old = ctx.node.operator == "Upsample" || ctx.opset < 11;
    let half_pixel =
        match ctx.text("coordinate_transformation_mode", if old { "asymmetric" } else { "half_pixel" })? {
            "asymmetric" => false,
            "half_pixel" => true,
            other => op_bail!("coordinate_transformation_mode `{other}` is not covered"),
        };
    let floor = match ctx.text("nearest_mode", if old { "floor" } else { "round_prefer_floor" })? {
        "floor" => true,
        "round_prefer_floor" => false,
        other => op_bail!("nearest_mode `{other}` is not covered"),
    };
    done(Resize { half_pixel, floor, old, scales: ctx.floats("scales")?.map(<[f32]>::to_vec) })
}

struct Resize {
    half_pixel: bool,
    floor: bool,
    old: bool,
    scales: Option<Vec<f32>>,
}

impl Kernel for Resize {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let scales_at = if self.old { 1 } else { 2 };
        let given = match (&self.scales, maybe(inputs, scales_at)) {
            (Some(scales), _) => scales.clone(),
            (None, Some(scales)) => scales.f32_values()?.to_vec(),
            (None, None) => Vec::new(),
        };
        let (shape, scales) = if given.is_empty() {
            let shape = super::shape::lengths(&need(inputs, 3)?.int_values()?)?;
            let scales = shape.iter().zip(&x.shape).map(|(o, i)| *o as f32 / (*i).max(1) as f32).collect();
            (shape, scales)
        } else {
            let fits = given.iter().all(|s| s.is_finite() && *s > 0.0 && *s < 65_536.0);
            if !fits {
                op_bail!("scales {given:?} are not valid");
            }
            (
                x.shape.iter().zip(&given).map(|(l, s)| (*l as f32 * s).floor() as usize).collect::<Vec<_>>(),
                given,
            )
        };
        if shape.len() != x.rank() || scales.len() != x.rank() {
            op_bail!("has {} scales or sizes for shape {:?}", shape.len(), x.shape);
        }
        let count = ctx.count(&shape)?;
        if product(&x.shape) == 0 && count > 0 {
            op_bail!("cannot enlarge an empty tensor");
        }
        let (own, steps) = (strides(&x.shape), strides(&shape));
        let index = |d: usize, o: usize| {
            let o = o as f32;
            let at = if self.half_pixel { (o + 0.5) / scales[d] - 0.5 } else { o / scales[d] };
            let at = if self.floor { at.floor() } else { (at - 0.5).ceil() };
            (at.max(0.0) as usize).min(x.shape[d].saturating_sub(1))
        };
        let tables: Vec<Vec<usize>> =
            (0..x.rank()).map(|d| (0..shape[d]).map(|o| index(d, o) * own[d]).collect()).collect();
        let source =
            |at: usize| (0..x.rank()).map(|d| tables[d][at / steps[d] % shape[d].max(1)]).sum::<usize>();
        let from: Vec<usize> = (0..count).map(source).collect();
        Ok(vec![Value::plain(shape, pick(&x.data, &from))])
    }
}
