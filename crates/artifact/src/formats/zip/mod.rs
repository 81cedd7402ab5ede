//! Zip archives, read as every program would read them at once.
//!
//! Programs disagree about zips: some believe the directory at the end, some the headers in front of each member, some
//! ignore flags, methods and checksums that others insist on. A scanner that picks one of these readings is blind to
//! the others. Here the directory **and** the local headers are read, each difference is a finding, and every byte of
//! the file must belong to something: what does not is scanned as a part of its own.

use std::collections::{BTreeMap, BTreeSet};

use domain::Severity;

use super::bytes::zero_until;
use super::paths::{Links, check_name, check_rights, normal};
use super::{Format, Input, Sure};
use crate::unpack::Pool;
use crate::{Context, Member, Part, Range, ReadError, Source};

mod compare;
mod content;
mod directory;
pub(super) mod rules;

use content::{Content, open, special};
use directory::{End, Entry, Local};
pub(crate) use rules::{BOMB, DISAGREE, HIDDEN, REMEDY_BOMB, REMEDY_DISAGREE, REMEDY_HIDDEN};

/// Zip archives.
pub(super) struct Zip;

impl Format for Zip {
    fn name(&self) -> &'static str {
        "zip"
    }

    fn includes(&self, input: &Input<'_>) -> &'static [&'static str] {
        // `P` begins a persistent id in a pickle, but no pickle that loads has one up to the first line end of a zip.
        if input.head.starts_with(&directory::LOCAL) { &["pickle"] } else { &[] }
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let local = input.head.starts_with(&directory::LOCAL) && input.head.len() >= 30;
        let empty = input.head.starts_with(&directory::END) && input.head.len() >= 22;
        if local || empty { Some(Sure::Certain) } else { has_directory(input) }
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        if let Err(e) = read(input.source, part, cx) {
            cx.unread(part, None, e.to_string());
        }
    }
}

/// Whether an end record in the tail has a directory where it says, which makes any file a zip. When something follows
/// it the zip may be one that another format carries, and that format decides.
fn has_directory(input: &Input<'_>) -> Option<Sure> {
    let start = input.source.len() - input.tail.len() as u64;
    // The last few end records decide; a file of signatures must not cost more.
    memchr::memmem::rfind_iter(input.tail, &directory::END).take(8).find_map(|n| {
        let end = directory::end_at(input.source, start + n as u64)?;
        let holds = end.entries > 0 && !directories(input.source, &end).is_empty();
        let last =
            super::bytes::rest(input.source, end.end.min(input.source.len())).is_ok_and(|r| r.is_none());
        holds.then_some(if last { Sure::Certain } else { Sure::Likely })
    })
}

/// Where the directory of an end record may be: where it says, and directly in front of the record. Programs use the
/// one or the other; both are the same unless bytes were put in front.
fn directories(source: &dyn Source, end: &End) -> Vec<u64> {
    let mut places: Vec<u64> = end.begin.checked_sub(end.size).into_iter().collect();
    if !places.contains(&end.offset) {
        places.push(end.offset);
    }
    places.retain(|p| {
        *p < end.byte && source.bytes(*p, 4, 4).is_ok_and(|b| *b == directory::CENTRAL)
            || (end.size == 0 && *p == end.byte)
    });
    places
}

/// Where a stretch of the file belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    pub(super) start: u64,
    pub(super) end: u64,
    /// A member, not a record.
    pub(super) member: bool,
}

/// One member as it will be scanned.
pub(super) struct Found {
    name: String,
    entry: Entry,
    local: Option<Local>,
    content: u64,
    hidden: bool,
    /// The file ends before the member does.
    cut: bool,
}

