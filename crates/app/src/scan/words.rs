//! A scan in words: one plain sentence for the buyer, and the tree for the engineer.

use std::fmt::Write as _;

use artifact::{Part, Verdict};
use domain::Severity;

use super::{Allowed, Report, Scanned, counted};

/// Lines of the tree shown per target; JSON has all.
const TREE_LINES_MAX: usize = 40;
/// Findings shown per target.
const FINDINGS_SHOWN_MAX: usize = 20;

/// What a verdict means, for somebody who decides whether to buy or use a model.
pub fn plain(part: &Part, verdict: Verdict, allowed: &[Allowed]) -> String {
    let mut out = match verdict {
        Verdict::Clean if part.verdict() == Verdict::Clean => {
            "Everything in it was understood, and nothing in it can run code, read files or reach out when it is loaded."
                .to_owned()
        }
        Verdict::Clean => "Something was found, and your policy lets it pass.".to_owned(),
        Verdict::Inconclusive => {
            "Nothing dangerous was seen, but not all of it could be read. Do not use it before the sender explains what is in it."
                .to_owned()
        }
        Verdict::Found => {
            let worst = counted(part, Severity::Info).first().map_or(Severity::Medium, |f| f.severity);
            match worst {
                Severity::Critical | Severity::High => {
                    "Do not load this file: it is made to do more than hold a model. Keep it as it is, and tell the sender and your security team."
                }
                _ => "Do not use this file as it is: it holds something a model does not need. Ask the sender why.",
            }
            .to_owned()
        }
    };
    for allowance in allowed {
        let state = if allowance.ended { "ended" } else { "holds until" };
        let _ = write!(
            out,
            " An allowance by {} {state} {} ({}).",
            allowance.by, allowance.until, allowance.reason
        );
    }
    out
}

/// The whole report as text.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    let one = report.results.len() == 1;
    for result in &report.results {
        // Of many targets the clean ones take one line.
        if one || result.verdict != Verdict::Clean {
            target(&mut out, result);
        } else {
            let _ = writeln!(out, "clean         {} ({})", result.target, result.part.format);
        }
    }
    if !one {
        let sums: Vec<String> = report.summary.iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
        let _ = writeln!(out, "\n{} scanned: {}", report.results.len(), sums.join(", "));
    }
    if report.stopped {
        out.push_str("stopped before the end: files without a result count as inconclusive\n");
    }
    out
}

fn target(out: &mut String, result: &Scanned) {
    let _ = writeln!(
        out,
        "{:<13} {} ({}, {})",
        result.verdict.as_str(),
        result.target,
        result.part.format,
        size(result.part.bytes)
    );
    if let Some(digest) = &result.digest {
        let _ = writeln!(out, "  {digest}");
    }
    let _ = writeln!(out, "  {}", result.says);
    let findings = counted(&result.part, Severity::Info);
    for finding in findings.iter().take(FINDINGS_SHOWN_MAX) {
        let technique = finding.technique.as_ref().map_or_else(String::new, |t| format!(", {t}"));
        let _ = writeln!(out, "  {} {}{technique}: {}", finding.check, finding.severity, finding.message);
        let _ = writeln!(out, "       in {}; {}", finding.location, finding.remedy);
    }
    if findings.len() > FINDINGS_SHOWN_MAX {
        let _ = writeln!(out, "  and {} more (--format json)", findings.len() - FINDINGS_SHOWN_MAX);
    }
    for part in result.part.walk() {
        for unread in part.unread.iter().take(3) {
            let at = unread.byte.map_or_else(String::new, |b| format!(" at byte {b}"));
            let _ = writeln!(out, "  not read: `{}`{at}: {}", part.name, unread.reason);
        }
    }
    tree(out, &result.part);
}

fn tree(out: &mut String, part: &Part) {
    if part.parts.is_empty() {
        return;
    }
    out.push_str("  what is inside:\n");
    let mut lines = 0;
    let mut waiting: Vec<(&Part, usize)> = part.parts.iter().rev().map(|p| (p, 1)).collect();
    while let Some((part, depth)) = waiting.pop() {
        if lines == TREE_LINES_MAX {
            let _ = writeln!(out, "    … (--format json has all)");
            return;
        }
        lines += 1;
        let mark = match part.verdict() {
            Verdict::Clean => ' ',
            Verdict::Inconclusive => '?',
            Verdict::Found => '!',
        };
        let _ = writeln!(
            out,
            "  {mark} {:indent$}{} ({}, {})",
            "",
            part.name,
            part.format,
            size(part.bytes),
            indent = depth * 2
        );
        waiting.extend(part.parts.iter().rev().map(|p| (p, depth + 1)));
    }
}

/// Bytes in a unit that reads well.
fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
    let b = bytes as f64;
    match bytes {
        0..=9_999 => format!("{bytes} bytes"),
        10_000..=9_999_999 => format!("{:.1} KiB", b / 1024.0),
        10_000_000..=9_999_999_999 => format!("{:.1} MiB", b / 1_048_576.0),
        _ => format!("{:.1} GiB", b / 1_073_741_824.0),
    }
}
