//! Jinja templates, as chat models carry them: what a template could reach, and whether it changes what is said.

mod ast;
mod eval;
mod expressions;
mod filters;
mod judge;
mod lexer;
mod methods;
pub(crate) mod names;
mod parser;
#[cfg(test)]
mod tests;
mod value;

use domain::{Entry, Severity, catalogue_entry};

use crate::{Context, Part};
use judge::{Judge, Seen};
pub(crate) use lexer::unescape;
pub(crate) use value::slice;

catalogue_entry! {
    /// A template reaches out of its sandbox.
    ///
    /// ## What it is
    /// A chat template is a small program that every conversation runs through. This one looks up attributes that
    /// lead from a harmless object to Python itself (`__class__`, `__globals__`, `func_globals`), whether written
    /// out, put together from pieces, escaped, reversed, encoded, or given to a filter; or it calls `eval`, `open`,
    /// `popen` or a module.
    ///
    /// ## Why it matters in care
    /// Where the program that loads the model renders templates without a sandbox, or with an old one
    /// (CVE-2024-34359), the first question put to the model runs the attacker's code beside patient data.
    ///
    /// ## Limits
    /// Texts are followed through constants, variables, loops over known lists, macros and the common filters. A
    /// name that is made from what the user types is reported as computed, without saying which. A variable with the
    /// name of a module (`os`, `http`) that the caller really passes in is reported although harmless.
    ///
    /// ## References
    /// CWE-1336 Improper Neutralization of Special Elements Used in a Template Engine; CVE-2024-34359; Jinja sandbox.
    pub static ESCAPES = {
        id: "S100", name: "template-leaves-sandbox", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "CWE-1336", "CWE-94"],
    };
}

catalogue_entry! {
    /// A template is made to hang or to fill the memory.
    ///
    /// ## What it is
    /// Ranges of more than a million, nested ranges of more than ten million rounds together, texts repeated or
    /// widened to more than ten million characters, texts that double in a loop, huge powers, a macro that calls itself.
    ///
    /// ## Why it matters in care
    /// The first conversation stops the service for everybody who waits for it.
    ///
    /// ## Limits
    /// Sizes that come from the conversation are not known. The bounds are far above what real templates do.
    ///
    /// ## References
    /// CWE-400 Uncontrolled Resource Consumption; CWE-674 Uncontrolled Recursion.
    pub static EXHAUSTS = {
        id: "S101", name: "template-exhausts", kind: Rule, since: "0.1.0",
        maps: ["AML.T0029", "CWE-400", "CWE-674"],
    };
}

catalogue_entry! {
    /// A template changes what is said, in secret or only for some conversations.
    ///
    /// ## What it is
    /// Text that is written only when the conversation contains certain ordinary words, only from a date on, or only
    /// after a marker and then an instruction; words of the user that are exchanged for others; what the user wrote
    /// sent along in an address; an instruction to ignore earlier ones or to hide something from the user.
    ///
    /// ## Why it matters in care
    /// The weights are untouched, every check of them passes, and still the model recommends ten times the dose when
    /// the question is about a dose.
    ///
    /// ## Limits
    /// Only conditions on the conversation's text or the date are seen, not those on names the caller passes in. Text
    /// of fewer than three words counts as a marker. A template that really greets by the time of day is reported.
    ///
    /// ## References
    /// CWE-506 Embedded Malicious Code; CWE-511 Logic/Time Bomb; OWASP LLM01:2025 Prompt Injection.
    pub static BACKDOOR = {
        id: "S102", name: "template-conditional-text", kind: Rule, since: "0.1.0",
        maps: ["AML.T0051", "AML.T0010.003", "CWE-506", "CWE-511"],
    };
}

catalogue_entry! {
    /// A template holds characters that a reader does not see.
    ///
    /// ## What it is
    /// Tag characters, runs of characters without width, or characters that turn the direction of writing, in the
    /// text of a template.
    ///
    /// ## Why it matters in care
    /// The model reads them, the person who reviews the template does not: instructions can hide in them.
    ///
    /// ## Limits
    /// Joiners inside emoji and Indic words are left alone; so are fewer than four characters without width in a row.
    ///
    /// ## References
    /// CWE-1007 Insufficient Visual Distinction; CVE-2021-42574.
    pub static HIDDEN = {
        id: "S103", name: "template-hidden-characters", kind: Rule, since: "0.1.0",
        maps: ["AML.T0051", "CWE-1007"],
    };
}

