//! Derivatives of MaxPool (the first maximum of a window takes its gradient, as in PyTorch), AveragePool and the global pools.

use super::adjoint::{Adjoint, Ruled, done};
use super::tape::Flow;
use crate::error::{OpResult, op_bail};
use crate::kernel::Isa;
use crate::kernel::pool::{Back, Kind, Side};
use crate::ops::NodeCtx;
use crate::ops::conv::{Geometry, as_image};
use crate::tensor::TensorData;
use crate::value::{Value, product};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Ruled {
    let kind = match ctx.node.operator.as_str() {
        "MaxPool" => Kind::Max,
        "AveragePool" => Kind::Average { padding_counts: ctx.int("count_include_pad", 0)? != 0 },
        "GlobalMaxPool" => return done(Global { max: true }),
        "GlobalAveragePool" => return done(Global { max: false }),
        _ => return Ok(None),
    };
    done(Pool { kind, geometry: Geometry::read(ctx, None)?, isa: ctx.isa })
}

struct Pool {
    kind: Kind,
    geometry: Geometry,
    isa: Isa,
}

impl Adjoint for Pool {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let (x, y) = (flow.x(0)?, flow.y(0)?);
        let [n, c, h, w] = as_image(x, self.geometry.dims)?;
        let sides = (self.geometry.side(0, h)?, self.geometry.side(1, w)?);
        let blocked = x.block == self.isa.lanes();
        let x = if blocked { std::borrow::Cow::Borrowed(x) } else { flow.plain_saved(x) };
        let d = flow.like(d, &x);
        let held = match (self.kind, y.block == x.block) {
            (Kind::Max, false) => Some(crate::kernel::layout::blocked(y.clone(), x.block, flow.ctx)),
            _ => None,
        };
        let y = held.as_ref().unwrap_or(y);
        let mut dx = flow.ctx.take(x.f32_values()?.len());
        if !blocked || !Back::covers([&sides.0, &sides.1]) {
            dx.fill(0.0);
        }
        let (from, to, size) = (x.f32_values()?, y.f32_values()?, (h * w, sides.0.output * sides.1.output));
        if blocked {
            let back =
                Back { kind: self.kind, y: sides.0, x: sides.1, from, to, d: d.f32_values()?, dx: &mut dx };
            back.run(self.isa);
        } else if size.0 > 0 && size.1 > 0 {
            let planes = dx.chunks_exact_mut(size.0).zip(from.chunks_exact(size.0));
            let results = to.chunks_exact(size.1).zip(d.f32_values()?.chunks_exact(size.1));
            for ((dx, x), (y, d)) in planes.zip(results).take(n * c) {
                plain(self.kind, &sides.0, &sides.1, x, y, d, dx);
            }
        }
        flow.ctx.give_value(d);
        if let Some(held) = held {
            flow.ctx.give_value(held);
        }
        flow.give(0, Value { shape: x.shape.clone(), data: TensorData::F32(dx), block: x.block })
    }
}

/// The plain layout, one channel at a time.
fn plain(kind: Kind, sy: &Side, sx: &Side, x: &[f32], y: &[f32], d: &[f32], dx: &mut [f32]) {
    for (at, (y, d)) in y.iter().zip(d).enumerate() {
        let (oy, ox) = (at / sx.output, at % sx.output);
        let ((first_y, end_y), (first_x, end_x)) = (sy.inside(oy), sx.inside(ox));
        let share = if kind == Kind::Max { *d } else { d / kind.divisor(sy, sx, oy, ox) };
        'window: for ky in first_y..end_y {
            let row = (oy * sy.stride + ky * sy.dilation - sy.before) * sx.input;
            for kx in first_x..end_x {
                let at = row + ox * sx.stride + kx * sx.dilation - sx.before;
                // Nothing is larger than the maximum; NaN is not smaller, and takes the gradient too.
                if kind == Kind::Max && x[at] < *y {
                    continue;
                }
                dx[at] += share;
                if kind == Kind::Max {
                    break 'window;
                }
            }
        }
    }
}

struct Global {
    max: bool,
}

impl Adjoint for Global {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let d = flow.plain(d);
        let x = flow.x(0)?;
        let [n, c, spatial @ ..] = &x.shape[..] else { op_bail!("needs images, got shape {:?}", x.shape) };
        let plane = product(spatial);
        let block = x.block.max(1);
        let blocks = c.div_ceil(block);
        let mut dx = flow.ctx.take(n * blocks * block * plane);
        dx.fill(0.0);
        let values = x.f32_values()?;
        for (at, d) in d.f32_values()?.iter().enumerate() {
            let (image, channel) = (at / c, at % c);
            let start = (image * blocks + channel / block) * plane * block + channel % block;
            let to = dx[start..].iter_mut().step_by(block).take(plane);
            if !self.max {
                to.for_each(|to| *to = d / plane as f32);
                continue;
            }
            let pixels = || values[start..].iter().step_by(block).take(plane);
            let mut best = (0, f32::NEG_INFINITY);
            for (i, v) in pixels().enumerate() {
                if i == 0 || *v > best.1 || (v.is_nan() && !best.1.is_nan()) {
                    best = (i, *v);
                }
            }
            if let Some(to) = dx.get_mut(start + best.0 * block) {
                *to = *d;
            }
        }
        flow.ctx.give_value(d);
        flow.give(0, Value { shape: x.shape.clone(), data: TensorData::F32(dx), block: x.block })
    }
}
