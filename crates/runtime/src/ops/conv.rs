//! Conv in one and two dimensions, with groups, strides, dilations and padding.

use super::{Activation, Compiled, Kernel, NodeCtx, binary, done, maybe, need};
use crate::error::{OpResult, op_bail};
use crate::kernel::{
    Isa,
    conv::{Packed, Run},
    layout::{self, Padding},
};
use crate::tensor::TensorData;
use crate::value::{Ctx, Value, product};

/// Bytes of padded input copied at a time: half of a common 1 MiB second-level cache.
pub(crate) const CHUNK_BYTES: usize = 512 << 10;

/// How a window moves over two spatial dimensions; shared with pooling.
#[derive(Debug, Clone)]
pub(crate) struct Geometry {
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) dilation: [usize; 2],
    /// Top, left, bottom, right; unused when `auto` is set.
    pads: [usize; 4],
    auto: Auto,
    pub(super) ceil: bool,
    /// Spatial dimensions of the operator: 1 or 2.
    pub(crate) dims: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Auto {
    NotSet,
    SameUpper,
    SameLower,
    Valid,
}

/// Longest kernel, stride or padding accepted along a dimension.
const WINDOW_MAX: i64 = 4_096;

impl Geometry {
    /// Reads the attributes that convolution and pooling share. `kernel` overrides `kernel_shape`.
    pub(crate) fn read(ctx: &NodeCtx<'_>, kernel: Option<&[usize]>) -> OpResult<Self> {
        let given = ctx.ints("kernel_shape")?;
        let kernel: Vec<i64> = match (kernel, given) {
            (Some(kernel), _) => kernel.iter().map(|&k| i64::try_from(k).unwrap_or(i64::MAX)).collect(),
            (None, Some(given)) => given.to_vec(),
            (None, None) => op_bail!("attribute `kernel_shape` is missing"),
        };
        if let Some(given) = given
            && given != kernel
        {
            op_bail!("attribute `kernel_shape` does not match the weights");
        }
        let dims = kernel.len();
        if dims != 1 && dims != 2 {
            op_bail!("works on {dims} spatial dimensions; only 1 and 2 are covered");
        }
        let pair = |values: Option<&[i64]>, default: i64, low: i64| -> OpResult<[usize; 2]> {
            let values = values.map_or_else(|| vec![default; dims], <[i64]>::to_vec);
            if values.len() != dims || values.iter().any(|v| *v < low || *v > WINDOW_MAX) {
                op_bail!("kernel, strides or dilations {values:?} are not valid");
            }
            let mut out = values.iter().map(|&v| usize::try_from(v).unwrap_or(0));
            let (first, second) = (out.next().unwrap_or(1), out.next());
            Ok(match second {
                Some(second) => [first, second],
                None => [usize::try_from(default.max(1)).unwrap_or(1), first],
            })
        };
        let auto = match ctx.text("auto_pad", "NOTSET")? {
            "NOTSET" => Auto::NotSet,
            "SAME_UPPER" => Auto::SameUpper,
            "SAME_LOWER" => Auto::SameLower,
            "VALID" => Auto::Valid,
            other => op_bail!("auto_pad `{other}` is not known"),
        };
        let pads = pads(ctx.ints("pads")?, dims)?;
        Ok(Self {
            kernel: pair(Some(&kernel), 1, 1)?,
            stride: pair(ctx.ints("strides")?, 1, 1)?,
            dilation: pair(ctx.ints("dilations")?, 1, 1)?,
            pads,
            auto,
            ceil: ctx.int("ceil_mode", 0)? != 0,
            dims,
        })
    }

    /// Extent of the window along a dimension.
    pub(super) fn extent(&self, d: usize) -> usize {
        (self.kernel[d] - 1) * self.dilation[d] + 1
    }

