//! PyTorch's format before version 1.6: five pickles one after the other, then the raw storages. torch/serialization.py,
//! `_legacy_save`.

use std::collections::BTreeMap;

use domain::Severity;

use super::zip::{HIDDEN, REMEDY_HIDDEN};
use super::{Format, Input, Sure};
use crate::pickle::{self, Value, Watch};
use crate::{Context, Part, Range, ReadError, Source, embedded};

/// The number 0x1950a86a20f9469cfc6c as a pickle holds it, and in digits.
const MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const MAGIC_TEXT: &[u8] = b"119547037146038801333356";
/// Bytes in which the magic number must be.
const WITHIN: usize = 64;
/// Most storages.
const STORAGES_MAX: usize = 1_000_000;

/// PyTorch's old format.
pub(super) struct Legacy;

impl Format for Legacy {
    fn name(&self) -> &'static str {
        "pytorch-legacy"
    }

    fn includes(&self, _input: &Input<'_>) -> &'static [&'static str] {
        &["pickle"]
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let head = &input.head[..input.head.len().min(WITHIN)];
        let holds = |magic| memchr::memmem::find(head, magic).is_some();
        // The first pickle is nothing but the number.
        let short = memchr::memchr(b'.', head).is_some();
        (short && (holds(MAGIC) || holds(MAGIC_TEXT)) && !head.starts_with(b"PK")).then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        part.facts.framework = Some("PyTorch (before 1.6)".to_owned());
        if let Err(e) = read(input.source, part, cx) {
            cx.unread(part, None, e.to_string());
        }
    }
}

/// Bytes of one element, by the class of its storage.
fn element(class: &str) -> Option<u64> {
    Some(match class.trim_end_matches("Storage") {
        "Double" | "Long" | "ComplexFloat" | "UInt64" => 8,
        "Float" | "Int" | "ComplexHalf" | "QInt32" | "UInt32" => 4,
        "Half" | "BFloat16" | "Short" | "UInt16" => 2,
        "Byte" | "Char" | "Bool" | "QInt8" | "QUInt8" | "QUInt4x2" | "QUInt2x4" | "Untyped"
        | "Float8_e4m3fn" | "Float8_e5m2" => 1,
        "ComplexDouble" => 16,
        _ => return None,
    })
}

/// Notes the storages that the object refers to.
#[derive(Default)]
pub(crate) struct Storages {
    /// Key to bytes of one element and number of elements.
    found: BTreeMap<String, (u64, u64)>,
}

impl Storages {
    /// Says in the facts what was seen.
    pub(crate) fn facts(&self, part: &mut Part) {
        if !self.found.is_empty() {
            part.facts.framework.get_or_insert_with(|| "PyTorch".to_owned());
            part.facts.parameters = Some(self.elements());
        }
    }

    /// Elements of all storages.
    pub(crate) fn elements(&self) -> u64 {
        self.found.values().map(|(_, n)| *n).fold(0, u64::saturating_add)
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }
}

impl Watch for Storages {
    fn persistent(&mut self, id: &Value) {
        // ('storage', torch.FloatStorage, '0', 'cpu', 12, None)
        let Some([kind, class, key, _, count, ..]) = id.items() else { return };
        let (Some("storage"), Some((_, class)), Some(count)) = (kind.text(), class.class(), count.int())
        else {
            return;
        };
        let key = match key {
            Value::Text(text) => text.clone(),
            Value::Int(n) => n.to_string(),
            _ => return,
        };
        if self.found.len() < STORAGES_MAX {
            let size = element(class).unwrap_or(0);
            self.found.insert(key, (size, u64::try_from(count).unwrap_or(0)));
        }
    }
}

fn read(source: &dyn Source, part: &mut Part, cx: &mut Context<'_>) -> Result<(), ReadError> {
    let mut storages = Storages::default();
    let mut at = 0;
    let mut keys = Value::Unseen;
    // Magic number, protocol, system, object, keys of the storages.
    for _ in 0..5 {
        let stream = pickle::read_one(source, at, &mut storages, part, cx)?;
        if !stream.complete {
            return Ok(());
        }
        at = stream.end;
        keys = stream.top;
    }
    part.facts.parameters = Some(storages.elements());
    let Some(keys) = keys.items() else {
        // Something else than a list of keys: whatever follows is looked at by itself.
        return rest(source, at, part, cx);
    };
    // The machine cuts long lists; the storages are as many as the object refers to.
    let count = keys.len().max(storages.count()).min(STORAGES_MAX);
    for n in 0..count {
        let Ok(head) = source.bytes(at, 8, 8) else {
            cx.unread(part, Some(at), "the weights are cut off; ask the sender for the file again");
            return Ok(());
        };
        let elements = head.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        let key =
            keys.get(n).map(|k| k.text().map_or_else(|| k.int().unwrap_or(-1).to_string(), str::to_owned));
        let size = key
            .and_then(|k| storages.found.get(&k))
            .filter(|(size, stated)| *size > 0 && *stated == elements)
            .or_else(|| storages.found.values().find(|(size, stated)| *size > 0 && *stated == elements));
        let Some((size, _)) = size else { return rest(source, at, part, cx) };
        let length = elements.saturating_mul(*size);
        let weights = Range::new(source, at + 8, length);
        if weights.len() < length {
            cx.unread(part, Some(at), "the weights are cut off; ask the sender for the file again");
            return Ok(());
        }
        embedded::search(&weights, part, cx);
        at = at.saturating_add(8).saturating_add(length);
    }
    rest(source, at, part, cx)
}

fn rest(source: &dyn Source, at: u64, part: &mut Part, cx: &mut Context<'_>) -> Result<(), ReadError> {
    if let Some(from) = super::bytes::rest(source, at)? {
        let message = format!("{} bytes follow the last of the weights", source.len() - from);
        cx.find(part, &HIDDEN, Severity::Medium, Some(from), message, REMEDY_HIDDEN);
        cx.nested(part, "behind the weights", &Range::from(source, from));
    }
    Ok(())
}
