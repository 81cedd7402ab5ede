//! G003: inputs, and the activations they cause, that are unlike the reference data.

use domain::{InputSchema, Location, Outcome, Severity, catalogue_entry};
use numeric::{Matrix, conformal_quantile, quantile};
use serde::{Deserialize, Serialize};

use crate::FitError;
use crate::reference::Reference;
use crate::rows::{Report, Watch};
use crate::settings::{Rate, guard_settings};

mod image;
mod points;

pub(crate) use points::{Points, ROWS_MIN, some_rows};

catalogue_entry! {
    /// The patient, the image or what the model makes of it is unlike the data the model was made for.
    ///
    /// ## What it is
    /// Two instances. `out-of-distribution` scores the input before the model is asked. A table's row gets the larger of
    /// two distances in robustly scaled space: to the centre, by a covariance that outliers in the reference data cannot
    /// bend, and to its nearest reference patients. An image gets the distance of five measures: how much of it the
    /// principal components of the reference images cannot explain, how far out it lies along them, its fine detail,
    /// brightness and contrast. `out-of-distribution-features` scores in the same way the activations that feed the model's
    /// last layer, where the model runs in process. The threshold is a split-conformal quantile on data that took no part
    /// in fitting, so that on patients like the reference data the stated false-positive rate holds in finite
    /// samples.
    ///
    /// ## Why it matters in care
    /// A model trained on adults answers for a child, one trained on chest X-rays answers for a breast ultrasound, and
    /// its probabilities do not show it. Most harm from clinical AI in deployment starts with a population it never saw.
    ///
    /// ## Limits
    /// The rate is a promise for patients exchangeable with the reference data; another scanner or another ward raises
    /// it, which is a finding in itself. Small adversarial perturbations stay inside the reference cloud and are not seen
    /// here. With few calibration rows the rate cannot be small: n rows allow 1/(n+1) at best, and the rate that
    /// holds is shown beside the one asked for. Rare but real patients are over-represented among the flagged.
    ///
    /// ## References
    /// Rousseeuw and Van Driessen 1999, doi:10.1080/00401706.1999.10485670; Hubert et al. 2012,
    /// doi:10.1080/10618600.2012.672100; Lee et al. 2018, arXiv:1807.03888 (activations); Sun et al. 2022,
    /// arXiv:2204.06507 (nearest neighbours); Vovk et al. 2005, doi:10.1007/b106715.
    pub static ENTRY = {
        id: "G003", name: "out-of-distribution", kind: Guard, since: "0.1.0",
        maps: ["AML.T0043", "AML.T0015", "ML01:2023", "NISTAML.022"],
    };
}

/// Name of the instance that looks at activations.
pub(crate) const FEATURES: &str = "out-of-distribution-features";

guard_settings! {
    /// Settings of G003.
    pub struct OutOfDistributionSettings { mode: Flag, budget_us: 50_000 }

    /// Share of ordinary patients that each instance may flag. One in a hundred: a warning that comes more often is
    /// soon ignored, and a hundred calibration rows, which small hospitals have, suffice for it.
    false_positive_rate: Rate = Rate::new(0.01);
}

/// A score above this multiple of the threshold's distance from the middle is far out, not only unusual.
const FAR: f32 = 2.0;

/// Share of calibration rows beyond the edge that G006 counts as off the reference data.
pub(crate) const EDGE_RATE: f64 = 0.05;

/// Where scores stop being ordinary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Threshold {
    /// Above it a row is flagged.
    pub(crate) value: f32,
    /// Above it a row is far out.
    far: f32,
    /// The 95 % quantile.
    pub(crate) edge: f32,
    /// False-positive rate that holds for exchangeable data.
    pub(crate) stated: f64,
    /// Rows it was set on.
    pub(crate) calibration_rows: usize,
}

impl Threshold {
    /// Above everything, until it is set.
    pub(crate) const fn never() -> Self {
        Self { value: f32::MAX, far: f32::MAX, edge: f32::MAX, stated: 0.0, calibration_rows: 0 }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "counts and scores are small"
    )]
    pub(crate) fn set(mut scores: Vec<f64>, rate: Rate) -> Result<Self, FitError> {
        scores.sort_unstable_by(f64::total_cmp);
        let (Some(top), n) = (scores.last().copied(), scores.len()) else {
            return Err(FitError::TooFewRows { what: "calibration", rows: 0, needed: 1 });
        };
        let (value, stated) = match conformal_quantile(&scores, rate.get()) {
            Some(q) => (q, rate.get()),
            None => (top, 1.0 / (n as f64 + 1.0)),
        };
        let middle = quantile(&scores, 0.5);
        Ok(Self {
            value: value as f32,
            far: (middle + (value - middle) * f64::from(FAR)) as f32,
            edge: quantile(&scores, 1.0 - EDGE_RATE) as f32,
            stated,
            calibration_rows: n,
        })
    }
}

/// How inputs are scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Scorer {
    Table(Points),
    Image(image::ImageScorer),
}

/// What the guard learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OodFit {
    scorer: Scorer,
    pub(crate) threshold: Threshold,
    features: Option<(Points, Threshold)>,
}

