//! Proof verification on any numbers and hashes: it ends, and a made-up proof proves nothing.
#![no_main]

use ledger::{Hash, leaf_hash, verify_consistency, verify_inclusion};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, u64, Vec<[u8; 32]>)| {
    let (a, b, hashes) = input;
    let proof: Vec<Hash> = hashes.into_iter().map(Hash::new).collect();
    // A root nobody can hash to: no list of siblings leads there.
    let root = Hash::new([0; 32]);
    assert!(verify_inclusion(&leaf_hash(b"x"), a, b, &root, &proof).is_err());
    if a != b {
        assert!(verify_consistency(a, &leaf_hash(b"x"), b, &root, &proof).is_err());
    }
});
