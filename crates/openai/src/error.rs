//! Why bytes are not what they should be. No message repeats a text of the body.

/// What is wrong with a body or a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A bound was passed.
    #[error("{what} is above {max}; send less at once")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// Not UTF-8.
    #[error("the body is not UTF-8 at byte {at}; send JSON in UTF-8")]
    NotUtf8 {
        /// Where the first wrong byte stands.
        at: usize,
    },
    /// Not JSON.
    #[error("the body is not JSON at byte {at}: {what}")]
    NotJson {
        /// Where.
        at: usize,
        /// What was expected.
        what: &'static str,
    },
    /// A key stands twice in one object, so that two readers would see two requests.
    #[error("a key stands twice in the object at byte {at}; send it once")]
    KeyTwice {
        /// Where the object begins.
        at: usize,
    },
    /// A key is a known one in another case.
    #[error("a key at byte {at} is `{known}` in other letters' case; write `{known}`")]
    KeyCase {
        /// Where.
        at: usize,
        /// The known key.
        known: &'static str,
    },
    /// A field is missing or is not of its type.
    #[error("`{field}` {what}")]
    Field {
        /// Its path.
        field: &'static str,
        /// What is wrong and what to send.
        what: &'static str,
    },
    /// A stream's event is not one.
    #[error("an event of the stream {what}")]
    Event {
        /// What is wrong.
        what: &'static str,
    },
}
