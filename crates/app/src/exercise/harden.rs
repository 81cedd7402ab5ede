//! Hardening: a plain and a hardened model are trained from the same rows and seed, both go through the same exercise, and the hardened one is written as ONNX.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use attack::harden::{AdversarialTraining, Adversary, NoiseHook, SmoothedStanding, Smoothing, certify_all};
use attack::measure::scores_of;
use attack::scorecard::{Comparison, Scorecard, compare};
use attack::suite::study::Recipe;
use attack::training::{Batch, Hook, Samples, Trained, Trainer};
use attack::{Fault, Gradients, Layout, Norm, Pace, Replies, Rows as Asked, Space};
use domain::Digest;
use runtime::training::{Continued, TrainOptions};
use serde::Serialize;

use super::data::{Rows, Wanted, bad};
use super::open::{self, Opened};
use super::studies::{Ground, Set, trainer};
use super::{Event, Request, Target, Watch};
use crate::{AppError, dataset};

/// Form of the JSON report.
const FORM: &str = "asepsis-harden/1";
/// Radii of the certificate's table, in deviations of the noise.
const RADII: [f64; 6] = [0.0, 0.5, 1.0, 1.5, 2.0, 2.25];
/// Largest relative difference between the scores of the file written and those of the model trained.
const SCORES_APART_MAX: f64 = 1e-3;
/// Length of a step when training goes on from a file: a tenth of what a fresh model takes.
const CONTINUED_RATE: f32 = 1e-4;
/// Passes over the data when training goes on from a file.
const CONTINUED_EPOCHS: usize = 5;

/// How a model is hardened.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Trained on rows that were attacked a moment before.
    AdversarialTraining {
        /// Linf or L2.
        norm: Norm,
        /// Radius in the unit box; 8/255 for images and 0.05 for tables when not given.
        epsilon: Option<f64>,
        /// Steps of the inner attack.
        steps: usize,
    },
    /// Trained with noise, and asked many times with noise.
    Smoothing {
        /// Deviation of the noise in the unit box; 0.25 for images and 0.1 for tables when not given.
        sigma: Option<f64>,
        /// Samples of noise from which a radius is proven.
        samples: u64,
        /// Held-out rows that are certified.
        rows: usize,
    },
}

/// What is to be hardened, and how.
#[derive(Debug, Clone)]
pub struct Hardening {
    /// The rows and the suite of both scorecards; its target names the data, and of a file target the model is not read.
    pub exercise: Request,
    /// Go on from this model instead of training a new one.
    pub model: Option<PathBuf>,
    /// How.
    pub method: Method,
    /// What is trained.
    pub recipe: Recipe,
    /// Where the hardened model goes.
    pub output: PathBuf,
    /// Write over what is there.
    pub force: bool,
}

/// What hardening did.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hardened {
    /// Form of this document: `asepsis-harden/1`.
    pub form: String,
    /// Version of the program.
    pub tool: String,
    /// Id of the measure.
    pub method: String,
    /// How it was done, in words.
    pub settings: String,
    /// How the models were trained.
    pub recipe: String,
    /// Training rows.
    pub train_rows: usize,
    /// File name of the hardened model.
    pub model: String,
    /// Its digest.
    pub model_digest: String,
    /// The plain model under the suite.
    pub before: Scorecard,
    /// The hardened model under the suite.
    pub after: Scorecard,
    /// Both, point by point.
    pub comparison: Comparison,
    /// What is proven of the smoothed model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
}

/// What is proven of a smoothed model (Cohen, Rosenfeld, Kolter 2019, arXiv:1902.02918).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Certificate {
    /// How it was smoothed.
    pub smoothing: Smoothing,
    /// Held-out rows: right, abstained, and right and proven up to each radius.
    pub standing: SmoothedStanding,
}

