//! From the pieces of an exercise to its scorecard.

use std::collections::{BTreeMap, BTreeSet};

use super::changes::{Changes, ShownRows};
use super::conditions::Conditions;
use super::{
    Breakdown, Curve, Exhibit, FORM, Health, Least, Note, Passage, Quality, Row, Sample, Scorecard, Share,
    Subject, Worst, advice,
};
use crate::evasion::{self, Access, GradientHealth};
use crate::norm::{Ball, Norm};
use crate::suite::{Answers, ChangePiece, ConditionPiece, Found, Piece, Suite, settled};

/// Everything a scorecard is made of.
pub struct Assembly {
    /// Version of the program.
    pub tool: String,
    /// What was attacked.
    pub subject: Subject,
    /// The suite as run.
    pub suite: Suite,
    /// The samples, without [`Sample::least`].
    pub samples: Vec<Sample>,
    /// What each chunk of right samples holds, by sample.
    pub chunks: Vec<Vec<usize>>,
    /// How many chunks all samples make, right or wrong: what conditions are done to.
    pub whole: usize,
    /// What the model says of all samples undisturbed.
    pub clean: Answers,
    /// What was finished, in any order.
    pub pieces: Vec<Piece>,
    /// What was finished of the conditions, in any order.
    pub conditions: Vec<ConditionPiece>,
    /// What was finished of the least changes, in any order.
    pub changes: Vec<ChangePiece>,
    /// Patients' rows shown with their least change.
    pub shown: ShownRows,
    /// Why it was ended early.
    pub ended: Option<String>,
    /// What is shown.
    pub exhibits: Vec<Exhibit>,
    /// How it went through a gateway, where it did.
    pub passage: Option<Passage>,
}

/// Makes the scorecard. The order of the pieces does not matter.
pub fn assemble(mut given: Assembly) -> Scorecard {
    given.pieces.sort_by_key(|p| (p.step, p.chunk));
    given.conditions.sort_by_key(|p| (p.condition, p.chunk));
    given.changes.sort_by_key(|p| (p.change, p.chunk));
    let clean_flags: Vec<u8> =
        given.samples.iter().map(|s| if s.seen == Some(s.label) { b'1' } else { b'x' }).collect();
    let book = Book { samples: &given.samples, classes: given.subject.classes.len(), clean: &clean_flags };
    let attacks = Attacks::of(&book, &given);
    let (rows, least, health) = (attacks.rows, attacks.least, attacks.health);
    let (mut skipped, mut faults, mut missing) = (attacks.skipped, attacks.faults, attacks.missing);
    let labels: Vec<usize> = given.samples.iter().map(|s| s.label).collect();
    let quality = given.clean.replies().and_then(|replies| Quality::of(&replies, &labels));
    let kind = given.subject.kind.as_str();
    let list: Vec<_> =
        given.suite.conditions.iter().enumerate().filter(|(_, c)| super::meant(c.subject, kind)).collect();
    let conditions = Conditions::of(&book, &list, &given.conditions, given.whole);
    let list = if kind == "table" { given.suite.changes.as_slice() } else { &[] };
    let changes = Changes::of(&book, list, &given.changes, given.chunks.len(), &given.shown);
    missing += conditions.missing + changes.missing;
    skipped.extend(conditions.skipped.into_iter().chain(changes.skipped));
    faults.extend(conditions.faults.into_iter().chain(changes.faults));
    let worst = book.worst(&rows, &least);
    let clean = book.breakdown(&clean_flags);
    let curves = curves(&given.suite, &rows);
    let complete = given.ended.is_none() && missing == 0 && faults.is_empty();
    if let Some(why) = &given.ended {
        faults.insert(0, Note { about: "exercise".to_owned(), text: why.clone() });
    }
    let mut samples = given.samples.clone();
    for ((norm, sample), (distance, label)) in &least {
        if let Some(sample) = samples.get_mut(*sample) {
            sample.least.push(Least { norm: *norm, distance: *distance, label: label.clone() });
        }
    }
    let mut card = Scorecard {
        form: FORM.to_owned(),
        tool: given.tool,
        gateway: given.passage.map(|p| p.with(&given.suite, &given.pieces)),
        subject: given.subject,
        suite_digest: given.suite.digest().to_string(),
        suite: given.suite,
        complete,
        clean,
        quality,
        rows,
        worst,
        curves,
        conditions: conditions.rows,
        condition_means: conditions.means,
        changes: changes.rows,
        samples,
        skipped,
        faults,
        warnings: Vec::new(),
        advice: Vec::new(),
        studies: Vec::new(),
        exhibits: given.exhibits,
    };
    card.warnings = advice::warnings(&card, &health);
    card.advice = advice::advice(&card);
    card
}

