//! What a body and a stream may hold. Maxima are inclusive.

/// Bounds on what comes from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body. Default 8 MiB: a long record with a few pictures.
    pub body_bytes: usize,
    /// Nesting of lists and objects. Default 64: schemas of tools are the deepest that is sent.
    pub depth: usize,
    /// Values in a body; a list of numbers counts as one. Default 262,144.
    pub values: usize,
    /// Messages or items. Default 4,096: longer than any conversation a model can hold.
    pub messages: usize,
    /// Bytes of one text, escapes included. Default 4 MiB: a megabyte of text is beyond any model's window.
    pub text_bytes: usize,
    /// Bytes of one event of a stream. Default 1 MiB; the last event of a response repeats all of it.
    pub event_bytes: usize,
    /// Bytes of a reply, streamed or not. Default 16 MiB.
    pub reply_bytes: usize,
    /// Events of a stream. Default 1,000,000: ten times the longest reply, token by token.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 8 << 20,
            depth: 64,
            values: 1 << 18,
            messages: 4_096,
            text_bytes: 4 << 20,
            event_bytes: 1 << 20,
            reply_bytes: 16 << 20,
            events: 1_000_000,
        }
    }
}
