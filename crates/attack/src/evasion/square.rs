//! The Square attack: random search in small squares, which needs scores only.

use numeric::Rng;
use serde::{Deserialize, Serialize};

use crate::access::{Fault, Layout, Scores};
use crate::evasion::query::{Asker, claim, limit, many, real, root, single};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithScores, parameters};
use crate::norm::Norm;

domain::catalogue_entry! {
    /// Random changes in squares of falling size, kept when the true class loses score.
    ///
    /// ## What it is
    /// The start is moved to the edge of the budget by random stripes; then one square (on tables: one random group of features) at a time is set
    /// anew, and the change stays if the margin of the true class falls. One query per step. No gradient is needed, so neither masked gradients nor trees
    /// nor a remote server protect from it.
    ///
    /// ## Why it matters in care
    /// A client of a scoring service can run this with nothing but the probabilities that the service shows.
    ///
    /// ## Limits
    /// It asks hundreds of similar rows, which guards against query attacks see unless each is hidden by noise (`blind`) or spread after refusals
    /// (`adapt`). It finds no more than gradients would on a smooth model.
    ///
    /// ## References
    /// Andriushchenko, Croce, Flammarion, Hein 2020, arXiv:1912.00049. Noise on queries: Chen, Carlini, Wagner 2019, arXiv:1907.05587. Spreading: Feng et
    /// al. 2023, arXiv:2303.06280.
    pub static ENTRY = { id: "X030", name: "square", kind: Attack, since: "0.1.0", maps: ["AML.T0043.001", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Scores,
    norms: &[Norm::Linf, Norm::L2],
    minimal: false,
    build: |given| Ok(Evasion::Scores(Box::new(parameters::<Square>(given)?))),
};

/// Parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Square {
    /// Queries per sample; the sizes of the squares fall over this number.
    queries: u64,
    /// Share of the values that the first squares cover.
    share: f64,
    /// Standard deviation of noise on each query.
    blind: f64,
    /// Spread queries after refusals.
    adapt: bool,
    /// Find out first how far apart queries must be to be answered; only with `adapt`.
    calibrate: bool,
}

impl Default for Square {
    fn default() -> Self {
        // 5,000 queries and 0.8 as in AutoAttack's standard.
        Self { queries: 5_000, share: 0.8, blind: 0.0, adapt: false, calibrate: false }
    }
}

/// Points of the schedule, in ten-thousandths of the queries, at which the squares halve their area (the paper's section 4).
const HALVINGS: [u64; 9] = [10, 50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000];
/// Most draws of a square that would change something.
const DRAWS_MAX: usize = 8;

impl WithScores for Square {
    fn attack(&self, model: &mut dyn Scores, task: &Task<'_>) -> Result<Candidates, Fault> {
        let mut found = Candidates::at_start(task);
        if task.ball.epsilon <= 0.0 {
            return Ok(found);
        }
        let (width, layout) = (task.width(), model.space().layout);
        let queries = limit(self.queries, task);
        let mut asker = Asker::new(task, self.blind, self.adapt);
        if self.adapt && self.calibrate {
            asker.calibrate(model)?;
        }
        let mut rngs: Vec<Rng> = (0..task.len()).map(|at| task.rng(at, 0)).collect();
        let mut best = task.starts.to_vec();
        let mut margins = vec![f32::INFINITY; task.len()];
        let mut active: Vec<usize> = (0..task.len()).collect();
        let mut trials = Vec::new();
        for step in 0..queries {
            if task.pace.stop() {
                found.stopped = true;
                break;
            }
            task.pace.step(step, queries);
            active.retain(|at| asker.asked(*at) < queries && found.claimed.get(*at) == Some(&false));
            if active.is_empty() {
                break;
            }
            asker.clear();
            trials.clear();
            for &at in &active {
                let (Some(rng), Some(now)) = (rngs.get_mut(at), best.get(at * width..(at + 1) * width))
                else {
                    continue;
                };
                let share = (self.share(step, queries) * asker.shyness(at)).min(self.share.max(0.0));
                let from = trials.len();
                trials.extend_from_slice(now);
                let place =
                    Place { start: task.start(at), norm: task.ball.norm, epsilon: task.ball.epsilon, layout };
                place.propose(trials.get_mut(from..).unwrap_or_default(), step == 0, share, rng);
                asker.add(at, trials.get(from..).unwrap_or_default());
            }
            asker.scores(model)?;
            let broken = broken(&mut asker, model, &trials, width, &mut best, &mut margins)?;
            for at in broken {
                claim(&mut found, at, best.get(at * width..(at + 1) * width).unwrap_or_default());
            }
        }
        Ok(found)
    }
}

impl Square {
    /// Share of the values that a square covers at `step`.
    fn share(&self, step: u64, queries: u64) -> f64 {
        let reached = real(step) / real(queries.max(1)) * 10_000.0;
        let halvings = HALVINGS.iter().filter(|h| reached > real(**h)).count();
        self.share.clamp(0.0, 1.0) * 0.5_f64.powi(i32::try_from(halvings).unwrap_or(0))
    }
}

/// Takes over what improved; the rows that are broken, certainly (what was seen through noise is asked again).
fn broken(
    asker: &mut Asker<'_>,
    model: &mut dyn Scores,
    trials: &[f32],
    width: usize,
    best: &mut [f32],
    margins: &mut [f32],
) -> Result<Vec<usize>, Fault> {
    let mut sure = Vec::new();
    for (n, trial) in trials.chunks_exact(width).enumerate() {
        let at = asker.owner(n);
        let (Some(new), Some(old)) = (asker.margin(n), margins.get_mut(at)) else { continue };
        let fell = asker.broken(n) == Some(true);
        if new < *old || fell {
            *old = new;
            if let Some(place) = best.get_mut(at * width..(at + 1) * width) {
                place.copy_from_slice(trial);
            }
        }
        if fell {
            sure.push(at);
        }
    }
    if !asker.blurs() || sure.is_empty() {
        return Ok(sure);
    }
    let rows: Vec<(usize, &[f32])> =
        sure.iter().map(|at| (*at, best.get(at * width..(at + 1) * width).unwrap_or_default())).collect();
    let confirmed = asker.confirm(model, &rows)?;
    Ok(sure.into_iter().zip(confirmed).filter(|(_, yes)| *yes).map(|(at, _)| at).collect())
}

/// Where a proposal is made.
struct Place<'a> {
    start: &'a [f32],
    norm: Norm,
    epsilon: f64,
    layout: Layout,
}

