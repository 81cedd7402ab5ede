//! What studies showed: poisoning by dose, theft by queries, privacy by false alarms. All numbers are settled, so that a scorecard that was written and read is
//! the same.

mod compare;

use serde::{Deserialize, Serialize};

use super::{Note, Scorecard, Share};
use crate::poison::{Criterion, DosePoint, DoseResponse};
use crate::privacy::{AttributeInference, Membership};
use crate::suite::settled;
use crate::suite::study::Member;
use crate::theft::{Answers, Extraction};

pub use compare::{StudyPoint, compare};

/// Most points of a curve of membership that are kept.
const CURVE_MAX: usize = 64;

/// What one study showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StudyResult {
    /// Which study of the suite, counted from 0.
    pub study: usize,
    /// How the suite calls it.
    pub label: String,
    /// Id of the attack.
    pub attack: String,
    /// False when it was ended early; what is here was measured.
    pub complete: bool,
    /// How its models were trained.
    pub recipe: String,
    /// Training rows used.
    pub train_rows: usize,
    /// Held-out rows used.
    pub test_rows: usize,
    /// Figures.
    pub shown: Shown,
    /// What to know when reading them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Figures of a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// By dose.
    Poisoning(Poisoned),
    /// By queries.
    Theft(Stolen),
    /// By false alarms.
    Membership(Members),
    /// By column.
    Attribute(Guessed),
}

/// What growing shares of poisoned rows do to models trained on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Poisoned {
    /// When it counts as having worked.
    pub works_when: Criterion,
    /// By number of poisoned rows, from none upwards.
    pub points: Vec<Dose>,
    /// The smallest dose that worked; none when none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smallest: Option<SmallestDose>,
    /// Models trained.
    pub trainings: u64,
}

/// One dose: the mean over the seeds. Intervals are those of one model on the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Dose {
    /// Share of the training rows that was asked for.
    pub fraction: f64,
    /// Rows poisoned.
    pub rows: u64,
    /// Clean held-out rows called right.
    pub accuracy: Share,
    /// Area under the curve on clean held-out rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// Rows that the attacker wants to control and does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Share>,
    /// The same rows put to the model trained without poison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Share>,
    /// Whether it worked.
    pub works: bool,
    /// Success of each seed, or accuracy where harm is all that is wanted.
    pub by_seed: Vec<f64>,
}

/// The smallest dose that worked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SmallestDose {
    /// Share of the training rows.
    pub fraction: f64,
    /// Rows.
    pub rows: u64,
    /// The largest smaller dose that did not work, in rows; 0 when none was tried.
    pub fails_at: u64,
}

/// How many answers a copy costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Stolen {
    /// What the thief learned from an answer.
    pub answers: Answers,
    /// The model itself on the held-out rows.
    pub model: Share,
    /// Held-out rows that the model did not answer.
    pub unanswered: u64,
    /// By number of queries, upwards.
    pub points: Vec<Copied>,
    /// Fewest queries of these at which the copy agreed on nine of ten rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faithful_at: Option<u64>,
}

/// One copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Copied {
    /// Rows asked.
    pub queries: u64,
    /// Of these, answered.
    pub answered: u64,
    /// Held-out rows that the copy calls what the model calls them.
    pub agreement: Share,
    /// Held-out rows that the copy calls right.
    pub accuracy: Share,
}

/// How well members of the training data are told from others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Members {
    /// Whose members.
    pub of: Member,
    /// Rows that were in the training data.
    pub members: u64,
    /// Rows that were not.
    pub others: u64,
    /// Shadow models trained.
    pub shadows: u64,
    /// Area under the curve; 0.5 is guessing.
    pub auc: Area,
    /// Mean of members and others told right at the best threshold.
    pub balanced_accuracy: f64,
    /// Members found at few false alarms.
    pub at: Vec<Found>,
    /// Share of false alarms and of members found, for a drawing on logarithmic scales.
    pub curve: Vec<(f64, f64)>,
    /// How well the rows are told apart without the model, by a regression on rows and classes; above guessing, the figures above are not membership alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_model: Option<Area>,
}

/// An area under a curve with its 95% interval (DeLong).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Area {
    /// The area.
    pub area: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Area {
    /// Settled.
    pub fn new(area: f64, low: f64, high: f64) -> Self {
        Self { area: settled(area), low: settled(low), high: settled(high) }
    }
}

