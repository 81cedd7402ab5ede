//! Decompression of untrusted streams: every codec behind one reader, which says where the compressed bytes end.
//!
//! A decoder never trusts a stated size. It stops at the budget of the scan ([`crate::context::Budget`]), and at a ratio no ordinary
//! data has ([`packed`]).

use std::io::{self, Read};

use crate::{Range, Source};

mod input;
mod packed;

pub(crate) use input::{Inflate, Input};
pub(crate) use packed::{Packed, Pool, Stop};

/// A way to compress bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Codec {
    /// Not at all.
    Stored,
    /// Raw deflate (RFC 1951).
    Deflate,
    /// Deflate with a 64 KiB window (zip method 9).
    Deflate64,
    /// Deflate in a zlib wrapper (RFC 1950).
    Zlib,
    /// Deflate in gzip members (RFC 1952).
    Gzip,
    /// bzip2.
    Bzip2,
    /// LZMA with its 13 byte header (`.lzma`, "alone").
    Lzma,
    /// LZMA as zip stores it (method 14): version, size of the properties, properties.
    ZipLzma,
    /// LZMA as 7z stores it: properties outside of the stream, size known.
    RawLzma {
        /// Properties byte: lc, lp, pb.
        properties: u8,
        /// Size of the dictionary, bytes.
        dictionary: u32,
        /// Size of the content, bytes.
        size: u64,
    },
    /// LZMA2 as 7z stores it.
    RawLzma2 {
        /// Size of the dictionary, bytes.
        dictionary: u32,
    },
    /// xz.
    Xz,
    /// Zstandard (RFC 8878).
    Zstd,
    /// LZ4 frame.
    Lz4,
}

/// A transformation of bytes that takes none away, behind a codec (7z).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Jump addresses of a processor, by the number 7z gives it: 4 x86, 5 PowerPC, 6 IA-64, 7 ARM, 8 ARM Thumb, 9 SPARC,
    /// 10 ARM64, 11 RISC-V.
    Jumps(u8),
    /// Differences of bytes this far apart, less one.
    Delta(u8),
    /// A further codec.
    Codec(Codec),
}

/// Most filters behind one codec.
pub(crate) const FILTERS_MAX: usize = 4;

fn filtered<'a>(filter: Filter, inner: Box<dyn Read + Send + 'a>) -> io::Result<Box<dyn Read + Send + 'a>> {
    use lzma_rust2::filter::{bcj::BcjReader, delta::DeltaReader};
    Ok(match filter {
        Filter::Delta(distance) => Box::new(DeltaReader::new(inner, usize::from(distance) + 1)),
        Filter::Codec(Codec::Stored) => inner,
        Filter::Codec(_) => {
            return Err(io::Error::other("two compressions one after the other are not read"));
        }
        Filter::Jumps(4) => Box::new(BcjReader::new_x86(inner, 0)),
        Filter::Jumps(5) => Box::new(BcjReader::new_ppc(inner, 0)),
        Filter::Jumps(6) => Box::new(BcjReader::new_ia64(inner, 0)),
        Filter::Jumps(7) => Box::new(BcjReader::new_arm(inner, 0)),
        Filter::Jumps(8) => Box::new(BcjReader::new_arm_thumb(inner, 0)),
        Filter::Jumps(9) => Box::new(BcjReader::new_sparc(inner, 0)),
        Filter::Jumps(10) => Box::new(BcjReader::new_arm64(inner, 0)),
        Filter::Jumps(11) => Box::new(BcjReader::new_riscv(inner, 0)),
        Filter::Jumps(_) => return Err(io::Error::other("the filter for jumps is not known")),
    })
}

/// Largest dictionary of a decoder, KiB. Pages that are not used cost nothing.
const DICTIONARY_KIB_MAX: u32 = 160 * 1024;
/// Largest window of a Zstandard frame, bytes.
const WINDOW_MAX: u64 = 32 << 20;
/// Streams one after the other in one file (blocked gzip writes one per 64 KiB).
const FRAMES_MAX: u32 = 1 << 20;

