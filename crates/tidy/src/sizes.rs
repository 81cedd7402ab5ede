//! Files and functions stay short: a ratchet, so that what is long today can only become shorter.
//!
//! `TIDY_UPDATE=1 cargo test -p tidy` lowers and drops entries of `ratchet.toml` after an improvement. It never adds
//! or raises one: that is a decision, made by hand, with a reason in the commit.

use std::collections::BTreeMap;
use std::fs;

use crate::tree::{report, root, sources, text};

/// Longest file, in lines before `mod tests`.
const FILE_LINES_MAX: usize = 500;
/// Longest function, in lines from its `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;

const TABLE: &str = "crates/tidy/ratchet.toml";

/// Files that a tool made; their length is the tool's.
const MADE: [&str; 0] = [];

type Sizes = BTreeMap<String, usize>;

fn file_sizes() -> Sizes {
    let written = sources().iter().filter(|s| !MADE.contains(&s.path.as_str()));
    written.map(|s| (s.path.clone(), s.shipped_lines())).filter(|(_, n)| *n > FILE_LINES_MAX).collect()
}

fn function_sizes() -> Sizes {
    let mut found = Sizes::new();
    for source in sources() {
        for function in source.functions().into_iter().filter(|f| f.lines > FUNCTION_LINES_MAX) {
            // Two of one name in one file: the longer stands for both.
            let slot = found.entry(format!("{}::{}", source.path, function.name)).or_insert(0);
            *slot = (*slot).max(function.lines);
        }
    }
    found
}

fn committed(table: &str) -> Sizes {
    let parsed: toml::Table = text(TABLE).parse().unwrap_or_else(|e| panic!("{TABLE}: {e}"));
    let entries = parsed.get(table).and_then(toml::Value::as_table).cloned().unwrap_or_default();
    entries.into_iter().map(|(k, v)| (k, usize::try_from(v.as_integer().unwrap()).unwrap())).collect()
}

/// What is longer than it may be, and what became shorter than the table says.
fn compare(found: &Sizes, allowed: &Sizes) -> (Vec<String>, Vec<String>) {
    let longer = found
        .iter()
        .filter(|(name, n)| allowed.get(*name).is_none_or(|a| *n > a))
        .map(|(name, n)| {
            format!(
                "\"{name}\" = {n}  # allowed: {}",
                allowed.get(name).map_or("none".into(), usize::to_string)
            )
        })
        .collect();
    let shorter = allowed
        .iter()
        .filter(|(name, a)| found.get(*name).is_none_or(|n| n < a))
        .map(|(name, a)| {
            format!(
                "\"{name}\" = {a}  # now: {}",
                found.get(name).map_or("within the limit".into(), usize::to_string)
            )
        })
        .collect();
    (longer, shorter)
}

fn write_table(files: &Sizes, functions: &Sizes) {
    let head: Vec<String> =
        text(TABLE).lines().take_while(|l| l.starts_with('#')).map(str::to_owned).collect();
    let rows = |sizes: &Sizes| sizes.iter().map(|(k, v)| format!("\"{k}\" = {v}\n")).collect::<String>();
    let body = format!(
        "{}\n\n[file_lines]\n{}\n[function_lines]\n{}",
        head.join("\n"),
        rows(files),
        rows(functions)
    );
    fs::write(root().join(TABLE), body).unwrap();
}

/// What the table may hold after an improvement: present sizes, where they are not above what it says.
fn lowered(found: &Sizes, allowed: &Sizes) -> Sizes {
    allowed.iter().filter_map(|(k, a)| found.get(k).map(|n| (k.clone(), *n.min(a)))).collect()
}

#[test]
fn files_and_functions_stay_short() {
    let (files, functions) = (file_sizes(), function_sizes());
    let (files_allowed, functions_allowed) = (committed("file_lines"), committed("function_lines"));
    if std::env::var_os("TIDY_UPDATE").is_some() {
        write_table(&lowered(&files, &files_allowed), &lowered(&functions, &functions_allowed));
    }
    let (longer_files, shorter_files) = compare(&files, &committed("file_lines"));
    report(
        &longer_files,
        &format!(
            "a file has at most {FILE_LINES_MAX} lines before its tests: split it along what it is about, \
                  or, as a decision to explain, put the line above in {TABLE}"
        ),
    );
    let (longer, shorter) = compare(&functions, &committed("function_lines"));
    report(
        &longer,
        &format!(
            "a function has at most {FUNCTION_LINES_MAX} lines: keep the branches in the parent and make the leaves \
                  functions of their own, or, as a decision to explain, put the line above in {TABLE}"
        ),
    );
    let shorter: Vec<String> = shorter_files.into_iter().chain(shorter).collect();
    report(
        &shorter,
        &format!(
            "well done: `TIDY_UPDATE=1 cargo test -p tidy` writes the smaller sizes to {TABLE}; commit it"
        ),
    );
}

#[test]
fn a_ratchet_never_loosens() {
    let sizes = |pairs: &[(&str, usize)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect::<Sizes>();
    let allowed = sizes(&[("a", 600), ("b", 700), ("c", 800)]);
    let found = sizes(&[("a", 650), ("b", 650), ("d", 900)]);
    let (longer, shorter) = compare(&found, &allowed);
    assert_eq!((longer.len(), shorter.len()), (2, 2), "{longer:?} {shorter:?}");
    assert_eq!(lowered(&found, &allowed), sizes(&[("a", 600), ("b", 650)]));
}
