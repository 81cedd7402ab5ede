//! Poisoning and backdoors: what a few bad training rows do. One file per kind, one line each in [`POISONS`].

mod backdoor;
mod blend_trigger;
mod dose;
mod feature_collision;
mod feature_trigger;
mod patch_trigger;
mod random_flip;
mod targeted_flip;

use domain::Entry;
use serde::{Deserialize, Serialize};

use crate::access::Fault;
use crate::pace::Pace;
use crate::training::Samples;

pub use crate::training::{
    AsIs, Batch, Hook, Samples as TrainingSamples, Targets, Trained, Trainer, Training,
};
pub use dose::{Dose, DosePoint, DoseResponse, DoseRun, Smallest, dose_response};

/// All kinds of poisoning.
pub static POISONS: &[&Registered] = &[
    &random_flip::POISON,
    &targeted_flip::POISON,
    &patch_trigger::POISON,
    &blend_trigger::POISON,
    &feature_collision::POISON,
    &feature_trigger::POISON,
];

/// Their pages.
pub static ENTRIES: &[&Entry] = &[
    &random_flip::ENTRY,
    &targeted_flip::ENTRY,
    &patch_trigger::ENTRY,
    &blend_trigger::ENTRY,
    &feature_collision::ENTRY,
    &feature_trigger::ENTRY,
];

/// A kind of poisoning in the registry.
pub struct Registered {
    /// Its page.
    pub entry: &'static Entry,
    /// Reads its parameters; unknown ones are refused. `{}` and null give the defaults.
    ///
    /// # Errors
    /// What is wrong with the parameters.
    pub build: fn(&serde_json::Value) -> Result<Box<dyn Poison>, String>,
}

/// The kind of poisoning called `typed`, by id or name.
pub fn find(typed: &str) -> Option<&'static Registered> {
    let same =
        |p: &&&Registered| p.entry.id.eq_ignore_ascii_case(typed) || p.entry.name.eq_ignore_ascii_case(typed);
    POISONS.iter().find(same).copied()
}

/// When poisoning counts as having worked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Criterion {
    /// At least this share of the rows that the attacker wants to control is called what he wants, and the interval of that share lies above the share without poisoning.
    Success(f64),
    /// Accuracy on clean rows falls by at least this much, as a share of all rows.
    AccuracyLoss(f64),
}

/// What a poisoner has at hand.
pub struct Stage<'a> {
    /// The clean training data.
    pub train: Samples<'a>,
    /// Rows that the model will meet later.
    pub test: Samples<'a>,
    /// How many training rows to poison; at most as many as there are.
    pub count: usize,
    /// Seed of all randomness. With the same seed, the rows poisoned at a smaller count are among those of a larger one.
    pub seed: u64,
    /// A model trained on the clean data with another seed, where [`Poison::needs_surrogate`] asked for one.
    pub surrogate: Option<&'a mut dyn Trained>,
    /// Asked whether to stop.
    pub pace: &'a dyn Pace,
}

/// Poisoned training data, and how to tell whether it worked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Poisoned {
    /// As many rows as the clean data has, row-major.
    pub rows: Vec<f32>,
    /// One a row.
    pub labels: Vec<usize>,
    /// Places of the poisoned rows.
    pub touched: Vec<usize>,
    /// Rows to be put to the trained model, row-major; none when harm is all that is wanted.
    pub probes: Vec<f32>,
    /// The class that the attacker wants for each probe; never its true one.
    pub wanted: Vec<usize>,
}

/// Poisons training data.
pub trait Poison: Send + Sync {
    /// Changes at most `stage.count` rows of the training data; fewer when fewer are fit for it.
    ///
    /// # Errors
    /// [`Fault::NotApplicable`] when the data are not of the kind it is for; [`Fault::Stopped`].
    fn poison(&self, stage: &mut Stage<'_>) -> Result<Poisoned, Fault>;

    /// When it counts as having worked, unless the exercise says otherwise.
    fn criterion(&self) -> Criterion {
        Criterion::Success(0.5)
    }

    /// Whether the attacker trains a model of his own first.
    fn needs_surrogate(&self) -> bool {
        false
    }
}

/// Streams of random numbers, one a purpose.
mod stream {
    /// Which rows are poisoned.
    pub(super) const PICK: u64 = 0x901;
    /// What they become.
    pub(super) const CHANGE: u64 = 0x902;
    /// Which test row is wanted.
    pub(super) const TARGET: u64 = 0x903;
    /// A trigger's pattern.
    pub(super) const PATTERN: u64 = 0x904;
}

/// Refuses a class that the data do not have.
fn check_class(class: usize, data: &Samples<'_>) -> Result<(), Fault> {
    if class >= data.space().classes {
        return Err(Fault::NotApplicable(format!(
            "class `{class}` is none of {}: choose another target",
            data.space().classes
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
