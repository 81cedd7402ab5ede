//! Derivatives of operators that pick and move values: Transpose, Slice, Gather, Expand, Pad, Tile, Split, Resize
//! (nearest), Concat.
//!
//! Each result is a copy of one value of the first input, so the forward kernel itself, run on a tensor of indices,
//! says where every result came from; gradients go back the same way.

use super::adjoint::{Adjoint, Ruled, done};
use super::tape::{Flow, values_mut};
use crate::error::{OpResult, op_bail};
use crate::ops::{self, Kernel, NodeCtx};
use crate::tensor::{DataType, TensorData};
use crate::value::{Value, axis, product};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Ruled {
    match ctx.node.operator.as_str() {
        "Transpose" | "Slice" | "Gather" | "Expand" | "Pad" | "Tile" | "Split" | "Resize" | "Upsample" => {
            moved(ctx)
        }
        "Concat" => done(Concat { axis: ctx.int("axis", 1)? }),
        _ => Ok(None),
    }
}

/// The adjoint of an operator of which every result is one value of the first input.
pub(super) fn moved(ctx: &NodeCtx<'_>) -> Ruled {
    let kernel = match ops::compile(ctx) {
        Ok(kernel) => kernel,
        Err(error) => op_bail!("{error}"),
    };
    // With nothing but the first input computed, one table serves as long as its shape stays.
    let fixed =
        (1..ctx.node.inputs.len()).all(|at| ctx.node.inputs[at].is_none() || ctx.constant(at).is_some());
    done(Moved { kernel, fixed, pad: ctx.node.operator == "Pad", table: None })
}

struct Moved {
    kernel: Box<dyn Kernel>,
    fixed: bool,
    pad: bool,
    table: Option<Table>,
}

/// For each output, the 1-based source of each of its values; 0 for padding.
struct Table {
    shape: Vec<usize>,
    sources: Vec<Vec<u32>>,
}

impl Moved {
    fn table(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<&Table> {
        let x = flow.x(0)?;
        let stale = self.table.as_ref().is_none_or(|table| !self.fixed || table.shape != x.shape);
        if stale {
            let count = i64::try_from(product(&x.shape)).unwrap_or(i64::MAX);
            let numbered = Value::i64s(x.shape.clone(), (1..=count).collect());
            let zero = Value::i64s(vec![], vec![0]);
            let mut inputs = flow.inputs();
            if let Some(first) = inputs.first_mut() {
                *first = Some(&numbered);
            }
            if let (true, Some(Some(fill))) = (self.pad, inputs.get_mut(2))
                && fill.data_type() == DataType::F32
            {
                *fill = &zero;
            }
            let mut sources = Vec::new();
            for output in self.kernel.run(flow.ctx, &inputs)? {
                let TensorData::I64(at) = &output.data else { op_bail!("cannot be followed backward") };
                sources.push(at.iter().map(|at| u32::try_from(*at).unwrap_or(0)).collect());
            }
            self.table = Some(Table { shape: x.shape.clone(), sources });
        }
        match &self.table {
            Some(table) => Ok(table),
            None => op_bail!("cannot be followed backward"),
        }
    }
}

impl Adjoint for Moved {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let gradients: Vec<Option<Value>> = (0..flow.outputs()).map(|at| flow.dy(at)).collect();
        let x = flow.x(0)?;
        let mut dx = flow.ctx.take(product(&x.shape));
        dx.fill(0.0);
        let table = self.table(flow)?;
        for (d, from) in gradients.into_iter().zip(&table.sources) {
            let Some(d) = d else { continue };
            let d = flow.plain(d);
            for (d, from) in d.f32_values()?.iter().zip(from) {
                if let Some(to) = (*from as usize).checked_sub(1).and_then(|at| dx.get_mut(at)) {
                    *to += d;
                }
            }
            flow.ctx.give_value(d);
        }
        flow.give(0, Value::f32s(x.shape.clone(), dx))
    }
}

struct Concat {
    axis: i64,
}

impl Adjoint for Concat {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let d = flow.plain(d);
        let at = axis(self.axis, d.rank())?;
        let whole = product(d.shape.get(at..).unwrap_or_default()).max(1);
        let mut start = 0;
        for (input, x) in flow.inputs().into_iter().enumerate() {
            let Some(x) = x else { continue };
            let width = product(x.shape.get(at..).unwrap_or_default());
            if flow.wants(input) && width > 0 {
                let count = product(&x.shape);
                let mut part = Value::f32s(x.shape.clone(), flow.ctx.take(count));
                let rows = values_mut(&mut part)?.chunks_exact_mut(width);
                for (to, from) in rows.zip(d.f32_values()?.chunks_exact(whole)) {
                    to.copy_from_slice(&from[start..start + width]);
                }
                flow.give(input, part)?;
            }
            start += width;
        }
        flow.ctx.give_value(d);
        Ok(())
    }
}
