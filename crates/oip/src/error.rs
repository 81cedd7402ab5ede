//! What can be wrong with a body. A message names tensors and counts, never a value: values are the patient's.

use domain::{DataType, TensorError};

/// Why a body is not a request or an answer of the protocol, or cannot be written as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// More of something than is let in.
    #[error("too many {what}: at most {max} are accepted, send less at once")]
    Limit {
        /// What there is too much of, plural.
        what: &'static str,
        /// How many are accepted.
        max: usize,
    },
    /// Not JSON, or not the JSON that the protocol has in this place.
    #[error("body is not a message of the open inference protocol: at byte {offset} {expected} was expected")]
    Syntax {
        /// Where, in bytes from the start of the body.
        offset: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// A field that must be there is not.
    #[error("`{field}` is missing in {place}: add it")]
    Missing {
        /// The field.
        field: &'static str,
        /// Where it should be.
        place: String,
    },
    /// The same name or field twice.
    #[error("{what} `{name}` appears twice: send it once")]
    Duplicate {
        /// What appears twice.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// An element type that the protocol does not have.
    #[error(
        "tensor `{name}` has an unknown datatype: use one of BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, \
         INT32, INT64, FP16, FP32, FP64, BYTES"
    )]
    UnknownDatatype {
        /// Tensor's name.
        name: String,
    },
    /// Another number of elements than the shape says.
    #[error(transparent)]
    Shape(#[from] TensorError),
    /// Nested arrays that are not those of the shape.
    #[error(
        "data of tensor `{name}` is not nested as its shape {shape:?} says: nest it so, or send one flat array"
    )]
    Nesting {
        /// Tensor's name.
        name: String,
        /// Declared shape.
        shape: Vec<usize>,
    },
    /// An element that its datatype cannot hold.
    #[error("element {index} of tensor `{name}` is not {}: {}", .datatype.as_str(), element_advice(*.datatype))]
    Element {
        /// Tensor's name.
        name: String,
        /// Position in row-major order, from 0.
        index: usize,
        /// Declared element type.
        datatype: DataType,
    },
    /// The binary part does not fit the header.
    #[error("binary data of tensor `{name}` has {found} bytes where {wanted} were expected: {advice}")]
    BinarySize {
        /// Tensor's name.
        name: String,
        /// Bytes that came.
        found: usize,
        /// Bytes that its shape, datatype or declared size ask for.
        wanted: usize,
        /// What to check.
        advice: &'static str,
    },
    /// The JSON header is said to be longer than the body, or bytes are left over behind the tensors.
    #[error("`Inference-Header-Content-Length` does not fit the body: set it to the length of the JSON part")]
    HeaderLength,
    /// Part of the protocol or of an extension of it that is not spoken here.
    #[error("{what} is not supported: {instead}")]
    Unsupported {
        /// What was asked.
        what: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// A tensor that JSON cannot carry: a number that is not finite, or bytes that are no text.
    #[error("tensor `{name}` holds elements that JSON cannot carry: ask for it as binary data")]
    NeedsBinary {
        /// Tensor's name.
        name: String,
    },
}

impl WireError {
    /// Stable short name for problem documents, logs and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Limit { .. } => "limit-exceeded",
            Self::Syntax { .. } => "malformed-body",
            Self::Missing { .. } => "missing-field",
            Self::Duplicate { .. } => "duplicate-name",
            Self::UnknownDatatype { .. } => "unknown-datatype",
            Self::Shape(_) => "wrong-shape",
            Self::Nesting { .. } => "wrong-nesting",
            Self::Element { .. } => "wrong-element",
            Self::BinarySize { .. } => "wrong-binary-size",
            Self::HeaderLength => "wrong-header-length",
            Self::Unsupported { .. } => "unsupported",
            Self::NeedsBinary { .. } => "needs-binary",
        }
    }
}

/// What to write for an element of this type.
const fn element_advice(datatype: DataType) -> &'static str {
    match datatype {
        DataType::Bool => "write true or false",
        DataType::Fp16 | DataType::Fp32 | DataType::Fp64 => {
            "write a finite number in its range, JSON has no NaN and no Infinity"
        }
        DataType::Bytes => "write a text within the limit",
        _ => "write a whole number in its range",
    }
}
