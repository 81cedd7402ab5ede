//! L1: the Open Inference Protocol v2 on the wire: JSON, binary tensors, gRPC messages.
//!
//! Both sides of the protocol: the gateway reads requests and writes answers, the client of remote servers writes
//! requests and reads answers. Pure functions over bytes; every loop over outside bytes ends at a limit of
//! [`limits`]; no error message holds a value. What is covered and what is not: docs/protocol.md.

mod binary;
mod error;
mod fuzz;
pub mod grpc;
mod half;
pub mod limits;
mod message;
pub mod rest;
mod scan;

pub use error::WireError;
pub use fuzz::{fuzz_grpc, fuzz_rest};
pub use limits::Limits;
pub use message::{
    Answer, Ask, BINARY_EXTENSION, Call, Encoding, HEADER_LENGTH, ModelMetadata, Param, Params, Reply,
    RequestedOutput, ServerMetadata, TensorSpec, Wants, Written,
};
