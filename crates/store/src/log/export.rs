//! Export: every entry as one JSON line, and the checkpoint that covers them.

use super::audit::AuditError;
use super::published::LogFiles;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ledger::{Checkpoint, Verifier};
use std::io::Write;
use std::path::Path;

/// Why an export stopped. What was written before it is incomplete.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log cannot be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The output refused.
    #[error("cannot write the export: {0}; check the room and rights of the destination")]
    Output(#[from] std::io::Error),
}

/// Writes all published entries of the log in `dir` as JSON lines, then one line with the signed checkpoint.
///
/// Each entry line is `{"index":N,"leaf":"BASE64","entry":"BASE64"}`; where the entry is itself valid UTF-8 JSON on one line it is
/// written as `"json":…` instead of `"entry"`, byte for byte. The last line is `{"checkpoint":"…"}`. Whoever gets it can recompute
/// the root from the lines alone. Entries are checked against their leaf hashes while they are read.
///
/// # Errors
/// [`ExportError`]; a damaged file ends the export.
pub fn export(
    dir: &Path,
    verifier: &Verifier,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Checkpoint, ExportError> {
    let log = LogFiles::open(dir, verifier)?;
    let size = log.checkpoint.size;
    let mut index = 0u64;
    for bundle in 0..log.bundles() {
        for entry in log.checked_bundle(bundle)? {
            let leaf = ledger::leaf_hash(&entry);
            match one_line_json(&entry) {
                Some(json) => writeln!(out, "{{\"index\":{index},\"leaf\":\"{leaf}\",\"json\":{json}}}")?,
                None => {
                    let base64 = STANDARD.encode(&entry);
                    writeln!(out, "{{\"index\":{index},\"leaf\":\"{leaf}\",\"entry\":\"{base64}\"}}")?;
                }
            }
            index += 1;
        }
        progress(index, size);
    }
    writeln!(out, "{{\"checkpoint\":{}}}", serde_json::Value::String(log.note.clone()))?;
    out.flush()?;
    Ok(log.checkpoint)
}

/// The entry as text when it is a JSON object on one line, so that it can stand in a line as it is.
fn one_line_json(entry: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(entry).ok()?;
    let object = text.starts_with('{') && text.ends_with('}') && !text.contains(['\n', '\r']);
    (object && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()).then_some(text)
}
