//! The state database in trouble: killed, full, damaged, read-only, locked, newer, cancelled.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use domain::{Advice, ClientId, Digest, Severity, Timestamp};
use sqlx::Connection as _;
use store::db::{Db, DbOptions, DecisionFilter, DecisionRow, NewAlarm, PAGE_ROWS_MAX, StoreError, Traffic};

const NOW: Timestamp = Timestamp::from_millis(1_795_440_000_000);
const WRITER: &str = "ASEPSIS_TEST_DB_WRITER";
const READER: &str = "ASEPSIS_TEST_DB_READ_ONLY";

fn row(index: u64) -> DecisionRow {
    DecisionRow {
        ledger_index: index,
        at: NOW,
        system: "breast-mass".parse().unwrap(),
        client: "ward-3".parse().unwrap(),
        model: Some(Digest::of(&index.to_be_bytes())),
        advice: Advice::Use,
        refused: None,
        guards: vec![],
        took_us: index,
        traffic: Traffic::Routine,
    }
}

/// All positions that are there, in order.
async fn positions(db: &Db) -> Vec<u64> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = db.decisions(&DecisionFilter::All, before, PAGE_ROWS_MAX).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.ledger_index);
        all.extend(page.iter().map(|r| r.ledger_index));
    }
    all.reverse();
    all
}

fn options(pages_max: Option<u32>) -> DbOptions {
    DbOptions { busy_ms: 20, pages_max }
}

/// A closed database with some thousand rows.
async fn filled(folder: &Path) -> PathBuf {
    let path = folder.join("state.db");
    let db = Db::open(&path).await.unwrap();
    db.insert_decisions(&(0..3_000).map(row).collect::<Vec<_>>()).await.unwrap();
    db.set_meta("origin", "hospital").await.unwrap();
    db.close().await;
    assert!(!folder.join("state.db-wal").exists(), "closing puts everything into the one file");
    path
}

/// Runs in its own process, see `every_acknowledged_row_survives_sigkill`: writes and acknowledges until it is killed.
#[tokio::test]
async fn writer_child() {
    let Some(path) = std::env::var_os(WRITER) else { return };
    let db = Db::open(Path::new(&path)).await.unwrap();
    let client: ClientId = "ward-3".parse().unwrap();
    let start = positions(&db).await.len() as u64 / 3;
    for n in start..start + 100_000 {
        db.insert_decisions(&[row(3 * n), row(3 * n + 1), row(3 * n + 2)]).await.unwrap();
        db.add_budget(1, &[(client.clone(), 1)]).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {n}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn every_acknowledged_row_survives_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let mut seen = 0;
    for round in 0..40 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_child", "--nocapture"])
            .env(WRITER, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut acknowledged = None;
        let mut count = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            // A line may be cut by the kill; a whole one counts.
            let line = line.unwrap();
            if let Some(n) = line.rsplit_once("ack ").and_then(|(_, n)| n.parse::<u64>().ok()) {
                acknowledged = Some(n);
                count += 1;
            }
            if count == 1 + round * 7 % 11 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let acknowledged = acknowledged.expect("the child wrote something");
        assert!(acknowledged >= seen, "round {round}: earlier rows were lost");
        let db = Db::open(&path).await.unwrap();
        let all = positions(&db).await;
        assert!(all.len() as u64 >= 3 * (acknowledged + 1), "round {round}: acknowledged rows were lost");
        assert_eq!(all, (0..all.len() as u64).collect::<Vec<_>>(), "round {round}: no gap");
        assert_eq!(all.len() % 3, 0, "round {round}: a batch is whole or not there");
        // The kill may fall between a batch and its count, once a round.
        let used = db.budgets(1).await.unwrap()[0].1;
        let batches = all.len() as u64 / 3;
        assert!(used <= batches && used + round + 1 >= batches, "round {round}: {used} of {batches}");
        db.check().await.unwrap();
        db.close().await;
        seen = acknowledged;
    }
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let db = Db::open_with(&path, options(Some(150))).await.unwrap();
    let mut next = 0;
    let error = loop {
        let batch: Vec<DecisionRow> = (next..next + 50).map(row).collect();
        match db.insert_decisions(&batch).await {
            Ok(()) => next += 50,
            Err(error) => break error,
        }
        assert!(next < 100_000, "150 pages hold no 100000 rows");
    };
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    assert!(error.to_string().contains("free disk space"), "{error}");
    assert!(next > 100);
    assert_eq!(
        positions(&db).await.len() as u64,
        next,
        "what was acknowledged is there, the failed batch is not"
    );
    let big = vec![7; 1_000_000];
    for _ in 0..3 {
        let again = db.save_history(&"a".parse().unwrap(), "similarity", NOW, &big).await;
        assert!(matches!(again, Err(StoreError::Full(_))), "{again:?}");
    }
    db.check().await.unwrap();
    db.prune_decisions(10).await.unwrap();
    db.insert_decisions(&[row(next)]).await.unwrap();
    db.close().await;
    let db = Db::open(&path).await.unwrap();
    db.save_history(&"a".parse().unwrap(), "similarity", NOW, &big).await.unwrap();
    assert_eq!(positions(&db).await.len(), 11);
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_first_start_leaves_nothing_half_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let error = Db::open_with(&path, options(Some(9))).await.unwrap_err();
    assert!(matches!(error, StoreError::Full(_)), "{error}");
    let db = Db::open(&path).await.unwrap();
    assert_eq!(db.keys().await.unwrap(), []);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path()).await;
    let good = std::fs::read(&path).unwrap();
    let page = 4_096;
    assert!(good.len() > 50 * page);
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        bytes
    };
    // Positions by the file format, section 1.3 and 1.6: magic, page size, format, root page's type, cell counts of inner pages.
    let mut cases: Vec<(String, Vec<u8>)> =
        [0, 3, 16, 17, 19, 21, 100, 103].into_iter().map(|at| (format!("byte {at}"), flip(at))).collect();
    let used: Vec<usize> =
        (1..good.len() / page).filter(|p| [2, 5, 10, 13].contains(&good[p * page])).collect();
    assert!(used.len() > 40);
    cases.extend(used.iter().map(|p| (format!("type of page {p}"), flip(p * page))));
    cases.push(("half".to_owned(), good[..good.len() / 2].to_vec()));
    cases.push(("one page short".to_owned(), good[..good.len() - page].to_vec()));
    cases.push(("a text".to_owned(), b"hello".to_vec()));
    cases.push(("a longer text".to_owned(), vec![b'x'; 3 * page]));
    for (name, bytes) in cases {
        std::fs::write(&path, &bytes).unwrap();
        let error = Db::open_with(&path, options(None)).await.expect_err(&name);
        assert!(matches!(error, StoreError::Damaged { .. } | StoreError::NotADatabase(_)), "{name}: {error}");
        assert!(error.to_string().contains("untouched"), "{name}: {error}");
        assert!(std::fs::read(&path).unwrap() == bytes, "{name}: the file was changed");
    }
    std::fs::write(&path, &good).unwrap();
    let db = Db::open(&path).await.unwrap();
    assert_eq!(positions(&db).await.len(), 3_000);
}