/// Entries of this file.
pub(crate) const ENTRIES: &[&Entry] = &[&ESCAPES, &EXHAUSTS, &BACKDOOR, &HIDDEN];

/// Whether a text has anything of a template in it.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") && text.contains("}}") || text.contains("{%") && text.contains("%}")
}

/// Judges a template that a program is known to render. What cannot be parsed is `unread`.
pub(crate) fn judge(source: &str, part: &mut Part, cx: &mut Context<'_>) {
    if let Err(reason) = look(source, part, cx) {
        cx.unread(part, None, format!("the chat template cannot be read: {reason}"));
    }
}

/// Judges a text that may be a template. What cannot be parsed as one is another language's.
pub(crate) fn judge_maybe(source: &str, part: &mut Part, cx: &mut Context<'_>) {
    if is_template(source) {
        look(source, part, cx).ok();
    }
}

fn look(source: &str, part: &mut Part, cx: &mut Context<'_>) -> Result<(), String> {
    if let Some(what) = names::invisible(source) {
        let message = format!("the template holds {what}");
        cx.find(
            part,
            &HIDDEN,
            Severity::Medium,
            None,
            message,
            "do not use the template before somebody has read it with these characters shown",
        );
    }
    let nodes = match parser::parse(source) {
        Ok(nodes) => nodes,
        Err(reason) => return broken(source, part, cx).then_some(()).ok_or(reason),
    };
    let mut judge = Judge::new();
    judge.walk(&nodes);
    let (spent, steps) = (judge.spent(), judge.steps);
    let found = std::mem::take(&mut judge.found);
    if let Err(e) = cx.step(steps) {
        return Err(e.to_string());
    }
    for (seen, at, what) in found {
        report(source, part, cx, seen, at, &what);
    }
    if spent { Err("it takes too many steps to follow".to_owned()) } else { Ok(()) }
}

fn report(source: &str, part: &mut Part, cx: &mut Context<'_>, seen: Seen, at: usize, what: &str) {
    let (entry, severity, remedy) = match seen {
        Seen::Escape => (
            &ESCAPES,
            Severity::Critical,
            "do not load the model; ask the sender for one whose template only formats messages",
        ),
        Seen::Exhausts => {
            (&EXHAUSTS, Severity::High, "do not load the model; its template is made to stop the service")
        }
        Seen::Backdoor => (
            &BACKDOOR,
            Severity::High,
            "do not use the model; replace the template by the one its developer publishes",
        ),
    };
    let message = format!("the template {what}; in `{}`", excerpt(source, at));
    cx.find(part, entry, severity, Some(at as u64), message, remedy);
}

/// A tag of the template on one line.
fn excerpt(source: &str, at: usize) -> String {
    let from = source.get(at..).unwrap_or_default();
    let end = from.find("}}").or_else(|| from.find("%}")).map_or(from.len(), |e| e + 2);
    judge::shorten(from.get(..end).unwrap_or_default())
}

/// A template that does not parse may still be rendered by a laxer program: names that leave a sandbox count.
fn broken(source: &str, part: &mut Part, cx: &mut Context<'_>) -> bool {
    const NAMES: [&str; 12] = [
        "__class__",
        "__globals__",
        "__subclasses__",
        "__builtins__",
        "__import__",
        "__mro__",
        "__bases__",
        "__base__",
        "__getattribute__",
        "__init__",
        "func_globals",
        "gi_frame",
    ];
    let text = lexer::unescape(source);
    let Some(name) = NAMES.iter().find(|n| text.contains(**n)) else { return false };
    let open = text.find("{{").or_else(|| text.find("{%"));
    if open.is_none_or(|open| text.find(name).is_some_and(|at| at < open)) {
        return false;
    }
    report(source, part, cx, Seen::Escape, 0, &format!("is broken and reaches for `{name}`"));
    true
}
