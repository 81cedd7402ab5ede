//! Bill of materials of a model: CycloneDX 1.6 and 1.7 (ECMA-424), with the model card that the file itself gives.
//!
//! What stands in it is what the file states and what was measured on it, each under its own key; nothing is guessed.
//! Whether the statements are true is not for the bill of materials, but [`compare`] says where a vendor's own papers
//! say something else than the file.

mod chai;
mod facts;
mod licence;
mod osv;
mod vendor;

use std::collections::BTreeMap;

use domain::{Digest, Severity, Timestamp};
use serde_json::{Map, Value, json};

use crate::{Facts, Part, Port};

pub use chai::{CHAI_BYTES_MAX, ChaiCard, read_chai};
pub use facts::whole;
pub use osv::{Advisory, OSV_BYTES_MAX, Vulnerable, affected, read_osv};
pub use vendor::{Paper, VENDOR_BYTES_MAX, VendorBom, compare, missing, read_vendor};

/// Components listed at most; a repository of more files lists the first.
const COMPONENTS_MAX: usize = 10_000;
/// Findings and operators listed as properties at most.
const PROPERTIES_MAX: usize = 200;

/// Version of the specification to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spec {
    /// CycloneDX 1.6.
    V16,
    /// CycloneDX 1.7.
    V17,
}

impl Spec {
    /// As written in the document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V16 => "1.6",
            Self::V17 => "1.7",
        }
    }
}

/// Who vouches for the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Where it is, as a URI reference.
    pub url: String,
    /// Digest of the signature file.
    pub digest: Digest,
    /// What verifying it gave, in words.
    pub says: String,
}

/// A figure measured on the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Name, for example `accuracy`.
    pub name: String,
    /// Value.
    pub value: f64,
    /// On which rows.
    pub slice: String,
}

/// What goes into a bill of materials.
pub struct Materials<'a> {
    /// Name of the model.
    pub name: &'a str,
    /// Its version, if it has one.
    pub version: Option<&'a str>,
    /// What the scan gave.
    pub part: &'a Part,
    /// Digest of the file, for a single file.
    pub digest: Option<Digest>,
    /// Digests of the files of a folder, by path.
    pub digests: &'a BTreeMap<String, Digest>,
    /// Signature, when there is one.
    pub signature: Option<Signature>,
    /// Figures, when there are some.
    pub metrics: &'a [Measured],
    /// Known vulnerabilities of the libraries that the file names.
    pub vulnerable: &'a [Vulnerable],
    /// When the document is made.
    pub made_at: Timestamp,
    /// Version of the program.
    pub tool: &'a str,
}

/// The document. Components, properties and vulnerabilities are in a fixed order; the serial number follows from the content of the
/// model, so the same model at the same time gives the same bytes.
pub fn document(spec: Spec, m: &Materials<'_>) -> Value {
    let facts = whole(m.part);
    let libraries = libraries(&facts);
    let mut components = files(m);
    components.extend(libraries.iter().map(|(component, _)| component.clone()));
    components.truncate(COMPONENTS_MAX);
    let depends: Vec<&Value> = components.iter().map(|c| &c["bom-ref"]).collect();
    let mut dependencies = vec![json!({ "ref": "model", "dependsOn": depends })];
    dependencies.extend(components.iter().map(|c| json!({ "ref": c["bom-ref"] })));
    let mut out = json!({
        "$schema": format!("http://cyclonedx.org/schema/bom-{}.schema.json", spec.as_str()),
        "bomFormat": "CycloneDX",
        "specVersion": spec.as_str(),
        "serialNumber": serial(m),
        "version": 1,
        "metadata": {
            "timestamp": m.made_at.to_string(),
            "lifecycles": [{ "phase": "post-build" }],
            "tools": { "components": [{ "type": "application", "name": "asepsis", "version": m.tool }] },
            "component": model(m, &facts),
        },
        "components": components,
        "dependencies": dependencies,
    });
    if !m.vulnerable.is_empty() {
        out["vulnerabilities"] = m.vulnerable.iter().map(vulnerability).collect();
    }
    out
}