/// Trains, measures, writes. Blocks.
///
/// # Errors
/// [`AppError::BadInput`] for data, a model or settings that cannot be used, and for a file that is there already; when it was stopped, nothing is written.
pub fn harden(hardening: &Hardening, watch: &Arc<dyn Watch>) -> Result<Hardened, AppError> {
    refuse_existing(hardening)?;
    let request = &hardening.exercise;
    let rows = rows(request)?;
    let space = space(request, &rows);
    let chosen = rows.choose(request.suite.samples);
    let ground = Ground::of(request, &rows, space, &chosen)?;
    for note in rows.notes.iter().chain(&ground.notes) {
        watch.event(Event::Note(note.clone()));
    }
    let train = ground.train.draw(hardening.recipe.rows, space.layout.len(), request.suite.seed);
    let bench = Bench { hardening, rows: &rows, space, train: &train, watch };
    let (mut trainer, recipe) = bench.trainer()?;
    let measure = bench.measure()?;
    let before = bench.before(trainer.as_mut())?;
    watch.event(Event::Note("training the hardened model".to_owned()));
    let mut model = bench.train(trainer.as_mut(), measure.hook(request.suite.seed)?.as_mut())?;
    let file = bench.file(model.as_mut(), &ground.test)?;
    let certificate = measure.certify(&bench, model.as_mut(), &ground.test)?;
    watch.event(Event::Note("attacking the plain model".to_owned()));
    let before = bench.card(&before, "plain.onnx")?;
    watch.event(Event::Note("attacking the hardened model".to_owned()));
    let name = open::name(&hardening.output);
    let after = bench.card(&file, &name)?;
    if !before.complete || !after.complete {
        return Err(bad("stopped: nothing was written"));
    }
    write(hardening, &file)?;
    let comparison = compare(&before, &after).map_err(|d| AppError::Internal(d.join("; ")))?;
    Ok(Hardened {
        form: FORM.to_owned(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        method: measure.id().to_owned(),
        settings: measure.text(),
        recipe,
        train_rows: train.len(),
        model: name,
        model_digest: Digest::of(&file).to_string(),
        before,
        after,
        comparison,
        certificate,
    })
}

fn refuse_existing(hardening: &Hardening) -> Result<(), AppError> {
    if hardening.output.exists() && !hardening.force {
        return Err(bad(format!(
            "`{}` is there already: name another file, or write over it with --force",
            hardening.output.display()
        )));
    }
    match hardening.output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(bad(format!("there is no folder `{}` for the model", folder.display())))
        }
        _ => Ok(()),
    }
}

/// The model beside its place, then renamed, so that a cut leaves nothing half.
fn write(hardening: &Hardening, file: &[u8]) -> Result<(), AppError> {
    refuse_existing(hardening)?;
    let place = &hardening.output;
    let beside = place.with_extension(format!("part-{}", std::process::id()));
    let kept = std::fs::File::create(&beside).and_then(|mut f| {
        f.write_all(file)?;
        f.sync_all()
    });
    let kept = kept
        .map_err(AppError::files("cannot write", &beside))
        .and_then(|()| std::fs::rename(&beside, place).map_err(AppError::files("cannot write", place)));
    if kept.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    kept
}

/// The held-out rows.
fn rows(request: &Request) -> Result<Rows, AppError> {
    let read = |path: &Path| {
        dataset::read_file(path, request.bytes_max)
            .map_err(|e| bad(e.to_string().replace("reference data ", "")))
    };
    match &request.target {
        Target::File { data, .. } | Target::Remote { data, .. } => {
            Rows::read(&open::name(data), &read(data)?, &Wanted::default(), &request.reading)
        }
        Target::System(system) => {
            let data =
                dataset::read(&system.reference, &read(&system.reference)?, &system.schema, &system.split)?;
            let name = open::name(&system.reference);
            Rows::of_part(&system.schema, &data.hold_out, &name, data.digest, &system.split.hold_out)
        }
    }
}

fn space(request: &Request, rows: &Rows) -> Space {
    let declared = match &request.target {
        Target::System(system) => system.classes.len(),
        _ => 0,
    };
    let highest = rows.labels.iter().max().map_or(0, |m| m + 1);
    Space { layout: rows.layout, classes: highest.max(declared).max(2) }
}

/// What everything needs.
struct Bench<'a> {
    hardening: &'a Hardening,
    rows: &'a Rows,
    space: Space,
    train: &'a Set,
    watch: &'a Arc<dyn Watch>,
}

impl Pace for Bench<'_> {
    fn stop(&self) -> bool {
        self.watch.stop()
    }

    fn step(&self, done: u64, total: u64) {
        self.watch.event(Event::Progress { done, total, step: "certifying".to_owned() });
    }
}

fn fault(fault: Fault) -> AppError {
    match fault {
        Fault::Stopped => bad("stopped: nothing was written"),
        other => bad(other.to_string()),
    }
}

