//! Model files: parsing, graph checks, constant folding, planning; within small limits, so that a run is short.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runtime::fuzz_load(bytes));
