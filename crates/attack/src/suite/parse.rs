//! The text of a suite: TOML, read whole or not at all.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::change::{self, CHANGES_MAX, FileChange, LeastChange};
use super::condition::{self, CONDITIONS_MAX, Condition, FileCondition};
use super::{BUDGETS_MAX, SAMPLES_MAX, STEPS_MAX, Step, Subject, Suite, settled, study};
use crate::evasion;
use crate::norm::Norm;

/// What is wrong with a suite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    /// It is not TOML, or a key is unknown, missing or of the wrong type.
    #[error("line {line}: {message}")]
    Syntax {
        /// Line, counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// There is no such attack.
    #[error("step {step}: there is no attack `{typed}`")]
    UnknownAttack {
        /// Which step, counted from 1.
        step: usize,
        /// What was typed.
        typed: String,
    },
    /// There is no such family of corruptions, and no such group.
    #[error("condition {condition}: there is no family `{typed}`")]
    UnknownFamily {
        /// Which condition, counted from 1.
        condition: usize,
        /// What was typed.
        typed: String,
    },
    /// A parameter of an attack is wrong.
    #[error("step {step} (`{label}`): {message}")]
    Parameters {
        /// Which step, counted from 1.
        step: usize,
        /// How reports call it.
        label: String,
        /// What the attack says.
        message: String,
    },
    /// A name that is not known.
    #[error("{place}: there is no {what} `{typed}`")]
    UnknownName {
        /// Where.
        place: String,
        /// Of what kind it should be.
        what: &'static str,
        /// What was typed.
        typed: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// It reads well but says something impossible.
    #[error("{place}: {message}")]
    Meaning {
        /// Where.
        place: String,
        /// What is wrong and what to write instead.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    name: String,
    version: u32,
    title: String,
    #[serde(default)]
    purpose: String,
    samples: usize,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    chain: bool,
    #[serde(default)]
    keeps_min: Option<f64>,
    #[serde(default, rename = "step")]
    steps: Vec<FileStep>,
    #[serde(default, rename = "condition")]
    conditions: Vec<FileCondition>,
    #[serde(default, rename = "change")]
    changes: Vec<FileChange>,
    #[serde(default, rename = "study")]
    studies: Vec<study::FileStudy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct FileStep {
    attack: String,
    #[serde(default)]
    label: Option<String>,
    norm: Norm,
    epsilons: Vec<Epsilon>,
    #[serde(default, rename = "for")]
    subject: Subject,
    #[serde(default)]
    parameters: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    queries_max: Option<u64>,
    #[serde(default)]
    samples: Option<usize>,
}

/// A budget as it is written: a number, or a fraction as text (`"8/255"`).
struct Epsilon(f64);

impl<'de> Deserialize<'de> for Epsilon {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Budget;
        impl Visitor<'_> for Budget {
            type Value = Epsilon;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a budget: a number, or a fraction such as \"8/255\"")
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Epsilon, E> {
                Ok(Epsilon(value))
            }

            #[expect(clippy::cast_precision_loss, reason = "budgets are small")]
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Epsilon, E> {
                Ok(Epsilon(value as f64))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Epsilon, E> {
                fraction(text).map(Epsilon).ok_or_else(|| {
                    E::custom(format!(
                        "`{text}` is not a budget: write a number, or a fraction such as \"8/255\""
                    ))
                })
            }
        }
        deserializer.deserialize_any(Budget)
    }
}

/// Reads `0.05` or `8/255`.
pub(crate) fn fraction(text: &str) -> Option<f64> {
    match text.split_once('/') {
        None => text.trim().parse().ok(),
        Some((above, below)) => {
            let (above, below): (f64, f64) = (above.trim().parse().ok()?, below.trim().parse().ok()?);
            (below != 0.0).then_some(above / below)
        }
    }
}

pub(super) fn wrong(place: impl Into<String>, message: impl Into<String>) -> SuiteError {
    SuiteError::Meaning { place: place.into(), message: message.into() }
}

/// Reads a suite.
///
/// # Errors
/// [`SuiteError`], naming the line or the step.
pub fn parse(text: &str) -> Result<Suite, SuiteError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1;
        let message = error.message().lines().next().unwrap_or("not valid TOML").to_owned();
        SuiteError::Syntax { line, message }
    })?;
    if file.name.trim().is_empty() || file.name.len() > 80 {
        return Err(wrong("name", "give the suite a name of 1 to 80 bytes"));
    }
    if file.samples == 0 || file.samples > SAMPLES_MAX {
        return Err(wrong("samples", format!("write 1 to {SAMPLES_MAX}")));
    }
    if file.keeps_min.is_some_and(|k| !(0.0..=1.0).contains(&k)) {
        return Err(wrong("keeps-min", "write a share from 0 to 1"));
    }
    let nothing = file.steps.is_empty() && file.conditions.is_empty() && file.changes.is_empty();
    if nothing && file.studies.is_empty() || file.steps.len() > STEPS_MAX {
        return Err(wrong(
            "step",
            format!(
                "a suite has 1 to {STEPS_MAX} steps: add a [[step]] with an attack, a [[condition]], a [[change]] or a [[study]]"
            ),
        ));
    }
    if file.studies.len() > study::STUDIES_MAX {
        return Err(wrong("study", format!("a suite has at most {} studies", study::STUDIES_MAX)));
    }
    let studies = file.studies.into_iter().enumerate().map(|(n, one)| study::understand(n + 1, one));
    let studies = studies.collect::<Result<_, _>>()?;
    let steps = file.steps.into_iter().enumerate().map(|(n, step)| understand(n + 1, step));
    Ok(Suite {
        name: file.name,
        version: file.version,
        title: file.title,
        purpose: file.purpose,
        samples: file.samples,
        seed: file.seed,
        chain: file.chain,
        keeps_min: file.keeps_min,
        steps: steps.collect::<Result<_, _>>()?,
        conditions: conditions(file.conditions)?,
        changes: changes(file.changes)?,
        studies,
    })
}