/// A name-based UUID (RFC 9562, version 8) from the content.
fn serial(m: &Materials<'_>) -> String {
    let mut hasher = domain::Hasher::new();
    hasher.field(m.name.as_bytes());
    if let Some(digest) = &m.digest {
        hasher.field(digest.as_bytes());
    }
    for (path, digest) in m.digests {
        hasher.field(path.as_bytes()).field(digest.as_bytes());
    }
    let digest = hasher.finish();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn hashes(digest: &Digest) -> Value {
    json!([{ "alg": "SHA-256", "content": digest.to_string().trim_start_matches("sha256:") }])
}

fn property(name: &str, value: impl ToString) -> Value {
    json!({ "name": name, "value": value.to_string() })
}

fn model(m: &Materials<'_>, facts: &Facts) -> Value {
    let mut out = json!({
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": m.name,
        "modelCard": card(m, facts),
        "properties": scan_properties(m.part),
    });
    if let Some(version) = m.version {
        out["version"] = json!(version);
    }
    if let Some(digest) = &m.digest {
        out["hashes"] = hashes(digest);
    }
    if let Some(stated) = &facts.licence {
        out["licenses"] = json!([licence::cyclonedx(stated)]);
    }
    if let Some(signature) = &m.signature {
        out["externalReferences"] = json!([{
            "type": "digital-signature",
            "url": signature.url,
            "comment": signature.says,
            "hashes": hashes(&signature.digest),
        }]);
    }
    out
}

/// The model card, as far as the file and measurements give one.
fn card(m: &Materials<'_>, facts: &Facts) -> Value {
    let mut parameters = Map::new();
    if let Some(family) = facts::family(facts) {
        parameters.insert("architectureFamily".to_owned(), json!(family));
    }
    if let Some(architecture) = &facts.architecture {
        parameters.insert("modelArchitecture".to_owned(), json!(architecture));
    }
    let ports = |ports: &[Port]| -> Value {
        let one =
            |p: &Port| json!({ "format": format!("{}: {}[{}]", p.name, p.datatype, p.shape.join(", ")) });
        ports.iter().take(PROPERTIES_MAX).map(one).collect()
    };
    if !facts.inputs.is_empty() {
        parameters.insert("inputs".to_owned(), ports(&facts.inputs));
    }
    if !facts.outputs.is_empty() {
        parameters.insert("outputs".to_owned(), ports(&facts.outputs));
    }
    if !facts.datasets.is_empty() {
        let sets = facts.datasets.iter().map(|name| json!({ "type": "dataset", "name": name })).collect();
        parameters.insert("datasets".to_owned(), Value::Array(sets));
    }
    let mut properties = Vec::new();
    if let Some(count) = facts.parameters {
        properties.push(property("asepsis:parameters", count));
    }
    if let Some(framework) = &facts.framework {
        properties.push(property("asepsis:framework", framework));
    }
    if let Some(producer) = &facts.producer {
        properties.push(property("asepsis:producer", producer));
    }
    for (name, count) in facts.operators.iter().take(PROPERTIES_MAX) {
        properties.push(property(&format!("asepsis:operator:{name}"), count));
    }
    for (key, value) in facts.metadata.iter().take(PROPERTIES_MAX) {
        properties.push(property(&format!("asepsis:stated:{key}"), value));
    }
    let mut out = json!({ "modelParameters": parameters, "properties": properties });
    if !m.metrics.is_empty() {
        let one =
            |x: &Measured| json!({ "type": x.name, "value": format!("{:.4}", x.value), "slice": x.slice });
        out["quantitativeAnalysis"] =
            json!({ "performanceMetrics": m.metrics.iter().map(one).collect::<Vec<_>>() });
    }
    out
}

fn scan_properties(part: &Part) -> Vec<Value> {
    let mut out = vec![
        property("asepsis:format", &part.format),
        property("asepsis:bytes", part.bytes),
        property("asepsis:scan:verdict", part.verdict().as_str()),
    ];
    for finding in part.all_findings().filter(|f| f.severity >= Severity::Low).take(PROPERTIES_MAX) {
        let technique = finding.technique.as_deref().unwrap_or("no technique");
        let value = format!(
            "{} {} {technique} {}: {}",
            finding.check, finding.severity, finding.location, finding.message
        );
        out.push(property("asepsis:scan:finding", value));
    }
    for part in part.walk() {
        for unread in part.unread.iter().take(PROPERTIES_MAX) {
            out.push(property("asepsis:scan:unread", format!("{}: {}", part.name, unread.reason)));
        }
    }
    out.truncate(PROPERTIES_MAX);
    out
}

/// The files of a folder, each with its digest, and the members of archives under them.
fn files(m: &Materials<'_>) -> Vec<Value> {
    let members = m.part.parts.iter().take(COMPONENTS_MAX);
    members
        .enumerate()
        .map(|(n, part)| {
            let mut out = json!({
                "type": "file",
                "bom-ref": format!("file-{n}"),
                "name": part.name,
                "properties": [property("asepsis:format", &part.format), property("asepsis:bytes", part.bytes)],
            });
            if let Some(digest) = m.digests.get(&part.name) {
                out["hashes"] = hashes(digest);
            }
            out
        })
        .collect()
}

/// Libraries the file names: the component, and name and version.
fn libraries(facts: &Facts) -> Vec<(Value, (String, Option<String>))> {
    let mut out = Vec::new();
    for stated in &facts.libraries {
        let (name, version) = osv::name_and_version(stated);
        if name.is_empty() {
            continue;
        }
        let mut component = json!({
            "type": "library",
            "bom-ref": format!("library-{name}"),
            "name": name,
            "purl": match &version {
                Some(version) => format!("pkg:pypi/{name}@{}", percent(version)),
                None => format!("pkg:pypi/{name}"),
            },
        });
        if let Some(version) = &version {
            component["version"] = json!(version);
        }
        if out.iter().all(|(_, (n, _)): &(Value, (String, Option<String>))| *n != name) {
            out.push((component, (name, version)));
        }
    }
    out
}

/// Characters of a purl version (package-url specification).
fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b".-_~".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

fn vulnerability(v: &Vulnerable) -> Value {
    let mut out = json!({
        "bom-ref": format!("vulnerability-{}-{}", v.id, v.library),
        "id": v.id,
        "source": { "name": "OSV", "url": format!("https://osv.dev/vulnerability/{}", percent(&v.id)) },
        "description": v.summary,
        "affects": [{ "ref": format!("library-{}", v.library) }],
        "analysis": { "state": "in_triage", "detail": format!("{} {}: {}", v.library, v.version, v.why) },
    });
    if !v.aliases.is_empty() {
        let one = |a: &String| json!({ "id": a, "source": { "name": "OSV" } });
        out["references"] = v.aliases.iter().map(one).collect();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_the_same_for_the_same_model_and_names_all_it_knows() {
        let mut part = Part::new("m.onnx", "onnx", 10);
        part.facts.architecture = Some("GradientBoosting".to_owned());
        part.facts.parameters = Some(42);
        part.facts.licence = Some("apache-2.0".to_owned());
        part.facts.libraries.insert("scikit-learn==1.5.0".to_owned());
        let digests = BTreeMap::new();
        let m = Materials {
            name: "heart-disease",
            version: Some("1.0"),
            part: &part,
            digest: Some(Digest::of(b"x")),
            digests: &digests,
            signature: None,
            metrics: &[Measured { name: "accuracy".to_owned(), value: 0.9, slice: "held-out".to_owned() }],
            vulnerable: &[],
            made_at: Timestamp::from_millis(0),
            tool: "0.1.0",
        };
        let first = document(Spec::V17, &m);
        assert_eq!(first, document(Spec::V17, &m));
        assert_eq!(first["metadata"]["component"]["licenses"][0]["license"]["id"], "Apache-2.0");
        assert_eq!(first["components"][0]["purl"], "pkg:pypi/scikit-learn@1.5.0");
        assert_eq!(
            first["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0]["value"],
            "0.9000"
        );
        assert!(first["serialNumber"].as_str().is_some_and(|s| s.len() == 45));
    }
}
