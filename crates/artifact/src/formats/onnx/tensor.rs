//! Tensors: shape against data, external data, text.

use domain::Severity;

use super::{EXTERNAL, Walk};
use crate::payload;
use crate::wire::proto::{Field, Message, Payload};

/// Dimensions of a tensor.
const RANK_MAX: usize = 1_000;
/// Texts of one tensor that are judged.
const STRINGS_MAX: usize = 1_000_000;
/// Location entries of one tensor.
const LOCATIONS_MAX: usize = 100;

/// Name of an element type.
pub(super) fn name(kind: u64) -> &'static str {
    kind_of(kind).map_or("unknown", |k| k.0)
}

/// Name and bits of an element type; 0 bits for text.
fn kind_of(kind: u64) -> Option<(&'static str, u64)> {
    const KINDS: &[(&str, u64)] = &[
        ("undefined", 0),
        ("float", 32),
        ("uint8", 8),
        ("int8", 8),
        ("uint16", 16),
        ("int16", 16),
        ("int32", 32),
        ("int64", 64),
        ("string", 0),
        ("bool", 8),
        ("float16", 16),
        ("double", 64),
        ("uint32", 32),
        ("uint64", 64),
        ("complex64", 64),
        ("complex128", 128),
        ("bfloat16", 16),
        ("float8e4m3fn", 8),
        ("float8e4m3fnuz", 8),
        ("float8e5m2", 8),
        ("float8e5m2fnuz", 8),
        ("uint4", 4),
        ("int4", 4),
        ("float4e2m1", 4),
        ("float8e8m0", 8),
        ("uint2", 2),
        ("int2", 2),
        ("float6e2m3", 6),
        ("float6e3m2", 6),
    ];
    usize::try_from(kind).ok().and_then(|k| KINDS.get(k)).copied()
}

#[derive(Default)]
struct Stated {
    dims: Vec<i64>,
    kind: u64,
    name: String,
    raw: Option<u64>,
    external: bool,
}

impl Walk<'_, '_> {
    /// A tensor. `what` says where it is; `weights` when it counts as parameters.
    pub(super) fn tensor(&mut self, message: &Message<'_>, what: &str, weights: bool) {
        let mut stated = Stated::default();
        let mut strings = 0;
        for field in message.fields() {
            let Ok(field) = field else {
                return self.cx.unread(self.part, Some(message.base), "a tensor is cut off or broken");
            };
            match (field.number, field.payload) {
                (1, _) => {
                    stated.dims.extend(message.varints(&field, RANK_MAX).into_iter().map(u64::cast_signed))
                }
                (2, Payload::Varint(n)) => stated.kind = n,
                (8, _) => stated.name = message.text(&field, 1000),
                (9, Payload::Bytes { length, .. }) => stated.raw = Some(length),
                (14, Payload::Varint(n)) => stated.external = n == 1,
                _ => {}
            }
            if stated.dims.len() > RANK_MAX {
                return self.flaw(message.base, format!("a tensor has more than {RANK_MAX} dimensions"));
            }
        }
        let place =
            if stated.name.is_empty() { what.to_owned() } else { format!("tensor `{}`", stated.name) };
        self.size(&stated, &place, message.base, weights);
        for field in message.fields().flatten() {
            match field.number {
                5 if matches!(stated.kind, 2 | 3) => self.bytes_as_numbers(message, &field, &place),
                6 if strings < STRINGS_MAX => {
                    strings += 1;
                    self.string(message, &field, &place);
                }
                9 => {
                    let range = message.range(&field);
                    payload::bytes(&range, &place, Some(message.base), self.part, self.cx);
                }
                12 => self.prose(message, &field, &place),
                16 => self.within(message, &field, |walk, entry| walk.property(&entry)),
                _ => {}
            }
        }
        self.locations(message, &stated, &place);
    }

    fn size(&mut self, stated: &Stated, place: &str, at: u64, weights: bool) {
        let Some((kind, bits)) = kind_of(stated.kind) else {
            return self.flaw(at, format!("{place} has the unknown type {}", stated.kind));
        };
        let elements =
            stated.dims.iter().try_fold(1u64, |n, d| u64::try_from(*d).ok().and_then(|d| n.checked_mul(d)));
        let elements = elements.filter(|n| n.checked_mul(bits.max(8)).is_some_and(|b| b / 8 < 1 << 62));
        let Some(elements) = elements else {
            return self.flaw(at, format!("the shape of {place} is negative or overflows"));
        };
        if let Some(length) = stated.raw
            && !stated.external
            && bits > 0
            && elements.saturating_mul(bits).div_ceil(8) != length
        {
            self.flaw(
                at,
                format!(
                    "{place} of type {kind} needs {} bytes by its shape and has {length}",
                    elements.saturating_mul(bits).div_ceil(8)
                ),
            );
        }
        if weights {
            self.parameters = self.parameters.saturating_add(elements);
        }
    }

    /// Bytes can be written as a list of numbers too.
    fn bytes_as_numbers(&mut self, message: &Message<'_>, field: &Field, place: &str) {
        /// Numbers looked at.
        const NUMBERS_MAX: usize = 4 << 20;
        let bytes: Vec<u8> =
            message.varints(field, NUMBERS_MAX).into_iter().map(|n| (n & 0xff) as u8).collect();
        payload::bytes(&bytes, place, Some(message.base), self.part, self.cx);
    }

    fn string(&mut self, message: &Message<'_>, field: &Field, place: &str) {
        /// Shorter ones are labels.
        const LABEL_BYTES_MAX: u64 = 8;
        if matches!(field.payload, Payload::Bytes { length, .. } if length > LABEL_BYTES_MAX) {
            let range = message.range(field);
            let what = format!("a text in {place}");
            if !payload::bytes(&range, &what, Some(message.base), self.part, self.cx) {
                self.prose(message, field, &what);
            }
        }
    }

    fn locations(&mut self, message: &Message<'_>, stated: &Stated, place: &str) {
        let mut entries = Vec::new();
        for field in message.fields().flatten().filter(|f| f.number == 13).take(LOCATIONS_MAX) {
            let entry = message.open(&field, |entry| {
                let mut pair = (String::new(), String::new());
                for inner in entry.fields().flatten() {
                    match inner.number {
                        1 => pair.0 = entry.text(&inner, 4096),
                        2 => pair.1 = entry.text(&inner, 4096),
                        _ => {}
                    }
                }
                pair
            });
            entries.extend(entry.ok().flatten());
        }
        let mut located = false;
        for (key, value) in &entries {
            match key.as_str() {
                "location" => {
                    located = true;
                    self.location(value, place, message.base);
                }
                "offset" | "length" if value.parse::<u64>().is_err() => {
                    self.flaw(message.base, format!("the {key} `{value}` of {place} is not a number"));
                }
                _ => {}
            }
        }
        if stated.external && !located {
            self.flaw(message.base, format!("{place} is said to be in another file, and no file is named"));
        }
    }

    /// A path that the loader opens.
    pub(super) fn location(&mut self, path: &str, place: &str, at: u64) {
        /// Files kept for the bill of materials.
        const FILES_MAX: usize = 100;
        if let Some(why) = payload::outside(path) {
            let message = format!("{place} is to be read from `{path}`: {why}");
            let remedy = "do not load the model; ask the supplier for one that keeps its weights beside it";
            self.cx.find(self.part, &EXTERNAL, Severity::High, Some(at), message, remedy);
        } else if self.external.len() < FILES_MAX && !self.external.iter().any(|p| p == path) {
            self.external.push(path.to_owned());
        }
    }
}
