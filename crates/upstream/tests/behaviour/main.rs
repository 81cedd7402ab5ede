//! How the clients behave towards servers that are slow, wrong, hostile or gone. The servers are real ones on
//! loopback, in this process, since no model server can be asked to misbehave on purpose.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says loudly when it is skipped"
)]

mod grpc;
mod outbound;
mod rest;
mod serve;
