//! dev: tests about the code base itself. `cargo test -p tidy` reads the sources; nothing here ships.
//!
//! Each rule is one test, says in its failure which file broke it and how to mend it, and has its exceptions beside
//! it, with a reason. The two ratchets (file and function length) keep their exceptions in `ratchet.toml`, which may
//! only shrink.
//!
//! | module | what it keeps |
//! |---|---|
//! | `layers` | dependencies point down only, never sideways; lints are on everywhere |
//! | `purity` | L0–L2 do no I/O, read no clock, spawn no task, draw no unseeded randomness; where `unsafe` may stand |
//! | `invariants` | proofs are made in one place, patient data is read only where care needs it |
//! | `sizes` | files and functions stay short |
//! | `conventions` | `//!` on top, error messages, no ignored or sleeping tests, nothing unfinished |
//! | `catalogue` | ids, headings, mappings, every entry listed |
//! | `dependencies` | each dependency has a reason; licences; duplicate versions |
//! | `paths` | nothing of the machine it was written on |
//! | `pages` | links, tests named in ARCHITECTURE.md, shell scripts |
//!
//! The sources are read as text with comments and strings blanked out (`source`), not parsed: the rules are about
//! shape, and a parser would be the largest dependency of the project.

#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod conventions;
#[cfg(test)]
mod dependencies;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod purity;
#[cfg(test)]
mod sizes;
#[cfg(test)]
mod source;
#[cfg(test)]
mod tree;
