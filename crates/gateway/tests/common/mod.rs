//! A real gateway for tests and benches: the example hospital's breast-mass model, guards fitted on its reference data,
//! the real ledger in a temporary directory, keys made as the product makes them. Only the clock is ours.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test support")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use access::{KeyGrant, KeyTable, Policies, Role, Scope, SecretBytes, issue_key};
use detect::{GuardSet, GuardSettings, History, Reference, class_scores, fit};
use domain::{
    Clock, Digest, Feature, FeatureKind, InferenceRequest, InputSchema, Mutability, Phi, SystemId, Tensor,
    TensorData, Timestamp,
};
use gateway::{
    Backend, Budget, Gateway, Journal, JournalError, LocalModel, Parts, Pending, Served, ServingState,
    Snapshot, Version, VersionParts,
};
use numeric::Matrix;
use store::log::{Log, Options};

/// A clock whose wall time tests set; the monotonic part is the machine's.
pub struct TestClock {
    now_ms: AtomicI64,
    start: Instant,
}

impl TestClock {
    pub fn at(now_ms: i64) -> Arc<Self> {
        Arc::new(Self { now_ms: AtomicI64::new(now_ms), start: Instant::now() })
    }

    pub fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms.load(Ordering::SeqCst))
    }

    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap()
    }
}

/// The real ledger with a switch that makes it fail, as a full disk does.
pub struct Ledger {
    pub log: Log,
    pub failing: AtomicBool,
    /// Fails for closing entries only.
    pub failing_to_close: AtomicBool,
    /// Entries appended, kept to look at.
    pub entries: Mutex<Option<Vec<serde_json::Value>>>,
    _dir: tempfile::TempDir,
}

impl Ledger {
    pub fn new() -> Arc<Self> {
        Self::keeping(Some(Vec::new()))
    }

    pub fn keeping(entries: Option<Vec<serde_json::Value>>) -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let signer = ledger::Signer::from_seed("test.example", &[7; 32]).unwrap();
        let log = Log::open(dir.path(), signer, Options::default()).unwrap();
        Arc::new(Self {
            log,
            failing: AtomicBool::new(false),
            failing_to_close: AtomicBool::new(false),
            entries: Mutex::new(entries),
            _dir: dir,
        })
    }

    /// Entries of one type so far.
    pub fn of(&self, kind: &str) -> Vec<serde_json::Value> {
        self.entries.lock().unwrap().as_ref().unwrap().iter().filter(|e| e["type"] == kind).cloned().collect()
    }
}

impl Journal for Ledger {
    fn append(&self, entry: &[u8]) -> Result<Pending, JournalError> {
        let closing = entry.starts_with(br#"{"type":"closed""#);
        if self.failing.load(Ordering::SeqCst) || closing && self.failing_to_close.load(Ordering::SeqCst) {
            return Err(JournalError::Failed("the disk is full".into()));
        }
        if let Some(entries) = self.entries.lock().unwrap().as_mut() {
            entries.push(serde_json::from_slice(entry).unwrap());
        }
        Journal::append(&self.log, entry)
    }
}

pub fn hospital() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hospital")
}

/// A table of the example hospital: names of columns, rows, labels, and which rows are held out.
pub struct Table {
    pub names: Vec<String>,
    pub train: Vec<Vec<f32>>,
    pub train_labels: Vec<u32>,
    pub test: Vec<Vec<f32>>,
}

pub fn table(file: &str) -> Table {
    let text = std::fs::read_to_string(hospital().join("data").join(file)).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let width = header.len() - 2;
    let mut table = Table {
        names: header[..width].iter().map(ToString::to_string).collect(),
        train: Vec::new(),
        train_labels: Vec::new(),
        test: Vec::new(),
    };
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let row: Vec<f32> = cells[..width].iter().map(|c| c.parse().unwrap()).collect();
        if cells[width + 1] == "test" {
            table.test.push(row);
        } else {
            table.train_labels.push(cells[width].parse().unwrap());
            table.train.push(row);
        }
    }
    assert!(table.test.len() > 50 && table.train.len() > 200, "the example data is there");
    table
}

/// Declared ranges: three times as far as the reference data goes.
pub fn schema(table: &Table, tensor: &str) -> InputSchema {
    let features = table.names.iter().enumerate().map(|(i, name)| {
        let column = table.train.iter().map(|row| f64::from(row[i]));
        let max = column.fold(0.0_f64, f64::max);
        Feature {
            name: name.clone(),
            unit: "1".into(),
            kind: FeatureKind::Real,
            min: 0.0,
            max: max * 3.0,
            mutability: Mutability::Measured,
            alternatives: Vec::new(),
        }
    });
    InputSchema::Table { tensor: tensor.into(), features: features.collect() }
}

pub fn matrix(rows: &[Vec<f32>]) -> Matrix {
    Matrix::new(rows.len(), rows.first().map_or(0, Vec::len), rows.concat()).unwrap()
}

pub fn request(system: &str, tensor: &str, rows: &[Vec<f32>]) -> InferenceRequest {
    let shape = vec![rows.len(), rows[0].len()];
    let tensor = Tensor::new(tensor, shape, TensorData::Fp32(rows.concat())).unwrap();
    InferenceRequest {
        id: None,
        system: system.parse().unwrap(),
        inputs: Phi::new(vec![tensor]),
        outputs: Vec::new(),
    }
}

pub struct Fixture {
    pub table: Table,
    pub model: Arc<LocalModel>,
    pub digest: Digest,
    pub schema: InputSchema,
    pub guards: Arc<GuardSet>,
    pub history: Arc<History>,
}

