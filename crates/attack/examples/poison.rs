//! Measures poisoning, theft, privacy and hardening on the shared data with small models trained here.
//! `cargo run --release -p attack --example poison -- PART [ROWS] [SEEDS]`, PART being `dose`, `flips`, `collision`, `steal`, `members`, `attributes`, `tables` or `harden`;
//! ROWS cuts the training images, SEEDS is how many seeds a dose is measured with. Data at `ASEPSIS_SHARED` (default `../shared`).
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program for people at a terminal"
)]

use std::path::PathBuf;

use attack::evasion::Target;
use attack::harden::{AdversarialTraining, Course, Smoothing, Trial, adversarial_training, smoothing};
use attack::pace::Quiet;
use attack::poison::{Dose, Trainer, dose_response};
use attack::privacy::{
    Form, Inference, Membership, Ratio, attribute_inference, membership_by_loss, membership_by_ratio,
};
use attack::theft::{Answers, Theft, extract};
use attack::training::{AsIs, Samples, Trained};
use attack::{Ball, Layout, Norm, Space};
use runtime::training::{Recipe, SmallModels};
use testkit::data::{Part, Splits};

/// Rows of the unit box with their classes.
struct Set {
    rows: Vec<f32>,
    labels: Vec<usize>,
    space: Space,
}

impl Set {
    fn samples(&self) -> Samples<'_> {
        Samples::new(&self.rows, &self.labels, self.space).unwrap()
    }

    fn part(&self, from: usize, to: usize) -> Samples<'_> {
        let (width, to) = (self.space.layout.len(), to.min(self.labels.len()));
        Samples::new(&self.rows[from * width..to * width], &self.labels[from..to], self.space).unwrap()
    }
}

fn shared(path: &str) -> PathBuf {
    std::env::var_os("ASEPSIS_SHARED").map_or_else(|| PathBuf::from("../shared"), Into::into).join(path)
}

fn labels(part: &Part) -> Vec<usize> {
    part.labels.iter().map(|l| *l as usize).collect()
}

/// Train, validation and test images.
fn images() -> [Set; 3] {
    let bytes = std::fs::read(shared("data/imaging/pneumoniamnist.npz")).unwrap();
    let splits = testkit::data::medmnist(&bytes).unwrap();
    let space = Space { layout: Layout::Image { channels: 1, height: 28, width: 28 }, classes: 2 };
    [splits.train, splits.val, splits.test].map(|p| Set { labels: labels(&p), rows: p.inputs.data, space })
}

/// Train, validation and test rows of a table, each feature scaled by its range in the training rows.
fn table(name: &str) -> [Set; 3] {
    let text = std::fs::read_to_string(shared(&format!("data/tabular/{name}.csv"))).unwrap();
    let mut splits = testkit::data::table(&text).unwrap();
    if name == "eicu_demo_apache" {
        // Behind them stand the prediction of APACHE IV and two identifiers.
        for part in [&mut splits.train, &mut splits.val, &mut splits.test] {
            let (all, kept) = (part.inputs.cols, 26);
            part.inputs.data =
                part.inputs.data.chunks_exact(all).flat_map(|row| &row[..kept]).copied().collect();
            part.inputs.cols = kept;
        }
    }
    let Splits { train, val, test } = splits;
    let features = train.inputs.cols;
    let range: Vec<(f64, f64)> = (0..features)
        .map(|j| {
            let column = train.inputs.column(j);
            let low = column.iter().copied().fold(f64::INFINITY, f64::min);
            (low, column.iter().copied().fold(f64::NEG_INFINITY, f64::max).max(low + 1e-9))
        })
        .collect();
    let space = Space { layout: Layout::Table { features }, classes: 2 };
    #[expect(clippy::cast_possible_truncation, reason = "read as single precision")]
    let scaled = |part: &Part| {
        let unit = |(at, v): (usize, &f32)| {
            let (low, high) = range[at % features];
            ((f64::from(*v) - low) / (high - low)).clamp(0.0, 1.0) as f32
        };
        part.inputs.data.iter().enumerate().map(unit).collect()
    };
    [train, val, test].map(|p| Set { rows: scaled(&p), labels: labels(&p), space })
}

/// Seconds that this thread has computed.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn cnn() -> SmallModels {
    SmallModels::new(Recipe::SmallCnn)
}

fn perceptron() -> SmallModels {
    let mut models = SmallModels::new(Recipe::Mlp(vec![64, 32]));
    models.options.epochs = 40;
    models
}

fn plain(trainer: &mut SmallModels, data: &Samples<'_>, seed: u64) -> Box<dyn Trained> {
    trainer.train(&data.training(&Quiet), seed, &mut AsIs).unwrap()
}

