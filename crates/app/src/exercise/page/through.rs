//! What the guards saw, for exercises that went through a gateway.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use attack::scorecard::{Gateway, Scorecard, Share, budget_text};

use super::{escape, words};

/// The section; nothing for exercises that asked the model itself.
pub(super) fn through(card: &Scorecard, out: &mut String) {
    let Some(gateway) = &card.gateway else { return };
    let limits = if gateway.limits == "lifted" {
        "Rates and daily budgets of clients were lifted, so that the guards alone are measured."
    } else {
        "Rates and daily budgets of clients applied as configured."
    };
    let keys = if gateway.keys == 1 {
        "one key of its own".to_owned()
    } else {
        format!("{} keys of its own, in turn", gateway.keys)
    };
    let _ = write!(
        out,
        "<section><h2>What the guards saw</h2><p>Every query went through the gateway. A run is everything asked about one patient at one budget, with {keys}; before it \
         the guards remembered {} clean queries. {limits} A run is <b>seen</b> when a guard flags or blocks one of its queries, and <b>slipped through</b> when it got a \
         wrong answer within the budget before that.</p>",
        gateway.remembered
    );
    runs(card, gateway, out);
    singles(card, gateway, out);
    clean(gateway, out);
    modes(gateway, out);
    out.push_str("</section>");
}

fn of(share: &Share) -> String {
    format!("{} of {}", share.hits, share.of)
}

/// `query-similarity 12, pixel-noise 3`.
fn by(counts: &BTreeMap<String, usize>) -> String {
    let mut all: Vec<(&String, &usize)> = counts.iter().collect();
    all.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let all: Vec<String> = all.iter().map(|(name, n)| format!("{} {n}", escape(name))).collect();
    all.join(", ")
}

fn runs(card: &Scorecard, gateway: &Gateway, out: &mut String) {
    if gateway.rows.is_empty() {
        return;
    }
    out.push_str(
        "<div class=\"wide\"><table><thead><tr><th>Attack<th>Change of<th class=\"num\">Budget<th class=\"num\">Seen<th class=\"num\">Seen before it succeeded<th class=\"num\">First seen at query<th>First seen by<th class=\"num\">Succeeded<th class=\"num\">Slipped through<th class=\"num\">Queries refused</tr></thead><tbody>",
    );
    for row in &gateway.rows {
        let first = row.first_seen.map_or_else(String::new, |q| {
            format!("{} <span class=\"of\">({} to {})</span>", q.median, q.low, q.high)
        });
        let patients: Vec<String> = row
            .slipped_samples
            .iter()
            .filter_map(|s| card.samples.get(*s))
            .take(50)
            .map(|s| s.row.to_string())
            .collect();
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td class=\"num\">{}<td class=\"num\">{}<td class=\"num\">{:.0}%<td class=\"num\">{first}<td>{}<td class=\"num\">{}<td class=\"num\" title=\"rows {}\">{}<td class=\"num\">{:.0}%</tr>",
            escape(&row.label),
            words::norm(row.norm),
            budget_text(&card.subject.kind, row.norm, row.epsilon),
            of(&row.seen),
            100.0 * row.before_success.share,
            by(&row.by),
            of(&row.succeeded),
            patients.join(" "),
            of(&row.slipped),
            100.0 * row.blocked
        );
    }
    out.push_str("</tbody></table></div>");
}

fn singles(card: &Scorecard, gateway: &Gateway, out: &mut String) {
    if gateway.singles.is_empty() {
        return;
    }
    out.push_str(
        "<h3>Sent once</h3><p>The altered rows that were found, each sent in one request by a client that never asked before.</p><div class=\"wide\"><table><thead><tr><th>Attack<th>Change of<th class=\"num\">Budget at which found<th class=\"num\">Seen<th class=\"num\">95% interval<th class=\"num\">Refused<th>By</tr></thead><tbody>",
    );
    for row in &gateway.singles {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td class=\"num\">{}<td class=\"num\">{}<td class=\"num\">{:.0} to {:.0}<td class=\"num\">{}<td>{}</tr>",
            escape(&row.label),
            words::norm(row.norm),
            budget_text(&card.subject.kind, row.norm, row.epsilon),
            of(&row.seen),
            100.0 * row.seen.low,
            100.0 * row.seen.high,
            row.blocked,
            by(&row.by)
        );
    }
    out.push_str("</tbody></table></div>");
}

fn clean(gateway: &Gateway, out: &mut String) {
    out.push_str(
        "<h3>False alarms</h3><p>Held-out rows as they are, as many requests as the longest kind of run.</p><div class=\"wide\"><table><thead><tr><th>Who asked<th class=\"num\">Different rows<th class=\"num\">Requests with an alarm<th class=\"num\">Share<th class=\"num\">Refused<th>By<th class=\"num\">First at</tr></thead><tbody>",
    );
    for row in &gateway.clean {
        let _ = write!(
            out,
            "<tr><td>{}<td class=\"num\">{}<td class=\"num\">{}<td class=\"num\">{:.1}%<td class=\"num\">{}<td>{}<td class=\"num\">{}</tr>",
            escape(&row.who),
            row.rows,
            of(&row.alarms),
            100.0 * row.alarms.share,
            row.blocked,
            by(&row.by),
            row.first.map_or_else(String::new, |n| n.to_string())
        );
    }
    out.push_str("</tbody></table></div>");
}

fn modes(gateway: &Gateway, out: &mut String) {
    let mut beside: BTreeMap<&str, usize> = BTreeMap::new();
    for (guard, runs) in gateway.rows.iter().flat_map(|r| &r.beside) {
        *beside.entry(guard).or_insert(0) += runs;
    }
    let modes: Vec<String> =
        gateway.guards.iter().map(|(name, mode)| format!("{} ({mode})", escape(name))).collect();
    let _ = write!(out, "<p class=\"sub\">Guards: {}.", modes.join(", "));
    for (guard, runs) in beside {
        let _ = write!(
            out,
            " {} spoke in {runs} runs as well; it only observes, or doubts answers instead of looking for attacks, and is not counted.",
            escape(guard)
        );
    }
    out.push_str("</p>");
}
