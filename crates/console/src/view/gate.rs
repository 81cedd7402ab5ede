//! A gate as people read it: which controls hold it open or keep it shut, and why.

use app::gate::{ControlState, GateReport, Status};
use domain::Stage;
use maud::{Markup, html};

use super::icons::{Icon, chip};
use super::words::{Tone, coded, moment, sentence};

/// How a control's state looks.
pub(crate) fn state(status: &Status) -> Markup {
    let (tone, picture) = match status {
        Status::Met { .. } => (Tone::Good, Icon::Check),
        Status::Owed { .. } => (Tone::Care, Icon::Ring),
        Status::Stale { .. } => (Tone::Care, Icon::Back),
        Status::Failed { .. } => (Tone::Bad, Icon::Cross),
        Status::Accepted { .. } => (Tone::Stop, Icon::Shield),
    };
    chip(tone, picture, status.word())
}

/// Why a control is in its state, with links to the evidence.
pub(crate) fn why(status: &Status) -> Markup {
    html! {
        @match status {
            Status::Met { evidence } => {
                "evidence in ledger "
                @for (i, index) in evidence.iter().enumerate() {
                    @if i > 0 { ", " }
                    a href={ "/receipts/" (index) } { (index) }
                }
            }
            Status::Accepted { by, until, reason } => { "accepted by " b { (by) } " until " (moment(*until)) ": “" (reason) "”" }
            Status::Owed { checks } => {
                "no evidence yet of "
                @for (i, check) in checks.iter().enumerate() {
                    @if i > 0 { ", " }
                    a href={ "/catalogue/" (check) } { (check) }
                }
            }
            Status::Stale { why } | Status::Failed { why } => (coded(&sentence(&why.join("; ")))),
        }
    }
}

/// `8 of 9 controls pass`.
pub(crate) fn told(gate: &GateReport) -> String {
    let passing = gate.controls.iter().filter(|c| c.status.passes()).count();
    format!("{passing} of {} controls pass", gate.controls.len())
}

/// The controls as a list, those that keep the gate shut first.
pub(crate) fn list(gate: &GateReport) -> Markup {
    let mut controls: Vec<&ControlState> = gate.controls.iter().collect();
    controls.sort_by_key(|c| c.status.passes());
    html! {
        ul class="controls" {
            @for control in controls {
                li data-key=(control.control) {
                    (state(&control.status))
                    p {
                        a href={ "/catalogue/" (control.control) } { (control.control) } " " (control.title)
                        span class="why" { (why(&control.status)) }
                    }
                }
            }
        }
    }
}

/// The five stages, up to the highest whose gate is open.
pub(crate) fn stages(reached: Option<Stage>) -> Markup {
    let words = reached.map_or_else(|| "before procurement".to_owned(), |s| s.as_str().replace('-', " "));
    html! {
        span class="stages" {
            svg viewBox="0 0 100 8" width="100" height="8" aria-hidden="true" focusable="false" {
                @for (i, stage) in Stage::ALL.into_iter().enumerate() {
                    rect x=(i * 20 + 1) y="1" width="17" height="6" rx="2" class=(if reached.is_some_and(|r| stage <= r) { "reached" } else { "track" }) {}
                }
            }
            (words)
        }
    }
}
