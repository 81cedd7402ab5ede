//! NumPy arrays (`.npy`), versions 1 to 3. NEP 1; numpy.lib.format.

use domain::{Severity, catalogue_entry};

use super::zip::{HIDDEN, REMEDY_HIDDEN};
use super::{Format, Input, Sure};
use crate::facts::Port;
use crate::literal::{self, Literal};
use crate::pickle;
use crate::{Context, Part, Range, ReadError, Source, embedded};

catalogue_entry! {
    /// The header of an array does not say what the array is.
    ///
    /// ## What it is
    /// The header of a NumPy file is not the plain literal that NumPy writes, its type is one no program writes, or its
    /// shape multiplies to more bytes than a computer can address.
    ///
    /// ## Why it matters in care
    /// Programs that read the header by other means than NumPy take other bytes for the array, and a size that overflows
    /// ends in memory that belongs to something else.
    ///
    /// ## Limits
    /// An array of objects is no finding here: the pickle in it is followed like any other.
    ///
    /// ## References
    /// CWE-1284; CWE-190 Integer Overflow; NEP 1; CVE-2019-6446 (numpy.load); MITRE ATLAS AML.T0011.000.
    pub static ENTRY = {
        id: "S042", name: "array-header-lies", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "CWE-1284", "CWE-190"],
    };
}

const REMEDY: &str = "do not load it; ask the sender to write the array with numpy.save";
const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header that is read, bytes. NumPy itself stops at 10,000 characters unless told otherwise.
const HEADER_MAX: u64 = 1 << 20;
/// Arrays one after the other in one file.
const ARRAYS_MAX: usize = 10_000;

/// NumPy arrays.
pub(super) struct Npy;

impl Format for Npy {
    fn name(&self) -> &'static str {
        "npy"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        input.head.starts_with(MAGIC).then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        if let Err(e) = read(input.source, part, cx) {
            cx.unread(part, None, e.to_string());
        }
    }
}

fn read(source: &dyn Source, part: &mut Part, cx: &mut Context<'_>) -> Result<(), ReadError> {
    part.facts.framework = Some("NumPy".to_owned());
    let mut at = 0;
    for _ in 0..ARRAYS_MAX {
        let Some(end) = array(source, at, part, cx)? else { return Ok(()) };
        at = end;
        if at >= source.len() {
            return Ok(());
        }
        // `numpy.save` to an open file may be called again and again.
        if source.bytes(at, 6, 6).is_ok_and(|b| *b == *MAGIC) {
            continue;
        }
        if let Some(rest) = super::bytes::rest(source, at)? {
            let message = format!("{} bytes follow the end of the array", source.len() - rest);
            cx.find(part, &HIDDEN, Severity::Medium, Some(rest), message, REMEDY_HIDDEN);
            cx.nested(part, "behind the array", &Range::from(source, rest));
        }
        return Ok(());
    }
    cx.unread(part, Some(at), format!("more than {ARRAYS_MAX} arrays in one file"));
    Ok(())
}

/// Reads one array; gives the byte after it, when that is known.
fn array(
    source: &dyn Source,
    at: u64,
    part: &mut Part,
    cx: &mut Context<'_>,
) -> Result<Option<u64>, ReadError> {
    let head = source.bytes(at, 12.min(source.len() - at), 12)?;
    let field = |n: usize| head.get(n).copied().map_or(0, u64::from);
    let (length, begin) = match head.get(6) {
        Some(1) => (field(8) | field(9) << 8, at + 10),
        Some(2 | 3) => (field(8) | field(9) << 8 | field(10) << 16 | field(11) << 24, at + 12),
        _ => {
            cx.unread(part, Some(at), "the version of the NumPy format is not known");
            return Ok(None);
        }
    };
    let bytes = source.bytes(begin, length, HEADER_MAX)?;
    let text = String::from_utf8_lossy(&bytes);
    let data = begin + length;
    let header = literal::parse(text.trim_end_matches(['\n', ' ', '\0']));
    let header = header.as_ref().and_then(|l| Some((l.get("descr")?, shape(l.get("shape")?)?)));
    let Some((descr, shape)) = header else {
        cx.find(
            part,
            &ENTRY,
            Severity::Medium,
            Some(begin),
            format!("the header is no plain literal: `{text}`"),
            REMEDY,
        );
        pickled(source, data, false, part, cx)?;
        return Ok(None);
    };
    let Some(item) = Item::of(descr, 0) else {
        let message = format!("the type of the array is one NumPy never writes: `{text}`");
        cx.find(part, &ENTRY, Severity::Medium, Some(begin), message, REMEDY);
        pickled(source, data, false, part, cx)?;
        return Ok(None);
    };
    part.facts.inputs.truncate(100);
    part.facts.outputs.push(Port {
        name: part.name.clone(),
        datatype: descr.to_string(),
        shape: shape.iter().map(u64::to_string).collect(),
    });
    if item.object {
        let end = pickled(source, data, true, part, cx)?;
        return Ok(end);
    }
    let count = shape.iter().try_fold(1_u64, |n, s| n.checked_mul(*s));
    let Some(size) = count.and_then(|n| n.checked_mul(item.size)).filter(|n| *n < 1 << 62) else {
        let message = format!("the shape multiplies to more bytes than there can be: `{text}`");
        cx.find(part, &ENTRY, Severity::High, Some(begin), message, REMEDY);
        return Ok(None);
    };
    part.facts.parameters = part.facts.parameters.unwrap_or(0).checked_add(count.unwrap_or(0));
    if size > source.len() - data {
        let message = format!("the header promises {size} bytes, {} are there", source.len() - data);
        cx.unread(part, Some(data), message);
        pickled(source, data, false, part, cx)?;
        return Ok(None);
    }
    embedded::search(&Range::new(source, data, size), part, cx);
    Ok(Some(data + size))
}

