//! Several attacks one after the other, each on the rows that still stand.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::access::{Fault, Gradients};
use crate::evasion::walk::keep;
use crate::evasion::{Candidates, Evasion, Registered, Task, WithGradients, checked, find, parameters};
use crate::pace::Pace;

/// One attack of an ensemble, configured.
pub(crate) struct Stage {
    registered: &'static Registered,
    attack: Evasion,
    when: When,
}

/// Whether a stage is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// Only where gradients have misled: the stage before this one broke a sample that those before it could not, or one gradient in a hundred was empty or not a number.
    Misled,
}

/// One empty gradient in so many is too many.
const EMPTY_ONE_IN: u64 = 100;

impl Stage {
    fn new(name: &str, given: &serde_json::Value, when: When) -> Result<Self, String> {
        let registered = find(name).ok_or_else(|| format!("no attack `{name}`"))?;
        Ok(Self { registered, attack: (registered.build)(given)?, when })
    }
}

/// Attacks in their order, the cheapest for what it breaks first.
pub(crate) struct Ensemble {
    stages: Vec<Stage>,
}

impl Ensemble {
    /// From names and parameters.
    ///
    /// # Errors
    /// What is wrong with the parameters.
    pub(crate) fn of(stages: &[(&str, serde_json::Value, When)]) -> Result<Self, String> {
        let stages: Result<_, String> =
            stages.iter().map(|(name, given, when)| Stage::new(name, given, *when)).collect();
        Ok(Self { stages: stages? })
    }
}

/// Rows of a task, copied out.
struct Part {
    starts: Vec<f32>,
    labels: Vec<usize>,
    samples: Vec<usize>,
}

impl Part {
    fn of(task: &Task<'_>, rows: &[usize]) -> Self {
        Self {
            starts: rows.iter().flat_map(|at| task.start(*at)).copied().collect(),
            labels: rows.iter().map(|at| task.labels.get(*at).copied().unwrap_or(0)).collect(),
            samples: rows.iter().map(|at| task.samples.get(*at).copied().unwrap_or(*at)).collect(),
        }
    }
}

/// Progress of one stage as a part of the whole.
struct StagePace<'a> {
    whole: &'a dyn Pace,
    nth: u64,
    of: u64,
}

/// Parts that a stage is told in.
const PARTS: u64 = 1_000;

impl Pace for StagePace<'_> {
    fn stop(&self) -> bool {
        self.whole.stop()
    }

    fn step(&self, done: u64, total: u64) {
        let part = done.min(total) * PARTS / total.max(1);
        self.whole.step(self.nth * PARTS + part, self.of * PARTS);
    }
}

impl WithGradients for Ensemble {
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault> {
        let mut found = Candidates::at_start(task);
        let of = self.stages.len() as u64;
        let mut last_broke = 0;
        for (nth, stage) in (0..).zip(&self.stages) {
            let standing: Vec<usize> =
                (0..task.len()).filter(|at| found.claimed.get(*at) == Some(&false)).collect();
            if standing.is_empty() || found.stopped {
                break;
            }
            let health = found.gradients;
            let empty = (health.vanished + health.not_finite) * EMPTY_ONE_IN > health.rows;
            let wanted = stage.when == When::Always || last_broke > 0 || empty;
            if !wanted || !stage.registered.norms.contains(&task.ball.norm) {
                continue;
            }
            last_broke = 0;
            let part = Part::of(task, &standing);
            let pace = StagePace { whole: task.pace, nth, of };
            let sub = Task {
                starts: &part.starts,
                labels: &part.labels,
                samples: &part.samples,
                pace: &pace,
                ..*task
            };
            let seen = match &stage.attack {
                Evasion::Gradients(attack) => attack.attack(model, &sub)?,
                Evasion::Scores(attack) => attack.attack(model, &sub)?,
                Evasion::Labels(attack) => attack.attack(model, &sub)?,
            };
            found.gradients.add(seen.gradients);
            found.stopped |= seen.stopped;
            let rows = seen.rows.chunks_exact(task.width().max(1));
            for ((at, row), claimed) in standing.into_iter().zip(rows).zip(&seen.claimed) {
                // What looks for the smallest change may have found a larger one than the budget.
                if *claimed && task.ball.contains(task.start(at), row) {
                    keep(&mut found, task, at, Some(row));
                    last_broke += 1;
                }
            }
        }
        Ok(found)
    }
}

