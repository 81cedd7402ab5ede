//! The scorecard in plain words: what a clinician should know in the first half minute, and how to read the rest.

use std::fmt::Write as _;

use attack::Norm;
use attack::scorecard::{ConditionRow, Scorecard, Worst, budget_text};

use super::escape;

/// A norm in words.
pub(super) const fn norm(norm: Norm) -> &'static str {
    match norm {
        Norm::Linf => "every value",
        Norm::L2 => "overall (L2)",
        Norm::L1 => "sum (L1)",
        Norm::L0 => "few values",
    }
}

/// A class among patients: `class 0` stays as it is, a name says that it is one.
pub(super) fn class(name: &str) -> String {
    if name.starts_with("class ") { name.to_owned() } else { format!("class {name}") }
}

/// A budget as a sentence's part.
fn change(kind: &str, worst: &Worst) -> String {
    let budget = budget_text(kind, worst.norm, worst.epsilon);
    match (kind, worst.norm) {
        ("image", Norm::Linf) => {
            let levels = worst.epsilon * 255.0;
            let seen = if levels <= 4.5 {
                ", which no eye can see,"
            } else if levels <= 8.5 {
                ", which hardly anybody sees,"
            } else {
                ""
            };
            format!("a change of at most {levels:.0} of 255 grey levels per pixel{seen}")
        }
        ("table", Norm::Linf) => format!("a change of every value by at most {budget}"),
        (_, Norm::L0) => format!("a change of at most {budget}"),
        _ => format!("a change of at most {budget} ({})", norm(worst.norm)),
    }
}

/// The headline.
pub(super) fn headline(card: &Scorecard, out: &mut String) {
    let clean = &card.clean.all;
    let worst: Vec<&Worst> = card.worst.iter().filter(|w| w.robust.all.of > 0).collect();
    // The smallest budget that costs a tenth of the patients, else the largest tried.
    let first = worst.iter().find(|w| clean.share - w.robust.all.share >= 0.1).or_else(|| worst.last());
    let condition = card
        .conditions
        .iter()
        .filter(|r| r.right.all.of > 0)
        .min_by(|a, b| a.difference.total_cmp(&b.difference))
        .filter(|r| r.difference <= -0.1);
    let hit = condition.is_some() || first.is_some_and(|w| clean.share - w.robust.all.share >= 0.1);
    let _ = write!(out, "<section class=\"lead{}\">", if hit { " hit" } else { "" });
    let _ = write!(
        out,
        "<p class=\"big\">Undisturbed, the model is right about {} of {} patients ({:.0}%).",
        clean.hits,
        clean.of,
        100.0 * clean.share
    );
    if let Some(worst) = first {
        let mut what = change(&card.subject.kind, worst);
        what.replace_range(..1, &what[..1].to_uppercase());
        let _ = write!(
            out,
            " {} can leave it right about {} of {} ({:.0}%).",
            escape(&what),
            worst.robust.all.hits,
            worst.robust.all.of,
            100.0 * worst.robust.all.share
        );
    }
    disturbed(card, condition, out);
    out.push_str("</p>");
    missed(card, first.copied(), out);
    if !card.complete {
        out.push_str(
            "<p><b>This exercise is not complete.</b> What is shown was finished; the rest is missing.</p>",
        );
    }
    out.push_str("</section>");
}

/// What happens without an attacker: the worst condition, and patients near the edge.
fn disturbed(card: &Scorecard, condition: Option<&ConditionRow>, out: &mut String) {
    if let Some(row) = condition {
        let _ = write!(
            out,
            " Without any attack, <b>{}</b> at {} leaves it right about {} of {} ({:.0}%).",
            escape(&row.label),
            row.level.text(),
            row.right.all.hits,
            row.right.all.of,
            100.0 * row.right.all.share
        );
    }
    for row in &card.changes {
        let near = row.patients.iter().filter(|p| p.cost.is_some_and(|c| c <= 2.0)).count();
        if near > 0 {
            let _ = write!(
                out,
                " For {near} of {} patients a plausible change of two measurement errors or less turns the answer over.",
                row.flipped.of
            );
            break;
        }
    }
}

/// Which mistakes the attacks cause, by class, in two-class models.
fn missed(card: &Scorecard, worst: Option<&Worst>, out: &mut String) {
    let Some(worst) = worst else { return };
    let lost: Vec<String> = card
        .subject
        .classes
        .iter()
        .zip(card.clean.classes.iter().zip(&worst.robust.classes))
        .filter(|(_, (clean, now))| clean.hits > now.hits && now.of > 0)
        .map(|(name, (clean, now))| {
            format!(
                "of {} patients with <b>{}</b>, {} are still recognised (undisturbed {})",
                now.of,
                escape(name),
                now.hits,
                clean.hits
            )
        })
        .collect();
    if !lost.is_empty() {
        let _ = write!(out, "<p>Within that change: {}.</p>", lost.join("; "));
    }
}

/// How to read the page, and what it stands on.
pub(super) fn reading(card: &Scorecard, out: &mut String) {
    let subject = &card.subject;
    let _ = write!(
        out,
        "<section class=\"small\"><h2>How to read this</h2>\
         <p>An exercise changes the input of each patient that the model gets right, within a stated <b>budget</b>, and looks whether the answer changes. \
         “Still right” counts all patients: those wrong from the start count as wrong. The 95% interval (Wilson) says how far the share may lie from that of all such patients, by chance alone. \
         The worst case takes the strongest attack for each patient. Standing these attacks does not show that there is none that works.</p>\
         <p>Conditions are done to all patients, right or wrong from the start. The area under the curve (AUC) says how well the scores rank, whatever the threshold; the calibration error how far the probabilities are from the share that is right; the Brier score joins both, lower is better. With a hundred patients a calibration error of about 0.1 can be chance.</p>\
         <p>Nothing here says that somebody attacks; it says how far a small error, a bad device or a person with intent would have to go.</p>\
         <p>Model <code>{}</code> <code>{}</code><br>Data <code>{}</code> <code>{}</code><br>Suite <code>{}</code> <code>{}</code>, seed {}<br>Asepsis {}. The same suite, seed, model and data give the same figures, on any computer of the same kind and any number of threads.</p></section>",
        escape(&subject.model),
        escape(&subject.model_digest),
        escape(&subject.data),
        escape(&subject.data_digest),
        escape(&card.suite.name),
        escape(&card.suite_digest),
        card.suite.seed,
        escape(&card.tool)
    );
}
