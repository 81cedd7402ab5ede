//! Query-based evasion against the guarded system, by the attacks of `asepsis exercise`.

use attack::evasion::{Target, Task, find, run};
use attack::{Ball, Fault, Layout, Norm, RowByRow, Space};
use domain::InputSchema;
use numeric::Rng;

use crate::session::Bench;
use crate::{Outcome, SEED, median, rightly_answered};

/// Patients attacked per row of the table.
const TARGETS: usize = 20;

/// Queries an attack may spend.
const QUERIES: u64 = 600;

/// Ordinary queries before the attack starts.
const WARM_UP: usize = 200;

/// Guards that may catch a search; uncertainty is left out, since it speaks of many patients anyway.
const CATCHING: [&str; 7] = [
    "clinical-range",
    "unit-mix-up",
    "out-of-distribution",
    "out-of-distribution-features",
    "query-similarity",
    "extraction",
    "pixel-noise",
];

/// One row of the table.
struct Variant {
    name: &'static str,
    attack: &'static str,
    /// Standard deviation of the noise on each query.
    blind: f64,
    /// Whether refusals make the attacker spread his queries.
    adapt: bool,
    /// API keys that take turns.
    keys: u64,
    /// Whether the attacker has patients of another class to start from.
    patients: bool,
    /// What the guards do when they find something.
    blocking: bool,
}

const fn variant(name: &'static str, attack: &'static str, blind: f64, keys: u64) -> Variant {
    Variant { name, attack, blind, adapt: false, keys, patients: false, blocking: false }
}

const fn with_patients(v: Variant) -> Variant {
    Variant { patients: true, ..v }
}

/// Blocked from the first finding on, and adapting to it.
const fn adaptive(v: Variant) -> Variant {
    Variant { adapt: true, blocking: true, patients: true, ..v }
}

const VARIANTS: [Variant; 17] = [
    variant("Square", "square", 0.0, 1),
    variant("Square, blinded 0.02", "square", 0.02, 1),
    variant("Square, blinded 0.05", "square", 0.05, 1),
    variant("Square, blinded 0.10", "square", 0.10, 1),
    variant("Square, 10 keys", "square", 0.0, 10),
    adaptive(variant("Square, blocked, adapting, 10 keys", "square", 0.0, 10)),
    variant("HopSkipJump from noise", "hopskipjump", 0.0, 1),
    with_patients(variant("HopSkipJump from a patient", "hopskipjump", 0.0, 1)),
    with_patients(variant("HopSkipJump, blinded 0.02", "hopskipjump", 0.02, 1)),
    with_patients(variant("HopSkipJump, blinded 0.05", "hopskipjump", 0.05, 1)),
    with_patients(variant("HopSkipJump, blinded 0.10", "hopskipjump", 0.10, 1)),
    with_patients(variant("HopSkipJump, 10 keys", "hopskipjump", 0.0, 10)),
    adaptive(variant("HopSkipJump, blocked, adapting, 10 keys", "hopskipjump", 0.0, 10)),
    with_patients(variant("boundary walk", "boundary", 0.0, 1)),
    with_patients(variant("boundary walk, blinded 0.05, 10 keys", "boundary", 0.05, 10)),
    with_patients(variant("boundary walk, 10 keys", "boundary", 0.0, 10)),
    adaptive(variant("boundary walk, blocked, adapting, 10 keys", "boundary", 0.0, 10)),
];

/// What came of one attack on one patient.
#[derive(Default)]
struct Run {
    by_similarity: Option<usize>,
    by_any: Option<usize>,
    flagged: usize,
    asked: usize,
    success: bool,
}

pub fn measure(bench: &Bench) -> Outcome<()> {
    println!(
        "| attack ({TARGETS} patients, {QUERIES} queries each) | caught by query-similarity | median first query | caught by any \
         | median first query | queries flagged | attack succeeds |"
    );
    println!("|---|---|---|---|---|---|---|");
    let right = rightly_answered(&bench.held_out);
    let order = Rng::new(SEED, 91).permutation(right.len());
    for v in &VARIANTS {
        let mut runs = Vec::new();
        for (seed, k) in order.iter().take(TARGETS).enumerate() {
            let (row, class) = right[*k];
            runs.push(attack(bench, v, row, class, &right, seed as u64)?);
        }
        let mut first: Vec<usize> = runs.iter().filter_map(|r| r.by_similarity).collect();
        let mut any: Vec<usize> = runs.iter().filter_map(|r| r.by_any).collect();
        let word = |m: Option<usize>| m.map_or_else(|| "-".to_owned(), |m| m.to_string());
        let (flagged, asked) = runs.iter().fold((0, 0), |(f, a), r| (f + r.flagged, a + r.asked));
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let share = flagged as f64 / asked.max(1) as f64;
        println!(
            "| {} | {}/{} | {} | {}/{} | {} | {share:.2} | {}/{} |",
            v.name,
            first.len(),
            runs.len(),
            word(median(&mut first)),
            any.len(),
            runs.len(),
            word(median(&mut any)),
            runs.iter().filter(|r| r.success).count(),
            runs.len()
        );
    }
    println!();
    Ok(())
}

