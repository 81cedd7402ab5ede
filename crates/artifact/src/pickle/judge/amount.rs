//! Calls that make something as large as their arguments say, or that never end.

use domain::Severity;

use super::super::heap::{Heap, Kind, Node, Val, View};
use super::super::{bytes, rules};
use super::{AMOUNT_MAX, Call, Judge};
use crate::Source;

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
        const CONSUMERS: [&str; 12] = [
            "list",
            "tuple",
            "set",
            "frozenset",
            "sum",
            "dict",
            "bytes",
            "any",
            "all",
            "deque",
            "Counter",
            "array",
        ];
        if !CONSUMERS.contains(&name) {
            return;
        }
        let endless = |value: &Val| {
            let View::Node(node @ Node { kind: Kind::Call | Kind::New, .. }) = heap.view(*value) else {
                return false;
            };
            let View::Global(maker) = heap.view(node.head) else { return false };
            if !maker.module.starts_with("itertools") {
                return false;
            }
            match &*maker.name {
                "count" | "cycle" | "product" | "permutations" | "combinations_with_replacement" => true,
                "repeat" => node.total == 1,
                _ => false,
            }
        };
        if heap.items(call.args).is_some_and(|items| items.iter().any(endless)) {
            let message = || {
                format!("the pickle makes something endless when it is loaded: `{}`", call.show(heap, source))
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
        let number = |v: &Val| match heap.view(*v) {
            View::Int(int) => u128::from(int.unsigned_abs()),
            View::Long => u128::MAX,
            _ => 0,
        };
        let length = |v: &Val| match heap.view(*v) {
            View::Text(at) | View::Bytes(at) => {
                bytes::argument(source, at, 1).map_or(1, |(_, _, _, l)| u128::from(l))
            }
            View::Node(node) => u128::from(node.total),
            _ => number(v),
        };
        let last = name.trim_start_matches("i").rsplit('.').next().unwrap_or(name);
        let amount = match (last, items) {
            ("pow" | "power", [base, exponent, ..]) if number(base) > 1 => number(exponent),
            ("lshift", [_, by]) => number(by),
            ("mul" | "repeat" | "tile", [a, b]) => match (number(a), number(b)) {
                (0, n) => length(a).saturating_mul(n),
                (n, 0) => length(b).saturating_mul(n),
                _ => 0,
            },
            ("factorial" | "bytes" | "bytearray", [n, ..]) => number(n),
            ("comb" | "perm", _) => 0,
            // Lazy, but walked by whatever takes it.
            ("range", items) => items.iter().map(number).max().unwrap_or(0) / 64,
            ("arange" | "linspace" | "eye" | "identity", items) => {
                items.iter().map(number).max().unwrap_or(0)
            }
            (_, [shape, ..]) => match heap.items(*shape) {
                Some(sides) => sides.iter().map(number).fold(1, u128::saturating_mul),
                None => number(shape),
            },
            _ => 0,
        };
        if amount > AMOUNT_MAX {
            let message = || {
                format!("the pickle makes something huge when it is loaded: `{}`", call.show(heap, source))
            };
            self.see_once(subject, &rules::UNFOLDS_HUGE, Severity::High, call.at, message);
        }
    }
}
