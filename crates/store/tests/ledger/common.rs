//! What the ledger tests share: a key, entries that can be made again from their names, and random choices from a seed.

use ledger::{Signer, Verifier};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};

pub const ORIGIN: &str = "ledger.test.example/asepsis";

pub fn signer() -> Signer {
    Signer::from_seed(ORIGIN, &[42; 32]).unwrap()
}

pub fn verifier() -> Verifier {
    signer().verifier().clone()
}

pub fn random(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// The entry called `name`: its length and bytes follow from the name alone.
pub fn entry(name: &str) -> Vec<u8> {
    let seed = name.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(1_099_511_628_211) ^ u64::from(byte));
    let mut random = random(seed);
    let length = match random.random_range(0..100) {
        0 => 20_000,
        1..5 => 0,
        _ => random.random_range(1..900),
    };
    let mut bytes = name.as_bytes().to_vec();
    bytes.extend((0..length).map(|_| random.random::<u8>()));
    bytes
}

/// Every file of the log in `dir` that is not empty, sorted. Zeros that wait to become a segment are no part of it yet.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.metadata().unwrap().len() > 0 && !path.ends_with("spare") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
