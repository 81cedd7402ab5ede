//! How much of the outside is let in. Every loop over outside bytes ends at one of these.

/// Bytes of one body. A batch of 1,000 rows of 30 features is 0.3 MB as JSON and 256 images of 28 x 28 are 2 MB; past
/// that a client should split its batch.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Input tensors of one request, output tensors of one answer. A table with one tensor a column needs hundreds.
pub const TENSORS_MAX: usize = 512;
/// Elements of all tensors of one body together. Four million `FP32` are 16 MiB.
pub const ELEMENTS_MAX: usize = 1 << 22;
/// Dimensions of a tensor. ONNX models in use have five at most (batch, channel, depth, height, width).
pub const DIMS_MAX: usize = 8;
/// Bytes of a name (tensor, parameter, model, version) or of a request's id. Names appear in messages and pages.
pub const NAME_BYTES_MAX: usize = 256;
/// Parameters of one object. Clients send fewer than ten.
pub const PARAMETERS_MAX: usize = 64;
/// Bytes of one text: a `BYTES` element or the value of a parameter. A clinical note has a few thousand.
pub const STRING_BYTES_MAX: usize = 64 * 1024;
/// Fields of one JSON object of the protocol, known and unknown together. The protocol has seven at most.
pub const FIELDS_MAX: usize = 64;
/// Levels of nesting in a JSON value that is skipped because the protocol does not know it.
pub const SKIP_DEPTH_MAX: usize = 32;

/// What one body may hold. The default is the constants of this module; configuration may tighten or widen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body.
    pub body_bytes: usize,
    /// Tensors in a body.
    pub tensors: usize,
    /// Elements of all tensors together.
    pub elements: usize,
    /// Dimensions of a tensor; values above [`DIMS_MAX`] count as [`DIMS_MAX`].
    pub dims: usize,
    /// Bytes of a name or id.
    pub name_bytes: usize,
    /// Parameters of an object.
    pub parameters: usize,
    /// Bytes of a `BYTES` element or of a parameter's text.
    pub string_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: BODY_BYTES_MAX,
            tensors: TENSORS_MAX,
            elements: ELEMENTS_MAX,
            dims: DIMS_MAX,
            name_bytes: NAME_BYTES_MAX,
            parameters: PARAMETERS_MAX,
            string_bytes: STRING_BYTES_MAX,
        }
    }
}