/// One dose-response, as lines of a table.
fn dose(
    trainer: &mut SmallModels,
    name: &str,
    given: &serde_json::Value,
    sets: (Samples<'_>, Samples<'_>),
    rates: &[f64],
    seeds: usize,
    bisections: u32,
) {
    let registered = attack::poison::find(name).unwrap();
    let poison = (registered.build)(given).unwrap();
    let seeds: Vec<u64> = (1..=seeds as u64).collect();
    let dose =
        Dose { train: sets.0, test: sets.1, rates, seeds: &seeds, criterion: None, bisections, pace: &Quiet };
    let before = cpu();
    let found = dose_response(trainer, registered, poison.as_ref(), &dose).unwrap();
    let each = (cpu() - before) / found.trainings.max(1) as f64;
    for point in std::iter::once(&found.clean).chain(&found.points) {
        let share =
            |s: Option<attack::measure::Share>| s.map_or("".to_owned(), |s| format!("{:.3}", s.share));
        println!(
            "| {name} | {:.4} | {} | {:.3} ({:.3} to {:.3}) | {:.3} | {} | {} | {each:.1} |",
            point.rate,
            point.poisoned,
            point.accuracy.share,
            point.accuracy.low,
            point.accuracy.high,
            point.auc.unwrap_or(f64::NAN),
            share(point.success),
            share(point.baseline)
        );
    }
    println!("{name}: smallest dose that works: {:?}", found.smallest);
}

fn steal(train: &Samples<'_>, val: &Set, test: &Set) {
    let mut victim = plain(&mut cnn(), train, 1);
    let pool = val.samples();
    for (name, answers, budgets) in [
        ("extraction-in-distribution", Answers::Scores, vec![100, 262, 524]),
        ("extraction-in-distribution", Answers::Labels, vec![524]),
        ("extraction-uncertainty", Answers::Scores, vec![262]),
        ("extraction-jacobian", Answers::Labels, vec![600]),
        ("extraction-random", Answers::Scores, vec![524]),
    ] {
        let registered = attack::theft::find(name).unwrap();
        let strategy = (registered.build)(&serde_json::Value::Null).unwrap();
        let theft = Theft {
            pool: pool.rows(),
            test: test.samples(),
            referee: None,
            budgets: &budgets,
            answers,
            seed: 1,
            pace: &Quiet,
        };
        let mut trainer = cnn();
        trainer.options.epochs = 20;
        let found =
            extract(Target::Gradients(victim.as_mut()), &mut trainer, registered, strategy.as_ref(), &theft)
                .unwrap();
        for point in &found.points {
            println!(
                "| {name} | {answers:?} | {} | {:.3} ({:.3} to {:.3}) | {:.3} | {:.3} |",
                point.queries,
                point.agreement.share,
                point.agreement.low,
                point.agreement.high,
                point.accuracy.share,
                found.victim.share
            );
        }
    }
}

fn members(name: &str, found: &Membership) {
    let at: Vec<String> = found
        .at
        .iter()
        .map(|f| format!("{:.3} ({:.3} to {:.3})", f.found.share, f.found.low, f.found.high))
        .collect();
    println!(
        "| {name} | {} | {} | {} | {:.3} ({:.3} to {:.3}) | {} |",
        found.members,
        found.others,
        found.shadows,
        found.auc,
        found.auc_low,
        found.auc_high,
        at.join(" | ")
    );
}

/// A model trained on the first half of the rows, judged on both halves.
fn membership(name: &str, trainer: &mut SmallModels, set: &Set, rows: usize, shadows: usize) {
    // Files are often sorted: members and others must be drawn alike, or the order is told and not the membership.
    let mut order = numeric::Rng::new(7, 0).permutation(set.labels.len());
    let rows = rows.min(order.len());
    order.truncate(rows);
    let (values, labels) = set.samples().pick(&order);
    let set = Set { rows: values, labels, space: set.space };
    let (all, half) = (set.part(0, rows), rows / 2);
    let mut model = plain(trainer, &set.part(0, half), 1);
    let loss = membership_by_loss(model.as_mut(), &set.part(0, half), &set.part(half, rows), &Quiet).unwrap();
    members(&format!("{name}, loss"), &loss);
    let member: Vec<bool> = (0..rows).map(|at| at < half).collect();
    for form in [Form::Online, Form::Offline] {
        let ratio = Ratio { pool: all, member: &member, shadows, form, seed: 1, pace: &Quiet };
        let found = membership_by_ratio(model.as_mut(), trainer, &ratio).unwrap();
        members(&format!("{name}, ratio {form:?}"), &found);
    }
}

