//! Proof files from outside: no input panics, and what is read is written the same.
#![no_main]

use ledger::{ProofFile, Signer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(signer) = Signer::from_seed("log.example", &[1; 32]) else { return };
    if let Ok(file) = ProofFile::parse(bytes) {
        assert_eq!(file.to_text().as_bytes(), bytes);
        assert!(file.verify_entry(b"entry", signer.verifier()).is_err(), "an entry was proven without a signature");
    }
});
