//! Measures the guards: false-positive rates on held-out patients, and what each attack meets.
//!
//! `cargo run --release -p detect --example measure_guards -- SHARED [--development] [--only=PART,…] [SYSTEM…]` prints the tables of
//! docs/guards.md. Without `--development`: fitted on train, thresholds from val, measured on test. With it: fitted on two
//! thirds of train, thresholds from the last third, measured on val; choices were made with that only.

#![expect(clippy::print_stdout, reason = "a measurement program prints its results")]

mod evasion;
mod extraction;
mod session;
mod shifts;
mod single_shot;
mod speed;

use std::error::Error;
use std::path::{Path, PathBuf};

use detect::{Evaluation, GuardSettings, Reference, evaluate};
use numeric::{Matrix, Rng};
use session::{Bench, Victim};
use testkit::data::{Part, Splits, medmnist, table};
use testkit::systems;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Seed of everything that is drawn.
pub const SEED: u64 = 20_261_123;

fn main() -> Outcome<()> {
    let mut shared = None;
    let mut development = false;
    let mut wanted = Vec::new();
    let mut only = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--development" => development = true,
            part if part.starts_with("--only=") => only.extend(part[7..].split(',').map(str::to_owned)),
            _ if shared.is_none() => shared = Some(PathBuf::from(argument)),
            _ => wanted.push(argument),
        }
    }
    let shared = shared.ok_or("give the directory of the shared test data")?;
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    for name in ["breast-mass", "heart-disease", "chest-xray"] {
        if is_wanted(name) {
            measure(&load(name, &shared, development)?, &only)?;
        }
    }
    if is_wanted("speed") {
        speed::measure(&load("chest-xray", &shared, development)?)?;
        speed::table_path(&load("breast-mass", &shared, development)?)?;
    }
    Ok(())
}

fn load(name: &'static str, shared: &Path, development: bool) -> Outcome<Bench> {
    let (schema, data, model) = match name {
        "breast-mass" => (systems::breast_mass(), "tabular/wdbc.csv", "wdbc_mlp.onnx"),
        "heart-disease" => {
            (systems::heart_disease(), "tabular/heart_cleveland.csv", "heart_cleveland_gbt.onnx")
        }
        _ => (systems::chest_xray(), "imaging/pneumoniamnist.npz", "pneumonia_cnn.onnx"),
    };
    let path = shared.join("data").join(data);
    let splits = if data.ends_with(".csv") {
        table(&std::fs::read_to_string(path)?)?
    } else {
        medmnist(&std::fs::read(path)?)?
    };
    let mut victim = Victim::load(&std::fs::read(shared.join("data/models").join(model))?)?;
    let (fit, calibration, held_out) = parts(&splits, development);
    let reference = |part: &Part, victim: &mut Victim| -> Outcome<Reference> {
        let (scores, features) = victim.answer_all(&schema, &part.inputs)?;
        Ok(Reference {
            inputs: part.inputs.clone(),
            labels: Some(part.labels.clone()),
            scores: Some(scores),
            features,
        })
    };
    let fit = reference(&fit, &mut victim)?;
    let calibration = reference(&calibration, &mut victim)?;
    let held_out = reference(&held_out, &mut victim)?;
    let settings = GuardSettings::default();
    let fitted = detect::fit(&settings, &schema, &fit, &calibration, SEED)?;
    Ok(Bench { name, schema, settings, fitted, fit, calibration, held_out, victim: victim.into() })
}

fn parts(splits: &Splits, development: bool) -> (Part, Part, Part) {
    if !development {
        return (splits.train.clone(), splits.val.clone(), splits.test.clone());
    }
    let order = Rng::new(SEED, 77).permutation(splits.train.inputs.rows);
    let (first, last) = order.split_at(order.len() * 2 / 3);
    let pick = |rows: &[usize]| Part {
        inputs: splits.train.inputs.select(rows),
        labels: rows.iter().map(|r| splits.train.labels[*r]).collect(),
    };
    (pick(first), pick(last), splits.val.clone())
}

