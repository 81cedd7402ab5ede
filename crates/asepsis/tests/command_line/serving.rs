//! Admission, gates, guards and the record of what was answered.

use std::io::{Read as _, Write as _};
use std::path::Path;

use crate::hospital::{Running, asepsis, example, honest, hospital, patient, text};

#[test]
fn a_model_is_admitted_served_guarded_and_on_the_record_after_kill_nine() {
    let dir = hospital();
    let running = Running::start(dir.path());
    assert!(
        running.lines.iter().any(|l| l.contains("breast-mass") && l.contains("gate open")),
        "{:?}",
        running.lines
    );
    let key = asepsis(dir.path(), &["key", "create", "pathology-lab"]);
    assert!(key.status.success(), "{}", text(&key));
    let key = String::from_utf8_lossy(&key.stdout).lines().next().unwrap().to_owned();

    let mut answer = running.ask(&key, &honest());
    for _ in 0..200 {
        // The key is served with the next snapshot.
        if answer.starts_with("HTTP/1.1 200") {
            break;
        }
        answer = running.ask(&key, &honest());
    }
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let receipt: u64 = answer
        .split("asepsis_receipt\":\"")
        .nth(1)
        .and_then(|r| r.split('"').next())
        .unwrap()
        .parse()
        .unwrap();
    assert!(answer.contains("asepsis_advice"));

    let impossible = running.ask(&key, &patient(|n, v| if n == 0 { "9999".into() } else { v.to_owned() }));
    assert!(impossible.starts_with("HTTP/1.1 4"), "{impossible}");
    assert!(impossible.contains("E014") && impossible.contains("mean_radius"), "{impossible}");
    assert!(!impossible.contains("9999"), "no value of a patient comes back");
    let named = running.ask(&key, &honest().replace("\"input\"", "\"Jane Doe MRN 1234567\""));
    assert!(named.starts_with("HTTP/1.1 4"), "{named}");
    assert!(running.ask("asepsis_nokey_wrong", &honest()).starts_with("HTTP/1.1 401"));

    running.kill();
    let whole = asepsis(dir.path(), &["audit", "verify"]);
    assert!(whole.status.success(), "{}", text(&whole));
    let entry = asepsis(dir.path(), &["audit", "show", &receipt.to_string(), "-n", "1"]);
    assert!(text(&entry).contains("\"type\":\"closed\""), "{}", text(&entry));

    let everything = text(&asepsis(dir.path(), &["audit", "show", "0", "-n", "1000"]));
    assert!(everything.contains("\"E014\"") && !everything.contains("Jane"), "a caller's text is not kept");

    let proof = asepsis(dir.path(), &["audit", "prove", &receipt.to_string()]);
    let file = dir.path().join("receipt.proof");
    std::fs::write(&file, &proof.stdout).unwrap();
    let public = String::from_utf8(asepsis(dir.path(), &["audit", "key"]).stdout).unwrap();
    let good = asepsis(dir.path(), &["audit", "check-proof", file.to_str().unwrap(), "--key", public.trim()]);
    assert!(good.status.success(), "{}", text(&good));
    let mut forged = proof.stdout.clone();
    let at = forged.windows(6).position(|w| w == b"extra ").unwrap() + 20;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    std::fs::write(&file, &forged).unwrap();
    let bad = asepsis(dir.path(), &["audit", "check-proof", file.to_str().unwrap(), "--key", public.trim()]);
    assert!(!bad.status.success(), "{}", text(&bad));
}

#[test]
fn a_changed_byte_shuts_the_gate_says_why_and_reads_its_way_back() {
    let dir = hospital();
    let admitted = asepsis(dir.path(), &["admit", "heart-disease"]);
    assert_eq!(admitted.status.code(), Some(0), "{}", text(&admitted));
    let model = dir.path().join("hospital/models/heart_cleveland_gbt.onnx");
    let good = std::fs::read(&model).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(&model, &bad).unwrap();
    let shut = asepsis(dir.path(), &["gate", "heart-disease"]);
    assert_eq!(shut.status.code(), Some(1), "{}", text(&shut));
    assert!(
        text(&shut).contains("model changed from") && text(&shut).contains("C003 met"),
        "{}",
        text(&shut)
    );
    std::fs::write(&model, &good).unwrap();
    assert_eq!(asepsis(dir.path(), &["gate", "heart-disease"]).status.code(), Some(0));

    let config = dir.path().join("hospital/asepsis.toml");
    let was = std::fs::read_to_string(&config).unwrap();
    let looser = was.replacen(
        "[system.guards.clinical-range]\nmode = \"block\"",
        "[system.guards.clinical-range]\nmode = \"flag\"",
        2,
    );
    assert_ne!(was, looser);
    std::fs::write(&config, looser).unwrap();
    let stale = asepsis(dir.path(), &["gate", "heart-disease"]);
    let said = text(&stale);
    assert_eq!(stale.status.code(), Some(1), "{said}");
    for (control, state) in [("C001", "met"), ("C004", "met"), ("C006", "stale"), ("C007", "stale")] {
        assert!(said.lines().any(|l| l.contains(control) && l.contains(state)), "{control} {state}: {said}");
    }
}

