//! Operators on each element by itself: activations, exponentials, rounding, Clip, Not, Identity, Dropout.

use super::{Compiled, Kernel, NodeCtx, done, maybe, need};
use crate::error::{OpResult, op_bail};
use crate::tensor::TensorData;
use crate::value::{Ctx, Value};

/// A float function with its parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Function {
    Relu,
    LeakyRelu(f32),
    Elu(f32),
    Sigmoid,
    HardSigmoid(f32, f32),
    HardSwish,
    Tanh,
    Erf,
    GeluExact,
    GeluTanh,
    Softplus,
    Exp,
    Log,
    Sqrt,
    Neg,
    Abs,
    Reciprocal,
    Floor,
    Ceil,
    Round,
    Sign,
    Sin,
    Cos,
}

impl Function {
    /// The function that a node stands for, `None` for operators of other kinds.
    pub(crate) fn read(ctx: &NodeCtx<'_>) -> OpResult<Option<Self>> {
        Ok(Some(match ctx.node.operator.as_str() {
            "Relu" => Self::Relu,
            "LeakyRelu" => Self::LeakyRelu(ctx.float("alpha", 0.01)?),
            "Elu" => Self::Elu(ctx.float("alpha", 1.0)?),
            "Sigmoid" => Self::Sigmoid,
            "HardSigmoid" => Self::HardSigmoid(ctx.float("alpha", 0.2)?, ctx.float("beta", 0.5)?),
            "HardSwish" => Self::HardSwish,
            "Tanh" => Self::Tanh,
            "Erf" => Self::Erf,
            "Gelu" if ctx.text("approximate", "none")? == "tanh" => Self::GeluTanh,
            "Gelu" => Self::GeluExact,
            "Softplus" => Self::Softplus,
            "Exp" => Self::Exp,
            "Log" => Self::Log,
            "Sqrt" => Self::Sqrt,
            "Neg" => Self::Neg,
            "Abs" => Self::Abs,
            "Reciprocal" => Self::Reciprocal,
            "Floor" => Self::Floor,
            "Ceil" => Self::Ceil,
            "Round" => Self::Round,
            "Sign" => Self::Sign,
            "Sin" => Self::Sin,
            "Cos" => Self::Cos,
            _ => return Ok(None),
        }))
    }
}

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    if let Some(function) = Function::read(ctx)? {
        return done(Unary(function));
    }
    match ctx.node.operator.as_str() {
        "Not" => done(Not),
        "Identity" => done(Identity),
        "Dropout" => done(Dropout { training: maybe_true(ctx) }),
        "Clip" => {
            let low = ctx.node.attributes.contains_key("min").then(|| ctx.float("min", 0.0)).transpose()?;
            let high = ctx.node.attributes.contains_key("max").then(|| ctx.float("max", 0.0)).transpose()?;
            done(Clip { low, high })
        }
        _ => Ok(None),
    }
}

/// The error function to 1.5e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
pub(crate) fn erf(x: f32) -> f32 {
    let (sign, x) = (x.signum(), f64::from(x.abs()));
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    if x.is_nan() { f32::NAN } else { sign * (1.0 - poly * (-x * x).exp()) as f32 }
}

/// The logistic function, without overflow at either end.
pub(crate) fn sigmoid(x: f32) -> f32 {
    let v = 1.0 / (1.0 + (-x.abs()).exp());
    if x < 0.0 { 1.0 - v } else { v }
}

struct Unary(Function);

/// Applies a closure, one monomorphic loop for each function.
fn map(from: &[f32], to: &mut [f32], f: impl Fn(f32) -> f32) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = f(from);
    }
}

impl Function {
    fn apply(self, x: &[f32], y: &mut [f32]) {
        match self {
            Self::Relu => map(x, y, |v| if v < 0.0 { 0.0 } else { v }),
            Self::LeakyRelu(a) => map(x, y, |v| if v < 0.0 { a * v } else { v }),
            Self::Elu(a) => map(x, y, |v| if v < 0.0 { a * v.exp_m1() } else { v }),
            Self::Sigmoid => map(x, y, sigmoid),
            Self::HardSigmoid(a, b) => map(x, y, |v| (a * v + b).clamp(0.0, 1.0)),
            Self::HardSwish => map(x, y, |v| v * (v / 6.0 + 0.5).clamp(0.0, 1.0)),
            Self::Tanh => map(x, y, f32::tanh),
            Self::Erf => map(x, y, erf),
            Self::GeluExact => map(x, y, |v| 0.5 * v * (1.0 + erf(v * std::f32::consts::FRAC_1_SQRT_2))),
            Self::GeluTanh => {
                let scale = (2.0 / std::f32::consts::PI).sqrt();
                map(x, y, |v| 0.5 * v * (1.0 + (scale * (v + 0.044_715 * v * v * v)).tanh()));
            }
            Self::Softplus => map(x, y, |v| v.max(0.0) + (-v.abs()).exp().ln_1p()),
            Self::Exp => map(x, y, f32::exp),
            Self::Log => map(x, y, f32::ln),
            Self::Sqrt => map(x, y, f32::sqrt),
            Self::Neg => map(x, y, |v| -v),
            Self::Abs => map(x, y, f32::abs),
            Self::Reciprocal => map(x, y, f32::recip),
            Self::Floor => map(x, y, f32::floor),
            Self::Ceil => map(x, y, f32::ceil),
            Self::Round => map(x, y, f32::round_ties_even),
            Self::Sign => map(x, y, |v| if v == 0.0 || v.is_nan() { v } else { v.signum() }),
            Self::Sin => map(x, y, f32::sin),
            Self::Cos => map(x, y, f32::cos),
        }
    }

