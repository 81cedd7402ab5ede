//! G004: answers that the model itself cannot settle, by conformal prediction per class.

use domain::{InferenceReply, Location, Outcome, Severity, catalogue_entry};
use numeric::{Matrix, conformal_quantile};
use serde::{Deserialize, Serialize};

use crate::FitError;
use crate::reference::{CLASSES_MAX, OutputKind, Reference, class_scores};
use crate::rows::{Report, Watch};
use crate::settings::{Rate, guard_settings};

catalogue_entry! {
    /// The model's answer does not settle on one class at the coverage that was asked for.
    ///
    /// ## What it is
    /// Split conformal prediction, one threshold per class (Mondrian): for patients of each class, the set of classes
    /// that stay possible holds the right one in at least 1 - alpha of cases. When the set holds exactly one class the
    /// answer stands; when it holds several, or none, the guard hands over to the clinician.
    ///
    /// ## Why it matters in care
    /// A probability of 0.7 from a network is not a 70 % chance. Per class matters: with an overall guarantee, all errors
    /// may fall on the rare class, which in medicine is the sick one.
    ///
    /// ## Limits
    /// The guarantee holds for patients exchangeable with the calibration data and on average over them, not for each
    /// one; under a shift the achieved coverage falls, which the evaluation shows. It covers the class set, not the
    /// single answer. With fewer than 1/alpha - 1 calibration patients of a class, that class can never be excluded. An
    /// adversarial input that is confidently wrong passes.
    ///
    /// ## References
    /// Vovk, Gammerman and Shafer 2005, doi:10.1007/b106715; Vovk 2012, arXiv:1209.2673 (conditional validity);
    /// Angelopoulos and Bates 2021, arXiv:2107.07511.
    pub static ENTRY = {
        id: "G004", name: "uncertainty", kind: Guard, since: "0.1.0", maps: ["AML.T0015", "ML09:2023"],
    };
}

guard_settings! {
    /// Settings of G004.
    pub struct UncertaintySettings { mode: Flag, budget_us: 20_000 }

    /// One minus the coverage that is promised for each class. 0.1: at 0.05 the two-class models we measured hand over
    /// every third patient, which nobody would act on.
    alpha: Rate = Rate::new(0.1);

    /// Name of the output that holds the class scores; without it the first suitable one.
    output: Option<String> = None;

    /// Whether the output holds logits or probabilities.
    scores: OutputKind = OutputKind::Auto;
}

/// What the guard learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UncertaintyFit {
    /// Per class: the largest 1 - p that keeps it possible; above 1 when there were too few patients to exclude it.
    limits: Vec<f32>,
    /// Calibration patients per class.
    pub(crate) rows: Vec<usize>,
}

/// Limit of a class that can never be excluded.
const NEVER: f32 = 2.0;

/// Learns the limits, if labels and scores are there.
pub(crate) fn fit(
    settings: &UncertaintySettings,
    calibration: &Reference,
) -> Result<Option<UncertaintyFit>, FitError> {
    let (Some(labels), Some(scores)) = (&calibration.labels, &calibration.scores) else { return Ok(None) };
    if labels.len() != scores.rows {
        return Err(FitError::Mismatch { what: "labels and scores", left: labels.len(), right: scores.rows });
    }
    if scores.cols == 0 || scores.cols > CLASSES_MAX {
        return Err(FitError::Classes { classes: scores.cols, max: CLASSES_MAX });
    }
    let mut per_class: Vec<Vec<f64>> = vec![Vec::new(); scores.cols];
    for (label, row) in labels.iter().zip(scores.iter_rows()) {
        let class = *label as usize;
        let (Some(list), Some(p)) = (per_class.get_mut(class), row.get(class)) else {
            return Err(FitError::Label { label: *label, classes: scores.cols });
        };
        list.push(f64::from(1.0 - *p));
    }
    let alpha = settings.alpha.get();
    #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
    let limits = per_class
        .iter_mut()
        .map(|list| {
            list.sort_unstable_by(f64::total_cmp);
            conformal_quantile(list, alpha).map_or(NEVER, |q| q as f32)
        })
        .collect();
    Ok(Some(UncertaintyFit { limits, rows: per_class.iter().map(Vec::len).collect() }))
}

impl UncertaintyFit {
    /// The classes that stay possible.
    pub(crate) fn possible(&self, row: &[f32]) -> impl Iterator<Item = usize> {
        row.iter()
            .zip(&self.limits)
            .enumerate()
            .filter(|(_, (p, limit))| 1.0 - **p <= **limit)
            .map(|(k, _)| k)
    }

    pub(crate) fn classes(&self) -> usize {
        self.limits.len()
    }
}

/// The class scores of a reply as the settings say.
pub(crate) fn scores_of(settings: &UncertaintySettings, reply: &InferenceReply) -> Option<Matrix> {
    class_scores(reply.outputs.expose(), settings.output.as_deref(), settings.scores)
}

/// Checks a reply.
pub(crate) fn check(fit: Option<&UncertaintyFit>, scores: Option<&Matrix>, watch: &Watch<'_>) -> Outcome {
    const REMEDY: &str = "decide without the model, or ask for further findings";
    let Some(fit) = fit else {
        return Outcome::inconclusive(
            ENTRY.id,
            "no labelled reference data with scores was given at admission",
        );
    };
    let Some(scores) = scores.filter(|s| s.cols == fit.classes()) else {
        return Outcome::inconclusive(
            ENTRY.id,
            "the reply holds no class scores as the reference data has them",
        );
    };
    let mut report = Report::new(ENTRY.id);
    for (r, row) in scores.iter_rows().enumerate() {
        if watch.is_over(r) {
            report.out_of_time(r);
            break;
        }
        match fit.possible(row).count() {
            1 => {}
            0 => {
                let message = "no class fits: the scores are unlike those of any reference patient";
                report.find(Severity::Medium, Location::row(r, None), None, message, REMEDY);
            }
            n => {
                let message = format!("{n} classes stay possible: hand over to the clinician");
                report.find(Severity::Medium, Location::row(r, None), None, message, REMEDY);
            }
        }
    }
    report.finish()
}

#[cfg(test)]
#[path = "uncertainty_tests.rs"]
mod tests;