    /// Output length and padding before and after, for an input of this length along dimension `d`.
    pub(crate) fn resolve(&self, d: usize, length: usize) -> OpResult<(usize, usize, usize)> {
        let (extent, stride) = (self.extent(d), self.stride[d]);
        let (before, after) = match self.auto {
            Auto::NotSet => (self.pads[d], self.pads[d + 2]),
            Auto::Valid => (0, 0),
            Auto::SameUpper | Auto::SameLower => {
                let out = length.div_ceil(stride).max(1);
                let total = ((out - 1) * stride + extent).saturating_sub(length);
                let small = total / 2;
                if self.auto == Auto::SameUpper { (small, total - small) } else { (total - small, small) }
            }
        };
        let Some(room) = (length + before + after).checked_sub(extent) else {
            op_bail!("window of {extent} does not fit an input of {length} with padding {before} and {after}")
        };
        let mut out = room / stride + 1;
        // With ceil_mode a last window may hang over the end, if it starts inside input or left padding.
        if self.ceil && !room.is_multiple_of(stride) && out * stride < length + before {
            out += 1;
        }
        Ok((out, before, after))
    }
}

fn pads(values: Option<&[i64]>, dims: usize) -> OpResult<[usize; 4]> {
    let Some(values) = values else { return Ok([0; 4]) };
    if values.len() != 2 * dims || values.iter().any(|v| !(0..=WINDOW_MAX).contains(v)) {
        op_bail!("pads {values:?} are not valid");
    }
    let at = |i: usize| values.get(i).and_then(|v| usize::try_from(*v).ok()).unwrap_or(0);
    Ok(if dims == 2 { [at(0), at(1), at(2), at(3)] } else { [0, at(0), 0, at(1)] })
}

/// A tensor of rank 3 seen as rank 4 with a height of 1.
pub(crate) fn as_image(value: &Value, dims: usize) -> OpResult<[usize; 4]> {
    match (dims, &value.shape[..]) {
        (2, &[n, c, h, w]) => Ok([n, c, h, w]),
        (1, &[n, c, w]) => Ok([n, c, 1, w]),
        _ => op_bail!("needs a tensor of rank {}, got shape {:?}", dims + 2, value.shape),
    }
}

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    if ctx.node.operator != "Conv" {
        return Ok(None);
    }
    let Some(weights) = ctx.constant(1) else { op_bail!("weights must be constant") };
    let Some(values) = weights.as_f32() else { op_bail!("weights must be float32") };
    let [oc, ic, spatial @ ..] = &weights.shape[..] else {
        op_bail!("weights have shape {:?}", weights.shape)
    };
    let geometry = Geometry::read(ctx, Some(spatial))?;
    let bias = match ctx.node.inputs.get(2) {
        Some(Some(_)) => match ctx.constant(2) {
            Some(bias) if bias.shape == [*oc] => bias.as_f32(),
            _ => op_bail!("bias must be {oc} constant values"),
        },
        _ => None,
    };
    let groups = usize::try_from(ctx.int("group", 1)?).unwrap_or(0);
    if groups == 0 || !oc.is_multiple_of(groups) || *oc == 0 || *ic == 0 {
        op_bail!("{oc} output channels cannot be split into {groups} groups");
    }
    let [kh, kw] = geometry.kernel;
    let each = oc / groups;
    let step = each * ic * kh * kw;
    let mut packed = Vec::with_capacity(groups.min(ctx.limits.nodes_max));
    if groups > 1 && step.saturating_mul(ctx.isa.lanes() * 2) > ctx.limits.tensor_elements_max / groups {
        op_bail!("{groups} groups need more packed weights than `tensor_elements_max`");
    }
    for group in 0..groups {
        let bias = bias.map(|bias| &bias[group * each..][..each]);
        packed.push(Packed::new(ctx.isa, [each, *ic, kh, kw], &values[group * step..][..step], bias));
    }
    let relu = ctx.activation == Activation::Relu;
    done(Conv { geometry, packed, shape: [*oc, *ic], relu, isa: ctx.isa })
}

struct Conv {
    geometry: Geometry,
    /// One for each group.
    packed: Vec<Packed>,
    /// Output channels, and input channels of a group.
    shape: [usize; 2],
    relu: bool,
    isa: Isa,
}

