//! A system under test: guards, memory and the model behind them.

use std::cell::RefCell;

use detect::{
    Context, Fitted, GuardSet, GuardSettings, History, OutputKind, Reference, Screening, class_scores,
};
use domain::{
    ClientId, Clock, GuardVerdict, InferenceReply, InferenceRequest, InputSchema, Phi, Severity, SystemId,
    Tensor, TensorData, Timestamp,
};
use numeric::Matrix;
use runtime::{Limits, Model, Scratch, TensorView};

use crate::{Outcome, bounds};

/// The model and its scratch space.
pub struct Victim {
    model: Model,
    features: Option<String>,
    scratch: Scratch,
}

type Answer = (Vec<Tensor>, Option<Vec<f32>>);

impl Victim {
    pub fn load(bytes: &[u8]) -> Outcome<Self> {
        let model = Model::load(bytes, &Limits::default())?;
        let features = model.penultimate().map(str::to_owned);
        let model = match &features {
            Some(name) => model.with_taps(&[name])?,
            None => model,
        };
        Ok(Self { model, features, scratch: Scratch::new() })
    }

    /// The model itself.
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// The model's outputs for one row, and its last activations.
    pub fn answer(&mut self, schema: &InputSchema, row: &[f32]) -> Outcome<Answer> {
        let shape = schema.shape(1);
        let name = self.model.inputs().first().ok_or("the model has no input")?.name.clone();
        let outputs = self.model.run(&[(name.as_str(), TensorView::f32(&shape, row))], &mut self.scratch)?;
        let (mut tensors, mut features) = (Vec::new(), None);
        for (name, tensor) in outputs {
            let Some(values) = tensor.as_f32().map(<[f32]>::to_vec) else { continue };
            if Some(&name) == self.features.as_ref() {
                features = Some(values);
            } else {
                tensors.push(Tensor::new(name, tensor.shape.clone(), TensorData::Fp32(values))?);
            }
        }
        Ok((tensors, features))
    }

    /// Probabilities and activations of all rows.
    pub fn answer_all(&mut self, schema: &InputSchema, rows: &Matrix) -> Outcome<(Matrix, Option<Matrix>)> {
        let (mut scores, mut features) = (Vec::new(), Vec::new());
        for row in rows.iter_rows() {
            let (tensors, activations) = self.answer(schema, row)?;
            scores.push(probabilities(&tensors)?);
            features.extend(activations);
        }
        let features = (!features.is_empty()).then(|| Matrix::from_rows(&features)).transpose()?;
        Ok((Matrix::from_rows(&scores)?, features))
    }
}

fn probabilities(tensors: &[Tensor]) -> Outcome<Vec<f32>> {
    Ok(class_scores(tensors, None, OutputKind::Auto).ok_or("the model gave no class scores")?.row(0).to_vec())
}

/// One system with everything measured on it.
pub struct Bench {
    pub name: &'static str,
    pub schema: InputSchema,
    pub settings: GuardSettings,
    pub fitted: Fitted,
    pub fit: Reference,
    pub calibration: Reference,
    pub held_out: Reference,
    pub victim: RefCell<Victim>,
}

impl Bench {
    pub fn guards(&self) -> Outcome<GuardSet> {
        Ok(GuardSet::build(&self.settings, &self.schema, &self.fitted)?)
    }

    pub fn is_image(&self) -> bool {
        matches!(self.schema, InputSchema::Image { .. })
    }

    pub fn client(&self, name: &str) -> Outcome<ClientId> {
        Ok(name.parse()?)
    }

    pub fn system(&self) -> Outcome<SystemId> {
        Ok(self.name.parse()?)
    }

    #[expect(clippy::unnecessary_wraps, reason = "serialising may fail in principle")]
    pub fn fitted_bytes(&self) -> Outcome<usize> {
        Ok(self.fitted.to_bytes().len())
    }

    pub fn session(&self) -> Outcome<Session<'_>> {
        let history = History::new(&self.settings, &self.fitted);
        Ok(Session {
            bench: self,
            guards: self.guards()?,
            history,
            at: Timestamp::from_millis(1_795_400_000_000),
        })
    }

    /// Where each value lies: pixels from 0 to 1, a table's columns between the extremes of the fit data.
    pub fn scale(&self) -> Vec<(f32, f32)> {
        if self.is_image() { vec![(0.0, 1.0); self.schema.width()] } else { bounds(&self.fit.inputs) }
    }

    /// A row in the unit box.
    pub fn to_unit(&self, row: &[f32]) -> Vec<f32> {
        let scale = self.scale();
        row.iter()
            .zip(scale)
            .map(|(v, (low, high))| ((v - low) / (high - low).max(1e-9)).clamp(0.0, 1.0))
            .collect()
    }

    /// A point of the unit box as a row that fits the schema: codes and whole numbers are rounded.
    pub fn to_row(&self, point: &[f32], scale: &[(f32, f32)]) -> Vec<f32> {
        let mut row: Vec<f32> =
            point.iter().zip(scale).map(|(p, (low, high))| low + p * (high - low)).collect();
        if let InputSchema::Table { features, .. } = &self.schema {
            for (value, feature) in row.iter_mut().zip(features) {
                if let domain::FeatureKind::Category { codes } = &feature.kind {
                    #[expect(clippy::cast_possible_truncation, reason = "small codes")]
                    let nearest = codes
                        .iter()
                        .map(|c| *c as f32)
                        .min_by(|a, b| (a - *value).abs().total_cmp(&(b - *value).abs()));
                    *value = nearest.unwrap_or(*value);
                }
            }
        }
        row
    }
}

