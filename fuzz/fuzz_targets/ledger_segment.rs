//! Write-ahead segments with any content: reading ends, in bounded memory, without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = store::log::scan_segment(bytes, 0);
});
