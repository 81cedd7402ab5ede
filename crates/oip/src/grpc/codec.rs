//! A protobuf codec that looks at a message's outline before it is decoded.
//!
//! An empty tensor takes two bytes on the wire and some two hundred in memory, so a message within the limit on bytes
//! could ask for a hundred times as much. The outline, the top-level fields, is walked first and refused when it holds
//! more of them than any request needs.

use std::marker::PhantomData;

use bytes::Buf as _;
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstCodec;

use crate::WireError;
use crate::limits::Limits;

/// As [`ProstCodec`], with the outline of each message checked against the default [`Limits`] before decoding.
pub struct BoundedCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(PhantomData)
    }
}

/// The decoding half of [`BoundedCodec`].
pub struct BoundedDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = source.copy_to_bytes(source.remaining());
        scan_fields(&bytes, &Limits::default()).map_err(|e| Status::invalid_argument(e.to_string()))?;
        let message = U::decode(bytes);
        message.map(Some).map_err(|_| Status::invalid_argument("message is not protobuf of this service"))
    }
}

/// Walks the top-level fields of a protobuf message (wire format: varint 0, 64-bit 1, length-delimited 2, 32-bit 5).
///
/// # Errors
/// [`WireError::Limit`] for more fields than three times the tensors and the parameters need, [`WireError::Syntax`]
/// for what is no protobuf.
pub fn scan_fields(bytes: &[u8], limits: &Limits) -> Result<(), WireError> {
    // Tensors, requested outputs and raw contents; parameters; names.
    let max = limits.tensors.saturating_mul(3).saturating_add(limits.parameters).saturating_add(8);
    let mut rest = bytes;
    let wrong = |rest: &[u8]| WireError::Syntax { offset: bytes.len() - rest.len(), expected: "protobuf" };
    for _ in 0..max {
        if rest.is_empty() {
            return Ok(());
        }
        let tag = varint(&mut rest).ok_or_else(|| wrong(rest))?;
        let skip = match tag & 7 {
            0 => varint(&mut rest).map(|_| 0),
            1 => Some(8),
            2 => varint(&mut rest).and_then(|n| usize::try_from(n).ok()),
            5 => Some(4),
            _ => None,
        };
        rest = skip.and_then(|n| rest.get(n..)).ok_or_else(|| wrong(rest))?;
    }
    if rest.is_empty() { Ok(()) } else { Err(WireError::Limit { what: "fields in the message", max }) }
}

/// A base-128 number of at most ten bytes.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
