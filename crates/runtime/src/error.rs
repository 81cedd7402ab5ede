//! Why a model was refused, or a run failed, in words a person can act on.

use thiserror::Error;

/// Why a model file was refused. The file is at fault in every case.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    /// Something in the file is larger than the [`crate::Limits`] allow.
    #[error("{what} is {got}, more than the limit of {max}; raise the limit only for a file you trust")]
    Limit {
        /// What was counted, for example `model file bytes`.
        what: &'static str,
        /// How much there was.
        got: u64,
        /// How much is allowed.
        max: u64,
    },
    /// The bytes are not a well-formed ONNX file.
    #[error("not a readable ONNX file: {what} at byte {at}; export the model again")]
    Malformed {
        /// What was wrong.
        what: &'static str,
        /// Offset within the enclosing message.
        at: usize,
    },
    /// Weights are stored in another file.
    #[error("tensor `{tensor}` keeps its values in another file; export the model with all weights inside")]
    ExternalData {
        /// The tensor's name.
        tensor: String,
    },
    /// The operator holds a graph of its own (If, Loop, Scan).
    #[error(
        "operator `{operator}` (node `{node}`) contains a subgraph, which is not supported; export without control flow"
    )]
    Subgraph {
        /// Operator type.
        operator: String,
        /// Node name.
        node: String,
    },
    /// The operator comes from a domain other than `ai.onnx` and `ai.onnx.ml`.
    #[error(
        "operator `{operator}` (node `{node}`) belongs to custom domain `{domain}`; export with standard operators only"
    )]
    CustomDomain {
        /// Domain.
        domain: String,
        /// Operator type.
        operator: String,
        /// Node name.
        node: String,
    },
    /// The operator is standard, but not covered.
    #[error(
        "unsupported operator `{operator}` (node `{node}`, opset {opset}); docs/runtime.md lists those covered"
    )]
    UnsupportedOperator {
        /// Operator type.
        operator: String,
        /// Node name.
        node: String,
        /// Operator set version in force.
        opset: i64,
    },
    /// A feature of the file is not covered (an element type, a sparse tensor, model-local functions).
    #[error("unsupported: {what}; docs/runtime.md lists what is covered")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// The graph does not hold together: cycle, dangling input, duplicate name.
    #[error("graph is not valid: {what}; check the file with `onnx.checker`")]
    Graph {
        /// What is wrong.
        what: String,
    },
    /// The operator has no derivative that could be used, and the scores depend on the input through it.
    #[error("operator `{operator}` (node `{node}`) has no gradient: {what}")]
    NotDifferentiable {
        /// Operator type.
        operator: String,
        /// Node name.
        node: String,
        /// Why, and what to use instead.
        what: String,
    },
    /// An operator's attributes, constants or shapes do not fit it.
    #[error("operator `{operator}` (node `{node}`): {what}")]
    Node {
        /// Operator type.
        operator: String,
        /// Node name.
        node: String,
        /// What is wrong.
        what: String,
    },
}

/// Why a run failed. The caller's tensors are at fault, unless the variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RunError {
    /// The caller gave a tensor the model has no input for.
    #[error("model has no input `{name}`; its inputs are {known}")]
    UnknownInput {
        /// Given name.
        name: String,
        /// The model's input names.
        known: String,
    },
    /// A model input was not given.
    #[error("input `{name}` is missing; give a tensor of type {expected}")]
    MissingInput {
        /// The input's name.
        name: String,
        /// Its type and shape.
        expected: String,
    },
    /// An input was given twice.
    #[error("input `{name}` was given twice")]
    DuplicateInput {
        /// The input's name.
        name: String,
    },
    /// An input has another element type, shape or length than the model declares.
    #[error("input `{name}` does not fit: expected {expected}, got {got}")]
    InputMismatch {
        /// The input's name.
        name: String,
        /// Declared type and shape.
        expected: String,
        /// Given type and shape.
        got: String,
    },
    /// Values for a gradient are of another length than the rows given and the model ask for.
    #[error("{what} has {got} values, but {expected} are needed (rows times values a row)")]
    Length {
        /// Which values: input, cotangent or gradient.
        what: &'static str,
        /// How many are needed.
        expected: usize,
        /// How many were given.
        got: usize,
    },
    /// A gradient was asked for before a forward pass.
    #[error("no forward pass to differentiate; call `forward` first")]
    NoForward,
    /// An operator could not run on these values.
    #[error("operator `{operator}` (node `{node}`): {what}")]
    Node {
        /// Operator type.
        operator: String,
        /// Node name.
        node: String,
        /// What is wrong.
        what: String,
    },
}

/// What an operator reports; the plan adds operator and node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpError(pub(crate) String);

impl OpError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

pub(crate) type OpResult<T> = Result<T, OpError>;

/// Shorthand for `Err(OpError::new(format!(…)))`.
macro_rules! op_bail {
    ($($arg:tt)*) => { return Err($crate::error::OpError::new(format!($($arg)*))) };
}
pub(crate) use op_bail;
