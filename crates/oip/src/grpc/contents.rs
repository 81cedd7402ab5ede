//! Typed contents: elements in the repeated field of their type.

use bytes::Bytes;
use domain::{DataType, TensorData};

use super::proto::InferTensorContents;
use crate::WireError;

/// Elements out of the field that fits `datatype`; the other fields must be empty.
///
/// # Errors
/// [`WireError::Element`] for a number that the datatype cannot hold, [`WireError::Limit`], and
/// [`WireError::Unsupported`] for `FP16`, which has no field.
pub(super) fn read(
    name: &str,
    datatype: DataType,
    contents: InferTensorContents,
    string_bytes_max: usize,
) -> Result<TensorData, WireError> {
    let wrong = |index| WireError::Element { name: name.to_owned(), index, datatype };
    macro_rules! narrow {
        ($variant:ident, $field:ident) => {{
            let each = contents.$field.iter().enumerate();
            let narrow = each.map(|(i, &x)| x.try_into().map_err(|_| wrong(i)));
            TensorData::$variant(narrow.collect::<Result<_, _>>()?)
        }};
    }
    // All elements, wherever they are: those outside the right field are elements of the wrong type.
    let all = elements(&contents);
    let data = match datatype {
        DataType::Bool => TensorData::Bool(contents.bool_contents),
        DataType::Int8 => narrow!(Int8, int_contents),
        DataType::Int16 => narrow!(Int16, int_contents),
        DataType::Int32 => TensorData::Int32(contents.int_contents),
        DataType::Int64 => TensorData::Int64(contents.int64_contents),
        DataType::Uint8 => narrow!(Uint8, uint_contents),
        DataType::Uint16 => narrow!(Uint16, uint_contents),
        DataType::Uint32 => TensorData::Uint32(contents.uint_contents),
        DataType::Uint64 => TensorData::Uint64(contents.uint64_contents),
        DataType::Fp32 => TensorData::Fp32(contents.fp32_contents),
        DataType::Fp64 => TensorData::Fp64(contents.fp64_contents),
        DataType::Fp16 => {
            let instead = "send raw_input_contents";
            return Err(WireError::Unsupported { what: "FP16 in typed contents", instead });
        }
        DataType::Bytes => {
            if contents.bytes_contents.iter().any(|e| e.len() > string_bytes_max) {
                return Err(WireError::Limit { what: "bytes in a `BYTES` element", max: string_bytes_max });
            }
            TensorData::Bytes(contents.bytes_contents.into_iter().map(Vec::from).collect())
        }
    };
    if data.len() == all { Ok(data) } else { Err(wrong(data.len())) }
}

/// Elements in all fields together.
pub(super) fn elements(contents: &InferTensorContents) -> usize {
    let InferTensorContents {
        bool_contents,
        int_contents,
        int64_contents,
        uint_contents,
        uint64_contents,
        fp32_contents,
        fp64_contents,
        bytes_contents,
    } = contents;
    bool_contents.len()
        + int_contents.len()
        + int64_contents.len()
        + uint_contents.len()
        + uint64_contents.len()
        + fp32_contents.len()
        + fp64_contents.len()
        + bytes_contents.len()
}

/// Elements into the field of their type; `None` for `FP16`, which has none.
pub(super) fn write(data: &TensorData) -> Option<InferTensorContents> {
    let mut out = InferTensorContents::default();
    match data {
        TensorData::Bool(v) => out.bool_contents.clone_from(v),
        TensorData::Uint8(v) => out.uint_contents = v.iter().map(|&x| x.into()).collect(),
        TensorData::Uint16(v) => out.uint_contents = v.iter().map(|&x| x.into()).collect(),
        TensorData::Uint32(v) => out.uint_contents.clone_from(v),
        TensorData::Uint64(v) => out.uint64_contents.clone_from(v),
        TensorData::Int8(v) => out.int_contents = v.iter().map(|&x| x.into()).collect(),
        TensorData::Int16(v) => out.int_contents = v.iter().map(|&x| x.into()).collect(),
        TensorData::Int32(v) => out.int_contents.clone_from(v),
        TensorData::Int64(v) => out.int64_contents.clone_from(v),
        TensorData::Fp16(_) => return None,
        TensorData::Fp32(v) => out.fp32_contents.clone_from(v),
        TensorData::Fp64(v) => out.fp64_contents.clone_from(v),
        TensorData::Bytes(v) => out.bytes_contents = v.iter().map(|e| Bytes::copy_from_slice(e)).collect(),
    }
    Some(out)
}
