//! Tensors as the Open Inference Protocol v2 knows them; `BYTES` elements are bounded by the parser at the edge.

use serde::{Deserialize, Serialize};

/// Element types of the Open Inference Protocol v2 ("Tensor Data Types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub enum DataType {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Fp32,
    Fp64,
    Bytes,
}

impl DataType {
    /// The protocol's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// Reads the protocol's name.
    pub fn parse(name: &str) -> Option<Self> {
        const ALL: [DataType; 13] = [
            DataType::Bool,
            DataType::Uint8,
            DataType::Uint16,
            DataType::Uint32,
            DataType::Uint64,
            DataType::Int8,
            DataType::Int16,
            DataType::Int32,
            DataType::Int64,
            DataType::Fp16,
            DataType::Fp32,
            DataType::Fp64,
            DataType::Bytes,
        ];
        ALL.into_iter().find(|t| t.as_str() == name)
    }

    /// Bytes of one element in the binary extension; `None` for `BYTES`, whose elements carry their length.
    pub const fn size_bytes(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }
}

/// The elements, row-major. `FP16` is kept as the `f32` it converts to exactly.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are the protocol's own")]
pub enum TensorData {
    Bool(Vec<bool>),
    Uint8(Vec<u8>),
    Uint16(Vec<u16>),
    Uint32(Vec<u32>),
    Uint64(Vec<u64>),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Fp16(Vec<f32>),
    Fp32(Vec<f32>),
    Fp64(Vec<f64>),
    Bytes(Vec<Vec<u8>>),
}

impl TensorData {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(v) => v.len(),
            Self::Uint8(v) => v.len(),
            Self::Uint16(v) => v.len(),
            Self::Uint32(v) => v.len(),
            Self::Uint64(v) => v.len(),
            Self::Int8(v) => v.len(),
            Self::Int16(v) => v.len(),
            Self::Int32(v) => v.len(),
            Self::Int64(v) => v.len(),
            Self::Fp16(v) | Self::Fp32(v) => v.len(),
            Self::Fp64(v) => v.len(),
            Self::Bytes(v) => v.len(),
        }
    }

    /// True without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type.
    pub const fn data_type(&self) -> DataType {
        match self {
            Self::Bool(_) => DataType::Bool,
            Self::Uint8(_) => DataType::Uint8,
            Self::Uint16(_) => DataType::Uint16,
            Self::Uint32(_) => DataType::Uint32,
            Self::Uint64(_) => DataType::Uint64,
            Self::Int8(_) => DataType::Int8,
            Self::Int16(_) => DataType::Int16,
            Self::Int32(_) => DataType::Int32,
            Self::Int64(_) => DataType::Int64,
            Self::Fp16(_) => DataType::Fp16,
            Self::Fp32(_) => DataType::Fp32,
            Self::Fp64(_) => DataType::Fp64,
            Self::Bytes(_) => DataType::Bytes,
        }
    }

    /// The elements as `f32`, as guards and models see them; `None` for `BYTES`. Wide integers and `FP64` round to
    /// nearest.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "rounding is the documented meaning"
    )]
    pub fn to_f32(&self) -> Option<Vec<f32>> {
        Some(match self {
            Self::Bool(v) => v.iter().map(|&x| f32::from(u8::from(x))).collect(),
            Self::Uint8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Self::Uint16(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Self::Uint32(v) => v.iter().map(|&x| x as f32).collect(),
            Self::Uint64(v) => v.iter().map(|&x| x as f32).collect(),
            Self::Int8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Self::Int16(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Self::Int32(v) => v.iter().map(|&x| x as f32).collect(),
            Self::Int64(v) => v.iter().map(|&x| x as f32).collect(),
            Self::Fp16(v) | Self::Fp32(v) => v.clone(),
            Self::Fp64(v) => v.iter().map(|&x| x as f32).collect(),
            Self::Bytes(_) => return None,
        })
    }
}

/// A named tensor whose shape fits its elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    name: String,
    shape: Vec<usize>,
    data: TensorData,
}

/// Why something is not a tensor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The shape asks for another number of elements.
    #[error(
        "tensor `{name}` declares shape {shape:?} but carries {found} elements: send as many as the shape says"
    )]
    ElementCount {
        /// Tensor's name.
        name: String,
        /// Declared shape.
        shape: Vec<usize>,
        /// Elements that came.
        found: usize,
    },
}

impl Tensor {
    /// A tensor, if `shape` asks for exactly the elements of `data`.
    ///
    /// # Errors
    /// When the numbers differ, or the product of the shape does not fit a `usize`.
    pub fn new(name: impl Into<String>, shape: Vec<usize>, data: TensorData) -> Result<Self, TensorError> {
        let name = name.into();
        let wanted = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        if wanted != Some(data.len()) {
            return Err(TensorError::ElementCount { name, shape, found: data.len() });
        }
        Ok(Self { name, shape, data })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its shape.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements, row-major.
    pub const fn data(&self) -> &TensorData {
        &self.data
    }

    /// Takes it apart: name, shape, elements.
    pub fn into_parts(self) -> (String, Vec<usize>, TensorData) {
        (self.name, self.shape, self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_that_lies_about_its_elements_is_refused() {
        assert!(Tensor::new("x", vec![2, 3], TensorData::Fp32(vec![0.0; 6])).is_ok());
        assert!(Tensor::new("x", vec![2, 3], TensorData::Fp32(vec![0.0; 5])).is_err());
        assert!(Tensor::new("x", vec![usize::MAX, 2], TensorData::Fp32(vec![])).is_err(), "no overflow");
        assert!(Tensor::new("x", vec![usize::MAX, 0], TensorData::Fp32(vec![])).is_ok());
    }
}
