//! Terminologies and the biomedical knowledge graph: what is known of drugs, diseases, doses and measurements, with who says so,
//! and what that means for the claims of a text.
//!
//! Everything is bytes and strings in, answers out: the caller reads or maps files. A [`Graph`] is one slice of bytes;
//! [`Knowledge`] joins it with a [`Linker`] and judges claims. What the product ships is [`Knowledge::core`].

pub mod build;
mod claims;
mod dose;
mod error;
mod fold;
mod formulary;
mod graph;
mod kind;
mod lexicon;
mod linker;
mod shipped;

#[doc(hidden)]
pub use claims::training;
pub use claims::{CLAIMS_MAX, Claim, ClaimKind, Context, Ground, Knowledge, Verdict};
pub use error::GraphError;
pub use formulary::FormularyReader;
pub use graph::{
    CLOSURE_MAX, Dose, DoseFact, EDGES_MAX, Edge, Fact, Graph, GraphWriter, NAME_BYTES_MAX, NAMES_MAX,
    NODES_MAX, Node, NodeId, NodeRef, SOURCES_MAX, Source, SourceRef,
};
pub use kind::{EdgeKind, NodeKind, Per, Route, Severity, Unit};
pub use linker::{Linker, Mention};
pub use shipped::{SHEETS, core, write_core};
