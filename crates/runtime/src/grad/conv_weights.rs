//! The derivative of Conv by its weights and bias.

use super::tape::Flow;
use crate::error::{OpResult, op_bail};
use crate::kernel::conv_weights::Run;
use crate::kernel::{Isa, layout};
use crate::ops::conv::{Geometry, as_image};
use crate::value::{Value, product};

/// What is known of the convolution.
pub(super) struct Parts<'a> {
    pub(super) geometry: &'a Geometry,
    pub(super) groups: usize,
    /// Shape of the weights.
    pub(super) shape: &'a [usize],
    pub(super) isa: Isa,
}

impl Parts<'_> {
    /// Gives the gradients of weights and bias; `d` is that of the result before the activation, of rank 4.
    pub(super) fn give(&self, flow: &mut Flow<'_, '_>, d: &Value) -> OpResult<()> {
        let &[n, oc, oh, ow] = &d.shape[..] else { op_bail!("gradient has shape {:?}", d.shape) };
        if flow.wants(2) {
            let bias = sums_of_channels(d, oc, oh * ow)?;
            flow.give(2, Value::f32s(vec![oc], bias))?;
        }
        if !flow.wants(1) || n * oh * ow == 0 {
            return Ok(());
        }
        let dw = if self.groups == 1 { self.joined(flow, d)? } else { self.grouped(flow, d)? };
        flow.give(1, Value::f32s(self.shape.to_vec(), dw))
    }

    /// One group: vectors of output channels.
    fn joined(&self, flow: &mut Flow<'_, '_>, d: &Value) -> OpResult<Vec<f32>> {
        let lanes = self.isa.lanes();
        let held = if d.block == lanes {
            None
        } else {
            let plain = layout::plain(d.clone(), flow.ctx);
            Some(layout::blocked(plain, lanes, flow.ctx))
        };
        let d = held.as_ref().unwrap_or(d);
        let &[n, oc, oh, ow] = &d.shape[..] else { op_bail!("gradient has shape {:?}", d.shape) };
        let x = flow.x(0)?;
        let [_, c, h, w] = as_image(x, self.geometry.dims)?;
        let (_, top, bottom) = self.geometry.resolve(0, h)?;
        let (_, left, right) = self.geometry.resolve(1, w)?;
        let (height, width) = (h + top + bottom, w + left + right);
        let [kh, kw] = self.geometry.kernel;
        let blocks = oc.div_ceil(lanes);
        let mut sums = flow.ctx.take(blocks * kh * kw * c * lanes);
        sums.fill(0.0);
        // A few values more, so that the last tap's tile may look past the last row.
        let mut padded = flow.ctx.take(c * height * width);
        let (dv, xv) = (d.f32_values()?, x.f32_values()?);
        for (image, d) in dv.chunks_exact(blocks * lanes * oh * ow).take(n).enumerate() {
            pad(xv, image, [c, h, w], x.block, [top, left, height, width], &mut padded);
            Run {
                d,
                out: [oh, ow],
                x: &padded,
                height,
                width,
                kernel: [kh, kw],
                stride: self.geometry.stride,
                dilation: self.geometry.dilation,
                sums: &mut sums,
            }
            .run(self.isa);
        }
        let mut dw = flow.ctx.take(product(self.shape));
        for (at, to) in dw.iter_mut().enumerate() {
            let (tap, i, o) = (at % (kh * kw), at / (kh * kw) % c, at / (kh * kw) / c);
            *to = sums[(((o / lanes) * kh * kw + tap) * c + i) * lanes + o % lanes];
        }
        flow.ctx.give(sums);
        flow.ctx.give(padded);
        if let Some(held) = held {
            flow.ctx.give_value(held);
        }
        Ok(dw)
    }

    /// Several groups, value by value: depthwise convolutions have few products anyway.
    fn grouped(&self, flow: &mut Flow<'_, '_>, d: &Value) -> OpResult<Vec<f32>> {
        let d = layout::plain(d.clone(), flow.ctx);
        let &[n, oc, oh, ow] = &d.shape[..] else { op_bail!("gradient has shape {:?}", d.shape) };
        let x = flow.x(0)?;
        let [_, c, h, w] = as_image(x, self.geometry.dims)?;
        let x = flow.plain_saved(x);
        let (dv, xv) = (d.f32_values()?, x.f32_values()?);
        let (_, top, _) = self.geometry.resolve(0, h)?;
        let (_, left, _) = self.geometry.resolve(1, w)?;
        let [kh, kw] = self.geometry.kernel;
        let (ic, each) = (c / self.groups, oc / self.groups);
        let (stride, dilation) = (self.geometry.stride, self.geometry.dilation);
        let mut dw = vec![0.0f32; product(self.shape)];
        for (at, to) in dw.iter_mut().enumerate() {
            let (kx, ky, i, o) = (at % kw, at / kw % kh, at / kw / kh % ic, at / kw / kh / ic);
            for image in 0..n {
                let d = &dv[(image * oc + o) * oh * ow..][..oh * ow];
                let x = &xv[(image * c + o / each * ic + i) * h * w..][..h * w];
                for (pixel, d) in d.iter().enumerate() {
                    let y = (pixel / ow * stride[0] + ky * dilation[0]).wrapping_sub(top);
                    let column = (pixel % ow * stride[1] + kx * dilation[1]).wrapping_sub(left);
                    if y < h && column < w {
                        *to += d * x[y * w + column];
                    }
                }
            }
        }
        Ok(dw)
    }
}

/// Sums over images and pixels for each channel.
fn sums_of_channels(d: &Value, channels: usize, pixels: usize) -> OpResult<Vec<f32>> {
    let block = d.block.max(1);
    let blocks = channels.div_ceil(block);
    let mut sums = vec![0.0f32; blocks * block];
    for (at, plane) in d.f32_values()?.chunks_exact((pixels * block).max(1)).enumerate() {
        let sums = &mut sums[at % blocks * block..][..block];
        if block == 1 {
            sums[0] += plane.iter().sum::<f32>();
            continue;
        }
        for pixel in plane.chunks_exact(block) {
            sums.iter_mut().zip(pixel).for_each(|(sum, d)| *sum += d);
        }
    }
    sums.truncate(channels);
    Ok(sums)
}

/// Copies an image into the plain layout with zeros around it.
fn pad(
    values: &[f32],
    image: usize,
    [c, h, w]: [usize; 3],
    block: usize,
    [top, left, height, width]: [usize; 4],
    to: &mut [f32],
) {
    to.fill(0.0);
    let step = block.max(1);
    let blocks = c.div_ceil(step);
    for (channel, to) in to.chunks_exact_mut((height * width).max(1)).enumerate() {
        let start = ((image * blocks + channel / step) * h * w) * step + channel % step;
        for y in 0..h {
            let line = &mut to[(top + y) * width + left..][..w];
            let from = values[start + y * w * step..].iter().step_by(step);
            line.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    }
}
