//! Exercises sent through the real gateway by HTTP: what the guards saw is reported, the same on any number of threads, and nothing of the hospital is touched.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::program::{self, example, json, said};

/// Small enough for a test, large enough that a search is one: a search by scores, one by decisions, and rows made with the model and sent once.
const SUITE: &str = "name = \"small\"\nversion = 1\ntitle = \"Small\"\nsamples = 12\nseed = 5\n\
    [[step]]\nattack = \"square\"\nnorm = \"linf\"\nepsilons = [0.02, 0.1]\nparameters = { queries = 40 }\n\
    [[step]]\nattack = \"hopskipjump\"\nnorm = \"linf\"\nepsilons = [0.05, 0.1]\nparameters = { queries = 120, evaluations = 20 }\nsamples = 6\n\
    [[step]]\nattack = \"pgd\"\nnorm = \"linf\"\nepsilons = [0.1]\n";

fn run(dir: &Path, config: &str, arguments: &[&str]) -> Output {
    program::run(dir, &[&["--config", config], arguments].concat())
}

fn through(dir: &Path, config: &str, system: &str, more: &[&str]) -> Output {
    std::fs::write(dir.join("small.toml"), SUITE).unwrap();
    let mut all =
        vec!["exercise", "run", "--system", system, "--through", "gateway", "--suite", "small.toml"];
    all.extend(["--no-evidence", "--format", "json"]);
    all.extend(more);
    run(dir, config, &all)
}

#[test]
fn what_the_guards_saw_is_the_same_on_one_thread_and_two() {
    let dir = tempfile::tempdir().unwrap();
    let config = example("asepsis.toml");
    let one = through(dir.path(), &config, "breast-mass", &["--threads", "1"]);
    assert_eq!(one.status.code(), Some(1), "{}", said(&one));
    let two = through(dir.path(), &config, "breast-mass", &["--threads", "2"]);
    assert_eq!(String::from_utf8_lossy(&one.stdout), String::from_utf8_lossy(&two.stdout));
    let card = json(&one);
    assert_eq!(card["complete"], true, "{}", card["faults"]);
    let gateway = &card["gateway"];
    assert_eq!((gateway["keys"].as_u64(), gateway["limits"].as_str()), (Some(1), Some("lifted")));
    assert!(gateway["remembered"].as_u64().unwrap() >= 50, "{}", gateway["remembered"]);
    assert_eq!(gateway["guards"]["query-similarity"], "block");
    // The search is seen by the guard against searches, within a few queries, and refused from then on.
    let rows = gateway["rows"].as_array().unwrap();
    let hop = rows.iter().find(|r| r["label"] == "hopskipjump").unwrap();
    assert_eq!(hop["seen"]["share"], 1.0, "{hop}");
    assert!(hop["blocked"].as_f64().unwrap() > 0.3, "{hop}");
    for row in rows {
        let number = |key: &str| row[key]["hits"].as_u64().unwrap();
        assert!(number("slipped") <= number("succeeded"), "{row}");
        assert_eq!(number("slipped") as usize, row["slipped-samples"].as_array().unwrap().len(), "{row}");
        let by: u64 = row["by"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        assert_eq!(by, number("seen"), "{row}");
        assert!(row["queries"].as_u64().unwrap() > 0, "{row}");
    }
    // What needs gradients is made with the model and sent once, by clients that never asked before.
    assert!(rows.iter().all(|r| r["label"] != "pgd"), "nobody sees gradients through a gateway");
    let once = gateway["singles"].as_array().unwrap().iter().find(|s| s["label"] == "pgd").unwrap();
    let fell = card["rows"].as_array().unwrap().iter().find(|r| r["label"] == "pgd").unwrap();
    assert_eq!(once["seen"]["of"], fell["fell"]["hits"], "{once}");
    // Clean traffic: at least as many requests as rows are held out, from many and from one.
    let clean = gateway["clean"].as_array().unwrap();
    assert_eq!(clean.len(), 2);
    for row in clean {
        assert!(row["alarms"]["of"].as_u64().unwrap() >= 80, "{row}");
        assert!(row["alarms"]["share"].as_f64().unwrap() < 0.2, "{row}");
    }
    assert!(!dir.path().join("data").exists(), "nothing of the hospital is made or changed");
}

#[test]
fn ten_keys_are_ten_clients_and_limits_are_applied_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(example("asepsis.toml")).unwrap();
    let text = text
        .replace("client-rows-per-day = 20000", "client-rows-per-day = 15")
        .replace("= \"models/", &format!("= \"{}/", example("models")))
        .replace("file = \"data/", &format!("file = \"{}/", example("data")));
    std::fs::write(dir.path().join("asepsis.toml"), text).unwrap();
    let config = "asepsis.toml";
    // 40 queries a run: with ten keys each client stays below 15 rows a day, with one it does not and the rest is not answered.
    let ten = json(&through(
        dir.path(),
        config,
        "breast-mass",
        &["--samples", "4", "--keys", "10", "--client-limits"],
    ));
    assert_eq!(
        (ten["gateway"]["keys"].as_u64(), ten["gateway"]["limits"].as_str()),
        (Some(10), Some("configured"))
    );
    let one = json(&through(dir.path(), config, "breast-mass", &["--samples", "4", "--client-limits"]));
    let lifted = json(&through(dir.path(), config, "breast-mass", &["--samples", "4"]));
    let succeeded = |card: &Value| -> u64 {
        let rows = card["gateway"]["rows"].as_array().unwrap();
        rows.iter().map(|r| r["succeeded"]["hits"].as_u64().unwrap()).sum()
    };
    assert!(succeeded(&one) <= succeeded(&lifted));
    let refused = through(dir.path(), config, "breast-mass", &["--keys", "0"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("1 to 100 keys"), "{}", said(&refused));
}

#[test]
fn trees_go_through_the_gateway_and_impossible_values_are_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = example("asepsis.toml");
    let output = through(dir.path(), &config, "heart-disease", &["--samples", "8"]);
    let card = json(&output);
    assert_eq!(card["complete"], true, "{}", said(&output));
    assert!(card["clean"]["all"]["share"].as_f64().unwrap() > 0.5, "clean rows pass: {}", card["clean"]);
    // Half-way between two codes of a category is no patient: the guard of the declared types says so at the first query.
    let rows = card["gateway"]["rows"].as_array().unwrap();
    let square = rows.iter().find(|r| r["label"] == "square").unwrap();
    assert_eq!(square["first-seen"]["median"], 1, "{square}");
    assert!(square["by"]["schema"].as_u64().unwrap() > 0, "{square}");
    assert!(
        card["skipped"].as_array().unwrap().iter().any(|s| s["about"] == "pgd"),
        "trees have no gradients"
    );
    // The page and the words show it.
    std::fs::write(dir.path().join("card.json"), &output.stdout).unwrap();
    let shown = run(dir.path(), &config, &["exercise", "show", "card.json", "--html", "page.html"]);
    assert!(said(&shown).contains("Through the gateway: 1 key a run"), "{}", said(&shown));
    let page = std::fs::read_to_string(dir.path().join("page.html")).unwrap();
    assert!(page.contains("What the guards saw") && page.contains("False alarms"));
    let both = run(dir.path(), &config, &["exercise", "compare", "card.json", "card.json"]);
    assert!(said(&both).contains("not past the guards"), "{}", said(&both));
}

