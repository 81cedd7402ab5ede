//! Studies of two scorecards, figure by figure.

use serde::{Deserialize, Serialize};

use super::{Shown, StudyResult, percent};
use crate::scorecard::Share;
use crate::suite::settled;

/// One figure of a study in two scorecards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StudyPoint {
    /// How the suite calls the study.
    pub label: String,
    /// Which figure of it.
    pub figure: String,
    /// In the first, with its interval.
    pub first: (f64, f64, f64),
    /// In the second.
    pub second: (f64, f64, f64),
    /// Second minus first.
    pub difference: f64,
    /// 95% interval of the difference, from both intervals (square and add; Zou and Donner 2008, doi:10.1002/sim.3095).
    pub interval: (f64, f64),
    /// Whether more of it is better.
    pub more_is_better: bool,
}

impl StudyPoint {
    /// `better`, `worse`, or `same` when the interval of the difference holds 0.
    pub const fn word(&self) -> &'static str {
        let (low, high) = self.interval;
        match (low > 0.0, high < 0.0, self.more_is_better) {
            (true, _, true) | (_, true, false) => "better",
            (true, _, false) | (_, true, true) => "worse",
            _ => "same",
        }
    }
}

/// A figure: its name, its value with both ends of the interval, whether more of it is better.
type Figure = (String, (f64, f64, f64), bool);

/// The figures of two scorecards of the same suite, point by point.
pub fn compare(a: &[StudyResult], b: &[StudyResult]) -> Vec<StudyPoint> {
    let mut out = Vec::new();
    for one in a {
        let Some(other) = b.iter().find(|o| o.study == one.study) else { continue };
        let others = figures(&other.shown);
        for (figure, first, more_is_better) in figures(&one.shown) {
            let Some((_, second, _)) = others.iter().find(|(name, ..)| *name == figure) else { continue };
            let difference = settled(second.0 - first.0);
            let low = (second.0 - second.1).hypot(first.2 - first.0);
            let high = (second.2 - second.0).hypot(first.0 - first.1);
            out.push(StudyPoint {
                label: one.label.clone(),
                figure,
                first,
                second: *second,
                difference,
                interval: (settled(difference - low), settled(difference + high)),
                more_is_better,
            });
        }
    }
    out
}

fn figures(shown: &Shown) -> Vec<Figure> {
    let of = |s: &Share| (s.share, s.low, s.high);
    let mut out: Vec<Figure> = Vec::new();
    match shown {
        Shown::Poisoning(p) => {
            for dose in &p.points {
                let at = format!("{} poisoned", percent(dose.fraction));
                out.push((format!("accuracy, {at}"), of(&dose.accuracy), true));
                out.extend(dose.success.iter().map(|s| (format!("success, {at}"), of(s), false)));
            }
        }
        Shown::Theft(t) => {
            out.push(("accuracy of the model".to_owned(), of(&t.model), true));
            for point in &t.points {
                out.push((format!("agreement, {} queries", point.queries), of(&point.agreement), false));
            }
        }
        Shown::Membership(m) => {
            out.push(("area under the curve".to_owned(), (m.auc.area, m.auc.low, m.auc.high), false));
            for at in &m.at {
                out.push((format!("found at {} false alarms", percent(at.rate)), of(&at.found), false));
            }
        }
        Shown::Attribute(a) => {
            for column in &a.columns {
                let gain = (column.gain, column.gain_low, column.gain_high);
                out.push((format!("gain on `{}`", column.column), gain, false));
            }
        }
    }
    out
}
