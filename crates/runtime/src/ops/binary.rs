//! Operators on two tensors with broadcasting: arithmetic, comparison, logic.

use super::{Activation, Compiled, Kernel, NodeCtx, done, need};
use crate::error::{OpResult, op_bail};
use crate::tensor::TensorData;
use crate::value::{Ctx, Value, strides};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    Mod,
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    And,
    Or,
    Xor,
    PRelu,
}

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    use Operation as O;
    let operation = match ctx.node.operator.as_str() {
        "Add" => O::Add,
        "Sub" => O::Sub,
        "Mul" => O::Mul,
        "Div" => O::Div,
        "Pow" => O::Pow,
        "Min" => O::Min,
        "Max" => O::Max,
        "Sum" => O::Add,
        "Mean" => return done(Chain { operation: O::Add, mean: true }),
        "Mod" if ctx.int("fmod", 0)? == 0 => O::Mod,
        "Equal" => O::Equal,
        "Greater" => O::Greater,
        "GreaterOrEqual" => O::GreaterOrEqual,
        "Less" => O::Less,
        "LessOrEqual" => O::LessOrEqual,
        "And" => O::And,
        "Or" => O::Or,
        "Xor" => O::Xor,
        "PRelu" => O::PRelu,
        _ => return Ok(None),
    };
    if matches!(ctx.node.operator.as_str(), "Min" | "Max" | "Sum") {
        return done(Chain { operation, mean: false });
    }
    if ctx.node.attributes.contains_key("broadcast") || ctx.node.attributes.contains_key("axis") {
        op_bail!("uses the broadcasting of operator sets before 7; export with opset 13 or later");
    }
    done(Binary { operation, relu: ctx.activation == Activation::Relu })
}

/// The shape both shapes broadcast to (NumPy's rule), or `None`.
pub(crate) fn broadcast_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let length = |shape: &[usize], at: usize| {
        (at + shape.len()).checked_sub(rank).and_then(|at| shape.get(at).copied()).unwrap_or(1)
    };
    (0..rank)
        .map(|at| match (length(a, at), length(b, at)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// Strides of `shape` seen as `target`: 0 along broadcast dimensions.
pub(crate) fn broadcast_strides(shape: &[usize], target: &[usize]) -> Vec<usize> {
    let own = strides(shape);
    let missing = target.len().saturating_sub(shape.len());
    let kept = shape.iter().zip(own).map(|(&length, stride)| if length == 1 { 0 } else { stride });
    std::iter::repeat_n(0, missing).chain(kept).collect()
}

/// Calls `f(offset_a, offset_b, position, length)` for every innermost run of `target`.
pub(crate) fn for_each_run(
    target: &[usize],
    a: &[usize],
    b: &[usize],
    mut f: impl FnMut(usize, usize, usize, usize),
) {
    let inner = target.last().copied().unwrap_or(1);
    let outer = target.get(..target.len().saturating_sub(1)).unwrap_or_default();
    let runs: usize = outer.iter().product();
    let mut index = vec![0usize; outer.len()];
    let (mut at_a, mut at_b) = (0, 0);
    for run in 0..if inner == 0 { 0 } else { runs } {
        f(at_a, at_b, run * inner, inner);
        for d in (0..outer.len()).rev() {
            index[d] += 1;
            at_a += a[d];
            at_b += b[d];
            if index[d] < outer[d] {
                break;
            }
            at_a -= a[d] * outer[d];
            at_b -= b[d] * outer[d];
            index[d] = 0;
        }
    }
}

/// Applies `f` elementwise with broadcasting into `out`, which has the broadcast shape's length.
pub(crate) fn zip<A: Copy, B: Copy, R>(
    (a, shape_a): (&[A], &[usize]),
    (b, shape_b): (&[B], &[usize]),
    target: &[usize],
    out: &mut [R],
    f: impl Fn(A, B) -> R,
) {
    if a.len() == out.len() && b.len() == out.len() {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = f(a, b);
        }
        return;
    }
    if let ([b], true) = (b, a.len() == out.len()) {
        for (out, &a) in out.iter_mut().zip(a) {
            *out = f(a, *b);
        }
        return;
    }
    let (sa, sb) = (broadcast_strides(shape_a, target), broadcast_strides(shape_b, target));
    let (step_a, step_b) = (sa.last().copied().unwrap_or(0), sb.last().copied().unwrap_or(0));
    for_each_run(target, &sa, &sb, |at_a, at_b, at, length| {
        let out = &mut out[at..at + length];
        match (step_a, step_b) {
            (1, 1) => {
                for ((out, &a), &b) in out.iter_mut().zip(&a[at_a..]).zip(&b[at_b..]) {
                    *out = f(a, b);
                }
            }
            (1, 0) => {
                let b = b[at_b];
                for (out, &a) in out.iter_mut().zip(&a[at_a..]) {
                    *out = f(a, b);
                }
            }
            _ => {
                for (i, out) in out.iter_mut().enumerate() {
                    *out = f(a[at_a + i * step_a], b[at_b + i * step_b]);
                }
            }
        }
    });
}

struct Binary {
    operation: Operation,
    relu: bool,
}

impl Kernel for Binary {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let (a, b) = (need(inputs, 0)?, need(inputs, 1)?);
        let blocked = a.block > 0 || b.block > 0;
        let same = a.block == b.block && a.shape == b.shape;
        let mut out = if blocked && !same {
            let a = crate::kernel::layout::plain(a.clone(), ctx);
            let b = crate::kernel::layout::plain(b.clone(), ctx);
            apply(self.operation, ctx, &a, &b)?
        } else {
            apply(self.operation, ctx, a, b)?
        };
        if self.relu {
            match &mut out.data {
                TensorData::F32(values) => {
                    values.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v })
                }
                TensorData::F64(values) => {
                    values.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v })
                }
                _ => op_bail!("followed by Relu is not covered on {} values", out.data_type()),
            }
        }
        Ok(vec![out])
    }

    fn takes_blocked(&self) -> bool {
        // Division would make padded lanes NaN (0/0).
        matches!(self.operation, Operation::Add | Operation::Sub | Operation::Mul)
    }
}

