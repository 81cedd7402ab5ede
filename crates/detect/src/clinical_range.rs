//! G002: values that no patient has, and values that look like another unit.

use domain::{Feature, InputSchema, Location, Outcome, Severity, catalogue_entry};
use numeric::{Matrix, quantile};
use serde::{Deserialize, Serialize};

use crate::pixels;
use crate::rows::{Report, Watch};
use crate::settings::{Count, guard_settings};

catalogue_entry! {
    /// A value is outside what a patient can have, or looks as if it came in another unit.
    ///
    /// ## What it is
    /// Two instances. `clinical-range` compares every value with the declared lowest and highest, and when the value
    /// would be ordinary after conversion from a unit it is often mixed up with, says which. `unit-mix-up` looks at
    /// values **inside** the range that are far out in the reference data but ordinary after conversion, after a
    /// shifted decimal point, or after two neighbouring columns are swapped. For images: pixels outside the range, an
    /// image in 0 to 255 where 0 to 1 is declared, a constant image, and one that looks inverted.
    ///
    /// ## Why it matters in care
    /// Cholesterol of 5.2 is normal in mmol/L and impossible in mg/dL; a model takes both without a word and gives the
    /// low risk of a number it has never seen. Mix-ups of units are among the commonest errors when systems
    /// are connected, and an image in MONOCHROME1 is its own negative.
    ///
    /// ## Limits
    /// Units whose ordinary ranges overlap (weight in kg and in lb for a heavy adult) cannot be told apart from one
    /// value; the declared range has to be written by somebody who knows the quantity. A patient who is really that
    /// far out is reported too, with the same words "looks like". Features with few distinct values are left out of the
    /// mix-up check. A column swap is only seen when both columns become implausible.
    ///
    /// ## References
    /// CWE-20 Improper Input Validation; CWE-1284 Improper Validation of Specified Quantity in Input; UCUM; DICOM PS3.3
    /// C.7.6.3.1.2 Photometric Interpretation.
    pub static ENTRY = {
        id: "G002", name: "clinical-range", kind: Guard, since: "0.1.0",
        maps: ["CWE-20", "CWE-1284", "AML.T0043", "ML01:2023"],
    };
}

/// Name of the instance for values inside the range.
pub(crate) const MIX_UP: &str = "unit-mix-up";

guard_settings! {
    /// Settings of G002. `mode` is that of `clinical-range` and blocks by default: the value is impossible.
    pub struct ClinicalRangeSettings { mode: Block, budget_us: 20_000 }

    /// What `unit-mix-up` may do. Flags by default: the value is possible, only unlikely.
    #[schemars(with = "crate::settings::ModeName")]
    mix_up_mode: domain::GuardMode = domain::GuardMode::Flag;

    /// How far out a value must be under the declared unit before a mix-up is considered, in robust standard
    /// deviations of the reference data. 4 leaves about 1 value in 16,000 of a normal feature; skewed ones are
    /// measured on each side apart.
    far: Count<3, 20> = Count::new(4);
}

/// What the guard knows of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Typical {
    /// True when all reference values are above 0: then the logarithm is looked at, in which a wrong unit is a shift.
    logarithmic: bool,
    /// Median of the reference data (of its logarithms).
    centre: f32,
    /// Half the distance from the median down to the 2.28 % quantile: one deviation on the low side.
    below: f32,
    /// The same upwards.
    above: f32,
    /// Largest distance that was seen in the reference data, in those deviations.
    seen: f32,
    /// False for a feature with too few distinct values to say what is typical.
    graded: bool,
}

/// What the guard learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RangeFit {
    /// One per feature; empty for images.
    typical: Vec<Typical>,
    /// The mean image of the reference data on a small grid; empty for tables.
    mean_image: Vec<f32>,
    /// Lowest correlation with the mean image of a reference image, so that an inverted one stands out.
    correlation_min: f32,
}

/// Distinct values that a feature needs before its spread says something.
const DISTINCT_MIN: usize = 8;

