//! Between generated messages and the protocol's own [`Call`], [`Answer`] and [`Ask`].

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use domain::{DataType, Tensor, TensorData};

use super::contents;
use super::proto::infer_parameter::ParameterChoice;
use super::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use super::proto::model_infer_response::InferOutputTensor;
use super::proto::model_metadata_response::TensorMetadata;
use super::proto::{
    InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse, ModelMetadataResponse,
    ServerMetadataResponse,
};
use crate::limits::{DIMS_MAX, Limits};
use crate::message::{Answer, Ask, Call, Encoding, Param, Params, RequestedOutput};
use crate::rest::{limit, output_wish};
use crate::{ModelMetadata, ServerMetadata, TensorSpec, WireError, binary};

/// A request and the model it is for, which gRPC carries in the message.
#[derive(Clone, PartialEq)]
pub struct Addressed {
    /// The model.
    pub model_name: String,
    /// Its version, if the caller names one.
    pub model_version: Option<String>,
    /// The request.
    pub call: Call,
    /// How the caller sent its tensors: answer in the same way.
    pub encoding: Encoding,
}

/// How a request carries its tensors.
pub fn encoding_of(message: &ModelInferRequest) -> Encoding {
    let typed = message.raw_input_contents.is_empty() && !message.inputs.is_empty();
    if typed { Encoding::Json } else { Encoding::Binary }
}

/// Reads a request.
///
/// # Errors
/// [`WireError`], whose message can be sent to the caller: it holds names and counts, no values.
pub fn message_to_call(message: ModelInferRequest, limits: &Limits) -> Result<Addressed, WireError> {
    let encoding = encoding_of(&message);
    let raw: Vec<_> = message.inputs.into_iter().map(RawTensor::from).collect();
    let inputs = tensors(raw, &message.raw_input_contents, limits)?;
    limit("outputs", message.outputs.len(), limits.tensors)?;
    let mut outputs: Vec<RequestedOutput> = Vec::with_capacity(message.outputs.len());
    let mut names = BTreeSet::new();
    for output in message.outputs {
        output_wish(&parameters(output.parameters, limits)?)?;
        let name = name(output.name, limits)?;
        if !names.insert(name.clone()) {
            return Err(WireError::Duplicate { what: "output", name });
        }
        outputs.push(RequestedOutput { name, binary: encoding == Encoding::Binary });
    }
    let call = Call {
        id: optional(message.id, limits)?,
        inputs,
        outputs,
        binary_output_default: encoding == Encoding::Binary,
        parameters: parameters(message.parameters, limits)?,
    };
    let model_version = optional(message.model_version, limits)?;
    Ok(Addressed { model_name: name(message.model_name, limits)?, model_version, call, encoding })
}

/// Writes an answer. Typed contents are used when asked for and when no output is `FP16`, which has none.
///
/// # Errors
/// [`WireError::Limit`] for an element that is longer than the wire can say.
pub fn write_answer(answer: &Answer, encoding: Encoding) -> Result<ModelInferResponse, WireError> {
    let typed = encoding == Encoding::Json && !answer.outputs.iter().any(is_half);
    let mut raw_output_contents = Vec::new();
    let mut outputs = Vec::with_capacity(answer.outputs.len());
    for tensor in &answer.outputs {
        if !typed {
            raw_output_contents.push(raw_bytes(tensor)?);
        }
        outputs.push(InferOutputTensor {
            name: tensor.name().to_owned(),
            datatype: tensor.data().data_type().as_str().to_owned(),
            shape: wire_shape(tensor)?,
            parameters: BTreeMap::new(),
            contents: if typed { contents::write(tensor.data()) } else { None },
        });
    }
    Ok(ModelInferResponse {
        model_name: answer.model_name.clone(),
        model_version: answer.model_version.clone().unwrap_or_default(),
        id: answer.id.clone().unwrap_or_default(),
        parameters: wire_parameters(&answer.parameters),
        outputs,
        raw_output_contents,
    })
}

