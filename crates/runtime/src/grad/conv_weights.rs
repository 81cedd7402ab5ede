//! The derivative of Conv by its weights and bias.

use super::tape::Flow;
use crate::error::OpResult;
use crate::kernel::{Isa, layout};
use crate::ops::conv::{Geometry, as_image};
use crate::value::{Value, product};

/// Gives the gradients of weights and bias; `d` is that of the result, of rank 4.
pub(super) fn give(
    flow: &mut Flow<'_, '_>,
    geometry: &Geometry,
    groups: usize,
    shape: &[usize],
    _isa: Isa,
    d: &Value,
) -> OpResult<()> {
    let d = layout::plain(d.clone(), flow.ctx);
    let &[n, oc, oh, ow] = &d.shape[..] else { return Ok(()) };
    let dv = d.f32_values()?;
    if flow.wants(2) {
        let mut bias = vec![0.0f32; oc];
        for (at, plane) in dv.chunks_exact((oh * ow).max(1)).enumerate() {
            bias[at % oc] += plane.iter().sum::<f32>();
        }
        flow.give(2, Value::f32s(vec![oc], bias))?;
    }
    if !flow.wants(1) {
        return Ok(());
    }
    let x = flow.x(0)?;
    let [_, c, h, w] = as_image(x, geometry.dims)?;
    let x = flow.plain_saved(x);
    let xv = x.f32_values()?;
    let (_, top, _) = geometry.resolve(0, h)?;
    let (_, left, _) = geometry.resolve(1, w)?;
    let mut dw = vec![0.0f32; product(shape)];
    let [kh, kw] = geometry.kernel;
    let (ic, each) = (c / groups, oc / groups);
    for (at, to) in dw.iter_mut().enumerate() {
        let (kx, ky, i, o) = (at % kw, at / kw % kh, at / kw / kh % ic, at / kw / kh / ic);
        let channel = o / each * ic + i;
        for image in 0..n {
            let d = &dv[(image * oc + o) * oh * ow..][..oh * ow];
            let x = &xv[(image * c + channel) * h * w..][..h * w];
            for (oy, line) in d.chunks_exact(ow.max(1)).enumerate() {
                let y = (oy * geometry.stride[0] + ky * geometry.dilation[0]).wrapping_sub(top);
                if y >= h {
                    continue;
                }
                for (ox, d) in line.iter().enumerate() {
                    let column = (ox * geometry.stride[1] + kx * geometry.dilation[1]).wrapping_sub(left);
                    if column < w {
                        *to += d * x[y * w + column];
                    }
                }
            }
        }
    }
    flow.give(1, Value::f32s(shape.to_vec(), dw))
}
