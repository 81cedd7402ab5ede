//! What the guards learn from reference data, once, at admission.

use domain::{Digest, InputSchema};
use serde::{Deserialize, Serialize};

use crate::clinical_range::{self, RangeFit};
use crate::extraction::{self, ExtractionFit};
use crate::out_of_distribution::{self, OodFit};
use crate::pixel_noise::{self, NoiseFit};
use crate::query_similarity::{self, SimilarityFit};
use crate::reference::Reference;
use crate::settings::GuardSettings;
use crate::uncertainty::{self, UncertaintyFit};

/// Most rows of reference data that are read; more add nothing to the estimates.
pub(crate) const REFERENCE_ROWS_MAX: usize = 1_000_000;

/// Why guards cannot be fitted, or a stored fit cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FitError {
    /// The matrix does not fit the declared inputs.
    #[error(
        "the {what} data has {found} columns but the system declares {expected}: give the declared columns"
    )]
    Width {
        /// Which part: `fit` or `calibration`.
        what: &'static str,
        /// Columns found.
        found: usize,
        /// Columns declared.
        expected: usize,
    },
    /// Too little data.
    #[error("the {what} data has {rows} rows, at least {needed} are needed: give more reference data")]
    TooFewRows {
        /// Which part.
        what: &'static str,
        /// Rows found.
        rows: usize,
        /// Rows needed.
        needed: usize,
    },
    /// Too much data.
    #[error("the {what} data has {rows} rows, at most {max} are read: give a sample")]
    TooManyRows {
        /// Which part.
        what: &'static str,
        /// Rows found.
        rows: usize,
        /// Rows allowed.
        max: usize,
    },
    /// NaN or infinity in the reference data.
    #[error(
        "the {what} data holds a value that is not a finite number: clean it or fill it in as the model expects"
    )]
    NotFinite {
        /// Which part.
        what: &'static str,
    },
    /// Parts that belong together have different numbers of rows.
    #[error("{what} do not belong together: {left} and {right} rows, give one for each patient")]
    Mismatch {
        /// Which parts.
        what: &'static str,
        /// Rows of the first.
        left: usize,
        /// Rows of the second.
        right: usize,
    },
    /// All rows are equal, or nearly.
    #[error("the {what} data does not vary: give data of different patients")]
    Degenerate {
        /// Which part.
        what: &'static str,
    },
    /// A label beyond the model's classes.
    #[error(
        "label {label} is not one of the model's {classes} classes: number the labels as the model's outputs"
    )]
    Label {
        /// The label.
        label: u32,
        /// Classes of the model.
        classes: usize,
    },
    /// Scores without or with too many classes.
    #[error(
        "the scores have {classes} classes, 1 to {max} are read: name the output that holds the class scores"
    )]
    Classes {
        /// Classes found.
        classes: usize,
        /// Classes allowed.
        max: usize,
    },
    /// A stored fit that does not belong to the declared inputs, or is damaged.
    #[error("the stored fit does not belong to the declared inputs: admit the system again")]
    Stale,
}

/// Everything the guards learnt. Stored as a blob; the same data, settings and seed give the same bytes. Holds
/// reference rows' scaled values (at most 1,024 of them), so it is to be kept like the reference data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    version: u32,
    pub(crate) range: RangeFit,
    pub(crate) ood: OodFit,
    pub(crate) uncertainty: Option<UncertaintyFit>,
    pub(crate) similarity: SimilarityFit,
    pub(crate) extraction: ExtractionFit,
    pub(crate) noise: Option<NoiseFit>,
}

const VERSION: u32 = 2;

