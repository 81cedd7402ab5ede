//! L3: everything on disk: the durable ledger, the state database, content-addressed blobs.

pub mod log;

pub mod blobs;
pub mod db;
