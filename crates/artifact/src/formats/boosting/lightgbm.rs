//! LightGBM's text format.

use std::collections::HashMap;

use super::flaw;
use crate::formats::{Format, Input, Sure};
use crate::{Context, Cursor, Part, Port, payload};

/// Longest line, bytes.
const LINE_BYTES_MAX: usize = 64 << 20;

/// The format.
pub(in crate::formats) struct LightGbm;

impl Format for LightGbm {
    fn name(&self) -> &'static str {
        "lightgbm"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let head = input.head.strip_prefix(b"tree\n").or_else(|| input.head.strip_prefix(b"tree\r\n"))?;
        head.starts_with(b"version=v").then_some(Sure::Certain)
    }

    fn includes(&self, _input: &Input<'_>) -> &'static [&'static str] {
        &["text", "yaml"]
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        part.facts.framework = Some("LightGBM (text)".to_owned());
        let mut cursor = Cursor::new(input.source, 0);
        let (mut line, mut tree, mut trees, mut leaves) = (Vec::new(), HashMap::new(), 0u64, 0u64);
        loop {
            let end = cursor.remaining() == 0;
            let byte = if end { b'\n' } else { cursor.byte().unwrap_or(b'\n') };
            if byte != b'\n' {
                if line.len() >= LINE_BYTES_MAX {
                    return cx.unread(part, Some(cursor.position()), "a line without end");
                }
                line.push(byte);
                continue;
            }
            let text = String::from_utf8_lossy(&line).into_owned();
            let at = cursor.position().saturating_sub(line.len() as u64);
            line.clear();
            if text.starts_with("Tree=") || text.trim() == "end of trees" || end {
                leaves += self::tree(&tree, trees, at, part, cx);
                trees += u64::from(text.starts_with("Tree="));
                tree.clear();
            }
            entry(text.trim_end(), &mut tree, at, part, cx);
            if end {
                break;
            }
        }
        part.facts.parameters = Some(leaves);
        part.facts.note("trees", &trees.to_string());
    }
}

fn entry(text: &str, tree: &mut HashMap<String, String>, at: u64, part: &mut Part, cx: &mut Context<'_>) {
    let Some((key, value)) = text.split_once('=') else {
        return payload::text(text, "a line of the model", Some(at), part, cx);
    };
    match key {
        "version" => part.facts.producer = Some(format!("LightGBM {value}")),
        "objective" => part.facts.architecture = Some(format!("boosted trees ({value})")),
        "feature_names" => {
            /// Ports kept.
            const PORTS_MAX: usize = 200;
            part.facts.inputs = value
                .split(' ')
                .take(PORTS_MAX)
                .map(|n| Port { name: n.to_owned(), datatype: String::new(), shape: Vec::new() })
                .collect();
        }
        "num_class" | "max_feature_idx" | "num_tree_per_iteration" => part.facts.note(key, value),
        "num_leaves" | "left_child" | "right_child" | "split_feature" | "leaf_value" | "threshold"
        | "num_cat" => drop(tree.insert(key.to_owned(), value.to_owned())),
        _ => {}
    }
    // Lists of numbers are not worth a look.
    if !value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'.' | b'-' | b'+' | b'e' | b':')) {
        payload::text(value, &format!("`{key}`"), Some(at), part, cx);
    }
}

/// Compares the lists of a tree; returns its leaves.
fn tree(tree: &HashMap<String, String>, number: u64, at: u64, part: &mut Part, cx: &mut Context<'_>) -> u64 {
    let Some(leaves) = tree.get("num_leaves") else { return 0 };
    let Ok(leaves) = leaves.trim().parse::<i64>() else {
        flaw(part, cx, at, format!("tree {number} has `{leaves}` leaves"));
        return 0;
    };
    for name in ["left_child", "right_child", "split_feature", "leaf_value"] {
        let Some(list) = tree.get(name) else { continue };
        let wanted = if name == "leaf_value" { leaves } else { leaves - 1 };
        let count = list.split_ascii_whitespace().count();
        if leaves > 1 && i64::try_from(count) != Ok(wanted) {
            flaw(part, cx, at, format!("`{name}` of tree {number} has {count} values for {leaves} leaves"));
        }
        if name.ends_with("child") {
            // A child is an inner node, or a leaf written as its complement.
            let wrong = list.split_ascii_whitespace().find(|n| {
                n.parse::<i64>().is_ok_and(|n| n >= leaves - 1 || n < -leaves) || n.parse::<i64>().is_err()
            });
            if let Some(wrong) = wrong.filter(|_| leaves > 1) {
                flaw(
                    part,
                    cx,
                    at,
                    format!("`{name}` of tree {number} points to {wrong}, outside of the tree"),
                );
            }
        }
    }
    u64::try_from(leaves).unwrap_or(0)
}
