//! Proof files and bare proofs from anywhere: they are read in one way only, checking ends, and a made-up proof proves nothing.
#![no_main]

use ledger::{Hash, ProofFile, Signer, leaf_hash, verify_consistency, verify_inclusion};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = ProofFile::parse(bytes) {
        assert_eq!(ProofFile::parse(file.to_text().as_bytes()).as_ref(), Ok(&file), "a proof file survives");
        let signer = Signer::from_seed("log.example", &[1; 32]).expect("a name that is allowed");
        assert!(file.verify_entry(b"entry", signer.verifier()).is_err(), "proven without a signature");
    }
    let Some((first, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Some((second, rest)) = rest.split_first_chunk::<8>() else { return };
    let (a, b) = (u64::from_le_bytes(*first), u64::from_le_bytes(*second));
    let proof: Vec<Hash> = rest.chunks_exact(32).filter_map(Hash::from_slice).collect();
    // A root that nothing hashes to: no list of siblings leads there.
    let root = Hash::new([0; 32]);
    assert!(verify_inclusion(&leaf_hash(b"x"), a, b, &root, &proof).is_err());
    if a > 0 && a != b {
        assert!(verify_consistency(a, &leaf_hash(b"x"), b, &root, &proof).is_err());
    }
});
