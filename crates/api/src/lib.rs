//! L5: the data plane on the wire: Open Inference Protocol v2 over REST and gRPC, problem+json, metrics, OpenAPI.
//!
//! Routes are thin: wire, [`gateway`], wire. Status codes exist here and nowhere below. [`serve()`] is the server that
//! stands towards the outside: everything a caller can make it wait for or keep in memory has a limit.

mod body;
mod grpc;
mod openapi;
mod problem;
mod receipt;
mod rest;
mod serve;
mod talk;
mod talk_error;
mod talk_receipt;

pub use body::{BodyError, BoundedBody};
pub use grpc::grpc;
pub use openapi::openapi;
pub use problem::{PROBLEM_JSON, grpc_code, status};
pub use rest::{Settings, router};
pub use serve::{Peer, ServeError, Server, ServerLimits, serve};
