//! Studies on the page: dose-response, agreement by queries, the curve of membership on logarithmic scales, guessed columns; each as drawing and table.

use std::fmt::Write as _;

use attack::scorecard::study::{
    Copied, Dose, Guessed, Members, Poisoned, Shown, Stolen, StudyResult, percent,
};
use attack::scorecard::{Scorecard, Share};

use super::escape;
use crate::exercise::studies::{answers, criterion, headline, interval};

/// Size of a drawing and its margins: left, top, right, bottom.
const SIZE: (f64, f64) = (480.0, 280.0);
const MARGIN: (f64, f64, f64, f64) = (46.0, 12.0, 18.0, 42.0);
/// Colours as in the other charts, with a dash each.
const CLEAN: (&str, &str) = ("#0072b2", "6 3");
const ATTACK: (&str, &str) = ("var(--red)", "none");
const BASE: (&str, &str) = ("#888888", "2 3");
/// Smallest share on a logarithmic scale.
const LOG_MIN: f64 = 0.000_5;

/// All studies.
pub(super) fn studies(card: &Scorecard, out: &mut String) {
    for result in &card.studies {
        let _ = write!(
            out,
            "<section><h2>{}</h2><p>{}</p><p class=\"small\">{} · {} training rows, {} others · <code>{}</code></p>",
            escape(&result.label),
            escape(&headline(result)),
            escape(&result.recipe),
            result.train_rows,
            result.test_rows,
            escape(&result.attack)
        );
        match &result.shown {
            Shown::Poisoning(p) => poisoning(p, out),
            Shown::Theft(t) => theft(t, out),
            Shown::Membership(m) => membership(m, out),
            Shown::Attribute(a) => attribute(a, out),
        }
        notes(result, out);
        out.push_str("</section>");
    }
}

fn notes(result: &StudyResult, out: &mut String) {
    if !result.complete {
        out.push_str("<p><b>Not finished.</b> What is shown was measured.</p>");
    }
    for note in &result.notes {
        let _ = write!(out, "<p class=\"small\">{}</p>", escape(note));
    }
}

fn cell(share: Option<&Share>) -> String {
    share.map_or_else(|| "<td>".to_owned(), |s| format!("<td class=\"num\">{}", interval(s)))
}

fn head(columns: &[&str], out: &mut String) {
    out.push_str("<div class=\"wide\"><table><thead><tr>");
    for (at, column) in columns.iter().enumerate() {
        let class = if at == 0 { "" } else { " class=\"num\"" };
        let _ = write!(out, "<th{class}>{column}");
    }
    out.push_str("</tr></thead><tbody>");
}

fn poisoning(p: &Poisoned, out: &mut String) {
    let dosed: Vec<&Dose> = p.points.iter().filter(|d| d.rows > 0).collect();
    let success = |d: &&Dose| Some((d.fraction, d.success?));
    let accuracy: Vec<(f64, Share)> = dosed.iter().map(|d| (d.fraction, d.accuracy)).collect();
    let success: Vec<(f64, Share)> = dosed.iter().filter_map(success).collect();
    let baseline: Vec<(f64, Share)> = dosed.iter().filter_map(|d| Some((d.fraction, d.baseline?))).collect();
    let lines = [
        Line { name: "accuracy on clean rows", look: CLEAN, points: &accuracy },
        Line { name: "success of the poison", look: ATTACK, points: &success },
        Line { name: "the same rows, model without poison", look: BASE, points: &baseline },
    ];
    let ticks: Vec<(f64, String)> = dosed.iter().map(|d| (d.fraction, percent(d.fraction))).collect();
    drawing("share of the training rows that is poisoned", &lines, &ticks, out);
    head(&["Poisoned", "Rows", "Right on clean rows", "Area", "Success", "Without poison", "Works"], out);
    for dose in &p.points {
        let _ = write!(
            out,
            "<tr{}><td>{}<td class=\"num\">{}{}<td class=\"num\">{}{}{}<td class=\"num\">{}</tr>",
            if dose.rows == 0 { " class=\"clean\"" } else { "" },
            percent(dose.fraction),
            dose.rows,
            cell(Some(&dose.accuracy)),
            dose.auc.map_or_else(String::new, |a| format!("{a:.3}")),
            cell(dose.success.as_ref()),
            cell(dose.baseline.as_ref()),
            if dose.works {
                "yes"
            } else if dose.rows == 0 {
                ""
            } else {
                "no"
            }
        );
    }
    let _ = write!(
        out,
        "</tbody></table></div><p class=\"small\">It works when {}.</p>",
        criterion(p.works_when)
    );
}

