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
use crate::kernel::{Isa, conv_narrow as narrow, layout};
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
    let is_narrow = groups == 1 && *ic <= NARROW_MAX && geometry.stride == [1, 1];
    let narrow = is_narrow.then(|| {
        let [y, x] = [0, 1].map(|d| Phase::all(&geometry, d));
        let turned = turned(values, shape, y[0], x[0]);
        narrow::Packed::new(ctx.isa, [*ic, shape[0], y[0].count, x[0].count], &turned)
    });
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
    done(Conv { geometry, groups, shape, weights_shape, phases, narrow, relu, isa: ctx.isa })
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

/// Up to so many input channels the lanes are better filled with output channels.
const NARROW_MAX: usize = 3;

/// Weights `[oc, ic, kh, kw]` as those of the convolution from gradients of the output to gradients of the input,
/// `[ic, oc, …]`.
fn turned(w: &[f32], [oc, ic, kh, kw]: [usize; 4], y: Phase, x: Phase) -> Vec<f32> {
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
    out
}

fn flipped(isa: Isa, w: &[f32], shape: [usize; 4], y: Phase, x: Phase) -> Packed {
    Packed::new(isa, [shape[1], shape[0], y.count, x.count], &turned(w, shape, y, x), None)
}

struct Conv {
    geometry: Geometry,
    groups: usize,
    /// Weights of one group.
    shape: [usize; 4],
    weights_shape: Vec<usize>,
    phases: Vec<Tile>,
    /// For few input channels.
    narrow: Option<narrow::Packed>,
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

/// What a phase reads of the gradient, its first input pixel, and how many it has of them.
type Rectangle = (Cut, [usize; 2], [usize; 2]);

/// A gradient on its way through a convolution.
#[derive(Clone, Copy)]
struct Source<'a> {
    d: &'a Value,
    values: &'a [f32],
    /// The results that a fused Relu has yet to mask `d` by; in the same layout.
    mask: Option<&'a [f32]>,
    first: usize,
    channels: usize,
}

