//! Pickle by abstract interpretation: a symbolic machine that follows what would be imported, called and built.

mod bytes;
mod decode;
mod fold;
mod heap;
mod hidden;
mod judge;
mod know;
mod literal;
mod looks;
mod machine;
mod opcode;
mod pattern;
mod report;
pub(crate) mod rules;
mod show;
mod size;
mod summary;
#[cfg(test)]
mod tests;
mod value;

use crate::{Context, Part, Range, ReadError, Source};
pub(crate) use know::packages;
use machine::{End, Machine};
pub(crate) use opcode::opcodes;
pub(crate) use value::Value;

/// What follows in the file right after an object was built, outside the pickle's own opcodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    /// Nothing: the next opcode.
    Opcode,
    /// That many raw bytes, then the next opcode (joblib: padding and elements of an array).
    Bytes(u64),
    /// A whole pickle stream of its own, then the next opcode (joblib: an array of objects).
    Pickle,
}

/// What a reader of another format wants to know while a pickle is followed. Every method has a default that ignores.
pub(crate) trait Watch {
    /// An object got its state (`BUILD`). `next` is the position after the opcode.
    fn built(&mut self, object: &Value, next: u64) -> Follows {
        let _ = (object, next);
        Follows::Opcode
    }

    /// Whether [`Watch::built`] is asked for objects of this class (cheap; called for every `BUILD`).
    fn builds(&self, module: &str, name: &str) -> bool {
        let _ = (module, name);
        false
    }

    /// A persistent id was met (torch: `('storage', StorageType, key, device, count)`).
    fn persistent(&mut self, id: &Value) {
        let _ = id;
    }

    /// Whether [`Watch::called`] is asked for calls of this function.
    fn calls(&self, module: &str, name: &str) -> bool {
        let _ = (module, name);
        false
    }

    /// A function or class was called (`REDUCE`, `NEWOBJ`, `OBJ`, `INST`); the value is the call.
    fn called(&mut self, call: &Value) {
        let _ = call;
    }
}

/// A [`Watch`] that ignores everything.
pub(crate) struct Ignore;

impl Watch for Ignore {}

/// One pickle stream that was followed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stream {
    /// Byte after `STOP`, or after the last byte that was understood.
    pub(crate) end: u64,
    /// Whether `STOP` was reached with a value; if not, the reason is in `part.unread` or a finding is.
    pub(crate) complete: bool,
    /// Highest protocol that the stream states or needs.
    pub(crate) protocol: u8,
    /// The value on top of the stack at the end.
    pub(crate) top: Value,
}

/// Follows the pickle streams that stand one after the other from byte `at` to the end of `source`, and reports into
/// `part`. What is no pickle in between or after is looked through for hidden ones, and is unread otherwise.
/// Returns the byte after the last stream.
///
/// # Errors
/// When the source cannot be read. Truncated and malformed streams are reported, not errors.
pub(crate) fn read_streams(
    source: &dyn Source,
    at: u64,
    watch: &mut dyn Watch,
    part: &mut Part,
    cx: &mut Context<'_>,
) -> Result<u64, ReadError> {
    let mut next = at;
    for _ in 0..STREAMS_MAX {
        let stream = read_one(source, next, watch, part, cx)?;
        let from = stream.end.max(next + 1);
        next = stream.end;
        if from > source.len() || hidden::only_zeros(source, next)? {
            return Ok(next);
        }
        if !stream.complete {
            hidden::search(source, from, part, cx)?;
            return Ok(next);
        }
        let head = source.bytes(next, (source.len() - next).min(HEAD), HEAD)?;
        if !looks_like_pickle(&head, cx) {
            if !hidden::search(source, next, part, cx)? {
                // Whatever it is, it is looked at as a file of its own.
                cx.nested(part, "behind the pickle", &Range::from(source, next));
            }
            return Ok(next);
        }
    }
    cx.unread(part, Some(next), format!("more than {STREAMS_MAX} pickle streams in one file"));
    Ok(next)
}

/// Most streams of one file.
const STREAMS_MAX: u32 = 100_000;
/// Bytes looked at to tell whether a stream begins.
const HEAD: u64 = 1024;

/// Follows one pickle stream from byte `at` on and reports into `part`; does not look at what comes after it.
///
/// # Errors
/// When the source cannot be read.
pub(crate) fn read_one(
    source: &dyn Source,
    at: u64,
    watch: &mut dyn Watch,
    part: &mut Part,
    cx: &mut Context<'_>,
) -> Result<Stream, ReadError> {
    let mut machine = Machine::new(source, watch);
    let (end, why) = machine.run(at, cx)?;
    machine.finish(at, end);
    report::facts(&machine, part);
    report::report(&machine, part, cx);
    match &why {
        End::Stop => {}
        End::Truncated => {
            let reason = "the pickle ends before its STOP: the file is cut or not a pickle";
            cx.unread(part, Some(end), reason);
        }
        End::Broken(reason) => cx.unread(part, Some(end), format!("the pickle cannot be followed: {reason}")),
        End::Spent(spent) => cx.unread(part, Some(end), spent.to_string()),
    }
    let top = machine.top().map_or(Value::Unseen, |top| summary::summary(&machine.heap, source, top));
    Ok(Stream { end, complete: why == End::Stop, protocol: machine.protocol, top })
}

/// Whether bytes begin a pickle: they run up to a `STOP`, or to the end of what is given without breaking, or do
/// something that is worth a finding before they break.
pub(crate) fn looks_like_pickle(head: &[u8], cx: &mut Context<'_>) -> bool {
    matches!(probe(head, cx), Probe::Whole(_) | Probe::Open | Probe::Harmful)
}

/// What a look at the first bytes of something says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Probe {
    /// A whole stream of so many bytes.
    Whole(u64),
    /// It runs to the end of what is given, over several opcodes.
    Open,
    /// It does something that is worth a finding.
    Harmful,
    /// A protocol header, and then it breaks.
    Header,
    /// No pickle.
    No,
}

/// Looks at the first bytes of something.
pub(crate) fn probe(head: &[u8], cx: &mut Context<'_>) -> Probe {
    probe_source(&head, cx)
}

/// As [`probe`], of a source.
pub(crate) fn probe_source(source: &dyn Source, cx: &mut Context<'_>) -> Probe {
    let mut ignore = Ignore;
    let mut machine = Machine::new(source, &mut ignore);
    let Ok((end, why)) = machine.run(0, cx) else { return Probe::No };
    machine.finish(0, end);
    let head = source.head(3).unwrap_or_default();
    let head = &*head;
    match why {
        _ if machine.judge.acts() => Probe::Harmful,
        End::Stop => Probe::Whole(end),
        End::Truncated if matches!(head, [0x80, 0..=5, _, ..]) || end >= 64 => Probe::Open,
        _ if matches!(head, [0x80, 0..=5, ..]) => Probe::Header,
        _ => Probe::No,
    }
}
