//! What an action acts on.

use std::fmt;

use domain::{ClientId, SystemId};

/// A system, a client, or the hospital as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// One AI system.
    System(SystemId),
    /// One machine client.
    Client(ClientId),
    /// Everything: the server, all systems, all clients.
    Hospital,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(id) => write!(f, "system `{id}`"),
            Self::Client(id) => write!(f, "client `{id}`"),
            Self::Hospital => f.write_str("the hospital as a whole"),
        }
    }
}
