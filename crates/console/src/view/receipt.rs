//! A ledger entry as people read it, with the proof that it is in the ledger and the two actions of whoever doubts an answer.

use access::Action;
use app::ReceiptView;
use app::live::Decision;
use domain::{Digest, Evidence, GuardNote, Record, SystemId};
use maud::{Markup, html};

use super::icons::{Icon, chip, icon};
use super::layout::{back, csrf};
use super::words::{Tone, coded, count, ends, micros, moment, sentence, things};
use super::{Viewer, traffic};
use crate::act::REASON_CHARS_MAX;

/// The page's `main`, in a ledger of `size` entries.
pub(crate) fn page(entry: &ReceiptView, size: u64, viewer: &Viewer<'_>) -> Markup {
    let index = entry.index;
    html! {
        p class="crumb" { a href="/" { "Live" } " / Ledger" }
        h1 { "Ledger entry " (count(index)) }
        p class="lead" { (title(&entry.record)) }
        div class="pair" {
            section class="panel" aria-labelledby="entry-title" {
                header { h2 id="entry-title" { "What is written" } }
                dl class="entry" {
                    @if let Some(Record::Opened { client, system, rows, .. }) = &entry.opened {
                        (line("Client", html! { (client) }))
                        (line("System", html! { a href={ "/systems/" (system) } { (system) } }))
                        (line("Rows", html! { (rows) }))
                    }
                    (lines(&entry.record))
                }
                p class="hint" { (icon(Icon::Shield)) "The ledger holds digests and words about what happened, never a patient's values." }
            }
            div {
                (flag_form(entry, viewer))
                section class="panel" aria-labelledby="proof-title" {
                    header { h2 id="proof-title" { "Proof" } }
                    p { "This text shows to anybody, with the public key of this ledger and without trusting us, that the entry is in it and unchanged." }
                    p { a class="button" href={ "/receipts/" (index) "/proof" } download={ "asepsis-entry-" (index) ".proof.txt" } { "Download the proof" } }
                    details id="proof-text" { summary { "Show the proof" } pre tabindex="0" { code { (entry.inclusion_proof) } } }
                    details id="proof-json" { summary { "Show the entry as stored" } pre tabindex="0" { code { (entry.json) } } }
                }
            }
        }
        nav class="pages" aria-label="Entries" {
            @if let Some(before) = index.checked_sub(1) { a rel="prev" href={ "/receipts/" (before) } { "← Entry " (count(before)) } }
            @if index + 1 < size { a rel="next" href={ "/receipts/" (index + 1) } { "Entry " (count(index + 1)) " →" } }
        }
    }
}

/// The entry in one sentence.
fn title(record: &Record) -> String {
    match record {
        Record::Genesis { origin, .. } => format!("The ledger of {origin} begins."),
        Record::Opened { client, system, .. } => format!(
            "{client} asked {system}; the request was in order and was written down before anything was done."
        ),
        Record::Closed { refused: Some(code), .. } => {
            format!("The request was refused with {code}; no answer left the house.")
        }
        Record::Closed { advice, .. } => format!("The model answered. Advice: {advice}."),
        Record::Rejected { count: n, code, .. } => format!(
            "{} turned away at the door with {code}.",
            things(u64::from(*n), "call was", "calls were")
        ),
        Record::Evidence { evidence } => format!(
            "Evidence about {}: the check {} says {}.",
            evidence.system,
            evidence.check,
            evidence.outcome.word()
        ),
        Record::Accepted { acceptance } => format!(
            "{} accepted the risk that {} of {} is not met.",
            acceptance.by, acceptance.control, acceptance.system
        ),
        Record::Gate { system, stage, open, .. } => {
            format!("The {stage} gate of {system} {}.", if *open { "opened" } else { "shut" })
        }
        Record::GuardChanged { instance, system, loosened, .. } => {
            format!(
                "The guard {instance} of {system} was {}.",
                if *loosened { "loosened" } else { "tightened" }
            )
        }
        Record::Action { by, action, target, .. } => {
            format!("{by}: {} ({target}).", action.replace('-', " "))
        }
        Record::Alarm { message, .. } => format!("Alarm: {message}."),
    }
}

fn line(term: &str, value: Markup) -> Markup {
    html! { div { dt { (term) } dd { (value) } } }
}

