//! Conditions of a suite: what happens to inputs without an attacker, at several strengths, on all samples: right or wrong from the start.

use serde::{Deserialize, Serialize};

use super::parse::{SuiteError, wrong};
use super::{Chunk, SAMPLES_MAX, Subject, settled};
use crate::access::{Fault, Layout, Replies, Rows};
use crate::corruption::{self, CORRUPTIONS, Corruption, Registered, Setting, Source, Table};
use crate::evasion::Target;
use crate::pace::Pace;

/// Most conditions of one suite, groups counted by their families.
pub const CONDITIONS_MAX: usize = 256;
/// Most strengths of one condition.
pub const LEVELS_MAX: usize = 32;
/// Severities that families have, at most.
const SEVERITIES: std::ops::RangeInclusive<usize> = 1..=5;
/// Names that stand for several families, and which.
pub const GROUPS: [(&str, &str); 3] = [
    ("all-image", "all families for images"),
    ("all-table", "all families for tables"),
    ("benchmark", "the families of the published benchmark (MedMNIST-C)"),
];

/// One family at several strengths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Condition {
    /// How reports call it; the family's name unless the suite says otherwise.
    pub label: String,
    /// Id of the family.
    pub family: String,
    /// What rows it is for.
    #[serde(rename = "for")]
    pub subject: Subject,
    /// How strong, in the order of the severities.
    pub levels: Vec<Level>,
    /// Only so many of the samples, from the front.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
}

/// How strong a condition is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Level {
    /// Severity from 1, where it is one of the family's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<usize>,
    /// The number itself, in the family's own measure.
    pub strength: f64,
}

impl Level {
    /// As reports write it: `severity 3`, or the strength.
    pub fn text(&self) -> String {
        self.severity.map_or_else(
            || format!("strength {}", crate::scorecard::trim(self.strength)),
            |severity| format!("severity {severity}"),
        )
    }
}

/// A condition as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct FileCondition {
    family: String,
    #[serde(default)]
    label: Option<String>,
    #[serde(default, rename = "for")]
    subject: Option<Subject>,
    #[serde(default)]
    severities: Option<Vec<usize>>,
    #[serde(default)]
    strengths: Option<Vec<f64>>,
    #[serde(default)]
    samples: Option<usize>,
}

/// The conditions that one `[[condition]]` stands for.
pub(super) fn understand(n: usize, given: FileCondition) -> Result<Vec<Condition>, SuiteError> {
    let place = format!("condition {n} (`{}`)", given.label.as_ref().unwrap_or(&given.family));
    let families = families(&given.family);
    let Some(first) = families.first() else {
        let typed = given.family.chars().take(80).collect();
        return Err(SuiteError::UnknownFamily { condition: n, typed });
    };
    let single = corruption::find(&given.family).is_some();
    if given.samples.is_some_and(|s| s == 0 || s > SAMPLES_MAX) {
        return Err(wrong(place, format!("write 1 to {SAMPLES_MAX} samples, or leave samples out")));
    }
    let subject = subject_of(first);
    if given.subject.is_some_and(|s| s != Subject::All && s != subject) {
        let (about, other) =
            if subject == Subject::Image { ("images", "tables") } else { ("tables", "images") };
        return Err(wrong(place, format!("it is about {about}, not about {other}: leave `for` out")));
    }
    if !single && (given.strengths.is_some() || given.label.is_some()) {
        return Err(wrong(
            place,
            "a group of families takes severities; name one family for a label or strengths",
        ));
    }
    if given.strengths.is_some() && given.severities.is_some() {
        return Err(wrong(place, "it takes severities or strengths, not both"));
    }
    let mut out = Vec::new();
    for family in families {
        let levels = levels(&place, family, &given, single)?;
        if levels.is_empty() {
            continue;
        }
        out.push(Condition {
            label: given.label.clone().unwrap_or_else(|| family.entry.name.to_owned()),
            family: family.entry.id.to_owned(),
            subject,
            levels,
            samples: given.samples,
        });
    }
    Ok(out)
}

