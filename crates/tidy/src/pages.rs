//! The pages say what is there: links lead somewhere, tests that ARCHITECTURE.md names exist, scripts can run.

use std::path::Path;

use crate::tree::{File, files, manifests, report, root, sources, text};

/// Targets of the Markdown links in `text`.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            if let Some(end) = line[at + 2..].find(')') {
                found.push(line[at + 2..at + 2 + end].to_owned());
            }
        }
    }
    found
}

fn markdown(all: &[File]) -> impl Iterator<Item = (&str, &str)> {
    all.iter().filter(|f| f.path.ends_with(".md")).filter_map(|f| Some((f.path.as_str(), f.text()?)))
}

#[test]
fn links_between_pages_lead_somewhere() {
    let all = files();
    let mut complaints = Vec::new();
    for (path, text) in markdown(&all) {
        let folder = root().join(path).parent().map(Path::to_path_buf).unwrap_or_default();
        for link in links(text).iter().filter(|l| !l.contains("://") && !l.starts_with(['#', 'm'])) {
            let target = link.split('#').next().unwrap_or_default();
            if !folder.join(target).exists() {
                complaints.push(format!("{path}: `{link}`"));
            }
        }
    }
    report(&complaints, "links are relative to the page they stand on");
}

#[test]
fn the_map_names_every_crate() {
    let map = text("ARCHITECTURE.md");
    let complaints: Vec<String> = manifests()
        .keys()
        .filter(|name| !map.contains(&format!("`{name}`")))
        .map(|name| format!("ARCHITECTURE.md does not mention `{name}`"))
        .collect();
    report(&complaints, "give the crate its paragraph in the code map");
}

/// Tests are named in ARCHITECTURE.md as `crate: test_name`, in backticks.
#[test]
fn every_invariant_is_kept_by_a_test_that_exists() {
    let map = text("ARCHITECTURE.md");
    let known = manifests();
    let all = sources();
    let mut complaints = Vec::new();
    let mut seen = 0;
    for named in map.split('`').skip(1).step_by(2) {
        let Some((krate, test)) = named.split_once(": ") else { continue };
        let is_name = test.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !known.contains_key(krate) || !is_name || test.is_empty() {
            continue;
        }
        seen += 1;
        let exists = all
            .iter()
            .filter(|s| s.crate_name() == Some(krate))
            .any(|s| s.code.contains(&format!("fn {test}(")));
        if !exists {
            complaints.push(format!("ARCHITECTURE.md names `{named}`, which does not exist"));
        }
    }
    assert!(seen >= 10, "ARCHITECTURE.md names only {seen} tests for ten invariants");
    report(
        &complaints,
        "a renamed test is renamed in ARCHITECTURE.md too; a removed one leaves its invariant unkept",
    );
}

#[test]
fn scripts_stop_at_the_first_error() {
    let all = files();
    let mut complaints = Vec::new();
    for file in all.iter().filter(|f| f.path.ends_with(".sh") || f.path == ".ci/run") {
        let text = file.text().unwrap_or_default();
        // A plain shell has no pipefail; a script with pipes whose failure matters is written for bash.
        let stops = (text.starts_with("#!/usr/bin/env bash\n") && text.contains("\nset -euo pipefail\n"))
            || (text.starts_with("#!/bin/sh\n") && text.contains("\nset -eu\n"));
        if !stops {
            complaints.push(format!(
                "{}: opens neither with `#!/usr/bin/env bash` and `set -euo pipefail` nor with `#!/bin/sh` and `set -eu`",
                file.path
            ));
        }
        if !is_executable(&file.path) {
            complaints.push(format!("{}: not executable", file.path));
        }
    }
    report(&complaints, "a script that goes on after an error reports success it did not have");
}

#[cfg(unix)]
fn is_executable(path: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(root().join(path)).is_ok_and(|m| m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_path: &str) -> bool {
    true
}
