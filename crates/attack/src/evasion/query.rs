//! Asking a model on behalf of many samples at once: one batch per step, noise on what is sent if the attacker hides, and what a refusal teaches.
//!
//! A refused or unanswered row is `None`: an attack treats it as "no improvement". With `adapt`, an attacker takes a refusal as a hint that queries lie too close
//! together and spreads them (Feng et al. 2023, doi:10.1145/3576915.3623116): [`Asker::shyness`] grows with refusals and falls back with answers. With `calibrate` it first
//! finds out by halving how far apart queries must be to be answered, and does not go below that.

use numeric::Rng;

use crate::access::{Fault, Labels, Replies, Rows, Scores, argmax};
use crate::evasion::{Candidates, Task};
use crate::loss::best_other;

/// Rows put to the model in one call: enough to keep a core busy, little enough for small memory.
const ROWS_MAX: usize = 256;
/// Factor by which a refusal spreads the next query.
const SHY_UP: f64 = 1.5;
/// Factor by which an answer draws the next query back.
const SHY_DOWN: f64 = 0.97;
/// Largest spread.
const SHY_MAX: f64 = 64.0;
/// Noise that an adapting attacker adds per unit of shyness above 1.
const SHY_NOISE: f64 = 0.004;
/// Largest standard deviation of the noise on a query.
const NOISE_MAX: f64 = 0.3;
/// Halvings with which an adapting attacker looks for the distance at which it is let through.
const CALIBRATIONS: u32 = 5;
/// Queries sent at each of those distances: as many as a guard that counts neighbours has to see.
const PROBES: usize = 6;
/// Streams of randomness.
const STREAM_NOISE: u64 = 0xb11d;

/// A batch of queries and its answers.
pub(super) struct Asker<'t> {
    task: &'t Task<'t>,
    blind: f64,
    adapt: bool,
    noise: Vec<Rng>,
    shy: Vec<f64>,
    floor: Vec<f64>,
    asked: Vec<u64>,
    owners: Vec<usize>,
    samples: Vec<usize>,
    values: Vec<f32>,
    labels: Vec<Option<usize>>,
    margins: Vec<Option<f32>>,
    replies: Replies,
    chunk: Vec<Option<usize>>,
}

impl<'t> Asker<'t> {
    /// `blind`: standard deviation of the noise added to each query; `adapt`: spread after refusals.
    pub(super) fn new(task: &'t Task<'t>, blind: f64, adapt: bool) -> Self {
        let n = task.len();
        Self {
            task,
            blind,
            adapt,
            noise: (0..n).map(|at| task.rng(at, STREAM_NOISE)).collect(),
            shy: vec![1.0; n],
            floor: vec![1.0; n],
            asked: vec![0; n],
            owners: Vec::new(),
            samples: Vec::new(),
            values: Vec::new(),
            labels: Vec::new(),
            margins: Vec::new(),
            replies: Replies::default(),
            chunk: Vec::new(),
        }
    }

    /// True when queries are not exactly the rows they stand for, so that a finding must be asked again plainly.
    pub(super) fn blurs(&self) -> bool {
        self.blind > 0.0 || self.adapt
    }

    /// Starts a new batch.
    pub(super) fn clear(&mut self) {
        self.owners.clear();
        self.samples.clear();
        self.values.clear();
    }

    /// Adds `x` for the task's row `at`, with noise.
    pub(super) fn add(&mut self, at: usize, x: &[f32]) {
        let from = self.values.len();
        self.add_plain(at, x);
        let sigma = self.sigma(at);
        let (Some(rng), Some(row)) = (self.noise.get_mut(at), self.values.get_mut(from..)) else { return };
        if sigma > 0.0 {
            for v in row {
                *v = single(f64::from(*v) + sigma * rng.normal()).clamp(0.0, 1.0);
            }
        }
    }

    /// Adds `x` as it is.
    pub(super) fn add_plain(&mut self, at: usize, x: &[f32]) {
        self.owners.push(at);
        self.samples.push(self.task.samples.get(at).copied().unwrap_or(at));
        self.values.extend_from_slice(x);
    }

    fn sigma(&self, at: usize) -> f64 {
        let shy = self.shyness(at);
        (self.blind * shy + if self.adapt { SHY_NOISE * (shy - 1.0) } else { 0.0 }).min(NOISE_MAX)
    }

    /// How far row `at` should spread its queries: 1 while nothing is refused.
    pub(super) fn shyness(&self, at: usize) -> f64 {
        self.shy.get(at).copied().unwrap_or(1.0)
    }

