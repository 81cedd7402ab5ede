//! The page of a model file: what the buyer should know in one sentence, what was found, who vouches for it, and what is inside.

use app::artefact::ArtefactView;
use artifact::{Part, Verdict};
use domain::{Outcome, Severity};
use maud::{Markup, html};

use super::icons::{Icon, chip};
use super::words::{Tone, coded, count, sentence};

/// Parts shown; the bill of materials has all.
const PARTS_MAX: usize = 400;
/// Findings shown.
const FINDINGS_MAX: usize = 60;
/// How deep the tree goes, so that no file decides how deep the page nests.
const DEPTH_MAX: usize = 12;

/// The page's `main`.
pub(crate) fn page(view: &ArtefactView) -> Markup {
    html! {
        p class="crumb" { a href="/" { "Live" } " / " a href={ "/systems/" (view.system) } { (view.title) } " / Model file" }
        h1 { "Model file of " (view.title) }
        section class="panel state" aria-label="Verdict" {
            div class="summary" role="status" { (verdict(view.verdict)) }
            p class="lead" { (view.says) }
            dl class="facts" {
                div { dt { "Content" } dd { @match &view.model { Some(digest) => code { (digest) }, None => "the file is not here" } } }
                @if let Some(part) = &view.part {
                    div { dt { "Format" } dd { (part.format) } }
                    div { dt { "Size" } dd { (count(part.bytes)) " bytes" } }
                }
                div { dt { "Signature" } dd { (signature(view)) } }
                div { dt { "Bill of materials" } dd {
                    @if view.bill { a href={ "/systems/" (view.system) "/bom" } download={ (view.system) ".cdx.json" } { "Download (CycloneDX)" } } @else { "none yet" }
                } }
            }
            @if view.part.is_some() && !view.current {
                p class="hint" { "The file changed since: what stands here is about the content before. Admit the system again." }
            }
            p class="hint" {
                "Evidence: "
                @for (n, (index, evidence)) in view.evidence.iter().enumerate() {
                    @if n > 0 { ", " }
                    a href={ "/receipts/" (index) } { (evidence.check) " in ledger entry " (count(*index)) }
                }
                @if view.evidence.is_empty() { "none" }
            }
        }
        @if let Some(part) = &view.part {
            (findings(part))
            (inside(part))
        }
    }
}

fn verdict(verdict: Option<Verdict>) -> Markup {
    match verdict {
        Some(Verdict::Clean) => chip(Tone::Good, Icon::Check, "clean"),
        Some(Verdict::Inconclusive) => chip(Tone::Care, Icon::Ring, "inconclusive"),
        Some(Verdict::Found) => chip(Tone::Bad, Icon::Cross, "found"),
        None => chip(Tone::Stop, Icon::Ring, "not scanned"),
    }
}

fn signature(view: &ArtefactView) -> Markup {
    let found = view.evidence.iter().map(|(_, e)| e).find(|e| e.check == app::checks::ARTEFACT_SIGNED.id);
    html! {
        @match found.map(|e| (&e.outcome, e.parameters.get("signed-by"))) {
            None => "not verified yet",
            Some((Outcome::Clean, by)) => { "verified" @if let Some(by) = by { ": signed with " code { (by) } } }
            Some((Outcome::Found { findings }, _)) => (coded(&sentence(&findings.first().map_or_else(String::new, |f| f.message.clone())))),
            Some((Outcome::Inconclusive { doubt, .. }, _)) => (coded(&sentence(&doubt.reason))),
        }
    }
}

fn findings(part: &Part) -> Markup {
    let mut found: Vec<_> = part.all_findings().collect();
    found.sort_by_key(|f| std::cmp::Reverse(f.severity));
    let unread: Vec<_> = part
        .walk()
        .into_iter()
        .flat_map(|p| p.unread.iter().map(move |u| (p, u)))
        .take(FINDINGS_MAX)
        .collect();
    html! {
        section class="panel" aria-labelledby="found-title" {
            header { h2 id="found-title" { "What was found" } p class="aside" { (count(found.len() as u64)) } }
            @if found.is_empty() && unread.is_empty() { p { "Nothing. All of it was understood." } }
            @if !found.is_empty() {
                table role="table" {
                    caption class="hidden" { "Findings, worst first" }
                    thead role="rowgroup" { tr role="row" {
                        th scope="col" role="columnheader" { "Rule" }
                        th scope="col" role="columnheader" { "Severity" }
                        th scope="col" role="columnheader" { "What" }
                        th scope="col" role="columnheader" { "Where" }
                        th scope="col" role="columnheader" { "What to do" }
                    } }
                    tbody role="rowgroup" {
                        @for finding in found.iter().take(FINDINGS_MAX) {
                            tr role="row" {
                                td role="cell" { a href={ "/catalogue/" (finding.check) } { (finding.check) } @if let Some(t) = &finding.technique { " " span { (t) } } }
                                td role="cell" { (severity(finding.severity)) }
                                td role="cell" { (coded(&finding.message)) }
                                td role="cell" { (coded(&finding.location.to_string())) }
                                td role="cell" { (sentence(&finding.remedy)) }
                            }
                        }
                    }
                }
            }
            @if !unread.is_empty() {
                h3 { "What could not be read" }
                ul { @for (part, unread) in unread { li { code { (part.name) } ": " (sentence(&unread.reason)) } } }
            }
        }
    }
}

fn severity(severity: Severity) -> Markup {
    let (tone, icon) = match severity {
        Severity::Critical | Severity::High => (Tone::Bad, Icon::Cross),
        Severity::Medium => (Tone::Care, Icon::Ring),
        Severity::Low | Severity::Info => (Tone::Good, Icon::Check),
    };
    chip(tone, icon, &severity.to_string())
}

fn inside(part: &Part) -> Markup {
    let mut left = PARTS_MAX;
    html! {
        section class="panel" aria-labelledby="inside-title" {
            header { h2 id="inside-title" { "What is inside" } p class="aside" { (count(part.walk().len() as u64)) " parts" } }
            ul class="tree" { (branch(part, 0, &mut left)) }
            @if left == 0 { p class="hint" { "The bill of materials lists the rest." } }
        }
    }
}

fn branch(part: &Part, depth: usize, left: &mut usize) -> Markup {
    if *left == 0 {
        return html! {};
    }
    *left -= 1;
    let facts = &part.facts;
    html! {
        li {
            @match part.verdict() {
                Verdict::Clean => span class="hidden" { "clean: " },
                Verdict::Inconclusive => (chip(Tone::Care, Icon::Ring, "inconclusive")),
                Verdict::Found => (chip(Tone::Bad, Icon::Cross, "found")),
            }
            " " code { (part.name) } " " span { (part.format) ", " (count(part.bytes)) " bytes" }
            @if let Some(architecture) = &facts.architecture { span { ", " (architecture) } }
            @if let Some(parameters) = facts.parameters { span { ", " (count(parameters)) " parameters" } }
            @if !facts.operators.is_empty() { span { ", " (count(facts.operators.values().sum())) " operators" } }
            @if !part.parts.is_empty() && depth < DEPTH_MAX {
                ul { @for child in &part.parts { (branch(child, depth + 1, left)) } }
            }
        }
    }
}
