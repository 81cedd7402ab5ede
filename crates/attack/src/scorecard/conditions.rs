//! What conditions did: accuracy, ranking and calibration per family and strength, beside the same samples undisturbed.

use serde::{Deserialize, Serialize};

use super::assemble::Book;
use super::{Breakdown, Note, Share};
use crate::access::Replies;
use crate::corruption::Measures;
use crate::suite::{Answers, Condition, ConditionPiece, Level, settled};

/// Ranking and calibration, where scores are shown. Two classes: of class 1. More: the mean over the classes, each against the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Quality {
    /// Area under the curve; absent when a class has no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// Its 95% interval (DeLong), two classes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc_interval: Option<(f64, f64)>,
    /// Calibration error of the decided class, 15 bins of equal mass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
    /// Brier score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brier: Option<f64>,
    /// Mean probability that the model gives to what it decides; above the accuracy it is surer than it is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Mean over the classes of the share of their rows decided rightly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced_accuracy: Option<f64>,
}

impl Quality {
    /// Of replies to samples of the classes `labels`; `None` when nothing was answered or a label is beyond the scores.
    pub fn of(replies: &Replies, labels: &[usize]) -> Option<Self> {
        let positives = if replies.classes == 2 { 1..2 } else { 0..replies.classes };
        let each: Vec<Measures> =
            positives.map(|p| Measures::of(replies, labels, p)).collect::<Option<_>>()?;
        let first = each.first().filter(|m| m.accuracy.of > 0)?;
        let mean = |of: &dyn Fn(&Measures) -> Option<f64>| {
            let all: Option<Vec<f64>> = each.iter().map(of).collect();
            all.map(|values| settled(numeric::mean(&values)))
        };
        Some(Self {
            auc: mean(&|m| m.area.map(|a| a.area)),
            auc_interval: first.area.filter(|_| each.len() == 1).map(|a| (settled(a.low), settled(a.high))),
            calibration_error: first.calibration_error.map(settled),
            brier: mean(&|m| m.brier),
            confidence: first.confidence.map(settled),
            balanced_accuracy: first.balanced_accuracy.map(settled),
        })
    }
}

/// One condition at one strength.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConditionRow {
    /// Which condition of the suite, counted from 0.
    pub condition: usize,
    /// How the suite calls it.
    pub label: String,
    /// Id of the family.
    pub family: String,
    /// How strong.
    pub level: Level,
    /// Answers that are right, of those given.
    pub right: Breakdown,
    /// Share right, minus that of the same samples undisturbed.
    pub difference: f64,
    /// Samples that were right undisturbed and are not any more.
    pub lost: usize,
    /// Samples that were wrong undisturbed and are right now.
    pub gained: usize,
    /// Samples without an answer: refused, or not a number.
    pub unanswered: usize,
    /// Ranking and calibration, where scores are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// Rows that the guards saw, where the exercise went through them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_by_guards: Option<Share>,
    /// One character per sample: `1` right, `0` wrong, `-` not asked or not answered.
    pub flags: String,
}

/// One condition over all its strengths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConditionMean {
    /// Which condition of the suite, counted from 0.
    pub condition: usize,
    /// How the suite calls it.
    pub label: String,
    /// Id of the family.
    pub family: String,
    /// Mean share right; none where a strength left no answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<f64>,
    /// Mean difference from the same samples undisturbed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
    /// Mean area under the curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// Mean calibration error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
    /// Mean Brier score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brier: Option<f64>,
}

/// What is made of the pieces of all conditions.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) rows: Vec<ConditionRow>,
    pub(super) means: Vec<ConditionMean>,
    pub(super) skipped: Vec<Note>,
    pub(super) faults: Vec<Note>,
    pub(super) missing: usize,
}

