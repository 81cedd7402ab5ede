//! Ray search: the shortest ray along a corner of the budget, labels only.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Labels};
use crate::evasion::origins::origins;
use crate::evasion::query::{Asker, claim, limit, single};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithLabels, parameters};
use crate::norm::Norm;

domain::catalogue_entry! {
    /// Every value up or down by the same amount: the smallest amount is searched, labels only.
    ///
    /// ## What it is
    /// A direction is a sign per value. Blocks of signs are turned over, first halves of the row, then quarters, and so on; a turn that is still wrong at the present
    /// distance is kept, and the distance is made smaller by halving. No gradient is estimated, so models with steps (trees) are searched as well as smooth ones.
    ///
    /// ## Why it matters in care
    /// Small errors of all measurements at once, in the worst combination: a decision that turns on them was never certain.
    ///
    /// ## Limits
    /// The largest-change norm only, and only corners of it: where a tree wants one value moved and another left alone, the true distance is smaller.
    ///
    /// ## References
    /// Chen and Gu 2020 (RayS), arXiv:2006.12792.
    pub static ENTRY = { id: "X034", name: "rays", kind: Attack, since: "0.1.0", maps: ["AML.T0043.001", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Labels,
    norms: &[Norm::Linf],
    minimal: true,
    build: |given| Ok(Evasion::Labels(Box::new(parameters::<Rays>(given)?))),
};

/// Parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Rays {
    /// Queries per sample.
    queries: u64,
    /// Inputs tried to find one of another class.
    starts: u64,
    /// Standard deviation of noise on each query.
    blind: f64,
    /// Spread queries after refusals.
    adapt: bool,
}

impl Default for Rays {
    fn default() -> Self {
        // 5,000 queries, to compare with `hopskipjump` at equal cost.
        Self { queries: 5_000, starts: 60, blind: 0.0, adapt: false }
    }
}

/// A distance is halved until it is known to this share.
const TOLERANCE: f64 = 2e-3;

/// One row's search.
struct Ray {
    at: usize,
    rng: numeric::Rng,
    /// The order in which values are grouped into blocks: as they lie at first, random in later passes.
    order: Vec<usize>,
    signs: Vec<f32>,
    trial: Vec<f32>,
    radius: f64,
    /// Blocks of a level, and the next of them.
    blocks: usize,
    block: usize,
    /// Known not wrong, known wrong, while the distance of a kept turn is halved.
    halving: Option<(f64, f64)>,
    /// An input of another class, for rows whose corners are all right.
    known: Vec<f32>,
}

impl WithLabels for Rays {
    fn attack(&self, model: &mut dyn Labels, task: &Task<'_>) -> Result<Candidates, Fault> {
        let mut found = Candidates::at_start(task);
        let queries = limit(self.queries, task);
        let mut asker = Asker::new(task, self.blind, self.adapt);
        let starts = origins(model, &mut asker, task, self.starts, queries)?;
        let mut rays: Vec<Ray> = Vec::new();
        for (at, known) in starts.into_iter().enumerate() {
            let Some(known) = known else { continue };
            claim(&mut found, at, &known);
            let signs: Vec<f32> = task.start(at).iter().zip(&known).map(|(s, k)| sign(k - s)).collect();
            let order = (0..signs.len()).collect();
            let (trial, rng) = (signs.clone(), task.rng(at, 1));
            rays.push(Ray {
                at,
                rng,
                order,
                signs,
                trial,
                radius: f64::INFINITY,
                blocks: 0,
                block: 0,
                halving: None,
                known,
            });
        }
        for turn in 0..queries {
            if task.pace.stop() {
                found.stopped = true;
                break;
            }
            task.pace.step(turn, queries);
            rays.retain(|r| asker.asked(r.at) < queries && r.radius > 0.0);
            if rays.is_empty() {
                break;
            }
            asker.clear();
            for ray in &rays {
                asker.add(ray.at, &ray.point(task.start(ray.at)));
            }
            asker.labels(model)?;
            let mut nearer = Vec::new();
            for (n, ray) in rays.iter_mut().enumerate() {
                let wrong = asker.broken(n) == Some(true);
                let at_distance = ray.point(task.start(ray.at));
                if ray.note(wrong) {
                    nearer.push((ray.at, at_distance));
                }
            }
            if asker.blurs() && !nearer.is_empty() {
                let rows: Vec<(usize, &[f32])> =
                    nearer.iter().map(|(at, row)| (*at, row.as_slice())).collect();
                let sure = asker.confirm(model, &rows)?;
                let mut sure = sure.into_iter();
                nearer.retain(|_| sure.next() == Some(true));
            }
            for (at, row) in nearer {
                let known = found.rows.get(at * row.len()..(at + 1) * row.len()).unwrap_or_default();
                if Norm::Linf.distance(task.start(at), &row) < Norm::Linf.distance(task.start(at), known) {
                    claim(&mut found, at, &row);
                }
            }
        }
        Ok(found)
    }
}

fn sign(v: f32) -> f32 {
    if v < 0.0 { -1.0 } else { 1.0 }
}

impl Ray {
    /// The distance that is asked next.
    fn distance(&self) -> f64 {
        match self.halving {
            Some((low, high)) => f64::midpoint(low, high),
            None => self.radius.min(1.0),
        }
    }

    fn point(&self, start: &[f32]) -> Vec<f32> {
        let by = self.distance();
        let moved = |(s, t): (&f32, &f32)| single(f64::from(*s) + by * f64::from(*t)).clamp(0.0, 1.0);
        start.iter().zip(&self.trial).map(moved).collect()
    }

    /// Takes the answer at [`Ray::distance`]; true when it is a wrong class nearer than before.
    fn note(&mut self, wrong: bool) -> bool {
        let asked = self.distance();
        match &mut self.halving {
            None if wrong => {
                self.signs.copy_from_slice(&self.trial);
                let better = asked < self.radius;
                self.radius = asked;
                self.halving = Some((0.0, asked));
                return better;
            }
            None => self.turn(),
            Some((low, high)) => {
                if wrong {
                    *high = asked;
                } else {
                    *low = asked;
                }
                let (low, high) = (*low, *high);
                self.radius = high;
                if high - low < TOLERANCE * high.max(1e-6) {
                    self.halving = None;
                    // The next turn must be nearer to count.
                    self.turn();
                }
                return wrong;
            }
        }
        false
    }

    /// Turns over the next block of signs.
    fn turn(&mut self) {
        let width = self.signs.len();
        if self.block >= self.blocks {
            self.block = 0;
            self.blocks = if self.blocks == 0 { 1 } else { self.blocks * 2 };
            if self.blocks >= 2 * width {
                self.blocks = 2;
                self.order = self.rng.permutation(width);
                if self.radius.is_infinite() {
                    // No corner was wrong: towards the input of another class, with some signs at random.
                    let known = self.known.clone();
                    for (sign, k) in self.signs.iter_mut().zip(known) {
                        *sign = if self.rng.uniform() < 0.3 { -1.0_f32 } else { 1.0 }
                            * if k < 0.5 { -1.0 } else { 1.0 };
                    }
                }
            }
        }
        self.trial.copy_from_slice(&self.signs);
        let size = width.div_ceil(self.blocks.max(1)).max(1);
        for place in self.order.iter().skip(self.block * size).take(size) {
            if let Some(sign) = self.trial.get_mut(*place) {
                *sign = -*sign;
            }
        }
        self.block += 1;
        if self.block * size >= width {
            self.block = self.blocks;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::evasion::tests::check_breaks_the_linear_model;

    #[test]
    fn the_corner_of_a_linear_model_is_found() {
        check_breaks_the_linear_model("rays", 0.98);
    }
}
