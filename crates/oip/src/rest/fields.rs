//! Names, parameters and tensors: the parts that requests and answers share.

use domain::{DataType, Tensor};

use super::data::{self, Declared, Elements};
use super::limit;
use crate::limits::{FIELDS_MAX, Limits};
use crate::message::{Param, Params};
use crate::scan::{Scan, Stop};
use crate::{WireError, binary};

/// A reader's stop, whose place in the body is still to be added, or a finished error.
pub(super) enum Trouble {
    Stop(Stop),
    Wire(WireError),
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<WireError> for Trouble {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl Trouble {
    /// The error, at `offset` of the body.
    pub(super) fn at(self, offset: usize) -> WireError {
        match self {
            Self::Stop(Stop::Syntax(expected)) => WireError::Syntax { offset, expected },
            Self::Stop(Stop::Limit(what, max)) => WireError::Limit { what, max },
            Self::Wire(error) => error,
        }
    }
}

/// Which fields of an object came already.
#[derive(Default)]
pub(super) struct Seen(u32);

impl Seen {
    /// Marks a field; twice is an error, since two readers may take different ones.
    pub(super) fn once(&mut self, known: &[&str], field: &str) -> Result<(), Trouble> {
        let Some(position) = known.iter().position(|k| *k == field) else { return Ok(()) };
        let bit = 1 << position;
        if self.0 & bit != 0 {
            return Err(WireError::Duplicate { what: "field", name: field.to_owned() }.into());
        }
        self.0 |= bit;
        Ok(())
    }
}

/// The most fields of an object, as [`Scan::object`] takes it.
pub(super) const FIELDS: (&str, usize) = ("fields of an object", FIELDS_MAX);

/// A name: bounded, not empty, without control characters, so that it can stand in a message or a log.
pub(super) fn name(scan: &mut Scan<'_>, limits: &Limits) -> Result<String, Trouble> {
    let text = scan.string("bytes in a name", limits.name_bytes)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Stop::Syntax("a name of at least one and no control character before here").into());
    }
    Ok(text.into_owned())
}

/// The request's id, or another optional text: as a name, but possibly empty or null.
pub(super) fn optional(scan: &mut Scan<'_>, limits: &Limits) -> Result<Option<String>, Trouble> {
    if scan.null() {
        return Ok(None);
    }
    let text = scan.string("bytes in a name", limits.name_bytes)?;
    if text.chars().any(char::is_control) {
        return Err(Stop::Syntax("a text without control characters before here").into());
    }
    Ok(Some(text.into_owned()))
}

/// Parameters; values that are null, an object or an array are dropped.
pub(super) fn parameters(scan: &mut Scan<'_>, limits: &Limits) -> Result<Params, Trouble> {
    let mut out = Params::new();
    if scan.null() {
        return Ok(out);
    }
    scan.object(("parameters", limits.parameters), limits.name_bytes, |scan, key| {
        if key.chars().any(char::is_control) {
            return Err(Stop::Syntax("a parameter's name without control characters").into());
        }
        if let Some(value) = parameter(scan, limits)?
            && out.insert(key.to_owned(), value).is_some()
        {
            return Err(WireError::Duplicate { what: "parameter", name: key.to_owned() }.into());
        }
        Ok::<(), Trouble>(())
    })?;
    Ok(out)
}

fn parameter(scan: &mut Scan<'_>, limits: &Limits) -> Result<Option<Param>, Trouble> {
    Ok(Some(match scan.peek() {
        b'"' => Param::String(scan.string("bytes in a parameter's text", limits.string_bytes)?.into_owned()),
        b't' | b'f' => Param::Bool(scan.boolean().ok_or(Stop::Syntax("`true` or `false`"))?),
        b'{' | b'[' | b'n' => {
            scan.skip()?;
            return Ok(None);
        }
        _ => {
            let number = scan.number()?;
            let whole = number.as_whole().map(Param::Int).or_else(|| number.as_whole().map(Param::Uint));
            let double = || number.as_f64().map(Param::Double);
            whole.or_else(double).ok_or(Stop::Syntax("a number in the range of a double before here"))?
        }
    }))
}

/// Where a tensor's elements are.
enum Source {
    /// In the JSON, read.
    Json(Elements),
    /// In the JSON, at this place, to be read when name, shape and datatype are known.
    Later(usize),
    /// Behind the JSON, so many bytes.
    Binary(usize),
}

/// A tensor whose binary data is still to be cut from behind the JSON.
pub(super) struct RawTensor {
    name: String,
    datatype: DataType,
    shape: Vec<usize>,
    source: Source,
}

const TENSOR_FIELDS: [&str; 5] = ["name", "shape", "datatype", "parameters", "data"];

