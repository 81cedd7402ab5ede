//! The fast gradient sign method, and its forms in the other norms.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, Replies, Rows};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithGradients, parameters};
use crate::loss::Loss;
use crate::norm::Norm;

domain::catalogue_entry! {
    /// One step along the gradient, as far as the budget goes (fast gradient sign method).
    ///
    /// ## What it is
    /// The loss of the true class is followed by one step: by the sign of its gradient for the largest-change norm, by the gradient scaled to the
    /// budget for the Euclidean one. One forward and one backward pass per sample.
    ///
    /// ## Why it matters in care
    /// What falls to this falls to anybody: it is the cheapest attack there is, and the change is the size of sensor noise.
    ///
    /// ## Limits
    /// A model that stands it has shown nothing: stronger attacks start from here. It says nothing about models without gradients.
    ///
    /// ## References
    /// Goodfellow, Shlens, Szegedy 2015, arXiv:1412.6572.
    pub static ENTRY = { id: "X001", name: "fgsm", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::Linf, Norm::L2],
    minimal: false,
    build: |given| Ok(Evasion::Gradients(Box::new(parameters::<Fgsm>(given)?))),
};

/// No parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Fgsm {}

impl WithGradients for Fgsm {
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault> {
        let mut found = Candidates::at_start(task);
        let (mut replies, mut gradient) = (Replies::default(), Vec::new());
        let width = task.width();
        let rows = Rows::new(task.starts, width, task.samples)?;
        let mut climb = |at: usize, scores: &[f32], out: &mut [f32]| {
            Loss::CrossEntropy.of(scores, task.labels.get(at).copied().unwrap_or(0), out);
        };
        model.gradient(rows, &mut climb, &mut replies, &mut gradient)?;
        found.gradients.look(&gradient, width);
        for (row, slope) in found.rows.chunks_exact_mut(width).zip(gradient.chunks_exact(width)) {
            step(row, slope, task.ball.norm, task.ball.epsilon);
        }
        model.scores(Rows::new(&found.rows, width, task.samples)?, &mut replies)?;
        for (at, claimed) in found.claimed.iter_mut().enumerate() {
            *claimed = replies.label(at).is_some_and(|seen| Some(&seen) != task.labels.get(at));
        }
        Ok(found)
    }
}

/// Moves `row` by `epsilon` in `norm` along `slope`, then back into the box. A gradient that is not finite moves nothing.
#[expect(clippy::cast_possible_truncation, reason = "the radius is rounded to the precision of the rows")]
fn step(row: &mut [f32], slope: &[f32], norm: Norm, epsilon: f64) {
    let length = slope.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return;
    }
    for (value, g) in row.iter_mut().zip(slope) {
        let by = match norm {
            Norm::L2 => f64::from(*g) / length * epsilon,
            _ if *g == 0.0 => 0.0,
            _ => epsilon.copysign(f64::from(*g)),
        };
        *value = (f64::from(*value) + by).clamp(0.0, 1.0) as f32;
    }
}

#[cfg(test)]
mod tests {
    use crate::evasion::tests::check_breaks_the_linear_model;

    #[test]
    fn one_step_breaks_what_lies_within_reach_and_nothing_else() {
        check_breaks_the_linear_model("fgsm", 1.0);
    }
}
