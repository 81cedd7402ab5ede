//! A scorecard as one HTML page that needs nothing else: no network, no script; for the screen, in the dark, and on paper.

mod cases;
mod changes;
mod chart;
mod conditions;
mod picture;
mod studies;
mod through;
mod words;

use std::fmt::Write as _;

use attack::scorecard::{Breakdown, Note, Scorecard, Share, Worst, budget_text};
use base64::Engine as _;
use domain::Digest;

/// Look of the page. Colours are told apart by people who see few; every colour is said in words as well.
pub(crate) const STYLE: &str = include_str!("page.css");

/// The content security policy of the page: its own style, by digest, and pictures that it holds itself. No script, no connection, no form. For this to
/// hold, the page has no `style` attribute anywhere: lengths are attributes of SVG.
pub fn policy() -> String {
    let digest = base64::engine::general_purpose::STANDARD.encode(Digest::of(STYLE.as_bytes()).as_bytes());
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
}

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The page.
pub fn page(card: &Scorecard) -> String {
    let mut out = String::with_capacity(64 << 10);
    let title =
        format!("Exercise scorecard: {}", card.subject.system.as_deref().unwrap_or(&card.subject.model));
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\
         <title>{}</title><style>{STYLE}</style></head><body><main>",
        policy(),
        escape(&title)
    );
    head(card, &title, &mut out);
    words::headline(card, &mut out);
    notes("Read first", "warn", &card.warnings, &mut out);
    notes("What to do", "todo", &card.advice, &mut out);
    chart::charts(card, &mut out);
    table(card, &mut out);
    through::through(card, &mut out);
    breakdown(card, &mut out);
    conditions::conditions(card, &mut out);
    changes::changes(card, &mut out);
    studies::studies(card, &mut out);
    cases::cases(card, &mut out);
    notes("Not finished", "warn", &card.faults, &mut out);
    notes("Not run on this model", "", &card.skipped, &mut out);
    words::reading(card, &mut out);
    out.push_str("</main></body></html>\n");
    out
}

fn head(card: &Scorecard, title: &str, out: &mut String) {
    let state = if card.complete { "complete" } else { "not complete" };
    let access = match card.subject.access {
        attack::evasion::Access::Gradients => "the model file itself",
        attack::evasion::Access::Scores => "scores only",
        attack::evasion::Access::Labels => "decisions only",
    };
    let _ = write!(
        out,
        "<header><h1>{}</h1><p class=\"sub\">Suite <b>{}</b> version {} · {} · attackers saw {access} · <b class=\"{}\">{state}</b></p></header>",
        escape(title),
        escape(&card.suite.title),
        card.suite.version,
        escape(&format!("{}, {}", card.subject.data, card.subject.rows)),
        if card.complete { "ok" } else { "bad" },
    );
}

fn notes(title: &str, class: &str, notes: &[Note], out: &mut String) {
    if notes.is_empty() {
        return;
    }
    let _ = write!(out, "<section class=\"notes {class}\"><h2>{title}</h2><ul>");
    for note in notes {
        let _ = write!(out, "<li><b>{}</b>: {}</li>", escape(&note.about), escape(&note.text));
    }
    out.push_str("</ul></section>");
}

/// A share with its interval and a bar.
fn share(share: &Share) -> String {
    format!(
        "<td class=\"num\">{:.0}%</td><td class=\"int\">{:.0} to {:.0}</td><td class=\"bar\"><svg viewBox=\"0 0 100 9\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"{:.1}\" height=\"9\"/></svg></td>",
        100.0 * share.share,
        100.0 * share.low,
        100.0 * share.high,
        100.0 * share.share
    )
}

fn table(card: &Scorecard, out: &mut String) {
    if card.rows.is_empty() {
        return;
    }
    out.push_str(
        "<section><h2>Every attack at every budget</h2><div class=\"wide\"><table><thead><tr><th>Attack<th>Change of<th class=\"num\">Budget<th class=\"num\">Still right<th>95% interval<th><th class=\"num\">Fell<th class=\"num\">Queries a patient</tr></thead><tbody>",
    );
    let _ = write!(out, "<tr class=\"clean\"><td>no attack<td><td>{}<td><td></tr>", share(&card.clean.all));
    for row in card.rows.iter().filter(|r| r.robust.all.of > 0) {
        let queries = if row.queries_median > 0 { row.queries_median.to_string() } else { String::new() };
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td class=\"num\">{}{}<td class=\"num\">{} of {}<td class=\"num\">{queries}</tr>",
            escape(&row.label),
            words::norm(row.norm),
            budget_text(&card.subject.kind, row.norm, row.epsilon),
            share(&row.robust.all),
            row.fell.hits,
            row.fell.of
        );
    }
    for worst in card.worst.iter().filter(|w| w.robust.all.of > 0) {
        let fell = worst.flags.bytes().filter(|f| *f == b'0').count();
        let _ = write!(
            out,
            "<tr class=\"worst\"><td>worst case<td>{}<td class=\"num\">{}{}<td class=\"num\">{fell}<td></tr>",
            words::norm(worst.norm),
            budget_text(&card.subject.kind, worst.norm, worst.epsilon),
            share(&worst.robust.all)
        );
    }
    out.push_str("</tbody></table></div></section>");
}

/// Classes and subgroups, without an attack and at the worst of each budget.
fn breakdown(card: &Scorecard, out: &mut String) {
    let worst: Vec<&Worst> = card.worst.iter().filter(|w| w.robust.all.of > 0).take(12).collect();
    if worst.is_empty() {
        return;
    }
    out.push_str("<section><h2>Who is hit</h2><p>Share of patients still answered rightly when the worst of all attacks is taken.</p><div class=\"wide\"><table><thead><tr><th>Patients<th class=\"num\">No attack");
    for w in &worst {
        let budget = budget_text(&card.subject.kind, w.norm, w.epsilon);
        let _ = write!(
            out,
            "<th class=\"num\">{}<br>{}",
            words::norm(w.norm),
            budget.trim_end_matches(" of range")
        );
    }
    out.push_str("</tr></thead><tbody>");
    let mut line = |name: &str, of: &dyn Fn(&Breakdown) -> Option<Share>| {
        let Some(clean) = of(&card.clean).filter(|s| s.of > 0) else { return };
        let cell = |s: &Share| {
            format!(
                "<td class=\"num\" title=\"{} of {}, 95% interval {:.0} to {:.0}\">{:.0}%",
                s.hits,
                s.of,
                100.0 * s.low,
                100.0 * s.high,
                100.0 * s.share
            )
        };
        let _ =
            write!(out, "<tr><td>{} <span class=\"of\">({})</span>{}", escape(name), clean.of, cell(&clean));
        for w in &worst {
            out.push_str(&of(&w.robust).map_or_else(|| "<td>".to_owned(), |s| cell(&s)));
        }
        out.push_str("</tr>");
    };
    line("all", &|b| Some(b.all));
    for (n, name) in card.subject.classes.iter().enumerate() {
        line(&words::class(name), &|b| b.classes.get(n).copied());
    }
    for name in card.clean.groups.keys() {
        let shown = format!("{} {name}", card.subject.group.as_deref().unwrap_or("group"));
        line(&shown, &|b| b.groups.get(name).copied());
    }
    out.push_str("</tbody></table></div></section>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_stay_text() {
        assert_eq!(escape("<b>\"&'"), "&lt;b&gt;&quot;&amp;&#39;");
    }
}
