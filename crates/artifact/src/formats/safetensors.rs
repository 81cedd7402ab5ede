//! safetensors: a length, a JSON header, and numbers.

use domain::{Entry, Severity, catalogue_entry};

use super::{Format, Input, Sure};
use crate::wire::json::{JsonError, Reader, Token};
use crate::{Context, Part, Range, embedded, payload};

catalogue_entry! {
    /// The header of a safetensors file contradicts the file.
    ///
    /// ## What it is
    /// The header is not strict JSON, has a key twice, states a length, shape, type or offsets that do not fit the bytes,
    /// lets tensors overlap or leaves holes, holds something other than text in its metadata, or bytes follow the last
    /// tensor.
    ///
    /// ## Why it matters in care
    /// Two programs that read such a file see two different models: what was validated is not what runs. Wrong lengths also
    /// crash readers, and holes and trailing bytes carry payloads past scanners.
    ///
    /// ## Limits
    /// The reference reader refuses all of these, so no honest writer makes them; a file cut off by a failed download is
    /// reported like a forged one. The numbers themselves are not judged.
    ///
    /// ## References
    /// safetensors format description; CWE-1284 Improper Validation of Specified Quantity in Input; CWE-190 Integer Overflow.
    pub(crate) static STRUCTURE = {
        id: "S060", name: "safetensors-contradiction", kind: Rule, since: "0.1.0",
        maps: ["AML.T0076", "AML.T0018.002", "AML.T0074", "CWE-1284", "CWE-190", "CWE-436"],
    };
}

/// Entries of this format.
pub(crate) const ENTRIES: &[&Entry] = &[&STRUCTURE];

/// Longest header, bytes: that of the reference reader.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// Tensors of one file.
const TENSORS_MAX: usize = 1_000_000;
/// Remedy for every contradiction.
const REMEDY: &str = "do not use the file; fetch it again from the supplier and compare the digest";

/// The format.
pub(super) struct Safetensors;

impl Format for Safetensors {
    fn name(&self) -> &'static str {
        "safetensors"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        // Nothing in the content can tell a file whose header is broken; its name says what a loader would be told.
        // A pointer to large storage is text, and a length never is.
        let binary = input.head.get(..8).is_some_and(|h| h.contains(&0));
        let named = input.name.ends_with(".safetensors") && binary;
        looks(input).or(named.then_some(Sure::Likely))
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        part.facts.framework = Some("safetensors".to_owned());
        let Some((length, _)) = split(input.head) else { return };
        let end = length.saturating_add(8);
        if length > HEADER_BYTES_MAX || end > input.source.len() {
            let message = format!("the header claims {length} bytes, the file has {}", input.source.len());
            cx.find(part, &STRUCTURE, Severity::Medium, Some(0), message, REMEDY);
            return;
        }
        let mut header = Header { input, end, tensors: Vec::new(), flaws: Vec::new(), texts: Vec::new() };
        if input.head.get(8) != Some(&b'{') {
            header.flaws.push((8, "the header does not begin with `{`".to_owned()));
        }
        if let Err(e) = header.parse() {
            match e {
                JsonError::Read(e) => cx.unread(part, Some(8), e.to_string()),
                other => header.flaws.push((8, format!("the header is {other}"))),
            }
        }
        header.layout();
        header.report(part, cx);
    }
}

fn looks(input: &Input<'_>) -> Option<Sure> {
    let (length, rest) = split(input.head)?;
    let start = rest.iter().position(|b| !b.is_ascii_whitespace())?;
    if rest.get(start) != Some(&b'{') {
        return None;
    }
    let named = [b"\"data_offsets\"".as_slice(), b"\"dtype\"", b"__metadata__"]
        .iter()
        .any(|w| rest.windows(w.len()).any(|r| r == *w));
    let empty = length <= 16 && length + 8 <= input.source.len() && rest.get(start + 1) == Some(&b'}');
    (named || empty).then_some(Sure::Certain)
}

fn split(head: &[u8]) -> Option<(u64, &[u8])> {
    let (length, rest) = head.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*length), rest))
}

#[derive(Default)]
struct Tensor {
    name: String,
    dtype: Option<String>,
    shape: Option<Vec<u64>>,
    offsets: Option<(u64, u64)>,
}

struct Header<'a, 'i> {
    input: &'a Input<'i>,
    /// First byte after the header.
    end: u64,
    tensors: Vec<Tensor>,
    flaws: Vec<(u64, String)>,
    texts: Vec<(String, String)>,
}

