//! What every file, every error message and every test has in common.

use crate::source::{Source, literal_after, positions};
use crate::tree::{report, sources};

/// Places in tests that wait by the clock, each with the reason why nothing else tells that it is time.
const SLEEPS: [(&str, &str); 1] = [(
    "crates/upstream/tests/mlserver.rs",
    "another program starts up; asking its readiness again is the only way to know",
)];

/// Tests that are slow on purpose would be tempting to ignore; none is.
const UNFINISHED: [&str; 6] = ["#[ignore", "todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX"];

#[test]
fn every_file_says_what_it_is_for() {
    let missing = |s: &&Source| !s.raw.starts_with("//! ") && !s.raw.starts_with("#!/usr/bin/env");
    let complaints: Vec<String> = sources().iter().filter(missing).map(|s| s.path.clone()).collect();
    report(
        &complaints,
        "open the file with `//! ` and a sentence that says what it is for and why it is apart",
    );
}

#[test]
fn nothing_is_left_unfinished() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|s| !s.path.starts_with("crates/tidy/")) {
        for mark in UNFINISHED {
            // Marks of an open end stand in comments, so the raw text is searched.
            for line in source.lines_with(&source.raw, mark) {
                complaints.push(format!("{}:{line}: `{mark}`", source.path));
            }
        }
    }
    report(
        &complaints,
        "finish it, or take it out and say in the pull request what is missing; a test that may fail is mended",
    );
}

#[test]
fn tests_do_not_sleep() {
    let mut complaints = Vec::new();
    for source in sources() {
        if SLEEPS.iter().any(|(path, _)| *path == source.path) || source.path.starts_with("crates/tidy/") {
            continue;
        }
        let shipped = positions(&source.shipped, "sleep(");
        for at in positions(&source.code, "sleep(").into_iter().filter(|at| !shipped.contains(at)) {
            complaints.push(format!("{}:{}: `sleep(` in a test", source.path, source.line_of(at)));
        }
    }
    report(
        &complaints,
        "wait for the thing itself: a channel, a notification, a reply, a bounded poll on a virtual clock; \
         where nothing else tells, name the file and the reason in SLEEPS in crates/tidy/src/conventions.rs",
    );
}

#[test]
fn error_messages_are_one_lower_case_line() {
    let mut complaints = Vec::new();
    let mut seen = 0;
    for source in sources().iter().filter(|s| !s.path.starts_with("crates/tidy/")) {
        for at in positions(&source.shipped, "#[error(") {
            let after = source.raw[at + "#[error(".len()..].trim_start();
            if !after.starts_with('"') {
                continue; // `transparent`, or a format function
            }
            seen += 1;
            let message = literal_after(&source.raw, at).unwrap_or_default();
            if let Some(wrong) = wrong_message(&message) {
                complaints.push(format!("{}:{}: {wrong}: {message}", source.path, source.line_of(at)));
            }
        }
    }
    assert!(seen > 20, "only {seen} error messages were found: has the search gone blind?");
    report(
        &complaints,
        "lower case, one line, no full stop, what was given in backticks, what to do next after a colon",
    );
}

/// What is wrong with an error message, if anything.
fn wrong_message(message: &str) -> Option<&'static str> {
    let first = message.split([' ', ':', '`']).next().unwrap_or_default();
    // A word of capitals is a name (ONNX, API); so is one with a digit in it (G002).
    let is_name = first.len() > 1 && first.chars().skip(1).all(|c| !c.is_lowercase());
    if message.is_empty() {
        return Some("empty message");
    }
    if message.starts_with(char::is_uppercase) && !is_name {
        return Some("starts with a capital");
    }
    if message.ends_with(['.', '!']) && !message.ends_with("...") {
        return Some("ends with a full stop");
    }
    if message.contains("\\n") || message.contains('\n') {
        return Some("more than one line");
    }
    None
}

#[test]
fn the_message_rule_tells_names_from_sentences() {
    for good in [
        "file `{path}` is damaged: restore it",
        "ONNX operator `{0}` is not supported",
        "`{key}` is unknown",
        "{0}",
    ] {
        assert_eq!(wrong_message(good), None, "{good}");
    }
    for bad in ["File is damaged", "file is damaged.", "two\\nlines", ""] {
        assert!(wrong_message(bad).is_some(), "{bad}");
    }
}
