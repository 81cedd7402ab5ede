//! Derivatives of operators that keep the values and change the shape: Reshape, Flatten, Squeeze, Unsqueeze, Identity,
//! Dropout, Cast to float32.

use super::adjoint::{Adjoint, Ruled, done};
use super::tape::Flow;
use crate::error::OpResult;
use crate::ops::NodeCtx;
use crate::tensor::DataType;

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Ruled {
    match ctx.node.operator.as_str() {
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" => done(Same),
        "Cast" if ctx.int("to", 0)? == 1 => done(Same),
        _ => Ok(None),
    }
}

/// The gradient with the shape of the first input.
pub(super) struct Same;

impl Adjoint for Same {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let x = flow.x(0)?;
        if x.data_type() != DataType::F32 {
            // Numbers that were integers before: nothing flows back to them.
            flow.ctx.give_value(d);
            return Ok(());
        }
        let mut d = if d.shape == x.shape { d } else { flow.plain(d) };
        d.shape.clone_from(&x.shape);
        flow.give(0, d)
    }
}
