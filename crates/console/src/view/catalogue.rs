//! The catalogue: everything a page names, with its own page.

use app::catalogue::Page;
use maud::{Markup, html};

use super::markdown;
use super::words::sentence;

/// Kinds in the order of the index, with the heading of each.
const KINDS: [(&str, &str); 5] = [
    ("guard", "Guards: checks on every request and reply"),
    ("alarm", "Alarms: messages that ask a person to look"),
    ("control", "Controls: what a system must have shown"),
    ("check", "Checks: what is looked at when a system is admitted"),
    ("refusal", "Refusals: answers given instead of a model's output"),
];

/// All entries.
pub(crate) fn index(pages: &[Page]) -> Markup {
    html! {
        p class="crumb" { a href="/" { "Live" } }
        h1 { "Catalogue" }
        p class="lead" { "Everything that Asepsis names. Each entry says what it is, why it matters in care, and what it misses." }
        @for (kind, title) in KINDS {
            @let of_kind: Vec<&Page> = pages.iter().filter(|p| p.kind == kind).collect();
            @if !of_kind.is_empty() {
                section class="panel" aria-labelledby={ "kind-" (kind) } {
                    header { h2 id={ "kind-" (kind) } { (title) } }
                    dl class="index" {
                        @for page in of_kind { div { dt { a href={ "/catalogue/" (page.id) } { (page.id) } " " (page.name) } dd { (page.summary()) } } }
                    }
                }
            }
        }
    }
}

/// One entry.
pub(crate) fn entry(page: &Page) -> Markup {
    html! {
        p class="crumb" { a href="/" { "Live" } " / " a href="/catalogue" { "Catalogue" } }
        h1 { (page.id) " " (sentence(&page.name.replace('-', " "))) }
        article class="panel prose" {
            (markdown::render(&page.doc))
            dl class="entry" {
                div { dt { "Kind" } dd { (page.kind) } }
                div { dt { "Name in configuration" } dd { code { (page.name) } } }
                div { dt { "Since" } dd { (page.since) } }
                @if !page.maps.is_empty() { div { dt { "Maps to" } dd { (page.maps.join(", ")) } } }
            }
        }
    }
}