    /// Queries asked for row `at`.
    pub(super) fn asked(&self, at: usize) -> u64 {
        self.asked.get(at).copied().unwrap_or(0)
    }

    /// Rows in the batch.
    pub(super) fn len(&self) -> usize {
        self.owners.len()
    }

    /// Row of the task that query `n` belongs to.
    pub(super) fn owner(&self, n: usize) -> usize {
        self.owners.get(n).copied().unwrap_or(0)
    }

    /// What was sent as query `n`.
    pub(super) fn sent(&self, n: usize) -> &[f32] {
        let width = self.task.width();
        self.values.get(n * width..(n + 1) * width).unwrap_or_default()
    }

    /// The class that query `n` got.
    pub(super) fn label(&self, n: usize) -> Option<usize> {
        self.labels.get(n).copied().flatten()
    }

    /// Whether query `n` was answered with another class than the true one; `None` without an answer.
    pub(super) fn broken(&self, n: usize) -> Option<bool> {
        let truth = self.task.labels.get(self.owner(n)).copied()?;
        self.label(n).map(|seen| seen != truth)
    }

    /// Score of the true class minus the best other of query `n`; `None` without an answer.
    pub(super) fn margin(&self, n: usize) -> Option<f32> {
        self.margins.get(n).copied().flatten()
    }

    /// Asks for labels.
    pub(super) fn labels<M: Labels + ?Sized>(&mut self, model: &mut M) -> Result<(), Fault> {
        self.labels.clear();
        self.margins.clear();
        let width = self.task.width();
        for (values, samples) in self.values.chunks(ROWS_MAX * width).zip(self.samples.chunks(ROWS_MAX)) {
            model.labels(Rows::new(values, width, samples)?, &mut self.chunk)?;
            self.labels.extend_from_slice(&self.chunk);
        }
        self.learn();
        Ok(())
    }

    /// Asks for scores.
    pub(super) fn scores(&mut self, model: &mut dyn Scores) -> Result<(), Fault> {
        self.labels.clear();
        self.margins.clear();
        let width = self.task.width();
        let chunks = self.values.chunks(ROWS_MAX * width).zip(self.samples.chunks(ROWS_MAX));
        for (chunk, (values, samples)) in chunks.enumerate() {
            model.scores(Rows::new(values, width, samples)?, &mut self.replies)?;
            for n in 0..samples.len() {
                let row = self.replies.row(n).and_then(|scores| Some((scores, argmax(scores)?)));
                let at = self.owners.get(chunk * ROWS_MAX + n).copied().unwrap_or(0);
                let truth = self.task.labels.get(at).copied().unwrap_or(0);
                self.labels.push(row.map(|(_, class)| class));
                self.margins.push(row.and_then(|(scores, _)| margin(scores, truth)));
            }
        }
        self.learn();
        Ok(())
    }

    /// Counts, and takes refusals as hints.
    fn learn(&mut self) {
        for (at, label) in self.owners.iter().zip(&self.labels) {
            if let Some(asked) = self.asked.get_mut(*at) {
                *asked += 1;
            }
            if let (true, Some(shy), Some(floor)) = (self.adapt, self.shy.get_mut(*at), self.floor.get(*at)) {
                let by = if label.is_some() { SHY_DOWN } else { SHY_UP };
                *shy = (*shy * by).clamp(*floor, SHY_MAX);
            }
        }
    }

    /// Finds for each row how far queries must be spread to be answered, by halving between not at all and as far as it goes; where even that is refused, spreading
    /// does not help and none is done. Costs 36 queries a row.
    pub(super) fn calibrate<M: Labels + ?Sized>(&mut self, model: &mut M) -> Result<(), Fault> {
        let n = self.task.len();
        let (mut low, mut high) = (vec![1.0_f64; n], vec![SHY_MAX; n]);
        for round in 0..=CALIBRATIONS {
            self.clear();
            for at in 0..n {
                let (Some(l), Some(h)) = (low.get(at), high.get(at)) else { continue };
                let spread = if round == 0 { SHY_MAX } else { (l * h).sqrt() };
                if let (Some(shy), Some(floor)) = (self.shy.get_mut(at), self.floor.get_mut(at)) {
                    (*shy, *floor) = (spread, 1.0);
                }
                for _ in 0..PROBES {
                    self.add(at, self.task.start(at));
                }
            }
            let spreads = self.shy.clone();
            self.labels(model)?;
            let mut refused = vec![false; n];
            for query in 0..self.len() {
                if let (None, Some(place)) = (self.label(query), refused.get_mut(self.owner(query))) {
                    *place = true;
                }
            }
            for (at, spread) in spreads.iter().enumerate() {
                let (Some(l), Some(h), Some(refused)) = (low.get_mut(at), high.get_mut(at), refused.get(at))
                else {
                    continue;
                };
                match (round, refused) {
                    // Even the largest spread is refused.
                    (0, true) => (*l, *h) = (1.0, 1.0),
                    (0, false) => {}
                    (_, true) => *l = *spread,
                    (_, false) => *h = *spread,
                }
            }
        }
        self.shy.clone_from(&high);
        self.floor = high;
        Ok(())
    }

