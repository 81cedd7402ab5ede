//! Everyday conditions on the page: a table of families by severity, coloured by what they cost, and accuracy against severity.

use std::fmt::Write as _;

use attack::Norm;
use attack::scorecard::{ConditionMean, ConditionRow, Curve, Scorecard, Share, trim};

use super::chart::{LINES, MARGIN, SIZE, Scale, grid, key, line};
use super::{escape, words};

/// Families drawn beside the mean: those that cost most.
const DRAWN: usize = 5;
/// Loss of accuracy from which on a cell has the next darker colour.
const SHADES: [f64; 5] = [0.02, 0.05, 0.1, 0.2, 0.3];

/// The section.
pub(super) fn conditions(card: &Scorecard, out: &mut String) {
    if card.conditions.is_empty() {
        return;
    }
    let mut means: Vec<&ConditionMean> = card.condition_means.iter().collect();
    let cost = |m: &ConditionMean| m.difference.unwrap_or(f64::INFINITY);
    means.sort_by(|a, b| cost(a).total_cmp(&cost(b)).then(a.condition.cmp(&b.condition)));
    out.push_str("<section><h2>Everyday conditions</h2><p>Nobody attacks here: the same patients, as cameras, archives, laboratories and people deliver them on a bad day. The share still answered rightly, the costliest condition first; the stronger the colour of a cell, the more is lost.");
    undisturbed(card, out);
    out.push_str("</p>");
    chart(card, &means, out);
    heat(card, &means, out);
    hit(card, &means, out);
    out.push_str("</section>");
}

fn undisturbed(card: &Scorecard, out: &mut String) {
    let Some(quality) = &card.quality else { return };
    let mut said = Vec::new();
    if let Some(auc) = quality.auc {
        let interval = quality
            .auc_interval
            .map_or_else(String::new, |(low, high)| format!(" (95% interval {low:.2} to {high:.2})"));
        said.push(format!("ranks with an area under the curve of {auc:.2}{interval}"));
    }
    if let Some(confidence) = quality.confidence {
        let right = 100.0 * card.clean.all.share;
        said.push(format!(
            "gives its answers a probability of {:.0}% on average, and is right about {right:.0}%",
            100.0 * confidence
        ));
    }
    if !said.is_empty() {
        let _ = write!(out, " Undisturbed, the model {}.", said.join("; it "));
    }
}

fn rows_of<'a>(card: &'a Scorecard, mean: &ConditionMean) -> Vec<&'a ConditionRow> {
    card.conditions.iter().filter(|r| r.condition == mean.condition).collect()
}

/// How dark a cell is.
fn shade(row: &ConditionRow) -> usize {
    SHADES.iter().filter(|s| -row.difference >= **s).count()
}

