//! Query-based evasion against the guarded system.

use numeric::Rng;
use testkit::evasion::{Attempt, blinded, boundary_walk, decide, hop_skip_jump, square};

use crate::session::Bench;
use crate::{Outcome, SEED, median, rightly_answered};

/// Patients attacked per row of the table.
const TARGETS: usize = 20;

/// Queries an attack may spend.
const QUERIES: usize = 600;

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

#[derive(Clone, Copy, PartialEq)]
enum Attack {
    Square,
    HopSkipJump,
    HopSkipJumpFromPatient,
    Boundary,
}

/// One row of the table.
struct Variant {
    name: &'static str,
    attack: Attack,
    sigma: f32,
    keys: usize,
}

const fn variant(name: &'static str, attack: Attack, sigma: f32, keys: usize) -> Variant {
    Variant { name, attack, sigma, keys }
}

const VARIANTS: [Variant; 12] = [
    variant("Square, 8/255", Attack::Square, 0.0, 1),
    variant("Square, blinded 0.02", Attack::Square, 0.02, 1),
    variant("Square, blinded 0.05", Attack::Square, 0.05, 1),
    variant("Square, blinded 0.10", Attack::Square, 0.10, 1),
    variant("Square, 5 keys", Attack::Square, 0.0, 5),
    variant("HopSkipJump from noise", Attack::HopSkipJump, 0.0, 1),
    variant("HopSkipJump from a patient", Attack::HopSkipJumpFromPatient, 0.0, 1),
    variant("HopSkipJump, blinded 0.05", Attack::HopSkipJumpFromPatient, 0.05, 1),
    variant("HopSkipJump, blinded 0.10", Attack::HopSkipJumpFromPatient, 0.10, 1),
    variant("HopSkipJump, 5 keys", Attack::HopSkipJumpFromPatient, 0.0, 5),
    variant("boundary walk", Attack::Boundary, 0.0, 1),
    variant("boundary walk, blinded 0.05, 5 keys", Attack::Boundary, 0.05, 5),
];

/// What came of one attack on one patient.
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
         | median first query | queries flagged | attack's success, guards only flagging |"
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
    let mut rng = Rng::new(SEED ^ seed, 92);
    let mut run = Run { by_similarity: None, by_any: None, flagged: 0, asked: 0, success: false };
    let mut failure = None;
    let mut ask = |point: &[f32]| -> Option<Vec<f32>> {
        if run.asked >= QUERIES || failure.is_some() {
            return None;
        }
        run.asked += 1;
        let sent = if v.sigma > 0.0 { blinded(point, v.sigma, &mut rng) } else { point.to_vec() };
        let key = format!("key-{}", run.asked % v.keys);
        match session.ask(&key, &bench.to_row(&sent, &scale)) {
            Ok(met) => {
                if met.flagged("query-similarity") {
                    run.by_similarity.get_or_insert(run.asked);
                    run.flagged += 1;
                }
                if met.flagged_by_any(&CATCHING) {
                    run.by_any.get_or_insert(run.asked);
                }
                // Guards that block take the answer away; the search goes on as if the class had not changed.
                Some(met.scores.unwrap_or_else(|| vec![0.5; 2]))
            }
            Err(error) => {
                failure = Some(error);
                None
            }
        }
    };
    let eps = if bench.is_image() { 8.0 / 255.0 } else { 0.1 };
    let other =
        right.iter().find(|(_, c)| *c != class).map(|(r, _)| bench.to_unit(bench.held_out.inputs.row(*r)));
    let other = other.ok_or("no patient of another class")?;
    let width = if bench.is_image() { 28 } else { start.len() };
    let found: Attempt = match v.attack {
        Attack::Square => square(&mut ask, &start, class, width, eps, QUERIES, seed),
        Attack::HopSkipJump => hop_skip_jump(&mut ask, &start, class, None, 10, seed),
        Attack::HopSkipJumpFromPatient => hop_skip_jump(&mut ask, &start, class, Some(&other), 10, seed),
        Attack::Boundary => boundary_walk(&mut ask, &start, class, &other, QUERIES, seed),
    };
    if let Some(error) = failure {
        return Err(error);
    }
    run.success = succeeded(bench, &found, class, v.attack, &start)?;
    Ok(run)
}

/// The point really has another class and is as near as the attack's purpose asks: within its own bound for Square, within
/// an L2 of 3 in the unit box (images; 0.1 per pixel on average) or 0.1 per feature (tables) for the others.
fn succeeded(bench: &Bench, found: &Attempt, class: usize, attack: Attack, start: &[f32]) -> Outcome<bool> {
    let Some(point) = &found.adversarial else { return Ok(false) };
    let row = bench.to_row(point, &bench.scale());
    let (scores, _) =
        bench.victim.borrow_mut().answer_all(&bench.schema, &numeric::Matrix::new(1, row.len(), row)?)?;
    #[expect(clippy::cast_precision_loss, reason = "widths of small inputs")]
    let near = attack == Attack::Square || found.distance <= 0.1 * (start.len() as f32).sqrt();
    Ok(near && decide(scores.row(0)) != class)
}