/// The rows of another class that the attacker has: patients of the held-out part.
fn others(bench: &Bench, class: usize, right: &[(usize, usize)]) -> Vec<f32> {
    let other = right.iter().filter(|(_, c)| *c != class).take(3);
    other.flat_map(|(row, _)| bench.to_unit(bench.held_out.inputs.row(*row))).collect()
}

fn attack(
    bench: &Bench,
    v: &Variant,
    row: usize,
    class: usize,
    right: &[(usize, usize)],
    seed: u64,
) -> Outcome<Run> {
    let scale = bench.scale();
    let start = bench.to_unit(bench.held_out.inputs.row(row));
    let mut session = bench.session()?;
    session.warm_up(WARM_UP)?;
    let mut met_by = Run::default();
    let classes = bench.held_out.scores.as_ref().map_or(2, |s| s.cols);
    let ask = |_: usize, point: &[f32]| -> Result<Option<Vec<f32>>, Fault> {
        met_by.asked += 1;
        let key = format!("key-{}", met_by.asked as u64 % v.keys);
        let met = session
            .ask(&key, &bench.to_row(point, &scale))
            .map_err(|error| Fault::Model(error.to_string()))?;
        if met.flagged("query-similarity") {
            met_by.by_similarity.get_or_insert(met_by.asked);
            met_by.flagged += 1;
        }
        let seen = met.flagged_by_any(&CATCHING);
        if seen {
            met_by.by_any.get_or_insert(met_by.asked);
        }
        Ok(met.scores.filter(|_| !(v.blocking && seen)))
    };
    let mut client = RowByRow::new(Space { layout: layout(bench), classes }, ask);
    let registered = find(v.attack).ok_or("no such attack")?;
    let parameters = serde_json::json!({ "queries": QUERIES, "blind": v.blind, "adapt": v.adapt });
    let others = if v.patients { others(bench, class, right) } else { Vec::new() };
    let task = Task {
        starts: &start,
        labels: &[class],
        samples: &[row],
        others: &others,
        ball: budget(bench, v.attack, start.len()),
        seed: SEED ^ seed,
        queries_max: Some(QUERIES),
        pace: &attack::pace::Quiet,
    };
    let found = run(registered, &(registered.build)(&parameters)?, Target::Scores(&mut client), &task)?;
    met_by.success = succeeded(bench, &found.rows, class, &task)?;
    Ok(met_by)
}

fn layout(bench: &Bench) -> Layout {
    match &bench.schema {
        InputSchema::Image { channels, height, width, .. } => {
            Layout::Image { channels: *channels, height: *height, width: *width }
        }
        InputSchema::Table { features, .. } => Layout::Table { features: features.len() },
    }
}

/// What near means: each attack's own bound for Square, 8/255 on images and 0.1 on tables; for the others an L2 of 0.1 per value.
fn budget(bench: &Bench, attack: &str, width: usize) -> Ball {
    if attack == "square" {
        return Ball { norm: Norm::Linf, epsilon: if bench.is_image() { 8.0 / 255.0 } else { 0.1 } };
    }
    #[expect(clippy::cast_precision_loss, reason = "widths of small inputs")]
    let epsilon = 0.1 * (width as f64).sqrt();
    Ball { norm: Norm::L2, epsilon }
}

/// The row really has another class (asked without guards) and is near enough.
fn succeeded(bench: &Bench, row: &[f32], class: usize, task: &Task<'_>) -> Outcome<bool> {
    let near = row != task.starts && task.ball.contains(task.starts, row);
    let row = bench.to_row(row, &bench.scale());
    let (scores, _) =
        bench.victim.borrow_mut().answer_all(&bench.schema, &numeric::Matrix::new(1, row.len(), row)?)?;
    Ok(near && attack::access::argmax(scores.row(0)).is_some_and(|seen| seen != class))
}