/// Learns everything from reference data. `fit` shapes the estimates; `calibration` sets the thresholds, so the two
/// must not share patients. Without scores (a remote model that was not asked), `uncertainty` will be inconclusive;
/// without activations there is no `out-of-distribution-features`.
///
/// # Errors
/// When the data does not fit the declared inputs, is too little, does not vary or holds NaN.
pub fn fit(
    settings: &GuardSettings,
    schema: &InputSchema,
    fit: &Reference,
    calibration: &Reference,
    seed: u64,
) -> Result<Fitted, FitError> {
    check(schema, fit, "fit")?;
    check(schema, calibration, "calibration")?;
    let similarity = query_similarity::fit(schema, &fit.inputs, seed)?;
    Ok(Fitted {
        version: VERSION,
        range: clinical_range::fit(schema, &fit.inputs),
        ood: out_of_distribution::fit(&settings.out_of_distribution, schema, fit, calibration, seed)?,
        uncertainty: uncertainty::fit(&settings.uncertainty, calibration)?,
        extraction: extraction::fit(&similarity.sketcher, calibration),
        noise: pixel_noise::fit(&settings.pixel_noise, schema, &fit.inputs, &calibration.inputs, seed)?,
        similarity,
    })
}

fn check(schema: &InputSchema, data: &Reference, what: &'static str) -> Result<(), FitError> {
    let rows = data.inputs.rows;
    if data.inputs.cols != schema.width() || !data.inputs.is_consistent() {
        return Err(FitError::Width { what, found: data.inputs.cols, expected: schema.width() });
    }
    if rows < out_of_distribution::ROWS_MIN {
        return Err(FitError::TooFewRows { what, rows, needed: out_of_distribution::ROWS_MIN });
    }
    if rows > REFERENCE_ROWS_MAX {
        return Err(FitError::TooManyRows { what, rows, max: REFERENCE_ROWS_MAX });
    }
    let parts = [&data.scores, &data.features];
    if let Some(other) = parts.into_iter().flatten().find(|m| m.rows != rows || !m.is_consistent()) {
        return Err(FitError::Mismatch {
            what: "inputs and scores or activations",
            left: rows,
            right: other.rows,
        });
    }
    if let Some(labels) = data.labels.as_ref().filter(|l| l.len() != rows) {
        return Err(FitError::Mismatch { what: "inputs and labels", left: rows, right: labels.len() });
    }
    let finite = data.inputs.is_finite() && parts.into_iter().flatten().all(numeric::Matrix::is_finite);
    if finite { Ok(()) } else { Err(FitError::NotFinite { what }) }
}

impl Fitted {
    /// The bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Serialising numbers and vectors into memory cannot fail; no bytes would be refused when read.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads stored bytes.
    ///
    /// # Errors
    /// [`FitError::Stale`] when they are not a fit of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FitError> {
        serde_json::from_slice(bytes).map_err(|_| FitError::Stale)
    }

    /// Digest of the content: changes with any estimate or threshold.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// False-positive rate of `out-of-distribution` that holds for exchangeable patients; above the configured one when
    /// there were too few calibration rows for it.
    pub fn stated_false_positive_rate(&self) -> f64 {
        self.ood.threshold.stated
    }

    /// The same for `out-of-distribution-features`, where activations were given.
    pub fn stated_features_false_positive_rate(&self) -> Option<f64> {
        self.ood.features_stated()
    }

    /// The same for `pixel-noise`, where the input is an image.
    pub fn stated_noise_false_positive_rate(&self) -> Option<f64> {
        self.noise.as_ref().map(NoiseFit::stated)
    }

    /// Calibration patients per class of `uncertainty`, where scores and labels were given.
    pub fn calibration_rows_per_class(&self) -> Option<&[usize]> {
        self.uncertainty.as_ref().map(|u| u.rows.as_slice())
    }

    /// True when the fit belongs to these inputs and its parts fit each other.
    pub(crate) fn is_consistent(&self, schema: &InputSchema) -> bool {
        self.version == VERSION
            && self.range.fits(schema)
            && self.ood.fits(schema)
            && self.similarity.sketcher.is_consistent(schema)
            && self.noise.as_ref().is_none_or(|n| n.fits(schema))
    }
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
