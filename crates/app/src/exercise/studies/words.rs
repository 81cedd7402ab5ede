//! Studies in words: for a terminal, for code hosts, and as figures and findings of evidence.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use attack::poison::Criterion;
use attack::scorecard::study::{Guessed, Members, Poisoned, Shown, Stolen, StudyResult, percent};
use attack::scorecard::{Comparison, Scorecard, Share};
use attack::theft::Answers;
use domain::{Entry, Metric, Severity};
use serde_json::{Value, json};

use crate::scan::sarif::{level, rule, uri};

/// A share with its interval.
pub(in crate::exercise) fn interval(share: &Share) -> String {
    format!("{:.1}% ({:.1} to {:.1})", 100.0 * share.share, 100.0 * share.low, 100.0 * share.high)
}

fn signed(value: f64, low: f64, high: f64) -> String {
    format!("{:+.1} ({:+.1} to {:+.1})", 100.0 * value, 100.0 * low, 100.0 * high)
}

/// What an answer holds, in words.
pub(in crate::exercise) const fn answers(answers: Answers) -> &'static str {
    match answers {
        Answers::Scores => "probabilities",
        Answers::Labels => "classes",
    }
}

/// When a poison counts as having worked, in words.
pub(in crate::exercise) fn criterion(criterion: Criterion) -> String {
    match criterion {
        Criterion::Success(least) => {
            format!("at least {} of the rows wanted are called what the attacker wants", percent(least))
        }
        Criterion::AccuracyLoss(least) => {
            format!("accuracy on clean rows falls by {} or more", percent(least))
        }
    }
}

/// A study in one line.
pub(in crate::exercise) fn headline(result: &StudyResult) -> String {
    let what = match &result.shown {
        Shown::Poisoning(p) => match p.smallest {
            Some(dose) => {
                format!("works from {} of the training rows ({} rows)", percent(dose.fraction), dose.rows)
            }
            None => "did not work at the fractions tried".to_owned(),
        },
        Shown::Theft(t) => match t.points.last() {
            Some(last) => format!(
                "a copy made of {} queries agrees on {} ({})",
                last.queries,
                interval(&last.agreement),
                answers(t.answers)
            ),
            None => "no query was answered".to_owned(),
        },
        Shown::Membership(m) => format!(
            "area {:.3} ({:.3} to {:.3}), {} of members found at 1% false alarms",
            m.auc.area,
            m.auc.low,
            m.auc.high,
            m.at.iter().find(|f| f.rate > 0.005).map_or_else(|| "?".to_owned(), |f| percent(f.found.share))
        ),
        Shown::Attribute(a) => {
            let list: Vec<String> = a
                .columns
                .iter()
                .map(|c| {
                    format!(
                        "`{}` {} instead of {}",
                        c.column,
                        percent(c.with_model.share),
                        percent(c.others.share)
                    )
                })
                .collect();
            format!("guessed right with the answer: {}", list.join(", "))
        }
    };
    let partly = if result.complete { "" } else { " (not finished)" };
    format!("{}: {what}{partly}", result.label)
}

/// All studies, for a terminal.
pub(in crate::exercise) fn text(card: &Scorecard, out: &mut String) {
    for result in &card.studies {
        let _ = writeln!(
            out,
            "\n{} ({}), {}, {} training rows, {} others",
            result.label, result.attack, result.recipe, result.train_rows, result.test_rows
        );
        match &result.shown {
            Shown::Poisoning(p) => poisoning(p, out),
            Shown::Theft(t) => theft(t, out),
            Shown::Membership(m) => membership(m, out),
            Shown::Attribute(a) => attribute(a, out),
        }
        if !result.complete {
            let _ = writeln!(out, "  not finished");
        }
        for note in &result.notes {
            let _ = writeln!(out, "  {note}");
        }
    }
}

fn poisoning(p: &Poisoned, out: &mut String) {
    let _ = writeln!(
        out,
        "  {:>9} {:>6}  {:<24} {:>6}  {:<24} {:<24}",
        "POISONED", "ROWS", "ACCURACY (95% INTERVAL)", "AREA", "SUCCESS", "WITHOUT POISON"
    );
    for dose in &p.points {
        let of = |s: &Option<Share>| s.as_ref().map_or_else(String::new, interval);
        let _ = writeln!(
            out,
            "  {:>9} {:>6}  {:<24} {:>6}  {:<24} {:<24}{}",
            percent(dose.fraction),
            dose.rows,
            interval(&dose.accuracy),
            dose.auc.map_or_else(String::new, |a| format!("{a:.3}")),
            of(&dose.success),
            of(&dose.baseline),
            if dose.works { " works" } else { "" }
        );
    }
    let smallest = p.smallest.map_or_else(
        || "none of these worked".to_owned(),
        |s| {
            format!("smallest that worked: {} rows ({}), {} did not", s.rows, percent(s.fraction), s.fails_at)
        },
    );
    let _ = writeln!(out, "  {smallest}; it works when {}", criterion(p.works_when));
}

fn theft(t: &Stolen, out: &mut String) {
    let _ = writeln!(
        out,
        "  the model itself is right on {}; the thief sees {}",
        interval(&t.model),
        answers(t.answers)
    );
    let _ = writeln!(
        out,
        "  {:>8} {:>9}  {:<24} {:<24}",
        "QUERIES", "ANSWERED", "AGREEMENT (95% INTERVAL)", "ACCURACY OF THE COPY"
    );
    for point in &t.points {
        let _ = writeln!(
            out,
            "  {:>8} {:>9}  {:<24} {:<24}",
            point.queries,
            point.answered,
            interval(&point.agreement),
            interval(&point.accuracy)
        );
    }
}

