//! Python as a format: what source text and expressions would do, followed line by line without running anything.

mod ast;
mod calls;
mod judge;
mod lexer;
mod parser;
mod statements;
#[cfg(test)]
mod tests;
mod value;

#[cfg(test)]
use judge::Seen;
pub(crate) use judge::{Judge, Place};

/// Whether text is Python source: enough of its lines are statements that nothing else has.
pub(crate) fn looks_like(text: &str) -> bool {
    /// Lines that are looked at.
    const LINES_MAX: usize = 400;
    let (mut strong, mut lines) = (0, 0);
    let mut triple = false;
    for line in text.lines().take(LINES_MAX) {
        let trimmed = line.trim();
        let quotes = trimmed.matches("\"\"\"").count() + trimmed.matches("'''").count();
        let inside = triple;
        if quotes % 2 == 1 {
            triple = !triple;
        }
        if inside || trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        lines += 1;
        strong += usize::from(is_statement(trimmed));
    }
    let shebang = text.lines().next().is_some_and(|l| l.starts_with("#!") && l.contains("python"));
    shebang || strong >= 1 && strong * 20 >= lines
}

/// A line that is a statement of Python and hardly a sentence.
fn is_statement(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().take(4).collect();
    let name = |w: &str| {
        !w.is_empty()
            && w.trim_end_matches(',').chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
    };
    match words.as_slice() {
        ["import", module] => name(module.trim_end_matches(';')),
        ["import", module, rest, ..] => {
            name(module.trim_end_matches(';'))
                && (*rest == "as" || module.ends_with([',', ';']) || rest.starts_with([',', ';', '#']))
        }
        ["from", module, "import", ..] => name(module),
        ["def", rest, ..] => {
            rest.contains('(') && line.trim_end().ends_with([':', ',', '(']) || line.contains("):")
        }
        ["async", "def", ..] => true,
        ["class", name, ..] => {
            let name = name.split(['(', ':']).next().unwrap_or_default();
            line.contains(':')
                && !name.is_empty()
                && name.chars().all(|c| c.is_alphanumeric() || c == '_')
                && (line.trim_end().ends_with(':') || line.contains(": pass") || line.contains(": ..."))
        }
        ["if", "__name__", ..] => true,
        ["try:", ..] => words.len() == 1,
        _ => {
            let call = line.split('(').next().unwrap_or_default();
            line.trim_end().ends_with(')')
                && matches!(
                    call,
                    "exec" | "eval" | "print" | "__import__" | "os.system" | "compile" | "getattr" | "open"
                )
        }
    }
}
