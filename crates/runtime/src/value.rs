//! Values while a plan runs: tensors that may be stored in channel blocks, buffers that are used again, and budgets.

use crate::error::{OpResult, op_bail};
use crate::tensor::{DataType, Tensor, TensorData, elements, extent};

/// A tensor during a run. With `block > 0` its values are `[n, ceil(c/block), h, w, block]` (float32 only, rank 4),
/// the layout the convolution kernels read and write; `shape` stays `[n, c, h, w]`. Padded lanes hold finite values.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: TensorData,
    pub(crate) block: usize,
}

impl Value {
    pub(crate) fn plain(shape: Vec<usize>, data: TensorData) -> Self {
        Self { shape, data, block: 0 }
    }

    pub(crate) fn f32s(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self::plain(shape, TensorData::F32(values))
    }

    pub(crate) fn i64s(shape: Vec<usize>, values: Vec<i64>) -> Self {
        Self::plain(shape, TensorData::I64(values))
    }

    pub(crate) fn rank(&self) -> usize {
        self.shape.len()
    }

    pub(crate) fn data_type(&self) -> DataType {
        self.data.data_type()
    }

    /// The float32 values, or an error that names the type found.
    pub(crate) fn f32_values(&self) -> OpResult<&[f32]> {
        match &self.data {
            TensorData::F32(values) => Ok(values),
            _ => op_bail!("needs float32 values, got {}", self.data_type()),
        }
    }

    /// Integers (int64 or int32), as shapes, axes and indices are given.
    pub(crate) fn int_values(&self) -> OpResult<Vec<i64>> {
        match &self.data {
            TensorData::I64(values) => Ok(values.clone()),
            TensorData::I32(values) => Ok(values.iter().map(|&v| i64::from(v)).collect()),
            _ => op_bail!("needs integer values, got {}", self.data_type()),
        }
    }

    pub(crate) fn into_tensor(self) -> Tensor {
        Tensor { shape: self.shape, data: self.data }
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Self::plain(tensor.shape, tensor.data)
    }
}

/// Buffers kept from run to run so that the hot path seldom allocates. Use one per thread; any model may use it.
#[derive(Debug, Default, Clone)]
pub struct Scratch {
    pub(crate) slots: Vec<Option<Value>>,
    pub(crate) free: Vec<Vec<f32>>,
}

/// Buffers kept at most; more are let go.
pub(crate) const FREE_MAX: usize = 32;

impl Scratch {
    /// An empty scratch.
    pub fn new() -> Self {
        Self::default()
    }
}

/// What a kernel may use while it runs: buffers, and the budgets of the run.
pub(crate) struct Ctx<'a> {
    pub(crate) free: &'a mut Vec<Vec<f32>>,
    /// Buffers kept at most.
    pub(crate) free_max: usize,
    pub(crate) elements_max: usize,
    /// Bytes of intermediate values that may still be made.
    pub(crate) bytes_left: usize,
    /// Multiply-adds that may still be done.
    pub(crate) work_left: u64,
}

impl Ctx<'_> {
    /// Counts work before it is done; an error when the run's budget is used up.
    pub(crate) fn charge(&mut self, work: Option<u64>) -> OpResult<()> {
        match work.and_then(|work| self.work_left.checked_sub(work)) {
            Some(left) => {
                self.work_left = left;
                Ok(())
            }
            None => op_bail!("needs more multiply-adds than `work_max` allows in one run"),
        }
    }

    /// The number of elements of a shape, within `tensor_elements_max` and the bytes left.
    pub(crate) fn count(&mut self, shape: &[usize]) -> OpResult<usize> {
        let Some(count) = elements(shape) else { op_bail!("shape {shape:?} overflows") };
        if extent(shape).is_none_or(|extent| extent > self.elements_max) {
            op_bail!("makes a tensor of {count} elements, more than `tensor_elements_max`");
        }
        if count.saturating_mul(8) > self.bytes_left {
            op_bail!("needs more memory than `activation_bytes_max` allows in one run");
        }
        // A step per element at least, so that copying operators count too.
        self.charge(Some(count as u64 + 1))?;
        Ok(count)
    }

    /// A buffer of the shape's length with unspecified (but initialised) contents.
    pub(crate) fn f32_buffer(&mut self, shape: &[usize]) -> OpResult<Vec<f32>> {
        let count = self.count(shape)?;
        Ok(self.take(count))
    }

    /// A buffer of this length, from the kept ones if one is large enough; the smallest such.
    pub(crate) fn take(&mut self, count: usize) -> Vec<f32> {
        let fit = self
            .free
            .iter()
            .enumerate()
            .filter(|(_, buffer)| buffer.capacity() >= count)
            .min_by_key(|(_, buffer)| buffer.capacity())
            .map(|(at, _)| at);
        let mut buffer = fit.map(|at| self.free.swap_remove(at)).unwrap_or_default();
        if buffer.len() > count {
            buffer.truncate(count);
        } else {
            buffer.resize(count, 0.0);
        }
        buffer
    }

    /// Gives a buffer back.
    pub(crate) fn give(&mut self, buffer: Vec<f32>) {
        if self.free.len() < self.free_max && buffer.capacity() > 0 {
            self.free.push(buffer);
        }
    }

    pub(crate) fn give_value(&mut self, value: Value) {
        if let TensorData::F32(buffer) = value.data {
            self.give(buffer);
        }
    }
}

/// Row-major strides of a shape.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut out = vec![1; shape.len()];
    let mut step = 1usize;
    for (stride, &length) in out.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.saturating_mul(length.max(1));
    }
    out
}

/// An axis in `-rank..rank` as an index.
pub(crate) fn axis(axis: i64, rank: usize) -> OpResult<usize> {
    let signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let at = if axis < 0 { axis.checked_add(signed) } else { Some(axis) };
    match at.and_then(|at| usize::try_from(at).ok()) {
        Some(at) if at < rank => Ok(at),
        _ => op_bail!("axis {axis} is outside a tensor of {rank} dimensions"),
    }
}

/// Product of part of a shape that is known not to overflow (it belongs to an existing tensor).
pub(crate) fn product(shape: &[usize]) -> usize {
    elements(shape).unwrap_or(0)
}
