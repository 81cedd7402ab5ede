//! The opcodes that are seldom or need names: imports, state, numbers as text, extensions, protocol.

use super::super::bytes;
use super::super::heap::{Kind, Made, Val, View};
use super::super::{Follows, Value, literal, opcode, summary};
use super::{CLAIM_MAX, Machine, NAME_MAX, Step};

impl Machine<'_, '_> {
    /// `GLOBAL`, `INST`, `STACK_GLOBAL`.
    pub(super) fn import(&mut self, op: u8, at: u64, argument: &[u8]) -> Step {
        if op == 0x93 {
            let (name, module) = (self.pop()?, self.pop()?);
            let written = |v: Val| matches!(self.heap.view(v), View::Text(_));
            let computed = !(written(name) && written(module));
            let (Some(module), Some(name)) = (self.text(module), self.text(name)) else {
                self.judge.computed_import(&self.heap, self.source, module, name, at);
                return self.push(Val::UNSEEN);
            };
            let global = self.global(&module, &name, at, computed)?;
            return self.push(global);
        }
        let mut lines = argument.split(|b| *b == b'\n').map(String::from_utf8_lossy);
        let (module, name) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        // A text-mode copy leaves carriage returns; the names are meant without.
        let global = self.global(module.trim_end_matches('\r'), name.trim_end_matches('\r'), at, false)?;
        if op == b'c' {
            return self.push(global);
        }
        let args = self.pop_mark()?;
        let new = args.is_empty() && self.heap.is_class(global);
        let args =
            if args.is_empty() { Val::EMPTY_TUPLE } else { self.heap.node(Kind::Tuple, Val::ABSENT, &args) };
        self.apply(global, args, new, at)
    }

    /// The global of that name. A name that no module or attribute can have ends the stream, as it does in Python.
    pub(super) fn global(
        &mut self,
        module: &str,
        name: &str,
        at: u64,
        computed: bool,
    ) -> Result<Val, String> {
        let impossible = |c: char| c.is_control() || c.is_whitespace() || c == char::REPLACEMENT_CHARACTER;
        if module.is_empty() || name.is_empty() || module.contains(impossible) || name.contains(impossible) {
            return Err("a name that cannot be imported".to_owned());
        }
        Ok(self.heap.import(module, name, at, computed))
    }

    pub(super) fn text(&self, value: Val) -> Option<String> {
        match self.heap.view(value) {
            View::Text(at) => bytes::text(self.source, at, NAME_MAX),
            View::Made(Made::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn build(&mut self, at: u64, next: u64) -> Step {
        let state = self.pop()?;
        let object = self.top()?;
        if let Some(node) = object.as_node() {
            self.heap.set_state(node, state);
        }
        self.judge.built(&self.heap, self.source, object, state, at);
        let class = self.heap.class(object).and_then(|g| self.heap.globals.get(g));
        if class.is_some_and(|g| self.watch.builds(&g.module, &g.name)) {
            match self.watch.built(&summary::summary(&self.heap, self.source, object), next) {
                Follows::Opcode => {}
                Follows::Bytes(bytes) => self.judge.skip = Some(bytes),
                Follows::Pickle => self.wanted = Some(next),
            }
        }
        Ok(())
    }

    /// Everything that is seldom.
    pub(super) fn rare(&mut self, op: u8, at: u64, argument: &[u8]) -> Step {
        match op {
            0x80 => {
                self.protocol = self.protocol.max(argument[0]);
                if argument[0] > 5 { Err(format!("protocol {} is not known", argument[0])) } else { Ok(()) }
            }
            // Frames only help reading ahead; what they hold is opcodes like any other.
            0x95 => {
                let length = opcode::number(argument, 8).unwrap_or_default();
                if length > CLAIM_MAX && length > self.source.len().saturating_sub(at) {
                    self.judge.claims(at, length);
                }
                Ok(())
            }
            b'I' => {
                let line = literal::line(argument);
                match line.strip_suffix(b"\r").unwrap_or(line) {
                    b"00" => self.push(Val::FALSE),
                    b"01" => self.push(Val::TRUE),
                    line => self.number(line, at),
                }
            }
            b'F' => match std::str::from_utf8(literal::line(argument)).map(|t| t.trim().parse::<f64>()) {
                Ok(Ok(_)) => self.push(Val::float(at)),
                _ => Err("a float that is none".to_owned()),
            },
            b'L' => self.number(literal::line(argument), at),
            0x8a | 0x8b => {
                let number = argument.get(if op == 0x8a { 1 } else { 4 }..).unwrap_or_default();
                self.push(literal::long(number).map_or(Val::LONG, Val::int))
            }
            b'p' | b'g' => {
                let index = literal::integer(literal::line(argument));
                let index = index.and_then(|i| u64::try_from(i).ok());
                self.memo_op(op == b'p', index.ok_or_else(|| "a memo index that is no number".to_owned())?)
            }
            b'P' | b'Q' => {
                let id = if op == b'P' { Val::text(at) } else { self.pop()? };
                let shown = summary::summary(&self.heap, self.source, id);
                self.watch.persistent(&shown);
                // PyTorch before 1.6 wraps classes so, to keep their source beside them; the loader takes the class.
                let class = match shown.items() {
                    Some([Value::Text(kind), Value::Global(..), ..]) if kind == "module" => {
                        self.heap.items(id).and_then(|items| items.get(1)).copied()
                    }
                    _ => None,
                };
                let node = class.unwrap_or_else(|| self.heap.node(Kind::Persistent, id, &[]));
                self.push(node)
            }
            0x82..=0x84 => {
                let bytes = op - 0x81;
                let code =
                    opcode::number(argument, if bytes == 3 { 4 } else { bytes }).unwrap_or_default() as i64;
                let value = self.extensions.get(&code).copied();
                if value.is_none() {
                    self.judge.unregistered(at, code);
                }
                self.push(value.unwrap_or(Val::UNSEEN))
            }
            0x97 => self.push(Val::UNSEEN),
            0x98 => self.top().map(|_| ()),
            _ => Err(format!("byte {op:#04x} is no opcode")),
        }
    }

    /// An integer as text, of any length.
    pub(super) fn number(&mut self, line: &[u8], at: u64) -> Step {
        self.judge.digits(at, line.len() as u64);
        let value = literal::integer(line);
        if value.is_none() && !literal::is_integer(line) {
            return Err("an integer that is none".to_owned());
        }
        self.push(value.map_or(Val::LONG, Val::int))
    }
}
