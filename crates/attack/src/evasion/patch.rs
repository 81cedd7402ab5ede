//! A square patch somewhere on an image.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, Layout, argmax};
use crate::evasion::walk::{Walk, Wants, drive, points};
use crate::evasion::{Access, Candidates, Evasion, Registered, Task, WithGradients, checked, parameters};
use crate::loss::Loss;
use crate::norm::Norm;

domain::catalogue_entry! {
    /// A small square of an image is replaced by whatever changes the class, the rest is left as it is (adversarial patch).
    ///
    /// ## What it is
    /// The gradient of the whole image tells in which windows a change would do most; in each of the best few, not overlapping, the pixels of one square
    /// are driven by gradient steps without any bound but the range of a pixel. The budget is written in L0: the number of values in the square, all channels
    /// counted; the square is the largest that fits, so 25 is 5 by 5 on a grey image. For images only. Parameters: `steps` (40 in each window), `windows` (6), `step` (0.25, falling as a cosine).
    ///
    /// ## Why it matters in care
    /// A sticker, a marker, a burnt-in label or an implant sits in one place and looks like nothing special: it needs no access to the pixels in between.
    ///
    /// ## Limits
    /// One patch for each image, at the place where it does most: a patch that must work printed, turned or on every image is harder to make. Tables have no patches.
    ///
    /// ## References
    /// Brown et al. 2017, arXiv:1712.09665; Karmon, Zoran, Goldberg 2018, arXiv:1801.02608.
    pub static ENTRY = { id: "X016", name: "patch", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::L0],
    minimal: false,
    build: |given| {
        let plan = parameters::<Patch>(given)?;
        checked("steps", plan.steps, 10_000)?;
        checked("windows", plan.windows, 10_000)?;
        if !(plan.step.is_finite() && plan.step > 0.0) {
            return Err("`step` must be above 0".into());
        }
        Ok(Evasion::Gradients(Box::new(plan)))
    },
};

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Patch {
    steps: u32,
    windows: u32,
    step: f64,
}

impl Default for Patch {
    fn default() -> Self {
        Self { steps: 40, windows: 6, step: 0.25 }
    }
}

/// An image and the side of the square.
#[derive(Debug, Clone, Copy)]
struct Frame {
    channels: usize,
    height: usize,
    width: usize,
    side: usize,
}

impl Frame {
    /// The largest square with at most `places` values over all channels.
    fn new(layout: Layout, places: usize) -> Result<Self, Fault> {
        let Layout::Image { channels, height, width } = layout else {
            return Err(Fault::NotApplicable(
                "`patch` is for images: for tables use `saliency` or `pgd0`".to_owned(),
            ));
        };
        let side = (places / channels.max(1)).isqrt().min(height).min(width);
        if side == 0 {
            return Err(Fault::NotApplicable(format!(
                "`patch` needs a budget of {channels} values at least, one pixel with all its channels"
            )));
        }
        Ok(Self { channels, height, width, side })
    }

    /// Places of the values under the square whose upper left corner is at `(top, left)`.
    fn places(self, (top, left): (usize, usize)) -> impl Iterator<Item = usize> {
        (0..self.channels).flat_map(move |c| {
            (top..top + self.side).flat_map(move |y| {
                (left..left + self.side).map(move |x| (c * self.height + y) * self.width + x)
            })
        })
    }

    /// The corners of the squares in which a change promises most, best first, not overlapping.
    fn best(self, x: &[f32], gradient: &[f32], count: usize) -> Vec<(usize, usize)> {
        // What each pixel can do at most, as sums over all rectangles from the origin: any square is then four look-ups.
        let (rows, columns) = (self.height + 1, self.width + 1);
        let mut sums = vec![0.0_f64; rows * columns];
        let read = |list: &[f64], at: usize| list.get(at).copied().unwrap_or(0.0);
        for y in 0..self.height {
            for column in 0..self.width {
                let gain: f64 = (0..self.channels)
                    .map(|c| (c * self.height + y) * self.width + column)
                    .map(|at| {
                        let (v, g) = (x.get(at).copied(), gradient.get(at).copied());
                        let (v, g) = (f64::from(v.unwrap_or(0.0)), f64::from(g.unwrap_or(0.0)));
                        g.abs() * if g > 0.0 { 1.0 - v } else { v }
                    })
                    .sum();
                let total =
                    gain + read(&sums, y * columns + column + 1) + read(&sums, (y + 1) * columns + column)
                        - read(&sums, y * columns + column);
                if let Some(place) = sums.get_mut((y + 1) * columns + column + 1) {
                    *place = total;
                }
            }
        }
        let mut corners: Vec<(f64, (usize, usize))> = Vec::new();
        for top in 0..=self.height - self.side {
            for left in 0..=self.width - self.side {
                let (bottom, right) = (top + self.side, left + self.side);
                let gain = read(&sums, bottom * columns + right)
                    - read(&sums, top * columns + right)
                    - read(&sums, bottom * columns + left)
                    + read(&sums, top * columns + left);
                corners.push((gain, (top, left)));
            }
        }
        corners.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut chosen: Vec<(usize, usize)> = Vec::new();
        for (_, corner) in corners {
            if chosen.len() == count {
                break;
            }
            let apart = |other: &(usize, usize)| {
                corner.0.abs_diff(other.0) >= self.side || corner.1.abs_diff(other.1) >= self.side
            };
            if chosen.iter().all(apart) {
                chosen.push(corner);
            }
        }
        chosen
    }
}

