//! Runs an attack and believes nothing of it: its rows are checked against box and budget and put to the model again.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, Labels, Rows, Scores};
use crate::evasion::{Candidates, Evasion, GradientHealth, Meter, Registered, Task};

/// What became of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// A row of another class was found, at `distance`.
    pub adversarial: bool,
    /// It lies within the budget.
    pub broken: bool,
    /// Distance from the start in the norm of the task; 0 where nothing was found.
    pub distance: f64,
    /// Rows asked for this sample, with the last check.
    pub queries: u64,
    /// The attack saw another class for its row, and the last check did not: the model does not answer the same twice.
    pub unstable: bool,
}

/// What became of all samples of a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attacked {
    /// One row per start: the adversarial row, or the start.
    pub rows: Vec<f32>,
    /// One per start.
    pub outcomes: Vec<Outcome>,
    /// What the gradients were like.
    pub gradients: GradientHealth,
    /// Ended before its steps were done.
    pub stopped: bool,
}

/// A model at the access that the exercise has.
pub enum Target<'a> {
    /// Decisions only.
    Labels(&'a mut dyn Labels),
    /// Scores.
    Scores(&'a mut dyn Scores),
    /// Everything.
    Gradients(&'a mut dyn Gradients),
}

/// Runs `attack`, registered as `registered`, on rows that the model gets right.
///
/// # Errors
/// [`Fault::NotApplicable`] when the model shows less than the attack needs or the norm is not one of its own; [`Fault::Rules`] when the attack left the unit
/// box, or the budget where it must keep it; else what the model says.
pub fn run(
    registered: &Registered,
    attack: &Evasion,
    target: Target<'_>,
    task: &Task<'_>,
) -> Result<Attacked, Fault> {
    let name = registered.entry.name;
    if !registered.norms.contains(&task.ball.norm) {
        return Err(Fault::NotApplicable(format!(
            "`{name}` has no form in the norm {}",
            task.ball.norm.as_str()
        )));
    }
    if task.is_empty() {
        return Ok(Attacked::default());
    }
    let less = || {
        Err(Fault::NotApplicable(format!(
            "`{name}` needs {:?}, which this target does not show",
            registered.needs
        )))
    };
    match (attack, target) {
        (Evasion::Gradients(a), Target::Gradients(m)) => {
            let mut meter = Meter::new(m, task.queries_max);
            let found = a.attack(&mut meter, task)?;
            judge(registered, &mut meter, task, found)
        }
        (Evasion::Gradients(_), _) => less(),
        (Evasion::Scores(a), Target::Gradients(m)) => scores(registered, a.as_ref(), m, task),
        (Evasion::Scores(a), Target::Scores(m)) => scores(registered, a.as_ref(), m, task),
        (Evasion::Scores(_), Target::Labels(_)) => less(),
        (Evasion::Labels(a), Target::Gradients(m)) => labels(registered, a.as_ref(), m, task),
        (Evasion::Labels(a), Target::Scores(m)) => labels(registered, a.as_ref(), m, task),
        (Evasion::Labels(a), Target::Labels(m)) => labels(registered, a.as_ref(), m, task),
    }
}

fn scores(
    registered: &Registered,
    attack: &dyn crate::evasion::WithScores,
    model: &mut dyn Scores,
    task: &Task<'_>,
) -> Result<Attacked, Fault> {
    let mut meter = Meter::new(model, task.queries_max);
    let found = attack.attack(&mut meter, task)?;
    judge(registered, &mut meter, task, found)
}

fn labels(
    registered: &Registered,
    attack: &dyn crate::evasion::WithLabels,
    model: &mut dyn Labels,
    task: &Task<'_>,
) -> Result<Attacked, Fault> {
    let mut meter = Meter::new(model, task.queries_max);
    let found = attack.attack(&mut meter, task)?;
    judge(registered, &mut meter, task, found)
}

/// Checks every candidate, and asks the model about it once more. Where that is refused (a budget, a guard), what the attack saw counts.
fn judge<M: Labels + ?Sized>(
    registered: &Registered,
    meter: &mut Meter<'_, M>,
    task: &Task<'_>,
    found: Candidates,
) -> Result<Attacked, Fault> {
    let (width, name) = (task.width(), registered.entry.name);
    if found.rows.len() != task.starts.len() || found.claimed.len() != task.len() {
        return Err(Fault::Rules(format!("`{name}` lost a row")));
    }
    let candidates: Vec<usize> = (0..task.len()).filter(|at| found.claimed.get(*at) == Some(&true)).collect();
    let (mut values, mut samples) = (Vec::new(), Vec::new());
    for at in &candidates {
        let row = found.rows.get(at * width..(at + 1) * width).unwrap_or_default();
        if !row.iter().all(|v| (0.0..=1.0).contains(v)) {
            return Err(Fault::Rules(format!("`{name}` left the box of the inputs")));
        }
        if !registered.minimal && !task.ball.contains(task.start(*at), row) {
            let distance = task.ball.norm.distance(task.start(*at), row);
            return Err(Fault::Rules(format!(
                "`{name}` broke its budget: {distance} of {} in {}",
                task.ball.epsilon,
                task.ball.norm.as_str()
            )));
        }
        values.extend_from_slice(row);
        samples.push(task.samples.get(*at).copied().unwrap_or(*at));
    }
    let mut seen = Vec::new();
    if !samples.is_empty() {
        meter.labels(Rows::new(&values, width, &samples)?, &mut seen)?;
    }
    let mut outcomes: Vec<Outcome> = (0..task.len())
        .map(|at| Outcome {
            adversarial: false,
            broken: false,
            distance: 0.0,
            queries: meter.asked(task.samples.get(at).copied().unwrap_or(at)),
            unstable: false,
        })
        .collect();
    let mut rows = task.starts.to_vec();
    for (at, seen) in candidates.into_iter().zip(seen) {
        let Some(outcome) = outcomes.get_mut(at) else { continue };
        outcome.unstable = seen.is_some() && seen == task.labels.get(at).copied();
        if outcome.unstable {
            continue;
        }
        let range = at * width..(at + 1) * width;
        let row = found.rows.get(range.clone()).unwrap_or_default();
        outcome.adversarial = true;
        outcome.distance = task.ball.norm.distance(task.start(at), row);
        outcome.broken = task.ball.contains(task.start(at), row);
        if let Some(place) = rows.get_mut(range) {
            place.copy_from_slice(row);
        }
    }
    Ok(Attacked { rows, outcomes, gradients: found.gradients, stopped: found.stopped })
}
