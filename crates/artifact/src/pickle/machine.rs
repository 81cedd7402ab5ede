//! The symbolic machine: runs the opcodes of one stream on values that are not made, and tells the judge what would
//! be imported, called, built and changed. Follows C's `_pickle` and Python's `pickle` where they differ: a step that
//! either of them would take is taken.

mod rare;

use std::collections::HashMap;

use super::bytes::{LINE_MAX, Window};
use super::fold::{self, Folded};
use super::heap::{Heap, Kind, Memo, Val, View};
use super::judge::Judge;
use super::literal;
use super::opcode::{self, Length};
use super::{Watch, summary};
use crate::context::Spent;
use crate::{Context, ReadError, Source};

/// Why a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// `STOP`, with a value.
    Stop,
    /// An opcode that cannot be followed.
    Broken(String),
    /// The bytes end before `STOP`.
    Truncated,
    /// The scan may do no more.
    Spent(Spent),
}

/// Why the machine left a stretch of bytes.
enum Pause {
    /// The opcode at the position needs this many bytes.
    More(u64, u64),
    /// Goes on somewhere else.
    Jump(u64),
    /// The stream ends; position after what was understood.
    End(u64, End),
}

/// Steps between two questions whether more are allowed.
const STEPS: u64 = 1 << 16;
/// Most values on the stack.
const STACK_MAX: usize = 1 << 23;
/// Most bytes of a name.
pub(super) const NAME_MAX: u64 = 4096;
/// A memo index that no pickler writes, unless the file has as many opcodes: makes C's unpickler allocate for it.
const MEMO_INDEX_MAX: u64 = 1 << 24;
/// A length that is beyond the end of the file and larger than this is a trap rather than a cut file: C's unpickler
/// allocates it before it reads.
const CLAIM_MAX: u64 = 1 << 30;
/// Streams inside streams that a watcher may ask for.
const INNER_MAX: u32 = 8;

pub(super) struct Machine<'s, 'w> {
    pub(super) source: &'s dyn Source,
    pub(super) heap: Heap,
    stack: Vec<Val>,
    marks: Vec<usize>,
    memo: Memo,
    pub(super) protocol: u8,
    pub(super) judge: Judge,
    extensions: HashMap<i64, Val>,
    watch: &'w mut dyn Watch,
    inner: u32,
    /// A stream of its own that a watcher asked for begins here.
    wanted: Option<u64>,
}

/// A step that cannot be taken.
type Step = Result<(), String>;

