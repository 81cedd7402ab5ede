//! What signing a large model costs, beside a plain loop over the same hash and `openssl dgst` in the same run.
//!
//! ```sh
//! cargo bench -p provenance --bench signing
//! ASEPSIS_BENCH_GIB=1 ASEPSIS_BENCH_TREE=DIR cargo bench -p provenance --bench signing
//! ```
//!
//! Each line is a process of its own, so that its CPU seconds and its peak memory are its own. The files (random bytes,
//! eight large ones and two hundred small) are written first and read once, so that all read from the page cache.
//! `ASEPSIS_BENCH_TREE` keeps them for the next run. The reference implementation runs too where
//! scripts/setup_python.sh was run (`ASEPSIS_VENV`).
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a benchmark program")]
#![allow(missing_docs, reason = "main needs none")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use provenance::{
    Bundle, CheckOptions, DigestCache, HashAlgorithm, Legacy, Method, PrivateKey, SignOptions, Signer as _,
    Trust, sign_with_key,
};
use sha2::Digest as _;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match arguments.as_slice() {
        [mode, folder] => one(mode, Path::new(folder)),
        _ => all(),
    }
}

/// One measured run in this process.
fn one(mode: &str, root: &Path) {
    let key = PrivateKey::from_seed(&[3; 32]).unwrap();
    let (algorithm, threads, method) = match mode {
        "plain" => return plain(root),
        "blake3-1" => (HashAlgorithm::Blake3, 1, Method::Files),
        "blake2b-1" => (HashAlgorithm::Blake2b, 1, Method::Files),
        "shards-2" => (HashAlgorithm::Sha256, 2, Method::Shards { size: NonZeroU64::new(1 << 28).unwrap() }),
        other => (HashAlgorithm::Sha256, if other.ends_with('2') { 2 } else { 1 }, Method::Files),
    };
    let options = SignOptions {
        algorithm,
        method,
        signature_file: Some("model.sig".into()),
        ..SignOptions::new("model")
    };
    let cache = root.with_extension("cache");
    match mode {
        "verify-1" | "verify-2" => {
            let bundle = Bundle::parse(&fs::read(root.join("model.sig")).unwrap()).unwrap();
            let attested = bundle.verify(&Trust::Key(key.public_key()), Legacy::Refuse).unwrap();
            let check = CheckOptions { signature_file: Some("model.sig".into()), ..CheckOptions::default() };
            let plan = attested.plan(&support::walk(root).unwrap(), check);
            let results = support::hash_all(root, plan.pieces(), plan.algorithm(), threads);
            assert!(plan.report(&results).outcome().is_clean());
        }
        "cached" => {
            let known = DigestCache::parse(&fs::read(&cache).unwrap()).unwrap();
            let (manifest, next, hashed) = support::again(root, options, Some(&known), support::now_ns());
            assert!(hashed <= 1, "{hashed} pieces hashed");
            fs::write(&cache, next.to_bytes()).unwrap();
            fs::write(root.join("model.sig"), sign_with_key(&manifest, &key).unwrap()).unwrap();
        }
        _ => {
            let listed = support::now_ns();
            let plan = provenance::SigningPlan::new(options, &support::walk(root).unwrap(), None).unwrap();
            let digests = support::digests(root, &plan, threads);
            fs::write(&cache, plan.cache(&digests, listed).unwrap().to_bytes()).unwrap();
            let manifest = plan.manifest(&digests).unwrap();
            fs::write(root.join("model.sig"), sign_with_key(&manifest, &key).unwrap()).unwrap();
        }
    }
}

/// The same hash over the same bytes with nothing around it: what the processor allows.
fn plain(root: &Path) {
    let mut buffer = vec![0; 1 << 20];
    for entry in support::walk(root).unwrap().entries() {
        let mut file = File::open(root.join(&entry.path)).unwrap();
        let mut hasher = sha2::Sha256::new();
        loop {
            let n = file.read(&mut buffer).unwrap();
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
        }
        std::hint::black_box(hasher.finalize());
    }
}

