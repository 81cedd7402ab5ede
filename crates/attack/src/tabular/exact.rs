//! The least change that turns a tree ensemble over: exact by branch and bound, or bounds when the work is spent.

use crate::norm::Norm;
use crate::tabular::bound::{Margins, margin_bound_of};
use crate::tabular::change::{Change, Settings};
use crate::tabular::forest::{Compare, Decision, Forest};
use crate::tabular::rulebook::Rulebook;

domain::catalogue_entry! {
    /// The smallest change of a row that a tree ensemble decides otherwise, exact or between two bounds.
    ///
    /// ## What it is
    /// Trees are constant in boxes. Boxes of rows are split at the thresholds of the trees, boxes that cannot hold another class are dropped by an upper bound of what the trees
    /// can add up to inside, and boxes further away than the best row found are cut off. When nothing is left the answer is exact; when the work allowed is spent first,
    /// it says between which distances it lies: no row nearer than the lower bound changes the class, whatever the attack.
    ///
    /// ## Why it matters in care
    /// Risk scores on tables are mostly tree ensembles, and gradients say nothing about them. A lower bound is a promise about a patient: measurement error below it
    /// cannot turn the answer over.
    ///
    /// ## Limits
    /// The problem is NP-hard; on ensembles of hundreds of deep trees the bounds stay apart. Relations between features are kept by the row shown, while the lower bound
    /// leaves them out and so may be lower than need be.
    ///
    /// ## References
    /// Kantchelian, Tygar, Joseph 2016, arXiv:1509.07892. Chen, Zhang, Si, Li, Boning, Hsieh 2019, arXiv:1906.03849.
    pub static ENTRY = { id: "X041", name: "least-change-of-trees", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// Which values a feature can take between its ends, beside its present one.
#[derive(Debug, Clone, PartialEq)]
pub enum Steps {
    /// Any.
    Any,
    /// Multiples of a step.
    Multiples(f64),
    /// These, in ascending order.
    Codes(Vec<f32>),
}

/// One feature of the row to be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Its present value.
    pub at: f32,
    /// Lowest value it may get; `low == high == at` for what never changes.
    pub low: f32,
    /// Highest value it may get.
    pub high: f32,
    /// Values between.
    pub steps: Steps,
    /// Cost of a change by 1, or of any change when `flat`.
    pub weight: f64,
    /// Any change costs the same: categories.
    pub flat: bool,
}

/// How much may be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Boxes looked at. 200,000 take about a second on an ensemble of 150 trees.
    pub boxes_max: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self { boxes_max: 200_000 }
    }
}

/// What is known of the least change.
#[derive(Debug, Clone, PartialEq)]
pub struct Least {
    /// The nearest row of another class that was found.
    pub row: Option<Vec<f32>>,
    /// No row of another class is nearer than this.
    pub lower: f64,
    /// Distance of `row`; infinite without one.
    pub upper: f64,
    /// Boxes looked at.
    pub boxes: u64,
}

impl Least {
    /// `lower` and `upper` are the same, or there is proof that no row of another class exists.
    pub fn exact(&self) -> bool {
        self.upper <= self.lower * (1.0 + 1e-9) || (self.row.is_none() && self.lower.is_infinite())
    }
}

/// Makes a candidate acceptable, or says that it is not.
pub(super) type Accept<'a> = dyn Fn(&[f32]) -> Option<Vec<f32>> + 'a;

impl Axis {
    /// A value without limits of its own, in [`low`, `high`].
    pub const fn real(at: f32, low: f32, high: f32, weight: f64) -> Self {
        Self { at, low, high, steps: Steps::Any, weight, flat: false }
    }

