//! Bytes that somebody else opened: a file, a range of a URL, a member of an archive.

use std::borrow::Cow;

/// Why bytes could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source ended before the bytes that the format promises.
    #[error("the file ends at byte {end}, before byte {wanted}")]
    Truncated {
        /// Length of the source, bytes.
        end: u64,
        /// First byte that was not there.
        wanted: u64,
    },
    /// More was asked for than the limits allow to hold in memory.
    #[error("{wanted} bytes are more than the limit of {limit} bytes")]
    TooLarge {
        /// Bytes asked for.
        wanted: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Reading failed.
    #[error("cannot read: {0}")]
    Io(String),
}

/// Bytes that can be read at any place.
pub trait Source: Sync {
    /// Length, bytes.
    fn len(&self) -> u64;

    /// Whether there is nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `into` from byte `at` on and returns how many bytes were read: fewer than asked only at the end.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError>;

    /// The bytes, when they are in memory already.
    fn in_memory(&self) -> Option<&[u8]> {
        None
    }

    /// All bytes decoded, for sources that decode while they are read and whose bytes fit into memory: who is going to
    /// read all of it asks once, and reads the answer instead.
    fn load(&self) -> Option<Vec<u8>> {
        None
    }

    /// Whether its maker reads all of it anyway, and looks for programs in it when it is of no known format.
    fn sweeps(&self) -> bool {
        false
    }

    /// `length` bytes from `at` on, borrowed where they are in memory.
    ///
    /// # Errors
    /// [`ReadError::TooLarge`] above `limit`, [`ReadError::Truncated`] when the source ends before.
    fn bytes(&self, at: u64, length: u64, limit: u64) -> Result<Cow<'_, [u8]>, ReadError> {
        let end = at.saturating_add(length);
        if end > self.len() {
            return Err(ReadError::Truncated { end: self.len(), wanted: end.saturating_sub(1) });
        }
        if let Some(all) = self.in_memory() {
            let (from, to) = (to_usize(at)?, to_usize(end)?);
            return Ok(Cow::Borrowed(all.get(from..to).unwrap_or_default()));
        }
        if length > limit {
            return Err(ReadError::TooLarge { wanted: length, limit });
        }
        let mut buffer = vec![0; to_usize(length)?];
        let mut filled = 0;
        while filled < buffer.len() {
            let read = self.read_at(at + filled as u64, &mut buffer[filled..])?;
            if read == 0 {
                return Err(ReadError::Truncated { end: self.len(), wanted: at + filled as u64 });
            }
            filled += read;
        }
        Ok(Cow::Owned(buffer))
    }

    /// At most the first `most` bytes.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    fn head(&self, most: u64) -> Result<Cow<'_, [u8]>, ReadError> {
        let length = self.len().min(most);
        self.bytes(0, length, most)
    }

    /// At most the last `most` bytes.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    fn tail(&self, most: u64) -> Result<Cow<'_, [u8]>, ReadError> {
        let length = self.len().min(most);
        self.bytes(self.len() - length, length, most)
    }
}

fn to_usize(n: u64) -> Result<usize, ReadError> {
    usize::try_from(n).map_err(|_| ReadError::TooLarge { wanted: n, limit: usize::MAX as u64 })
}

impl Source for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(<[u8]>::len(self));
        let rest = &self[from..];
        let n = rest.len().min(into.len());
        into[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl Source for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        self.as_slice().read_at(at, into)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl Source for &[u8] {
    fn len(&self) -> u64 {
        Source::len(*self)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        (**self).read_at(at, into)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(self)
    }
}

/// A stretch of another source, without a copy: a stored member of an archive, a pickle inside a file.
#[derive(Clone, Copy)]
pub struct Range<'a> {
    source: &'a dyn Source,
    start: u64,
    length: u64,
}

impl<'a> Range<'a> {
    /// `length` bytes from `start` on, cut at the end of `source`.
    pub fn new(source: &'a dyn Source, start: u64, length: u64) -> Self {
        let start = start.min(source.len());
        Self { source, start, length: length.min(source.len() - start) }
    }

    /// All from `start` on.
    pub fn from(source: &'a dyn Source, start: u64) -> Self {
        Self::new(source, start, u64::MAX)
    }
}

