//! Exercises from the command line: a scorecard that is the same on any number of threads, that goes on where it was ended, and what is refused.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::program::{cut_short, example, json, kept, run, said};

const SLOW: &str = "name = \"slow\"\nversion = 1\ntitle = \"Slow\"\nsamples = 64\nseed = 3\n\
    [[step]]\nattack = \"fgsm\"\nnorm = \"linf\"\nepsilons = [0.01]\n\
    [[step]]\nattack = \"square\"\nnorm = \"linf\"\nepsilons = [0.01]\nparameters = { queries = 4000 }\n";

/// `exercise run` of the cytology model on its data, with `more`.
fn cytology(more: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = ["exercise", "run", "--model"].map(String::from).to_vec();
    all.extend([example("models/wdbc_mlp.onnx"), "--data".into(), example("data/wdbc.csv")]);
    all.extend(more.iter().map(|m| (*m).to_owned()));
    all
}

fn ran(dir: &Path, more: &[&str]) -> Output {
    let all = cytology(more);
    run(dir, &all.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_one_thread_and_two() {
    let dir = tempfile::tempdir().unwrap();
    let one = ran(dir.path(), &["--samples", "70", "--threads", "1", "--format", "json"]);
    assert_eq!(one.status.code(), Some(1), "{}", said(&one));
    let two = ran(dir.path(), &["--samples", "70", "--threads", "2", "--format", "json"]);
    assert_eq!(one.stdout, two.stdout);
    let card = json(&one);
    assert_eq!(card["complete"], true);
    assert_eq!(card["samples"].as_array().unwrap().len(), 70);
    // Budgets rise, accuracy does not, and nothing is right that was wrong from the start.
    for curve in card["curves"].as_array().unwrap() {
        let shares: Vec<f64> =
            curve["points"].as_array().unwrap().iter().map(|p| p[1]["share"].as_f64().unwrap()).collect();
        assert!(shares[1..].windows(2).all(|w| w[1] <= w[0]), "{curve}");
    }
    let other = ran(dir.path(), &["--samples", "70", "--seed", "9", "--format", "json"]);
    assert_ne!(json(&other)["suite-digest"], card["suite-digest"]);
}

#[test]
fn what_was_ended_goes_on_and_gives_the_same_scorecard() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("slow.toml"), SLOW).unwrap();
    let whole = ran(dir.path(), &["--suite", "slow.toml", "--format", "json"]);
    let all = cytology(&["--suite", "slow.toml", "--format", "json", "--threads", "1"]);
    cut_short(dir.path(), &all.iter().map(String::as_str).collect::<Vec<_>>(), "", 1);
    let resumed = ran(dir.path(), &["--suite", "slow.toml", "--format", "json", "--resume"]);
    assert_eq!(resumed.stdout, whole.stdout);
    assert_eq!(kept(dir.path(), ""), 0, "what is complete needs no state");
}