fn digest(digest: &Digest) -> Markup {
    let text = digest.to_string();
    html! { code title=(text) { (ends(&text)) } }
}

fn optional(digest_of: Option<&Digest>, none: &str) -> Markup {
    html! { @match digest_of { Some(d) => (digest(d)), None => (none) } }
}

fn lines(record: &Record) -> Markup {
    match record {
        Record::Genesis { at, tool, origin } => {
            html! { (line("When", moment(*at))) (line("Hospital", html! { (origin) })) (line("Program", html! { (tool) })) }
        }
        Record::Opened { at, exchange, client, system, request, rows } => html! {
            (line("When", moment(*at)))
            (line("Client", html! { (client) }))
            (line("System", html! { a href={ "/systems/" (system) } { (system) } }))
            (line("Rows", html! { (rows) }))
            (line("Request", digest(request)))
            (line("Exchange", html! { code { (ends(exchange)) } }))
        },
        Record::Closed { .. } => closed(record),
        Record::Rejected { at, code, client, system, count: n } => html! {
            (line("When", moment(*at)))
            (line("Code", html! { a href={ "/catalogue/" (code) } { (code) } }))
            (line("How many in that second", html! { (n) }))
            @if let Some(client) = client { (line("Client", html! { (client) })) }
            @if let Some(system) = system { (line("System", html! { (system) })) }
        },
        Record::Evidence { evidence } => evidence_lines(evidence),
        Record::Accepted { acceptance: a } => html! {
            (line("Until", moment(a.until)))
            (line("Control", html! { a href={ "/catalogue/" (a.control) } { (a.control) } }))
            (line("System", html! { a href={ "/systems/" (a.system) } { (a.system) } }))
            (line("By", html! { (a.by) }))
            (line("Why", html! { (a.reason) }))
        },
        Record::Gate { at, system, stage, open, because, serving } => html! {
            (line("When", moment(*at)))
            (line("System", html! { a href={ "/systems/" (system) } { (system) } }))
            (line("Gate", html! { (stage) " " (if *open { "open" } else { "shut" }) }))
            @if !because.is_empty() { (line("Because of", html! { (because.join(", ")) })) }
            (line("Serves now", optional(serving.as_ref(), "nothing")))
        },
        Record::GuardChanged { at, system, instance, mode, on_inconclusive, loosened } => html! {
            (line("When", moment(*at)))
            (line("System", html! { a href={ "/systems/" (system) } { (system) } }))
            (line("Guard", html! { (instance) }))
            (line("Mode now", html! { @match mode { Some(mode) => { (format!("{mode:?}").to_lowercase()) } None => "taken away" } }))
            @if let Some(doubt) = on_inconclusive { (line("A doubt counts as", html! { (format!("{doubt:?}").to_lowercase()) })) }
            (line("Lets more through", html! { (if *loosened { "yes" } else { "no" }) }))
        },
        Record::Action { at, by, action, target, reason } => html! {
            (line("When", moment(*at)))
            (line("By", html! { (by) }))
            (line("What", html! { (action) }))
            (line("On", html! { (target) }))
            @if let Some(reason) = reason { (line("Why", html! { (reason) })) }
        },
        Record::Alarm { at, alarm, system, client, message } => html! {
            (line("When", moment(*at)))
            (line("Alarm", html! { a href={ "/catalogue/" (alarm) } { (alarm) } }))
            @if let Some(system) = system { (line("System", html! { a href={ "/systems/" (system) } { (system) } })) }
            @if let Some(client) = client { (line("Client", html! { (client) })) }
            (line("Seen", coded(&sentence(message))))
        },
    }
}

fn closed(record: &Record) -> Markup {
    let Record::Closed { at, opened, model, reply, refused, advice, guards, took_us, exchange } = record
    else {
        return html! {};
    };
    html! {
        (line("When", moment(*at)))
        (line("Advice", html! {
            @match refused {
                Some(code) => { (chip(Tone::Stop, Icon::Shield, "refused")) " " a href={ "/catalogue/" (code) } { (code) } }
                None => (chip(Tone::of_advice(*advice), Icon::Dot, advice.as_str())),
            }
        }))
        (line("Guards that were not clean", html! {
            @if guards.is_empty() { "none" } @else { ul { @for guard in guards { li { (note(guard)) } } } }
        }))
        (line("Model", optional(model.as_ref(), "did not run")))
        (line("Reply", optional(reply.as_ref(), "none left the house")))
        (line("Took", html! { (micros(*took_us)) }))
        (line("Request", html! { a href={ "/receipts/" (opened) } { "entry " (count(*opened)) } }))
        (line("Exchange", html! { code { (ends(exchange)) } }))
    }
}

