//! The values of the machine: eight bytes each. Constants stay where they are in the file (the value is the position
//! of their opcode), so that a pickle of a gigabyte of numbers costs no memory; containers, calls and objects are
//! nodes in one arena, with at most [`KIDS_MAX`] of their items.

use std::collections::HashMap;

use super::know::{Effect, Known, know};

/// One value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Val(u64);

const TAG: u32 = 60;
const INT: u64 = 1 << TAG;
const FLOAT: u64 = 2 << TAG;
const TEXT: u64 = 3 << TAG;
const BYTES: u64 = 4 << TAG;
const LONG: u64 = 5 << TAG;
const GLOBAL: u64 = 6 << TAG;
const NODE: u64 = 7 << TAG;
const MADE: u64 = 8 << TAG;
const PAYLOAD: u64 = (1 << TAG) - 1;

/// What a value is.
#[derive(Clone, Copy)]
pub(super) enum View<'h> {
    None,
    Bool(bool),
    EmptyTuple,
    /// Not followed: an out-of-band buffer, an unregistered extension, too many nodes.
    Unseen,
    Int(i64),
    /// Position of the opcode.
    Float(u64),
    /// Position of the opcode.
    Text(u64),
    /// Position of the opcode.
    Bytes(u64),
    Long,
    Global(&'h Global),
    Node(&'h Node),
    /// Text or bytes that a call would make, folded.
    Made(&'h Made),
}

/// A folded constant.
#[derive(Debug, Clone)]
pub(super) enum Made {
    Text(String),
    Bytes(Vec<u8>),
}

impl Val {
    pub(super) const UNSEEN: Self = Self(0);
    pub(super) const NONE: Self = Self(1);
    pub(super) const TRUE: Self = Self(2);
    pub(super) const FALSE: Self = Self(3);
    pub(super) const EMPTY_TUPLE: Self = Self(4);
    /// No value: an empty slot of the memo, an object without state.
    pub(super) const ABSENT: Self = Self(5);

    #[inline]
    pub(super) const fn float(at: u64) -> Self {
        Self(FLOAT | (at & PAYLOAD))
    }

    #[inline]
    pub(super) const fn text(at: u64) -> Self {
        Self(TEXT | (at & PAYLOAD))
    }

    #[inline]
    pub(super) const fn bytes(at: u64) -> Self {
        Self(BYTES | (at & PAYLOAD))
    }

    #[inline]
    pub(super) const fn int(value: i64) -> Self {
        // Kept only when it survives being cut to 60 bits.
        if (value << 4) >> 4 == value { Self(INT | (value as u64 & PAYLOAD)) } else { Self(LONG) }
    }

    pub(super) const LONG: Self = Self(LONG);

    const fn global(index: u32) -> Self {
        Self(GLOBAL | index as u64)
    }

    const fn tag(self) -> u64 {
        self.0 & !PAYLOAD
    }

    const fn index(self) -> usize {
        (self.0 & PAYLOAD) as usize
    }

    /// Index of the global that it is.
    pub(super) fn as_global(self) -> Option<usize> {
        (self.tag() == GLOBAL).then_some(self.index())
    }

    /// Index of the node that it is.
    pub(super) fn as_node(self) -> Option<usize> {
        (self.tag() == NODE).then_some(self.index())
    }
}

/// Something imported.
#[derive(Debug, Clone)]
pub(super) struct Global {
    pub(super) module: Box<str>,
    /// May have dots.
    pub(super) name: Box<str>,
    /// Where it was imported first.
    pub(super) at: u64,
    pub(super) known: Known,
    /// Whether a finding names it already.
    pub(super) reported: bool,
    /// Whether the name was made by calls rather than written.
    pub(super) computed: bool,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tuple,
    List,
    /// Keys and values in turn.
    Dict,
    Set,
    FrozenSet,
    /// `head` called with the kids.
    Call,
    /// `head.__new__` called with the kids: no constructor runs.
    New,
    /// The loader resolves `head`.
    Persistent,
    /// An attribute of `head`; the one kid is its name.
    Attribute,
}

/// A container, call or object.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Something else holds it, so that it must stay when the stack lets go of it.
    kept: bool,
    /// Callee, class or id; `ABSENT` for containers.
    pub(super) head: Val,
    /// What `BUILD` gave it last.
    pub(super) state: Val,
    /// How many items it has in truth.
    pub(super) total: u32,
    first: u32,
    count: u32,
}

/// Most items kept of one container.
pub(super) const KIDS_MAX: usize = 64;
/// Most nodes; what is made after that is [`View::Unseen`].
pub(super) const NODES_MAX: usize = 1 << 19;
/// Most bytes of folded constants.
pub(super) const MADE_BYTES_MAX: usize = 4 << 20;
/// Most different globals; further ones are judged but not kept apart.
const GLOBALS_MAX: usize = 1 << 16;

/// All values but the constants.
#[derive(Default)]
pub(super) struct Heap {
    pub(super) nodes: Vec<Node>,
    kids: Vec<Val>,
    pub(super) globals: Vec<Global>,
    by_name: HashMap<String, u32>,
    /// Packages whose table is not used.
    pub(super) forget: Vec<String>,
    key: String,
    made: Vec<Made>,
    made_bytes: usize,
}

impl Heap {
    pub(super) fn view(&self, value: Val) -> View<'_> {
        let index = value.index();
        match value.tag() {
            0 => match value {
                Val::NONE => View::None,
                Val::TRUE => View::Bool(true),
                Val::FALSE => View::Bool(false),
                Val::EMPTY_TUPLE => View::EmptyTuple,
                _ => View::Unseen,
            },
            INT => View::Int(((value.0 << 4) as i64) >> 4),
            FLOAT => View::Float(value.0 & PAYLOAD),
            TEXT => View::Text(value.0 & PAYLOAD),
            BYTES => View::Bytes(value.0 & PAYLOAD),
            LONG => View::Long,
            GLOBAL => self.globals.get(index).map_or(View::Unseen, View::Global),
            NODE => self.nodes.get(index).map_or(View::Unseen, View::Node),
            _ => self.made.get(index).map_or(View::Unseen, View::Made),
        }
    }

    /// A new node; [`Val::UNSEEN`] when there are too many.
    #[inline]
    pub(super) fn node(&mut self, kind: Kind, head: Val, kids: &[Val]) -> Val {
        if self.nodes.len() >= NODES_MAX {
            return Val::UNSEEN;
        }
        self.keep(head);
        let (first, count) = (self.kids.len() as u32, kids.len().min(KIDS_MAX));
        for kid in kids.iter().take(KIDS_MAX) {
            self.keep(*kid);
            self.kids.push(*kid);
        }
        let total = u32::try_from(kids.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node {
            kind,
            kept: false,
            head,
            state: Val::ABSENT,
            total,
            first,
            count: count as u32,
        });
        Val(NODE | (self.nodes.len() as u64 - 1))
    }

    /// Adds items to a container.
    pub(super) fn extend(&mut self, container: usize, items: &[Val]) {
        let Some(node) = self.nodes.get_mut(container) else { return };
        node.total = node.total.saturating_add(u32::try_from(items.len()).unwrap_or(u32::MAX));
        let room = KIDS_MAX - (node.count as usize).min(KIDS_MAX);
        let items = &items[..items.len().min(room)];
        if items.is_empty() {
            return;
        }
        let (first, count) = (node.first as usize, node.count as usize);
        if first + count != self.kids.len() {
            node.first = self.kids.len() as u32;
            self.kids.extend_from_within(first..first + count);
        }
        node.count += items.len() as u32;
        for item in items {
            self.keep(*item);
        }
        self.kids.extend_from_slice(items);
    }

    /// The items that were kept.
    pub(super) fn kids(&self, node: &Node) -> &[Val] {
        let first = node.first as usize;
        self.kids.get(first..first + node.count as usize).unwrap_or_default()
    }

    /// Items of a tuple or list, when all of them were kept.
    pub(super) fn items(&self, value: Val) -> Option<&[Val]> {
        match self.view(value) {
            View::EmptyTuple => Some(&[]),
            View::Node(node @ Node { kind: Kind::Tuple | Kind::List, .. }) if node.total == node.count => {
                Some(self.kids(node))
            }
            _ => None,
        }
    }

    /// Notes that something holds the value.
    #[inline]
    pub(super) fn keep(&mut self, value: Val) {
        if value.tag() == NODE
            && let Some(node) = self.nodes.get_mut(value.index())
        {
            node.kept = true;
        }
    }

    /// Notes that the stack lets go of the value: the youngest node is forgotten when nothing holds it.
    #[inline]
    pub(super) fn release(&mut self, value: Val) {
        if value.tag() == NODE
            && value.index() + 1 == self.nodes.len()
            && let Some(node) = self.nodes.pop_if(|node| !node.kept)
            && (node.first + node.count) as usize == self.kids.len()
        {
            self.kids.truncate(node.first as usize);
        }
    }

    pub(super) fn set_state(&mut self, object: usize, state: Val) {
        self.keep(state);
        if let Some(node) = self.nodes.get_mut(object) {
            node.state = state;
        }
    }

    /// The global of that name, judged when it is met for the first time.
    pub(super) fn import(&mut self, module: &str, name: &str, at: u64, computed: bool) -> Val {
        self.key.clear();
        self.key.push_str(module);
        self.key.push('\n');
        self.key.push_str(name);
        if let Some(&index) = self.by_name.get(&self.key) {
            if let Some(global) = self.globals.get_mut(index as usize) {
                global.computed |= computed;
            }
            return Val::global(index);
        }
        if self.globals.len() >= GLOBALS_MAX {
            return Val::UNSEEN;
        }
        let known = know(module, name, &self.forget);
        let index = self.globals.len() as u32;
        let (module, name) = (module.into(), name.into());
        self.globals.push(Global { module, name, at, known, reported: false, computed });
        self.by_name.insert(self.key.clone(), index);
        Val::global(index)
    }

    /// A folded constant; [`Val::UNSEEN`] when there is too much of it.
    pub(super) fn make(&mut self, made: Made) -> Val {
        let length = match &made {
            Made::Text(text) => text.len(),
            Made::Bytes(bytes) => bytes.len(),
        };
        if self.made_bytes + length > MADE_BYTES_MAX || self.made.len() >= NODES_MAX {
            return Val::UNSEEN;
        }
        self.made_bytes += length;
        self.made.push(made);
        Val(MADE | (self.made.len() as u64 - 1))
    }
}

