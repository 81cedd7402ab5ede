//! joblib: a pickle with the bytes of its arrays in between. joblib.numpy_pickle, versions 0.10 and later.
//!
//! There is no magic number: a joblib file is a pickle until an object of class `NumpyArrayWrapper` was built, after
//! which raw bytes follow. The pickle reader therefore always watches for it.

use super::torch_legacy::Storages;
use crate::pickle::{Follows, Value, Watch};
use crate::{Part, Source};

/// Follows the raw arrays of joblib.
pub(crate) struct Arrays<'a> {
    source: &'a dyn Source,
    /// Arrays that were seen.
    count: u64,
    /// Elements of them.
    elements: u64,
    /// Storages of PyTorch that the pickle refers to.
    storages: Storages,
}

impl<'a> Arrays<'a> {
    /// For a pickle in `source`.
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self { source, count: 0, elements: 0, storages: Storages::default() }
    }

    /// Says in the facts what was seen.
    pub(crate) fn facts(&self, part: &mut Part) {
        self.storages.facts(part);
        if self.count > 0 {
            part.facts.note("joblib arrays", &self.count.to_string());
            part.facts.parameters = part.facts.parameters.unwrap_or(0).checked_add(self.elements);
        }
    }

    fn array(&mut self, object: &Value, next: u64) -> Option<Follows> {
        let shape = object.get("shape")?.items()?;
        let count = shape.iter().try_fold(1_u64, |n, s| n.checked_mul(u64::try_from(s.int()?).ok()?))?;
        let dtype = object.get("dtype")?;
        self.count += 1;
        self.elements = self.elements.saturating_add(count);
        let item = item(dtype, 0)?;
        if item.object {
            return Some(Follows::Pickle);
        }
        let mut length = count.checked_mul(item.size)?;
        // One byte that says how many bytes of padding follow, so that the array can be mapped into memory.
        if let Some(align) = object.get("numpy_array_alignment_bytes").filter(|v| **v != Value::None) {
            align.int()?;
            let padding = self.source.bytes(next, 1, 1).ok()?.first().copied()?;
            length = length.checked_add(1 + u64::from(padding))?;
        }
        Some(Follows::Bytes(length))
    }
}

const MODULE: &str = "joblib.numpy_pickle";

impl Watch for Arrays<'_> {
    fn built(&mut self, object: &Value, next: u64) -> Follows {
        // Without a length nothing after it can be followed; the machine says so when it meets the bytes.
        self.array(object, next).unwrap_or(Follows::Opcode)
    }

    fn persistent(&mut self, id: &Value) {
        self.storages.persistent(id);
    }

    fn builds(&self, module: &str, name: &str) -> bool {
        name == "NumpyArrayWrapper" && (module == MODULE || module.ends_with(".numpy_pickle"))
    }
}

/// What one element is.
struct Item {
    size: u64,
    object: bool,
}

const DEPTH_MAX: u32 = 8;

/// `numpy.dtype('f4', False, True)` with the state `(3, '<', None, None, None, -1, -1, 0)`; of records the state holds
/// names, fields, size.
fn item(dtype: &Value, depth: u32) -> Option<Item> {
    if depth > DEPTH_MAX {
        return None;
    }
    let (call, state) = match dtype {
        Value::Built(call, state) => (call.as_ref(), state.items()),
        other => (other, None),
    };
    let arguments = match call {
        Value::Call(_, arguments) | Value::Object(_, arguments) => arguments,
        _ => return None,
    };
    let text = arguments.first()?.text()?;
    let mut chars = text.trim_start_matches(['<', '>', '|', '=']).chars();
    let kind = chars.next()?;
    if kind == 'O' {
        return Some(Item { size: 8, object: true });
    }
    let digits = chars.as_str();
    let stated = state.and_then(|s| s.get(5)).and_then(Value::int).and_then(|n| u64::try_from(n).ok());
    let object = state.and_then(|s| s.get(4)).is_some_and(|fields| fields_hold_objects(fields, depth));
    let size = match (digits, stated) {
        // Records and texts state their size apart.
        (_, Some(size)) if size > 0 && matches!(kind, 'V' | 'S' | 'U' | 'a') => size,
        ("", _) if kind == '?' => 1,
        (digits, _) => {
            let n: u64 = digits.parse().ok()?;
            if kind == 'U' { n.checked_mul(4)? } else { n }
        }
    };
    Some(Item { size, object })
}

fn fields_hold_objects(fields: &Value, depth: u32) -> bool {
    let Value::Dict(pairs) = fields else { return false };
    pairs.iter().any(|(_, v)| {
        v.items().and_then(|i| i.first()).is_some_and(|d| item(d, depth + 1).is_none_or(|i| i.object))
    })
}
