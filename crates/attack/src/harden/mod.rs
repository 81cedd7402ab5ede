//! Hardening: what makes a small model harder to attack, measured before and after. One file per measure.

mod adversarial_training;
mod smoothing;

use domain::Entry;
use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients};
use crate::evasion::{Evasion, Registered, Target, Task, run};
use crate::measure::{Share, Standing, labels_of, standing};
use crate::norm::{Ball, Norm};
use crate::pace::Pace;
use crate::training::{Hook, Samples, StopOnly, Trained, Trainer};

pub use adversarial_training::{AdversarialTraining, Adversary, adversarial_training};
pub use smoothing::{
    Certified, CertifiedAt, NoiseHook, SmoothedStanding, Smoothing, SmoothingReport, certify, certify_all,
    smoothing,
};

/// Their pages.
pub static ENTRIES: &[&Entry] = &[&adversarial_training::ENTRY, &smoothing::ENTRY];

/// An attack that before and after are measured with.
#[derive(Clone, Copy)]
pub struct Trial<'a> {
    /// As in the registry of evasion.
    pub registered: &'a Registered,
    /// Configured.
    pub attack: &'a Evasion,
    /// Norm and radius.
    pub ball: Ball,
    /// Rows that may be asked per sample.
    pub queries_max: Option<u64>,
}

/// What hardening is given.
#[derive(Clone, Copy)]
pub struct Course<'a> {
    /// Training data.
    pub train: Samples<'a>,
    /// Held-out rows.
    pub test: Samples<'a>,
    /// Attacks before and after.
    pub trials: &'a [Trial<'a>],
    /// Seed of all randomness; both models start from it.
    pub seed: u64,
    /// Asked whether to stop; told of the pieces of work.
    pub pace: &'a dyn Pace,
}

/// How well a model stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Protection {
    /// On clean rows.
    pub standing: Standing,
    /// Under each attack.
    pub robust: Vec<Robust>,
}

/// How well a model stands an attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Robust {
    /// Id of the attack.
    pub attack: String,
    /// Its norm.
    pub norm: Norm,
    /// Its radius, in the unit box.
    pub epsilon: f64,
    /// Rows called right and still called right under the attack, of all rows answered.
    pub accuracy: Share,
}

/// Before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BeforeAfter {
    /// Id of the measure.
    pub measure: String,
    /// The plain model.
    pub before: Protection,
    /// The hardened one.
    pub after: Protection,
}

/// Both models, and how they compare.
pub struct Hardened {
    /// Trained plainly.
    pub plain: Box<dyn Trained>,
    /// Trained with the measure.
    pub model: Box<dyn Trained>,
    /// How they compare.
    pub report: BeforeAfter,
}

/// Clean accuracy, and accuracy under each of the attacks.
///
/// # Errors
/// What model and attacks say; [`Fault::Stopped`].
pub fn protection(model: &mut dyn Gradients, course: &Course<'_>) -> Result<Protection, Fault> {
    let (test, width) = (course.test, course.test.width());
    let standing = standing(model, &test)?;
    let seen = labels_of(model, test.rows(), width)?;
    let right = |at: &usize| seen.get(*at).copied().flatten().as_ref() == test.labels().get(*at);
    let samples: Vec<usize> = (0..test.len()).filter(right).collect();
    let (starts, labels) = test.pick(&samples);
    let pace = StopOnly(course.pace);
    let mut robust = Vec::new();
    for trial in course.trials {
        if course.pace.stop() {
            return Err(Fault::Stopped);
        }
        let task = Task {
            starts: &starts,
            labels: &labels,
            samples: &samples,
            others: &[],
            ball: trial.ball,
            seed: course.seed,
            queries_max: trial.queries_max,
            pace: &pace,
        };
        let found = run(trial.registered, trial.attack, Target::Gradients(model), &task)?;
        if found.stopped {
            // Half an attack would make the model look robust.
            return Err(Fault::Stopped);
        }
        let broken = found.outcomes.iter().filter(|o| o.broken).count();
        robust.push(Robust {
            attack: trial.registered.entry.id.to_owned(),
            norm: trial.ball.norm,
            epsilon: trial.ball.epsilon,
            accuracy: Share::new(samples.len() - broken.min(samples.len()), seen.iter().flatten().count()),
        });
    }
    Ok(Protection { standing, robust })
}

/// Trains one model of the course.
fn train(
    trainer: &mut dyn Trainer,
    course: &Course<'_>,
    hook: &mut dyn Hook,
) -> Result<Box<dyn Trained>, Fault> {
    let pace = StopOnly(course.pace);
    trainer.train(&course.train.training(&pace), course.seed, hook)
}

fn check(course: &Course<'_>) -> Result<(), Fault> {
    if course.train.space() != course.test.space() || course.train.is_empty() || course.test.is_empty() {
        return Err(Fault::Shape(
            "hardening needs training and test rows that are laid out alike".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
