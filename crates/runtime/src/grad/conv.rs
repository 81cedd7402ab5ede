//! The derivative of Conv by its input: convolutions again, by the flipped kernel, with the same packed kernels.
//!
//! With stride `s` the input pixels fall into `s` phases a dimension, each touched by its own part of the kernel: one
//! convolution of stride 1 a phase computes exactly what is needed, where inserting zeros would compute `s²` times as much.

use super::adjoint::{Adjoint, Ruled, done};
use super::conv_weights;
use super::tape::{Flow, values_mut};
use super::unary::relu;
use crate::error::{OpResult, op_bail};
use crate::kernel::conv::{Packed, Run};
use crate::kernel::{Isa, layout};
use crate::ops::conv::{CHUNK_BYTES, Geometry, as_image};
use crate::ops::{Activation, NodeCtx};
use crate::tensor::TensorData;
use crate::value::{Ctx, Value};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Ruled {
    if ctx.node.operator != "Conv" {
        return Ok(None);
    }
    let Some((weights, values)) = ctx.constant(1).and_then(|w| Some((w, w.as_f32()?))) else {
        op_bail!("weights must be constant float32")
    };
    let [oc, ic, spatial @ ..] = &weights.shape[..] else {
        op_bail!("weights have shape {:?}", weights.shape)
    };
    let geometry = Geometry::read(ctx, Some(spatial))?;
    let groups = usize::try_from(ctx.int("group", 1)?).unwrap_or(0).max(1);
    let shape = [oc / groups, *ic, geometry.kernel[0], geometry.kernel[1]];
    let each: usize = shape.iter().product();
    let mut phases = Vec::new();
    for y in Phase::all(&geometry, 0) {
        for x in Phase::all(&geometry, 1) {
            let packed = if y.count * x.count == 0 {
                Vec::new()
            } else {
                values.chunks_exact(each.max(1)).map(|w| flipped(ctx.isa, w, shape, y, x)).collect()
            };
            phases.push(Tile { y, x, packed });
        }
    }
    let relu = ctx.activation == Activation::Relu;
    let weights_shape = weights.shape.clone();
    done(Conv { geometry, groups, shape, weights_shape, phases, relu, isa: ctx.isa })
}