/// All conditions, each name once.
fn conditions(given: Vec<FileCondition>) -> Result<Vec<Condition>, SuiteError> {
    let mut out: Vec<Condition> = Vec::new();
    for (n, given) in given.into_iter().enumerate() {
        for condition in condition::understand(n + 1, given)? {
            if out.iter().any(|known| known.label == condition.label) {
                let place = format!("condition {} (`{}`)", n + 1, condition.label);
                return Err(wrong(
                    place,
                    "there is one of this name already: give it a label, or leave it out",
                ));
            }
            if out.len() >= CONDITIONS_MAX {
                return Err(wrong("condition", format!("a suite has at most {CONDITIONS_MAX} conditions")));
            }
            out.push(condition);
        }
    }
    Ok(out)
}

/// All searches for a least change, each name once.
fn changes(given: Vec<FileChange>) -> Result<Vec<LeastChange>, SuiteError> {
    if given.len() > CHANGES_MAX {
        return Err(wrong("change", format!("a suite has at most {CHANGES_MAX} changes")));
    }
    let mut out: Vec<LeastChange> = Vec::new();
    for (n, given) in given.into_iter().enumerate() {
        let change = change::understand(n + 1, given)?;
        if out.iter().any(|known| known.label == change.label) {
            let place = format!("change {} (`{}`)", n + 1, change.label);
            return Err(wrong(place, "there is one of this name already: give it a label"));
        }
        out.push(change);
    }
    Ok(out)
}