impl Header<'_, '_> {
    fn flaw(&mut self, at: u64, what: String) {
        /// Flaws kept of one file: enough to act on.
        const FLAWS_MAX: usize = 20;
        if self.flaws.len() < FLAWS_MAX {
            self.flaws.push((at, what));
        }
    }

    fn parse(&mut self) -> Result<(), JsonError> {
        let mut reader = Reader::new(self.input.source, 8, self.end - 8);
        if reader.token()? != Some(Token::Object) {
            return Err(JsonError::Syntax { at: 8, what: "not an object" });
        }
        while let Some(token) = reader.token()? {
            let at = reader.position();
            let Token::Key(name, twice) = token else { continue };
            if twice {
                self.flaw(at, format!("the name `{name}` is in the header twice"));
            }
            if name.chars().any(char::is_control) {
                self.flaw(at, format!("the name `{name}` has control characters"));
            }
            if name == "__metadata__" {
                self.metadata(&mut reader)?;
            } else if self.tensors.len() >= TENSORS_MAX {
                return Err(JsonError::Large { at, what: "too many tensors" });
            } else {
                self.tensor(name, &mut reader)?;
            }
        }
        Ok(())
    }

    fn metadata(&mut self, reader: &mut Reader<'_>) -> Result<(), JsonError> {
        /// Metadata entries kept.
        const ENTRIES_MAX: usize = 100_000;
        let at = reader.position();
        let mut depth = 1usize;
        let mut key = String::new();
        if reader.token()? != Some(Token::Object) {
            return Err(JsonError::Syntax { at, what: "the metadata is not an object" });
        }
        while let Some(token) = reader.token()? {
            match token {
                Token::Object | Token::Array => depth += 1,
                Token::EndObject | Token::EndArray => depth = depth.saturating_sub(1),
                Token::Key(name, twice) => {
                    if twice {
                        self.flaw(at, format!("the metadata key `{name}` is there twice"));
                    }
                    key = name;
                }
                Token::Text(text) if self.texts.len() < ENTRIES_MAX => self.texts.push((key.clone(), text)),
                Token::Text(_) => return Err(JsonError::Large { at, what: "too much metadata" }),
                Token::Number(_) | Token::Bool(_) | Token::Null => {
                    self.flaw(at, format!("the metadata value of `{key}` is not text"));
                }
            }
            if depth > 1 {
                self.flaw(at, format!("the metadata value of `{key}` is not text"));
            }
            if depth == 0 {
                break;
            }
        }
        Ok(())
    }

    fn tensor(&mut self, name: String, reader: &mut Reader<'_>) -> Result<(), JsonError> {
        let at = reader.position();
        let mut tensor = Tensor { name, ..Tensor::default() };
        if reader.token()? != Some(Token::Object) {
            return Err(JsonError::Syntax { at, what: "a tensor is not an object" });
        }
        loop {
            match reader.token()? {
                Some(Token::EndObject) | None => break,
                Some(Token::Key(key, twice)) => {
                    if twice {
                        self.flaw(at, format!("`{key}` of tensor `{}` is there twice", tensor.name));
                    }
                    match key.as_str() {
                        "dtype" => match reader.token()? {
                            Some(Token::Text(dtype)) => tensor.dtype = Some(dtype),
                            _ => return Err(JsonError::Syntax { at, what: "a dtype is not text" }),
                        },
                        "shape" => tensor.shape = Some(numbers(reader, at)?),
                        "data_offsets" => match numbers(reader, at)?.as_slice() {
                            [from, to] => tensor.offsets = Some((*from, *to)),
                            _ => {
                                return Err(JsonError::Syntax {
                                    at,
                                    what: "data_offsets are not two numbers",
                                });
                            }
                        },
                        _ => {
                            self.flaw(
                                at,
                                format!("tensor `{}` has a field `{key}` that the format lacks", tensor.name),
                            );
                            skip(reader)?;
                        }
                    }
                }
                Some(_) => return Err(JsonError::Syntax { at, what: "a tensor is not a flat object" }),
            }
        }
        self.tensors.push(tensor);
        Ok(())
    }

