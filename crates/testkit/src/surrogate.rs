//! A small network that an attacker trains on a model's answers: the copy itself, and the source of its gradients.

use numeric::{Matrix, Rng, softmax_in_place};

/// One hidden layer of rectified units, softmax on top, trained with Adam on cross-entropy.
#[derive(Debug, Clone)]
pub struct Surrogate {
    inputs: usize,
    hidden: usize,
    classes: usize,
    /// Hidden weights, hidden biases, output weights, output biases, one after another.
    weights: Vec<f32>,
}

/// Adam's state and settings (Kingma and Ba 2015, arXiv:1412.6980).
struct Adam {
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

const RATE: f32 = 2e-3;
const BATCH: usize = 32;

impl Surrogate {
    /// Untrained, with random weights.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small sizes")]
    pub fn new(inputs: usize, hidden: usize, classes: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed, 4);
        let scale = |n: usize| (2.0 / n.max(1) as f64).sqrt();
        let mut weights: Vec<f32> =
            (0..inputs * hidden).map(|_| (rng.normal() * scale(inputs)) as f32).collect();
        weights.resize(inputs * hidden + hidden, 0.0);
        weights.extend((0..hidden * classes).map(|_| (rng.normal() * scale(hidden)) as f32));
        weights.resize(weights.len() + classes, 0.0);
        Self { inputs, hidden, classes, weights }
    }

    fn offsets(&self) -> (usize, usize, usize) {
        let a = self.inputs * self.hidden;
        (a, a + self.hidden, a + self.hidden + self.hidden * self.classes)
    }

    fn forward(&self, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (a, b, c) = self.offsets();
        let layer = |w: &[f32], bias: &[f32], x: &[f32]| -> Vec<f32> {
            let rows = w.chunks_exact(x.len().max(1)).zip(bias);
            rows.map(|(row, bias)| row.iter().zip(x).map(|(w, v)| w * v).sum::<f32>() + bias).collect()
        };
        let mut hidden = layer(&self.weights[..a], &self.weights[a..b], x);
        hidden.iter_mut().for_each(|v| *v = v.max(0.0));
        let mut scores = layer(&self.weights[b..c], &self.weights[c..], &hidden);
        softmax_in_place(&mut scores);
        (hidden, scores)
    }

    /// Class probabilities.
    pub fn scores(&self, x: &[f32]) -> Vec<f32> {
        self.forward(x).1
    }

    /// Gradient of the cross-entropy for `target` (probabilities) with respect to the input; adds the gradients of the
    /// weights to `sum` when given.
    fn backward(&self, x: &[f32], target: &[f32], sum: Option<&mut Vec<f32>>) -> Vec<f32> {
        let (a, b, c) = self.offsets();
        let (hidden, scores) = self.forward(x);
        let error: Vec<f32> = scores.iter().zip(target).map(|(p, t)| p - t).collect();
        let mut to_hidden = vec![0.0_f32; self.hidden];
        for (row, e) in self.weights[b..c].chunks_exact(self.hidden).zip(&error) {
            to_hidden.iter_mut().zip(row).for_each(|(h, w)| *h += w * e);
        }
        to_hidden.iter_mut().zip(&hidden).for_each(|(h, v)| *h *= f32::from(u8::from(*v > 0.0)));
        if let Some(sum) = sum {
            for (row, h) in sum[..a].chunks_exact_mut(self.inputs).zip(&to_hidden) {
                row.iter_mut().zip(x).for_each(|(s, v)| *s += h * v);
            }
            sum[a..b].iter_mut().zip(&to_hidden).for_each(|(s, h)| *s += h);
            for (row, e) in sum[b..c].chunks_exact_mut(self.hidden).zip(&error) {
                row.iter_mut().zip(&hidden).for_each(|(s, v)| *s += e * v);
            }
            sum[c..].iter_mut().zip(&error).for_each(|(s, e)| *s += e);
        }
        let mut to_input = vec![0.0_f32; self.inputs];
        for (row, h) in self.weights[..a].chunks_exact(self.inputs.max(1)).zip(&to_hidden) {
            to_input.iter_mut().zip(row).for_each(|(g, w)| *g += w * h);
        }
        to_input
    }

    /// Trains on answers (rows of probabilities) for `epochs` passes.
    pub fn train(&mut self, inputs: &Matrix, answers: &Matrix, epochs: usize, seed: u64) {
        let mut rng = Rng::new(seed, 5);
        let n = self.weights.len();
        let mut adam = Adam { first: vec![0.0; n], second: vec![0.0; n], steps: 0 };
        for _ in 0..epochs {
            for batch in rng.permutation(inputs.rows.min(answers.rows)).chunks(BATCH) {
                let mut sum = vec![0.0; n];
                for &r in batch {
                    self.backward(inputs.row(r), answers.row(r), Some(&mut sum));
                }
                #[expect(clippy::cast_precision_loss, reason = "a small batch")]
                let scale = 1.0 / batch.len() as f32;
                adam.step(&mut self.weights, &sum, scale);
            }
        }
    }

    /// Direction in which the loss for `class` grows fastest, as signs.
    pub fn gradient_signs(&self, x: &[f32], class: usize) -> Vec<f32> {
        let target: Vec<f32> = (0..self.classes).map(|k| f32::from(u8::from(k == class))).collect();
        self.backward(x, &target, None).into_iter().map(f32::signum).collect()
    }
}

impl Adam {
    fn step(&mut self, weights: &mut [f32], gradient: &[f32], scale: f32) {
        self.steps += 1;
        let (one, two) = (1.0 - 0.9_f32.powi(self.steps), 1.0 - 0.999_f32.powi(self.steps));
        let state = self.first.iter_mut().zip(&mut self.second);
        for ((w, g), (m, v)) in weights.iter_mut().zip(gradient).zip(state) {
            let g = g * scale;
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            *w -= RATE * (*m / one) / ((*v / two).sqrt() + 1e-8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_learnt_and_its_gradient_points_outwards() {
        let mut rng = Rng::new(2, 0);
        #[expect(clippy::cast_possible_truncation, reason = "test")]
        let rows: Vec<Vec<f32>> =
            (0..400).map(|_| vec![rng.range(-1.0, 1.0) as f32, rng.range(-1.0, 1.0) as f32]).collect();
        let outside = |r: &[f32]| f32::from(u8::from(r[0].hypot(r[1]) > 0.7));
        let answers: Vec<Vec<f32>> = rows.iter().map(|r| vec![1.0 - outside(r), outside(r)]).collect();
        let (inputs, answers) = (Matrix::from_rows(&rows).unwrap(), Matrix::from_rows(&answers).unwrap());
        let mut copy = Surrogate::new(2, 16, 2, 1);
        copy.train(&inputs, &answers, 150, 1);
        let right = rows.iter().filter(|r| (copy.scores(r)[1] > 0.5) == (outside(r) > 0.5)).count();
        assert!(right > 370, "{right}");
        assert_eq!(copy.gradient_signs(&[0.6, 0.1], 0)[0], 1.0);
    }
}
