//! The header database of a 7z archive: streams, folders (chains of coders), files.

use crate::unpack::{Codec, FILTERS_MAX, Filter};

/// Most files, folders and streams of one archive.
const FILES_MAX: u64 = 200_000;
/// Most coders of one folder.
const CODERS_MAX: u64 = 32;

/// What is said of a header that does not parse.
pub(super) const MALFORMED: &str = "the header of the 7z archive is not valid";

/// Bytes of the header database.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Bytes<'_> {
    pub(super) fn byte(&mut self) -> Option<u8> {
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
pub(super) struct Folder {
    pub(super) codec: Option<Codec>,
    pub(super) filters: [Option<Filter>; FILTERS_MAX],
    /// One of its coders is a cipher.
    pub(super) encrypted: bool,
    /// Why it cannot be decoded.
    pub(super) problem: Option<String>,
    /// Packed streams it takes.
    pub(super) packed: u64,
    /// Outputs of all coders.
    outputs: u64,
    /// Index of the output that is the content.
    main: u64,
    pub(super) size: u64,
    digest: Option<u32>,
}

#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Where the packed streams begin, after the signature header.
    pub(super) start: u64,
    pub(super) sizes: Vec<u64>,
    pub(super) folders: Vec<Folder>,
    /// Per folder: size and digest of each file in it.
    pub(super) files: Vec<Vec<(u64, Option<u32>)>>,
}

#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) has_stream: bool,
    folder: bool,
    pub(super) attributes: u32,
}

pub(super) fn header(bytes: &mut Bytes<'_>) -> Option<(Streams, Vec<File>)> {
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

pub(super) fn streams(bytes: &mut Bytes<'_>) -> Option<Streams> {
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
    encrypted: bool,
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
    // All ciphers of 7z have numbers in this group.
    let encrypted = id.starts_with(&[6, 0xf1]);
    Some(Coder { encrypted, filter: method(&id, &properties), inputs, outputs })
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
    let encrypted = coders.iter().any(|c| c.encrypted);
    let mut folder = Folder { packed, outputs, main, encrypted, ..Folder::default() };
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