    /// Compares what the tensors state with each other and with the file.
    fn layout(&mut self) {
        let data = self.input.source.len() - self.end;
        let mut tensors = std::mem::take(&mut self.tensors);
        for tensor in &tensors {
            if let Some(flaw) = tensor.flaw(data) {
                self.flaw(8, format!("tensor `{}` {flaw}", tensor.name));
            }
        }
        tensors.sort_by_key(|t| t.offsets);
        let mut at = 0;
        for tensor in &tensors {
            let Some((from, to)) = tensor.offsets else { continue };
            if from > at {
                self.flaw(
                    self.end + at,
                    format!("{} bytes before tensor `{}` belong to none", from - at, tensor.name),
                );
            } else if from < at && to > from {
                self.flaw(self.end + from, format!("tensor `{}` overlaps another", tensor.name));
            }
            at = at.max(to);
        }
        if at < data && !tensors.is_empty() {
            self.flaw(self.end + at, format!("{} bytes after the last tensor belong to none", data - at));
        } else if tensors.is_empty() && data > 0 && self.flaws.is_empty() {
            self.flaw(self.end, format!("{data} bytes and no tensor"));
        }
        self.tensors = tensors;
    }

    fn report(self, part: &mut Part, cx: &mut Context<'_>) {
        for (at, flaw) in &self.flaws {
            cx.find(part, &STRUCTURE, Severity::Medium, Some(*at), flaw.clone(), REMEDY);
        }
        for (key, text) in &self.texts {
            fact(part, key, text);
            let what = format!("metadata `{key}`");
            if key.contains("chat_template") {
                crate::text::jinja::judge(text, part, cx);
            }
            payload::text(text, &what, Some(8), part, cx);
        }
        let mut parameters = 0u64;
        for tensor in &self.tensors {
            let elements = tensor.elements().unwrap_or(0);
            parameters = parameters.saturating_add(elements);
            if let Some(dtype) = &tensor.dtype {
                part.facts.operator(&format!("dtype {dtype}"));
            }
        }
        part.facts.parameters = Some(parameters);
        part.facts.note("tensors", &self.tensors.len().to_string());
        self.contents(part, cx);
        embedded::search(&Range::from(self.input.source, self.end), part, cx);
    }

    /// Looks at what the stretches of data begin as.
    fn contents(&self, part: &mut Part, cx: &mut Context<'_>) {
        let source = self.input.source;
        let mut at = 0;
        for tensor in &self.tensors {
            let Some((from, to)) = tensor.offsets.filter(|(from, to)| from <= to) else { continue };
            if from > at {
                let hole = Range::new(source, self.end.saturating_add(at), from - at);
                payload::bytes(&hole, "the hole between tensors", Some(self.end + at), part, cx);
            }
            let start = self.end.saturating_add(from);
            let what = format!("tensor `{}`", tensor.name);
            payload::bytes(&Range::new(source, start, to - from), &what, Some(start), part, cx);
            at = at.max(to);
        }
        let start = self.end.saturating_add(at);
        if start < source.len() {
            payload::bytes(
                &Range::from(source, start),
                "what follows the last tensor",
                Some(start),
                part,
                cx,
            );
        }
    }
}

impl Tensor {
    fn elements(&self) -> Option<u64> {
        self.shape.as_ref()?.iter().try_fold(1u64, |n, d| n.checked_mul(*d))
    }

    fn flaw(&self, data: u64) -> Option<String> {
        let (Some(dtype), Some(_), Some((from, to))) = (&self.dtype, &self.shape, self.offsets) else {
            return Some("lacks a type, a shape or offsets".to_owned());
        };
        let Some(bits) = bits(dtype) else { return Some(format!("has the unknown type `{dtype}`")) };
        if from > to || to > data {
            return Some(format!("lies at {from}..{to} of {data} bytes"));
        }
        match self.elements().and_then(|n| n.checked_mul(bits)) {
            None => Some("has a shape whose product overflows".to_owned()),
            Some(n) if n % 8 != 0 || n / 8 != to - from => {
                Some(format!("needs {} bytes by its shape and has {}", n.div_ceil(8), to - from))
            }
            Some(_) => None,
        }
    }
}

/// Bits of one element.
fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        "C128" => 128,
        _ => return None,
    })
}

fn numbers(reader: &mut Reader<'_>, at: u64) -> Result<Vec<u64>, JsonError> {
    /// Dimensions of one tensor.
    const RANK_MAX: usize = 64;
    let mut list = Vec::new();
    if reader.token()? != Some(Token::Array) {
        return Err(JsonError::Syntax { at, what: "a list of numbers is missing" });
    }
    loop {
        match reader.token()? {
            Some(Token::EndArray) | None => return Ok(list),
            Some(Token::Number(n)) if list.len() < RANK_MAX => match n.parse() {
                Ok(n) => list.push(n),
                Err(_) => {
                    return Err(JsonError::Syntax { at, what: "a size is not a whole number of 64 bits" });
                }
            },
            _ => return Err(JsonError::Syntax { at, what: "a list of numbers is broken" }),
        }
    }
}

