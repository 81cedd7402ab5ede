//! What the protocol's messages say, whichever way they travel.

use std::collections::BTreeMap;

use domain::Tensor;
use serde::{Deserialize, Serialize};

/// Name in [`ServerMetadata::extensions`] of the binary tensor extension.
pub const BINARY_EXTENSION: &str = "binary_tensor_data";
/// HTTP header with the length of the JSON part when binary tensors follow it.
pub const HEADER_LENGTH: &str = "Inference-Header-Content-Length";

/// Value of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Param {
    /// Truth.
    Bool(bool),
    /// Whole number.
    Int(i64),
    /// Whole number above the range of `i64`.
    Uint(u64),
    /// Other finite number.
    Double(f64),
    /// Text.
    String(String),
}

/// Parameters of a message, by name.
pub type Params = BTreeMap<String, Param>;

/// A parsed inference request. It holds a patient's values, so it has no `Debug`; wrap `inputs` in `Phi` at once.
#[derive(Clone, PartialEq)]
pub struct Call {
    /// The caller's own number for it, to be echoed.
    pub id: Option<String>,
    /// Input tensors, their names all different.
    pub inputs: Vec<Tensor>,
    /// Outputs that are wanted, their names all different; empty means all.
    pub outputs: Vec<RequestedOutput>,
    /// True when outputs that say nothing else are wanted as binary data.
    pub binary_output_default: bool,
    /// Parameters of the request. Those with a JSON object, array or null as value are dropped: the protocol has none.
    pub parameters: Params,
}

/// An output that the caller asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedOutput {
    /// Its name.
    pub name: String,
    /// True when it is wanted as binary data (own wish, else the request's default).
    pub binary: bool,
}

/// How the caller wants the outputs written.
#[derive(Debug, Clone, Copy)]
pub struct Wants<'a> {
    /// Outputs named in the request.
    pub outputs: &'a [RequestedOutput],
    /// For outputs that were not named.
    pub binary_default: bool,
}

impl Wants<'_> {
    /// Everything as JSON.
    pub const JSON: Wants<'static> = Wants { outputs: &[], binary_default: false };
    /// Everything as binary data.
    pub const BINARY: Wants<'static> = Wants { outputs: &[], binary_default: true };

    /// True when the output `name` is wanted as binary data.
    pub fn is_binary(&self, name: &str) -> bool {
        self.outputs.iter().find(|o| o.name == name).map_or(self.binary_default, |o| o.binary)
    }
}

impl Call {
    /// How it wants its outputs. Borrows two fields only when written out: `Wants { outputs: &call.outputs, .. }`.
    pub fn wants(&self) -> Wants<'_> {
        Wants { outputs: &self.outputs, binary_default: self.binary_output_default }
    }
}

/// An answer to an inference request. No `Debug`: outputs are the patient's.
#[derive(Clone, PartialEq)]
pub struct Answer {
    /// The model that answered.
    pub model_name: String,
    /// Its version, if it has one.
    pub model_version: Option<String>,
    /// The request's id, echoed.
    pub id: Option<String>,
    /// Parameters of the answer.
    pub parameters: Params,
    /// Output tensors.
    pub outputs: Vec<Tensor>,
}

/// An answer in borrowed parts, for a server that answers thousands a second. No `Debug`: outputs are the patient's.
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    /// The model that answered.
    pub model_name: &'a str,
    /// Its version, if it has one.
    pub model_version: Option<&'a str>,
    /// The request's id, echoed.
    pub id: Option<&'a str>,
    /// Parameters, already written as a JSON object.
    pub parameters: &'a [u8],
    /// Output tensors.
    pub outputs: &'a [Tensor],
}

/// A body ready to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Written {
    /// JSON, with the binary tensors behind it if there are any.
    pub body: Vec<u8>,
    /// Length of the JSON part, for the header [`HEADER_LENGTH`]; `None` without binary tensors.
    pub header_len: Option<usize>,
}

impl Written {
    /// The media type of the body, as Triton's clients send and expect it.
    pub const fn content_type(&self) -> &'static str {
        if self.header_len.is_some() { "application/octet-stream" } else { "application/json" }
    }
}

/// What a server says of itself (`GET /v2`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMetadata {
    /// Product.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Protocol extensions it speaks.
    #[serde(default)]
    pub extensions: Vec<String>,
}

/// An input or output as a server declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// Element type, the protocol's name.
    pub datatype: String,
    /// Shape; -1 stands for any size.
    #[serde(default)]
    pub shape: Vec<i64>,
}

/// What a server says of a model (`GET /v2/models/NAME`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelMetadata {
    /// The model.
    pub name: String,
    /// Versions that can be asked.
    #[serde(default)]
    pub versions: Vec<String>,
    /// Framework, for example `onnx_onnxv1`.
    #[serde(default)]
    pub platform: String,
    /// Inputs.
    #[serde(default)]
    pub inputs: Vec<TensorSpec>,
    /// Outputs.
    #[serde(default)]
    pub outputs: Vec<TensorSpec>,
}

/// How tensors are written in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As JSON arrays (REST) or typed contents (gRPC).
    Json,
    /// As binary data behind the JSON (REST) or raw contents (gRPC).
    Binary,
}

/// What a client asks. No `Debug`: inputs are the patient's.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// Number of the request, to be echoed.
    pub id: Option<&'a str>,
    /// Input tensors.
    pub inputs: &'a [Tensor],
    /// Names of the outputs that are wanted; empty means all.
    pub outputs: &'a [String],
    /// Parameters.
    pub parameters: &'a Params,
}
