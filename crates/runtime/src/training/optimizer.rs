//! Steps downhill: AdamW, and gradient descent with momentum.

use crate::tensor::Tensor;
use crate::tensor::TensorData;

/// How weights follow their gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimizer {
    /// AdamW with the usual constants 0.9, 0.999 and 1e-8 (Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101).
    AdamW,
    /// Stochastic gradient descent; `momentum` in 0..1 (Sutskever et al., ICML 2013; PyTorch's form).
    Sgd {
        /// Share of the last step that is kept.
        momentum: f32,
    },
}

const BETA: [f32; 2] = [0.9, 0.999];
const EPSILON: f32 = 1e-8;

/// What is remembered from step to step.
#[derive(Debug, Default)]
pub(super) struct State {
    steps: i32,
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
}

impl State {
    pub(super) fn for_weights(weights: &[Tensor]) -> Self {
        let zeros = || weights.iter().map(|w| vec![0.0; w.data.len()]).collect();
        Self { steps: 0, first: zeros(), second: zeros() }
    }

    /// Begins a step that changes every weight once.
    pub(super) fn begin(&mut self) {
        self.steps = self.steps.saturating_add(1);
    }

    /// Changes weight `number` by its gradient.
    pub(super) fn step(
        &mut self,
        optimizer: Optimizer,
        (rate, decay): (f32, f32),
        number: usize,
        weight: &mut Tensor,
        gradient: &[f32],
    ) {
        let TensorData::F32(values) = &mut weight.data else { return };
        let (Some(first), Some(second)) = (self.first.get_mut(number), self.second.get_mut(number)) else {
            return;
        };
        let moments = first.iter_mut().zip(second);
        match optimizer {
            Optimizer::AdamW => {
                let corrected = BETA.map(|beta| 1.0 - beta.powi(self.steps));
                let scale = rate / corrected[0];
                let root = corrected[1].sqrt();
                for ((w, g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
                    *w -= rate * decay * *w;
                    *m = BETA[0] * *m + (1.0 - BETA[0]) * g;
                    *v = BETA[1] * *v + (1.0 - BETA[1]) * g * g;
                    *w -= scale * *m / (v.sqrt() / root + EPSILON);
                }
            }
            Optimizer::Sgd { momentum } => {
                for ((w, g), (m, _)) in values.iter_mut().zip(gradient).zip(moments) {
                    *m = momentum * *m + g + decay * *w;
                    *w -= rate * *m;
                }
            }
        }
    }
}
