//! The field's own Python client, unchanged, against a served gateway with a real model: over HTTP and over gRPC.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a skipped test says so")]

#[path = "../../gateway/tests/common/mod.rs"]
mod common;
mod served;

use std::path::{Path, PathBuf};
use std::process::Command;

use api::ServerLimits;
use common::{bench, blocking, breast_mass};

/// The Python of the test environment, if it has the client.
fn python() -> Option<PathBuf> {
    let venv = std::env::var_os("ASEPSIS_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv"), PathBuf::from);
    let python = venv.join("bin/python");
    let works = Command::new(&python).args(["-c", "import tritonclient.http, tritonclient.grpc"]).output();
    works.is_ok_and(|o| o.status.success()).then_some(python)
}

#[test]
fn tritonclient_works_unchanged() {
    let Some(python) = python() else {
        eprintln!("SKIPPED tritonclient_works_unchanged: run scripts/setup_python.sh, or set ASEPSIS_VENV");
        return;
    };
    let fixture = breast_mass(&blocking());
    let bench = bench(&fixture.version());
    let rest = served::rest(&bench.gateway, ServerLimits::default());
    let grpc = served::grpc_server(&bench.gateway);
    let (good, bad) = fixture.good_and_bad();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/triton_client.py");
    let output = Command::new(python)
        .arg(script)
        .args([rest.address().to_string(), grpc.address().to_string(), bench.key.clone()])
        .args(["breast-mass", "input"])
        .args([serde_json::to_string(&good).unwrap(), serde_json::to_string(&bad).unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = fixture.model.run(&common::request("breast-mass", "input", &[good])).unwrap();
    let expected = expected.outputs.expose()[0].data().to_f32().unwrap();
    for (protocol, unauthenticated, blocked) in
        [("http", "401", "422"), ("grpc", "StatusCode.UNAUTHENTICATED", "StatusCode.FAILED_PRECONDITION")]
    {
        let told = &found[protocol];
        for field in ["live", "ready", "model_ready", "versioned"] {
            assert_eq!(told[field], true, "{protocol} {field}");
        }
        assert_eq!(told["server"], "asepsis");
        assert_eq!(told["inputs"][0]["name"], "input");
        for way in ["binary", "json"] {
            let answer = &told[way];
            let logits: Vec<f32> = serde_json::from_value(answer["logits"][0].clone()).unwrap();
            assert_eq!(logits, expected, "{protocol} {way}");
            assert_eq!(answer["id"], "r-1");
            assert_eq!(answer["parameters"]["asepsis_model"], fixture.digest.to_string());
            assert!(answer["parameters"]["asepsis_receipt"].as_str().unwrap().parse::<u64>().is_ok());
            assert!(answer["parameters"]["asepsis_advice"].as_str().unwrap().starts_with("use"));
        }
        assert_eq!(told["batch"]["logits"].as_array().unwrap().len(), 2);
        let status = |name: &str| told[name]["status"].as_str().unwrap().to_owned();
        let message = |name: &str| told[name]["message"].as_str().unwrap().to_owned();
        assert!(status("no_key").contains(unauthenticated), "{protocol}: {}", status("no_key"));
        assert!(status("bad").contains(blocked), "{protocol}: {}", status("bad"));
        assert!(
            message("bad").contains("E014") && message("bad").contains("mean_radius"),
            "{}",
            message("bad")
        );
        assert!(message("no_system").contains("E004"), "{}", message("no_system"));
    }
}
