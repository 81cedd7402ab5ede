//! Model theft: how many answers a copy of the model costs. One file per way of asking, one line each in [`STRATEGIES`].

mod extract;
mod in_distribution;
mod jacobian;
mod random;
mod uncertainty;

use domain::Entry;
use serde::{Deserialize, Serialize};

use crate::access::{Fault, Space};
use crate::training::Trained;

pub use extract::{Extraction, Theft, TheftPoint, extract};

/// All ways of asking.
pub static STRATEGIES: &[&Registered] =
    &[&random::STRATEGY, &in_distribution::STRATEGY, &jacobian::STRATEGY, &uncertainty::STRATEGY];

/// Their pages.
pub static ENTRIES: &[&Entry] =
    &[&random::ENTRY, &in_distribution::ENTRY, &jacobian::ENTRY, &uncertainty::ENTRY];

/// A way of asking in the registry.
pub struct Registered {
    /// Its page.
    pub entry: &'static Entry,
    /// Reads its parameters; unknown ones are refused. `{}` and null give the defaults.
    ///
    /// # Errors
    /// What is wrong with the parameters.
    pub build: fn(&serde_json::Value) -> Result<Box<dyn Strategy>, String>,
}

/// The way of asking called `typed`, by id or name.
pub fn find(typed: &str) -> Option<&'static Registered> {
    let same =
        |s: &&&Registered| s.entry.id.eq_ignore_ascii_case(typed) || s.entry.name.eq_ignore_ascii_case(typed);
    STRATEGIES.iter().find(same).copied()
}

/// What the thief learns from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answers {
    /// Probabilities: soft labels.
    Scores,
    /// The class: hard labels.
    Labels,
}

/// What was asked so far, and what came back.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Row-major.
    pub rows: Vec<f32>,
    /// The class of each row, `None` where the query was refused.
    pub labels: Vec<Option<usize>>,
    /// Probabilities of each row, row-major; zeros where refused, none where only classes are shown.
    pub probabilities: Vec<f32>,
}

impl Asked {
    /// Rows asked, answered or not.
    pub const fn len(&self) -> usize {
        self.labels.len()
    }

    /// True before the first query.
    pub const fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// What a thief has at hand when choosing what to ask next.
pub struct Round<'a> {
    /// What the model takes and gives.
    pub space: Space,
    /// Rows of his own, row-major and unlabelled; may be none.
    pub pool: &'a [f32],
    /// Which rows of the pool were asked; whoever takes one marks it.
    pub taken: &'a mut [bool],
    /// What was asked so far.
    pub asked: &'a Asked,
    /// The copy as it is now, for [`Strategy::adaptive`] ways of asking, once there are answers.
    pub surrogate: Option<&'a mut dyn Trained>,
    /// Seed of all randomness.
    pub seed: u64,
    /// Which round this is, counted from 0.
    pub round: u64,
}

impl Round<'_> {
    /// At most `count` rows of the pool not asked yet, in the order of the seed.
    pub fn from_pool(&mut self, count: usize) -> Vec<f32> {
        let order = numeric::Rng::new(self.seed, stream::POOL).permutation(self.taken.len());
        let free: Vec<usize> = order.into_iter().filter(|at| self.taken.get(*at) == Some(&false)).collect();
        self.take(free.get(..count).unwrap_or(&free))
    }

    /// These rows of the pool, marked as asked.
    pub fn take(&mut self, places: &[usize]) -> Vec<f32> {
        let width = self.space.layout.len();
        let mut rows = Vec::with_capacity(places.len() * width);
        for at in places {
            if let (Some(row), Some(taken)) =
                (self.pool.get(at * width..(at + 1) * width), self.taken.get_mut(*at))
            {
                rows.extend_from_slice(row);
                *taken = true;
            }
        }
        rows
    }

    /// `count` rows of uniform noise.
    #[expect(clippy::cast_possible_truncation, reason = "noise needs no more digits than rows have")]
    pub fn noise(&self, count: usize) -> Vec<f32> {
        let mut rng = numeric::Rng::new(self.seed ^ stream::NOISE, self.round);
        (0..count * self.space.layout.len()).map(|_| rng.uniform() as f32).collect()
    }
}

/// Chooses what to ask.
pub trait Strategy: Send + Sync {
    /// The next rows, row-major: at most `count`, fewer when a new copy is wanted first, none when there is nothing more to ask.
    ///
    /// # Errors
    /// [`Fault::NotApplicable`] when it cannot work with what there is; else what the copy says.
    fn next(&self, round: &mut Round<'_>, count: usize) -> Result<Vec<f32>, Fault>;

    /// Whether it looks at a copy trained on the answers so far.
    fn adaptive(&self) -> bool {
        false
    }
}

/// Streams of random numbers, one a purpose.
mod stream {
    /// Order of the pool.
    pub(super) const POOL: u64 = 0xA01;
    /// Noise.
    pub(super) const NOISE: u64 = 0xA02;
    /// Which rows are augmented.
    pub(super) const AUGMENT: u64 = 0xA03;
    /// Training of the copies.
    pub(super) const COPY: u64 = 0xA04;
}

#[cfg(test)]
mod tests;