#[test]
fn a_search_on_x_rays_is_seen_by_the_fifth_query() {
    let shared = std::env::var_os("ASEPSIS_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let data = shared.join("data/imaging/pneumoniamnist.npz");
    if !data.exists() {
        eprintln!("SKIPPED: {} is not there; set ASEPSIS_SHARED", data.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(example("asepsis.toml")).unwrap();
    let text = text
        .replace("data/pneumoniamnist.npz", data.canonicalize().unwrap().to_str().unwrap())
        .replace("= \"models/", &format!("= \"{}/", example("models")))
        .replace("file = \"data/", &format!("file = \"{}/", example("data")));
    std::fs::write(dir.path().join("asepsis.toml"), text).unwrap();
    let config = "asepsis.toml";
    let card = json(&through(dir.path(), config, "chest-xray", &["--samples", "4"]));
    let rows = card["gateway"]["rows"].as_array().unwrap();
    let square = rows.iter().find(|r| r["label"] == "square").unwrap();
    assert!(square["first-seen"]["median"].as_u64().unwrap() <= 5, "{square}");
    // Of honest clients with a patient each few are alarmed; one client that sends the whole test split in a day looks like one that copies the model.
    let clean = card["gateway"]["clean"].as_array().unwrap();
    assert!(clean[0]["alarms"]["share"].as_f64().unwrap() < 0.1, "{clean:?}");
    assert!(clean[0]["by"]["query-similarity"].is_null(), "{clean:?}");
}

#[test]
fn the_gateway_answers_soundly_whatever_comes() {
    let dir = tempfile::tempdir().unwrap();
    let config = example("asepsis.toml");
    let only = ["malformed_requests", "huge_batches", "burst_load", "clock_skew", "dying_upstream"];
    let mut all = vec!["exercise", "service", "--system", "breast-mass", "--format", "json"];
    all.extend(only.iter().flat_map(|name| ["--only", name]));
    let output = run(dir.path(), &config, &all);
    let rows = json(&output);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), only.len());
    for row in rows {
        assert!(row["unsound"].as_array().unwrap().is_empty(), "{row}");
        assert!(row["sound"]["of"].as_u64().unwrap() > 4, "{row}");
    }
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let burst = rows.iter().find(|r| r["name"] == "burst_load").unwrap();
    assert!(burst["answers"].as_object().unwrap().keys().any(|k| k.starts_with("429")), "{burst}");
    let wrong =
        run(dir.path(), &config, &["exercise", "service", "--system", "breast-mass", "--only", "rain"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("no condition `rain`"), "{}", said(&wrong));
}
