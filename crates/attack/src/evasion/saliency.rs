//! Few values, chosen one at a time by how much each can do.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, argmax};
use crate::evasion::walk::{Walk, Wants, drive};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithGradients, parameters};
use crate::loss::Loss;
use crate::norm::Norm;

domain::catalogue_entry! {
    /// One value at a time is pushed to an end of its range, the one that can do most first (saliency map attack).
    ///
    /// ## What it is
    /// At each step the gradient tells, for each value not yet touched, how much the loss would rise if it went to the end of its range; the best one goes there. It ends
    /// when the class changes or the budget, a number of values, is spent. One gradient for each value changed. No parameters.
    ///
    /// ## Why it matters in care
    /// In a table, a few wrong cells are what a typing error, a unit mix-up or a single manipulated device produce: how few are enough?
    ///
    /// ## Limits
    /// Greedy: a pair of values that only work together is missed (`pgd0` looks at all values at once). Values go to the ends of their ranges, which are
    /// possible for the model but may be impossible for a patient; the constraint-aware search for tables keeps to what a patient can have.
    ///
    /// ## References
    /// Papernot et al. 2016, arXiv:1511.07528; one value at a time instead of pairs.
    pub static ENTRY = { id: "X013", name: "saliency", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::L0],
    minimal: false,
    build: |given| Ok(Evasion::Gradients(Box::new(parameters::<Saliency>(given)?))),
};

/// No parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Saliency {}

impl WithGradients for Saliency {
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault> {
        drive(model, task, 1, |at| {
            let places = task.ball.places();
            Path {
                label: task.labels.get(at).copied().unwrap_or(0),
                x: task.start(at).to_vec(),
                touched: vec![false; task.width()],
                left: places,
                wants: if places == 0 { Wants::Nothing } else { Wants::Gradient },
                found: false,
            }
        })
    }
}

/// One row on its way.
struct Path {
    label: usize,
    x: Vec<f32>,
    touched: Vec<bool>,
    left: usize,
    wants: Wants,
    found: bool,
}

/// The value that can do most: slope times room to the end of the range that it points to.
fn strongest(x: &[f32], gradient: &[f32], touched: &[bool]) -> Option<usize> {
    let mut best = (0.0, None);
    for (at, ((v, g), touched)) in x.iter().zip(gradient).zip(touched).enumerate() {
        let gain = g.abs() * if *g > 0.0 { 1.0 - v } else { *v };
        // A slope that is not a number compares as false and is passed over.
        if !touched && gain > best.0 {
            best = (gain, Some(at));
        }
    }
    best.1
}

impl Walk for Path {
    fn wants(&self) -> Wants {
        self.wants
    }

    fn at(&self) -> &[f32] {
        &self.x
    }

    fn cotangent(&self, scores: &[f32], out: &mut [f32]) {
        Loss::LogOdds.of(scores, self.label, out);
    }

    fn hear(&mut self, scores: &[f32], gradient: &[f32]) {
        self.found = argmax(scores).is_some_and(|seen| seen != self.label);
        let next = strongest(&self.x, gradient, &self.touched);
        let (false, true, Some(at)) = (self.found, self.left > 0, next) else {
            self.wants = Wants::Nothing;
            return;
        };
        if let (Some(v), Some(g), Some(touched)) =
            (self.x.get_mut(at), gradient.get(at), self.touched.get_mut(at))
        {
            *v = if *g > 0.0 { 1.0 } else { 0.0 };
            *touched = true;
        }
        self.left -= 1;
        if self.left == 0 {
            self.wants = Wants::Scores;
        }
    }

    fn refused(&mut self) {
        self.wants = Wants::Nothing;
    }

    fn found(&self) -> Option<&[f32]> {
        self.found.then_some(self.x.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use crate::evasion::tests::check_breaks_the_linear_model;

    #[test]
    fn it_breaks_what_lies_within_reach_and_nothing_else() {
        check_breaks_the_linear_model("saliency", 1.0);
    }
}
