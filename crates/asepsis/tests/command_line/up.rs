//! `asepsis up`: the example hospital from an empty folder, its rehearsal, a clean end, and going on afterwards.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::hospital::{asepsis, example, free_port, signal, text};

/// Steps of the rehearsal.
const STEPS: usize = 6;

/// The example's configuration with ports of its own.
fn config() -> String {
    let mut config = std::fs::read_to_string(example().join("asepsis.toml")).unwrap();
    for port in 8470..=8473 {
        config = config.replace(&format!(":{port}\""), &format!(":{}\"", free_port()));
    }
    config
}

#[test]
fn the_example_is_prepared_rehearsed_ended_and_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hospital/asepsis.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, config()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_asepsis"))
        .args(["--dir", dir.path().to_str().unwrap(), "up", "--plain"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    let rehearsed = |said: &[String]| said.iter().filter(|l| l.starts_with("rehearsal: ")).count();
    while rehearsed(&said) < STEPS {
        said.push(lines.next().unwrap_or_else(|| panic!("it ended by itself: {said:#?}")).unwrap());
    }
    for line in said.iter().filter(|l| l.starts_with("rehearsal: ")) {
        assert!(line.contains(": caught: "), "{line}");
    }
    for word in
        ["prepared the example hospital", "waits for its data", "/sign-in?token=", "A001", "A002", "A003"]
    {
        assert!(said.iter().any(|l| l.contains(word)), "{word}: {said:#?}");
    }
    for system in ["breast-mass", "heart-disease", "heart-disease-vendor"] {
        let open = |l: &&String| l.split_whitespace().next() == Some(system) && l.contains("gate open");
        assert!(said.iter().any(|l| open(&l)), "{system}: {said:#?}");
    }
    signal(&child, "INT");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest:#?}");
    assert!(rest.iter().any(|l| l.contains("all on disk")), "{rest:#?}");
    assert!(asepsis(dir.path(), &["audit", "verify"]).status.success());
    goes_on(dir.path(), &file);
}

/// The second start takes up what is there: nothing is prepared, admitted or rehearsed again, and no file is written over.
fn goes_on(dir: &Path, file: &Path) {
    let model = dir.join("hospital/models/heart_cleveland_gbt.onnx");
    let shipped = std::fs::read(example().join("models/heart_cleveland_gbt.onnx")).unwrap();
    assert_eq!(std::fs::read(model).unwrap(), shipped, "the swapped model is put back");
    let was = std::fs::read_to_string(file).unwrap();
    let mine = format!("{was}\n# a line of my own\n");
    std::fs::write(file, &mine).unwrap();
    let again = asepsis(dir, &["up", "--plain", "--no-traffic", "--end-after", "1"]);
    let said = text(&again);
    assert_eq!(again.status.code(), Some(0), "{said}");
    assert!(said.contains("evidence holds") && !said.contains("admitted, gate open"), "{said}");
    assert!(!said.contains("prepared") && !said.contains("rehearsal: "), "{said}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), mine);
}
