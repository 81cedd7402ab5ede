//! Any text: claims and mentions stand inside it, at character boundaries, and are the same twice.
#![no_main]

use std::sync::LazyLock;

use knowledge::Knowledge;
use libfuzzer_sys::fuzz_target;

static CORE: LazyLock<Knowledge<Vec<u8>>> = LazyLock::new(|| Knowledge::core().expect("the core formulary is whole"));

fuzz_target!(|text: &str| {
    let claims = CORE.claims(text);
    for claim in &claims {
        assert!(text.get(claim.start..claim.end).is_some_and(|t| !t.is_empty()));
    }
    assert_eq!(claims, CORE.claims(text));
    for mention in CORE.linker().find(text) {
        assert!(text.get(mention.start..mention.end).is_some());
    }
});
