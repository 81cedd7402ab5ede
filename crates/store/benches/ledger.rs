//! Durable entries a second with group commit, against a bare loop of write and fdatasync over batches of the same size.
//!
//! `cargo bench -p store --bench ledger [-- SECONDS [RSS_ENTRIES]]`; `ASEPSIS_BENCH_DIR` chooses the disk. Both sides run in turn in
//! the same process on the same disk, so that their ratio says something on a shared machine.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench prints its table and stops at the first failure"
)]

use ledger::Signer;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use store::log::{Log, Options};

/// Bytes in an entry: what a gateway decision takes.
const ENTRY_BYTES: usize = 600;
/// Entries a producer has under way before it waits for the oldest.
const WINDOWS: [(usize, usize); 4] = [(1, 1), (4, 16), (8, 128), (8, 1024)];

fn open(dir: &Path) -> Log {
    let signer = Signer::from_seed("bench.example/ledger", &[1; 32]).expect("a valid name");
    Log::open(dir, signer, Options::default()).expect("a fresh directory")
}

/// Appends from `threads` threads with `window` entries under way each until `stop` is set.
fn produce(
    log: &Arc<Log>,
    threads: usize,
    window: usize,
    stop: &Arc<AtomicBool>,
) -> Vec<std::thread::JoinHandle<()>> {
    (0..threads)
        .map(|thread| {
            let (log, stop) = (Arc::clone(log), Arc::clone(stop));
            std::thread::spawn(move || {
                let mut entry = vec![thread as u8; ENTRY_BYTES];
                let mut under_way = std::collections::VecDeque::new();
                let mut number = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    entry[..8].copy_from_slice(&number.to_be_bytes());
                    under_way.push_back(log.append_blocking(&entry).expect("appended"));
                    if under_way.len() >= window {
                        under_way.pop_front().expect("not empty").wait().expect("durable");
                    }
                }
                for appended in under_way {
                    appended.wait().expect("durable");
                }
            })
        })
        .collect()
}

/// Appends batches of `bytes` for the given time: batches written.
fn bare(dir: &Path, bytes: usize, time: Duration) -> (u64, f64) {
    let mut file = File::create(dir.join("bare")).expect("a file");
    let batch = vec![7u8; bytes];
    let (start, mut batches) = (Instant::now(), 0);
    while start.elapsed() < time {
        file.write_all(&batch).expect("written");
        file.sync_data().expect("synced");
        batches += 1;
    }
    (batches, start.elapsed().as_secs_f64())
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn throughput(root: &Path, time: Duration) {
    println!("| producers x under way | entries/s | per commit | sync ms | bare entries/s | ratio |");
    println!("|---|---|---|---|---|---|");
    for (threads, window) in WINDOWS {
        // Ledger, bare, ledger, bare: the disk's mood changes, and both get their share of it.
        let (mut ours, mut theirs, mut commits, mut entries, mut sync) = (0.0, 0.0, 0u64, 0u64, 0.0);
        for round in 0..2 {
            let dir = root.join(format!("{threads}-{window}-{round}"));
            let log = Arc::new(open(&dir));
            let stop = Arc::new(AtomicBool::new(false));
            let start = Instant::now();
            let workers = produce(&log, threads, window, &stop);
            std::thread::sleep(time);
            stop.store(true, Ordering::Relaxed);
            workers.into_iter().for_each(|worker| worker.join().expect("a producer"));
            let seconds = start.elapsed().as_secs_f64();
            let stats = log.stats().0;
            drop(log);
            let per_commit = stats.entries as f64 / stats.commits as f64;
            let bytes = (per_commit * ENTRY_BYTES as f64) as usize;
            let (batches, bare_seconds) = bare(&dir, bytes.max(ENTRY_BYTES), time);
            ours += stats.entries as f64 / seconds / 2.0;
            theirs += batches as f64 * per_commit / bare_seconds / 2.0;
            (commits, entries) = (commits + stats.commits, entries + stats.entries);
            sync += stats.sync_time.as_secs_f64();
            std::fs::remove_dir_all(&dir).expect("removed");
        }
        println!(
            "| {threads} x {window} | {ours:.0} | {:.1} | {:.2} | {theirs:.0} | {:.2} |",
            entries as f64 / commits as f64,
            sync * 1000.0 / commits as f64,
            ours / theirs
        );
    }
}

fn memory(root: &Path, entries: u64) {
    let dir = root.join("memory");
    let log = Arc::new(open(&dir));
    println!("\n| entries | resident KiB |\n|---|---|");
    println!("| 0 | {} |", resident_kib());
    let stop = Arc::new(AtomicBool::new(false));
    let workers = produce(&log, 4, 1024, &stop);
    let start = Instant::now();
    let mut next = entries / 10;
    while next <= entries {
        let size = log.head().size;
        if size >= next {
            println!("| {size} | {} |", resident_kib());
            next += entries / 10;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let (size, seconds) = (log.head().size, start.elapsed().as_secs_f64());
    stop.store(true, Ordering::Relaxed);
    workers.into_iter().for_each(|worker| worker.join().expect("a producer"));
    let start = Instant::now();
    let (middle, reads) = (size / 2, 2000u64);
    for i in 0..reads {
        log.read((middle + i * 7919) % size).expect("read");
    }
    let read = start.elapsed().as_secs_f64() * 1e6 / reads as f64;
    let start = Instant::now();
    for i in 0..reads {
        log.prove_inclusion((middle + i * 7919) % size, size).expect("proof");
    }
    let prove = start.elapsed().as_secs_f64() * 1e6 / reads as f64;
    let start = Instant::now();
    drop(log);
    let close = start.elapsed().as_secs_f64();
    let start = Instant::now();
    drop(open(&dir));
    let open_edge = start.elapsed().as_secs_f64() * 1e3;
    let verifier =
        Signer::from_seed("bench.example/ledger", &[1; 32]).expect("a valid name").verifier().clone();
    let start = Instant::now();
    let report = store::log::audit(&dir, &verifier, None, &mut |_, _| {}).expect("an audit");
    assert!(report.is_clean(), "{:?}", report.findings);
    let audit = start.elapsed().as_secs_f64();
    println!("| after the audit | {} |", resident_kib());
    println!(
        "\n{size} entries in {seconds:.1} s ({:.0}/s with tiles published meanwhile); read {read:.0} us, inclusion proof {prove:.0} us, \
         close {close:.2} s, open (edge) {open_edge:.1} ms, full audit {audit:.1} s",
        size as f64 / seconds
    );
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let seconds = numbers.first().copied().unwrap_or(3);
    let entries = numbers.get(1).copied().unwrap_or(1_000_000);
    let parent = std::env::var_os("ASEPSIS_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let root = tempfile::tempdir_in(parent).expect("a directory");
    throughput(root.path(), Duration::from_secs(seconds));
    memory(root.path(), entries);
}