fn all() {
    let gib: u64 = std::env::var("ASEPSIS_BENCH_GIB").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let rounds: usize = std::env::var("ASEPSIS_BENCH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("ASEPSIS_BENCH_TREE").map(PathBuf::from);
    let root = kept.unwrap_or_else(|| temporary.path().join("model"));
    make_tree(&root, gib);
    println!("{gib} GiB in {}; median of {rounds}", support::walk(&root).unwrap().entries().count());
    println!("{:<34} {:>8} {:>8} {:>9}", "", "wall s", "CPU s", "peak MiB");
    let me = std::env::current_exe().unwrap();
    let ours = |mode: &str| -> Command {
        let mut command = Command::new(&me);
        command.arg(mode).arg(&root);
        command
    };
    for (what, mode) in [
        ("sha2 in a loop", "plain"),
        ("sign, 1 thread", "sign-1"),
        ("sign, 2 threads", "sign-2"),
        ("sign in shards, 2 threads", "shards-2"),
        ("verify, 1 thread", "sign-1 verify-1"),
        ("verify, 2 threads", "verify-2"),
        ("sign with blake3, 1 thread", "blake3-1"),
        ("sign with blake2b, 1 thread", "blake2b-1"),
    ] {
        let (before, mode) = mode.split_once(' ').map_or((None, mode), |(b, m)| (Some(b), m));
        if let Some(before) = before {
            assert!(ours(before).status().unwrap().success());
        }
        measure(what, rounds, || ours(mode), || {});
    }
    assert!(ours("sign-1").status().unwrap().success());
    let mut n = 0_u8;
    measure(
        "sign again, one small file changed",
        rounds,
        || ours("cached"),
        || {
            n += 1;
            fs::write(root.join("small/7.json"), [n; 300]).unwrap();
        },
    );
    let files: Vec<PathBuf> = support::walk(&root).unwrap().entries().map(|e| root.join(&e.path)).collect();
    measure(
        "openssl dgst -sha256",
        rounds,
        || {
            let mut command = Command::new("openssl");
            command.args(["dgst", "-sha256"]).args(&files).stdout(std::process::Stdio::null());
            command
        },
        || {},
    );
    reference(&root, &temporary, rounds);
}

/// The reference implementation on the same folder, where it is installed.
fn reference(root: &Path, temporary: &tempfile::TempDir, rounds: usize) {
    let Some(venv) = std::env::var_os("ASEPSIS_VENV") else { return };
    let program = PathBuf::from(format!("{}-signing/bin/model_signing", venv.display()));
    if !program.exists() {
        return;
    }
    let pem = temporary.path().join("key.pem");
    fs::write(&pem, PrivateKey::from_seed(&[3; 32]).unwrap().to_pkcs8_pem().unwrap().as_bytes()).unwrap();
    let run = || {
        let mut command = Command::new(&program);
        command
            .args(["sign", "key", "--private_key"])
            .arg(&pem)
            .arg("--signature")
            .arg(root.join("model.sig"));
        command.arg(root).stdout(std::process::Stdio::null());
        command
    };
    measure("model_signing 1.1.1 (Python)", rounds, run, || {});
}

/// Runs a process some times; prints the medians of wall time, CPU time and peak resident memory.
fn measure(what: &str, rounds: usize, command: impl Fn() -> Command, mut before: impl FnMut()) {
    let (mut wall, mut cpu, mut peak) = (Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..rounds {
        before();
        let start = Instant::now();
        let used = children();
        let mut child = command().spawn().unwrap();
        let id = child.id();
        // Sampled, as the kernel forgets the peak when the process ends: read until it does.
        let status = loop {
            peak = peak.max(peak_mib(id));
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            std::thread::sleep(std::time::Duration::from_millis(3));
        };
        assert!(status.success(), "{what}");
        wall.push(start.elapsed().as_secs_f64());
        cpu.push(children() - used);
    }
    wall.sort_by(f64::total_cmp);
    cpu.sort_by(f64::total_cmp);
    println!("{what:<34} {:>8.2} {:>8.2} {peak:>9.1}", wall[rounds / 2], cpu[rounds / 2]);
}

/// CPU seconds of all children that ended: fields 16 and 17 of /proc/self/stat, in hundredths.
fn children() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[13..15].iter().map(|f| f.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

fn peak_mib(id: u32) -> f64 {
    let Ok(text) = fs::read_to_string(format!("/proc/{id}/status")) else { return 0.0 };
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<f64>().ok()).map_or(0.0, |kib| kib / 1024.0)
}

/// Eight large files and two hundred small ones of pseudo-random bytes, unless they are there.
fn make_tree(root: &Path, gib: u64) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chunk = vec![0; 1 << 20];
    let mut fill = |chunk: &mut [u8]| {
        for bytes in chunk.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.copy_from_slice(&state.to_le_bytes());
        }
    };
    fs::create_dir_all(root.join("small")).unwrap();
    for i in 0..200 {
        fill(&mut chunk[..3_000]);
        fs::write(root.join(format!("small/{i}.json")), &chunk[..3_000]).unwrap();
    }
    let each = (gib << 30) / 8;
    for i in 0..8 {
        let path = root.join(format!("weights-{i}.safetensors"));
        if fs::metadata(&path).is_ok_and(|m| m.len() == each) {
            continue;
        }
        let mut file = File::create(path).unwrap();
        for _ in 0..each >> 20 {
            fill(&mut chunk);
            file.write_all(&chunk).unwrap();
        }
    }
}
