//! MessagePack: weights of Flax and others.

use domain::{Entry, Severity, catalogue_entry};

use super::{Format, Input, Sure};
use crate::{Context, Cursor, Part, Range, ReadError, embedded, payload};

catalogue_entry! {
    /// A MessagePack file asks to build objects.
    ///
    /// ## What it is
    /// A key such as `__reduce__` or `__class__`, or an extension type that is not one of Flax's arrays and numbers.
    ///
    /// ## Why it matters in care
    /// A reader that restores objects by such keys calls what the file names.
    ///
    /// ## Limits
    /// MessagePack itself runs nothing: it depends on the reader. Extension types of other frameworks are unread.
    ///
    /// ## References
    /// Flax serialization; CWE-502 Deserialization of Untrusted Data.
    pub(crate) static OBJECTS = {
        id: "S087", name: "msgpack-objects", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0018.002", "CWE-502"],
    };
}

/// Entries of this format.
pub(crate) const ENTRIES: &[&Entry] = &[&OBJECTS];

/// Containers inside each other.
const DEPTH_MAX: usize = 128;
/// Longest text that is judged, bytes.
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// Keys that object readers act on.
const KEYS: &[&str] = &[
    "__reduce__",
    "__reduce_ex__",
    "__class__",
    "__module__",
    "__setstate__",
    "__import__",
    "__globals__",
    "__builtins__",
    "py/object",
    "py/reduce",
    "py/function",
    "py/type",
    "__pickle__",
    "__code__",
    "__callable__",
    "__function__",
    "__exec__",
    "__eval__",
];

/// The format.
pub(super) struct MessagePack;

impl Format for MessagePack {
    fn name(&self) -> &'static str {
        "msgpack"
    }

    /// A map whose keys are texts: what writers of weights give.
    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let head = input.head;
        let keys = match head.first()? {
            0x81..=0x8f => 1,
            0xde => 3,
            0xdf => 5,
            _ => return None,
        };
        let (length, start) = match head.get(keys)? {
            n @ 0xa1..=0xbf => (usize::from(n & 31), keys + 1),
            0xd9 => (usize::from(*head.get(keys + 1)?), keys + 2),
            _ => return None,
        };
        let key = std::str::from_utf8(head.get(start..start + length)?).ok()?;
        // A control character, or nothing behind the key, is no map of weights.
        let rest = head.get(start + length).is_some_and(|b| *b != 0xc1);
        (rest && !key.chars().any(char::is_control) && walks(input)).then_some(Sure::Likely)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        embedded::search(input.source, part, cx);
        part.facts.framework = Some("MessagePack".to_owned());
        let mut walk = Walk { cursor: Cursor::new(input.source, 0), part, cx, arrays: 0 };
        match walk.value() {
            Ok(()) => {
                let at = walk.cursor.position();
                let arrays = walk.arrays;
                if arrays > 0 {
                    part.facts.framework = Some("Flax (MessagePack)".to_owned());
                    part.facts.note("tensors", &arrays.to_string());
                }
                if at < input.source.len()
                    && !payload::bytes(
                        &Range::from(input.source, at),
                        "what follows the data",
                        Some(at),
                        part,
                        cx,
                    )
                {
                    cx.unread(part, Some(at), "something follows the data");
                }
            }
            Err(e) => {
                let at = walk.cursor.position();
                cx.unread(part, Some(at), e.to_string());
            }
        }
    }
}

/// Whether the first stretch is well-formed as far as it goes.
fn walks(input: &Input<'_>) -> bool {
    /// Values looked at.
    const VALUES: u32 = 200;
    let mut cursor = Cursor::new(input.source, 0);
    let mut left = 1u64;
    for _ in 0..VALUES {
        if left == 0 {
            return cursor.remaining() == 0;
        }
        match head(&mut cursor) {
            Ok(Head::Skip(n)) => {
                if cursor.skip(n).is_err() {
                    return false;
                }
                left -= 1;
            }
            Ok(Head::Text(n) | Head::Bytes(n) | Head::Extension(n, _)) => {
                if cursor.skip(n).is_err() {
                    return false;
                }
                left -= 1;
            }
            Ok(Head::List(n)) => left = (left - 1).saturating_add(n),
            Ok(Head::Map(n)) => left = (left - 1).saturating_add(n.saturating_mul(2)),
            Err(_) => return false,
        }
    }
    true
}

enum Head {
    /// A number or constant with that many bytes behind it.
    Skip(u64),
    Text(u64),
    Bytes(u64),
    List(u64),
    Map(u64),
    /// Length and type.
    Extension(u64, i8),
}

