//! Tensors: a shape and row-major values of one element type.

use std::fmt;

/// Element types the runtime computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// Signed 64-bit integer.
    I64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// Boolean.
    Bool,
    /// UTF-8 text.
    Text,
}

impl DataType {
    /// The ONNX `TensorProto.DataType` number's type, or `None` if the runtime does not cover it.
    pub fn from_onnx(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::F32,
            2 => Self::U8,
            3 => Self::I8,
            6 => Self::I32,
            7 => Self::I64,
            8 => Self::Text,
            9 => Self::Bool,
            11 => Self::F64,
            _ => return None,
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "float32",
            Self::F64 => "float64",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::Bool => "bool",
            Self::Text => "string",
        })
    }
}

/// Owned values of a tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is the element type of the same name, see DataType")]
pub enum TensorData {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    I8(Vec<i8>),
    U8(Vec<u8>),
    Bool(Vec<bool>),
    Text(Vec<String>),
}

/// Runs the same expression on the vector or slice inside any variant.
macro_rules! each_type {
    ($data:expr, $enum:ident, $v:ident => $body:expr) => {
        match $data {
            $enum::F32($v) => $body,
            $enum::F64($v) => $body,
            $enum::I64($v) => $body,
            $enum::I32($v) => $body,
            $enum::I8($v) => $body,
            $enum::U8($v) => $body,
            $enum::Bool($v) => $body,
            $enum::Text($v) => $body,
        }
    };
}
pub(crate) use each_type;

/// Like [`each_type`], wrapping the result in the same variant.
macro_rules! map_type {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            TensorData::F32($v) => TensorData::F32($body),
            TensorData::F64($v) => TensorData::F64($body),
            TensorData::I64($v) => TensorData::I64($body),
            TensorData::I32($v) => TensorData::I32($body),
            TensorData::I8($v) => TensorData::I8($body),
            TensorData::U8($v) => TensorData::U8($body),
            TensorData::Bool($v) => TensorData::Bool($body),
            TensorData::Text($v) => TensorData::Text($body),
        }
    };
}
pub(crate) use map_type;

impl TensorData {
    /// Number of elements.
    pub fn len(&self) -> usize {
        each_type!(self, TensorData, v => v.len())
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element type.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::F32(_) => DataType::F32,
            Self::F64(_) => DataType::F64,
            Self::I64(_) => DataType::I64,
            Self::I32(_) => DataType::I32,
            Self::I8(_) => DataType::I8,
            Self::U8(_) => DataType::U8,
            Self::Bool(_) => DataType::Bool,
            Self::Text(_) => DataType::Text,
        }
    }
}

/// An owned tensor. `data` has as many elements as the product of `shape`; a scalar has an empty shape and one element.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Length of each dimension, outermost first.
    pub shape: Vec<usize>,
    /// Values, row-major.
    pub data: TensorData,
}

impl Tensor {
    /// A float32 tensor, or `None` if the number of values is not the product of the shape.
    pub fn f32(shape: &[usize], values: Vec<f32>) -> Option<Self> {
        (elements(shape) == Some(values.len()))
            .then(|| Self { shape: shape.to_vec(), data: TensorData::F32(values) })
    }

    /// The values, if they are float32.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            TensorData::F32(values) => Some(values),
            _ => None,
        }
    }

    /// The values, if they are int64.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            TensorData::I64(values) => Some(values),
            _ => None,
        }
    }

    /// Element type.
    pub fn data_type(&self) -> DataType {
        self.data.data_type()
    }

    /// Borrows the tensor.
    pub fn view(&self) -> TensorView<'_> {
        let data = match &self.data {
            TensorData::F32(v) => ViewData::F32(v),
            TensorData::F64(v) => ViewData::F64(v),
            TensorData::I64(v) => ViewData::I64(v),
            TensorData::I32(v) => ViewData::I32(v),
            TensorData::I8(v) => ViewData::I8(v),
            TensorData::U8(v) => ViewData::U8(v),
            TensorData::Bool(v) => ViewData::Bool(v),
            TensorData::Text(v) => ViewData::Text(v),
        };
        TensorView { shape: &self.shape, data }
    }
}

/// Borrowed values of a tensor, row-major.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "each variant is the element type of the same name, see DataType")]
pub enum ViewData<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I64(&'a [i64]),
    I32(&'a [i32]),
    I8(&'a [i8]),
    U8(&'a [u8]),
    Bool(&'a [bool]),
    Text(&'a [String]),
}

impl ViewData<'_> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        each_type!(self, ViewData, v => v.len())
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element type.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::F32(_) => DataType::F32,
            Self::F64(_) => DataType::F64,
            Self::I64(_) => DataType::I64,
            Self::I32(_) => DataType::I32,
            Self::I8(_) => DataType::I8,
            Self::U8(_) => DataType::U8,
            Self::Bool(_) => DataType::Bool,
            Self::Text(_) => DataType::Text,
        }
    }
}

/// A borrowed tensor, as given to [`crate::Model::run`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorView<'a> {
    /// Length of each dimension, outermost first.
    pub shape: &'a [usize],
    /// Values, row-major.
    pub data: ViewData<'a>,
}

impl<'a> TensorView<'a> {
    /// A float32 view. [`crate::Model::run`] checks that shape and number of values agree.
    pub fn f32(shape: &'a [usize], values: &'a [f32]) -> Self {
        Self { shape, data: ViewData::F32(values) }
    }
}

/// The number of elements of a shape, or `None` when it overflows. The lengths that are not 0 must not overflow either,
/// so that loops over some of the dimensions are bounded too.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    let extent = extent(shape)?;
    Some(if shape.contains(&0) { 0 } else { extent })
}

/// The product of the lengths that are not 0.
pub(crate) fn extent(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, &length| product.checked_mul(length.max(1)))
}

/// One dimension of a declared shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    /// A fixed length.
    Fixed(usize),
    /// A named length, for example the batch size `n`; equal names mean equal lengths.
    Symbolic(String),
    /// Nothing is declared.
    Unknown,
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(length) => write!(f, "{length}"),
            Self::Symbolic(name) => f.write_str(name),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// Name, element type and shape of a model's input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueInfo {
    /// Name in the graph.
    pub name: String,
    /// Element type; `None` when the file does not say, or says a type that is not a tensor.
    pub data_type: Option<DataType>,
    /// Declared dimensions; `None` when the file declares no shape.
    pub shape: Option<Vec<Dim>>,
}

impl ValueInfo {
    /// Type and shape for people, for example `float32 [n, 30]`.
    pub fn describe(&self) -> String {
        let kind = self.data_type.map_or_else(|| "any type".to_owned(), |t| t.to_string());
        match &self.shape {
            Some(dims) => {
                let dims: Vec<String> = dims.iter().map(Dim::to_string).collect();
                format!("{kind} [{}]", dims.join(", "))
            }
            None => format!("{kind} of any shape"),
        }
    }
}