impl Source for Range<'_> {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        let rest = self.length.saturating_sub(at);
        let n = usize::try_from(rest).unwrap_or(usize::MAX).min(into.len());
        if n == 0 {
            return Ok(0);
        }
        self.source.read_at(self.start + at, &mut into[..n])
    }

    fn in_memory(&self) -> Option<&[u8]> {
        let all = self.source.in_memory()?;
        let from = usize::try_from(self.start).ok()?;
        all.get(from..from + usize::try_from(self.length).ok()?)
    }
}

/// One file of a folder or archive.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    /// Path below the folder or archive, with `/`, as the container states it.
    pub name: &'a str,
    /// Its bytes.
    pub source: &'a dyn Source,
}

/// Reads a source from front to back through a small buffer, so that a large file costs no memory.
pub struct Cursor<'a> {
    source: &'a dyn Source,
    /// Position in the source of the next byte.
    at: u64,
    buffer: Vec<u8>,
    /// Position in the source of `buffer[0]`.
    start: u64,
}

/// Bytes a cursor reads at once.
const STEP: u64 = 64 * 1024;

impl<'a> Cursor<'a> {
    /// From byte `at` on.
    pub fn new(source: &'a dyn Source, at: u64) -> Self {
        Self { source, at, buffer: Vec::new(), start: at }
    }

    /// Position of the next byte.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Bytes left.
    pub fn remaining(&self) -> u64 {
        self.source.len().saturating_sub(self.at)
    }

    /// Goes to a position; past the end is allowed, reading there is not.
    pub fn seek(&mut self, at: u64) {
        self.at = at;
    }

    /// Leaves out `n` bytes.
    ///
    /// # Errors
    /// [`ReadError::Truncated`] when there are fewer.
    pub fn skip(&mut self, n: u64) -> Result<(), ReadError> {
        if n > self.remaining() {
            return Err(ReadError::Truncated { end: self.source.len(), wanted: self.at.saturating_add(n) });
        }
        self.at += n;
        Ok(())
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`ReadError::Truncated`] when there are fewer, [`ReadError::TooLarge`] above `limit`.
    pub fn take(&mut self, n: u64, limit: u64) -> Result<&[u8], ReadError> {
        if n > self.remaining() {
            return Err(ReadError::Truncated { end: self.source.len(), wanted: self.at.saturating_add(n) });
        }
        let from = self.at;
        if let Some(all) = self.source.in_memory() {
            self.at += n;
            let (from, n) = (to_usize(from)?, to_usize(n)?);
            return Ok(all.get(from..from + n).unwrap_or_default());
        }
        if n > limit {
            return Err(ReadError::TooLarge { wanted: n, limit });
        }
        let held = self.buffer.len() as u64;
        if from < self.start || from + n > self.start + held {
            let want = n.max(STEP).min(self.source.len() - from);
            self.buffer = self.source.bytes(from, want, want)?.into_owned();
            self.start = from;
        }
        self.at += n;
        let offset = to_usize(from - self.start)?;
        Ok(&self.buffer[offset..offset + to_usize(n)?])
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`ReadError::Truncated`] at the end.
    pub fn byte(&mut self) -> Result<u8, ReadError> {
        self.take(1, 1).map(|b| b[0])
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`ReadError::Truncated`] when there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64, N as u64)?);
        Ok(array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that is not in memory, and gives at most 3 bytes a read.
    struct Slow(Vec<u8>);

    impl Source for Slow {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
            let n = into.len().min(3);
            self.0.as_slice().read_at(at, &mut into[..n])
        }
    }

    #[test]
    fn slow_sources_and_memory_read_the_same() {
        let bytes: Vec<u8> = (0..=255).collect();
        let slow = Slow(bytes.clone());
        for source in [&slow as &dyn Source, &bytes] {
            let range = Range::new(source, 10, 100);
            assert_eq!(range.len(), 100);
            assert_eq!(&*range.bytes(5, 3, 3).unwrap(), &[15, 16, 17]);
            assert!(matches!(range.bytes(99, 2, 2), Err(ReadError::Truncated { .. })));
            let mut cursor = Cursor::new(&range, 0);
            assert_eq!(cursor.byte().unwrap(), 10);
            cursor.skip(9).unwrap();
            assert_eq!(cursor.array::<4>().unwrap(), [20, 21, 22, 23]);
            assert!(cursor.take(87, 1000).is_err());
            assert_eq!(cursor.take(86, 1000).unwrap().last(), Some(&109));
            assert!(cursor.byte().is_err());
        }
        assert!(matches!(slow.bytes(0, 5, 4), Err(ReadError::TooLarge { .. })));
    }
}