/// The family, or the families of the group, called `typed`; none when there are none.
fn families(typed: &str) -> Vec<&'static Registered> {
    if let Some(one) = corruption::find(typed) {
        return vec![one];
    }
    let of = |keep: &dyn Fn(&Registered) -> bool| CORRUPTIONS.iter().copied().filter(|c| keep(c)).collect();
    match typed {
        "all-image" => of(&|c| c.subject == corruption::Subject::Image),
        "all-table" => of(&|c| c.subject == corruption::Subject::Table),
        "benchmark" => of(&|c| c.source == Source::Benchmark),
        _ => Vec::new(),
    }
}

const fn subject_of(family: &Registered) -> Subject {
    match family.subject {
        corruption::Subject::Image => Subject::Image,
        corruption::Subject::Table => Subject::Table,
    }
}

/// Strengths of a family. A group leaves out severities that a family does not have; one family is told.
fn levels(
    place: &str,
    family: &Registered,
    given: &FileCondition,
    single: bool,
) -> Result<Vec<Level>, SuiteError> {
    let count =
        given.strengths.as_ref().map_or(0, Vec::len).max(given.severities.as_ref().map_or(0, Vec::len));
    if count > LEVELS_MAX
        || given.strengths.as_ref().is_some_and(Vec::is_empty)
        || given.severities.as_ref().is_some_and(Vec::is_empty)
    {
        return Err(wrong(
            place,
            format!("write 1 to {LEVELS_MAX} severities or strengths, or leave both out for all severities"),
        ));
    }
    let checked = |setting: Setting| {
        family
            .configure(setting)
            .map_err(|message| wrong(place, message))
            .map(|c| Level { severity: setting.severity, strength: settled(c.strength) })
    };
    if let Some(strengths) = &given.strengths {
        return strengths.iter().map(|s| checked(Setting { severity: None, strength: Some(*s) })).collect();
    }
    let has = family.strengths.values.len();
    let mut severities = given.severities.clone().unwrap_or_else(|| (1..=has).collect());
    severities.sort_unstable();
    severities.dedup();
    if let Some(none) = severities.iter().find(|s| !SEVERITIES.contains(s)) {
        return Err(wrong(place, format!("severities are 1 to 5, not {none}")));
    }
    if !single {
        severities.retain(|s| *s <= has);
    }
    severities.into_iter().map(|s| checked(Setting { severity: Some(s), strength: None })).collect()
}

/// What the model said of the samples of one chunk at one strength.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answers {
    /// Which samples.
    pub samples: Vec<usize>,
    /// The class seen in each; none where there was no answer, or one that is not a number.
    pub classes: Vec<Option<usize>>,
    /// Scores, row-major, by their bits (not-a-number is a score too); empty where only decisions are shown.
    pub scores: Vec<u32>,
    /// How many of the rows the guards saw, where the exercise goes through them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_by_guards: Option<usize>,
}

impl Answers {
    /// From what a model said.
    pub fn of(samples: &[usize], classes: Vec<Option<usize>>, scores: &[f32]) -> Self {
        let scores = scores.iter().map(|s| s.to_bits()).collect();
        Self { samples: samples.to_vec(), classes, scores, seen_by_guards: None }
    }

    /// As replies, where scores are shown; rows without a class are not answered.
    pub fn replies(&self) -> Option<Replies> {
        let classes = self.scores.len().checked_div(self.classes.len())?;
        (classes > 0).then(|| Replies {
            scores: self.scores.iter().map(|b| f32::from_bits(*b)).collect(),
            answered: self.classes.iter().map(Option::is_some).collect(),
            classes,
        })
    }
}

/// What one condition did to one chunk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConditionPiece {
    /// Which condition, counted from 0.
    pub condition: usize,
    /// Which chunk, counted from 0.
    pub chunk: usize,
    /// One entry per strength that was finished.
    pub levels: Vec<Answers>,
    /// Why it ended before its strengths were done.
    pub fault: Option<String>,
    /// Why it cannot be done to these rows at all.
    pub skipped: Option<String>,
}

