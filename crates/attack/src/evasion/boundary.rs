//! The boundary walk: random steps along the decision boundary, labels only.

use numeric::Rng;
use serde::{Deserialize, Serialize};

use crate::access::{Fault, Labels};
use crate::evasion::origins::origins;
use crate::evasion::query::{Asker, claim, limit, single};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithLabels, parameters};
use crate::norm::Norm;

domain::catalogue_entry! {
    /// Random steps along the decision boundary that drift towards the start.
    ///
    /// ## What it is
    /// From an input of another class, each query is a random step at the same distance from the start, every other one with a small step inwards. What keeps
    /// the wrong class is kept. The lengths of both steps follow the share of steps that succeed. One query per step and sample.
    ///
    /// ## Why it matters in care
    /// It is the oldest and simplest attack on a system that shows decisions only, and its stream of near-equal queries is what a guard should know.
    ///
    /// ## Limits
    /// It needs many more queries than `hopskipjump` for the same distance.
    ///
    /// ## References
    /// Brendel, Rauber, Bethge 2018, arXiv:1712.04248. Spreading after refusals: Feng et al. 2023, arXiv:2303.06280.
    pub static ENTRY = { id: "X032", name: "boundary", kind: Attack, since: "0.1.0", maps: ["AML.T0043.001", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Labels,
    norms: &[Norm::L2],
    minimal: true,
    build: |given| Ok(Evasion::Labels(Box::new(parameters::<Boundary>(given)?))),
};

/// Parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Boundary {
    /// Queries per sample.
    queries: u64,
    /// Inputs tried to find one of another class.
    starts: u64,
    /// First step along the boundary, as a share of the distance.
    along: f64,
    /// First step inwards, as a share of the distance.
    inwards: f64,
    /// Standard deviation of noise on each query.
    blind: f64,
    /// Spread queries after refusals.
    adapt: bool,
    /// Find out first how far apart queries must be to be answered; only with `adapt`.
    calibrate: bool,
}

impl Default for Boundary {
    fn default() -> Self {
        // Steps as in the paper; 5,000 queries so that it is compared with `hopskipjump` at equal cost.
        Self {
            queries: 5_000,
            starts: 60,
            along: 0.1,
            inwards: 0.1,
            blind: 0.0,
            adapt: false,
            calibrate: false,
        }
    }
}

/// Steps after which a length follows its rate of success.
const WINDOW: u32 = 10;
/// Smallest length.
const LENGTH_MIN: f64 = 1e-5;

/// A length that follows how often it succeeds.
struct Length {
    now: f64,
    tried: u32,
    kept: u32,
    /// Below this share of successes it shrinks, above twice of it it grows.
    wanted: f64,
}

impl Length {
    const fn new(now: f64, wanted: f64) -> Self {
        Self { now, tried: 0, kept: 0, wanted }
    }

    fn note(&mut self, kept: bool) {
        self.tried += 1;
        self.kept += u32::from(kept);
        if self.tried == WINDOW {
            let rate = f64::from(self.kept) / f64::from(self.tried);
            if rate < self.wanted {
                self.now *= 0.7;
            } else if rate > 2.0 * self.wanted {
                self.now *= 1.4;
            }
            self.now = self.now.clamp(LENGTH_MIN, 0.9);
            (self.tried, self.kept) = (0, 0);
        }
    }
}

struct Walk {
    at: usize,
    rng: Rng,
    x: Vec<f32>,
    along: Length,
    inwards: Length,
}

impl WithLabels for Boundary {
    fn attack(&self, model: &mut dyn Labels, task: &Task<'_>) -> Result<Candidates, Fault> {
        let mut found = Candidates::at_start(task);
        let queries = limit(self.queries, task);
        let mut asker = Asker::new(task, self.blind, self.adapt);
        if self.adapt && self.calibrate {
            asker.calibrate(model)?;
        }
        let starts = origins(model, &mut asker, task, self.starts, queries)?;
        let mut walks: Vec<Walk> = Vec::new();
        for (at, x) in starts.into_iter().enumerate() {
            let Some(x) = x else { continue };
            claim(&mut found, at, &x);
            let (along, inwards) = (Length::new(self.along, 0.25), Length::new(self.inwards, 0.15));
            walks.push(Walk { at, rng: task.rng(at, 1), x, along, inwards });
        }
        let mut trials: Vec<Vec<f32>> = Vec::new();
        for turn in 0..queries {
            if task.pace.stop() {
                found.stopped = true;
                break;
            }
            task.pace.step(turn, queries);
            walks.retain(|w| asker.asked(w.at) < queries);
            if walks.is_empty() {
                break;
            }
            asker.clear();
            trials.clear();
            for walk in &mut walks {
                let spread = asker.shyness(walk.at);
                let trial = propose(walk, task.start(walk.at), turn % 2 == 1, spread);
                asker.add(walk.at, &trial);
                trials.push(trial);
            }
            asker.labels(model)?;
            for (n, (walk, trial)) in walks.iter_mut().zip(&trials).enumerate() {
                let kept = asker.broken(n) == Some(true);
                let length = if turn % 2 == 1 { &mut walk.inwards } else { &mut walk.along };
                length.note(kept);
                if kept {
                    walk.x.copy_from_slice(trial);
                }
            }
            if !asker.blurs() {
                walks.iter().for_each(|w| nearer(&mut found, task, w.at, &w.x));
            } else if turn % 64 == 63 || turn + 1 == queries {
                // What was seen through noise is asked again, now and then.
                let rows: Vec<(usize, &[f32])> = walks.iter().map(|w| (w.at, w.x.as_slice())).collect();
                let sure = asker.confirm(model, &rows)?;
                for (walk, _) in walks.iter().zip(sure).filter(|(_, yes)| *yes) {
                    nearer(&mut found, task, walk.at, &walk.x);
                }
            }
        }
        Ok(found)
    }
}

/// Notes `x` when it is nearer than what was found.
fn nearer(found: &mut Candidates, task: &Task<'_>, at: usize, x: &[f32]) {
    let start = task.start(at);
    let known = found.rows.get(at * x.len()..(at + 1) * x.len()).unwrap_or_default();
    if Norm::L2.distance(start, x) < Norm::L2.distance(start, known) {
        claim(found, at, x);
    }
}

/// A step of random direction at the same distance from the start, then a step towards it if `inwards`.
fn propose(walk: &mut Walk, start: &[f32], inwards: bool, spread: f64) -> Vec<f32> {
    let away: Vec<f64> = walk.x.iter().zip(start).map(|(x, s)| f64::from(*x) - f64::from(*s)).collect();
    let distance = length(&away);
    let mut noise: Vec<f64> = away.iter().map(|_| walk.rng.uniform() * 2.0 - 1.0).collect();
    // Across the line to the start only.
    let along = away.iter().zip(&noise).map(|(a, n)| a * n).sum::<f64>() / distance.powi(2).max(1e-24);
    noise.iter_mut().zip(&away).for_each(|(n, a)| *n -= along * a);
    let scale = (walk.along.now * spread).min(1.0) * distance / length(&noise).max(1e-12);
    let moved: Vec<f64> = away.iter().zip(&noise).map(|(a, n)| a + scale * n).collect();
    let inwards = if inwards { 1.0 - walk.inwards.now } else { 1.0 };
    let back = distance / length(&moved).max(1e-12) * inwards;
    start.iter().zip(&moved).map(|(s, m)| single(f64::from(*s) + m * back).clamp(0.0, 1.0)).collect()
}

fn length(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evasion::tests::check_breaks_the_linear_model;

    #[test]
    fn the_boundary_of_a_linear_model_is_reached() {
        check_breaks_the_linear_model("boundary", 0.8);
    }

    #[test]
    fn a_step_along_keeps_the_distance() {
        let along = Length::new(0.1, 0.25);
        let mut walk =
            Walk { at: 0, rng: Rng::new(1, 0), x: vec![0.7; 16], along, inwards: Length::new(0.1, 0.15) };
        let trial = propose(&mut walk, &[0.5; 16], false, 1.0);
        assert!((Norm::L2.distance(&[0.5; 16], &trial) - 0.8).abs() < 1e-3);
        let trial = propose(&mut walk, &[0.5; 16], true, 1.0);
        assert!((Norm::L2.distance(&[0.5; 16], &trial) - 0.72).abs() < 1e-3);
    }

    #[test]
    fn a_length_follows_its_success() {
        let mut length = Length::new(0.1, 0.25);
        (0..WINDOW).for_each(|_| length.note(false));
        assert!(length.now < 0.1);
        (0..4 * WINDOW).for_each(|_| length.note(true));
        assert!(length.now > 0.1);
    }
}
