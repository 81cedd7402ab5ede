//! The page of one exercise: how far it is while it runs, each step as it is finished, and then what its scorecard says.

use std::sync::Arc;

use access::{Action, Resource};
use app::exercises::{Card, CardId, Ended, Job, Source};
use attack::scorecard::{ConditionRow, Note, Row, Scorecard, Worst, budget_text};
use maud::{Markup, html};

use super::exercises::{about, button, complete, percent, progress, share, source, state, suite_of};
use super::icons::{Icon, chip};
use super::words::{coded, count, moment, sentence, things};
use super::{Viewer, curves, part};

/// Notes of one kind on the page; the scorecard has all.
const NOTES_MAX: usize = 12;
/// Conditions on the page; the scorecard has all.
const CONDITIONS_MAX: usize = 100;

/// What the page is made from.
pub(crate) struct Seen {
    /// Its name.
    pub(crate) id: CardId,
    /// The exercise; none for a scorecard that was not made at the desk.
    pub(crate) job: Option<Job>,
    /// Its scorecard, once there is one.
    pub(crate) card: Option<(Card, Arc<Scorecard>)>,
    /// Scorecards of the same suite, with which it can be compared.
    pub(crate) others: Vec<Card>,
}

/// Title of the page.
pub(crate) fn title(seen: &Seen) -> String {
    match (&seen.job, &seen.card) {
        (Some(job), _) => format!("Exercise: {}, {}", job.order.system, job.order.suite),
        (None, Some((card, _))) => format!("Scorecard: {}, {}", about(card), card.summary.suite),
        (None, None) => seen.id.to_string(),
    }
}

/// The live parts.
pub(crate) fn fragments(seen: &Seen, viewer: &Viewer<'_>) -> Vec<(&'static str, Markup)> {
    vec![
        ("state", standing(seen, viewer)),
        ("curves", chart(seen)),
        ("rows", rows(seen)),
        ("conditions", conditions(seen)),
        ("notes", notes(seen)),
        ("others", others(seen)),
    ]
}