/// The parameters of the ensembles.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Plan {
    /// Steps of each gradient attack.
    pub(crate) steps: u32,
    /// Restarts of each gradient attack.
    pub(crate) restarts: u32,
    /// Queries of Square for each row.
    pub(crate) queries: u32,
}

/// Queries with which Square tries whether gradients have misled.
const TRIAL_QUERIES: u32 = 1_000;

impl Default for Plan {
    fn default() -> Self {
        Self { steps: 100, restarts: 5, queries: 5_000 }
    }
}

impl Plan {
    /// From a suite.
    ///
    /// # Errors
    /// What is wrong with the parameters.
    pub(crate) fn read(given: &serde_json::Value) -> Result<Self, String> {
        let plan = parameters::<Self>(given)?;
        checked("steps", plan.steps, 10_000)?;
        checked("restarts", plan.restarts, 1_000)?;
        checked("queries", plan.queries, 10_000_000)?;
        Ok(plan)
    }

    /// Parameters of a climb.
    pub(crate) fn climb(&self) -> serde_json::Value {
        json!({ "steps": self.steps, "restarts": self.restarts })
    }

    /// Parameters of a walk along the boundary, which ends once the budget is kept.
    pub(crate) fn boundary(&self) -> serde_json::Value {
        json!({ "steps": self.steps, "until-broken": true })
    }

    /// Parameters of the first, short run of Square.
    pub(crate) fn trial(&self) -> serde_json::Value {
        json!({ "queries": self.queries.min(TRIAL_QUERIES) })
    }

    /// Parameters of Square.
    pub(crate) fn square(&self) -> serde_json::Value {
        json!({ "queries": self.queries })
    }
}

#[cfg(test)]
mod tests {
    use crate::access::Layout;
    use crate::evasion::tests::{Linear, check_breaks_the_linear_model};
    use crate::evasion::{Target, Task, find, run};
    use crate::norm::{Ball, Norm};
    use crate::pace::Quiet;

    #[test]
    fn they_break_what_lies_within_reach_and_nothing_else() {
        for name in ["autoattack", "autoattack-two-class", "autoattack-rand"] {
            check_breaks_the_linear_model(name, 0.999);
        }
    }

    #[test]
    fn a_broken_row_is_never_asked_again() {
        // The first row falls to the first gradient; the second is out of reach and goes through every stage.
        let mut model = Linear::halves(8);
        let starts: Vec<f32> = [0.01_f32, 3.0]
            .iter()
            .flat_map(|m| (0..8).map(move |i| 0.5 + m / if i < 4 { 8.0 } else { -8.0 }))
            .collect();
        let task = Task {
            starts: &starts,
            labels: &[0, 0],
            samples: &[0, 1],
            others: &[],
            ball: Ball { norm: Norm::Linf, epsilon: 0.05 },
            seed: 1,
            queries_max: None,
            pace: &Quiet,
        };
        let registered = find("autoattack-two-class").unwrap();
        let attack = (registered.build)(&serde_json::json!({ "queries": 100 })).unwrap();
        let attacked = run(registered, &attack, Target::Gradients(&mut model), &task).unwrap();
        let [first, second] = attacked.outcomes.as_slice() else { panic!() };
        assert!(first.broken && first.queries <= 5, "{first:?}");
        assert!(!second.broken && second.queries >= 200, "{second:?}");
    }

    #[test]
    fn three_classes_and_images_run_too() {
        let weights = vec![vec![1.0, 0.0, 0.0, 0.5], vec![0.0, 1.0, 0.0, 0.5], vec![0.0, 0.0, 1.0, 0.5]];
        let layout = Layout::Image { channels: 1, height: 2, width: 2 };
        for name in ["autoattack", "autoattack-two-class", "autoattack-rand"] {
            let mut model = Linear { weights: weights.clone(), bias: vec![0.0; 3], layout, asked: 0 };
            let task = Task {
                starts: &[0.6, 0.5, 0.3, 0.5],
                labels: &[0],
                samples: &[0],
                others: &[],
                ball: Ball { norm: Norm::Linf, epsilon: 0.06 },
                seed: 1,
                queries_max: None,
                pace: &Quiet,
            };
            let registered = find(name).unwrap();
            let attack = (registered.build)(&serde_json::Value::Null).unwrap();
            let attacked = run(registered, &attack, Target::Gradients(&mut model), &task).unwrap();
            assert!(attacked.outcomes[0].broken, "{name}: {attacked:?}");
        }
    }
}
