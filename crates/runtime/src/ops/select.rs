//! Operators that choose: Where, ArgMax, ArgMin.

use super::{Compiled, Kernel, NodeCtx, binary, broadcast_shape, done, movement, need};
use crate::error::{OpResult, op_bail};
use crate::tensor::TensorData;
use crate::value::{Ctx, Value, axis, product};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    match ctx.node.operator.as_str() {
        "Where" => done(Where),
        "ArgMax" | "ArgMin" => done(Arg {
            max: ctx.node.operator == "ArgMax",
            axis: ctx.int("axis", 0)?,
            keep: ctx.int("keepdims", 1)? != 0,
            last: ctx.int("select_last_index", 0)? != 0,
        }),
        _ => Ok(None),
    }
}

struct Where;

impl Kernel for Where {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let (condition, a, b) = (need(inputs, 0)?, need(inputs, 1)?, need(inputs, 2)?);
        let shape = broadcast_shape(&a.shape, &b.shape).and_then(|s| broadcast_shape(&s, &condition.shape));
        let Some(shape) = shape else {
            op_bail!("shapes {:?}, {:?} and {:?} do not broadcast", condition.shape, a.shape, b.shape)
        };
        ctx.count(&shape)?;
        let TensorData::Bool(condition_values) = &condition.data else { op_bail!("condition must be bool") };
        let expanded = |ctx: &mut Ctx<'_>, v: &Value| -> OpResult<Value> {
            match movement::expand(ctx, v, shape.clone())?.pop() {
                Some(value) => Ok(value),
                None => op_bail!("could not expand"),
            }
        };
        let (a, b) = (expanded(ctx, a)?, expanded(ctx, b)?);
        let mut chosen = vec![false; product(&shape)];
        let unit = [true];
        binary::zip((condition_values, &condition.shape), (&unit, &[]), &shape, &mut chosen, |c, _| c);
        macro_rules! choose {
            ($($kind:ident),*) => {
                match (a.data, b.data) {
                    $((TensorData::$kind(a), TensorData::$kind(b)) => TensorData::$kind(
                        a.into_iter().zip(b).zip(chosen).map(|((a, b), c)| if c { a } else { b }).collect(),
                    ),)*
                    _ => op_bail!("the two choices differ in type"),
                }
            };
        }
        let data = choose!(F32, F64, I64, I32, I8, U8, Bool, Text);
        Ok(vec![Value::plain(shape, data)])
    }
}

struct Arg {
    max: bool,
    axis: i64,
    keep: bool,
    last: bool,
}

impl Kernel for Arg {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let at = axis(self.axis, x.rank())?;
        ctx.count(&x.shape)?;
        let values: Vec<f64> = match &x.data {
            TensorData::F32(v) => v.iter().map(|v| f64::from(*v)).collect(),
            TensorData::F64(v) => v.clone(),
            TensorData::I64(v) => v.iter().map(|v| *v as f64).collect(),
            TensorData::I32(v) => v.iter().map(|v| f64::from(*v)).collect(),
            _ => op_bail!("is not covered on {} values", x.data_type()),
        };
        let (length, inner) = (x.shape[at], product(x.shape.get(at + 1..).unwrap_or_default()));
        if length == 0 {
            op_bail!("has no value to choose from");
        }
        let outer = product(&x.shape[..at]);
        let mut out = Vec::with_capacity(outer * inner);
        for o in 0..outer {
            for i in 0..inner {
                let mut best = 0;
                for j in 1..length {
                    let (a, b) =
                        (values[(o * length + j) * inner + i], values[(o * length + best) * inner + i]);
                    let better = if self.max { a > b } else { a < b };
                    if better || (self.last && a == b) {
                        best = j;
                    }
                }
                out.push(i64::try_from(best).unwrap_or(i64::MAX));
            }
        }
        let mut shape = x.shape.clone();
        if self.keep {
            shape[at] = 1;
        } else {
            shape.remove(at);
        }
        Ok(vec![Value::i64s(shape, out)])
    }
}
