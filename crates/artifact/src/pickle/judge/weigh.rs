//! Weighs one call by what is known of the callee: where it stands, what its name says, what it is given.

use domain::Severity;

use super::super::fold;
use super::super::heap::{Global, Heap, Kind, Val, View};
use super::super::know::{
    self, Basis, Effect, canonical, names_agent, names_choice, names_container, strong_words,
};
use super::super::{looks, rules};
use super::{Call, Judge, of_effect, severity};
use crate::Source;

impl Judge {
    /// A call of something that executes, reads, writes, connects, imports or deserialises.
    pub(super) fn dangerous(
        &mut self,
        heap: &Heap,
        source: &dyn Source,
        call: &Call,
        global: &Global,
        subject: u64,
    ) -> bool {
        let known = global.known;
        // Where the table does not name it, making an object without its constructor is ordinary. Hints are words
        // that enumerations and models have too: then what the constructor is given decides.
        let files = matches!(known.effect, Effect::Reads | Effect::Writes | Effect::Deserialises);
        let doubtful = known.class_like
            && match known.basis {
                Basis::Hints => true,
                Basis::Family => {
                    (known.science || files)
                        && strong_words(name_of(global)).is_none()
                        && !names_agent(name_of(global))
                }
                Basis::Words => known.science,
                _ => false,
            };
        let speaks = if known.science && (known.basis, known.effect) != (Basis::Family, Effect::Executes) {
            looks::suspicious(heap, source, call.args, 3).is_some()
        } else {
            looks::constructs(heap, source, call.args, known.effect) || looks::only_text(heap, call.args, 3)
        };
        let ordinary = known.class_like
            && !known.standard
            && matches!(known.basis, Basis::Hints | Basis::Words)
            && looks::ordinary(heap, source, call.args)
            && ((call.args != Val::EMPTY_TUPLE && names_choice(name_of(global)))
                || (call.args == Val::EMPTY_TUPLE && names_container(name_of(global))));
        if (call.new && known.basis != Basis::Table) || (doubtful && !speaks) || ordinary {
            return true;
        }
        // What opens a path opens it on another machine when the path is an address there.
        let effect = match known.effect {
            Effect::Reads | Effect::Writes if looks::elsewhere(heap, source, call.args) => Effect::Network,
            effect => effect,
        };
        let (rule, what) = of_effect(effect);
        let severity = if call.new { Severity::Medium } else { severity(effect) };
        let message = || format!("the pickle {what} when it is loaded: `{}`", call.show(heap, source));
        self.see_once(subject, rule, severity, call.at, message);
        true
    }

    /// `getattr` and its like: harmless on a class with a plain name, which is how enumerations and methods are written.
    pub(super) fn reaches(
        &mut self,
        heap: &Heap,
        source: &dyn Source,
        call: &Call,
        global: &Global,
        subject: u64,
    ) -> bool {
        let (_, name) = canonical(&global.module, &global.name);
        let plain = match (name, heap.items(call.args)) {
            ("getattr" | "hasattr", Some([object, attribute] | [object, attribute, _])) => {
                let attribute = fold::text(heap, source, *attribute);
                let plain = |a: &str| !a.starts_with("__") || matches!(a, "__name__" | "__new__");
                let plain = attribute.as_deref().is_some_and(plain);
                let module = matches!(heap.view(*object), View::Global(g) if g.name.is_empty());
                let of_instance =
                    attribute.as_deref().is_some_and(|a| is_instance(heap, *object) && !reaches_on(a));
                (plain && !module) || of_instance
            }
            // `typing.List[int]`
            ("getitem" | "__getitem__", Some([object, key])) => {
                let class = matches!(heap.view(*object), View::Global(g) if !g.known.effect.dangerous() && !g.name.contains("__"));
                let typing = matches!(heap.view(*object), View::Global(g) if g.module.starts_with("typing") && know::class_like(&g.name));
                class
                    && (fold::text(heap, source, *key).is_none()
                        || (typing && looks::suspicious(heap, source, call.args, 1).is_none()))
            }
            _ => false,
        };
        if !plain {
            let message =
                || format!("the pickle looks up by name when it is loaded: `{}`", call.show(heap, source));
            self.see_once(subject, &rules::REACHES_NAMES, Severity::High, call.at, message);
        }
        true
    }

