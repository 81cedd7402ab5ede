//! HDF5 files: weights, and with Keras the whole model as text in an attribute.

use std::collections::HashSet;

use domain::{Entry, Severity, catalogue_entry};

use super::{Format, Input, Sure, keras};
use crate::wire::hdf5::{self, Data, File, Link, Object};
use crate::{Context, Part, Range, Source, embedded, payload};

catalogue_entry! {
    /// An HDF5 file reads its data from other files.
    ///
    /// ## What it is
    /// A link to an object in another file, a list of external raw files, or a virtual dataset mapped from other files.
    ///
    /// ## Why it matters in care
    /// Loading the weights reads any file that the service may read into the model, from where it can be asked back
    /// (CVE-2025-9905, CVE-2026-1669).
    ///
    /// ## Limits
    /// Large scientific data sets use the same means honestly; models do not.
    ///
    /// ## References
    /// HDF5 File Format Specification 3.0; CWE-73 External Control of File Name; CWE-22 Path Traversal.
    pub(crate) static OUTSIDE = {
        id: "S076", name: "hdf5-data-outside", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0037", "CWE-73", "CWE-22"],
    };
}

catalogue_entry! {
    /// An HDF5 file hides bytes before, after or in its data.
    ///
    /// ## What it is
    /// The user block in front of the file, or what follows its stated end, is something that another program would open.
    ///
    /// ## Why it matters in care
    /// The file is a model for one program and a pickle or archive for another: what was validated is not what runs.
    ///
    /// ## Limits
    /// Gaps inside the file are not looked at.
    ///
    /// ## References
    /// CWE-506 Embedded Malicious Code; MITRE ATLAS AML.T0074 Masquerading.
    pub(crate) static HIDDEN = {
        id: "S079", name: "hdf5-hidden-bytes", kind: Rule, since: "0.1.0",
        maps: ["AML.T0018.002", "AML.T0074", "CWE-506"],
    };
}

/// Entries of this format.
pub(crate) const ENTRIES: &[&Entry] = &[&OUTSIDE, &HIDDEN];

/// Bytes of references to texts of one dataset that are followed.
const REFERENCES_MAX: u64 = 1 << 20;
/// Objects of one file.
const OBJECTS_MAX: usize = 1_000_000;

/// The format.
pub(super) struct Hdf5;

impl Format for Hdf5 {
    fn name(&self) -> &'static str {
        "hdf5"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        // A superblock behind the first one is only looked for where the head does not reach, when nothing is at 0.
        hdf5::superblock(input.source).map(|_| Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let source = input.source;
        let Some(base) = hdf5::superblock(source) else { return };
        part.facts.framework = Some("HDF5".to_owned());
        let file = match File::open(source, base) {
            Ok(file) => file,
            Err(e) => return cx.unread(part, Some(base), e.to_string()),
        };
        let mut walk = Walk { file, source, part, cx, parameters: 0, configs: Vec::new() };
        walk.around(base);
        walk.objects();
        embedded::search(source, walk.part, walk.cx);
        let (parameters, configs) = (walk.parameters, walk.configs);
        if parameters > 0 {
            part.facts.parameters = Some(parameters);
        }
        for (name, config) in configs {
            keras::judge_text(&config, &format!("attribute `{name}`"), part, cx);
        }
    }
}

struct Walk<'w, 'l> {
    file: File<'w>,
    source: &'w dyn Source,
    part: &'w mut Part,
    cx: &'w mut Context<'l>,
    parameters: u64,
    configs: Vec<(String, String)>,
}

impl Walk<'_, '_> {
    /// What is before the superblock and after the end.
    fn around(&mut self, base: u64) {
        let remedy = "do not use the file; ask the supplier for one without it";
        if base > 0 {
            let block = Range::new(self.source, 0, base);
            let found = payload::bytes(&block, "the user block", Some(0), self.part, self.cx);
            let text = block
                .bytes(0, base, 1 << 20)
                .is_ok_and(|b| b.iter().all(|b| matches!(b, 0 | 9 | 10 | 13 | 0x20..=0x7e)));
            if !found && !text {
                self.cx.unread(
                    self.part,
                    Some(0),
                    format!("{base} bytes before the HDF5 file were not understood"),
                );
            } else if found {
                self.cx.find(
                    self.part,
                    &HIDDEN,
                    Severity::High,
                    Some(0),
                    "something that can be loaded stands before the HDF5 file",
                    remedy,
                );
            }
        }
        // The stated end counts from the start of the file in old versions and from the superblock in new ones.
        let end = self.file.end.max(base);
        if end < self.source.len() {
            let rest = Range::from(self.source, end);
            if payload::bytes(&rest, "what follows the HDF5 file", Some(end), self.part, self.cx) {
                self.cx.find(
                    self.part,
                    &HIDDEN,
                    Severity::High,
                    Some(end),
                    "something that can be loaded follows the HDF5 file",
                    remedy,
                );
            }
        }
    }