#[tokio::test]
async fn any_flipped_byte_is_survived_without_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path()).await;
    let good = std::fs::read(&path).unwrap();
    for n in 0..100_usize {
        let mut bytes = good.clone();
        let at = n * 7_919 * 31 % good.len();
        bytes[at] ^= 1 << (n % 8);
        std::fs::write(&path, &bytes).unwrap();
        match Db::open_with(&path, options(None)).await {
            Ok(db) => {
                let _ = db.decisions(&DecisionFilter::All, None, PAGE_ROWS_MAX).await;
                let _ = db.meta("origin").await;
                db.close().await;
            }
            Err(_) => assert!(std::fs::read(&path).unwrap() == bytes, "byte {at}"),
        }
        for rest in ["state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(rest));
        }
    }
}

#[tokio::test]
async fn other_programs_and_newer_files_are_refused_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path()).await;
    let run = async |path: &Path, text: &'static str| {
        sqlx::any::install_default_drivers();
        let url = format!("sqlite://{}?mode=rwc", path.display());
        let mut conn = sqlx::AnyConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(text).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    };
    let other = folder.path().join("other.db");
    run(&other, "CREATE TABLE patients (name TEXT);").await;
    let before = std::fs::read(&other).unwrap();
    let error = Db::open(&other).await.unwrap_err();
    assert!(matches!(error, StoreError::NotADatabase(_)), "{error}");
    assert!(std::fs::read(&other).unwrap() == before);

    run(&path, "INSERT INTO schema_history (version, name, digest, program) VALUES (99, 'x', 'x', '9.9.9');")
        .await;
    let error = Db::open(&path).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { found: 99, known: store::db::SCHEMA_VERSION, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("newer program"));

    run(&path, "DELETE FROM schema_history WHERE version = 99; UPDATE schema_history SET digest = 'x';")
        .await;
    let error = Db::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::OtherSchema { version: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_locked_database_is_said_so_and_works_again_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path()).await;
    let db = Db::open_with(&path, options(None)).await.unwrap();
    let url = format!("sqlite://{}?mode=rw", path.display());
    let mut other = sqlx::AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let error = db.set_meta("a", "b").await.unwrap_err();
    assert!(matches!(error, StoreError::Locked(_)), "{error}");
    assert_eq!(db.meta("origin").await.unwrap().as_deref(), Some("hospital"), "reading goes on");
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    db.set_meta("a", "b").await.unwrap();
    db.close().await;
    sqlx::raw_sql("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;").execute(&mut other).await.unwrap();
    let error = Db::open_with(&path, options(None)).await.unwrap_err();
    assert!(matches!(error, StoreError::Locked(_)), "{error}");
    other.close().await.unwrap();
    Db::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_missing_folder_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = Db::open(&folder.path().join("missing/state.db")).await.unwrap_err();
    assert!(matches!(error, StoreError::NoDirectory(_)), "{error}");
    let error = Db::open(folder.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "a folder in the file's place: {error}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_only_and_odd_names_work() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("a b#c?d%20é&=");
    std::fs::create_dir(&odd).unwrap();
    let path = odd.join("state?mode=ro.db");
    let db = Db::open(&path).await.unwrap();
    db.set_meta("a", "b").await.unwrap();
    for entry in std::fs::read_dir(&odd).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
    }
    db.close().await;
    assert!(path.is_file());
    assert_eq!(std::fs::read_dir(&odd).unwrap().count(), 1);
}

