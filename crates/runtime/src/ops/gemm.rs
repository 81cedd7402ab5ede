//! Gemm and MatMul.

use super::{Activation, Compiled, Kernel, NodeCtx, binary, broadcast_shape, done, maybe, need};
use crate::error::{OpResult, op_bail};
use crate::kernel::{Isa, gemm::Packed};
use crate::tensor::Tensor;
use crate::value::{Ctx, Value, product};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    match ctx.node.operator.as_str() {
        "Gemm" => gemm(ctx),
        "MatMul" => matmul(ctx),
        _ => Ok(None),
    }
}

fn relu(ctx: &NodeCtx<'_>) -> bool {
    ctx.activation == Activation::Relu
}

/// A float32 matrix.
fn matrix(tensor: &Tensor) -> Option<([usize; 2], &[f32])> {
    Some((tensor.shape[..].try_into().ok()?, tensor.as_f32()?))
}

fn gemm(ctx: &NodeCtx<'_>) -> Compiled {
    let (alpha, beta) = (ctx.float("alpha", 1.0)?, ctx.float("beta", 1.0)?);
    let (trans_a, trans_b) = (ctx.int("transA", 0)? != 0, ctx.int("transB", 0)? != 0);
    let mut packed = None;
    let mut bias_packed = false;
    if let Some(([rows, columns], weights)) = ctx.constant(1).and_then(matrix) {
        let shape = if trans_b { [columns, rows] } else { [rows, columns] };
        let scaled: Vec<f32> =
            if alpha == 1.0 { vec![] } else { weights.iter().map(|w| w * alpha).collect() };
        let weights = if alpha == 1.0 { weights } else { &scaled };
        let bias = ctx
            .constant(2)
            .filter(|b| b.shape == [shape[1]] || b.shape == [1, shape[1]])
            .and_then(Tensor::as_f32);
        bias_packed = bias.is_some();
        let bias = bias.map(|bias| bias.iter().map(|b| b * beta).collect::<Vec<_>>());
        packed = Some(Packed::new(ctx.isa, shape, trans_b, weights, bias.as_deref()));
    }
    done(Gemm { alpha, beta, trans_a, trans_b, packed, bias_packed, relu: relu(ctx), isa: ctx.isa })
}

struct Gemm {
    alpha: f32,
    beta: f32,
    trans_a: bool,
    trans_b: bool,
    packed: Option<Packed>,
    bias_packed: bool,
    relu: bool,
    isa: Isa,
}

fn transposed([rows, columns]: [usize; 2], values: &[f32], ctx: &mut Ctx<'_>) -> Vec<f32> {
    let mut out = ctx.take(values.len());
    for (r, row) in values.chunks_exact(columns.max(1)).enumerate() {
        for (c, v) in row.iter().enumerate() {
            out[c * rows + r] = *v;
        }
    }
    out
}

impl Kernel for Gemm {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let a = need(inputs, 0)?;
        let Ok(shape) = <[usize; 2]>::try_from(&a.shape[..]) else {
            op_bail!("needs a matrix, got shape {:?}", a.shape)
        };
        let values = a.f32_values()?;
        let flipped = self.trans_a.then(|| transposed(shape, values, ctx));
        let (values, [rows, depth]) = match &flipped {
            Some(flipped) => (flipped.as_slice(), [shape[1], shape[0]]),
            None => (values, shape),
        };
        let dynamic;
        let packed = match &self.packed {
            Some(packed) => packed,
            None => {
                let b = need(inputs, 1)?;
                let Ok([r, c]) = <[usize; 2]>::try_from(&b.shape[..]) else {
                    op_bail!("needs a matrix, got shape {:?}", b.shape)
                };
                let shape = if self.trans_b { [c, r] } else { [r, c] };
                dynamic = pack(ctx, self.isa, shape, self.trans_b, b.f32_values()?)?;
                &dynamic
            }
        };
        if packed.depth != depth {
            op_bail!("cannot multiply {rows}x{depth} by {}x{}", packed.depth, packed.columns);
        }
        ctx.charge(work(&[rows, depth, packed.columns]))?;
        let out_shape = vec![rows, packed.columns];
        let mut y = ctx.f32_buffer(&out_shape)?;
        let c = if self.bias_packed { None } else { maybe(inputs, 2) };
        packed.run(values, rows, &mut y, self.relu && c.is_none());
        if self.packed.is_none() && self.alpha != 1.0 {
            y.iter_mut().for_each(|v| *v *= self.alpha);
        }
        let mut out = Value::f32s(out_shape, y);
        if let Some(c) = c {
            let mut c = c.clone();
            if let crate::tensor::TensorData::F32(values) = &mut c.data {
                values.iter_mut().for_each(|v| *v *= self.beta);
            }
            out = binary::add(ctx, &out, &c)?;
            if out.shape != [rows, packed.columns] {
                op_bail!("bias of shape {:?} is larger than the product", c.shape);
            }
            if self.relu
                && let crate::tensor::TensorData::F32(values) = &mut out.data
            {
                values.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v });
            }
        }
        if let Some(flipped) = flipped {
            ctx.give(flipped);
        }
        Ok(vec![out])
    }

    fn packed_inputs(&self) -> &'static [usize] {
        match (&self.packed, self.bias_packed) {
            (Some(_), true) => &[1, 2],
            (Some(_), false) => &[1],
            _ => &[],
        }
    }
}

