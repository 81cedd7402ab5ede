//! Signed notes, key texts and checkpoints, as another log or a mirror may hand them to us: nothing unsigned is taken for signed.
#![no_main]

use ledger::{Checkpoint, Note, Signer, Verifier};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let signer = Signer::from_seed("log.example", &[1; 32]).expect("a name that is allowed");
    if let Ok(note) = Note::parse(bytes) {
        assert!(note.verify(signer.verifier()).is_err(), "a signature was forged");
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(verifier) = Verifier::from_text(text) {
        assert_eq!(Verifier::from_text(&verifier.to_text()).as_ref(), Ok(&verifier), "a key survives");
    }
    if let Ok(signer) = Signer::from_text(text) {
        assert!(Signer::from_text(&signer.to_secret_text()).is_ok(), "a signing key survives");
    }
    if let Ok(checkpoint) = Checkpoint::parse_text(text) {
        assert_eq!(checkpoint.to_text(), text, "a checkpoint has one spelling");
        let signed = checkpoint.sign(&signer);
        let read = signed.ok().and_then(|note| Note::parse(note.as_bytes()).ok());
        if let Some(note) = read {
            assert_eq!(note.verify(signer.verifier()), Ok(text), "a signed checkpoint survives");
        }
    }
});