    fn objects(&mut self) {
        let mut seen = HashSet::new();
        let mut next = vec![(String::new(), self.file.root)];
        while let Some((path, address)) = next.pop() {
            if !seen.insert(address) {
                continue;
            }
            if seen.len() > OBJECTS_MAX || self.cx.step(10).is_err() {
                return self.cx.unread(self.part, None, "more objects than are looked at");
            }
            let object = match self.file.object(address) {
                Ok(object) => object,
                Err(e) => {
                    self.cx.unread(self.part, Some(address), e.to_string());
                    continue;
                }
            };
            for why in &object.unread {
                self.cx.unread(self.part, Some(address), format!("`{path}`: {why}"));
            }
            self.attributes(&path, &object);
            self.data(&path, &object, address);
            for link in object.links {
                match link {
                    Link::Hard(name, address) => next.push((format!("{path}/{name}"), address)),
                    Link::Soft(..) => {}
                    Link::External(name, file, inside) => {
                        let message =
                            format!("`{path}/{name}` is read from `{inside}` in another file, `{file}`");
                        self.outside(message, address);
                    }
                }
            }
        }
    }

    fn outside(&mut self, message: String, at: u64) {
        let remedy = "do not load the file; ask the supplier for one that holds its own data";
        self.cx.find(self.part, &OUTSIDE, Severity::High, Some(at), message, remedy);
    }

    fn attributes(&mut self, path: &str, object: &Object) {
        /// Longest text that is kept as a fact, bytes.
        const FACT_BYTES_MAX: usize = 1000;
        for attribute in &object.attributes {
            let name = &attribute.name;
            payload::bytes(&attribute.raw, &format!("attribute `{path}/{name}`"), None, self.part, self.cx);
            for text in &attribute.texts {
                let start = text.trim_start();
                if start.starts_with(['{', '[']) && text.contains("class_name") {
                    self.configs.push((format!("{path}/{name}"), text.clone()));
                    continue;
                }
                if path.is_empty() && text.len() < FACT_BYTES_MAX {
                    match name.as_str() {
                        "keras_version" => self.part.facts.producer = Some(format!("Keras {text}")),
                        _ => self.part.facts.note(name.clone(), text),
                    }
                }
                payload::text(text, &format!("attribute `{path}/{name}`"), None, self.part, self.cx);
            }
        }
    }

    fn data(&mut self, path: &str, object: &Object, address: u64) {
        for file in &object.outside {
            self.outside(format!("the data of `{path}` is read from `{file}`"), address);
        }
        let Some(data) = &object.data else { return };
        if object.class <= 1 {
            self.parameters = self.parameters.saturating_add(object.elements);
        }
        let what = format!("the data of `{path}`");
        match data {
            Data::Compact(bytes) => {
                payload::bytes(bytes, &what, Some(address), self.part, self.cx);
                self.variable(object, bytes, &what, address);
            }
            Data::Contiguous(at, length) if object.outside.is_empty() => {
                let at = self.file.base.saturating_add(*at);
                let range = Range::new(self.source, at, *length);
                payload::bytes(&range, &what, Some(at), self.part, self.cx);
                if object.class == 3 && *length > 0 {
                    self.strings(&range, &what, at);
                }
                if object.class == 9
                    && let Ok(bytes) = range.head(REFERENCES_MAX)
                {
                    self.variable(object, &bytes, &what, at);
                }
            }
            Data::Chunked(Some((at, length))) => {
                let at = self.file.base.saturating_add(*at);
                let range = Range::new(self.source, at, *length);
                payload::bytes(&range, &what, Some(at), self.part, self.cx);
            }
            Data::Contiguous(..) | Data::Chunked(None) => {}
            Data::Virtual(heap, index) => {
                let mapping = self.file.global(*heap, u64::from(*index), None).unwrap_or_default();
                // Version, count, and then the name of the first file; `.` is this file.
                let name = mapping
                    .get(9..)
                    .map(|b| b.split(|b| *b == 0).next().unwrap_or_default())
                    .unwrap_or_default();
                if name != b"." {
                    self.outside(
                        format!("the data of `{path}` is mapped from `{}`", String::from_utf8_lossy(name)),
                        address,
                    );
                }
            }
        }
    }

