//! One perturbation for all rows.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, Replies, Rows};
use crate::evasion::walk::{keep, points};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithGradients, checked, parameters};
use crate::loss::Loss;
use crate::norm::Norm;

domain::catalogue_entry! {
    /// One perturbation, the same for every sample, that changes as many answers as it can (universal perturbation).
    ///
    /// ## What it is
    /// The perturbation is climbed by gradient steps on the mean loss of all samples at once, where a sample that is already wrong by a margin no longer counts; the one
    /// that changed most answers is kept. The share of samples that it breaks is its fooling rate, and is what the report shows as broken. Parameters: `steps` (60), `lead` (0.5: the margin, in
    /// logits, from which on a sample no longer counts), `restarts` (2).
    ///
    /// ## Why it matters in care
    /// It is made once and then added to every image by a manipulated device or network node, which needs to know nothing about the patient in front of it.
    ///
    /// ## Limits
    /// It is trained on the samples that it is judged on; on others its fooling rate is lower. All samples are asked in every step, also broken ones, since the next
    /// perturbation may lose them again; its result hangs on which samples are run together.
    ///
    /// ## References
    /// Moosavi-Dezfooli et al. 2017, arXiv:1610.08401; by gradient ascent on a clipped loss: Shafahi et al. 2020, arXiv:1811.11304; on medical images: Hirano et al. 2021, doi:10.1186/s12880-020-00530-y.
    pub static ENTRY = { id: "X015", name: "universal", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::Linf, Norm::L2],
    minimal: false,
    build: |given| {
        let plan = parameters::<Universal>(given)?;
        checked("steps", plan.steps, 10_000)?;
        checked("restarts", plan.restarts, 1_000)?;
        if !(plan.lead.is_finite() && plan.lead >= 0.0) {
            return Err("`lead` must be 0 or more".into());
        }
        Ok(Evasion::Gradients(Box::new(plan)))
    },
};

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Universal {
    steps: u32,
    restarts: u32,
    lead: f64,
}

impl Default for Universal {
    fn default() -> Self {
        Self { steps: 60, restarts: 2, lead: 0.5 }
    }
}

/// Rows asked at once.
const ROWS_MAX: usize = 128;
/// Values asked at once.
const VALUES_MAX: usize = 1 << 21;
/// Share of the earlier direction that a step keeps.
const MOMENTUM: f64 = 0.9;

/// What all rows said to one perturbation.
struct Heard {
    /// Sum of the unit gradients of the rows that still count.
    direction: Vec<f64>,
    wrong: Vec<bool>,
    /// True when no row counts any more.
    done: bool,
}

impl WithGradients for Universal {
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault> {
        let mut found = Candidates::at_start(task);
        // One stream for all rows: that of the seed.
        let mut rng = numeric::Rng::new(task.seed, 15);
        let mut best: Option<(usize, Vec<f64>, Vec<bool>)> = None;
        let total = u64::from(self.restarts) * u64::from(self.steps);
        'runs: for run in 0..self.restarts {
            let mut change: Vec<f64> = vec![0.0; task.width()];
            if run > 0 {
                change.iter_mut().for_each(|c| *c = rng.normal() * task.ball.epsilon);
                shrink(task.ball.norm, task.ball.epsilon, &mut change);
            }
            let mut push = vec![0.0; task.width()];
            for step in 0..=self.steps {
                if task.pace.stop() {
                    found.stopped = true;
                    break 'runs;
                }
                let heard = match self.hear(model, task, &change, &mut found) {
                    Err(Fault::Stopped) => {
                        found.stopped = true;
                        break 'runs;
                    }
                    other => other?,
                };
                let count = heard.wrong.iter().filter(|w| **w).count();
                if best.as_ref().is_none_or(|(most, _, _)| count > *most) {
                    best = Some((count, change.clone(), heard.wrong));
                }
                if heard.done {
                    break 'runs;
                }
                let turn = std::f64::consts::PI * f64::from(step) / f64::from(self.steps);
                let by = task.ball.epsilon * 0.25 * (1.0 + turn.cos());
                advance(task.ball.norm, &heard.direction, by, &mut push, &mut change);
                shrink(task.ball.norm, task.ball.epsilon, &mut change);
                task.pace.step(u64::from(run) * u64::from(self.steps) + u64::from(step), total);
            }
        }
        if let Some((_, change, wrong)) = best {
            for (at, wrong) in wrong.into_iter().enumerate() {
                if wrong {
                    keep(&mut found, task, at, Some(&with(task.start(at), &change)));
                }
            }
        }
        Ok(found)
    }
}