fn read(source: &dyn Source, part: &mut Part, cx: &mut Context<'_>) -> Result<(), ReadError> {
    let mut claims = Vec::new();
    let mut found: Vec<Found> = Vec::new();
    let mut ends = end_records(source)?;
    let main = ends.iter().rposition(|e| !directories(source, e).is_empty());
    if let Some(main) = main {
        let end = ends.remove(main);
        read_directory(source, &end, part, cx, &mut claims, &mut found);
        // End records inside of a member belong to an archive in the archive.
        for other in ends {
            if claims.iter().any(|c| c.member && c.start <= other.byte && other.byte < c.end) {
                continue;
            }
            let message = "there is more than one end record, so that programs read different directories";
            cx.find(part, &DISAGREE, Severity::High, Some(other.byte), message, REMEDY_DISAGREE);
            read_directory(source, &other, part, cx, &mut claims, &mut found);
        }
    } else {
        cx.unread(
            part,
            None,
            "the zip has no directory; it is cut off or damaged, ask the sender for it again",
        );
    }
    gaps(source, part, cx, &mut claims, &mut found)?;
    names(part, cx, &found);
    scan(source, part, cx, &found);
    Ok(())
}

/// All end records at the end of the file; when there is none, those anywhere.
fn end_records(source: &dyn Source) -> Result<Vec<End>, ReadError> {
    const MOST: usize = 64;
    let from = source.len().saturating_sub(directory::END_SEARCH);
    let mut places = directory::find_all(source, &directory::END, from, source.len(), MOST)?;
    let ends =
        |places: &[u64]| places.iter().filter_map(|p| directory::end_at(source, *p)).collect::<Vec<_>>();
    if !ends(&places).iter().any(|e| !directories(source, e).is_empty()) {
        places = directory::find_all(source, &directory::END, 0, source.len(), MOST)?;
    }
    Ok(ends(&places))
}

/// Reads the directories of one end record: members into `found`, stretches into `claims`.
fn read_directory(
    source: &dyn Source,
    end: &End,
    part: &mut Part,
    cx: &mut Context<'_>,
    claims: &mut Vec<Claim>,
    found: &mut Vec<Found>,
) {
    claims.push(Claim { start: end.begin, end: end.end, member: false });
    let comment = Range::new(source, end.end - end.comment, end.comment);
    if !comment.is_empty() {
        cx.nested(part, "comment", &comment);
    }
    if end.disks {
        cx.unread(part, Some(end.byte), "the archive goes over several files; join them and scan the whole");
    }
    let places = directories(source, end);
    if places.len() > 1 {
        let message = "the directory stands at two places, so that programs read different ones";
        cx.find(part, &DISAGREE, Severity::High, Some(end.byte), message, REMEDY_DISAGREE);
    }
    for place in places {
        // One more than stated, to see whether more follow.
        let (mut entries, mut stop) = directory::central(source, place, end.entries.saturating_add(1));
        if entries.len() as u64 > end.entries || stop > end.begin {
            let message = "the directory holds more entries than the end record says";
            cx.find(part, &DISAGREE, Severity::Medium, Some(place), message, REMEDY_DISAGREE);
            let all = directory::central(source, place, directory::ENTRIES_MAX);
            entries = all.0;
            stop = all.1;
        } else if (entries.len() as u64) < end.entries {
            if end.entries > directory::ENTRIES_MAX {
                cx.unread(
                    part,
                    Some(place),
                    format!("more than {} entries; unpack it and scan the parts", directory::ENTRIES_MAX),
                );
            } else {
                let message = "the directory holds fewer entries than the end record says";
                cx.find(part, &DISAGREE, Severity::Medium, Some(place), message, REMEDY_DISAGREE);
            }
        }
        claims.push(Claim { start: place, end: stop, member: false });
        // Bytes in front of the archive that its offsets do not count.
        let shift = place.saturating_sub(end.offset);
        if shift > 0 {
            let message =
                format!("{shift} bytes stand in front of the archive; some programs open it, others do not");
            cx.find(part, &DISAGREE, Severity::Medium, Some(0), message, REMEDY_DISAGREE);
        }
        for entry in entries {
            let local = [entry.header.saturating_add(shift), entry.header]
                .into_iter()
                .find_map(|at| directory::local_at(source, at));
            member(source, entry, local, part, cx, claims, found);
        }
    }
}

