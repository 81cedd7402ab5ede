//! Settings of the guards: what `[system.guards.NAME]` may say, with defaults and their reasons.
//!
//! Each guard's own parameters stand in its file; here is what they share. A value out of range is refused when it
//! is read, so no guard meets an impossible setting.

use std::borrow::Cow;

use domain::{GuardMode, OnInconclusive};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::clinical_range::ClinicalRangeSettings;
use crate::extraction::ExtractionSettings;
use crate::out_of_distribution::OutOfDistributionSettings;
use crate::pixel_noise::PixelNoiseSettings;
use crate::query_similarity::QuerySimilaritySettings;
use crate::schema::SchemaSettings;
use crate::uncertainty::UncertaintySettings;

/// All guards of one system. Every guard runs unless it is switched off; switching one off is recorded.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GuardSettings {
    /// Names, types, shapes, NaN and infinity (G001).
    pub schema: SchemaSettings,
    /// Values outside what a patient can have, and mixed-up units (G002).
    pub clinical_range: ClinicalRangeSettings,
    /// Inputs unlike the reference data (G003).
    pub out_of_distribution: OutOfDistributionSettings,
    /// Answers the model is not sure of (G004).
    pub uncertainty: UncertaintySettings,
    /// Many nearly equal queries: a search for an evasion (G005).
    pub query_similarity: QuerySimilaritySettings,
    /// A client that copies the model (G006).
    pub extraction: ExtractionSettings,
    /// Noise that the detector does not make (G007), on images.
    pub pixel_noise: PixelNoiseSettings,
}

impl GuardSettings {
    /// The guards by the name of their instance, with what they have in common.
    pub fn modes(&self) -> [(&'static str, Common); 7] {
        [
            ("schema", self.schema.common()),
            ("clinical-range", self.clinical_range.common()),
            ("out-of-distribution", self.out_of_distribution.common()),
            ("uncertainty", self.uncertainty.common()),
            ("query-similarity", self.query_similarity.common()),
            ("extraction", self.extraction.common()),
            ("pixel-noise", self.pixel_noise.common()),
        ]
    }
}

/// What every guard has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Common {
    /// Whether it runs.
    pub enabled: bool,
    /// What it may do.
    pub mode: GuardMode,
    /// What its doubt counts as.
    pub on_inconclusive: OnInconclusive,
    /// Time it may take on one exchange, in microseconds.
    pub budget_us: u64,
}