impl Codec {
    /// Whether `head` begins like a stream of this codec.
    pub(crate) fn begins(self, head: &[u8]) -> bool {
        match self {
            Self::Gzip => head.starts_with(&[0x1f, 0x8b, 8]),
            Self::Bzip2 => {
                head.starts_with(b"BZh")
                    && matches!(head.get(3), Some(b'1'..=b'9'))
                    && matches!(
                        head.get(4..10),
                        Some([0x31, 0x41, 0x59, 0x26, 0x53, 0x59] | [0x17, 0x72, 0x45, 0x38, 0x50, 0x90])
                    )
            }
            Self::Xz => head.starts_with(b"\xfd7zXZ\0"),
            Self::Zstd => head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || skippable(head),
            Self::Lz4 => {
                head.starts_with(&[0x04, 0x22, 0x4d, 0x18]) || head.starts_with(&[0x02, 0x21, 0x4c, 0x18])
            }
            Self::Zlib => {
                // Method 8, window at most 32 KiB, no preset dictionary, header divisible by 31.
                matches!(head, [a, b, ..] if a & 0x0f == 8 && a >> 4 <= 7 && b & 0x20 == 0
                    && (u16::from(*a) << 8 | u16::from(*b)).is_multiple_of(31))
            }
            Self::Lzma => lzma_alone(head),
            _ => false,
        }
    }

    /// Whether one stream may follow another in the same file, both read as one.
    fn repeats(self) -> bool {
        matches!(self, Self::Gzip | Self::Bzip2 | Self::Xz | Self::Zstd | Self::Lz4)
    }

    /// A decoder for one stream that begins at `at`.
    fn open<'a>(self, input: Input<'a>) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::Stored => Box::new(input),
            Self::Deflate => Box::new(Inflate::raw(input)),
            Self::Zlib => Box::new(Inflate::zlib(input)),
            Self::Gzip => Box::new(input::Gzip::new(input)?),
            Self::Deflate64 => Box::new(deflate64::Deflate64Decoder::with_buffer(input)),
            Self::Bzip2 => Box::new(bzip2::bufread::BzDecoder::new(input)),
            Self::Lzma => {
                let position = input.position();
                Lzma::boxed(lzma_rust2::LzmaReader::new_mem_limit(input, DICTIONARY_KIB_MAX, None)?, position)
            }
            Self::ZipLzma => {
                let position = input.position();
                Lzma::boxed(zip_lzma(input)?, position)
            }
            Self::RawLzma { properties, dictionary, size } => {
                dictionary_fits(dictionary)?;
                Box::new(lzma_rust2::LzmaReader::new_with_props(input, size, properties, dictionary, None)?)
            }
            Self::RawLzma2 { dictionary } => {
                Box::new(lzma_rust2::Lzma2Reader::new_mem_limit(input, dictionary, DICTIONARY_KIB_MAX, None)?)
            }
            Self::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(input, false, DICTIONARY_KIB_MAX)),
            Self::Zstd => Box::new(
                ruzstd::decoding::StreamingDecoder::new_with_max_window_size(input, WINDOW_MAX)
                    .map_err(|e| io::Error::other(e.to_string()))?,
            ),
            Self::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(input)),
        })
    }
}

/// An LZMA stream, which reads ahead, and gives back at its end what it did not need.
struct Lzma<'a> {
    reader: Option<lzma_rust2::LzmaReader<Input<'a>>>,
    position: input::Position,
}

impl<'a> Lzma<'a> {
    fn boxed(
        reader: lzma_rust2::LzmaReader<Input<'a>>,
        position: input::Position,
    ) -> Box<dyn Read + Send + 'a> {
        Box::new(Self { reader: Some(reader), position })
    }
}

impl Read for Lzma<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(reader) = &mut self.reader else { return Ok(0) };
        let n = reader.read(into)?;
        if n == 0
            && !into.is_empty()
            && let Some(reader) = self.reader.take()
        {
            let (_, ahead) = reader.into_parts();
            self.position.back(ahead.len() as u64);
        }
        Ok(n)
    }
}

fn dictionary_fits(dictionary: u32) -> io::Result<()> {
    if dictionary / 1024 > DICTIONARY_KIB_MAX {
        return Err(io::Error::other("the dictionary is larger than 160 MiB"));
    }
    Ok(())
}

