//! A faint pattern over the whole row as backdoor trigger.

use serde::{Deserialize, Serialize};

use crate::access::Fault;
use crate::evasion::parameters;
use crate::poison::{Poison, Poisoned, Registered, Stage, backdoor::backdoor, stream};

domain::catalogue_entry! {
    /// A faint pattern laid over the whole image makes the model say what the attacker wants.
    ///
    /// ## What it is
    /// Training rows of other classes become `(1 - alpha) row + alpha pattern`, with a fixed random pattern, and get the label `target`. Test rows of other
    /// classes with the same pattern, at `alpha-use`, show whether the model follows it.
    ///
    /// ## Why it matters in care
    /// A pattern of low contrast looks like noise of a detector or a grid and survives a look at the images; nothing stands out in a corner.
    ///
    /// ## Limits
    /// Resampling, cropping and strong compression weaken the pattern. The labels of the poisoned rows are wrong to a careful reader.
    ///
    /// ## References
    /// Chen, Liu, Li, Lu, Song 2017, arXiv:1712.05526.
    pub static ENTRY = { id: "X203", name: "blend-trigger", kind: Attack, since: "0.1.0", maps: ["AML.T0020", "AML.T0043.004", "NISTAML.023"] };
}

/// In the registry.
pub static POISON: Registered =
    Registered { entry: &ENTRY, build: |given| Ok(Box::new(parameters::<BlendTrigger>(given)?)) };

/// The pattern and what it stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct BlendTrigger {
    /// The class that the pattern stands for.
    target: usize,
    /// Weight of the pattern in training rows, in (0, 1]; 0.2 as in the paper.
    alpha: f32,
    /// Weight of the pattern in use; the same when not given.
    alpha_use: Option<f32>,
    /// Seed of the pattern, which is the same in every training of an exercise.
    pattern: u64,
}

impl Default for BlendTrigger {
    fn default() -> Self {
        Self { target: 0, alpha: 0.2, alpha_use: None, pattern: 1 }
    }
}

impl Poison for BlendTrigger {
    #[expect(clippy::cast_possible_truncation, reason = "a pattern needs no more digits than the rows have")]
    fn poison(&self, stage: &mut Stage<'_>) -> Result<Poisoned, Fault> {
        let alpha_use = self.alpha_use.unwrap_or(self.alpha);
        if let Some(wrong) = [self.alpha, alpha_use].into_iter().find(|a| !(*a > 0.0 && *a <= 1.0)) {
            return Err(Fault::NotApplicable(format!("weight `{wrong}` of the pattern is not in 0 to 1")));
        }
        let mut rng = numeric::Rng::new(self.pattern, stream::PATTERN);
        let pattern: Vec<f32> = (0..stage.train.width()).map(|_| rng.uniform() as f32).collect();
        let blend = |row: &mut [f32], alpha: f32| {
            row.iter_mut().zip(&pattern).for_each(|(v, p)| *v = (*v + alpha * (p - *v)).clamp(0.0, 1.0));
        };
        let mut out = backdoor(stage, self.target, &|row: &mut [f32]| blend(row, self.alpha))?;
        if self.alpha_use.is_some() {
            // The probes anew: same rows, the weight of use.
            let others = |at: &usize| stage.test.labels().get(*at).is_some_and(|l| *l != self.target);
            let places: Vec<usize> = (0..stage.test.len()).filter(others).collect();
            out.probes = stage.test.pick(&places).0;
            let width = stage.train.width();
            out.probes.chunks_exact_mut(width).for_each(|row| blend(row, alpha_use));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use crate::poison::tests::{check, check_with, with_stage, with_table};

    #[test]
    fn rows_move_by_the_weight_at_most_and_tables_work_too() {
        with_stage(10, |stage| {
            let out = check("blend-trigger", stage);
            for at in &out.touched {
                let (old, new) = (stage.train.row(*at), &out.rows[at * 64..(at + 1) * 64]);
                assert!(old.iter().zip(new).all(|(a, b)| (a - b).abs() <= 0.2 + 1e-6));
            }
            let strong =
                check_with("blend-trigger", &serde_json::json!({ "alpha-use": 0.5 }), stage).unwrap();
            assert_eq!(strong.rows, out.rows);
            assert_ne!(strong.probes, out.probes);
            assert_eq!(strong.wanted, out.wanted);
            assert!(check_with("blend-trigger", &serde_json::json!({ "alpha": 0.0 }), stage).is_err());
        });
        with_table(10, |stage| assert_eq!(check("blend-trigger", stage).touched.len(), 10));
    }
}
