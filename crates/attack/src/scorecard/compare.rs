//! Two scorecards point by point: two versions, two models, two hospitals. Only of equal suites; else it says how they differ.

use serde::{Deserialize, Serialize};

use super::{Scorecard, Seen, Share};
use crate::norm::Norm;
use crate::suite::diff;

/// One budget of one step in both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Point {
    /// How the suite calls the step; `clean` and `worst case` beside.
    pub label: String,
    /// Norm; none without an attack.
    pub norm: Option<Norm>,
    /// Budget in the unit box; 0 without an attack.
    pub epsilon: f64,
    /// How strong a condition is, or up to which cost a plausible change goes, in words; none for attacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Accuracy in the first.
    pub first: Share,
    /// Accuracy in the second.
    pub second: Share,
    /// Second minus first.
    pub difference: f64,
    /// 95% interval of the difference (Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, method 10).
    pub interval: (f64, f64),
    /// Samples that are right in the first only, where both used the same samples.
    pub lost: Option<usize>,
    /// Samples that are right in the second only.
    pub gained: Option<usize>,
}

impl Point {
    /// `better`, `worse`, or `same` when the interval of the difference holds 0.
    pub fn word(&self) -> &'static str {
        match self.interval {
            (low, _) if low > 0.0 => "better",
            (_, high) if high < 0.0 => "worse",
            _ => "same",
        }
    }
}

/// Two scorecards, point by point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// Digest of the suite that both ran.
    pub suite: String,
    /// What differs beside the figures: model, data, version of the program, access.
    pub differs: Vec<String>,
    /// The points, in order of the suite.
    pub points: Vec<Point>,
    /// Figures of poisoning, theft and privacy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub studies: Vec<super::study::StudyPoint>,
}

impl Comparison {
    /// Whether anything is worse beyond chance.
    pub fn worse(&self) -> bool {
        self.points.iter().any(|p| p.word() == "worse") || self.studies.iter().any(|p| p.word() == "worse")
    }
}

/// Compares.
///
/// # Errors
/// How the suites differ, one line each, when they are not the same.
pub fn compare(a: &Scorecard, b: &Scorecard) -> Result<Comparison, Vec<String>> {
    if a.suite.digest() != b.suite.digest() {
        return Err(diff(&a.suite, &b.suite));
    }
    let mut differs = Vec::new();
    let mut differ = |what: &str, one: String, other: String| {
        if one != other {
            differs.push(format!("{what}: {one} against {other}"));
        }
    };
    differ(
        "model",
        named(&a.subject.model, &a.subject.model_digest),
        named(&b.subject.model, &b.subject.model_digest),
    );
    differ(
        "data",
        named(&a.subject.data, &a.subject.data_digest),
        named(&b.subject.data, &b.subject.data_digest),
    );
    differ("rows", a.subject.rows.clone(), b.subject.rows.clone());
    differ("access", format!("{:?}", a.subject.access), format!("{:?}", b.subject.access));
    differ("version of the program", a.tool.clone(), b.tool.clone());
    differ("sent through", through(a), through(b));
    differ("complete", a.complete.to_string(), b.complete.to_string());
    let paired = a.subject.data_digest == b.subject.data_digest
        && a.samples.len() == b.samples.len()
        && a.samples.iter().zip(&b.samples).all(|(x, y)| x.row == y.row && x.label == y.label);
    let mut points = Vec::new();
    let clean = |card: &Scorecard| -> String {
        card.samples.iter().map(|s| if s.seen == Some(s.label) { '1' } else { 'x' }).collect()
    };
    points.push(point("clean", None, 0.0, (a.clean.all, b.clean.all), (&clean(a), &clean(b)), paired));
    for row in &a.rows {
        let same = b.rows.iter().find(|r| r.step == row.step && r.epsilon == row.epsilon);
        let Some(other) = same.filter(|o| o.robust.all.of > 0 && row.robust.all.of > 0) else { continue };
        let shares = (row.robust.all, other.robust.all);
        points.push(point(
            &row.label,
            Some(row.norm),
            row.epsilon,
            shares,
            (&row.flags, &other.flags),
            paired,
        ));
    }
    for worst in &a.worst {
        let same = b.worst.iter().find(|w| w.norm == worst.norm && w.epsilon == worst.epsilon);
        let Some(other) = same.filter(|o| o.robust.all.of > 0 && worst.robust.all.of > 0) else { continue };
        let shares = (worst.robust.all, other.robust.all);
        points.push(point(
            "worst case",
            Some(worst.norm),
            worst.epsilon,
            shares,
            (&worst.flags, &other.flags),
            paired,
        ));
    }
    points.extend(disturbed(a, b, paired));
    sightings(a, b, paired, &mut points);
    let studies = super::study::compare(&a.studies, &b.studies);
    Ok(Comparison { suite: a.suite.digest().to_string(), differs, points, studies })
}

