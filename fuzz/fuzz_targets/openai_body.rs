//! Bodies to language models: what was read is written back as it came, and with every text exchanged it is still read.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| assert!(openai::fuzz::request(bytes)));
