//! Scans a labelled corpus and says how good the scanner is: per technique and in all, and every file it gets wrong.
//!
//! `cargo run --release -p artifact --example corpus -- CORPUS [--list] [--only TEXT]`, where CORPUS is a folder with
//! `manifest.csv` (columns path, label, format, technique). Links are never followed.
//!
//! A malicious file counts as found *with a right technique* when one of its findings of severity medium and above is of a
//! rule that [`RIGHT`] names for the technique that the manifest states.
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
use domain::Severity;

#[derive(Default)]
struct Row {
    files: u32,
    clean: u32,
    inconclusive: u32,
    found: u32,
    right: u32,
}

/// Rules that a pickle can be right about, whatever carries it: what it does when it is loaded, or how it hides that.
const PICKLE: &[&str] =
    &["S001", "S002", "S003", "S004", "S005", "S006", "S007", "S008", "S009", "S010", "S011", "S012", "S013"];
/// Rules about containers whose readers disagree, or that hide or hold something they should not.
const CONTAINER: &[&str] = &["S030", "S031", "S032", "S033", "S034", "S037", "S041", "S044", "S046"];

/// Which rules say the right thing, by the beginning of the manifest's technique; the first that fits counts. Narrow where the
/// technique is narrow: a pickle that opens a connection is not rightly called one that hides.
const RIGHT: &[(&str, &[&[&str]])] = &[
    ("pkl-gadget-exec", &[&["S001", "S005", "S006", "S007", "S008", "S009", "S010", "S011"]]),
    ("pkl-gadget-net", &[&["S004", "S001", "S006", "S008"]]),
    ("pkl-gadget-file", &[&["S002", "S003", "S001", "S007", "S008", "S011"]]),
    ("pkl-dos", &[&["S013", "S011"]]),
    ("pkl-computed-name", &[&["S010", "S009", "S001", "S005"]]),
    ("pkl-", &[PICKLE, CONTAINER]),
    ("joblib", &[PICKLE]),
    ("numpy", &[PICKLE, &["S042", "S033"]]),
    ("torch-container-bypass", &[PICKLE, CONTAINER]),
    ("torchscript", &[PICKLE, &["S045", "S044"]]),
    ("torch", &[PICKLE]),
    ("archive-bomb", &[&["S034", "S013"]]),
    ("archive-symlink", &[&["S031", "S030"]]),
    ("archive-nested", &[PICKLE, CONTAINER, &["S100"]]),
    ("zip-slip", &[&["S030", "S031"]]),
    ("gguf-ssti", &[&["S100", "S101"]]),
    ("gguf-template-backdoor", &[&["S102", "S103"]]),
    ("gguf-embedded", &[PICKLE, &["S061", "S063", "S037", "S039", "S033"]]),
    ("gguf-struct", &[&["S064", "S033"]]),
    ("jinja-ssti", &[&["S100", "S101"]]),
    ("h5-external", &[&["S076", "S079"]]),
    ("h5-lambda", &[&["S073", "S074"]]),
    ("keras-external-file", &[&["S075", "S076"]]),
    ("keras-gadget", &[&["S074", "S075", "S077", "S073"]]),
    ("keras-hidden", &[&["S078"], CONTAINER, PICKLE]),
    ("keras-lambda", &[&["S073", "S074"]]),
    ("keras-torchwrapper", &[&["S077"], PICKLE]),
    ("onnx-customop", &[&["S066"]]),
    ("onnx-embedded", &[PICKLE, &["S061", "S062", "S063", "S037", "S039"]]),
    ("onnx-external", &[&["S065"]]),
    ("safetensors-meta", &[PICKLE, &["S061", "S062", "S063", "S047"]]),
    ("safetensors-struct", &[&["S060", "S033", "S041"], PICKLE]),
    ("tf-fileop", &[&["S068", "S071"]]),
    ("tf-path", &[&["S068", "S070", "S071", "S073", "S074"]]),
    ("tf-pyfunc", &[&["S069"]]),
    ("config-code", &[&["S104", "S107", "S108", "S111", "S116"], PICKLE]),
    ("hf-repo", &[&["S100", "S109", "S111", "S110"], PICKLE]),
    ("xml", &[&["S080", "S081"]]),
    // Each sample is of another format: what the rules of that format say.
    ("other", &[PICKLE, &["S086", "S087", "S085"]]),
];

/// Whether one of the findings says what the manifest says.
fn says_so(part: &Part, technique: &str) -> bool {
    let Some((_, rules)) = RIGHT.iter().find(|(start, _)| technique.starts_with(start)) else { return false };
    part.all_findings()
        .any(|f| f.severity >= Severity::Medium && rules.iter().any(|some| some.contains(&f.check.as_str())))
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
        if verdict == Verdict::Found && label == "malicious" {
            if says_so(&part, technique) {
                row.right += 1;
            } else {
                println!("{technique} {path}: found, but not as that");
                explain(&part);
            }
        }
        if verdict != right || only.is_some() {
            println!("{label} {technique} {path}: {} ({})", verdict.as_str(), part.format);
            if list || only.is_some() {
                explain(&part);
            }
        }
    }
    print_table(&table);
    println!("slowest: {:.3} s {}", slowest.0, slowest.1);
}

/// The figures, a line for each technique and for each label.
fn print_table(table: &BTreeMap<(String, String), Row>) {
    println!(
        "\n{:<10} {:<26} {:>5} {:>6} {:>6} {:>6} {:>6}",
        "label", "technique", "files", "found", "right", "inconc", "clean"
    );
    let mut sums: BTreeMap<String, Row> = BTreeMap::new();
    for ((label, technique), row) in table {
        println!(
            "{label:<10} {technique:<26} {:>5} {:>6} {:>6} {:>6} {:>6}",
            row.files, row.found, row.right, row.inconclusive, row.clean
        );
        let sum = sums.entry(label.clone()).or_default();
        sum.files += row.files;
        sum.found += row.found;
        sum.right += row.right;
        sum.inconclusive += row.inconclusive;
        sum.clean += row.clean;
    }
    for (label, sum) in sums {
        let percent = |n: u32| f64::from(n) * 100.0 / f64::from(sum.files);
        println!(
            "{label}: {} files, found {:.2} %, with a right technique {:.2} %, inconclusive {:.2} %, clean {:.2} %",
            sum.files,
            percent(sum.found),
            percent(sum.right),
            percent(sum.inconclusive),
            percent(sum.clean)
        );
    }
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
