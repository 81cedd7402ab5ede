//! Derivatives of operators on each element by itself: activations, exponentials, Clip.

use super::adjoint::{Adjoint, Rule, Ruled, done};
use super::tape::{Flow, values_mut};
use crate::error::OpResult;
use crate::ops::NodeCtx;
use crate::ops::unary::{Function, scalar, sigmoid};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Ruled {
    if let Some(function) = Function::read(ctx)? {
        return done(Unary(function));
    }
    match ctx.node.operator.as_str() {
        "Clip" => {
            let bound =
                |name| ctx.node.attributes.contains_key(name).then(|| ctx.float(name, 0.0)).transpose();
            done(Clip { low: bound("min")?, high: bound("max")? })
        }
        "Cast" => Ok((ctx.int("to", 0)? != 1).then_some(Rule::Zero)),
        _ => Ok(None),
    }
}

struct Unary(Function);

/// Multiplies each gradient by the slope at its place.
fn scale(d: &mut [f32], x: &[f32], y: &[f32], slope: impl Fn(f32, f32) -> f32) {
    for ((d, x), y) in d.iter_mut().zip(x).zip(y) {
        *d *= slope(*x, *y);
    }
}

/// Gradients where the result is positive: PyTorch's rule (0 at 0). A result that is NaN lets its gradient through.
pub(super) fn relu(d: &mut [f32], y: &[f32]) {
    for (d, y) in d.iter_mut().zip(y) {
        *d = if *y <= 0.0 { 0.0 } else { *d };
    }
}

/// `√(2/π)`, of the tanh form of Gelu.
const GELU: f32 = 0.797_884_6;

impl Function {
    /// Turns the gradient of the result into that of the argument.
    fn back(self, d: &mut [f32], x: &[f32], y: &[f32]) {
        match self {
            Self::Relu => relu(d, y),
            Self::LeakyRelu(a) => scale(d, x, y, |x, _| if x > 0.0 { 1.0 } else { a }),
            Self::Elu(a) => scale(d, x, y, |x, _| if x > 0.0 { 1.0 } else { a * x.exp() }),
            Self::Sigmoid => scale(d, x, y, |x, _| sigmoid(x) * sigmoid(-x)),
            Self::HardSigmoid(a, b) => {
                scale(d, x, y, |x, _| if a * x + b <= 0.0 || a * x + b >= 1.0 { 0.0 } else { a });
            }
            Self::HardSwish => scale(d, x, y, |x, _| {
                if x < -3.0 {
                    0.0
                } else if x <= 3.0 {
                    x / 3.0 + 0.5
                } else {
                    1.0
                }
            }),
            Self::Tanh => scale(d, x, y, |_, y| 1.0 - y * y),
            Self::Erf => scale(d, x, y, |x, _| std::f32::consts::FRAC_2_SQRT_PI * (-x * x).exp()),
            Self::GeluExact => scale(d, x, y, |x, _| {
                let phi = 0.5 * (1.0 + crate::ops::unary::erf(x * std::f32::consts::FRAC_1_SQRT_2));
                phi + x * 0.398_942_3 * (-0.5 * x * x).exp()
            }),
            Self::GeluTanh => scale(d, x, y, |x, _| {
                let t = (GELU * (x + 0.044_715 * x * x * x)).tanh();
                0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * GELU * (1.0 + 0.134_145 * x * x)
            }),
            Self::Softplus => scale(d, x, y, |x, _| sigmoid(x)),
            Self::Exp => scale(d, x, y, |_, y| y),
            Self::Log => scale(d, x, y, |x, _| 1.0 / x),
            Self::Sqrt => scale(d, x, y, |_, y| 0.5 / y),
            Self::Neg => scale(d, x, y, |_, _| -1.0),
            Self::Abs => scale(d, x, y, |x, _| if x == 0.0 { 0.0 } else { x.signum() }),
            Self::Reciprocal => scale(d, x, y, |_, y| -y * y),
            Self::Sin => scale(d, x, y, |x, _| x.cos()),
            Self::Cos => scale(d, x, y, |x, _| -x.sin()),
            // Flat, and never compiled into an adjoint.
            Self::Floor | Self::Ceil | Self::Round | Self::Sign => d.fill(0.0),
        }
    }
}

impl Adjoint for Unary {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let (x, y) = (flow.x(0)?, flow.y(0)?);
        // One of the two may have been moved out of channel blocks by another reader.
        let (x, y) = if x.block == y.block {
            (std::borrow::Cow::Borrowed(x), std::borrow::Cow::Borrowed(y))
        } else {
            (flow.plain_saved(x), flow.plain_saved(y))
        };
        let mut d = flow.like(d, &y);
        self.0.back(values_mut(&mut d)?, x.f32_values()?, y.f32_values()?);
        flow.give(0, d)
    }
}

struct Clip {
    low: Option<f32>,
    high: Option<f32>,
}

impl Adjoint for Clip {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let low = scalar(flow.maybe_x(1))?.or(self.low).unwrap_or(f32::NEG_INFINITY);
        let high = scalar(flow.maybe_x(2))?.or(self.high).unwrap_or(f32::INFINITY);
        let x = flow.x(0)?;
        let x = flow.plain_saved(x);
        let mut d = flow.plain(d);
        for (d, x) in values_mut(&mut d)?.iter_mut().zip(x.f32_values()?) {
            // The bounds themselves let gradients through, and so does NaN.
            if *x < low || *x > high {
                *d = 0.0;
            }
        }
        flow.give(0, d)
    }
}