    /// Something whose effect is not known: judged by what it is, where it stands, and what it is given.
    pub(super) fn unknown(
        &mut self,
        heap: &Heap,
        source: &dyn Source,
        call: &Call,
        global: &Global,
        subject: u64,
    ) {
        let known = global.known;
        if call.new {
            return;
        }
        let reason = if !known.class_like {
            "a function that no pickler is known to write"
        } else if known.standard {
            "a class of the standard library that no model is known to need"
        } else if let Some(reason) = looks::suspicious(heap, source, call.args, 3) {
            reason
        } else if known.science && looks::names_hub_model(heap, source, call.args) {
            "a class that is given the name of a model on a hub"
        } else if looks::ordinary(heap, source, call.args)
            && (call.args == Val::EMPTY_TUPLE || !know::begins_with_verb(name_of(global)))
        {
            return;
        } else if !known.science && looks::only_text(heap, call.args, 3) {
            "a class of an unknown package that is given nothing of what a model holds"
        } else {
            return;
        };
        let message =
            || format!("the pickle calls `{}` when it is loaded: {reason}", call.show(heap, source));
        self.see_once(subject, &rules::CALLS_UNKNOWN, Severity::High, call.at, message);
    }

    /// Something of a package that is harmless as a whole, given what nothing harmless needs: a path, an address, a
    /// command, code.
    pub(super) fn vouched(
        &mut self,
        heap: &Heap,
        source: &dyn Source,
        call: &Call,
        global: &Global,
        subject: u64,
    ) {
        if call.new || !matches!(global.known.basis, Basis::Family | Basis::Words) || is_exception(global) {
            return;
        }
        // What rebuilds is given paths too, beside what it rebuilds.
        if global.known.effect == Effect::Rebuilds && !looks::only_text(heap, call.args, 2) {
            return;
        }
        if let Some(reason) = looks::suspicious(heap, source, call.args, 3) {
            let message =
                || format!("the pickle calls `{}` when it is loaded: {reason}", call.show(heap, source));
            self.see_once(subject, &rules::CALLS_UNKNOWN, Severity::High, call.at, message);
        }
    }
}

/// The name, as Python 3 has it.
fn name_of(global: &Global) -> &str {
    canonical(&global.module, &global.name).1
}

fn is_exception(global: &Global) -> bool {
    ["Error", "Exception", "Warning"].iter().any(|end| global.name.ends_with(end))
}

/// Whether a value is an object that the pickle makes of a class that is neither dangerous nor of the interpreter.
fn is_instance(heap: &Heap, value: Val) -> bool {
    let View::Node(node) = heap.view(value) else { return false };
    matches!(node.kind, Kind::New | Kind::Call)
        && matches!(heap.view(node.head), View::Global(class)
            if class.known.class_like && !class.known.effect.dangerous() && !class.name.contains('.')
                && canonical(&class.module, "").0 != "builtins")
}

/// Special methods of an instance that only do what its class does; all others reach further.
fn reaches_on(attribute: &str) -> bool {
    const OWN: [&str; 16] = [
        "__call__",
        "__len__",
        "__iter__",
        "__next__",
        "__getitem__",
        "__contains__",
        "__eq__",
        "__lt__",
        "__le__",
        "__hash__",
        "__add__",
        "__sub__",
        "__mul__",
        "__matmul__",
        "__enter__",
        "__exit__",
    ];
    attribute.contains('.') || (attribute.starts_with("__") && !OWN.contains(&attribute))
}
