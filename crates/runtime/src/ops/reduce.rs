//! Reductions over axes: ReduceSum, Mean, Max, Min, Prod, L1, L2, SumSquare, LogSum, LogSumExp.

use super::{Compiled, Kernel, NodeCtx, ints_of, maybe, need};
use crate::error::{OpResult, op_bail};
use crate::tensor::TensorData;
use crate::value::{Ctx, Value, axis, product, strides};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
    L1,
    L2,
    SumSquare,
    LogSum,
    LogSumExp,
}

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    Ok(Reduce::read(ctx)?.map(|reduce| -> Box<dyn Kernel> { Box::new(reduce) }))
}

impl Reduce {
    /// The reduction that a node stands for, `None` for other operators.
    pub(crate) fn read(ctx: &NodeCtx<'_>) -> OpResult<Option<Self>> {
        let kind = match ctx.node.operator.as_str() {
            "ReduceSum" => Kind::Sum,
            "ReduceMean" => Kind::Mean,
            "ReduceMax" => Kind::Max,
            "ReduceMin" => Kind::Min,
            "ReduceProd" => Kind::Prod,
            "ReduceL1" => Kind::L1,
            "ReduceL2" => Kind::L2,
            "ReduceSumSquare" => Kind::SumSquare,
            "ReduceLogSum" => Kind::LogSum,
            "ReduceLogSumExp" => Kind::LogSumExp,
            _ => return Ok(None),
        };
        let keep = ctx.int("keepdims", 1)? != 0;
        let empty_is_nothing = ctx.int("noop_with_empty_axes", 0)? != 0;
        let axes = ctx.ints("axes")?.map(<[i64]>::to_vec);
        Ok(Some(Self { kind, axes, keep, empty_is_nothing }))
    }

    /// Which dimensions are reduced; `None` if the operator does nothing.
    pub(crate) fn reduced(&self, rank: usize, axes: Option<&Value>) -> OpResult<Option<Vec<bool>>> {
        let axes = ints_of(self.axes.as_deref(), axes)?.filter(|axes| !axes.is_empty());
        let mut reduced = vec![false; rank];
        match axes {
            Some(axes) => {
                for a in axes {
                    reduced[axis(a, rank)?] = true;
                }
            }
            None if self.empty_is_nothing => return Ok(None),
            None => reduced.fill(true),
        }
        Ok(Some(reduced))
    }
}

pub(crate) struct Reduce {
    pub(crate) kind: Kind,
    axes: Option<Vec<i64>>,
    keep: bool,
    empty_is_nothing: bool,
}

impl Kind {
    /// The reduced value of one group, summed in float64 in the order of the input.
    fn of(self, values: &mut dyn Iterator<Item = f64>, count: usize) -> f64 {
        match self {
            Self::Sum => values.sum(),
            Self::Mean => values.sum::<f64>() / count as f64,
            Self::Max => values.fold(f64::NEG_INFINITY, |m, v| if v > m || v.is_nan() { v } else { m }),
            Self::Min => values.fold(f64::INFINITY, |m, v| if v < m || v.is_nan() { v } else { m }),
            Self::Prod => values.product(),
            Self::L1 => values.map(f64::abs).sum(),
            Self::L2 => values.map(|v| v * v).sum::<f64>().sqrt(),
            Self::SumSquare => values.map(|v| v * v).sum(),
            Self::LogSum => values.sum::<f64>().ln(),
            Self::LogSumExp => {
                let all: Vec<f64> = values.collect();
                let max = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                if max.is_infinite() {
                    max
                } else {
                    max + all.iter().map(|v| (v - max).exp()).sum::<f64>().ln()
                }
            }
        }
    }

    fn of_integers(self, values: &mut dyn Iterator<Item = i64>, count: usize) -> OpResult<i64> {
        Ok(match self {
            Self::Sum => values.fold(0, i64::wrapping_add),
            Self::Prod => values.fold(1, i64::wrapping_mul),
            Self::Max => values.fold(i64::MIN, i64::max),
            Self::Min => values.fold(i64::MAX, i64::min),
            Self::Mean => values.fold(0, i64::wrapping_add) / i64::try_from(count.max(1)).unwrap_or(i64::MAX),
            _ => op_bail!("is not covered on integer values"),
        })
    }
}

impl Kernel for Reduce {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        ctx.count(&x.shape)?;
        let Some(reduced) = self.reduced(x.rank(), maybe(inputs, 1))? else { return Ok(vec![x.clone()]) };
        let own = strides(&x.shape);
        let of = |flag: bool| -> (Vec<usize>, Vec<usize>) {
            (0..x.rank()).filter(|&d| reduced[d] == flag).map(|d| (x.shape[d], own[d])).unzip()
        };
        let ((kept, kept_steps), (inner, inner_steps)) = (of(false), of(true));
        let (starts, inside) = (walk(&kept, &kept_steps), walk(&inner, &inner_steps));
        let count = inside.len();
        if count == 0 && matches!(self.kind, Kind::Max | Kind::Min | Kind::Mean) {
            op_bail!("has no value to reduce");
        }
        let data = match &x.data {
            TensorData::F32(v) => {
                let each =
                    |s: &usize| self.kind.of(&mut inside.iter().map(|i| f64::from(v[s + i])), count) as f32;
                TensorData::F32(starts.iter().map(each).collect())
            }
            TensorData::F64(v) => {
                let each = |s: &usize| self.kind.of(&mut inside.iter().map(|i| v[s + i]), count);
                TensorData::F64(starts.iter().map(each).collect())
            }
            TensorData::I64(v) => {
                let each = |s: &usize| self.kind.of_integers(&mut inside.iter().map(|i| v[s + i]), count);
                TensorData::I64(starts.iter().map(each).collect::<OpResult<_>>()?)
            }
            TensorData::I32(v) => {
                let each = |s: &usize| {
                    let value =
                        self.kind.of_integers(&mut inside.iter().map(|i| i64::from(v[s + i])), count)?;
                    Ok(value as i32)
                };
                TensorData::I32(starts.iter().map(each).collect::<OpResult<_>>()?)
            }
            _ => op_bail!("is not covered on {} values", x.data_type()),
        };
        let shape = if self.keep {
            x.shape.iter().zip(&reduced).map(|(l, r)| if *r { 1 } else { *l }).collect()
        } else {
            kept
        };
        Ok(vec![Value::plain(shape, data)])
    }
}

/// Offsets of every index of `shape` under `steps`, in row-major order.
fn walk(shape: &[usize], steps: &[usize]) -> Vec<usize> {
    let new = strides(shape);
    (0..product(shape))
        .map(|at| (0..shape.len()).map(|d| at / new[d] % shape[d].max(1) * steps[d]).sum())
        .collect()
}