/// Writes a request, as a client does. Typed contents are used when asked for and when no input is `FP16`.
///
/// # Errors
/// [`WireError::Limit`] for an element that is longer than the wire can say.
pub fn write_request(
    model: &str,
    version: Option<&str>,
    ask: &Ask<'_>,
    encoding: Encoding,
) -> Result<ModelInferRequest, WireError> {
    let typed = encoding == Encoding::Json && !ask.inputs.iter().any(is_half);
    let mut raw_input_contents = Vec::new();
    let mut inputs = Vec::with_capacity(ask.inputs.len());
    for tensor in ask.inputs {
        if !typed {
            raw_input_contents.push(raw_bytes(tensor)?);
        }
        inputs.push(InferInputTensor {
            name: tensor.name().to_owned(),
            datatype: tensor.data().data_type().as_str().to_owned(),
            shape: wire_shape(tensor)?,
            parameters: BTreeMap::new(),
            contents: if typed { contents::write(tensor.data()) } else { None },
        });
    }
    let output =
        |name: &String| InferRequestedOutputTensor { name: name.clone(), parameters: BTreeMap::new() };
    Ok(ModelInferRequest {
        model_name: model.to_owned(),
        model_version: version.unwrap_or_default().to_owned(),
        id: ask.id.unwrap_or_default().to_owned(),
        parameters: wire_parameters(ask.parameters),
        inputs,
        outputs: ask.outputs.iter().map(output).collect(),
        raw_input_contents,
    })
}

/// Reads an answer, as a client does. The server is not trusted more than a caller is.
///
/// # Errors
/// [`WireError`]; its message holds names and counts, no values.
pub fn message_to_answer(message: ModelInferResponse, limits: &Limits) -> Result<Answer, WireError> {
    let raw: Vec<_> = message.outputs.into_iter().map(RawTensor::from).collect();
    Ok(Answer {
        outputs: tensors(raw, &message.raw_output_contents, limits)?,
        model_name: name(message.model_name, limits)?,
        model_version: optional(message.model_version, limits)?,
        id: optional(message.id, limits)?,
        parameters: parameters(message.parameters, limits)?,
    })
}

/// What input and output tensors of the two messages have in common.
struct RawTensor {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    parameters: BTreeMap<String, InferParameter>,
    contents: Option<InferTensorContents>,
}

impl From<InferInputTensor> for RawTensor {
    fn from(t: InferInputTensor) -> Self {
        let InferInputTensor { name, datatype, shape, parameters, contents } = t;
        Self { name, datatype, shape, parameters, contents }
    }
}

impl From<InferOutputTensor> for RawTensor {
    fn from(t: InferOutputTensor) -> Self {
        let InferOutputTensor { name, datatype, shape, parameters, contents } = t;
        Self { name, datatype, shape, parameters, contents }
    }
}

fn tensors(messages: Vec<RawTensor>, raw: &[Bytes], limits: &Limits) -> Result<Vec<Tensor>, WireError> {
    limit("tensors", messages.len(), limits.tensors)?;
    if !raw.is_empty() && raw.len() != messages.len() {
        let instead = "send one raw content for each tensor, or none and typed contents";
        return Err(WireError::Unsupported { what: "raw contents for some of the tensors only", instead });
    }
    let mut out = Vec::with_capacity(messages.len());
    let mut names = BTreeSet::new();
    let mut budget = limits.elements;
    for (i, message) in messages.into_iter().enumerate() {
        let tensor = tensor(message, raw.get(i), &mut budget, limits)?;
        if !names.insert(tensor.name().to_owned()) {
            return Err(WireError::Duplicate { what: "tensor", name: tensor.name().to_owned() });
        }
        out.push(tensor);
    }
    Ok(out)
}

fn tensor(
    message: RawTensor,
    raw: Option<&Bytes>,
    budget: &mut usize,
    limits: &Limits,
) -> Result<Tensor, WireError> {
    let name = name(message.name, limits)?;
    if parameters(message.parameters, limits)?.contains_key("shared_memory_region") {
        let instead = "send the data in the message";
        return Err(WireError::Unsupported { what: "shared memory", instead });
    }
    let Some(datatype) = DataType::parse(&message.datatype) else {
        return Err(WireError::UnknownDatatype { name });
    };
    limit("dimensions of a tensor", message.shape.len(), limits.dims.min(DIMS_MAX))?;
    let shape: Option<Vec<usize>> = message.shape.iter().map(|&d| usize::try_from(d).ok()).collect();
    let Some(shape) = shape else {
        let instead = "send the number of elements in each dimension";
        return Err(WireError::Unsupported { what: "a negative dimension", instead });
    };
    let elements = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
    *budget =
        budget.checked_sub(elements).ok_or(WireError::Limit { what: "elements", max: limits.elements })?;
    let typed = message.contents.unwrap_or_default();
    let data = match raw {
        Some(_) if contents::elements(&typed) > 0 => {
            return Err(WireError::Duplicate { what: "data of tensor", name });
        }
        Some(bytes) => binary::decode(&name, datatype, elements, bytes, limits.string_bytes)?,
        None => contents::read(&name, datatype, typed, limits.string_bytes)?,
    };
    Ok(Tensor::new(name, shape, data)?)
}

