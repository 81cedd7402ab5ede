//! The readers of model formats, on anything: no panic, no hang, and every finding names a rule of the catalogue.
#![no_main]

use artifact::{Limits, Part, Verdict, scan};
use libfuzzer_sys::fuzz_target;

/// Beginnings that lead to the readers. The first byte of the input chooses.
const BEGINNINGS: &[&[u8]] = &[
    b"",
    b"GGUF\x03\0\0\0",
    b"\x89HDF\r\n\x1a\n",
    b"\x08\x09\x3a",
    b"\x08\x01\x12",
    b"\x0a",
    b"\x1c\0\0\0TFL3",
    b"\x1c\0\0\0ET12",
    b"X\n\0\0\0\x02\0\x04\x03\0\0\x02\x03\0",
    b"A\n2\n262144\n131840\n",
    b"{L\0\0\0\0\0\0\0\x07learner{",
    b"CBM1",
    b"<?xml version='1.0'?><PMML ",
    b"\x81\xa1w",
    b"{\"class_name\":\"Sequential\",\"config\":",
    b"{\"learner\":{\"gradient_booster\":{\"model\":{\"trees\":[",
    b"tree\nversion=v4\n",
    b"node {\n op: \"",
    b"\x40\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"data_offsets\":",
    b"\x08\x07\xa2\x1f",
];

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let beginning = BEGINNINGS[usize::from(*choice) % BEGINNINGS.len()];
    let bytes = [beginning, rest].concat();
    let limits =
        Limits { memory_max: 4 << 20, expanded_max: 4 << 20, steps_max: 2_000_000, ..Limits::default() };
    let part = scan("m", &bytes, &limits);
    // The verdict follows from the tree, and the same bytes give the same tree.
    let found = part.all_findings().any(|f| f.severity >= domain::Severity::Medium);
    assert_eq!(part.verdict() == Verdict::Found, found);
    let known: Vec<&str> = artifact::entries().map(|e| e.id).collect();
    assert!(part.all_findings().all(|f| known.contains(&f.check.as_str())));
    let again: Part = scan("m", &bytes, &limits);
    assert_eq!(part, again);
});
