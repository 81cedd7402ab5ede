//! Segments of the write-ahead log with any content: reading ends, in bounded memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = store::log::scan_segment(bytes, 0);
});
