//! Copying the model, and honest clients who must not be taken for copiers.

use numeric::{Matrix, Rng, wilson_interval};
use testkit::extraction::{Choice, copy, fidelity};

use crate::session::Bench;
use crate::{Outcome, SEED, median};

/// Queries a copier may spend.
const QUERIES: usize = 480;

/// Repetitions per row of the table.
const REPEATS: u64 = 3;

/// Honest client-days.
const DAYS: usize = 1_000;

/// Different patients of an honest client on a day, at most.
const PATIENTS: usize = 80;

pub fn measure(bench: &Bench) -> Outcome<()> {
    println!(
        "| copying ({QUERIES} queries, {REPEATS} repetitions) | alarmed | median alarm at query | fidelity then (median) | fidelity \
         at the end (median) |"
    );
    println!("|---|---|---|---|---|");
    let unit = |data: &Matrix| -> Outcome<Matrix> {
        Ok(Matrix::from_rows(&data.iter_rows().map(|r| bench.to_unit(r)).collect::<Vec<_>>())?)
    };
    let patients = unit(&bench.held_out.inputs)?;
    let half = patients.rows / 2;
    let theirs = patients.select(&(0..half).collect::<Vec<_>>());
    let judged = patients.select(&(half..patients.rows).collect::<Vec<_>>());
    let seeds = theirs.select(&(0..30).collect::<Vec<_>>());
    let noise = foreign(&theirs);
    let step = 0.1;
    let ways = [
        ("uniform in the box", Choice::Uniform),
        ("patients with shuffled values", Choice::Rows(&noise)),
        ("Jacobian augmentation from 30 patients", Choice::Jacobian { seeds: &seeds, step }),
        ("blends at the copy's own edge", Choice::Edge(&theirs)),
        ("patients of the same kind", Choice::Rows(&theirs)),
    ];
    for (name, way) in ways {
        let (mut alarms, mut then, mut end) = (Vec::new(), Vec::new(), Vec::new());
        for seed in 0..REPEATS {
            let run = |budget: usize| attempt(bench, way, budget, seed, &judged);
            let (alarm, final_fidelity) = run(QUERIES)?;
            end.push(final_fidelity);
            if let Some(at) = alarm {
                alarms.push(at);
                then.push(run(at)?.1);
            }
        }
        let word = |m: Option<usize>| m.map_or_else(|| "-".to_owned(), |m| m.to_string());
        println!(
            "| {name} | {}/{REPEATS} | {} | {} | {} |",
            alarms.len(),
            word(median(&mut alarms)),
            middle(&mut then),
            middle(&mut end)
        );
    }
    println!();
    honest(bench)
}

fn middle(shares: &mut [f64]) -> String {
    shares.sort_unstable_by(f64::total_cmp);
    shares.get(shares.len() / 2).map_or_else(|| "-".to_owned(), |m| format!("{m:.3}"))
}

/// Each column shuffled: values that occur, in combinations that do not.
fn foreign(data: &Matrix) -> Matrix {
    let mut rng = Rng::new(SEED, 93);
    let mut out = data.clone();
    for value in out.data.iter_mut().enumerate() {
        let (i, slot) = value;
        *slot = data.row(rng.below(data.rows))[i % data.cols];
    }
    out
}

/// Query at which G006 spoke of copying (not of the budget), and the copy's fidelity on patients of its own.
fn attempt(
    bench: &Bench,
    way: Choice<'_>,
    budget: usize,
    seed: u64,
    judged: &Matrix,
) -> Outcome<(Option<usize>, f64)> {
    let scale = bench.scale();
    let mut session = bench.session()?;
    let (mut alarm, mut asked, mut failure) = (None, 0, None);
    let mut ask = |point: &[f32]| -> Option<Vec<f32>> {
        asked += 1;
        match session.ask("copier", &bench.to_row(point, &scale)) {
            Ok(met) => {
                if met.says("extraction", "being copied") || met.flagged("query-similarity") {
                    alarm.get_or_insert(asked);
                }
                Some(met.scores.unwrap_or_else(|| vec![0.5; 2]))
            }
            Err(error) => {
                failure = Some(error);
                None
            }
        }
    };
    let made = copy(&mut ask, way, judged.cols, 48, budget, SEED ^ seed);
    if let Some(error) = failure {
        return Err(error);
    }
    let rows: Vec<Vec<f32>> = judged.iter_rows().map(|r| bench.to_row(r, &scale)).collect();
    let (answers, _) = bench.victim.borrow_mut().answer_all(&bench.schema, &Matrix::from_rows(&rows)?)?;
    Ok((alarm, fidelity(&made.model, judged, &answers)))
}

/// Honest client-days: each a new client with a draw of the held-out patients, each patient once.
fn honest(bench: &Bench) -> Outcome<()> {
    let mut rng = Rng::new(SEED, 94);
    let inputs = &bench.held_out.inputs;
    let patients = PATIENTS.min(inputs.rows * 2 / 3);
    let (mut copying, mut similar) = (0, 0);
    let mut session = bench.session()?;
    for day in 0..DAYS {
        let client = format!("honest-{day}");
        let (mut a, mut b) = (false, false);
        for r in rng.permutation(inputs.rows).into_iter().take(patients) {
            let known = bench.held_out.scores.as_ref().map(|s| s.row(r));
            let met = session.ask_known(&client, inputs.row(r), known)?;
            a |= met.says("extraction", "being copied");
            b |= met.flagged("query-similarity");
        }
        copying += usize::from(a);
        similar += usize::from(b);
    }
    for (name, n) in [("extraction", copying), ("query-similarity", similar)] {
        let (low, high) = wilson_interval(n, DAYS);
        println!(
            "{name}: {n} alarms on {DAYS} honest client-days of {patients} held-out patients (95 % interval {low:.4} to {high:.4})."
        );
    }
    Ok(())
}
