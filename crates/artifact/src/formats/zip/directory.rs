//! The records of a zip, as they stand in the bytes: end records, central directory, local headers, data descriptors.
//! Nothing here decides which of them is right. APPNOTE 6.3.10 (PKWARE).

use crate::{Cursor, ReadError, Source};

/// Most entries of one archive.
pub(super) const ENTRIES_MAX: u64 = 200_000;
/// Longest name, extra field or comment: they have 16 bit lengths.
const FIELD_MAX: u64 = 65_535;
/// Bytes before the end in which every program looks for the end record.
pub(super) const END_SEARCH: u64 = 22 + 65_535;

pub(super) const LOCAL: [u8; 4] = *b"PK\x03\x04";
pub(super) const CENTRAL: [u8; 4] = *b"PK\x01\x02";
pub(super) const END: [u8; 4] = *b"PK\x05\x06";
const END64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR64: [u8; 4] = *b"PK\x06\x07";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";

/// What both the directory and the local header say of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fields {
    pub(super) needed: u16,
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) size: u64,
    /// The name as bytes; shown lossily.
    pub(super) name: Vec<u8>,
    /// Another name, in an extra field that some programs take instead (Info-ZIP Unicode Path).
    pub(super) alias: Option<Vec<u8>>,
}

impl Fields {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

/// One entry of the central directory.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub(super) fields: Fields,
    /// Where the directory says the local header is.
    pub(super) header: u64,
    /// Unix mode, 0 when the archive states none.
    pub(super) mode: u32,
    /// Where this entry stands in the directory.
    pub(super) byte: u64,
}

/// A local header.
#[derive(Debug, Clone, Default)]
pub(super) struct Local {
    pub(super) fields: Fields,
    /// Where it stands.
    pub(super) byte: u64,
    /// First byte of the content.
    pub(super) content: u64,
}

/// An end record, its 64 bit form followed where there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct End {
    /// Where the (32 bit) record stands.
    pub(super) byte: u64,
    /// Where it ends, with the comment it states.
    pub(super) end: u64,
    /// Where the records that belong to it begin: the 64 bit ones when there are any.
    pub(super) begin: u64,
    pub(super) entries: u64,
    /// Stated size of the directory.
    pub(super) size: u64,
    /// Stated place of the directory.
    pub(super) offset: u64,
    pub(super) comment: u64,
    pub(super) disks: bool,
    /// A 64 bit record is there.
    pub(super) wide: bool,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_le_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
}

/// The end record at `byte`, if there is one.
pub(super) fn end_at(source: &dyn Source, byte: u64) -> Option<End> {
    let record = source.bytes(byte, 22, 22).ok()?;
    if record.get(..4)? != END {
        return None;
    }
    let comment = u64::from(u16_at(&record, 20));
    let mut end = End {
        byte,
        end: byte + 22 + comment,
        begin: byte,
        entries: u64::from(u16_at(&record, 10)),
        size: u64::from(u32_at(&record, 12)),
        offset: u64::from(u32_at(&record, 16)),
        comment,
        disks: u16_at(&record, 4) != 0
            || u16_at(&record, 6) != 0
            || u16_at(&record, 8) != u16_at(&record, 10),
        wide: false,
    };
    let narrow_is_full = end.entries == 0xffff || end.size == 0xffff_ffff || end.offset == 0xffff_ffff;
    if byte >= 20
        && let Ok(locator) = source.bytes(byte - 20, 20, 20)
        && locator.get(..4) == Some(&LOCATOR64)
    {
        // The stated place, or directly in front of the locator when bytes were put in front of the archive.
        let places = [Some(u64_at(&locator, 8)), byte.checked_sub(76)];
        for place in places.into_iter().flatten() {
            let Ok(wide) = source.bytes(place, 56, 56) else { continue };
            if wide.get(..4) != Some(&END64) {
                continue;
            }
            end.wide = true;
            end.begin = place.min(byte - 20);
            if narrow_is_full {
                end.entries = u64_at(&wide, 32);
                end.size = u64_at(&wide, 40);
                end.offset = u64_at(&wide, 48);
                end.disks = u32_at(&wide, 16) != 0 || u32_at(&wide, 20) != 0;
            }
            break;
        }
    }
    Some(end)
}

/// Places of a signature in `source`, from `from` to `to`, at most `most`.
pub(super) fn find_all(
    source: &dyn Source,
    signature: &[u8],
    from: u64,
    to: u64,
    most: usize,
) -> Result<Vec<u64>, ReadError> {
    const STEP: u64 = 256 * 1024;
    let finder = memchr::memmem::Finder::new(signature);
    let mut found = Vec::new();
    let mut at = from;
    while at < to && found.len() < most {
        let length = (STEP + signature.len() as u64 - 1).min(to - at);
        let bytes = source.bytes(at, length, length)?;
        // Hits that begin in the overlap belong to the next stretch, save at the end.
        found.extend(
            finder
                .find_iter(&bytes)
                .map(|n| at + n as u64)
                .filter(|n| *n < at + STEP)
                .take(most - found.len()),
        );
        at += STEP;
    }
    Ok(found)
}