    /// The smallest interval that holds all allowed values in [`low`, `high`]; `None` when there are none.
    fn snapped(&self, low: f32, high: f32) -> Option<(f32, f32)> {
        let (low, high) = (low.max(self.low), high.min(self.high));
        let (mut from, mut to) = match &self.steps {
            Steps::Any => (low, high),
            Steps::Multiples(step) => {
                let up = multiple((f64::from(low) / step - 1e-9).ceil(), *step);
                let up = if up < low { multiple((f64::from(low) / step).floor() + 1.0, *step) } else { up };
                let down = multiple((f64::from(high) / step + 1e-9).floor(), *step);
                let down =
                    if down > high { multiple((f64::from(high) / step).ceil() - 1.0, *step) } else { down };
                (up, down)
            }
            Steps::Codes(codes) => {
                let mut inside = codes.iter().copied().filter(|c| *c >= low && *c <= high);
                let first = inside.next().unwrap_or(f32::INFINITY);
                (
                    first,
                    inside.next_back().unwrap_or(if first.is_finite() { first } else { f32::NEG_INFINITY }),
                )
            }
        };
        if self.at >= low && self.at <= high {
            (from, to) = (from.min(self.at), to.max(self.at));
        }
        (from <= to).then_some((from, to))
    }

    /// The allowed value in [`low`, `high`] that is nearest to the present one.
    const fn nearest(&self, low: f32, high: f32) -> f32 {
        self.at.clamp(low, high)
    }

    /// Least cost of a value in [`low`, `high`].
    fn cost(&self, low: f32, high: f32) -> f64 {
        self.price(self.nearest(low, high))
    }

    /// Cost of a value.
    pub(super) fn price(&self, value: f32) -> f64 {
        let change = (f64::from(value) - f64::from(self.at)).abs();
        match (change > 0.0, self.flat) {
            (false, _) => 0.0,
            (true, true) => self.weight,
            (true, false) => change * self.weight,
        }
    }

    /// [`low`, `high`] without what costs more than `left`.
    #[expect(clippy::cast_possible_truncation, reason = "rounded outwards by a float32 step")]
    fn within(&self, low: f32, high: f32, left: f64) -> (f32, f32) {
        if self.flat {
            let fixed = left < self.weight && self.at >= low && self.at <= high;
            return if fixed { (self.at, self.at) } else { (low, high) };
        }
        let reach = left / self.weight.max(1e-300);
        let down = ((f64::from(self.at) - reach) as f32).next_down();
        let up = ((f64::from(self.at) + reach) as f32).next_up();
        (low.max(down), high.min(up))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "values of rows are single precision")]
fn multiple(count: f64, step: f64) -> f32 {
    (count * step) as f32
}

/// Cost of a whole row from the costs of its values.
pub(super) fn total(norm: Norm, costs: impl Iterator<Item = f64>) -> f64 {
    match norm {
        Norm::Linf => costs.fold(0.0, f64::max),
        Norm::L2 => costs.map(|c| c * c).sum::<f64>().sqrt(),
        Norm::L1 => costs.sum(),
        Norm::L0 => costs.map(|c| f64::from(u8::from(c > 0.0))).sum(),
    }
}

/// What is left for one value of cost `own` when the row costs `now` and may cost `most`.
pub(super) fn left(norm: Norm, most: f64, now: f64, own: f64) -> f64 {
    match norm {
        Norm::Linf => most,
        Norm::L2 => (most * most - (now * now - own * own).max(0.0)).max(0.0).sqrt(),
        Norm::L1 => most - (now - own),
        Norm::L0 => f64::INFINITY,
    }
}

/// A box of rows still to be looked at.
struct Open {
    low: Vec<f32>,
    high: Vec<f32>,
    /// Trees whose leaf is not yet the same all over the box, and the sum of the others.
    trees: Vec<usize>,
    known: f64,
}

/// One branch and bound towards one class.
struct Search<'a> {
    forest: &'a Forest,
    margins: &'a Margins,
    axes: &'a [Axis],
    norm: Norm,
    label: usize,
    accept: &'a Accept<'a>,
}

/// What all searches of a row share.
struct State {
    best: f64,
    row: Option<Vec<f32>>,
    boxes: u64,
    /// Least distance of a box whose row was not acceptable: the lower bound may not pass it.
    doubtful: f64,
}