fn head(cursor: &mut Cursor<'_>) -> Result<Head, ReadError> {
    let first = cursor.byte()?;
    let size = |cursor: &mut Cursor<'_>, width: u8| -> Result<u64, ReadError> {
        Ok(match width {
            1 => u64::from(cursor.byte()?),
            2 => u64::from(u16::from_be_bytes(cursor.array()?)),
            _ => u64::from(u32::from_be_bytes(cursor.array()?)),
        })
    };
    Ok(match first {
        0x00..=0x7f | 0xe0..=0xff | 0xc0..=0xc3 => Head::Skip(0),
        0x80..=0x8f => Head::Map(u64::from(first & 15)),
        0x90..=0x9f => Head::List(u64::from(first & 15)),
        0xa0..=0xbf => Head::Text(u64::from(first & 31)),
        0xc4..=0xc6 => Head::Bytes(size(cursor, 1 << (first - 0xc4))?),
        0xc7..=0xc9 => {
            let length = size(cursor, 1 << (first - 0xc7))?;
            Head::Extension(length, cursor.byte()?.cast_signed())
        }
        0xca | 0xce | 0xd2 => Head::Skip(4),
        0xcb | 0xcf | 0xd3 => Head::Skip(8),
        0xcc | 0xd0 => Head::Skip(1),
        0xcd | 0xd1 => Head::Skip(2),
        0xd4..=0xd8 => Head::Extension(1 << (first - 0xd4), cursor.byte()?.cast_signed()),
        0xd9..=0xdb => Head::Text(size(cursor, 1 << (first - 0xd9))?),
        0xdc => Head::List(size(cursor, 2)?),
        0xdd => Head::List(size(cursor, 4)?),
        0xde => Head::Map(size(cursor, 2)?),
        0xdf => Head::Map(size(cursor, 4)?),
    })
}

struct Walk<'w, 'l> {
    cursor: Cursor<'w>,
    part: &'w mut Part,
    cx: &'w mut Context<'l>,
    arrays: u64,
}

impl Walk<'_, '_> {
    /// One value with all that is in it, without recursion.
    fn value(&mut self) -> Result<(), ReadError> {
        let mut open: Vec<u64> = vec![1];
        while let Some(left) = open.last_mut() {
            if *left == 0 {
                open.pop();
                continue;
            }
            *left -= 1;
            if self.cx.step(1).is_err() || open.len() > DEPTH_MAX {
                let at = self.cursor.position();
                self.cx.unread(self.part, Some(at), "the data is nested too deep or too long");
                return Ok(());
            }
            let at = self.cursor.position();
            match head(&mut self.cursor)? {
                Head::Skip(n) => self.cursor.skip(n)?,
                Head::Text(n) => self.text(n, at)?,
                Head::Bytes(n) => {
                    if n <= TEXT_BYTES_MAX {
                        let bytes = self.cursor.take(n, TEXT_BYTES_MAX)?.to_vec();
                        payload::bytes(&bytes, "bytes in the data", Some(at), self.part, self.cx);
                    } else {
                        self.cursor.skip(n)?;
                    }
                }
                Head::List(n) => open.push(n),
                Head::Map(n) => open.push(n.saturating_mul(2)),
                Head::Extension(n, kind) => self.extension(n, kind, at)?,
            }
        }
        Ok(())
    }

    fn text(&mut self, length: u64, at: u64) -> Result<(), ReadError> {
        let bytes = self.cursor.take(length, TEXT_BYTES_MAX)?.to_vec();
        let text = String::from_utf8_lossy(&bytes);
        if KEYS.contains(&&*text) {
            let message = format!("the key `{text}` asks a reader to build an object");
            self.cx.find(
                self.part,
                &OBJECTS,
                Severity::High,
                Some(at),
                message,
                "do not load it; ask the supplier for plain weights",
            );
        }
        payload::text(&text, "a text in the data", Some(at), self.part, self.cx);
        Ok(())
    }

    /// Flax: 1 array, 2 complex number, 3 NumPy number. The format itself: -1 time.
    fn extension(&mut self, length: u64, kind: i8, at: u64) -> Result<(), ReadError> {
        match kind {
            -1 | 2 => self.cursor.skip(length)?,
            1 | 3 => {
                let end = self.cursor.position().saturating_add(length);
                if length > self.cursor.remaining() {
                    return Err(ReadError::Truncated { end, wanted: end });
                }
                self.arrays += 1;
                // Three values: shape, type, bytes.
                if let Head::List(3) = head(&mut self.cursor)?
                    && let Head::List(rank) = head(&mut self.cursor)?
                {
                    self.part.facts.note("array", &format!("rank {rank}"));
                }
                self.cursor.seek(end);
            }
            _ => {
                let message = format!("extension type {kind} is none of an array or number");
                self.cx.find(
                    self.part,
                    &OBJECTS,
                    Severity::Medium,
                    Some(at),
                    message,
                    "ask the supplier which program writes this, and for plain weights",
                );
                self.cursor.skip(length)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Verdict, scan};

    fn verdict(bytes: &[u8]) -> Verdict {
        scan("m.msgpack", &bytes, &Limits::default()).verdict()
    }

    #[test]
    fn weights_are_clean_and_objects_found() {
        let array = [0xc7, 10, 1, 0x93, 0x91, 1, 0xa2, b'f', b'4', 0xc4, 1, 9, 0].as_slice();
        let weights = [&[0x81, 0xa1, b'w'], array].concat();
        assert_eq!(verdict(&weights), Verdict::Clean);
        assert_eq!(verdict(b"\x81\xaa__reduce__\x92\xa9os.system\xa2id"), Verdict::Found);
        assert_eq!(verdict(b"\x81\xa1w\x81\xa9__class__\xa3abc"), Verdict::Found);
        assert_eq!(verdict(b"\x81\xa1w\xc7\x01\x05\x00"), Verdict::Found);
    }

    proptest::proptest! {
        #[test]
        fn survives_anything(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            let _ = verdict(&[b"\x82\xa1w".as_slice(), &bytes].concat());
        }
    }
}
