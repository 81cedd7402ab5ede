//! Trains the statistic of stances (`crates/knowledge/data/stance.bin`) on sentences that the grammar makes, and on sentences of the
//! open clean corpora, which hold no false statements worth the name.
//!
//! `cargo run --release -p knowledge --example train_stance` writes the weights; with `-- cross` it prints what a model makes of
//! families of phrasings that it was not trained on (five parts) and of corpus documents that it was not trained on; with `-- half` it
//! writes weights that have seen every other document only. The same program and data give the same bytes. The corpora are in `$ASEPSIS_SHARED` (default `../shared`).
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

mod corpus;
mod grammar;
mod learn;
mod make;
mod templates;

use knowledge::training::{ANSWERS, QUESTIONS, SLOTS};
use learn::{Row, Table};

const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/stance.bin");

/// Rows of a question: made sentences with their family, and rows of the corpora with their document.
struct Rows {
    made: Vec<(usize, Row)>,
    found: Vec<(usize, Row)>,
}

fn cross(name: &str, rows: &Rows) {
    println!(
        "\n## {name}: families left out, five parts\n| threshold | for: found | read as against | against: found | read as for | nothing: read as either |\n|---|---|---|---|---|---|"
    );
    let mut odds: Vec<(u8, (u16, u16))> = Vec::new();
    for part in 0..5 {
        let train = rows
            .made
            .iter()
            .filter(|(f, _)| f % 5 != part)
            .chain(rows.found.iter().filter(|(d, _)| d % 2 == 0));
        let table = Table::train(&train.map(|(_, r)| r).collect::<Vec<_>>());
        odds.extend(
            rows.made.iter().filter(|(f, _)| f % 5 == part).map(|(_, r)| (r.answer, table.odds(&r.slots))),
        );
    }
    for threshold in [500, 700, 800, 900, 950] {
        let count = |answer: u8, read: u8| {
            let all = odds.iter().filter(|o| o.0 == answer);
            let hit = all.clone().filter(|(_, (f, a))| match read {
                1 => *f >= threshold,
                2 => *a >= threshold,
                _ => *f >= threshold || *a >= threshold,
            });
            100.0 * hit.count() as f64 / all.count().max(1) as f64
        };
        println!(
            "| {threshold} | {:.1} % | {:.1} % | {:.1} % | {:.1} % | {:.1} % |",
            count(1, 1),
            count(1, 2),
            count(2, 2),
            count(2, 1),
            count(0, 3)
        );
    }
    let train = rows.made.iter().chain(rows.found.iter().filter(|(d, _)| d % 2 == 0));
    let table = Table::train(&train.map(|(_, r)| r).collect::<Vec<_>>());
    for threshold in [700, 800, 900, 950, 980] {
        let other: Vec<_> = rows.found.iter().filter(|(d, _)| d % 2 == 1).collect();
        let alarms = other.iter().filter(|(_, r)| {
            let (f, a) = table.odds(&r.slots);
            r.for_is_false && f >= threshold || r.against_is_false && a >= threshold
        });
        let could = other.iter().filter(|(_, r)| r.for_is_false || r.against_is_false).count();
        println!(
            "other documents: threshold {threshold}: {} of {could} pairs would be called contradicted",
            alarms.count()
        );
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rows = [
        Rows { made: make::rows(templates::CONDITION, 1), found: Vec::new() },
        Rows { made: make::rows(templates::TOGETHER, 2), found: Vec::new() },
    ];
    corpus::rows(|together, document, row| {
        if let Some(rows) = rows.get_mut(usize::from(together)) {
            rows.found.push((document, row));
        }
    })?;
    for (rows, name) in rows.iter().zip(["drug and condition", "two drugs"]) {
        println!("{name}: {} made sentences, {} found pairs", rows.made.len(), rows.found.len());
    }
    if std::env::args().nth(1).is_some_and(|a| a == "cross") {
        for (rows, name) in rows.iter().zip(["drug and condition", "two drugs"]) {
            cross(name, rows);
        }
        return Ok(());
    }
    let half = std::env::args().nth(1).is_some_and(|a| a == "half" || a == "other");
    let parity = usize::from(std::env::args().nth(1).is_some_and(|a| a == "other"));
    let mut bytes = Vec::with_capacity(SLOTS * ANSWERS * QUESTIONS);
    for rows in &rows {
        let all: Vec<&Row> = rows
            .made
            .iter()
            .chain(rows.found.iter().filter(|(document, _)| !half || document % 2 == parity))
            .map(|(_, r)| r)
            .collect();
        bytes.extend(Table::train(&all).bytes());
    }
    std::fs::write(WEIGHTS, bytes)?;
    println!("written");
    Ok(())
}
