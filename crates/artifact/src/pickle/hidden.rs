//! Pickles where a reader would not look: behind the end, after bytes that are no pickle, and inside constants.

use domain::Severity;

use super::machine::Machine;
use super::{Ignore, bytes, decode, literal, looks, report, rules};
use crate::source::Range;
use crate::{Context, Part, ReadError, Source, Verdict};

/// Bytes searched behind the end of a pickle.
const SEARCHED_MAX: u64 = 64 << 20;
/// Bytes searched at once.
const STRETCH: u64 = 1 << 20;
/// Places that are tried.
const TRIED_MAX: u32 = 4096;
/// Longest encoded constant that is decoded, bytes.
const ENCODED_MAX: u64 = 4 << 20;
const REMEDY: &str = "Do not load the file; ask the sender why a second pickle is hidden in it.";

/// Whether all bytes from `from` on are zero: padding.
pub(super) fn only_zeros(source: &dyn Source, from: u64) -> Result<bool, ReadError> {
    let mut at = from;
    while at < source.len() && at - from < SEARCHED_MAX {
        let held = source.bytes(at, (source.len() - at).min(STRETCH), STRETCH)?;
        if held.iter().any(|b| *b != 0) {
            return Ok(false);
        }
        at += held.len() as u64;
    }
    Ok(true)
}

/// Looks for pickles from `from` on that do harm; says whether one was found. Harmless ones are not told from chance.
pub(super) fn search(
    source: &dyn Source,
    from: u64,
    part: &mut Part,
    cx: &mut Context<'_>,
) -> Result<bool, ReadError> {
    let (mut at, mut tried) = (from, 0);
    while at < source.len() && at - from < SEARCHED_MAX && tried < TRIED_MAX {
        let length = (source.len() - at).min(STRETCH);
        let held = source.bytes(at, length, STRETCH)?;
        let places: Vec<u64> = (0..held.len())
            .filter(|i| begins(&held[*i..]))
            .map(|i| at + i as u64)
            .take(TRIED_MAX as usize)
            .collect();
        drop(held);
        for place in places {
            tried += 1;
            let mut ignore = Ignore;
            let mut machine = Machine::new(source, &mut ignore);
            let (end, _) = machine.run(place, cx)?;
            machine.finish(place, end);
            if machine.judge.found() {
                let message = "a pickle that does harm stands where a reader of this file would not look";
                cx.find(part, &rules::HIDES_PICKLE, Severity::High, Some(place), message, REMEDY);
                report::report(&machine, part, cx);
                return Ok(true);
            }
        }
        at += length;
    }
    Ok(false)
}

/// Whether a pickle may begin here: a protocol header, or an import.
fn begins(bytes: &[u8]) -> bool {
    let name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
    match bytes {
        [0x80, 1..=5, next, ..] => !next.is_ascii_digit(),
        [b'c' | b'i', rest @ ..] => {
            let mut lines = rest.get(..rest.len().min(200)).unwrap_or_default().split(|b| *b == b'\n');
            let named = |line: Option<&[u8]>| line.is_some_and(|l| l.len() > 1 && l.iter().all(name));
            named(lines.next()) && named(lines.next()) && lines.next().is_some()
        }
        [0x8c, length @ 2..=60, rest @ ..] => {
            let (inside, after) = rest.split_at_checked(usize::from(*length)).unwrap_or_default();
            !inside.is_empty() && inside.iter().all(name) && matches!(after, [0x8c, ..] | [0x94, 0x8c, ..])
        }
        _ => false,
    }
}

/// Searches the inside of the bytes constant whose opcode is at `at`.
pub(super) fn look_through(source: &dyn Source, at: u64, part: &mut Part, cx: &mut Context<'_>) {
    if let Some((_, _, begin, length)) = bytes::argument(source, at, 1)
        && let Err(e) = search(&Range::new(source, begin, length), 0, part, cx)
    {
        cx.unread(part, Some(at), e.to_string());
    }
}

/// Looks into the constant whose opcode is at `at`: as a file of its own, as it is or decoded. Only what does harm is
/// kept; a harmless constant is no part of its own.
pub(super) fn look_into(source: &dyn Source, at: u64, part: &mut Part, cx: &mut Context<'_>) {
    let Some((op, held, begin, length)) = bytes::argument(source, at, ENCODED_MAX) else { return };
    let name = format!("constant at byte {at}");
    let child = if matches!(op, b'B' | b'C' | 0x8e | 0x96) && !looks::encoded(&held) {
        cx.scan(&name, &Range::new(source, begin, length))
    } else {
        if length > ENCODED_MAX {
            return;
        }
        let Some(text) = literal::text(op, &held) else { return };
        let decoded = if text.starts_with('\u{80}') {
            text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
        } else {
            decode::hex(text.as_bytes()).or_else(|| decode::base64(text.as_bytes()))
        };
        let Some(decoded) = decoded else { return };
        cx.scan(&name, &decoded)
    };
    if child.verdict() == Verdict::Found {
        let message = "a constant of the pickle is something harmful of its own, packed or encoded";
        cx.find(part, &rules::HIDES_PICKLE, Severity::High, Some(at), message, REMEDY);
        part.parts.push(child);
    }
}
