//! Invariants that a type alone cannot hold, because the code that could break it stands beside the type.

use crate::source::positions;
use crate::tree::{report, sources};

/// Proof types, how one is put together, and the only files that may do so.
const PROOFS: [(&str, &str, &[&str]); 2] = [
    ("Screened", "Screened::new(", &["crates/detect/src/guard_set.rs"]),
    ("AuditReceipt", "AuditReceipt {", &["crates/gateway/src/audit.rs"]),
];

/// Crates in which patient data may be read: they carry it for care, or judge it. Not the console, the control plane,
/// the store or the binary: what those show and keep are digests, counts and verdicts.
const READERS: [&str; 6] = ["domain", "detect", "oip", "upstream", "gateway", "api"];

/// Words by which the values of a request or reply are taken out of `Phi`.
const READS: [&str; 6] = [
    "inputs.expose()",
    "outputs.expose()",
    "inputs.into_inner()",
    "outputs.into_inner()",
    "inputs.clone().into_inner()",
    "outputs.clone().into_inner()",
];

/// Macros and traits by which something is shown to people or machines beside the answer.
const SHOWS: [&str; 8] =
    ["trace!(", "debug!(", "info!(", "warn!(", "error!(", "event!(", "span!(", "format!("];

#[test]
fn proofs_are_made_in_one_place() {
    let mut complaints = Vec::new();
    for (name, made, files) in PROOFS {
        let mut seen = 0;
        for source in sources().iter().filter(|s| s.path.contains("/src/")) {
            for at in positions(&source.shipped, made) {
                // The declaration and `impl AuditReceipt {` are not constructions.
                let line = source.shipped[..at].rsplit('\n').next().unwrap_or_default();
                if line.contains("struct ") || line.contains("impl") || line.contains("->") {
                    continue;
                }
                seen += 1;
                if !files.contains(&source.path.as_str()) {
                    complaints.push(format!("{}:{}: makes a `{name}`", source.path, source.line_of(at)));
                }
            }
        }
        assert!(seen > 0, "nothing makes a `{name}`: has it been renamed? Then rename it here too");
    }
    report(
        &complaints,
        "a proof that is made in two places proves nothing: call the function that does the work and returns it",
    );
}

#[test]
fn patient_data_is_read_only_where_care_needs_it() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|s| s.path.contains("/src/")) {
        let name = source.crate_name().unwrap_or_default();
        for line in READS.iter().flat_map(|w| source.lines_with(&source.shipped, w)) {
            let text = source.shipped.lines().nth(line - 1).unwrap_or_default();
            if !READERS.contains(&name) {
                complaints.push(format!("{}:{line}: `{name}` reads patient data", source.path));
            } else if SHOWS.iter().any(|s| text.contains(s)) {
                complaints.push(format!("{}:{line}: patient data in a message", source.path));
            }
        }
    }
    report(
        &complaints,
        "hand on the digest, the count or the verdict instead; what must be shown to a clinician goes in the reply",
    );
}
