//! Query streams of clients that copy a model.

use numeric::{Matrix, Rng};

use crate::surrogate::Surrogate;

/// What a client can ask: probabilities for a point of the unit box, or `None` when it is refused or its budget is used up, which ends the attempt.
pub type Ask<'a> = dyn FnMut(&[f32]) -> Option<Vec<f32>> + 'a;

/// The class with the highest probability.
fn decide(scores: &[f32]) -> usize {
    let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    best.map_or(0, |(k, _)| k)
}

/// What a copy attempt brought.
#[derive(Debug, Clone)]
pub struct Copy {
    /// The trained copy.
    pub model: Surrogate,
    /// Points that were asked.
    pub inputs: Matrix,
    /// The answers.
    pub answers: Matrix,
}

/// How the next points are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice<'a> {
    /// Uniform in the box (Tramèr et al. 2016, arXiv:1609.02943).
    Uniform,
    /// The rows of a data set in random order: Knockoff Nets (Orekondy et al. 2019, arXiv:1812.02766) with foreign
    /// data, or ordinary patients.
    Rows(&'a Matrix),
    /// Jacobian-based augmentation (Papernot et al. 2017, arXiv:1602.02697; step as in PRADA, arXiv:1805.02628): seeds,
    /// then each known point moved by `step` along the signs of the copy's gradient, in rounds.
    Jacobian {
        /// Rows that the attacker has.
        seeds: &'a Matrix,
        /// Size of the move.
        step: f32,
    },
    /// Points near the copy's own decision edge: blends of two rows that the copy puts in different classes.
    Edge(&'a Matrix),
}

/// Asks `budget` times and trains a copy with `hidden` units. Stops when refused.
pub fn copy(
    ask: &mut Ask<'_>,
    choice: Choice<'_>,
    width: usize,
    hidden: usize,
    budget: usize,
    seed: u64,
) -> Copy {
    let mut rng = Rng::new(seed, 6);
    let mut state = State { points: Vec::new(), answers: Vec::new() };
    match choice {
        #[expect(clippy::cast_possible_truncation, reason = "drawn in double, used in single precision")]
        Choice::Uniform => {
            for _ in 0..budget {
                let point = (0..width).map(|_| rng.uniform() as f32).collect();
                if !state.ask(ask, point) {
                    break;
                }
            }
        }
        Choice::Rows(rows) => {
            for r in rng.permutation(rows.rows).into_iter().take(budget) {
                if !state.ask(ask, rows.row(r).to_vec()) {
                    break;
                }
            }
        }
        Choice::Jacobian { seeds, step } => jacobian(&mut state, ask, seeds, step, hidden, budget, &mut rng),
        Choice::Edge(rows) => edge(&mut state, ask, rows, hidden, budget, &mut rng),
    }
    state.finish(width, hidden, seed)
}

struct State {
    points: Vec<Vec<f32>>,
    answers: Vec<Vec<f32>>,
}

impl State {
    fn ask(&mut self, ask: &mut Ask<'_>, point: Vec<f32>) -> bool {
        let Some(answer) = ask(&point) else { return false };
        self.points.push(point);
        self.answers.push(answer);
        true
    }

    fn train(&self, width: usize, hidden: usize, epochs: usize, seed: u64) -> Surrogate {
        let classes = self.answers.first().map_or(2, Vec::len);
        let mut model = Surrogate::new(width, hidden, classes, seed);
        let inputs = Matrix::from_rows(&self.points).unwrap_or_default();
        let answers = Matrix::from_rows(&self.answers).unwrap_or_default();
        model.train(&inputs, &answers, epochs, seed);
        model
    }

    fn finish(self, width: usize, hidden: usize, seed: u64) -> Copy {
        let model = self.train(width, hidden, 60, seed);
        let inputs = Matrix::from_rows(&self.points).unwrap_or_default();
        let answers = Matrix::from_rows(&self.answers).unwrap_or_default();
        Copy { model, inputs, answers }
    }
}

fn jacobian(
    state: &mut State,
    ask: &mut Ask<'_>,
    seeds: &Matrix,
    step: f32,
    hidden: usize,
    budget: usize,
    rng: &mut Rng,
) {
    for r in rng.permutation(seeds.rows).into_iter().take(budget) {
        if !state.ask(ask, seeds.row(r).to_vec()) {
            return;
        }
    }
    for round in 0..20 {
        let copy = state.train(seeds.cols, hidden, 30, round);
        for i in 0..state.points.len() {
            if state.points.len() >= budget {
                return;
            }
            let class = decide(&state.answers[i]);
            let signs = copy.gradient_signs(&state.points[i], class);
            let moved =
                state.points[i].iter().zip(signs).map(|(v, s)| (v + step * s).clamp(0.0, 1.0)).collect();
            if !state.ask(ask, moved) {
                return;
            }
        }
    }
}

fn edge(state: &mut State, ask: &mut Ask<'_>, rows: &Matrix, hidden: usize, budget: usize, rng: &mut Rng) {
    for _ in 0..(budget / 5).max(10).min(budget) {
        let r = rng.below(rows.rows);
        if !state.ask(ask, rows.row(r).to_vec()) {
            return;
        }
    }
    for round in 0..20 {
        let copy = state.train(rows.cols, hidden, 30, round);
        for _ in 0..(budget / 20).max(5) {
            if state.points.len() >= budget {
                return;
            }
            let (a, b) = (rows.row(rng.below(rows.rows)), rows.row(rng.below(rows.rows)));
            let (mut low, mut high) = (0.0_f32, 1.0_f32);
            let at = |t: f32| -> Vec<f32> { a.iter().zip(b).map(|(x, y)| x + (y - x) * t).collect() };
            let class = decide(&copy.scores(a));
            for _ in 0..8 {
                let middle = f32::midpoint(low, high);
                if decide(&copy.scores(&at(middle))) == class { low = middle } else { high = middle }
            }
            if !state.ask(ask, at(f32::midpoint(low, high))) {
                return;
            }
        }
    }
}

/// Share of `rows` on which the copy decides as the answers do.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn fidelity(copy: &Surrogate, rows: &Matrix, answers: &Matrix) -> f64 {
    let same = rows
        .iter_rows()
        .zip(answers.iter_rows())
        .filter(|(x, a)| decide(&copy.scores(x)) == decide(a))
        .count();
    same as f64 / rows.rows.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_choosing_copies_a_simple_model_and_keeps_its_budget() {
        let model = |x: &[f32]| {
            let p = 1.0 / (1.0 + (-12.0 * (x[0] - x[1])).exp());
            Some(vec![1.0 - p, p])
        };
        let mut rng = Rng::new(1, 0);
        #[expect(clippy::cast_possible_truncation, reason = "test")]
        let rows: Vec<Vec<f32>> =
            (0..200).map(|_| vec![rng.uniform() as f32, rng.uniform() as f32]).collect();
        let rows = Matrix::from_rows(&rows).unwrap();
        let answers: Vec<Vec<f32>> = rows.iter_rows().filter_map(model).collect();
        let answers = Matrix::from_rows(&answers).unwrap();
        let seeds = rows.select(&(0..20).collect::<Vec<_>>());
        let choices = [
            Choice::Uniform,
            Choice::Rows(&rows),
            Choice::Jacobian { seeds: &seeds, step: 0.1 },
            Choice::Edge(&rows),
        ];
        for choice in choices {
            let mut asked = 0;
            let made = copy(&mut |x| (asked += 1, model(x)).1, choice, 2, 12, 120, 9);
            assert!(asked <= 120 && made.inputs.rows == asked);
            assert!(fidelity(&made.model, &rows, &answers) > 0.9, "{choice:?}");
        }
    }
}
