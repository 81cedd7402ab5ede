//! Evasion: rows that a model gets wrong though little was changed. One file per attack, one line each in [`ATTACKS`].

mod apgd;
mod apgd_dlr;
mod apgd_targeted;
mod autoattack;
mod autoattack_rand;
mod autoattack_two_class;
mod boundary;
mod cw;
mod deepfool;
mod ensemble;
mod fab;
mod fab_targeted;
mod fgsm;
mod half_circle;
mod hopskipjump;
mod meter;
mod origins;
mod patch;
mod pgd;
mod pgd0;
mod plane;
mod query;
mod quiet_pgd;
mod rays;
mod run;
mod saliency;
mod sparse_search;
mod square;
mod universal;
mod walk;

use domain::Entry;
use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, Labels, Scores};
use crate::norm::{Ball, Norm};
use crate::pace::Pace;

pub use meter::Meter;
pub use run::{Attacked, Outcome, Target, run};

/// All evasion attacks.
#[rustfmt::skip] // One per line: a new attack is a new line.
pub static ATTACKS: &[&Registered] = &[
    &fgsm::ATTACK,
    &pgd::ATTACK,
    &apgd::ATTACK,
    &apgd_dlr::ATTACK,
    &apgd_targeted::ATTACK,
    &fab::ATTACK,
    &fab_targeted::ATTACK,
    &deepfool::ATTACK,
    &cw::ATTACK,
    &autoattack::ATTACK,
    &autoattack_two_class::ATTACK,
    &autoattack_rand::ATTACK,
    &saliency::ATTACK,
    &pgd0::ATTACK,
    &universal::ATTACK,
    &patch::ATTACK,
    &square::ATTACK,
    &hopskipjump::ATTACK,
    &boundary::ATTACK,
    &sparse_search::ATTACK,
    &rays::ATTACK,
    &quiet_pgd::ATTACK,
];

/// What an attacker must be able to ask.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Only the decision.
    Labels,
    /// Logits or probabilities.
    Scores,
    /// The model itself.
    Gradients,
}

/// An attack in the registry.
pub struct Registered {
    /// Its page.
    pub entry: &'static Entry,
    /// What it needs.
    pub needs: Access,
    /// The norms it can be run in.
    pub norms: &'static [Norm],
    /// True when it looks for the smallest change, so that what it finds may lie beyond the budget (and then counts as
    /// not broken at that budget); false when every candidate must keep the budget.
    pub minimal: bool,
    /// Reads its parameters; unknown ones are refused. `{}` and null give the defaults.
    ///
    /// # Errors
    /// What is wrong with the parameters.
    pub build: fn(&serde_json::Value) -> Result<Evasion, String>,
}

/// A configured attack, by what it needs.
pub enum Evasion {
    /// Needs gradients.
    Gradients(Box<dyn WithGradients>),
    /// Needs scores.
    Scores(Box<dyn WithScores>),
    /// Needs labels only.
    Labels(Box<dyn WithLabels>),
}

/// What an attack is to do: rows that the model gets right, with their true classes.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// Row-major, in the unit box.
    pub starts: &'a [f32],
    /// The true class of each row.
    pub labels: &'a [usize],
    /// Which sample of the exercise each row is; also the number of its random stream, so that a sample meets the same
    /// attack whatever it is batched with.
    pub samples: &'a [usize],
    /// Rows that the attacker has beside these, row-major, other patients for example: attacks that start from a row of another class try them before anything made
    /// up. May be empty.
    pub others: &'a [f32],
    /// Norm and radius.
    pub ball: Ball,
    /// Seed of all randomness.
    pub seed: u64,
    /// Rows that may be asked per sample; further ones stay unanswered.
    pub queries_max: Option<u64>,
    /// Told of progress, asked whether to stop.
    pub pace: &'a dyn Pace,
}

impl<'a> Task<'a> {
    /// Number of rows.
    pub const fn len(&self) -> usize {
        self.labels.len()
    }

    /// True without rows.
    pub const fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Values in a row.
    pub const fn width(&self) -> usize {
        if self.labels.is_empty() { 0 } else { self.starts.len() / self.labels.len() }
    }

