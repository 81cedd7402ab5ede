//! Exercises from the command line, on real models and data. The X-rays come from the shared data (`ASEPSIS_SHARED`, default `../shared` beside the
//! repository); tests that need them say so when they are absent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says loudly what it skips"
)]

mod conditions;
mod program;
mod runs;
mod studies;
mod through;
