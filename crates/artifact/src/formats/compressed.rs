//! Single compressed streams: gzip, bzip2, xz, lzma, Zstandard, LZ4, zlib.

use domain::Severity;

use super::bytes::rest;
use super::zip::{BOMB, DISAGREE, HIDDEN, REMEDY_BOMB, REMEDY_DISAGREE, REMEDY_HIDDEN};
use super::{Format, Input, Sure};
use crate::unpack::{Codec, Packed, Pool, Stop, skippable};
use crate::{Context, Part, Range, Source};

/// One kind of compressed stream.
pub(super) struct Compressed {
    name: &'static str,
    codec: Codec,
}

pub(super) static GZIP: Compressed = Compressed { name: "gzip", codec: Codec::Gzip };
pub(super) static BZIP2: Compressed = Compressed { name: "bzip2", codec: Codec::Bzip2 };
pub(super) static XZ: Compressed = Compressed { name: "xz", codec: Codec::Xz };
pub(super) static LZMA: Compressed = Compressed { name: "lzma", codec: Codec::Lzma };
pub(super) static ZSTD: Compressed = Compressed { name: "zstd", codec: Codec::Zstd };
pub(super) static LZ4: Compressed = Compressed { name: "lz4", codec: Codec::Lz4 };
pub(super) static ZLIB: Compressed = Compressed { name: "zlib", codec: Codec::Zlib };

/// Bytes of content that must decode before a stream without a magic number is believed.
const TRIAL: usize = 64;

impl Format for Compressed {
    fn name(&self) -> &'static str {
        self.name
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let head = input.head;
        if !self.codec.begins(head)
            || self.codec == Codec::Zstd && skippable(head) && !holds_zstd(input.source)
        {
            return None;
        }
        match self.codec {
            // Two bytes that fit are no proof: something has to come out.
            Codec::Zlib | Codec::Lzma => decodes(self.codec, input.source).then_some(Sure::Likely),
            _ => Some(Sure::Certain),
        }
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        self.unpack(input, part, cx);
    }
}

/// Whether a file that begins with skippable frames has a Zstandard frame after them.
fn holds_zstd(source: &dyn Source) -> bool {
    const FRAMES_MAX: usize = 64;
    let mut at = 0;
    for _ in 0..FRAMES_MAX {
        let Ok(head) = source.bytes(at, 8, 8) else { return false };
        if !skippable(&head) {
            return Codec::Zstd.begins(&head);
        }
        let length = head.get(4..8).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
        at += 8 + u64::from(length);
    }
    false
}

/// Whether the start of the stream decodes.
fn decodes(codec: Codec, source: &dyn Source) -> bool {
    use std::io::Read;
    let mut frames = crate::unpack::Frames::new(codec, Range::from(source, 0));
    let mut into = [0; TRIAL];
    let mut filled = 0;
    while filled < TRIAL {
        match frames.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(_) => return false,
        }
    }
    // The end of a stream proves itself: zlib by a checksum, LZMA by the state of its decoder. An empty one proves
    // nothing.
    filled > 0
}

impl Compressed {
    fn unpack(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let pool = Pool::new(cx.budget(), cx.limits);
        let packed = Packed::new(Range::from(input.source, 0), self.codec, &pool);
        cx.nested(part, inner_name(input.name), &packed);
        stopped(&packed, self.name, 0, input.source, part, cx);
    }
}

/// Reports how decoding a stream ended, and looks at what follows it. The stream begins at byte `begin`.
pub(super) fn stopped(
    packed: &Packed<'_>,
    name: &str,
    begin: u64,
    source: &dyn Source,
    part: &mut Part,
    cx: &mut Context<'_>,
) {
    let decoded = packed.decoded();
    let end = begin.saturating_add(decoded.consumed);
    match &decoded.stop {
        None => {}
        Some(Stop::Bomb) => {
            let message =
                format!("the {name} stream unfolds to more than {} times its size", cx.limits.ratio_max);
            cx.find(part, &BOMB, Severity::High, None, message, REMEDY_BOMB);
            return;
        }
        Some(Stop::Spent(why)) => {
            cx.unread(part, Some(end), why.clone());
            return;
        }
        Some(Stop::Corrupt(why)) if end >= source.len() => {
            cx.unread(part, Some(end), format!("the {name} stream is cut off: {why}"));
            return;
        }
        Some(Stop::Corrupt(why)) => {
            let message =
                format!("the {name} stream is damaged after {} bytes of content: {why}", decoded.length);
            cx.find(part, &DISAGREE, Severity::Medium, Some(end), message, REMEDY_DISAGREE);
            return;
        }
    }
    match rest(source, end) {
        Ok(Some(rest)) => {
            let message = format!("{} bytes follow the end of the {name} stream", source.len() - rest);
            cx.find(part, &HIDDEN, Severity::Medium, Some(rest), message, REMEDY_HIDDEN);
            cx.nested(part, "behind the stream", &Range::from(source, rest));
        }
        Ok(None) => {}
        Err(e) => cx.unread(part, Some(end), e.to_string()),
    }
}

/// The name without its last extension, where that is one of compression.
fn inner_name(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.rsplit_once('.') {
        Some((stem, "gz" | "bz2" | "xz" | "lzma" | "zst" | "lz4" | "z" | "zlib")) if !stem.is_empty() => stem,
        _ => last,
    }
}
