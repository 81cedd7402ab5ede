//! The lower layers compute: they open nothing, wait for nothing, and answer the same to the same question.

use crate::layers::layer;
use crate::tree::{keys, manifests, report, sources};

/// Highest layer that must stay pure.
const PURE_UP_TO: usize = 2;

/// What code of L0–L2 must not say outside tests.
const IMPURE: [(&str, &str); 20] = [
    ("std::fs", "files"),
    ("std::net", "network"),
    ("std::env::var", "environment"),
    ("std::env::args", "environment"),
    ("std::process", "processes"),
    ("std::thread", "threads"),
    ("thread::spawn", "threads"),
    ("thread::sleep", "time"),
    ("std::io::stdin", "console"),
    ("std::io::stdout", "console"),
    ("SystemTime::now", "clock"),
    ("Instant::now", "clock"),
    ("Utc::now", "clock"),
    ("tokio", "tasks"),
    ("thread_rng", "unseeded randomness"),
    ("rand::rng", "unseeded randomness"),
    ("from_os_rng", "unseeded randomness"),
    ("OsRng", "unseeded randomness"),
    ("RandomState", "unseeded randomness"),
    ("getrandom", "unseeded randomness"),
];

/// Dependencies that would bring the outside in; `tonic` in `oip` is for generated message and service types only.
const IMPURE_DEPENDENCIES: [&str; 9] =
    ["tokio", "sqlx", "hyper", "hyper-util", "axum", "getrandom", "tempfile", "tracing-subscriber", "zip"];

/// Files that may use `unsafe`, with the reason. None does today; the workspace forbids it.
const UNSAFE: [(&str, &str); 0] = [];

/// Only these crates talk to other machines, or listen.
const OUTSIDE: [(&str, &str); 3] = [
    ("upstream", "clients of model servers, downloads, webhooks"),
    ("api", "the listeners"),
    ("asepsis", "wiring: binds the configured addresses"),
];

fn is_pure(name: &str) -> bool {
    layer(name).is_some_and(|l| l <= PURE_UP_TO)
}

#[test]
fn lower_layers_are_pure() {
    let mut complaints = Vec::new();
    for source in sources() {
        let in_src = source
            .crate_name()
            .is_some_and(|n| is_pure(n) && source.path.starts_with(&format!("crates/{n}/src/")));
        if !in_src {
            continue;
        }
        for (word, what) in IMPURE {
            for line in source.lines_with(&source.shipped, word) {
                complaints.push(format!("{}:{line}: `{word}` ({what})", source.path));
            }
        }
    }
    report(&complaints, "take the bytes, the clock (domain::Clock or a closure) or the seed as a parameter");
}

#[test]
fn lower_layers_depend_on_nothing_impure() {
    let mut complaints = Vec::new();
    for (name, manifest) in manifests() {
        if is_pure(&name) {
            let dependencies = keys(&manifest, "dependencies");
            let impure = dependencies.iter().filter(|d| IMPURE_DEPENDENCIES.contains(&d.as_str()));
            complaints.extend(impure.map(|d| format!("crates/{name} depends on {d}")));
        }
    }
    report(&complaints, "do the input and output in a crate of L3 or above and hand the result down");
}

#[test]
fn only_named_crates_talk_outside() {
    const WORDS: [&str; 6] =
        ["TcpStream", "TcpListener", "UdpSocket", "HttpConnector", "Endpoint::from", "lookup_host"];
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|s| s.path.contains("/src/")) {
        let name = source.crate_name().unwrap_or_default();
        if name == "testkit" || OUTSIDE.iter().any(|(n, _)| *n == name) {
            continue;
        }
        for word in WORDS {
            for line in source.lines_with(&source.shipped, word) {
                complaints.push(format!("{}:{line}: `{word}`", source.path));
            }
        }
    }
    report(
        &complaints,
        "calls to other machines belong in `upstream`, listeners in `api`; the rest gets a value or a trait",
    );
}

#[test]
fn unsafe_stands_only_where_it_is_explained() {
    let mut complaints = Vec::new();
    for source in sources() {
        if UNSAFE.iter().any(|(path, _)| *path == source.path) {
            continue;
        }
        for word in [
            "unsafe {",
            "unsafe fn",
            "unsafe impl",
            "unsafe extern",
            "allow(unsafe_code",
            "expect(unsafe_code",
        ] {
            for line in source.lines_with(&source.code, word) {
                complaints.push(format!("{}:{line}: `{word}`", source.path));
            }
        }
    }
    report(
        &complaints,
        "write it safely; if it is worth it, name the file and the reason in UNSAFE in crates/tidy/src/purity.rs",
    );
}
