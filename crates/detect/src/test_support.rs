//! What the tests of several guards need: a small system, patients drawn with a seed, and short ways to ask.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::{
    ClientId, Clock, Feature, FeatureKind, GuardVerdict, InferenceReply, InferenceRequest, InputSchema,
    Mutability, Outcome, Phi, Severity, Tensor, TensorData, Timestamp, UnitAlternative,
};
use numeric::{Matrix, Rng};

use crate::{Context, Fitted, GuardSet, GuardSettings, History, Reference, Screening, fit};

/// A clock that moves on by a fixed step each time it is read.
pub(crate) struct Ticking {
    now: AtomicU64,
    step: u64,
}

impl Ticking {
    pub(crate) const fn new(step: u64) -> Self {
        Self { now: AtomicU64::new(0), step }
    }
}

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn monotonic_us(&self) -> u64 {
        self.now.fetch_add(self.step, Ordering::Relaxed)
    }
}

fn feature(name: &str, unit: &str, min: f64, max: f64, alternative: Option<(&str, f64)>) -> Feature {
    Feature {
        name: name.into(),
        unit: unit.into(),
        kind: FeatureKind::Real,
        min,
        max,
        mutability: Mutability::Measured,
        alternatives: alternative
            .into_iter()
            .map(|(unit, factor)| UnitAlternative { unit: unit.into(), factor, offset: 0.0 })
            .collect(),
    }
}

/// Blood pressure, cholesterol, heart rate, glucose and sex.
pub(crate) fn table_schema() -> InputSchema {
    let sex = Feature {
        kind: FeatureKind::Category { codes: vec![0.0, 1.0] },
        ..feature("sex", "1", 0.0, 1.0, None)
    };
    InputSchema::Table {
        tensor: "input".into(),
        features: vec![
            feature("trestbps", "mm[Hg]", 40.0, 300.0, Some(("kPa", 7.5006))),
            feature("chol", "mg/dL", 20.0, 1_000.0, Some(("mmol/L", 38.67))),
            feature("thalach", "/min", 20.0, 250.0, None),
            feature("glucose", "mg/dL", 1.0, 1_500.0, Some(("mmol/L", 18.0))),
            sex,
        ],
    }
}

pub(crate) fn image_schema() -> InputSchema {
    InputSchema::Image { tensor: "input".into(), channels: 1, height: 14, width: 14, min: 0.0, max: 1.0 }
}

/// Patients of the table; chol and blood pressure go together.
#[expect(clippy::cast_possible_truncation, reason = "test data")]
pub(crate) fn patients(n: usize, seed: u64) -> Reference {
    let mut rng = Rng::new(seed, 1);
    let (mut rows, mut labels, mut scores) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..n {
        let common = rng.normal();
        rows.push(vec![
            (130.0 + 15.0 * common + 3.0 * rng.normal()) as f32,
            (240.0 + 40.0 * common + 8.0 * rng.normal()) as f32,
            (150.0 + 20.0 * rng.normal()).clamp(60.0, 220.0) as f32,
            (100.0 * (0.15 * rng.normal()).exp()) as f32,
            if rng.uniform() < 0.5 { 0.0 } else { 1.0 },
        ]);
        let p = 1.0 / (1.0 + (-3.0 * common).exp());
        labels.push(u32::from(rng.uniform() < p));
        scores.push(vec![(1.0 - p) as f32, p as f32]);
    }
    Reference {
        inputs: Matrix::from_rows(&rows).unwrap(),
        labels: Some(labels),
        scores: Some(Matrix::from_rows(&scores).unwrap()),
        features: None,
    }
}