    /// Asks plainly whether each row of `rows` (task row and values) has another class than the true one.
    pub(super) fn confirm<M: Labels + ?Sized>(
        &mut self,
        model: &mut M,
        rows: &[(usize, &[f32])],
    ) -> Result<Vec<bool>, Fault> {
        self.clear();
        for (at, x) in rows {
            self.add_plain(*at, x);
        }
        self.labels(model)?;
        Ok((0..rows.len()).map(|n| self.broken(n) == Some(true)).collect())
    }
}

fn margin(scores: &[f32], truth: usize) -> Option<f32> {
    Some(scores.get(truth)? - scores.get(best_other(scores, truth))?)
}

/// What an attack may ask per row: its own number, or what the task leaves if that is less.
pub(super) fn limit(own: u64, task: &Task<'_>) -> u64 {
    own.min(task.queries_max.unwrap_or(u64::MAX))
}

/// To the precision of the rows.
#[expect(clippy::cast_possible_truncation, reason = "rows are single precision")]
pub(super) fn single(x: f64) -> f32 {
    x as f32
}

/// The smallest number, so that a square root of a count is one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small counts"
)]
pub(super) fn root(share: f64, cells: usize) -> usize {
    (share * cells as f64).max(0.0).sqrt().round() as usize
}

/// A number of queries as a factor.
#[expect(clippy::cast_precision_loss, reason = "counts of queries are far below 2^52")]
pub(super) fn real(n: u64) -> f64 {
    n as f64
}

/// A number of values as a factor.
#[expect(clippy::cast_precision_loss, reason = "rows are far shorter than 2^52")]
pub(super) fn many(n: usize) -> f64 {
    n as f64
}

/// Notes `row` as what was found for the task's row `at`.
pub(super) fn claim(found: &mut Candidates, at: usize, row: &[f32]) {
    let place = found.rows.get_mut(at * row.len()..(at + 1) * row.len());
    if let (Some(place), Some(claimed)) = (place, found.claimed.get_mut(at)) {
        place.copy_from_slice(row);
        *claimed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Layout, RowByRow, Space};
    use crate::norm::{Ball, Norm};
    use crate::pace::Quiet;

    fn task(starts: &[f32]) -> Task<'_> {
        Task {
            starts,
            labels: &[0],
            samples: &[0],
            others: &[],
            ball: Ball { norm: Norm::L2, epsilon: 1.0 },
            seed: 1,
            queries_max: None,
            pace: &Quiet,
        }
    }

    /// Refuses what lies nearer to the start than `near`.
    fn calibrated(near: f64) -> f64 {
        let starts = vec![0.5_f32; 256];
        let task = task(&starts);
        let space = Space { layout: Layout::Table { features: 256 }, classes: 2 };
        let ask = |_: usize, row: &[f32]| -> Result<Option<Vec<f32>>, Fault> {
            Ok((Norm::L2.distance(&starts, row) >= near).then(|| vec![1.0, 0.0]))
        };
        let mut client = RowByRow::new(space, ask);
        let mut asker = Asker::new(&task, 0.0, true);
        asker.calibrate(&mut client).unwrap();
        asker.shyness(0)
    }

    #[test]
    fn the_distance_at_which_queries_are_answered_is_found() {
        // Noise of 0.004 x (spread - 1) in 256 values is 0.064 x (spread - 1) long, a few per cent more or less.
        let spread = calibrated(0.64);
        assert!((11.0..15.0).contains(&spread), "{spread}");
        assert!(calibrated(0.0) < 1.2, "nothing is refused, nothing is spread much");
    }

    #[test]
    fn where_no_distance_is_answered_nothing_is_spread() {
        assert!((calibrated(1e9) - 1.0).abs() < 1e-12);
    }
}
