//! Alarms: what asks a person to look, since when, how often, and who has it.

use access::{Action, Resource};
use app::live::AlarmRow;
use maud::{Markup, html};

use super::Viewer;
use super::icons::{Icon, chip, icon};
use super::layout::{back, csrf};
use super::words::{Tone, coded, moment, sentence, things};

/// Acknowledged alarms shown below the open ones.
const SEEN_SHOWN_MAX: usize = 8;

/// The panel.
pub(crate) fn panel(alarms: &[AlarmRow], viewer: &Viewer<'_>) -> Markup {
    let open: Vec<&AlarmRow> = alarms.iter().filter(|a| a.acknowledged_by.is_none()).collect();
    let seen: Vec<&AlarmRow> =
        alarms.iter().filter(|a| a.acknowledged_by.is_some()).take(SEEN_SHOWN_MAX).collect();
    html! {
        section id="alarms" class="panel" aria-labelledby="alarms-title" tabindex="-1" {
            header {
                h2 id="alarms-title" { "Alarms" }
                p class="aside" { @if open.is_empty() { "none open" } @else { (open.len()) " open" } }
            }
            @if open.is_empty() {
                p class="empty" { (icon(Icon::Check)) "Nothing waits for anybody." }
            }
            ul class="alarms" { @for alarm in open { (one(alarm, viewer)) } }
            @if !seen.is_empty() {
                details id="alarms-seen" {
                    summary { "Acknowledged lately (" (seen.len()) ")" }
                    ul class="alarms" { @for alarm in seen { (one(alarm, viewer)) } }
                }
            }
        }
    }
}

fn one(alarm: &AlarmRow, viewer: &Viewer<'_>) -> Markup {
    let tone = Tone::of_severity(alarm.severity);
    let may = alarm.acknowledged_by.is_none() && (viewer.may)(Action::AcknowledgeAlarm, &Resource::Hospital);
    html! {
        li class={ "alarm " (tone.class()) } data-key={ "alarm-" (alarm.id) } {
            div class="alarm-head" {
                (chip(tone, Icon::Bell, &alarm.severity.to_string()))
                h3 { a href={ "/catalogue/" (alarm.alarm) } { (sentence(&alarm.name.replace('-', " "))) } }
            }
            p { (coded(&sentence(&alarm.message))) }
            p class="facts" {
                @if let Some(system) = &alarm.system { a href={ "/systems/" (system) } { (system) } " · " }
                @if let Some(client) = &alarm.client { "client " b { (client) } " · " }
                "since " (moment(alarm.at)) " · " (things(u64::from(alarm.count), "time", "times"))
                @if let Some(who) = &alarm.acknowledged_by { " · taken by " b { (who) } }
            }
            @if may {
                form method="post" action={ "/alarms/" (alarm.id) "/acknowledge" } data-inline {
                    (csrf(viewer)) (back("/"))
                    button aria-label={ "Acknowledge alarm " (alarm.id) ": " (alarm.name) } { "I have it" }
                }
            }
        }
    }
}
