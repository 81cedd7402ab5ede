//! Walkers over the encodings that model formats are built from. They give tokens and borrowed stretches, never trees
//! as large as the file, and every one of them has a named bound on depth and count.

pub(crate) mod json;
pub(crate) mod proto;