/// Points of conditions and of plausible changes.
fn disturbed(a: &Scorecard, b: &Scorecard, paired: bool) -> Vec<Point> {
    let mut points = Vec::new();
    let mut add = |label: &str, level: String, shares: (Share, Share), flags: (&str, &str)| {
        if shares.0.of > 0 && shares.1.of > 0 {
            let point = point(label, None, 0.0, shares, flags, paired);
            points.push(Point { level: Some(level), ..point });
        }
    };
    for row in &a.conditions {
        let same = b.conditions.iter().find(|r| r.condition == row.condition && r.level == row.level);
        let Some(other) = same else { continue };
        add(&row.label, row.level.text(), (row.right.all, other.right.all), (&row.flags, &other.flags));
    }
    for row in &a.changes {
        let Some(other) = b.changes.iter().find(|r| r.change == row.change) else { continue };
        for (level, now) in row.levels.iter().zip(&other.levels) {
            let words = super::errors_text(level.within);
            add(&row.label, words, (level.stands.all, now.stands.all), (&level.flags, &now.flags));
        }
    }
    points
}

/// The way to the model.
fn through(card: &Scorecard) -> String {
    card.gateway.as_ref().map_or_else(
        || "nothing".to_owned(),
        |g| format!("a gateway with limits {}, {} keys a run", g.limits, g.keys),
    )
}

/// Runs that did not slip past the guards, of both: more is better, as with accuracy.
fn sightings(a: &Scorecard, b: &Scorecard, paired: bool, points: &mut Vec<Point>) {
    let (Some(one), Some(other)) = (&a.gateway, &b.gateway) else { return };
    let kept = |seen: &Seen| Share::new(seen.slipped.of - seen.slipped.hits, seen.slipped.of);
    for seen in &one.rows {
        let same = other.rows.iter().find(|r| r.step == seen.step && r.epsilon == seen.epsilon);
        let Some(second) = same else { continue };
        let only = |of: &Seen, not: &Seen| {
            not.slipped_samples.iter().filter(|s| !of.slipped_samples.contains(s)).count()
        };
        let (first, second_share) = (kept(seen), kept(second));
        points.push(Point {
            label: format!("{}, not past the guards", seen.label),
            norm: Some(seen.norm),
            epsilon: seen.epsilon,
            level: None,
            first,
            second: second_share,
            difference: second_share.share - first.share,
            interval: newcombe(first, second_share),
            lost: paired.then(|| only(seen, second)),
            gained: paired.then(|| only(second, seen)),
        });
    }
}

fn named(name: &str, digest: &str) -> String {
    let short: String = digest.chars().take(19).collect();
    format!("`{name}` ({short})")
}

fn point(
    label: &str,
    norm: Option<Norm>,
    epsilon: f64,
    (first, second): (Share, Share),
    (a, b): (&str, &str),
    paired: bool,
) -> Point {
    let count = |only: &str, not: &str| {
        only.bytes().zip(not.bytes()).filter(|(x, y)| *x == b'1' && matches!(*y, b'0' | b'x')).count()
    };
    Point {
        label: label.to_owned(),
        norm,
        epsilon,
        level: None,
        first,
        second,
        difference: second.share - first.share,
        interval: newcombe(first, second),
        lost: paired.then(|| count(a, b)),
        gained: paired.then(|| count(b, a)),
    }
}

/// Interval of `second - first` from the Wilson intervals of both. It takes the samples as independent, which is wide where they are the same.
fn newcombe(first: Share, second: Share) -> (f64, f64) {
    let difference = second.share - first.share;
    let down = (second.share - second.low).hypot(first.high - first.share);
    let up = (second.high - second.share).hypot(first.share - first.low);
    (difference - down, difference + up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorecard::assemble::{assemble, tests::assembly};

    #[test]
    fn a_card_beside_itself_is_the_same_everywhere() {
        let card = assemble(assembly());
        let both = compare(&card, &card).unwrap();
        assert!(both.differs.is_empty());
        assert_eq!(both.points.len(), 1 + 3 + 2);
        assert!(both.points.iter().all(|p| p.word() == "same" && p.difference == 0.0 && p.lost == Some(0)));
    }

    #[test]
    fn unequal_suites_are_refused_with_how_they_differ() {
        let a = assemble(assembly());
        let mut given = assembly();
        given.suite.seed = 9;
        given.suite.steps[0].epsilons = vec![0.01, 0.03];
        let said = compare(&a, &assemble(given)).unwrap_err();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("seed: 0 against 9"));
    }

    #[test]
    fn interval_of_a_difference_equals_the_published_example() {
        // Newcombe 1998, table II, contrast (a): 56/70 - 48/80, method 10: 0.0524 to 0.3339.
        let (low, high) = newcombe(Share::new(48, 80), Share::new(56, 70));
        assert!((low - 0.0524).abs() < 5e-4 && (high - 0.3339).abs() < 5e-4, "{low} {high}");
    }

    #[test]
    fn what_only_one_keeps_is_counted_where_the_samples_are_the_same() {
        let a = assemble(assembly());
        let mut given = assembly();
        given.samples[0].seen = Some(1);
        given.subject.model_digest = "sha256:9".to_owned();
        let both = compare(&a, &assemble(given)).unwrap();
        assert_eq!((both.points[0].lost, both.points[0].gained), (Some(1), Some(0)));
        assert_eq!(both.differs.len(), 1);
    }
}
