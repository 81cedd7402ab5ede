//! Every flipped bit, cut and removed file of a log is found, by the audit and by opening with full verification.

use crate::child::Writer;
use crate::common::{copy_dir, entry, files, random, signer, verifier};
use rand::Rng;
use std::path::Path;
use store::log::{Log, LogError, OpenError, Options, VerifyOnOpen, audit};

const TRIALS: usize = 400;

/// A log as a killed writer leaves it: full and partial tiles, older partial tiles, and acknowledged entries in a segment only.
///
/// How far publication is at the kill depends on the disk, so the writer goes on until the log has all of these.
fn crashed_log(dir: &Path) -> u64 {
    for _ in 0..100 {
        let mut writer = Writer::start("d,3,-", dir);
        let told: Vec<u64> =
            (0..600).map(|_| writer.acknowledged().expect("the writer ended by itself").0).collect();
        let last = writer.kill().into_iter().map(|(index, _)| index).chain(told).max().unwrap();
        let report = audit(dir, &verifier(), None, &mut |_, _| {}).unwrap();
        if report.published > 256
            && !report.published.is_multiple_of(256)
            && report.leftovers == 0
            // What the kill tore is nobody's entry: a bit flipped in it cannot be told from the tear.
            && report.torn_bytes == 0
            && mark(dir) > report.published
        {
            return last;
        }
    }
    panic!("no kill left entries in a segment")
}

/// Entries acknowledged, as the directory says: the batch being written at the kill is behind it, whole or torn.
fn mark(dir: &Path) -> u64 {
    u64::from_be_bytes(std::fs::read(dir.join("acknowledged")).unwrap()[8..16].try_into().unwrap())
}

fn full() -> Options {
    Options { verify_on_open: VerifyOnOpen::Full, ..Options::default() }
}

/// The audit finds it and opening refuses it without changing anything.
fn assert_found(dir: &Path, what: &str) {
    match audit(dir, &verifier(), None, &mut |_, _| {}) {
        Ok(report) => assert!(!report.is_clean(), "audit misses: {what}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let error = Log::open(dir, signer(), full()).err().unwrap_or_else(|| panic!("open accepts: {what}"));
    assert!(matches!(error, OpenError::Damaged { .. } | OpenError::Key { .. }), "{what}: {error}");
}

#[test]
fn any_flipped_bit_or_cut_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let told = crashed_log(dir);
    let acknowledged = mark(dir);
    assert!(acknowledged > told, "the mark is written before anybody is told");
    let clean = audit(dir, &verifier(), None, &mut |_, _| {}).unwrap();
    assert!(clean.is_clean() && clean.size >= acknowledged, "{clean:?}");
    assert!(clean.size > clean.published, "nothing is in the segments");
    let files = files(dir);
    let kinds = ["tile/0", "tile/1", "tile/entries", "wal", "checkpoint", "acknowledged"];
    for kind in kinds {
        assert!(
            files.iter().any(|file| file.strip_prefix(dir).unwrap().starts_with(kind)),
            "no file of {kind}"
        );
    }

    let mut random = random(2);
    for trial in 0..TRIALS {
        // By kind first, so that the few small files get their share.
        let kind = kinds[trial % kinds.len()];
        let of_kind: Vec<_> =
            files.iter().filter(|file| file.strip_prefix(dir).unwrap().starts_with(kind)).collect();
        let path = of_kind[random.random_range(0..of_kind.len())];
        let content = std::fs::read(path).unwrap();
        let mut changed = content.clone();
        let at = random.random_range(0..content.len());
        let what = if random.random() {
            changed[at] ^= 1 << random.random_range(0..8);
            format!("{}: bit flipped in byte {at} of {}", path.display(), content.len())
        } else {
            changed.truncate(at);
            format!("{}: cut to {at} of {} bytes", path.display(), content.len())
        };
        std::fs::write(path, &changed).unwrap();
        let cut = changed.len() < content.len() && kind == "wal";
        match audit(dir, &verifier(), None, &mut |_, _| {}) {
            // Only the batch nobody was told of is gone: a torn write like any other.
            Ok(report) if cut && report.is_clean() => {
                assert!(report.size >= acknowledged, "{what}: {report:?}")
            }
            _ => assert_found(dir, &what),
        }
        std::fs::write(path, &content).unwrap();
    }
    let after = audit(dir, &verifier(), None, &mut |_, _| {}).unwrap();
    assert_eq!(after, clean, "a refusal changed something");

    for path in &files {
        let name = path.strip_prefix(dir).unwrap().display().to_string();
        let content = std::fs::read(path).unwrap();
        std::fs::remove_file(path).unwrap();
        let report = audit(dir, &verifier(), None, &mut |_, _| {});
        let found = report.map_or(true, |report| !report.is_clean());
        // Partial tiles of older checkpoints repeat what newer ones hold: losing one loses nothing.
        let needed =
            ledger::tile::LayoutPath::parse(&name).map_or(true, |path| is_needed(path, clean.published));
        // A segment that was begun at the kill, and of which nobody was told, is nobody's loss.
        let first = name.strip_prefix("wal/").and_then(|n| n.strip_suffix(".wal")?.parse::<u64>().ok());
        let needed = needed && first.is_none_or(|first| first < acknowledged);
        assert_eq!(found, needed, "removed {name}");
        std::fs::write(path, &content).unwrap();
    }

    let log = Log::open(dir, signer(), full()).unwrap();
    assert_eq!((log.head().size, log.head().root), (clean.size, clean.root));
}

fn is_needed(path: ledger::tile::LayoutPath, published: u64) -> bool {
    use ledger::tile::{LayoutPath, TILE_WIDTH};
    let (level, index, width) = match path {
        LayoutPath::Tile(tile) => (tile.level(), tile.index(), tile.width()),
        LayoutPath::Entries { index, width } => (0, index, width),
    };
    width == TILE_WIDTH
        || ledger::TileId::in_tree(level, index, published).is_some_and(|tile| tile.width() == width)
}

#[test]
fn foreign_files_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    Log::open(dir, signer(), Options::default()).unwrap().close().unwrap();
    for name in ["tile/0/001.bak", "tile/notes", "tile/entries/0000", "wal/x.wal"] {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, b"x").unwrap();
        assert_found(dir, name);
        std::fs::remove_file(&path).unwrap();
    }
    Log::open(dir, signer(), full()).unwrap();
}

