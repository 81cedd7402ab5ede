//! The scorecard: what an exercise showed, as data. The same samples, suite, seed and program give the same bytes: there is no time in it, and the number
//! of threads changes nothing.

mod advice;
mod assemble;
mod changes;
mod compare;
mod conditions;
mod gateway;
mod service;
pub mod study;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::Layout;
use crate::evasion::{Access, GradientHealth};
use crate::norm::Norm;
use crate::suite::Suite;

pub use crate::measure::Share;
pub use assemble::{Assembly, assemble};
pub use changes::{ChangeCell, ChangeLevel, ChangeRow, ChangedPatient, ShownRows};
pub use compare::{Comparison, Point, compare};
pub use conditions::{ConditionMean, ConditionRow, Quality};
pub use gateway::{Clean, Gateway, Passage, Quartiles, Run, Seen, SeenOnce, Sighted, Single};
pub use service::{ServiceRow, Unsound};

/// Form of the JSON document; counts up when a field changes its meaning.
pub const FORM: &str = "asepsis-scorecard/1";

/// What an exercise showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scorecard {
    /// Form of this document: `asepsis-scorecard/1`.
    pub form: String,
    /// Version of the program.
    pub tool: String,
    /// What was attacked.
    pub subject: Subject,
    /// The suite as it was run, overrides included.
    pub suite: Suite,
    /// Digest of the suite's content.
    pub suite_digest: String,
    /// False when it was ended early or something failed; what is here was finished.
    pub complete: bool,
    /// Accuracy without an attack.
    pub clean: Breakdown,
    /// Ranking and calibration without an attack, where scores are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// One row per step and budget.
    pub rows: Vec<Row>,
    /// The worst over all steps, per norm and budget.
    pub worst: Vec<Worst>,
    /// Accuracy against budget, per step.
    pub curves: Vec<Curve>,
    /// One row per condition and strength.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ConditionRow>,
    /// Each condition over its strengths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub condition_means: Vec<ConditionMean>,
    /// One row per search for the least plausible change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeRow>,
    /// One entry per sample.
    pub samples: Vec<Sample>,
    /// Steps that do not apply to this target, and why.
    pub skipped: Vec<Note>,
    /// What failed; the figures leave it out.
    pub faults: Vec<Note>,
    /// Signs that figures look better than the model is.
    pub warnings: Vec<Note>,
    /// What to do.
    pub advice: Vec<Note>,
    /// What poisoning, theft and privacy studies showed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub studies: Vec<study::StudyResult>,
    /// Samples shown with what was changed, least change first. Holds patients' values; empty when left out.
    pub exhibits: Vec<Exhibit>,
    /// What the guards saw, where the exercise went through a gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
}

/// What was attacked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Subject {
    /// The system, where it is one of the hospital's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// File name or address of the model.
    pub model: String,
    /// Digest of the model, or of the address of a remote one.
    pub model_digest: String,
    /// File name of the data.
    pub data: String,
    /// Digest of the data.
    pub data_digest: String,
    /// Which rows: split and number.
    pub rows: String,
    /// What was shown of the model.
    pub access: Access,
    /// `image` or `table`.
    pub kind: String,
    /// Shape of a row: features, or channels, height and width.
    pub shape: Vec<usize>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Column by which subgroups are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// A share over all samples, per class and per subgroup.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Breakdown {
    /// All samples.
    pub all: Share,
    /// Per class, in the order of the classes.
    pub classes: Vec<Share>,
    /// Per subgroup, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Share>,
}

/// One step at one budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Row {
    /// Which step of the suite, counted from 0.
    pub step: usize,
    /// How the suite calls it.
    pub label: String,
    /// Id of the attack.
    pub attack: String,
    /// What it needs to be shown.
    pub needs: Access,
    /// Norm of the budget.
    pub norm: Norm,
    /// Budget in the unit box.
    pub epsilon: f64,
    /// Samples that are still right under attack, of all samples that were tried (wrong from the start counts as wrong).
    pub robust: Breakdown,
    /// Of the samples that were right: those that fell.
    pub fell: Share,
    /// Median distance of those that fell, in the norm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_median: Option<f64>,
    /// Rows asked at this budget, all samples together.
    pub queries: u64,
    /// Rows asked for one sample: the median of those that were attacked.
    pub queries_median: u64,
    /// Samples for which the model did not answer the same twice.
    pub unstable: usize,
    /// One character per sample: `1` right under attack, `0` fell, `x` wrong from the start, `-` not tried.
    pub flags: String,
}

/// The worst over all steps: a sample falls when any of them fells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Worst {
    /// Norm of the budget.
    pub norm: Norm,
    /// Budget in the unit box.
    pub epsilon: f64,
    /// Samples that stood all steps.
    pub robust: Breakdown,
    /// As in [`Row::flags`].
    pub flags: String,
}

/// Accuracy against budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Curve {
    /// How the suite calls the step.
    pub label: String,
    /// Norm of the budgets.
    pub norm: Norm,
    /// Budget and accuracy, from 0 upwards.
    pub points: Vec<(f64, Share)>,
}

/// One sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sample {
    /// Its row in the data, counted from 0 within the rows used.
    pub row: usize,
    /// True class.
    pub label: usize,
    /// Class seen without an attack; none when there was no answer.
    pub seen: Option<usize>,
    /// Its subgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The least change that flipped it, per norm.
    pub least: Vec<Least>,
}

/// The least change that flipped a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Least {
    /// How the change is measured.
    pub norm: Norm,
    /// Its size, in the unit box.
    pub distance: f64,
    /// The step that found it.
    pub label: String,
}

