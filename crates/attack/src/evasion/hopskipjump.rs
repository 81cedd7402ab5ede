//! HopSkipJump: along the decision boundary with labels only.

use numeric::Rng;
use serde::{Deserialize, Serialize};

use crate::access::{Fault, Labels, Layout};
use crate::evasion::half_circle::{Plane, unit};
use crate::evasion::origins::{origins, towards};
use crate::evasion::query::{Asker, claim, limit, many, real, single};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithLabels, parameters};
use crate::norm::Norm;

domain::catalogue_entry! {
    /// Walks along the decision boundary towards the start, with the decision only.
    ///
    /// ## What it is
    /// From an input of another class it goes to the boundary by halving, estimates the direction across the boundary from the labels of many points close by, steps
    /// along it as far as the class stays wrong, and goes back to the boundary; each round ends nearer to the start. In the Euclidean norm the step goes along the half circle
    /// through start and place instead (CGBA), which never leads away from the start. The directions of earlier rounds are remembered with
    /// falling weight, since the boundary bends little between rounds. The input of another class comes from several strategies (noise, negative, blur, constants,
    /// contrast); a row for which none is found is left, and the others go on.
    ///
    /// ## Why it matters in care
    /// A system that shows nothing but "pneumonia: yes or no" can be attacked.
    ///
    /// ## Limits
    /// It asks thousands of similar rows. On models with steps, such as trees, directions near the boundary say little; `rays` is stronger there. With noise on queries
    /// (`blind`) the boundary is found less exactly.
    ///
    /// ## References
    /// Chen, Jordan, Wainwright 2020, arXiv:1904.02144. Half circle: Reza et al. 2023 (CGBA), ICCV. Spreading after refusals: Feng et al. 2023, arXiv:2303.06280.
    pub static ENTRY = { id: "X031", name: "hopskipjump", kind: Attack, since: "0.1.0", maps: ["AML.T0043.001", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Labels,
    norms: &[Norm::L2, Norm::Linf],
    minimal: true,
    build: |given| Ok(Evasion::Labels(Box::new(parameters::<HopSkipJump>(given)?))),
};

/// Parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct HopSkipJump {
    /// Queries per sample.
    queries: u64,
    /// Points around the boundary in the first round; it grows with the square root of the round.
    evaluations: u64,
    /// Inputs tried to find one of another class.
    starts: u64,
    /// Weight of the directions of earlier rounds, 0 to 1.
    memory: f64,
    /// Share of the points around the boundary, on images, that change squares of 2 x 2 pixels together.
    coarse: f64,
    /// Standard deviation of noise on each query.
    blind: f64,
    /// Spread queries after refusals.
    adapt: bool,
    /// Find out first how far apart queries must be to be answered; only with `adapt`.
    calibrate: bool,
}

impl Default for HopSkipJump {
    fn default() -> Self {
        // 5,000 queries: where the paper's curves flatten on small images.
        Self {
            queries: 5_000,
            evaluations: 100,
            starts: 60,
            memory: 0.5,
            coarse: 0.5,
            blind: 0.0,
            adapt: false,
            calibrate: false,
        }
    }
}

/// Halvings on the way to the boundary.
const HALVINGS_MAX: u32 = 16;
/// Halvings of a step that went too far.
const STEPS_MAX: usize = 10;
/// Points asked in one call while a direction is estimated.
const POINTS_AT_ONCE: u64 = 64;

/// One row's way.
struct Walk {
    at: usize,
    rng: Rng,
    /// Seen as another class.
    x: Vec<f32>,
    /// The nearest so far that was certainly another class.
    best: Vec<f32>,
    distance: f64,
    round: u64,
    /// Across the boundary, of Euclidean length 1; empty before the first round.
    direction: Vec<f64>,
    /// Multiplies the distance of the points from the boundary: grows where all of them get one label.
    wide: f64,
}

impl WithLabels for HopSkipJump {
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
            walks.push(Walk {
                at,
                rng: task.rng(at, 1),
                best: x.clone(),
                distance: f64::INFINITY,
                x,
                round: 0,
                direction: Vec::new(),
                wide: 1.0,
            });
        }
        self.to_boundary(model, &mut asker, task, &mut walks)?;
        loop {
            found.stopped = task.pace.stop();
            let done = walks.iter().map(|w| asker.asked(w.at)).min().unwrap_or(queries);
            task.pace.step(done.min(queries), queries);
            let mut going: Vec<&mut Walk> =
                walks.iter_mut().filter(|w| asker.asked(w.at) + 4 < queries && w.distance > 0.0).collect();
            if going.is_empty() || found.stopped {
                break;
            }
            self.estimate(model, &mut asker, task, &mut going, queries)?;
            match task.ball.norm {
                // With noise a place may have slid to the other side: the step leads out again, the half circle would not.
                Norm::L2 if !asker.blurs() => around_start(model, &mut asker, task, &mut going)?,
                _ => step(model, &mut asker, task, &mut going)?,
            }
            drop(going);
            let mut moving: Vec<Walk> = Vec::new();
            let mut rest: Vec<Walk> = Vec::new();
            for walk in walks {
                let live = asker.asked(walk.at) < queries;
                if live { moving.push(walk) } else { rest.push(walk) }
            }
            self.to_boundary(model, &mut asker, task, &mut moving)?;
            walks = moving;
            walks.append(&mut rest);
        }
        for walk in &walks {
            if walk.distance.is_finite() {
                claim(&mut found, walk.at, &walk.best);
            }
        }
        Ok(found)
    }
}

