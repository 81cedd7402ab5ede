//! The handle: order, waiting, reading, proofs, limits, export.

use crate::common::{entry, signer, verifier};
use ledger::{ENTRY_BYTES_MAX, verify_consistency, verify_inclusion};
use std::sync::Arc;
use store::log::{Log, LogError, OpenError, Options, READ_RANGE_ENTRIES_MAX, audit, check_export, export};

fn never_published() -> Options {
    Options { publish_every: None, ..Options::default() }
}

#[test]
fn entries_are_read_and_proven_from_memory_and_from_tiles() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), signer(), never_published()).unwrap();
    assert!(log.open_report().created);
    assert_eq!(log.head().size, 0);
    let mut heads = vec![log.head()];
    for step in 0..6 {
        let appended: Vec<_> =
            (0..211).map(|i| log.append(&entry(&format!("{}", step * 211 + i))).unwrap()).collect();
        for (i, appended) in (0..).zip(appended) {
            assert_eq!(appended.index(), step * 211 + i);
            appended.wait().unwrap();
        }
        if step % 2 == 1 {
            log.flush_tiles().unwrap();
        }
        heads.push(log.head());
        let head = log.head();
        for index in 0..head.size {
            assert_eq!(log.read(index).unwrap(), entry(&index.to_string()), "{index} of {}", head.size);
        }
        for index in (0..head.size).step_by(37) {
            let proof = log.prove_inclusion(index, head.size).unwrap();
            let leaf = ledger::leaf_hash(&entry(&index.to_string()));
            verify_inclusion(&leaf, index, head.size, &head.root, &proof).unwrap();
        }
        for old in &heads {
            let proof = log.prove_consistency(old.size, head.size).unwrap();
            verify_consistency(old.size, &old.root, head.size, &head.root, &proof).unwrap();
            let known = ledger::Checkpoint::verify(old.checkpoint.as_bytes(), &verifier()).unwrap();
            assert_eq!((known.size, known.root), (old.size, old.root));
        }
    }
    let all = log.read_range(0, u64::MAX).unwrap();
    assert_eq!(all.len(), 6 * 211);
    assert_eq!(log.read_range(1260, 100).unwrap().len(), 6);
    assert_eq!(log.read_range(200, 300).unwrap(), all[200..500]);
    assert!(matches!(log.read(1266), Err(LogError::NoSuchEntry { index: 1266, size: 1266 })));
    assert!(matches!(log.read_range(1266, 1), Err(LogError::NoSuchEntry { .. })));
    assert!(matches!(log.prove_inclusion(0, 1267), Err(LogError::NoSuchEntry { .. })));
    assert!(matches!(log.prove_consistency(1, 1267), Err(LogError::NoSuchEntry { .. })));
}

#[test]
fn a_log_goes_on_where_it_was_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut size = 0u64;
    for step in [1u64, 254, 1, 1, 300, 0, 700] {
        let log = Log::open(dir.path(), signer(), Options::default()).unwrap();
        assert_eq!(log.open_report().size, size);
        assert_eq!(log.open_report().replayed_entries, 0, "a closed log has nothing left to replay");
        for _ in 0..step {
            let _ = log.append_blocking(&entry(&size.to_string())).unwrap();
            size += 1;
        }
        log.close().unwrap();
        let report = audit(dir.path(), &verifier(), None, &mut |_, _| {}).unwrap();
        assert!(report.is_clean() && report.leftovers == 0 && report.size == size, "{report:?}");
        assert_eq!(report.published, size);
    }
    let log = Log::open(dir.path(), signer(), Options::default()).unwrap();
    assert!((0..size).all(|index| log.read(index).unwrap() == entry(&index.to_string())));
}

#[test]
fn dropping_the_handle_keeps_what_was_queued() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), signer(), never_published()).unwrap();
    let appended = log.append(b"queued").unwrap();
    drop(log);
    assert_eq!(appended.wait().unwrap(), 0);
    assert_eq!(audit(dir.path(), &verifier(), None, &mut |_, _| {}).unwrap().published, 1);
}

#[test]
fn a_closed_log_and_a_second_process_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), signer(), Options::default()).unwrap();
    let error = Log::open(dir.path(), signer(), Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
    let live = audit(dir.path(), &verifier(), None, &mut |_, _| {}).unwrap();
    assert!(live.in_use && live.is_clean());
    log.close().unwrap();
    Log::open(dir.path(), signer(), Options::default()).unwrap();
}

#[test]
fn the_largest_entry_fits_and_one_byte_more_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), signer(), Options::default()).unwrap();
    let largest = vec![7; ENTRY_BYTES_MAX];
    // More than one batch frame.
    let appended: Vec<_> = (0..40).map(|_| log.append(&largest).unwrap()).collect();
    assert!(matches!(log.append(&[7; ENTRY_BYTES_MAX + 1]), Err(LogError::EntryTooLarge(_))));
    appended.into_iter().for_each(|appended| {
        let index = appended.wait().unwrap();
        assert_eq!(log.read(index).unwrap(), largest);
    });
    log.flush_tiles().unwrap();
    assert_eq!(log.read(39).unwrap(), largest);
}