impl Universal {
    /// Asks all rows, with `change` added.
    fn hear(
        &self,
        model: &mut dyn Gradients,
        task: &Task<'_>,
        change: &[f64],
        found: &mut Candidates,
    ) -> Result<Heard, Fault> {
        let width = task.width();
        let mut heard = Heard { direction: vec![0.0; width], wrong: vec![false; task.len()], done: true };
        let (mut replies, mut gradient) = (Replies::default(), Vec::new());
        let room = (VALUES_MAX / width.max(1)).clamp(1, ROWS_MAX);
        for first in (0..task.len()).step_by(room) {
            let places: Vec<usize> = (first..task.len().min(first + room)).collect();
            let values: Vec<f32> = places.iter().flat_map(|at| with(task.start(*at), change)).collect();
            let samples: Vec<usize> =
                places.iter().map(|at| task.samples.get(*at).copied().unwrap_or(*at)).collect();
            let label = |at: usize| task.labels.get(at).copied().unwrap_or(0);
            let mut climb = |row: usize, scores: &[f32], out: &mut [f32]| {
                Loss::LogOdds.of(scores, label(first + row), out);
            };
            model.gradient(Rows::new(&values, width, &samples)?, &mut climb, &mut replies, &mut gradient)?;
            for ((row, at), slope) in places.iter().enumerate().zip(gradient.chunks_exact(width)) {
                let Some(scores) = replies.row(row) else { continue };
                found.gradients.look(slope, width);
                let mut unused = vec![0.0; scores.len()];
                let lead = f64::from(Loss::Margin.of(scores, label(*at), &mut unused));
                let wrong = replies.label(row).is_some_and(|seen| seen != label(*at));
                if let Some(place) = heard.wrong.get_mut(*at) {
                    *place = wrong;
                }
                if (wrong && lead > self.lead) || !points(slope) {
                    continue;
                }
                heard.done = false;
                let length = slope.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
                for (sum, g) in heard.direction.iter_mut().zip(slope) {
                    *sum += f64::from(*g) / length;
                }
            }
        }
        Ok(heard)
    }
}

/// `start` plus `change`, cut by the box.
#[expect(clippy::cast_possible_truncation, reason = "rounded to the precision of the rows")]
fn with(start: &[f32], change: &[f64]) -> Vec<f32> {
    start.iter().zip(change).map(|(s, c)| (f64::from(*s) + c).clamp(0.0, 1.0) as f32).collect()
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// One step with momentum along `direction`, of size `by` in the norm.
fn advance(norm: Norm, direction: &[f64], by: f64, push: &mut [f64], change: &mut [f64]) {
    let size = length(direction);
    if size > 0.0 {
        push.iter_mut().zip(direction).for_each(|(p, d)| *p = MOMENTUM * *p + d / size);
    }
    let size = length(push);
    if size == 0.0 {
        return;
    }
    for (c, p) in change.iter_mut().zip(push.iter()) {
        *c += match norm {
            Norm::L2 => p / size * by,
            _ if *p == 0.0 => 0.0,
            _ => by.copysign(*p),
        };
    }
}

/// Back into the ball around no change.
fn shrink(norm: Norm, epsilon: f64, change: &mut [f64]) {
    if norm == Norm::L2 {
        let size = length(change);
        if size > epsilon {
            change.iter_mut().for_each(|c| *c *= epsilon / size);
        }
    } else {
        change.iter_mut().for_each(|c| *c = c.max(-epsilon).min(epsilon));
    }
}

#[cfg(test)]
mod tests {
    use crate::evasion::tests::{Linear, check_breaks_the_linear_model};
    use crate::evasion::{Target, Task, find, run};
    use crate::norm::{Ball, Norm};
    use crate::pace::Quiet;

    #[test]
    fn it_breaks_what_lies_within_reach_and_nothing_else() {
        check_breaks_the_linear_model("universal", 1.0);
    }

    #[test]
    fn the_change_is_the_same_for_all_rows() {
        // Rows far from the ends of the box, so that it cuts nothing.
        let starts: Vec<f32> = (0..5)
            .flat_map(|row| (0..8).map(move |i| 0.5 + 0.004 * row as f32 * if i < 4 { 1.0 } else { -1.0 }))
            .map(|v| v + 0.001)
            .collect();
        let registered = find("universal").unwrap();
        let attack = (registered.build)(&serde_json::Value::Null).unwrap();
        let task = Task {
            starts: &starts,
            labels: &[0; 5],
            samples: &[0, 1, 2, 3, 4],
            others: &[],
            ball: Ball { norm: Norm::Linf, epsilon: 0.05 },
            seed: 1,
            queries_max: None,
            pace: &Quiet,
        };
        let attacked = run(registered, &attack, Target::Gradients(&mut Linear::halves(8)), &task).unwrap();
        assert!(attacked.outcomes.iter().all(|o| o.broken), "{attacked:?}");
        for i in 0..8 {
            let changes: Vec<f32> = (0..5).map(|r| attacked.rows[r * 8 + i] - starts[r * 8 + i]).collect();
            assert!(changes.iter().all(|c| (c - changes[0]).abs() < 1e-6), "{changes:?}");
        }
    }
}