impl HopSkipJump {
    /// Halves the way between the start and `x` until it lies on the boundary, and remembers what is nearest.
    fn to_boundary(
        &self,
        model: &mut dyn Labels,
        asker: &mut Asker<'_>,
        task: &Task<'_>,
        walks: &mut [Walk],
    ) -> Result<(), Fault> {
        let norm = task.ball.norm;
        let halvings = halvings(norm, task.width());
        let mut ends = vec![(0.0_f64, 1.0_f64); walks.len()];
        let mut row = vec![0.0; task.width()];
        for _ in 0..halvings {
            asker.clear();
            for (walk, (low, high)) in walks.iter().zip(&ends) {
                towards(norm, task.start(walk.at), &walk.x, f64::midpoint(*low, *high), &mut row);
                asker.add(walk.at, &row);
            }
            asker.labels(model)?;
            for (n, (low, high)) in ends.iter_mut().enumerate() {
                let middle = f64::midpoint(*low, *high);
                if asker.broken(n) == Some(true) {
                    *high = middle;
                } else {
                    *low = middle;
                }
            }
        }
        let mut better = Vec::new();
        for (n, (walk, (_, high))) in walks.iter_mut().zip(&ends).enumerate() {
            towards(norm, task.start(walk.at), &walk.x, *high, &mut row);
            if *high < 1.0 {
                walk.x.copy_from_slice(&row);
            }
            if norm.distance(task.start(walk.at), &walk.x) < walk.distance {
                better.push(n);
            }
        }
        let sure = if asker.blurs() && !better.is_empty() {
            let rows: Vec<(usize, &[f32])> =
                better.iter().filter_map(|n| walks.get(*n)).map(|w| (w.at, w.x.as_slice())).collect();
            asker.confirm(model, &rows)?
        } else {
            vec![true; better.len()]
        };
        for (n, sure) in better.into_iter().zip(sure) {
            if let (true, Some(walk)) = (sure, walks.get_mut(n)) {
                walk.distance = norm.distance(task.start(walk.at), &walk.x);
                walk.best.copy_from_slice(&walk.x);
            }
        }
        Ok(())
    }