impl Place<'_> {
    /// Changes `x`, the best so far, into the next trial.
    fn propose(&self, x: &mut [f32], first: bool, share: f64, rng: &mut Rng) {
        match (self.norm, first) {
            (Norm::L2, true) => self.tiles(x, rng),
            (Norm::L2, false) => self.shift(x, share, rng),
            (_, true) => self.stripes(x, rng),
            (_, false) => self.square(x, share, rng),
        }
    }

    /// A value `by` from the start, in the box.
    fn moved(&self, i: usize, by: f64) -> f32 {
        single(self.start.get(i).map_or(0.0, |v| f64::from(*v)) + by).clamp(0.0, 1.0)
    }

    fn set(&self, x: &mut [f32], i: usize, by: f64) -> bool {
        let value = self.moved(i, by);
        let Some(place) = x.get_mut(i) else { return false };
        let changed = (*place - value).abs() > 0.0;
        *place = value;
        changed
    }

    /// Vertical stripes at the edge of the budget; on tables each feature up or down.
    fn stripes(&self, x: &mut [f32], rng: &mut Rng) {
        match self.layout {
            Layout::Table { features } => {
                for i in 0..features {
                    self.set(x, i, self.epsilon * rng.sign());
                }
            }
            Layout::Image { channels, height, width } => {
                for channel in 0..channels {
                    for column in 0..width {
                        let by = self.epsilon * rng.sign();
                        for row in 0..height {
                            self.set(x, (channel * height + row) * width + column, by);
                        }
                    }
                }
            }
        }
    }

    /// One square, each channel up or down; drawn again when it changes nothing.
    fn square(&self, x: &mut [f32], share: f64, rng: &mut Rng) {
        for _ in 0..DRAWS_MAX {
            let mut changed = false;
            match self.layout {
                Layout::Table { features } => {
                    for i in group(share, features, rng) {
                        // Trees have steps inside the budget as well: a fifth of the values is drawn from all of it.
                        let inside = rng.uniform() < 0.2;
                        let by = if inside { rng.range(-1.0, 1.0) } else { rng.sign() };
                        changed |= self.set(x, i, self.epsilon * by);
                    }
                }
                Layout::Image { channels, height, width } => {
                    let side = root(share, height * width).clamp(1, height.min(width).max(1));
                    let (top, left) = (rng.below(height - side + 1), rng.below(width - side + 1));
                    for channel in 0..channels {
                        let by = self.epsilon * rng.sign();
                        for row in top..top + side {
                            for column in left..left + side {
                                changed |= self.set(x, (channel * height + row) * width + column, by);
                            }
                        }
                    }
                }
            }
            if changed {
                return;
            }
        }
    }

    /// The first perturbation of the Euclidean form: a tiling of bumps, scaled to the budget.
    fn tiles(&self, x: &mut [f32], rng: &mut Rng) {
        let mut delta = vec![0.0; x.len()];
        match self.layout {
            Layout::Table { .. } => delta.iter_mut().for_each(|d| *d = rng.sign()),
            Layout::Image { channels, height, width } => {
                let side = (height.min(width) / 5).max(1);
                for channel in 0..channels {
                    for top in (0..height).step_by(side) {
                        for left in (0..width).step_by(side) {
                            let (sign, bump) = (rng.sign(), bump(side, rng.sign() > 0.0));
                            for (n, b) in bump.iter().enumerate() {
                                let (row, column) = (top + n / side, left + n % side);
                                let place = delta.get_mut((channel * height + row) * width + column);
                                if let (true, Some(place)) = (row < height && column < width, place) {
                                    *place = sign * b;
                                }
                            }
                        }
                    }
                }
            }
        }
        self.scaled(x, &delta);
    }

    /// `x` becomes the start moved by `delta` scaled to the budget.
    fn scaled(&self, x: &mut [f32], delta: &[f64]) {
        let length = delta.iter().map(|d| d * d).sum::<f64>().sqrt();
        if length > 0.0 {
            for (i, d) in delta.iter().enumerate() {
                self.set(x, i, d / length * self.epsilon);
            }
        }
    }

    /// The Euclidean step: the budget spent in a second window, and what clipping left over, moves into a bump in the first.
    fn shift(&self, x: &mut [f32], share: f64, rng: &mut Rng) {
        let mut delta: Vec<f64> =
            x.iter().zip(self.start).map(|(x, s)| f64::from(*x) - f64::from(*s)).collect();
        let total: f64 = delta.iter().map(|d| d * d).sum();
        let (channels, cells) = match self.layout {
            Layout::Table { features } => (1, features),
            Layout::Image { channels, height, width } => (channels, height * width),
        };
        let (into, pattern) = self.window(share, rng);
        let (from, _) = self.window(share, rng);
        let spare = (self.epsilon * self.epsilon - total).max(0.0) / many(channels.max(1));
        for channel in 0..channels {
            let sign = rng.sign();
            let at = |cell: usize| channel * cells + cell;
            let get = |delta: &[f64], cell: usize| delta.get(at(cell)).copied().unwrap_or(0.0);
            let own: f64 = into.iter().map(|c| get(&delta, *c).powi(2)).sum::<f64>();
            let old: Vec<f64> = into.iter().map(|c| get(&delta, *c) / own.sqrt().max(1e-12)).collect();
            let mut freed = own;
            for cell in &into {
                if let Some(d) = delta.get_mut(at(*cell)) {
                    *d = 0.0;
                }
            }
            for cell in &from {
                if let Some(d) = delta.get_mut(at(*cell)) {
                    freed += *d * *d;
                    *d = 0.0;
                }
            }
            let new: Vec<f64> = pattern.iter().zip(&old).map(|(p, o)| sign * p + o).collect();
            let length = new.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
            for (cell, v) in into.iter().zip(new) {
                if let Some(d) = delta.get_mut(at(*cell)) {
                    *d = v / length * (freed + spare).sqrt();
                }
            }
        }
        self.scaled(x, &delta);
    }

    /// Cells of a random window, and a pattern of length 1 in it.
    fn window(&self, share: f64, rng: &mut Rng) -> (Vec<usize>, Vec<f64>) {
        match self.layout {
            Layout::Table { features } => {
                let cells = group(share, features, rng);
                let each = 1.0 / many(cells.len().max(1)).sqrt();
                let pattern = cells.iter().map(|_| each * rng.sign()).collect();
                (cells, pattern)
            }
            Layout::Image { height, width, .. } => {
                let widest = height.min(width).max(1);
                let side = (root(share, height * width).max(3) | 1).min(widest);
                let (top, left) = (rng.below(height - side + 1), rng.below(width - side + 1));
                let cells = (0..side * side).map(|n| (top + n / side) * width + left + n % side).collect();
                (cells, bump(side, rng.sign() > 0.0))
            }
        }
    }
}