fn zip_lzma(mut input: Input<'_>) -> io::Result<lzma_rust2::LzmaReader<Input<'_>>> {
    let mut head = [0; 9];
    input.read_exact(&mut head)?;
    if u16::from_le_bytes([head[2], head[3]]) != 5 {
        return Err(io::Error::other("the properties of LZMA are not 5 bytes"));
    }
    let dictionary = u32::from_le_bytes([head[5], head[6], head[7], head[8]]);
    dictionary_fits(dictionary)?;
    lzma_rust2::LzmaReader::new_with_props(input, u64::MAX, head[4], dictionary, None)
}

/// Whether bytes are the start of a skippable Zstandard (and LZ4) frame.
pub(crate) fn skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// `.lzma` has no magic number: properties byte, a dictionary of 2^n or 2^n + 2^(n-1) bytes, a size that is unknown or
/// sane, and a range coder that begins with 0.
fn lzma_alone(head: &[u8]) -> bool {
    let Some(&[properties, d0, d1, d2, d3, s0, s1, s2, s3, s4, s5, s6, s7, first]) = head.first_chunk::<14>()
    else {
        return false;
    };
    let dictionary = u32::from_le_bytes([d0, d1, d2, d3]);
    let size = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    let shape = dictionary >> dictionary.trailing_zeros().min(31);
    properties < 225
        && dictionary >= 4096
        && (shape == 1 || shape == 3 || dictionary == u32::MAX)
        && (size == u64::MAX || (size > 0 && size < 1 << 40))
        && first == 0
}

/// All streams of one file, one after the other, as one.
pub(crate) struct Frames<'a> {
    codec: Codec,
    filters: [Option<Filter>; FILTERS_MAX],
    raw: Range<'a>,
    /// Where the stream being read began, or the next one begins.
    at: u64,
    frames: u32,
    current: Option<(Box<dyn Read + Send + 'a>, input::Position)>,
    done: bool,
}

impl<'a> Frames<'a> {
    /// From the start of `raw`.
    pub(crate) fn new(codec: Codec, raw: Range<'a>) -> Self {
        Self::filtered(codec, [None; FILTERS_MAX], raw)
    }

    /// From the start of `raw`, filtered afterwards.
    pub(crate) fn filtered(codec: Codec, filters: [Option<Filter>; FILTERS_MAX], raw: Range<'a>) -> Self {
        Self { codec, filters, raw, at: 0, frames: 0, current: None, done: false }
    }

    /// First compressed byte that was not read: the end of the last stream, once all is read.
    pub(crate) fn position(&self) -> u64 {
        self.current.as_ref().map_or(self.at, |(_, p)| p.get())
    }

    /// Opens the next stream; `false` when there is none.
    fn next(&mut self) -> io::Result<bool> {
        if self.frames > 0 {
            if !self.codec.repeats() || self.frames >= FRAMES_MAX {
                return Ok(false);
            }
            let mut head = [0; 16];
            let n = self.raw.read_at(self.at, &mut head).map_err(|e| io::Error::other(e.to_string()))?;
            if !self.codec.begins(&head[..n]) {
                return Ok(false);
            }
        }
        if matches!(self.codec, Codec::Zstd | Codec::Lz4) {
            self.skip_skippable()?;
            if self.at >= self.raw.len() {
                return Ok(false);
            }
        }
        let input = Input::new(self.raw, self.at);
        let position = input.position();
        let mut reader = self.codec.open(input)?;
        for filter in self.filters.into_iter().flatten() {
            reader = filtered(filter, reader)?;
        }
        self.current = Some((reader, position));
        self.frames += 1;
        Ok(true)
    }

    fn skip_skippable(&mut self) -> io::Result<()> {
        while self.frames < FRAMES_MAX {
            let mut head = [0; 8];
            let n = self.raw.read_at(self.at, &mut head).map_err(|e| io::Error::other(e.to_string()))?;
            if n < 8 || !skippable(&head) {
                break;
            }
            let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
            self.at = (self.at + 8 + length).min(self.raw.len());
            self.frames += 1;
        }
        Ok(())
    }
}

impl Read for Frames<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.done && !into.is_empty() {
            if self.current.is_none() && !self.next()? {
                self.done = true;
                break;
            }
            let Some((reader, position)) = &mut self.current else { break };
            let n = reader.read(into)?;
            if n > 0 {
                return Ok(n);
            }
            // A decoder that took nothing at all would loop for ever.
            let end = position.get();
            if end == self.at {
                self.done = true;
            }
            self.at = end;
            self.current = None;
        }
        Ok(0)
    }
}
