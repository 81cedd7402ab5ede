//! Derivatives of Gemm and MatMul: each is a matrix product again.

use super::adjoint::{Adjoint, Ruled, done};
use super::binary::reduced;
use super::tape::{Flow, values_mut};
use super::unary::relu;
use crate::error::{OpResult, op_bail};
use crate::kernel::{Isa, gemm::Packed};
use crate::ops::binary::{broadcast_strides, for_each_run};
use crate::ops::{Activation, NodeCtx, broadcast_shape};
use crate::value::{Ctx, Value, product};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Ruled {
    let relu = ctx.activation == Activation::Relu;
    let weights = ctx.constant(1).filter(|w| w.shape.len() == 2).and_then(|w| Some((w, w.as_f32()?)));
    let bias = ctx.constant(2).map(|bias| bias.shape.clone());
    match ctx.node.operator.as_str() {
        "Gemm" => {
            let (alpha, beta) = (ctx.float("alpha", 1.0)?, ctx.float("beta", 1.0)?);
            let (trans_a, trans_b) = (ctx.int("transA", 0)? != 0, ctx.int("transB", 0)? != 0);
            let back = weights.map(|(w, values)| backward(ctx.isa, &w.shape, trans_b, values, alpha));
            let shape = weights.map(|(w, _)| w.shape.clone());
            done(Gemm { alpha, beta, trans_a, trans_b, back, shape, bias, relu, isa: ctx.isa })
        }
        "MatMul" => match weights {
            Some((w, values)) => {
                let back = Some(backward(ctx.isa, &w.shape, false, values, 1.0));
                let shape = Some(w.shape.clone());
                let (alpha, beta, trans_a, trans_b) = (1.0, 1.0, false, false);
                done(Gemm { alpha, beta, trans_a, trans_b, back, shape, bias, relu, isa: ctx.isa })
            }
            None => done(Batched { relu, isa: ctx.isa }),
        },
        _ => Ok(None),
    }
}

/// The matrix that takes gradients of the result back to the first factor: the second factor, transposed and scaled.
fn backward(isa: Isa, shape: &[usize], transposed: bool, values: &[f32], alpha: f32) -> Packed {
    let (rows, columns) = (shape.first().copied().unwrap_or(0), shape.get(1).copied().unwrap_or(0));
    let [n, k] = if transposed { [rows, columns] } else { [columns, rows] };
    if alpha == 1.0 {
        return Packed::new(isa, [n, k], !transposed, values, None);
    }
    let scaled: Vec<f32> = values.iter().map(|w| w * alpha).collect();
    Packed::new(isa, [n, k], !transposed, &scaled, None)
}

/// A row-major matrix of `rows` rows, transposed.
pub(super) fn transposed(ctx: &mut Ctx<'_>, values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len().checked_div(rows).unwrap_or(0);
    let mut out = ctx.take(values.len());
    for (r, row) in values.chunks_exact(columns.max(1)).enumerate() {
        for (v, to) in row.iter().zip(out[r..].iter_mut().step_by(rows)) {
            *to = *v;
        }
    }
    out
}

/// `alpha · a · b` for row-major matrices of `rows`x`depth` and `depth`x`columns` (`b` transposed if said).
struct Product<'a> {
    isa: Isa,
    a: &'a [f32],
    rows: usize,
    b: &'a [f32],
    b_shape: [usize; 2],
    b_transposed: bool,
    alpha: f32,
}

impl Product<'_> {
    fn run(self, ctx: &mut Ctx<'_>) -> Vec<f32> {
        let mut y = ctx.take(self.rows * self.b_shape[1]);
        Packed::new(self.isa, self.b_shape, self.b_transposed, self.b, None)
            .run(self.a, self.rows, &mut y, false);
        if self.alpha != 1.0 {
            y.iter_mut().for_each(|v| *v *= self.alpha);
        }
        y
    }
}

/// Gemm, and MatMul by a constant matrix (any number of rows before it).
struct Gemm {
    alpha: f32,
    beta: f32,
    trans_a: bool,
    trans_b: bool,
    /// See [`backward`]; `None` if the second factor is computed.
    back: Option<Packed>,
    /// Shape of the second factor, if it is constant.
    shape: Option<Vec<usize>>,
    /// Shape of the third input, if it is constant.
    bias: Option<Vec<usize>>,
    relu: bool,
    isa: Isa,
}

impl Adjoint for Gemm {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let mut d = flow.plain(d);
        if self.relu {
            relu(values_mut(&mut d)?, flow.y(0)?.f32_values()?);
        }
        let n = d.shape.last().copied().unwrap_or(1);
        let rows = product(&d.shape).checked_div(n).unwrap_or(0);
        if flow.wants(0) {
            self.first(flow, &d, rows)?;
        }
        if flow.wants(1) {
            self.second(flow, &d, [rows, n])?;
        }
        if flow.wants(2) {
            let shape = match (&self.bias, flow.maybe_x(2)) {
                (Some(shape), _) => shape.clone(),
                (None, Some(c)) => c.shape.clone(),
                (None, None) => op_bail!("input 2 is missing"),
            };
            let beta = self.beta;
            values_mut(&mut d)?.iter_mut().for_each(|v| *v *= beta);
            let d = reduced(flow.ctx, d, &shape)?;
            return flow.give(2, d);
        }
        flow.ctx.give_value(d);
        Ok(())
    }
}

