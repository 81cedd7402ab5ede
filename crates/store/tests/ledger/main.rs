//! The ledger on disk, from outside: durability under kill -9, damage, full disks, and other implementations reading it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails with the test"
)]

mod child;
mod common;
mod damage;
mod full_disk;
mod interop;
mod kill;
mod log;
