//! Model files from the command line: scan, sign, verify, bom, and admission of what is and is not a model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a skipped test says so")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A pickle of protocol 0 that would call `os.system`.
const PICKLE: &[u8] = b"cos\nsystem\n(S'echo asepsis'\ntR.";

fn run(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_asepsis"))
        .args(["--dir", dir.join("data").to_str().unwrap()])
        .args(arguments)
        .current_dir(dir)
        .env("XDG_CACHE_HOME", dir.join("cache"))
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .env_remove("ASEPSIS_CONFIG")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(output)))
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hospital/models")
}

/// A folder with a real model, a pickle that runs a program, and something nobody knows.
fn vendor() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("vendor");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(models().join("wdbc_mlp.onnx"), folder.join("model.onnx")).unwrap();
    std::fs::write(folder.join("weights.bin"), PICKLE).unwrap();
    std::fs::write(folder.join("odd"), [0x9b_u8, 0x01, 0xfe, 0x80, 0x00, 0xc1, 0xff, 0x13]).unwrap();
    dir
}

#[test]
fn a_scan_answers_by_exit_code_and_says_what_was_found() {
    let dir = vendor();
    for (file, code, word) in [
        ("vendor/model.onnx", 0, "clean"),
        ("vendor/weights.bin", 1, "os.system"),
        ("vendor/odd", 2, "inconclusive"),
    ] {
        let output = run(dir.path(), &["scan", file]);
        assert_eq!(output.status.code(), Some(code), "{file}: {}", said(&output));
        assert!(said(&output).contains(word), "{file}: {}", said(&output));
    }
    let output = run(dir.path(), &["scan", "nowhere.pkl"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("`nowhere.pkl`"), "{}", said(&output));
}

#[test]
fn a_folder_is_one_answer_and_the_same_twice_and_from_the_cache() {
    let dir = vendor();
    let first = run(dir.path(), &["scan", "vendor", "--format", "json"]);
    assert_eq!(first.status.code(), Some(1), "{}", said(&first));
    let report = json(&first);
    assert_eq!(report["results"][0]["verdict"], "found");
    assert_eq!(report["results"][0]["digests"].as_object().unwrap().len(), 3);
    for more in [&["--threads", "1"][..], &["--no-cache"], &[]] {
        let again = run(dir.path(), &[&["scan", "vendor", "--format", "json"], more].concat());
        assert_eq!(again.stdout, first.stdout);
    }
}

#[cfg(unix)]
#[test]
fn an_output_that_is_a_pipe_is_written_to_and_not_replaced() {
    use std::os::unix::fs::FileTypeExt as _;
    let dir = vendor();
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = {
        let pipe = pipe.clone();
        std::thread::spawn(move || std::fs::read_to_string(pipe).unwrap())
    };
    let output = run(dir.path(), &["scan", "vendor/model.onnx", "--output", "pipe"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(reader.join().unwrap().contains("clean"));
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    let signed = run(dir.path(), &["signing-key", "key.pem"]);
    assert_eq!(signed.status.code(), Some(0));
    let refused = run(dir.path(), &["sign", "vendor", "--key", "key.pem", "--output", "pipe"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
}

#[test]
fn standard_input_is_scanned() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_asepsis"))
        .args(["scan", "-"])
        .env("XDG_CACHE_HOME", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), PICKLE).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_not_followed_and_not_forgotten() {
    let dir = vendor();
    let folder = dir.path().join("linked");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("README.txt"), "a model").unwrap();
    std::os::unix::fs::symlink(dir.path().join("vendor/weights.bin"), folder.join("model.pt")).unwrap();
    let output = run(dir.path(), &["scan", "linked"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("`model.pt` is a link out of the folder"), "{}", said(&output));
}

#[test]
fn a_policy_lets_a_known_file_pass_until_its_day() {
    let dir = vendor();
    let digest =
        json(&run(dir.path(), &["scan", "vendor/weights.bin", "--format", "json"]))["results"][0]["digest"]
            .as_str()
            .unwrap()
            .to_owned();
    let policy = |until: &str| {
        let text =
            format!("[[allow]]\ndigest = \"{digest}\"\nreason = \"demo\"\nby = \"ada\"\nuntil = {until}\n");
        std::fs::write(dir.path().join("policy.toml"), text).unwrap();
        run(dir.path(), &["scan", "vendor/weights.bin", "--policy", "policy.toml"])
    };
    assert_eq!(policy("2999-01-01").status.code(), Some(0));
    let ended = policy("2020-01-01");
    assert_eq!(ended.status.code(), Some(1));
    assert!(said(&ended).contains("ended"), "{}", said(&ended));
    std::fs::write(dir.path().join("policy.toml"), "[[alow]]\n").unwrap();
    let wrong = run(dir.path(), &["scan", "vendor/weights.bin", "--policy", "policy.toml"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("did you mean `allow`"), "{}", said(&wrong));
}

#[test]
fn what_was_signed_is_verified_and_every_change_is_named() {
    let dir = vendor();
    let key = run(dir.path(), &["signing-key", "key.pem"]);
    assert_eq!(key.status.code(), Some(0), "{}", said(&key));
    assert_eq!(run(dir.path(), &["signing-key", "key.pem"]).status.code(), Some(2));
    let sign = || run(dir.path(), &["sign", "vendor", "--key", "key.pem", "--format", "json"]);
    assert_eq!(json(&sign())["lines"], 3);
    let verify =
        |more: &[&str]| run(dir.path(), &[&["verify", "vendor", "--key", "key.pem.pub"], more].concat());
    assert_eq!(verify(&[]).status.code(), Some(0), "{}", said(&verify(&[])));
    std::fs::rename(dir.path().join("vendor/odd"), dir.path().join("vendor/even")).unwrap();
    std::fs::write(dir.path().join("vendor/weights.bin"), b"other").unwrap();
    std::fs::create_dir(dir.path().join("vendor/.git")).unwrap();
    std::fs::write(dir.path().join("vendor/.git/hook"), b"x").unwrap();
    let output = verify(&[]);
    assert_eq!(output.status.code(), Some(1));
    for word in ["weights.bin", "even", "odd", ".git/hook"] {
        assert!(said(&output).contains(word), "{word}: {}", said(&output));
    }
    let other = run(dir.path(), &["signing-key", "other.pem"]);
    assert_eq!(other.status.code(), Some(0));
    let wrong = run(dir.path(), &["verify", "vendor", "--key", "other.pem.pub"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", said(&wrong));
    let nobody = run(dir.path(), &["verify", "vendor"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(said(&nobody).contains("--key FILE"), "{}", said(&nobody));
}

#[test]
fn a_bill_of_materials_is_written_and_a_paper_for_another_file_is_told() {
    let dir = vendor();
    let made = run(dir.path(), &["bom", "vendor/model.onnx", "--spec", "1.6"]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let document = json(&made);
    let model = &document["metadata"]["component"];
    assert_eq!(model["type"], "machine-learning-model");
    assert!(
        model["modelCard"]["modelParameters"]["inputs"].as_array().is_some_and(|a| !a.is_empty()),
        "{document}"
    );
    let text = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"machine-learning-model","name":"m","hashes":[{"alg":"SHA-256","content":"00"}]}}}"#;
    std::fs::write(dir.path().join("paper.json"), text).unwrap();
    let compared = run(dir.path(), &["bom", "vendor/model.onnx", "--paper", "paper.json"]);
    assert_eq!(compared.status.code(), Some(1));
    assert!(said(&compared).contains("describes another version"), "{}", said(&compared));
}

/// The example hospital with its files, in a data directory of its own.
fn hospital() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (models().join(".."), dir.path().join("data/hospital"));
    for name in ["data", "models"] {
        std::fs::create_dir_all(to.join(name)).unwrap();
        for file in std::fs::read_dir(from.join(name)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(name).join(file.file_name())).unwrap();
        }
    }
    std::fs::copy(from.join("asepsis.toml"), to.join("asepsis.toml")).unwrap();
    dir
}

#[test]
fn admission_knows_what_a_model_file_holds_and_never_loads_what_is_dangerous() {
    let dir = hospital();
    let model = dir.path().join("data/hospital/models/wdbc_mlp.onnx");
    let gate = |words: &[&str]| {
        let output = run(dir.path(), &["gate", "breast-mass", "procurement"]);
        for word in words {
            assert!(said(&output).contains(word), "{word}: {}", said(&output));
        }
        output.status.code()
    };
    run(dir.path(), &["admit", "breast-mass"]);
    assert_eq!(gate(&["C011 met", "C012 met", "C013 met"]), Some(0));
    let good = std::fs::read(&model).unwrap();
    std::fs::write(&model, PICKLE).unwrap();
    assert_eq!(gate(&["C011 stale", "C012 stale", "C013 stale"]), Some(1));
    run(dir.path(), &["admit", "breast-mass"]);
    assert_eq!(gate(&["C011 failed", "os.system", "C012 failed", "it was not loaded"]), Some(1));
    std::fs::write(&model, good).unwrap();
    assert_eq!(gate(&["C011 met", "C012 met"]), Some(0));
    // A signature by somebody else makes only what says who made it stale.
    run(dir.path(), &["signing-key", "other.pem"]);
    let signature = format!("{}.sig", model.display());
    run(dir.path(), &["sign", model.to_str().unwrap(), "--key", "other.pem", "--output", &signature]);
    assert_eq!(gate(&["C011 met", "C012 stale", "C013 met"]), Some(1));
}

#[test]
fn what_is_written_is_valid_by_the_official_schemas() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv");
    let venv = std::env::var("ASEPSIS_VENV").map_or(beside, Into::into);
    let python = PathBuf::from(format!("{}-signing/bin/python", venv.display()));
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var("ASEPSIS_SHARED").map_or(shared, PathBuf::from);
    if !python.exists() || !shared.exists() {
        assert!(std::env::var_os("CI").is_none(), "CI has the validators and the shared data");
        eprintln!(
            "SKIPPED what_is_written_is_valid_by_the_official_schemas: run scripts/setup_python.sh, set ASEPSIS_SHARED"
        );
        return;
    }
    let dir = vendor();
    let judged = |arguments: &[&str]| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/validate.py");
        let output =
            Command::new(&python).arg(script).args(arguments).current_dir(dir.path()).output().unwrap();
        said(&output).trim().to_owned()
    };
    for (spec, target) in
        [("1.6", "vendor"), ("1.7", "vendor"), ("1.6", "vendor/model.onnx"), ("1.7", "vendor/model.onnx")]
    {
        let made = run(dir.path(), &["bom", target, "--spec", spec, "--output", "made.json"]);
        assert_eq!(made.status.code(), Some(0), "{}", said(&made));
        assert_eq!(judged(&["cyclonedx", "made.json", spec]), "valid", "{spec} {target}");
    }
    run(dir.path(), &["scan", "vendor", "vendor/odd", "--format", "sarif", "--output", "made.sarif"]);
    let schema = shared.join("schemas/sarif/sarif-schema-2.1.0.json");
    assert_eq!(judged(&["sarif", "made.sarif", schema.to_str().unwrap()]), "valid");
    cards_are_judged_as_by_their_schema(dir.path(), &shared, &judged);
}

/// Our reader and the XML Schema agree on every published card, and on every card with one line missing or doubled.
fn cards_are_judged_as_by_their_schema(dir: &Path, shared: &Path, judged: &dyn Fn(&[&str]) -> String) {
    let schema = shared.join("schemas/chai/chai-v0.2-offline.xsd");
    let mut cards = 0;
    for file in std::fs::read_dir(shared.join("frameworks/chai-model-card/examples")).unwrap() {
        let file = file.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        cards += 1;
        let single: Vec<usize> = text
            .lines()
            .enumerate()
            .filter(|(_, l)| {
                l.trim_start().starts_with('<') && l.contains("</") && !l.trim_start().starts_with("</")
            })
            .map(|(n, _)| n)
            .collect();
        // One line gone and one line twice, elsewhere in each card, and the card itself.
        let gone = single[cards * 3 % single.len()];
        let twice = single[cards * 5 % single.len()];
        let edit = |n: usize, times: usize| -> String {
            let lines = text.lines().enumerate();
            lines
                .flat_map(|(i, l)| std::iter::repeat_n(l, if i == n { times } else { 1 }))
                .collect::<Vec<_>>()
                .join("\n")
        };
        for text in [text.clone(), edit(gone, 0), edit(twice, 2)] {
            std::fs::write(dir.join("card.xml"), &text).unwrap();
            let by_schema = judged(&["xml", "card.xml", schema.to_str().unwrap()]) == "valid";
            let ours = artifact::bom::read_chai(&text).unwrap().invalid.is_empty();
            assert_eq!(
                ours,
                by_schema,
                "{}: {:?}",
                file.display(),
                artifact::bom::read_chai(&text).unwrap().invalid
            );
        }
    }
    assert!(cards >= 10, "the published cards are there");
}
