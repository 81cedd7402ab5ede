//! Where decision-based attacks start: for each row an input of another class, found by several strategies, so that one stubborn row never ends the batch.

use numeric::Rng;

use crate::access::{Fault, Labels, Layout};
use crate::evasion::Task;
use crate::evasion::query::{Asker, many, single};
use crate::norm::Norm;

/// Deterministic and mixed strategies tried for every row, before more noise is tried for rows without a start.
const STRATEGIES: usize = 14;
/// Starts of a row among which the nearest is taken.
const NEAREST_OF: usize = 5;
/// Halvings when distances of starts are compared.
const HALVINGS: u32 = 6;
/// Stream of randomness.
const STREAM: u64 = 0x0419;

/// For each row an input of another class, `None` where none was found within `tries` inputs or `queries` queries. Where several were found, the one
/// whose straight line to the row leaves the class of the row nearest to it.
pub(super) fn origins<M: Labels + ?Sized>(
    model: &mut M,
    asker: &mut Asker<'_>,
    task: &Task<'_>,
    tries: u64,
    queries: u64,
) -> Result<Vec<Option<Vec<f32>>>, Fault> {
    let layout = model.space().layout;
    let mut rngs: Vec<Rng> = (0..task.len()).map(|at| task.rng(at, STREAM)).collect();
    let mut found: Vec<Vec<Vec<f32>>> = vec![Vec::new(); task.len()];
    let strategies = usize::try_from(tries).unwrap_or(usize::MAX);
    let width = task.width().max(1);
    let given = (task.others.len() / width).min(strategies);
    for turn in 0..strategies {
        if task.pace.stop() {
            break;
        }
        asker.clear();
        for (at, (starts, rng)) in found.iter().zip(&mut rngs).enumerate() {
            // Who has a patient of another class needs no second one; what is made up is compared.
            let searching =
                if given == 0 && turn < STRATEGIES { starts.len() < NEAREST_OF } else { starts.is_empty() };
            if searching && asker.asked(at) < queries {
                match task.others.get(turn * width..(turn + 1) * width) {
                    Some(row) => asker.add(at, row),
                    None => asker.add(at, &candidate(turn - given, task.start(at), layout, rng)),
                }
            }
        }
        if asker.len() == 0 {
            break;
        }
        asker.labels(model)?;
        for n in 0..asker.len() {
            if let (Some(true), Some(starts)) = (asker.broken(n), found.get_mut(asker.owner(n))) {
                starts.push(asker.sent(n).to_vec());
            }
        }
    }
    nearest(model, asker, task, found, queries)
}

/// Halves each line from a row to its starts a few times, and keeps the nearest.
fn nearest<M: Labels + ?Sized>(
    model: &mut M,
    asker: &mut Asker<'_>,
    task: &Task<'_>,
    found: Vec<Vec<Vec<f32>>>,
    queries: u64,
) -> Result<Vec<Option<Vec<f32>>>, Fault> {
    let mut lines: Vec<Line> = Vec::new();
    let mut out: Vec<Option<Vec<f32>>> = vec![None; task.len()];
    for (at, starts) in found.into_iter().enumerate() {
        if starts.len() > 1 {
            lines.extend(starts.into_iter().map(|x| Line { at, low: 0.0, high: 1.0, x }));
        } else if let (Some(x), Some(place)) = (starts.into_iter().next(), out.get_mut(at)) {
            *place = Some(x);
        }
    }
    let mut row = vec![0.0; task.width()];
    for _ in 0..HALVINGS {
        asker.clear();
        let mut asked = Vec::new();
        for (n, line) in lines.iter().enumerate() {
            if asker.asked(line.at) < queries {
                towards(Norm::L2, task.start(line.at), &line.x, f64::midpoint(line.low, line.high), &mut row);
                asker.add(line.at, &row);
                asked.push(n);
            }
        }
        if asked.is_empty() {
            break;
        }
        asker.labels(model)?;
        for (n, at) in asked.into_iter().enumerate() {
            let Some(line) = lines.get_mut(at) else { continue };
            let middle = f64::midpoint(line.low, line.high);
            if asker.broken(n) == Some(true) {
                line.high = middle;
            } else {
                line.low = middle;
            }
        }
    }
    let norm = task.ball.norm;
    for at in 0..task.len() {
        let far = |line: &Line| norm.distance(task.start(at), &line.x) * line.high;
        let best = lines.iter().filter(|l| l.at == at).min_by(|a, b| far(a).total_cmp(&far(b)));
        if let (Some(line), Some(place)) = (best, out.get_mut(at)) {
            // The end of the line that was asked without noise counts: the start itself.
            let mut x = line.x.clone();
            if !asker.blurs() {
                towards(Norm::L2, task.start(at), &line.x, line.high, &mut x);
            }
            *place = Some(x);
        }
    }
    Ok(out)
}