const fn is_half(tensor: &Tensor) -> bool {
    matches!(tensor.data(), TensorData::Fp16(_))
}

fn raw_bytes(tensor: &Tensor) -> Result<Bytes, WireError> {
    let mut out = Vec::new();
    binary::encode(tensor.data(), &mut out)?;
    Ok(out.into())
}

fn wire_shape(tensor: &Tensor) -> Result<Vec<i64>, WireError> {
    let sizes = tensor.shape().iter().map(|&d| i64::try_from(d));
    sizes.collect::<Result<_, _>>().map_err(|_| WireError::Limit { what: "elements", max: i64::MAX as usize })
}

fn name(text: String, limits: &Limits) -> Result<String, WireError> {
    limit("bytes in a name", text.len(), limits.name_bytes)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        let instead = "use at least one character and no control character";
        return Err(WireError::Unsupported { what: "an empty or unprintable name", instead });
    }
    Ok(text)
}

/// Empty means absent in this encoding.
fn optional(text: String, limits: &Limits) -> Result<Option<String>, WireError> {
    if text.is_empty() { Ok(None) } else { name(text, limits).map(Some) }
}

fn parameters(wire: BTreeMap<String, InferParameter>, limits: &Limits) -> Result<Params, WireError> {
    limit("parameters", wire.len(), limits.parameters)?;
    let mut out = Params::new();
    for (key, value) in wire {
        let value = match value.parameter_choice {
            None => continue,
            Some(ParameterChoice::BoolParam(v)) => Param::Bool(v),
            Some(ParameterChoice::Int64Param(v)) => Param::Int(v),
            Some(ParameterChoice::Uint64Param(v)) => i64::try_from(v).map_or(Param::Uint(v), Param::Int),
            Some(ParameterChoice::DoubleParam(v)) if v.is_finite() => Param::Double(v),
            Some(ParameterChoice::DoubleParam(_)) => {
                let instead = "send a finite number";
                return Err(WireError::Unsupported { what: "a parameter that is not finite", instead });
            }
            Some(ParameterChoice::StringParam(v)) => {
                limit("bytes in a parameter's text", v.len(), limits.string_bytes)?;
                Param::String(v)
            }
        };
        out.insert(name(key, limits)?, value);
    }
    Ok(out)
}

fn wire_parameters(parameters: &Params) -> BTreeMap<String, InferParameter> {
    let choice = |value: &Param| match value {
        Param::Bool(v) => ParameterChoice::BoolParam(*v),
        Param::Int(v) => ParameterChoice::Int64Param(*v),
        Param::Uint(v) => ParameterChoice::Uint64Param(*v),
        Param::Double(v) => ParameterChoice::DoubleParam(*v),
        Param::String(v) => ParameterChoice::StringParam(v.clone()),
    };
    let wire = |(k, v): (&String, &Param)| (k.clone(), InferParameter { parameter_choice: Some(choice(v)) });
    parameters.iter().map(wire).collect()
}

impl From<ServerMetadata> for ServerMetadataResponse {
    fn from(m: ServerMetadata) -> Self {
        Self { name: m.name, version: m.version, extensions: m.extensions }
    }
}

impl From<ServerMetadataResponse> for ServerMetadata {
    fn from(m: ServerMetadataResponse) -> Self {
        Self { name: m.name, version: m.version, extensions: m.extensions }
    }
}

impl From<ModelMetadata> for ModelMetadataResponse {
    fn from(m: ModelMetadata) -> Self {
        let spec = |t: TensorSpec| TensorMetadata { name: t.name, datatype: t.datatype, shape: t.shape };
        Self {
            name: m.name,
            versions: m.versions,
            platform: m.platform,
            inputs: m.inputs.into_iter().map(spec).collect(),
            outputs: m.outputs.into_iter().map(spec).collect(),
            properties: BTreeMap::new(),
        }
    }
}

impl From<ModelMetadataResponse> for ModelMetadata {
    fn from(m: ModelMetadataResponse) -> Self {
        let spec = |t: TensorMetadata| TensorSpec { name: t.name, datatype: t.datatype, shape: t.shape };
        Self {
            name: m.name,
            versions: m.versions,
            platform: m.platform,
            inputs: m.inputs.into_iter().map(spec).collect(),
            outputs: m.outputs.into_iter().map(spec).collect(),
        }
    }
}
