//! Projected gradient descent of an attacker who knows that noise is looked for.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, Layout, argmax};
use crate::evasion::walk::{Walk, Wants, drive, points};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithGradients, checked, parameters};
use crate::loss::{Loss, best_other};
use crate::norm::{Ball, Norm};

domain::catalogue_entry! {
    /// Steps along the gradient that also keep neighbouring pixels in step, so that a detector of noise sees nothing (quiet projected gradient descent).
    ///
    /// ## What it is
    /// An adaptive attack on images. The attacker climbs the margin of another class and pays for roughness: the mean logarithm of what each pixel differs from the
    /// bilinear continuation of its eight neighbours. Once the answer has changed by a small margin, only roughness counts; of all wrong answers on the way the least
    /// rough is kept. Parameters: `steps` (100), `weight` of roughness (1), `margin` (2: logits beyond which more confidence is not sought).
    ///
    /// ## Why it matters in care
    /// A defence is worth what it does against somebody who knows it. This one knows guards such as `pixel-noise`; what still gets through is the figure to report.
    ///
    /// ## Limits
    /// Images of 3 × 3 pixels at least. It knows the kind of detector, not the weights that one hospital's detector learnt; who has those does a little better. It breaks
    /// fewer samples than `apgd-ce`: read both rows together.
    ///
    /// ## References
    /// Tramer et al. 2020, arXiv:2002.08347 (adaptive attacks); Carlini and Wagner 2017, arXiv:1705.07263.
    pub static ENTRY = { id: "X060", name: "quiet-pgd", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "AML.T0015", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::Linf, Norm::L2],
    minimal: false,
    build: |given| {
        let quiet = parameters::<Quiet>(given)?;
        checked("steps", quiet.steps, 10_000)?;
        if !(quiet.weight.is_finite() && quiet.weight >= 0.0 && quiet.margin.is_finite()) {
            return Err("`weight` must be a number from 0 on, `margin` a number".into());
        }
        Ok(Evasion::Gradients(Box::new(quiet)))
    },
};

/// Added to differences before their logarithm: a quarter of a grey level.
const FLOOR: f32 = 0.25 / 255.0;

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Quiet {
    steps: u32,
    weight: f32,
    margin: f32,
}

impl Default for Quiet {
    fn default() -> Self {
        Self { steps: 100, weight: 1.0, margin: 2.0 }
    }
}

impl WithGradients for Quiet {
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault> {
        let Layout::Image { channels, height, width } = model.space().layout else {
            return Err(Fault::NotApplicable(
                "`quiet-pgd` is for images: tables have no neighbouring pixels".into(),
            ));
        };
        if height < 3 || width < 3 {
            return Err(Fault::NotApplicable("`quiet-pgd` needs images of 3 × 3 pixels at least".into()));
        }
        let frame = Frame { channels, height, width };
        drive(model, task, 1, |at| {
            let start = task.start(at);
            let mut path = Path {
                plan: self,
                frame,
                ball: task.ball,
                label: task.labels.get(at).copied().unwrap_or(0),
                start,
                x: start.to_vec(),
                slope: vec![0.0; start.len()],
                rng: task.rng(at, 60),
                taken: 0,
                best: None,
            };
            path.ball.random(start, &mut path.rng, &mut path.x);
            // Half way back to the start: a full random start is all noise.
            path.x.iter_mut().zip(start).for_each(|(x, s)| *x = s + (*x - s) / 2.0);
            path
        })
    }
}

#[derive(Clone, Copy)]
struct Frame {
    channels: usize,
    height: usize,
    width: usize,
}

/// The eight neighbours and their weights in the bilinear continuation: sides one half, corners minus one quarter.
const AROUND: [(usize, usize, f32); 8] = [
    (0, 0, -0.25),
    (0, 1, 0.5),
    (0, 2, -0.25),
    (1, 0, 0.5),
    (1, 2, 0.5),
    (2, 0, -0.25),
    (2, 1, 0.5),
    (2, 2, -0.25),
];

