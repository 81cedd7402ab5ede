//! Curves of accuracy against budget, drawn as SVG: one chart per norm.

use std::fmt::Write as _;

use attack::Norm;
use attack::scorecard::{Curve, Scorecard, Share, budget_text};

use super::{escape, words};

/// Size of the drawing and its margins: left, top, right, bottom.
pub(super) const SIZE: (f64, f64) = (480.0, 300.0);
pub(super) const MARGIN: (f64, f64, f64, f64) = (44.0, 12.0, 26.0, 42.0);
/// Colours that stay apart for people who see few (Okabe and Ito), with a dash each.
pub(super) const LINES: [(&str, &str); 8] = [
    ("#0072b2", "none"),
    ("#d55e00", "6 3"),
    ("#009e73", "2 3"),
    ("#cc79a7", "8 3 2 3"),
    ("#e69f00", "10 4"),
    ("#56b4e9", "4 2"),
    ("#a08f00", "1 3"),
    ("#888888", "12 3"),
];

/// All charts.
pub(super) fn charts(card: &Scorecard, out: &mut String) {
    let mut norms: Vec<Norm> = card.curves.iter().map(|c| c.norm).collect();
    norms.sort_unstable();
    norms.dedup();
    if norms.is_empty() {
        return;
    }
    out.push_str("<section><h2>Accuracy against the size of the change</h2><div class=\"charts\">");
    for norm in norms {
        let mut curves: Vec<Curve> = card.curves.iter().filter(|c| c.norm == norm).cloned().collect();
        let points = card
            .worst
            .iter()
            .filter(|w| w.norm == norm && w.robust.all.of > 0)
            .map(|w| (w.epsilon, w.robust.all));
        let worst = Curve {
            label: "worst case".to_owned(),
            norm,
            points: std::iter::once((0.0, card.clean.all)).chain(points).collect(),
        };
        curves.retain(|c| c.points.len() > 1);
        chart(card, norm, &curves, &worst, out);
    }
    out.push_str("</div></section>");
}

/// From values to places in the drawing.
pub(super) struct Scale {
    /// Value at the right edge.
    pub(super) largest: f64,
}

impl Scale {
    /// Place of a value.
    pub(super) fn x(&self, epsilon: f64) -> f64 {
        MARGIN.0 + (SIZE.0 - MARGIN.0 - MARGIN.2) * epsilon / self.largest
    }

    fn y(share: f64) -> f64 {
        MARGIN.1 + (SIZE.1 - MARGIN.1 - MARGIN.3) * (1.0 - share)
    }
}

fn chart(card: &Scorecard, norm: Norm, curves: &[Curve], worst: &Curve, out: &mut String) {
    let largest = worst.points.iter().map(|p| p.0).fold(f64::MIN_POSITIVE, f64::max);
    let scale = Scale { largest };
    let name = words::norm(norm);
    let _ = write!(
        out,
        "<figure><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"accuracy against budget, norm {}; the figures are in the table below\">",
        SIZE.0,
        SIZE.1,
        norm.as_str()
    );
    axes(card, norm, worst, &scale, out);
    band(worst, &scale, out);
    for (n, curve) in curves.iter().enumerate() {
        let (colour, dash) = LINES[n % LINES.len()];
        line(curve, &scale, colour, dash, 1.8, out);
    }
    line(worst, &scale, "var(--red)", "none", 3.0, out);
    out.push_str("</svg><figcaption>");
    let _ = write!(out, "Change of {name}. ");
    for (n, curve) in curves.iter().enumerate() {
        let (colour, dash) = LINES[n % LINES.len()];
        let _ = write!(out, "{}{} &nbsp; ", key(colour, dash), escape(&curve.label));
    }
    let _ =
        write!(out, "{}worst case, with its 95% interval</figcaption></figure>", key("var(--red)", "none"));
}

/// A short line of its kind, for a legend.
pub(super) fn key(colour: &str, dash: &str) -> String {
    format!(
        "<svg width=\"26\" height=\"8\" class=\"key\" aria-hidden=\"true\"><path d=\"M0 4H24\" stroke=\"{colour}\" stroke-width=\"2.5\" stroke-dasharray=\"{dash}\"/></svg> "
    )
}

/// Lines at every quarter of the share right.
pub(super) fn grid(out: &mut String) {
    let (left, right) = (MARGIN.0, SIZE.0 - MARGIN.2);
    for step in 0..=4_u8 {
        let share = f64::from(step) / 4.0;
        let y = Scale::y(share);
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.0}%</text>",
            left - 6.0,
            y + 4.0,
            100.0 * share
        );
    }
}

fn axes(card: &Scorecard, norm: Norm, worst: &Curve, scale: &Scale, out: &mut String) {
    let (left, right, bottom) = (MARGIN.0, SIZE.0 - MARGIN.2, SIZE.1 - MARGIN.3);
    grid(out);
    let mut after = f64::NEG_INFINITY;
    for (epsilon, _) in &worst.points {
        let x = scale.x(*epsilon);
        let text =
            if *epsilon == 0.0 { "0".to_owned() } else { budget_text(&card.subject.kind, norm, *epsilon) };
        let text = text.trim_end_matches(" of range").to_owned();
        let half = 3.2 * text.len() as f64;
        let _ = write!(out, "<path class=\"axis\" d=\"M{x:.1} {bottom}v4\"/>");
        // Labels that would lie on one another are left out.
        if x - half > after {
            let _ = write!(
                out,
                "<text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                bottom + 17.0
            );
            after = x + half + 4.0;
        }
    }
    let unit = match (norm, card.subject.kind.as_str()) {
        (Norm::Linf, "image") => "largest change of a pixel",
        (Norm::Linf, _) => "largest change of a value, of its range",
        (Norm::L0, _) => "number of values changed",
        _ => "size of the change, in the unit box",
    };
    let _ = write!(
        out,
        "<path class=\"axis\" d=\"M{left} {bottom}H{right}\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{unit}</text>",
        f64::midpoint(left, right),
        bottom + 36.0
    );
}

/// The interval of the worst case.
fn band(curve: &Curve, scale: &Scale, out: &mut String) {
    let point = |epsilon: f64, share: f64| format!("{:.1},{:.1}", scale.x(epsilon), Scale::y(share));
    let up = curve.points.iter().map(|(e, s)| point(*e, s.high));
    let down = curve.points.iter().rev().map(|(e, s)| point(*e, s.low));
    let all: Vec<String> = up.chain(down).collect();
    let _ = write!(out, "<polygon points=\"{}\" fill=\"var(--red)\" opacity=\"0.13\"/>", all.join(" "));
}

/// A curve with its points.
pub(super) fn line(curve: &Curve, scale: &Scale, colour: &str, dash: &str, width: f64, out: &mut String) {
    let points: Vec<String> = curve
        .points
        .iter()
        .map(|(e, s): &(f64, Share)| format!("{:.1},{:.1}", scale.x(*e), Scale::y(s.share)))
        .collect();
    let _ = write!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-dasharray=\"{dash}\" stroke-linejoin=\"round\"/>",
        points.join(" ")
    );
    for (e, s) in &curve.points {
        let _ = write!(
            out,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"><title>{}: {:.1}%</title></circle>",
            scale.x(*e),
            Scale::y(s.share),
            escape(&curve.label),
            100.0 * s.share
        );
    }
}