impl Bench<'_> {
    /// Who trains: a new model by the recipe, or on from a file.
    fn trainer(&self) -> Result<(Box<dyn Trainer>, String), AppError> {
        let recipe = &self.hardening.recipe;
        let Some(path) = &self.hardening.model else {
            if recipe.network == Some(attack::suite::study::Network::Trees) {
                return Err(bad(
                    "trees cannot be hardened this way, they have no gradients: take logistic, mlp or small-cnn",
                ));
            }
            let (trainer, text) = trainer(recipe, self.space.layout);
            return Ok((trainer, text));
        };
        let request = &self.hardening.exercise;
        let (model, _) = open::load(path, request.bytes_max)?;
        let opened = self.opened(&model, &open::name(path), request.output.clone())?;
        let output = match &opened.source {
            super::victim::Source::Local { model, .. } => model.reading().0.to_owned(),
            super::victim::Source::Remote(_) | super::victim::Source::Through { .. } => String::new(),
        };
        #[expect(clippy::cast_possible_truncation, reason = "a learning rate")]
        let options = TrainOptions {
            epochs: recipe.epochs.unwrap_or(CONTINUED_EPOCHS),
            learning_rate: recipe.learning_rate.map_or(CONTINUED_RATE, |r| r as f32),
            ..TrainOptions::default()
        };
        let text = format!("`{}` trained on, {} epochs", open::name(path), options.epochs);
        let (low, span) = (self.rows.low.clone(), self.rows.span.clone());
        Ok((Box::new(Continued { model, output, low, span, options }), text))
    }

    fn measure(&self) -> Result<Measure, AppError> {
        let image = matches!(self.space.layout, Layout::Image { .. });
        Ok(match self.hardening.method {
            Method::AdversarialTraining { norm, epsilon, steps } => {
                let plain = if image { 8.0 / 255.0 } else { 0.05 };
                let epsilon = epsilon.unwrap_or(plain);
                Measure::Adversarial(AdversarialTraining {
                    norm,
                    epsilon,
                    steps,
                    ..AdversarialTraining::default()
                })
            }
            Method::Smoothing { sigma, samples, rows } => {
                let sigma = sigma.unwrap_or(if image { 0.25 } else { 0.1 });
                if rows == 0 {
                    return Err(bad("certify 1 row or more"));
                }
                Measure::Smoothing(Smoothing { sigma, certify: samples, ..Smoothing::default() }, rows)
            }
        })
    }

    /// The plain model as a file: the one given, or a new one.
    fn before(&self, trainer: &mut dyn Trainer) -> Result<Vec<u8>, AppError> {
        if let Some(path) = &self.hardening.model {
            return dataset::read_file(path, self.hardening.exercise.bytes_max)
                .map_err(|e| bad(e.to_string().replace("reference data ", "")));
        }
        self.watch.event(Event::Note("training the plain model".to_owned()));
        let model = self.train(trainer, &mut Plain)?;
        self.onnx(model.as_ref())
    }

    fn train(&self, trainer: &mut dyn Trainer, hook: &mut dyn Hook) -> Result<Box<dyn Trained>, AppError> {
        let samples = Samples::new(&self.train.rows, &self.train.labels, self.space).map_err(fault)?;
        let mut told = Told { hook, watch: self.watch };
        trainer.train(&samples.training(self), self.hardening.exercise.suite.seed, &mut told).map_err(fault)
    }

    fn onnx(&self, model: &dyn Trained) -> Result<Vec<u8>, AppError> {
        let file = model.onnx(&self.rows.low, &self.rows.span);
        file.ok_or_else(|| AppError::Internal("this model cannot be written as ONNX".to_owned()))
    }

    /// The hardened model as a file, which is loaded again and must give the scores of the model trained.
    fn file(&self, model: &mut dyn Trained, test: &Set) -> Result<Vec<u8>, AppError> {
        let file = self.onnx(model)?;
        let broken =
            |what: String| AppError::Internal(format!("the model written is not the model trained: {what}"));
        let loaded =
            runtime::Model::load(&file, &runtime::Limits::default()).map_err(|e| broken(e.to_string()))?;
        let opened = self.opened(&loaded, "hardened.onnx", None)?;
        let width = self.space.layout.len();
        let trained = scores_of(model, &test.rows, width).map_err(fault)?;
        let mut victim = opened.source.worker();
        let mut seen = Replies::default();
        let numbers: Vec<usize> = (0..test.len()).collect();
        let rows = Asked::new(&test.rows, width, &numbers).map_err(fault)?;
        match victim.target(false) {
            attack::evasion::Target::Gradients(m) => m.scores(rows, &mut seen),
            attack::evasion::Target::Scores(m) => m.scores(rows, &mut seen),
            attack::evasion::Target::Labels(_) => Err(Fault::Model("no scores".to_owned())),
        }
        .map_err(fault)?;
        let gap = |scores: &[f32]| match scores {
            [a, b] => f64::from(b - a),
            _ => f64::NAN,
        };
        for at in 0..test.len() {
            let (Some(a), Some(b)) = (trained.row(at), seen.row(at)) else {
                return Err(broken(format!("row {at} is not answered")));
            };
            // Two classes are compared by their difference, which is all that counts of them.
            let apart = if a.len() == 2 && b.len() == 2 {
                (gap(a) - gap(b)).abs() / (1.0 + gap(a).abs())
            } else {
                let far = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs() / (1.0 + a.abs())));
                far.fold(0.0, f64::max)
            };
            if apart.is_nan() || apart > SCORES_APART_MAX {
                return Err(broken(format!("its scores of row {at} differ by {apart:.2e}")));
            }
        }
        Ok(file)
    }

    fn opened(&self, model: &runtime::Model, name: &str, output: Option<String>) -> Result<Opened, AppError> {
        let classes = match &self.hardening.exercise.target {
            Target::System(system) => system.classes.clone(),
            _ => Vec::new(),
        };
        let digest = Digest::of(b"");
        open::local(
            &self.hardening.exercise,
            model,
            digest,
            name.to_owned(),
            self.rows.clone(),
            output,
            classes,
        )
    }

    /// The scorecard of a model under the suite.
    fn card(&self, file: &[u8], name: &str) -> Result<Scorecard, AppError> {
        let model = runtime::Model::load(file, &runtime::Limits::default())
            .map_err(|e| bad(format!("`{name}` cannot be loaded: {e}")))?;
        let output = match (&self.hardening.model, name) {
            (Some(_), "plain.onnx") => self.hardening.exercise.output.clone(),
            _ => None,
        };
        let mut opened = self.opened(&model, name, output)?;
        opened.model_digest = Digest::of(file);
        opened.rows.notes.clear();
        super::run_on(&self.hardening.exercise, opened, self.watch)
    }
}