fn membership(m: &Members, out: &mut String) {
    let _ = writeln!(
        out,
        "  {} members, {} others, {} shadow models; area {:.3} ({:.3} to {:.3}), balanced accuracy {:.3}",
        m.members, m.others, m.shadows, m.auc.area, m.auc.low, m.auc.high, m.balanced_accuracy
    );
    for at in &m.at {
        let few = if at.enough { "" } else { "; too few others for this rate" };
        let _ = writeln!(
            out,
            "  found at {} false alarms: {} of members, with {} false alarms{few}",
            percent(at.rate),
            interval(&at.found),
            at.false_alarms
        );
    }
    if let Some(w) = &m.without_model {
        let _ = writeln!(
            out,
            "  told apart without the model: area {:.3} ({:.3} to {:.3})",
            w.area, w.low, w.high
        );
    }
}

fn attribute(a: &Guessed, out: &mut String) {
    let _ = writeln!(
        out,
        "  {:<24} {:>6}  {:<24} {:<24} {:<24} {:<22}",
        "COLUMN", "VALUES", "COMMONEST", "OTHER COLUMNS", "WITH THE ANSWER", "GAIN, POINTS"
    );
    for c in &a.columns {
        let _ = writeln!(
            out,
            "  {:<24} {:>6}  {:<24} {:<24} {:<24} {:<22}",
            c.column,
            c.values,
            interval(&c.commonest),
            interval(&c.others),
            interval(&c.with_model),
            signed(c.gain, c.gain_low, c.gain_high)
        );
    }
}

/// Studies of two scorecards, for a terminal.
pub(in crate::exercise) fn compared(both: &Comparison, out: &mut String) {
    if both.studies.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n{:<26} {:<34} {:>7} {:>7} {:>8}  {:<18}",
        "STUDY", "FIGURE", "FIRST", "SECOND", "CHANGE", "95% INTERVAL"
    );
    for point in &both.studies {
        let _ = writeln!(
            out,
            "{:<26} {:<34} {:>7.3} {:>7.3} {:>+8.3}  {:<18} {}",
            point.label,
            point.figure,
            point.first.0,
            point.second.0,
            point.difference,
            format!("{:+.3} to {:+.3}", point.interval.0, point.interval.1),
            point.word()
        );
    }
}

/// How bad what a study found is; none when its attack did not work.
fn severity(shown: &Shown) -> Option<Severity> {
    if !shown.found() {
        return None;
    }
    Some(match shown {
        Shown::Poisoning(p) if p.smallest.is_some_and(|s| s.fraction <= 0.01) => Severity::High,
        Shown::Membership(m) if m.at.iter().any(|f| f.rate <= 0.001 && f.found.low > 10.0 * f.rate) => {
            Severity::High
        }
        Shown::Poisoning(_) | Shown::Membership(_) | Shown::Attribute(_) => Severity::Medium,
        Shown::Theft(_) => Severity::Low,
    })
}

fn page_of(id: &str) -> Option<&'static Entry> {
    attack::entries().find(|e| e.id == id)
}

/// Adds the studies to a SARIF log.
pub(in crate::exercise) fn sarif(card: &Scorecard, log: &mut Value) {
    let Some(run) = log.get_mut("runs").and_then(|r| r.get_mut(0)) else { return };
    let mut known: Vec<String> = run["tool"]["driver"]["rules"]
        .as_array()
        .map(|rules| rules.iter().filter_map(|r| r["id"].as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    for result in &card.studies {
        let Some(severity) = severity(&result.shown) else { continue };
        if !known.contains(&result.attack)
            && let Some(entry) = page_of(&result.attack)
            && let Some(rules) = run["tool"]["driver"]["rules"].as_array_mut()
        {
            rules.push(rule(entry));
            known.push(result.attack.clone());
        }
        let print = format!("{}\0{}\0study\0{}", card.suite_digest, card.subject.model_digest, result.study);
        let mut out = json!({
            "ruleId": result.attack,
            "level": level(severity),
            "message": { "text": headline(result) },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(&card.subject.model) } } }],
            "partialFingerprints": { "asepsis/1": domain::Digest::of(print.as_bytes()).to_string() },
            "properties": { "severity": severity.to_string(), "study": result.label },
        });
        if let Some(at) = known.iter().position(|id| *id == result.attack) {
            out["ruleIndex"] = json!(at);
        }
        if let Some(results) = run["results"].as_array_mut() {
            results.push(out);
        }
    }
}

/// Figures of the studies for evidence.
pub(crate) fn figures(card: &Scorecard, metrics: &mut BTreeMap<String, Metric>) {
    for result in &card.studies {
        let name = |what: &str| format!("study_{}_{what}", result.study + 1);
        match &result.shown {
            Shown::Poisoning(p) => {
                let smallest = p.smallest.map(|s| (name("smallest_poison"), Metric::ratio(s.fraction)));
                metrics.extend(smallest);
            }
            Shown::Theft(t) => {
                let last = t.points.last().map(|p| (name("agreement"), Metric::ratio(p.agreement.share)));
                metrics.extend(last);
            }
            Shown::Membership(m) => {
                metrics.insert(name("membership_area"), Metric::ratio(m.auc.area));
            }
            Shown::Attribute(a) => {
                let most = a.columns.iter().map(|c| c.gain).fold(f64::NEG_INFINITY, f64::max);
                metrics.insert(name("attribute_gain"), Metric::ratio(most));
            }
        }
    }
}

/// What the studies found, each with how bad it is.
pub(crate) fn findings(card: &Scorecard) -> Vec<(String, Severity, String)> {
    let found = |r: &StudyResult| Some((r.label.clone(), severity(&r.shown)?, headline(r)));
    card.studies.iter().filter_map(found).collect()
}