/// The breast-mass system with all its guards, as admission would make it.
pub fn breast_mass(settings: &GuardSettings) -> Fixture {
    let table = table("wdbc.csv");
    let bytes = std::fs::read(hospital().join("models/wdbc_mlp.onnx")).unwrap();
    let model = runtime::Model::load(&bytes, &runtime::Limits::default()).unwrap();
    let model = Arc::new(LocalModel::with_features(model).unwrap());
    let schema = schema(&table, "input");
    let half = table.train.len() / 2;
    let reference = |rows: &[Vec<f32>], labels: &[u32]| {
        let reply = model.run(&request("breast-mass", "input", rows)).unwrap();
        let scores = class_scores(reply.outputs.expose(), None, detect::OutputKind::Auto);
        let features = reply.features.map(|f| matrix(f.expose()));
        Reference { inputs: matrix(rows), labels: Some(labels.to_vec()), scores, features }
    };
    let first = reference(&table.train[..half], &table.train_labels[..half]);
    let second = reference(&table.train[half..], &table.train_labels[half..]);
    let fitted = fit(settings, &schema, &first, &second, 1).unwrap();
    let guards = Arc::new(GuardSet::build(settings, &schema, &fitted).unwrap());
    let history = Arc::new(History::new(settings, &fitted));
    Fixture { digest: Digest::of(&bytes), table, model, schema, guards, history }
}

/// Guards that only watch values and never count queries against each other: for tests that ask the same thing often.
pub fn blocking() -> GuardSettings {
    let mut settings = GuardSettings::default();
    settings.schema.mode = domain::GuardMode::Block;
    settings.clinical_range.mode = domain::GuardMode::Block;
    // The machine that runs tests may be slow; budgets are not what these tests are about.
    settings.schema.budget_us = 60_000_000;
    settings.clinical_range.budget_us = 60_000_000;
    settings.out_of_distribution.budget_us = 60_000_000;
    settings.uncertainty.budget_us = 60_000_000;
    settings.query_similarity.enabled = false;
    settings.extraction.enabled = false;
    settings
}

impl Fixture {
    pub fn version(&self) -> Arc<Version> {
        self.version_on(Backend::Local(Arc::clone(&self.model)))
    }

    pub fn version_on(&self, backend: Backend) -> Arc<Version> {
        Arc::new(Version::new(VersionParts {
            model: self.digest,
            backend,
            guards: Arc::clone(&self.guards),
            history: Arc::clone(&self.history),
            schema: self.schema.clone(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            concurrency_max: gateway::CONCURRENCY_DEFAULT,
        }))
    }

    /// A row of a patient that the guards have nothing against, and one with an impossible first value.
    pub fn good_and_bad(&self) -> (Vec<f32>, Vec<f32>) {
        let good = self.table.train[7].clone();
        let mut bad = good.clone();
        bad[0] = 5_000.0;
        (good, bad)
    }
}

pub const NOW_MS: i64 = 1_795_440_000_000;

/// A key for `client` on all systems, valid for a day.
pub fn key(client: &str, seed: u8) -> (access::KeyRecord, String) {
    let now = Timestamp::from_millis(NOW_MS);
    let grant = KeyGrant {
        id: format!("{client}-key").parse().unwrap(),
        client: client.parse().unwrap(),
        roles: [Role::Client].into(),
        systems: Scope::All,
        expires_at: Some(now.plus_days(1)),
        note: "test".into(),
    };
    let (record, secret) = issue_key(grant, SecretBytes::new([seed; 32]), now).unwrap();
    (record, secret.expose().to_owned())
}

/// A served gateway and what a test needs to reach into it.
pub struct Bench {
    pub gateway: Arc<Gateway>,
    pub ledger: Arc<Ledger>,
    pub clock: Arc<TestClock>,
    pub key: String,
    pub admin: String,
    pub records: Vec<access::KeyRecord>,
}

pub fn served(id: &str, state: ServingState) -> (SystemId, Arc<Served>) {
    let id: SystemId = id.parse().unwrap();
    (id.clone(), Arc::new(Served { id, title: "Test".into(), state }))
}

pub const PLENTY: Budget = Budget { requests_per_s: 1e9, burst: u32::MAX, rows_per_day: u64::MAX };

pub fn snapshot(records: &[access::KeyRecord], version: &Arc<Version>) -> Snapshot {
    let policies = Arc::new(Policies::shipped().unwrap());
    let mut snapshot = Snapshot::empty(KeyTable::new(records.to_vec()).unwrap(), policies);
    snapshot.budget = PLENTY;
    snapshot.systems = BTreeMap::from([
        served("breast-mass", ServingState::Open { version: Arc::clone(version), fallback: false }),
        served("shut", ServingState::Shut { because: vec!["C003".into()] }),
        served("stopped", ServingState::Suspended { by: "grace".into(), reason: "wrong answers".into() }),
    ]);
    snapshot
}

/// A gateway over `version` with two keys: a client's and an administrator's.
pub fn bench(version: &Arc<Version>) -> Bench {
    bench_on(version, Ledger::new())
}

pub fn bench_on(version: &Arc<Version>, ledger: Arc<Ledger>) -> Bench {
    let clock = TestClock::at(NOW_MS);
    let (record, key) = key("ward-3", 3);
    let (mut admin, admin_key) = self::key("root", 4);
    admin.roles = [Role::Administrator].into();
    let records = vec![record, admin];
    let gateway = Arc::new(Gateway::new(Parts {
        journal: Arc::clone(&ledger) as Arc<dyn Journal>,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        digest_key: [9; 32],
        snapshot: snapshot(&records, version),
    }));
    Bench { gateway, ledger, clock, key, admin: admin_key, records }
}