/// Something said about the exercise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Note {
    /// About what: a step, a class, the model.
    pub about: String,
    /// What.
    pub text: String,
}

/// A sample shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exhibit {
    /// Which sample, counted from 0 in `samples`.
    pub sample: usize,
    /// The step that found the change.
    pub label: String,
    /// Norm of the change.
    pub norm: Norm,
    /// Size of the change, in the unit box.
    pub distance: f64,
    /// Class seen after the change; none when the model was not asked again.
    pub seen: Option<usize>,
    /// What is shown.
    pub view: View,
}

/// What is shown of a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum View {
    /// An image before and after: eight-bit values, channels first, two hexadecimal digits each.
    Image {
        /// Before.
        before: String,
        /// After.
        after: String,
    },
    /// The patient's row in clinical units.
    Table {
        /// The cells, in order of the columns.
        cells: Vec<Cell>,
    },
}

/// One cell of a patient's row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cell {
    /// Name of the feature.
    pub name: String,
    /// Unit; `1` for none.
    pub unit: String,
    /// Value before.
    pub before: f64,
    /// Value after.
    pub after: f64,
}

impl Scorecard {
    /// Sum of gradients' health over pieces is kept per step in [`Assembly`]; this is the JSON Schema of the document.
    pub fn json_schema() -> String {
        let schema = schemars::schema_for!(Self);
        let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        text.push('\n');
        text
    }

    /// True when the share that must stand the smallest budgets does. True for a suite that asks for nothing.
    pub fn keeps(&self) -> bool {
        self.suite.keeps_min.is_none_or(|min| self.kept().is_none_or(|kept| kept >= min))
    }

    /// Share of the right answers that stands the smallest budget, the lowest over the norms; none when nothing was attacked.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn kept(&self) -> Option<f64> {
        let mut least: Option<f64> = None;
        let mut norms: Vec<Norm> = self.worst.iter().map(|w| w.norm).collect();
        norms.dedup();
        for norm in norms {
            let of_norm = self.worst.iter().filter(|w| w.norm == norm);
            let Some(smallest) = of_norm.min_by(|a, b| a.epsilon.total_cmp(&b.epsilon)) else { continue };
            let stands = smallest.flags.bytes().filter(|f| *f == b'1').count();
            let right = stands + smallest.flags.bytes().filter(|f| *f == b'0').count();
            if right > 0 {
                let kept = stands as f64 / right as f64;
                least = Some(least.map_or(kept, |l: f64| l.min(kept)));
            }
        }
        least
    }

    /// Whether any answer was flipped, by an attack, a condition, or a plausible change, or any study's attack worked.
    pub fn found(&self) -> bool {
        self.rows.iter().any(|row| row.fell.hits > 0)
            || self.conditions.iter().any(|row| row.lost > 0)
            || self.changes.iter().any(|row| row.flipped.hits > 0)
            || self.studies.iter().any(|study| study.shown.found())
    }
}

/// Health of the gradients of one step.
pub type Health = (String, GradientHealth);

/// Kind and shape of rows, as a scorecard names them.
pub fn shape_of(layout: Layout) -> (&'static str, Vec<usize>) {
    match layout {
        Layout::Table { features } => ("table", vec![features]),
        Layout::Image { channels, height, width } => ("image", vec![channels, height, width]),
    }
}

/// Whether a step is for rows of this kind; a suite may hold steps for images beside steps for tables.
fn meant(subject: crate::suite::Subject, kind: &str) -> bool {
    match subject {
        crate::suite::Subject::All => true,
        crate::suite::Subject::Image => kind == "image",
        crate::suite::Subject::Table => kind == "table",
    }
}

/// A budget as people write it: grey levels for images in the largest-change norm.
pub fn budget_text(kind: &str, norm: Norm, epsilon: f64) -> String {
    let levels = epsilon * 255.0;
    match norm {
        Norm::Linf if kind == "image" && (levels - levels.round()).abs() < 1e-6 => format!("{levels:.0}/255"),
        Norm::Linf if kind == "table" => format!("{}% of range", trim(100.0 * epsilon)),
        Norm::L0 => format!("{epsilon:.0} values"),
        _ => trim(epsilon),
    }
}

/// A cost as people write it: in measurement errors.
pub fn errors_text(cost: f64) -> String {
    format!(
        "{} measurement error{}",
        trim((cost * 100.0).round() / 100.0),
        if cost == 1.0 { "" } else { "s" }
    )
}

/// A number with at most four digits after the point and no zeros at the end.
pub fn trim(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/scorecard.schema.json");
        let schema = Scorecard::json_schema();
        if std::env::var_os("ASEPSIS_BLESS").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        // The order of keys follows the features of serde_json that other crates of a build ask for: compared as values.
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert!(
            std::fs::read_to_string(path).is_ok_and(|text| parsed(&text) == parsed(&schema)),
            "docs/reference/scorecard.schema.json is stale: run this test with ASEPSIS_BLESS=1"
        );
    }

    #[test]
    fn budgets_are_written_as_people_write_them() {
        assert_eq!(budget_text("image", Norm::Linf, 8.0 / 255.0), "8/255");
        assert_eq!(budget_text("table", Norm::Linf, 0.05), "5% of range");
        assert_eq!(budget_text("image", Norm::L2, 0.5), "0.5");
        assert_eq!(budget_text("table", Norm::L0, 3.0), "3 values");
    }

    #[test]
    fn nothing_of_nothing_is_no_certainty() {
        assert_eq!(Share::new(0, 0), Share { hits: 0, of: 0, share: 0.0, low: 0.0, high: 1.0 });
    }
}