/// Puts `chunk` (samples right or wrong) under a condition at every strength and asks the model. `table` is what the columns are, for tables.
///
/// # Errors
/// [`Fault::Stopped`] when it was asked to end; nothing of the piece is kept then. Other faults end in the piece.
pub fn condition_chunk(
    at: usize,
    condition: &Condition,
    target: &mut Target<'_>,
    chunk: &Chunk,
    table: Option<&Table>,
    seed: u64,
    pace: &dyn Pace,
) -> Result<ConditionPiece, Fault> {
    let mut piece = ConditionPiece { condition: at, chunk: chunk.number, ..ConditionPiece::default() };
    let Some(family) = corruption::find(&condition.family) else {
        piece.fault = Some(format!("there is no family `{}`", condition.family));
        return Ok(piece);
    };
    let layout = target.labels().space().layout;
    let count = condition.samples.unwrap_or(usize::MAX);
    let samples: Vec<usize> = chunk.samples.iter().copied().filter(|s| *s < count).collect();
    let starts = chunk.starts.get(..samples.len() * layout.len()).unwrap_or_default();
    for (n, level) in condition.levels.iter().enumerate() {
        if pace.stop() {
            return Err(Fault::Stopped);
        }
        let done = family
            .configure(Setting { severity: None, strength: Some(level.strength) })
            .map_err(Fault::NotApplicable)
            .and_then(|corruption| one_level(&corruption, target, (starts, &samples), layout, table, seed));
        match done {
            Ok(answers) => piece.levels.push(answers),
            Err(Fault::Stopped) => return Err(Fault::Stopped),
            Err(Fault::NotApplicable(why)) => {
                piece.skipped = Some(why);
                return Ok(piece);
            }
            Err(other) => {
                piece.fault = Some(other.to_string());
                return Ok(piece);
            }
        }
        pace.step(n as u64 + 1, condition.levels.len() as u64);
    }
    Ok(piece)
}

fn one_level(
    corruption: &Corruption,
    target: &mut Target<'_>,
    (starts, samples): (&[f32], &[usize]),
    layout: Layout,
    table: Option<&Table>,
    seed: u64,
) -> Result<Answers, Fault> {
    if samples.is_empty() {
        return Ok(Answers::default());
    }
    let rows = Rows::new(starts, layout.len(), samples)?;
    let mut changed = Vec::new();
    match (layout, table) {
        (Layout::Image { .. }, _) => corruption.images(rows, layout, seed, &mut changed)?,
        (Layout::Table { .. }, Some(table)) => corruption.tables(rows, table, seed, &mut changed)?,
        (Layout::Table { .. }, None) => {
            return Err(Fault::NotApplicable("nothing is known of the columns".to_owned()));
        }
    }
    let seen = ask(target, Rows::new(&changed, layout.len(), samples)?);
    // A server may refuse a whole batch for one value that is not a number: the rows are then told apart, and those count as not answered.
    let finite: Vec<bool> =
        changed.chunks_exact(layout.len().max(1)).map(|row| row.iter().all(|v| v.is_finite())).collect();
    match seen {
        Err(Fault::Model(_)) if finite.contains(&false) => {
            only_finite(target, (&changed, samples), layout.len(), &finite)
        }
        other => other,
    }
}

/// Asks about the rows that hold numbers only; the others count as not answered.
fn only_finite(
    target: &mut Target<'_>,
    (values, samples): (&[f32], &[usize]),
    width: usize,
    finite: &[bool],
) -> Result<Answers, Fault> {
    let (mut kept, mut names) = (Vec::new(), Vec::new());
    for ((row, sample), finite) in values.chunks_exact(width.max(1)).zip(samples).zip(finite) {
        if *finite {
            kept.extend_from_slice(row);
            names.push(*sample);
        }
    }
    let known =
        if names.is_empty() { Answers::default() } else { ask(target, Rows::new(&kept, width, &names)?)? };
    let classes = target.labels().space().classes;
    let per_row = if known.scores.is_empty() { 0 } else { classes };
    let mut out = Answers { samples: samples.to_vec(), ..Answers::default() };
    let mut next = 0;
    for finite in finite {
        let place = next * per_row;
        out.classes.push(if *finite { known.classes.get(next).copied().flatten() } else { None });
        match known.scores.get(place..place + per_row).filter(|_| *finite) {
            Some(scores) => out.scores.extend_from_slice(scores),
            None => out.scores.extend(std::iter::repeat_n(f32::NAN.to_bits(), per_row)),
        }
        next += usize::from(*finite);
    }
    Ok(out)
}

