//! Decisions, newest first, each with its reason in words and its place in the ledger.

use app::live::{Decision, Note};
use maud::{Markup, html};

use super::Viewer;
use super::icons::{Icon, chip};
use super::words::{Tone, clock, coded, count, micros, sentence};

/// Rows shown; older ones are in the ledger.
pub(crate) const ROWS_MAX: usize = 24;
/// Reasons shown in a row.
const NOTES_MAX: usize = 4;

/// Decisions of the upper table, so that what was caught stays in sight when ordinary traffic goes on.
const CAUGHT_MAX: usize = 6;

/// The panel of the live page.
pub(crate) fn panel(decisions: &[Decision], rejected: &[(String, u64)], viewer: &Viewer<'_>) -> Markup {
    let stopped = |d: &&Decision| d.refused.is_some() || d.advice == domain::Advice::DoNotUse;
    let caught: Vec<Decision> = decisions.iter().filter(stopped).take(CAUGHT_MAX).cloned().collect();
    html! {
        section id="traffic" class="panel" aria-labelledby="traffic-title" tabindex="-1" {
            header {
                h2 id="traffic-title" { "Traffic" }
                p class="aside" { "newest first" }
            }
            @if !caught.is_empty() {
                div class="caught" {
                    h3 { "Caught lately: refused, or not to be used" }
                    (table(&caught, "The latest answers that were refused or should not be used, and why", true, viewer))
                }
                h3 { "All" }
            }
            div class="all" { (table(decisions, "What was asked, what came back and why", true, viewer)) }
            @if !rejected.is_empty() {
                p class="rejected" {
                    "Turned away at the door: "
                    @for (i, (code, n)) in rejected.iter().enumerate() {
                        @if i > 0 { ", " }
                        (count(*n)) " × " a href={ "/catalogue/" (code) } title=(viewer.summary(code)) { (code) }
                    }
                }
            }
        }
    }
}

/// The table, with or without the column of systems. Roles are written out because narrow screens show rows as blocks, and some
/// browsers then forget that it is a table.
pub(crate) fn table(decisions: &[Decision], caption: &str, systems: bool, viewer: &Viewer<'_>) -> Markup {
    html! {
        @if decisions.is_empty() { p class="empty" { "Nobody has asked anything yet." } } @else {
            table class="traffic" role="table" {
                caption class="hidden" { (caption) }
                thead role="rowgroup" {
                    tr role="row" {
                        th scope="col" role="columnheader" { "Time" }
                        @if systems { th scope="col" role="columnheader" { "System" } }
                        th scope="col" role="columnheader" { "Client" }
                        th scope="col" role="columnheader" { "Advice" }
                        th scope="col" role="columnheader" { "Why" }
                        th scope="col" role="columnheader" class="number" { "Took" }
                        th scope="col" role="columnheader" class="number" { "Receipt" }
                    }
                }
                tbody role="rowgroup" { @for decision in decisions.iter().take(ROWS_MAX) { (row(decision, systems, viewer)) } }
            }
        }
    }
}

/// How an advice or a refusal looks.
pub(crate) fn verdict(decision: &Decision) -> Markup {
    if decision.refused.is_some() {
        return chip(Tone::Stop, Icon::Shield, "refused");
    }
    let picture = match decision.advice {
        domain::Advice::Use => Icon::Check,
        domain::Advice::UseWithCare => Icon::Care,
        domain::Advice::DoNotUse => Icon::Cross,
    };
    chip(Tone::of_advice(decision.advice), picture, decision.advice.as_str())
}

fn row(decision: &Decision, systems: bool, viewer: &Viewer<'_>) -> Markup {
    html! {
        tr role="row" data-key={ "d" (decision.ledger_index) } class=[decision.rehearsal.then_some("staged")] {
            td role="cell" class="when" { (clock(decision.at)) }
            @if systems { td role="cell" class="system" { a href={ "/systems/" (decision.system) } { (decision.system) } } }
            td role="cell" class="caller" {
                (decision.client)
                @if decision.rehearsal { " " span class="tag" { "rehearsal" } }
            }
            td role="cell" class="advice" { (verdict(decision)) }
            td role="cell" class="why" { (why(decision, viewer)) }
            td role="cell" class="number took" title={ "and " (micros(decision.commit_us)) " until it was on disk" } { (micros(decision.took_us)) }
            td role="cell" class="number receipt" {
                a href={ "/receipts/" (decision.ledger_index) } aria-label={ "Receipt " (decision.ledger_index) } { (count(decision.ledger_index)) }
            }
        }
    }
}

/// Why in words: what the guards saw, or what the refusal means.
pub(crate) fn why(decision: &Decision, viewer: &Viewer<'_>) -> Markup {
    html! {
        @for note in decision.notes.iter().take(NOTES_MAX) { p { (reason(note)) } }
        @if decision.notes.len() > NOTES_MAX { p { "and " (decision.notes.len() - NOTES_MAX) " more, see the receipt" } }
        @match (&decision.refused, decision.notes.is_empty()) {
            (Some(code), true) => p { (viewer.summary(code)) " " a href={ "/catalogue/" (code) } { (code) } },
            (None, true) => span class="clean" { "every guard clean" },
            _ => {}
        }
    }
}

fn reason(note: &Note) -> Markup {
    html! {
        (coded(&sentence(&note.message)))
        @if note.outcome == "inconclusive" { " (could not decide)" }
        " " a class="guard" href={ "/catalogue/" (note.check) } title=(note.remedy) { (note.guard) }
    }
}