fn work(lengths: &[usize]) -> Option<u64> {
    lengths.iter().try_fold(1u64, |product, &n| product.checked_mul(n as u64))
}

/// Packs a matrix that is only known at run time, within the budget.
fn pack(ctx: &mut Ctx<'_>, isa: Isa, shape: [usize; 2], trans: bool, values: &[f32]) -> OpResult<Packed> {
    let padded = [shape[0], shape[1].saturating_add(isa.lanes())];
    ctx.count(&padded)?;
    Ok(Packed::new(isa, shape, trans, values, None))
}

fn matmul(ctx: &NodeCtx<'_>) -> Compiled {
    let mut packed = None;
    if let Some((shape, weights)) = ctx.constant(1).and_then(matrix) {
        let bias = ctx.constant(2).filter(|b| b.shape == [shape[1]]).and_then(Tensor::as_f32);
        packed = Some(Packed::new(ctx.isa, shape, false, weights, bias));
    }
    done(MatMul { packed, isa: ctx.isa, relu: relu(ctx) })
}

struct MatMul {
    packed: Option<Packed>,
    isa: Isa,
    relu: bool,
}

impl Kernel for MatMul {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let a = need(inputs, 0)?;
        if let Some(packed) = &self.packed {
            let Some((&depth, outer)) = a.shape.split_last() else { op_bail!("cannot multiply a scalar") };
            if depth != packed.depth {
                op_bail!("cannot multiply shape {:?} by {}x{}", a.shape, packed.depth, packed.columns);
            }
            let rows = product(outer);
            ctx.charge(work(&[rows, depth, packed.columns]))?;
            let shape: Vec<usize> = outer.iter().copied().chain([packed.columns]).collect();
            let mut y = ctx.f32_buffer(&shape)?;
            packed.run(a.f32_values()?, rows, &mut y, self.relu);
            return Ok(vec![Value::f32s(shape, y)]);
        }
        let mut out = batched(ctx, self.isa, a, need(inputs, 1)?)?;
        if self.relu
            && let crate::tensor::TensorData::F32(values) = &mut out.data
        {
            values.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v });
        }
        Ok(vec![out])
    }

    fn packed_inputs(&self) -> &'static [usize] {
        if self.packed.is_some() { &[1, 2] } else { &[] }
    }
}

/// MatMul of two computed tensors, batch dimensions broadcast, vectors promoted as NumPy does.
fn batched(ctx: &mut Ctx<'_>, isa: Isa, a: &Value, b: &Value) -> OpResult<Value> {
    let (mut sa, mut sb) = (a.shape.clone(), b.shape.clone());
    let (vector_a, vector_b) = (sa.len() == 1, sb.len() == 1);
    if vector_a {
        sa.insert(0, 1);
    }
    if vector_b {
        sb.push(1);
    }
    let ([batch_a @ .., m, k], [batch_b @ .., k2, n]) = (&sa[..], &sb[..]) else {
        op_bail!("cannot multiply a scalar")
    };
    let (&m, &k, &n) = (m, k, n);
    let Some(batch) = broadcast_shape(batch_a, batch_b).filter(|_| k == *k2) else {
        op_bail!("cannot multiply shapes {:?} and {:?}", a.shape, b.shape)
    };
    let mut shape = batch.clone();
    shape.extend([m, n]);
    ctx.charge(work(&shape).and_then(|w| w.checked_mul(k as u64)))?;
    let mut y = ctx.f32_buffer(&shape)?;
    let (x, w) = (a.f32_values()?, b.f32_values()?);
    // One more dimension of length 1, so that each run below is one matrix.
    let target: Vec<usize> = batch.iter().copied().chain([1]).collect();
    let with_one = |s: &[usize]| s.iter().copied().chain([1]).collect::<Vec<_>>();
    let stride_a = binary::broadcast_strides(&with_one(batch_a), &target);
    let stride_b = binary::broadcast_strides(&with_one(batch_b), &target);
    let mut jobs = Vec::new();
    binary::for_each_run(&target, &stride_a, &stride_b, |at_a, at_b, at, _| jobs.push((at_a, at_b, at)));
    let mut last: Option<(usize, Packed)> = None;
    for (at_a, at_b, at) in jobs {
        if last.as_ref().is_none_or(|(from, _)| *from != at_b) {
            last = Some((at_b, pack(ctx, isa, [k, n], false, &w[at_b * k * n..][..k * n])?));
        }
        if let Some((_, packed)) = &last {
            packed.run(&x[at_a * m * k..][..m * k], m, &mut y[at * m * n..][..m * n], false);
        }
    }
    if vector_b {
        shape.pop();
    }
    if vector_a {
        let at = shape.len() - 1 - usize::from(!vector_b);
        shape.remove(at);
    }
    Ok(Value::f32s(shape, y))
}
