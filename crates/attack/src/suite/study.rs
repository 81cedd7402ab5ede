//! Studies of a suite: what an attacker does to the training data, to the secrecy of the model, and to the people it was trained on. They train models of
//! their own, so that they say something about a recipe and its data where a step says something about one model file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Subject, SuiteError, settled};
use crate::privacy::Form;
use crate::theft::Answers;
use crate::{poison, privacy, theft};

/// Most studies of one suite.
pub const STUDIES_MAX: usize = 16;
/// Most fractions, numbers of queries or columns of one study.
pub const POINTS_MAX: usize = 16;
/// Most repeats of a poisoning, each a training at each fraction.
pub const REPEATS_MAX: usize = 16;
/// Most steps of the search for the smallest fraction.
pub const BISECTIONS_MAX: u32 = 16;
/// Most queries of a theft.
pub const QUERIES_MAX: usize = 1_000_000;
/// Fewest and most shadow models.
pub const SHADOWS: (usize, usize) = (4, 512);
/// Fewest and most training rows of a study.
pub const ROWS: (usize, usize) = (20, 100_000);
/// Most passes over the data of one training.
pub const EPOCHS_MAX: usize = 1_000;
/// Most hidden layers, and most units of one.
pub const HIDDEN_MAX: (usize, usize) = (4, 1_024);

/// Training rows where a suite says nothing: enough for the small recipes, and a training takes seconds.
const ROWS_DEFAULT: usize = 2_000;
/// Columns that are guessed where a suite names none.
const COLUMNS_DEFAULT: usize = 3;
/// Half the last digit of a probability that is shown in whole per cents.
const PRECISION_DEFAULT: f64 = 0.005;

/// One study of a suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Study {
    /// How reports call it.
    pub label: String,
    /// Id of the attack.
    pub attack: String,
    /// What rows it is for.
    #[serde(rename = "for")]
    pub subject: Subject,
    /// What is done.
    pub what: What,
    /// How the models of the study are trained.
    pub recipe: Recipe,
    /// Parameters of the attack.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, serde_json::Value>,
}

/// What a study does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum What {
    /// Models trained on poisoned data, and what the poison does by its dose.
    Poisoning {
        /// Shares of the training rows that are poisoned, upwards, each above 0 and at most 1.
        fractions: Vec<f64>,
        /// Trainings at each share, each with a seed of its own.
        repeats: usize,
        /// Steps of the search between the largest share that did not work and the smallest that did.
        bisections: u32,
    },
    /// A copy trained on the answers of the model.
    Theft {
        /// Numbers of queries after which a copy is trained and measured, upwards.
        queries: Vec<usize>,
        /// What the thief learns from an answer; as much as is shown when not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answers: Option<Answers>,
    },
    /// Telling the rows a model was trained on from others.
    Membership {
        /// Which model.
        of: Member,
        /// Shadow models; 0 for the loss alone.
        shadows: usize,
        /// Which shadow models count.
        form: Form,
    },
    /// Guessing a feature from the others and the model's answer.
    Attribute {
        /// Names of the columns; the ones with the fewest values when empty.
        columns: Vec<String>,
        /// How many are taken where none is named.
        columns_max: usize,
        /// What of an answer is seen; as much as is shown when not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answers: Option<Answers>,
        /// Half the last digit of a probability as it is shown.
        precision: f64,
    },
}

/// Whose members are told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Member {
    /// Of the model under exercise: the training rows of the data are taken for its members, the held-out rows for others.
    Model,
    /// Of a model of the study's recipe, trained on a random half of the training rows. Members and others are then alike in all but that.
    Recipe,
}

/// How the models of a study are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recipe {
    /// The kind of model; by the rows when not given: a small CNN for images, a perceptron for tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Hidden layers of a perceptron; its own when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<usize>,
    /// Passes over the data (rounds, for trees); the network's own when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Length of a step; the network's own when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Most training rows, drawn with the suite's seed.
    pub rows: usize,
}

/// A kind of model that can be trained here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Logistic regression.
    Logistic,
    /// A multilayer perceptron.
    Mlp,
    /// A small convolutional network, for images.
    SmallCnn,
    /// Boosted decision trees, for tables.
    Trees,
}

