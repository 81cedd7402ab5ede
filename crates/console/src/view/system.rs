//! The page of one system: its gate in full, its guards, its decisions, and what a person can do about it.

use access::Action;
use app::gate::ControlState;
use app::live::Decision;
use app::overview::{Overview, Serving, SystemCard};
use maud::{Markup, html};

use super::layout::{back, csrf};
use super::{Viewer, charts, gate, part, systems, traffic};
use crate::act::{DAYS_MAX, REASON_CHARS_MAX};

/// The live parts.
pub(crate) fn fragments(
    card: &SystemCard,
    all: &Overview,
    viewer: &Viewer<'_>,
) -> Vec<(&'static str, Markup)> {
    let decisions: Vec<Decision> =
        all.decisions.iter().filter(|d| d.system == card.id).take(traffic::ROWS_MAX).cloned().collect();
    vec![
        ("state", state(card, viewer)),
        ("steps", steps(card, viewer)),
        ("gate", gate_table(card, viewer)),
        ("guards", guards(card, viewer)),
        (
            "decisions",
            html! {
                section id="decisions" class="panel" aria-labelledby="decisions-title" tabindex="-1" {
                    header { h2 id="decisions-title" { "Decisions" } p class="aside" { "newest first" } }
                    (traffic::table(&decisions, "What this system was asked, what came back and why", false, viewer))
                }
            },
        ),
    ]
}