impl WithGradients for Patch {
    fn attack(&self, model: &mut dyn Gradients, task: &Task<'_>) -> Result<Candidates, Fault> {
        let frame = Frame::new(model.space().layout, task.ball.places())?;
        drive(model, task, 1, |at| Path {
            plan: self,
            frame,
            label: task.labels.get(at).copied().unwrap_or(0),
            start: task.start(at),
            x: task.start(at).to_vec(),
            rng: task.rng(at, 16),
            corners: None,
            taken: 0,
            wants: Wants::Gradient,
            found: false,
        })
    }
}

/// One image on its way.
struct Path<'t> {
    plan: &'t Patch,
    frame: Frame,
    label: usize,
    start: &'t [f32],
    x: Vec<f32>,
    rng: numeric::Rng,
    /// Windows still to be tried, the best last; `None` before the first gradient.
    corners: Option<Vec<(usize, usize)>>,
    taken: u32,
    wants: Wants,
    found: bool,
}

impl Path<'_> {
    /// Goes on with the next window.
    fn next_window(&mut self) {
        self.x.copy_from_slice(self.start);
        self.taken = 0;
        let left = self.corners.as_mut().and_then(|corners| {
            corners.pop();
            corners.last()
        });
        self.wants = if left.is_some() { Wants::Gradient } else { Wants::Nothing };
    }

    #[expect(clippy::cast_possible_truncation, reason = "rounded to the precision of the rows")]
    fn step(&mut self, gradient: &[f32]) {
        let Some(corner) = self.corners.as_ref().and_then(|corners| corners.last().copied()) else { return };
        let turn = std::f64::consts::PI * f64::from(self.taken) / f64::from(self.plan.steps);
        let by = (self.plan.step * 0.5 * (1.0 + turn.cos())) as f32;
        let under: Vec<f32> =
            self.frame.places(corner).map(|at| gradient.get(at).copied().unwrap_or(0.0)).collect();
        let directed = points(&under);
        for (at, g) in self.frame.places(corner).zip(under) {
            let Some(v) = self.x.get_mut(at) else { continue };
            *v = if !directed {
                self.rng.uniform() as f32
            } else if g == 0.0 {
                *v
            } else if self.taken == 0 {
                // The first step goes to the end of the range that the gradient points to.
                if g > 0.0 { 1.0 } else { 0.0 }
            } else {
                (*v + by.copysign(g)).clamp(0.0, 1.0)
            };
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

    fn cotangent(&self, scores: &[f32], out: &mut [f32]) {
        Loss::LogOdds.of(scores, self.label, out);
    }

    fn hear(&mut self, scores: &[f32], gradient: &[f32]) {
        if argmax(scores).is_some_and(|seen| seen != self.label) {
            self.found = true;
            self.wants = Wants::Nothing;
            return;
        }
        if self.corners.is_none() {
            let mut corners = self.frame.best(self.start, gradient, self.plan.windows as usize);
            corners.reverse();
            self.corners = Some(corners);
        }
        if self.taken == self.plan.steps {
            self.next_window();
            return;
        }
        self.step(gradient);
        self.taken += 1;
        self.wants = if self.taken == self.plan.steps { Wants::Scores } else { Wants::Gradient };
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
    use crate::access::{Fault, Layout};
    use crate::evasion::tests::Linear;
    use crate::evasion::{Target, Task, find, run};
    use crate::norm::{Ball, Norm};
    use crate::pace::Quiet;

    /// A 6 by 6 image whose class hangs on the 2 by 2 square at (3, 1) far more than on the rest.
    fn model() -> Linear {
        let weight = |at: usize| {
            let inside = (3..5).contains(&(at / 6)) && (1..3).contains(&(at % 6));
            if inside { 1.0 } else { 0.01 }
        };
        let up: Vec<f32> = (0..36).map(weight).collect();
        let layout = Layout::Image { channels: 1, height: 6, width: 6 };
        Linear { weights: vec![up, vec![0.0; 36]], bias: vec![-1.0, 0.0], layout, asked: 0 }
    }

    fn attack(model: &mut Linear, epsilon: f64) -> Result<crate::evasion::Attacked, Fault> {
        let registered = find("patch").unwrap();
        let attack = (registered.build)(&serde_json::Value::Null).unwrap();
        let task = Task {
            starts: &[0.5; 36],
            labels: &[0],
            samples: &[0],
            others: &[],
            ball: Ball { norm: Norm::L0, epsilon },
            seed: 1,
            queries_max: None,
            pace: &Quiet,
        };
        run(registered, &attack, Target::Gradients(model), &task)
    }

    #[test]
    fn the_square_goes_where_it_does_most() {
        let attacked = attack(&mut model(), 7.0).unwrap();
        assert!(attacked.outcomes[0].broken && attacked.outcomes[0].distance <= 4.0);
        let changed: Vec<usize> = (0..36).filter(|at| attacked.rows[*at] != 0.5).collect();
        assert_eq!(changed, [19, 20, 25, 26]);
        // One pixel takes at most half a point off a lead of 1.16.
        assert!(!attack(&mut model(), 3.0).unwrap().outcomes[0].broken);
    }

    #[test]
    fn a_table_has_no_patches_and_nothing_fits_in_no_budget() {
        let mut table = Linear::halves(36);
        assert!(matches!(attack(&mut table, 4.0), Err(Fault::NotApplicable(_))));
        assert!(matches!(attack(&mut model(), 0.0), Err(Fault::NotApplicable(_))));
    }
}
