//! MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool.

use super::conv::{Geometry, as_image};
use super::{Compiled, Kernel, NodeCtx, done, need};
use crate::error::{OpResult, op_bail};
use crate::kernel::{
    Isa,
    pool::{Kind, Run, Side},
};
use crate::tensor::TensorData;
use crate::value::{Ctx, Value};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    let kind = match ctx.node.operator.as_str() {
        "MaxPool" => Kind::Max,
        "AveragePool" => Kind::Average { padding_counts: ctx.int("count_include_pad", 0)? != 0 },
        "GlobalMaxPool" => return done(Global { max: true }),
        "GlobalAveragePool" => return done(Global { max: false }),
        _ => return Ok(None),
    };
    if ctx.node.outputs.iter().flatten().count() > 1 {
        op_bail!("indices as second output are not covered");
    }
    done(Pool { kind, geometry: Geometry::read(ctx, None)?, isa: ctx.isa })
}

impl Geometry {
    /// How the windows lie along dimension `d` of an input of this length.
    pub(crate) fn side(&self, d: usize, input: usize) -> OpResult<Side> {
        let (output, before, after) = self.resolve(d, input)?;
        let (kernel, stride, dilation) = (self.kernel[d], self.stride[d], self.dilation[d]);
        Ok(Side { input, output, kernel, stride, dilation, before, after })
    }
}

struct Pool {
    kind: Kind,
    geometry: Geometry,
    isa: Isa,
}

/// The plain layout, one channel at a time.
fn plain(kind: Kind, y: &Side, x: &Side, from: &[f32], to: &mut [f32]) {
    for (at, out) in to.iter_mut().enumerate() {
        let (oy, ox) = (at / x.output, at % x.output);
        let ((first_y, end_y), (first_x, end_x)) = (y.inside(oy), x.inside(ox));
        let mut acc = if kind == Kind::Max { f32::NEG_INFINITY } else { 0.0 };
        for ky in first_y..end_y {
            let row = (oy * y.stride + ky * y.dilation - y.before) * x.input;
            for kx in first_x..end_x {
                let v = from[row + ox * x.stride + kx * x.dilation - x.before];
                acc = match kind {
                    Kind::Max if acc.is_nan() || v <= acc => acc,
                    Kind::Max => v,
                    Kind::Average { .. } => acc + v,
                };
            }
        }
        *out = if kind == Kind::Max { acc } else { acc / kind.divisor(y, x, oy, ox) };
    }
}

impl Kernel for Pool {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let value = need(inputs, 0)?;
        let values = value.f32_values()?;
        let [n, c, h, w] = as_image(value, self.geometry.dims)?;
        let (y, x) = (self.geometry.side(0, h)?, self.geometry.side(1, w)?);
        let block = value.block.max(1);
        let planes = n * c.div_ceil(block);
        let mut out = ctx.f32_buffer(&[planes, y.output, x.output, block])?;
        ctx.charge((out.len() as u64).checked_mul((y.kernel * x.kernel) as u64))?;
        let (size, out_size) = (h * w, y.output * x.output);
        if value.block == self.isa.lanes() {
            Run { kind: self.kind, y, x, from: values, to: &mut out }.run(self.isa);
        } else if value.block > 0 {
            op_bail!("met an unknown channel block of {block}");
        } else if size > 0 && out_size > 0 {
            for (from, to) in values.chunks_exact(size).zip(out.chunks_exact_mut(out_size)) {
                plain(self.kind, &y, &x, from, to);
            }
        }
        let shape =
            if self.geometry.dims == 2 { vec![n, c, y.output, x.output] } else { vec![n, c, x.output] };
        Ok(vec![Value { shape, data: TensorData::F32(out), block: value.block }])
    }

    fn takes_blocked(&self) -> bool {
        true
    }
}

struct Global {
    max: bool,
}

impl Kernel for Global {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let values = x.f32_values()?;
        let [n, c, spatial @ ..] = &x.shape[..] else { op_bail!("needs images, got shape {:?}", x.shape) };
        let plane: usize = spatial.iter().product();
        if plane == 0 {
            op_bail!("needs at least one pixel");
        }
        ctx.charge(Some(values.len() as u64))?;
        let shape: Vec<usize> = [*n, *c].into_iter().chain(spatial.iter().map(|_| 1)).collect();
        let mut y = ctx.f32_buffer(&shape)?;
        let block = x.block.max(1);
        let blocks = c.div_ceil(block);
        for (at, out) in y.iter_mut().enumerate() {
            let (image, channel) = (at / c, at % c);
            let start = (image * blocks + channel / block) * plane * block + channel % block;
            let pixels = values[start..].iter().step_by(block).take(plane);
            *out = if self.max {
                pixels.fold(f32::NEG_INFINITY, |m, &v| if v > m || v.is_nan() { v } else { m })
            } else {
                pixels.sum::<f32>() / plane as f32
            };
        }
        Ok(vec![Value::f32s(shape, y)])
    }

    fn takes_blocked(&self) -> bool {
        true
    }
}
