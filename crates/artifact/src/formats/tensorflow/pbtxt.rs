//! TensorFlow graphs as text (`.pbtxt`).

use domain::Severity;

use super::{EFFECT, Effect, OPERATOR, PYTHON, effect};
use crate::formats::{Format, Input, Sure};
use crate::{Context, Cursor, Part, payload};

/// Longest line, bytes: one constant.
const LINE_BYTES_MAX: usize = 16 << 20;

/// The format.
pub(in crate::formats) struct GraphText;

impl Format for GraphText {
    fn name(&self) -> &'static str {
        "tensorflow-text"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let has = |word: &[u8]| crate::wire::position(input.head, word).is_some();
        let text = std::str::from_utf8(input.head).is_ok() || input.head.len() > 4096;
        let graph = has(b"node {") || has(b"node{") || has(b"node_def {") || has(b"graph_def {");
        (text && graph && (has(b" op: \"") || has(b"\top: \"") || has(b"\nop: \"") || has(b"{op:\"")))
            .then_some(Sure::Certain)
    }

    fn includes(&self, _input: &Input<'_>) -> &'static [&'static str] {
        &["text", "yaml"]
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        part.facts.framework = Some("TensorFlow graph (text)".to_owned());
        let mut cursor = Cursor::new(input.source, 0);
        let mut functions = Vec::new();
        let mut unknown = Vec::new();
        let mut line = Vec::new();
        let mut signature = false;
        loop {
            let end = cursor.remaining() == 0;
            let byte = if end { b'\n' } else { cursor.byte().unwrap_or(b'\n') };
            if byte != b'\n' && line.len() < LINE_BYTES_MAX {
                line.push(byte);
                continue;
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            let at = cursor.position().saturating_sub(line.len() as u64);
            let text = text.trim();
            if let Some(kind) = value(text, "op:") {
                part.facts.operator(&kind);
                judge(&kind, at, part, cx, &mut unknown);
            } else if text.starts_with("signature") {
                signature = true;
            } else if signature && let Some(name) = value(text, "name:") {
                functions.push(name);
                signature = false;
            } else if let Some(constant) = value(text, "string_val:") {
                payload::text(&constant, "a constant", Some(at), part, cx);
            }
            line.clear();
            if end {
                break;
            }
        }
        for (kind, at) in unknown {
            if !functions.contains(&kind) {
                let remedy = "ask the supplier for an export in TensorFlow's own operators; do not load a library that comes with a model";
                cx.find(
                    part,
                    &OPERATOR,
                    Severity::Medium,
                    Some(at),
                    format!("`{kind}` is no operator of TensorFlow"),
                    remedy,
                );
            }
        }
    }
}

/// The quoted text after a key.
fn value(line: &str, key: &str) -> Option<String> {
    let at = line.find(key)?;
    let rest = line.get(at + key.len()..)?.trim_start().strip_prefix('"')?;
    Some(rest.split('"').next().unwrap_or_default().to_owned())
}

fn judge(kind: &str, at: u64, part: &mut Part, cx: &mut Context<'_>, unknown: &mut Vec<(String, u64)>) {
    let remedy = "do not run the model; ask the supplier why it touches anything but its input, and for an export without";
    match effect(kind) {
        Effect::Python => {
            cx.find(part, &PYTHON, Severity::High, Some(at), format!("`{kind}` calls Python"), remedy)
        }
        Effect::Files => cx.find(
            part,
            &EFFECT,
            Severity::High,
            Some(at),
            format!("`{kind}` reads or writes files"),
            remedy,
        ),
        Effect::Network => {
            cx.find(part, &EFFECT, Severity::High, Some(at), format!("`{kind}` opens connections"), remedy)
        }
        Effect::Unknown => unknown.push((kind.to_owned(), at)),
        // Saving is followed in the binary form only; here it is an ordinary part of an exported graph.
        Effect::None | Effect::Saver | Effect::Table | Effect::Attribute(_) | Effect::Extension(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Verdict, scan};

    #[test]
    fn operators_in_text_are_judged() {
        let graph = |op: &str| format!("node {{\n  name: \"a\"\n  op: \"{op}\"\n}}\n");
        for (op, verdict) in [
            ("MatMul", Verdict::Clean),
            ("WriteFile", Verdict::Found),
            ("PyFunc", Verdict::Found),
            ("Shell", Verdict::Found),
        ] {
            assert_eq!(
                scan("g.pbtxt", &graph(op).into_bytes(), &Limits::default()).verdict(),
                verdict,
                "{op}"
            );
        }
    }
}
