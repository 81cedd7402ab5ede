//! L3: clients of remote model servers and webhooks, and the one download there is; the only crate that talks outside.
//!
//! [`Remote`] asks a server of the Open Inference Protocol v2, over REST or gRPC. It sends only what the guards have
//! let through ([`Remote::infer`]) or what is not a patient's ([`Remote::probe`]), and believes nothing of the answer
//! before its size, shape and addressee are checked. [`Language`] asks a language model's server, whole or as a stream. [`Visitor`] plays clients of our own gateway in exercises. [`Outbound`] delivers alerts and fetches published files.
//!
//! No message of this crate holds a patient's value, nor a text that another server wrote about a patient's request.

mod circuit;
mod config;
mod download;
mod error;
mod grpc;
mod language;
mod listening;
mod outbound;
mod ranged;
mod remote;
mod rest;
mod s3;
mod tls;
mod visitor;
mod wire;

pub use circuit::{Circuit, CircuitState};
pub use config::{Config, Secret, Target, TargetError};
pub use download::{REDIRECTS_MAX, Wanted};
pub use error::{Detail, UpstreamError};
pub use language::{Heard as LanguageHeard, Language, LanguageConfig, Style};
pub use listening::Listening;
pub use outbound::{Delivery, Outbound, TRIES_MAX};
pub use ranged::{Ranged, STRETCH_BYTES_MAX, Signer};
pub use remote::Remote;
pub use s3::{Keys, Location as S3Location};
pub use visitor::{Heard, Reaction, Said, Visitor};