/// A random group of features that covers `share` of them, one at least.
fn group(share: f64, features: usize, rng: &mut Rng) -> Vec<usize> {
    let count = root(share * share * many(features), features).clamp(1, features.max(1));
    let mut order = rng.permutation(features);
    order.truncate(count);
    order
}

/// Two bumps of opposite sign side by side, or one above the other: each the sum of nested rectangles that weigh 1/k² (the paper's supplement), of Euclidean length 1.
fn bump(side: usize, across: bool) -> Vec<f64> {
    let half = side / 2;
    let mut out: Vec<f64> = (0..side * side)
        .map(|n| {
            let (a, b) = if across { (n / side, n % side) } else { (n % side, n / side) };
            let (from, length, sign) = if a < half { (0, half, 1.0) } else { (half, side - half, -1.0) };
            let apart = (a - from).abs_diff(length / 2).max(b.abs_diff(side / 2));
            let last = (length / 2).max(side / 2);
            sign * (apart..=last).map(|k| 1.0 / many(k + 1).powi(2)).sum::<f64>()
        })
        .collect();
    let length = out.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
    out.iter_mut().for_each(|v| *v /= length);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evasion::tests::check_breaks_the_linear_model;

    #[test]
    fn tables_are_searched_to_the_edge_of_the_budget() {
        check_breaks_the_linear_model("square", 0.9);
    }

    #[test]
    fn a_group_covers_its_share() {
        let mut rng = Rng::new(1, 0);
        assert_eq!(group(0.8, 10, &mut rng).len(), 8);
        assert_eq!(group(0.0, 10, &mut rng).len(), 1);
        assert_eq!(group(1.0, 1, &mut rng), [0]);
    }

    #[test]
    fn bumps_have_length_one_and_two_signs() {
        for side in 1..8 {
            let b = bump(side, side % 2 == 0);
            assert!((b.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-9, "{side}");
            assert_eq!(side > 1, b.iter().any(|v| *v > 0.0) && b.iter().any(|v| *v < 0.0), "{side}");
        }
    }

    #[test]
    fn squares_halve_over_the_queries_given() {
        let square = Square::default();
        assert!((square.share(0, 1_000) - 0.8).abs() < 1e-12);
        assert!((square.share(999, 1_000) - 0.8 / 512.0).abs() < 1e-12);
    }
}