    /// Row `at` of the starts.
    pub fn start(&self, at: usize) -> &'a [f32] {
        let width = self.width();
        self.starts.get(at * width..(at + 1) * width).unwrap_or_default()
    }

    /// The generator of one sample for one purpose: `stream` tells the purposes of an attack apart (restarts, for example).
    pub fn rng(&self, at: usize, stream: u64) -> numeric::Rng {
        let sample = self.samples.get(at).copied().unwrap_or(at) as u64;
        numeric::Rng::new(self.seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15), sample)
    }
}

/// What an attack came up with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Candidates {
    /// One row per start: the best adversarial row, or the start where none was found.
    pub rows: Vec<f32>,
    /// Whether the attack saw the model give that row another class.
    pub claimed: Vec<bool>,
    /// What the gradients were like, for attacks that use them.
    pub gradients: GradientHealth,
    /// True when it ended before its steps were done, because it was asked to.
    pub stopped: bool,
}

impl Candidates {
    /// No candidate yet: the starts themselves.
    pub fn at_start(task: &Task<'_>) -> Self {
        Self { rows: task.starts.to_vec(), claimed: vec![false; task.len()], ..Self::default() }
    }
}

/// Gradients that say nothing make a model look robust which is not (gradient masking; Athalye et al. 2018, arXiv:1802.00420).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct GradientHealth {
    /// Gradients of rows that were looked at.
    pub rows: u64,
    /// Of these, all values 0.
    pub vanished: u64,
    /// Of these, some value NaN or infinite.
    pub not_finite: u64,
}

impl GradientHealth {
    /// Counts the gradients of a batch, `width` values a row.
    pub fn look(&mut self, gradient: &[f32], width: usize) {
        for row in gradient.chunks_exact(width.max(1)) {
            self.rows += 1;
            self.vanished += u64::from(row.iter().all(|g| *g == 0.0));
            self.not_finite += u64::from(!row.iter().all(|g| g.is_finite()));
        }
    }

    /// Adds what another piece of work saw.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.vanished += other.vanished;
        self.not_finite += other.not_finite;
    }
}

/// An attack that needs gradients.
pub trait WithGradients: Send + Sync {
    /// Attacks all rows of the task. Rows already broken are not asked again.
    ///
    /// # Errors
    /// [`Fault`] when the model fails or the attack does not apply to it.
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault>;
}

/// An attack that needs scores.
pub trait WithScores: Send + Sync {
    /// As [`WithGradients::attack`].
    ///
    /// # Errors
    /// [`Fault`] when the model fails or the attack does not apply to it.
    fn attack(&self, model: &mut dyn Scores, task: &Task<'_>) -> Result<Candidates, Fault>;
}

/// An attack that needs labels only.
pub trait WithLabels: Send + Sync {
    /// As [`WithGradients::attack`].
    ///
    /// # Errors
    /// [`Fault`] when the model fails or the attack does not apply to it.
    fn attack(&self, model: &mut dyn Labels, task: &Task<'_>) -> Result<Candidates, Fault>;
}

/// Reads the parameters of an attack from a suite; nothing given means all defaults.
///
/// # Errors
/// What serde says, for example the name of an unknown parameter.
pub(crate) fn parameters<P: for<'de> Deserialize<'de> + Default>(
    given: &serde_json::Value,
) -> Result<P, String> {
    if given.is_null() {
        return Ok(P::default());
    }
    P::deserialize(given).map_err(|e| e.to_string())
}

/// Refuses a count of 0 or above `max`.
///
/// # Errors
/// Names the parameter and what it may be.
pub(crate) fn checked(name: &str, given: u32, max: u32) -> Result<(), String> {
    if (1..=max).contains(&given) { Ok(()) } else { Err(format!("`{name}` must be 1 to {max}, not {given}")) }
}

/// The attack called `typed`, by id or name.
pub fn find(typed: &str) -> Option<&'static Registered> {
    let same =
        |a: &&&Registered| a.entry.id.eq_ignore_ascii_case(typed) || a.entry.name.eq_ignore_ascii_case(typed);
    ATTACKS.iter().find(same).copied()
}

#[cfg(test)]
pub(crate) mod tests;
