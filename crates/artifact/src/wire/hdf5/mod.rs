//! HDF5: superblocks 0 to 3, object headers 1 and 2, groups old and new, attributes, and where data lies. Enough to see
//! every name, text and address in a file, without reading the numbers.
//!
//! Source: HDF5 File Format Specification, version 3.0.

mod heap;
mod object;

use std::borrow::Cow;

use crate::{ReadError, Source};

pub(crate) use object::{Data, Link, Object};

/// First bytes of the superblock.
pub(crate) const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";
/// Largest stretch read at once, bytes: a global heap collection with one long text.
const STRETCH_BYTES_MAX: u64 = 32 << 20;

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HdfError {
    /// A structure is not what it must be.
    #[error("HDF5 {what} at byte {at} is broken or of an unknown kind")]
    Broken {
        /// Which structure.
        what: &'static str,
        /// Where.
        at: u64,
    },
    /// The bytes could not be had.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// `Err` for a structure.
fn broken<T>(what: &'static str, at: u64) -> Result<T, HdfError> {
    Err(HdfError::Broken { what, at })
}

/// A file.
pub(crate) struct File<'a> {
    source: &'a dyn Source,
    /// Where the superblock is; addresses count from here.
    pub(crate) base: u64,
    /// Bytes of an address.
    offsets: usize,
    /// Bytes of a length.
    lengths: usize,
    /// Address of the root group's object header.
    pub(crate) root: u64,
    /// First address after the file, as the superblock states.
    pub(crate) end: u64,
}

/// Where the superblock is: at 0, 512, 1024 and so on.
pub(crate) fn superblock(source: &dyn Source) -> Option<u64> {
    /// Largest user block looked behind, bytes.
    const USER_BYTES_MAX: u64 = 64 << 20;
    let mut at = 0;
    while at <= USER_BYTES_MAX && at + 8 <= source.len() {
        if source.bytes(at, 8, 8).is_ok_and(|b| &*b == SIGNATURE) {
            return Some(at);
        }
        at = if at == 0 { 512 } else { at * 2 };
    }
    None
}

impl<'a> File<'a> {
    /// Opens the file whose superblock is at `base`.
    pub(crate) fn open(source: &'a dyn Source, base: u64) -> Result<Self, HdfError> {
        let mut file = Self { source, base, offsets: 8, lengths: 8, root: 0, end: 0 };
        let head = file.read(0, 9)?.into_owned();
        match head.get(8) {
            Some(version @ (0 | 1)) => {
                let sizes = file.read(13, 2)?.into_owned();
                file.sizes(&sizes)?;
                let o = file.offsets as u64;
                let addresses = if *version == 0 { 24 } else { 28 };
                file.end = file.address_at(addresses + 2 * o)?;
                // The root entry: offset of its name, address of its header.
                file.root = file.address_at(addresses + 5 * o)?;
            }
            Some(2 | 3) => {
                let sizes = file.read(9, 2)?.into_owned();
                file.sizes(&sizes)?;
                let o = file.offsets as u64;
                file.end = file.address_at(12 + 2 * o)?;
                file.root = file.address_at(12 + 3 * o)?;
            }
            _ => return broken("superblock", base),
        }
        Ok(file)
    }

    fn sizes(&mut self, sizes: &[u8]) -> Result<(), HdfError> {
        match sizes {
            [o @ (2 | 4 | 8), l @ (2 | 4 | 8)] => {
                (self.offsets, self.lengths) = (usize::from(*o), usize::from(*l));
                Ok(())
            }
            _ => broken("superblock", self.base),
        }
    }

    /// `length` bytes from address `at` on.
    pub(crate) fn read(&self, at: u64, length: u64) -> Result<Cow<'a, [u8]>, HdfError> {
        let at = self.base.checked_add(at).ok_or(HdfError::Broken { what: "address", at })?;
        Ok(self.source.bytes(at, length, STRETCH_BYTES_MAX)?)
    }

    fn address_at(&self, at: u64) -> Result<u64, HdfError> {
        Ok(number(&self.read(at, self.offsets as u64)?, 0, self.offsets))
    }

    /// Whether an address is the one that stands for nothing.
    fn undefined(&self, address: u64) -> bool {
        address == u64::MAX >> (64 - 8 * self.offsets)
    }
}

/// `width` bytes from `at` on as a number, little-endian; missing bytes are 0.
fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    (0..width.min(8)).fold(0, |n, i| n | u64::from(bytes.get(at + i).copied().unwrap_or(0)) << (8 * i))
}

/// Fields of a structure, one after the other.
struct Fields<'b> {
    bytes: &'b [u8],
    at: usize,
    /// What is read, and where, for errors.
    what: &'static str,
    place: u64,
}

impl<'b> Fields<'b> {
    fn new(bytes: &'b [u8], what: &'static str, place: u64) -> Self {
        Self { bytes, at: 0, what, place }
    }

    fn take(&mut self, n: usize) -> Result<&'b [u8], HdfError> {
        let taken = self.at.checked_add(n).and_then(|end| self.bytes.get(self.at..end));
        let Some(taken) = taken else { return broken(self.what, self.place) };
        self.at += n;
        Ok(taken)
    }

    fn number(&mut self, width: usize) -> Result<u64, HdfError> {
        Ok(number(self.take(width)?, 0, width))
    }

    fn byte(&mut self) -> Result<u8, HdfError> {
        Ok(self.take(1)?.first().copied().unwrap_or(0))
    }

    fn signature(&mut self, wanted: &[u8]) -> Result<(), HdfError> {
        if self.take(wanted.len())? == wanted { Ok(()) } else { broken(self.what, self.place) }
    }

    /// A number as an index or length.
    fn size(&mut self, width: usize) -> Result<usize, HdfError> {
        usize::try_from(self.number(width)?).or(broken(self.what, self.place))
    }

    fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

/// Text up to the first null byte.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}