/// The entries of a directory from `byte` on, as many as there are up to `count`, and where they end.
pub(super) fn central(source: &dyn Source, byte: u64, count: u64) -> (Vec<Entry>, u64) {
    let mut cursor = Cursor::new(source, byte);
    let mut entries = Vec::new();
    let mut end = byte;
    while (entries.len() as u64) < count.min(ENTRIES_MAX) {
        let Some(entry) = central_entry(&mut cursor, end) else { break };
        end = cursor.position();
        entries.push(entry);
    }
    (entries, end)
}

fn central_entry(cursor: &mut Cursor<'_>, byte: u64) -> Option<Entry> {
    let head: [u8; 46] = cursor.array().ok()?;
    if head[..4] != CENTRAL {
        return None;
    }
    let lengths = [28, 30, 32].map(|n| u64::from(u16_at(&head, n)));
    let name = cursor.take(lengths[0], FIELD_MAX).ok()?.to_vec();
    let extra = cursor.take(lengths[1], FIELD_MAX).ok()?.to_vec();
    cursor.skip(lengths[2]).ok()?;
    let mut fields = Fields {
        needed: u16_at(&head, 6),
        flags: u16_at(&head, 8),
        method: u16_at(&head, 10),
        crc: u32_at(&head, 16),
        packed: u64::from(u32_at(&head, 20)),
        size: u64::from(u32_at(&head, 24)),
        name,
        alias: alias(&extra),
    };
    let mut header = u64::from(u32_at(&head, 42));
    widen(&mut fields, Some(&mut header), &extra);
    Some(Entry { fields, header, mode: u32_at(&head, 38) >> 16, byte })
}

/// The name in the extra field 0x7075: version, checksum of the other name, name in UTF-8.
fn alias(extra: &[u8]) -> Option<Vec<u8>> {
    let mut rest = extra;
    while rest.len() >= 4 {
        let (id, length) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
        let body = rest.get(4..4 + length)?;
        if id == 0x7075 {
            return body.get(5..).map(<[u8]>::to_vec);
        }
        rest = &rest[4 + length..];
    }
    None
}

/// Takes 64 bit sizes from the extra field 1 where the 32 bit ones are full.
fn widen(fields: &mut Fields, header: Option<&mut u64>, extra: &[u8]) {
    let mut rest = extra;
    while rest.len() >= 4 {
        let (id, length) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
        let Some(mut body) = rest.get(4..4 + length) else { break };
        if id == 1 {
            let mut next = |value: &mut u64| {
                if *value == 0xffff_ffff && body.len() >= 8 {
                    *value = u64_at(body, 0);
                    body = &body[8..];
                }
            };
            next(&mut fields.size);
            next(&mut fields.packed);
            if let Some(header) = header {
                next(header);
            }
            return;
        }
        rest = &rest[4 + length..];
    }
}

/// The local header at `byte`.
pub(super) fn local_at(source: &dyn Source, byte: u64) -> Option<Local> {
    let head = source.bytes(byte, 30, 30).ok()?;
    if head.get(..4)? != LOCAL {
        return None;
    }
    let (name, extra) = (u64::from(u16_at(&head, 26)), u64::from(u16_at(&head, 28)));
    let mut fields = Fields {
        needed: u16_at(&head, 4),
        flags: u16_at(&head, 6),
        method: u16_at(&head, 8),
        crc: u32_at(&head, 14),
        packed: u64::from(u32_at(&head, 18)),
        size: u64::from(u32_at(&head, 22)),
        name: source.bytes(byte + 30, name, FIELD_MAX).ok()?.into_owned(),
        alias: None,
    };
    let extra_bytes = source.bytes(byte + 30 + name, extra, FIELD_MAX).ok()?;
    fields.alias = alias(&extra_bytes);
    widen(&mut fields, None, &extra_bytes);
    Some(Local { fields, byte, content: byte + 30 + name + extra })
}

/// Length of the data descriptor at `byte` that states these values; 0 when there is none.
pub(super) fn descriptor(source: &dyn Source, byte: u64, crc: u32, packed: u64, size: u64) -> u64 {
    let Ok(bytes) = source.bytes(byte, 24.min(source.len().saturating_sub(byte)), 24) else { return 0 };
    let skip = if bytes.get(..4) == Some(&DESCRIPTOR) { 4 } else { 0 };
    let body = bytes.get(skip..).unwrap_or_default();
    let wide = body.len() >= 20 && u64_at(body, 4) == packed && u64_at(body, 12) == size;
    let narrow =
        body.len() >= 12 && u64::from(u32_at(body, 4)) == packed && u64::from(u32_at(body, 8)) == size;
    if wide {
        skip as u64 + 20
    } else if narrow && (skip == 4 || u32_at(body, 0) == crc) {
        skip as u64 + 12
    } else if skip == 4 {
        // The signature is there but the values are others: still a descriptor, and a mismatch.
        16
    } else {
        0
    }
}
