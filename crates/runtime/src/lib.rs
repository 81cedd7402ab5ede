//! L3: ONNX models in process: bounded parsing, planned execution, tree ensembles.
//!
//! [`Model::load`] turns untrusted bytes into a checked [`Graph`] and an execution plan (constants folded, operators
//! fused, weights packed for the processor found at run time); [`Model::run`] computes on one thread with buffers kept
//! in a [`Scratch`]. What is covered, refused and measured: docs/runtime.md.

mod classifier;
mod differentiable;
mod error;
mod forest;
mod grad;
mod graph;
mod kernel;
mod limits;
mod model;
mod ops;
mod plan;
mod proto;
mod rewrite;
mod tensor;
pub mod training;
mod value;
mod wire;

pub use classifier::{Classifier, Head, Reading};
pub use differentiable::Differentiable;
pub use error::{LoadError, RunError};
pub use grad::{Gradient, Loss};
pub use graph::{Attribute, Graph, Node, ValueId};
pub use limits::Limits;
pub use model::{Model, Summary, fuzz_load};
pub use tensor::{DataType, Dim, Tensor, TensorData, TensorView, ValueInfo, ViewData};
pub use value::Scratch;
