//! Requests and answers into bodies.

use std::io::Write as _;

use domain::{Tensor, TensorData};
use serde::Serialize;

use crate::message::{Answer, Ask, Encoding, Params, Reply, Wants, Written};
use crate::{WireError, binary};

/// Writes an answer, each output as JSON or as binary data as `wants` says.
///
/// # Errors
/// [`WireError::NeedsBinary`] when JSON is wanted for what JSON cannot carry.
pub fn write_response(answer: &Answer, wants: &Wants<'_>) -> Result<Written, WireError> {
    let mut out = Body::with_capacity(&answer.outputs, 256);
    out.model(&answer.model_name, answer.model_version.as_deref());
    out.head(answer.id.as_deref(), &answer.parameters);
    out.outputs(&answer.outputs, wants)
}

/// As [`write_response`], from borrowed parts.
///
/// # Errors
/// As there.
pub fn write_reply(reply: &Reply<'_>, wants: &Wants<'_>) -> Result<Written, WireError> {
    let mut out = Body::with_capacity(reply.outputs, 256 + reply.parameters.len());
    out.model(reply.model_name, reply.model_version);
    out.id(reply.id);
    out.raw(b",\"parameters\":");
    out.raw(reply.parameters);
    out.outputs(reply.outputs, wants)
}

/// Writes a request, as a client does: all inputs in one way, all outputs asked for in the same.
///
/// # Errors
/// [`WireError::NeedsBinary`] when JSON is wanted for what JSON cannot carry.
pub fn write_request(ask: &Ask<'_>, encoding: Encoding) -> Result<Written, WireError> {
    let mut out = Body::with_capacity(ask.inputs, 256);
    out.raw(b"{\"inputs\":[");
    for (i, tensor) in ask.inputs.iter().enumerate() {
        out.comma(i);
        out.tensor(tensor, encoding)?;
    }
    out.raw(b"]");
    if !ask.outputs.is_empty() {
        out.raw(b",\"outputs\":[");
        for (i, name) in ask.outputs.iter().enumerate() {
            out.comma(i);
            out.raw(b"{\"name\":");
            text(name, &mut out.json);
            if encoding == Encoding::Binary {
                out.raw(b",\"parameters\":{\"binary_data\":true}");
            }
            out.raw(b"}");
        }
        out.raw(b"]");
    }
    let binary_default = encoding == Encoding::Binary && ask.outputs.is_empty();
    if binary_default {
        let mut parameters = ask.parameters.clone();
        parameters.insert("binary_data_output".to_owned(), crate::Param::Bool(true));
        out.head(ask.id, &parameters);
    } else {
        out.head(ask.id, ask.parameters);
    }
    out.raw(b"}");
    Ok(out.finish())
}

/// A body in the making.
struct Body {
    json: Vec<u8>,
    binary: Vec<u8>,
}

impl Body {
    /// Room for about what the tensors and `beside` bytes will take, so that vectors grow once or not at all.
    fn with_capacity(tensors: &[Tensor], beside: usize) -> Self {
        let elements: usize = tensors.iter().map(|t| t.data().len()).sum();
        Self { json: Vec::with_capacity(beside + tensors.len() * 64 + elements * 10), binary: Vec::new() }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.json.extend_from_slice(bytes);
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.json.push(b',');
        }
    }

    /// The beginning of an answer.
    fn model(&mut self, name: &str, version: Option<&str>) {
        self.raw(b"{\"model_name\":");
        text(name, &mut self.json);
        if let Some(version) = version {
            self.raw(b",\"model_version\":");
            text(version, &mut self.json);
        }
    }

    /// The outputs of an answer, and its end.
    fn outputs(mut self, outputs: &[Tensor], wants: &Wants<'_>) -> Result<Written, WireError> {
        self.raw(b",\"outputs\":[");
        for (i, tensor) in outputs.iter().enumerate() {
            self.comma(i);
            let encoding = if wants.is_binary(tensor.name()) { Encoding::Binary } else { Encoding::Json };
            self.tensor(tensor, encoding)?;
        }
        self.raw(b"]}");
        Ok(self.finish())
    }

    /// `id`, if there is one, with the comma in front.
    fn id(&mut self, id: Option<&str>) {
        if let Some(id) = id {
            self.raw(b",\"id\":");
            text(id, &mut self.json);
        }
    }

    /// `id` and `parameters`, if there are any, with the comma in front.
    fn head(&mut self, id: Option<&str>, parameters: &Params) {
        self.id(id);
        if !parameters.is_empty() {
            self.raw(b",\"parameters\":");
            put(parameters, &mut self.json);
        }
    }

    fn tensor(&mut self, tensor: &Tensor, encoding: Encoding) -> Result<(), WireError> {
        self.raw(b"{\"name\":");
        text(tensor.name(), &mut self.json);
        self.raw(b",\"datatype\":\"");
        self.raw(tensor.data().data_type().as_str().as_bytes());
        self.raw(b"\",\"shape\":");
        put(tensor.shape(), &mut self.json);
        match encoding {
            Encoding::Json => {
                self.raw(b",\"data\":");
                elements(tensor, &mut self.json)?;
            }
            Encoding::Binary => {
                let before = self.binary.len();
                binary::encode(tensor.data(), &mut self.binary)?;
                self.raw(b",\"parameters\":{\"binary_data_size\":");
                put(&(self.binary.len() - before), &mut self.json);
                self.raw(b"}");
            }
        }
        self.raw(b"}");
        Ok(())
    }

    fn finish(mut self) -> Written {
        if self.binary.is_empty() {
            return Written { body: self.json, header_len: None };
        }
        let header_len = self.json.len();
        self.json.append(&mut self.binary);
        Written { body: self.json, header_len: Some(header_len) }
    }
}

/// The elements as one flat JSON array.
fn elements(tensor: &Tensor, out: &mut Vec<u8>) -> Result<(), WireError> {
    let needs_binary = || WireError::NeedsBinary { name: tensor.name().to_owned() };
    match tensor.data() {
        TensorData::Bool(v) => put(v, out),
        TensorData::Uint8(v) => put(v, out),
        TensorData::Uint16(v) => put(v, out),
        TensorData::Uint32(v) => put(v, out),
        TensorData::Uint64(v) => put(v, out),
        TensorData::Int8(v) => put(v, out),
        TensorData::Int16(v) => put(v, out),
        TensorData::Int32(v) => put(v, out),
        TensorData::Int64(v) => put(v, out),
        TensorData::Fp16(v) | TensorData::Fp32(v) if v.iter().all(|x| x.is_finite()) => put(v, out),
        TensorData::Fp64(v) if v.iter().all(|x| x.is_finite()) => put(v, out),
        TensorData::Fp16(_) | TensorData::Fp32(_) | TensorData::Fp64(_) => return Err(needs_binary()),
        TensorData::Bytes(v) => {
            out.push(b'[');
            for (i, element) in v.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                text(std::str::from_utf8(element).map_err(|_| needs_binary())?, out);
            }
            out.push(b']');
        }
    }
    Ok(())
}

/// A text in quotes.
pub(super) fn text(text: &str, out: &mut Vec<u8>) {
    // Most texts are names, in which nothing is escaped.
    let escaped = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\');
    if !text.bytes().fold(false, |any, b| any | escaped(b)) {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        put(text, out);
    }
}

/// Appends JSON. Writing numbers, texts and maps with text keys into a vector cannot fail; if it ever did, the `null`
/// makes the body one that no reader takes for a tensor.
fn put<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(before);
        let _ = out.write_all(b"null");
    }
}