impl Network {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Mlp => "mlp",
            Self::SmallCnn => "small-cnn",
            Self::Trees => "trees",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Poisoning,
    Theft,
    Membership,
    Attribute,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Poisoning => "poisoning",
            Self::Theft => "theft",
            Self::Membership => "membership",
            Self::Attribute => "attribute",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Method {
    Loss,
    Ratio,
}

/// A study as it is written: all keys of all kinds; those that do not belong to the kind are refused afterwards, with where they belong.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct FileStudy {
    kind: Kind,
    #[serde(default)]
    label: Option<String>,
    #[serde(default, rename = "for")]
    subject: Subject,
    attack: Option<String>,
    fractions: Option<Vec<f64>>,
    repeats: Option<usize>,
    bisections: Option<u32>,
    strategy: Option<String>,
    queries: Option<Vec<usize>>,
    answers: Option<Answers>,
    method: Option<Method>,
    of: Option<Member>,
    shadows: Option<usize>,
    form: Option<Form>,
    columns: Option<Vec<String>>,
    columns_max: Option<usize>,
    precision: Option<f64>,
    recipe: Option<Network>,
    #[serde(default)]
    hidden: Vec<usize>,
    epochs: Option<usize>,
    learning_rate: Option<f64>,
    rows: Option<usize>,
    #[serde(default)]
    parameters: BTreeMap<String, serde_json::Value>,
}

/// Reads study number `n`, counted from 1.
pub(super) fn understand(n: usize, file: FileStudy) -> Result<Study, SuiteError> {
    let place = format!("study {n}");
    let wrong = |message: String| SuiteError::Meaning { place: place.clone(), message };
    misplaced(&file).map_err(wrong)?;
    let (attack, name, what) = match file.kind {
        Kind::Poisoning => poisoning(&place, &file)?,
        Kind::Theft => stealing(&place, &file)?,
        Kind::Membership => membership(&file).map_err(wrong)?,
        Kind::Attribute => attribute(&file).map_err(wrong)?,
    };
    let label = file.label.clone().unwrap_or_else(|| name.to_owned());
    let recipe = recipe(&file).map_err(wrong)?;
    Ok(Study { label, attack, subject: file.subject, what, recipe, parameters: file.parameters })
}

/// Refuses keys of another kind.
fn misplaced(file: &FileStudy) -> Result<(), String> {
    use Kind::{Attribute, Membership, Poisoning, Theft};
    let given: [(&str, bool, &[Kind]); 14] = [
        ("attack", file.attack.is_some(), &[Poisoning]),
        ("fractions", file.fractions.is_some(), &[Poisoning]),
        ("repeats", file.repeats.is_some(), &[Poisoning]),
        ("bisections", file.bisections.is_some(), &[Poisoning]),
        ("parameters", !file.parameters.is_empty(), &[Poisoning, Theft]),
        ("strategy", file.strategy.is_some(), &[Theft]),
        ("queries", file.queries.is_some(), &[Theft]),
        ("answers", file.answers.is_some(), &[Theft, Attribute]),
        ("method", file.method.is_some(), &[Membership]),
        ("of", file.of.is_some(), &[Membership]),
        ("shadows", file.shadows.is_some(), &[Membership]),
        ("form", file.form.is_some(), &[Membership]),
        ("columns", file.columns.is_some() || file.columns_max.is_some(), &[Attribute]),
        ("precision", file.precision.is_some(), &[Attribute]),
    ];
    for (key, is_there, kinds) in given {
        if is_there && !kinds.contains(&file.kind) {
            let kinds: Vec<&str> = kinds.iter().map(|k| k.as_str()).collect();
            return Err(format!(
                "`{key}` belongs to {}: leave it out of a study of the kind `{}`",
                kinds.join(" and "),
                file.kind.as_str()
            ));
        }
    }
    Ok(())
}