/// Reads one tensor object; `budget` is what is left of the elements of the body.
pub(super) fn tensor(scan: &mut Scan<'_>, budget: &mut usize, limits: &Limits) -> Result<RawTensor, Trouble> {
    let (mut found_name, mut shape, mut datatype_name, mut source) = (None, None, None, None);
    let mut seen = Seen::default();
    scan.object(FIELDS, limits.name_bytes, |scan, field| {
        seen.once(&TENSOR_FIELDS, field)?;
        match field {
            "name" => found_name = Some(name(scan, limits)?),
            "shape" => shape = Some(dimensions(scan, limits)?),
            "datatype" => {
                datatype_name = Some(scan.string("bytes in a name", limits.name_bytes)?.into_owned())
            }
            "parameters" => {
                if let Some(bytes) = binary_size(&parameters(scan, limits)?)? {
                    two_sources(source.is_some(), found_name.as_deref())?;
                    source = Some(Source::Binary(bytes));
                }
            }
            "data" => {
                two_sources(source.is_some(), found_name.as_deref())?;
                let datatype = datatype_name.as_deref().and_then(DataType::parse);
                source = Some(match (&found_name, datatype, &shape) {
                    (Some(name), Some(datatype), Some(shape)) => {
                        Source::Json(data::read(scan, &Declared { name, datatype, shape }, *budget, limits)?)
                    }
                    _ => {
                        let at = scan.at();
                        scan.skip()?;
                        Source::Later(at)
                    }
                });
            }
            _ => scan.skip()?,
        }
        Ok::<(), Trouble>(())
    })?;
    let missing = |field, name: &Option<String>| WireError::Missing {
        field,
        place: name.as_ref().map_or_else(|| "a tensor".to_owned(), |n| format!("tensor `{n}`")),
    };
    let datatype_name = datatype_name.ok_or_else(|| missing("datatype", &found_name))?;
    let shape = shape.ok_or_else(|| missing("shape", &found_name))?;
    let source = source.ok_or_else(|| missing("data", &found_name))?;
    let name = found_name.ok_or_else(|| missing("name", &None))?;
    let datatype =
        DataType::parse(&datatype_name).ok_or_else(|| WireError::UnknownDatatype { name: name.clone() })?;
    let source = match source {
        Source::Later(at) => {
            let end = scan.at();
            scan.go(at);
            let declared = Declared { name: &name, datatype, shape: &shape };
            let elements = data::read(scan, &declared, *budget, limits)?;
            scan.go(end);
            Source::Json(elements)
        }
        other => other,
    };
    let elements = match &source {
        Source::Json(elements) => elements.data.len(),
        _ => shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX),
    };
    *budget =
        budget.checked_sub(elements).ok_or(WireError::Limit { what: "elements", max: limits.elements })?;
    Ok(RawTensor { name, datatype, shape, source })
}

/// `data` and `binary_data_size` exclude each other.
fn two_sources(already: bool, name: Option<&str>) -> Result<(), Trouble> {
    if already {
        let name = name.unwrap_or("?").to_owned();
        return Err(WireError::Duplicate { what: "data of tensor", name }.into());
    }
    Ok(())
}

/// The shape: whole numbers from 0.
fn dimensions(scan: &mut Scan<'_>, limits: &Limits) -> Result<Vec<usize>, Trouble> {
    let mut shape = Vec::new();
    let max = limits.dims.min(crate::limits::DIMS_MAX);
    scan.array("dimensions of a tensor", max, |scan| {
        let size = scan.number()?.as_whole();
        shape.push(size.ok_or(Stop::Syntax("a whole number from 0 as dimension before here"))?);
        Ok::<(), Trouble>(())
    })?;
    Ok(shape)
}

/// What the parameters of a tensor say of its data.
fn binary_size(parameters: &Params) -> Result<Option<usize>, Trouble> {
    if parameters.contains_key("shared_memory_region") {
        let instead = "send the data in the body";
        return Err(WireError::Unsupported { what: "shared memory", instead }.into());
    }
    match parameters.get("binary_data_size") {
        None => Ok(None),
        Some(Param::Int(size)) if usize::try_from(*size).is_ok() => Ok(usize::try_from(*size).ok()),
        Some(_) => Err(Stop::Syntax("a whole number from 0 as `binary_data_size` before here").into()),
    }
}

/// Makes tensors of what was read, cutting binary data from `tail` in the order of the tensors.
pub(super) fn finish(
    raw: Vec<RawTensor>,
    mut tail: &[u8],
    limits: &Limits,
) -> Result<Vec<Tensor>, WireError> {
    let mut out: Vec<Tensor> = Vec::with_capacity(raw.len());
    let mut names = std::collections::BTreeSet::new();
    for tensor in &raw {
        if !names.insert(tensor.name.as_str()) {
            return Err(WireError::Duplicate { what: "tensor", name: tensor.name.clone() });
        }
    }
    for RawTensor { name, datatype, shape, source } in raw {
        let data = match source {
            Source::Json(Elements { data, nested }) => {
                let flat = nested.len() <= 1;
                if !flat && nested != shape {
                    return Err(WireError::Nesting { name, shape });
                }
                data
            }
            Source::Binary(size) => {
                let (Some(bytes), Some(rest)) = (tail.get(..size), tail.get(size..)) else {
                    let advice = "`binary_data_size` says more than the body holds";
                    return Err(WireError::BinarySize { name, found: tail.len(), wanted: size, advice });
                };
                tail = rest;
                let elements = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
                binary::decode(&name, datatype, elements, bytes, limits.string_bytes)?
            }
            Source::Later(_) => return Err(WireError::Missing { field: "data", place: name }),
        };
        out.push(Tensor::new(name, shape, data)?);
    }
    if tail.is_empty() { Ok(out) } else { Err(WireError::HeaderLength) }
}

/// Cuts a body into its JSON text and the binary data behind it.
pub(super) fn split<'a>(
    body: &'a [u8],
    header_len: Option<usize>,
    limits: &Limits,
) -> Result<(&'a str, &'a [u8]), WireError> {
    limit("bytes in the body", body.len(), limits.body_bytes)?;
    let (json, tail) =
        body.split_at_checked(header_len.unwrap_or(body.len())).ok_or(WireError::HeaderLength)?;
    let text = std::str::from_utf8(json)
        .map_err(|e| WireError::Syntax { offset: e.valid_up_to(), expected: "text in UTF-8" })?;
    Ok((text, tail))
}
