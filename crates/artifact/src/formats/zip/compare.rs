//! What directory, local header and content of a member say of each other.

use domain::Severity;

use super::directory::{Entry, Fields, Local};
use super::rules::{REMEDY_SEALED, SEALED};
use super::{BOMB, Content, DISAGREE, Found, REMEDY_BOMB, REMEDY_DISAGREE};
use crate::unpack::{Codec, Packed, Pool, Stop};
use crate::{Context, Cursor, Part, Range, ReadError, Source, embedded};

/// Highest version of the specification that a member may need, times ten (APPNOTE 6.3).
const NEEDED_MAX: u16 = 63;
/// Flags that change how the bytes are read: encrypted, patch data, strong encryption, masked header.
const FLAGS_READING: u16 = 1 | 1 << 5 | 1 << 6 | 1 << 13;
/// Flag: sizes and checksum follow the content.
const FLAG_DESCRIPTOR: u16 = 1 << 3;
const ENCRYPTED: u16 = 1;

/// Compares what the directory and the local header say.
pub(super) fn fields(cx: &mut Context<'_>, part: &mut Part, entry: &Entry, local: &Local) {
    let (a, b) = (&entry.fields, &local.fields);
    let name = a.text();
    let mut differ = |severity, what: &str, left: String, right: String| {
        let message = format!("`{name}`: the directory says {what} {left}, the member itself {right}");
        cx.find(part, &DISAGREE, severity, Some(local.byte), message, REMEDY_DISAGREE);
    };
    if a.name != b.name {
        differ(Severity::High, "name", format!("`{name}`"), format!("`{}`", b.text()));
    }
    // A name in letters that ASCII does not have is written twice by honest programs; one in ASCII needs no second.
    for alias in [&a.alias, &b.alias].into_iter().flatten() {
        if a.name.is_ascii() && *alias != a.name {
            let other = String::from_utf8_lossy(alias).into_owned();
            differ(Severity::High, "name", format!("`{name}`"), format!("`{other}` as well"));
        }
    }
    if a.method != b.method {
        differ(Severity::High, "method", a.method.to_string(), b.method.to_string());
    }
    if (a.flags ^ b.flags) & FLAGS_READING != 0 {
        differ(Severity::High, "flags", format!("{:#06x}", a.flags), format!("{:#06x}", b.flags));
    }
    // A writer that did not know them yet leaves 0, and says so with a flag.
    let later = b.flags & FLAG_DESCRIPTOR != 0 || (b.crc, b.packed, b.size) == (0, 0, 0);
    let full = u64::from(u32::MAX);
    let known = |v: u64| v != full && !(later && v == 0);
    if a.size != b.size && known(b.size) {
        differ(Severity::Medium, "size", a.size.to_string(), b.size.to_string());
    }
    if a.packed != b.packed && known(b.packed) {
        differ(Severity::Medium, "packed size", a.packed.to_string(), b.packed.to_string());
    }
    if a.crc != b.crc && !(later && b.crc == 0) {
        differ(Severity::Medium, "checksum", format!("{:08x}", a.crc), format!("{:08x}", b.crc));
    }
    // The upper byte is the system it was made on, by some writers.
    for fields in [a, b] {
        let needed = fields.needed & 0xff;
        if needed > NEEDED_MAX {
            let message = format!(
                "`{name}` needs version {}.{} of the zip specification, which does not exist",
                needed / 10,
                needed % 10
            );
            cx.find(part, &DISAGREE, Severity::Medium, Some(local.byte), message, REMEDY_DISAGREE);
        }
    }
}

/// CRC-32 of a whole source.
pub(super) fn crc(source: &dyn Source) -> Result<u32, ReadError> {
    const STEP: u64 = 256 * 1024;
    let mut hasher = crc32fast::Hasher::new();
    let mut cursor = Cursor::new(source, 0);
    while cursor.remaining() > 0 {
        hasher.update(cursor.take(cursor.remaining().min(STEP), STEP)?);
    }
    Ok(hasher.finalize())
}

/// CRC-32 of a stored member, whose part is looked through for programs in the same pass when it is only numbers.
fn sweep(
    cx: &mut Context<'_>,
    part: &mut Part,
    source: &dyn Source,
    numbers: Option<usize>,
) -> Result<u32, ReadError> {
    let Some(child) = numbers.and_then(|n| part.parts.get_mut(n)) else { return crc(source) };
    let mut hasher = crc32fast::Hasher::new();
    let hits = embedded::starts(source, &mut |bytes| hasher.update(bytes))?;
    embedded::report(hits, child, cx);
    Ok(hasher.finalize())
}