/// The input positions `first, first + s, …` of one dimension that meet the same part of the kernel.
#[derive(Debug, Clone, Copy)]
struct Phase {
    /// `(position + padding before) mod stride`.
    residue: usize,
    stride: usize,
    /// Kernel positions `from, from + step, …`, `count` of them.
    from: usize,
    step: usize,
    count: usize,
    /// Distance in the output between neighbouring kernel positions.
    dilation: usize,
    /// Dilation of the convolution itself.
    own_dilation: usize,
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Phase {
    fn all(geometry: &Geometry, d: usize) -> Vec<Self> {
        let (kernel, stride, own_dilation) = (geometry.kernel[d], geometry.stride[d], geometry.dilation[d]);
        let common = gcd(stride, own_dilation);
        let of = |residue| {
            let from = (0..kernel.min(stride)).find(|k| k * own_dilation % stride == residue);
            let step = stride / common;
            let count = from.map_or(0, |from| (kernel - from).div_ceil(step));
            Self {
                residue,
                stride,
                from: from.unwrap_or(0),
                step,
                count,
                dilation: own_dilation / common,
                own_dilation,
            }
        };
        (0..stride).map(of).collect()
    }

    /// First position, number of positions, and the output position at which the first window starts (may lie before 0).
    fn lies(&self, length: usize, before: usize) -> (usize, usize, isize) {
        let first = (self.residue + self.stride - before % self.stride) % self.stride;
        let count = length.saturating_sub(first).div_ceil(self.stride);
        let signed = |v: usize| isize::try_from(v).unwrap_or(isize::MAX);
        // Divisible: the residues of both sides are equal.
        let base = (signed(first + before) - signed(self.from * self.own_dilation)) / signed(self.stride);
        (first, count, base - signed(self.count.saturating_sub(1) * self.dilation))
    }
}

/// One phase of both dimensions, with its flipped weights for each group.
struct Tile {
    y: Phase,
    x: Phase,
    packed: Vec<Packed>,
}

/// Weights `[oc, ic, kh, kw]` as those of the convolution from gradients of the output to gradients of the input.
fn flipped(isa: Isa, w: &[f32], [oc, ic, kh, kw]: [usize; 4], y: Phase, x: Phase) -> Packed {
    let mut out = Vec::with_capacity(ic * oc * y.count * x.count);
    for i in 0..ic {
        for o in 0..oc {
            for jy in (0..y.count).rev() {
                for jx in (0..x.count).rev() {
                    let (ky, kx) = (y.from + jy * y.step, x.from + jx * x.step);
                    out.push(w[((o * ic + i) * kh + ky) * kw + kx]);
                }
            }
        }
    }
    Packed::new(isa, [ic, oc, y.count, x.count], &out, None)
}

struct Conv {
    geometry: Geometry,
    groups: usize,
    /// Weights of one group.
    shape: [usize; 4],
    weights_shape: Vec<usize>,
    phases: Vec<Tile>,
    relu: bool,
    isa: Isa,
}

/// A rectangle of an image, possibly hanging over its edges.
#[derive(Clone, Copy)]
struct Cut {
    top: isize,
    left: isize,
    height: usize,
    width: usize,
}

/// Copies a rectangle of channels `[first, first + channels)` of one image into `to` as
/// `[ceil(channels/block), height, width, block]`, zeros outside. In blocks only whole tensors can be read.
fn cut(
    d: &Value,
    values: &[f32],
    image: usize,
    channels: (usize, usize),
    block: usize,
    cut: Cut,
    to: &mut [f32],
) {
    let &[_, c, h, w] = &d.shape[..] else { return };
    let (first, channels) = channels;
    to.fill(0.0);
    let signed = |v: usize| isize::try_from(v).unwrap_or(isize::MAX);
    // The part of the rectangle's columns inside the image.
    let start = (-cut.left).max(0).unsigned_abs().min(cut.width);
    let from_x = (cut.left + signed(start)).max(0).unsigned_abs().min(w);
    let length = (cut.width - start).min(w - from_x);
    for b in 0..channels.div_ceil(block) {
        for row in 0..cut.height {
            let y = cut.top + signed(row);
            let Some(y) = usize::try_from(y).ok().filter(|y| *y < h) else { continue };
            let to = &mut to[((b * cut.height + row) * cut.width + start) * block..][..length * block];
            if d.block == block {
                let at = (((image * c.div_ceil(block) + b) * h + y) * w + from_x) * block;
                to.copy_from_slice(&values[at..][..length * block]);
                continue;
            }
            for lane in 0..block.min(channels - b * block) {
                let at = ((image * c + first + b * block + lane) * h + y) * w + from_x;
                for (to, from) in to.iter_mut().skip(lane).step_by(block).zip(&values[at..][..length]) {
                    *to = *from;
                }
            }
        }
    }
}

impl Adjoint for Conv {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(mut d) = flow.dy(0) else { return Ok(()) };
        let y = flow.y(0)?;
        if self.relu {
            d = flow.like(d, y);
            relu(values_mut(&mut d)?, y.f32_values()?);
        }
        if flow.wants(3) {
            let values = d.f32_values()?;
            let mut copy = flow.ctx.take(values.len());
            copy.copy_from_slice(values);
            flow.give(3, Value { shape: d.shape.clone(), data: TensorData::F32(copy), block: d.block })?;
        }
        if self.geometry.dims == 1 {
            d = flow.plain(d);
            d.shape.insert(2, 1);
        }
        if flow.wants(1) || flow.wants(2) {
            conv_weights::give(flow, &self.geometry, self.groups, &self.weights_shape, self.isa, &d)?;
        }
        if !flow.wants(0) {
            flow.ctx.give_value(d);
            return Ok(());
        }
        let x = flow.x(0)?;
        let image = as_image(x, self.geometry.dims)?;
        let mut dx = if self.groups == 1 {
            self.single(flow.ctx, &mut d, image)?
        } else {
            self.grouped(flow.ctx, &mut d, image)?
        };
        flow.ctx.give_value(d);
        if self.geometry.dims == 1 {
            dx = flow.plain(dx);
            dx.shape.clone_from(&x.shape);
        }
        flow.give(0, dx)
    }
}

impl Conv {
    /// One group: the gradient of the input in channel blocks.
    fn single(&self, ctx: &mut Ctx<'_>, d: &mut Value, [n, c, h, w]: [usize; 4]) -> OpResult<Value> {
        let lanes = self.isa.lanes();
        let step = c.div_ceil(lanes) * lanes * h * w;
        let mut dx = ctx.take(n * step);
        if self.phases.len() > 1 {
            dx.fill(0.0);
        }
        let oc = self.shape[0];
        if d.block > 0 && d.block != oc.min(lanes) {
            let held = std::mem::replace(d, Value::f32s(vec![], vec![]));
            *d = layout::plain(held, ctx);
        }
        for tile in &self.phases {
            if let Some(packed) = tile.packed.first() {
                self.phase(ctx, tile, packed, d, (0, oc), [n, h, w], &mut dx)?;
            }
        }
        Ok(Value { shape: vec![n, c, h, w], data: TensorData::F32(dx), block: lanes })
    }