/// Images: a bright disc of varying place, size and brightness on a gradient, with a little noise.
#[expect(clippy::cast_possible_truncation, reason = "test data")]
pub(crate) fn images(n: usize, seed: u64) -> Reference {
    let mut rng = Rng::new(seed, 2);
    let rows: Vec<Vec<f32>> = (0..n)
        .map(|_| {
            let (cx, cy) = (rng.range(3.0, 11.0), rng.range(3.0, 11.0));
            let (radius, bright, slope) = (rng.range(2.0, 5.0), rng.range(0.3, 0.6), rng.range(0.0, 0.3));
            let base = rng.range(0.05, 0.25);
            (0..196)
                .map(|k| {
                    let (y, x) = ((k / 14) as f64, (k % 14) as f64);
                    let disc = bright / (1.0 + ((x - cx).hypot(y - cy) - radius).exp());
                    (base + slope * y / 14.0 + disc + 0.01 * rng.normal()).clamp(0.0, 1.0) as f32
                })
                .collect()
        })
        .collect();
    Reference { inputs: Matrix::from_rows(&rows).unwrap(), ..Reference::default() }
}

/// A fitted system with its memory.
pub(crate) struct Bench {
    pub(crate) schema: InputSchema,
    pub(crate) settings: GuardSettings,
    pub(crate) fitted: Fitted,
    pub(crate) set: GuardSet,
    pub(crate) history: History,
    pub(crate) at: Timestamp,
}

impl Bench {
    pub(crate) fn new(schema: InputSchema, known: &Reference, held_out: &Reference) -> Self {
        let settings = GuardSettings::default();
        let fitted = fit(&settings, &schema, known, held_out, 1).unwrap();
        let set = GuardSet::build(&settings, &schema, &fitted).unwrap();
        let history = History::new(&settings, &fitted);
        Self { schema, settings, fitted, set, history, at: Timestamp::from_millis(1_000_000_000) }
    }

    pub(crate) fn table() -> Self {
        Self::new(table_schema(), &patients(400, 1), &patients(300, 2))
    }

    pub(crate) fn image() -> Self {
        Self::new(image_schema(), &images(500, 1), &images(400, 2))
    }

    pub(crate) fn request(&self, rows: &[&[f32]]) -> InferenceRequest {
        let data = TensorData::Fp32(rows.concat());
        let tensor = Tensor::new(self.schema.tensor(), self.schema.shape(rows.len()), data).unwrap();
        request_of(vec![tensor])
    }

    /// One row by a client, a second after the last.
    pub(crate) fn ask(&mut self, client: &str, row: &[f32]) -> Vec<GuardVerdict> {
        let request = self.request(&[row]);
        self.screen(client, request).verdicts().to_vec()
    }

    pub(crate) fn screen(&mut self, client: &str, request: InferenceRequest) -> Screening<InferenceRequest> {
        self.at = self.at.plus_millis(1_000);
        let client: ClientId = client.parse().unwrap();
        let clock = Ticking::new(0);
        let cx = Context { client: &client, at: self.at, clock: &clock, history: &self.history };
        self.set.screen_request(request, &cx)
    }

    pub(crate) fn reply(&mut self, client: &str, scores: &[f32]) -> Vec<GuardVerdict> {
        let tensor = Tensor::new("p", vec![1, scores.len()], TensorData::Fp32(scores.to_vec())).unwrap();
        let reply = InferenceReply { outputs: Phi::new(vec![tensor]), features: None };
        let client: ClientId = client.parse().unwrap();
        let clock = Ticking::new(0);
        let cx = Context { client: &client, at: self.at, clock: &clock, history: &self.history };
        self.set.screen_reply(reply, &cx).verdicts().to_vec()
    }
}

pub(crate) fn request_of(tensors: Vec<Tensor>) -> InferenceRequest {
    InferenceRequest {
        id: None,
        system: "test".parse().unwrap(),
        inputs: Phi::new(tensors),
        outputs: Vec::new(),
    }
}

/// What an instance said.
pub(crate) fn outcome<'a>(verdicts: &'a [GuardVerdict], instance: &str) -> &'a Outcome {
    &verdicts.iter().find(|v| v.instance == instance).unwrap().outcome
}

/// True when the instance found something of medium severity or worse.
pub(crate) fn flagged(verdicts: &[GuardVerdict], instance: &str) -> bool {
    outcome(verdicts, instance).worst().is_some_and(|s| s >= Severity::Medium)
}

/// The messages of an instance.
pub(crate) fn messages(verdicts: &[GuardVerdict], instance: &str) -> String {
    outcome(verdicts, instance).findings().iter().map(|f| f.message.as_str()).collect::<Vec<_>>().join("; ")
}
