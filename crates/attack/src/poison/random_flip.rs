//! Random label flips.

use serde::{Deserialize, Serialize};

use crate::access::Fault;
use crate::evasion::parameters;
use crate::poison::{Criterion, Poison, Poisoned, Registered, Stage, stream};

domain::catalogue_entry! {
    /// A share of the training labels is wrong, at random.
    ///
    /// ## What it is
    /// Labels of randomly chosen training rows are replaced by another class, each with the same probability. Reported is how much accuracy on clean
    /// rows falls with the share of wrong labels, and the smallest share that costs the stated accuracy.
    ///
    /// ## Why it matters in care
    /// Labels come from billing codes, from reports read by software, from tired readers. This is what plain carelessness costs, and what anybody with
    /// write access to a labelling queue can do.
    ///
    /// ## Limits
    /// The mildest poisoning: errors that all point the same way (`targeted-label-flip`) do more with fewer rows. Large models may learn wrong labels by heart, which
    /// a small model trained here does not show.
    ///
    /// ## References
    /// Biggio, Nelson, Laskov 2012, arXiv:1206.6389; Northcutt, Athalye, Mueller 2021, arXiv:2103.14749.
    pub static ENTRY = { id: "X200", name: "random-label-flip", kind: Attack, since: "0.1.0", maps: ["AML.T0020", "NISTAML.013"] };
}

/// In the registry.
pub static POISON: Registered =
    Registered { entry: &ENTRY, build: |given| Ok(Box::new(parameters::<RandomFlip>(given)?)) };

/// No parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct RandomFlip {}

impl Poison for RandomFlip {
    fn poison(&self, stage: &mut Stage<'_>) -> Result<Poisoned, Fault> {
        let train = stage.train;
        let mut out =
            Poisoned { rows: train.rows().to_vec(), labels: train.labels().to_vec(), ..Poisoned::default() };
        let mut change = numeric::Rng::new(stage.seed, stream::CHANGE);
        let order = numeric::Rng::new(stage.seed, stream::PICK).permutation(train.len());
        for at in order.into_iter().take(stage.count) {
            if let Some(label) = out.labels.get_mut(at) {
                // One of the other classes: those from the own one upwards move by one.
                let other = change.below(train.space().classes - 1);
                *label = other + usize::from(other >= *label);
                out.touched.push(at);
            }
        }
        Ok(out)
    }

    /// Two rows of a hundred more called wrong: more than the seed of a training usually moves.
    fn criterion(&self) -> Criterion {
        Criterion::AccuracyLoss(0.02)
    }
}

#[cfg(test)]
mod tests {
    use crate::poison::tests::{check, with_stage};

    #[test]
    fn flipped_labels_are_other_classes_and_rows_stay() {
        with_stage(30, |stage| {
            let out = check("random-label-flip", stage);
            assert_eq!(out.touched.len(), 30);
            assert!(out.touched.iter().all(|at| out.labels[*at] != stage.train.labels()[*at]));
            assert_eq!(out.rows, stage.train.rows());
            assert!(out.wanted.is_empty());
        });
    }
}