/// What is made of the pieces of all attacks.
#[derive(Default)]
struct Attacks {
    rows: Vec<Row>,
    /// Least distance at which each sample fell in each norm, and to which step.
    least: BTreeMap<(Norm, usize), (f64, String)>,
    health: Vec<Health>,
    skipped: Vec<Note>,
    faults: Vec<Note>,
    missing: usize,
}

impl Attacks {
    fn of(book: &Book<'_>, given: &Assembly) -> Self {
        let mut out = Self::default();
        for (at, step) in given.suite.steps.iter().enumerate() {
            if !super::meant(step.subject, &given.subject.kind) {
                continue;
            }
            let pieces: Vec<&Piece> = given.pieces.iter().filter(|p| p.step == at).collect();
            if let Some(why) = pieces.iter().find_map(|p| p.skipped.as_ref()) {
                out.skipped.push(Note { about: step.label.clone(), text: why.clone() });
                continue;
            }
            out.missing += given.chunks.len().saturating_sub(pieces.len());
            let said: BTreeSet<&String> = pieces.iter().filter_map(|p| p.fault.as_ref()).collect();
            out.faults
                .extend(said.iter().map(|text| Note { about: step.label.clone(), text: (*text).clone() }));
            let mut sum = GradientHealth::default();
            pieces.iter().for_each(|p| sum.add(p.gradients));
            out.health.push((step.label.clone(), sum));
            let needs = evasion::find(&step.attack).map_or(Access::Labels, |r| r.needs);
            for (n, epsilon) in step.epsilons.iter().enumerate() {
                let found: Vec<&Found> = pieces.iter().filter_map(|p| p.budgets.get(n)).flatten().collect();
                for f in found.iter() {
                    remember(&mut out.least, step.norm, &step.label, f);
                }
                out.rows.push(book.row(at, step, needs, *epsilon, &found));
            }
        }
        out
    }
}

fn remember(least: &mut BTreeMap<(Norm, usize), (f64, String)>, norm: Norm, label: &str, found: &Found) {
    let Some(distance) = found.fell else { return };
    let place = least.entry((norm, found.sample)).or_insert_with(|| (f64::INFINITY, String::new()));
    if distance < place.0 {
        *place = (distance, label.to_owned());
    }
}

/// Samples with what the model says of them undisturbed.
pub(super) struct Book<'a> {
    pub(super) samples: &'a [Sample],
    classes: usize,
    /// `1` right, `x` wrong.
    pub(super) clean: &'a [u8],
}

