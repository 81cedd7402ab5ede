//! What figures mean and what to do about them: fixed rules over a scorecard, each with its reason.

use super::{ConditionRow, Health, Note, Scorecard, budget_text, errors_text};
use crate::evasion::Access;
use crate::norm::Norm;

/// Share of gradients that vanish or are not finite from which on figures of gradient attacks are not believed.
const MASKED_MIN: f64 = 0.1;
/// Difference of shares that is worth a word.
const GAP: f64 = 0.1;
/// Queries after which a flip by labels or scores alone is within a caller's reach in a day.
const QUERIES_CHEAP: u64 = 1_000;

/// Conditions that get a line of their own.
const CONDITIONS_NAMED: usize = 4;
/// Cost, in measurement errors, that a second measurement can differ by: two standard deviations.
const ERRORS_NEAR: f64 = 2.0;

fn note(about: impl Into<String>, text: impl Into<String>) -> Note {
    Note { about: about.into(), text: text.into() }
}

/// Signs that figures look better than the model is (Carlini et al. 2019, arXiv:1902.06705, section 4; Athalye et al. 2018, arXiv:1802.00420).
pub(super) fn warnings(card: &Scorecard, health: &[Health]) -> Vec<Note> {
    let mut out = Vec::new();
    for (label, seen) in health {
        let bad = |count: u64| {
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
            let share = count as f64 / seen.rows.max(1) as f64;
            share
        };
        if bad(seen.vanished) >= MASKED_MIN {
            let text = format!(
                "{:.0}% of the gradients were zero everywhere: the attack was blind there, and standing it shows nothing (gradient masking)",
                100.0 * bad(seen.vanished)
            );
            out.push(note(label, text));
        }
        if seen.not_finite > 0 {
            let text = format!(
                "{} of {} gradients were not finite: the attack was blind there, and standing it shows nothing",
                seen.not_finite, seen.rows
            );
            out.push(note(label, text));
        }
    }
    for blind in card.rows.iter().filter(|r| r.needs != Access::Gradients && r.robust.all.of > 0) {
        let seeing = card
            .rows
            .iter()
            .filter(|r| {
                r.needs == Access::Gradients
                    && r.norm == blind.norm
                    && r.epsilon == blind.epsilon
                    && r.robust.all.of == blind.robust.all.of
            })
            .min_by(|a, b| a.robust.all.share.total_cmp(&b.robust.all.share));
        if let Some(seeing) = seeing.filter(|s| s.robust.all.share > blind.robust.all.share + 0.02) {
            let text = format!(
                "`{}`, which sees no gradients, is stronger here than `{}`, which does: the gradients mislead, and the true accuracy under attack is lower than gradient attacks show",
                blind.label, seeing.label
            );
            out.push(note(budget_text(&card.subject.kind, blind.norm, blind.epsilon), text));
        }
    }
    let unstable = card.rows.iter().map(|r| r.unstable).max().unwrap_or(0);
    if unstable > 0 {
        let text = format!(
            "for {unstable} samples the model did not answer the same twice: a model that answers at random looks robust; such flips were not counted"
        );
        out.push(note("model", text));
    }
    constant(card, &mut out);
    out
}

/// A model that says the same of everybody cannot be flipped, which is not strength.
fn constant(card: &Scorecard, out: &mut Vec<Note>) {
    let mut seen: Vec<usize> = card.samples.iter().filter_map(|s| s.seen).collect();
    seen.sort_unstable();
    seen.dedup();
    if let ([one], true) = (seen.as_slice(), card.samples.len() > 1) {
        let name = card.subject.classes.get(*one).map_or("one class", String::as_str);
        let text = format!(
            "the model says `{name}` of every sample: what cannot be flipped because it never changes is not robust"
        );
        out.push(note("model", text));
    }
    let mut labels: Vec<usize> = card.samples.iter().map(|s| s.label).collect();
    labels.sort_unstable();
    labels.dedup();
    if let ([_], true) = (labels.as_slice(), card.samples.len() > 1) {
        out.push(note("data", "all samples are of one class: nothing is said about the others"));
    }
}

/// What to do, the most urgent first.
pub(super) fn advice(card: &Scorecard) -> Vec<Note> {
    let mut out = Vec::new();
    if !card.complete {
        out.push(note(
            "exercise",
            "it is not complete: run it again with --resume before anybody decides on these figures",
        ));
    }
    if !card.warnings.is_empty() {
        out.push(note("figures", "read the warnings first: some figures look better than the model is"));
    }
    smallest(card, &mut out);
    cheap(card, &mut out);
    uneven(card, &mut out);
    disturbed(card, &mut out);
    sure(card, &mut out);
    flipped(card, &mut out);
    if card.rows.iter().all(|r| r.needs != Access::Gradients) && !card.rows.is_empty() {
        out.push(note("access", "no attack that sees inside the model was run: ask the vendor for the model file, or for their own figures under APGD and Square at the same budgets"));
    }
    if out.is_empty() && !(card.rows.is_empty() && card.conditions.is_empty() && card.changes.is_empty()) {
        out.push(note("model", "nothing fell within the budgets of this suite: keep this scorecard, and repeat it with every new version"));
    }
    out
}

