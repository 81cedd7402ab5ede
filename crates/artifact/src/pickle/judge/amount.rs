//! Calls that make something as large as their arguments say, or that never end. Sizes are folded as logarithms, so
//! that a power of a power is a number like any other.

use domain::Severity;

use super::super::heap::{Heap, Kind, Node, Val, View};
use super::super::know::canonical;
use super::super::{bytes, fold, pattern, rules};
use super::{AMOUNT_MAX, Call, Judge};
use crate::Source;

/// Largest number that a call may make, in bits: a power of this size takes seconds.
const NUMBER_BITS_MAX: f64 = 16_777_216.0;
/// Calls inside calls that a size is folded through.
const LEVELS_MAX: u32 = 8;

impl Judge {
    /// Something that takes all items of an iterator which never ends, or almost.
    pub(super) fn consumes(
        &mut self,
        heap: &Heap,
        source: &dyn Source,
        call: &Call,
        name: &str,
        subject: u64,
    ) {
        const CONSUMERS: [&str; 23] = [
            "list",
            "tuple",
            "set",
            "frozenset",
            "sum",
            "dict",
            "bytes",
            "bytearray",
            "any",
            "all",
            "deque",
            "Counter",
            "OrderedDict",
            "array",
            "sorted",
            "min",
            "max",
            "reduce",
            "fromiter",
            "fsum",
            "prod",
            "join",
            "dict.fromkeys",
        ];
        let Some(items) = heap.items(call.args) else { return };
        let huge = match name {
            "int" | "round" | "Fraction" | "floor" | "ceil" | "trunc" => {
                items.iter().take(1).any(|v| log2(heap, source, *v, LEVELS_MAX) > NUMBER_BITS_MAX)
            }
            _ if CONSUMERS.contains(&name) => {
                let most = (AMOUNT_MAX as f64).log2();
                items.iter().any(|v| elements(heap, source, *v, LEVELS_MAX) > most)
            }
            _ => false,
        };
        if huge {
            let message = || {
                format!(
                    "the pickle makes something huge or endless when it is loaded: `{}`",
                    call.show(heap, source)
                )
            };
            self.see_once(subject, &rules::UNFOLDS_HUGE, Severity::High, call.at, message);
        }
    }

    /// A search for a pattern whose time grows exponentially with the text.
    pub(super) fn matches(
        &mut self,
        heap: &Heap,
        source: &dyn Source,
        call: &Call,
        name: &str,
        subject: u64,
    ) {
        let searching = matches!(
            name,
            "match" | "search" | "fullmatch" | "split" | "findall" | "finditer" | "sub" | "subn"
        );
        let first = heap.items(call.args).and_then(<[Val]>::first);
        if searching
            && let Some(first) = first
            && fold::text(heap, source, *first).is_some_and(|p| pattern::explodes(&p))
        {
            let message = || {
                format!(
                    "the pickle searches with a pattern that may never end when it is loaded: `{}`",
                    call.show(heap, source)
                )
            };
            self.see_once(subject, &rules::UNFOLDS_HUGE, Severity::High, call.at, message);
        }
    }

    /// A call that makes as much as it is told.
    pub(super) fn allocates(
        &mut self,
        heap: &Heap,
        source: &dyn Source,
        call: &Call,
        name: &str,
        subject: u64,
    ) {
        let Some(items) = heap.items(call.args) else { return };
        let last = name.trim_start_matches("i").rsplit('.').next().unwrap_or(name).trim_matches('_');
        let log = |v: &Val| log2(heap, source, *v, LEVELS_MAX);
        let most = (AMOUNT_MAX as f64).log2();
        let is_number = |v: &Val| !is_sequence(heap, *v);
        let huge = match (last, items) {
            ("pow" | "power" | "lshift" | "factorial" | "comb" | "perm", items) => {
                number(last, items, heap, source, LEVELS_MAX) > NUMBER_BITS_MAX
            }
            ("mul", [a, b]) if is_number(a) && is_number(b) => log(a) + log(b) > NUMBER_BITS_MAX,
            ("mul" | "repeat" | "tile", [a, b, ..]) => log(a) + log(b) > most,
            // Bytes of text are as long as the text.
            ("bytes" | "bytearray", [n, ..]) => is_number(n) && log(n) > most,
            // Lazy, but walked by whatever takes it.
            ("range", items) => items.iter().map(log).fold(0.0, f64::max) > most + 6.0,
            ("arange" | "linspace" | "eye" | "identity" | "logspace" | "geomspace" | "tri", items) => {
                items.iter().map(log).fold(0.0, f64::max) > most
            }
            // `torch.zeros(1000, 1000)` and `numpy.zeros((1000, 1000))`.
            (_, [shape, more @ ..]) => match heap.items(*shape) {
                Some(sides) => sides.iter().map(log).sum::<f64>() > most,
                None if more.iter().all(|v| matches!(heap.view(*v), View::Int(_))) => {
                    items.iter().map(log).sum::<f64>() > most
                }
                None => log(shape) > most,
            },
            _ => false,
        };
        if huge {
            let message = || {
                format!("the pickle makes something huge when it is loaded: `{}`", call.show(heap, source))
            };
            self.see_once(subject, &rules::UNFOLDS_HUGE, Severity::High, call.at, message);
        }
    }
}

fn is_sequence(heap: &Heap, value: Val) -> bool {
    match heap.view(value) {
        View::Text(_) | View::Bytes(_) | View::Made(_) => true,
        View::Node(node) if !matches!(node.kind, Kind::Call | Kind::New) => true,
        View::Node(_) => callee(heap, value).is_some_and(|(_, name, _, _)| {
            matches!(
                name,
                "array"
                    | "deque"
                    | "list"
                    | "tuple"
                    | "bytes"
                    | "bytearray"
                    | "str"
                    | "UserList"
                    | "UserString"
                    | "chr"
                    | "UserDict"
            )
        }),
        _ => false,
    }
}

