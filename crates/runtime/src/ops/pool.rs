//! MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool.

use super::conv::{Geometry, as_image};
use super::{Compiled, Kernel, NodeCtx, done, need};
use crate::error::{OpResult, op_bail};
use crate::tensor::TensorData;
use crate::value::{Ctx, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Max,
    /// Average over the window; padding counts if told to.
    Average { padding_counts: bool },
}

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
    done(Pool { kind, geometry: Geometry::read(ctx, None)? })
}

struct Pool {
    kind: Kind,
    geometry: Geometry,
}

/// Adds or takes the maximum over vectors of `B` channels (1 in the plain layout).
fn fold<const B: usize>(
    kind: Kind,
    g: &Geometry,
    from: &[f32],
    to: &mut [f32],
    [h, w]: [usize; 2],
    [ow, top, left, bottom, right]: [usize; 5],
) {
    let from = from.as_chunks::<B>().0;
    let start = if kind == Kind::Max { f32::NEG_INFINITY } else { 0.0 };
    for (at, out) in to.as_chunks_mut::<B>().0.iter_mut().enumerate() {
        let (y0, x0) = ((at / ow) * g.stride[0], (at % ow) * g.stride[1]);
        let mut acc = [start; B];
        let mut inside = 0usize;
        for ky in 0..g.kernel[0] {
            let Some(y) = (y0 + ky * g.dilation[0]).checked_sub(top).filter(|y| *y < h) else { continue };
            for kx in 0..g.kernel[1] {
                let Some(x) = (x0 + kx * g.dilation[1]).checked_sub(left).filter(|x| *x < w) else { continue };
                inside += 1;
                let v = &from[y * w + x];
                for lane in 0..B {
                    acc[lane] = match kind {
                        // NaN is kept, as everywhere in this crate.
                        Kind::Max => if v[lane] > acc[lane] || v[lane].is_nan() { v[lane] } else { acc[lane] },
                        Kind::Average { .. } => acc[lane] + v[lane],
                    };
                }
            }
        }
        if let Kind::Average { padding_counts } = kind {
            let count = if padding_counts {
                // Window positions inside input or padding (a ceil_mode window may hang over both).
                let within = |start: usize, d: usize, end: usize| {
                    (0..g.kernel[d]).filter(|k| start + k * g.dilation[d] < end).count()
                };
                within(y0, 0, h + top + bottom) * within(x0, 1, w + left + right)
            } else {
                inside
            };
            acc.iter_mut().for_each(|v| *v /= count as f32);
        }
        *out = acc;
    }
}

impl Kernel for Pool {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let values = x.f32_values()?;
        let [n, c, h, w] = as_image(x, self.geometry.dims)?;
        let (oh, top, bottom) = self.geometry.resolve(0, h)?;
        let (ow, left, right) = self.geometry.resolve(1, w)?;
        let block = x.block.max(1);
        let planes = n * c.div_ceil(block);
        let mut y = ctx.f32_buffer(&[planes, oh, ow, block])?;
        let window = self.geometry.kernel[0] as u64 * self.geometry.kernel[1] as u64;
        ctx.charge((y.len() as u64).checked_mul(window))?;
        let (size, out_size) = (h * w * block, oh * ow * block);
        if size > 0 && out_size > 0 {
            let edges = [ow, top, left, bottom, right];
            for (from, to) in values.chunks_exact(size).zip(y.chunks_exact_mut(out_size)) {
                match block {
                    1 => fold::<1>(self.kind, &self.geometry, from, to, [h, w], edges),
                    8 => fold::<8>(self.kind, &self.geometry, from, to, [h, w], edges),
                    16 => fold::<16>(self.kind, &self.geometry, from, to, [h, w], edges),
                    _ => op_bail!("met an unknown channel block of {block}"),
                }
            }
        }
        let shape = if self.geometry.dims == 2 { vec![n, c, oh, ow] } else { vec![n, c, ow] };
        Ok(vec![Value { shape, data: TensorData::F32(y), block: x.block }])
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
