//! Straight to the nearest boundary of a linear picture of the model, again and again.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, argmax};
use crate::evasion::plane::{Bisection, Planes, between, reach};
use crate::evasion::walk::{Walk, Wants, drive};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithGradients, checked, parameters};
use crate::norm::Norm;

domain::catalogue_entry! {
    /// Straight to the nearest boundary of a linear picture of the model, again until the class changes (`DeepFool`).
    ///
    /// ## What it is
    /// At each row the model is taken as linear; of the planes on which a wrong class would draw level, the nearest one that the unit box lets it reach is stepped
    /// onto, a little further. After a few steps the class changes; then the way back to the start is halved until the boundary is met. Parameters: `steps` (50), `overshoot`
    /// (0.02), `classes` (10 most likely ones that are looked at).
    ///
    /// ## Why it matters in care
    /// It tells within a handful of questions about how far each patient is from another answer: a cheap map of where a model is fragile.
    ///
    /// ## Limits
    /// The distance is an upper bound and often not a tight one: `fab` and `cw` find less. What lies beyond the budget of an exercise counts as standing there.
    ///
    /// ## References
    /// Moosavi-Dezfooli, Fawzi, Frossard 2016, arXiv:1511.04599; the steps within the box as in Croce and Hein 2020, arXiv:1907.02044.
    pub static ENTRY = { id: "X008", name: "deepfool", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::Linf, Norm::L2],
    minimal: true,
    build: |given| {
        let plan = parameters::<DeepFool>(given)?;
        checked("steps", plan.steps, 10_000)?;
        checked("classes", plan.classes, 10_000)?;
        if !(0.0..=10.0).contains(&plan.overshoot) {
            return Err("`overshoot` must be 0 to 10".into());
        }
        Ok(Evasion::Gradients(Box::new(plan)))
    },
};

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct DeepFool {
    steps: u32,
    overshoot: f64,
    classes: u32,
}

impl Default for DeepFool {
    fn default() -> Self {
        Self { steps: 50, overshoot: 0.02, classes: 10 }
    }
}

/// Halvings of the way back: a thousandth of it.
const HALVINGS: u32 = 10;

impl WithGradients for DeepFool {
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault> {
        drive(model, task, 1, |at| {
            let start = task.start(at);
            Path {
                plan: self,
                norm: task.ball.norm,
                label: task.labels.get(at).copied().unwrap_or(0),
                start,
                x: start.to_vec(),
                taken: 0,
                planes: None,
                back: None,
                end: None,
                wants: Wants::Scores,
            }
        })
    }
}

/// One row on its way.
struct Path<'t> {
    plan: &'t DeepFool,
    norm: Norm,
    label: usize,
    start: &'t [f32],
    x: Vec<f32>,
    taken: u32,
    planes: Option<Planes>,
    /// The way back, once the class has changed, from where it did.
    back: Option<(Bisection, Vec<f32>)>,
    end: Option<Vec<f32>>,
    wants: Wants,
}

impl Path<'_> {
    fn wrong(&self, scores: &[f32]) -> bool {
        argmax(scores).is_some_and(|seen| seen != self.label)
    }

    fn go_back(&mut self) {
        if let Some((bisection, crossed)) = &self.back {
            match bisection.next() {
                Some(share) => self.x = between(self.start, crossed, share),
                None => self.wants = Wants::Nothing,
            }
        }
    }
}

impl Walk for Path<'_> {
    fn wants(&self) -> Wants {
        self.wants
    }

    fn at(&self) -> &[f32] {
        &self.x
    }

    fn cotangent(&self, _scores: &[f32], out: &mut [f32]) {
        if let Some(planes) = &self.planes {
            planes.cotangent(out);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounded to the precision of the rows")]
    fn hear(&mut self, scores: &[f32], gradient: &[f32]) {
        let wrong = self.wrong(scores);
        if let Some((bisection, _)) = &mut self.back {
            if wrong {
                self.end = Some(self.x.clone());
            }
            bisection.hear(wrong);
            self.go_back();
            return;
        }
        if wrong {
            self.end = Some(self.x.clone());
            self.back = Some((Bisection::new(HALVINGS), self.x.clone()));
            self.wants = Wants::Scores;
            self.go_back();
            return;
        }
        let Some(planes) = &mut self.planes else {
            self.planes = Some(Planes::new(scores, self.label, self.plan.classes as usize));
            self.wants = Wants::Gradient;
            return;
        };
        match planes.hear(self.norm, scores, gradient) {
            None => {}
            // No gradient points anywhere: this attack has no other way to go on.
            Some(None) => self.wants = Wants::Nothing,
            Some(Some(_)) if self.taken == self.plan.steps => self.wants = Wants::Nothing,
            Some(Some(plane)) => {
                let change = reach(self.norm, &self.x, &plane);
                for (v, c) in self.x.iter_mut().zip(change) {
                    *v = (f64::from(*v) + (1.0 + self.plan.overshoot) * c).clamp(0.0, 1.0) as f32;
                }
                self.taken += 1;
            }
        }
    }

    fn refused(&mut self) {
        self.wants = Wants::Nothing;
    }

    fn found(&self) -> Option<&[f32]> {
        self.end.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use crate::evasion::tests::{check_breaks_the_linear_model, check_finds_the_smallest_change};

    #[test]
    fn it_breaks_what_lies_within_reach_and_nothing_else() {
        check_breaks_the_linear_model("deepfool", 0.99);
        check_finds_the_smallest_change("deepfool", 0.01);
    }
}
