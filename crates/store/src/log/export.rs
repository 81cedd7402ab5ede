//! Export: every entry as one JSON line, and the checkpoint that covers them; and the check of such a file, for whoever got it.

use super::audit::AuditError;
use super::published::LogFiles;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ledger::{Checkpoint, Hash, Tree, Verifier, leaf_hash};
use std::io::{BufRead, Read, Write};
use std::path::Path;

/// Longest line: the largest entry in Base64 with its index and leaf hash, or a checkpoint with all its signatures.
const LINE_BYTES_MAX: u64 = 512 << 10;

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

/// Why an export is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ExportCheckError {
    /// It is not what was written.
    #[error(
        "line {line} of the export: {what}; ask for the export again, and for its head from somewhere else"
    )]
    Line {
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The file cannot be read.
    #[error("cannot read the export: {0}")]
    Input(#[from] std::io::Error),
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

/// Checks what [`export`] wrote, without the log: every entry against its leaf hash, and the root over all of them against
/// the signed checkpoint in the last line. Memory stays flat. Returns that checkpoint.
///
/// # Errors
/// [`ExportCheckError`], with the first line that is not as it was written.
pub fn check_export(input: &mut dyn BufRead, verifier: &Verifier) -> Result<Checkpoint, ExportCheckError> {
    let mut tree = Tree::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut *input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        let index = tree.size();
        let wrong = |what: &str| ExportCheckError::Line { line: index + 1, what: what.to_owned() };
        if read == 0 {
            return Err(wrong("the signed head is missing: the export was cut off"));
        }
        let text = line.strip_suffix(b"\n").and_then(|l| std::str::from_utf8(l).ok());
        let text = text.ok_or_else(|| wrong("it is not a whole line of text"))?;
        if !text.starts_with("{\"checkpoint\":") {
            let leaf = leaf_of(text, index).ok_or_else(|| wrong("the entry is not as it was exported"))?;
            tree.push(leaf);
            continue;
        }
        let head: Head = serde_json::from_str(text).map_err(|_| wrong("the signed head is not readable"))?;
        let checkpoint = Checkpoint::verify(head.checkpoint.as_bytes(), verifier)
            .map_err(|e| wrong(&format!("the head is not signed by this key: {e}")))?;
        if checkpoint.size != index || checkpoint.root != tree.root() {
            return Err(wrong("the entries are not those whose head was signed"));
        }
        if !input.fill_buf()?.is_empty() {
            return Err(wrong("something follows the signed head"));
        }
        return Ok(checkpoint);
    }
}

/// The last line.
#[derive(serde::Deserialize)]
struct Head {
    checkpoint: String,
}

/// The leaf hash of the entry in a line, if the line holds entry `index` and the entry has that hash.
fn leaf_of(text: &str, index: u64) -> Option<Hash> {
    let rest = text.strip_prefix(&format!("{{\"index\":{index},\"leaf\":\""))?;
    let (stated, rest) = rest.split_once('"')?;
    let leaf = match rest.strip_prefix(",\"json\":") {
        Some(json) => leaf_hash(json.strip_suffix('}')?.as_bytes()),
        None => leaf_hash(&STANDARD.decode(rest.strip_prefix(",\"entry\":\"")?.strip_suffix("\"}")?).ok()?),
    };
    (leaf.to_string() == stated).then_some(leaf)
}