/// What falls to a change nobody would see.
fn smallest(card: &Scorecard, out: &mut Vec<Note>) {
    let kind = card.subject.kind.as_str();
    let mut norms: Vec<Norm> = card.worst.iter().map(|w| w.norm).collect();
    norms.dedup();
    for norm in norms {
        let drop = card
            .worst
            .iter()
            .filter(|w| w.norm == norm)
            .find(|w| card.clean.all.share - w.robust.all.share >= GAP);
        let Some(worst) = drop else { continue };
        let budget = budget_text(kind, norm, worst.epsilon);
        let act = match kind {
            "image" => {
                "harden it (`asepsis exercise harden`: adversarial training or noise smoothing), keep the gateway's guards in blocking mode, and do not let a single image decide"
            }
            _ => {
                "let inputs come from the record instead of being typed, keep the guards `clinical-range` and `multivariate` on, and have a second person read cases near the threshold"
            }
        };
        let text = format!(
            "accuracy falls from {:.0}% to {:.0}% within {budget} ({}): {act}",
            100.0 * card.clean.all.share,
            100.0 * worst.robust.all.share,
            norm.as_str()
        );
        out.push(note("model", text));
    }
}

/// What can be flipped from outside, without the model file.
fn cheap(card: &Scorecard, out: &mut Vec<Note>) {
    let outside = card
        .rows
        .iter()
        .filter(|r| {
            r.needs != Access::Gradients
                && r.fell.share >= GAP
                && r.queries_median > 0
                && r.queries_median <= QUERIES_CHEAP
        })
        .min_by_key(|r| r.queries_median);
    if let Some(row) = outside {
        let text = format!(
            "`{}` flips {:.0}% of the right answers with about {} queries a patient and no model file: limit queries a day per client and keep the guard `query-similarity` in blocking mode",
            row.label,
            100.0 * row.fell.share,
            row.queries_median
        );
        out.push(note("callers", text));
    }
}

/// What keeps a family of conditions from the model, by the first of its ids that is not below the family's own.
const REMEDIES: &[(&str, &str)] = &[
    (
        "X101",
        "see that images reach the model at the resolution and compression it was trained on, and refuse others before it",
    ),
    (
        "X106",
        "let the acquisition be repeated when it is noisy or blurred: keep the guards `pixel-noise` and `out-of-distribution` on",
    ),
    (
        "X113",
        "hand the model pixels through its own tone curve and depth, from the stored values and not from a display",
    ),
    ("X114", "read the attribute Photometric Interpretation, and refuse images without it"),
    ("X115", "apply the window that the model was trained with, not the one stored for display"),
    (
        "X116",
        "mask burnt-in markers before the model sees them, and look whether it reads them instead of the patient",
    ),
    (
        "X119",
        "read Patient Orientation and View Position, refuse what they do not fit, and train with such positions",
    ),
    (
        "X123",
        "check field of view and detector before the model, keep the guard `out-of-distribution` on, and train with such images",
    ),
    (
        "X130",
        "send every value with its unit (UCUM), convert at the interface, and keep the guard `clinical-range` on",
    ),
    (
        "X132",
        "let values come from the record by code (LOINC) instead of by place or by hand, and keep the guards `clinical-range` and `multivariate` on",
    ),
    ("X133", "bind values to patient and time, and refuse rows whose parts are of different age"),
    (
        "X138",
        "say that a value is missing instead of filling it in, and do not let the model decide without it",
    ),
    ("X139", "keep the digits that the laboratory reports"),
    (
        "X140",
        "measure on your own patients before the model is used, and again when a device or assay changes",
    ),
];

/// Conditions that cost accuracy, the dearest first.
fn disturbed(card: &Scorecard, out: &mut Vec<Note>) {
    let mut worst: Vec<&ConditionRow> = Vec::new();
    for mean in &card.condition_means {
        let own = card.conditions.iter().filter(|r| r.condition == mean.condition && r.right.all.of > 0);
        worst.extend(own.min_by(|a, b| a.difference.total_cmp(&b.difference)));
    }
    worst.retain(|r| r.difference <= -GAP);
    worst.sort_by(|a, b| a.difference.total_cmp(&b.difference).then(a.condition.cmp(&b.condition)));
    for row in worst.iter().take(CONDITIONS_NAMED) {
        let remedy =
            REMEDIES.iter().find(|(last, _)| row.family.as_str() <= *last).map_or("", |(_, what)| *what);
        let text = format!(
            "accuracy falls from {:.0}% to {:.0}% at {}: {remedy}",
            100.0 * (row.right.all.share - row.difference),
            100.0 * row.right.all.share,
            row.level.text()
        );
        out.push(note(row.label.as_str(), text));
    }
    if worst.len() > CONDITIONS_NAMED {
        let rest: Vec<String> =
            worst.iter().skip(CONDITIONS_NAMED).map(|r| format!("`{}`", r.label)).collect();
        let text = format!("{} cost a tenth of the patients or more as well", rest.join(", "));
        out.push(note("conditions", text));
    }
}

