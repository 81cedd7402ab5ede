//! Replies of language models and streams of events: a cut changes nothing.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let step = bytes.first().map_or(1, |b| usize::from(b % 32) + 1);
    assert!(openai::fuzz::reply(bytes, step));
});
