//! A pickle's bytes, a stretch at a time: the whole when it is in memory, else a window that moves.

use std::borrow::Cow;

use super::literal;
use super::opcode::count_bytes;
use crate::{ReadError, Source};

/// Bytes read at once from a source that is not in memory.
const WINDOW: u64 = 256 * 1024;
/// Longest line of a text opcode.
pub(super) const LINE_MAX: u64 = 16 << 20;

/// A stretch of the source.
pub(super) struct Window<'s> {
    source: &'s dyn Source,
    held: Cow<'s, [u8]>,
    /// Position of the first byte held.
    start: u64,
}

impl<'s> Window<'s> {
    pub(super) fn new(source: &'s dyn Source) -> Self {
        match source.in_memory() {
            Some(all) => Self { source, held: Cow::Borrowed(all), start: 0 },
            None => Self { source, held: Cow::Owned(Vec::new()), start: 0 },
        }
    }

    /// Lends what is held, so that the machine can change itself meanwhile; [`Window::give_back`] afterwards.
    pub(super) fn lend(&mut self) -> (Cow<'s, [u8]>, u64) {
        (std::mem::take(&mut self.held), self.start)
    }

    pub(super) fn give_back(&mut self, held: Cow<'s, [u8]>) {
        self.held = held;
    }

    /// Makes sure that at least `want` bytes from `at` on are held, or all that there are. False when that is no more
    /// than before.
    pub(super) fn load(&mut self, at: u64, want: u64) -> Result<bool, ReadError> {
        let end = self.start + self.held.len() as u64;
        let before = end.saturating_sub(at.max(self.start));
        if at >= self.start && (before >= want || end == self.source.len()) {
            return Ok(before >= want);
        }
        let length = want.max(WINDOW).min(self.source.len().saturating_sub(at));
        self.held = self.source.bytes(at, length, length)?;
        self.start = at;
        Ok(length > before)
    }
}

/// The argument of the counted or text opcode at `at`, cut at `limit` bytes, and where it begins and how long it is
/// in truth. `None` when the opcode is another one or cannot be read.
pub(super) fn argument(source: &dyn Source, at: u64, limit: u64) -> Option<(u8, Cow<'_, [u8]>, u64, u64)> {
    let rest = source.len().checked_sub(at)?;
    let head = source.bytes(at, rest.min(9), 9).ok()?;
    let op = *head.first()?;
    let count = count_bytes(op);
    if count > 0 {
        let length = super::opcode::number(head.get(1..)?, count)?;
        let begin = at + 1 + u64::from(count);
        let length = length.min(source.len().saturating_sub(begin));
        return Some((op, source.bytes(begin, length.min(limit), limit).ok()?, begin, length));
    }
    let mut want = 256;
    loop {
        let line = source.bytes(at + 1, (rest - 1).min(want), want).ok()?;
        if let Some(end) = line.iter().position(|b| *b == b'\n') {
            let line = match line {
                Cow::Borrowed(all) => Cow::Borrowed(all.get(..=end)?),
                Cow::Owned(mut all) => {
                    all.truncate(end + 1);
                    Cow::Owned(all)
                }
            };
            return Some((op, line, at + 1, end as u64));
        }
        if want >= rest || want >= limit {
            return Some((op, line, at + 1, rest - 1));
        }
        want = want.saturating_mul(8);
    }
}

/// The text of the constant at `at`, cut at `limit` bytes.
pub(super) fn text(source: &dyn Source, at: u64, limit: u64) -> Option<String> {
    let (op, argument, _, _) = argument(source, at, limit)?;
    literal::text(op, &argument).map(Cow::into_owned)
}
