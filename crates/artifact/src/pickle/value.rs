//! What a pickle would build, as far as a reader of another format needs to see it: a bounded, owned tree.

/// A value that a pickle would build. Cut at [`VALUES_MAX`] values and [`DEPTH_MAX`] levels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of at most 64 bits.
    Int(i64),
    /// An integer of more bits; its bytes are not kept.
    Long,
    /// A float.
    Float(f64),
    /// Text; cut at 4 KiB. Byte strings of protocols 0 to 2 (`STRING`) are text too.
    Text(String),
    /// Bytes or bytearray: where they are in the source.
    Bytes {
        /// First byte.
        at: u64,
        /// Length, bytes (of the escaped form in text opcodes).
        length: u64,
    },
    /// Tuple.
    Tuple(Vec<Value>),
    /// List.
    List(Vec<Value>),
    /// Set or frozenset.
    Set(Vec<Value>),
    /// Dictionary.
    Dict(Vec<(Value, Value)>),
    /// Something imported: `module`, `name` (the name may have dots).
    Global(String, String),
    /// The result of calling the first with the arguments.
    Call(Box<Value>, Vec<Value>),
    /// An object of the class made by `__new__` (`NEWOBJ`, `copyreg._reconstructor`) with its arguments.
    Object(Box<Value>, Vec<Value>),
    /// The first with the second given to `__setstate__` (or put into its `__dict__`).
    Built(Box<Value>, Box<Value>),
    /// A reference that the loader resolves, by its id.
    Persistent(Box<Value>),
    /// Not followed, or cut.
    Unseen,
}

/// Most values in one tree.
pub(crate) const VALUES_MAX: usize = 10_000;
/// Most levels of one tree.
pub(crate) const DEPTH_MAX: usize = 20;

impl Value {
    /// `module.name` of a global, of the callee of a call, of the class of an object (built or not).
    pub(crate) fn class(&self) -> Option<(&str, &str)> {
        match self {
            Self::Global(module, name) => Some((module, name)),
            Self::Call(of, _) | Self::Object(of, _) | Self::Built(of, _) => of.class(),
            _ => None,
        }
    }

    /// The text.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The integer.
    pub(crate) fn int(&self) -> Option<i64> {
        if let Self::Int(int) = self { Some(*int) } else { None }
    }

    /// The items of a tuple or list.
    pub(crate) fn items(&self) -> Option<&[Value]> {
        match self {
            Self::Tuple(items) | Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value under a text key: of a dictionary, or of the state of a built object.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Self::Dict(pairs) => pairs.iter().rev().find(|(k, _)| k.text() == Some(key)).map(|(_, v)| v),
            Self::Built(_, state) => state.get(key),
            _ => None,
        }
    }
}
