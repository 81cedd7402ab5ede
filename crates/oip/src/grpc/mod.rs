//! The gRPC half of the protocol: generated messages and stubs, and the way between messages and tensors.

mod codec;
mod contents;
mod convert;

pub use codec::{BoundedCodec, BoundedDecoder, scan_fields};
pub use convert::{Addressed, encoding_of, message_to_answer, message_to_call, write_answer, write_request};

/// Messages, client and server as generated from `proto/inference.proto`.
#[allow(missing_docs, clippy::all, clippy::allow_attributes_without_reason, reason = "generated")]
pub mod proto {
    tonic::include_proto!("inference");
}