impl Search<'_> {
    /// Looks at all boxes nearer than `state.best`; false when the work was spent before.
    fn run(&self, state: &mut State, boxes_max: u64) -> bool {
        let whole: Option<Vec<(f32, f32)>> = self.axes.iter().map(|a| a.snapped(a.low, a.high)).collect();
        let Some(whole) = whole else { return true };
        let (low, high) = whole.into_iter().unzip();
        let trees = (0..self.margins.trees()).collect();
        let mut open = vec![Open { low, high, trees, known: self.margins.base }];
        while let Some(next) = open.pop() {
            if state.boxes >= boxes_max {
                return false;
            }
            state.boxes += 1;
            self.look(next, state, &mut open);
        }
        true
    }

    fn look(&self, mut it: Open, state: &mut State, open: &mut Vec<Open>) {
        // Ends become allowed values first, so that the distance of the box is that of a row in it.
        for (axis, (low, high)) in self.axes.iter().zip(it.low.iter_mut().zip(it.high.iter_mut())) {
            match axis.snapped(*low, *high) {
                Some(snapped) => (*low, *high) = snapped,
                None => return,
            }
        }
        let ends = || it.low.iter().zip(&it.high);
        let costs: Vec<f64> = self.axes.iter().zip(ends()).map(|(a, (l, h))| a.cost(*l, *h)).collect();
        let now = total(self.norm, costs.iter().copied());
        if now >= state.best {
            return;
        }
        for ((axis, cost), (low, high)) in
            self.axes.iter().zip(&costs).zip(it.low.iter_mut().zip(it.high.iter_mut()))
        {
            let (l, h) = axis.within(*low, *high, left(self.norm, state.best, now, *cost));
            match axis.snapped(l, h) {
                Some(snapped) => (*low, *high) = snapped,
                None => return,
            }
        }
        let split = self.margins.tighten(&mut it.trees, &mut it.known, &it.low, &it.high);
        if split.most < -self.margins.slack {
            return;
        }
        let nearest: Vec<f32> =
            self.axes.iter().zip(it.low.iter().zip(&it.high)).map(|(a, (l, h))| a.nearest(*l, *h)).collect();
        if self.forest.class(&nearest) != self.label {
            if let Some(row) = (self.accept)(&nearest) {
                let price = total(self.norm, self.axes.iter().zip(&row).map(|(a, v)| a.price(*v)));
                if price < state.best && self.forest.class(&row) != self.label {
                    (state.best, state.row) = (price, Some(row));
                }
                if price <= now {
                    return;
                }
            }
            if it.trees.is_empty() {
                state.doubtful = state.doubtful.min(now);
                return;
            }
        }
        if let Some((feature, threshold, compare, yes_first)) = split.at {
            let (mut yes, mut no) = (it.high.clone(), it.low.clone());
            let (below, above) = match compare {
                Compare::AtMost => (threshold, threshold.next_up()),
                Compare::Below => (threshold.next_down(), threshold),
            };
            if let (Some(y), Some(n)) = (yes.get_mut(feature), no.get_mut(feature)) {
                (*y, *n) = (y.min(below), n.max(above));
            }
            let yes = Open { low: it.low, high: yes, trees: it.trees.clone(), known: it.known };
            let no = Open { low: no, high: it.high, trees: it.trees, known: it.known };
            // The more promising one is looked at first: it lies on top.
            open.extend(if yes_first { [no, yes] } else { [yes, no] });
        }
    }
}

