//! From what the machine saw to findings and facts.

use domain::Entry;

use super::heap::{Kind, Made, Val, View};
use super::machine::Machine;
use super::{bytes, hidden, rules};
use crate::source::Range;
use crate::{Context, Part};

/// Reports everything that was seen, and looks into constants.
pub(super) fn report(machine: &Machine<'_, '_>, part: &mut Part, cx: &mut Context<'_>) {
    for seen in &machine.judge.seen {
        cx.find(part, seen.rule, seen.severity, Some(seen.at), seen.message.clone(), remedy(seen.rule));
    }
    for (at, reason) in &machine.judge.unread {
        cx.unread(part, Some(*at), reason.clone());
    }
    for at in &machine.judge.carried {
        hidden::look_into(machine.source, *at, part, cx);
    }
    for at in &machine.judge.searched {
        hidden::look_through(machine.source, *at, part, cx);
    }
    for (index, value) in machine.judge.loaded.iter().enumerate() {
        let name = format!("storage {index}");
        match machine.heap.view(*value) {
            View::Bytes(at) => match bytes::argument(machine.source, at, 1) {
                Some((_, _, begin, length)) => {
                    cx.nested(part, &name, &Range::new(machine.source, begin, length))
                }
                None => cx.unread(part, Some(at), "a storage that is cut"),
            },
            View::Made(Made::Bytes(bytes)) => cx.nested(part, &name, bytes),
            _ => cx.unread(part, None, "a storage whose bytes are not in the file as they are"),
        }
    }
}

/// What to do about a finding of a rule.
fn remedy(rule: &Entry) -> &'static str {
    if rule.id == rules::UNFOLDS_HUGE.id {
        "Do not load the file: it would stop the service. Ask the sender for the model in a format without code."
    } else if rule.id == rules::CALLS_UNKNOWN.id {
        "Do not load the file before the sender has explained the call, or ask for a format without code (safetensors, ONNX)."
    } else {
        "Do not load the file. Ask the sender for the model in a format without code (safetensors, ONNX), and how this got in."
    }
}

/// What the pickle says about itself: the libraries it needs and the class of what it makes.
pub(super) fn facts(machine: &Machine<'_, '_>, part: &mut Part) {
    /// Libraries noted per part.
    const LIBRARIES_MAX: usize = 64;
    for global in &machine.heap.globals {
        let library = global.module.split('.').next().unwrap_or_default();
        let own = matches!(library, "__main__" | "__builtin__" | "builtins" | "copy_reg");
        if !own && !global.known.standard && part.facts.libraries.len() < LIBRARIES_MAX {
            part.facts.libraries.insert(library.to_owned());
        }
    }
    let Ok(top) = machine.top() else { return };
    if part.facts.architecture.is_none()
        && let View::Node(node) = machine.heap.view(top)
        && matches!(node.kind, Kind::New | Kind::Call)
        && let Some(class) = class(machine, node.head)
    {
        part.facts.architecture = Some(class);
    }
    part.facts.note("pickle-protocol", &machine.protocol.to_string());
}

fn class(machine: &Machine<'_, '_>, head: Val) -> Option<String> {
    let global = head.as_global().and_then(|g| machine.heap.globals.get(g))?;
    (!global.known.standard && global.known.class_like).then(|| global.name.to_string())
}