/// Runs in its own process without root's rights, see `read_only_places_are_said_so`.
#[cfg(unix)]
#[tokio::test]
async fn read_only_child() {
    let Some(folder) = std::env::var_os(READER) else { return };
    for name in ["new.db", "closed.db", "open.db"] {
        let error = Db::open_with(&Path::new(&folder).join(name), options(None)).await.expect_err(name);
        assert!(matches!(error, StoreError::ReadOnly(_)), "{name}: {error}");
        assert!(error.to_string().contains("write access"), "{error}");
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "all three were refused").unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn read_only_places_are_said_so() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
    use std::os::unix::process::CommandExt as _;
    let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    set(folder.path(), 0o755);
    let place = folder.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let path = filled(folder.path()).await;
    // A file that may not be written, and one that may but in a folder where its journal cannot be made.
    for (name, mode) in [("closed.db", 0o444), ("open.db", 0o666)] {
        std::fs::copy(&path, place.join(name)).unwrap();
        set(&place.join(name), mode);
    }
    set(&place, 0o555);
    let program = folder.path().join("program");
    if std::fs::hard_link(std::env::current_exe().unwrap(), &program).is_err() {
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    }
    let mut child = Command::new(&program);
    child.args(["--exact", "read_only_child", "--nocapture"]).env(READER, &place).current_dir("/");
    if std::fs::metadata(folder.path()).unwrap().uid() == 0 {
        // Permissions do not bind root: become nobody.
        child.uid(65_534).gid(65_534);
    }
    let output = child.output().unwrap();
    set(&place, 0o755);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("all three were refused"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_write_at_once_and_every_write_counts() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("state.db")).await.unwrap();
    let tasks = (0..8_u64).map(|task| {
        let db = db.clone();
        tokio::spawn(async move {
            for n in 0..10 {
                db.insert_decisions(&[row(task * 100 + n)]).await.unwrap();
                db.raise_alarm(
                    &NewAlarm {
                        alarm: "A001".to_owned(),
                        at: NOW,
                        system: None,
                        client: None,
                        severity: Severity::High,
                        message: "seen".to_owned(),
                    },
                    60_000,
                )
                .await
                .unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(positions(&db).await.len(), 80);
    let alarms = db.open_alarms(10).await.unwrap();
    assert_eq!((alarms.len(), alarms[0].count), (1, 80));
}

#[tokio::test]
async fn a_cancelled_write_is_whole_or_not_there_and_the_next_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("state.db")).await.unwrap();
    for steps in 0..40_u64 {
        let batch: Vec<DecisionRow> = (steps * 100..steps * 100 + 20).map(row).collect();
        let patience = async {
            for _ in 0..steps * 3 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            done = db.insert_decisions(&batch) => done.unwrap(),
            () = patience => {}
        }
        db.insert_decisions(&[row(steps * 100 + 99)]).await.unwrap();
    }
    let all = positions(&db).await;
    for steps in 0..40_u64 {
        let count = all.iter().filter(|n| *n / 100 == steps).count();
        assert!(count == 1 || count == 21, "{count} of batch {steps}");
    }
}
