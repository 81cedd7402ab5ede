//! The ledger on disk, from outside: durability under kill -9, damage, full disks, and other implementations reading it.

mod child;
mod common;
mod damage;
mod full_disk;
mod interop;
mod kill;
mod log;
