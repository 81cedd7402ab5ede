//! Multinomial logistic regression by AdaGrad, in a fixed order of rows.

use knowledge::training::{ANSWERS, SLOTS, STEP, norm, odds_of};

use crate::make::Dice;

const ROUNDS: usize = 6;
const RATE: f32 = 0.12;
/// Pull towards nothing, per step of a weight.
const PULL: f32 = 2e-5;

/// A sentence.
pub struct Row {
    pub slots: Vec<u32>,
    /// 0 nothing, 1 for, 2 against.
    pub answer: u8,
    pub weight: f32,
    pub for_is_false: bool,
    pub against_is_false: bool,
}

/// Weights.
pub struct Table(Vec<f32>);

impl Table {
    pub fn train(rows: &[&Row]) -> Self {
        let mut weights = vec![0.0_f32; SLOTS * ANSWERS];
        let mut sums = vec![1e-2_f32; SLOTS * ANSWERS];
        let mut order: Vec<usize> = (0..rows.len()).collect();
        let mut dice = Dice::new(7);
        for _ in 0..ROUNDS {
            for at in (1..order.len()).rev() {
                order.swap(at, dice.below(at + 1));
            }
            for place in &order {
                let Some(row) = rows.get(*place) else { continue };
                let scale = norm(row.slots.len());
                let mut scores = [0.0_f32; ANSWERS];
                for slot in &row.slots {
                    for (answer, score) in scores.iter_mut().enumerate() {
                        *score += weights[*slot as usize * ANSWERS + answer];
                    }
                }
                let scores = scores.map(|s| s * scale);
                let most = scores.iter().fold(f32::MIN, |a, b| a.max(*b));
                let parts = scores.map(|s| (s - most).exp());
                let all: f32 = parts.iter().sum();
                for (answer, part) in parts.into_iter().enumerate() {
                    let wanted = if usize::from(row.answer) == answer { 0.98 } else { 0.01 };
                    let slope = (part / all - wanted) * row.weight * scale;
                    if slope.abs() < 1e-4 {
                        continue;
                    }
                    for slot in &row.slots {
                        let at = *slot as usize * ANSWERS + answer;
                        sums[at] += slope * slope;
                        weights[at] -= RATE * (slope / sums[at].sqrt() + PULL * weights[at]);
                    }
                }
            }
        }
        Self(weights)
    }

    /// Thousandths for and against.
    pub fn odds(&self, slots: &[u32]) -> (u16, u16) {
        odds_of(slots, |at| self.0[at])
    }

    /// Weights in whole steps.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().map(|w| (w / STEP).round().clamp(-127.0, 127.0) as i8 as u8).collect()
    }
}
