//! Label flips that all point the same way.

use serde::{Deserialize, Serialize};

use crate::access::Fault;
use crate::evasion::parameters;
use crate::poison::{Poison, Poisoned, Registered, Stage, check_class, stream};

domain::catalogue_entry! {
    /// Training rows of one class are labelled as another, so that the model overlooks it.
    ///
    /// ## What it is
    /// Randomly chosen training rows of the class `source` (all other classes when not given) get the label `target`. Success is the share of
    /// test rows of the source class that the trained model calls the target class; without poisoning, this is the plain rate of misses.
    ///
    /// ## Why it matters in care
    /// Sick patients labelled as healthy teach a model to overlook the disease; with prices that hang on codes there are motives to do it in both directions.
    ///
    /// ## Limits
    /// Needs more rows than a trigger, and shows in the rates of the classes. Which rows are chosen is random; an attacker who picks those near the boundary does better.
    ///
    /// ## References
    /// Biggio, Nelson, Laskov 2012, arXiv:1206.6389; Tolpegin et al. 2020, arXiv:2007.08432.
    pub static ENTRY = { id: "X201", name: "targeted-label-flip", kind: Attack, since: "0.1.0", maps: ["AML.T0020", "NISTAML.024"] };
}

/// In the registry.
pub static POISON: Registered =
    Registered { entry: &ENTRY, build: |given| Ok(Box::new(parameters::<TargetedFlip>(given)?)) };

/// Which class is to be overlooked, and as what.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct TargetedFlip {
    /// The class whose rows are relabelled; every other class when not given.
    source: Option<usize>,
    /// The label they get.
    target: usize,
}

impl Poison for TargetedFlip {
    fn poison(&self, stage: &mut Stage<'_>) -> Result<Poisoned, Fault> {
        let train = stage.train;
        check_class(self.target, &train)?;
        self.source.map_or(Ok(()), |source| check_class(source, &train))?;
        if self.source == Some(self.target) {
            return Err(Fault::NotApplicable("source and target are the same class: choose two".to_owned()));
        }
        let meant = |label: &usize| *label != self.target && self.source.is_none_or(|s| s == *label);
        let mut out =
            Poisoned { rows: train.rows().to_vec(), labels: train.labels().to_vec(), ..Poisoned::default() };
        let order = numeric::Rng::new(stage.seed, stream::PICK).permutation(train.len());
        let sources = order.into_iter().filter(|at| train.labels().get(*at).is_some_and(meant));
        for at in sources.take(stage.count) {
            if let Some(label) = out.labels.get_mut(at) {
                *label = self.target;
                out.touched.push(at);
            }
        }
        for (at, label) in stage.test.labels().iter().enumerate() {
            if meant(label) {
                out.probes.extend_from_slice(stage.test.row(at));
                out.wanted.push(self.target);
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use crate::poison::tests::{check, check_with, with_stage};

    #[test]
    fn only_the_source_class_is_relabelled() {
        with_stage(20, |stage| {
            let out = check("targeted-label-flip", stage);
            assert!(out.touched.iter().all(|at| stage.train.labels()[*at] == 1 && out.labels[*at] == 0));
            assert_eq!(out.wanted.len(), stage.test.labels().iter().filter(|l| **l == 1).count());
            let same = serde_json::json!({ "source": 1, "target": 1 });
            assert!(check_with("targeted-label-flip", &same, stage).is_err());
            assert!(check_with("targeted-label-flip", &serde_json::json!({ "target": 7 }), stage).is_err());
        });
    }
}