    /// Several groups, joined in the plain layout.
    fn grouped(&self, ctx: &mut Ctx<'_>, d: &mut Value, [n, c, h, w]: [usize; 4]) -> OpResult<Value> {
        let held = std::mem::replace(d, Value::f32s(vec![], vec![]));
        *d = layout::plain(held, ctx);
        let [oc, ic, ..] = self.shape;
        let lanes = self.isa.lanes();
        let mut dx = ctx.take(n * c * h * w);
        for group in 0..self.groups {
            let mut part = ctx.take(n * ic.div_ceil(lanes) * lanes * h * w);
            part.fill(0.0);
            for tile in &self.phases {
                if let Some(packed) = tile.packed.get(group) {
                    self.phase(ctx, tile, packed, d, (group * oc, oc), [n, h, w], &mut part)?;
                }
            }
            let part = Value { shape: vec![n, ic, h, w], data: TensorData::F32(part), block: lanes };
            let part = layout::plain(part, ctx);
            let size = ic * h * w;
            for (image, from) in part.f32_values()?.chunks_exact(size.max(1)).enumerate() {
                dx[(image * c + group * ic) * h * w..][..size].copy_from_slice(from);
            }
            ctx.give_value(part);
        }
        Ok(Value::f32s(vec![n, c, h, w], dx))
    }

    /// One phase of one group: writes its pixels of `dx`, which is in channel blocks.
    #[expect(clippy::too_many_arguments, reason = "the parts of one convolution, used in this file only")]
    fn phase(
        &self,
        ctx: &mut Ctx<'_>,
        tile: &Tile,
        packed: &Packed,
        d: &Value,
        channels: (usize, usize),
        [n, h, w]: [usize; 3],
        dx: &mut [f32],
    ) -> OpResult<()> {
        let (_, top, _) = self.geometry.resolve(0, h)?;
        let (_, left, _) = self.geometry.resolve(1, w)?;
        let ((first_y, rows, top), (first_x, columns, left)) = (tile.y.lies(h, top), tile.x.lies(w, left));
        if rows * columns == 0 {
            return Ok(());
        }
        let part = Cut {
            top,
            left,
            height: rows + (tile.y.count - 1) * tile.y.dilation,
            width: columns + (tile.x.count - 1) * tile.x.dilation,
        };
        let blocks = channels.1.div_ceil(packed.block);
        let step_in = blocks * packed.block * part.height * part.width;
        let pixel = packed.output_blocks * packed.lanes;
        let (step_out, step_dx) = (pixel * rows * columns, pixel * h * w);
        let whole = tile.y.stride == 1 && tile.x.stride == 1;
        let chunk = (CHUNK_BYTES / 4 / step_in.max(1)).clamp(1, n.max(1));
        let mut buffer = ctx.take(chunk * step_in);
        let mut out = if whole { Vec::new() } else { ctx.take(chunk * step_out) };
        let values = d.f32_values()?;
        let mut first = 0;
        while first < n {
            let images = chunk.min(n - first);
            for (i, to) in buffer.chunks_exact_mut(step_in).take(images).enumerate() {
                cut(d, values, first + i, channels, packed.block, part, to);
            }
            let target = &mut dx[first * step_dx..][..images * step_dx];
            Run {
                packed,
                x: &buffer,
                images,
                height: part.height,
                width: part.width,
                stride: [1, 1],
                dilation: [tile.y.dilation, tile.x.dilation],
                y: if whole { &mut *target } else { &mut out[..images * step_out] },
                out: [rows, columns],
                residual: None,
                relu: false,
            }
            .run();
            if !whole {
                let planes = target.chunks_exact_mut(h * w * packed.lanes);
                for (to, from) in planes.zip(out.chunks_exact(rows * columns * packed.lanes)) {
                    scatter(tile, packed.lanes, w, [first_y, first_x], columns, from, to);
                }
            }
            first += images;
        }
        ctx.give(buffer);
        ctx.give(out);
        Ok(())
    }
}

/// Puts the pixels of a phase at their places in one plane.
fn scatter(
    tile: &Tile,
    lanes: usize,
    width: usize,
    [first_y, first_x]: [usize; 2],
    columns: usize,
    from: &[f32],
    to: &mut [f32],
) {
    for (row, from) in from.chunks_exact(columns * lanes).enumerate() {
        let line = (first_y + row * tile.y.stride) * width;
        for (column, from) in from.chunks_exact(lanes).enumerate() {
            let at = (line + first_x + column * tile.x.stride) * lanes;
            to[at..at + lanes].copy_from_slice(from);
        }
    }
}
