//! Accuracy against the size of the change, as SVG: the worst case of one scorecard or of two, a chart per norm. Shapes and dashes tell the lines apart, not colour alone;
//! lengths are attributes, so that the policy can forbid inline styles. The figures stand in a table beside it.

use attack::Norm;
use attack::scorecard::{Scorecard, Share, budget_text};
use maud::{Markup, html};

use super::exercises::percent;

/// Size of the drawing, and its margins: left, top, right, bottom.
const SIZE: (f64, f64) = (480.0, 260.0);
const MARGIN: (f64, f64, f64, f64) = (48.0, 10.0, 16.0, 40.0);
/// Most charts, and most points of a line.
const NORMS_MAX: usize = 4;
const POINTS_MAX: usize = 32;
/// Classes of the lines in the style sheet.
const LINES: [&str; 2] = ["first", "second"];

/// A line: budget and share, from 0 upwards.
type Line = Vec<(f64, Share)>;

/// The charts of one scorecard, or of two beside each other.
pub(crate) fn charts(cards: &[(&str, &Scorecard)]) -> Markup {
    let mut norms: Vec<Norm> = cards.iter().flat_map(|(_, card)| card.worst.iter().map(|w| w.norm)).collect();
    norms.sort_unstable();
    norms.dedup();
    html! {
        div class="charts" {
            @for norm in norms.into_iter().take(NORMS_MAX) { (chart(cards, norm)) }
        }
    }
}

fn line(card: &Scorecard, norm: Norm) -> Line {
    let tried = card.worst.iter().filter(|w| w.norm == norm && w.robust.all.of > 0);
    let mut points: Line = tried.map(|w| (w.epsilon, w.robust.all)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.truncate(POINTS_MAX);
    points.insert(0, (0.0, card.clean.all));
    points
}

/// How a norm measures a change, in words.
pub(crate) const fn measured(norm: Norm) -> &'static str {
    match norm {
        Norm::Linf => "largest change of a value",
        Norm::L2 => "overall size of the change (L2)",
        Norm::L1 => "sum of all changes (L1)",
        Norm::L0 => "number of values changed",
    }
}