impl Gemm {
    fn first(&self, flow: &mut Flow<'_, '_>, d: &Value, rows: usize) -> OpResult<()> {
        let shape = flow.x(0)?.shape.clone();
        let held;
        let back = match &self.back {
            Some(back) => back,
            None => {
                let b = flow.x(1)?;
                held = backward(self.isa, &b.shape, self.trans_b, b.f32_values()?, self.alpha);
                &held
            }
        };
        let mut dx = flow.ctx.take(product(&shape));
        back.run(d.f32_values()?, rows, &mut dx, false);
        if self.trans_a {
            let turned = transposed(flow.ctx, &dx, rows);
            flow.ctx.give(std::mem::replace(&mut dx, turned));
        }
        flow.give(0, Value::f32s(shape, dx))
    }

    fn second(&self, flow: &mut Flow<'_, '_>, d: &Value, [rows, n]: [usize; 2]) -> OpResult<()> {
        let x = flow.x(0)?;
        let x = flow.plain_saved(x);
        let (a, d) = (x.f32_values()?, d.f32_values()?);
        let depth = a.len().checked_div(rows).unwrap_or(0);
        let (isa, alpha) = (self.isa, self.alpha);
        let db = if self.trans_b {
            // [n, rows] times [rows, depth]
            let turned = transposed(flow.ctx, d, rows);
            let (b_shape, b_transposed) = ([rows, depth], self.trans_a);
            let out = Product { isa, a: &turned, rows: n, b: a, b_shape, b_transposed, alpha }.run(flow.ctx);
            flow.ctx.give(turned);
            out
        } else {
            // [depth, rows] times [rows, n]
            let turned = (!self.trans_a).then(|| transposed(flow.ctx, a, rows));
            let left = turned.as_deref().unwrap_or(a);
            let b_shape = [rows, n];
            Product { isa, a: left, rows: depth, b: d, b_shape, b_transposed: false, alpha }.run(flow.ctx)
        };
        let shape = match (&self.shape, flow.maybe_x(1)) {
            (Some(shape), _) => shape.clone(),
            (None, Some(b)) => b.shape.clone(),
            (None, None) => vec![db.len()],
        };
        flow.give(1, Value::f32s(shape, db))
    }
}

/// MatMul of two tensors with batch dimensions.
struct Batched {
    relu: bool,
    isa: Isa,
}

impl Adjoint for Batched {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let mut d = flow.plain(d);
        if self.relu {
            relu(values_mut(&mut d)?, flow.y(0)?.f32_values()?);
        }
        let (a, b) = (flow.x(0)?, flow.x(1)?);
        let (mut sa, mut sb) = (a.shape.clone(), b.shape.clone());
        if sa.len() == 1 {
            sa.insert(0, 1);
        }
        if sb.len() == 1 {
            sb.push(1);
        }
        let ([batch_a @ .., m, k], [batch_b @ .., _, n]) = (&sa[..], &sb[..]) else {
            op_bail!("cannot multiply a scalar")
        };
        let (&m, &k, &n) = (m, k, n);
        let Some(batch) = broadcast_shape(batch_a, batch_b) else { op_bail!("batches do not broadcast") };
        let with_one = |s: &[usize]| s.iter().copied().chain([1]).collect::<Vec<_>>();
        let target = with_one(&batch);
        let (step_a, step_b) =
            (broadcast_strides(&with_one(batch_a), &target), broadcast_strides(&with_one(batch_b), &target));
        let mut jobs = Vec::new();
        for_each_run(&target, &step_a, &step_b, |at_a, at_b, at, _| jobs.push((at_a, at_b, at)));
        let (av, bv, dv) = (a.f32_values()?, b.f32_values()?, d.f32_values()?);
        let isa = self.isa;
        let sum = |flow: &mut Flow<'_, '_>, to: usize, shape: &[usize], first: bool| -> OpResult<()> {
            let mut out = flow.ctx.take(product(shape));
            out.fill(0.0);
            let size = if first { m * k } else { k * n };
            for &(at_a, at_b, at) in &jobs {
                let d = &dv[at * m * n..][..m * n];
                let part = if first {
                    let b = &bv[at_b * k * n..][..k * n];
                    let b_shape = [n, k];
                    Product { isa, a: d, rows: m, b, b_shape, b_transposed: true, alpha: 1.0 }.run(flow.ctx)
                } else {
                    let turned = transposed(flow.ctx, &av[at_a * m * k..][..m * k], m);
                    let b_shape = [m, n];
                    let product =
                        Product { isa, a: &turned, rows: k, b: d, b_shape, b_transposed: false, alpha: 1.0 };
                    let part = product.run(flow.ctx);
                    flow.ctx.give(turned);
                    part
                };
                let start = if first { at_a } else { at_b } * size;
                out[start..start + size].iter_mut().zip(&part).for_each(|(o, p)| *o += p);
                flow.ctx.give(part);
            }
            flow.give(to, Value::f32s(shape.to_vec(), out))
        };
        if flow.wants(0) {
            sum(flow, 0, &a.shape, true)?;
        }
        if flow.wants(1) {
            sum(flow, 1, &b.shape, false)?;
        }
        flow.ctx.give_value(d);
        Ok(())
    }
}
