//! Two scorecards point by point: a chart of both, and a table that says better, worse or same in words. Unequal tests are not compared; the page says how they differ.

use app::exercises::{Card, Compared};
use attack::scorecard::{Comparison, Point, Scorecard, budget_text};
use maud::{Markup, html};

use super::curves;
use super::exercises::{about, complete, percent, source, suite_of};
use super::icons::{Icon, chip};
use super::words::{Tone, coded, ends, moment, sentence, things};

/// Points on the page: every budget of the largest suite, and the worst cases.
const POINTS_MAX: usize = 4_000;
/// Lines of a list.
const LINES_MAX: usize = 60;

/// The page's `main`.
pub(crate) fn page(both: &Compared) -> Markup {
    html! {
        p class="crumb" { a href="/exercises" { "Exercises" } " / Compare" }
        h1 { "Two scorecards, point by point" }
        @match &both.points {
            Ok(points) => (equal(both, points)),
            Err(differs) => (unequal(both, differs)),
        }
    }
}

fn pair(both: &Compared) -> Markup {
    html! {
        div class="pair" {
            (one("First", &both.first.0, &both.first.1))
            (one("Second", &both.second.0, &both.second.1))
        }
    }
}

fn one(word: &str, card: &Card, full: &Scorecard) -> Markup {
    html! {
        div {
            h2 { (word) ": " a href={ "/exercises/" (card.id.as_str()) } { (about(card)) } }
            dl class="facts" {
                div { dt { "Comes" } dd { (source(&card.source)) ", " (moment(card.at)) } }
                div { dt { "Model" } dd { (full.subject.model) " " code { (ends(&full.subject.model_digest)) } } }
                div { dt { "Patients" } dd { (full.subject.data) ", " (full.subject.rows) } }
                div { dt { "Suite" } dd { (suite_of(card)) } }
                div { dt { "State" } dd { (complete(card.summary.complete)) } }
            }
        }
    }
}

fn unequal(both: &Compared, differs: &[String]) -> Markup {
    html! {
        section class="panel state" aria-labelledby="refused-title" {
            div class="summary" role="status" { (chip(Tone::Care, Icon::Care, "not compared")) }
            h2 id="refused-title" { "They ran different tests, so their figures say nothing beside each other" }
            p class="hint" { "Run one of them again with the suite, seed and number of samples of the other. This is how they differ, the first before the second:" }
            ul class="said" { @for line in differs.iter().take(LINES_MAX) { li { (coded(&sentence(line))) } } }
            (pair(both))
        }
    }
}

/// How many points carry a word.
fn counted(points: &Comparison, word: &str) -> usize {
    points.points.iter().filter(|p| p.word() == word).count()
}

fn equal(both: &Compared, points: &Comparison) -> Markup {
    let (better, worse, same) =
        (counted(points, "better"), counted(points, "worse"), counted(points, "same"));
    let swapped = format!("/exercises/compare?a={}&b={}", both.second.0.id, both.first.0.id);
    let names = (format!("first: {}", about(&both.first.0)), format!("second: {}", about(&both.second.0)));
    html! {
        section class="panel state" aria-label="In short" {
            div class="summary" role="status" {
                @if worse > 0 { (chip(Tone::Bad, Icon::Cross, &format!("the second is worse at {}", things(worse as u64, "point", "points")))) }
                @if better > 0 { (chip(Tone::Good, Icon::Check, &format!("better at {}", things(better as u64, "point", "points")))) }
                (chip(Tone::Quiet, Icon::Skip, &format!("the same at {}", things(same as u64, "point", "points"))))
            }
            (pair(both))
            @if !points.differs.is_empty() {
                h2 { "What differs beside the figures" }
                ul class="said" { @for line in points.differs.iter().take(LINES_MAX) { li { (coded(&sentence(line))) } } }
            }
            p class="hint" { a href=(swapped) { "Look at it the other way round" } }
        }
        section class="panel" aria-labelledby="curves-title" {
            header { h2 id="curves-title" { "Accuracy against the size of the change" } p class="aside" { "worst of all attacks, with 95 % intervals" } }
            (curves::charts(&[(&names.0, &both.first.1), (&names.1, &both.second.1)]))
        }
        (table(&both.first.1.subject.kind, points))
    }
}

fn table(kind: &str, points: &Comparison) -> Markup {
    let paired = points.points.iter().any(|p| p.lost.is_some());
    html! {
        section class="panel" aria-labelledby="points-title" {
            header { h2 id="points-title" { "Every point" } p class="aside" { "patients still answered rightly" } }
            table class="figures-table" role="table" {
                caption class="hidden" { "Each attack at each budget in both scorecards" }
                thead role="rowgroup" { tr role="row" {
                    th scope="col" role="columnheader" { "Attack" }
                    th scope="col" role="columnheader" { "Budget" }
                    th scope="col" role="columnheader" class="number" { "First" }
                    th scope="col" role="columnheader" class="number" { "Second" }
                    th scope="col" role="columnheader" { "The second is" }
                    th scope="col" role="columnheader" { "Difference (95 % interval)" }
                    @if paired { th scope="col" role="columnheader" class="number" { "Patients lost, gained" } }
                } }
                tbody role="rowgroup" { @for point in points.points.iter().take(POINTS_MAX) { (row(kind, point, paired)) } }
            }
            p class="hint" {
                "Same: the 95 % interval of the difference (Newcombe) holds 0, so chance alone can make it. "
                @if paired { "Lost and gained: patients that only the first, or only the second, answers rightly." }
            }
        }
    }
}

fn row(kind: &str, point: &Point, paired: bool) -> Markup {
    let (tone, picture) = match point.word() {
        "better" => (Tone::Good, Icon::Check),
        "worse" => (Tone::Bad, Icon::Cross),
        _ => (Tone::Quiet, Icon::Skip),
    };
    let signed = |value: f64| {
        let text = format!("{:+.0}", 100.0 * value);
        if text == "-0" { "+0".to_owned() } else { text }
    };
    html! {
        tr role="row" {
            td role="cell" { @if point.norm.is_none() && point.level.is_none() { "no attack" } @else { (point.label) } }
            td role="cell" { @if let Some(norm) = point.norm { (budget_text(kind, norm, point.epsilon)) " " span class="why" { (norm.as_str()) } } @if let Some(level) = &point.level { (level) } }
            td role="cell" class="number" data-label="first" { (percent(point.first.share)) }
            td role="cell" class="number" data-label="second" { (percent(point.second.share)) }
            td role="cell" { (chip(tone, picture, point.word())) }
            td role="cell" { (signed(point.difference)) " points " span class="why" { "(" (signed(point.interval.0)) " to " (signed(point.interval.1)) ")" } }
            @if paired { td role="cell" class="number" data-label="lost, gained" { (point.lost.unwrap_or(0)) ", " (point.gained.unwrap_or(0)) } }
        }
    }
}