#[test]
fn scorecards_of_one_suite_are_compared_and_of_two_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (name, more) in [("a", ["--seed", "1"]), ("b", ["--seed", "2"])] {
        let file = format!("{name}.json");
        ran(dir.path(), &["--samples", "40", "--format", "json", "--output", &file, more[0], more[1]]);
    }
    let same = run(dir.path(), &["exercise", "compare", "a.json", "a.json"]);
    assert_eq!(same.status.code(), Some(0), "{}", said(&same));
    assert!(said(&same).contains("worst case"), "{}", said(&same));
    let refused = run(dir.path(), &["exercise", "compare", "a.json", "b.json"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("seed: 1 against 2"), "{}", said(&refused));
    let shown = run(dir.path(), &["exercise", "show", "a.json", "--html", "a.html"]);
    assert_eq!(shown.status.code(), Some(1), "{}", said(&shown));
    let page = std::fs::read_to_string(dir.path().join("a.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("Undisturbed") && page.len() < 3 << 20);
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    let sarif = run(dir.path(), &["exercise", "show", "a.json", "--format", "sarif"]);
    let log = json(&sarif);
    assert_eq!(log["version"], "2.1.0");
    assert!(!log["runs"][0]["results"].as_array().unwrap().is_empty());
}

#[test]
fn trees_are_attacked_without_gradients_and_the_page_shows_the_row() {
    let dir = tempfile::tempdir().unwrap();
    let (model, data) = (example("models/heart_cleveland_gbt.onnx"), example("data/heart_cleveland.csv"));
    let output = run(
        dir.path(),
        &[
            "exercise",
            "run",
            "--model",
            &model,
            "--data",
            &data,
            "--samples",
            "30",
            "--group",
            "sex",
            "--html",
            "h.html",
            "--format",
            "json",
        ],
    );
    let card = json(&output);
    assert_eq!(card["subject"]["access"], "scores", "{}", said(&output));
    assert!(card["skipped"].as_array().unwrap().iter().any(|n| n["about"] == "pgd"));
    assert_eq!(card["clean"]["groups"].as_object().unwrap().len(), 2);
    let page = std::fs::read_to_string(dir.path().join("h.html")).unwrap();
    assert!(page.contains("class=\"num changed\""), "no changed cell is marked");
    let closed = run(
        dir.path(),
        &[
            "exercise",
            "run",
            "--model",
            &model,
            "--data",
            &data,
            "--samples",
            "20",
            "--labels-only",
            "--no-exhibits",
            "--format",
            "json",
        ],
    );
    let card = json(&closed);
    assert_eq!(card["subject"]["access"], "labels");
    assert_eq!(card["exhibits"].as_array().unwrap().len(), 0);
}

#[test]
fn what_cannot_be_attacked_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let (cytology, heart) = (example("models/wdbc_mlp.onnx"), example("data/heart_cleveland.csv"));
    let text = std::fs::read_to_string(example("data/wdbc.csv")).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap();
    let of = |class: &str| -> Vec<&str> {
        lines.clone().filter(|l| l.split(',').nth(30) == Some(class)).take(5).collect()
    };
    write("one.csv", &format!("{header}\n{}\n", of("1").join("\n")));
    let five = of("1").iter().map(|l| l.replace(",1,", ",5,")).collect::<Vec<_>>().join("\n");
    write(
        "five.csv",
        &format!("{header}\n{}\n{five}\n", of("0").join("\n")).replace(",test", ",x").replace(",val", ",x"),
    );
    let nan = of("0")
        .iter()
        .chain(&of("1"))
        .map(|l| format!("NaN{}", &l[l.find(',').unwrap()..]))
        .collect::<Vec<_>>();
    write("nan.csv", &format!("{header}\n{}\n", nan.join("\n")));
    write("broken.onnx", "no model");
    write("zero.toml", &SLOW.replace("[0.01]", "[0]"));
    write("typo.toml", &SLOW.replace("samples", "sampels"));
    let data = example("data/wdbc.csv");
    for (arguments, expected) in [
        (vec!["--model", cytology.as_str(), "--data", heart.as_str()], "the model takes 30"),
        (vec!["--model", &cytology, "--data", "one.csv"], "are of class 1"),
        (vec!["--model", &cytology, "--data", "five.csv"], "the labels go up to 5"),
        (
            vec!["--model", &cytology, "--data", "nan.csv"],
            "line 2: column `mean_radius` does not hold a number",
        ),
        (vec!["--model", &cytology, "--data", "nowhere.csv"], "nowhere.csv"),
        (vec!["--model", "broken.onnx", "--data", &data], "`broken.onnx` cannot be loaded"),
        (
            vec!["--model", &cytology, "--data", &data, "--suite", "zero.toml"],
            "a budget of 0 changes nothing",
        ),
        (vec!["--model", &cytology, "--data", &data, "--suite", "typo.toml"], "did you mean `samples`"),
        (vec!["--model", &cytology, "--data", &data, "--suite", "quik"], "did you mean `quick`"),
        (vec!["--model", &cytology, "--data", &data, "--budget-queries", "0"], "a budget of 0 queries"),
        (vec!["--model", &cytology, "--data", &data, "--budget-time", "0"], "a budget of 0 seconds"),
        (
            vec!["--model", &cytology, "--data", &data, "--split", "nowhere"],
            "no row is in the split `nowhere`",
        ),
        (vec!["--model", &cytology, "--data", &data, "--label", "nothing"], "there is no column `nothing`"),
        (
            vec!["--model", &cytology, "--data", &data, "--output-tensor", "nothing"],
            "no output is called `nothing`",
        ),
        (vec!["--target", "http://127.0.0.1:1/v2/models/m", "--data", &data], "cannot reach"),
        (vec!["--target", "http://127.0.0.1:1", "--data", &data], "write http://host:port/v2/models/NAME"),
        (vec!["--model", &cytology], "--data"),
    ] {
        let mut all = vec!["exercise", "run"];
        all.extend(arguments);
        let output = run(dir.path(), &all);
        assert_eq!(output.status.code(), Some(2), "{all:?}: {}", said(&output));
        assert!(said(&output).contains(expected), "{all:?}: {}", said(&output));
    }
}

/// A model server of the Open Inference Protocol over two features: the first against the second. Answers the first question with 429, and every one with a
/// shape of one row if it is to lie.
fn server(lies: bool) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let busy = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(!lies));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let busy = std::sync::Arc::clone(&busy);
            std::thread::spawn(move || serve(stream, lies, &busy));
        }
    });
    port
}