#[test]
fn a_rolled_back_directory_is_found_with_the_anchor_only() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let log = Log::open(&new, signer(), Options::default()).unwrap();
    log.append(b"first").unwrap().wait().unwrap();
    log.flush_tiles().unwrap();
    copy_dir(&new, &old);
    log.append(b"second").unwrap().wait().unwrap();
    let head = log.head();
    log.close().unwrap();
    let anchor = Some((head.size, head.root.into()));

    assert!(
        audit(&old, &verifier(), None, &mut |_, _| {}).unwrap().is_clean(),
        "by itself the copy is a good log"
    );
    assert!(!audit(&old, &verifier(), anchor, &mut |_, _| {}).unwrap().is_clean());
    assert!(audit(&new, &verifier(), anchor, &mut |_, _| {}).unwrap().is_clean());
    let anchored = || Options { anchor, ..Options::default() };
    assert!(matches!(Log::open(&old, signer(), anchored()), Err(OpenError::RolledBack { .. })));
    Log::open(&new, signer(), anchored()).unwrap();

    // A log that goes on differently from the old state is as long, but another one.
    let fork = Log::open(&old, signer(), Options::default()).unwrap();
    fork.append(b"other").unwrap().wait().unwrap();
    fork.close().unwrap();
    assert!(matches!(Log::open(&old, signer(), anchored()), Err(OpenError::RolledBack { .. })));
    let report = audit(&old, &verifier(), anchor, &mut |_, _| {}).unwrap();
    assert_eq!(report.findings[0].file, "anchor");

    // An empty directory is not a new log to somebody who knows better.
    let empty = dir.path().join("empty");
    assert!(matches!(Log::open(&empty, signer(), anchored()), Err(OpenError::RolledBack { .. })));
}

#[test]
fn an_unacknowledged_torn_tail_is_dropped_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    crashed_log(dir);
    let clean = audit(dir, &verifier(), None, &mut |_, _| {}).unwrap();
    let segment = files(&dir.join("wal")).pop().unwrap();
    let content = std::fs::read(&segment).unwrap();
    let frames = frames_end(&content);
    let (written, frame) = (&content[..frames], &content[64..]);
    // The beginning of a batch that was being written: what a frame starts with, cut anywhere. Once in a segment that grows, once with
    // zeros ahead, where it is the sectors after the first that are missing.
    for (cut, zeros) in [(1, 0), (31, 0), (32, 0), (33, 0), (512 - frames % 512, 1 << 20), (60, 0)] {
        let torn = [written, &frame[..cut], &vec![0; zeros]].concat();
        std::fs::write(&segment, torn).unwrap();
        let report = audit(dir, &verifier(), None, &mut |_, _| {}).unwrap();
        assert!(report.is_clean() && report.size == clean.size, "{cut}: {report:?}");
        assert!(report.torn_bytes.abs_diff(cut as u64) < 8, "{cut}: {report:?}");
    }
    let log = Log::open(dir, signer(), full()).unwrap();
    assert_eq!(log.open_report().torn_bytes, 60);
    assert_eq!(log.head().size, clean.size);
    log.close().unwrap();
    assert!(audit(dir, &verifier(), None, &mut |_, _| {}).unwrap().is_clean());
}

