//! Small looks at bytes that several readers need.

use crate::{Cursor, ReadError, Source};

/// First byte from `start` on that is not 0, or `end`.
pub(crate) fn zero_until(source: &dyn Source, start: u64, end: u64) -> Result<u64, ReadError> {
    const STEP: u64 = 64 * 1024;
    let mut cursor = Cursor::new(source, start);
    while cursor.position() < end {
        let from = cursor.position();
        let bytes = cursor.take((end - from).min(STEP), STEP)?;
        if let Some(n) = bytes.iter().position(|b| *b != 0) {
            return Ok(from + n as u64);
        }
    }
    Ok(end)
}

/// First byte from `start` on that must mean something; `None` when only zeros, or a few blanks, are left.
pub(crate) fn rest(source: &dyn Source, start: u64) -> Result<Option<u64>, ReadError> {
    const BLANKS_MAX: u64 = 16;
    let end = source.len();
    let from = zero_until(source, start, end)?;
    let left = end - from.min(end);
    if left <= BLANKS_MAX
        && source.bytes(from, left, BLANKS_MAX)?.iter().all(|b| *b == 0 || b.is_ascii_whitespace())
    {
        return Ok(None);
    }
    Ok(Some(from))
}
