//! Signed notes, key texts and checkpoints from outside: no input panics, and nothing unsigned is taken for signed.
#![no_main]

use ledger::{Checkpoint, Note, Signer, Verifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(signer) = Signer::from_seed("log.example", &[1; 32]) else { return };
    if let Ok(note) = Note::parse(bytes) {
        assert!(note.verify(signer.verifier()).is_err(), "a signature was forged");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(verifier) = Verifier::from_text(text) {
            assert_eq!(Verifier::from_text(&verifier.to_text()).as_ref(), Ok(&verifier));
        }
        if let Ok(checkpoint) = Checkpoint::parse_text(text) {
            assert_eq!(checkpoint.to_text(), text);
        }
        let _ = Signer::from_text(text);
    }
});
