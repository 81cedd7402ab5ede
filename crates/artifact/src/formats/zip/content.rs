//! The bytes of a member: stored or packed, by whichever method gives what the checksum promises.

use super::{Found, compare};
use crate::formats::paths::Special;
use crate::unpack::{Codec, Packed, Pool, Stop};
use crate::{Range, ReadError, Source};

pub(super) fn special(mode: u32, content: &Content<'_>) -> Option<Special> {
    /// Longest target of a link that is shown, bytes.
    const TARGET_MAX: u64 = 4096;
    Some(match mode & 0o170_000 {
        0o120_000 => {
            let target = content.source().head(TARGET_MAX).map(|b| String::from_utf8_lossy(&b).into_owned());
            Special::Symlink(target.unwrap_or_default())
        }
        0o020_000 | 0o060_000 => Special::Device,
        0o010_000 => Special::Pipe,
        0o140_000 => Special::Socket,
        _ => return None,
    })
}

/// A member that is not compressed: all of it is read for its checksum, and looked through for programs then.
pub(super) struct Stored<'a>(pub(super) Range<'a>);

impl Source for Stored<'_> {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        self.0.read_at(at, into)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        self.0.in_memory()
    }

    fn sweeps(&self) -> bool {
        true
    }
}

/// The bytes of a member.
pub(super) enum Content<'a> {
    Stored(Stored<'a>),
    Packed(Box<Packed<'a>>),
    /// No known method gives the content that the checksum promises.
    Unknown(Range<'a>),
}

impl Content<'_> {
    pub(super) fn source(&self) -> &dyn Source {
        match self {
            Self::Stored(stored) => stored,
            Self::Unknown(range) => range,
            Self::Packed(packed) => packed.as_ref(),
        }
    }
}

fn codec(method: u16) -> Option<Codec> {
    Some(match method {
        0 => Codec::Stored,
        8 => Codec::Deflate,
        9 => Codec::Deflate64,
        12 => Codec::Bzip2,
        14 => Codec::ZipLzma,
        93 | 20 => Codec::Zstd,
        95 => Codec::Xz,
        _ => return None,
    })
}

/// Opens a member by its method; when directory and header disagree or the method is unknown, by whichever gives the
/// content that the checksum promises.
pub(super) fn open<'a>(source: &'a dyn Source, member: &Found, pool: &'a Pool) -> Content<'a> {
    let fields = &member.entry.fields;
    let raw = Range::new(source, member.content, fields.packed);
    let local = member.local.as_ref().map_or(fields.method, |l| l.fields.method);
    if local == fields.method && (fields.method != 0 || fields.packed == fields.size || fields.size == 0) {
        match codec(fields.method) {
            Some(Codec::Stored) => return Content::Stored(Stored(raw)),
            Some(codec) => return Content::Packed(Box::new(Packed::new(raw, codec, pool))),
            None => {}
        }
    }
    let tries = [codec(fields.method), codec(local), Some(Codec::Stored), Some(Codec::Deflate)];
    for codec in tries.into_iter().flatten() {
        if codec == Codec::Stored {
            if compare::crc(&raw).is_ok_and(|crc| crc == fields.crc) {
                return Content::Stored(Stored(raw));
            }
            continue;
        }
        let packed = Packed::new(raw, codec, pool);
        let decoded = packed.decoded();
        if decoded.length > 0
            && (decoded.crc == fields.crc || matches!(decoded.stop, None | Some(Stop::Bomb)))
        {
            return Content::Packed(Box::new(packed));
        }
    }
    Content::Unknown(raw)
}
