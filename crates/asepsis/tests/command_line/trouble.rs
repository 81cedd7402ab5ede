//! What goes wrong on a user's machine: wrong input, taken ports, mistakes in the configuration, a damaged ledger.

use std::path::Path;

use crate::hospital::{Running, asepsis, honest, hospital, patient, text};

#[test]
fn bad_input_gets_a_sentence_that_says_what_to_do() {
    let dir = hospital();
    let d = dir.path();
    let not_a_model = d.join("x.onnx");
    std::fs::write(&not_a_model, b"hello").unwrap();
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec!["gate", "breast-mas"], "there is no system `breast-mas`"),
        (vec!["gate", "breast-mass", "live"], "use procurement, development"),
        (vec!["explain", "G0001"], "did you mean `G001`"),
        (vec!["admit", "breast-mass", "--model", not_a_model.to_str().unwrap()], "nothing was changed"),
        (vec!["key", "create", "nobody"], "is not a configured client"),
        (vec!["audit", "prove", "99999"], "99999"),
        (vec!["--as", "eve", "status"], "there is no person `eve`"),
        (vec!["data", "fetch", "imagenet"], "known are pneumoniamnist"),
    ];
    for (arguments, expected) in cases {
        let output = asepsis(d, &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(expected), "{arguments:?}: {}", text(&output));
        assert!(!text(&output).contains("panicked"));
    }
}

/// `/dev/full` stands for a full disk.
#[test]
fn a_reader_who_leaves_is_no_failure_and_lost_output_is() {
    let program = env!("CARGO_BIN_EXE_asepsis");
    let left = std::process::Command::new("sh")
        .args(["-c", "{ \"$0\" explain --all; echo \"code $?\" >&2; } | head -n 1", program])
        .output()
        .unwrap();
    assert!(text(&left).contains("# Catalogue") && text(&left).contains("code 0"), "{}", text(&left));
    assert!(!text(&left).contains("panicked"), "{}", text(&left));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let lost = std::process::Command::new(program)
        .args(["explain", "--all"])
        .stdout(full)
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(lost.status.code(), Some(2));
    assert!(text(&lost).contains("could not be written"), "{}", text(&lost));
}

/// A user without rights stands for a folder that is read-only; whoever runs the tests as root becomes nobody for it.
#[test]
fn a_folder_that_may_not_be_written_is_said_with_a_remedy() {
    let dir = hospital();
    let may = |mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    may(0o555);
    let program = env!("CARGO_BIN_EXE_asepsis");
    let folder = dir.path().join("data");
    let arguments = ["--dir", folder.to_str().unwrap(), "--config", "hospital/asepsis.toml", "status"];
    let own = std::process::Command::new(program).args(arguments).current_dir(dir.path()).output().unwrap();
    // Root may write everywhere: 0 or 1, as the gates stand.
    let output = if own.status.code() != Some(2) {
        std::fs::remove_dir_all(&folder).unwrap();
        // Copied to where nobody may go.
        let reachable = dir.path().with_extension("program");
        std::fs::copy(program, &reachable).unwrap();
        let output = std::process::Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&reachable)
            .args(arguments)
            .current_dir(dir.path())
            .output()
            .unwrap();
        std::fs::remove_file(&reachable).unwrap();
        output
    } else {
        own
    };
    may(0o755);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("name another data directory with --dir"), "{}", text(&output));
    assert!(text(&asepsis(dir.path(), &["status"])).contains("breast-mass"));
}

/// A limit on the size of files stands for a full disk: the same write fails, after a part of it.
#[test]
fn a_full_disk_at_the_first_start_leaves_nothing_that_a_second_one_stumbles_over() {
    let dir = hospital();
    // Files of 0 blocks: not even a key fits.
    let full = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" --dir \"$1\" status"])
        .args([env!("CARGO_BIN_EXE_asepsis"), dir.path().to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(full.status.code(), Some(2), "{}", text(&full));
    assert!(text(&full).contains("cannot write"), "{}", text(&full));
    let after = asepsis(dir.path(), &["status"]);
    // 1: nothing is admitted yet.
    assert_eq!(after.status.code(), Some(1), "{}", text(&after));
    assert!(text(&after).contains("breast-mass"), "{}", text(&after));
}

#[test]
fn without_a_folder_the_data_are_where_the_xdg_convention_says() {
    let dir = hospital();
    let base = tempfile::tempdir().unwrap();
    let status = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_asepsis"));
        command.arg("status").env("XDG_DATA_HOME", base.path()).env_remove("ASEPSIS_DIR").output().unwrap()
    };
    let none = status();
    assert!(text(&none).contains(base.path().join("asepsis").to_str().unwrap()), "{}", text(&none));
    assert!(text(&none).contains("start with `asepsis up`"), "{}", text(&none));
    std::fs::rename(dir.path(), base.path().join("asepsis")).unwrap();
    assert!(text(&status()).contains("breast-mass"));
    std::fs::create_dir(dir.path()).unwrap();
}

