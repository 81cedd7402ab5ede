//! The REST half of the protocol: JSON bodies, with tensors as JSON arrays or as binary data behind the JSON.

mod data;
mod fields;
mod parse;
mod write;

pub(crate) use parse::output_wish;
pub use parse::{parse_request, parse_response};
pub use write::{write_reply, write_request, write_response};

use crate::limits::{Limits, NAME_BYTES_MAX, STRING_BYTES_MAX};
use crate::scan::Scan;

/// The text of an error body, `{"error": "…"}`, at most [`STRING_BYTES_MAX`] bytes; `None` if it is not one.
///
/// It comes from another server and may repeat the patient's values: treat it as patient data.
pub fn parse_error(body: &[u8]) -> Option<String> {
    if body.len() > Limits::default().body_bytes {
        return None;
    }
    let mut scan = Scan::new(std::str::from_utf8(body).ok()?);
    let mut found = None;
    scan.object::<crate::scan::Stop>(("fields", crate::limits::FIELDS_MAX), NAME_BYTES_MAX, |scan, field| {
        if field == "error" && scan.peek() == b'"' {
            found = Some(scan.string("bytes in an error", STRING_BYTES_MAX)?.into_owned());
            return Ok(());
        }
        scan.skip()
    })
    .ok()?;
    found
}

/// An error body, `{"error": "…"}`, as every client of the protocol reads it.
pub fn write_error(message: &str) -> Vec<u8> {
    let mut body = b"{\"error\":".to_vec();
    write::text(message, &mut body);
    body.push(b'}');
    body
}

/// Reads the metadata of a server, from a body of at most `limits.body_bytes`.
///
/// # Errors
/// [`WireError::Limit`](crate::WireError::Limit) or [`WireError::Syntax`](crate::WireError::Syntax).
pub fn parse_server_metadata(
    body: &[u8],
    limits: &Limits,
) -> Result<crate::ServerMetadata, crate::WireError> {
    let metadata: crate::ServerMetadata = metadata(body, limits)?;
    limit("extensions", metadata.extensions.len(), limits.parameters)?;
    Ok(metadata)
}

/// Reads the metadata of a model, from a body of at most `limits.body_bytes`.
///
/// # Errors
/// [`WireError::Limit`](crate::WireError::Limit) or [`WireError::Syntax`](crate::WireError::Syntax).
pub fn parse_model_metadata(body: &[u8], limits: &Limits) -> Result<crate::ModelMetadata, crate::WireError> {
    let metadata: crate::ModelMetadata = metadata(body, limits)?;
    limit("tensors", metadata.inputs.len().max(metadata.outputs.len()), limits.tensors)?;
    for spec in metadata.inputs.iter().chain(&metadata.outputs) {
        limit("bytes in a name", spec.name.len().max(spec.datatype.len()), limits.name_bytes)?;
        limit("dimensions", spec.shape.len(), limits.dims)?;
    }
    Ok(metadata)
}

/// Reads a small JSON document; its size bounds the work.
fn metadata<T: serde::de::DeserializeOwned>(body: &[u8], limits: &Limits) -> Result<T, crate::WireError> {
    limit("bytes in the body", body.len(), limits.body_bytes)?;
    serde_json::from_slice(body)
        .map_err(|e| crate::WireError::Syntax { offset: e.column(), expected: "metadata of the protocol" })
}

/// Refuses more than `max`.
pub(crate) const fn limit(what: &'static str, found: usize, max: usize) -> Result<(), crate::WireError> {
    if found > max { Err(crate::WireError::Limit { what, max }) } else { Ok(()) }
}
