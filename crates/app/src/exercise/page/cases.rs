//! Patients whose answer flips with the least change: images side by side, rows of tables with the changed cells marked.

use std::fmt::Write as _;

use attack::scorecard::{Cell, Exhibit, Sample, Scorecard, View, budget_text, trim};

use super::escape;
use super::picture::Picture;

/// All exhibits, least change first.
pub(super) fn cases(card: &Scorecard, out: &mut String) {
    if card.exhibits.is_empty() {
        return;
    }
    let what = match card.exhibits.first().map(|e| &e.view) {
        Some(View::Image { .. }) => {
            "Original, changed image, and what differs (enlarged around middle grey)."
        }
        _ => "The patient's row in clinical units; changed cells are marked.",
    };
    let _ =
        write!(out, "<section><h2>Who flips with the least change</h2><p>{what}</p><div class=\"cases\">");
    for exhibit in &card.exhibits {
        let Some(sample) = card.samples.get(exhibit.sample) else { continue };
        case(card, exhibit, sample, out);
    }
    out.push_str("</div></section>");
}

fn class(card: &Scorecard, class: Option<usize>) -> String {
    class
        .and_then(|c| card.subject.classes.get(c))
        .map_or_else(|| "another class".to_owned(), |name| escape(name))
}

fn case(card: &Scorecard, exhibit: &Exhibit, sample: &Sample, out: &mut String) {
    let row = if matches!(exhibit.view, View::Table { .. }) { " row" } else { "" };
    let group = sample.group.as_ref().map_or_else(String::new, |g| {
        format!(", {} {}", escape(card.subject.group.as_deref().unwrap_or("group")), escape(g))
    });
    let size = match (card.subject.kind.as_str(), exhibit.norm) {
        ("image", attack::Norm::Linf) => format!("{} of 255 grey levels", trim(exhibit.distance * 255.0)),
        (kind, norm) => budget_text(kind, norm, exhibit.distance),
    };
    let _ = write!(
        out,
        "<div class=\"case{row}\"><h3>Row {}{group}</h3><p>{} → <b>{}</b> by {size} ({})</p>",
        sample.row,
        class(card, Some(sample.label)),
        class(card, exhibit.seen),
        escape(&exhibit.label)
    );
    match &exhibit.view {
        View::Image { before, after } => images(card, before, after, out),
        View::Table { cells } => table(cells, out),
    }
    out.push_str("</div>");
}

fn images(card: &Scorecard, before: &str, after: &str, out: &mut String) {
    let shape = &card.subject.shape;
    let (Some(before), Some(after)) = (Picture::parse(before, shape), Picture::parse(after, shape)) else {
        return;
    };
    let (difference, factor) = before.difference(&after);
    out.push_str("<div class=\"trio\">");
    let named = [
        (before, "original".to_owned()),
        (after, "changed".to_owned()),
        (difference, format!("difference × {factor}")),
    ];
    for (picture, name) in named {
        if let Some(address) = picture.address() {
            let _ = write!(
                out,
                "<figure><img src=\"{address}\" alt=\"{name}\"><figcaption>{name}</figcaption></figure>"
            );
        }
    }
    out.push_str("</div>");
}

/// Changed cells first, largest change first; the others are folded away.
fn table(cells: &[Cell], out: &mut String) {
    let changed: Vec<&Cell> = cells.iter().filter(|c| c.before != c.after).collect();
    let same: Vec<&Cell> = cells.iter().filter(|c| c.before == c.after).collect();
    out.push_str("<div class=\"wide\"><table><thead><tr><th>Finding<th class=\"num\">Before<th class=\"num\">After<th class=\"num\">Change<th>Unit</tr></thead><tbody>");
    for cell in &changed {
        let _ = write!(
            out,
            "<tr><td>{}<td class=\"num\">{}<td class=\"num changed\">{}<td class=\"num\">{:+}<td>{}</tr>",
            escape(&cell.name),
            cell.before,
            cell.after,
            rounded(cell.after - cell.before),
            unit(&cell.unit)
        );
    }
    out.push_str("</tbody></table></div>");
    if !same.is_empty() {
        let list: Vec<String> = same
            .iter()
            .map(|c| format!("{} {} {}", escape(&c.name), c.before, unit(&c.unit)).trim_end().to_owned())
            .collect();
        let _ = write!(
            out,
            "<details><summary>{} values unchanged</summary><p class=\"same\">{}</p></details>",
            same.len(),
            list.join(" · ")
        );
    }
}

fn unit(unit: &str) -> String {
    if unit == "1" { String::new() } else { escape(unit) }
}

/// A change to four significant digits.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 10_f64.powf(3.0 - value.abs().log10().floor());
    if digits.is_finite() { (value * digits).round() / digits } else { value }
}
