//! Plain text that no other format claims: a README, a licence, a vocabulary.

use super::{Format, Input, Sure};
use crate::{Context, Part};

/// Plain text.
pub(super) struct Text;

impl Format for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        is_text(input.head).then_some(Sure::Fallback)
    }

    fn read(&self, _input: &Input<'_>, _part: &mut Part, _cx: &mut Context<'_>) {}
}

/// Whether the bytes are UTF-8 text without control characters; a character cut at the end is allowed.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(e) => e.error_len().is_none() && bytes.len() - e.valid_up_to() < 4,
    };
    valid && !bytes.iter().any(|b| *b < 0x20 && !matches!(b, b'\n' | b'\r' | b'\t' | 0x0c | 0x1b))
}