/// Where the frames of a segment end: what comes after them is torn, or zeros written ahead.
fn frames_end(segment: &[u8]) -> usize {
    let number = |at: usize| u32::from_be_bytes(segment[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 64;
    while segment.get(at..at + 4) == Some(b"ABF1") {
        let end = at + 32 + number(at + 16) + number(at + 20) + 32;
        if end > segment.len() || segment[end - 32..end].iter().all(|byte| *byte == 0) {
            break;
        }
        at = end;
    }
    at
}

#[test]
fn a_segment_is_written_over_zeros_and_nothing_of_them_stays() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let log = Log::open(dir, signer(), Options { publish_every: None, ..Options::default() }).unwrap();
    // As many segments as it takes until one is larger than what is written in it.
    let mut sizes = Vec::new();
    for round in 0..200 {
        let append = |i| log.append(&entry(&format!("z/{round}/{i}"))).unwrap().wait().unwrap();
        let last = (0..40).map(append).max().unwrap();
        let segment = std::fs::read(files(&dir.join("wal")).pop().unwrap()).unwrap();
        let end = frames_end(&segment);
        assert!(segment[end..].iter().all(|byte| *byte == 0));
        assert_eq!(log.read(last).unwrap(), entry(&format!("z/{round}/39")));
        sizes.push((end, segment.len()));
        if segment.len() > end {
            break;
        }
        log.flush_tiles().unwrap();
    }
    assert!(sizes.last().is_some_and(|(end, length)| end < length), "never written over zeros: {sizes:?}");
    log.close().unwrap();
    assert!(!dir.join("spare").exists() && files(&dir.join("wal")).is_empty());
    assert!(audit(dir, &verifier(), None, &mut |_, _| {}).unwrap().is_clean());
}

#[test]
fn another_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Log::open(dir.path(), signer(), Options::default()).unwrap().close().unwrap();
    for other in [("other.example", [42; 32]), (crate::common::ORIGIN, [43; 32])] {
        let other = ledger::Signer::from_seed(other.0, &other.1).unwrap();
        let error = Log::open(dir.path(), other, Options::default()).unwrap_err();
        assert!(matches!(error, OpenError::Key { .. }), "{error}");
    }
}

#[test]
fn opening_by_the_edge_finds_damage_there_and_reading_finds_it_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    crashed_log(dir);
    let published = audit(dir, &verifier(), None, &mut |_, _| {}).unwrap().published;
    let edge = || Options { verify_on_open: VerifyOnOpen::Edge, ..Options::default() };
    let bundle = ledger::tile::entries_path(published / 256, published % 256);
    let mut names: Vec<String> =
        ledger::tile::partial_tiles(published).iter().map(|tile| tile.path()).collect();
    names.extend([bundle, "checkpoint".into(), "acknowledged".into()]);
    names.push(files(&dir.join("wal"))[0].strip_prefix(dir).unwrap().display().to_string());
    assert!(names.len() >= 6, "{names:?}");
    let mut random = random(3);
    for name in &names {
        let path = dir.join(name);
        let content = std::fs::read(&path).unwrap();
        for _ in 0..20 {
            let mut changed = content.clone();
            let at = random.random_range(0..content.len());
            changed[at] ^= 1 << random.random_range(0..8);
            std::fs::write(&path, &changed).unwrap();
            let error =
                Log::open(dir, signer(), edge()).err().unwrap_or_else(|| panic!("{name}: byte {at} missed"));
            let text = error.to_string();
            assert!(matches!(error, OpenError::Damaged { .. } | OpenError::Key { .. }), "{text}");
            assert!(
                matches!(error, OpenError::Key { .. }) || text.contains(name.as_str()),
                "{name} not named: {text}"
            );
        }
        std::fs::write(&path, &content).unwrap();
    }

    // Further left, a bounded check does not look: the entry itself is refused when somebody reads it.
    let path = dir.join("tile/entries/000");
    let mut content = std::fs::read(&path).unwrap();
    content[2] ^= 1;
    std::fs::write(&path, &content).unwrap();
    let log = Log::open(dir, signer(), edge()).unwrap();
    let error = log.read(0).unwrap_err();
    assert!(
        matches!(error, LogError::Damaged(_)) && error.to_string().contains("tile/entries/000"),
        "{error}"
    );
    log.read(1).unwrap();
    log.close().unwrap();
    let report = audit(dir, &verifier(), None, &mut |_, _| {}).unwrap();
    assert_eq!(
        report.findings.iter().map(|finding| finding.file.as_str()).collect::<Vec<_>>(),
        ["tile/entries/000"]
    );
}
