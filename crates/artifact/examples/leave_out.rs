//! How gadgets of libraries that nobody has listed are judged: leaves out all knowledge of one package at a time (of
//! the standard library: one module at a time) and scans again every pickle of a labelled corpus that names it.
//!
//! `cargo run --release -p artifact --example leave_out -- CORPUS… [--list]`, where each CORPUS is a folder with a
//! `manifest.csv` (columns path, label, format, technique). Prints a Markdown table; docs/scan.md has the last one.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a measuring program")]

use std::collections::BTreeMap;
use std::path::Path;

use artifact::{Limits, Verdict, known_packages, scan};

struct Sample {
    path: String,
    malicious: bool,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Row {
    malicious: [u32; 3],
    benign: [u32; 3],
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let list = arguments.iter().any(|a| a == "--list");
    let samples: Vec<Sample> =
        arguments.iter().filter(|a| !a.starts_with("--")).flat_map(|root| read(Path::new(root))).collect();
    // What everything gives with all knowledge: a sample that is wrong anyway says nothing about leaving out.
    let full = Limits::default();
    let samples: Vec<Sample> = samples
        .into_iter()
        .filter(|s| {
            scan(&s.path, &s.bytes, &full).verdict()
                == if s.malicious { Verdict::Found } else { Verdict::Clean }
        })
        .collect();
    let mut table: BTreeMap<String, Row> = BTreeMap::new();
    for package in known_packages() {
        let limits = Limits { forget: vec![package.clone()], ..Limits::default() };
        for sample in samples.iter().filter(|s| names(&s.bytes, package.as_bytes())) {
            let row = table.entry(package.clone()).or_default();
            let verdict = scan(&sample.path, &sample.bytes, &limits).verdict();
            let counts = if sample.malicious { &mut row.malicious } else { &mut row.benign };
            counts[verdict as usize] += 1;
            let right = if sample.malicious { Verdict::Found } else { Verdict::Clean };
            if list && verdict != right {
                println!("without `{package}`: {} is {}", sample.path, verdict.as_str());
            }
        }
    }
    println!(
        "| left out | gadgets | still found | inconclusive | passed | benign | still clean | wrongly found |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let mut sum = Row::default();
    for (package, row) in &table {
        for i in 0..3 {
            sum.malicious[i] += row.malicious[i];
            sum.benign[i] += row.benign[i];
        }
        print(package, row);
    }
    print("**all**", &sum);
}

fn print(name: &str, row: &Row) {
    let ([clean, inconclusive, found], benign) = (row.malicious, row.benign);
    let malicious = clean + inconclusive + found;
    println!(
        "| {name} | {malicious} | {found} | {inconclusive} | {clean} | {} | {} | {} |",
        benign.iter().sum::<u32>(),
        benign[0],
        benign[2]
    );
}

/// The pickles of a corpus.
fn read(root: &Path) -> Vec<Sample> {
    let mut samples = Vec::new();
    for record in csv::Reader::from_path(root.join("manifest.csv")).unwrap().records() {
        let record = record.unwrap();
        let path = root.join(&record[0]);
        if matches!(&record[2], "pickle") && path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            samples.push(Sample { path: record[0].to_owned(), malicious: &record[1] == "malicious", bytes });
        }
    }
    samples
}

/// Whether the name stands in the bytes as a word of its own, followed by what ends a module's first part.
fn names(bytes: &[u8], name: &[u8]) -> bool {
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    (0..bytes.len().saturating_sub(name.len())).any(|i| {
        bytes[i..].starts_with(name)
            && bytes.get(i + name.len()).is_none_or(|b| !word(b))
            && i.checked_sub(1).is_none_or(|before| !word(&bytes[before]) && bytes[before] != b'.')
    })
}