type Understood = (String, &'static str, What);

fn named(place: &str, what: &'static str, typed: &str, known: Vec<&'static str>) -> SuiteError {
    SuiteError::UnknownName { place: place.to_owned(), what, typed: typed.chars().take(80).collect(), known }
}

fn object(file: &FileStudy) -> serde_json::Value {
    serde_json::Value::Object(file.parameters.clone().into_iter().collect())
}

fn poisoning(place: &str, file: &FileStudy) -> Result<Understood, SuiteError> {
    let wrong = |message: String| SuiteError::Meaning { place: place.to_owned(), message };
    let names = || poison::POISONS.iter().flat_map(|p| [p.entry.name, p.entry.id]).collect();
    let Some(typed) = &file.attack else {
        return Err(wrong(
            "a poisoning needs an `attack`: write for example attack = \"patch-trigger\"".into(),
        ));
    };
    let found = poison::find(typed).ok_or_else(|| named(place, "poisoning", typed, names()))?;
    let parameters =
        |message| SuiteError::Meaning { place: format!("{place} (`{}`)", found.entry.name), message };
    (found.build)(&object(file)).map_err(parameters)?;
    let mut fractions: Vec<f64> = file.fractions.iter().flatten().map(|f| settled(*f)).collect();
    if fractions.is_empty() || fractions.len() > POINTS_MAX {
        return Err(wrong(format!("write 1 to {POINTS_MAX} `fractions` of poisoned rows")));
    }
    if let Some(f) = fractions.iter().find(|f| !(**f > 0.0 && **f <= 1.0)) {
        return Err(wrong(format!(
            "{f} is no fraction of poisoned rows: write numbers above 0 and up to 1 (without poison is measured in any case)"
        )));
    }
    fractions.sort_by(f64::total_cmp);
    fractions.dedup();
    let (repeats, bisections) = (file.repeats.unwrap_or(1), file.bisections.unwrap_or(0));
    if repeats == 0 || repeats > REPEATS_MAX {
        return Err(wrong(format!("`repeats` is 1 to {REPEATS_MAX}")));
    }
    if bisections > BISECTIONS_MAX {
        return Err(wrong(format!("`bisections` is 0 to {BISECTIONS_MAX}")));
    }
    Ok((found.entry.id.to_owned(), found.entry.name, What::Poisoning { fractions, repeats, bisections }))
}

fn stealing(place: &str, file: &FileStudy) -> Result<Understood, SuiteError> {
    let wrong = |message: String| SuiteError::Meaning { place: place.to_owned(), message };
    let names = || theft::STRATEGIES.iter().flat_map(|p| [p.entry.name, p.entry.id]).collect();
    let typed = file.strategy.as_deref().unwrap_or("extraction-in-distribution");
    let found = theft::find(typed).ok_or_else(|| named(place, "way of asking", typed, names()))?;
    let parameters =
        |message| SuiteError::Meaning { place: format!("{place} (`{}`)", found.entry.name), message };
    (found.build)(&object(file)).map_err(parameters)?;
    let mut queries: Vec<usize> = file.queries.clone().unwrap_or_default();
    if queries.is_empty() || queries.len() > POINTS_MAX {
        return Err(wrong(format!("write 1 to {POINTS_MAX} numbers of `queries`")));
    }
    if let Some(q) = queries.iter().find(|q| **q == 0 || **q > QUERIES_MAX) {
        return Err(wrong(format!("{q} queries steal nothing: write numbers from 1 to {QUERIES_MAX}")));
    }
    queries.sort_unstable();
    queries.dedup();
    Ok((found.entry.id.to_owned(), found.entry.name, What::Theft { queries, answers: file.answers }))
}

fn membership(file: &FileStudy) -> Result<Understood, String> {
    let of = file.of.unwrap_or(Member::Recipe);
    let (loss, ratio) = (privacy::loss_entry(), privacy::ratio_entry());
    match file.method.unwrap_or(Method::Loss) {
        Method::Loss => {
            if file.shadows.is_some() || file.form.is_some() {
                return Err("`shadows` and `form` belong to method = \"ratio\"".to_owned());
            }
            let what = What::Membership { of, shadows: 0, form: Form::Offline };
            Ok((loss.id.to_owned(), loss.name, what))
        }
        Method::Ratio => {
            let shadows = file.shadows.unwrap_or(16);
            if !(SHADOWS.0..=SHADOWS.1).contains(&shadows) {
                return Err(format!("`shadows` is {} to {}", SHADOWS.0, SHADOWS.1));
            }
            let what = What::Membership { of, shadows, form: file.form.unwrap_or(Form::Online) };
            Ok((ratio.id.to_owned(), ratio.name, what))
        }
    }
}

fn attribute(file: &FileStudy) -> Result<Understood, String> {
    let entry = privacy::attribute_entry();
    let columns = file.columns.clone().unwrap_or_default();
    if file.columns.is_some() && (columns.is_empty() || columns.len() > POINTS_MAX) {
        return Err(format!(
            "name 1 to {POINTS_MAX} `columns`, or leave them out to take those with the fewest values"
        ));
    }
    let columns_max = file.columns_max.unwrap_or(COLUMNS_DEFAULT);
    if columns_max == 0 || columns_max > POINTS_MAX {
        return Err(format!("`columns-max` is 1 to {POINTS_MAX}"));
    }
    let precision = settled(file.precision.unwrap_or(PRECISION_DEFAULT));
    if !(precision > 0.0 && precision < 0.5) {
        return Err(
            "`precision` is half the last digit shown of a probability, above 0 and below 0.5".to_owned()
        );
    }
    let what = What::Attribute { columns, columns_max, answers: file.answers, precision };
    Ok((entry.id.to_owned(), entry.name, what))
}

fn recipe(file: &FileStudy) -> Result<Recipe, String> {
    let rows = file.rows.unwrap_or(ROWS_DEFAULT);
    if !(ROWS.0..=ROWS.1).contains(&rows) {
        return Err(format!("`rows` of training is {} to {}", ROWS.0, ROWS.1));
    }
    if file.epochs.is_some_and(|e| e == 0 || e > EPOCHS_MAX) {
        return Err(format!("`epochs` is 1 to {EPOCHS_MAX}"));
    }
    if file.learning_rate.is_some_and(|r| !(r > 0.0 && r <= 10.0)) {
        return Err("`learning-rate` is above 0 and at most 10".to_owned());
    }
    let (layers, units) = HIDDEN_MAX;
    if file.hidden.len() > layers || file.hidden.iter().any(|h| *h == 0 || *h > units) {
        return Err(format!("`hidden` is up to {layers} layers of 1 to {units} units"));
    }
    if !file.hidden.is_empty() && file.recipe.is_some_and(|n| n != Network::Mlp) {
        return Err("`hidden` layers belong to recipe = \"mlp\"".to_owned());
    }
    Ok(Recipe {
        network: file.recipe,
        hidden: file.hidden.clone(),
        epochs: file.epochs,
        learning_rate: file.learning_rate.map(settled),
        rows,
    })
}

/// What differs between two lists of studies, one line each.
pub(super) fn diff(a: &[Study], b: &[Study], out: &mut Vec<String>) {
    for n in 0..a.len().max(b.len()) {
        match (a.get(n), b.get(n)) {
            (Some(one), Some(other)) => differences(n + 1, one, other, out),
            (Some(one), None) => out.push(format!("study {} (`{}`) is in the first only", n + 1, one.label)),
            (None, Some(one)) => out.push(format!("study {} (`{}`) is in the second only", n + 1, one.label)),
            (None, None) => {}
        }
    }
}

fn differences(n: usize, a: &Study, b: &Study, out: &mut Vec<String>) {
    for (what, one, other) in [
        ("label", a.label.clone(), b.label.clone()),
        ("attack", a.attack.clone(), b.attack.clone()),
        ("for", format!("{:?}", a.subject), format!("{:?}", b.subject)),
        ("what is done", json(&a.what), json(&b.what)),
        ("recipe", json(&a.recipe), json(&b.recipe)),
        ("parameters", json(&a.parameters), json(&b.parameters)),
    ] {
        if one != other {
            out.push(format!("study {n} (`{}`), {what}: {one} against {other}", a.label));
        }
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{diff, parse};

    const HEAD: &str = "name = \"s\"\nversion = 1\ntitle = \"S\"\nsamples = 10\n";
    const POISONING: &str =
        "[[study]]\nkind = \"poisoning\"\nattack = \"patch-trigger\"\nfractions = [0.05, 0.01]\n";
    const THEFT: &str =
        "[[study]]\nkind = \"theft\"\nstrategy = \"extraction-random\"\nqueries = [200, 100]\n";
    const MEMBERS: &str = "[[study]]\nkind = \"membership\"\nmethod = \"ratio\"\nshadows = 8\n";
    const ATTRIBUTE: &str = "[[study]]\nkind = \"attribute\"\ncolumns = [\"sex\"]\n";

    fn said(study: &str, from: &str, to: &str) -> String {
        assert!(study.contains(from), "{from}");
        parse(&format!("{HEAD}{}", study.replace(from, to))).unwrap_err().to_string()
    }

    #[test]
    fn a_suite_of_studies_alone_reads_and_is_sorted() {
        let suite = parse(&format!("{HEAD}{POISONING}{THEFT}{MEMBERS}{ATTRIBUTE}")).unwrap();
        assert_eq!(suite.studies.len(), 4);
        let What::Poisoning { fractions, .. } = &suite.studies[0].what else { panic!("not a poisoning") };
        assert_eq!(
            (fractions.as_slice(), suite.studies[0].attack.as_str()),
            ([0.01, 0.05].as_slice(), "X202")
        );
        let text = serde_json::to_string(&suite).unwrap();
        assert_eq!(serde_json::from_str::<crate::suite::Suite>(&text).unwrap(), suite);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        for (study, from, to, expected) in [
            (POISONING, "0.05", "0", "study 1: 0 is no fraction"),
            (POISONING, "0.05", "1.5", "study 1: 1.5 is no fraction"),
            (POISONING, "fractions = [0.05, 0.01]\n", "", "write 1 to 16 `fractions`"),
            (POISONING, "patch-trigger", "patch-triger", "study 1: there is no poisoning `patch-triger`"),
            (POISONING, "fractions", "recipe = \"forest\"\nfractions", "unknown variant `forest`"),
            (POISONING, "fractions", "repeats = 0\nfractions", "`repeats` is 1"),
            (POISONING, "fractions", "rows = 3\nfractions", "`rows` of training is 20"),
            (POISONING, "fractions", "queries = [1]\nfractions", "`queries` belongs to theft"),
            (POISONING, "fractions", "parameters = { sise = 2 }\nfractions", "unknown field `sise`"),
            (POISONING, "fractions", "hidden = [8]\nrecipe = \"logistic\"\nfractions", "belong to recipe"),
            (THEFT, "200", "0", "0 queries steal nothing"),
            (THEFT, "extraction-random", "random", "there is no way of asking `random`"),
            (MEMBERS, "8", "3", "`shadows` is 4"),
            (MEMBERS, "\"ratio\"", "\"loss\"", "belong to method"),
            (MEMBERS, "ratio", "ratios", "unknown variant `ratios`"),
            (ATTRIBUTE, "[\"sex\"]", "[]", "name 1 to 16 `columns`"),
            (ATTRIBUTE, "columns", "precision = 0.5\ncolumns", "`precision` is half"),
            (ATTRIBUTE, "attribute", "attributes", "unknown variant `attributes`"),
        ] {
            let said = said(study, from, to);
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn every_key_changes_the_digest_and_is_named_and_no_study_changes_no_digest() {
        let a = parse(&format!("{HEAD}{POISONING}")).unwrap();
        for more in [
            "label = \"x\"",
            "for = \"image\"",
            "repeats = 2",
            "bisections = 2",
            "recipe = \"mlp\"",
            "epochs = 3",
            "learning-rate = 0.1",
            "rows = 100",
            "parameters = { size = 2 }",
        ] {
            let b = parse(&format!("{HEAD}{POISONING}{more}\n")).unwrap();
            assert_ne!(a.digest(), b.digest(), "{more}");
            assert_eq!(diff(&a, &b).len(), 1, "{more}: {:?}", diff(&a, &b));
        }
        let step = "[[step]]\nattack = \"fgsm\"\nnorm = \"linf\"\nepsilons = [0.01]\n";
        let plain = parse(&format!("{HEAD}{step}")).unwrap();
        assert!(!serde_json::to_string(&plain).unwrap().contains("studies"));
        assert_eq!(diff(&plain, &parse(&format!("{HEAD}{step}{THEFT}")).unwrap()).len(), 1);
    }
}
