//! What the guards saw, in words for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use attack::scorecard::{Scorecard, budget_text};

fn by(counts: &BTreeMap<String, usize>) -> String {
    let mut all: Vec<(&String, &usize)> = counts.iter().collect();
    all.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let all: Vec<String> = all.iter().map(|(name, n)| format!("{name} {n}")).collect();
    all.join(", ")
}

/// The section; nothing for exercises that asked the model itself.
pub(super) fn through(card: &Scorecard, out: &mut String) {
    let Some(gateway) = &card.gateway else { return };
    let _ = writeln!(
        out,
        "\nThrough the gateway: {} {} a run, {} clean queries remembered before it, limits of clients {}",
        gateway.keys,
        if gateway.keys == 1 { "key" } else { "keys" },
        gateway.remembered,
        gateway.limits
    );
    if !gateway.rows.is_empty() {
        let _ = writeln!(
            out,
            "{:<24} {:<5} {:>14}  {:>8} {:>8} {:>16} {:>9} {:>9} {:>8}  FIRST SEEN BY",
            "RUNS", "NORM", "BUDGET", "SEEN", "BEFORE", "AT QUERY", "SUCCEEDED", "SLIPPED", "REFUSED"
        );
    }
    for row in &gateway.rows {
        let first =
            row.first_seen.map_or_else(String::new, |q| format!("{} ({} to {})", q.median, q.low, q.high));
        let _ = writeln!(
            out,
            "{:<24} {:<5} {:>14}  {:>8} {:>7.0}% {:>16} {:>9} {:>9} {:>7.0}%  {}",
            row.label,
            row.norm.as_str(),
            budget_text(&card.subject.kind, row.norm, row.epsilon),
            format!("{}/{}", row.seen.hits, row.seen.of),
            100.0 * row.before_success.share,
            first,
            format!("{}/{}", row.succeeded.hits, row.succeeded.of),
            format!("{}/{}", row.slipped.hits, row.slipped.of),
            100.0 * row.blocked,
            by(&row.by)
        );
    }
    for row in &gateway.singles {
        let _ = writeln!(
            out,
            "sent once: {} {} {}: {} of {} seen, {} refused  {}",
            row.label,
            row.norm.as_str(),
            budget_text(&card.subject.kind, row.norm, row.epsilon),
            row.seen.hits,
            row.seen.of,
            row.blocked,
            by(&row.by)
        );
    }
    for row in &gateway.clean {
        let _ = writeln!(
            out,
            "clean rows, {}: {} of {} requests with an alarm ({:.1}%), {} refused  {}",
            row.who,
            row.alarms.hits,
            row.alarms.of,
            100.0 * row.alarms.share,
            row.blocked,
            by(&row.by)
        );
    }
}