/// Members found at a rate of false alarms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Found {
    /// Highest share of others that may be taken for members.
    pub rate: f64,
    /// Others that were.
    pub false_alarms: u64,
    /// Members found.
    pub found: Share,
    /// False when there are fewer than `1 / rate` others, so that not one false alarm was allowed and an attacker may find more.
    pub enough: bool,
}

/// How well missing features are guessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Guessed {
    /// What of an answer was seen.
    pub answers: Answers,
    /// Column by column.
    pub columns: Vec<GuessedColumn>,
}

/// How well one missing feature is guessed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GuessedColumn {
    /// Its name.
    pub column: String,
    /// Values, or quarters of values, told apart.
    pub values: u64,
    /// Always guessing the commonest value.
    pub commonest: Share,
    /// Guessing from the other columns alone.
    pub others: Share,
    /// With the model's answer as well.
    pub with_model: Share,
    /// What the model gives away: the difference of the last two.
    pub gain: f64,
    /// Lower end of its 95% interval, for paired shares.
    pub gain_low: f64,
    /// Upper end.
    pub gain_high: f64,
}

impl From<&DoseResponse> for Poisoned {
    fn from(found: &DoseResponse) -> Self {
        let dose = |point: &DosePoint| {
            let seed = |run: &crate::poison::DoseRun| {
                settled(run.success.map_or(run.standing.accuracy.share, |s| s.share))
            };
            Dose {
                fraction: settled(point.rate),
                rows: point.poisoned,
                accuracy: point.accuracy,
                auc: point.auc.map(settled),
                success: point.success,
                baseline: point.baseline,
                works: point.works,
                by_seed: point.runs.iter().map(seed).collect(),
            }
        };
        Self {
            works_when: found.criterion,
            points: std::iter::once(&found.clean).chain(&found.points).map(dose).collect(),
            smallest: found.smallest.map(|s| SmallestDose {
                fraction: settled(s.rate),
                rows: s.poisoned,
                fails_at: s.fails_at,
            }),
            trainings: found.trainings,
        }
    }
}

impl From<&Extraction> for Stolen {
    fn from(found: &Extraction) -> Self {
        let copied = |p: &crate::theft::TheftPoint| Copied {
            queries: p.queries,
            answered: p.answered,
            agreement: p.agreement,
            accuracy: p.accuracy,
        };
        Self {
            answers: found.answers,
            model: found.victim,
            unanswered: found.unanswered,
            points: found.points.iter().map(copied).collect(),
            faithful_at: found.faithful_at,
        }
    }
}

impl Members {
    /// From what was found about the members of `of`.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn new(of: Member, found: &Membership, without_model: Option<Area>) -> Self {
        let at = |f: &crate::privacy::Found| Found {
            rate: f.rate,
            false_alarms: f.false_alarms,
            found: f.found,
            enough: found.others as f64 * f.rate >= 1.0 - 1e-9,
        };
        let curve = found.curve.iter().take(CURVE_MAX);
        Self {
            of,
            members: found.members,
            others: found.others,
            shadows: found.shadows,
            auc: Area::new(found.auc, found.auc_low, found.auc_high),
            balanced_accuracy: settled(found.balanced_accuracy),
            at: found.at.iter().map(at).collect(),
            curve: curve.map(|p| (settled(p.false_alarms), settled(p.found))).collect(),
            without_model,
        }
    }
}

impl GuessedColumn {
    /// From what was found about the column called `column`.
    pub fn new(column: String, found: &AttributeInference) -> Self {
        Self {
            column,
            values: found.values,
            commonest: found.commonest,
            others: found.imputation,
            with_model: found.with_model,
            gain: settled(found.gain),
            gain_low: settled(found.gain_low),
            gain_high: settled(found.gain_high),
        }
    }
}

impl Shown {
    /// Whether the attack worked: a dose was enough, a copy agreed on nine of ten rows, members or a feature were told beyond chance.
    pub fn found(&self) -> bool {
        match self {
            Self::Poisoning(p) => p.smallest.is_some(),
            Self::Theft(t) => t.faithful_at.is_some(),
            Self::Membership(m) => {
                m.auc.low > 0.5 && m.without_model.is_none_or(|w| m.auc.low > w.high.max(0.5))
            }
            Self::Attribute(a) => a.columns.iter().any(|c| c.gain_low > 0.0),
        }
    }
}

