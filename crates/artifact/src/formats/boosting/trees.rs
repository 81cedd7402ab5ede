//! What JSON and UBJSON models have in common: keys, values, trees.

use super::flaw;
use crate::{Context, Part, payload};

/// One event of either encoding.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Event {
    /// An object or array begins (`true` for an object).
    Open(bool),
    /// It ends.
    Close,
    /// A member's name; `true` when it was there before.
    Key(String, bool),
    /// A text.
    Text(String),
    /// A number; `None` when it is no whole number.
    Number(Option<i64>),
    /// `true`, `false`, `null`.
    Other,
}

/// Nodes of one tree.
const NODES_MAX: usize = 4 << 20;
/// Lists of a tree that are compared.
const LISTS: &[&str] = &[
    "left_children",
    "right_children",
    "parents",
    "split_indices",
    "split_conditions",
    "base_weights",
    "default_left",
    "sum_hessian",
    "loss_changes",
    "split_type",
];

/// Follows the events of a model.
#[derive(Default)]
pub(super) struct Model {
    /// Keys around the present value; empty for elements of arrays.
    path: Vec<String>,
    key: String,
    /// Lists of the present tree: name, numbers (only of those that point), length.
    lists: Vec<(String, Vec<i64>, usize)>,
    nodes: Option<i64>,
    /// Trees seen.
    pub(super) trees: u64,
    /// Nodes of all trees.
    pub(super) all_nodes: u64,
}

impl Model {
    /// Takes one event.
    pub(super) fn event(&mut self, event: Event, at: u64, part: &mut Part, cx: &mut Context<'_>) {
        match event {
            Event::Open(object) => {
                let key = std::mem::take(&mut self.key);
                if !object && LISTS.contains(&key.as_str()) && self.lists.len() < LISTS.len() * 2 {
                    self.lists.push((key.clone(), Vec::new(), 0));
                }
                self.path.push(key);
            }
            Event::Close => {
                self.path.pop();
                if self.path.last().is_some_and(|k| k == "trees") {
                    self.tree(at, part, cx);
                }
            }
            Event::Key(key, twice) => {
                if twice {
                    flaw(part, cx, at, format!("the key `{key}` is there twice"));
                }
                self.key = key;
            }
            Event::Text(text) => self.text(&text, at, part, cx),
            Event::Number(n) => {
                let inside = self.path.last().is_some_and(|k| LISTS.contains(&k.as_str()));
                if inside && let Some((name, numbers, length)) = self.lists.last_mut() {
                    *length += 1;
                    if matches!(name.as_str(), "left_children" | "right_children" | "split_indices")
                        && numbers.len() < NODES_MAX
                    {
                        numbers.push(n.unwrap_or(i64::MIN));
                    }
                } else if self.key == "num_nodes" {
                    self.nodes = n;
                }
            }
            Event::Other => {
                if let Some((_, _, length)) = self
                    .lists
                    .last_mut()
                    .filter(|_| self.path.last().is_some_and(|k| LISTS.contains(&k.as_str())))
                {
                    *length += 1;
                }
            }
        }
    }

    fn text(&mut self, text: &str, at: u64, part: &mut Part, cx: &mut Context<'_>) {
        let facts = &mut part.facts;
        let key = self.key.as_str();
        match (key, self.path.last().map(String::as_str)) {
            ("num_nodes", _) => self.nodes = text.parse().ok(),
            ("name", Some("objective")) => facts.architecture = Some(format!("boosted trees ({text})")),
            ("num_feature" | "num_class" | "base_score" | "num_trees" | "booster", _) => {
                facts.note(key, text)
            }
            _ => {}
        }
        payload::text(text, &format!("`{key}`"), Some(at), part, cx);
    }

    /// A tree has ended.
    fn tree(&mut self, at: u64, part: &mut Part, cx: &mut Context<'_>) {
        let lists = std::mem::take(&mut self.lists);
        let stated = self.nodes.take();
        let Some(length) = lists.iter().find(|l| l.0 == "left_children").map(|l| l.2) else { return };
        self.trees += 1;
        self.all_nodes += length as u64;
        let tree = self.trees;
        if stated.is_some_and(|n| usize::try_from(n) != Ok(length)) {
            flaw(
                part,
                cx,
                at,
                format!("tree {tree} states {} nodes and lists {length}", stated.unwrap_or(0)),
            );
        }
        for (name, numbers, count) in &lists {
            // `split_type` and statistics may be left empty.
            if *count != length && *count != 0 {
                flaw(part, cx, at, format!("`{name}` of tree {tree} has {count} values for {length} nodes"));
            }
            let bound = if name == "split_indices" {
                i64::from(u32::MAX)
            } else {
                i64::try_from(length).unwrap_or(i64::MAX)
            };
            let least = if name == "split_indices" { 0 } else { -1 };
            if let Some(wrong) = numbers.iter().find(|n| **n < least || **n >= bound) {
                flaw(part, cx, at, format!("`{name}` of tree {tree} points to {wrong}, outside of the tree"));
            }
        }
    }
}
