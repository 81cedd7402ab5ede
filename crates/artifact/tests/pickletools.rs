//! The opcode walk beside Python's own disassembler, on random pickles, whole and damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, reason = "a test")]

use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Sample {
    bytes: String,
    opcodes: Vec<(u64, u8)>,
    whole: bool,
}

/// Arguments that `pickletools` refuses for what is in them, not for where they end: text that does not decode,
/// numbers that are none, names without their second half.
const CONTENT: &[u8] = b"FILPSVXTUcigp\x8c\x8d\x8b\x80";

#[test]
fn opcodes_are_where_pickletools_finds_them() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pickle_samples.py");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = match Command::new(&python)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args([script, "20261123", "1500"])
        .output()
    {
        Ok(output) if output.status.success() => output,
        Ok(output) => panic!("{python} failed: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            eprintln!("SKIPPED: no `{python}` to compare with ({error})");
            return;
        }
    };
    let mut compared = 0;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let sample: Sample = serde_json::from_str(line).unwrap();
        let bytes = hex::decode(&sample.bytes).unwrap();
        let ours = artifact::pickle_opcodes(&bytes);
        let theirs = &sample.opcodes;
        if sample.whole {
            assert_eq!(&ours, theirs, "{}", sample.bytes);
        } else {
            assert!(ours.len() >= theirs.len(), "{} {ours:?} {theirs:?}", sample.bytes);
            assert_eq!(&ours[..theirs.len()], theirs, "{}", sample.bytes);
            // Where theirs ends and ours goes on, the reason is inside an argument.
            if let Some((_, op)) = ours.get(theirs.len()) {
                assert!(CONTENT.contains(op), "{op:#04x} in {} {ours:?} {theirs:?}", sample.bytes);
            }
        }
        compared += 1;
    }
    assert!(compared > 5000, "{compared}");
}
