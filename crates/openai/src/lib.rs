//! L1: the wire of language models, as OpenAI made it and everybody speaks it: chat completions, responses, embeddings, and
//! the server-sent events of streamed replies.
//!
//! A body is read once, with bounds, into a tree of byte ranges. What it says to or from a model stands in [`Piece`]s, each with the
//! [`Role`] it is said in; a piece can be given another text, and [`Request::write`] then gives the body that came with those
//! texts exchanged and every other byte, known or not, as it was.
//!
//! Two readers of one body must not see two requests: a key that stands twice in an object, or that differs from a known one
//! only in upper and lower case, is refused, because servers differ in which of the two they take.

mod chunk;
mod error;
pub mod fuzz;
mod json;
mod limits;
mod message;
mod piece;
mod reply;
mod request;
mod sse;
mod walk;

pub use chunk::{Channel, Chunk, ChunkKind, Field};
pub use error::WireError;
pub use limits::Limits;
pub use piece::{Media, MediaKind, Piece, Place, Role};
pub use reply::{Reply, Usage, upstream_error_code};
pub use request::{Endpoint, Request};
pub use sse::{DONE, Event, EventReader, write_event};
