//! The page of all exercises: what runs and what can go on, the scorecards that are kept, a form to start one, a form to bring one in.

use access::Action;
use app::exercises::{Card, Job, JobState, Listing, MINUTES_MAX, SAMPLES_MAX, Source};
use attack::scorecard::{Share, budget_text};
use attack::suite::Suite;
use domain::SystemId;
use maud::{Markup, html};

use super::icons::{Icon, chip};
use super::layout::{back, csrf};
use super::words::{Tone, count, moment, things};
use super::{Viewer, part};

/// Scorecards on the page, newest first.
const CARDS_MAX: usize = 200;
/// Exercises on the page that run or can go on.
const JOBS_MAX: usize = 50;

/// The live parts.
pub(crate) fn fragments(listing: &Listing, viewer: &Viewer<'_>) -> Vec<(&'static str, Markup)> {
    vec![("jobs", jobs(listing, viewer)), ("cards", cards(listing, viewer))]
}

/// The page's `main`.
pub(crate) fn body(
    listing: &Listing,
    fragments: &[(&'static str, Markup)],
    chosen: Option<&SystemId>,
    viewer: &Viewer<'_>,
) -> Markup {
    let put = |id: &str| html! { @if let Some(markup) = part(fragments, id) { (markup) } };
    html! {
        h1 { "Exercises" }
        p class="lead" {
            "An exercise attacks a model on its own held-out patients, within stated budgets, and writes down what stood. "
            "It runs beside the traffic on one thread of low priority, and no patient's care is touched."
        }
        (put("jobs"))
        (start(listing, chosen, viewer))
        (put("cards"))
        (bring_in(viewer))
    }
}

/// How a state looks: tone, icon, words.
pub(crate) const fn state(state: JobState) -> (Tone, Icon, &'static str) {
    match state {
        JobState::Running => (Tone::Now, Icon::Dot, "running"),
        JobState::Stopping => (Tone::Care, Icon::Pause, "stopping"),
        JobState::CutOff => (Tone::Care, Icon::Ring, "cut off by the end of the program"),
        JobState::Stopped => (Tone::Stop, Icon::Pause, "stopped"),
        JobState::Failed => (Tone::Bad, Icon::Cross, "failed"),
        JobState::Finished => (Tone::Good, Icon::Check, "finished"),
    }
}

/// A bar with how far an exercise is, in words beside it.
pub(crate) fn progress(job: &Job) -> Markup {
    let (done, total) = (job.progress.done, job.progress.total);
    let percent = (100 * done).checked_div(total).unwrap_or(0).min(100);
    html! {
        div class="progress" {
            @if total == 0 { progress aria-label="Done" {} } @else { progress max="100" value=(percent) aria-label="Done" {} }
            p {
                b { (percent) " %" }
                @if !job.progress.step.is_empty() { ", now " (job.progress.step) }
                @if let Some(seconds) = job.progress.remaining_s { ", " (remaining(seconds)) }
            }
        }
    }
}

/// A time that is still to come, as roughly as it is known.
pub(crate) fn remaining(seconds: u64) -> String {
    match seconds {
        0..5 => "a few seconds left".to_owned(),
        5..90 => format!("about {} s left", seconds.div_ceil(5) * 5),
        90..5_400 => format!("about {} min left", seconds.div_ceil(60)),
        _ => format!("about {} h left", seconds.div_ceil(3_600)),
    }
}

/// A share with its interval.
pub(crate) fn share(share: &Share) -> Markup {
    html! {
        (percent(share.share))
        " " span class="why" { "(" (percent(share.low)) " to " (percent(share.high)) ")" }
    }
}

/// A share in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// A button of one form, with what it acts on for a screen reader.
pub(crate) fn button(viewer: &Viewer<'_>, job: &str, act: &str, word: &str, class: &str, to: &str) -> Markup {
    html! {
        form method="post" action={ "/exercises/" (job) "/" (act) } data-inline {
            (csrf(viewer)) (back(to))
            button class=(class) { (word) span class="hidden" { " " (job) } }
        }
    }
}

fn jobs(listing: &Listing, viewer: &Viewer<'_>) -> Markup {
    let all: Vec<&Job> = listing.jobs.iter().take(JOBS_MAX).collect();
    let running = listing.jobs.iter().filter(|j| j.state.runs()).count() as u64;
    html! {
        section id="jobs" class="panel" aria-labelledby="jobs-title" tabindex="-1" {
            header {
                h2 id="jobs-title" { "Running and unfinished" }
                p class="aside" role="status" { @if running == 0 { "nothing runs" } @else { (things(running, "exercise runs", "exercises run")) } }
            }
            @if all.is_empty() { p class="empty" { "No exercise runs, and none waits to go on." } }
            ul class="jobs" { @for job in all { (one_job(job, viewer)) } }
        }
    }
}

fn one_job(job: &Job, viewer: &Viewer<'_>) -> Markup {
    let (tone, picture, word) = state(job.state);
    let may = viewer.may_on_system(Action::StartExercise, &job.order.system);
    let id = job.id.as_str();
    html! {
        li class={ "job " (tone.class()) } data-key=(id) {
            div class="job-head" {
                h3 { a href={ "/exercises/" (id) } { (job.order.system) ", " (job.order.suite) } }
                (chip(tone, picture, word))
            }
            p class="facts" { "started by " (job.by) ", " (moment(job.at)) }
            @if job.state.runs() { (progress(job)) }
            @if let Some(why) = job.ended.as_ref().and_then(|e| e.why.as_ref()) { p class="facts" { (super::words::coded(&super::words::sentence(why))) } }
            @if may {
                div class="row" {
                    @if job.state == JobState::Running { (button(viewer, id, "stop", "Stop", "plain", "/exercises")) }
                    @if job.state.can_resume() {
                        (button(viewer, id, "resume", "Go on", "plain", "/exercises"))
                        (button(viewer, id, "remove", "Remove", "plain", "/exercises"))
                    }
                }
            }
        }
    }
}

/// Where a scorecard comes from, in words.
pub(crate) fn source(source: &Source) -> String {
    match source {
        Source::Desk => "started here".to_owned(),
        Source::CommandLine => "command line".to_owned(),
        Source::Elsewhere { from } => format!("from {from}"),
    }
}

/// What a scorecard is about: the system where it is one of ours, else the model.
pub(crate) fn about(card: &Card) -> &str {
    card.summary.system.as_deref().unwrap_or(&card.summary.model)
}

/// A suite with what makes it another one: version, seed, samples.
pub(crate) fn suite_of(card: &Card) -> String {
    let s = &card.summary;
    format!(
        "{} version {}, seed {}, {}",
        s.suite,
        s.version,
        s.seed,
        things(s.samples as u64, "sample", "samples")
    )
}

fn cards(listing: &Listing, viewer: &Viewer<'_>) -> Markup {
    let shown: Vec<&Card> = listing.cards.iter().take(CARDS_MAX).collect();
    html! {
        section id="cards" class="panel" aria-labelledby="cards-title" tabindex="-1" {
            header { h2 id="cards-title" { "Scorecards" } p class="aside" { (count(listing.cards.len() as u64)) ", newest first" } }
            @if shown.is_empty() {
                p class="empty" { "None yet. The first one is there some seconds after an exercise is started." }
            } @else {
                (card_table(&shown))
                (choose_two(&shown, viewer))
            }
        }
    }
}

fn card_table(cards: &[&Card]) -> Markup {
    html! {
        table class="cards-table" role="table" {
            caption class="hidden" { "Scorecards kept here, newest first" }
            thead role="rowgroup" { tr role="row" {
                @for name in ["About", "Suite", "When", "Complete", "Right undisturbed", "Right in the worst case"] {
                    th scope="col" role="columnheader" { (name) }
                }
            } }
            tbody role="rowgroup" { @for card in cards { (card_row(card)) } }
        }
    }
}

fn card_row(card: &Card) -> Markup {
    let s = &card.summary;
    html! {
        tr role="row" data-key=(card.id.as_str()) {
            td role="cell" data-label="About" { a href={ "/exercises/" (card.id.as_str()) } { (about(card)) } " " span class="why" { (source(&card.source)) } }
            td role="cell" data-label="Suite" { (suite_of(card)) " " code title=(s.suite_digest) { (super::words::ends(&s.suite_digest)) } }
            td role="cell" data-label="When" class="when" { (moment(card.at)) }
            td role="cell" data-label="Complete" { (complete(s.complete)) }
            td role="cell" data-label="Right undisturbed" { (share(&s.clean)) }
            td role="cell" data-label="Right in the worst case" {
                @match &s.worst {
                    Some(worst) => { (share(&worst.robust)) " " span class="why" { "within " (budget_text(&s.kind, worst.norm, worst.epsilon)) } },
                    None => "nothing was attacked",
                }
            }
        }
    }
}

/// Whether everything was done.
pub(crate) fn complete(complete: bool) -> Markup {
    if complete {
        chip(Tone::Good, Icon::Check, "complete")
    } else {
        chip(Tone::Care, Icon::Ring, "not complete")
    }
}

/// Two lists to choose from, and a button: works by keyboard, by voice and without script.
fn choose_two(cards: &[&Card], _viewer: &Viewer<'_>) -> Markup {
    let name = |card: &Card| {
        let day = card.at.to_string();
        let when = day.get(..16).unwrap_or(&day).replace('T', " ");
        format!("{} ({}), {}, {when}", about(card), source(&card.source), suite_of(card))
    };
    html! {
        form method="get" action="/exercises/compare" class="choose" {
            h3 { "Compare two" }
            p class="hint" { "Two versions, two models, two hospitals: point by point, where both ran the same suite with the same seed and number of samples." }
            @for (field, word, at) in [("a", "First", 1), ("b", "Second, looked at as better or worse than the first", 0)] {
                label for={ "card-" (field) } { (word) }
                select id={ "card-" (field) } name=(field) {
                    @for (n, card) in cards.iter().enumerate() { option value=(card.id.as_str()) selected[n == at] { (name(card)) } }
                }
            }
            button { "Compare" }
        }
    }
}

fn start(listing: &Listing, chosen: Option<&SystemId>, viewer: &Viewer<'_>) -> Markup {
    html! {
        @if !listing.offers.is_empty() {
            section id="start" class="panel" aria-labelledby="start-title" tabindex="-1" {
                header { h2 id="start-title" { "Start an exercise" } p class="aside" { "one at a time" } }
                form method="post" action="/exercises" class="start" {
                    (csrf(viewer))
                    label for="system" { "AI system" }
                    select id="system" name="system" required {
                        @for offer in &listing.offers {
                            option value=(offer.system) selected[chosen == Some(&offer.system)] { (offer.title) " (" (offer.system) ")" }
                        }
                    }
                    (suites(&listing.suites))
                    (limits())
                    button { "Start" }
                }
            }
        }
    }
}

fn suites(suites: &[Suite]) -> Markup {
    html! {
        fieldset class="suites" {
            legend { "Suite" }
            @for suite in suites {
                div class="suite" {
                    input type="radio" name="suite" id={ "suite-" (suite.name) } value=(suite.name) checked[suite.name == "quick"] required;
                    label for={ "suite-" (suite.name) } {
                        b { (suite.title) } " " span class="why" { (suite.name) ", version " (suite.version) ", " (parts(suite)) " on " (things(suite.samples as u64, "sample", "samples")) }
                        span class="purpose" { (suite.purpose) }
                    }
                }
            }
        }
    }
}

/// What a suite is made of, in words.
fn parts(suite: &Suite) -> String {
    let counts = [
        (suite.steps.len(), "attack", "attacks"),
        (suite.conditions.len(), "condition", "conditions"),
        (suite.studies.len(), "study", "studies"),
        (
            suite.changes.len(),
            "search for the least plausible change",
            "searches for the least plausible change",
        ),
    ];
    let counts = counts.into_iter().filter(|c| c.0 > 0);
    counts.map(|(n, one, many)| things(n as u64, one, many)).collect::<Vec<_>>().join(", ")
}

fn limits() -> Markup {
    let numbers = [
        ("samples", "Samples", "as the suite says", 1, Some(SAMPLES_MAX as u64)),
        ("seed", "Seed", "as the suite says", 0, None),
        ("queries", "Most queries per sample and budget", "as the suite says", 1, None),
        ("minutes", "Most minutes", "until it is done", 1, Some(u64::from(MINUTES_MAX))),
    ];
    html! {
        details class="more" {
            summary { "Samples, seed, budgets and what the attackers see" }
            div class="numbers" {
                @for (name, word, empty, min, max) in numbers {
                    div {
                        label for=(name) { (word) }
                        input id=(name) name=(name) type="number" inputmode="numeric" min=(min) max=[max] placeholder=(empty) autocomplete="off";
                    }
                }
            }
            p class="hint" { "Two scorecards are compared only when suite, samples, seed and queries are the same." }
            div class="tick" {
                input type="checkbox" id="labels" name="labels_only" value="yes";
                label for="labels" { "Show the attackers decisions only, as a service does that hides its scores" }
            }
            div class="tick" {
                input type="checkbox" id="without" name="without_patients" value="yes";
                label for="without" { "Keep patients' values out of the scorecard, so that it can be given away" }
            }
        }
    }
}

fn bring_in(viewer: &Viewer<'_>) -> Markup {
    html! {
        @if viewer.may_on_hospital(Action::StartExercise) {
            section id="received" class="panel" aria-labelledby="received-title" tabindex="-1" {
                header { h2 id="received-title" { "Bring in a scorecard from elsewhere" } p class="aside" { "another hospital's, or a vendor's" } }
                form method="post" action="/exercises/received" enctype="multipart/form-data" {
                    (csrf(viewer))
                    label for="from" { "From whom" }
                    input id="from" name="from" required maxlength="80" autocomplete="organization";
                    label for="card" { "Scorecard (JSON, at most " (app::exercises::RECEIVED_BYTES_MAX >> 20) " MiB)" }
                    input id="card" name="card" type="file" accept="application/json,.json" required;
                    p class="hint" { "It is checked to be a scorecard that holds together, shown as what it says of itself, and never becomes evidence here." }
                    button { "Bring in" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remaining_time_is_said_as_roughly_as_it_is_known() {
        assert_eq!(remaining(0), "a few seconds left");
        assert_eq!(remaining(6), "about 10 s left");
        assert_eq!(remaining(89), "about 90 s left");
        assert_eq!(remaining(90), "about 2 min left");
        assert_eq!(remaining(5_399), "about 90 min left");
        assert_eq!(remaining(5_400), "about 2 h left");
    }
}