/// Where the model is surer than it is right, undisturbed or most of all under a condition.
fn sure(card: &Scorecard, out: &mut Vec<Note>) {
    let gap = |quality: Option<&super::Quality>, share: f64| {
        quality.and_then(|q| q.confidence).map(|c| (c - share, c))
    };
    let clean = gap(card.quality.as_ref(), card.clean.all.share);
    if let Some((_, confidence)) = clean.filter(|(gap, _)| *gap >= GAP) {
        let text = format!(
            "it gives its answers a probability of {:.0}% on average and is right about {:.0}%: calibrate it (temperature, isotonic regression) before a threshold is set on its scores",
            100.0 * confidence,
            100.0 * card.clean.all.share
        );
        out.push(note("calibration", text));
    }
    let before = clean.map_or(0.0, |(gap, _)| gap.max(0.0));
    let rows = card.conditions.iter().filter(|r| r.right.all.of > 0);
    let gaps = rows.filter_map(|r| gap(r.quality.as_ref(), r.right.all.share).map(|(g, c)| (r, g, c)));
    let worst = gaps.max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((row, _, confidence)) = worst.filter(|(_, gap, _)| *gap >= before + GAP) {
        let text = format!(
            "under `{}` at {} it is right about {:.0}% and gives its answers a probability of {:.0}%: its own score does not warn, so something else has to look at the input",
            row.label,
            row.level.text(),
            100.0 * row.right.all.share,
            100.0 * confidence
        );
        out.push(note("calibration", text));
    }
}

/// Patients whose answer turns over within what a second measurement could give.
fn flipped(card: &Scorecard, out: &mut Vec<Note>) {
    for row in &card.changes {
        let near: Vec<_> = row.patients.iter().filter(|p| p.cost.is_some_and(|c| c <= ERRORS_NEAR)).collect();
        if near.is_empty() {
            continue;
        }
        let text = format!(
            "for {} of {} patients the answer turns over within {}: measure again before acting on such an answer, and show it as uncertain",
            near.len(),
            row.flipped.of,
            errors_text(ERRORS_NEAR)
        );
        out.push(note(row.label.as_str(), text));
    }
}

/// A class or subgroup that falls sooner than the others.
fn uneven(card: &Scorecard, out: &mut Vec<Note>) {
    let kind = card.subject.kind.as_str();
    let drops = |worst: &super::Worst| {
        let classes = card.clean.classes.iter().zip(&worst.robust.classes).zip(&card.subject.classes);
        let classes = classes.map(|((clean, now), name)| {
            (if name.starts_with("class ") { name.clone() } else { format!("class `{name}`") }, *clean, *now)
        });
        let groups = worst.robust.groups.iter().filter_map(|(name, now)| {
            Some((format!("subgroup `{name}`"), *card.clean.groups.get(name)?, *now))
        });
        classes.chain(groups).filter(|(_, clean, now)| clean.hits >= 5 && now.of > 0).collect::<Vec<_>>()
    };
    for worst in &card.worst {
        let all = card.clean.all.share - worst.robust.all.share;
        let hit = drops(worst)
            .into_iter()
            .map(|(name, clean, now)| (name, clean.share - now.share, now.share))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((name, _, left)) = hit.filter(|(_, drop, _)| *drop >= all + GAP) {
            let text = format!(
                "it falls further than the rest: {:.0}% right within {} ({}); an error there should be looked at first, and more such cases belong into training and testing",
                100.0 * left,
                budget_text(kind, worst.norm, worst.epsilon),
                worst.norm.as_str()
            );
            out.push(note(name, text));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::evasion::GradientHealth;
    use crate::scorecard::assemble::{assemble, tests::assembly};

    #[test]
    fn vanished_gradients_are_a_warning_and_never_strength() {
        let mut given = assembly();
        given.pieces[0].gradients = GradientHealth { rows: 10, vanished: 5, not_finite: 1 };
        let card = assemble(given);
        assert_eq!(card.warnings.len(), 2, "{:?}", card.warnings);
        assert!(card.advice.iter().any(|n| n.about == "figures"));
    }

    #[test]
    fn a_model_that_says_the_same_of_everybody_is_named() {
        let mut given = assembly();
        given.samples.iter_mut().for_each(|s| s.seen = Some(1));
        let card = assemble(given);
        assert!(
            card.warnings.iter().any(|n| n.text.contains("says `ill` of every sample")),
            "{:?}",
            card.warnings
        );
    }

    #[test]
    fn a_drop_is_said_with_its_budget() {
        let card = assemble(assembly());
        assert!(
            card.advice.iter().any(|n| n.text.contains("from 80% to 60% within 1% of range")),
            "{:?}",
            card.advice
        );
    }
}