fn heat(card: &Scorecard, means: &[&ConditionMean], out: &mut String) {
    let most = means.iter().map(|m| rows_of(card, m).len()).max().unwrap_or(0);
    let guards = card.conditions.iter().any(|r| r.seen_by_guards.is_some());
    out.push_str("<div class=\"wide\"><table class=\"heat\"><thead><tr><th>Condition");
    for n in 1..=most {
        let _ = write!(out, "<th class=\"num\">{}{n}", if n == 1 { "Severity " } else { "" });
    }
    out.push_str("<th class=\"num\">Mean<th class=\"num\">Change<th class=\"num\">AUC<th class=\"num\">Calibration error<th class=\"num\">Brier");
    if guards {
        out.push_str("<th class=\"num\">Guards saw");
    }
    out.push_str("</tr></thead><tbody>");
    let number = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{v:.2}"));
    let quality = card.quality.as_ref();
    let _ = write!(
        out,
        "<tr class=\"clean\"><td>undisturbed{}<td class=\"num\">{:.0}%<td><td class=\"num\">{}<td class=\"num\">{}<td class=\"num\">{}{}</tr>",
        "<td>".repeat(most),
        100.0 * card.clean.all.share,
        number(quality.and_then(|q| q.auc)),
        number(quality.and_then(|q| q.calibration_error)),
        number(quality.and_then(|q| q.brier)),
        if guards { "<td>" } else { "" }
    );
    for mean in means {
        let rows = rows_of(card, mean);
        let what = attack::corruption::find(&mean.family).map_or("", |f| f.entry.summary());
        let _ = write!(out, "<tr><td title=\"{}\">{}", escape(what), escape(&mean.label));
        for n in 0..most {
            out.push_str(&rows.get(n).map_or_else(|| "<td>".to_owned(), |r| cell(r)));
        }
        let _ = write!(
            out,
            "<td class=\"num\">{}<td class=\"num\">{}<td class=\"num\">{}<td class=\"num\">{}<td class=\"num\">{}",
            mean.right.map_or_else(String::new, |v| format!("{:.0}%", 100.0 * v)),
            mean.difference.map_or_else(String::new, |v| format!("{:+.0}", 100.0 * v)),
            number(mean.auc),
            number(mean.calibration_error),
            number(mean.brier)
        );
        if guards {
            let seen: Vec<&Share> = rows.iter().filter_map(|r| r.seen_by_guards.as_ref()).collect();
            let (hits, of) = (seen.iter().map(|s| s.hits).sum(), seen.iter().map(|s| s.of).sum());
            let _ = write!(out, "<td class=\"num\">{:.0}%", 100.0 * Share::new(hits, of).share);
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
}

fn cell(row: &ConditionRow) -> String {
    let all = &row.right.all;
    let mut title = format!(
        "{}: {} of {}, 95% interval {:.0} to {:.0}; lost {}, gained {}",
        if row.level.severity.is_some() {
            format!("{}, strength {}", row.level.text(), trim(row.level.strength))
        } else {
            row.level.text()
        },
        all.hits,
        all.of,
        100.0 * all.low,
        100.0 * all.high,
        row.lost,
        row.gained
    );
    if row.unanswered > 0 {
        let _ = write!(title, "; {} without an answer", row.unanswered);
    }
    if let Some(auc) = row.quality.as_ref().and_then(|q| q.auc) {
        let _ = write!(title, "; AUC {auc:.2}");
    }
    let text = if all.of == 0 { "no answer".to_owned() } else { format!("{:.0}%", 100.0 * all.share) };
    format!("<td class=\"num d{}\" title=\"{}\">{text}", shade(row), escape(&title))
}

/// Accuracy against severity: the families that cost most, and the mean of all that have a severity there.
fn chart(card: &Scorecard, means: &[&ConditionMean], out: &mut String) {
    let severe = |m: &&&ConditionMean| {
        let rows = rows_of(card, m);
        rows.len() > 1 && rows.iter().all(|r| r.level.severity.is_some() && r.right.all.of > 0)
    };
    let drawn: Vec<&&ConditionMean> = means.iter().filter(severe).collect();
    let largest = card.conditions.iter().filter_map(|r| r.level.severity).max().unwrap_or(0);
    if drawn.is_empty() || largest < 2 {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "severities are 1 to 5")]
    let scale = Scale { largest: largest as f64 };
    out.push_str("<div class=\"charts\"><figure>");
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"accuracy against severity; the figures are in the table below\">",
        SIZE.0, SIZE.1
    );
    grid(out);
    let bottom = SIZE.1 - MARGIN.3;
    for n in 0..=largest {
        let x = scale.x(n as f64);
        let name = if n == 0 { "none".to_owned() } else { n.to_string() };
        let _ = write!(
            out,
            "<path class=\"axis\" d=\"M{x:.1} {bottom}v4\"/><text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text>",
            bottom + 17.0
        );
    }
    let _ = write!(
        out,
        "<path class=\"axis\" d=\"M{} {bottom}H{}\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">severity</text>",
        MARGIN.0,
        SIZE.0 - MARGIN.2,
        f64::midpoint(MARGIN.0, SIZE.0 - MARGIN.2),
        bottom + 36.0
    );
    let mut legend = String::new();
    for (n, mean) in drawn.iter().take(DRAWN).enumerate() {
        let (colour, dash) = LINES[n % LINES.len()];
        let points = rows_of(card, mean)
            .iter()
            .filter_map(|r| r.level.severity.map(|s| (s as f64, r.right.all)))
            .collect();
        line(&curve(card, &mean.label, points), &scale, colour, dash, 1.8, out);
        let _ = write!(legend, "{}{} &nbsp; ", key(colour, dash), escape(&mean.label));
    }
    let points = (1..=largest).filter_map(|severity| {
        let rows =
            card.conditions.iter().filter(|r| r.level.severity == Some(severity) && r.right.all.of > 0);
        let shares: Vec<Share> = rows.map(|r| r.right.all).collect();
        Share::mean(&shares).map(|mean| (severity as f64, mean))
    });
    line(&curve(card, "mean of all conditions", points.collect()), &scale, "var(--fg)", "none", 3.0, out);
    let _ = write!(
        out,
        "</svg><figcaption>Share right. {legend}{}mean of all conditions that have the severity</figcaption></figure></div>",
        key("var(--fg)", "none")
    );
}

fn curve(card: &Scorecard, label: &str, points: Vec<(f64, Share)>) -> Curve {
    let points = std::iter::once((0.0, card.clean.all)).chain(points).collect();
    Curve { label: label.to_owned(), norm: Norm::Linf, points }
}

/// Classes and subgroups at the worst strength of each condition, folded away.
fn hit(card: &Scorecard, means: &[&ConditionMean], out: &mut String) {
    let columns = card.subject.classes.len() + card.clean.groups.len();
    if !(2..=24).contains(&columns) {
        return;
    }
    out.push_str("<details><summary>Who is hit: classes and subgroups at the worst severity of each condition</summary><div class=\"wide\"><table><thead><tr><th>Condition<th>Severity");
    for name in &card.subject.classes {
        let _ = write!(out, "<th class=\"num\">{}", escape(&words::class(name)));
    }
    let group = card.subject.group.as_deref().unwrap_or("group");
    for name in card.clean.groups.keys() {
        let _ = write!(out, "<th class=\"num\">{} {}", escape(group), escape(name));
    }
    out.push_str("</tr></thead><tbody>");
    let mut add = |name: &str, level: &str, right: &attack::scorecard::Breakdown| {
        let _ = write!(out, "<tr><td>{}<td>{}", escape(name), escape(level));
        let groups = card.clean.groups.keys().map(|g| right.groups.get(g));
        for share in right.classes.iter().map(Some).chain(groups) {
            let text = share.filter(|s| s.of > 0);
            let text = text.map_or_else(String::new, |s| format!("{:.0}%", 100.0 * s.share));
            let _ = write!(out, "<td class=\"num\">{text}");
        }
        out.push_str("</tr>");
    };
    add("undisturbed", "", &card.clean);
    for mean in means {
        let worst = rows_of(card, mean).into_iter().min_by(|a, b| a.difference.total_cmp(&b.difference));
        if let Some(row) = worst {
            add(&row.label, row.level.text().trim_start_matches("severity "), &row.right);
        }
    }
    out.push_str("</tbody></table></div></details>");
}