impl Kernel for Conv {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        x.f32_values()?;
        let [n, c, h, w] = as_image(x, self.geometry.dims)?;
        let [oc, ic] = self.shape;
        let groups = self.packed.len();
        if c != ic * groups {
            op_bail!("input has {c} channels, the weights need {}", ic * groups);
        }
        let (oh, top, bottom) = self.geometry.resolve(0, h)?;
        let (ow, left, right) = self.geometry.resolve(1, w)?;
        let out_shape = if self.geometry.dims == 2 { vec![n, oc, oh, ow] } else { vec![n, oc, ow] };
        let each = (ic * product(&self.geometry.kernel)) as u64;
        let work = [n, oc, oh, ow].iter().try_fold(each, |p, &d| p.checked_mul(d as u64));
        ctx.charge(work)?;
        let pad = Padding { height: h + top + bottom, width: w + left + right, top, left };
        let image = [n, c, h, w];
        let residual = maybe(inputs, 3);
        let fused = residual.filter(|r| groups == 1 && r.shape == out_shape && r.block == self.isa.lanes());
        let relu = self.relu && (residual.is_none() || fused.is_some());
        let mut y = if groups == 1 {
            self.single(ctx, x, image, pad, [oh, ow], fused, relu)?
        } else {
            self.grouped(ctx, x, image, pad, [oh, ow], relu)?
        };
        if self.geometry.dims == 1 {
            y = layout::plain(y, ctx);
            y.shape = out_shape;
        }
        if let (Some(residual), None) = (residual, fused) {
            let (a, b) = (layout::plain(y, ctx), layout::plain(residual.clone(), ctx));
            y = binary::add(ctx, &a, &b)?;
            if let (TensorData::F32(values), true) = (&mut y.data, self.relu) {
                values.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v });
            }
        }
        Ok(vec![y])
    }

    fn takes_blocked(&self) -> bool {
        true
    }

    fn packed_inputs(&self) -> &'static [usize] {
        &[1, 2]
    }
}

impl Conv {
    /// One group: stays in channel blocks.
    #[expect(clippy::too_many_arguments, reason = "the parts of one convolution, used in this file only")]
    fn single(
        &self,
        ctx: &mut Ctx<'_>,
        x: &Value,
        [n, c, h, w]: [usize; 4],
        pad: Padding,
        out: [usize; 2],
        residual: Option<&Value>,
        relu: bool,
    ) -> OpResult<Value> {
        let Some(packed) = self.packed.first() else { op_bail!("has no weights") };
        let own;
        let x = if x.block > 0 && x.block != packed.block || x.shape.len() == 3 {
            let mut moved = layout::plain(x.clone(), ctx);
            moved.shape = vec![n, c, h, w];
            own = moved;
            &own
        } else {
            x
        };
        let values = x.f32_values()?;
        let lanes = packed.lanes;
        let blocks = packed.output_blocks;
        let mut y = ctx.f32_buffer(&[n, blocks * lanes, out[0], out[1]])?;
        let residual = residual.map(Value::f32_values).transpose()?;
        let step_in = c.div_ceil(packed.block) * packed.block * pad.height * pad.width;
        let step_out = blocks * lanes * out[0] * out[1];
        let whole = x.block == packed.block && pad.height == h && pad.width == w;
        let Geometry { stride, dilation, .. } = self.geometry;
        let mut scratch = ctx.f32_buffer(&[packed.scratch(stride, dilation, out)])?;
        // The direct way reads all kernels once a chunk and wants long ones; the other way finds its kernels in the cache.
        let step = if scratch.is_empty() { step_in } else { 2 * (step_in + step_out) };
        let chunk = if whole { n.max(1) } else { (CHUNK_BYTES / 4 / step.max(1)).clamp(1, n.max(1)) };
        let mut buffer = if whole { Vec::new() } else { ctx.f32_buffer(&[chunk, step_in])? };
        let mut first = 0;
        while first < n {
            let images = chunk.min(n - first);
            if !whole {
                for i in 0..images {
                    let to = &mut buffer[i * step_in..][..step_in];
                    layout::padded(x, values, first + i, packed.block, pad, to);
                }
            }
            Run {
                packed,
                x: if whole { values } else { &buffer },
                images,
                height: pad.height,
                width: pad.width,
                stride,
                dilation,
                y: &mut y[first * step_out..][..images * step_out],
                out,
                residual: residual.map(|r| &r[first * step_out..][..images * step_out]),
                relu,
                scratch: &mut scratch,
            }
            .run();
            first += images;
        }
        ctx.give(scratch);
        ctx.give(buffer);
        let shape = vec![n, self.shape[0], out[0], out[1]];
        Ok(Value { shape, data: TensorData::F32(y), block: lanes })
    }

