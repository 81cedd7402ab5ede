//! How large the whole would be if every shared part were written out, and how deep it nests.

use super::heap::{Heap, Val};

/// The size of what a pickle makes.
pub(super) struct Size {
    /// Values, shared ones counted as often as they are reached.
    unfolded: f64,
    /// Nodes there are.
    nodes: usize,
    /// Levels of containers.
    depth: u32,
}

/// Values that are reached, above which a file may be a bomb. Real models share little: a factor below 10.
const UNFOLDED_MAX: f64 = 1e7;
/// Values reached for each that is there, above which it is one.
const RATIO_MAX: f64 = 1000.0;
/// Levels of nesting. Python's own pickler stops below 1000 (C: a few thousand), and what is nested deeper than the
/// stack crashes the interpreter that walks it.
pub(super) const DEPTH_MAX: u32 = 5000;

impl Size {
    /// What is wrong with it, in a pickle of `bytes` bytes.
    pub(super) fn too_much(&self, bytes: u64) -> Option<String> {
        if self.depth > DEPTH_MAX {
            return Some(format!(
                "containers are nested {} deep; a loader that walks them runs out of stack",
                self.depth
            ));
        }
        if self.unfolded > UNFOLDED_MAX && self.unfolded > RATIO_MAX * self.nodes as f64 {
            return Some(format!(
                "{bytes} bytes hold {:.0e} values when what is shared is written out",
                self.unfolded
            ));
        }
        None
    }
}

/// Measures all nodes: each once, without recursion.
pub(super) fn measure(heap: &Heap) -> Size {
    const UNDONE: f64 = 0.0;
    let mut unfolded = vec![UNDONE; heap.nodes.len()];
    let mut depth = vec![0u32; heap.nodes.len()];
    let mut open = vec![false; heap.nodes.len()];
    let mut stack: Vec<usize> = Vec::new();
    let mut most = Size { unfolded: 0.0, nodes: heap.nodes.len(), depth: 0 };
    for root in 0..heap.nodes.len() {
        stack.push(root);
        while let Some(&index) = stack.last() {
            if unfolded[index] != UNDONE {
                stack.pop();
                continue;
            }
            let Some(node) = heap.nodes.get(index) else { break };
            let parts =
                || heap.kids(node).iter().copied().chain([node.head, node.state]).filter_map(Val::as_node);
            if !open[index] {
                open[index] = true;
                // What is open already is a cycle, which counts once.
                stack.extend(
                    parts().filter(|k| unfolded.get(*k) == Some(&UNDONE) && open.get(*k) == Some(&false)),
                );
                continue;
            }
            let inside: f64 = parts().filter_map(|k| unfolded.get(k)).sum();
            let deepest = parts().filter_map(|k| depth.get(k)).max().copied().unwrap_or(0);
            unfolded[index] = 1.0 + f64::from(node.total) + inside;
            depth[index] = deepest.saturating_add(1);
            most.unfolded = most.unfolded.max(unfolded[index]);
            most.depth = most.depth.max(depth[index]);
            stack.pop();
        }
    }
    most
}
