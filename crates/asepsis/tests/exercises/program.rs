//! The program on a folder of its own, and what it said.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// A file of the example hospital.
pub fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hospital").join(name);
    path.to_str().unwrap().to_owned()
}

/// The program in `dir`, with its data and its cache there.
pub fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_asepsis"));
    command
        .args(["--dir", dir.join("data").to_str().unwrap()])
        .args(arguments)
        .current_dir(dir)
        .env("XDG_CACHE_HOME", dir.join("cache"))
        .env_remove("ASEPSIS_CONFIG");
    command
}

pub fn run(dir: &Path, arguments: &[&str]) -> Output {
    command(dir, arguments).output().unwrap()
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(output)))
}
