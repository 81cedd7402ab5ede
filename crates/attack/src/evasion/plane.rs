//! What attacks that look for the smallest change share: the model around a row taken as linear, one plane per wrong class, and the nearest row of such a plane in the box.

use crate::evasion::walk::ranked;
use crate::norm::Norm;

/// A wrong class seen from a row: where its score would equal the true one if the model were linear.
#[derive(Debug, Clone)]
pub(crate) struct Plane {
    /// Derivative of the difference of scores by each value.
    pub(crate) slope: Vec<f32>,
    /// By how much the difference must rise: positive before the boundary.
    pub(crate) gap: f64,
    /// Distance in the norm without the box.
    pub(crate) distance: f64,
}

/// The planes of a row, asked for one after the other; the nearest is kept.
#[derive(Debug, Clone)]
pub(crate) struct Planes {
    label: usize,
    others: Vec<usize>,
    nth: usize,
    nearest: Option<Plane>,
}

impl Planes {
    /// Of the `count` most likely classes beside `label`, by the scores of the start.
    pub(crate) fn new(scores: &[f32], label: usize, count: usize) -> Self {
        Self { label, others: ranked(scores, label, count), nth: 0, nearest: None }
    }

    /// Only the plane of class number `nth`; the others are forgotten.
    pub(crate) fn only(&self, nth: usize) -> Self {
        let others = self.others.get(nth).map(|class| vec![*class]).unwrap_or_default();
        Self { label: self.label, others, nth: 0, nearest: None }
    }

    /// Number of wrong classes looked at.
    pub(crate) const fn classes(&self) -> usize {
        self.others.len()
    }

    /// True when the next plane to be heard of is the first at its row.
    pub(crate) const fn at_first(&self) -> bool {
        self.nth == 0
    }

    /// The derivative of the difference by each score.
    pub(crate) fn cotangent(&self, out: &mut [f32]) {
        out.fill(0.0);
        let Some(other) = self.others.get(self.nth) else { return };
        if let Some(place) = out.get_mut(*other) {
            *place = 1.0;
        }
        if let Some(place) = out.get_mut(self.label) {
            *place = -1.0;
        }
    }

    /// Takes in one plane; `None` while others are still to be asked for, then the nearest, or `Some(None)` when no gradient points anywhere.
    pub(crate) fn hear(&mut self, norm: Norm, scores: &[f32], gradient: &[f32]) -> Option<Option<Plane>> {
        let score = |class: usize| scores.get(class).copied().map_or(f64::NAN, f64::from);
        let gap = self.others.get(self.nth).map_or(f64::NAN, |other| score(self.label) - score(*other));
        let distance = gap.abs() / dual(norm, gradient);
        if distance.is_finite() && self.nearest.as_ref().is_none_or(|plane| distance < plane.distance) {
            self.nearest = Some(Plane { slope: gradient.to_vec(), gap, distance });
        }
        self.nth += 1;
        if self.nth < self.others.len() {
            return None;
        }
        self.nth = 0;
        Some(self.nearest.take())
    }
}

/// The norm in which slopes are measured when changes are measured in `norm`.
fn dual(norm: Norm, slope: &[f32]) -> f64 {
    let sizes = slope.iter().map(|g| f64::from(g.abs()));
    match norm {
        Norm::Linf => sizes.sum(),
        Norm::L2 => sizes.map(|g| g * g).sum::<f64>().sqrt(),
        Norm::L1 | Norm::L0 => sizes.fold(0.0, |m, g| if g.is_nan() || g > m { g } else { m }),
    }
}

/// Rounds of fixing what the box cuts; each fixes one value more at least, and few are ever needed.
const ROUNDS_MAX: usize = 64;

/// The smallest change of `x` in `norm`, within the unit box, by which `plane` is reached: `slope · change = gap`. Where the box does not let it be reached, the whole room is
/// used. L0 is treated as L1. (Croce and Hein 2020, arXiv:1907.02044, section 2.1.)
pub(crate) fn reach(norm: Norm, x: &[f32], plane: &Plane) -> Vec<f64> {
    let uphill = plane.gap.signum();
    // Per value: slope along the way, room in the box along the way.
    let ways: Vec<(f64, f64)> = x
        .iter()
        .zip(&plane.slope)
        .map(|(v, w)| {
            let w = f64::from(*w) * uphill;
            (w, if w > 0.0 { 1.0 - f64::from(*v) } else { f64::from(*v) })
        })
        .collect();
    let gap = plane.gap.abs();
    match norm {
        Norm::Linf => level(&ways, gap, |_| 1.0),
        Norm::L2 => level(&ways, gap, f64::abs),
        Norm::L1 | Norm::L0 => steepest_first(&ways, gap),
    }
}

