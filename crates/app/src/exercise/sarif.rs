//! A scorecard as SARIF 2.1.0: one result per attack and budget that flipped an answer, for code hosts and security dashboards.

use attack::scorecard::{Row, Scorecard, budget_text};
use domain::{Entry, Severity};
use serde_json::{Value, json};

use crate::scan::sarif::{level, rule, uri};

/// Loss of accuracy from which on a result is an error.
const LOSS_HIGH: f64 = 0.1;

/// The scorecard as a SARIF log.
pub fn sarif(card: &Scorecard) -> Value {
    let used: Vec<&'static Entry> = attack::evasion::ATTACKS
        .iter()
        .map(|a| a.entry)
        .filter(|e| card.rows.iter().any(|r| r.attack == e.id))
        .collect();
    let results: Vec<Value> =
        card.rows.iter().filter(|r| r.fell.hits > 0).map(|r| result(card, r, &used)).collect();
    let notes: Vec<Value> = card
        .faults
        .iter()
        .chain(&card.warnings)
        .map(|n| json!({ "level": "warning", "message": { "text": format!("{}: {}", n.about, n.text) } }))
        .collect();
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "asepsis",
                "version": card.tool,
                "semanticVersion": card.tool,
                "rules": used.iter().map(|e| rule(e)).collect::<Vec<_>>(),
            }},
            "artifacts": [{
                "location": { "uri": uri(&card.subject.model) },
                "hashes": { "sha-256": card.subject.model_digest.trim_start_matches("sha256:") },
            }],
            "invocations": [{ "executionSuccessful": card.complete, "toolExecutionNotifications": notes }],
            "results": results,
            "properties": { "suite": card.suite.name, "suiteDigest": card.suite_digest, "seed": card.suite.seed },
        }],
    })
}

/// How bad a row is: by the loss at the smallest budget that it was tried at, then by any loss.
fn severity(card: &Scorecard, row: &Row) -> Severity {
    let smallest =
        card.rows.iter().filter(|r| r.step == row.step).map(|r| r.epsilon).fold(f64::INFINITY, f64::min);
    let loss = card.clean.all.share - row.robust.all.share;
    match loss {
        l if l >= LOSS_HIGH && row.epsilon <= smallest => Severity::High,
        l if l >= LOSS_HIGH => Severity::Medium,
        _ => Severity::Low,
    }
}

fn result(card: &Scorecard, row: &Row, rules: &[&Entry]) -> Value {
    let budget = budget_text(&card.subject.kind, row.norm, row.epsilon);
    let text = format!(
        "`{}` flips {} of {} right answers within {budget} ({}): accuracy falls from {:.1}% to {:.1}% (95% interval {:.1} to {:.1})",
        row.label,
        row.fell.hits,
        row.fell.of,
        row.norm.as_str(),
        100.0 * card.clean.all.share,
        100.0 * row.robust.all.share,
        100.0 * row.robust.all.low,
        100.0 * row.robust.all.high
    );
    let severity = severity(card, row);
    let print = format!(
        "{}\0{}\0{}\0{}\0{}",
        card.suite_digest, card.subject.model_digest, row.step, row.label, row.epsilon
    );
    let mut out = json!({
        "ruleId": row.attack,
        "level": level(severity),
        "message": { "text": text },
        "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(&card.subject.model) } } }],
        "partialFingerprints": { "asepsis/1": domain::Digest::of(print.as_bytes()).to_string() },
        "properties": {
            "severity": severity.to_string(),
            "norm": row.norm.as_str(),
            "epsilon": row.epsilon,
            "accuracy": row.robust.all.share,
            "queriesMedian": row.queries_median,
        },
    });
    if let Some(at) = rules.iter().position(|e| e.id == row.attack) {
        out["ruleIndex"] = json!(at);
    }
    out
}
