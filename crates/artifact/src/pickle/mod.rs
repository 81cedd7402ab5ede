//! Pickle by abstract interpretation: a symbolic machine that follows what would be imported, called and built.

mod value;

use crate::{Context, Part, ReadError, Source};
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
    part: &mut Part,
    cx: &mut Context<'_>,
) -> Result<u64, ReadError> {
    let mut next = at;
    while next < source.len() {
        let stream = read_one(source, next, &mut Ignore, part, cx)?;
        next = stream.end;
        if !stream.complete {
            break;
        }
    }
    Ok(next)
}

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
    let _ = (source.len(), watch);
    cx.unread(part, Some(at), "the pickle machine is not there yet");
    Ok(Stream { end: at, complete: false, protocol: 0, top: Value::Unseen })
}

/// Whether bytes begin like a pickle: a protocol header, or text opcodes that parse up to a `STOP` or to the end of
/// what is given.
pub(crate) fn looks_like_pickle(head: &[u8]) -> bool {
    matches!(head, [0x80, 0..=5, ..])
}
