//! XML: PMML, OpenVINO IR, and any other.

use std::collections::{BTreeSet, HashSet};

use domain::{Entry, Severity, catalogue_entry};

use super::{Format, Input, Sure};
use crate::wire::xml::{Reader, Token, XmlError};
use crate::{Context, Part, Port, Source, payload};

catalogue_entry! {
    /// An XML model declares entities or includes something from outside.
    ///
    /// ## What it is
    /// A document type declaration with entities, an external subset, XInclude, or a style sheet from elsewhere.
    ///
    /// ## Why it matters in care
    /// A reader that resolves them opens files of the service or addresses inside the network (XXE), or fills its memory
    /// from a few lines (billion laughs). Models need none of them.
    ///
    /// ## Limits
    /// A bare document type without entities is noted only.
    ///
    /// ## References
    /// CWE-611 XML External Entity; CWE-776 XML Entity Expansion.
    pub(crate) static ENTITY = {
        id: "S080", name: "xml-entities", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0029", "AML.T0037", "CWE-611", "CWE-776"],
    };
}

catalogue_entry! {
    /// An XML model calls code that is not part of its format.
    ///
    /// ## What it is
    /// In PMML a function named like a Java class or a script in an extension; in OpenVINO an operator of no published
    /// operator set; weights named outside the folder; a script element anywhere.
    ///
    /// ## Why it matters in care
    /// The evaluator loads the named class or library, which came from the supplier.
    ///
    /// ## Limits
    /// The operators are known by their operator set, not one by one.
    ///
    /// ## References
    /// PMML 4.4; OpenVINO IR; CWE-470 Use of Externally-Controlled Input to Select Classes or Code.
    pub(crate) static CODE = {
        id: "S081", name: "xml-foreign-code", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0018.002", "CWE-470", "CWE-94"],
    };
}

/// Entries of this format.
pub(crate) const ENTRIES: &[&Entry] = &[&ENTITY, &CODE];

/// Elements whose names are counted.
const REMEDY: &str = "do not open it; ask the supplier for a model without it";

/// The format.
pub(super) struct Xml;

impl Format for Xml {
    fn name(&self) -> &'static str {
        "xml"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let wide = utf8(input.head);
        let head = wide.as_deref().unwrap_or(input.head);
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let head = head.trim_ascii_start();
        let lower = head.get(..head.len().min(64)).unwrap_or_default().to_ascii_lowercase();
        if lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html") {
            return None;
        }
        let own = [b"<?xml".as_slice(), b"<!doctype", b"<pmml", b"<net ", b"<net>", b"<svg"]
            .iter()
            .any(|s| lower.starts_with(s));
        own.then_some(Sure::Certain)
    }

    fn includes(&self, _input: &Input<'_>) -> &'static [&'static str] {
        &["text", "html"]
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        // Two bytes a character are turned into one before the document is read.
        let wide = match input.source.bytes(0, input.source.len(), cx.limits.memory_max / 2) {
            Ok(bytes) => utf8(&bytes),
            Err(e) if utf8(input.head).is_some() => return cx.unread(part, Some(0), e.to_string()),
            Err(_) => None,
        };
        let mut walk = Walk {
            part,
            cx,
            path: Vec::new(),
            defined: HashSet::new(),
            called: BTreeSet::new(),
            root: String::new(),
        };
        let source: &dyn Source = wide.as_ref().map_or(input.source, |bytes| bytes);
        let mut reader = Reader::new(source);
        loop {
            let at = reader.position();
            match reader.token() {
                Ok(Some(token)) => {
                    if walk.cx.step(1).is_err() {
                        walk.cx.unread(
                            walk.part,
                            Some(at),
                            "the limit of steps is reached; scan the parts of this artefact apart",
                        );
                        break;
                    }
                    walk.token(token, at);
                }
                Ok(None) => break,
                Err(e @ XmlError::Large { .. }) => {
                    walk.cx.find(walk.part, &ENTITY, Severity::Medium, Some(at), e.to_string(), REMEDY);
                    break;
                }
                Err(e) => {
                    walk.cx.unread(walk.part, Some(at), e.to_string());
                    break;
                }
            }
        }
        walk.close();
    }
}

/// UTF-16 with a mark of its byte order, as UTF-8.
fn utf8(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mark, rest) = bytes.split_first_chunk::<2>()?;
    let unit = match mark {
        [0xff, 0xfe] => u16::from_le_bytes,
        [0xfe, 0xff] => u16::from_be_bytes,
        _ => return None,
    };
    let units = rest.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Some(text.into_bytes())
}