/// The page's `main`.
pub(crate) fn body(title: &str, fragments: &[(&'static str, Markup)]) -> Markup {
    let put = |id: &str| html! { @if let Some(markup) = part(fragments, id) { (markup) } };
    html! {
        p class="crumb" { a href="/" { "Live" } " / AI systems" }
        h1 { (title) }
        (put("state"))
        div class="pair wide" { (put("gate")) (put("steps")) }
        (put("guards"))
        (put("decisions"))
    }
}

fn state(card: &SystemCard, viewer: &Viewer<'_>) -> Markup {
    html! {
        section id="state" class="panel state" aria-label="State" tabindex="-1" {
            div class="summary" role="status" { (systems::state(&card.serving)) }
            p class="purpose" { (card.purpose) }
            (systems::reason(card))
            div class="pair" {
                div {
                    (systems::figures(card))
                    dl class="facts" {
                        div { dt { "Answers for it" } dd { (card.owner) } }
                        div { dt { "Model" } dd { @match &card.model { Some(digest) => code { (digest) }, None => "none" } " " span { (card.place) } " " a href={ "/systems/" (card.id) "/artefact" } { "What is in the file" } } }
                        @if viewer.may_on_system(Action::ViewExercise, &card.id) {
                            div { dt { "Exercises" } dd { a href={ "/exercises?system=" (card.id) } { "Start one, or see what stood" } } }
                        }
                        div { dt { "Stage" } dd { (gate::stages(card.stage)) } }
                    }
                }
                div {
                    (charts::sparkline(&card.counts.per_minute))
                    (systems::advice(card))
                }
            }
        }
    }
}

fn gate_table(card: &SystemCard, viewer: &Viewer<'_>) -> Markup {
    let may = viewer.may_on_system(Action::AcceptRisk, &card.id);
    html! {
        section id="gate" class="panel" aria-labelledby="gate-title" tabindex="-1" {
            header { h2 id="gate-title" { "Gate of " (card.gate.stage.as_str().replace('-', " ")) } p class="aside" { (gate::told(&card.gate)) } }
            table class="gate" role="table" {
                caption class="hidden" { "Controls of this system with their states" }
                thead role="rowgroup" { tr role="row" {
                    th scope="col" role="columnheader" { "Control" }
                    th scope="col" role="columnheader" { "Stage" }
                    th scope="col" role="columnheader" { "State" }
                    th scope="col" role="columnheader" { "Why" }
                } }
                tbody role="rowgroup" { @for control in &card.gate.controls { (control_row(card, control, may, viewer)) } }
            }
        }
    }
}

fn control_row(card: &SystemCard, control: &ControlState, may: bool, viewer: &Viewer<'_>) -> Markup {
    html! {
        tr role="row" data-key=(control.control) {
            td role="cell" { a href={ "/catalogue/" (control.control) } { (control.control) } " " (control.title) }
            td role="cell" { (control.stage.as_str().replace('-', " ")) }
            td role="cell" { (gate::state(&control.status)) }
            td role="cell" {
                (gate::why(&control.status))
                @if may && !control.status.passes() { (accept(card, control, viewer)) }
            }
        }
    }
}

fn accept(card: &SystemCard, control: &ControlState, viewer: &Viewer<'_>) -> Markup {
    let (days, reason) = (format!("days-{}", control.control), format!("reason-{}", control.control));
    html! {
        details id={ "accept-" (control.control) } class="act" {
            summary { "Accept the risk" span class="hidden" { " of " (control.control) } "…" }
            form method="post" action={ "/systems/" (card.id) "/accept-risk" } data-inline {
                (csrf(viewer)) (back(&format!("/systems/{}", card.id)))
                input type="hidden" name="control" value=(control.control);
                label for=(days) { "For how many days (1 to " (DAYS_MAX) ")" }
                input id=(days) name="days" type="number" min="1" max=(DAYS_MAX) value="7" required;
                label for=(reason) { "Why this is acceptable for the patients" }
                textarea id=(reason) name="reason" rows="2" required maxlength=(REASON_CHARS_MAX) {}
                p class="hint" { "Holds for the present content only: a change of model, data or guards ends it. Goes into the ledger with your name." }
                button class="danger" { "Accept the risk" }
            }
        }
    }
}

fn guards(card: &SystemCard, viewer: &Viewer<'_>) -> Markup {
    html! {
        section id="guards" class="panel" aria-labelledby="guards-title" tabindex="-1" {
            header { h2 id="guards-title" { "Guards" } p class="aside" { "on every request and reply" } }
            table class="guards" role="table" {
                caption class="hidden" { "Guards of this system and what each may do" }
                thead role="rowgroup" { tr role="row" {
                    th scope="col" role="columnheader" { "Guard" }
                    th scope="col" role="columnheader" { "May" }
                    th scope="col" role="columnheader" { "Looks for" }
                } }
                tbody role="rowgroup" {
                    @for guard in &card.guards {
                        tr role="row" data-key=(guard.name) {
                            td role="cell" { a href={ "/catalogue/" (guard.check) } { (guard.name) } }
                            td role="cell" { span class={ "mode mode-" (guard.mode) } { (guard.mode) } " " span class="why" { (mode_words(&guard.mode)) } }
                            td role="cell" { (viewer.summary(&guard.check)) }
                        }
                    }
                }
            }
        }
    }
}

/// What a mode lets a guard do.
fn mode_words(mode: &str) -> &'static str {
    match mode {
        "observe" => "writes down what it sees",
        "flag" => "changes the advice",
        "block" => "refuses, or withholds the answer",
        _ => "",
    }
}

/// What this person may do; nothing at all for a person who may do nothing.
fn steps(card: &SystemCard, viewer: &Viewer<'_>) -> Markup {
    let may = |action| viewer.may_on_system(action, &card.id);
    let suspended = matches!(card.serving, Serving::Suspended { .. });
    let any = [Action::SuspendSystem, Action::AdmitSystem, Action::AcknowledgeAlarm].into_iter().any(may);
    let post = |what: &str| format!("/systems/{}/{what}", card.id);
    let here = format!("/systems/{}", card.id);
    html! {
        section id="steps" class="panel" aria-labelledby="steps-title" tabindex="-1" hidden[!any] {
            header { h2 id="steps-title" { "Step in" } }
            @if may(Action::SuspendSystem) && suspended {
                form method="post" action=(post("resume")) data-inline {
                    (csrf(viewer)) (back(&here))
                    p { "Let the system answer again, as far as its gate allows." }
                    button { "Resume" }
                }
            }
            @if may(Action::SuspendSystem) && !suspended {
                form method="post" action=(post("suspend")) data-inline {
                    (csrf(viewer)) (back(&here))
                    label for="suspend-reason" { "Stop it at once. Why?" }
                    input id="suspend-reason" name="reason" required maxlength=(REASON_CHARS_MAX) autocomplete="off";
                    button class="danger" { "Suspend" }
                }
            }
            @if may(Action::AdmitSystem) {
                form method="post" action=(post("readmit")) data-inline {
                    (csrf(viewer)) (back(&here))
                    p { "Check the present files again and write new evidence. Takes some seconds." }
                    button { "Admit again" }
                }
            }
            @if may(Action::AcknowledgeAlarm) {
                form method="post" action=(post("review")) data-inline {
                    (csrf(viewer)) (back(&here))
                    p { "Write down that you looked at its traffic and that no alarm of it is open." }
                    button { "I reviewed it" }
                }
            }
        }
    }
}
