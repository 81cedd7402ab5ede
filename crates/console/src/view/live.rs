//! The live page: one screen that says what is going on.

use app::overview::{Overview, Serving};
use maud::{Markup, html};

use super::icons::{Icon, chip, icon};
use super::words::{Tone, ends, moment, things};
use super::{Viewer, alarms, clients, part, rehearsal, systems, traffic};

/// The live parts.
pub(crate) fn fragments(all: &Overview, viewer: &Viewer<'_>) -> Vec<(&'static str, Markup)> {
    vec![
        ("summary", summary(all)),
        ("ledger", ledger(all)),
        ("rehearsal", rehearsal::panel(&all.rehearsal)),
        ("alarms", alarms::panel(&all.alarms, viewer)),
        ("systems", systems::panel(&all.systems)),
        ("traffic", traffic::panel(&all.decisions, &all.rejected, viewer)),
        ("clients", clients::panel(&all.clients, viewer)),
    ]
}

/// The page's `main`.
pub(crate) fn body(all: &Overview, fragments: &[(&'static str, Markup)]) -> Markup {
    let put = |id: &str| html! { @if let Some(markup) = part(fragments, id) { (markup) } };
    html! {
        div class="head" {
            div {
                h1 { (all.hospital) }
                (put("summary"))
            }
            (put("ledger"))
        }
        div class="board" {
            (put("rehearsal"))
            (put("alarms"))
            (put("systems"))
            (put("traffic"))
            (put("clients"))
        }
    }
}

/// The state of the house in a few words. Holds nothing that ticks, since screen readers read it out on every change.
fn summary(all: &Overview) -> Markup {
    let answering =
        all.systems.iter().filter(|s| matches!(s.serving, Serving::Open | Serving::Fallback { .. })).count();
    let all_answer = answering == all.systems.len();
    let waiting = all.alarms.iter().filter(|a| a.acknowledged_by.is_none()).count() as u64;
    let told = rehearsal::told(&all.rehearsal);
    html! {
        div id="summary" class="summary" role="status" aria-live="polite" aria-atomic="true" {
            (chip(
                if all_answer { Tone::Good } else { Tone::Care },
                if all_answer { Icon::Check } else { Icon::Care },
                &format!("{answering} of {} answer", things(all.systems.len() as u64, "system", "systems")),
            ))
            (chip(
                if waiting == 0 { Tone::Good } else { Tone::Bad },
                if waiting == 0 { Icon::Check } else { Icon::Bell },
                &if waiting == 0 { "no alarm waits".to_owned() } else { format!("{} for somebody", waits(waiting)) },
            ))
            @if let Some((tone, picture, words)) = told { (chip(tone, picture, &words)) }
        }
    }
}

fn waits(n: u64) -> String {
    format!("{} {}", things(n, "alarm", "alarms"), if n == 1 { "waits" } else { "wait" })
}

fn ledger(all: &Overview) -> Markup {
    let head = &all.ledger;
    html! {
        section id="ledger" class="ledger" aria-labelledby="ledger-title" {
            h2 id="ledger-title" { (icon(Icon::Chain)) "Ledger" }
            p {
                @if let Some(last) = head.size.checked_sub(1) {
                    a href={ "/receipts/" (last) } { (things(head.size, "entry", "entries")) }
                } @else { "empty" }
                ", root " code title=(head.root) { (ends(&head.root)) } }
            p {
                @match head.verified_at {
                    Some(at) => { (icon(Icon::Check)) "verified end to end " (moment(at)) }
                    None => { (icon(Icon::Ring)) "not verified since the start" }
                }
            }
        }
    }
}