fn member(
    source: &dyn Source,
    entry: Entry,
    local: Option<Local>,
    part: &mut Part,
    cx: &mut Context<'_>,
    claims: &mut Vec<Claim>,
    found: &mut Vec<Found>,
) {
    let name = entry.fields.text();
    let Some(local) = local else {
        let message = format!("the directory names `{name}`, but there is no member where it says");
        if entry.header >= source.len() {
            cx.unread(part, Some(entry.byte), message);
        } else {
            cx.find(part, &DISAGREE, Severity::Medium, Some(entry.byte), message, REMEDY_DISAGREE);
        }
        return;
    };
    compare::fields(cx, part, &entry, &local);
    let content = local.content;
    let stop = content.saturating_add(entry.fields.packed);
    if stop > source.len() {
        cx.unread(
            part,
            Some(content),
            format!("`{name}` is cut off: {} bytes are missing", stop - source.len()),
        );
    }
    let descriptor = if local.fields.flags & 8 != 0 || entry.fields.flags & 8 != 0 {
        directory::descriptor(source, stop, entry.fields.crc, entry.fields.packed, entry.fields.size)
    } else {
        0
    };
    claims.push(Claim { start: local.byte, end: stop.saturating_add(descriptor), member: true });
    if local.fields.packed != entry.fields.packed
        && local.fields.packed > 0
        && local.fields.packed < u64::from(u32::MAX)
    {
        // What a program that believes the local header would read.
        let other = Entry { fields: local.fields.clone(), ..entry.clone() };
        found.push(Found {
            name: name.clone(),
            content,
            local: Some(local.clone()),
            entry: other,
            hidden: true,
            cut: false,
        });
    }
    if local.fields.name != entry.fields.name {
        check_name(cx, part, &local.fields.text(), local.byte);
    }
    found.push(Found { name, content, local: Some(local), entry, hidden: false, cut: stop > source.len() });
}

/// Goes through the file from front to back: overlaps, holes, and members that no directory names.
fn gaps(
    source: &dyn Source,
    part: &mut Part,
    cx: &mut Context<'_>,
    claims: &mut [Claim],
    found: &mut Vec<Found>,
) -> Result<(), ReadError> {
    claims.sort_unstable();
    let mut at = 0;
    let mut holes = Vec::new();
    for claim in claims.iter() {
        if claim.start > at {
            holes.push((at, claim.start));
        } else if claim.start < at && claim.member {
            let message = "members of the archive overlap: the same bytes are read more than once";
            cx.find(part, &BOMB, Severity::High, Some(claim.start), message, REMEDY_BOMB);
        }
        at = at.max(claim.end);
    }
    if at < source.len() {
        holes.push((at, source.len()));
    }
    for (start, end) in holes {
        hole(source, part, cx, start, end, found)?;
    }
    Ok(())
}

/// What is in a stretch that nothing claims.
fn hole(
    source: &dyn Source,
    part: &mut Part,
    cx: &mut Context<'_>,
    start: u64,
    end: u64,
    found: &mut Vec<Found>,
) -> Result<(), ReadError> {
    let mut at = zero_until(source, start, end)?;
    let had_directory = !found.is_empty();
    while let Some(local) = (at < end).then(|| directory::local_at(source, at)).flatten() {
        if found.len() as u64 >= directory::ENTRIES_MAX {
            cx.unread(part, Some(at), "too many members without a directory entry");
            return Ok(());
        }
        let name = local.fields.text();
        if had_directory {
            let message = format!("the member `{name}` is in the archive but not in its directory");
            cx.find(part, &HIDDEN, Severity::High, Some(at), message, REMEDY_HIDDEN);
        }
        let mut fields = local.fields.clone();
        let cut = local.content.saturating_add(fields.packed) > source.len();
        if fields.packed == 0 || local.content.saturating_add(fields.packed) > end {
            fields.packed = unknown_length(source, &local, end)?;
        }
        let stop = local.content.saturating_add(fields.packed).min(end);
        let descriptor = directory::descriptor(source, stop, fields.crc, fields.packed, fields.size);
        let next = if local.fields.flags & 8 != 0 { stop + descriptor } else { stop };
        let entry = Entry { fields, header: at, mode: 0, byte: at };
        found.push(Found { name, content: local.content, local: Some(local), entry, hidden: true, cut });
        at = zero_until(source, next.min(end), end)?;
    }
    // Of an archive that was cut off, the start of the directory may be left.
    let left = !had_directory && source.bytes(at, 4, 4).is_ok_and(|b| *b == directory::CENTRAL);
    if at < end && !left {
        let severity = if had_directory { Severity::Medium } else { Severity::Low };
        let message = format!("{} bytes belong to no member of the archive", end - at);
        cx.find(part, &HIDDEN, severity, Some(at), message, REMEDY_HIDDEN);
        cx.nested(part, &format!("bytes {at} to {end}"), &Range::new(source, at, end - at));
    }
    Ok(())
}