/// The page's `main`.
pub(crate) fn body(seen: &Seen, fragments: &[(&'static str, Markup)]) -> Markup {
    let put = |id: &str| html! { @if let Some(markup) = part(fragments, id) { (markup) } };
    html! {
        p class="crumb" { a href="/exercises" { "Exercises" } " / " (seen.id.as_str()) }
        h1 { (title(seen)) }
        (put("state"))
        (put("curves"))
        (put("rows"))
        (put("conditions"))
        (put("notes"))
        (put("others"))
    }
}

fn standing(seen: &Seen, viewer: &Viewer<'_>) -> Markup {
    html! {
        section id="state" class="panel state" aria-label="State" tabindex="-1" {
            div class="summary" role="status" {
                @if let Some(job) = &seen.job { @let (tone, picture, word) = state(job.state); (chip(tone, picture, word)) }
                @if let Some((card, _)) = &seen.card { (complete(card.summary.complete)) }
            }
            @if let Some(job) = seen.job.as_ref().filter(|j| j.state.runs()) { (progress(job)) }
            @if let Some(why) = ended(seen).and_then(|e| e.why.as_ref()) { p class="reason" { (coded(&sentence(why))) } }
            @if let Some((card, full)) = &seen.card { (headline(card, full)) }
            (facts(seen))
            @if let Some(job) = &seen.job {
                @if !job.notes.is_empty() { ul class="facts" { @for note in job.notes.iter().take(NOTES_MAX) { li { (coded(&sentence(note))) } } } }
            }
            (steps(seen, viewer))
        }
    }
}

fn ended(seen: &Seen) -> Option<&Ended> {
    seen.job.as_ref().and_then(|j| j.ended.as_ref())
}

/// The two figures that matter most, as large as they are important.
fn headline(card: &Card, full: &Scorecard) -> Markup {
    let s = &card.summary;
    html! {
        dl class="figures" {
            div { dt { "right undisturbed, " (s.clean.hits) " of " (s.clean.of) } dd { (percent(s.clean.share)) } }
            @if let Some(worst) = smallest(full) {
                div { dt { "right within the smallest change tried, " (budget_text(&s.kind, worst.norm, worst.epsilon)) } dd { (percent(worst.robust.all.share)) } }
            }
            @if let Some(worst) = &s.worst {
                div { dt { "right in the worst case, " (budget_text(&s.kind, worst.norm, worst.epsilon)) } dd { (percent(worst.robust.share)) } }
            }
        }
    }
}

/// The worst case of the first norm at its smallest budget.
fn smallest(full: &Scorecard) -> Option<&Worst> {
    let norm = full.worst.first()?.norm;
    let tried = full.worst.iter().filter(|w| w.norm == norm && w.robust.all.of > 0);
    tried.min_by(|a, b| a.epsilon.total_cmp(&b.epsilon))
}

fn facts(seen: &Seen) -> Markup {
    html! {
        dl class="facts" {
            @if let Some(job) = &seen.job {
                div { dt { "AI system" } dd { a href={ "/systems/" (job.order.system) } { (job.order.system) } } }
                div { dt { "Started" } dd { "by " (job.by) ", " (moment(job.at)) } }
                @if seen.card.is_none() { div { dt { "Suite" } dd { (asked(job)) } } }
            }
            @if let Some((card, full)) = &seen.card {
                div { dt { "Suite" } dd { (suite_of(card)) } }
                div { dt { "Model" } dd { (full.subject.model) " " code { (super::words::ends(&full.subject.model_digest)) } " " span { (attackers(full)) } } }
                div { dt { "Patients" } dd { (full.subject.data) ", " (full.subject.rows) } }
                @if card.source != Source::Desk { div { dt { "Comes" } dd { (source(&card.source)) ", " (moment(card.at)) } } }
            }
            @if let Some(ended) = ended(seen) {
                div { dt { "Ended" } dd { (moment(ended.at)) } }
                div { dt { "Evidence" } dd {
                    @match ended.evidence {
                        Some(index) => a href={ "/receipts/" (index) } { "ledger entry " (count(index)) },
                        None => "none: only an exercise that is complete is evidence",
                    }
                } }
            }
        }
    }
}

/// What was asked, where there is no scorecard yet.
fn asked(job: &Job) -> String {
    let o = &job.order;
    let mut parts = vec![o.suite.clone()];
    parts.extend(o.samples.map(|n| things(n as u64, "sample", "samples")));
    parts.extend(o.seed.map(|n| format!("seed {n}")));
    parts.extend(o.queries_max.map(|n| format!("at most {}", things(n, "query", "queries"))));
    parts.extend(o.minutes_max.map(|n| format!("at most {n} min")));
    if o.labels_only {
        parts.push("decisions only".to_owned());
    }
    parts.join(", ")
}

fn attackers(full: &Scorecard) -> &'static str {
    match full.subject.access {
        attack::evasion::Access::Gradients => "attackers had the model file",
        attack::evasion::Access::Scores => "attackers saw scores",
        attack::evasion::Access::Labels => "attackers saw decisions only",
    }
}

fn steps(seen: &Seen, viewer: &Viewer<'_>) -> Markup {
    let id = seen.id.as_str();
    let here = format!("/exercises/{id}");
    let may = |job: &Job| viewer.may_on_system(Action::StartExercise, &job.order.system);
    let may_remove = match (&seen.job, &seen.card) {
        (Some(job), _) => may(job) && !job.state.runs(),
        (None, Some((card, _))) => {
            let own = card.summary.system.as_deref().and_then(|s| s.parse().ok());
            let own = own.filter(|_| card.source == Source::CommandLine);
            (viewer.may)(Action::StartExercise, &own.map_or(Resource::Hospital, Resource::System))
        }
        (None, None) => false,
    };
    html! {
        div class="row" {
            @if seen.card.is_some() {
                a class="button" href={ (here) "/scorecard" } { "Open the whole scorecard" }
                a class="button plain" href={ (here) "/json" } download={ (id) ".json" } { "Download it (JSON)" }
            }
            @if let Some(job) = seen.job.as_ref().filter(|j| may(j)) {
                @if job.state == app::exercises::JobState::Running { (button(viewer, id, "stop", "Stop", "danger", &here)) }
                @if job.state.can_resume() { (button(viewer, id, "resume", "Go on", "plain", &here)) }
            }
            @if may_remove {
                details class="act" {
                    summary { "Remove…" }
                    form method="post" action={ (here) "/remove" } {
                        (super::layout::csrf(viewer)) (super::layout::back("/exercises"))
                        p class="hint" { "Takes it off this list. Evidence in the ledger stays." }
                        button class="danger" { "Remove" }
                    }
                }
            }
        }
    }
}

fn chart(seen: &Seen) -> Markup {
    html! {
        section id="curves" class="panel" aria-labelledby="curves-title" tabindex="-1" hidden[seen.card.is_none()] {
            header { h2 id="curves-title" { "Accuracy against the size of the change" } p class="aside" { "worst of all attacks, with its 95 % interval" } }
            @if let Some((_, full)) = &seen.card { (curves::charts(&[("this model", full)])) }
        }
    }
}

fn rows(seen: &Seen) -> Markup {
    let none = (Vec::new(), String::new());
    let (rows, kind): (&[Row], &str) = match (&seen.card, &seen.job) {
        (Some((_, full)), _) => (&full.rows, &full.subject.kind),
        (None, Some(job)) => (&job.rows, &job.kind),
        (None, None) => (&none.0, &none.1),
    };
    let runs = seen.job.as_ref().is_some_and(|j| j.state.runs());
    html! {
        section id="rows" class="panel" aria-labelledby="rows-title" tabindex="-1" {
            header { h2 id="rows-title" { "Every attack at every budget" } @if runs { p class="aside" { "each appears when it is finished on all patients" } } }
            @if rows.is_empty() { p class="empty" { "Nothing is finished yet." } } @else {
                table class="figures-table" role="table" {
                    caption class="hidden" { "Share of patients still answered rightly, per attack and budget" }
                    thead role="rowgroup" { tr role="row" {
                        th scope="col" role="columnheader" { "Attack" }
                        th scope="col" role="columnheader" { "Budget" }
                        th scope="col" role="columnheader" { "Still right (95 % interval)" }
                        th scope="col" role="columnheader" { "Fell" }
                    } }
                    tbody role="rowgroup" {
                        @for row in rows.iter().filter(|r| r.robust.all.of > 0) {
                            tr role="row" data-key={ (row.step) "-" (row.epsilon) } {
                                td role="cell" { a href={ "/catalogue/" (row.attack) } { (row.label) } }
                                td role="cell" { (budget_text(kind, row.norm, row.epsilon)) " " span class="why" { (row.norm.as_str()) } }
                                td role="cell" { (share(&row.robust.all)) }
                                td role="cell" data-label="fell" { (row.fell.hits) " of " (row.fell.of) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What conditions and plausible changes did: a line each while it runs, then a table.
fn conditions(seen: &Seen) -> Markup {
    let said = seen.job.as_ref().map_or(&[][..], |j| j.said.as_slice());
    let full = seen.card.as_ref().map(|(_, full)| full);
    let rows = full.map_or(&[][..], |f| f.conditions.as_slice());
    let changes = full.map_or(&[][..], |f| f.changes.as_slice());
    html! {
        section id="conditions" class="panel" aria-labelledby="conditions-title" tabindex="-1" hidden[said.is_empty() && rows.is_empty() && changes.is_empty()] {
            header { h2 id="conditions-title" { "Under other conditions" } p class="aside" { "nobody attacks; something goes wrong" } }
            ul class="said" { @for (step, text) in said { li { b { (step) } ": " (text) } } }
            @if !rows.is_empty() { (condition_table(rows)) }
            @for change in changes {
                p class="hint" { (change.label) ": " (change.flipped.hits) " of " (change.flipped.of) " patients flip by a plausible change of their values." }
            }
        }
    }
}

/// A line per condition: what was right at each strength, and the most patients that one of them cost.
fn condition_table(rows: &[ConditionRow]) -> Markup {
    html! {
        table class="figures-table" role="table" {
            caption class="hidden" { "Share of patients answered rightly, per condition and strength" }
            thead role="rowgroup" { tr role="row" {
                th scope="col" role="columnheader" { "Condition" }
                th scope="col" role="columnheader" { "Right at each strength" }
                th scope="col" role="columnheader" { "Patients lost at the most" }
            } }
            tbody role="rowgroup" {
                @for of_one in rows.chunk_by(|a, b| a.condition == b.condition).take(CONDITIONS_MAX) {
                    @if let Some(first) = of_one.first() {
                        tr role="row" data-key={ "c" (first.condition) } {
                            td role="cell" { a href={ "/catalogue/" (first.family) } { (first.label) } }
                            td role="cell" { @for (n, row) in of_one.iter().enumerate() {
                                @if n > 0 { " · " }
                                span class="why" { (row.level.text()) } " " (percent(row.right.all.share))
                            } }
                            td role="cell" data-label="lost" { (of_one.iter().map(|r| r.lost).max().unwrap_or(0)) }
                        }
                    }
                }
            }
        }
    }
}

fn notes(seen: &Seen) -> Markup {
    let lists: [(&str, &[Note]); 4] = match &seen.card {
        Some((_, full)) => [
            ("Read first", &full.warnings),
            ("What to do", &full.advice),
            ("Not finished", &full.faults),
            ("Not run on this model", &full.skipped),
        ],
        None => [("", &[]); 4],
    };
    html! {
        section id="notes" class="panel" aria-label="What the scorecard says" tabindex="-1" hidden[lists.iter().all(|l| l.1.is_empty())] {
            @for (title, notes) in lists.iter().filter(|l| !l.1.is_empty()) {
                h2 { (title) }
                ul class="said" { @for note in notes.iter().take(NOTES_MAX) { li { b { (coded(&note.about)) } ": " (coded(&note.text)) } } }
            }
        }
    }
}

fn others(seen: &Seen) -> Markup {
    html! {
        section id="others" class="panel" aria-labelledby="others-title" tabindex="-1" hidden[seen.card.is_none()] {
            header { h2 id="others-title" { "Compare" } }
            @if seen.others.is_empty() {
                p class="empty" { (super::icons::icon(Icon::Skip)) " No other scorecard here comes from the same suite, seed and number of samples." }
            }
            ul class="said" {
                @for other in &seen.others {
                    li {
                        a href={ "/exercises/compare?a=" (other.id.as_str()) "&b=" (seen.id.as_str()) } { "with " (about(other)) ", " (source(&other.source)) }
                        " " span class="why" { (moment(other.at)) }
                    }
                }
            }
        }
    }
}