impl Frame {
    /// Mean over the inner pixels of ln(|difference| + floor); its derivative by each value is written to `slope`.
    fn roughness(&self, x: &[f32], slope: &mut [f32]) -> f32 {
        slope.fill(0.0);
        let plane = self.height * self.width;
        #[expect(clippy::cast_precision_loss, reason = "pixels of one image")]
        let share = 1.0 / ((self.height - 2) * (self.width - 2) * self.channels) as f32;
        let mut sum = 0.0;
        for (x, slope) in x.chunks_exact(plane).zip(slope.chunks_exact_mut(plane)) {
            for y in 0..self.height - 2 {
                for at in y * self.width..y * self.width + self.width - 2 {
                    let value =
                        |dy: usize, dx: usize| x.get(at + dy * self.width + dx).copied().unwrap_or(0.0);
                    let expected: f32 = AROUND.iter().map(|(dy, dx, w)| w * value(*dy, *dx)).sum();
                    let difference = value(1, 1) - expected;
                    sum += (difference.abs() + FLOOR).ln();
                    let by = share * difference.signum() / (difference.abs() + FLOOR);
                    let mut add = |dy: usize, dx: usize, v: f32| {
                        if let Some(place) = slope.get_mut(at + dy * self.width + dx) {
                            *place += v;
                        }
                    };
                    add(1, 1, by);
                    AROUND.iter().for_each(|(dy, dx, w)| add(*dy, *dx, -by * w));
                }
            }
        }
        sum * share
    }
}

/// One image on its way.
struct Path<'t> {
    plan: &'t Quiet,
    frame: Frame,
    ball: Ball,
    label: usize,
    start: &'t [f32],
    x: Vec<f32>,
    slope: Vec<f32>,
    rng: numeric::Rng,
    taken: u32,
    /// Least rough wrong answer.
    best: Option<(f32, Vec<f32>)>,
}

impl Walk for Path<'_> {
    fn wants(&self) -> Wants {
        if self.taken > self.plan.steps {
            Wants::Nothing
        } else if self.taken == self.plan.steps {
            Wants::Scores
        } else {
            Wants::Gradient
        }
    }

    fn at(&self) -> &[f32] {
        &self.x
    }

    fn cotangent(&self, scores: &[f32], out: &mut [f32]) {
        let margin = Loss::Margin.of(scores, self.label, out);
        if margin > self.plan.margin {
            out.fill(0.0);
        }
    }

    fn hear(&mut self, scores: &[f32], gradient: &[f32]) {
        let rough = self.frame.roughness(&self.x, &mut self.slope);
        if argmax(scores).is_some_and(|seen| seen != self.label)
            && self.best.as_ref().is_none_or(|(least, _)| rough < *least)
        {
            self.best = Some((rough, self.x.clone()));
        }
        self.taken += 1;
        if self.taken > self.plan.steps {
            return;
        }
        let sure = scores.get(best_other(scores, self.label)).zip(scores.get(self.label));
        let settled = sure.is_some_and(|(other, own)| other - own > self.plan.margin);
        if !points(gradient) && !settled {
            self.ball.random(self.start, &mut self.rng, &mut self.x);
            return;
        }
        let mut pull: Vec<f32> =
            gradient.iter().zip(&self.slope).map(|(g, s)| g - self.plan.weight * s).collect();
        pull.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = 0.0);
        let left = 1.0 - f64::from(self.taken) / (f64::from(self.plan.steps) + 1.0);
        self.ball.ascend(&pull, self.ball.epsilon / 8.0 * left, &mut self.x);
        self.ball.project(self.start, &mut self.x);
    }

    fn refused(&mut self) {
        self.taken = self.plan.steps + 1;
    }

    fn found(&self) -> Option<&[f32]> {
        self.best.as_ref().map(|(_, x)| x.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_roughness_is_exact_and_a_plane_is_smooth() {
        let frame = Frame { channels: 1, height: 5, width: 4 };
        let mut x: Vec<f32> = (0..20).map(|i| ((i * 7) % 11) as f32 / 11.0).collect();
        let (mut slope, mut unused) = (vec![0.0; 20], vec![0.0; 20]);
        frame.roughness(&x, &mut slope);
        for at in 0..20 {
            let was = x[at];
            x[at] = was + 1e-3;
            let up = frame.roughness(&x, &mut unused);
            x[at] = was - 1e-3;
            let down = frame.roughness(&x, &mut unused);
            x[at] = was;
            let measured = (up - down) / 2e-3;
            assert!(
                (measured - slope[at]).abs() < 0.02 * slope[at].abs().max(0.5),
                "{at}: {measured} {}",
                slope[at]
            );
        }
        let plane: Vec<f32> = (0..20).map(|i| 0.1 * (i / 4) as f32 + 0.05 * (i % 4) as f32).collect();
        assert!(frame.roughness(&plane, &mut unused) < (FLOOR * 1.01).ln());
    }
}