fn theft(t: &Stolen, out: &mut String) {
    #[expect(clippy::cast_precision_loss, reason = "numbers of queries stay far below 2^53")]
    let at = |p: &Copied| p.queries as f64;
    let agreement: Vec<(f64, Share)> = t.points.iter().map(|p| (at(p), p.agreement)).collect();
    let accuracy: Vec<(f64, Share)> = t.points.iter().map(|p| (at(p), p.accuracy)).collect();
    let lines = [
        Line { name: "agreement with the model", look: ATTACK, points: &agreement },
        Line { name: "accuracy of the copy", look: CLEAN, points: &accuracy },
    ];
    let ticks: Vec<(f64, String)> = t.points.iter().map(|p| (at(p), p.queries.to_string())).collect();
    drawing("queries", &lines, &ticks, out);
    let _ = write!(
        out,
        "<p>The model itself is right on {} of the held-out rows. The thief sees {}.</p>",
        interval(&t.model),
        answers(t.answers)
    );
    head(&["Queries", "Answered", "Agreement", "Accuracy of the copy"], out);
    for point in &t.points {
        let _ = write!(
            out,
            "<tr><td>{}<td class=\"num\">{}{}{}</tr>",
            point.queries,
            point.answered,
            cell(Some(&point.agreement)),
            cell(Some(&point.accuracy))
        );
    }
    out.push_str("</tbody></table></div>");
}

fn membership(m: &Members, out: &mut String) {
    roc(m, out);
    head(&["False alarms allowed", "Members found", "False alarms", "Enough others"], out);
    for at in &m.at {
        let _ = write!(
            out,
            "<tr><td>{}{}<td class=\"num\">{} of {}<td class=\"num\">{}</tr>",
            percent(at.rate),
            cell(Some(&at.found)),
            at.false_alarms,
            m.others,
            if at.enough { "yes" } else { "no" }
        );
    }
    let _ = write!(
        out,
        "</tbody></table></div><p>{} members, {} others, {} shadow models. Area {:.3} ({:.3} to {:.3}), balanced accuracy {:.3}.",
        m.members, m.others, m.shadows, m.auc.area, m.auc.low, m.auc.high, m.balanced_accuracy
    );
    if let Some(w) = &m.without_model {
        let _ =
            write!(out, " Told apart without the model: area {:.3} ({:.3} to {:.3}).", w.area, w.low, w.high);
    }
    out.push_str("</p>");
}

fn attribute(a: &Guessed, out: &mut String) {
    let _ = write!(out, "<p>The attacker knows the other columns and sees {}.</p>", answers(a.answers));
    head(&["Column", "Values", "Commonest value", "Other columns", "With the answer", "Gain, points"], out);
    for c in &a.columns {
        let mark = if c.gain_low > 0.0 { " changed" } else { "" };
        let _ = write!(
            out,
            "<tr><td>{}<td class=\"num\">{}{}{}{}<td class=\"num{mark}\">{:+.1} ({:+.1} to {:+.1})</tr>",
            escape(&c.column),
            c.values,
            cell(Some(&c.commonest)),
            cell(Some(&c.others)),
            cell(Some(&c.with_model)),
            100.0 * c.gain,
            100.0 * c.gain_low,
            100.0 * c.gain_high
        );
    }
    out.push_str("</tbody></table></div>");
}

/// A line of a drawing: shares by dose or queries.
struct Line<'a> {
    name: &'a str,
    look: (&'a str, &'a str),
    points: &'a [(f64, Share)],
}

/// Places on a logarithmic scale between two ends.
struct Log {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Log {
    fn at(&self, value: f64) -> f64 {
        let wide = (self.high / self.low).ln();
        if wide <= 0.0 {
            return f64::midpoint(self.from, self.to);
        }
        self.from + (self.to - self.from) * (value.max(self.low) / self.low).ln() / wide
    }
}

fn y(share: f64) -> f64 {
    MARGIN.1 + (SIZE.1 - MARGIN.1 - MARGIN.3) * (1.0 - share)
}

fn open(label: &str, out: &mut String) {
    let _ = write!(
        out,
        "<div class=\"charts\"><figure><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{label}; the figures are in the table below\">",
        SIZE.0, SIZE.1
    );
}

/// Lines of shares over a logarithmic axis.
fn drawing(axis: &str, lines: &[Line<'_>], ticks: &[(f64, String)], out: &mut String) {
    let (Some(low), Some(high)) = (ticks.first().map(|t| t.0), ticks.last().map(|t| t.0)) else { return };
    let scale = Log { low, high, from: MARGIN.0 + 12.0, to: SIZE.0 - MARGIN.2 - 12.0 };
    open(&format!("shares by {axis}"), out);
    shares(out);
    let bottom = SIZE.1 - MARGIN.3;
    let mut after = f64::NEG_INFINITY;
    for (value, text) in ticks {
        tick(scale.at(*value), text, &mut after, out);
    }
    under(axis, bottom, out);
    for line in lines.iter().filter(|l| !l.points.is_empty()) {
        band(line, &scale, out);
        let (colour, dash) = line.look;
        let places: Vec<String> =
            line.points.iter().map(|(x, s)| format!("{:.1},{:.1}", scale.at(*x), y(s.share))).collect();
        let _ = write!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.4\" stroke-dasharray=\"{dash}\"/>",
            places.join(" ")
        );
        for (x, s) in line.points {
            let _ = write!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"><title>{}: {:.1}%</title></circle>",
                scale.at(*x),
                y(s.share),
                line.name,
                100.0 * s.share
            );
        }
    }
    out.push_str("</svg><figcaption>");
    for line in lines.iter().filter(|l| !l.points.is_empty()) {
        key(line.look, line.name, out);
    }
    out.push_str("Bands are 95% intervals.</figcaption></figure></div>");
}