/// The nearest row that `forest` does not give class `label`, by the costs of `axes` put together in `norm`. `accept` makes candidates acceptable (a rulebook); give
/// `&|row| Some(row.to_vec())` when every row is.
///
/// Bounded by `work`; the bounds hold whatever was spent.
pub fn least_flip(
    forest: &Forest,
    axes: &[Axis],
    norm: Norm,
    label: usize,
    accept: &Accept<'_>,
    work: Work,
) -> Least {
    let mut state = State { best: f64::INFINITY, row: None, boxes: 0, doubtful: f64::INFINITY };
    let targets: Vec<Margins> = targets(forest, label);
    let all = |state: &mut State, boxes_max: u64| {
        targets.iter().fold(true, |done, margins| {
            let search = Search { forest, margins, axes, norm, label, accept };
            search.run(state, boxes_max) && done
        })
    };
    let first = work.boxes_max / 2;
    let mut lower = 0.0_f64;
    if all(&mut state, first) {
        lower = state.best;
    } else {
        // Not done: raise the lower bound by proofs that nothing lies within a smaller distance.
        let mut beyond = if state.best.is_finite() { state.best } else { 1e6 };
        for _ in 0..24 {
            if state.boxes >= work.boxes_max || beyond - lower < 1e-3 * beyond {
                break;
            }
            let within = f64::midpoint(lower, beyond);
            if targets.iter().all(|m| margin_bound_of(m, &ball(axes, norm, within)) < -m.slack) {
                lower = within;
                continue;
            }
            let slice = state.boxes + work.boxes_max / 16;
            let mut inner = State { best: within, row: None, boxes: state.boxes, doubtful: f64::INFINITY };
            let done = all(&mut inner, slice.min(work.boxes_max));
            state.boxes = inner.boxes;
            state.doubtful = state.doubtful.min(inner.doubtful);
            match (done, inner.row) {
                (true, None) => lower = within,
                (done, Some(row)) => {
                    (state.best, state.row) = (inner.best, Some(row));
                    beyond = inner.best;
                    if done {
                        lower = inner.best;
                    }
                }
                (false, None) => beyond = within,
            }
        }
    }
    Least { lower: lower.min(state.doubtful), upper: state.best, row: state.row, boxes: state.boxes }
}

/// The smallest box around all rows within a distance.
fn ball(axes: &[Axis], norm: Norm, within: f64) -> Vec<(f32, f32)> {
    axes.iter()
        .map(|axis| {
            let (low, high) = axis.within(axis.low, axis.high, left(norm, within, 0.0, 0.0));
            axis.snapped(low, high).unwrap_or((axis.at, axis.at))
        })
        .collect()
}

/// How much each leaf speaks for each other class.
pub(super) fn targets(forest: &Forest, label: usize) -> Vec<Margins> {
    let value = |values: &[f32], class: usize| f64::from(values.get(class).copied().unwrap_or(0.0));
    match forest.decision {
        Decision::Above(threshold) => {
            let sign = if label == 0 { 1.0 } else { -1.0 };
            let base = sign * (value(&forest.base, 0) - f64::from(threshold));
            vec![Margins::new(forest, base, &|leaf| sign * value(leaf, 0))]
        }
        Decision::Highest => (0..forest.outputs)
            .filter(|class| *class != label)
            .map(|class| {
                let base = value(&forest.base, class) - value(&forest.base, label);
                Margins::new(forest, base, &|leaf| value(leaf, class) - value(leaf, label))
            })
            .collect(),
    }
}