/// Follows a pickle, when there must be one (`sure`) or is one.
fn pickled(
    source: &dyn Source,
    at: u64,
    sure: bool,
    part: &mut Part,
    cx: &mut Context<'_>,
) -> Result<Option<u64>, ReadError> {
    let head = source.bytes(at, 4096.min(source.len().saturating_sub(at)), 4096)?;
    if head.is_empty() || !(sure || pickle::looks_like_pickle(&head, cx)) {
        return Ok(None);
    }
    let stream = pickle::read_one(source, at, &mut super::joblib::Arrays::new(source), part, cx)?;
    Ok(stream.complete.then_some(stream.end))
}

fn shape(literal: &Literal) -> Option<Vec<u64>> {
    literal.items()?.iter().map(|n| u64::try_from(n.int()?).ok()).collect()
}

/// What one element of an array is.
struct Item {
    /// Bytes.
    size: u64,
    /// Holds Python objects, so that the array is a pickle.
    object: bool,
}

/// Records inside records.
const NESTED_MAX: u32 = 16;

impl Item {
    fn of(descr: &Literal, depth: u32) -> Option<Self> {
        if depth > NESTED_MAX {
            return None;
        }
        match descr {
            Literal::Text(text) => Self::simple(text),
            // A record: [(name, type), (name, type, shape), …]; a name may be (title, name).
            Literal::List(fields) => {
                let mut all = Self { size: 0, object: false };
                for field in fields {
                    let [_, kind, shape @ ..] = field.items()? else { return None };
                    let one = Self::of(kind, depth + 1)?;
                    let times = match shape {
                        [] => 1,
                        [Literal::Int(n)] => u64::try_from(*n).ok()?,
                        [s, ..] => self::shape(s)?.iter().try_fold(1_u64, |n, s| n.checked_mul(*s))?,
                    };
                    all.size = all.size.checked_add(one.size.checked_mul(times)?)?;
                    all.object |= one.object;
                }
                Some(all)
            }
            // A type with a shape of its own.
            Literal::Tuple(pair) => {
                let [kind, times] = pair.as_slice() else { return None };
                let one = Self::of(kind, depth + 1)?;
                let times = shape(times)?.iter().try_fold(1_u64, |n, s| n.checked_mul(*s))?;
                Some(Self { size: one.size.checked_mul(times)?, object: one.object })
            }
            _ => None,
        }
    }

    /// `<f4`, `|S10`, `|O`, `>M8[ns]`.
    fn simple(text: &str) -> Option<Self> {
        let text = text.trim_start_matches(['<', '>', '|', '=']);
        let text = text.split_once('[').map_or(text, |(t, unit)| if unit.ends_with(']') { t } else { "" });
        let mut chars = text.chars();
        let kind = chars.next()?;
        let digits = chars.as_str();
        if kind == 'O' && matches!(digits, "" | "4" | "8" | "bject") {
            return Some(Self { size: 8, object: true });
        }
        let size: u64 = match (kind, digits) {
            ('?', "") => 1,
            (_, digits) => digits.parse().ok()?,
        };
        let size = match kind {
            'b' | 'i' | 'u' | 'f' | 'c' | 'M' | 'm' if size <= 64 => size,
            'S' | 'a' | 'V' | 'T' => size,
            'U' => size.checked_mul(4)?,
            '?' => 1,
            _ => return None,
        };
        Some(Self { size, object: false })
    }
}
