//! The configuration file: any text is understood or refused with a place; nothing is read or written on the way.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = app::config::parse(text, Path::new("base")) {
        let message = error.to_string();
        assert!(!message.is_empty() && message.len() < 16_384, "a message that a person can read");
    }
});
