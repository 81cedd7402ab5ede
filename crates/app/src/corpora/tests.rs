//! Whole runs over small folders.

use std::sync::atomic::AtomicBool;

use super::*;

/// Runs; stops when the flag says so.
fn run(
    path: &Path,
    out: &Path,
    resume: bool,
    threads: usize,
    stop: &AtomicBool,
) -> Result<Report, CorpusError> {
    screen(&Request {
        path: path.to_owned(),
        out: out.to_owned(),
        field: None,
        identifiers: Identifiers::Note,
        threads,
        resume,
        progress: &|_, _, _| {},
        stop: &|| stop.load(Ordering::Relaxed),
    })
}

/// A folder with lines of JSON, a text, and something broken in between.
fn corpus_of(folder: &Path) {
    let mut lines = String::new();
    for n in 0..40 {
        lines += &format!(
            "{{\"text\":\"Chapter {n}. Metformin is used for type 2 diabetes.\",\"url\":\"https://good.example/{n}\"}}\n"
        );
    }
    lines += "{\"text\": \n";
    for n in 0..6 {
        lines += &format!(
            "{{\"text\":\"Story {n}: vaccines cause autism.\",\"url\":\"https://www.bad.example/{n}\"}}\n"
        );
    }
    lines += "{\"text\":\"A recipe for soup.\",\"url\":\"https://bad.example/soup\"}\n";
    std::fs::write(folder.join("a.jsonl"), lines).unwrap();
    std::fs::create_dir(folder.join("notes")).unwrap();
    std::fs::write(folder.join("notes/b.txt"), "Lungs are clear. Heart size is normal.\n").unwrap();
}

#[test]
fn poison_goes_to_quarantine_with_its_whole_source_and_the_rest_stays_as_it_was() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    corpus_of(folder.path());
    let report = run(folder.path(), out.path(), false, 2, &AtomicBool::new(false)).unwrap();
    assert_eq!((report.documents, report.found, report.inconclusive), (49, 7, 1));
    assert_eq!(report.broken[0].line, 41);
    assert!(report.complete && report.corpus.is_some());
    assert!(report.sources[0].stands_out && report.sources[0].name == "bad.example");
    let read = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap();
    assert_eq!(read("clean/a.jsonl").lines().count(), 40);
    assert_eq!(read("quarantine/a.jsonl").lines().count(), 8);
    assert_eq!(read("clean/notes/b.txt"), "Lungs are clear. Heart size is normal.\n");
    assert!(!out.path().join("quarantine/notes/b.txt").exists());
    let page = read("report.html");
    assert!(page.contains("bad.example") && !page.contains("recipe"), "no words of documents");
    assert!(!read("report.json").contains("recipe"));
}

#[test]
fn one_thread_or_four_and_a_stop_in_between_give_the_same_report() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    corpus_of(folder.path());
    let at = |name: &str| out.path().join(name);
    let one = run(folder.path(), &at("one"), false, 1, &AtomicBool::new(false)).unwrap();
    let four = run(folder.path(), &at("four"), false, 4, &AtomicBool::new(false)).unwrap();
    let stopped = run(folder.path(), &at("two"), false, 2, &AtomicBool::new(true)).unwrap();
    assert!(!stopped.complete && stopped.corpus.is_none());
    assert!(matches!(
        run(folder.path(), &at("two"), false, 2, &AtomicBool::new(false)),
        Err(CorpusError::Taken(_))
    ));
    let on = run(folder.path(), &at("two"), true, 2, &AtomicBool::new(false)).unwrap();
    assert!(one == four && one == on);
}

#[test]
fn another_corpus_or_other_wishes_are_not_gone_on_with() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    corpus_of(folder.path());
    run(folder.path(), out.path(), false, 1, &AtomicBool::new(true)).unwrap();
    std::fs::write(folder.path().join("c.txt"), "new").unwrap();
    let refused = run(folder.path(), out.path(), true, 1, &AtomicBool::new(false));
    assert!(matches!(refused, Err(CorpusError::Other(_))));
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_done() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    corpus_of(folder.path());
    std::fs::write(folder.path().join("t.parquet"), b"PAR1 and more").unwrap();
    std::fs::write(folder.path().join("z.jsonl.zst"), [0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff]).unwrap();
    let report = run(folder.path(), out.path(), false, 2, &AtomicBool::new(false)).unwrap();
    assert!(!report.complete && report.corpus.is_none());
    assert_eq!(report.documents, 49);
    assert!(report.broken.iter().any(|p| p.file == "t.parquet" && p.why.contains("JSON lines")));
    assert!(report.broken.iter().any(|p| p.file == "z.jsonl.zst"));
}
