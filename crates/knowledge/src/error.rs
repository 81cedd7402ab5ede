//! What can be wrong with a graph or with what it is built from.

/// Why a graph file is refused or a build stops.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GraphError {
    /// The file does not start as a graph does.
    #[error("not a knowledge graph: build one with `asepsis knowledge build`")]
    NotAGraph,
    /// Written by another version of the format.
    #[error("knowledge graph has format version {0}: build it again with this version")]
    Version(u32),
    /// The content does not have the digest that the header states.
    #[error("knowledge graph is damaged: its digest differs from its header, build it again")]
    Digest,
    /// A section or a record points outside of the file.
    #[error("knowledge graph is damaged in its {0}: build it again")]
    Damaged(&'static str),
    /// More than the format or the limits hold.
    #[error("more than {limit} {what}: split the source or leave parts of it out")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The formulary that is shipped, or a hospital's own in its form, cannot be read.
    #[error("formulary `{file}` cannot be read: {why}")]
    Formulary {
        /// Name of the part.
        file: String,
        /// One line of what is wrong.
        why: String,
    },
}