impl Conditions {
    /// From pieces in order of conditions and chunks; `chunks` is how many chunks there are.
    pub(super) fn of(
        book: &Book<'_>,
        list: &[(usize, &Condition)],
        pieces: &[ConditionPiece],
        chunks: usize,
    ) -> Self {
        let mut out = Self::default();
        for (at, condition) in list {
            let own: Vec<&ConditionPiece> = pieces.iter().filter(|p| p.condition == *at).collect();
            let about = |text: &String| Note { about: condition.label.clone(), text: text.clone() };
            if let Some(why) = own.iter().find_map(|p| p.skipped.as_ref()) {
                out.skipped.push(about(why));
                continue;
            }
            out.missing += chunks.saturating_sub(own.len());
            let said: std::collections::BTreeSet<&String> =
                own.iter().filter_map(|p| p.fault.as_ref()).collect();
            out.faults.extend(said.into_iter().map(about));
            let from = out.rows.len();
            for (n, level) in condition.levels.iter().enumerate() {
                let answers: Vec<&Answers> = own.iter().filter_map(|p| p.levels.get(n)).collect();
                if answers.iter().any(|a| !a.samples.is_empty()) {
                    out.rows.push(book.condition(*at, condition, *level, &answers));
                }
            }
            out.means.extend(mean(*at, condition, out.rows.get(from..).unwrap_or_default()));
        }
        out
    }
}

/// The mean over the strengths, each counted once.
fn mean(at: usize, condition: &Condition, rows: &[ConditionRow]) -> Option<ConditionMean> {
    rows.first()?;
    let of = |value: &dyn Fn(&ConditionRow) -> Option<f64>| {
        let all: Option<Vec<f64>> = rows.iter().map(value).collect();
        all.filter(|v| !v.is_empty()).map(|v| settled(numeric::mean(&v)))
    };
    let quality = |value: &dyn Fn(&Quality) -> Option<f64>| of(&|r| r.quality.as_ref().and_then(value));
    Some(ConditionMean {
        condition: at,
        label: condition.label.clone(),
        family: condition.family.clone(),
        right: of(&|r| (r.right.all.of > 0).then_some(r.right.all.share)),
        difference: of(&|r| (r.right.all.of > 0).then_some(r.difference)),
        auc: quality(&|q| q.auc),
        calibration_error: quality(&|q| q.calibration_error),
        brier: quality(&|q| q.brier),
    })
}

impl Book<'_> {
    fn condition(
        &self,
        at: usize,
        condition: &Condition,
        level: Level,
        answers: &[&Answers],
    ) -> ConditionRow {
        let mut flags = vec![b'-'; self.samples.len()];
        let (mut asked, mut seen_by_guards) = (0, None);
        let (mut labels, mut replies) = (Vec::new(), Replies::default());
        for part in answers {
            asked += part.samples.len();
            if let Some(seen) = part.seen_by_guards {
                seen_by_guards = Some(seen_by_guards.unwrap_or(0) + seen);
            }
            for (sample, class) in part.samples.iter().zip(&part.classes) {
                let label = self.samples.get(*sample).map(|s| s.label);
                labels.push(label.unwrap_or_default());
                if let (Some(flag), Some(class)) = (flags.get_mut(*sample), class) {
                    *flag = if Some(*class) == label { b'1' } else { b'0' };
                }
            }
            if let Some(said) = part.replies() {
                replies.classes = said.classes;
                replies.scores.extend(said.scores);
                replies.answered.extend(said.answered);
            }
        }
        let right = self.breakdown(&flags);
        let before = flags.iter().zip(self.clean).filter(|(f, _)| **f != b'-');
        let before = Share::new(before.clone().filter(|(_, c)| **c == b'1').count(), before.count());
        let both = |now: u8, then: u8| {
            flags.iter().zip(self.clean).filter(|(f, c)| (**f, **c) == (now, then)).count()
        };
        ConditionRow {
            condition: at,
            label: condition.label.clone(),
            family: condition.family.clone(),
            level,
            difference: settled(right.all.share - before.share),
            lost: both(b'0', b'1'),
            gained: both(b'1', b'x'),
            unanswered: asked - right.all.of,
            quality: Quality::of(&replies, &labels),
            seen_by_guards: seen_by_guards.map(|seen| Share::new(seen, asked)),
            right,
            flags: String::from_utf8(flags).unwrap_or_default(),
        }
    }
}
