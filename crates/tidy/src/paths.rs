//! Nothing of the machine it was written on: a clone must work anywhere, and must tell nothing about where it was made.

use crate::tree::{files, report};

/// Absolute places and hosts that belong to one machine. Built from halves, so that this file does not hold them.
fn forbidden() -> Vec<String> {
    [
        ("/wo", "rk/"),
        ("/tmp/bash", "_jobs"),
        ("/ro", "ot/"),
        ("/home", "/runner"),
        ("/fa", "rm/"),
        ("/Us", "ers/"),
        ("index.crates", ".io"),
        ("static.crates", ".io"),
        ("pypi.org/sim", "ple"),
        ("files.python", "hosted.org"),
        ("registry.npm", "js.org"),
        ("deb.debian", ".org"),
        ("proxy.go", "lang.org"),
    ]
    .iter()
    .map(|(a, b)| format!("{a}{b}"))
    .collect()
}

#[test]
fn no_path_or_host_of_a_machine() {
    let words = forbidden();
    let mut complaints = Vec::new();
    for file in files() {
        let Some(text) = file.text() else { continue };
        for (i, line) in text.lines().enumerate() {
            for word in words.iter().filter(|w| stands_alone(line, w)) {
                complaints.push(format!("{}:{}: `{word}`", file.path, i + 1));
            }
        }
    }
    report(
        &complaints,
        "use a path relative to the repository, an environment variable, or the client's own configuration",
    );
}

/// Whether `word` begins a path in `line`, rather than continuing one (`a/b/c` does not start at `/b`).
fn stands_alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !(word.starts_with('/')
            && before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}')))
    })
}

#[test]
fn lock_files_name_the_standard_registry_only() {
    let mut complaints = Vec::new();
    for file in files().iter().filter(|f| f.path.ends_with("Cargo.lock")) {
        let text = file.text().unwrap_or_default();
        for line in text.lines().filter(|l| l.starts_with("source = ")) {
            if !line.contains("registry+https://github.com/rust-lang/crates.io-index") {
                complaints.push(format!("{}: {line}", file.path));
            }
        }
    }
    report(
        &complaints,
        "depend on published versions: a git or mirror source cannot be fetched by everybody",
    );
}

#[test]
fn no_file_is_large_without_a_reason() {
    /// Largest file in bytes; the example models and data stay well below.
    const FILE_BYTES_MAX: usize = 4 << 20;
    let large = files().into_iter().filter(|f| f.bytes.len() > FILE_BYTES_MAX);
    let complaints: Vec<String> = large.map(|f| format!("{}: {} bytes", f.path, f.bytes.len())).collect();
    report(&complaints, "fetch it where it is needed (`asepsis data fetch`) and check its digest");
}