    /// The functions that make sense on doubles and integers too, as they occur in exported graphs.
    fn apply_other(self, data: &TensorData) -> OpResult<TensorData> {
        Ok(match (self, data) {
            (Self::Neg, TensorData::I64(v)) => TensorData::I64(v.iter().map(|v| v.wrapping_neg()).collect()),
            (Self::Neg, TensorData::I32(v)) => TensorData::I32(v.iter().map(|v| v.wrapping_neg()).collect()),
            (Self::Abs, TensorData::I64(v)) => TensorData::I64(v.iter().map(|v| v.wrapping_abs()).collect()),
            (Self::Abs, TensorData::I32(v)) => TensorData::I32(v.iter().map(|v| v.wrapping_abs()).collect()),
            (_, TensorData::F64(v)) => TensorData::F64(self.apply_f64(v)?),
            _ => op_bail!("is not covered on {} values", data.data_type()),
        })
    }

    fn apply_f64(self, v: &[f64]) -> OpResult<Vec<f64>> {
        let f: fn(f64) -> f64 = match self {
            Self::Relu => |v| if v < 0.0 { 0.0 } else { v },
            Self::Sigmoid => |v| 1.0 / (1.0 + (-v).exp()),
            Self::Tanh => f64::tanh,
            Self::Exp => f64::exp,
            Self::Log => f64::ln,
            Self::Sqrt => f64::sqrt,
            Self::Neg => |v| -v,
            Self::Abs => f64::abs,
            Self::Reciprocal => f64::recip,
            Self::Floor => f64::floor,
            Self::Ceil => f64::ceil,
            Self::Round => f64::round_ties_even,
            _ => op_bail!("is not covered on float64 values"),
        };
        Ok(v.iter().map(|&v| f(v)).collect())
    }
}

impl Kernel for Unary {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        ctx.count(&x.shape)?;
        let data = match &x.data {
            TensorData::F32(values) => {
                let mut out = ctx.take(values.len());
                self.0.apply(values, &mut out);
                TensorData::F32(out)
            }
            other => self.0.apply_other(other)?,
        };
        Ok(vec![Value { shape: x.shape.clone(), data, block: x.block }])
    }

    fn takes_blocked(&self) -> bool {
        // Only functions that are finite at 0 may see padded lanes, see `Value`.
        matches!(
            self.0,
            Function::Relu
                | Function::LeakyRelu(_)
                | Function::Elu(_)
                | Function::Sigmoid
                | Function::HardSigmoid(..)
                | Function::HardSwish
                | Function::Tanh
                | Function::GeluExact
                | Function::GeluTanh
        )
    }
}

struct Clip {
    low: Option<f32>,
    high: Option<f32>,
}

pub(crate) fn scalar(value: Option<&Value>) -> OpResult<Option<f32>> {
    match value.map(|v| &v.data) {
        None => Ok(None),
        Some(TensorData::F32(v)) if v.len() == 1 => Ok(v.first().copied()),
        Some(_) => op_bail!("bounds must be one float32 value each"),
    }
}

impl Kernel for Clip {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        if let TensorData::I64(values) = &x.data {
            let bound = |at| match maybe(inputs, at).map(|v| &v.data) {
                Some(TensorData::I64(v)) => v.first().copied(),
                _ => None,
            };
            let (low, high) = (bound(1).unwrap_or(i64::MIN), bound(2).unwrap_or(i64::MAX));
            let out = values.iter().map(|&v| v.max(low).min(high)).collect();
            return Ok(vec![Value::i64s(x.shape.clone(), out)]);
        }
        let low = scalar(maybe(inputs, 1))?.or(self.low).unwrap_or(f32::NEG_INFINITY);
        let high = scalar(maybe(inputs, 2))?.or(self.high).unwrap_or(f32::INFINITY);
        let values = x.f32_values()?;
        let mut out = ctx.f32_buffer(&x.shape)?;
        // Comparisons rather than max and min, so that NaN stays NaN.
        map(values, &mut out, |v| {
            let v = if v < low { low } else { v };
            if v > high { high } else { v }
        });
        Ok(vec![Value::f32s(x.shape.clone(), out)])
    }
}

struct Not;

impl Kernel for Not {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        ctx.count(&x.shape)?;
        let TensorData::Bool(values) = &x.data else { op_bail!("needs bool values, got {}", x.data_type()) };
        let out = TensorData::Bool(values.iter().map(|v| !v).collect());
        Ok(vec![Value::plain(x.shape.clone(), out)])
    }
}

struct Identity;

impl Kernel for Identity {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        ctx.count(&x.shape)?;
        Ok(vec![x.clone()])
    }

    fn takes_blocked(&self) -> bool {
        true
    }
}

/// Whether a Dropout is told to train by a constant.
fn maybe_true(ctx: &NodeCtx<'_>) -> bool {
    matches!(ctx.constant(2).map(|t| &t.data), Some(TensorData::Bool(v)) if v.contains(&true))
}

struct Dropout {
    training: bool,
}

impl Kernel for Dropout {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let told =
            matches!(maybe(inputs, 2).map(|v| &v.data), Some(TensorData::Bool(v)) if v.contains(&true));
        if self.training || told {
            op_bail!("is in training mode; export the model in evaluation mode");
        }
        let count = ctx.count(&x.shape)?;
        let mask = Value::plain(x.shape.clone(), TensorData::Bool(vec![true; count]));
        Ok(vec![x.clone(), mask])
    }
}