    /// Several groups: each is a convolution of its own on a slice of the channels, joined in the plain layout.
    fn grouped(
        &self,
        ctx: &mut Ctx<'_>,
        x: &Value,
        [n, c, h, w]: [usize; 4],
        pad: Padding,
        out: [usize; 2],
        relu: bool,
    ) -> OpResult<Value> {
        let x = layout::plain(x.clone(), ctx);
        let values = x.f32_values()?;
        let [oc, ic] = self.shape;
        let each = oc / self.packed.len();
        let plane = out[0] * out[1];
        let shape = vec![n, oc, out[0], out[1]];
        let mut y = ctx.f32_buffer(&shape)?;
        for (group, packed) in self.packed.iter().enumerate() {
            let mut part = ctx.f32_buffer(&[n, ic, h, w])?;
            for image in 0..n {
                let from = &values[(image * c + group * ic) * h * w..][..ic * h * w];
                part[image * ic * h * w..][..ic * h * w].copy_from_slice(from);
            }
            let part = Value::f32s(vec![n, ic, h, w], part);
            let one = ConvGroup { packed, geometry: &self.geometry, channels: each, relu };
            let result = one.run(ctx, &part, pad, out)?;
            let from = result.f32_values()?;
            for image in 0..n {
                let to = &mut y[(image * oc + group * each) * plane..][..each * plane];
                to.copy_from_slice(&from[image * each * plane..][..each * plane]);
            }
            ctx.give_value(part);
            ctx.give_value(result);
        }
        ctx.give_value(x);
        Ok(Value::f32s(shape, y))
    }
}

/// One group of a grouped convolution.
struct ConvGroup<'a> {
    packed: &'a Packed,
    geometry: &'a Geometry,
    channels: usize,
    relu: bool,
}

impl ConvGroup<'_> {
    fn run(&self, ctx: &mut Ctx<'_>, x: &Value, pad: Padding, out: [usize; 2]) -> OpResult<Value> {
        let [n, c, _, _] = as_image(x, 2)?;
        let values = x.f32_values()?;
        let (lanes, blocks) = (self.packed.lanes, self.packed.output_blocks);
        let step_in = c.div_ceil(self.packed.block) * self.packed.block * pad.height * pad.width;
        let mut y = ctx.f32_buffer(&[n, blocks * lanes, out[0], out[1]])?;
        let mut buffer = ctx.f32_buffer(&[n, step_in])?;
        for (image, to) in buffer.chunks_exact_mut(step_in.max(1)).enumerate() {
            layout::padded(x, values, image, self.packed.block, pad, to);
        }
        let Geometry { stride, dilation, .. } = *self.geometry;
        let mut scratch = ctx.f32_buffer(&[self.packed.scratch(stride, dilation, out)])?;
        Run {
            packed: self.packed,
            x: &buffer,
            images: n,
            height: pad.height,
            width: pad.width,
            stride,
            dilation,
            y: &mut y,
            out,
            residual: None,
            relu: self.relu,
            scratch: &mut scratch,
        }
        .run();
        ctx.give(scratch);
        ctx.give(buffer);
        let blocked =
            Value { shape: vec![n, self.channels, out[0], out[1]], data: TensorData::F32(y), block: lanes };
        Ok(layout::plain(blocked, ctx))
    }
}