fn measure(bench: &Bench, only: &[String]) -> Outcome<()> {
    let is_wanted = |part: &str| only.is_empty() || only.iter().any(|o| o == part);
    println!("\n### {}\n", bench.name);
    let stored = bench.fitted_bytes()?;
    println!(
        "{} fit, {} calibration, {} held-out patients; fit stored in {} kB; stated false-positive rate of \
         out-of-distribution {:.3}.\n",
        bench.fit.inputs.rows,
        bench.calibration.inputs.rows,
        bench.held_out.inputs.rows,
        stored / 1_000,
        bench.fitted.stated_false_positive_rate()
    );
    if is_wanted("rates") {
        let set = bench.guards()?;
        let (client, system) = (bench.client("honest")?, bench.system()?);
        print_rates(&evaluate(&set, &bench.held_out, &client, &system));
    }
    if is_wanted("clean") && bench.is_image() {
        clean_stream(bench)?;
    }
    if is_wanted("shifts") {
        shifts::measure(bench)?;
    }
    if is_wanted("single-shot") {
        single_shot::measure(bench)?;
    }
    if is_wanted("evasion") {
        evasion::measure(bench)?;
    }
    if is_wanted("extraction") {
        extraction::measure(bench)?;
    }
    Ok(())
}

fn print_rates(found: &Evaluation) {
    println!("| guard on held-out clean patients | flagged | of | rate | 95 % interval | undecided |");
    println!("|---|---|---|---|---|---|");
    for (name, g) in &found.guards {
        let (low, high) = g.interval;
        println!(
            "| {name} | {} | {} | {:.4} | {low:.4} to {high:.4} | {} |",
            g.flagged, g.rows, g.rate, g.inconclusive
        );
    }
    for (class, (share, rows)) in found.coverage.iter().enumerate() {
        println!(
            "\nCoverage of class {class} (0.90 promised for exchangeable patients): {share:.3} of {rows}."
        );
    }
    println!();
}

/// All distinct images of the data set as one stream of one honest client, in random order.
fn clean_stream(bench: &Bench) -> Outcome<()> {
    let mut rows: Vec<&[f32]> = [&bench.fit, &bench.calibration, &bench.held_out]
        .into_iter()
        .flat_map(|r| r.inputs.iter_rows())
        .collect();
    rows.sort_by(|a, b| {
        a.iter().zip(*b).map(|(x, y)| x.total_cmp(y)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    rows.dedup();
    let order = Rng::new(SEED, 78).permutation(rows.len());
    for (name, shuffled) in [("random order", true), ("sorted so that like follows like", false)] {
        let mut session = bench.session()?;
        let (mut near, mut line) = (0, 0);
        for k in 0..rows.len() {
            let met = session.ask_known("honest", rows[if shuffled { order[k] } else { k }], None)?;
            near += usize::from(met.says("query-similarity", "too near"));
            line += usize::from(met.says("query-similarity", "straight line"));
        }
        println!(
            "query-similarity on all {} distinct images, {name}: {} alarms ({near} near, {line} on a line).\n",
            rows.len(),
            near + line
        );
    }
    Ok(())
}

/// The rows of `data` that the model gets right, with their classes.
pub fn rightly_answered(data: &Reference) -> Vec<(usize, usize)> {
    let (Some(labels), Some(scores)) = (&data.labels, &data.scores) else { return Vec::new() };
    let decided = scores.iter_rows().map(|row| attack::access::argmax(row).unwrap_or(0));
    labels
        .iter()
        .zip(decided)
        .enumerate()
        .filter(|(_, (label, decided))| **label as usize == *decided)
        .map(|(r, (_, decided))| (r, decided))
        .collect()
}

/// Median of whole numbers; none for no numbers.
pub fn median(numbers: &mut [usize]) -> Option<usize> {
    numbers.sort_unstable();
    numbers.get(numbers.len().checked_sub(1)? / 2).copied()
}

/// Lowest and highest value of each column.
pub fn bounds(data: &Matrix) -> Vec<(f32, f32)> {
    (0..data.cols)
        .map(|j| {
            let column = data.iter_rows().map(|r| r[j]);
            (column.clone().fold(f32::INFINITY, f32::min), column.fold(f32::NEG_INFINITY, f32::max))
        })
        .collect()
}