/// A value counts as ordinary under an alternative within this many deviations.
const ORDINARY: f32 = 2.0;

/// Learns what is typical.
pub(crate) fn fit(schema: &InputSchema, inputs: &Matrix) -> RangeFit {
    match schema {
        InputSchema::Table { features, .. } => RangeFit {
            typical: (0..features.len()).map(|j| typical(inputs.column(j))).collect(),
            mean_image: Vec::new(),
            correlation_min: -1.0,
        },
        InputSchema::Image { .. } => {
            let (mean_image, correlation_min) = pixels::mean_image(schema, inputs);
            RangeFit { typical: Vec::new(), mean_image, correlation_min }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
fn typical(mut values: Vec<f64>) -> Typical {
    let logarithmic = values.iter().all(|v| *v > 0.0);
    if logarithmic {
        values.iter_mut().for_each(|v| *v = v.ln());
    }
    values.sort_unstable_by(f64::total_cmp);
    let centre = quantile(&values, 0.5);
    let below = (centre - quantile(&values, 0.0228)) / 2.0;
    let above = (quantile(&values, 0.9772) - centre) / 2.0;
    let ends = values.first().copied().zip(values.last().copied());
    values.dedup();
    let graded = values.len() >= DISTINCT_MIN && below > 0.0 && above > 0.0;
    let mut found = Typical {
        logarithmic,
        centre: centre as f32,
        below: below as f32,
        above: above as f32,
        seen: 0.0,
        graded,
    };
    if let (true, Some((low, high))) = (graded, ends) {
        found.seen = found.deviation(low as f32).max(found.deviation(high as f32));
    }
    found
}

impl Typical {
    /// Distance of a value from the median in deviations of that side.
    fn distance(&self, value: f32) -> f32 {
        match (self.logarithmic, value > 0.0) {
            (false, _) => self.deviation(value),
            (true, true) => self.deviation(value.ln()),
            (true, false) => f32::INFINITY,
        }
    }

    fn deviation(&self, value: f32) -> f32 {
        let off = value - self.centre;
        if off < 0.0 { -off / self.below } else { off / self.above }
    }
}

impl RangeFit {
    pub(crate) fn fits(&self, schema: &InputSchema) -> bool {
        match schema {
            InputSchema::Table { features, .. } => self.typical.len() == features.len(),
            InputSchema::Image { .. } => self.typical.is_empty(),
        }
    }
}

/// Rounds off what single precision adds to a bound.
#[expect(clippy::cast_possible_truncation, reason = "models take single precision")]
fn outside(feature: &Feature, value: f32) -> bool {
    value < feature.min as f32 || value > feature.max as f32
}

/// The value in the declared unit, had it been written in the alternative one.
#[expect(clippy::cast_possible_truncation, reason = "models take single precision")]
fn converted(value: f32, alternative: &domain::UnitAlternative) -> f32 {
    (f64::from(value) * alternative.factor + alternative.offset) as f32
}

/// The alternative unit under which the value would be ordinary: the most ordinary one.
fn likely_unit<'a>(feature: &'a Feature, typical: &Typical, value: f32) -> Option<&'a str> {
    let distance =
        |v: f32| if typical.graded && !outside(feature, v) { typical.distance(v) } else { f32::INFINITY };
    feature
        .alternatives
        .iter()
        .map(|a| (distance(converted(value, a)), a.unit.as_str()))
        .filter(|(d, _)| *d <= ORDINARY)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, unit)| unit)
}

/// `clinical-range`: impossible values.
pub(crate) fn check_range(schema: &InputSchema, fit: &RangeFit, rows: &Matrix, watch: &Watch<'_>) -> Outcome {
    let mut report = Report::new(ENTRY.id);
    for (r, row) in rows.iter_rows().enumerate() {
        if watch.is_over(r) {
            report.out_of_time(r);
            break;
        }
        match schema {
            InputSchema::Image { .. } => pixels::check_range(&mut report, schema, row, r),
            InputSchema::Table { features, .. } => {
                for ((feature, typical), &value) in features.iter().zip(&fit.typical).zip(row) {
                    if value.is_finite() && outside(feature, value) {
                        report_impossible(&mut report, feature, typical, value, r);
                    }
                }
            }
        }
    }
    report.finish()
}