/// What the model says of rows, with scores where they are shown.
fn ask(target: &mut Target<'_>, rows: Rows<'_>) -> Result<Answers, Fault> {
    let mut replies = Replies::default();
    match target.again() {
        Target::Labels(model) => {
            let mut classes = Vec::new();
            model.labels(rows, &mut classes)?;
            return Ok(Answers::of(rows.samples(), classes, &[]));
        }
        Target::Scores(model) => model.scores(rows, &mut replies)?,
        Target::Gradients(model) => model.scores(rows, &mut replies)?,
    }
    let classes = (0..rows.len()).map(|at| replies.label(at)).collect();
    Ok(Answers::of(rows.samples(), classes, &replies.scores))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Labels, Scores, Space};
    use crate::corruption::Column;
    use crate::evasion::tests::Linear;
    use crate::pace::Quiet;
    use crate::suite::parse;

    fn condition(text: &str) -> Condition {
        let head = "name = \"s\"\nversion = 1\ntitle = \"S\"\nsamples = 10\n[[condition]]\n";
        parse(&format!("{head}{text}")).unwrap().conditions.remove(0)
    }

    fn chunk() -> Chunk {
        Chunk {
            number: 2,
            starts: [[0.9, 0.9, 0.1, 0.1], [0.2, 0.2, 0.8, 0.8]].concat(),
            labels: vec![0, 0],
            samples: vec![4, 9],
        }
    }

    fn table() -> Table {
        Table::new((0..4).map(|n| Column::plain(&format!("x{n}"), 0.0, 1.0)).collect(), &chunk().starts)
            .unwrap()
    }

    /// Refuses every batch that holds a value that is not a number, as a server may that reads JSON.
    struct Strict(Linear);

    impl Labels for Strict {
        fn space(&self) -> Space {
            self.0.space()
        }

        fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
            self.0.labels(rows, out)
        }
    }

    impl Scores for Strict {
        fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
            match rows.values().iter().all(|v| v.is_finite()) {
                true => self.0.scores(rows, out),
                false => Err(Fault::Model("400 Bad Request".to_owned())),
            }
        }
    }

    #[test]
    fn samples_that_were_wrong_are_asked_as_well_and_a_part_is_the_front() {
        let mut model = Linear::halves(4);
        let mut rounding = condition("family = \"rounding\"\nseverities = [1, 2]");
        let mut run = |c: &Condition| {
            condition_chunk(7, c, &mut Target::Gradients(&mut model), &chunk(), Some(&table()), 1, &Quiet)
                .unwrap()
        };
        let piece = run(&rounding);
        assert_eq!((piece.condition, piece.chunk, piece.levels.len()), (7, 2, 2));
        assert_eq!(piece.levels[1].samples, [4, 9]);
        assert_eq!(piece.levels[1].classes, [Some(0), Some(1)]);
        assert_eq!(piece.levels[1].replies().unwrap().classes, 2);
        rounding.samples = Some(5);
        assert_eq!(run(&rounding).levels[0].samples, [4]);
    }

    #[test]
    fn rows_that_a_server_refuses_for_a_value_that_is_not_a_number_are_not_answered() {
        let mut model = Strict(Linear::halves(4));
        let missing = condition("family = \"missing_nan\"\nstrengths = [1]");
        let piece = condition_chunk(
            0,
            &missing,
            &mut Target::Scores(&mut model),
            &chunk(),
            Some(&table()),
            1,
            &Quiet,
        )
        .unwrap();
        assert_eq!((piece.levels[0].classes.as_slice(), &piece.fault), ([None, None].as_slice(), &None));
        let text = serde_json::to_string(&piece).unwrap();
        assert_eq!(serde_json::from_str::<ConditionPiece>(&text).unwrap(), piece);
    }

    #[test]
    fn what_cannot_be_done_to_the_rows_is_said() {
        let mut model = Linear::halves(4);
        let mut run = |text: &str, table: Option<&Table>| {
            condition_chunk(0, &condition(text), &mut Target::Scores(&mut model), &chunk(), table, 1, &Quiet)
                .unwrap()
                .skipped
        };
        assert!(run("family = \"unit_mixup\"", Some(&table())).unwrap().contains("alternatives"));
        assert!(run("family = \"inversion\"", Some(&table())).unwrap().contains("not about tables"));
        assert!(run("family = \"rounding\"", None).is_some());
    }
}
