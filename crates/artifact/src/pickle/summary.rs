//! A bounded, owned copy of a value for the readers of other formats.

use super::heap::{Heap, Kind, Made, Node, Val, View};
use super::value::{DEPTH_MAX, VALUES_MAX, Value};
use super::{bytes, literal};
use crate::Source;

/// Longest text copied, bytes.
const TEXT_MAX: u64 = 4096;

/// The tree below `value`.
pub(super) fn summary(heap: &Heap, source: &dyn Source, value: Val) -> Value {
    let mut left = VALUES_MAX;
    tree(heap, source, value, DEPTH_MAX, &mut left)
}

fn tree(heap: &Heap, source: &dyn Source, value: Val, depth: usize, left: &mut usize) -> Value {
    if depth == 0 || *left == 0 {
        return Value::Unseen;
    }
    *left -= 1;
    match heap.view(value) {
        View::None => Value::None,
        View::Bool(bool) => Value::Bool(bool),
        View::EmptyTuple => Value::Tuple(Vec::new()),
        View::Unseen => Value::Unseen,
        View::Int(int) => Value::Int(int),
        View::Float(at) => float(source, at).map_or(Value::Unseen, Value::Float),
        View::Text(at) => bytes::text(source, at, TEXT_MAX).map_or(Value::Unseen, Value::Text),
        View::Bytes(at) => bytes::argument(source, at, 1)
            .map_or(Value::Unseen, |(_, _, at, length)| Value::Bytes { at, length }),
        View::Long => Value::Long,
        View::Global(global) => Value::Global((&*global.module).into(), (&*global.name).into()),
        View::Made(Made::Text(text)) => Value::Text(text.chars().take(TEXT_MAX as usize).collect()),
        View::Made(Made::Bytes(_)) => Value::Unseen,
        View::Node(node) => of_node(heap, source, node, depth, left),
    }
}

fn of_node(heap: &Heap, source: &dyn Source, node: &Node, depth: usize, left: &mut usize) -> Value {
    let mut kids: Vec<Value> =
        heap.kids(node).iter().map(|kid| tree(heap, source, *kid, depth - 1, left)).collect();
    let head =
        if node.head == Val::ABSENT { Value::Unseen } else { tree(heap, source, node.head, depth - 1, left) };
    let made = match node.kind {
        Kind::Tuple => Value::Tuple(kids),
        Kind::List => Value::List(kids),
        Kind::Set | Kind::FrozenSet => Value::Set(kids),
        Kind::Dict => {
            let mut pairs = Vec::with_capacity(kids.len() / 2);
            let mut kids = kids.drain(..);
            while let (Some(key), Some(value)) = (kids.next(), kids.next()) {
                pairs.push((key, value));
            }
            Value::Dict(pairs)
        }
        Kind::Call => Value::Call(Box::new(head), kids),
        Kind::New => Value::Object(Box::new(head), kids),
        Kind::Persistent => Value::Persistent(Box::new(head)),
        Kind::Attribute => Value::Unseen,
    };
    if node.state == Val::ABSENT {
        made
    } else {
        Value::Built(Box::new(made), Box::new(tree(heap, source, node.state, depth - 1, left)))
    }
}

/// The float of the `FLOAT` or `BINFLOAT` opcode at `at`.
pub(super) fn float(source: &dyn Source, at: u64) -> Option<f64> {
    let op = *source.bytes(at, 1, 1).ok()?.first()?;
    if op == b'G' {
        let eight = source.bytes(at + 1, 8, 8).ok()?;
        return Some(f64::from_be_bytes(eight.first_chunk().copied()?));
    }
    let (_, line, _, _) = bytes::argument(source, at, 64)?;
    std::str::from_utf8(literal::line(&line)).ok()?.trim().parse().ok()
}
