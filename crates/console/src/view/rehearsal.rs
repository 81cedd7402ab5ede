//! The rehearsal: attacks and accidents played on purpose. Looks different from everything real, so that nobody mistakes one for the other.

use app::live::RehearsalStep;
use maud::{Markup, html};

use super::icons::{Icon, chip, icon};
use super::words::{Tone, coded, sentence};

/// How a step's state looks: tone, icon, words.
fn state(step: &RehearsalStep) -> (Tone, Icon, &'static str) {
    match step.state.as_str() {
        "caught" => (Tone::Good, Icon::Check, "caught"),
        "missed" => (Tone::Bad, Icon::Cross, "missed"),
        "running" => (Tone::Now, Icon::Dot, "running now"),
        "skipped" => (Tone::Quiet, Icon::Skip, "skipped"),
        _ => (Tone::Quiet, Icon::Ring, "waiting"),
    }
}

fn counted(steps: &[RehearsalStep], word: &str) -> usize {
    steps.iter().filter(|s| s.state == word).count()
}

/// The rehearsal in a few words for the summary; none when there is no rehearsal.
pub(crate) fn told(steps: &[RehearsalStep]) -> Option<(Tone, Icon, String)> {
    if steps.is_empty() {
        return None;
    }
    let (caught, missed) = (counted(steps, "caught"), counted(steps, "missed"));
    let over = steps.iter().all(|s| !matches!(s.state.as_str(), "running" | "waiting"));
    let words = format!("rehearsal: {caught} of {} caught, {missed} missed", steps.len());
    Some(match (missed, over) {
        (0, true) => (Tone::Good, Icon::Drill, words),
        (0, false) => (Tone::Now, Icon::Drill, words),
        _ => (Tone::Bad, Icon::Drill, words),
    })
}

/// The panel.
pub(crate) fn panel(steps: &[RehearsalStep]) -> Markup {
    html! {
        section id="rehearsal" class="panel rehearsal" aria-labelledby="rehearsal-title" tabindex="-1" hidden[steps.is_empty()] {
            header {
                h2 id="rehearsal-title" { "Rehearsal" }
                span class="chip tone-drill" { (icon(Icon::Drill)) span { "staged on purpose" } }
            }
            p class="intro" {
                "Asepsis attacks this hospital itself, and makes its accidents happen, so that you see what each defence is for. "
                "No patient is involved. Whatever it causes below carries the tag " span class="tag" { "rehearsal" } "."
            }
            ol class="steps" { @for (n, step) in steps.iter().enumerate() { (one(n, step)) } }
        }
    }
}

fn one(n: usize, step: &RehearsalStep) -> Markup {
    let (tone, picture, word) = state(step);
    let running = step.state == "running";
    html! {
        li class={ "step " (tone.class()) } data-key={ "step-" (n) } aria-current=[running.then_some("step")] {
            div class="step-head" {
                h3 { (step.title) }
                (chip(tone, picture, word))
            }
            dl {
                div { dt { "Should happen" } dd { (coded(&sentence(&step.expected))) } }
                @if !step.seen.is_empty() {
                    div { dt { (match step.state.as_str() { "skipped" => "Why not", "running" => "So far", _ => "Happened" }) } dd class="seen" { (coded(&sentence(&step.seen))) } }
                }
            }
        }
    }
}
