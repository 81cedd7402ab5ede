//! Random search over few values: which pixels or features, and what to write into them. Scores only.

use numeric::Rng;
use serde::{Deserialize, Serialize};

use crate::access::{Fault, Layout, Scores};
use crate::evasion::query::{Asker, claim, limit, many, real, single};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithScores, parameters};
use crate::norm::Norm;

domain::catalogue_entry! {
    /// A few pixels or features set to anything, found by random search.
    ///
    /// ## What it is
    /// The budget is a number of values (pixels with all their channels on images). A random set is written to the ends of the range; then part of
    /// the set is exchanged, fewer at a time as the search goes on, and a change stays if the margin of the true class falls. One query per step.
    ///
    /// ## Why it matters in care
    /// One wrong laboratory value, a few dead or burnt-in pixels: this is the worst that so few can do.
    ///
    /// ## Limits
    /// The values written may lie far from anything plausible; for patients' rows see the attacks that keep a rulebook.
    ///
    /// ## References
    /// Croce, Andriushchenko, Singh, Flammarion, Hein 2022 (Sparse-RS), arXiv:2006.12834.
    pub static ENTRY = { id: "X033", name: "sparse-search", kind: Attack, since: "0.1.0", maps: ["AML.T0043.001", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Scores,
    norms: &[Norm::L0],
    minimal: false,
    build: |given| Ok(Evasion::Scores(Box::new(parameters::<Sparse>(given)?))),
};

/// Parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Sparse {
    /// Queries per sample.
    queries: u64,
    /// Share of the set exchanged at first.
    share: f64,
    /// Standard deviation of noise on each query.
    blind: f64,
    /// Spread queries after refusals.
    adapt: bool,
}

impl Default for Sparse {
    fn default() -> Self {
        // 0.3 as in the paper; its 10,000 queries are halved, since clinical rows are smaller than its images.
        Self { queries: 5_000, share: 0.3, blind: 0.0, adapt: false }
    }
}

/// The values chosen for one row, and what is written into them.
#[derive(Debug, Clone, Default)]
struct Chosen {
    cells: Vec<usize>,
    values: Vec<f32>,
}

/// How a row is made of cells: a cell is a feature, or a pixel with its channels.
#[derive(Clone, Copy)]
struct Grid {
    channels: usize,
    cells: usize,
    table: bool,
}

struct Search {
    at: usize,
    rng: Rng,
    best: Chosen,
    margin: f32,
}

impl WithScores for Sparse {
    fn attack(&self, model: &mut dyn Scores, task: &Task<'_>) -> Result<Candidates, Fault> {
        let mut found = Candidates::at_start(task);
        let grid = match model.space().layout {
            Layout::Table { features } => Grid { channels: 1, cells: features, table: true },
            Layout::Image { channels, height, width } => {
                Grid { channels, cells: height * width, table: false }
            }
        };
        let count = whole(task.ball.epsilon) / grid.channels.max(1);
        let count = count.min(grid.cells);
        if count == 0 {
            return Ok(found);
        }
        let queries = limit(self.queries, task);
        let mut asker = Asker::new(task, self.blind, self.adapt);
        let mut searches: Vec<Search> = (0..task.len())
            .map(|at| Search { at, rng: task.rng(at, 0), best: Chosen::default(), margin: f32::INFINITY })
            .collect();
        for step in 0..queries {
            if task.pace.stop() {
                found.stopped = true;
                break;
            }
            task.pace.step(step, queries);
            searches.retain(|s| asker.asked(s.at) < queries && found.claimed.get(s.at) == Some(&false));
            if searches.is_empty() {
                break;
            }
            asker.clear();
            let mut trials = Vec::new();
            for search in &mut searches {
                let share = self.share(step, queries) * asker.shyness(search.at);
                let trial = search.propose(grid, count, share);
                let row = grid.write(task.start(search.at), &trial);
                asker.add(search.at, &row);
                trials.push((trial, row));
            }
            asker.scores(model)?;
            let mut broken: Vec<(usize, Vec<f32>)> = Vec::new();
            for (n, (search, (trial, row))) in searches.iter_mut().zip(trials).enumerate() {
                let Some(margin) = asker.margin(n) else { continue };
                let fell = asker.broken(n) == Some(true);
                if margin <= search.margin || fell {
                    (search.margin, search.best) = (margin, trial);
                }
                if fell {
                    broken.push((search.at, row));
                }
            }
            if asker.blurs() && !broken.is_empty() {
                let rows: Vec<(usize, &[f32])> =
                    broken.iter().map(|(at, row)| (*at, row.as_slice())).collect();
                let sure = asker.confirm(model, &rows)?;
                let mut sure = sure.into_iter();
                broken.retain(|_| sure.next() == Some(true));
            }
            broken.iter().for_each(|(at, row)| claim(&mut found, *at, row));
        }
        Ok(found)
    }
}

impl Sparse {
    /// Share of the set exchanged at `step`: falls as in the paper's schedule, from the first share to a hundredth of it.
    fn share(&self, step: u64, queries: u64) -> f64 {
        let reached = real(step) / real(queries.max(1));
        let falls = [0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8];
        let passed = falls.iter().filter(|f| reached > **f).count();
        self.share.clamp(0.0, 1.0) / (1.0 + many(passed)).powi(2)
    }
}

impl Search {
    /// Exchanges a share of the set; at the start a random set.
    fn propose(&mut self, grid: Grid, count: usize, share: f64) -> Chosen {
        let Self { rng, best, .. } = self;
        if best.cells.is_empty() {
            let mut cells = rng.permutation(grid.cells);
            cells.truncate(count);
            let values = (0..count * grid.channels).map(|_| grid.value(rng)).collect();
            return Chosen { cells, values };
        }
        let mut trial = best.clone();
        let exchanged = whole((share * many(count)).round()).clamp(1, count);
        for _ in 0..exchanged {
            let place = rng.below(count);
            // Half of the exchanges of a table keep the feature and change its value.
            let other = rng.below(grid.cells);
            let stay = grid.table && rng.uniform() < 0.5;
            if let (false, false, Some(cell)) =
                (stay, trial.cells.contains(&other), trial.cells.get_mut(place))
            {
                *cell = other;
            }
            for value in trial.values.iter_mut().skip(place * grid.channels).take(grid.channels) {
                *value = grid.value(rng);
            }
        }
        trial
    }
}

impl Grid {
    /// An end of the range; on a table, whose scale has steps, anything in it now and then.
    fn value(self, rng: &mut Rng) -> f32 {
        if self.table && rng.uniform() < 0.5 {
            single(rng.uniform())
        } else {
            f32::from(u8::from(rng.uniform() < 0.5))
        }
    }

    fn write(self, start: &[f32], chosen: &Chosen) -> Vec<f32> {
        let mut row = start.to_vec();
        for (cell, values) in chosen.cells.iter().zip(chosen.values.chunks(self.channels.max(1))) {
            for (channel, value) in values.iter().enumerate() {
                if let Some(place) = row.get_mut(channel * self.cells + cell) {
                    *place = *value;
                }
            }
        }
        row
    }
}

/// A number of values out of a budget.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number of values, not negative"
)]
fn whole(x: f64) -> usize {
    x.clamp(0.0, 1e12) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evasion::tests::{Linear, check_breaks_the_linear_model};
    use crate::evasion::{Target, find, run};
    use crate::norm::Ball;
    use crate::pace::Quiet;

    #[test]
    fn the_budget_of_values_is_kept() {
        check_breaks_the_linear_model("sparse-search", 0.9);
    }

    #[test]
    fn the_one_value_that_decides_is_found() {
        // Only feature 5 of 40 matters.
        let mut weights = vec![vec![0.0; 40]; 2];
        weights[0][5] = 1.0;
        let mut model =
            Linear { weights, bias: vec![0.0, 0.3], layout: Layout::Table { features: 40 }, asked: 0 };
        let task = Task {
            starts: &[0.5; 40],
            labels: &[0],
            samples: &[0],
            others: &[],
            ball: Ball { norm: Norm::L0, epsilon: 1.0 },
            seed: 1,
            queries_max: None,
            pace: &Quiet,
        };
        let registered = find("sparse-search").unwrap();
        let attack = (registered.build)(&serde_json::Value::Null).unwrap();
        let attacked = run(registered, &attack, Target::Scores(&mut model), &task).unwrap();
        assert!(attacked.outcomes[0].broken, "{attacked:?}");
    }
}
