//! What a model's inputs mean: the declared schema that guards check and people read.

use serde::{Deserialize, Serialize};

/// What values a feature takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum FeatureKind {
    /// Any number in the range.
    Real,
    /// Whole numbers in the range.
    Integer,
    /// One of the listed codes.
    Category {
        /// The codes, as numbers, since models take numbers.
        codes: Vec<f64>,
    },
}

/// Whether a feature can change, for a patient or for an attacker who plays one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Mutability {
    /// Never changes, or only as time passes: sex, age.
    Immutable,
    /// Changes with the patient's condition or the measurement.
    #[default]
    Measured,
    /// Is typed or judged by a person: a symptom score.
    Reported,
}

/// Another unit in which the same quantity is often written, with the factors that lead to the declared one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitAlternative {
    /// The other unit, UCUM notation, for example `mmol/L`.
    pub unit: String,
    /// declared = value × factor + offset.
    pub factor: f64,
    /// See `factor`; 0 for proportional units.
    #[serde(default)]
    pub offset: f64,
}

/// One input feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Name, as in the reference data's header.
    pub name: String,
    /// Unit, UCUM notation; `1` for none.
    pub unit: String,
    /// What values it takes.
    pub kind: FeatureKind,
    /// Lowest value a living patient can have, in `unit`.
    pub min: f64,
    /// Highest value a living patient can have, in `unit`.
    pub max: f64,
    /// Whether it can change.
    pub mutability: Mutability,
    /// Units it is often mixed up with.
    pub alternatives: Vec<UnitAlternative>,
}

/// The declared input of a system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum InputSchema {
    /// A table: rows are patients, columns are features, one tensor of shape `[n, features]`.
    Table {
        /// Name of the input tensor.
        tensor: String,
        /// The columns, in order.
        features: Vec<Feature>,
    },
    /// Images: one tensor of shape `[n, channels, height, width]`.
    Image {
        /// Name of the input tensor.
        tensor: String,
        /// Number of channels.
        channels: usize,
        /// Rows of pixels.
        height: usize,
        /// Columns of pixels.
        width: usize,
        /// Lowest pixel value.
        min: f64,
        /// Highest pixel value.
        max: f64,
    },
}

impl InputSchema {
    /// Name of the input tensor.
    pub fn tensor(&self) -> &str {
        match self {
            Self::Table { tensor, .. } | Self::Image { tensor, .. } => tensor,
        }
    }

    /// Values in one row.
    pub fn width(&self) -> usize {
        match self {
            Self::Table { features, .. } => features.len(),
            Self::Image { channels, height, width, .. } => channels * height * width,
        }
    }

    /// The shape of a batch of `rows`.
    pub fn shape(&self, rows: usize) -> Vec<usize> {
        match self {
            Self::Table { features, .. } => vec![rows, features.len()],
            Self::Image { channels, height, width, .. } => vec![rows, *channels, *height, *width],
        }
    }
}