impl<'s, 'w> Machine<'s, 'w> {
    pub(super) fn new(source: &'s dyn Source, watch: &'w mut dyn Watch) -> Self {
        Self {
            source,
            heap: Heap::default(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Memo::default(),
            protocol: 0,
            judge: Judge::default(),
            extensions: HashMap::new(),
            watch,
            inner: 0,
            wanted: None,
        }
    }

    /// Runs from byte `at` on. Returns the byte after what was understood and why it ended.
    pub(super) fn run(&mut self, at: u64, cx: &mut Context<'_>) -> Result<(u64, End), ReadError> {
        let mut window = Window::new(self.source);
        if !cx.limits.forget.is_empty() {
            self.heap.forget.clone_from(&cx.limits.forget);
        }
        let (mut at, mut want) = (at, 1);
        loop {
            let grew = window.load(at, want)?;
            if !grew {
                let end = self.claims_too_much(at);
                return Ok((at, end));
            }
            let (held, start) = window.lend();
            let pause = self.stretch(&held, start, (at - start) as usize, cx);
            window.give_back(held);
            match pause {
                Pause::More(from, bytes) if bytes > LINE_MAX => {
                    let why = format!("a line longer than {LINE_MAX} bytes");
                    return Ok((from, End::Broken(why)));
                }
                Pause::More(from, bytes) => (at, want) = (from, bytes),
                Pause::Jump(to) => {
                    (at, want) = (to, 1);
                    if let Some(inner) = self.wanted.take() {
                        at = self.run_inner(inner, cx)?;
                    }
                }
                Pause::End(at, end) => return Ok((at, end)),
            }
        }
    }

    /// Runs a stream of its own in the middle of this one (joblib's arrays of objects); its memo and stack are apart.
    fn run_inner(&mut self, at: u64, cx: &mut Context<'_>) -> Result<u64, ReadError> {
        if self.inner >= INNER_MAX {
            return Ok(at);
        }
        self.inner += 1;
        let stack = std::mem::take(&mut self.stack);
        let marks = std::mem::take(&mut self.marks);
        let memo = std::mem::take(&mut self.memo);
        let (next, end) = self.run(at, cx)?;
        (self.stack, self.marks, self.memo) = (stack, marks, memo);
        self.inner -= 1;
        if end != End::Stop {
            self.judge.incomplete(next, "an array of objects inside the pickle is cut");
        }
        Ok(next)
    }

    /// The bytes end inside the opcode at `at`.
    fn claims_too_much(&mut self, at: u64) -> End {
        if let Ok(head) = self.source.bytes(at, (self.source.len().saturating_sub(at)).min(9), 9)
            && let Length::Of(length) = opcode::length(&head)
            && length > CLAIM_MAX
        {
            self.judge.claims(at, length);
        }
        End::Truncated
    }

    /// Runs within the bytes that are held. The one loop that must be fast: it only tells opcodes apart.
    fn stretch(&mut self, held: &[u8], start: u64, pos: usize, cx: &mut Context<'_>) -> Pause {
        let mut pos = pos;
        let mut steps = 0;
        loop {
            let rest = held.get(pos..).unwrap_or_default();
            let at = start + pos as u64;
            let length = match opcode::length(rest) {
                Length::Of(length) => length,
                Length::More => return Pause::More(at, (rest.len() as u64 + 9).max(rest.len() as u64 * 2)),
                Length::Unknown => {
                    let why = format!("byte {:#04x} is no opcode", rest.first().copied().unwrap_or_default());
                    return Pause::End(at, End::Broken(why));
                }
                Length::Negative(length) => {
                    self.judge.claims(at, u64::from(length.unsigned_abs()));
                    return Pause::End(at, End::Broken(format!("a length of {length}")));
                }
            };
            steps += 1;
            if steps >= STEPS {
                if let Err(spent) = cx.step(steps) {
                    return Pause::End(at, End::Spent(spent));
                }
                steps = 0;
            }
            let next = at.saturating_add(length);
            if length > rest.len() as u64 && next > self.source.len() {
                let end = self.claims_too_much(at);
                return Pause::End(at, end);
            }
            let op = rest[0];
            if op == b'.' {
                let _ = cx.step(steps);
                let end = match self.top() {
                    Ok(_) => End::Stop,
                    Err(why) => End::Broken(why),
                };
                return Pause::End(next, end);
            }
            if matches!(op, 0x8a | 0x8b) && length > rest.len() as u64 && length < 1 << 16 {
                return Pause::More(at, length);
            }
            // The argument as far as it is held; what lies beyond is the inside of a constant.
            let argument = &rest[1..rest.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
            if let Err(why) = self.step(op, at, next, argument) {
                let _ = cx.step(steps);
                return Pause::End(at, End::Broken(why));
            }
            let jump = op == b'b' && self.wanted.is_some();
            let next = if op == b'b' { self.after_build(next) } else { next };
            match usize::try_from(next - start) {
                Ok(inside) if inside < held.len() && !jump => pos = inside,
                _ => {
                    let _ = cx.step(steps);
                    return Pause::Jump(next);
                }
            }
        }
    }

    /// Where the next opcode is after a `BUILD` of something that a watcher knows.
    fn after_build(&mut self, next: u64) -> u64 {
        self.judge.skip.take().map_or(next, |bytes| next.saturating_add(bytes).min(self.source.len()))
    }

    #[inline]
    fn step(&mut self, op: u8, at: u64, next: u64, argument: &[u8]) -> Step {
        match op {
            b'X' | 0x8c | 0x8d | b'U' | b'T' | b'V' | b'S' => self.push_text(op, at, next, argument),
            b'B' | b'C' | 0x8e | 0x96 => self.push_bytes(op, at, next, argument),
            b'K' => self.push(Val::int(i64::from(argument[0]))),
            b'M' => self.push(Val::int(opcode::number(argument, 2).unwrap_or_default() as i64)),
            b'J' => self.push(Val::int(i64::from(opcode::number(argument, 4).unwrap_or_default() as i32))),
            b'G' => self.push(Val::float(at)),
            b'q' | b'h' => self.memo_op(op == b'q', u64::from(argument[0])),
            b'r' | b'j' => self.memo_op(op == b'r', opcode::number(argument, 4).unwrap_or_default()),
            0x94 => self.memo_op(true, self.memo.next()),
            b'N' => self.push(Val::NONE),
            0x88 => self.push(Val::TRUE),
            0x89 => self.push(Val::FALSE),
            b')' => self.push(Val::EMPTY_TUPLE),
            b']' => self.push_node(Kind::List, 0),
            b'}' => self.push_node(Kind::Dict, 0),
            0x8f => self.push_node(Kind::Set, 0),
            0x85..=0x87 => self.push_node(Kind::Tuple, usize::from(op - 0x84)),
            b'(' => {
                self.marks.push(self.stack.len());
                if self.marks.len() > STACK_MAX {
                    Err("more marks than any pickler writes".to_owned())
                } else {
                    Ok(())
                }
            }
            b't' | b'l' | b'd' | 0x91 => self.gather(op),
            b'a' | b'e' | b's' | b'u' | 0x90 => self.add(op, at),
            b'0' | b'1' | b'2' => self.shuffle(op),
            b'R' | 0x81 | 0x92 | b'o' => self.call(op, at),
            b'c' | b'i' | 0x93 => self.import(op, at, argument),
            b'b' => self.build(at, next),
            _ => self.rare(op, at, argument),
        }
    }

    #[inline]
    fn push(&mut self, value: Val) -> Step {
        self.stack.push(value);
        if self.stack.len() > STACK_MAX {
            Err("more values on the stack than any pickler leaves".to_owned())
        } else {
            Ok(())
        }
    }

    /// The lowest position that may be popped: what is below the last mark is out of reach.
    #[inline]
    fn fence(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn top(&self) -> Result<Val, String> {
        if self.stack.len() > self.fence() {
            self.stack.last().copied().ok_or_else(underflow)
        } else {
            Err(underflow())
        }
    }

    #[inline]
    fn pop(&mut self) -> Result<Val, String> {
        if self.stack.len() > self.fence() {
            self.stack.pop().ok_or_else(underflow)
        } else {
            Err(underflow())
        }
    }

    /// Everything above the last mark, which goes.
    fn pop_mark(&mut self) -> Result<Vec<Val>, String> {
        let mark = self.marks.pop().ok_or_else(|| "no mark on the stack".to_owned())?;
        Ok(self.stack.split_off(mark))
    }

    /// Whether a text or bytes constant is something of its own is looked at only when its first bytes say so.
    #[inline]
    fn push_text(&mut self, op: u8, at: u64, next: u64, argument: &[u8]) -> Step {
        let inside = argument.get(usize::from(opcode::count_bytes(op))..).unwrap_or_default();
        if next - at > 24 {
            self.judge.text_constant(at, inside);
        }
        if op == b'S' && literal::text(op, inside).is_none() {
            return Err("a string without quotes".to_owned());
        }
        self.push(Val::text(at))
    }

    #[inline]
    fn push_bytes(&mut self, op: u8, at: u64, next: u64, argument: &[u8]) -> Step {
        if next - at > 8 {
            let inside = argument.get(usize::from(opcode::count_bytes(op))..).unwrap_or_default();
            self.judge.bytes_constant(at, inside);
        }
        self.push(Val::bytes(at))
    }

    #[inline]
    fn push_node(&mut self, kind: Kind, items: usize) -> Step {
        if self.stack.len() < self.fence() + items {
            return Err(underflow());
        }
        let from = self.stack.len() - items;
        let node = self.heap.node(kind, Val::ABSENT, &self.stack[from..]);
        self.stack.truncate(from);
        self.push(node)
    }

    fn gather(&mut self, op: u8) -> Step {
        let mark = self.marks.pop().ok_or_else(|| "no mark on the stack".to_owned())?;
        let kind = match op {
            b't' if mark == self.stack.len() => return self.push(Val::EMPTY_TUPLE),
            b't' => Kind::Tuple,
            b'l' => Kind::List,
            b'd' => Kind::Dict,
            _ => Kind::FrozenSet,
        };
        let node = self.heap.node(kind, Val::ABSENT, &self.stack[mark..]);
        self.stack.truncate(mark);
        self.push(node)
    }

    fn shuffle(&mut self, op: u8) -> Step {
        match op {
            b'0' if self.marks.last() == Some(&self.stack.len()) => {
                self.marks.pop();
            }
            b'0' => {
                let value = self.pop()?;
                self.heap.release(value);
            }
            b'1' => {
                let mut values = self.pop_mark()?;
                while let Some(value) = values.pop() {
                    self.heap.release(value);
                }
            }
            _ => {
                let value = self.top()?;
                self.heap.keep(value);
                return self.push(value);
            }
        }
        Ok(())
    }

    #[inline]
    fn memo_op(&mut self, put: bool, index: u64) -> Step {
        if put {
            let value = self.top()?;
            self.heap.keep(value);
            self.memo.put(index, value);
            Ok(())
        } else {
            match self.memo.get(index) {
                Some(value) => self.push(value),
                None => Err(format!("memo index {index} was never written")),
            }
        }
    }

    /// `APPEND`, `APPENDS`, `SETITEM`, `SETITEMS`, `ADDITEMS`.
    fn add(&mut self, op: u8, at: u64) -> Step {
        let from = match op {
            b'a' => self.stack.len().saturating_sub(1).max(self.fence()),
            b's' => self.stack.len().saturating_sub(2).max(self.fence()),
            _ => self.marks.pop().ok_or_else(|| "no mark on the stack".to_owned())?,
        };
        let short =
            (op == b'a' && self.stack.len() < from + 1) || (op == b's' && self.stack.len() < from + 2);
        if short || from <= self.fence() {
            return Err(underflow());
        }
        let target = self.stack.get(from - 1).copied().ok_or_else(underflow)?;
        if let Some(node) = target.as_node() {
            let items = &self.stack[from..];
            let kind = self.heap.nodes.get(node).map(|n| n.kind);
            if !matches!(kind, Some(Kind::List | Kind::Dict | Kind::Set)) {
                self.judge.added(&self.heap, self.source, target, items, at);
            }
            self.heap.extend(node, items);
        } else {
            self.judge.added(&self.heap, self.source, target, &self.stack[from..], at);
        }
        self.stack.truncate(from);
        Ok(())
    }

    fn call(&mut self, op: u8, at: u64) -> Step {
        let (callee, args, new) = match op {
            b'R' => {
                let args = self.pop()?;
                (self.pop()?, args, false)
            }
            b'o' => {
                let items = self.pop_mark()?;
                let (callee, args) = items.split_first().ok_or_else(underflow)?;
                let args = if args.is_empty() {
                    Val::EMPTY_TUPLE
                } else {
                    self.heap.node(Kind::Tuple, Val::ABSENT, args)
                };
                (*callee, args, args == Val::EMPTY_TUPLE && self.heap.is_class(*callee))
            }
            0x81 => {
                let args = self.pop()?;
                (self.pop()?, args, true)
            }
            _ => {
                let named = self.pop()?;
                let args = self.pop()?;
                let class = self.pop()?;
                let mut all = self.heap.items(args).map(<[Val]>::to_vec).unwrap_or_default();
                if !matches!(self.heap.view(named), View::Node(n) if n.total == 0) {
                    all.push(named);
                }
                (class, self.heap.node(Kind::Tuple, Val::ABSENT, &all), true)
            }
        };
        self.apply(callee, args, new, at)
    }

    /// Judges a call, folds it where it makes a constant or a name, and pushes what it gives.
    fn apply(&mut self, callee: Val, args: Val, new: bool, at: u64) -> Step {
        let folded = fold::fold(&mut self.heap, self.source, callee, args, at);
        self.judge.called(&mut self.heap, self.source, callee, args, new, at);
        let result = match folded {
            Some(Folded::Value(value)) => value,
            Some(Folded::Extension(code, global)) => {
                self.extensions.insert(code, global);
                Val::NONE
            }
            None => {
                let items = self.heap.items(args).map_or_else(|| vec![args], <[Val]>::to_vec);
                self.heap.node(if new { Kind::New } else { Kind::Call }, callee, &items)
            }
        };
        if let Some(global) = callee.as_global().and_then(|g| self.heap.globals.get(g))
            && self.watch.calls(&global.module, &global.name)
        {
            self.watch.called(&summary::summary(&self.heap, self.source, result));
        }
        self.push(result)
    }

    /// What is known only at the end of a stream.
    pub(super) fn finish(&mut self, begin: u64, end: u64) {
        if self.memo.highest > MEMO_INDEX_MAX && self.memo.highest / 16 > end.saturating_sub(begin) {
            self.judge.memo_index(begin, self.memo.highest);
        }
        self.judge.finish(&mut self.heap, begin, end);
    }
}

fn underflow() -> String {
    "the stack has too few values".to_owned()
}
