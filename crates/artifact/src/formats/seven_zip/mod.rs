//! 7z archives: the header database is read here, the folders are decoded by the shared codecs. 7zFormat.txt (LZMA SDK).

use std::sync::OnceLock;

use domain::Severity;

use super::paths::{Links, Special, check_name, check_rights};
use super::zip::rules::{REMEDY_SEALED, SEALED};
use super::zip::{BOMB, DISAGREE, HIDDEN, REMEDY_BOMB, REMEDY_DISAGREE, REMEDY_HIDDEN};
use super::{Format, Input, Sure};
use crate::unpack::{Packed, Pool, Stop};
use crate::{Context, Member, Part, Range, ReadError, Source};

mod header;

use header::{Bytes, File, MALFORMED, Streams, header, streams};

const SIGNATURE: &[u8] = b"7z\xbc\xaf\x27\x1c";
/// Largest header database, bytes.
const HEADER_MAX: u64 = 16 << 20;
/// Headers that are packed in headers.
const HEADERS_MAX: u32 = 4;

/// 7z archives.
pub(super) struct SevenZip;

impl Format for SevenZip {
    fn name(&self) -> &'static str {
        "7z"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        (input.head.starts_with(SIGNATURE) && input.head.len() >= 32).then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        if let Err(e) = read(input.source, part, cx) {
            cx.unread(part, None, e.to_string());
        }
    }
}

fn read(source: &dyn Source, part: &mut Part, cx: &mut Context<'_>) -> Result<(), ReadError> {
    let head = source.bytes(0, 32, 32)?;
    let number =
        |at: usize| head.get(at..at + 8).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b));
    let start = number(12).saturating_add(32);
    let length = number(20);
    let end = start.saturating_add(length);
    if end > source.len() {
        cx.unread(part, None, format!("the 7z archive is cut off: {} bytes are missing", end - source.len()));
        return Ok(());
    }
    let mut database = source.bytes(start, length, HEADER_MAX)?.into_owned();
    let pool = Pool::new(cx.budget(), cx.limits);
    let mut packed_end = start;
    for _ in 0..HEADERS_MAX {
        let mut bytes = Bytes(&database);
        match bytes.byte() {
            // An empty archive has no database at all.
            None => break,
            Some(0x01) => {
                let Some((streams, files)) = header(&mut bytes) else {
                    cx.unread(part, Some(start), MALFORMED);
                    return Ok(());
                };
                members(source, &streams, &files, &pool, part, cx);
                break;
            }
            Some(0x17) => {
                let mut encrypted = false;
                let Some(next) = unpack_header(source, &mut bytes, &pool, &mut packed_end, &mut encrypted)
                else {
                    if encrypted {
                        let message =
                            "the names of the members are encrypted, so that nobody can see what it holds";
                        cx.find(part, &SEALED, Severity::Medium, Some(start), message, REMEDY_SEALED);
                    }
                    cx.unread(part, Some(start), "the names in the 7z archive are encrypted or damaged");
                    return Ok(());
                };
                database = next;
            }
            Some(_) => {
                cx.unread(part, Some(start), MALFORMED);
                return Ok(());
            }
        }
    }
    if let Some(rest) = super::bytes::rest(source, end)? {
        let message = format!("{} bytes follow the end of the archive", source.len() - rest);
        cx.find(part, &HIDDEN, Severity::Medium, Some(rest), message, REMEDY_HIDDEN);
        cx.nested(part, "behind the archive", &Range::from(source, rest));
    }
    Ok(())
}

/// Decodes a packed header database.
fn unpack_header(
    source: &dyn Source,
    bytes: &mut Bytes<'_>,
    pool: &Pool,
    end: &mut u64,
    encrypted: &mut bool,
) -> Option<Vec<u8>> {
    let streams = streams(bytes)?;
    let folder = streams.folders.first()?;
    *encrypted = folder.encrypted;
    if folder.size > HEADER_MAX {
        return None;
    }
    let raw = Range::new(source, streams.start.checked_add(32)?, *streams.sizes.first()?);
    *end = streams.start + 32;
    let packed = Packed::filtered(raw, folder.codec?, folder.filters, folder.size, pool);
    packed.bytes(0, folder.size, HEADER_MAX).ok().map(std::borrow::Cow::into_owned)
}

/// A file in a folder: a stretch of what the folder decodes to, read once from front to back.
struct Slice<'f, 'a> {
    folder: &'f Packed<'a>,
    range: Range<'f>,
    size: u64,
    memory_max: u64,
    crc: OnceLock<u32>,
}

impl Source for Slice<'_, '_> {
    fn len(&self) -> u64 {
        self.range.len()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        self.range.read_at(at, into)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        self.folder.in_memory()?;
        self.range.in_memory()
    }