/// The memo: dense from 0 on as picklers write it, sparse for indexes that jump.
#[derive(Default)]
pub(super) struct Memo {
    dense: Vec<Val>,
    sparse: HashMap<u64, Val>,
    count: u64,
    /// Highest index that was written.
    pub(super) highest: u64,
}

/// How far a dense index may jump ahead.
const MEMO_GAP_MAX: u64 = 1024;

impl Memo {
    #[inline]
    pub(super) fn put(&mut self, index: u64, value: Val) {
        let length = self.dense.len() as u64;
        self.highest = self.highest.max(index);
        if index == length && self.sparse.is_empty() {
            self.dense.push(value);
            self.count += 1;
        } else if index < length {
            if let Some(slot) = self.dense.get_mut(index as usize) {
                self.count += u64::from(*slot == Val::ABSENT && !self.sparse.contains_key(&index));
                *slot = value;
            }
        } else if index - length < MEMO_GAP_MAX && self.sparse.is_empty() {
            self.dense.resize(index as usize, Val::ABSENT);
            self.dense.push(value);
            self.count += 1;
        } else {
            self.count += u64::from(self.sparse.insert(index, value).is_none());
        }
    }

    #[inline]
    pub(super) fn get(&self, index: u64) -> Option<Val> {
        match usize::try_from(index).ok().and_then(|i| self.dense.get(i)) {
            Some(value) if *value != Val::ABSENT => Some(*value),
            _ => self.sparse.get(&index).copied(),
        }
    }

    /// The index that `MEMOIZE` writes to: how many there are.
    pub(super) fn next(&self) -> u64 {
        self.count
    }
}

impl Heap {
    /// Whether a value seems to be a class: `OBJ` and `INST` without arguments make its object without the constructor,
    /// but call a function.
    pub(super) fn is_class(&self, value: Val) -> bool {
        match self.view(value) {
            View::Global(global) => {
                global.known.class_like || matches!(global.known.effect, Effect::Class | Effect::Opens)
            }
            _ => false,
        }
    }

    /// Index of the global that an object is made of: the class of an object, the callee of a call.
    pub(super) fn class(&self, value: Val) -> Option<usize> {
        let mut value = value;
        for _ in 0..4 {
            match self.view(value) {
                View::Global(_) => return value.as_global(),
                View::Node(node) => value = node.head,
                _ => return None,
            }
        }
        None
    }
}