/// What a node calls, and with what.
fn callee(heap: &Heap, value: Val) -> Option<(&str, &str, &[Val], &Node)> {
    let View::Node(node @ Node { kind: Kind::Call | Kind::New, .. }) = heap.view(value) else { return None };
    let View::Global(maker) = heap.view(node.head) else { return None };
    let (module, name) = canonical(&maker.module, &maker.name);
    Some((module, name, heap.kids(node), node))
}

/// Bits of the number that an arithmetic function makes.
fn number(name: &str, items: &[Val], heap: &Heap, source: &dyn Source, levels: u32) -> f64 {
    let log = |v: &Val| log2(heap, source, *v, levels);
    let value = |v: &Val| log(v).exp2();
    match (name, items) {
        // With a modulus the result stays below it.
        ("pow" | "power", [base, exponent] | [base, exponent, Val::NONE]) => {
            let small = matches!(heap.view(*base), View::Int(-1..=1) | View::Float(_));
            if small { 0.0 } else { log(base).max(1.0) * value(exponent) }
        }
        ("lshift", [base, by]) => log(base) + value(by),
        ("factorial", [n]) => value(n) * log(n),
        ("perm", [n, k]) => value(n).min(value(k)) * log(n),
        ("perm", [n]) => value(n) * log(n),
        ("comb", [n, k]) => {
            let chosen = value(k).min((value(n) - value(k)).abs());
            if chosen < 1.0 { 0.0 } else { chosen * (log(n) - chosen.log2() + 1.44) }
        }
        _ => 0.0,
    }
}

/// Logarithm of a number, or of the length of a sequence; 0 where it cannot be told.
fn log2(heap: &Heap, source: &dyn Source, value: Val, levels: u32) -> f64 {
    let of = |n: u64| (n.max(1) as f64).log2();
    match heap.view(value) {
        View::Int(int) => of(int.unsigned_abs()),
        View::Long => 64.0,
        View::Text(at) | View::Bytes(at) => bytes::argument(source, at, 1).map_or(0.0, |(_, _, _, l)| of(l)),
        View::Node(node @ Node { kind: Kind::Call | Kind::New, .. }) if levels > 0 => {
            let Some((_, name, kids, _)) = callee(heap, value) else { return 0.0 };
            let last = name.rsplit('.').next().unwrap_or(name).trim_matches('_');
            let last = if last.starts_with("i") && last != "int" { &last[1..] } else { last };
            let log = |v: &Val| log2(heap, source, *v, levels - 1);
            match (last, kids) {
                ("pow" | "power" | "lshift" | "factorial" | "comb" | "perm", kids) => {
                    number(last, kids, heap, source, levels - 1)
                }
                ("mul" | "repeat", [a, b]) => log(a) + log(b),
                ("add" | "concat" | "or_" | "xor", [a, b]) => log(a).max(log(b)) + 1.0,
                ("int" | "Fraction" | "Decimal", [text, ..]) => match fold::text(heap, source, *text) {
                    Some(text) => decimal(&text),
                    None => log(text),
                },
                ("neg" | "abs" | "pos" | "round" | "index" | "bytes" | "bytearray", [one, ..]) => log(one),
                _ => of(u64::from(node.total)),
            }
        }
        View::Node(node) => of(u64::from(node.total)),
        _ => 0.0,
    }
}

/// Logarithm of a number written in decimal, `12.5`, `7/3` or `1E+999`.
fn decimal(text: &str) -> f64 {
    let mantissa = text.split(['e', 'E', '/']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let exponent =
        text.split_once(['e', 'E']).and_then(|(_, e)| e.trim_start_matches('+').parse::<f64>().ok());
    (digits as f64 + exponent.unwrap_or(0.0).max(0.0)) * std::f64::consts::LOG2_10
}

/// Logarithm of how many items an iterator gives; infinite where it never ends.
fn elements(heap: &Heap, source: &dyn Source, value: Val, levels: u32) -> f64 {
    let Some((module, name, kids, node)) = callee(heap, value).filter(|_| levels > 0) else { return 0.0 };
    let below = || kids.iter().map(|v| elements(heap, source, *v, levels - 1));
    let log = |v: &Val| log2(heap, source, *v, LEVELS_MAX);
    match (module, name) {
        ("itertools", "count" | "cycle" | "product" | "permutations" | "combinations_with_replacement") => {
            f64::INFINITY
        }
        ("itertools", "repeat") if node.total == 1 => f64::INFINITY,
        ("itertools", "repeat") => kids.get(1).map_or(0.0, log),
        ("itertools", "islice") => {
            let stop = if kids.len() > 2 { kids.get(2) } else { kids.get(1) };
            let limit = if stop == Some(&Val::NONE) { f64::INFINITY } else { stop.map_or(0.0, log) };
            limit.min(below().fold(0.0, f64::max))
        }
        ("builtins", "range" | "xrange") => kids.iter().map(log).fold(0.0, f64::max),
        // As many as the shortest gives.
        ("builtins", "zip" | "map") | ("itertools", "izip" | "imap" | "starmap") => {
            let callable = usize::from(name != "zip" && name != "izip");
            if kids.len() <= callable { 0.0 } else { below().skip(callable).fold(f64::INFINITY, f64::min) }
        }
        ("builtins", "enumerate" | "filter" | "iter" | "reversed") | ("itertools", _) => {
            below().fold(0.0, f64::max)
        }
        _ => 0.0,
    }
}