impl Source<'_> {
    /// Copies a rectangle of channels `[first, first + channels)` of one image into `to` as
    /// `[ceil(channels/block), height, width, block]`, zeros outside. In blocks only whole tensors can be read.
    fn cut(&self, image: usize, block: usize, cut: Cut, to: &mut [f32]) {
        let &[_, c, h, w] = &self.d.shape[..] else { return };
        let signed = |v: usize| isize::try_from(v).unwrap_or(isize::MAX);
        // The part of the rectangle's columns inside the image.
        let start = (-cut.left).max(0).unsigned_abs().min(cut.width);
        let from_x = (cut.left + signed(start)).max(0).unsigned_abs().min(w);
        let length = (cut.width - start).min(w - from_x);
        let blocked = self.d.block == block;
        for (at, to) in to.chunks_exact_mut((cut.width * block).max(1)).enumerate() {
            let (b, row) = (at / cut.height, at % cut.height);
            let y = usize::try_from(cut.top + signed(row)).ok().filter(|y| *y < h);
            let Some(y) = y.filter(|_| b < self.channels.div_ceil(block)) else {
                to.fill(0.0);
                continue;
            };
            let (left, rest) = to.split_at_mut(start * block);
            let (middle, right) = rest.split_at_mut(length * block);
            left.fill(0.0);
            right.fill(0.0);
            if blocked {
                let at = (((image * c.div_ceil(block) + b) * h + y) * w + from_x) * block;
                let from = &self.values[at..][..length * block];
                match self.mask {
                    None => middle.copy_from_slice(from),
                    Some(mask) => {
                        // Both read before one is chosen: with a branch each, which no processor guesses, this took a sixth of a gradient's time.
                        for ((to, d), y) in middle.iter_mut().zip(from).zip(&mask[at..][..length * block]) {
                            let (d, y) = (*d, *y);
                            *to = if y <= 0.0 { 0.0 } else { d };
                        }
                    }
                }
                continue;
            }
            let lanes = block.min(self.channels - b * block);
            if lanes < block {
                middle.fill(0.0);
            }
            for lane in 0..lanes {
                let at = ((image * c + self.first + b * block + lane) * h + y) * w + from_x;
                for (to, from) in
                    middle.iter_mut().skip(lane).step_by(block).zip(&self.values[at..][..length])
                {
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
        // The mask of a fused Relu is laid on while copying, if nothing else needs the masked gradient.
        let lanes = self.isa.lanes();
        let only_input = !flow.wants(1) && !flow.wants(2) && !flow.wants(3);
        let late = only_input && self.groups == 1 && y.block == lanes && self.shape[0] >= lanes;
        if self.relu {
            d = flow.like(d, y);
            if !late {
                relu(values_mut(&mut d)?, y.f32_values()?);
            }
        }
        let mask = if self.relu && late { Some(y.f32_values()?) } else { None };
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
            let (geometry, groups, isa) = (&self.geometry, self.groups, self.isa);
            conv_weights::Parts { geometry, groups, shape: &self.weights_shape, isa }.give(flow, &d)?;
        }
        if !flow.wants(0) {
            flow.ctx.give_value(d);
            return Ok(());
        }
        let x = flow.x(0)?;
        let image = as_image(x, self.geometry.dims)?;
        let mut dx = if self.groups == 1 {
            self.single(flow.ctx, &mut d, mask, image)?
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
    fn single(
        &self,
        ctx: &mut Ctx<'_>,
        d: &mut Value,
        mask: Option<&[f32]>,
        [n, c, h, w]: [usize; 4],
    ) -> OpResult<Value> {
        let lanes = self.isa.lanes();
        if let (Some(narrow), true) = (&self.narrow, d.block == lanes) {
            return self.narrow(ctx, narrow, d, mask, [n, c, h, w]);
        }
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
        let source = Source { d, values: d.f32_values()?, mask, first: 0, channels: oc };
        for tile in &self.phases {
            if let Some(packed) = tile.packed.first() {
                self.phase(ctx, tile, packed, source, [n, h, w], &mut dx)?;
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
                    let values = d.f32_values()?;
                    let source = Source { d, values, mask: None, first: group * oc, channels: oc };
                    self.phase(ctx, tile, packed, source, [n, h, w], &mut part)?;
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

    /// Where a phase lies in images of this size; `None` if it has no pixels.
    fn rectangle(&self, tile: &Tile, h: usize, w: usize) -> OpResult<Option<Rectangle>> {
        let (_, top, _) = self.geometry.resolve(0, h)?;
        let (_, left, _) = self.geometry.resolve(1, w)?;
        let ((first_y, rows, top), (first_x, columns, left)) = (tile.y.lies(h, top), tile.x.lies(w, left));
        if rows * columns * tile.y.count * tile.x.count == 0 {
            return Ok(None);
        }
        let height = rows + (tile.y.count - 1) * tile.y.dilation;
        let width = columns + (tile.x.count - 1) * tile.x.dilation;
        Ok(Some((Cut { top, left, height, width }, [first_y, first_x], [rows, columns])))
    }

    /// Few input channels at stride 1: the plain layout.
    fn narrow(
        &self,
        ctx: &mut Ctx<'_>,
        packed: &narrow::Packed,
        d: &Value,
        mask: Option<&[f32]>,
        [n, c, h, w]: [usize; 4],
    ) -> OpResult<Value> {
        let mut dx = ctx.take(n * c * h * w);
        let lanes = self.isa.lanes();
        let source = Source { d, values: d.f32_values()?, mask, first: 0, channels: self.shape[0] };
        if let Some(tile) = self.phases.first()
            && let Some((part, _, out)) = self.rectangle(tile, h, w)?
        {
            let size = self.shape[0].div_ceil(lanes) * lanes * part.height * part.width;
            let mut buffer = ctx.take(size);
            for (image, y) in dx.chunks_exact_mut((c * h * w).max(1)).enumerate() {
                source.cut(image, lanes, part, &mut buffer);
                let dilation = [tile.y.dilation, tile.x.dilation];
                let (height, width) = (part.height, part.width);
                narrow::Run { packed, x: &buffer, height, width, dilation, y, out }.run();
            }
            ctx.give(buffer);
        }
        Ok(Value::f32s(vec![n, c, h, w], dx))
    }

    /// One phase of one group: writes its pixels of `dx`, which is in channel blocks.
    fn phase(
        &self,
        ctx: &mut Ctx<'_>,
        tile: &Tile,
        packed: &Packed,
        source: Source<'_>,
        [n, h, w]: [usize; 3],
        dx: &mut [f32],
    ) -> OpResult<()> {
        let Some((part, [first_y, first_x], [rows, columns])) = self.rectangle(tile, h, w)? else {
            return Ok(());
        };
        let blocks = source.channels.div_ceil(packed.block);
        let step_in = blocks * packed.block * part.height * part.width;
        let pixel = packed.output_blocks * packed.lanes;
        let (step_out, step_dx) = (pixel * rows * columns, pixel * h * w);
        let whole = tile.y.stride == 1 && tile.x.stride == 1;
        let chunk = (CHUNK_BYTES / 4 / 4 / step_in.max(1)).clamp(1, n.max(1));
        let mut buffer = ctx.take(chunk * step_in);
        let mut out = if whole { Vec::new() } else { ctx.take(chunk * step_out) };
        let dilation = [tile.y.dilation, tile.x.dilation];
        let mut scratch = ctx.take(packed.scratch([1, 1], dilation, [rows, columns]));
        let mut first = 0;
        while first < n {
            let images = chunk.min(n - first);
            for (i, to) in buffer.chunks_exact_mut(step_in).take(images).enumerate() {
                source.cut(first + i, packed.block, part, to);
            }
            let target = &mut dx[first * step_dx..][..images * step_dx];
            Run {
                packed,
                x: &buffer,
                images,
                height: part.height,
                width: part.width,
                stride: [1, 1],
                dilation,
                y: if whole { &mut *target } else { &mut out[..images * step_out] },
                out: [rows, columns],
                residual: None,
                relu: false,
                scratch: &mut scratch,
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
        ctx.give(scratch);
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
