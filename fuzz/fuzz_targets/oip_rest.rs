//! Bodies of the REST protocol, with and without the binary tensor extension, requests and answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oip::fuzz_rest(bytes));
