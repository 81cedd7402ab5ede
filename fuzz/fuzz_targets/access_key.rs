//! Credentials as they arrive in a header or a cookie.
#![no_main]

use std::sync::LazyLock;

use access::{KeyGrant, KeyTable, Role, Scope, SecretBytes, csrf_matches, csrf_token, issue_key, token_hash};
use domain::Timestamp;

static KEYS: LazyLock<KeyTable> = LazyLock::new(|| {
    let grant = KeyGrant {
        id: "ward".parse().expect("a name that is allowed"),
        client: "ward".parse().expect("a name that is allowed"),
        roles: [Role::Client].into(),
        systems: Scope::All,
        expires_at: None,
        note: String::new(),
    };
    let now = Timestamp::from_millis(1_800_000_000_000);
    let (record, _) = issue_key(grant, SecretBytes::new([7; 32]), now).expect("a key that makes sense");
    KeyTable::new([record]).expect("one key")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let now = Timestamp::from_millis(1_800_000_000_001);
    assert!(KEYS.authenticate(text, now).is_err(), "guessed");
    let _ = token_hash(text);
    if let Some(token) = csrf_token(text) {
        assert!(csrf_matches(text, &token), "a token fits its session");
    }
});