/// Plain training.
struct Plain;

impl Hook for Plain {
    fn batch(&mut self, _model: &mut dyn Gradients, _batch: Batch<'_>) -> Result<(), Fault> {
        Ok(())
    }
}

/// Tells the watcher of every step.
struct Told<'a> {
    hook: &'a mut dyn Hook,
    watch: &'a Arc<dyn Watch>,
}

/// Steps between two signs of progress.
const TELL_EVERY: u64 = 10;

impl Hook for Told<'_> {
    fn batch(&mut self, model: &mut dyn Gradients, batch: Batch<'_>) -> Result<(), Fault> {
        if batch.step.is_multiple_of(TELL_EVERY) {
            let (done, total) = (batch.step, batch.steps);
            self.watch.event(Event::Progress { done, total, step: "training".to_owned() });
        }
        self.hook.batch(model, batch)
    }
}

/// What is done against attacks.
enum Measure {
    Adversarial(AdversarialTraining),
    Smoothing(Smoothing, usize),
}

impl Measure {
    const fn id(&self) -> &'static str {
        match self {
            Self::Adversarial(_) => "X260",
            Self::Smoothing(..) => "X261",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Adversarial(s) => {
                format!("adversarial training, {} {:.4}, {} steps", s.norm.as_str(), s.epsilon, s.steps)
            }
            Self::Smoothing(s, _) => {
                format!(
                    "noise of deviation {}, {} samples to prove a radius, wrong with probability {}",
                    s.sigma, s.certify, s.alpha
                )
            }
        }
    }

    fn hook(&self, seed: u64) -> Result<Box<dyn Hook>, AppError> {
        Ok(match self {
            Self::Adversarial(settings) => Box::new(Adversary::new(*settings, seed).map_err(fault)?),
            Self::Smoothing(settings, _) => {
                settings.check().map_err(fault)?;
                Box::new(NoiseHook { sigma: settings.sigma, seed })
            }
        })
    }

    fn certify(
        &self,
        bench: &Bench<'_>,
        model: &mut dyn Trained,
        test: &Set,
    ) -> Result<Option<Certificate>, AppError> {
        let Self::Smoothing(smoothing, rows) = self else { return Ok(None) };
        let (rows, width) = ((*rows).min(test.len()), bench.space.layout.len());
        let values = test.rows.get(..rows * width).unwrap_or_default();
        let labels = test.labels.get(..rows).unwrap_or_default();
        let samples = Samples::new(values, labels, bench.space).map_err(fault)?;
        let radii: Vec<f64> = RADII.iter().map(|k| k * smoothing.sigma).collect();
        let seed = bench.hardening.exercise.suite.seed;
        bench.watch.event(Event::Note(format!("certifying {rows} rows")));
        let standing = certify_all(model, &samples, smoothing, &radii, seed, bench).map_err(fault)?;
        if standing.stopped {
            return Err(bad("stopped: nothing was written"));
        }
        Ok(Some(Certificate { smoothing: *smoothing, standing }))
    }
}