/// Length of a member that states none: up to the next record.
fn unknown_length(source: &dyn Source, local: &Local, end: u64) -> Result<u64, ReadError> {
    let mut stop = end;
    for signature in [directory::LOCAL, directory::CENTRAL, *b"PK\x07\x08"] {
        if let Some(at) = directory::find_all(source, &signature, local.content, stop, 1)?.first() {
            stop = stop.min(*at);
        }
    }
    Ok(stop.saturating_sub(local.content))
}

/// Names: where they would be written, and whether two members fight for the same one.
fn names(part: &mut Part, cx: &mut Context<'_>, found: &[Found]) {
    let mut seen: BTreeMap<String, (&[u8], u64)> = BTreeMap::new();
    for member in found.iter().filter(|m| !m.hidden) {
        let raw = member.entry.fields.name.as_slice();
        check_name(cx, part, &member.name, member.entry.byte);
        let shown = normal(&member.name);
        let Some((other, byte)) = seen.insert(shown.to_lowercase(), (raw, member.content)) else { continue };
        let other_shown = normal(&String::from_utf8_lossy(other));
        // The same directory listed twice over is one member.
        if byte == member.content && other == raw {
            let message = format!("`{}` is listed twice", member.name);
            cx.find(part, &DISAGREE, Severity::Low, Some(member.entry.byte), message, REMEDY_DISAGREE);
        } else if other_shown == shown {
            let message = format!("two members are called `{shown}`: programs take the first or the last");
            cx.find(part, &DISAGREE, Severity::Medium, Some(member.entry.byte), message, REMEDY_DISAGREE);
        } else {
            let message = format!("`{shown}` and `{other_shown}` are one file on systems that ignore case");
            cx.find(part, &DISAGREE, Severity::Low, Some(member.entry.byte), message, REMEDY_DISAGREE);
        }
    }
}

/// Scans the members, each as the most permissive program would read it.
fn scan(source: &dyn Source, part: &mut Part, cx: &mut Context<'_>, found: &[Found]) {
    let pool = Pool::new(cx.budget(), cx.limits);
    let mut links = Links::default();
    let mut sources: Vec<(&Found, Content<'_>)> = Vec::new();
    let mut seen = BTreeSet::new();
    for member in found {
        let fields = &member.entry.fields;
        // The same bytes under another name, which is a finding already, are not read again.
        if fields.packed > 0 && !seen.insert((member.content, fields.packed, fields.method)) {
            continue;
        }
        let folder = fields.name.ends_with(b"/") || member.entry.mode & 0o170_000 == 0o040_000;
        if folder && fields.size == 0 {
            continue;
        }
        if folder {
            let message = format!("`{}` is a folder with content", member.name);
            cx.find(part, &DISAGREE, Severity::Medium, Some(member.content), message, REMEDY_DISAGREE);
        }
        links.through(cx, part, &member.name, member.entry.byte);
        check_rights(cx, part, &member.name, member.entry.mode, member.entry.byte);
        let content = open(source, member, &pool);
        if let Some(special) = special(member.entry.mode, &content) {
            links.special(cx, part, &member.name, &special, member.entry.byte);
        }
        sources.push((member, content));
    }
    let members: Vec<Member<'_>> =
        sources.iter().map(|(f, c)| Member { name: &f.name, source: c.source() }).collect();
    cx.members(part, &members);
    let first = part.parts.len() - members.len();
    for (n, (member, content)) in sources.iter().enumerate() {
        let child = part.parts.get(first + n);
        let programs = child.is_some_and(|c| matches!(c.format.as_str(), "weights" | "unknown"));
        compare::content(cx, part, member, content, programs.then_some(first + n));
    }
}