fn key((colour, dash): (&str, &str), name: &str, out: &mut String) {
    let _ = write!(
        out,
        "<svg width=\"26\" height=\"8\" class=\"key\" aria-hidden=\"true\"><path d=\"M0 4H24\" stroke=\"{colour}\" stroke-width=\"2.5\" stroke-dasharray=\"{dash}\"/></svg> {name} &nbsp; "
    );
}

/// The axis of shares.
fn shares(out: &mut String) {
    let (left, right) = (MARGIN.0, SIZE.0 - MARGIN.2);
    for step in 0..=4_u8 {
        let share = f64::from(step) / 4.0;
        let at = y(share);
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{left} {at:.1}H{right}\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.0}%</text>",
            left - 6.0,
            at + 4.0,
            100.0 * share
        );
    }
}

/// A mark on the lower axis; its text is left out where it would lie on the one before.
fn tick(x: f64, text: &str, after: &mut f64, out: &mut String) {
    let bottom = SIZE.1 - MARGIN.3;
    let half = 3.4 * text.chars().map(|_| 1.0).sum::<f64>();
    let _ = write!(out, "<path class=\"axis\" d=\"M{x:.1} {bottom}v4\"/>");
    if x - half > *after {
        let _ = write!(
            out,
            "<text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
            bottom + 17.0
        );
        *after = x + half + 4.0;
    }
}

fn under(axis: &str, bottom: f64, out: &mut String) {
    let (left, right) = (MARGIN.0, SIZE.0 - MARGIN.2);
    let _ = write!(
        out,
        "<path class=\"axis\" d=\"M{left} {bottom}H{right}\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{axis}</text>",
        f64::midpoint(left, right),
        bottom + 36.0
    );
}

fn band(line: &Line<'_>, scale: &Log, out: &mut String) {
    let point = |x: f64, share: f64| format!("{:.1},{:.1}", scale.at(x), y(share));
    let up = line.points.iter().map(|(x, s)| point(*x, s.high));
    let down = line.points.iter().rev().map(|(x, s)| point(*x, s.low));
    let all: Vec<String> = up.chain(down).collect();
    let _ = write!(out, "<polygon points=\"{}\" fill=\"{}\" opacity=\"0.13\"/>", all.join(" "), line.look.0);
}

/// Members found against false alarms, both on logarithmic scales (Carlini et al. 2022, figure 1).
fn roc(m: &Members, out: &mut String) {
    let points: Vec<(f64, f64)> = m.curve.iter().copied().filter(|p| p.0 > 0.0 && p.1 > 0.0).collect();
    if points.len() < 2 {
        return;
    }
    let across = Log { low: LOG_MIN, high: 1.0, from: MARGIN.0, to: SIZE.0 - MARGIN.2 };
    let up = Log { low: LOG_MIN, high: 1.0, from: SIZE.1 - MARGIN.3, to: MARGIN.1 };
    open("members found against false alarms, both on logarithmic scales", out);
    let bottom = SIZE.1 - MARGIN.3;
    let mut after = f64::NEG_INFINITY;
    for mark in [0.001, 0.01, 0.1, 1.0] {
        let at = up.at(mark);
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{} {at:.1}H{}\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            MARGIN.0,
            SIZE.0 - MARGIN.2,
            MARGIN.0 - 6.0,
            at + 4.0,
            percent(mark)
        );
        tick(across.at(mark), &percent(mark), &mut after, out);
    }
    under("share of others taken for members", bottom, out);
    let _ = write!(
        out,
        "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"{}\" stroke-width=\"1.5\" stroke-dasharray=\"{}\" fill=\"none\"/>",
        across.at(LOG_MIN),
        up.at(LOG_MIN),
        across.at(1.0),
        up.at(1.0),
        BASE.0,
        BASE.1
    );
    let places: Vec<String> =
        points.iter().map(|(x, s)| format!("{:.1},{:.1}", across.at(*x), up.at(*s))).collect();
    let _ = write!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2.4\"/></svg><figcaption>",
        places.join(" "),
        ATTACK.0
    );
    key(ATTACK, "members found", out);
    key(BASE, "guessing", out);
    out.push_str("</figcaption></figure></div>");
}