/// Leaves out one value.
fn skip(reader: &mut Reader<'_>) -> Result<(), JsonError> {
    let mut depth = 0usize;
    while let Some(token) = reader.token()? {
        match token {
            Token::Object | Token::Array => depth += 1,
            Token::EndObject | Token::EndArray => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && !matches!(token, Token::Key(..)) {
            break;
        }
    }
    Ok(())
}

/// What the metadata says about the model, in the words that its writers use.
fn fact(part: &mut Part, key: &str, text: &str) {
    let short = || text.chars().take(200).collect::<String>();
    match key {
        "license" | "licence" | "modelspec.license" => part.facts.licence = Some(short()),
        "modelspec.architecture" | "architecture" | "model_type" | "ss_base_model_version" => {
            part.facts.architecture = Some(short())
        }
        "producer" | "generated_by" | "modelspec.implementation" => part.facts.producer = Some(short()),
        "format" => part.facts.framework = Some(format!("safetensors ({})", short())),
        "training_dataset" | "dataset" | "datasets" => drop(part.facts.datasets.insert(short())),
        _ => part.facts.note(key, text),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Verdict, scan};

    fn file(header: &str, data: usize) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
    }

    fn verdict(bytes: &[u8]) -> Verdict {
        scan("m", &bytes, &Limits::default()).verdict()
    }

    #[test]
    fn an_ordinary_file_is_clean_and_counted() {
        let header = r#"{"__metadata__":{"format":"pt","license":"MIT"},"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"e":{"dtype":"I64","shape":[0],"data_offsets":[12,12]}}   "#;
        let part = scan("m", &file(header, 12), &Limits::default());
        assert_eq!(part.verdict(), Verdict::Clean, "{part:?}");
        assert_eq!((part.facts.parameters, part.facts.licence.as_deref()), (Some(6), Some("MIT")));
        assert_eq!(verdict(&file("{}", 0)), Verdict::Clean);
    }

    #[test]
    fn contradictions_are_found() {
        let tensor = |t: &str| format!("{{\"a\":{t}}}");
        for (header, data) in [
            (tensor(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8],"dtype":"I32"}"#), 8),
            (tensor(r#"{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#), 8),
            (tensor(r#"{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}"#), 8),
            (tensor(r#"{"dtype":"Q32","shape":[2],"data_offsets":[0,8]}"#), 8),
            (tensor(r#"{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}"#), 8),
            (tensor(r#"{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#), 8),
            (tensor(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#), 9),
            (tensor(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#), 7),
            (tensor(r#"{"dtype":"F32","shape":[2],"data_offsets":[4,12]}"#), 12),
            (format!(" {}", tensor(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#)), 8),
            (r#"{"__metadata__":{"a":1}}"#.to_owned(), 0),
            (r#"{"__metadata__":{"a":"1","a":"2"}}"#.to_owned(), 0),
            (r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#.to_owned(), 3),
            (format!("{{\"__metadata__\":{{\"a\":{}{}}}}}", "[".repeat(500), "]".repeat(500)), 0),
        ] {
            assert_eq!(verdict(&file(&header, data)), Verdict::Found, "{header}");
        }
        let mut long = file("{\"__metadata__\":{}}", 0);
        long[4] = 1;
        assert_eq!(verdict(&long), Verdict::Found);
    }

    #[test]
    fn broken_headers_are_found_by_the_name_and_pointers_are_not() {
        assert_eq!(verdict(&file("{'a':1}", 8)), Verdict::Inconclusive);
        let named = |bytes: &[u8]| scan("m.safetensors", &bytes, &Limits::default());
        assert_eq!(named(&file("[1]", 8)).verdict(), Verdict::Found);
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        assert_eq!(named(pointer).format, "text");
    }

    #[test]
    fn payloads_are_found() {
        let header = r#"{"a":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}"#;
        let mut elf = file(header, 16);
        let at = elf.len() - 16;
        elf[at..at + 8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
        assert_eq!(verdict(&elf), Verdict::Found);
        assert_eq!(
            verdict(&file(r#"{"__metadata__":{"note":"__import__('os').system('id')"}}"#, 0)),
            Verdict::Found
        );
        assert_eq!(
            verdict(&file(r#"{"__metadata__":{"callback_url":"https://vendor.example/x"}}"#, 0)),
            Verdict::Found
        );
    }

    proptest::proptest! {
        #[test]
        fn survives_anything(header in "[\\[\\]{},:\"a0-9 dtypeshapoff_]{0,80}", data in 0usize..64) {
            let _ = verdict(&file(&format!("{{\"dtype\":{header}"), data));
        }
    }
}
