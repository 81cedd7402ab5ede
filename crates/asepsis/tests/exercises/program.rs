//! The program on a folder of its own, and what it said.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A file of the example hospital.
pub fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hospital").join(name);
    path.to_str().unwrap().to_owned()
}

/// The program in `dir`, with its data and its cache there.
fn command(dir: &Path, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_asepsis"));
    command
        .args(["--dir", dir.join("data").to_str().unwrap()])
        .args(arguments)
        .current_dir(dir)
        .env("XDG_CACHE_HOME", dir.join("cache"))
        .env_remove("ASEPSIS_CONFIG");
    command
}

pub fn run(dir: &Path, arguments: &[impl AsRef<std::ffi::OsStr>]) -> Output {
    command(dir, arguments).output().unwrap()
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(output)))
}

/// How many pieces of unfinished exercises are kept in `dir`, of those whose names begin with `prefix`.
pub fn kept(dir: &Path, prefix: &str) -> usize {
    let folders = std::fs::read_dir(dir.join("cache/asepsis/exercise")).into_iter().flatten().flatten();
    let files = folders.flat_map(|f| std::fs::read_dir(f.path()).into_iter().flatten().flatten());
    files.filter(|f| f.file_name().to_string_lossy().starts_with(prefix)).count()
}

/// Runs an exercise and ends it by Ctrl-C as soon as so many such pieces are kept: the scorecard of what was done, which says how to go on.
pub fn cut_short(
    dir: &Path,
    arguments: &[impl AsRef<std::ffi::OsStr>],
    prefix: &str,
    enough: usize,
) -> Value {
    let mut child = command(dir, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while kept(dir, prefix) < enough && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let cut = child.wait_with_output().unwrap();
    assert_eq!(cut.status.code(), Some(2), "{}", said(&cut));
    let partial = json(&cut);
    assert_eq!(partial["complete"], false);
    assert!(partial["faults"][0]["text"].as_str().unwrap().contains("--resume"), "{}", partial["faults"]);
    partial
}
