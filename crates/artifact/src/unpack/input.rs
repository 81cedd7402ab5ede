//! Compressed bytes as a reader that says how far it was read, and the inflate loop.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use crate::{Range, Source};

/// Bytes read from the source at once.
const STEP: usize = 64 * 1024;

/// How far an [`Input`] was read; stays valid while a decoder owns it.
#[derive(Clone)]
pub(crate) struct Position(Arc<AtomicU64>);

impl Position {
    /// A decoder gives back bytes that it read ahead, and reads no more.
    pub(crate) fn back(&self, bytes: u64) {
        let now = self.get();
        self.0.store(now.saturating_sub(bytes), Ordering::Relaxed);
    }

    /// Position in the source of the next byte.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A source from some byte on, as a reader.
pub(crate) struct Input<'a> {
    raw: Range<'a>,
    /// Position in the source of the end of `buffer`.
    end: u64,
    buffer: Vec<u8>,
    used: usize,
    position: Position,
}

impl<'a> Input<'a> {
    /// From byte `at` on.
    pub(crate) fn new(raw: Range<'a>, at: u64) -> Self {
        Self { raw, end: at, buffer: Vec::new(), used: 0, position: Position(Arc::new(AtomicU64::new(at))) }
    }

    /// How far it was read.
    pub(crate) fn position(&self) -> Position {
        self.position.clone()
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.buffer.len() {
            self.used = 0;
            let left = usize::try_from(self.raw.len().saturating_sub(self.end)).unwrap_or(usize::MAX);
            self.buffer.resize(left.min(STEP), 0);
            let n =
                self.raw.read_at(self.end, &mut self.buffer).map_err(|e| io::Error::other(e.to_string()))?;
            self.buffer.truncate(n);
            self.end += n as u64;
        }
        Ok(&self.buffer[self.used..])
    }

    fn consume(&mut self, n: usize) {
        let n = n.min(self.buffer.len() - self.used);
        self.used += n;
        self.position.0.fetch_add(n as u64, Ordering::Relaxed);
    }
}

impl Read for Input<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let held = self.fill_buf()?;
        let n = held.len().min(into.len());
        into[..n].copy_from_slice(&held[..n]);
        self.consume(n);
        Ok(n)
    }
}

/// Inflates one deflate or zlib stream. Unlike flate2's own reader it says when the stream ends before its end.
pub(crate) struct Inflate<'a> {
    input: Input<'a>,
    state: Decompress,
    done: bool,
}

impl<'a> Inflate<'a> {
    /// Raw deflate.
    pub(crate) fn raw(input: Input<'a>) -> Self {
        Self { input, state: Decompress::new(false), done: false }
    }

    /// In a zlib wrapper, whose checksum is checked.
    pub(crate) fn zlib(input: Input<'a>) -> Self {
        Self { input, state: Decompress::new(true), done: false }
    }
}

impl Read for Inflate<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.done && !into.is_empty() {
            let held = self.input.fill_buf()?;
            let end = held.is_empty();
            let (ins, outs) = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(held, into, FlushDecompress::None).map_err(io::Error::from)?;
            let taken = usize::try_from(self.state.total_in() - ins).unwrap_or(usize::MAX);
            let given = usize::try_from(self.state.total_out() - outs).unwrap_or(usize::MAX).min(into.len());
            self.input.consume(taken);
            self.done = status == Status::StreamEnd;
            if given > 0 {
                return Ok(given);
            }
            if end && !self.done {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the compressed stream is cut off"));
            }
        }
        Ok(0)
    }
}

/// Longest field of a gzip header (name, comment, extra), bytes.
const GZIP_FIELD_MAX: usize = 64 * 1024;

/// One gzip member (RFC 1952), its checksum and length checked.
pub(crate) struct Gzip<'a> {
    inflate: Inflate<'a>,
    crc: Crc,
    checked: bool,
}

impl<'a> Gzip<'a> {
    /// Reads the header.
    pub(crate) fn new(mut input: Input<'a>) -> io::Result<Self> {
        let mut head = [0; 10];
        input.read_exact(&mut head)?;
        let flags = head[3];
        if head[..3] != [0x1f, 0x8b, 8] || flags & 0xe0 != 0 {
            return Err(io::Error::other("the header of the gzip member is not valid"));
        }
        if flags & 4 != 0 {
            let mut length = [0; 2];
            input.read_exact(&mut length)?;
            let mut extra = vec![0; usize::from(u16::from_le_bytes(length))];
            input.read_exact(&mut extra)?;
        }
        for bit in [8, 16] {
            if flags & bit != 0 {
                skip_text(&mut input)?;
            }
        }
        if flags & 2 != 0 {
            input.read_exact(&mut [0; 2])?;
        }
        Ok(Self { inflate: Inflate::raw(input), crc: Crc::new(), checked: false })
    }
}

fn skip_text(input: &mut Input<'_>) -> io::Result<()> {
    for _ in 0..GZIP_FIELD_MAX {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        if byte[0] == 0 {
            return Ok(());
        }
    }
    Err(io::Error::other("a text of the gzip header is longer than 64 KiB"))
}

impl Read for Gzip<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.inflate.read(into)?;
        self.crc.update(&into[..n]);
        if n == 0 && !into.is_empty() && !self.checked {
            self.checked = true;
            let mut tail = [0; 8];
            self.inflate.input.read_exact(&mut tail)?;
            let [c0, c1, c2, c3, l0, l1, l2, l3] = tail;
            if u32::from_le_bytes([c0, c1, c2, c3]) != self.crc.sum()
                || u32::from_le_bytes([l0, l1, l2, l3]) != self.crc.amount()
            {
                return Err(io::Error::other("the checksum of the gzip member is wrong"));
            }
        }
        Ok(n)
    }
}