/// Declares the settings of a guard: the four common keys and its own, each with default and documentation.
macro_rules! guard_settings {
    ($(#[$doc:meta])* pub struct $name:ident { mode: $mode:ident, budget_us: $budget:literal }
     $($(#[$field_doc:meta])* $field:ident: $kind:ty = $default:expr;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub struct $name {
            /// Whether it runs at all.
            pub enabled: bool,
            /// `observe` writes down, `flag` changes the advice, `block` refuses.
            #[schemars(with = "crate::settings::ModeName")]
            pub mode: domain::GuardMode,
            /// What its doubt (out of time, nothing to compare with) counts as: `pass`, `flag` or `block`.
            #[schemars(with = "crate::settings::DoubtName")]
            pub on_inconclusive: domain::OnInconclusive,
            /// Time it may take on one exchange, in microseconds; beyond it, it is inconclusive.
            pub budget_us: u64,
            $($(#[$field_doc])* pub $field: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    enabled: true,
                    mode: domain::GuardMode::$mode,
                    on_inconclusive: domain::OnInconclusive::Flag,
                    budget_us: $budget,
                    $($field: $default,)*
                }
            }
        }

        impl $name {
            /// The keys that every guard has.
            pub const fn common(&self) -> crate::settings::Common {
                crate::settings::Common {
                    enabled: self.enabled,
                    mode: self.mode,
                    on_inconclusive: self.on_inconclusive,
                    budget_us: self.budget_us,
                }
            }
        }
    };
}
pub(crate) use guard_settings;

/// The words of `domain::GuardMode`, for the JSON Schema.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "stands for the domain's type in the generated schema only")]
pub(crate) enum ModeName {
    Observe,
    Flag,
    Block,
}

/// The words of `domain::OnInconclusive`, for the JSON Schema.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "stands for the domain's type in the generated schema only")]
pub(crate) enum DoubtName {
    Pass,
    Flag,
    Block,
}

/// A rate between 0.0001 and 0.5: a false-positive rate, or one minus a coverage. Below, no reference data of
/// ordinary size could set a threshold; above, the guard would speak more often than not.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(f64);

/// A setting that is out of its range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SettingError {
    /// Not a rate.
    #[error("`{0}` is not a rate: write a number from 0.0001 to 0.5")]
    Rate(f64),
    /// Not in the range of a count.
    #[error("`{found}` is out of range: write a whole number from {min} to {max}")]
    Count {
        /// What was written.
        found: u64,
        /// Lowest allowed.
        min: u32,
        /// Highest allowed.
        max: u32,
    },
}

impl Rate {
    /// Lowest rate.
    pub const MIN: f64 = 0.0001;
    /// Highest rate.
    pub const MAX: f64 = 0.5;

    /// A rate known when the program is built; clamped into the range.
    pub const fn new(value: f64) -> Self {
        Self(value.clamp(Self::MIN, Self::MAX))
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Rate {
    type Error = SettingError;

    fn try_from(value: f64) -> Result<Self, SettingError> {
        if (Self::MIN..=Self::MAX).contains(&value) {
            Ok(Self(value))
        } else {
            Err(SettingError::Rate(value))
        }
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "number", "minimum": Self::MIN, "maximum": Self::MAX })
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u32")]
pub struct Count<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Count<MIN, MAX> {
    /// A number known when the program is built; clamped into the range.
    pub const fn new(value: u32) -> Self {
        Self(if value < MIN {
            MIN
        } else if value > MAX {
            MAX
        } else {
            value
        })
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number as a size.
    pub const fn size(self) -> usize {
        self.0 as usize
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<u64> for Count<MIN, MAX> {
    type Error = SettingError;

    fn try_from(found: u64) -> Result<Self, SettingError> {
        let value = u32::try_from(found).ok().filter(|v| (MIN..=MAX).contains(v));
        value.map(Self).ok_or(SettingError::Count { found, min: MIN, max: MAX })
    }
}

impl<const MIN: u32, const MAX: u32> From<Count<MIN, MAX>> for u32 {
    fn from(count: Count<MIN, MAX>) -> Self {
        count.0
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Count<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Count{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_written_is_the_default_and_everything_round_trips() {
        let empty: GuardSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, GuardSettings::default());
        let text = serde_json::to_string(&empty).unwrap();
        assert_eq!(serde_json::from_str::<GuardSettings>(&text).unwrap(), empty);
        assert!(text.contains("\"clinical-range\""), "{text}");
    }

    #[test]
    fn unknown_keys_and_impossible_values_are_refused() {
        for bad in [
            r#"{"clinical_range": {}}"#,
            r#"{"schema": {"mod": "block"}}"#,
            r#"{"out-of-distribution": {"false-positive-rate": 0}}"#,
            r#"{"out-of-distribution": {"false-positive-rate": 0.6}}"#,
            r#"{"query-similarity": {"near-rows": 0}}"#,
        ] {
            assert!(serde_json::from_str::<GuardSettings>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_hold_at_their_ends() {
        type Small = Count<2, 5>;
        assert!(Small::try_from(2).is_ok() && Small::try_from(5).is_ok());
        assert!(Small::try_from(1).is_err() && Small::try_from(6).is_err());
        assert!(Rate::try_from(Rate::MIN).is_ok() && Rate::try_from(Rate::MAX).is_ok());
        assert!(Rate::try_from(f64::NAN).is_err());
        assert_eq!(Small::new(9).get(), 5);
    }

    #[test]
    fn the_json_schema_names_the_modes() {
        let schema = serde_json::to_string(&schemars::schema_for!(GuardSettings)).unwrap();
        assert!(schema.contains("\"observe\"") && schema.contains("out-of-distribution"), "{schema}");
    }
}
