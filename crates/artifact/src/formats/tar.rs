//! Tar archives: v7, ustar, pax and GNU. POSIX.1-2017 pax; GNU tar manual, "Basic Tar Format".

use std::collections::BTreeMap;

use domain::Severity;

use super::paths::{Links, Special, check_name, check_rights, normal};
use super::zip::{DISAGREE, HIDDEN, REMEDY_DISAGREE, REMEDY_HIDDEN};
use super::{Format, Input, Sure};
use crate::{Context, Member, Part, Range, ReadError, Source};

/// Size of a record.
const BLOCK: u64 = 512;
/// Most members of one archive.
const MEMBERS_MAX: usize = 200_000;
/// Longest extended header that is read: a long name, a set of pax records.
const EXTENDED_MAX: u64 = 1 << 20;

/// Tar archives.
pub(super) struct Tar;

impl Format for Tar {
    fn name(&self) -> &'static str {
        "tar"
    }

    fn includes(&self, input: &Input<'_>) -> &'static [&'static str] {
        // A zip that is the last member looks like a zip with something in front of it.
        if input.head.starts_with(b"PK") { &[] } else { &["zip"] }
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let block = input.head.get(..512)?;
        let header = Header::parse(block)?;
        let magic = block.get(257..262) == Some(b"ustar");
        // The checksum is 16 bits over 512 bytes; without the magic the name and numbers must look right too.
        (header.checksum && (magic || !header.name.is_empty())).then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        if let Err(e) = read(input.source, part, cx) {
            cx.unread(part, None, e.to_string());
        }
    }
}

/// One header block.
#[derive(Debug, Clone, Default)]
struct Header {
    name: String,
    link: String,
    mode: u32,
    size: u64,
    kind: u8,
    checksum: bool,
    /// GNU sparse: size of the content with its holes.
    sparse: bool,
    /// GNU sparse: more map blocks follow the header.
    extended: bool,
}

impl Header {
    /// `None` when the block cannot be a header at all.
    fn parse(block: &[u8]) -> Option<Self> {
        let stated = octal(block.get(148..156)?)?;
        let sum = |signed: bool| -> i64 {
            block
                .iter()
                .enumerate()
                .map(|(n, b)| match (148..156).contains(&n) {
                    true => i64::from(b' '),
                    false if signed => i64::from(*b as i8),
                    false => i64::from(*b),
                })
                .sum()
        };
        let stated = i64::try_from(stated).ok()?;
        let checksum = stated == sum(false) || stated == sum(true);
        let ustar = block.get(257..263) == Some(b"ustar\0");
        let mut name = text(block.get(..100)?);
        let prefix = text(block.get(345..500)?);
        if ustar && !prefix.is_empty() {
            name = format!("{prefix}/{name}");
        }
        let kind = *block.get(156)?;
        Some(Self {
            name,
            link: text(block.get(157..257)?),
            mode: u32::try_from(octal(block.get(100..108)?)? & 0o7777).ok()?,
            size: octal(block.get(124..136)?)?,
            kind,
            checksum,
            sparse: kind == b'S',
            extended: kind == b'S' && block.get(482) == Some(&1),
        })
    }
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// A number field: octal digits, or with the top bit of the first byte base 256 (GNU).
fn octal(field: &[u8]) -> Option<u64> {
    let first = *field.first()?;
    if first & 0x80 != 0 {
        // Negative numbers make no sense in any field read here.
        if first & 0x40 != 0 {
            return None;
        }
        let mut value = u64::from(first & 0x3f);
        for b in &field[1..] {
            value = value.checked_mul(256)? | u64::from(*b);
        }
        return Some(value);
    }
    let mut value = 0_u64;
    let mut digits = field.iter().copied().skip_while(|b| *b == b' ');
    for b in digits.by_ref() {
        match b {
            b'0'..=b'7' => value = value.checked_mul(8)? | u64::from(b - b'0'),
            b' ' | 0 => break,
            _ => return None,
        }
    }
    Some(value)
}

/// Records that apply to the next member (or, global, to all).
type Records = BTreeMap<String, String>;

fn pax(bytes: &[u8], into: &mut Records) -> Option<()> {
    let mut rest = bytes;
    while !rest.is_empty() && rest[0] != 0 {
        let space = rest.iter().take(20).position(|b| *b == b' ')?;
        let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        let record = rest.get(space + 1..length)?;
        let record = String::from_utf8_lossy(record.strip_suffix(b"\n")?).into_owned();
        let (key, value) = record.split_once('=')?;
        into.insert(key.to_owned(), value.to_owned());
        rest = &rest[length..];
    }
    Some(())
}

struct Entry<'a> {
    name: String,
    content: Range<'a>,
}

/// State between headers.
#[derive(Default)]
struct Pending {
    long_name: Option<String>,
    long_link: Option<String>,
    local: Records,
    global: Records,
}

impl Pending {
    fn record(&self, key: &str) -> Option<&String> {
        self.local.get(key).or_else(|| self.global.get(key))
    }
}

