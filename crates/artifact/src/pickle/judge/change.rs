//! Changes to what was imported: state, items, methods that unpickling calls itself.

use domain::Severity;

use super::super::heap::{Heap, Kind, Node, Val, View};
use super::super::{bytes, rules, show};
use super::Judge;
use crate::Source;

impl Judge {
    /// `BUILD`: state given to an object.
    pub(in crate::pickle) fn built(
        &mut self,
        heap: &Heap,
        source: &dyn Source,
        object: Val,
        state: Val,
        at: u64,
    ) {
        if object.as_global().is_some() {
            let (shown, state) = (show::value(heap, source, object), show::value(heap, source, state));
            let message =
                format!("the pickle changes `{shown}` of the program that loads it: it gets {state}");
            self.see(&rules::CHANGES_IMPORTED, Severity::High, at, message);
            return;
        }
        for part in [Some(state), heap.items(state).and_then(|i| i.get(1)).copied()].into_iter().flatten() {
            if let View::Node(node @ Node { kind: Kind::Dict, .. }) = heap.view(part) {
                self.plants(heap, source, node, at);
            }
        }
    }

    /// State that has one of the methods which unpickling calls itself.
    fn plants(&mut self, heap: &Heap, source: &dyn Source, state: &Node, at: u64) {
        const METHODS: [&str; 7] =
            ["__setstate__", "__setitem__", "append", "extend", "add", "__new__", "__getinitargs__"];
        let (mut pairs, mut rest) = (Vec::new(), heap.kids(state));
        while let [key, value, after @ ..] = rest {
            pairs.push((*key, *value));
            rest = after;
        }
        for (key, value) in pairs {
            let callable = match heap.view(value) {
                View::Global(global) => !global.name.is_empty(),
                View::Node(node) => matches!(node.kind, Kind::Call | Kind::Attribute),
                _ => false,
            };
            if callable
                && let View::Text(at_key) = heap.view(key)
                && let Some(key) = bytes::text(source, at_key, 64)
                && METHODS.contains(&key.as_str())
            {
                let value = show::value(heap, source, value);
                let message = format!(
                    "the pickle gives an object the method `{key}`, which unpickling calls: `{value}`"
                );
                self.see(&rules::CHANGES_IMPORTED, Severity::High, at, message);
            }
        }
    }

    /// Items given to something that is no container of the pickle's own.
    pub(in crate::pickle) fn added(
        &mut self,
        heap: &Heap,
        source: &dyn Source,
        target: Val,
        items: &[Val],
        at: u64,
    ) {
        let changed = match heap.view(target) {
            View::Global(_) => true,
            View::Node(node) => match node.kind {
                Kind::Attribute => true,
                // `vars(module)`, `globals()`: the call was reported; that the result is changed is worth its own line.
                Kind::Call => node
                    .head
                    .as_global()
                    .and_then(|g| heap.globals.get(g))
                    .is_some_and(|g| g.known.effect.dangerous()),
                _ => false,
            },
            _ => false,
        };
        if changed {
            let items: Vec<String> = items.iter().take(4).map(|v| show::value(heap, source, *v)).collect();
            let target = show::value(heap, source, target);
            let message = format!(
                "the pickle changes `{target}` of the program that loads it: it gets {}",
                items.join(", ")
            );
            self.see(&rules::CHANGES_IMPORTED, Severity::High, at, message);
        }
    }
}