struct Line {
    at: usize,
    low: f64,
    high: f64,
    x: Vec<f32>,
}

/// The point at share `part` of the way from `start` to `x`: on the straight line, or in the largest-change norm `x` clipped to that share of its distance.
pub(super) fn towards(norm: Norm, start: &[f32], x: &[f32], part: f64, out: &mut [f32]) {
    let reach = if norm == Norm::Linf { norm.distance(start, x) * part } else { 0.0 };
    for ((out, s), x) in out.iter_mut().zip(start).zip(x) {
        let (s, x) = (f64::from(*s), f64::from(*x));
        let value = if norm == Norm::Linf { s + (x - s).clamp(-reach, reach) } else { s + (x - s) * part };
        *out = single(value).clamp(0.0, 1.0);
    }
}

/// The input of strategy `turn` for a row.
fn candidate(turn: usize, start: &[f32], layout: Layout, rng: &mut Rng) -> Vec<f32> {
    let mean = single(start.iter().map(|v| f64::from(*v)).sum::<f64>() / many(start.len().max(1)));
    let constant = |v: f32| vec![v; start.len()];
    match turn {
        1 => start.iter().map(|v| 1.0 - v).collect(),
        2 => blurred(start, layout, 8),
        3 => constant(0.0),
        4 => constant(1.0),
        5 => start.iter().rev().copied().collect(),
        6 => constant(mean),
        7 => start.iter().map(|v| (mean + 3.0 * (v - mean)).clamp(0.0, 1.0)).collect(),
        8 => constant(0.5),
        // Darker, brighter: what a wrong window of an acquisition does.
        9 => start.iter().map(|v| v * 0.4).collect(),
        10 => start.iter().map(|v| 1.0 - (1.0 - v) * 0.4).collect(),
        n if n % 2 == 1 => {
            // Noise in half of the values.
            start.iter().map(|v| if rng.uniform() < 0.5 { single(rng.uniform()) } else { *v }).collect()
        }
        n if n % 4 == 2 => {
            // Noise of a few grey levels more each time.
            let sigma = 0.02 * many(n);
            start.iter().map(|v| (v + single(sigma * rng.normal())).clamp(0.0, 1.0)).collect()
        }
        _ => start.iter().map(|_| single(rng.uniform())).collect(),
    }
}

/// Averages of neighbours, `times` times over; on a table values drawn to the middle.
fn blurred(start: &[f32], layout: Layout, times: usize) -> Vec<f32> {
    let Layout::Image { channels, height, width } = layout else {
        return start.iter().map(|v| 0.5 + 0.3 * (v - 0.5)).collect();
    };
    let mut now = start.to_vec();
    for _ in 0..times {
        let mut next = now.clone();
        for channel in 0..channels {
            let get = |row: usize, column: usize| {
                let at = (channel * height + row.min(height - 1)) * width + column.min(width - 1);
                now.get(at).copied().unwrap_or(0.0)
            };
            for row in 0..height {
                for column in 0..width {
                    let (up, left) = (row.saturating_sub(1), column.saturating_sub(1));
                    let around =
                        get(up, column) + get(row + 1, column) + get(row, left) + get(row, column + 1);
                    if let Some(place) = next.get_mut((channel * height + row) * width + column) {
                        *place = (around + get(row, column)) / 5.0;
                    }
                }
            }
        }
        now = next;
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_stays_in_the_box() {
        let start: Vec<f32> = (0..18).map(|i| i as f32 / 17.0).collect();
        for layout in [Layout::Table { features: 18 }, Layout::Image { channels: 2, height: 3, width: 3 }] {
            let mut rng = Rng::new(1, 0);
            for turn in 0..60 {
                let row = candidate(turn, &start, layout, &mut rng);
                assert_eq!(row.len(), 18);
                assert!(row.iter().all(|v| (0.0..=1.0).contains(v)), "{turn} {row:?}");
            }
        }
    }

    #[test]
    fn a_point_on_the_way_is_as_far_as_said() {
        let (start, x) = ([0.5_f32, 0.5], [0.9_f32, 0.6]);
        let mut out = [0.0; 2];
        towards(Norm::Linf, &start, &x, 0.5, &mut out);
        assert!((out[0] - 0.7).abs() < 1e-6 && (out[1] - 0.6).abs() < 1e-6, "{out:?}");
        towards(Norm::L2, &start, &x, 0.5, &mut out);
        assert!((out[0] - 0.7).abs() < 1e-6 && (out[1] - 0.55).abs() < 1e-6, "{out:?}");
    }
}