    /// Estimates the direction across the boundary at each walk's place.
    fn estimate(
        &self,
        model: &mut dyn Labels,
        asker: &mut Asker<'_>,
        task: &Task<'_>,
        walks: &mut [&mut Walk],
        queries: u64,
    ) -> Result<(), Fault> {
        let (width, norm) = (task.width(), task.ball.norm);
        let layout = model.space().layout;
        let coarse = if matches!(layout, Layout::Image { .. }) { self.coarse } else { 0.0 };
        let mut sums: Vec<Tally> = Vec::new();
        for walk in walks.iter_mut() {
            walk.round += 1;
            let wanted = (real(self.evaluations) * real(walk.round).sqrt()).round();
            let left = queries.saturating_sub(asker.asked(walk.at));
            let distance = norm.distance(task.start(walk.at), &walk.x);
            let reach = reach(norm, width, distance, walk.round) * walk.wide * asker.shyness(walk.at);
            sums.push(Tally::new(width, whole(wanted).min(left), reach));
        }
        let mut row = vec![0.0; width];
        loop {
            asker.clear();
            let mut owners = Vec::new();
            for (n, (walk, sum)) in walks.iter_mut().zip(&mut sums).enumerate() {
                let now = sum.left.min(POINTS_AT_ONCE);
                sum.left -= now;
                for _ in 0..now {
                    if walk.rng.uniform() < coarse {
                        around_coarse(&mut walk.rng, &walk.x, sum.reach, layout, &mut row);
                    } else {
                        around(&mut walk.rng, &walk.x, sum.reach, &mut row);
                    }
                    asker.add(walk.at, &row);
                    owners.push(n);
                }
            }
            if owners.is_empty() || task.pace.stop() {
                break;
            }
            asker.labels(model)?;
            for (n, owner) in owners.into_iter().enumerate() {
                if let (Some(walk), Some(sum), Some(broken)) =
                    (walks.get(owner), sums.get_mut(owner), asker.broken(n))
                {
                    sum.add(&walk.x, asker.sent(n), broken);
                }
            }
        }
        for (walk, sum) in walks.iter_mut().zip(&sums) {
            walk.wide = match sum.lopsided() {
                true => (walk.wide * 2.0).min(64.0),
                false => (walk.wide * 0.7).max(1.0),
            };
            walk.direction = sum.direction(&walk.direction, self.memory);
        }
        Ok(())
    }
}

/// Steps along each walk's direction, halved until the class is still wrong.
fn step(
    model: &mut dyn Labels,
    asker: &mut Asker<'_>,
    task: &Task<'_>,
    walks: &mut [&mut Walk],
) -> Result<(), Fault> {
    let norm = task.ball.norm;
    let mut lengths: Vec<Option<f64>> =
        walks.iter().map(|w| Some(norm.distance(task.start(w.at), &w.x) / real(w.round).sqrt())).collect();
    for _ in 0..STEPS_MAX {
        asker.clear();
        let mut owners = Vec::new();
        for (n, (walk, length)) in walks.iter().zip(&lengths).enumerate() {
            let Some(length) = length else { continue };
            let row: Vec<f32> = walk
                .x
                .iter()
                .zip(&walk.direction)
                .map(|(x, g)| {
                    let by = if norm == Norm::Linf { sign(*g) } else { *g };
                    single(f64::from(*x) + length * by).clamp(0.0, 1.0)
                })
                .collect();
            asker.add(walk.at, &row);
            owners.push((n, row));
        }
        if owners.is_empty() {
            break;
        }
        asker.labels(model)?;
        for (n, (owner, row)) in owners.into_iter().enumerate() {
            let (Some(walk), Some(length)) = (walks.get_mut(owner), lengths.get_mut(owner)) else { continue };
            if asker.broken(n) == Some(true) {
                walk.x = row;
                *length = None;
            } else {
                *length = length.map(|l| l / 2.0);
            }
        }
    }
    Ok(())
}

/// Halvings of the angle on the half circle.
const ANGLES: usize = 10;

