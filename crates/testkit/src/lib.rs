//! dev: data readers, small models and attack query streams for measurements and the rehearsal.
//!
//! A pure library: bytes, seeds and closures come in, nothing is read or written, so the program's own rehearsal can
//! use it too. The attacks are small and honest: written from the papers, without tricks against our own guards except
//! where a function says so.

pub mod data;
pub mod evasion;
pub mod extraction;
pub mod surrogate;
pub mod systems;
