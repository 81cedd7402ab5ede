//! L2: what a model file is and what it could do, found without running any of it.
//!
//! [`scan`] takes the bytes of one file, [`scan_members`] those of a folder. Both give a [`Part`]: a tree of what is
//! inside, each part with its format, its findings, and what could not be read. The verdict follows from the tree:
//! `found` when something dangerous is in it, else `inconclusive` when something was not understood, else `clean`.
//!
//! A format is recognised by its content, never by a name. One file of `formats/` per format: its catalogue entries,
//! its reader, its tests. Formats that consist of several files (a repository, a zip with a layout of its own) are
//! one file each in `layouts/`. Nothing here opens a file, reads a clock or runs anything it reads.

pub mod bom;
mod context;
mod effects;
mod embedded;
mod facts;
mod formats;
mod layouts;
mod limits;
mod literal;
mod part;
mod payload;
mod pickle;
mod source;
mod text;
mod unpack;
mod wire;

pub use context::{Context, Spent};
pub use facts::{Facts, Port};
pub use limits::Limits;
pub use part::{Part, Unread, Verdict};
pub use source::{Cursor, Member, Range, ReadError, Source};

/// Everything this crate can find: the rules of the scanner.
pub fn entries() -> impl Iterator<Item = &'static domain::Entry> {
    formats::ENTRIES.iter().chain(layouts::ENTRIES).flat_map(|list| list.iter().copied())
}

/// The opcodes of the pickle stream at the front of `bytes`: position and opcode, up to its `STOP` or to the first that
/// cannot be told.
pub fn pickle_opcodes(bytes: &[u8]) -> Vec<(u64, u8)> {
    pickle::opcodes(bytes)
}

/// Packages that the table of callables knows, for [`Limits::forget`].
pub fn known_packages() -> Vec<String> {
    pickle::packages()
}

/// Scans one file. `name` is only shown, it decides nothing.
pub fn scan(name: &str, source: &dyn Source, limits: &Limits) -> Part {
    let mut cx = Context::new(limits);
    cx.scan(name, source)
}

/// Scans the files of one folder, and what they are together. Names are paths below the folder, with `/`.
pub fn scan_members(name: &str, members: &[Member<'_>], limits: &Limits) -> Part {
    let mut cx = Context::new(limits);
    let mut part = folder(name, members);
    cx.inside(name, |cx| cx.members(&mut part, members));
    part
}

/// What the files of a folder are together, when each was scanned by itself before (`parts`, same order), for example
/// on several threads.
pub fn join(name: &str, members: &[Member<'_>], parts: Vec<Part>, limits: &Limits) -> Part {
    let mut cx = Context::new(limits);
    let mut part = folder(name, members);
    cx.inside(name, |cx| cx.join(&mut part, members, parts));
    part
}

fn folder(name: &str, members: &[Member<'_>]) -> Part {
    Part::new(name, "folder", members.iter().map(|m| m.source.len()).sum())
}