fn understand(n: usize, step: FileStep) -> Result<Step, SuiteError> {
    let registered = evasion::find(&step.attack).ok_or_else(|| SuiteError::UnknownAttack {
        step: n,
        typed: step.attack.chars().take(80).collect(),
    })?;
    let label = step.label.unwrap_or_else(|| registered.entry.name.to_owned());
    let place = format!("step {n} (`{label}`)");
    let object = serde_json::Value::Object(step.parameters.clone().into_iter().collect());
    (registered.build)(&object).map_err(|message| SuiteError::Parameters {
        step: n,
        label: label.clone(),
        message,
    })?;
    if !registered.norms.contains(&step.norm) {
        let known: Vec<&str> = registered.norms.iter().map(|norm| norm.as_str()).collect();
        let message = format!(
            "`{}` has no form in the norm {}: write {}",
            registered.entry.name,
            step.norm.as_str(),
            known.join(" or ")
        );
        return Err(wrong(place, message));
    }
    if step.epsilons.is_empty() || step.epsilons.len() > BUDGETS_MAX {
        return Err(wrong(place, format!("write 1 to {BUDGETS_MAX} epsilons")));
    }
    let mut epsilons: Vec<f64> = step.epsilons.iter().map(|e| settled(e.0)).collect();
    for epsilon in &epsilons {
        budget(step.norm, *epsilon).map_err(|message| wrong(place.clone(), message))?;
    }
    epsilons.sort_by(f64::total_cmp);
    epsilons.dedup();
    if step.queries_max == Some(0) {
        return Err(wrong(
            place,
            "a budget of 0 queries asks nothing: write 1 or more, or leave queries-max out",
        ));
    }
    if step.samples == Some(0) {
        return Err(wrong(place, "0 samples show nothing: write 1 or more, or leave samples out"));
    }
    Ok(Step {
        label,
        attack: registered.entry.id.to_owned(),
        norm: step.norm,
        epsilons,
        subject: step.subject,
        parameters: step.parameters,
        queries_max: step.queries_max,
        samples: step.samples,
    })
}