/// Takes one webhook message after the other; gives those that have `word` in them.
fn wait_for_webhook(listener: &std::net::TcpListener, word: &str) -> String {
    for _ in 0..50 {
        let (mut stream, _) = listener.accept().unwrap();
        let mut message = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let n = stream.read(&mut buffer).unwrap();
            message.extend(&buffer[..n]);
            // The body is one JSON object.
            if n == 0 || message.ends_with(b"}") {
                break;
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        let message = String::from_utf8_lossy(&message).into_owned();
        if message.contains(word) {
            return message;
        }
    }
    panic!("no message with {word}");
}

#[test]
fn a_shut_gate_falls_back_to_the_last_admitted_version_and_alarms() {
    let dir = hospital();
    let hook = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = dir.path().join("hospital/asepsis.toml");
    let was = std::fs::read_to_string(&config).unwrap();
    let webhook =
        format!("[[alerts.webhook]]\nurl = \"http://{}/alarm\"\n\n[[person]]", hook.local_addr().unwrap());
    std::fs::write(&config, was.replacen("[[person]]", &webhook, 1)).unwrap();
    let running = Running::start(dir.path());
    let key = asepsis(dir.path(), &["key", "create", "pathology-lab"]);
    let key = String::from_utf8_lossy(&key.stdout).lines().next().unwrap().to_owned();
    let before = text(&asepsis(dir.path(), &["--format", "json", "status"]));
    assert!(before.contains("\"open\""), "{before}");

    let model = dir.path().join("hospital/models/wdbc_mlp.onnx");
    let mut bytes = std::fs::read(&model).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&model, bytes).unwrap();
    let alarm = wait_for_webhook(&hook, "A003");
    assert!(
        alarm.contains("gate-shut") && alarm.contains("breast-mass") && alarm.contains("model changed"),
        "{alarm}"
    );
    let after = text(&asepsis(dir.path(), &["status"]));
    assert!(after.lines().any(|l| l.starts_with("breast-mass") && l.contains("fallback")), "{after}");
    let answer = running.ask(&key, &honest());
    assert!(answer.starts_with("HTTP/1.1 200"), "the admitted version goes on: {answer}");
    let admitted = domain_digest(&example().join("models/wdbc_mlp.onnx"));
    assert!(answer.contains(&admitted), "the answer is the admitted model's: {answer}");

    let stop = asepsis(dir.path(), &["suspend", "breast-mass", "--reason", "until the vendor explains"]);
    assert!(stop.status.success(), "{}", text(&stop));
    let refused = (0..200).map(|_| running.ask(&key, &honest())).find(|a| !a.starts_with("HTTP/1.1 200"));
    assert!(refused.is_some_and(|a| a.contains("E013")), "a stopped system does not answer");
}

fn domain_digest(path: &Path) -> String {
    domain::Digest::of(&std::fs::read(path).unwrap()).to_string()
}

#[test]
fn a_risk_is_accepted_only_by_the_right_role_and_for_a_limited_time() {
    let dir = hospital();
    assert_eq!(asepsis(dir.path(), &["gate", "breast-mass", "procurement"]).status.code(), Some(1));
    let accept = |person: &str, days: &str| {
        let reason = "the vendor's figures come on Friday";
        asepsis(
            dir.path(),
            &["--as", person, "accept-risk", "breast-mass", "C001", "--days", days, "--reason", reason],
        )
    };
    assert_eq!(accept("ada", "3").status.code(), Some(2), "an engineer may not");
    assert_eq!(accept("grace", "999").status.code(), Some(2), "not for years");
    assert_eq!(accept("grace", "3").status.code(), Some(0), "{}", text(&accept("grace", "3")));
    let gate = text(&asepsis(dir.path(), &["gate", "breast-mass", "procurement"]));
    assert!(gate.contains("accepted by grace until"), "{gate}");
}

#[test]
fn generated_references_are_fresh() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    let dir = tempfile::tempdir().unwrap();
    for (file, arguments) in
        [("catalogue.md", ["explain", "--all"]), ("config.schema.json", ["check-config", "--schema"])]
    {
        let fresh = String::from_utf8(asepsis(dir.path(), &arguments).stdout).unwrap();
        let committed = std::fs::read_to_string(reference.join(file)).unwrap_or_default();
        assert!(
            fresh == committed,
            "docs/reference/{file} is old: run `asepsis {} > docs/reference/{file}`",
            arguments.join(" ")
        );
    }
}
