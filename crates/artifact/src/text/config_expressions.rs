//! Expressions in a configuration: MONAI's `$`, the resolvers of OmegaConf.

use domain::Severity;

use super::config::{EXPRESSION, REMEDY_CALL, is_dotted, looks_like_code, target};
use super::python::{Judge, Place};
use crate::{Context, Part};

/// `$` expressions of a MONAI bundle.
pub(super) fn evaluated(expressions: &[&str], bundle: bool, part: &mut Part, cx: &mut Context<'_>) {
    if expressions.is_empty() {
        return;
    }
    let mut judge = Judge::new(Place::Expression);
    for (name, path) in
        [("monai", "monai"), ("torch", "torch"), ("np", "numpy"), ("numpy", "numpy"), ("os", "os")]
    {
        judge.knows(name, path);
    }
    let is_import = |e: &str| e.starts_with("import ") || e.starts_with("from ");
    let all: Vec<String> =
        expressions.iter().map(|e| without_references(e.trim_start_matches('$').trim())).collect();
    for source in all.iter().filter(|e| is_import(e)) {
        judge.source(source);
    }
    for (source, original) in all.iter().zip(expressions).filter(|(e, _)| !is_import(e)) {
        let before = judge.seen.len();
        if let Err(reason) = judge.expression(&source.replace(['\n', '\r'], " ")) {
            if bundle || looks_like_code(source) {
                judge.source(source);
            }
            if bundle && judge.seen.len() == before {
                cx.unread(part, None, format!("the expression `{original}` cannot be parsed: {reason}"));
            }
        }
    }
    if judge.spent() || cx.step(judge.steps()).is_err() {
        cx.unread(part, None, "the expressions take too many steps to follow");
    }
    for seen in judge.seen {
        let severity = if bundle { seen.severity } else { seen.severity.min(Severity::High) };
        let message = format!("an expression {}", seen.what);
        cx.find(part, &EXPRESSION, severity, None, message, REMEDY_CALL);
    }
}

/// Replaces references to other values (`@net::layers#0`, `%file.json#key`) by a name.
fn without_references(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        let begins = matches!(c, '@' | '%')
            && chars.peek().is_some_and(|n| n.is_alphanumeric() || matches!(n, '_' | '#' | ':'));
        // `a %b` is a remainder; a reference follows an operator or bracket.
        let after_value = out
            .trim_end()
            .ends_with(|p: char| p.is_alphanumeric() || matches!(p, ')' | ']' | '_' | '\'' | '"'));
        if begins && (c == '@' || !after_value) {
            out.push_str("reference");
            while let Some(n) = chars.peek() {
                let part_of = n.is_alphanumeric()
                    || matches!(n, '_' | '#')
                    || *n == ':' && {
                        let mut ahead = chars.clone();
                        ahead.next();
                        ahead.peek() == Some(&':') || out.ends_with(':')
                    };
                if !part_of {
                    break;
                }
                if chars.next() == Some(':') {
                    chars.next();
                }
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// `${name:arguments}` of OmegaConf.
pub(super) fn resolvers(text: &str, part: &mut Part, cx: &mut Context<'_>) {
    for piece in text.split("${").skip(1).take(64) {
        let Some((name, rest)) = piece.split_once(':') else { continue };
        let name = name.trim();
        if name.len() > 64 || name.contains(['}', ' ', '/']) {
            continue;
        }
        let argument = rest.rsplit_once('}').map_or(rest, |(a, _)| a).trim().trim_matches(['\'', '"']);
        let lower = name.to_ascii_lowercase();
        if matches!(
            lower.as_str(),
            "exec" | "system" | "shell" | "sh" | "cmd" | "bash" | "subprocess" | "os.system" | "popen"
        ) {
            cx.find(
                part,
                &EXPRESSION,
                Severity::High,
                None,
                format!("the resolver `{name}` runs `{argument}`"),
                REMEDY_CALL,
            );
            continue;
        }
        if matches!(lower.as_str(), "jndi" | "script") {
            cx.find(
                part,
                &EXPRESSION,
                Severity::High,
                None,
                format!("a look-up that loads code: `{text}`"),
                REMEDY_CALL,
            );
            continue;
        }
        if !(argument.contains('(')
            || matches!(lower.as_str(), "eval" | "python" | "py" | "get_method" | "get_class" | "import"))
        {
            continue;
        }
        let argument = argument.replace("${", "(").replace('}', ")");
        if is_dotted(&argument) {
            target(name, &argument, true, part, cx);
        }
        let mut judge = Judge::new(Place::Expression);
        judge.knows("os", "os");
        judge.knows("subprocess", "subprocess");
        judge.expression(&argument).ok();
        for seen in judge.seen.into_iter().filter(|s| s.severity >= Severity::Medium) {
            cx.find(
                part,
                &EXPRESSION,
                seen.severity,
                None,
                format!("the resolver `{name}` {}", seen.what),
                REMEDY_CALL,
            );
        }
    }
}
