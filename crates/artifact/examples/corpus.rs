//! Scans a labelled corpus and says how good the scanner is: per technique and in all, and every file it gets wrong.
//!
//! `cargo run --release -p artifact --example corpus -- CORPUS [--list] [--only TEXT]`, where CORPUS is a folder with
//! `manifest.csv` (columns path, label, format, technique). Links are never followed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measuring program"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use artifact::{Limits, Member, Part, Verdict, scan, scan_members};

#[derive(Default)]
struct Row {
    files: u32,
    clean: u32,
    inconclusive: u32,
    found: u32,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = PathBuf::from(arguments.first().expect("the folder of the corpus"));
    let list = arguments.iter().any(|a| a == "--list");
    let only = arguments.iter().position(|a| a == "--only").and_then(|i| arguments.get(i + 1));
    let mut table: BTreeMap<(String, String), Row> = BTreeMap::new();
    let mut slowest = (0.0, String::new());
    for record in csv::Reader::from_path(root.join("manifest.csv")).unwrap().records() {
        let record = record.unwrap();
        let (path, label, technique) = (&record[0], &record[1], &record[3]);
        if only.is_some_and(|o| !path.contains(o.as_str()) && !technique.contains(o.as_str())) {
            continue;
        }
        let begin = Instant::now();
        let part = scan_path(&root.join(path));
        let took = begin.elapsed().as_secs_f64();
        if took > slowest.0 {
            slowest = (took, path.to_owned());
        }
        let row = table.entry((label.to_owned(), technique.to_owned())).or_default();
        row.files += 1;
        let verdict = part.verdict();
        match verdict {
            Verdict::Clean => row.clean += 1,
            Verdict::Inconclusive => row.inconclusive += 1,
            Verdict::Found => row.found += 1,
        }
        let right = if label == "malicious" { Verdict::Found } else { Verdict::Clean };
        if verdict != right || only.is_some() {
            println!("{label} {technique} {path}: {} ({})", verdict.as_str(), part.format);
            if list || only.is_some() {
                explain(&part);
            }
        }
    }
    println!(
        "\n{:<10} {:<26} {:>5} {:>6} {:>6} {:>6}",
        "label", "technique", "files", "found", "inconc", "clean"
    );
    let mut sums: BTreeMap<String, Row> = BTreeMap::new();
    for ((label, technique), row) in &table {
        println!(
            "{label:<10} {technique:<26} {:>5} {:>6} {:>6} {:>6}",
            row.files, row.found, row.inconclusive, row.clean
        );
        let sum = sums.entry(label.clone()).or_default();
        sum.files += row.files;
        sum.found += row.found;
        sum.inconclusive += row.inconclusive;
        sum.clean += row.clean;
    }
    for (label, sum) in sums {
        let percent = |n: u32| f64::from(n) * 100.0 / f64::from(sum.files);
        println!(
            "{label}: {} files, found {:.2} %, inconclusive {:.2} %, clean {:.2} %",
            sum.files,
            percent(sum.found),
            percent(sum.inconclusive),
            percent(sum.clean)
        );
    }
    println!("slowest: {:.3} s {}", slowest.0, slowest.1);
}

fn explain(part: &Part) {
    for finding in part.all_findings() {
        println!("    {finding}");
    }
    for part in part.walk() {
        for unread in &part.unread {
            println!("    unread in `{}` at {:?}: {}", part.name, unread.byte, unread.reason);
        }
    }
}

fn scan_path(path: &Path) -> Part {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let limits = Limits::default();
    if !path.is_dir() {
        return scan(
            &name,
            &std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
            &limits,
        );
    }
    let mut files = Vec::new();
    collect(path, path, &mut files);
    let members: Vec<Member<'_>> = files.iter().map(|(n, b)| Member { name: n, source: b }).collect();
    scan_members(&name, &members, &limits)
}

fn collect(root: &Path, folder: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_symlink() {
            continue;
        }
        if entry.is_dir() {
            collect(root, &entry, into);
        } else {
            let name = entry.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            into.push((name, std::fs::read(&entry).unwrap()));
        }
    }
}
