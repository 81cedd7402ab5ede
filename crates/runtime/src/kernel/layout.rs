//! Moving tensors between the plain layout (NCHW) and channel blocks.

use crate::tensor::TensorData;
use crate::value::{Ctx, Value};

/// The value in the plain layout; does nothing if it already is.
pub(crate) fn plain(value: Value, ctx: &mut Ctx<'_>) -> Value {
    let block = value.block;
    let (TensorData::F32(from), [n, c, h, w]) = (&value.data, value.shape[..].try_into().unwrap_or([0; 4]))
    else {
        return value;
    };
    if block == 0 {
        return value;
    }
    let plane = h * w;
    let mut to = ctx.take(n * c * plane);
    let blocks = c.div_ceil(block);
    for image in 0..n {
        for b in 0..blocks {
            let source = &from[(image * blocks + b) * plane * block..][..plane * block];
            let channels = block.min(c - b * block);
            let target = &mut to[(image * c + b * block) * plane..][..channels * plane];
            for (lane, out) in target.chunks_exact_mut(plane.max(1)).enumerate() {
                for (value, pixel) in out.iter_mut().zip(source.chunks_exact(block)) {
                    *value = pixel[lane];
                }
            }
        }
    }
    let shape = value.shape.clone();
    ctx.give_value(value);
    Value::f32s(shape, to)
}

/// The value in blocks of `block` channels (padded lanes 0); does nothing to values that are not images.
pub(crate) fn blocked(value: Value, block: usize, ctx: &mut Ctx<'_>) -> Value {
    if value.block == block {
        return value;
    }
    let value = plain(value, ctx);
    let (TensorData::F32(from), &[n, c, h, w]) = (&value.data, &value.shape[..]) else { return value };
    let step = c.div_ceil(block) * block * h * w;
    let mut to = ctx.take(n * step);
    let pad = Padding { height: h, width: w, top: 0, left: 0 };
    for (image, to) in to.chunks_exact_mut(step.max(1)).enumerate() {
        padded(&value, from, image, block, pad, to);
    }
    let shape = value.shape.clone();
    ctx.give_value(value);
    Value { shape, data: TensorData::F32(to), block }
}

/// Where an image goes inside a padded, blocked buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Padding {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) top: usize,
    pub(crate) left: usize,
}

/// Copies image `image` of `value` into `to` as `[ceil(c/block), height, width, block]` with zeros around it.
/// `to` has that length. `value` is plain or has the same block size.
pub(crate) fn padded(
    value: &Value,
    values: &[f32],
    image: usize,
    block: usize,
    pad: Padding,
    to: &mut [f32],
) {
    let [_, c, h, w]: [usize; 4] = value.shape[..].try_into().unwrap_or([0; 4]);
    let blocks = c.div_ceil(block);
    let plane = h * w;
    for b in 0..blocks {
        let target = &mut to[b * pad.height * pad.width * block..][..pad.height * pad.width * block];
        let (above, rest) = target.split_at_mut(pad.top * pad.width * block);
        above.fill(0.0);
        let (middle, below) = rest.split_at_mut(h * pad.width * block);
        below.fill(0.0);
        for (y, line) in middle.chunks_exact_mut(pad.width * block).enumerate() {
            let (left, rest) = line.split_at_mut(pad.left * block);
            left.fill(0.0);
            let (inside, right) = rest.split_at_mut(w * block);
            right.fill(0.0);
            if value.block == block {
                let start = ((image * blocks + b) * plane + y * w) * block;
                inside.copy_from_slice(&values[start..][..w * block]);
                continue;
            }
            let channels = block.min(c - b * block);
            if channels < block {
                inside.fill(0.0);
            }
            for lane in 0..channels {
                let start = (image * c + b * block + lane) * plane + y * w;
                let source = &values[start..][..w];
                for (pixel, value) in inside.chunks_exact_mut(block).zip(source) {
                    pixel[lane] = *value;
                }
            }
        }
    }
}
