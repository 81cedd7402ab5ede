//! Against a real server: MLServer from PyPI with an ONNX model of the example hospital behind onnxruntime.
//!
//! Needs the environment of `scripts/setup_python.sh`; without it the test says so and does nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says loudly when it is skipped"
)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use detect::{Context, GuardSet, GuardSettings, History, Reference, Screened, Screening};
use domain::{
    Clock, Feature, FeatureKind, InferenceRequest, InputSchema, Mutability, Phi, Tensor, TensorData,
    Timestamp,
};
use numeric::Matrix;
use upstream::{CircuitState, Config, Remote, UpstreamError};

/// Tries to see the server ready, a quarter of a second apart. It imports half of Python's data tools at its start.
const READY_TRIES_MAX: u32 = 480;
/// Starts of the server, should another program take one of the free ports in between.
const STARTS_MAX: u32 = 3;

/// What onnxruntime 1.32.0 gives for the first three patients of the example data.
const LOGITS: [[f32; 2]; 3] =
    [[1.364_513_5, -2.151_535_7], [0.514_080_1, -0.842_090_67], [0.920_943_14, -1.438_983_7]];

/// A server that ends with the test.
struct Server {
    child: Child,
    rest: String,
    grpc: String,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The environment's `mlserver`, if it is there.
fn program() -> Option<PathBuf> {
    let venv = std::env::var_os("ASEPSIS_VENV").map_or_else(|| root().join(".venv"), PathBuf::from);
    let program = root().join(venv).join("bin/mlserver");
    program.exists().then_some(program)
}

fn start(program: &Path) -> Server {
    let folder = tempfile::tempdir().unwrap();
    // Held together while choosing, so that they differ.
    let free: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<_> = free.iter().map(|l| l.local_addr().unwrap().port()).collect();
    drop(free);
    let write = |name: &str, value: &serde_json::Value| {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    };
    let settings = serde_json::json!({
        "host": "127.0.0.1", "http_port": ports[0], "grpc_port": ports[1], "metrics_port": ports[2],
        "parallel_workers": 0, "debug": false, "metrics_dir": folder.path(), "environments_dir": folder.path(),
    });
    write("settings.json", &settings);
    let tensor = |name: &str, columns: i64| serde_json::json!({"name": name, "datatype": "FP32", "shape": [-1, columns]});
    let model = serde_json::json!({
        "name": "wdbc", "implementation": "onnx_model.OnnxModel", "platform": "onnx",
        "parameters": {"uri": root().join("examples/hospital/models/wdbc_mlp.onnx"), "version": "1"},
        "inputs": [tensor("input", 30)], "outputs": [tensor("logits", 2)],
    });
    write("model-settings.json", &model);
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let child = Command::new(program)
        .args(["start", "."])
        .current_dir(folder.path())
        .env("PYTHONPATH", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mlserver"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let (rest, grpc) = (format!("http://127.0.0.1:{}", ports[0]), format!("grpc://127.0.0.1:{}", ports[1]));
    Server { child, rest, grpc, _folder: folder }
}

/// A server whose model is ready on both halves of the protocol.
async fn ready(program: &Path) -> Server {
    for _ in 0..STARTS_MAX {
        let mut server = start(program);
        let remotes = [remote(&server.rest, "wdbc"), remote(&server.grpc, "wdbc")];
        for _ in 0..READY_TRIES_MAX {
            if server.child.try_wait().unwrap().is_some() {
                break;
            }
            let (rest, grpc) = (remotes[0].ready().await, remotes[1].ready().await);
            if matches!((rest, grpc), (Ok(true), Ok(true))) {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let log = std::fs::read_to_string(server._folder.path().join("log")).unwrap_or_default();
        eprintln!("MLServer did not become ready:\n{log}");
    }
    panic!("MLServer did not start");
}

fn config(target: &str, model: &str) -> Config {
    let mut config = Config::new(target.parse().unwrap(), model);
    // While it starts, nobody answers; the circuit has tests of its own.
    config.failures_max = u32::MAX;
    config.timeout_ms = 20_000;
    config
}

fn remote(target: &str, model: &str) -> Remote {
    Remote::connect(config(target, model)).unwrap()
}

/// The patients of the example hospital, 30 features each.
fn patients() -> Matrix {
    let text = std::fs::read_to_string(root().join("examples/hospital/data/wdbc.csv")).unwrap();
    let mut data = Vec::new();
    for line in text.lines().skip(1) {
        data.extend(line.split(',').take(30).map(|v| v.parse::<f32>().unwrap()));
    }
    Matrix { rows: data.len() / 30, cols: 30, data }
}

fn tensor(rows: &[f32]) -> Tensor {
    Tensor::new("input", vec![rows.len() / 30, 30], TensorData::Fp32(rows.to_vec())).unwrap()
}

struct SystemClock(Instant);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap()
    }
}

/// A request that went through real guards, fitted on the example's patients: there is no other way to make one.
fn screened(all: &Matrix, rows: usize) -> Screened<InferenceRequest> {
    let feature = |i: usize| Feature {
        name: format!("f{i}"),
        unit: "1".into(),
        kind: FeatureKind::Real,
        min: 0.0,
        max: 1e6,
        mutability: Mutability::Measured,
        alternatives: vec![],
    };
    let schema = InputSchema::Table { tensor: "input".into(), features: (0..30).map(feature).collect() };
    let mut settings = GuardSettings::default();
    settings.schema.budget_us = 10_000_000;
    let half = all.rows / 2;
    let part = |from: usize, to: usize| Reference {
        inputs: Matrix { rows: to - from, cols: 30, data: all.data[from * 30..to * 30].to_vec() },
        ..Reference::default()
    };
    let fitted = detect::fit(&settings, &schema, &part(0, half), &part(half, all.rows), 1).unwrap();
    let guards = GuardSet::build(&settings, &schema, &fitted).unwrap();
    let request = InferenceRequest {
        id: Some("patient 4711".into()),
        system: "breast-mass".parse().unwrap(),
        inputs: Phi::new(vec![tensor(&all.data[..rows * 30])]),
        outputs: vec!["logits".into()],
    };
    let (clock, client) = (SystemClock(Instant::now()), "ward".parse().unwrap());
    let history = History::new(&settings, &fitted);
    let context = Context { client: &client, at: clock.now(), clock: &clock, history: &history };
    match guards.screen_request(request, &context) {
        Screening::Passed { screened, .. } => screened,
        Screening::Blocked { verdicts } => panic!("{verdicts:?}"),
    }
}

fn assert_golden(outputs: &[Tensor]) {
    let [output] = outputs else { panic!("one output") };
    assert_eq!((output.name(), output.shape()), ("logits", &[3, 2][..]));
    let TensorData::Fp32(values) = output.data() else { panic!("FP32") };
    for (found, expected) in values.iter().zip(LOGITS.as_flattened()) {
        assert!((found - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{found} {expected}");
    }
}

#[tokio::test]
async fn a_real_server_is_asked_over_both_halves_of_the_protocol() {
    let Some(program) = program() else {
        eprintln!("SKIPPED: MLServer is not installed; run scripts/setup_python.sh or set ASEPSIS_VENV");
        return;
    };
    let mut server = ready(&program).await;
    let all = patients();
    for target in [server.rest.clone(), server.grpc.clone()] {
        let model = remote(&target, "wdbc");
        let metadata = model.metadata().await.unwrap();
        assert_eq!(
            (metadata.inputs[0].name.as_str(), &metadata.inputs[0].shape[..]),
            ("input", &[-1, 30][..])
        );
        assert_eq!(model.server_metadata().await.unwrap().name, "mlserver");

        assert_golden(&model.probe(&[tensor(&all.data[..90])]).await.unwrap());
        let reply = model.infer(&screened(&all, 3)).await.unwrap();
        assert_golden(reply.outputs.expose());
        // A batch of everybody, so that answers of several frames are met.
        let outputs = model.probe(&[tensor(&all.data)]).await.unwrap();
        assert_eq!(outputs[0].shape(), [all.rows, 2]);

        let mut versioned = config(&target, "wdbc");
        versioned.version = Some("1".into());
        assert_golden(&Remote::connect(versioned).unwrap().probe(&[tensor(&all.data[..90])]).await.unwrap());

        refusals(&target, &all).await;
    }
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    for target in [&server.rest, &server.grpc] {
        let mut config = config(target, "wdbc");
        config.failures_max = 2;
        let model = Remote::connect(config).unwrap();
        for _ in 0..2 {
            let error = model.probe(&[tensor(&all.data[..30])]).await.unwrap_err();
            assert!(matches!(error, UpstreamError::Unreachable { .. }), "{error}");
            assert!(error.to_string().contains("connection refused"), "{error}");
        }
        assert!(matches!(model.circuit(), CircuitState::Open { .. }));
        let error = model.probe(&[tensor(&all.data[..30])]).await.unwrap_err();
        assert!(matches!(error, UpstreamError::CircuitOpen { .. }), "{error}");
    }
}

async fn refusals(target: &str, all: &Matrix) {
    let missing = remote(target, "no-such-model");
    assert!(!missing.ready().await.unwrap());
    let error = missing.probe(&[tensor(&all.data[..30])]).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("check the model's name"), "{error}");

    let mut sick = all.data[..30].to_vec();
    sick[0] = -4711.25;
    let error = remote(target, "wdbc").probe(&[tensor(&sick)]).await.unwrap_err();
    let UpstreamError::Refused { detail, .. } = &error else { panic!("{error}") };
    assert!(detail.phi().expose().contains("4711.25"), "the server repeats the value");
    assert!(!format!("{error} {error:?}").contains("4711"), "we do not");
}
