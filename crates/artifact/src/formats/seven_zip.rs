//! 7z archives: the header database is read here, the folders are decoded by the shared codecs. 7zFormat.txt (LZMA SDK).

use std::sync::OnceLock;

use domain::Severity;

use super::paths::{Links, Special, check_name, check_rights};
use super::zip::{BOMB, DISAGREE, HIDDEN, REMEDY_BOMB, REMEDY_DISAGREE, REMEDY_HIDDEN};
use super::{Format, Input, Sure};
use crate::unpack::{Codec, FILTERS_MAX, Filter, Packed, Pool, Stop};
use crate::{Context, Member, Part, Range, ReadError, Source};

const SIGNATURE: &[u8] = b"7z\xbc\xaf\x27\x1c";
/// Largest header database, bytes.
const HEADER_MAX: u64 = 16 << 20;
/// Most files, folders and streams of one archive.
const FILES_MAX: u64 = 200_000;
/// Most coders of one folder.
const CODERS_MAX: u64 = 32;
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

/// Bytes of the header database.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn take(&mut self, n: u64) -> Option<&[u8]> {
        let n = usize::try_from(n).ok()?;
        let taken = self.0.get(..n)?;
        self.0 = &self.0[n..];
        Some(taken)
    }

    /// A number whose first byte says how many follow.
    fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        let mut value = 0_u64;
        let mut mask = 0x80_u8;
        for n in 0..8 {
            if first & mask == 0 {
                return Some(value | u64::from(first & (mask - 1)) << (8 * n));
            }
            value |= u64::from(self.byte()?) << (8 * n);
            mask >>= 1;
        }
        Some(value)
    }

    /// A number that counts things.
    fn count(&mut self) -> Option<u64> {
        self.number().filter(|n| *n <= FILES_MAX)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b))
    }

    fn bits(&mut self, count: u64) -> Option<Vec<bool>> {
        let bytes = self.take(count.div_ceil(8))?;
        Some((0..count).map(|n| bytes[(n / 8) as usize] & (0x80 >> (n % 8)) != 0).collect())
    }

    /// Bits, preceded by a byte that says that all are set.
    fn defined(&mut self, count: u64) -> Option<Vec<bool>> {
        if self.byte()? != 0 { Some(vec![true; usize::try_from(count).ok()?]) } else { self.bits(count) }
    }

    fn digests(&mut self, count: u64) -> Option<Vec<Option<u32>>> {
        let defined = self.defined(count)?;
        defined.into_iter().map(|d| if d { self.u32().map(Some) } else { Some(None) }).collect()
    }
}

/// One folder: a chain of coders over packed bytes.
#[derive(Debug, Default)]
struct Folder {
    codec: Option<Codec>,
    filters: [Option<Filter>; FILTERS_MAX],
    /// Why it cannot be decoded.
    problem: Option<String>,
    /// Packed streams it takes.
    packed: u64,
    /// Outputs of all coders.
    outputs: u64,
    /// Index of the output that is the content.
    main: u64,
    size: u64,
    digest: Option<u32>,
}

#[derive(Debug, Default)]
struct Streams {
    /// Where the packed streams begin, after the signature header.
    start: u64,
    sizes: Vec<u64>,
    folders: Vec<Folder>,
    /// Per folder: size and digest of each file in it.
    files: Vec<Vec<(u64, Option<u32>)>>,
}

#[derive(Debug, Default)]
struct File {
    name: String,
    has_stream: bool,
    folder: bool,
    attributes: u32,
}