fn chart(cards: &[(&str, &Scorecard)], norm: Norm) -> Markup {
    let lines = cards.iter().zip(LINES).map(|((name, card), class)| (*name, class, line(card, norm)));
    // Where a norm was tried on one of them only, the other has nothing but its start.
    let lines: Vec<(&str, &str, Line)> = lines.filter(|l| l.2.len() > 1).collect();
    let kind = cards.first().map_or("table", |c| c.1.subject.kind.as_str());
    let points = lines.iter().flat_map(|l| &l.2);
    let largest = points.map(|p| p.0).filter(|e| e.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let said: Vec<String> = lines
        .iter()
        .map(|(name, _, line)| {
            let last = line.last().map_or_else(String::new, |p| percent(p.1.share));
            let first = line.first().map_or_else(String::new, |p| percent(p.1.share));
            format!("{name} from {first} to {last}")
        })
        .collect();
    html! {
        figure class="curve" {
            svg viewBox={ "0 0 " (SIZE.0) " " (SIZE.1) } role="img" aria-label={ "Accuracy against the " (measured(norm)) ": " (said.join(", ")) "; the figures are in the table" } {
                (axes(&lines, kind, norm, largest))
                @for (_, class, line) in &lines { (drawn(line, class, largest)) }
            }
            figcaption {
                @for (name, class, _) in &lines {
                    span class="key" {
                        svg viewBox="0 0 30 10" width="30" height="10" aria-hidden="true" focusable="false" { path class={ "line " (class) } d="M1 5H29" {} (mark(class, 15.0, 5.0)) }
                        " " (name)
                    }
                }
            }
        }
    }
}

fn x(epsilon: f64, largest: f64) -> f64 {
    MARGIN.0 + (SIZE.0 - MARGIN.0 - MARGIN.2) * (epsilon / largest).clamp(0.0, 1.0)
}

fn y(share: f64) -> f64 {
    MARGIN.1 + (SIZE.1 - MARGIN.1 - MARGIN.3) * (1.0 - share.clamp(0.0, 1.0))
}

/// A length with one digit, as an attribute.
fn at(value: f64) -> String {
    format!("{value:.1}")
}

fn axes(lines: &[(&str, &str, Line)], kind: &str, norm: Norm, largest: f64) -> Markup {
    let (right, bottom) = (SIZE.0 - MARGIN.2, SIZE.1 - MARGIN.3);
    let ticks = ticks(lines.first().map_or(&[], |l| l.2.as_slice()), kind, norm, largest);
    html! {
        @for step in 0..=4_u8 {
            @let share = f64::from(step) / 4.0;
            path class="grid" d={ "M" (MARGIN.0) " " (at(y(share))) "H" (right) } {}
            text x=(MARGIN.0 - 6.0) y=(at(y(share) + 4.0)) text-anchor="end" { (percent(share)) }
        }
        path class="axis" d={ "M" (MARGIN.0) " " (bottom) "H" (right) } {}
        @for (x, word) in &ticks {
            path class="axis" d={ "M" (at(*x)) " " (bottom) "v4" } {}
            text x=(at(*x)) y=(bottom + 16.0) text-anchor="middle" { (word) }
        }
        text x=(at(f64::midpoint(MARGIN.0, right))) y=(bottom + 34.0) text-anchor="middle" { (measured(norm)) @if kind == "table" && norm == Norm::Linf { ", of its range" } }
    }
}

/// Where budgets are written below the axis; those that would lie on one another are left out.
fn ticks(line: &[(f64, Share)], kind: &str, norm: Norm, largest: f64) -> Vec<(f64, String)> {
    let mut out = Vec::new();
    let mut free = f64::NEG_INFINITY;
    for (epsilon, _) in line {
        let word = if *epsilon == 0.0 { "0".to_owned() } else { budget_text(kind, norm, *epsilon) };
        let word = word.trim_end_matches(" of range").trim_end_matches(" values").to_owned();
        let (x, half) = (x(*epsilon, largest), 3.4 * word.chars().count() as f64);
        if x - half > free {
            free = x + half + 4.0;
            out.push((x, word));
        }
    }
    out
}

fn drawn(line: &Line, class: &str, largest: f64) -> Markup {
    let point = |epsilon: f64, share: f64| format!("{:.1},{:.1}", x(epsilon, largest), y(share));
    let up = line.iter().map(|(e, s)| point(*e, s.high));
    let down = line.iter().rev().map(|(e, s)| point(*e, s.low));
    let band: Vec<String> = up.chain(down).collect();
    let middle: Vec<String> = line.iter().map(|(e, s)| point(*e, s.share)).collect();
    html! {
        polygon class={ "band " (class) } points=(band.join(" ")) {}
        polyline class={ "line " (class) } points=(middle.join(" ")) {}
        @for (e, s) in line { (mark(class, x(*e, largest), y(s.share))) }
    }
}

/// A point: a disc for the first line, a square for the second.
fn mark(class: &str, x: f64, y: f64) -> Markup {
    html! {
        @if class == LINES[0] { circle class={ "point " (class) } cx=(at(x)) cy=(at(y)) r="3.5" {} }
        @else { rect class={ "point " (class) } x=(at(x - 3.5)) y=(at(y - 3.5)) width="7" height="7" {} }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_stays_inside_its_frame_whatever_is_drawn() {
        for (share, epsilon, largest) in
            [(0.0, 0.0, 1.0), (1.0, 1.0, 1.0), (7.0, 9.0, 1.0), (-1.0, -3.0, f64::MIN_POSITIVE)]
        {
            let (x, y) = (x(epsilon, largest), y(share));
            assert!(
                (MARGIN.0..=SIZE.0 - MARGIN.2).contains(&x) && (MARGIN.1..=SIZE.1 - MARGIN.3).contains(&y),
                "{x} {y}"
            );
        }
    }

    #[test]
    fn budgets_below_the_axis_do_not_lie_on_one_another() {
        let line: Line = [0.0, 0.01, 0.011, 0.05, 0.1].map(|e| (e, Share::new(1, 2))).into();
        let words: Vec<String> = ticks(&line, "table", Norm::Linf, 0.1).into_iter().map(|t| t.1).collect();
        assert_eq!(words, ["0", "1%", "5%", "10%"]);
    }
}