struct Walk<'w, 'l> {
    part: &'w mut Part,
    cx: &'w mut Context<'l>,
    path: Vec<String>,
    /// Functions that the document defines.
    defined: HashSet<String>,
    /// Functions that it calls.
    called: BTreeSet<String>,
    root: String,
}

fn attribute<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
}

impl Walk<'_, '_> {
    fn token(&mut self, token: Token, at: u64) {
        match token {
            Token::Doctype(text) => self.doctype(&text, at),
            Token::Instruction(text) => {
                if text.starts_with("xml-stylesheet") && text.contains("href") && text.contains("//") {
                    self.cx.find(
                        self.part,
                        &ENTITY,
                        Severity::Medium,
                        Some(at),
                        format!("a style sheet is fetched: `{text}`"),
                        REMEDY,
                    );
                }
            }
            Token::Start(name, attributes) => {
                if self.path.is_empty() {
                    self.root(&name, &attributes);
                }
                self.element(&name, &attributes, at);
                self.path.push(name);
            }
            Token::End(_) => drop(self.path.pop()),
            Token::Text(text) => {
                let place = self.path.last().cloned().unwrap_or_default();
                payload::text(&text, &format!("the text of `{place}`"), Some(at), self.part, self.cx);
            }
        }
    }

    fn doctype(&mut self, text: &str, at: u64) {
        let external = text.split_whitespace().any(|w| w == "SYSTEM" || w == "PUBLIC");
        let entities = text.matches("<!ENTITY").count();
        if entities > 0 || external {
            let shown: String = text.chars().take(160).collect();
            let message = format!(
                "the document declares {entities} entities{}: `{shown}`",
                if external { " and names something outside" } else { "" }
            );
            self.cx.find(self.part, &ENTITY, Severity::High, Some(at), message, REMEDY);
        } else {
            self.cx.find(
                self.part,
                &ENTITY,
                Severity::Low,
                Some(at),
                "the document has a document type",
                REMEDY,
            );
        }
    }

    fn root(&mut self, name: &str, attributes: &[(String, String)]) {
        self.root = name.rsplit(':').next().unwrap_or(name).to_owned();
        let version = attribute(attributes, "version").unwrap_or_default();
        let framework = match self.root.as_str() {
            "PMML" => format!("PMML {version}"),
            "net" => format!("OpenVINO IR {version}"),
            other => format!("XML {other}"),
        };
        self.part.facts.framework = Some(framework.trim().to_owned());
        if self.root == "net" {
            self.part.facts.architecture = attribute(attributes, "name").map(str::to_owned);
        }
    }

    fn element(&mut self, name: &str, attributes: &[(String, String)], at: u64) {
        let local = name.rsplit(':').next().unwrap_or(name);
        if local == "include" && (name.starts_with("xi:") || name.starts_with("xinclude:"))
            || attributes.iter().any(|a| a.1.ends_with("/XInclude"))
        {
            self.cx.find(
                self.part,
                &ENTITY,
                Severity::High,
                Some(at),
                "the document includes another",
                REMEDY,
            );
        }
        if local.eq_ignore_ascii_case("script") {
            self.cx.find(self.part, &CODE, Severity::High, Some(at), "the document holds a script", REMEDY);
        }
        for (key, value) in attributes {
            // Addresses of name spaces and schemas are names.
            if key.starts_with("xmlns") || key.ends_with("schemaLocation") {
                continue;
            }
            if value.contains('&')
                && value.split('&').skip(1).any(|e| {
                    !matches!(e.split(';').next(), Some("amp" | "lt" | "gt" | "quot" | "apos"))
                        && !e.starts_with('#')
                        && e.contains(';')
                })
            {
                self.cx.find(
                    self.part,
                    &ENTITY,
                    Severity::Medium,
                    Some(at),
                    format!("`{key}` of `{name}` uses an entity: `{value}`"),
                    REMEDY,
                );
            }
            payload::text(value, &format!("`{key}` of `{name}`"), Some(at), self.part, self.cx);
        }
        match self.root.as_str() {
            "PMML" => self.pmml(local, attributes),
            "net" => self.openvino(local, attributes, at),
            _ => {}
        }
    }