/// Goes along the half circle through the start and each walk's place, which leaves it in the estimated direction, as far as the class stays wrong: at angle θ the distance to
/// the start is cos θ of what it was, so every step of the search that keeps the class gains, where a straight step and the way back to the boundary may not
/// (Reza et al. 2023, CGBA).
fn around_start(
    model: &mut dyn Labels,
    asker: &mut Asker<'_>,
    task: &Task<'_>,
    walks: &mut [&mut Walk],
) -> Result<(), Fault> {
    let mut ends = vec![(0.0_f64, std::f64::consts::FRAC_PI_2); walks.len()];
    let planes: Vec<Plane> = walks.iter().map(|w| Plane::new(task.start(w.at), &w.x, &w.direction)).collect();
    let mut row = vec![0.0; task.width()];
    for _ in 0..ANGLES {
        asker.clear();
        for ((walk, plane), (low, high)) in walks.iter().zip(&planes).zip(&ends) {
            plane.point(task.start(walk.at), f64::midpoint(*low, *high), &mut row);
            asker.add(walk.at, &row);
        }
        asker.labels(model)?;
        for (n, (low, high)) in ends.iter_mut().enumerate() {
            let middle = f64::midpoint(*low, *high);
            match asker.broken(n) {
                Some(true) => *low = middle,
                Some(false) => *high = middle,
                // Refused: the same angle is asked again.
                None => {}
            }
        }
    }
    for ((walk, plane), (low, _)) in walks.iter_mut().zip(&planes).zip(&ends) {
        if *low > 0.0 {
            plane.point(task.start(walk.at), *low, &mut row);
            walk.x.copy_from_slice(&row);
        }
    }
    Ok(())
}

fn sign(g: f64) -> f64 {
    if g == 0.0 { 0.0 } else { g.signum() }
}

/// A whole number of queries.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to whole numbers of queries"
)]
fn whole(x: f64) -> u64 {
    x.clamp(1.0, 1e9) as u64
}

/// Halvings after which the boundary is as near as the paper's tolerance: d^(-3/2) of the way, in the largest-change norm d^(-2).
fn halvings(norm: Norm, width: usize) -> u32 {
    let power = if norm == Norm::Linf { 2.0 } else { 1.5 };
    let steps = (power * many(width).log2()).ceil() + 1.0;
    u32::try_from(whole(steps)).unwrap_or(HALVINGS_MAX).clamp(8, HALVINGS_MAX)
}

/// Largest change of each value of a point around the boundary (the paper's δ, over √d, since each value of a random direction of length 1 is 1/√d here).
fn reach(norm: Norm, width: usize, distance: f64, round: u64) -> f64 {
    let d = many(width.max(1));
    if round == 1 {
        return 0.1 / d.sqrt();
    }
    let by = if norm == Norm::Linf { distance / d } else { distance / d.powf(1.5) };
    by.max(1e-6)
}

/// A point around `x`: every value up or down by `reach`, 53 values to a random number.
fn around(rng: &mut Rng, x: &[f32], reach: f64, out: &mut [f32]) {
    for (x, out) in x.chunks(53).zip(out.chunks_mut(53)) {
        let mut bits = bits(rng.uniform());
        for (x, out) in x.iter().zip(out) {
            let by = if bits & 1 == 1 { reach } else { -reach };
            bits >>= 1;
            *out = single(f64::from(*x) + by).clamp(0.0, 1.0);
        }
    }
}

/// As [`around`], with one sign for each square of 2 x 2 pixels: classifiers of images answer to coarse patterns more than to fine ones.
fn around_coarse(rng: &mut Rng, x: &[f32], reach: f64, layout: Layout, out: &mut [f32]) {
    let Layout::Image { channels, height, width } = layout else { return around(rng, x, reach, out) };
    let columns = width.div_ceil(2);
    let mut signs = vec![1.0_f32; channels * height.div_ceil(2) * columns];
    signs_at_random(rng, &mut signs);
    for (at, (x, out)) in x.iter().zip(out).enumerate() {
        let (row, column) = (at / width.max(1), at % width.max(1));
        let (channel, row) = (row / height.max(1), row % height.max(1));
        let square = (channel * height.div_ceil(2) + row / 2) * columns + column / 2;
        let by = reach * f64::from(signs.get(square).copied().unwrap_or(1.0));
        *out = single(f64::from(*x) + by).clamp(0.0, 1.0);
    }
}