/// What the studies of an exercise came to.
#[derive(Debug, Clone, Default)]
pub struct Studied {
    /// What they showed, in order of the suite.
    pub results: Vec<StudyResult>,
    /// Studies that do not apply to this target, and why.
    pub skipped: Vec<Note>,
    /// What failed.
    pub faults: Vec<Note>,
    /// Why it was ended early.
    pub ended: Option<String>,
}

impl Studied {
    /// Why nothing of a suite can be run, when neither the rest of it (`rest`) nor any study can.
    pub fn inapplicable(&self, rest: Option<String>) -> Option<String> {
        let own = self.skipped.first().map(|n| n.text.clone());
        if self.results.is_empty() && self.faults.is_empty() {
            rest.map(|why| own.unwrap_or(why))
        } else {
            None
        }
    }
}

/// Puts the studies onto a scorecard.
pub fn add(card: &mut Scorecard, studied: Studied) {
    let partly = studied.results.iter().any(|r| !r.complete);
    card.complete &= studied.ended.is_none() && studied.faults.is_empty() && !partly;
    if let Some(text) = studied.ended {
        card.faults.insert(0, Note { about: "studies".to_owned(), text });
    }
    card.faults.extend(studied.faults);
    card.skipped.extend(studied.skipped);
    card.studies = studied.results;
    let (mut warnings, mut advice) = (Vec::new(), Vec::new());
    for result in &card.studies {
        let note = |text: String| Note { about: result.label.clone(), text };
        warnings.extend(warning(&result.shown).map(note));
        advice.extend(advise(&result.shown).map(note));
    }
    card.warnings.extend(warnings);
    if !card.complete && !card.advice.iter().any(|n| n.about == "exercise") {
        let text = "it is not complete: run it again with --resume before anybody decides on these figures";
        card.advice.insert(0, Note { about: "exercise".to_owned(), text: text.to_owned() });
    }
    card.advice.extend(advice);
}

/// What makes figures look other than they are.
fn warning(shown: &Shown) -> Option<String> {
    match shown {
        Shown::Membership(Members { without_model: Some(w), .. }) if w.low > 0.5 => Some(format!(
            "training rows and held-out rows are told apart without the model (area {:.2}): they were drawn differently, and what is found here is not membership alone",
            w.area
        )),
        Shown::Poisoning(p) => {
            let clean = p.points.first()?;
            let wrong = clean.auc.is_some_and(|a| a < 0.6);
            wrong.then(|| "the models of this recipe hardly learn these data even without poison: what poison does to them says little".to_owned())
        }
        _ => None,
    }
}

/// What to do.
fn advise(shown: &Shown) -> Option<String> {
    match shown {
        Shown::Poisoning(p) => {
            let dose = p.smallest?;
            let price = p.points.iter().find(|d| d.rows == dose.rows).zip(p.points.first());
            let seen = price.filter(|(d, clean)| clean.accuracy.share - d.accuracy.share < 0.02);
            let unseen = seen.map_or("", |_| ", and accuracy on clean rows does not show it");
            Some(format!(
                "{} poisoned of the training rows ({}) are enough{unseen}: know who can write to labels and images, sign training data, run `asepsis data check` before each training, and compare with a model trained without new sources",
                dose.rows,
                percent(dose.fraction)
            ))
        }
        Shown::Theft(t) => t.faithful_at.map(|queries| {
            format!(
                "a copy that agrees on nine of ten rows costs {queries} queries: limit rows a day for each client below that, answer with classes or rounded probabilities where nobody needs more, and keep the guard `extraction` on"
            )
        }),
        Shown::Membership(m) if shown.found() => {
            let few = m.at.iter().find(|f| f.rate <= 0.001 && f.found.low > 10.0 * f.rate);
            let how = few.map_or_else(String::new, |f| {
                format!(" ({} of {} members with {} false alarms)", f.found.hits, f.found.of, f.false_alarms)
            });
            Some(format!(
                "people in the training data can be told from others{how}: fewer passes over the data, more rows, or training with differential privacy; show classes or whole per cents instead of exact probabilities"
            ))
        }
        Shown::Membership(_) => None,
        Shown::Attribute(a) => {
            let most = a.columns.iter().filter(|c| c.gain_low > 0.0).max_by(|x, y| x.gain.total_cmp(&y.gain))?;
            Some(format!(
                "who knows the rest of a patient's row and the answer guesses `{}` right in {} instead of {}: give the answer to those who may see the whole row, and round it",
                most.column,
                percent(most.with_model.share),
                percent(most.others.share)
            ))
        }
    }
}