fn read(source: &dyn Source, part: &mut Part, cx: &mut Context<'_>) -> Result<(), ReadError> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut links = Links::default();
    let mut pending = Pending::default();
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    let mut at = 0;
    let mut headers = 0_usize;
    while at + BLOCK <= source.len() {
        let block = source.bytes(at, BLOCK, BLOCK)?;
        if block.iter().all(|b| *b == 0) {
            break;
        }
        headers += 1;
        if headers > 3 * MEMBERS_MAX || entries.len() >= MEMBERS_MAX {
            cx.unread(
                part,
                Some(at),
                format!("more than {MEMBERS_MAX} members; unpack it and scan the parts"),
            );
            return Ok(());
        }
        let Some(mut header) = Header::parse(&block).filter(|h| h.checksum) else {
            let message = "a header of the archive is not valid: programs stop here or go on, and see different members";
            cx.find(part, &DISAGREE, Severity::Medium, Some(at), message, REMEDY_DISAGREE);
            cx.nested(part, &format!("bytes from {at}"), &Range::from(source, at));
            return Ok(());
        };
        let byte = at;
        at += BLOCK;
        while header.extended && at + BLOCK <= source.len() {
            let map = source.bytes(at, BLOCK, BLOCK)?;
            header.extended = map.get(504) == Some(&1);
            at += BLOCK;
        }
        if let Some(size) = pending.record("size").and_then(|s| s.parse().ok())
            && !matches!(header.kind, b'x' | b'g' | b'L' | b'K')
        {
            header.size = size;
        }
        let has_content = !matches!(header.kind, b'1' | b'2' | b'3' | b'4' | b'5' | b'6');
        let size = if has_content { header.size } else { 0 };
        let content = Range::new(source, at, size);
        if content.len() < size {
            cx.unread(
                part,
                Some(at),
                format!("`{}` is cut off: {} bytes are missing", header.name, size - content.len()),
            );
        }
        at = at.saturating_add(size).saturating_add((BLOCK - size % BLOCK) % BLOCK);
        if matches!(header.kind, b'x' | b'X' | b'g' | b'L' | b'K') {
            extended(cx, part, &header, &content, byte, &mut pending)?;
            continue;
        }
        let name = pending.record("GNU.sparse.name").or_else(|| pending.record("path")).cloned();
        let name = pending.long_name.take().or(name).unwrap_or_else(|| header.name.clone());
        let link = pending.record("linkpath").cloned();
        header.link = pending.long_link.take().or(link).unwrap_or(header.link);
        let sparse = header.sparse || pending.local.keys().any(|k| k.starts_with("GNU.sparse"));
        pending.local.clear();
        member(cx, part, &mut links, &header, &name, byte);
        if sparse {
            cx.unread(part, Some(byte), format!("`{name}` is stored with holes; unpack it and scan that"));
        }
        let folder = header.kind == b'5' || (header.kind == b'0' || header.kind == 0) && name.ends_with('/');
        if folder || !has_content {
            continue;
        }
        if let Some(first) = seen.insert(normal(&name), byte) {
            // An archive that was appended to holds the older copy too; both are scanned.
            let message = format!(
                "`{name}` is there twice (first at byte {first}); the later one is unpacked over the earlier"
            );
            cx.find(part, &DISAGREE, Severity::Low, Some(byte), message, REMEDY_DISAGREE);
        }
        entries.push(Entry { name, content });
    }
    let end = at.min(source.len());
    scan(part, cx, &entries);
    if let Some(rest) = super::bytes::rest(source, end)? {
        let message = format!("{} bytes follow the end of the archive", source.len() - rest);
        cx.find(part, &HIDDEN, Severity::Medium, Some(rest), message, REMEDY_HIDDEN);
        // Concatenated archives begin at a block.
        cx.nested(part, "behind the archive", &Range::from(source, rest - rest % BLOCK));
    }
    Ok(())
}

fn extended(
    cx: &mut Context<'_>,
    part: &mut Part,
    header: &Header,
    content: &Range<'_>,
    byte: u64,
    pending: &mut Pending,
) -> Result<(), ReadError> {
    if content.len() > EXTENDED_MAX {
        cx.unread(part, Some(byte), "an extended header is larger than a megabyte");
        return Ok(());
    }
    let bytes = content.bytes(0, content.len(), EXTENDED_MAX)?;
    let into = match header.kind {
        b'L' => {
            pending.long_name = Some(text(&bytes));
            return Ok(());
        }
        b'K' => {
            pending.long_link = Some(text(&bytes));
            return Ok(());
        }
        b'g' => &mut pending.global,
        _ => &mut pending.local,
    };
    if pax(&bytes, into).is_none() {
        let message = "an extended header is not valid: programs take different names and sizes from it";
        cx.find(part, &DISAGREE, Severity::Medium, Some(byte), message, REMEDY_DISAGREE);
    }
    Ok(())
}

/// Names, links, rights.
fn member(cx: &mut Context<'_>, part: &mut Part, links: &mut Links, header: &Header, name: &str, byte: u64) {
    check_name(cx, part, name, byte);
    links.through(cx, part, name, byte);
    let special = match header.kind {
        b'1' => Special::Hardlink(header.link.clone()),
        b'2' => Special::Symlink(header.link.clone()),
        b'3' | b'4' => Special::Device,
        b'6' => Special::Pipe,
        0 | b'0' | b'7' | b'S' => {
            check_rights(cx, part, name, header.mode, byte);
            return;
        }
        b'5' | b'D' | b'V' | b'M' | b'N' => return,
        other => {
            cx.unread(
                part,
                Some(byte),
                format!("`{name}` is of type {:?}, which is not known", char::from(other)),
            );
            return;
        }
    };
    links.special(cx, part, name, &special, byte);
}

fn scan(part: &mut Part, cx: &mut Context<'_>, entries: &[Entry<'_>]) {
    let members: Vec<Member<'_>> =
        entries.iter().map(|e| Member { name: &e.name, source: &e.content }).collect();
    cx.members(part, &members);
}