impl Book<'_> {
    pub(super) fn breakdown(&self, flags: &[u8]) -> Breakdown {
        let share = |keep: &dyn Fn(&Sample) -> bool| {
            let kept = self.samples.iter().zip(flags).filter(|(s, f)| **f != b'-' && keep(s));
            let (mut hits, mut of) = (0, 0);
            for (_, flag) in kept {
                of += 1;
                hits += usize::from(*flag == b'1');
            }
            Share::new(hits, of)
        };
        let names: BTreeSet<&String> = self.samples.iter().filter_map(|s| s.group.as_ref()).collect();
        Breakdown {
            all: share(&|_| true),
            classes: (0..self.classes).map(|c| share(&|s| s.label == c)).collect(),
            groups: names.iter().map(|n| ((*n).clone(), share(&|s| s.group.as_ref() == Some(n)))).collect(),
        }
    }

    fn row(
        &self,
        at: usize,
        step: &crate::suite::Step,
        needs: Access,
        epsilon: f64,
        found: &[&Found],
    ) -> Row {
        let count = step.samples.unwrap_or(usize::MAX);
        let mut flags: Vec<u8> = self
            .clean
            .iter()
            .enumerate()
            .map(|(n, f)| if *f == b'x' && n < count { b'x' } else { b'-' })
            .collect();
        for f in found {
            if let Some(flag) = flags.get_mut(f.sample) {
                *flag = if f.fell.is_some() { b'0' } else { b'1' };
            }
        }
        if found.is_empty() {
            // Nothing was finished: what was wrong from the start says nothing either.
            flags.fill(b'-');
        }
        let mut distances: Vec<f64> = found.iter().filter_map(|f| f.fell).collect();
        let mut asked: Vec<u64> = found.iter().map(|f| f.queries).filter(|q| *q > 0).collect();
        asked.sort_unstable();
        Row {
            step: at,
            label: step.label.clone(),
            attack: step.attack.clone(),
            needs,
            norm: step.norm,
            epsilon,
            robust: self.breakdown(&flags),
            fell: Share::new(distances.len(), found.len()),
            distance_median: (!distances.is_empty()).then(|| settled(numeric::median(&mut distances))),
            queries: asked.iter().sum(),
            queries_median: asked.get(asked.len() / 2).copied().unwrap_or(0),
            unstable: found.iter().filter(|f| f.unstable).count(),
            flags: String::from_utf8(flags).unwrap_or_default(),
        }
    }

    /// A sample stands a budget when nothing within it is known to flip it and it was tried there.
    fn worst(&self, rows: &[Row], least: &BTreeMap<(Norm, usize), (f64, String)>) -> Vec<Worst> {
        let mut budgets: Vec<(Norm, f64)> = rows.iter().map(|r| (r.norm, r.epsilon)).collect();
        budgets.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        budgets.dedup();
        let mut out = Vec::new();
        for (norm, epsilon) in budgets {
            let ball = Ball { norm, epsilon };
            let tried: Vec<&Row> = rows.iter().filter(|r| r.norm == norm && r.epsilon == epsilon).collect();
            let flags: Vec<u8> = (0..self.samples.len())
                .map(|n| {
                    let of: Vec<u8> =
                        tried.iter().filter_map(|r| r.flags.as_bytes().get(n).copied()).collect();
                    let fell = least.get(&(norm, n)).is_some_and(|(d, _)| ball.admits(*d));
                    match () {
                        () if fell => b'0',
                        () if of.contains(&b'x') => b'x',
                        () if of.contains(&b'1') => b'1',
                        () => b'-',
                    }
                })
                .collect();
            let robust = self.breakdown(&flags);
            out.push(Worst { norm, epsilon, robust, flags: String::from_utf8(flags).unwrap_or_default() });
        }
        out
    }
}

/// What was right without an attack, of the samples that a row was tried on.
fn untouched(row: &Row) -> Share {
    let count = |wanted: &[u8]| row.flags.bytes().filter(|f| wanted.contains(f)).count();
    Share::new(count(b"01"), count(b"01x"))
}

