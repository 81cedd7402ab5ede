//! A scorecard in words, for a terminal.

use std::fmt::Write as _;

use attack::scorecard::{Comparison, ConditionRow, Quality, Scorecard, Share, budget_text, errors_text};

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
    conditions(card, &mut out);
    changes(card, &mut out);
    super::studies::text(card, &mut out);
    super::text_through::through(card, &mut out);
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

/// Ranking and calibration, in columns.
fn quality(quality: Option<&Quality>) -> String {
    let number = |v: Option<f64>| v.map_or_else(|| format!("{:>6}", ""), |v| format!("{v:>6.3}"));
    let of = |value: &dyn Fn(&Quality) -> Option<f64>| number(quality.and_then(value));
    format!("{} {} {}", of(&|q| q.auc), of(&|q| q.calibration_error), of(&|q| q.brier))
}

/// What conditions cost, family by family: accuracy at each strength, and the means.
fn conditions(card: &Scorecard, out: &mut String) {
    if card.conditions.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "\n{:<20} {:<36} {:>6} {:>7}  {:>6} {:>6} {:>6}",
        "CONDITION", "RIGHT AT SEVERITY 1, 2, ...", "MEAN", "CHANGE", "AUC", "CALIB.", "BRIER"
    );
    let _ = writeln!(
        out,
        "{:<20} {:<36} {:>5.1}% {:>7}  {}",
        "none",
        "",
        100.0 * card.clean.all.share,
        "",
        quality(card.quality.as_ref())
    );
    for mean in &card.condition_means {
        let rows = card.conditions.iter().filter(|r| r.condition == mean.condition);
        let number = |v: Option<f64>| v.map_or_else(|| format!("{:>6}", ""), |v| format!("{v:>6.3}"));
        let _ = writeln!(
            out,
            "{:<20} {:<36} {} {}  {} {} {}",
            mean.label,
            rows.map(cell).collect::<Vec<_>>().join(" "),
            mean.right.map_or_else(|| format!("{:>6}", ""), |v| format!("{:>5.1}%", 100.0 * v)),
            mean.difference.map_or_else(|| format!("{:>7}", ""), |v| format!("{:>+6.1}%", 100.0 * v)),
            number(mean.auc),
            number(mean.calibration_error),
            number(mean.brier)
        );
    }
    let unanswered: usize = card.conditions.iter().map(|r| r.unanswered).sum();
    if unanswered > 0 {
        let _ =
            writeln!(out, "{unanswered} rows had no answer (refused, or not a number) and count neither way");
    }
}

fn cell(row: &ConditionRow) -> String {
    if row.right.all.of == 0 { "    --".to_owned() } else { format!("{:>5.1}%", 100.0 * row.right.all.share) }
}

/// Who flips with the least plausible change.
fn changes(card: &Scorecard, out: &mut String) {
    for row in &card.changes {
        let _ = writeln!(
            out,
            "\n{}: {} of {} patients flipped by a plausible change, {} proven exactly; cost in measurement errors: least {}, median {}",
            row.label,
            row.flipped.hits,
            row.flipped.of,
            row.exact,
            row.cost_min.map_or_else(|| "none".to_owned(), |c| format!("{c:.2}")),
            row.cost_median.map_or_else(|| "none".to_owned(), |c| format!("{c:.2}"))
        );
        for level in &row.levels {
            let _ = writeln!(
                out,
                "  within {:<24} {} right",
                errors_text(level.within),
                percent(&level.stands.all)
            );
        }
        for patient in row.patients.iter().filter(|p| p.cost.is_some()).take(LEAST_SHOWN) {
            let Some(sample) = card.samples.get(patient.sample) else { continue };
            let class = card.subject.classes.get(sample.label).map_or("", String::as_str);
            let cells: Vec<String> = patient
                .cells
                .iter()
                .filter(|c| c.errors > 0.0)
                .map(|c| format!("{} {} to {}", c.name, c.before, c.after))
                .collect();
            let _ = writeln!(
                out,
                "  row {} ({class}): {:.2} errors{}{}",
                sample.row,
                patient.cost.unwrap_or_default(),
                if cells.is_empty() { String::new() } else { format!(", {}", cells.join(", ")) },
                if patient.exact { ", exact" } else { "" }
            );
        }
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
            point.norm.map_or_else(
                || point.level.clone().unwrap_or_default().replace("measurement ", ""),
                |norm| budget_text(kind, norm, point.epsilon)
            ),
            100.0 * point.first.share,
            100.0 * point.second.share,
            100.0 * point.difference,
            format!("{:+.1} to {:+.1}", 100.0 * point.interval.0, 100.0 * point.interval.1),
            point.word(),
            count(point.lost),
            count(point.gained)
        );
    }
    super::studies::compared(both, &mut out);
    out
}
