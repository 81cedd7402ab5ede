//! A vendor's own papers, beside the file: what they leave out, and where they say something else than the file.

use serde_json::Value;

use super::chai::ChaiCard;
use super::{facts, licence, osv};
use crate::{Facts, Part, Verdict};

/// Largest bill of materials read, bytes.
pub const VENDOR_BYTES_MAX: usize = 64 << 20;
/// Components looked at.
const COMPONENTS_MAX: usize = 100_000;

/// What a vendor's CycloneDX document says about the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VendorBom {
    /// Version of the specification.
    pub spec: String,
    /// Name of the model's component.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// SHA-256 digests it gives, in lower-case hexadecimal, of the model and of files.
    pub sha256: Vec<String>,
    /// Licences as stated.
    pub licences: Vec<String>,
    /// Family and architecture as stated.
    pub architecture: Vec<String>,
    /// Libraries with versions.
    pub libraries: Vec<String>,
    /// Sections of the model card that hold something.
    pub sections: Vec<String>,
    /// Signature, hash or other reasons to believe the document are not checked here; whether it carries a signature.
    pub signed: bool,
}

/// A vendor's paper.
pub enum Paper {
    /// Bill of materials.
    Bom(VendorBom),
    /// Model card of the Coalition for Health AI.
    Chai(ChaiCard),
}

/// Reads a CycloneDX document in JSON, 1.4 to 1.7.
///
/// # Errors
/// When it is not one, with what it is instead.
pub fn read_vendor(bytes: &[u8]) -> Result<VendorBom, String> {
    if bytes.len() > VENDOR_BYTES_MAX {
        return Err(format!("larger than {VENDOR_BYTES_MAX} bytes: this is not a bill of materials"));
    }
    if bytes.trim_ascii_start().first() == Some(&b'<') {
        return Err("an XML bill of materials is not read: ask for the JSON form of CycloneDX".to_owned());
    }
    let document: Value = serde_json::from_slice(bytes).map_err(|e| format!("not readable as JSON: {e}"))?;
    let spec = document["specVersion"].as_str().unwrap_or_default().to_owned();
    if document["bomFormat"] != "CycloneDX" || !["1.4", "1.5", "1.6", "1.7"].contains(&spec.as_str()) {
        return Err("not a CycloneDX document of version 1.4 to 1.7 (bomFormat, specVersion)".to_owned());
    }
    let mut components = vec![&document["metadata"]["component"]];
    let mut next = 0;
    components.extend(document["components"].as_array().into_iter().flatten());
    while next < components.len() && components.len() < COMPONENTS_MAX {
        components.extend(components[next]["components"].as_array().into_iter().flatten());
        next += 1;
    }
    let model =
        components.iter().find(|c| c["type"] == "machine-learning-model").or_else(|| components.first());
    let Some(model) = model.filter(|m| m.is_object()) else {
        return Err("it describes no component".to_owned());
    };
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let mut out = VendorBom {
        spec,
        name: text(&model["name"]).unwrap_or_default(),
        version: text(&model["version"]),
        signed: document.get("signature").is_some(),
        ..VendorBom::default()
    };
    for component in &components {
        for hash in component["hashes"].as_array().into_iter().flatten() {
            if hash["alg"] == "SHA-256"
                && let Some(content) = hash["content"].as_str()
            {
                out.sha256.push(content.to_lowercase());
            }
        }
        if component["type"] == "library"
            && let (Some(name), Some(version)) = (component["name"].as_str(), component["version"].as_str())
        {
            out.libraries.push(format!("{name}=={version}"));
        }
    }
    for choice in model["licenses"].as_array().into_iter().flatten() {
        let of = &choice["license"];
        out.licences
            .extend(text(&of["id"]).or_else(|| text(&of["name"])).or_else(|| text(&choice["expression"])));
    }
    read_card(&model["modelCard"], &mut out);
    Ok(out)
}

/// The sections of the model card that hold something.
fn read_card(card: &Value, out: &mut VendorBom) {
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let parameters = &card["modelParameters"];
    out.architecture.extend(text(&parameters["architectureFamily"]));
    out.architecture.extend(text(&parameters["modelArchitecture"]));
    for (section, value) in [
        ("modelParameters.inputs", &parameters["inputs"]),
        ("modelParameters.outputs", &parameters["outputs"]),
        ("modelParameters.datasets", &parameters["datasets"]),
        ("modelParameters.task", &parameters["task"]),
        ("quantitativeAnalysis.performanceMetrics", &card["quantitativeAnalysis"]["performanceMetrics"]),
        ("considerations.useCases", &card["considerations"]["useCases"]),
        ("considerations.technicalLimitations", &card["considerations"]["technicalLimitations"]),
        ("considerations.fairnessAssessments", &card["considerations"]["fairnessAssessments"]),
    ] {
        let full = value.as_array().map_or(value.is_string(), |a| !a.is_empty());
        if full {
            out.sections.push(section.to_owned());
        }
    }
}

