//! A scorecard in words, for a terminal.

use std::fmt::Write as _;

use attack::scorecard::{Comparison, Scorecard, Share, budget_text};

/// Samples listed that flip with the least change.
const LEAST_SHOWN: usize = 5;

fn percent(share: &Share) -> String {
    format!("{:>5.1}% ({:.1} to {:.1})", 100.0 * share.share, 100.0 * share.low, 100.0 * share.high)
}

/// The scorecard in words.
pub fn scorecard(card: &Scorecard) -> String {
    let mut out = String::new();
    let subject = &card.subject;
    let _ = writeln!(
        out,
        "exercise `{}` version {} on {} with {} ({}), seed {}\nsuite {}\n",
        card.suite.name,
        card.suite.version,
        subject.model,
        subject.data,
        subject.rows,
        card.suite.seed,
        card.suite_digest
    );
    let _ = writeln!(
        out,
        "{:<24} {:<5} {:>14}  {:<24} {:>6} {:>10}",
        "ATTACK", "NORM", "BUDGET", "RIGHT (95% INTERVAL)", "FELL", "QUERIES"
    );
    let _ = writeln!(out, "{:<24} {:<5} {:>14}  {:<24}", "none", "", "", percent(&card.clean.all));
    for row in card.rows.iter().filter(|r| r.robust.all.of > 0) {
        let _ = writeln!(
            out,
            "{:<24} {:<5} {:>14}  {:<24} {:>6} {:>10}",
            row.label,
            row.norm.as_str(),
            budget_text(&subject.kind, row.norm, row.epsilon),
            percent(&row.robust.all),
            row.fell.hits,
            row.queries
        );
    }
    for worst in card.worst.iter().filter(|w| w.robust.all.of > 0) {
        let _ = writeln!(
            out,
            "{:<24} {:<5} {:>14}  {:<24}",
            "worst case",
            worst.norm.as_str(),
            budget_text(&subject.kind, worst.norm, worst.epsilon),
            percent(&worst.robust.all)
        );
    }
    least(card, &mut out);
    let mut list = |title: &str, notes: &[attack::scorecard::Note]| {
        if !notes.is_empty() {
            let _ = writeln!(out, "\n{title}");
        }
        for note in notes {
            let _ = writeln!(out, "  {}: {}", note.about, note.text);
        }
    };
    list("Not run", &card.skipped);
    list("Not finished", &card.faults);
    list("Warnings", &card.warnings);
    list("What to do", &card.advice);
    out
}

/// Who flips with the least change.
fn least(card: &Scorecard, out: &mut String) {
    let mut flips: Vec<(f64, usize, &str, attack::Norm)> = Vec::new();
    for (n, sample) in card.samples.iter().enumerate() {
        flips.extend(sample.least.iter().map(|l| (l.distance, n, l.label.as_str(), l.norm)));
    }
    let Some(norm) = card.worst.first().map(|w| w.norm) else { return };
    flips.retain(|f| f.3 == norm);
    flips.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    if flips.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nFlips with the least change ({})", norm.as_str());
    for (distance, n, label, _) in flips.into_iter().take(LEAST_SHOWN) {
        let Some(sample) = card.samples.get(n) else { continue };
        let class = card.subject.classes.get(sample.label).map_or("", String::as_str);
        let _ = writeln!(
            out,
            "  row {} ({class}): {} by {label}",
            sample.row,
            budget_text(&card.subject.kind, norm, distance)
        );
    }
}

/// A comparison in words.
pub fn compared(kind: &str, both: &Comparison) -> String {
    let mut out = format!("suite {}\n", both.suite);
    for line in &both.differs {
        let _ = writeln!(out, "  {line}");
    }
    let _ = writeln!(
        out,
        "\n{:<24} {:<5} {:>14}  {:>7} {:>7} {:>8}  {:<20} {:<6} {:>5} {:>6}",
        "ATTACK", "NORM", "BUDGET", "FIRST", "SECOND", "CHANGE", "95% INTERVAL", "", "LOST", "GAINED"
    );
    for point in &both.points {
        let count = |n: Option<usize>| n.map_or_else(String::new, |n| n.to_string());
        let _ = writeln!(
            out,
            "{:<24} {:<5} {:>14}  {:>6.1}% {:>6.1}% {:>+7.1}%  {:<20} {:<6} {:>5} {:>6}",
            point.label,
            point.norm.map_or("", attack::Norm::as_str),
            point.norm.map_or_else(String::new, |norm| budget_text(kind, norm, point.epsilon)),
            100.0 * point.first.share,
            100.0 * point.second.share,
            100.0 * point.difference,
            format!("{:+.1} to {:+.1}", 100.0 * point.interval.0, 100.0 * point.interval.1),
            point.word(),
            count(point.lost),
            count(point.gained)
        );
    }
    out
}