#[test]
fn a_full_queue_is_busy_and_takes_entries_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), signer(), never_published()).unwrap();
    // Faster than any disk syncs: 64 MiB in memory copies against a queue of 32.
    let big = vec![1; ENTRY_BYTES_MAX];
    let mut taken = 0u64;
    let mut busy = 0u64;
    while busy == 0 && taken < 100_000 {
        match log.append(&big) {
            Ok(_) => taken += 1,
            Err(LogError::Busy) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(busy > 0, "the queue has no bound");
    let index = log.append_blocking(b"after").unwrap().wait().unwrap();
    assert_eq!(index, taken, "a refused entry takes no index");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_wait_for_their_own_entries() {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(Log::open(dir.path(), signer(), Options::default()).unwrap());
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut indices = Vec::new();
                for number in 0..20 {
                    let name = format!("{task}/{number}");
                    let appended = log.append_when_room(&entry(&name)).await.unwrap();
                    let expected = appended.index();
                    let index = appended.durable().await.unwrap();
                    assert_eq!(index, expected);
                    assert!(log.head().size > index);
                    assert_eq!(log.read(index).unwrap(), entry(&name));
                    indices.push(index);
                }
                indices
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..64 * 20), "each index is given once");
    log.durable_through(64 * 20 - 1).await.unwrap();
    assert!(matches!(log.durable_through(64 * 20).await, Err(LogError::NoSuchEntry { .. })));
}

#[test]
fn an_export_can_be_checked_without_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), signer(), Options::default()).unwrap();
    let entries: Vec<Vec<u8>> = (0..600u32)
        .map(|i| match i % 3 {
            0 => format!("{{\"decision\":{i}}}").into_bytes(),
            1 => format!("{{\"broken\":{i}").into_bytes(),
            _ => vec![0xff; i as usize],
        })
        .collect();
    for entry in &entries {
        let _ = log.append_blocking(entry).unwrap();
    }
    log.close().unwrap();
    let mut out = Vec::new();
    let checkpoint = export(dir.path(), &verifier(), &mut out, &mut |_, _| {}).unwrap();
    assert_eq!(checkpoint.size, 600);

    let check = |bytes: &[u8]| check_export(&mut &bytes[..], &verifier());
    assert_eq!(check(&out).unwrap(), checkpoint);
    for at in (0..out.len()).step_by(97) {
        let mut changed = out.clone();
        changed[at] ^= 1;
        assert!(check(&changed).is_err(), "byte {at}");
        assert!(check(&out[..at]).is_err(), "cut at {at}");
    }
    assert!(check(&[&out[..], b"{}\n"].concat()).is_err());

    let lines: Vec<serde_json::Value> =
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut tree = ledger::Tree::new();
    for (index, line) in lines[..600].iter().enumerate() {
        assert_eq!(line["index"], index);
        if index % 3 == 0 {
            assert_eq!(line["json"]["decision"], index);
        }
        tree.push(ledger::Hash::from_base64(line["leaf"].as_str().unwrap()).unwrap());
    }
    let note = lines[600]["checkpoint"].as_str().unwrap();
    assert_eq!(ledger::Checkpoint::verify(note.as_bytes(), &verifier()).unwrap().root, tree.root());
}

#[test]
fn no_more_than_the_largest_range_is_returned() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), signer(), Options::default()).unwrap();
    for _ in 0..=READ_RANGE_ENTRIES_MAX {
        let _ = log.append_blocking(b"x").unwrap();
    }
    log.flush_tiles().unwrap();
    assert_eq!(log.read_range(0, READ_RANGE_ENTRIES_MAX + 1).unwrap().len() as u64, READ_RANGE_ENTRIES_MAX);
}

#[test]
fn an_audit_of_a_log_in_use_is_clean_at_every_moment() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { publish_every: Some(std::time::Duration::ZERO), ..Options::default() };
    let log = Arc::new(Log::open(dir.path(), signer(), options).unwrap());
    let writer = {
        let log = Arc::clone(&log);
        std::thread::spawn(move || {
            for i in 0..400u32 {
                let many: Vec<_> = (0..7).map(|_| log.append_blocking(&i.to_be_bytes()).unwrap()).collect();
                many.into_iter().for_each(|appended| assert!(appended.wait().is_ok()));
            }
        })
    };
    let (mut audits, mut last) = (0, 0);
    while !writer.is_finished() || audits == 0 {
        let report = audit(dir.path(), &verifier(), None, &mut |_, _| {}).unwrap();
        assert!(report.in_use && report.is_clean(), "{report:?}");
        assert!(report.size >= last);
        (audits, last) = (audits + 1, report.size);
    }
    writer.join().unwrap();
    assert!(last > 0);
}

#[test]
fn a_log_that_has_not_failed_is_not_reopened() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(dir.path(), signer(), Options::default()).unwrap();
    let appended = log.append(b"x").unwrap();
    assert_eq!(log.reopen().unwrap(), log.open_report());
    assert_eq!(appended.wait().unwrap(), 0);
    let (stats, queued) = log.stats();
    assert_eq!((stats.commits, stats.entries, queued), (1, 1, 0));
    assert!(log.failure().is_none());
}