    fn pmml(&mut self, name: &str, attributes: &[(String, String)]) {
        /// Ports kept.
        const PORTS_MAX: usize = 200;
        let facts = &mut self.part.facts;
        match name {
            "Application" => {
                let version = attribute(attributes, "version").unwrap_or_default();
                facts.producer =
                    attribute(attributes, "name").map(|n| format!("{n} {version}").trim().to_owned());
            }
            "DefineFunction" => self.defined.extend(attribute(attributes, "name").map(str::to_owned)),
            "Apply" => self.called.extend(attribute(attributes, "function").map(str::to_owned)),
            "DataField" if facts.inputs.len() < PORTS_MAX => facts.inputs.push(Port {
                name: attribute(attributes, "name").unwrap_or_default().to_owned(),
                datatype: attribute(attributes, "dataType").unwrap_or_default().to_owned(),
                shape: Vec::new(),
            }),
            _ if name.ends_with("Model") => {
                facts.operator(name);
                if facts.architecture.is_none() {
                    facts.architecture = Some(name.to_owned());
                }
            }
            _ => {}
        }
    }

    fn openvino(&mut self, name: &str, attributes: &[(String, String)], at: u64) {
        if name != "layer" {
            if name == "data"
                && let Some(why) =
                    attribute(attributes, "path").or(attribute(attributes, "file")).and_then(payload::outside)
            {
                self.cx.find(self.part, &CODE, Severity::High, Some(at), format!("data is {why}"), REMEDY);
            }
            return;
        }
        let kind = attribute(attributes, "type").unwrap_or_default();
        let set = attribute(attributes, "version").unwrap_or_default();
        self.part.facts.operator(kind);
        let published = set.is_empty() || set.strip_prefix("opset").is_some_and(|n| n.parse::<u32>().is_ok());
        let own = matches!(
            set,
            "ie_internal_opset" | "util" | "intel_gpu_opset" | "gpu_opset" | "cpu_plugin_opset"
        );
        if !published && !own {
            let message =
                format!("the operator `{kind}` is of the set `{set}`, which needs a foreign library");
            let remedy = "ask the supplier for an export in published operators; do not load a library that comes with a model";
            self.cx.find(self.part, &CODE, Severity::Medium, Some(at), message, remedy);
        }
    }

    fn close(self) {
        // A function with dots is the name of a Java class to JPMML; PMML's own have none, besides those prefixed `x-`.
        for function in self.called.iter().filter(|f| !self.defined.contains(*f)) {
            if function.contains('.') && !function.starts_with("x-") {
                let message = format!("the function `{function}` is a class that the evaluator loads");
                self.cx.find(self.part, &CODE, Severity::High, None, message, REMEDY);
            }
            self.part.facts.operator(function);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Part, Verdict, scan};

    fn read(text: &str) -> Part {
        scan("m.xml", &text.as_bytes(), &Limits::default())
    }

    #[test]
    fn ordinary_models_are_clean_and_described() {
        let pmml = r#"<?xml version="1.0"?><PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4"><Header><Application name="sklearn2pmml" version="1.0"/></Header>
            <DataDictionary><DataField name="age" dataType="double"/></DataDictionary><TreeModel functionName="regression"><Apply function="log10"/></TreeModel></PMML>"#;
        let part = read(pmml);
        assert_eq!(part.verdict(), Verdict::Clean, "{part:?}");
        assert_eq!((part.facts.architecture.as_deref(), part.facts.inputs.len()), (Some("TreeModel"), 1));
        let net = r#"<?xml version="1.0"?><net name="n" version="11"><layers><layer id="0" name="x" type="Parameter" version="opset1"><data shape="1,2"/></layer></layers></net>"#;
        assert_eq!(read(net).verdict(), Verdict::Clean);
    }

    #[test]
    fn entities_code_and_foreign_operators_are_found() {
        for text in [
            r#"<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///x">]><PMML/>"#,
            r#"<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><net/>"#,
            r#"<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://h/x.dtd"><PMML/>"#,
            r#"<?xml version="1.0"?><PMML xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///x"/></PMML>"#,
            r#"<PMML><Apply function="com.vendor.Run"/></PMML>"#,
            r#"<PMML><Extension name="script"><script>x</script></Extension></PMML>"#,
            r#"<net><layer type="Shell" version="extension"/></net>"#,
            r#"<PMML><Extension value="__import__('os').system('id')"/></PMML>"#,
        ] {
            assert_eq!(read(text).verdict(), Verdict::Found, "{text}");
        }
        let wide: Vec<u8> = "\u{feff}<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///x'>]><PMML/>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(scan("m.xml", &wide, &Limits::default()).verdict(), Verdict::Found);
        assert_eq!(read("<?xml version='1.0'?><PMML>").verdict(), Verdict::Inconclusive);
    }
}
