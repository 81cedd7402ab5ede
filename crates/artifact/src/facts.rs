//! What a file says it is: the raw material of a bill of materials. Statements of the file, not judgements.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Element type as the format names it.
    pub datatype: String,
    /// Sizes, `-1` or a name for those that vary.
    pub shape: Vec<String>,
}

/// What a part says about the model in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Facts {
    /// Framework and format version, for example `ONNX IR 10`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framework: Option<String>,
    /// Architecture as stated, for example `LlamaForCausalLM` or `RandomForestClassifier`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Number of parameters (weights), counted from the tensors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// Inputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Port>,
    /// Outputs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Port>,
    /// Operators or layers, and how often each occurs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub operators: BTreeMap<String, u64>,
    /// Licence as stated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Program that wrote the file, with its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub producer: Option<String>,
    /// Libraries the file needs or names, `name` or `name==version`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub libraries: BTreeSet<String>,
    /// Data sets the file names.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub datasets: BTreeSet<String>,
    /// Other statements, key to value, values cut to 200 characters.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Longest metadata value kept, characters.
const VALUE_CHARS_MAX: usize = 200;
/// Most metadata values kept per part.
const METADATA_MAX: usize = 200;

impl Facts {
    /// Notes one statement of the file, cut to its bounds.
    pub fn note(&mut self, key: impl Into<String>, value: &str) {
        if self.metadata.len() < METADATA_MAX {
            self.metadata.insert(key.into(), value.chars().take(VALUE_CHARS_MAX).collect());
        }
    }

    /// Counts one operator or layer.
    pub fn operator(&mut self, name: &str) {
        if let Some(n) = self.operators.get_mut(name) {
            *n += 1;
        } else if self.operators.len() < METADATA_MAX {
            self.operators.insert(name.to_owned(), 1);
        }
    }
}
