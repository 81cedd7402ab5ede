//! Protocol buffers on the wire: fields of a message, one after the other, without a schema.

use std::borrow::Cow;

use crate::{Cursor, Range, ReadError, Source};

/// Messages up to this length are loaded before they are walked, larger ones are read in stretches, bytes.
const LOAD_BYTES_MAX: u64 = 1 << 20;

/// Why the bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProtoError {
    /// A field that runs over the end, or a number longer than 10 bytes.
    #[error("broken protobuf field at byte {at}")]
    Broken {
        /// Where the field starts.
        at: u64,
    },
    /// The bytes could not be had.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1, eight bytes, little-endian.
    Fixed64(u64),
    /// Wire type 2: a string, bytes, a message, packed numbers.
    Bytes {
        /// First byte, counted from the start of the walked source.
        at: u64,
        /// Length, bytes.
        length: u64,
    },
    /// Wire type 5, four bytes, little-endian.
    Fixed32(u32),
}

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its number in the schema.
    pub(crate) number: u32,
    /// Its content.
    pub(crate) payload: Payload,
}

impl Field {
    /// The number when it is a varint.
    pub(crate) fn varint(&self) -> Option<u64> {
        match self.payload {
            Payload::Varint(n) => Some(n),
            _ => None,
        }
    }
}

/// A message: a stretch of a source.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    source: &'a dyn Source,
    memory: Option<&'a [u8]>,
    /// Where the stretch begins in the file, for messages to people.
    pub(crate) base: u64,
}

impl<'a> Message<'a> {
    /// A whole source as a message. `base` is its place in the file.
    pub(crate) fn new(source: &'a dyn Source, base: u64) -> Self {
        Self { source, memory: source.in_memory(), base }
    }

    /// Its length, bytes.
    pub(crate) fn len(&self) -> u64 {
        self.memory.map_or_else(|| self.source.len(), |m| m.len() as u64)
    }

    /// Its fields, in order. Stops at the first that is broken.
    pub(crate) fn fields(&self) -> Fields<'a> {
        Fields {
            memory: self.memory,
            cursor: Cursor::new(self.source, 0),
            end: self.len(),
            at: 0,
            failed: false,
        }
    }

    /// Runs `with` on the bytes of a field as a message. Small ones are loaded first.
    ///
    /// # Errors
    /// [`ProtoError::Read`].
    pub(crate) fn open<R>(
        &self,
        field: &Field,
        with: impl FnOnce(Message<'_>) -> R,
    ) -> Result<Option<R>, ProtoError> {
        let Payload::Bytes { at, length } = field.payload else { return Ok(None) };
        let base = self.base.saturating_add(at);
        if let Some(memory) = self.memory {
            let bytes: &[u8] = slice(memory, at, length);
            return Ok(Some(with(Message { source: &bytes, memory: Some(bytes), base })));
        }
        if length <= LOAD_BYTES_MAX {
            let bytes = self.source.bytes(at, length, LOAD_BYTES_MAX)?.into_owned();
            return Ok(Some(with(Message { source: &bytes, memory: Some(&bytes), base })));
        }
        let range = Range::new(self.source, at, length);
        Ok(Some(with(Message { source: &range, memory: None, base })))
    }

    /// The bytes of a field as a source of their own, from its first byte on.
    pub(crate) fn range(&self, field: &Field) -> Range<'_> {
        match field.payload {
            Payload::Bytes { at, length } => Range::new(self.source, at, length),
            _ => Range::new(self.source, 0, 0),
        }
    }

    /// The bytes of a field, at most `most` of them.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(crate) fn bytes(&self, field: &Field, most: u64) -> Result<Cow<'a, [u8]>, ReadError> {
        match field.payload {
            Payload::Bytes { at, length } => match self.memory {
                Some(memory) => Ok(Cow::Borrowed(slice(memory, at, length.min(most)))),
                None => self.source.bytes(at, length.min(most), most),
            },
            _ => Ok(Cow::Borrowed(&[])),
        }
    }

    /// The text of a field, at most `most` bytes of it, broken UTF-8 replaced.
    pub(crate) fn text(&self, field: &Field, most: u64) -> String {
        self.bytes(field, most).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// The numbers of a repeated varint field: one unpacked, or all packed. At most `most`.
    pub(crate) fn varints(&self, field: &Field, most: usize) -> Vec<u64> {
        match field.payload {
            Payload::Varint(n) => vec![n],
            Payload::Bytes { length, .. } => {
                let wanted = (most as u64).saturating_mul(10).min(length);
                let bytes = self.bytes(field, wanted).unwrap_or_default();
                let mut rest: &[u8] = &bytes;
                let mut numbers = Vec::new();
                while let (true, Some((n, used))) = (numbers.len() < most, varint(rest)) {
                    numbers.push(n);
                    rest = rest.get(used..).unwrap_or_default();
                }
                numbers
            }
            _ => Vec::new(),
        }
    }
}

