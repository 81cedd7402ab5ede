//! A bounded reader of the protocol buffer wire format that borrows from the file.
//!
//! Hand-written rather than generated: nothing is allocated from a declared length, only slices of bytes that are
//! there are handed out, and there is no recursion (each message type is read by its own flat loop).
//! Source: protobuf.dev, "Encoding".

use crate::error::LoadError;

/// One field's value as it is on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Reads the fields of one message in order.
#[derive(Debug, Clone)]
pub(crate) struct Wire<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next field number and value, or `None` at the end of the message.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, LoadError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| self.malformed("field number too large"))?;
        if number == 0 {
            return Err(self.malformed("field number 0"));
        }
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| self.malformed("length too large"))?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(self.malformed("unknown wire type")),
        };
        Ok(Some((number, field)))
    }

    fn malformed(&self, what: &'static str) -> LoadError {
        LoadError::Malformed { what, at: self.at }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], LoadError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..length).ok_or_else(|| self.malformed("field runs past the end"))?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.malformed("field runs past the end"))
    }

    fn varint(&mut self) -> Result<u64, LoadError> {
        let mut value = 0u64;
        // A varint is at most ten bytes long (64 bits, seven a byte).
        for shift in 0..10u32 {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(self.malformed("number runs past the end"));
            };
            self.at += 1;
            if shift == 9 && byte > 1 {
                return Err(self.malformed("number longer than 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << (7 * shift);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed("number longer than 64 bits"))
    }
}

impl<'a> Field<'a> {
    fn wrong<T>(what: &'static str) -> Result<T, LoadError> {
        Err(LoadError::Malformed { what, at: 0 })
    }

    pub(crate) fn bytes(self) -> Result<&'a [u8], LoadError> {
        match self {
            Field::Bytes(bytes) => Ok(bytes),
            _ => Self::wrong("expected bytes"),
        }
    }

    pub(crate) fn int(self) -> Result<i64, LoadError> {
        match self {
            Field::Varint(value) => Ok(value.cast_signed()),
            _ => Self::wrong("expected an integer"),
        }
    }

    pub(crate) fn float(self) -> Result<f32, LoadError> {
        match self {
            Field::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Self::wrong("expected a float"),
        }
    }

    /// A UTF-8 string of at most `max` bytes.
    pub(crate) fn text(self, max: usize) -> Result<&'a str, LoadError> {
        let bytes = self.bytes()?;
        if bytes.len() > max {
            return Err(LoadError::Limit { what: "name bytes", got: bytes.len() as u64, max: max as u64 });
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(_) => Self::wrong("text is not UTF-8"),
        }
    }

    /// Appends one integer, or a packed run of them. Memory is bounded by 8 times the bytes read.
    pub(crate) fn ints(self, out: &mut Vec<i64>) -> Result<(), LoadError> {
        match self {
            Field::Varint(value) => out.push(value.cast_signed()),
            Field::Bytes(bytes) => {
                let mut wire = Wire::new(bytes);
                while wire.at < bytes.len() {
                    out.push(wire.varint()?.cast_signed());
                }
            }
            _ => return Self::wrong("expected integers"),
        }
        Ok(())
    }

    /// Appends one float, or a packed run of them.
    pub(crate) fn floats(self, out: &mut Vec<f32>) -> Result<(), LoadError> {
        match self {
            Field::Fixed32(bits) => out.push(f32::from_bits(bits)),
            Field::Bytes(bytes) => {
                let (chunks, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return Self::wrong("packed floats cut short");
                }
                out.extend(chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)));
            }
            _ => return Self::wrong("expected floats"),
        }
        Ok(())
    }

    /// Appends one double, or a packed run of them.
    pub(crate) fn doubles(self, out: &mut Vec<f64>) -> Result<(), LoadError> {
        match self {
            Field::Fixed64(bits) => out.push(f64::from_bits(bits)),
            Field::Bytes(bytes) => {
                let (chunks, rest) = bytes.as_chunks::<8>();
                if !rest.is_empty() {
                    return Self::wrong("packed doubles cut short");
                }
                out.extend(chunks.iter().map(|chunk| f64::from_le_bytes(*chunk)));
            }
            _ => return Self::wrong("expected doubles"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_length_past_the_end_is_refused() {
        let mut wire = Wire::new(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]);
        assert!(matches!(wire.next(), Err(LoadError::Malformed { .. })));
    }

    #[test]
    fn longest_varint_is_read_and_one_more_is_refused() {
        let mut bytes = vec![0x08];
        bytes.extend([0xff; 9]);
        bytes.push(1);
        assert!(matches!(Wire::new(&bytes).next(), Ok(Some((1, Field::Varint(u64::MAX))))));
        bytes.pop();
        bytes.push(2);
        assert!(Wire::new(&bytes).next().is_err());
    }
}