/// Compares what was read with what was promised. `numbers` is the index of the part when it is nothing but numbers, to be
/// looked through for programs.
pub(super) fn content(
    cx: &mut Context<'_>,
    part: &mut Part,
    member: &Found,
    content: &Content<'_>,
    numbers: Option<usize>,
) {
    let fields = &member.entry.fields;
    let (name, byte) = (&member.name, Some(member.content));
    let flags = fields.flags | member.local.as_ref().map_or(0, |l| l.fields.flags);
    let encrypted = flags & ENCRYPTED != 0;
    let right = match content {
        Content::Stored(stored) => match sweep(cx, part, stored, numbers) {
            Ok(crc) => {
                let right = checked(cx, part, member, crc, stored.len(), encrypted);
                if !right {
                    inflated(cx, part, member, stored.0);
                }
                right
            }
            Err(e) => {
                cx.unread(part, byte, format!("`{name}`: {e}"));
                false
            }
        },
        Content::Packed(packed) => {
            let decoded = packed.decoded();
            match &decoded.stop {
                None => {
                    if decoded.consumed < packed.raw_len() && !encrypted {
                        let rest = packed.raw_len() - decoded.consumed;
                        let message =
                            format!("`{name}`: {rest} bytes follow the end of the compressed stream");
                        cx.find(part, &super::HIDDEN, Severity::Medium, byte, message, super::REMEDY_HIDDEN);
                        let raw = packed.raw();
                        let rest = Range::from(&raw, decoded.consumed);
                        cx.nested(part, &format!("{name} (behind its stream)"), &rest);
                    }
                    checked(cx, part, member, decoded.crc, decoded.length, encrypted)
                }
                Some(Stop::Bomb) => {
                    let message =
                        format!("`{name}` unfolds to more than {} times its size", cx.limits.ratio_max);
                    cx.find(part, &BOMB, Severity::High, byte, message, REMEDY_BOMB);
                    true
                }
                Some(Stop::Spent(why)) => {
                    cx.unread(part, byte, format!("`{name}`: {why}"));
                    true
                }
                Some(Stop::Corrupt(_)) if encrypted => false,
                Some(Stop::Corrupt(why)) if member.cut => {
                    cx.unread(part, byte, format!("`{name}` is cut off: {why}"));
                    false
                }
                Some(Stop::Corrupt(why)) => {
                    let message = format!("`{name}` cannot be decompressed: {why}");
                    cx.find(part, &DISAGREE, Severity::Medium, byte, message, REMEDY_DISAGREE);
                    // Programs that believe the size rather than the method read it as it stands.
                    cx.nested(part, &format!("{name} (as it is stored)"), &packed.raw());
                    inflated(cx, part, member, packed.raw());
                    true
                }
            }
        }
        Content::Unknown(_) => {
            let message = format!("`{name}` is compressed by method {}, which is not known", fields.method);
            cx.unread(part, byte, message);
            true
        }
    };
    if encrypted && right {
        let message =
            format!("`{name}` is marked as encrypted but is not, so that scanners stop where loaders go on");
        cx.find(part, &DISAGREE, Severity::High, byte, message, REMEDY_DISAGREE);
    } else if encrypted {
        let message = format!("`{name}` is encrypted, so that nobody can see what it holds");
        cx.find(part, &SEALED, Severity::Medium, byte, message, REMEDY_SEALED);
        cx.unread(
            part,
            byte,
            format!("`{name}` is encrypted; ask the sender for an archive that can be looked into"),
        );
    }
}

/// A member that is not what its method says may be a deflated one, for programs that try.
fn inflated(cx: &mut Context<'_>, part: &mut Part, member: &Found, raw: Range<'_>) {
    let pool = Pool::new(cx.budget(), cx.limits);
    let packed = Packed::new(raw, Codec::Deflate, &pool);
    let decoded = packed.decoded();
    if decoded.length > 0 && (decoded.stop.is_none() || decoded.crc == member.entry.fields.crc) {
        cx.nested(part, &format!("{} (inflated)", member.name), &packed);
    }
}

fn checked(
    cx: &mut Context<'_>,
    part: &mut Part,
    member: &Found,
    crc: u32,
    size: u64,
    encrypted: bool,
) -> bool {
    let fields = &member.entry.fields;
    let right = crc == fields.crc && size == fields.size;
    // A hidden member whose header states nothing cannot be wrong.
    let stated = !(member.cut || member.hidden && unstated(fields));
    if !right && !encrypted && stated {
        let what = if size == fields.size { "checksum" } else { "size" };
        let message =
            format!("the content of `{}` does not have the {what} that the archive states", member.name);
        cx.find(part, &DISAGREE, Severity::Medium, Some(member.content), message, REMEDY_DISAGREE);
    }
    right
}

fn unstated(fields: &Fields) -> bool {
    fields.crc == 0 && fields.size == 0
}
