//! kill -9 for real, hundreds of times: nothing acknowledged is lost, and the log opens again.

use crate::child::Writer;
use crate::common::{entry, random, signer, verifier};
use rand::Rng;
use std::collections::BTreeMap;
use store::log::{Log, Options, audit};

const ROUNDS: usize = 200;

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = random(1);
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    let (mut replayed, mut torn) = (0, 0);
    for round in 0..ROUNDS {
        let publish = ["-", "0", "3"][random.random_range(0..3)];
        let role = format!("r{round},{},{publish}", random.random_range(1..4));
        let mut writer = Writer::start(&role, dir.path());
        let mut now = Vec::new();
        // After so many acknowledgements the writer dies, wherever its threads are at that moment.
        for _ in 0..random.random_range(1..120) {
            now.push(writer.acknowledged().expect("the writer ended by itself"));
        }
        now.extend(writer.kill());

        let report = audit(dir.path(), &verifier(), None, &mut |_, _| {}).unwrap();
        assert!(report.is_clean(), "round {round}: {:?}", report.findings);
        let log = Log::open(dir.path(), signer(), Options::default())
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        let opened = log.open_report();
        assert_eq!((opened.size, opened.root), (report.size, report.root), "round {round}");
        (replayed, torn) = (replayed + opened.replayed_entries, torn + usize::from(opened.torn_bytes > 0));
        for (index, name) in &now {
            assert_eq!(log.read(*index).unwrap(), entry(name), "round {round}, entry {index}");
        }
        for (index, name) in now {
            assert_eq!(acknowledged.insert(index, name), None, "entry {index} was acknowledged twice");
        }
        log.close().unwrap();
    }

    let log = Log::open(dir.path(), signer(), Options::default()).unwrap();
    for (index, name) in &acknowledged {
        assert_eq!(log.read(*index).unwrap(), entry(name), "entry {index} at the end");
    }
    let head = log.head();
    log.close().unwrap();
    let report = audit(dir.path(), &verifier(), Some((head.size, head.root.into())), &mut |_, _| {}).unwrap();
    assert!(report.is_clean() && report.leftovers == 0, "{report:?}");
    assert!(
        replayed > 0,
        "no round left anything in the write-ahead segments: the kills came too late to test them"
    );
    eprintln!(
        "{ROUNDS} kills, {} entries acknowledged of {}, {replayed} replayed, {torn} torn writes",
        acknowledged.len(),
        head.size
    );
}