#[test]
fn a_taken_port_and_a_second_program_are_said() {
    let dir = hospital();
    let running = Running::start(dir.path());
    let second = asepsis(dir.path(), &["serve"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(text(&second).contains("another asepsis works on"), "{}", text(&second));
    // A command reaches the running program instead.
    assert!(text(&asepsis(dir.path(), &["status"])).contains("breast-mass"));

    let other = hospital();
    let config = other.path().join("hospital/asepsis.toml");
    let mine = std::fs::read_to_string(&config).unwrap();
    let at = mine.find("gateway = \"").unwrap() + 11;
    let end = mine[at..].find('"').unwrap() + at;
    std::fs::write(&config, format!("{}{}{}", &mine[..at], running.gateway, &mine[end..])).unwrap();
    let taken = asepsis(other.path(), &["serve"]);
    assert_eq!(taken.status.code(), Some(2));
    assert!(text(&taken).contains("is taken"), "{}", text(&taken));
}

#[test]
fn a_reload_is_whole_or_not_at_all_and_a_mistake_does_not_stop_the_hand_that_stops() {
    let dir = hospital();
    let config = dir.path().join("hospital/asepsis.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    let running = Running::start(dir.path());
    assert_eq!(asepsis(dir.path(), &["--as", "zoe", "status"]).status.code(), Some(2));

    let person = "[[person]]\nid = \"zoe\"\ntitle = \"Zoe\"\nroles = [\"engineer\"]\n\n[[person]]";
    let more = good.replacen("[[person]]", person, 1);
    std::fs::write(&config, more.replacen("grpc = ", "grcp = ", 1)).unwrap();
    let refused = asepsis(dir.path(), &["reload"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    for word in ["line 9", "`grcp`", "`grpc`"] {
        assert!(text(&refused).contains(word), "{word}: {}", text(&refused));
    }
    // Nothing of the file is in force, and the program is still in hand.
    assert_eq!(asepsis(dir.path(), &["--as", "zoe", "status"]).status.code(), Some(2));
    let stopped = asepsis(dir.path(), &["suspend", "breast-mass", "--reason", "to be sure"]);
    assert!(stopped.status.success(), "{}", text(&stopped));
    assert!(text(&asepsis(dir.path(), &["status"])).contains("suspended"));

    std::fs::write(&config, more).unwrap();
    running.signal("HUP");
    let known =
        (0..200).any(|_| text(&asepsis(dir.path(), &["--as", "zoe", "status"])).contains("suspended"));
    assert!(known, "the new person is known after the hang-up");
}

#[test]
fn a_damaged_ledger_is_not_started_its_extent_is_told_and_the_rest_saved() {
    let dir = hospital();
    assert!(asepsis(dir.path(), &["admit", "heart-disease"]).status.success());
    let export = |name: &str| {
        let to = dir.path().join(name);
        let done = asepsis(dir.path(), &["--as", "rosalind", "audit", "export", to.to_str().unwrap()]);
        (to, done)
    };
    let (whole, done) = export("whole");
    assert!(done.status.success(), "{}", text(&done));
    let key = String::from_utf8(asepsis(dir.path(), &["audit", "key"]).stdout).unwrap();
    let check = |folder: &Path| {
        let folder = folder.to_str().unwrap();
        asepsis(dir.path(), &["audit", "verify", "--ledger", folder, "--key", key.trim()])
    };
    assert!(check(&whole).status.success(), "{}", text(&check(&whole)));
    let lines = std::fs::read_to_string(whole.join("entries.jsonl")).unwrap();
    std::fs::write(whole.join("entries.jsonl"), lines.replacen("heart-disease", "heart-diseasf", 1)).unwrap();
    assert_eq!(check(&whole).status.code(), Some(1), "{}", text(&check(&whole)));

    let entries = largest(&dir.path().join("ledger/tile/entries"));
    let mut bytes = std::fs::read(&entries).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&entries, &bytes).unwrap();
    for arguments in [&["serve"][..], &["status"]] {
        let refused = asepsis(dir.path(), arguments);
        assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
        assert!(text(&refused).contains("audit verify") && text(&refused).contains("from a copy"));
    }
    let extent = asepsis(dir.path(), &["audit", "verify"]);
    assert_eq!(extent.status.code(), Some(1), "{}", text(&extent));
    assert!(text(&extent).contains("DAMAGED") && text(&extent).contains("tile/entries"), "{}", text(&extent));
    let (part, done) = export("part");
    assert_eq!(done.status.code(), Some(2), "{}", text(&done));
    assert_eq!(check(&part).status.code(), Some(1), "without a signed head it proves nothing");
    assert_eq!(std::fs::read(&entries).unwrap(), bytes, "the ledger is left as it is");
}

/// The largest file below a folder.
fn largest(folder: &Path) -> std::path::PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                found.push((entry.metadata().unwrap().len(), entry.path()));
            }
        }
    }
    found.into_iter().max().unwrap().1
}

#[test]
fn what_a_guard_remembers_survives_a_restart() {
    let dir = hospital();
    let running = Running::start(dir.path());
    let key = asepsis(dir.path(), &["key", "create", "pathology-lab"]);
    let key = String::from_utf8_lossy(&key.stdout).lines().next().unwrap().to_owned();
    // The same patient, a little changed each time.
    let near = |n: usize| {
        patient(|at, value| {
            let value: f64 = value.parse().unwrap();
            format!("{}", value * (1.0 + 0.001 * ((n * 7 + at) % 11) as f64))
        })
    };
    let flagged = |answer: &str| answer.contains("refused by `query-similarity`");
    let known = (0..200).any(|_| running.ask(&key, &honest()).starts_with("HTTP/1.1 200"));
    assert!(known, "the key is served with the next snapshot");
    let at = (1..40).find(|n| flagged(&running.ask(&key, &near(*n)))).expect("the search is seen");
    assert!(at > 1, "one follow-up is no search");
    assert_eq!(running.end(), Some(0));

    let again = Running::start(dir.path());
    let first = again.ask(&key, &near(50));
    assert!(flagged(&first), "it is still known: {first}");
}