    fn load(&self) -> Option<Vec<u8>> {
        if self.range.len() > self.memory_max {
            return None;
        }
        let bytes = self.range.bytes(0, self.range.len(), self.memory_max).ok()?.into_owned();
        self.crc.get_or_init(|| crc32fast::hash(&bytes));
        Some(bytes)
    }
}

fn members(
    source: &dyn Source,
    streams: &Streams,
    files: &[File],
    pool: &Pool,
    part: &mut Part,
    cx: &mut Context<'_>,
) {
    let mut offset = streams.start.saturating_add(32);
    let mut sizes = streams.sizes.iter();
    let mut folders: Vec<Option<Packed<'_>>> = Vec::new();
    for folder in &streams.folders {
        let length: u64 = sizes.by_ref().take(usize::try_from(folder.packed).unwrap_or(0)).sum();
        let raw = Range::new(source, offset, length);
        offset = offset.saturating_add(length);
        folders.push(folder.codec.map(|c| Packed::filtered(raw, c, folder.filters, folder.size, pool)));
    }
    // Files with content take the streams of the folders in order.
    let mut places = streams.files.iter().enumerate().flat_map(|(f, list)| {
        list.iter().scan(0_u64, move |at, (size, digest)| {
            let from = *at;
            *at = at.saturating_add(*size);
            Some((f, from, *size, *digest))
        })
    });
    let mut links = Links::default();
    let mut slices = Vec::new();
    for file in files {
        check_name(cx, part, &file.name, 0);
        if !file.has_stream {
            continue;
        }
        let Some((f, from, size, digest)) = places.next() else {
            cx.unread(part, None, MALFORMED);
            break;
        };
        links.through(cx, part, &file.name, 0);
        let Some(Some(folder)) = folders.get(f) else {
            let why = streams.folders.get(f).and_then(|f| f.problem.clone()).unwrap_or_default();
            if streams.folders.get(f).is_some_and(|f| f.encrypted) {
                let message = format!("`{}` is encrypted, so that nobody can see what it holds", file.name);
                cx.find(part, &SEALED, Severity::Medium, None, message, REMEDY_SEALED);
            }
            cx.unread(part, None, format!("`{}` {why}", file.name));
            continue;
        };
        let range = Range::new(folder, from, size);
        let slice = Slice { folder, range, size, memory_max: cx.limits.memory_max, crc: OnceLock::new() };
        attributes(cx, part, &mut links, file, &slice);
        slices.push((file, slice, digest));
    }
    let list: Vec<Member<'_>> = slices.iter().map(|(f, s, _)| Member { name: &f.name, source: s }).collect();
    cx.members(part, &list);
    for (file, slice, digest) in &slices {
        let wrong = slice.crc.get().zip(digest.as_ref()).is_some_and(|(a, b)| a != b)
            || slice.range.len() < slice.size;
        let stopped = slice.folder.decoded().stop.as_ref();
        if wrong && !matches!(stopped, Some(Stop::Bomb | Stop::Spent(_))) {
            let message =
                format!("the content of `{}` does not have the checksum that the archive states", file.name);
            cx.find(part, &DISAGREE, Severity::Medium, None, message, REMEDY_DISAGREE);
        }
    }
    ended(&folders, part, cx);
}

/// Reports how decoding the folders ended.
fn ended(folders: &[Option<Packed<'_>>], part: &mut Part, cx: &mut Context<'_>) {
    for folder in folders.iter().flatten() {
        match &folder.decoded().stop {
            None => {}
            Some(Stop::Bomb) => {
                let message =
                    format!("the archive unfolds to more than {} times its size", cx.limits.ratio_max);
                cx.find(part, &BOMB, Severity::High, None, message, REMEDY_BOMB);
            }
            Some(Stop::Spent(why)) => cx.unread(part, None, why.clone()),
            Some(Stop::Corrupt(why)) => {
                cx.unread(part, None, format!("a stream of the archive is damaged: {why}"))
            }
        }
    }
}

fn attributes(cx: &mut Context<'_>, part: &mut Part, links: &mut Links, file: &File, slice: &Slice<'_, '_>) {
    /// Longest target of a link that is shown, bytes.
    const TARGET_MAX: u64 = 4096;
    /// The upper half holds the Unix mode.
    const UNIX: u32 = 0x8000;
    if file.attributes & UNIX == 0 {
        return;
    }
    let mode = file.attributes >> 16;
    let special = match mode & 0o170_000 {
        0o120_000 => {
            let target = slice.head(TARGET_MAX).map(|b| String::from_utf8_lossy(&b).into_owned());
            Special::Symlink(target.unwrap_or_default())
        }
        0o020_000 | 0o060_000 => Special::Device,
        0o010_000 => Special::Pipe,
        0o140_000 => Special::Socket,
        _ => return check_rights(cx, part, &file.name, mode, 0),
    };
    links.special(cx, part, &file.name, &special, 0);
}
