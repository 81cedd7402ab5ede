//! Tensor elements as bytes: little-endian, row-major, without padding. `BYTES` elements carry a four-byte length in
//! front. The binary tensor extension of REST and the raw contents of gRPC are laid out the same.

use domain::{DataType, TensorData};

use crate::{WireError, half};

/// Bytes that `data` takes.
pub(crate) fn encoded_len(data: &TensorData) -> usize {
    match (data, data.data_type().size_bytes()) {
        (TensorData::Bytes(v), _) => v.iter().map(|e| e.len() + 4).sum(),
        (_, size) => data.len() * size.unwrap_or(0),
    }
}

/// Appends `data`.
///
/// # Errors
/// [`WireError::Limit`] for a `BYTES` element longer than its four-byte length can say.
pub(crate) fn encode(data: &TensorData, out: &mut Vec<u8>) -> Result<(), WireError> {
    macro_rules! little_endian {
        ($values:expr) => {
            $values.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()))
        };
    }
    out.reserve(encoded_len(data));
    match data {
        TensorData::Bool(v) => out.extend(v.iter().map(|&x| u8::from(x))),
        TensorData::Uint8(v) => out.extend_from_slice(v),
        TensorData::Uint16(v) => little_endian!(v),
        TensorData::Uint32(v) => little_endian!(v),
        TensorData::Uint64(v) => little_endian!(v),
        TensorData::Int8(v) => little_endian!(v),
        TensorData::Int16(v) => little_endian!(v),
        TensorData::Int32(v) => little_endian!(v),
        TensorData::Int64(v) => little_endian!(v),
        TensorData::Fp16(v) => {
            v.iter().for_each(|&x| out.extend_from_slice(&half::from_f32(x).to_le_bytes()))
        }
        TensorData::Fp32(v) => little_endian!(v),
        TensorData::Fp64(v) => little_endian!(v),
        TensorData::Bytes(v) => {
            for element in v {
                let len = u32::try_from(element.len()).map_err(|_| WireError::Limit {
                    what: "bytes in a `BYTES` element",
                    max: u32::MAX as usize,
                })?;
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(element);
            }
        }
    }
    Ok(())
}

/// Reads `elements` elements of tensor `name`, which must fill `bytes` to the end.
///
/// # Errors
/// [`WireError::BinarySize`], [`WireError::Element`], [`WireError::Limit`].
pub(crate) fn decode(
    name: &str,
    datatype: DataType,
    elements: usize,
    bytes: &[u8],
    string_bytes_max: usize,
) -> Result<TensorData, WireError> {
    if let Some(size) = datatype.size_bytes() {
        let wanted = elements.saturating_mul(size);
        if bytes.len() != wanted {
            let advice = "send shape times the size of the datatype";
            return Err(WireError::BinarySize { name: name.to_owned(), found: bytes.len(), wanted, advice });
        }
    }
    macro_rules! little_endian {
        ($variant:ident, $type:ty) => {{
            let (chunks, _) = bytes.as_chunks();
            TensorData::$variant(chunks.iter().map(|&c| <$type>::from_le_bytes(c)).collect())
        }};
    }
    Ok(match datatype {
        DataType::Bool => TensorData::Bool(booleans(name, bytes)?),
        DataType::Uint8 => TensorData::Uint8(bytes.to_vec()),
        DataType::Uint16 => little_endian!(Uint16, u16),
        DataType::Uint32 => little_endian!(Uint32, u32),
        DataType::Uint64 => little_endian!(Uint64, u64),
        DataType::Int8 => little_endian!(Int8, i8),
        DataType::Int16 => little_endian!(Int16, i16),
        DataType::Int32 => little_endian!(Int32, i32),
        DataType::Int64 => little_endian!(Int64, i64),
        DataType::Fp16 => {
            let (chunks, _) = bytes.as_chunks();
            TensorData::Fp16(chunks.iter().map(|&c| half::to_f32(u16::from_le_bytes(c))).collect())
        }
        DataType::Fp32 => little_endian!(Fp32, f32),
        DataType::Fp64 => little_endian!(Fp64, f64),
        DataType::Bytes => TensorData::Bytes(strings(name, elements, bytes, string_bytes_max)?),
    })
}

/// One byte each, 0 or 1. Others are refused: readers do not agree on what they mean.
fn booleans(name: &str, bytes: &[u8]) -> Result<Vec<bool>, WireError> {
    if let Some(index) = bytes.iter().position(|&b| b > 1) {
        return Err(WireError::Element { name: name.to_owned(), index, datatype: DataType::Bool });
    }
    Ok(bytes.iter().map(|&b| b == 1).collect())
}

/// `BYTES` elements with their lengths in front.
fn strings(name: &str, elements: usize, bytes: &[u8], bytes_max: usize) -> Result<Vec<Vec<u8>>, WireError> {
    let wrong = |wanted: usize| WireError::BinarySize {
        name: name.to_owned(),
        found: bytes.len(),
        wanted,
        advice: "put the length of each element in front of it as four bytes, little-endian",
    };
    // Each element takes at least its length, so the vector cannot outgrow the body by more than its own overhead.
    if elements > bytes.len() / 4 {
        return Err(wrong(elements.saturating_mul(4)));
    }
    let mut out = Vec::with_capacity(elements);
    let mut at = 0_usize;
    for _ in 0..elements {
        let Some((head, rest)) = bytes.get(at..).and_then(<[u8]>::split_first_chunk::<4>) else {
            return Err(wrong(at.saturating_add(4)));
        };
        let len = u32::from_le_bytes(*head) as usize;
        if len > bytes_max {
            return Err(WireError::Limit { what: "bytes in a `BYTES` element", max: bytes_max });
        }
        let element = rest.get(..len).ok_or_else(|| wrong(at.saturating_add(4).saturating_add(len)))?;
        out.push(element.to_vec());
        at += 4 + len;
    }
    if at == bytes.len() { Ok(out) } else { Err(wrong(at)) }
}
