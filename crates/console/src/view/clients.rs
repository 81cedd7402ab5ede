//! Clients: who asks, what the guards found in it, what is left of the day's budget, and the way to shut one out.

use access::{Action, Resource};
use app::overview::ClientCard;
use maud::{Markup, html};

use super::icons::{Icon, chip};
use super::layout::{back, csrf};
use super::words::{Tone, clock, count};
use super::{Viewer, charts};
use crate::act::REASON_CHARS_MAX;

/// How the names of the rehearsal's clients begin, as the gateway labels them.
const REHEARSAL_PREFIX: &str = "rehearsal-";

/// Clients shown.
const SHOWN_MAX: usize = 60;

/// The panel.
pub(crate) fn panel(clients: &[ClientCard], viewer: &Viewer<'_>) -> Markup {
    html! {
        section id="clients" class="panel" aria-labelledby="clients-title" tabindex="-1" {
            header { h2 id="clients-title" { "Clients" } p class="aside" { (clients.len()) " known" } }
            ul class="clients" { @for client in clients.iter().take(SHOWN_MAX) { (one(client, viewer)) } }
            @if clients.len() > SHOWN_MAX { p class="aside" { "and " (clients.len() - SHOWN_MAX) " more" } }
            @if clients.is_empty() { p class="empty" { "No client has a key yet." } }
        }
    }
}

fn one(client: &ClientCard, viewer: &Viewer<'_>) -> Markup {
    let may = (viewer.may)(Action::QuarantineClient, &Resource::Client(client.id.clone()));
    html! {
        li class="client" data-key={ "client-" (client.id) } {
            div class="client-head" {
                h3 { (client.title) @if client.id.as_str().starts_with(REHEARSAL_PREFIX) { " " span class="tag" { "rehearsal" } } }
                @if let Some(by) = &client.quarantined_by { (chip(Tone::Stop, Icon::Shield, &format!("quarantined by {by}"))) }
            }
            p class="facts" {
                b { (count(client.counts.answered)) } " answered · " b { (count(client.counts.refused)) } " refused"
                @if client.counts.answered + client.counts.refused > 0 { " · last " (clock(client.counts.last)) }
            }
            (charts::budget(client.rows_today, client.rows_per_day))
            @if !client.counts.found.is_empty() {
                ul class="found" aria-label="Guards that found something" {
                    @for (guard, n) in &client.counts.found { li { (guard) " " b { (count(*n)) } } }
                }
            }
            @if may { (steps(client, viewer)) }
        }
    }
}

fn steps(client: &ClientCard, viewer: &Viewer<'_>) -> Markup {
    let reason = format!("why-{}", client.id);
    let hours = format!("hours-{}", client.id);
    html! {
        @if client.quarantined_by.is_some() {
            form method="post" action={ "/clients/" (client.id) "/lift" } data-inline {
                (csrf(viewer)) (back("/"))
                button aria-label={ "Let " (client.title) " in again" } { "Let in again" }
            }
        } @else {
            details id={ "quarantine-" (client.id) } class="act" {
                summary { "Quarantine" span class="hidden" { " " (client.title) } "…" }
                form method="post" action={ "/clients/" (client.id) "/quarantine" } data-inline {
                    (csrf(viewer)) (back("/"))
                    label for=(reason) { "Why" }
                    input id=(reason) name="reason" required maxlength=(REASON_CHARS_MAX) autocomplete="off";
                    label for=(hours) { "For how long" }
                    select id=(hours) name="hours" {
                        option value="1" { "1 hour" }
                        option value="24" selected { "1 day" }
                        option value="168" { "1 week" }
                        option value="" { "until somebody lifts it" }
                    }
                    button class="danger" { "Refuse its requests" }
                }
            }
        }
    }
}
