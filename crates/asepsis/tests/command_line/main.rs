//! The program as a user runs it: real processes, real files, the example hospital.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod hospital;
mod serving;
mod trouble;
mod up;