/// The cheapest plausible row that `forest` does not give class `label`. `row` is in clinical units, as the trees compare them.
///
/// The change is `None` where no plausible row was found; the bounds say whether there can be one.
pub fn least_change_of_trees(
    forest: &Forest,
    rulebook: &Rulebook,
    row: &[f32],
    label: usize,
    settings: &Settings,
    work: Work,
) -> (Least, Option<Change>) {
    let axes = rulebook.axes(row, settings.category);
    let accept = |candidate: &[f32]| rulebook.repaired(row, candidate);
    let least = least_flip(forest, &axes, settings.norm, label, &accept, work);
    let change = least
        .row
        .as_ref()
        .map(|found| Change::between(rulebook, row, found, settings, label, forest.class(found)));
    (least, change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tabular::forest::tests::random;

    /// The nearest row by trying every combination of cells between thresholds.
    fn by_enumeration(forest: &Forest, axes: &[Axis], norm: Norm, label: usize) -> f64 {
        let cells: Vec<Vec<f32>> = axes
            .iter()
            .map(|axis| {
                let mut values = vec![axis.at];
                for k in 0..16 {
                    let t = (k as f32 + 0.5) / 16.0;
                    values.extend([t.next_down(), t, t.next_up()]);
                }
                values.retain(|v| axis.snapped(*v, *v).is_some());
                values
            })
            .collect();
        let mut best = f64::INFINITY;
        let mut at = vec![0; axes.len()];
        loop {
            let row: Vec<f32> = at.iter().zip(&cells).map(|(i, c)| c[*i]).collect();
            if forest.class(&row) != label {
                best = best.min(total(norm, axes.iter().zip(&row).map(|(a, v)| a.price(*v))));
            }
            let Some(j) = (0..at.len()).find(|j| at[*j] + 1 < cells[*j].len()) else { return best };
            at[j] += 1;
            at[..j].fill(0);
        }
    }

    #[test]
    fn it_is_the_least_of_all_rows() {
        for seed in 0..12 {
            let forest = random(9, 3, 3, seed);
            let mut rng = numeric::Rng::new(seed, 1);
            let mut axes: Vec<Axis> =
                (0..3).map(|_| Axis::real(rng.uniform() as f32, 0.0, 1.0, 1.0 + rng.uniform())).collect();
            if seed % 3 == 1 {
                (axes[1].low, axes[1].high) = (axes[1].at, axes[1].at);
            }
            let row: Vec<f32> = axes.iter().map(|a| a.at).collect();
            let label = forest.class(&row);
            for norm in [Norm::Linf, Norm::L1, Norm::L2] {
                let least = least_flip(&forest, &axes, norm, label, &|r| Some(r.to_vec()), Work::default());
                let wanted = by_enumeration(&forest, &axes, norm, label);
                assert!(least.exact(), "{seed} {norm:?}: {least:?}");
                let same = (least.upper - wanted).abs() <= 1e-6 * wanted.max(1.0) || least.upper == wanted;
                assert!(same, "{seed} {norm:?}: {least:?}, by enumeration {wanted}");
                if let Some(found) = &least.row {
                    assert_ne!(forest.class(found), label);
                }
            }
        }
    }

    #[test]
    fn little_work_gives_bounds_around_the_truth() {
        let forest = random(60, 4, 6, 5);
        let axes: Vec<Axis> = (0..6).map(|i| Axis::real(0.1 + 0.13 * i as f32, 0.0, 1.0, 1.0)).collect();
        let row: Vec<f32> = axes.iter().map(|a| a.at).collect();
        let label = forest.class(&row);
        let flip = |boxes_max| {
            least_flip(&forest, &axes, Norm::Linf, label, &|r| Some(r.to_vec()), Work { boxes_max })
        };
        let truth = flip(5_000_000);
        assert!(truth.exact(), "{truth:?}");
        for boxes_max in [0, 10, 200, 2_000] {
            let least = flip(boxes_max);
            assert!(least.boxes <= boxes_max + 1);
            assert!(least.lower <= truth.upper && truth.upper <= least.upper, "{least:?} {truth:?}");
        }
    }

    #[test]
    fn values_keep_to_their_steps() {
        let mut axis = Axis::real(2.3, 0.0, 10.0, 1.0);
        axis.steps = Steps::Multiples(1.0);
        assert_eq!(axis.snapped(2.5, 4.7), Some((3.0, 4.0)));
        assert_eq!(axis.snapped(3.1, 3.9), None);
        assert_eq!(axis.snapped(2.1, 2.9), Some((2.3, 2.3)));
        axis.steps = Steps::Codes(vec![1.0, 3.0, 7.0]);
        assert_eq!(axis.snapped(2.5, 8.0), Some((3.0, 7.0)));
        assert_eq!(axis.snapped(3.5, 6.0), None);
        assert_eq!(axis.snapped(6.0, 8.0), Some((7.0, 7.0)));
    }
}