fn curves(suite: &Suite, rows: &[Row]) -> Vec<Curve> {
    let mut out = Vec::new();
    for (at, step) in suite.steps.iter().enumerate() {
        let of_step: Vec<&Row> = rows.iter().filter(|r| r.step == at && r.robust.all.of > 0).collect();
        if let Some(first) = of_step.first() {
            let points = of_step.iter().map(|r| (r.epsilon, r.robust.all));
            let points = std::iter::once((0.0, untouched(first))).chain(points).collect();
            out.push(Curve { label: step.label.clone(), norm: step.norm, points });
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::suite;

    /// Ten samples of two classes: 0 to 7 right, 8 and 9 wrong; two steps; two chunks.
    pub(in crate::scorecard) fn assembly() -> Assembly {
        let text = "name = \"s\"\nversion = 1\ntitle = \"S\"\nsamples = 10\nkeeps-min = 0.7\n\
            [[step]]\nattack = \"fgsm\"\nnorm = \"linf\"\nepsilons = [0.01, 0.02]\n\
            [[step]]\nattack = \"fgsm\"\nlabel = \"again\"\nnorm = \"linf\"\nepsilons = [0.02]\n";
        let suite = crate::suite::parse(text).unwrap();
        let samples = (0..10)
            .map(|n| Sample {
                row: n,
                label: n % 2,
                seen: Some(if n < 8 { n % 2 } else { 1 - n % 2 }),
                group: Some(if n < 5 { "f" } else { "m" }.to_owned()),
                least: Vec::new(),
            })
            .collect();
        let found = |sample: usize, fell: Option<f64>| Found { sample, fell, queries: 3, unstable: false };
        let piece =
            |step, chunk, budgets: Vec<Vec<Found>>| Piece { step, chunk, budgets, ..Piece::default() };
        let pieces = vec![
            piece(1, 1, vec![(4..8).map(|n| found(n, (n == 4).then_some(0.008))).collect()]),
            piece(
                0,
                0,
                vec![
                    (0..4).map(|n| found(n, (n == 0).then_some(0.01))).collect(),
                    (0..4).map(|n| found(n, (n < 2).then_some(0.01 + 0.005 * n as f64))).collect(),
                ],
            ),
            piece(1, 0, vec![(0..4).map(|n| found(n, None)).collect()]),
            piece(
                0,
                1,
                vec![(4..8).map(|n| found(n, None)).collect(), (4..8).map(|n| found(n, None)).collect()],
            ),
        ];
        Assembly {
            tool: "0".to_owned(),
            subject: Subject {
                system: None,
                model: "m.onnx".to_owned(),
                model_digest: "sha256:1".to_owned(),
                data: "d.csv".to_owned(),
                data_digest: "sha256:2".to_owned(),
                rows: "test, 10 of 10".to_owned(),
                access: Access::Gradients,
                kind: "table".to_owned(),
                shape: vec![4],
                classes: vec!["well".to_owned(), "ill".to_owned()],
                group: Some("sex".to_owned()),
            },
            suite,
            samples,
            chunks: vec![vec![0, 1, 2, 3], vec![4, 5, 6, 7]],
            whole: 2,
            clean: Answers::default(),
            pieces,
            conditions: Vec::new(),
            changes: Vec::new(),
            shown: ShownRows::new(),
            ended: None,
            exhibits: Vec::new(),
            passage: None,
        }
    }

    #[test]
    fn accuracy_counts_what_was_wrong_from_the_start() {
        let card = assemble(assembly());
        assert!(card.complete);
        assert_eq!((card.clean.all.hits, card.clean.all.of), (8, 10));
        assert_eq!(card.rows.iter().map(|r| r.robust.all.hits).collect::<Vec<_>>(), [7, 6, 7]);
        assert_eq!(card.rows[0].flags, "01111111xx");
        assert_eq!(card.rows[0].fell.of, 8);
        assert_eq!(card.clean.groups["f"].of, 5);
    }

    #[test]
    fn the_worst_case_joins_steps_and_smaller_budgets() {
        let card = assemble(assembly());
        // Sample 4 fell to the second step at 0.008, which is within 0.01 although that step was not run there.
        assert_eq!(card.worst[0].flags, "01110111xx");
        assert_eq!(card.worst[1].flags, "00110111xx");
        assert_eq!(card.samples[4].least[0].label, "again");
        assert!((card.kept().unwrap() - 0.75).abs() < 1e-12);
        assert!(card.keeps());
    }

    #[test]
    fn the_order_of_the_pieces_changes_nothing() {
        let mut other = assembly();
        other.pieces.reverse();
        let (a, b) = (assemble(assembly()), assemble(other));
        assert_eq!(serde_json::to_string(&a).unwrap(), serde_json::to_string(&b).unwrap());
    }

    #[test]
    fn what_was_not_finished_is_left_out_and_said() {
        let mut cut = assembly();
        cut.pieces.retain(|p| p.chunk == 0);
        cut.ended = Some("stopped".to_owned());
        let card = assemble(cut);
        assert!(!card.complete);
        assert_eq!(card.rows[0].flags, "0111----xx");
        assert_eq!(card.rows[0].robust.all.of, 6);
        assert_eq!(card.faults[0].text, "stopped");
    }

    #[test]
    fn a_card_survives_being_written_and_read() {
        let card = assemble(assembly());
        let text = serde_json::to_string(&card).unwrap();
        assert_eq!(serde_json::from_str::<Scorecard>(&text).unwrap(), card);
    }

    /// The same with a condition of two strengths on all ten samples and a search for the least change.
    fn disturbed() -> Assembly {
        let mut given = assembly();
        let text = "name = \"s\"\nversion = 1\ntitle = \"S\"\nsamples = 10\n[[condition]]\nfamily = \"site_shift\"\nseverities = [1, 5]\n[[change]]\nwithin = [1, 3]\n";
        let parsed = suite::parse(text).unwrap();
        (given.suite.conditions, given.suite.changes) = (parsed.conditions, parsed.changes);
        let answers = |samples: std::ops::Range<usize>, wrong: usize| {
            let samples: Vec<usize> = samples.collect();
            let class =
                |n: &usize| if *n == 9 { None } else { Some(if *n < wrong { 1 - n % 2 } else { n % 2 }) };
            let classes: Vec<Option<usize>> = samples.iter().map(class).collect();
            let scores: Vec<f32> =
                classes.iter().flat_map(|c| if *c == Some(1) { [0.0, 2.0] } else { [2.0, 0.0] }).collect();
            Answers::of(&samples, classes, &scores)
        };
        let piece = |chunk, samples: std::ops::Range<usize>| ConditionPiece {
            condition: 0,
            chunk,
            levels: vec![answers(samples.clone(), 1), answers(samples, 4)],
            ..ConditionPiece::default()
        };
        given.conditions = vec![piece(1, 5..10), piece(0, 0..5)];
        given.clean = answers(0..10, 0);
        let patient = |sample: usize, cost: Option<f64>| suite::Changed {
            sample,
            cost,
            exact: true,
            queries: 5,
            ..Default::default()
        };
        let piece = |chunk, patients| ChangePiece { change: 0, chunk, patients, ..ChangePiece::default() };
        let left_out = suite::Changed {
            sample: 7,
            left_out: Some("`a` is out of its declared range".to_owned()),
            ..Default::default()
        };
        given.changes = vec![
            piece(1, vec![patient(4, Some(0.5)), patient(5, None), patient(6, Some(2.0)), left_out]),
            piece(0, (0..4).map(|n| patient(n, Some(4.0 + n as f64))).collect()),
        ];
        given
    }

    #[test]
    fn conditions_are_counted_on_all_samples_beside_the_same_undisturbed() {
        let card = assemble(disturbed());
        assert!(card.complete, "{:?}", card.faults);
        let last = &card.conditions[1];
        assert_eq!((last.level.severity, last.flags.as_str(), last.unanswered), (Some(5), "000011111-", 1));
        // Sample 8 was wrong undisturbed and is right now; of nine answered, eight were right before.
        assert_eq!((last.lost, last.gained), (4, 1));
        assert!((last.difference - (5.0 - 8.0) / 9.0).abs() < 1e-9);
        assert_eq!(last.right.classes[0].of, 5);
        assert_eq!(last.right.groups["f"].hits, 1);
        let quality = last.quality.as_ref().unwrap();
        assert!((quality.confidence.unwrap() - 0.880_797).abs() < 1e-5);
        let mean = &card.condition_means[0];
        assert!((mean.right.unwrap() - (8.0 + 5.0) / 18.0).abs() < 1e-9);
        assert!(card.advice.iter().any(|n| n.about == "site_shift"), "{:?}", card.advice);
        assert!(card.advice.iter().any(|n| n.about == "calibration"), "{:?}", card.advice);
        let text = serde_json::to_string(&card).unwrap();
        assert_eq!(serde_json::from_str::<Scorecard>(&text).unwrap(), card);
    }

    #[test]
    fn patients_stand_what_costs_more_than_a_level_and_those_left_out_are_said() {
        let card = assemble(disturbed());
        let row = &card.changes[0];
        assert_eq!((row.flipped.hits, row.flipped.of, row.exact, row.left_out), (6, 7, 7, 1));
        assert_eq!((row.cost_min, row.cost_median), (Some(0.5), Some(4.5)));
        let flags: Vec<&str> = row.levels.iter().map(|l| l.flags.as_str()).collect();
        assert_eq!(flags, ["1111011-xx", "1111010-xx"]);
        assert_eq!(row.patients.first().map(|p| p.sample), Some(4));
        assert_eq!(row.patients.last().and_then(|p| p.cost), None);
        assert!(
            card.skipped.iter().any(|n| n.text.starts_with("1 patients were left out")),
            "{:?}",
            card.skipped
        );
        assert!(card.advice.iter().any(|n| n.text.contains("2 of 7 patients")), "{:?}", card.advice);
    }

    #[test]
    fn what_is_missing_of_conditions_and_changes_is_not_complete() {
        let mut cut = disturbed();
        cut.conditions.truncate(1);
        assert!(!assemble(cut).complete);
        let mut cut = disturbed();
        cut.changes.truncate(1);
        assert!(!assemble(cut).complete);
        let mut reversed = disturbed();
        reversed.conditions.reverse();
        reversed.changes.reverse();
        assert_eq!(assemble(reversed), assemble(disturbed()));
    }
}
