//! A scan as SARIF 2.1.0 (OASIS, 2020-03-27), for code hosts and security dashboards.

use std::collections::BTreeMap;

use artifact::{Part, Verdict};
use domain::{Entry, Finding, Severity};
use serde_json::{Value, json};

use super::{Report, Scanned};

/// Results per target in the SARIF form; code hosts refuse longer files.
const RESULTS_MAX: usize = 5_000;

/// The report as a SARIF log.
pub fn sarif(report: &Report) -> Value {
    let rules: Vec<&'static Entry> = artifact::entries().collect();
    let index: BTreeMap<&str, usize> = rules.iter().enumerate().map(|(n, e)| (e.id, n)).collect();
    let mut results = Vec::new();
    let mut notes = Vec::new();
    for scanned in &report.results {
        for finding in scanned.part.all_findings().take(RESULTS_MAX) {
            results.push(result(scanned, finding, &index));
        }
        for part in scanned.part.walk() {
            notes.extend(
                part.unread.iter().take(RESULTS_MAX).map(|unread| note(scanned, part, &unread.reason)),
            );
        }
    }
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "asepsis",
                "version": report.version,
                "semanticVersion": report.version,
                "rules": rules.iter().map(|e| rule(e)).collect::<Vec<_>>(),
            }},
            "artifacts": report.results.iter().filter_map(artifact_of).collect::<Vec<_>>(),
            "invocations": [{
                "executionSuccessful": !report.stopped,
                "toolExecutionNotifications": notes,
            }],
            "results": results,
        }],
    })
}

/// An entry of the catalogue as a rule.
pub(crate) fn rule(entry: &Entry) -> Value {
    let section = |heading: &str| {
        let after = entry.doc.split_once(heading).map_or("", |(_, rest)| rest);
        after.split("##").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    json!({
        "id": entry.id,
        "name": entry.name,
        "shortDescription": { "text": entry.summary() },
        "fullDescription": { "text": section("## What it is") },
        "help": { "text": format!("{} Limits: {}", section("## Why it matters in care"), section("## Limits")) },
        "properties": { "tags": entry.maps },
    })
}

fn artifact_of(scanned: &Scanned) -> Option<Value> {
    let digest = scanned.digest?.to_string();
    Some(json!({
        "location": { "uri": uri(&scanned.target) },
        "length": scanned.part.bytes,
        "hashes": { "sha-256": digest.trim_start_matches("sha256:") },
    }))
}

fn result(scanned: &Scanned, finding: &Finding, index: &BTreeMap<&str, usize>) -> Value {
    let place = finding.location.name.clone().unwrap_or_default();
    let (file, inside) = place.split_once("!/").map_or((place.as_str(), None), |(f, i)| (f, Some(i)));
    // A finding in a folder names the file below it; one in a file names the file itself.
    let target = match (scanned.digest, inside) {
        (None, Some(inside)) => {
            let below = inside.split("!/").next().unwrap_or(inside);
            format!("{}/{below}", scanned.target.trim_end_matches('/'))
        }
        _ => scanned.target.clone(),
    };
    let mut physical = json!({ "artifactLocation": { "uri": uri(&target) } });
    if let (Some(byte), None) = (finding.location.byte, inside) {
        physical["region"] = json!({ "byteOffset": byte });
    }
    let mut out = json!({
        "ruleId": finding.check,
        "level": level(finding.severity),
        "message": { "text": format!("{}. {}", finding.message, finding.remedy) },
        "locations": [{
            "physicalLocation": physical,
            "logicalLocations": [{ "fullyQualifiedName": place, "kind": "member" }],
        }],
        "partialFingerprints": {
            "asepsis/1": domain::Digest::of(format!("{file}\0{place}\0{}\0{}", finding.check, finding.message).as_bytes()).to_string(),
        },
        "properties": { "severity": finding.severity.to_string(), "technique": finding.technique },
    });
    if let Some(n) = index.get(finding.check.as_str()) {
        out["ruleIndex"] = json!(n);
    }
    // What the policy lets pass stays visible, as a suppression with its reason.
    if scanned.verdict != Verdict::Found
        && let Some(allowed) = scanned.allowed.iter().find(|a| !a.ended)
    {
        out["suppressions"] = json!([{ "kind": "external", "status": "accepted", "justification": format!("{} ({}, until {})", allowed.reason, allowed.by, allowed.until) }]);
    }
    out
}

fn note(scanned: &Scanned, part: &Part, reason: &str) -> Value {
    json!({
        "level": "warning",
        "message": { "text": format!("not read: `{}`: {reason}", part.name) },
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(&scanned.target) } } }],
    })
}

/// SARIF's word for a severity.
pub(crate) const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// A path as a URI reference (RFC 3986): what is not allowed in a path is percent-encoded.
pub(crate) fn uri(path: &str) -> String {
    use std::fmt::Write as _;
    if path.starts_with("https://") || path.starts_with("s3://") {
        return path.to_owned();
    }
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