/// What a hospital needs to know and the paper does not say, one line each.
pub fn missing(paper: &Paper) -> Vec<String> {
    match paper {
        Paper::Chai(card) => card
            .invalid
            .iter()
            .map(|i| format!("not valid by its schema: {i}"))
            .chain(card.empty.iter().map(|e| format!("empty: {e}")))
            .collect(),
        Paper::Bom(bom) => {
            let mut out = Vec::new();
            let mut need = |there: bool, what: &str| {
                if !there {
                    out.push(what.to_owned());
                }
            };
            need(!bom.name.is_empty(), "no name of the model");
            need(bom.version.is_some(), "no version of the model");
            need(!bom.sha256.is_empty(), "no SHA-256 digest: nothing ties the paper to the file");
            need(!bom.licences.is_empty(), "no licence");
            need(
                !bom.architecture.is_empty(),
                "no architecture (modelParameters.architectureFamily, modelArchitecture)",
            );
            for section in [
                "modelParameters.inputs",
                "modelParameters.outputs",
                "modelParameters.datasets",
                "modelParameters.task",
                "quantitativeAnalysis.performanceMetrics",
                "considerations.useCases",
                "considerations.technicalLimitations",
                "considerations.fairnessAssessments",
            ] {
                need(
                    bom.sections.iter().any(|s| s == section),
                    &format!("nothing under modelCard.{section}"),
                );
            }
            need(bom.signed, "the document is not signed (or its signature is beside it)");
            out
        }
    }
}

/// Where the paper says something else than the file: one line each. `sha256` are the digests of the files, hexadecimal.
pub fn compare(paper: &Paper, part: &Part, sha256: &[String]) -> Vec<String> {
    let file = super::whole(part);
    let mut out = Vec::new();
    match paper {
        Paper::Bom(bom) => {
            let known = bom.sha256.iter().any(|d| sha256.contains(d));
            if !bom.sha256.is_empty() && !known {
                out.push("none of the SHA-256 digests in the paper is that of a file here: it describes another version".to_owned());
            }
            if let (Some(stated), [first, ..]) = (&file.licence, bom.licences.as_slice()) {
                let id = |text: &str| {
                    licence::spdx(text).map_or_else(|| text.trim().to_lowercase(), str::to_owned)
                };
                if !bom.licences.iter().any(|l| id(l) == id(stated)) {
                    out.push(format!("licence: the paper says `{first}`, the file says `{stated}`"));
                }
            }
            for stated in &bom.architecture {
                out.extend(architecture(stated, &file));
            }
            for paper in &bom.libraries {
                let (name, version) = osv::name_and_version(paper);
                for own in &file.libraries {
                    let (n, v) = osv::name_and_version(own);
                    if n == name && v.is_some() && v != version {
                        out.push(format!("library: the paper says `{paper}`, the file says `{own}`"));
                    }
                }
            }
        }
        Paper::Chai(card) => out.extend(architecture(&card.model_type, &file)),
    }
    if part.verdict() == Verdict::Found {
        out.push("the paper describes a model; the file holds more than that (see the findings)".to_owned());
    }
    out
}

/// Words of a stated architecture, and the families (of [`facts::family`]) that they fit.
const WORDS: [(&[&str], &[&str]); 6] = [
    (
        &[
            "random forest",
            "gradient boost",
            "boosted tree",
            "xgboost",
            "lightgbm",
            "decision tree",
            "tree ensemble",
        ],
        &["tree ensemble"],
    ),
    (&["transformer", "large language model", "vision transformer", "bert"], &["transformer"]),
    (&["convolution", "cnn", "resnet", "u-net", "unet", "densenet"], &["convolutional network"]),
    (&["recurrent", "lstm", "gru"], &["recurrent network"]),
    (&["logistic regression", "linear model", "support vector"], &["linear model", "multilayer perceptron"]),
    (&["multilayer perceptron", "mlp", "feed-forward", "feedforward"], &["multilayer perceptron"]),
];

fn architecture(stated: &str, file: &Facts) -> Option<String> {
    let family = facts::family(file)?;
    let lower = stated.to_lowercase();
    let mut claimed = WORDS.iter().filter(|(words, _)| words.iter().any(|w| lower.contains(w))).peekable();
    claimed.peek()?;
    if claimed.any(|(_, families)| families.contains(&family)) {
        return None;
    }
    let short: String = stated.chars().take(80).collect();
    Some(format!("architecture: the paper says `{short}`, the file holds a {family}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(operator: &str) -> Part {
        let mut part = Part::new("m.onnx", "onnx", 1);
        part.facts.operator(operator);
        part.facts.licence = Some("mit".to_owned());
        part
    }

    #[test]
    fn a_paper_for_another_file_is_told() {
        let text = br#"{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"machine-learning-model","name":"m",
            "hashes":[{"alg":"SHA-256","content":"AB"}],"licenses":[{"license":{"id":"Apache-2.0"}}],
            "modelCard":{"modelParameters":{"architectureFamily":"random forest"}}}}}"#;
        let paper = Paper::Bom(read_vendor(text).unwrap());
        let said = compare(&paper, &part("Conv"), &["cd".to_owned()]).join("\n");
        for words in
            ["another version", "`Apache-2.0`, the file says `mit`", "the file holds a convolutional network"]
        {
            assert!(said.contains(words), "{said}");
        }
        let fits = compare(
            &paper,
            &Part { facts: Facts::default(), ..part("TreeEnsembleClassifier") },
            &["ab".to_owned()],
        );
        assert!(fits.is_empty(), "{fits:?}");
        assert!(missing(&paper).iter().any(|m| m.contains("performanceMetrics")));
        assert!(read_vendor(b"{}").is_err() && read_vendor(b"<bom/>").is_err());
    }
}