fn note(note: &GuardNote) -> Markup {
    html! {
        b { (note.instance) } " " (if note.outcome == "inconclusive" { "could not decide" } else { "found something" })
        @if !note.places.is_empty() { " in " (note.places.join(", ")) }
    }
}

fn evidence_lines(evidence: &Evidence) -> Markup {
    html! {
        (line("When", moment(evidence.made_at)))
        (line("System", html! { a href={ "/systems/" (evidence.system) } { (evidence.system) } }))
        (line("Check", html! { a href={ "/catalogue/" (evidence.check) } { (evidence.check) } }))
        (line("Says", html! { (evidence.outcome.word()) }))
        @if !evidence.outcome.findings().is_empty() {
            (line("Findings", html! { ul { @for f in evidence.outcome.findings() { li { (f.severity) ", " (coded(&f.location.to_string())) ": " (coded(&f.message)) } } } }))
        }
        (line("Covers", html! { ul { @for s in &evidence.subjects { li { (s.role) " " (digest(&s.digest)) } } } }))
        @if !evidence.metrics.is_empty() {
            (line("Measured", html! { ul { @for (name, m) in &evidence.metrics {
                li { (name) " " b { (format!("{:.4}", m.value)) } @if m.unit != "1" { " " (m.unit) } }
            } } }))
        }
        @if !evidence.parameters.is_empty() {
            (line("With", html! { ul { @for (name, value) in &evidence.parameters { li { (name) " = " code { (value) } } } } }))
        }
        (line("By", html! { (evidence.by) ", " (evidence.tool) }))
    }
}

/// The answer as the live page knows it, for somebody who may not read the ledger.
pub(crate) fn answer(decision: &Decision, viewer: &Viewer<'_>) -> Markup {
    html! {
        p class="crumb" { a href="/" { "Live" } }
        h1 { "Answer " (count(decision.ledger_index)) }
        div class="pair" {
            section class="panel" aria-labelledby="entry-title" {
                header { h2 id="entry-title" { "What happened" } }
                dl class="entry" {
                    (line("When", moment(decision.at)))
                    (line("System", html! { a href={ "/systems/" (decision.system) } { (decision.system) } }))
                    (line("Client", html! { (decision.client) }))
                    (line("Advice", traffic::verdict(decision)))
                    (line("Why", traffic::why(decision, viewer)))
                }
                p class="hint" { "The ledger entry and its proof are for engineers, governance and auditors." }
            }
            (flag(decision.ledger_index, &decision.system, viewer))
        }
    }
}

/// The form under an entry that closes an exchange; nothing under others.
fn flag_form(entry: &ReceiptView, viewer: &Viewer<'_>) -> Markup {
    match (&entry.record, &entry.opened) {
        (Record::Closed { .. }, Some(Record::Opened { system, .. })) => html! {
            (flag(entry.index, system, viewer))
            @if !entry.flags.is_empty() {
                section class="panel" aria-labelledby="flags-title" {
                    header { h2 id="flags-title" { "Flagged as wrong" } }
                    ul { @for (by, reason) in &entry.flags { li { "by " b { (by) } @if let Some(reason) = reason { ": “" (reason) "”" } } } }
                }
            }
        },
        _ => html! {},
    }
}

/// Flagging: one press, or a press with a reason.
fn flag(index: u64, system: &SystemId, viewer: &Viewer<'_>) -> Markup {
    html! {
        @if viewer.may_on_system(Action::FlagAnswer, system) {
            section class="panel" aria-labelledby="flag-title" {
                header { h2 id="flag-title" { "Is this answer wrong?" } }
                form method="post" action={ "/receipts/" (index) "/flag" } {
                    (csrf(viewer)) (back(&format!("/receipts/{index}")))
                    label for="flag-reason" { "What is wrong with it, if you have time to say. No patient's name or values." }
                    input id="flag-reason" name="reason" maxlength=(REASON_CHARS_MAX) autocomplete="off";
                    button class="danger" { "Flag this answer" }
                }
            }
        }
    }
}
