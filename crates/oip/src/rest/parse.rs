//! Bodies into requests and answers.

use super::fields::{FIELDS, RawTensor, Seen, Trouble, finish, name, optional, parameters, split, tensor};
use crate::WireError;
use crate::limits::Limits;
use crate::message::{Answer, Call, Param, Params, RequestedOutput};
use crate::scan::{Scan, Stop};

const REQUEST_FIELDS: [&str; 4] = ["id", "parameters", "inputs", "outputs"];
const RESPONSE_FIELDS: [&str; 5] = ["model_name", "model_version", "id", "parameters", "outputs"];

/// Reads an inference request.
///
/// `header_len` is the header [`HEADER_LENGTH`](crate::HEADER_LENGTH), if the client sent one: the length of the JSON
/// part, behind which the binary tensors stand. Unknown fields are stepped over, within the limits.
///
/// # Errors
/// [`WireError`], whose message can be sent to the caller: it holds names and counts, no values.
pub fn parse_request(body: &[u8], header_len: Option<usize>, limits: &Limits) -> Result<Call, WireError> {
    let (text, tail) = split(body, header_len, limits)?;
    let mut scan = Scan::new(text);
    let head = request(&mut scan, limits).map_err(|trouble| trouble.at(scan.at()))?;
    let inputs = finish(head.inputs, tail, limits)?;
    let binary_output_default = head.binary;
    let outputs: Vec<_> = head
        .outputs
        .into_iter()
        .map(|(name, binary)| RequestedOutput { name, binary: binary.unwrap_or(binary_output_default) })
        .collect();
    let mut names = std::collections::BTreeSet::new();
    if let Some(twice) = outputs.iter().find(|o| !names.insert(o.name.as_str())) {
        return Err(WireError::Duplicate { what: "output", name: twice.name.clone() });
    }
    Ok(Call { id: head.id, inputs, outputs, binary_output_default, parameters: head.parameters })
}

/// The JSON part of a request.
struct Head {
    id: Option<String>,
    parameters: Params,
    binary: bool,
    inputs: Vec<RawTensor>,
    outputs: Vec<(String, Option<bool>)>,
}

fn request(scan: &mut Scan<'_>, limits: &Limits) -> Result<Head, Trouble> {
    let mut head =
        Head { id: None, parameters: Params::new(), binary: false, inputs: Vec::new(), outputs: Vec::new() };
    let mut found = false;
    let mut budget = limits.elements;
    let mut seen = Seen::default();
    scan.object(FIELDS, limits.name_bytes, |scan, field| {
        seen.once(&REQUEST_FIELDS, field)?;
        match field {
            "id" => head.id = optional(scan, limits)?,
            "parameters" => head.parameters = parameters(scan, limits)?,
            "inputs" => {
                found = true;
                scan.array("tensors", limits.tensors, |scan| {
                    head.inputs.push(tensor(scan, &mut budget, limits)?);
                    Ok::<(), Trouble>(())
                })?;
            }
            "outputs" if scan.null() => {}
            "outputs" => scan.array("outputs", limits.tensors, |scan| {
                head.outputs.push(output(scan, limits)?);
                Ok::<(), Trouble>(())
            })?,
            _ => scan.skip()?,
        }
        Ok::<(), Trouble>(())
    })?;
    scan.end()?;
    if !found {
        return Err(WireError::Missing { field: "inputs", place: "the request".to_owned() }.into());
    }
    head.binary = match head.parameters.remove("binary_data_output") {
        None => false,
        Some(Param::Bool(binary)) => binary,
        Some(_) => return Err(Stop::Syntax("true or false as `binary_data_output` before here").into()),
    };
    Ok(head)
}

/// One requested output: its name, and whether it is wanted as binary data if it says so.
fn output(scan: &mut Scan<'_>, limits: &Limits) -> Result<(String, Option<bool>), Trouble> {
    let (mut found, mut wish) = (None, Params::new());
    let mut seen = Seen::default();
    scan.object(FIELDS, limits.name_bytes, |scan, field| {
        seen.once(&["name", "parameters"], field)?;
        match field {
            "name" => found = Some(name(scan, limits)?),
            "parameters" => wish = parameters(scan, limits)?,
            _ => scan.skip()?,
        }
        Ok::<(), Trouble>(())
    })?;
    let Some(found) = found else {
        return Err(WireError::Missing { field: "name", place: "an output".to_owned() }.into());
    };
    Ok((found, output_wish(&wish)?))
}

/// What the parameters of a requested output say: `binary_data`, or an extension that is not spoken here, which must
/// not be passed over since the answer would mean something else.
pub(crate) fn output_wish(parameters: &Params) -> Result<Option<bool>, WireError> {
    if parameters.get("classification").is_some_and(|p| !matches!(p, Param::Int(0))) {
        let instead = "ask for the whole output and pick the classes yourself";
        return Err(WireError::Unsupported { what: "the classification extension", instead });
    }
    if parameters.contains_key("shared_memory_region") {
        return Err(WireError::Unsupported { what: "shared memory", instead: "take the data from the body" });
    }
    match parameters.get("binary_data") {
        None => Ok(None),
        Some(Param::Bool(binary)) => Ok(Some(*binary)),
        Some(_) => Err(WireError::Unsupported {
            what: "`binary_data` with a value that is not true or false",
            instead: "send true or false",
        }),
    }
}

/// Reads an answer, as a client does. The server is not trusted more than a caller is.
///
/// # Errors
/// [`WireError`]; its message holds names and counts, no values.
pub fn parse_response(body: &[u8], header_len: Option<usize>, limits: &Limits) -> Result<Answer, WireError> {
    let (text, tail) = split(body, header_len, limits)?;
    let mut scan = Scan::new(text);
    let (mut answer, raw) = response(&mut scan, limits).map_err(|trouble| trouble.at(scan.at()))?;
    answer.outputs = finish(raw, tail, limits)?;
    Ok(answer)
}

fn response(scan: &mut Scan<'_>, limits: &Limits) -> Result<(Answer, Vec<RawTensor>), Trouble> {
    let mut answer = Answer {
        model_name: String::new(),
        model_version: None,
        id: None,
        parameters: Params::new(),
        outputs: Vec::new(),
    };
    let mut outputs = Vec::new();
    let mut found = false;
    let mut budget = limits.elements;
    let mut seen = Seen::default();
    scan.object(FIELDS, limits.name_bytes, |scan, field| {
        seen.once(&RESPONSE_FIELDS, field)?;
        match field {
            "model_name" => answer.model_name = name(scan, limits)?,
            "model_version" => answer.model_version = optional(scan, limits)?,
            "id" => answer.id = optional(scan, limits)?,
            "parameters" => answer.parameters = parameters(scan, limits)?,
            "outputs" => {
                found = true;
                scan.array("tensors", limits.tensors, |scan| {
                    outputs.push(tensor(scan, &mut budget, limits)?);
                    Ok::<(), Trouble>(())
                })?;
            }
            _ => scan.skip()?,
        }
        Ok::<(), Trouble>(())
    })?;
    scan.end()?;
    if !found {
        return Err(WireError::Missing { field: "outputs", place: "the answer".to_owned() }.into());
    }
    Ok((answer, outputs))
}