fn serve(mut stream: std::net::TcpStream, lies: bool, busy: &std::sync::atomic::AtomicBool) {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut first, mut length) = (String::new(), 0_usize);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let spec = |name: &str| serde_json::json!([{ "name": name, "datatype": "FP32", "shape": [-1, 2] }]);
        let (status, answer) = if first.starts_with("POST") {
            if busy.swap(false, std::sync::atomic::Ordering::Relaxed) {
                ("429 Too Many Requests\r\nRetry-After: 0", serde_json::json!({ "error": "slowly" }))
            } else {
                let asked: Value = serde_json::from_slice(&body).unwrap();
                let data: Vec<f64> = serde_json::from_value(asked["inputs"][0]["data"].clone()).unwrap();
                let scores: Vec<f64> = data.chunks(2).flat_map(|r| [r[1], r[0]]).collect();
                let rows = if lies { 1 } else { scores.len() / 2 };
                let output = serde_json::json!([{ "name": "s", "datatype": "FP32", "shape": [rows, 2], "data": scores[..2 * rows] }]);
                ("200 OK", serde_json::json!({ "model_name": "m", "id": asked["id"], "outputs": output }))
            }
        } else if first.contains("/v2/models/m") {
            (
                "200 OK",
                serde_json::json!({ "name": "m", "versions": ["1"], "platform": "p", "inputs": spec("x"), "outputs": spec("s") }),
            )
        } else {
            ("200 OK", serde_json::json!({ "name": "fake", "version": "1", "extensions": [] }))
        };
        let text = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        // In one piece: two small writes wait for one another's acknowledgement.
        if stream.write_all(format!("{head}{text}").as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn a_served_model_is_attacked_by_its_scores_and_one_that_lies_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..20)
        .map(|n| {
            let far = 0.02 * f64::from(n / 2 + 1);
            let (a, b) = if n % 2 == 1 { (0.5 + far, 0.5) } else { (0.5, 0.5 + far) };
            format!("{a},{b},{}", n % 2)
        })
        .collect();
    std::fs::write(dir.path().join("d.csv"), format!("a,b,label\n{}\n", rows.join("\n"))).unwrap();
    let target = format!("http://127.0.0.1:{}/v2/models/m", server(false));
    let output =
        run(dir.path(), &["exercise", "run", "--target", &target, "--data", "d.csv", "--format", "json"]);
    let card = json(&output);
    assert_eq!(card["complete"], true, "{}", said(&output));
    assert_eq!(
        (card["clean"]["all"]["hits"].as_u64(), card["subject"]["access"].as_str()),
        (Some(20), Some("scores"))
    );
    assert!(said(&output).contains("waiting"), "{}", said(&output));
    assert!(
        card["rows"]
            .as_array()
            .unwrap()
            .iter()
            .any(|r| r["label"] == "square" && r["fell"]["hits"].as_u64() > Some(0))
    );
    let target = format!("http://127.0.0.1:{}/v2/models/m", server(true));
    let output = run(dir.path(), &["exercise", "run", "--target", &target, "--data", "d.csv"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("lies about its shape"), "{}", said(&output));
}

#[test]
fn everything_that_can_be_run_is_listed_and_explained() {
    let dir = tempfile::tempdir().unwrap();
    let list = json(&run(dir.path(), &["exercise", "list", "--format", "json"]));
    for attack in list["attacks"].as_array().unwrap() {
        let page = run(dir.path(), &["exercise", "explain", attack["name"].as_str().unwrap()]);
        assert_eq!(page.status.code(), Some(0), "{}", said(&page));
    }
    for suite in list["suites"].as_array().unwrap() {
        let page = run(dir.path(), &["exercise", "explain", suite["name"].as_str().unwrap()]);
        assert!(said(&page).contains("sha256:"), "{}", said(&page));
    }
}