/// One operation on two values of one type.
pub(super) fn add(ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> OpResult<Value> {
    apply(Operation::Add, ctx, a, b)
}

fn apply(operation: Operation, ctx: &mut Ctx<'_>, a: &Value, b: &Value) -> OpResult<Value> {
    let Some(shape) = broadcast_shape(&a.shape, &b.shape) else {
        op_bail!("shapes {:?} and {:?} do not broadcast", a.shape, b.shape)
    };
    let count = ctx.count(&shape)?;
    let data = match (&a.data, &b.data) {
        (TensorData::F32(x), TensorData::F32(y)) => {
            if let Some(kind) = comparison(operation) {
                let mut out = vec![false; count];
                zip((x, &a.shape), (y, &b.shape), &shape, &mut out, |x, y| kind.holds(x.partial_cmp(&y)));
                TensorData::Bool(out)
            } else if a.block > 0 {
                let mut out = ctx.take(x.len());
                floats(operation, (x, &[x.len()]), (y, &[y.len()]), &[x.len()], &mut out)?;
                TensorData::F32(out)
            } else {
                let mut out = ctx.take(count);
                floats(operation, (x, &a.shape), (y, &b.shape), &shape, &mut out)?;
                TensorData::F32(out)
            }
        }
        _ => other(operation, a, b, &shape, count)?,
    };
    Ok(Value { shape, data, block: a.block })
}

fn floats(
    operation: Operation,
    a: (&[f32], &[usize]),
    b: (&[f32], &[usize]),
    shape: &[usize],
    out: &mut [f32],
) -> OpResult<()> {
    match operation {
        Operation::Add => zip(a, b, shape, out, |x, y| x + y),
        Operation::Sub => zip(a, b, shape, out, |x, y| x - y),
        Operation::Mul => zip(a, b, shape, out, |x, y| x * y),
        Operation::Div => zip(a, b, shape, out, |x, y| x / y),
        Operation::Pow => zip(a, b, shape, out, f32::powf),
        Operation::Min => zip(a, b, shape, out, |x, y| if x.is_nan() || x < y { x } else { y }),
        Operation::Max => zip(a, b, shape, out, |x, y| if x.is_nan() || x > y { x } else { y }),
        Operation::PRelu => zip(a, b, shape, out, |x, y| if x < 0.0 { x * y } else { x }),
        _ => op_bail!("is not covered on float32 values"),
    }
    Ok(())
}

/// A comparison as the orderings it accepts.
#[derive(Clone, Copy)]
struct Comparison {
    less: bool,
    equal: bool,
    greater: bool,
}

impl Comparison {
    fn holds(self, order: Option<std::cmp::Ordering>) -> bool {
        match order {
            Some(std::cmp::Ordering::Less) => self.less,
            Some(std::cmp::Ordering::Equal) => self.equal,
            Some(std::cmp::Ordering::Greater) => self.greater,
            None => false,
        }
    }
}

fn comparison(operation: Operation) -> Option<Comparison> {
    let (less, equal, greater) = match operation {
        Operation::Equal => (false, true, false),
        Operation::Greater => (false, false, true),
        Operation::GreaterOrEqual => (false, true, true),
        Operation::Less => (true, false, false),
        Operation::LessOrEqual => (true, true, false),
        _ => return None,
    };
    Some(Comparison { less, equal, greater })
}

/// Element types other than float32.
fn other(operation: Operation, a: &Value, b: &Value, shape: &[usize], count: usize) -> OpResult<TensorData> {
    macro_rules! both {
        ($x:expr, $y:expr, $zero:expr, $f:expr) => {{
            let mut out = vec![$zero; count];
            zip(($x, &a.shape), ($y, &b.shape), shape, &mut out, $f);
            out
        }};
    }
    if let Some(kind) = comparison(operation) {
        return Ok(TensorData::Bool(match (&a.data, &b.data) {
            (TensorData::F64(x), TensorData::F64(y)) => {
                both!(x, y, false, |x, y| kind.holds(x.partial_cmp(&y)))
            }
            (TensorData::I64(x), TensorData::I64(y)) => {
                both!(x, y, false, |x, y| kind.holds(Some(x.cmp(&y))))
            }
            (TensorData::I32(x), TensorData::I32(y)) => {
                both!(x, y, false, |x, y| kind.holds(Some(x.cmp(&y))))
            }
            (TensorData::U8(x), TensorData::U8(y)) => both!(x, y, false, |x, y| kind.holds(Some(x.cmp(&y)))),
            (TensorData::Bool(x), TensorData::Bool(y)) => {
                both!(x, y, false, |x, y| kind.holds(Some(x.cmp(&y))))
            }
            _ => op_bail!("cannot compare {} with {}", a.data_type(), b.data_type()),
        }));
    }
    match (&a.data, &b.data) {
        (TensorData::Bool(x), TensorData::Bool(y)) => Ok(TensorData::Bool(match operation {
            Operation::And => both!(x, y, false, |x, y| x && y),
            Operation::Or => both!(x, y, false, |x, y| x || y),
            Operation::Xor => both!(x, y, false, |x, y| x != y),
            _ => op_bail!("is not covered on bool values"),
        })),
        (TensorData::F64(x), TensorData::F64(y)) => {
            let f: fn(f64, f64) -> f64 = match operation {
                Operation::Add => |x, y| x + y,
                Operation::Sub => |x, y| x - y,
                Operation::Mul => |x, y| x * y,
                Operation::Div => |x, y| x / y,
                Operation::Pow => f64::powf,
                Operation::Min => |x, y| if x.is_nan() || x < y { x } else { y },
                Operation::Max => |x, y| if x.is_nan() || x > y { x } else { y },
                _ => op_bail!("is not covered on float64 values"),
            };
            Ok(TensorData::F64(both!(x, y, 0.0, f)))
        }
        (TensorData::I64(x), TensorData::I64(y)) => {
            let f = integer(operation, y.contains(&0))?;
            Ok(TensorData::I64(both!(x, y, 0, f)))
        }
        (TensorData::I32(x), TensorData::I32(y)) => {
            let f = integer(operation, y.contains(&0))?;
            // Computed in 64 bits; the low 32 bits are what 32-bit arithmetic gives.
            Ok(TensorData::I32(both!(x, y, 0, |x, y| f(i64::from(x), i64::from(y)) as i32)))
        }
        (TensorData::F32(x), TensorData::I64(y)) if operation == Operation::Pow => {
            Ok(TensorData::F32(both!(x, y, 0.0, |x, y| x.powf(y as f32))))
        }
        _ => op_bail!("is not covered on {} and {} values", a.data_type(), b.data_type()),
    }
}

/// Integer arithmetic that wraps, as the reference does; dividing by 0 is refused.
fn integer(operation: Operation, zero: bool) -> OpResult<fn(i64, i64) -> i64> {
    Ok(match operation {
        Operation::Add => i64::wrapping_add,
        Operation::Sub => i64::wrapping_sub,
        Operation::Mul => i64::wrapping_mul,
        Operation::Div | Operation::Mod if zero => op_bail!("divides an integer by 0"),
        Operation::Div => i64::wrapping_div,
        // The sign of the divisor, as Python's remainder.
        Operation::Mod => |x, y| {
            let r = x.wrapping_rem(y);
            if r != 0 && (r < 0) != (y < 0) { r.wrapping_add(y) } else { r }
        },
        Operation::Min => |x, y| x.min(y),
        Operation::Max => |x, y| x.max(y),
        Operation::Pow => |x, y| u32::try_from(y).map_or(0, |y| x.wrapping_pow(y)),
        _ => op_bail!("is not covered on integer values"),
    })
}

/// Min, Max, Sum and Mean of any number of tensors.
struct Chain {
    operation: Operation,
    mean: bool,
}

impl Kernel for Chain {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let mut total = need(inputs, 0)?.clone();
        for input in inputs.iter().skip(1).flatten() {
            total = apply(self.operation, ctx, &total, input)?;
        }
        if self.mean {
            let TensorData::F32(values) = &mut total.data else { op_bail!("needs float32 values") };
            let count = inputs.len() as f32;
            values.iter_mut().for_each(|v| *v /= count);
        }
        Ok(vec![total])
    }
}