/// Every value moves by `level × share(slope)`, no further than its room, at the level at which the gap is closed.
fn level(ways: &[(f64, f64)], gap: f64, share: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut level = 0.0_f64;
    for _ in 0..ROUNDS_MAX {
        // Values that the present level leaves free rise with it; the others are at the end of their room.
        let (mut free, mut fixed) = (0.0, 0.0);
        for (w, room) in ways {
            if level * share(*w) < *room {
                free += w.abs() * share(*w);
            } else {
                fixed += w.abs() * room;
            }
        }
        let next = (gap - fixed) / free;
        if free <= 0.0 || next <= level * (1.0 + 1e-12) {
            break;
        }
        level = next;
    }
    ways.iter()
        .map(|(w, room)| if *w == 0.0 { 0.0 } else { (level * share(*w)).min(*room).copysign(*w) })
        .collect()
}

/// The steepest values first, each to the end of its room.
fn steepest_first(ways: &[(f64, f64)], gap: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ways.len()).collect();
    let slope = |at: usize| ways.get(at).map_or(0.0, |way| way.0.abs());
    order.sort_by(|a, b| slope(*b).total_cmp(&slope(*a)).then(a.cmp(b)));
    let (mut change, mut left) = (vec![0.0; ways.len()], gap);
    for at in order {
        let (Some((w, room)), Some(place)) = (ways.get(at), change.get_mut(at)) else { continue };
        if left <= 0.0 || *w == 0.0 {
            break;
        }
        let by = (left / w.abs()).min(*room);
        *place = by.copysign(*w);
        left -= by * w.abs();
    }
    change
}

/// Halves the way between a row that is right and one that is wrong: `share` of the way from the start.
#[derive(Debug, Clone)]
pub(crate) struct Bisection {
    low: f64,
    high: f64,
    left: u32,
}

impl Bisection {
    /// `halvings` questions; the wrong row is at 1.
    pub(crate) const fn new(halvings: u32) -> Self {
        Self { low: 0.0, high: 1.0, left: halvings }
    }

    /// Where to ask next; `None` at the end.
    pub(crate) fn next(&self) -> Option<f64> {
        (self.left > 0).then(|| f64::midpoint(self.low, self.high))
    }

    /// What the model said there.
    pub(crate) fn hear(&mut self, wrong: bool) {
        let middle = f64::midpoint(self.low, self.high);
        if wrong {
            self.high = middle;
        } else {
            self.low = middle;
        }
        self.left = self.left.saturating_sub(1);
    }
}

/// `share` of the way from `start` to `end`.
#[expect(clippy::cast_possible_truncation, reason = "rounded to the precision of the rows")]
pub(crate) fn between(start: &[f32], end: &[f32], share: f64) -> Vec<f32> {
    let way = |(s, e): (&f32, &f32)| {
        (f64::from(*s) + share * (f64::from(*e) - f64::from(*s))).clamp(0.0, 1.0) as f32
    };
    start.iter().zip(end).map(way).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_is_reached_by_the_smallest_change_in_the_box() {
        let mut rng = numeric::Rng::new(5, 0);
        for _ in 0..50 {
            let x: Vec<f32> = (0..12).map(|_| rng.uniform() as f32).collect();
            let slope: Vec<f32> = (0..12).map(|_| rng.normal() as f32).collect();
            let gap = rng.range(-1.5, 1.5);
            let plane = Plane { slope: slope.clone(), gap, distance: 0.0 };
            for norm in [Norm::Linf, Norm::L2, Norm::L1] {
                let change = reach(norm, &x, &plane);
                let moved: f64 = change.iter().zip(&slope).map(|(c, w)| c * f64::from(*w)).sum();
                assert!((moved - gap).abs() < 1e-9, "{norm:?}: {moved} of {gap}");
                assert!(
                    x.iter().zip(&change).all(|(v, c)| (-1e-9..=1.0 + 1e-9).contains(&(f64::from(*v) + c)))
                );
                // Any other change that reaches the plane within the box is no smaller.
                let size = |change: &[f64]| {
                    let end: Vec<f32> = change.iter().map(|c| *c as f32).collect();
                    norm.distance(&vec![0.0; end.len()], &end)
                };
                for _ in 0..50 {
                    let start: Vec<f32> = (0..12).map(|_| rng.uniform() as f32).collect();
                    let before: f64 = x
                        .iter()
                        .zip(&start)
                        .zip(&slope)
                        .map(|((a, b), w)| f64::from(b - a) * f64::from(*w))
                        .sum();
                    let rest = Plane { slope: slope.clone(), gap: gap - before, distance: 0.0 };
                    let other: Vec<f64> = reach(Norm::L2, &start, &rest)
                        .iter()
                        .zip(x.iter().zip(&start))
                        .map(|(c, (a, b))| c + f64::from(b - a))
                        .collect();
                    let there: f64 = other.iter().zip(&slope).map(|(c, w)| c * f64::from(*w)).sum();
                    if (there - gap).abs() < 1e-6 {
                        assert!(size(&other) >= size(&change) - 1e-5, "{norm:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_plane_out_of_reach_takes_all_the_room() {
        let plane = Plane { slope: vec![1.0, -1.0], gap: 9.0, distance: 9.0 };
        for norm in [Norm::Linf, Norm::L2, Norm::L1] {
            assert_eq!(reach(norm, &[0.25, 0.5], &plane), [0.75, -0.5], "{norm:?}");
        }
    }
}
