//! The AI systems as cards: whether each answers and why not, with which version, behind which guards, and what it says.

use app::overview::{GuardLine, Serving, SystemCard};
use maud::{Markup, html};

use super::icons::{Icon, chip};
use super::words::{Tone, count, micros};
use super::{charts, gate};

/// The panel.
pub(crate) fn panel(systems: &[SystemCard]) -> Markup {
    html! {
        section id="systems" class="bare" aria-labelledby="systems-title" tabindex="-1" {
            header { h2 id="systems-title" { "AI systems" } }
            div class="cards" { @for card in systems { (one(card)) } }
            @if systems.is_empty() { p class="empty" { "No system is declared that you may see." } }
        }
    }
}

/// How a system's serving state looks.
pub(crate) fn state(serving: &Serving) -> Markup {
    match serving {
        Serving::Open => chip(Tone::Good, Icon::Check, "answering"),
        Serving::Fallback { .. } => chip(Tone::Care, Icon::Back, "answering with the last admitted version"),
        Serving::Shut { .. } => chip(Tone::Bad, Icon::Cross, "gate shut, not answering"),
        Serving::Suspended { .. } => chip(Tone::Stop, Icon::Pause, "suspended, not answering"),
    }
}

/// Why a system does not answer with its present version; nothing when it does.
pub(crate) fn reason(card: &SystemCard) -> Markup {
    html! {
        @match &card.serving {
            Serving::Open => {}
            Serving::Suspended { by, reason } => p class="reason" { "Stopped by " b { (by) } ": “" (reason) "”" },
            Serving::Shut { because } | Serving::Fallback { because } => p class="reason" {
                "The present version is kept out by "
                @for (i, id) in because.iter().enumerate() {
                    @if i > 0 { ", " }
                    a href={ "/catalogue/" (id) } { (id) }
                    @if let Some(control) = card.gate.controls.iter().find(|c| c.control == *id) { " (" (control.title) ")" }
                }
                "."
            },
        }
    }
}

/// The guards with their modes.
fn guards(guards: &[GuardLine]) -> Markup {
    html! {
        ul class="guards" aria-label="Guards and what each may do" {
            @for guard in guards {
                li { a href={ "/catalogue/" (guard.check) } { (guard.name) } " " span class={ "mode mode-" (guard.mode) } { (guard.mode) } }
            }
            @if guards.is_empty() { li { "no guard" } }
        }
    }
}

/// Answers and refusals as a bar.
pub(crate) fn advice(card: &SystemCard) -> Markup {
    let [good, care, bad] = card.counts.advice;
    charts::split(
        &[
            ("part-use", good, "use"),
            ("part-care", care, "with care"),
            ("part-bad", bad, "do not use"),
            ("part-stop", card.counts.refused, "refused"),
        ],
        "Advice on answers since the start",
    )
}

/// Counts and the median time.
pub(crate) fn figures(card: &SystemCard) -> Markup {
    html! {
        dl class="figures" {
            div { dt { "answered" } dd { (count(card.counts.answered)) } }
            div { dt { "refused" } dd { (count(card.counts.refused)) } }
            div { dt { "median time" } dd { @if card.counts.answered + card.counts.refused == 0 { "–" } @else { (micros(card.counts.took_us_p50)) } } }
        }
    }
}

fn one(card: &SystemCard) -> Markup {
    html! {
        article class="panel card" data-key={ "system-" (card.id) } aria-labelledby={ "name-" (card.id) } {
            header {
                h3 id={ "name-" (card.id) } { a href={ "/systems/" (card.id) } { (card.title) } }
                (state(&card.serving))
            }
            p class="purpose" { (card.purpose) }
            (reason(card))
            (figures(card))
            (charts::sparkline(&card.counts.per_minute))
            (advice(card))
            dl class="facts" {
                div { dt { "Model" } dd { @match &card.model { Some(digest) => code { (digest) }, None => "none" } " " span { (card.place) } } }
                div { dt { "Stage" } dd { (gate::stages(card.stage)) } }
            }
            (guards(&card.guards))
            details id={ "gate-" (card.id) } {
                summary { "Gate: " (gate::told(&card.gate)) }
                (gate::list(&card.gate))
            }
        }
    }
}