fn attributes(name: &str, columns: &[usize]) {
    let [train, val, test] = table(name);
    let mut model = plain(&mut perceptron(), &train.samples(), 1);
    for (kind, records) in [("training rows", &train), ("test rows", &test)] {
        for feature in columns {
            for answers in [Answers::Scores, Answers::Labels] {
                let inference = Inference {
                    records: records.samples(),
                    auxiliary: val.samples(),
                    feature: *feature,
                    answers,
                    precision: 0.005,
                    seed: 1,
                    pace: &Quiet,
                };
                let mut imputer = SmallModels::new(Recipe::Logistic);
                imputer.options.epochs = 150;
                imputer.options.learning_rate = 0.02;
                let found = attribute_inference(model.as_mut(), &mut imputer, &inference).unwrap();
                println!(
                    "| {name} {feature} | {kind} | {answers:?} | {} | {:.3} | {:.3} | {:.3} | {:+.3} ({:+.3} to {:+.3}) |",
                    found.values,
                    found.commonest.share,
                    found.imputation.share,
                    found.with_model.share,
                    found.gain,
                    found.gain_low,
                    found.gain_high
                );
            }
        }
    }
}

fn harden(train: Samples<'_>, test: Samples<'_>) {
    let registered = attack::evasion::find("pgd").unwrap();
    let attack = (registered.build)(&serde_json::Value::Null).unwrap();
    let ball = |epsilon| Ball { norm: Norm::Linf, epsilon };
    let trial = |epsilon| Trial { registered, attack: &attack, ball: ball(epsilon), queries_max: None };
    let trials = [trial(4.0 / 255.0), trial(8.0 / 255.0)];
    let course = Course { train, test, trials: &trials, seed: 1, pace: &Quiet };
    let settings = AdversarialTraining { steps: 5, ..AdversarialTraining::default() };
    let hardened = adversarial_training(&mut cnn(), &course, settings).unwrap();
    for (name, p) in [("plain", &hardened.report.before), ("adversarial training", &hardened.report.after)] {
        let robust: Vec<String> = p.robust.iter().map(|r| format!("{:.3}", r.accuracy.share)).collect();
        let auc = p.standing.auc.unwrap_or(f64::NAN);
        println!("| {name} | {:.3} | {auc:.3} | {} |", p.standing.accuracy.share, robust.join(" | "));
    }
    let settings = Smoothing { sigma: 0.25, ..Smoothing::default() };
    let radii = [0.0, 0.1, 0.25, 0.5];
    let (_, report) = smoothing(&mut cnn(), &course, settings, &radii).unwrap();
    let curve: Vec<String> = report.after.curve.iter().map(|c| format!("{:.3}", c.accuracy.share)).collect();
    let after = &report.after;
    println!(
        "| smoothed, sigma 0.25 | {:.3} | abstains {:.3} | {} | mean radius {:.3} |",
        after.accuracy.share,
        after.abstained.share,
        curve.join(" | "),
        after.radius_mean
    );
}

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: usize| given.get(at).and_then(|n| n.parse().ok()).unwrap_or(or);
    let (part, rows, seeds) =
        (given.first().map(String::as_str).unwrap_or("dose"), number(1, usize::MAX), number(2, 1));
    let null = serde_json::Value::Null;
    let [train, val, test] = images();
    let sets = (train.part(0, rows), test.samples());
    let before = cpu();
    match part {
        "dose" => {
            for name in ["patch-trigger", "blend-trigger"] {
                dose(&mut cnn(), name, &null, sets, &[0.001, 0.005, 0.01, 0.05], seeds, 0);
            }
        }
        "flips" => {
            let rates = [0.05, 0.2];
            dose(&mut cnn(), "random-label-flip", &null, sets, &rates, seeds, 0);
            let hide = serde_json::json!({ "source": 1, "target": 0 });
            dose(&mut cnn(), "targeted-label-flip", &hide, sets, &rates, seeds, 0);
        }
        "collision" => dose(&mut cnn(), "feature-collision", &null, sets, &[0.01, 0.05], seeds, 0),
        "steal" => steal(&train.part(0, rows), &val, &test),
        "members" => {
            membership("images, CNN", &mut cnn(), &train, rows.min(2000), 16);
            let [eicu, ..] = table("eicu_demo_apache");
            membership("eICU, MLP", &mut perceptron(), &eicu, 1100, 64);
        }
        "attributes" => {
            attributes("heart_cleveland", &[1, 2]);
            attributes("eicu_demo_apache", &[0]);
        }
        "tables" => {
            for name in ["wdbc", "eicu_demo_apache"] {
                let [train, _, test] = table(name);
                let sets = (train.samples(), test.samples());
                let rates = [0.01, 0.03, 0.1];
                dose(&mut perceptron(), "feature-trigger", &null, sets, &rates, seeds, 4);
                dose(&mut perceptron(), "blend-trigger", &null, sets, &rates, seeds, 4);
                dose(&mut perceptron(), "random-label-flip", &null, sets, &[0.1, 0.3], seeds, 3);
            }
        }
        "harden" => harden(sets.0, test.part(0, 200)),
        other => println!("`{other}` is no part"),
    }
    println!("{part}: {:.1} s of computing", cpu() - before);
}