/// Whether `epsilon` is a budget in `norm`.
fn budget(norm: Norm, epsilon: f64) -> Result<(), String> {
    if epsilon == 0.0 {
        return Err("a budget of 0 changes nothing: write what may change, for example \"8/255\"".to_owned());
    }
    if !epsilon.is_finite() || epsilon < 0.0 {
        return Err(format!("{epsilon} is not a budget: write a number above 0"));
    }
    match norm {
        Norm::Linf if epsilon > 1.0 => Err(format!(
            "{epsilon} is more than the whole range of a value: budgets are in the unit box, write \"{epsilon}/255\" for grey levels"
        )),
        Norm::L0 if epsilon.fract() != 0.0 => {
            Err(format!("{epsilon} is not a number of values: write a whole number"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name = \"s\"\nversion = 1\ntitle = \"S\"\nsamples = 10\n[[step]]\nattack = \"fgsm\"\nnorm = \"linf\"\nepsilons = [\"8/255\", 0.01]\n";

    fn said(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from}");
        parse(&GOOD.replace(from, to)).unwrap_err().to_string()
    }

    #[test]
    fn budgets_are_numbers_or_fractions_and_sorted() {
        let suite = parse(GOOD).unwrap();
        assert_eq!(suite.steps[0].epsilons, [0.01, 0.031_372_549_019_6]);
        assert_eq!(suite.steps[0].attack, "X001");
    }

    #[test]
    fn an_attack_is_known_by_id_and_name_and_is_the_same_content() {
        let by_id = parse(&GOOD.replace("\"fgsm\"", "\"X001\"")).unwrap();
        assert_eq!(by_id.digest(), parse(GOOD).unwrap().digest());
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        for (from, to, expected) in [
            ("samples", "sample", "line 4: unknown field `sample`"),
            ("\"fgsm\"", "\"fgms\"", "step 1: there is no attack `fgms`"),
            ("0.01", "0", "step 1 (`fgsm`): a budget of 0 changes nothing"),
            ("0.01", "-1", "step 1 (`fgsm`): -1 is not a budget"),
            ("0.01", "8", "step 1 (`fgsm`): 8 is more than the whole range"),
            ("0.01", "\"a/b\"", "`a/b` is not a budget"),
            ("0.01", "\"1/0\"", "`1/0` is not a budget"),
            ("linf", "l0", "step 1 (`fgsm`): `fgsm` has no form in the norm l0"),
            ("samples = 10", "samples = 0", "samples: write 1"),
            ("samples = 10", "samples = 10\nkeeps-min = 2", "keeps-min: "),
            ("norm = \"linf\"", "norm = \"linf\"\nqueries-max = 0", "a budget of 0 queries"),
            (
                "norm = \"linf\"",
                "norm = \"linf\"\nparameters = { stepz = 4 }",
                "step 1 (`fgsm`): unknown field `stepz`",
            ),
        ] {
            let said = said(from, to);
            assert!(said.contains(expected), "{said}");
        }
        assert!(parse("").is_err());
        assert!(
            parse("name = \"s\"\nversion = 1\ntitle = \"S\"\nsamples = 10\n")
                .unwrap_err()
                .to_string()
                .contains("[[step]]")
        );
    }
    #[test]
    fn a_group_stands_for_its_families_and_other_forms_are_the_same_content() {
        let of = |text: &str| parse(&format!("{GOOD}[[condition]]\n{text}\n")).unwrap();
        let all = of("family = \"all-image\"");
        assert_eq!(all.conditions.len(), 24);
        // Inversion has one severity.
        let inversion = all.conditions.iter().find(|c| c.label == "inversion").unwrap();
        assert_eq!(inversion.levels.len(), 1);
        assert_eq!(of("family = \"benchmark\"").conditions.len(), 13);
        assert_eq!(of("family = \"all-table\"").conditions.len(), 11);
        let by_id = of("family = \"X101\"\nseverities = [5, 1, 1]");
        assert_eq!(
            by_id.digest(),
            of("family = \"jpeg_compression\"\nseverities = [1, 5]\nfor = \"image\"").digest()
        );
        assert_ne!(by_id.digest(), parse(GOOD).unwrap().digest());
        assert_eq!(of("family = \"gamma_corr_up\"\nstrengths = [2.5]").conditions[0].levels[0].strength, 2.5);
    }

    #[test]
    fn conditions_and_changes_that_cannot_be_are_refused_with_their_place() {
        for (text, expected) in [
            ("[[condition]]\nfamily = \"pixelat\"", "condition 1: there is no family `pixelat`"),
            (
                "[[condition]]\nfamily = \"pixelate\"\nseverities = [6]",
                "condition 1 (`pixelate`): severities are 1 to 5, not 6",
            ),
            ("[[condition]]\nfamily = \"all-image\"\nseverities = [0]", "severities are 1 to 5, not 0"),
            (
                "[[condition]]\nfamily = \"inversion\"\nseverities = [2]",
                "`inversion` has severities 1 to 1, not 2",
            ),
            ("[[condition]]\nfamily = \"pixelate\"\nseverities = []", "write 1 to 32 severities"),
            ("[[condition]]\nfamily = \"pixelate\"\nstrengths = [1e9]", "takes a strength from"),
            ("[[condition]]\nfamily = \"pixelate\"\nstrengths = [nan]", "takes a strength from"),
            (
                "[[condition]]\nfamily = \"unit_mixup\"\nfor = \"image\"",
                "it is about tables, not about images",
            ),
            (
                "[[condition]]\nfamily = \"all-table\"\nstrengths = [1]",
                "a group of families takes severities",
            ),
            ("[[condition]]\nfamily = \"pixelate\"\nsevrities = [1]", "unknown field `sevrities`"),
            ("[[condition]]\nfamily = \"pixelate\"\nsamples = 0", "write 1 to 100000 samples"),
            (
                "[[condition]]\nfamily = \"benchmark\"\n[[condition]]\nfamily = \"pixelate\"",
                "condition 2 (`pixelate`): there is one of this name",
            ),
            ("[[change]]\nwithin = [0]", "change 1 (`least-change`): `within` takes"),
            ("[[change]]\nnorm = \"l0\"", "l1, l2 or linf"),
            ("[[change]]\nqueries-max = 0", "a budget of 0 queries"),
            ("[[change]]\nerrors = { chol = -1 }", "are above 0"),
            ("[[change]]\nwithn = [1]", "unknown field `withn`"),
        ] {
            let said = parse(&format!("{GOOD}{text}\n")).unwrap_err().to_string();
            assert!(said.contains(expected), "{text}: {said}");
        }
        let alone = GOOD.split("[[step]]").next().unwrap();
        assert_eq!(parse(&format!("{alone}[[change]]\n")).unwrap().changes[0].within, [1.0, 2.0, 4.0, 8.0]);
    }
}