/// A share as per cents, with as many digits as small ones need.
pub fn percent(share: f64) -> String {
    let digits = if share > 0.0 && share < 0.0995 { 1 } else { 0 };
    let digits = if share > 0.0 && share < 0.000_95 { 2 } else { digits };
    format!("{:.digits$}%", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorecard::assemble::{assemble, tests::assembly};

    fn result(shown: Shown) -> StudyResult {
        StudyResult {
            study: 0,
            label: "study".to_owned(),
            attack: "X202".to_owned(),
            complete: true,
            recipe: "mlp".to_owned(),
            train_rows: 100,
            test_rows: 50,
            shown,
            notes: Vec::new(),
        }
    }

    fn poisoned(success: usize) -> Shown {
        let dose = |fraction: f64, rows: u64, hits: Option<usize>| Dose {
            fraction,
            rows,
            accuracy: Share::new(45, 50),
            auc: Some(0.95),
            success: hits.map(|h| Share::new(h, 50)),
            baseline: hits.map(|_| Share::new(1, 50)),
            works: hits.is_some_and(|h| h > 25),
            by_seed: Vec::new(),
        };
        Shown::Poisoning(Poisoned {
            works_when: Criterion::Success(0.5),
            points: vec![dose(0.0, 0, None), dose(0.01, 1, Some(success))],
            smallest: (success > 25).then_some(SmallestDose { fraction: 0.01, rows: 1, fails_at: 0 }),
            trainings: 2,
        })
    }

    #[test]
    fn a_dose_that_works_is_advice_and_a_finding_and_survives_being_written() {
        let mut card = assemble(assembly());
        let before = card.advice.len();
        add(&mut card, Studied { results: vec![result(poisoned(40))], ..Studied::default() });
        assert!(card.complete && card.studies[0].shown.found());
        assert_eq!(card.advice.len(), before + 1);
        assert!(
            card.advice[before].text.contains("1 poisoned of the training rows (1.0%)"),
            "{:?}",
            card.advice
        );
        let text = serde_json::to_string(&card).unwrap();
        assert_eq!(serde_json::from_str::<Scorecard>(&text).unwrap(), card);
    }

    #[test]
    fn what_was_ended_is_not_complete_and_says_so() {
        let mut card = assemble(assembly());
        let cut = StudyResult { complete: false, ..result(poisoned(1)) };
        add(
            &mut card,
            Studied { results: vec![cut], ended: Some("stopped".to_owned()), ..Studied::default() },
        );
        assert!(!card.complete && card.faults[0].about == "studies");
        assert!(card.advice[0].text.contains("--resume"));
    }

    #[test]
    fn more_success_of_an_attacker_is_worse() {
        let (weak, strong) = ([result(poisoned(3))], [result(poisoned(40))]);
        let words = |a, b| -> Vec<_> { compare(a, b).iter().map(|p| (p.figure.clone(), p.word())).collect() };
        let found = words(&weak, &strong);
        assert_eq!(found.len(), 3);
        assert_eq!((found[2].0.as_str(), found[2].1), ("success, 1.0% poisoned", "worse"));
        assert_eq!(found[0].1, "same");
        assert_eq!(words(&strong, &weak)[2].1, "better");
    }

    #[test]
    fn rows_told_apart_without_the_model_are_no_finding_and_are_said() {
        let members = |without: Option<Area>| {
            Shown::Membership(Members {
                of: Member::Model,
                members: 100,
                others: 100,
                shadows: 0,
                auc: Area::new(0.6, 0.55, 0.65),
                balanced_accuracy: 0.58,
                at: Vec::new(),
                curve: Vec::new(),
                without_model: without,
            })
        };
        assert!(members(None).found() && members(Some(Area::new(0.5, 0.45, 0.54))).found());
        let drifted = members(Some(Area::new(0.7, 0.65, 0.75)));
        assert!(!drifted.found() && warning(&drifted).is_some_and(|w| w.contains("not membership alone")));
    }

    #[test]
    fn small_shares_keep_their_digits() {
        assert_eq!([0.0, 0.001, 0.0005, 0.05, 0.5].map(percent), ["0%", "0.1%", "0.05%", "5.0%", "50%"]);
    }
}