const MALFORMED: &str = "the header of the 7z archive is not valid";

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
                let Some(next) = unpack_header(source, &mut bytes, &pool, &mut packed_end) else {
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
fn unpack_header(source: &dyn Source, bytes: &mut Bytes<'_>, pool: &Pool, end: &mut u64) -> Option<Vec<u8>> {
    let streams = streams(bytes)?;
    let folder = streams.folders.first()?;
    if folder.size > HEADER_MAX {
        return None;
    }
    let raw = Range::new(source, streams.start.checked_add(32)?, *streams.sizes.first()?);
    *end = streams.start + 32;
    let packed = Packed::filtered(raw, folder.codec?, folder.filters, folder.size, pool);
    packed.bytes(0, folder.size, HEADER_MAX).ok().map(std::borrow::Cow::into_owned)
}

fn header(bytes: &mut Bytes<'_>) -> Option<(Streams, Vec<File>)> {
    let mut all = Streams::default();
    loop {
        match bytes.byte()? {
            0x00 => return Some((all, Vec::new())),
            // Archive properties: type, size, content, until 0.
            0x02 => {
                while bytes.byte()? != 0 {
                    let size = bytes.number()?;
                    bytes.take(size)?;
                }
            }
            0x03 => drop(streams(bytes)?),
            0x04 => all = streams(bytes)?,
            0x05 => return files(bytes).map(|f| (all, f)),
            _ => return None,
        }
    }
}

fn streams(bytes: &mut Bytes<'_>) -> Option<Streams> {
    let mut all = Streams::default();
    loop {
        match bytes.byte()? {
            0x00 => break,
            0x06 => {
                all.start = bytes.number()?;
                let count = bytes.count()?;
                loop {
                    match bytes.byte()? {
                        0x00 => break,
                        0x09 => all.sizes = (0..count).map(|_| bytes.number()).collect::<Option<_>>()?,
                        0x0a => drop(bytes.digests(count)?),
                        _ => return None,
                    }
                }
            }
            0x07 => folders(bytes, &mut all)?,
            0x08 => substreams(bytes, &mut all)?,
            _ => return None,
        }
    }
    if all.files.is_empty() {
        all.files = all.folders.iter().map(|f| vec![(f.size, f.digest)]).collect();
    }
    Some(all)
}

fn folders(bytes: &mut Bytes<'_>, all: &mut Streams) -> Option<()> {
    if bytes.byte()? != 0x0b {
        return None;
    }
    let count = bytes.count()?;
    if bytes.byte()? != 0 {
        return None;
    }
    for _ in 0..count {
        all.folders.push(folder(bytes)?);
    }
    loop {
        match bytes.byte()? {
            0x00 => return Some(()),
            0x0c => {
                for folder in &mut all.folders {
                    for n in 0..folder.outputs {
                        let size = bytes.number()?;
                        if n == folder.main {
                            folder.size = size;
                        }
                        // A raw LZMA stream has no size of its own.
                        if let Some(Codec::RawLzma { size: own, .. }) = &mut folder.codec
                            && n == 0
                        {
                            *own = size;
                        }
                    }
                }
            }
            0x0a => {
                let digests = bytes.digests(count)?;
                for (folder, digest) in all.folders.iter_mut().zip(digests) {
                    folder.digest = digest;
                }
            }
            _ => return None,
        }
    }
}

/// One coder of a folder.
struct Coder {
    filter: Result<Filter, String>,
    inputs: u64,
    outputs: u64,
}

fn coder(bytes: &mut Bytes<'_>) -> Option<Coder> {
    let flags = bytes.byte()?;
    let id = bytes.take(u64::from(flags & 0x0f))?.to_vec();
    let (inputs, outputs) = if flags & 0x10 != 0 { (bytes.number()?, bytes.number()?) } else { (1, 1) };
    let properties = if flags & 0x20 != 0 {
        let size = bytes.number()?;
        bytes.take(size)?.to_vec()
    } else {
        Vec::new()
    };
    if inputs > CODERS_MAX || outputs > CODERS_MAX {
        return None;
    }
    Some(Coder { filter: method(&id, &properties), inputs, outputs })
}

fn method(id: &[u8], properties: &[u8]) -> Result<Filter, String> {
    let codec = match id {
        [0x00] => Codec::Stored,
        [0x21] => {
            let bits = u32::from(properties.first().copied().unwrap_or(40));
            let dictionary = if bits >= 40 { u32::MAX } else { (2 | bits & 1) << (bits / 2 + 11) };
            Codec::RawLzma2 { dictionary }
        }
        [3, 1, 1] => {
            let Some(&[first, d0, d1, d2, d3]) = properties.first_chunk::<5>() else {
                return Err("the properties of LZMA are missing".to_owned());
            };
            Codec::RawLzma {
                properties: first,
                dictionary: u32::from_le_bytes([d0, d1, d2, d3]),
                size: u64::MAX,
            }
        }
        [4, 1, 8] => Codec::Deflate,
        [4, 1, 9] => Codec::Deflate64,
        [4, 2, 2] => Codec::Bzip2,
        [4, 0xf7, 0x11, 1] => Codec::Zstd,
        [4, 0xf7, 0x11, 4] => Codec::Lz4,
        [3] => return Ok(Filter::Delta(properties.first().copied().unwrap_or(0))),
        [n @ 4..=11] => return Ok(Filter::Jumps(*n)),
        [3, 3, 1, 3] => return Ok(Filter::Jumps(4)),
        [3, 3, 2, 5] => return Ok(Filter::Jumps(5)),
        [3, 3, 4, 1] => return Ok(Filter::Jumps(6)),
        [3, 3, 5, 1] => return Ok(Filter::Jumps(7)),
        [3, 3, 7, 1] => return Ok(Filter::Jumps(8)),
        [3, 3, 8, 5] => return Ok(Filter::Jumps(9)),
        [6, 0xf1, 7, 1] => {
            return Err("is encrypted; ask the sender for an archive that can be looked into".to_owned());
        }
        other => {
            let hex: String = other.iter().map(|b| format!("{b:02x}")).collect();
            return Err(format!(
                "is compressed by method {hex}, which is not read here; unpack it and scan that"
            ));
        }
    };
    Ok(Filter::Codec(codec))
}

fn folder(bytes: &mut Bytes<'_>) -> Option<Folder> {
    let count = bytes.number().filter(|n| (1..=CODERS_MAX).contains(n))?;
    let mut coders = Vec::new();
    for _ in 0..count {
        coders.push(coder(bytes)?);
    }
    let inputs: u64 = coders.iter().map(|c| c.inputs).sum();
    let outputs: u64 = coders.iter().map(|c| c.outputs).sum();
    let pairs = outputs.checked_sub(1)?;
    let mut bound = Vec::new();
    for _ in 0..pairs {
        bound.push((bytes.number()?, bytes.number()?));
    }
    let packed = inputs.checked_sub(pairs).filter(|n| *n >= 1)?;
    if packed > 1 {
        for _ in 0..packed {
            bytes.number()?;
        }
    }
    let main = (0..outputs).find(|o| bound.iter().all(|(_, out)| out != o))?;
    let mut folder = Folder { packed, outputs, main, ..Folder::default() };
    if let Err(why) = chain(&coders, &bound, main, &mut folder) {
        folder.codec = None;
        folder.problem = Some(why);
    }
    Some(folder)
}

/// Follows the chain from the content back to the packed bytes.
fn chain(coders: &[Coder], bound: &[(u64, u64)], main: u64, folder: &mut Folder) -> Result<(), String> {
    if coders.iter().any(|c| c.inputs != 1 || c.outputs != 1) {
        return Err(
            "is packed in several streams, which is not read here; unpack it and scan that".to_owned()
        );
    }
    let mut order = Vec::new();
    let mut at = main;
    loop {
        let coder = usize::try_from(at).ok().and_then(|n| coders.get(n)).ok_or(MALFORMED)?;
        order.push(coder.filter.clone()?);
        if order.len() > FILTERS_MAX {
            return Err("goes through too many filters".to_owned());
        }
        match bound.iter().find(|(input, _)| *input == at) {
            Some((_, output)) => at = *output,
            None => break,
        }
    }
    // The last is next to the packed bytes.
    match order.pop() {
        Some(Filter::Codec(codec)) => folder.codec = Some(codec),
        Some(filter) => {
            folder.codec = Some(Codec::Stored);
            order.push(filter);
        }
        None => return Err(MALFORMED.to_owned()),
    }
    for (slot, filter) in folder.filters.iter_mut().zip(order.into_iter().rev()) {
        *slot = Some(filter);
    }
    Ok(())
}

fn substreams(bytes: &mut Bytes<'_>, all: &mut Streams) -> Option<()> {
    let mut counts = vec![1_u64; all.folders.len()];
    let mut id = bytes.byte()?;
    if id == 0x0d {
        counts = all.folders.iter().map(|_| bytes.count()).collect::<Option<_>>()?;
        id = bytes.byte()?;
    }
    if counts.iter().sum::<u64>() > FILES_MAX {
        return None;
    }
    all.files = Vec::new();
    for (folder, count) in all.folders.iter().zip(&counts) {
        let mut left = folder.size;
        let mut sizes = Vec::new();
        for n in 0..*count {
            let size = if n + 1 == *count {
                left
            } else if id == 0x09 {
                bytes.number()?
            } else {
                0
            };
            left = left.checked_sub(size)?;
            sizes.push((size, if *count == 1 { folder.digest } else { None }));
        }
        all.files.push(sizes);
    }
    if id == 0x09 {
        id = bytes.byte()?;
    }
    loop {
        match id {
            0x00 => return Some(()),
            0x0a => {
                let mut unknown: Vec<&mut Option<u32>> =
                    all.files.iter_mut().flatten().map(|(_, d)| d).filter(|d| d.is_none()).collect();
                let digests = bytes.digests(unknown.len() as u64)?;
                for (slot, digest) in unknown.iter_mut().zip(digests) {
                    **slot = digest;
                }
            }
            _ => {
                let size = bytes.number()?;
                bytes.take(size)?;
            }
        }
        id = bytes.byte()?;
    }
}

fn files(bytes: &mut Bytes<'_>) -> Option<Vec<File>> {
    let count = bytes.count()?;
    let mut files: Vec<File> = (0..count).map(|_| File { has_stream: true, ..File::default() }).collect();
    loop {
        let kind = bytes.number()?;
        if kind == 0 {
            return Some(files);
        }
        let size = bytes.number()?;
        let mut body = Bytes(bytes.take(size)?);
        match kind {
            0x0e => {
                for (file, empty) in files.iter_mut().zip(body.bits(count)?) {
                    file.has_stream = !empty;
                    file.folder = empty;
                }
            }
            0x0f => {
                let empty: Vec<&mut File> = files.iter_mut().filter(|f| !f.has_stream).collect();
                let bits = body.bits(empty.len() as u64)?;
                for (file, is_file) in empty.into_iter().zip(bits) {
                    file.folder = !is_file;
                }
            }
            0x11 => {
                if body.byte()? != 0 {
                    return None;
                }
                let mut units = body.0.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]]));
                for file in &mut files {
                    let name: Vec<u16> = units.by_ref().take_while(|u| *u != 0).collect();
                    file.name = String::from_utf16_lossy(&name);
                }
            }
            0x15 => {
                let defined = body.defined(count)?;
                if body.byte()? != 0 {
                    return None;
                }
                for (file, defined) in files.iter_mut().zip(defined) {
                    if defined {
                        file.attributes = body.u32()?;
                    }
                }
            }
            _ => {}
        }
    }
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