    /// Texts of variable length: references into heaps.
    fn variable(&mut self, object: &Object, references: &[u8], what: &str, at: u64) {
        /// Texts of one dataset that are judged.
        const TEXTS_MAX: usize = 50_000;
        if object.class != 9 {
            return;
        }
        for bytes in self.file.references(references).take(TEXTS_MAX) {
            if !payload::bytes(&bytes, what, Some(at), self.part, self.cx)
                && let Ok(text) = std::str::from_utf8(&bytes)
            {
                payload::text(text, what, Some(at), self.part, self.cx);
            }
        }
    }

    /// Fixed-length texts.
    fn strings(&mut self, range: &Range<'_>, what: &str, at: u64) {
        /// Bytes that are judged.
        const BYTES_MAX: u64 = 4 << 20;
        if let Ok(bytes) = range.head(BYTES_MAX) {
            let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
            payload::text(&text, what, Some(at), self.part, self.cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Part, Verdict, scan};

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind], &(body.len() as u16).to_le_bytes()[..], &[0], body].concat()
    }

    /// A file of version 2 with one group that has these messages.
    fn file(messages: &[Vec<u8>]) -> Vec<u8> {
        let body = messages.concat();
        let header =
            [b"OHDR".as_slice(), &[2, 2], &(body.len() as u32).to_le_bytes(), &body, &[0; 4]].concat();
        let end = 48 + header.len() as u64;
        let none = u64::MAX.to_le_bytes();
        [
            b"\x89HDF\r\n\x1a\n".as_slice(),
            &[2, 8, 8, 0],
            &0u64.to_le_bytes(),
            &none,
            &end.to_le_bytes(),
            &48u64.to_le_bytes(),
            &[0; 4],
            &header,
        ]
        .concat()
    }

    fn attribute(name: &str, text: &str) -> Vec<u8> {
        let kind = [&[0x13, 0, 0, 0][..], &(text.len() as u32).to_le_bytes()].concat();
        let space = [2u8, 0, 0, 0];
        let sizes =
            [(name.len() + 1) as u16, kind.len() as u16, space.len() as u16].map(u16::to_le_bytes).concat();
        message(
            0x0c,
            &[&[3, 0], &sizes[..], &[0], name.as_bytes(), &[0], &kind, &space, text.as_bytes()].concat(),
        )
    }

    fn external(file: &str) -> Vec<u8> {
        let value = [&[0][..], file.as_bytes(), b"\0/x\0"].concat();
        message(0x06, &[&[1, 8, 64, 1][..], b"w", &(value.len() as u16).to_le_bytes(), &value].concat())
    }

    fn read(bytes: &[u8]) -> Part {
        scan("m.h5", &bytes, &Limits::default())
    }

    #[test]
    fn attributes_are_read_and_ordinary_ones_clean() {
        let part = read(&file(&[
            attribute("keras_version", "3.1"),
            attribute(
                "model_config",
                r#"{"class_name":"Sequential","config":{"layers":[{"class_name":"Dense","config":{"units":1}}]}}"#,
            ),
        ]));
        assert_eq!(part.verdict(), Verdict::Clean, "{part:?}");
        assert_eq!(part.facts.producer.as_deref(), Some("Keras 3.1"));
        assert_eq!(part.facts.operators["Dense"], 1);
    }

    #[test]
    fn lambda_links_and_user_blocks_are_found() {
        let lambda = r#"{"class_name":"Sequential","config":[{"class_name":"Lambda","config":{"function":["x",null,null]}}]}"#;
        assert_eq!(read(&file(&[attribute("model_config", lambda)])).verdict(), Verdict::Found);
        assert_eq!(read(&file(&[external("/etc/passwd")])).verdict(), Verdict::Found);
        let mut block = b"#!/bin/sh\n".to_vec();
        block.resize(512, 0);
        block.extend(file(&[]));
        assert_eq!(read(&block).verdict(), Verdict::Found);
    }

    #[test]
    fn what_cannot_be_read_is_inconclusive() {
        let whole = file(&[attribute("a", "b")]);
        assert_eq!(read(&whole[..whole.len() - 12]).verdict(), Verdict::Inconclusive);
    }

    proptest::proptest! {
        #[test]
        fn survives_anything(flips in proptest::collection::vec((8usize..200, proptest::num::u8::ANY), 0..10)) {
            let mut bytes = file(&[attribute("keras_version", "3.1"), external("x")]);
            for (at, value) in flips {
                if let Some(b) = bytes.get_mut(at) { *b = value; }
            }
            let _ = read(&bytes);
        }
    }
}