/// Reference rows that nearest neighbours are looked for among: 1,024 × 30 features take about 5 µs.
const ANCHORS_MAX: usize = 1_024;

/// The same for activations, which are wider.
const FEATURE_ANCHORS_MAX: usize = 512;

/// Learns scorers on `fit` and sets thresholds on `calibration`.
pub(crate) fn fit(
    settings: &OutOfDistributionSettings,
    schema: &InputSchema,
    fit: &Reference,
    calibration: &Reference,
    seed: u64,
) -> Result<OodFit, FitError> {
    let rate = settings.false_positive_rate;
    let (scorer, threshold) = match schema {
        InputSchema::Table { .. } => {
            let mut points = Points::fit(&fit.inputs, ANCHORS_MAX, seed)?;
            let scores = points.calibrate(&calibration.inputs);
            (Scorer::Table(points), Threshold::set(scores, rate)?)
        }
        InputSchema::Image { .. } => {
            let (image, scores) = image::ImageScorer::fit(schema, &fit.inputs, &calibration.inputs, seed)?;
            (Scorer::Image(image), Threshold::set(scores, rate)?)
        }
    };
    let features = match (&fit.features, &calibration.features) {
        (Some(known), Some(held_out)) => {
            let mut points = Points::fit(known, FEATURE_ANCHORS_MAX, seed)?;
            let scores = points.calibrate(held_out);
            Some((points, Threshold::set(scores, rate)?))
        }
        _ => None,
    };
    Ok(OodFit { scorer, threshold, features })
}

impl OodFit {
    pub(crate) fn fits(&self, schema: &InputSchema) -> bool {
        let inputs = match (&self.scorer, schema) {
            (Scorer::Table(points), InputSchema::Table { .. }) => points.is_consistent(schema.width()),
            (Scorer::Image(image), InputSchema::Image { .. }) => image.is_consistent(),
            _ => false,
        };
        inputs && self.features.as_ref().is_none_or(|(points, _)| points.is_consistent(points.width()))
    }

    /// True when activations can be scored.
    pub(crate) const fn has_features(&self) -> bool {
        self.features.is_some()
    }

    /// The rate that holds for activations.
    pub(crate) fn features_stated(&self) -> Option<f64> {
        self.features.as_ref().map(|(_, t)| t.stated)
    }

    /// Score of one input row; large is strange, NaN when the row cannot be scored.
    pub(crate) fn score(&self, schema: &InputSchema, row: &[f32], work: &mut Work) -> f32 {
        match &self.scorer {
            Scorer::Table(points) => points.score(row, work),
            Scorer::Image(image) => image.score(schema, row, work),
        }
    }
}

/// Scratch space, so that a row costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Work {
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
}

const REMEDY: &str =
    "check the patient and the source of the data; rely on the model only if it is meant for this patient";

fn judge(report: &mut Report, threshold: &Threshold, score: f32, row: usize, what: &str) {
    if score.is_nan() {
        report.doubt(format!("row {row} could not be scored"));
    } else if score > threshold.far {
        let message = format!("{what} is far outside the reference data");
        report.find(Severity::High, Location::row(row, None), Some("AML.T0043"), message, REMEDY);
    } else if score > threshold.value {
        let message = format!("{what} is unlike the reference data");
        report.find(Severity::Medium, Location::row(row, None), None, message, REMEDY);
    }
}

/// Checks the inputs. Scores go to `scores` for the guards that come after.
pub(crate) fn check(
    schema: &InputSchema,
    fit: &OodFit,
    rows: &Matrix,
    scores: &mut Vec<f32>,
    watch: &Watch<'_>,
) -> Outcome {
    let mut report = Report::new(ENTRY.id);
    let mut work = Work::default();
    let what =
        if matches!(schema, InputSchema::Image { .. }) { "the image" } else { "the combination of values" };
    for (r, row) in rows.iter_rows().enumerate() {
        if watch.is_over(r) {
            report.out_of_time(r);
            break;
        }
        let score = fit.score(schema, row, &mut work);
        judge(&mut report, &fit.threshold, score, r, what);
        scores.push(score);
    }
    report.finish()
}

/// Checks the activations of a reply.
pub(crate) fn check_features(fit: &OodFit, features: Option<&Vec<Vec<f32>>>, watch: &Watch<'_>) -> Outcome {
    let Some((points, threshold)) = &fit.features else {
        return Outcome::inconclusive(ENTRY.id, "no reference activations were given at admission");
    };
    let Some(features) = features else {
        return Outcome::inconclusive(ENTRY.id, "the reply carries no activations");
    };
    let mut report = Report::new(ENTRY.id);
    let mut work = Work::default();
    for (r, row) in features.iter().enumerate() {
        if watch.is_over(r) {
            report.out_of_time(r);
            break;
        }
        judge(&mut report, threshold, points.score(row, &mut work), r, "what the model makes of the input");
    }
    report.finish()
}

#[cfg(test)]
#[path = "out_of_distribution_tests.rs"]
mod tests;