fn report_impossible(report: &mut Report, feature: &Feature, typical: &Typical, value: f32, row: usize) {
    let message = match likely_unit(feature, typical, value) {
        Some(unit) => format!("`{}` looks like {unit}, not {}", feature.name, feature.unit),
        None => format!(
            "`{}` is outside {} to {} {}, which no patient has",
            feature.name, feature.min, feature.max, feature.unit
        ),
    };
    let place = Location::row(row, Some(&feature.name));
    report.find(Severity::High, place, None, message, "check the value and its unit at the source");
}

/// `unit-mix-up`: possible values that would be more ordinary in another unit.
pub(crate) fn check_mix_up(
    schema: &InputSchema,
    fit: &RangeFit,
    far: Count<3, 20>,
    rows: &Matrix,
    watch: &Watch<'_>,
) -> Outcome {
    let mut report = Report::new(ENTRY.id);
    #[expect(clippy::cast_precision_loss, reason = "at most 20")]
    let far = far.get() as f32;
    for (r, row) in rows.iter_rows().enumerate() {
        if watch.is_over(r) {
            report.out_of_time(r);
            break;
        }
        match schema {
            InputSchema::Image { .. } => {
                pixels::check_inverted(&mut report, schema, &fit.mean_image, fit.correlation_min, row, r);
            }
            InputSchema::Table { features, .. } => {
                mix_ups_of_row(&mut report, features, &fit.typical, far, row, r)
            }
        }
    }
    report.finish()
}

fn mix_ups_of_row(
    report: &mut Report,
    features: &[Feature],
    typical: &[Typical],
    far: f32,
    row: &[f32],
    r: usize,
) {
    const REMEDY: &str = "check the value and its unit at the source";
    let is_far = |j: usize| {
        let t = &typical[j];
        t.graded
            && row[j].is_finite()
            && !outside(&features[j], row[j])
            && t.distance(row[j]) > far.max(t.seen)
    };
    for j in 0..features.len().min(row.len()).min(typical.len()) {
        if !is_far(j) {
            continue;
        }
        let (feature, value) = (&features[j], row[j]);
        let place = Location::row(r, Some(&feature.name));
        if let Some(unit) = likely_unit(feature, &typical[j], value) {
            let message = format!("`{}` looks like {unit}, not {}", feature.name, feature.unit);
            report.find(Severity::Medium, place, None, message, REMEDY);
        } else if j + 1 < features.len() && is_far(j + 1) && swapped_is_ordinary(features, typical, row, j) {
            let message = format!("`{}` and `{}` look swapped", feature.name, features[j + 1].name);
            report.find(
                Severity::Medium,
                place,
                None,
                message,
                "check the order of the columns at the source",
            );
        } else if let Some(factor) = [0.1, 10.0, 0.01, 100.0, 0.001, 1000.0]
            .into_iter()
            .find(|f| typical[j].distance(value * f) <= 1.0 && !outside(feature, value * f))
        {
            let message = format!("`{}` looks {} times too {}", feature.name, times(factor), side(factor));
            report.find(Severity::Medium, place, None, message, "check the decimal point at the source");
        }
    }
}

fn swapped_is_ordinary(features: &[Feature], typical: &[Typical], row: &[f32], j: usize) -> bool {
    let fits = |k: usize, v: f32| !outside(&features[k], v) && typical[k].distance(v) <= ORDINARY;
    fits(j, row[j + 1]) && fits(j + 1, row[j])
}

fn times(factor: f32) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "10, 100 or 1000")]
    let whole = factor.max(factor.recip()).round() as u32;
    whole
}

const fn side(factor: f32) -> &'static str {
    if factor < 1.0 { "large" } else { "small" }
}

#[cfg(test)]
#[path = "clinical_range_tests.rs"]
mod tests;