fn slice(memory: &[u8], at: u64, length: u64) -> &[u8] {
    let from = usize::try_from(at).unwrap_or(usize::MAX).min(memory.len());
    let to = usize::try_from(at.saturating_add(length)).unwrap_or(usize::MAX).min(memory.len());
    memory.get(from..to).unwrap_or_default()
}

/// The number at the start of `bytes`, and how many bytes it takes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

/// Iterator over the fields of a message.
pub(crate) struct Fields<'a> {
    memory: Option<&'a [u8]>,
    cursor: Cursor<'a>,
    end: u64,
    at: u64,
    failed: bool,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ProtoError> {
        let mut out = [0; N];
        if let Some(memory) = self.memory {
            let from = slice(memory, self.at, N as u64);
            if from.len() < N {
                return Err(ProtoError::Broken { at: self.at });
            }
            out.copy_from_slice(from);
        } else {
            self.cursor.seek(self.at);
            out = self.cursor.array::<N>().map_err(|_| ProtoError::Broken { at: self.at })?;
        }
        self.at += N as u64;
        Ok(out)
    }

    fn number(&mut self) -> Result<u64, ProtoError> {
        let start = self.at;
        if let Some(memory) = self.memory {
            let (value, used) = varint(slice(memory, start, 10)).ok_or(ProtoError::Broken { at: start })?;
            self.at += used as u64;
            return Ok(value);
        }
        let mut value = 0u64;
        for i in 0..10u32 {
            let [byte] = self.take::<1>()?;
            value |= u64::from(byte & 0x7f).checked_shl(7 * i).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtoError::Broken { at: start })
    }

    fn field(&mut self) -> Result<Field, ProtoError> {
        let start = self.at;
        let broken = ProtoError::Broken { at: start };
        let tag = self.number()?;
        let number = u32::try_from(tag >> 3).ok().filter(|n| (1..1 << 29).contains(n));
        let Some(number) = number else { return Err(broken) };
        let payload = match tag & 7 {
            0 => Payload::Varint(self.number()?),
            1 => Payload::Fixed64(u64::from_le_bytes(self.take()?)),
            2 => {
                let length = self.number()?;
                let at = self.at;
                if length > self.end.saturating_sub(at) {
                    return Err(broken);
                }
                self.at += length;
                Payload::Bytes { at, length }
            }
            5 => Payload::Fixed32(u32::from_le_bytes(self.take()?)),
            _ => return Err(broken),
        };
        Ok(Field { number, payload })
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<Field, ProtoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.at >= self.end {
            return None;
        }
        let field = self.field();
        self.failed = field.is_err();
        Some(field)
    }
}

#[cfg(test)]
pub(crate) mod build {
    //! Messages made in tests.

    /// A number as a varint.
    pub(crate) fn varint(mut n: u64) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let low = (n & 0x7f) as u8;
            n >>= 7;
            out.push(if n == 0 { low } else { low | 0x80 });
            if n == 0 {
                return out;
            }
        }
    }

    /// A varint field.
    pub(crate) fn int(number: u32, value: u64) -> Vec<u8> {
        [varint(u64::from(number) << 3), varint(value)].concat()
    }

    /// A field of bytes.
    pub(crate) fn bytes(number: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
        let content = content.as_ref();
        [varint(u64::from(number) << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
    }

    /// A message field of parts.
    pub(crate) fn message(number: u32, parts: &[Vec<u8>]) -> Vec<u8> {
        bytes(number, parts.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct File(Vec<u8>);

    impl Source for File {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
            self.0.as_slice().read_at(at, into)
        }
    }

    #[test]
    fn memory_and_file_read_the_same() {
        let big = vec![7; LOAD_BYTES_MAX as usize + 1];
        let bytes =
            [build::int(1, 300), build::message(7, &[build::bytes(2, b"abc"), build::bytes(9, &big)])]
                .concat();
        let file = File(bytes.clone());
        for source in [&file as &dyn Source, &bytes] {
            let message = Message::new(source, 0);
            let fields: Vec<Field> = message.fields().collect::<Result<_, _>>().unwrap();
            assert_eq!(fields[0].varint(), Some(300));
            let inner = message.open(&fields[1], |m| {
                let inner: Vec<Field> = m.fields().collect::<Result<_, _>>().unwrap();
                (m.text(&inner[0], 10), m.range(&inner[1]).len())
            });
            assert_eq!(inner.unwrap().unwrap(), ("abc".to_owned(), big.len() as u64));
        }
    }

    #[test]
    fn a_field_over_the_end_is_broken() {
        let bytes = [0x0a, 5, 1, 2].as_slice();
        assert!(Message::new(&bytes, 0).fields().next().unwrap().is_err());
        let endless = [0xffu8; 11].as_slice();
        assert!(Message::new(&endless, 0).fields().next().unwrap().is_err());
    }
}
