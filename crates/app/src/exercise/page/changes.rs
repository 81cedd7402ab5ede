//! Least plausible changes on the page: how many patients flip within which measurement error, and the rows of those who flip first.

use std::fmt::Write as _;

use attack::scorecard::{ChangeCell, ChangeRow, ChangedPatient, Scorecard, errors_text};

use super::{escape, share};

/// The section.
pub(super) fn changes(card: &Scorecard, out: &mut String) {
    if card.changes.is_empty() {
        return;
    }
    out.push_str("<section><h2>The least change that a patient could have</h2><p>Only values that a patient can have: declared ranges, whole numbers, codes; nothing that never changes is changed. The cost is in <b>measurement errors</b>: 1 is what a second measurement of the same patient may differ by.</p>");
    for row in &card.changes {
        one(card, row, out);
    }
    out.push_str("</section>");
}

fn one(card: &Scorecard, row: &ChangeRow, out: &mut String) {
    let put = match row.norm {
        attack::Norm::Linf => "the largest of the changed values",
        attack::Norm::L2 => "the changed values together (root of the sum of squares)",
        _ => "the sum over the changed values",
    };
    let _ = write!(
        out,
        "<h3>{} <span class=\"of\">({put})</span></h3><p>A plausible change flips <b>{} of {}</b> patients that the model gets right",
        escape(&row.label),
        row.flipped.hits,
        row.flipped.of
    );
    if let (Some(least), Some(median)) = (row.cost_min, row.cost_median) {
        let _ = write!(out, "; the least costs {}, the median {}", errors_text(least), errors_text(median));
    }
    let proof = match row.exact {
        0 => "Found by search: there may be cheaper ones.".to_owned(),
        n if n == row.flipped.of => "All are proven to be the least there is.".to_owned(),
        n => format!("{n} are proven to be the least there is; for the others there may be cheaper ones."),
    };
    let _ = write!(out, ". {proof}");
    if row.left_out > 0 {
        let _ = write!(out, " {} patients were left out: their own row breaks the rules.", row.left_out);
    }
    out.push_str("</p><div class=\"wide\"><table><thead><tr><th class=\"num\">Changes within<th class=\"num\">Still right<th>95% interval<th></tr></thead><tbody>");
    for level in row.levels.iter().filter(|l| l.stands.all.of > 0) {
        let _ = write!(
            out,
            "<tr><td class=\"num\">{}{}</tr>",
            errors_text(level.within),
            share(&level.stands.all)
        );
    }
    out.push_str("</tbody></table></div>");
    let shown: Vec<&ChangedPatient> = row.patients.iter().filter(|p| !p.cells.is_empty()).collect();
    if shown.is_empty() {
        return;
    }
    out.push_str("<div class=\"cases\">");
    shown.into_iter().for_each(|patient| case(card, patient, out));
    out.push_str("</div>");
}

fn case(card: &Scorecard, patient: &ChangedPatient, out: &mut String) {
    let Some(sample) = card.samples.get(patient.sample) else { return };
    let class = |c: Option<usize>| {
        c.and_then(|c| card.subject.classes.get(c)).map_or_else(|| "another class".to_owned(), |n| escape(n))
    };
    let group = sample.group.as_ref().map_or_else(String::new, |g| {
        format!(", {} {}", escape(card.subject.group.as_deref().unwrap_or("group")), escape(g))
    });
    let exact = if patient.exact { ", the least there is" } else { "" };
    let _ = write!(
        out,
        "<div class=\"case row\"><h3>Row {}{group}</h3><p>{} → <b>{}</b> by {}{exact}</p>",
        sample.row,
        class(Some(sample.label)),
        class(patient.seen),
        errors_text(patient.cost.unwrap_or_default())
    );
    cells(&patient.cells, out);
    out.push_str("</div>");
}

fn cells(cells: &[ChangeCell], out: &mut String) {
    out.push_str("<div class=\"wide\"><table><thead><tr><th>Finding<th class=\"num\">Before<th class=\"num\">After<th>Unit<th class=\"num\">Measurement errors</tr></thead><tbody>");
    for cell in cells.iter().filter(|c| c.errors > 0.0) {
        let _ = write!(
            out,
            "<tr><td>{}<td class=\"num\">{}<td class=\"num changed\">{}<td>{}<td class=\"num\">{:.2}</tr>",
            escape(&cell.name),
            cell.before,
            cell.after,
            unit(cell),
            cell.errors
        );
    }
    out.push_str("</tbody></table></div>");
    let same: Vec<String> = cells
        .iter()
        .filter(|c| c.errors <= 0.0)
        .map(|c| format!("{} {} {}", escape(&c.name), c.before, unit(c)).trim_end().to_owned())
        .collect();
    if !same.is_empty() {
        let _ = write!(
            out,
            "<details><summary>{} values unchanged</summary><p class=\"same\">{}</p></details>",
            same.len(),
            same.join(" · ")
        );
    }
}

fn unit(cell: &ChangeCell) -> String {
    if cell.unit == "1" { String::new() } else { escape(&cell.unit) }
}