/// Real time, for the budgets.
struct Real(std::time::Instant);

impl Clock for Real {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// What one query met.
pub struct Met {
    verdicts: Vec<GuardVerdict>,
    /// Absent when the request was refused.
    pub scores: Option<Vec<f32>>,
    is_refused: bool,
}

impl Met {
    /// True when the instance found something of medium severity or worse.
    pub fn flagged(&self, instance: &str) -> bool {
        self.found(|v| v.instance == instance)
    }

    /// True when any of these did.
    pub fn flagged_by_any(&self, instances: &[&str]) -> bool {
        self.found(|v| instances.contains(&v.instance.as_ref()))
    }

    /// True when a message of the instance contains the text.
    pub fn says(&self, instance: &str, text: &str) -> bool {
        self.found(|v| {
            v.instance == instance && v.outcome.findings().iter().any(|f| f.message.contains(text))
        })
    }

    fn found(&self, wanted: impl Fn(&GuardVerdict) -> bool) -> bool {
        self.verdicts.iter().any(|v| v.outcome.worst().is_some_and(|s| s >= Severity::Medium) && wanted(v))
    }
}

/// A run of queries against one memory.
pub struct Session<'a> {
    pub bench: &'a Bench,
    guards: GuardSet,
    history: History,
    at: Timestamp,
}

impl Session<'_> {
    /// One query by a client, a second after the last; the model answers unless the request is blocked.
    pub fn ask(&mut self, client: &str, row: &[f32]) -> Outcome<Met> {
        let mut met = self.ask_known(client, row, None)?;
        if met.is_refused {
            return Ok(met);
        }
        let (outputs, features) = self.bench.victim.borrow_mut().answer(&self.bench.schema, row)?;
        met.scores = Some(probabilities(&outputs)?);
        let features = features.map(|f| Phi::new(vec![f]));
        self.screen_reply(client, InferenceReply { outputs: Phi::new(outputs), features }, &mut met)?;
        Ok(met)
    }

    /// The same with an answer that is known already, or none.
    pub fn ask_known(&mut self, client: &str, row: &[f32], answer: Option<&[f32]>) -> Outcome<Met> {
        self.at = self.at.plus_millis(1_000);
        let id = self.bench.client(client)?;
        let clock = Real(std::time::Instant::now());
        let cx = Context { client: &id, at: self.at, clock: &clock, history: &self.history };
        let schema = &self.bench.schema;
        let tensor = Tensor::new(schema.tensor(), schema.shape(1), TensorData::Fp32(row.to_vec()))?;
        let inputs = Phi::new(vec![tensor]);
        let request =
            InferenceRequest { id: None, system: self.bench.system()?, inputs, outputs: Vec::new() };
        let (verdicts, is_refused) = match self.guards.screen_request(request, &cx) {
            Screening::Blocked { verdicts } => (verdicts, true),
            Screening::Passed { verdicts, .. } => (verdicts, false),
        };
        let mut met = Met { verdicts, scores: answer.map(<[f32]>::to_vec), is_refused };
        if let (Some(scores), false) = (answer, is_refused) {
            let output =
                Tensor::new("probabilities", vec![1, scores.len()], TensorData::Fp32(scores.to_vec()))?;
            let reply = InferenceReply { outputs: Phi::new(vec![output]), features: None };
            self.screen_reply(client, reply, &mut met)?;
        }
        Ok(met)
    }

    fn screen_reply(&mut self, client: &str, reply: InferenceReply, met: &mut Met) -> Outcome<()> {
        let id = self.bench.client(client)?;
        let clock = Real(std::time::Instant::now());
        let cx = Context { client: &id, at: self.at, clock: &clock, history: &self.history };
        met.verdicts.extend(self.guards.screen_reply(reply, &cx).verdicts().iter().cloned());
        Ok(())
    }

    /// Ordinary traffic before an attack: the calibration patients, by two clients.
    pub fn warm_up(&mut self, rows: usize) -> Outcome<()> {
        let inputs = &self.bench.calibration.inputs;
        for r in 0..rows.min(inputs.rows) {
            self.ask(if r % 2 == 0 { "ward" } else { "clinic" }, inputs.row(r))?;
        }
        Ok(())
    }
}