/// Random signs.
fn signs_at_random(rng: &mut Rng, out: &mut [f32]) {
    for out in out.chunks_mut(53) {
        let mut bits = bits(rng.uniform());
        for out in out {
            *out = if bits & 1 == 1 { 1.0 } else { -1.0 };
            bits >>= 1;
        }
    }
}

/// The 53 random bits of a uniform number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number lies in [0, 2^53)")]
fn bits(uniform: f64) -> u64 {
    (uniform * 9_007_199_254_740_992.0) as u64
}

/// Points of one walk, summed.
struct Tally {
    /// Points still to be asked.
    left: u64,
    reach: f64,
    /// Sum of the changes of all points, and of those of points of another class.
    all: Vec<f64>,
    wrong: Vec<f64>,
    answered: u64,
    broken: u64,
}

impl Tally {
    fn new(width: usize, left: u64, reach: f64) -> Self {
        Self { left, reach, all: vec![0.0; width], wrong: vec![0.0; width], answered: 0, broken: 0 }
    }

    fn add(&mut self, x: &[f32], point: &[f32], broken: bool) {
        self.answered += 1;
        self.broken += u64::from(broken);
        for ((p, x), all) in point.iter().zip(x).zip(&mut self.all) {
            *all += f64::from(*p) - f64::from(*x);
        }
        if broken {
            for ((p, x), wrong) in point.iter().zip(x).zip(&mut self.wrong) {
                *wrong += f64::from(*p) - f64::from(*x);
            }
        }
    }

    /// Nearly all points got one label, so that they say little.
    fn lopsided(&self) -> bool {
        self.broken * 20 < self.answered || (self.answered - self.broken) * 20 < self.answered
    }

    /// Towards more of the wrong class: the sum of changes with sign, less its mean (the paper's baseline), and `memory` of what was known.
    fn direction(&self, known: &[f64], memory: f64) -> Vec<f64> {
        let answered = real(self.answered.max(1));
        let mean = 2.0 * real(self.broken) / answered - 1.0;
        let lost = if self.broken == 0 || self.broken == self.answered { 0.0 } else { mean };
        let raw: Vec<f64> =
            self.wrong.iter().zip(&self.all).map(|(wrong, all)| 2.0 * wrong - all - lost * all).collect();
        let fresh = unit(raw);
        let before = known.iter().copied().chain(std::iter::repeat(0.0));
        unit(fresh.iter().zip(before).map(|(f, k)| f + memory * k).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evasion::tests::check_breaks_the_linear_model;

    #[test]
    fn the_boundary_of_a_linear_model_is_reached() {
        check_breaks_the_linear_model("hopskipjump", 0.9);
    }

    #[test]
    fn one_label_for_all_points_is_followed_whole() {
        let mut tally = Tally::new(2, 0, 0.1);
        for _ in 0..4 {
            tally.add(&[0.5, 0.5], &[0.6, 0.5], true);
        }
        assert!(tally.lopsided());
        let direction = tally.direction(&[], 0.5);
        assert!((direction[0] - 1.0).abs() < 1e-6 && direction[1].abs() < 1e-6, "{direction:?}");
    }

    #[test]
    fn points_lie_at_their_reach() {
        let x = vec![0.5; 100];
        let mut out = vec![0.0; 100];
        around(&mut Rng::new(1, 0), &x, 0.25, &mut out);
        assert!(out.iter().all(|v| *v == 0.25 || *v == 0.75));
        assert!(out.contains(&0.25) && out.contains(&0.75));
    }
}
