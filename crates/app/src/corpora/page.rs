//! The summary of a screening as one HTML page that needs nothing else.

use std::fmt::Write as _;

use super::sort::{Place, Report};
use crate::exercise::page::{STYLE, escape, policy};

/// The page.
pub fn page(report: &Report) -> String {
    let mut out = String::with_capacity(16 << 10);
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\"><title>Corpus screening</title><style>{STYLE}</style></head><body><main><h1>Corpus screening</h1>",
        policy()
    );
    let state = if report.complete { "complete" } else { "not complete: see what could not be read" };
    let digest =
        report.corpus.map_or_else(|| "none, since not everything was read".to_owned(), |d| d.to_string());
    let _ = write!(
        out,
        "<p>{} documents in {} files ({:.1} MB), {state}. <strong>{} taken out</strong>, {} could not be read.</p>\
         <p>Corpus <code>{}</code>, knowledge <code>{}</code>, asepsis {}.</p>",
        report.documents,
        report.files,
        report.bytes as f64 / 1e6,
        report.found,
        report.inconclusive,
        escape(&digest),
        escape(&report.knowledge),
        escape(&report.version)
    );
    counts(report, &mut out);
    sources(report, &mut out);
    places("Taken out", &report.quarantined, report.found, &mut out);
    places("Could not be read", &report.broken, report.broken.len() as u64, &mut out);
    out.push_str(
        "<h2>How to read this</h2><p>A document is taken out for a statement that the knowledge graph contradicts, never because the graph does not know it. \
         What was taken out stands in <code>quarantine/</code> as it came: look at it before you throw it away. The words of documents are not repeated here.</p></main></body></html>\n",
    );
    out
}

fn counts(report: &Report, out: &mut String) {
    if report.counts.is_empty() {
        out.push_str("<p>Nothing was found.</p>");
        return;
    }
    let most = report.counts.iter().map(|c| c.documents).max().unwrap_or(1).max(1);
    out.push_str("<h2>What was found</h2><table><thead><tr><th>Documents with</th><th>Number</th><th></th><th>Findings</th></tr></thead><tbody>");
    for count in &report.counts {
        let names: Vec<String> = count.names.iter().map(|(n, c)| format!("{} {c}", escape(n))).collect();
        let wide = count.documents * 160 / most;
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td><svg width=\"160\" height=\"12\" role=\"img\" aria-label=\"{} documents\"><rect width=\"{}\" height=\"12\" rx=\"2\" fill=\"#b3541e\"/></svg></td><td>{}</td></tr>",
            escape(&count.says),
            count.documents,
            count.documents,
            wide.max(2),
            names.join(", ")
        );
    }
    out.push_str("</tbody></table>");
    if report.floods > 0 {
        let _ = write!(out, "<p>{} claims came as floods of near copies.</p>", report.floods);
    }
}

fn sources(report: &Report, out: &mut String) {
    if report.sources.is_empty() {
        return;
    }
    out.push_str("<h2>Sources</h2><table><thead><tr><th>Source</th><th>Documents</th><th>Taken out for what stands in them</th><th></th></tr></thead><tbody>");
    for source in &report.sources {
        let says = if source.stands_out { "stands out: all its documents are taken out" } else { "" };
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{says}</td></tr>",
            escape(&source.name),
            source.documents,
            source.found
        );
    }
    out.push_str("</tbody></table>");
}

fn places(title: &str, places: &[Place], all: u64, out: &mut String) {
    if places.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<h2>{title}</h2><table><thead><tr><th>File</th><th>Line</th><th>Why</th></tr></thead><tbody>"
    );
    for place in places {
        let line = if place.line == 0 { String::new() } else { place.line.to_string() };
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{line}</td><td>{}</td></tr>",
            escape(&place.file),
            escape(&place.why)
        );
    }
    out.push_str("</tbody></table>");
    if all > places.len() as u64 {
        let _ = write!(
            out,
            "<p>The first {} of {all}; all are in <code>documents.jsonl</code>.</p>",
            places.len()
        );
    }
}
