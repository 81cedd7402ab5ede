//! What the trees of an ensemble can add up to inside a box of rows.

use crate::tabular::exact::targets;
use crate::tabular::forest::{Compare, Forest, Node};

/// Leaves of merged trees kept at once; merging stops before there are more.
const LEAVES_MAX: usize = 2_048;
/// Trees merged into one, at most.
const MERGED_MAX: usize = 16;

/// How much each leaf speaks for a class against the true one.
pub(super) struct Margins {
    nodes: Vec<Flat>,
    roots: Vec<usize>,
    /// Distinct splits, by which trees are compared.
    splits: Vec<(usize, f32, Compare)>,
    /// Added to the sum of the leaves.
    pub(super) base: f64,
    /// Sums of single precision in the model may differ from exact ones by this.
    pub(super) slack: f64,
}

#[derive(Clone, Copy)]
enum Flat {
    Split { feature: usize, threshold: f32, compare: Compare, split: usize, yes: usize, no: usize },
    Leaf(f64),
}

/// What [`Margins::tighten`] found.
pub(super) struct Split {
    /// No row of the box has a larger margin.
    pub(super) most: f64,
    /// Where to split the box next, and whether the `yes` side promises more.
    pub(super) at: Option<(usize, f32, Compare, bool)>,
}

impl Margins {
    pub(super) fn new(forest: &Forest, base: f64, value: &dyn Fn(&[f32]) -> f64) -> Self {
        let mut splits: Vec<(usize, f32, Compare)> = Vec::new();
        let (mut nodes, mut roots) = (Vec::new(), Vec::new());
        let mut largest = 0.0;
        let mut known = std::collections::BTreeMap::new();
        for tree in &forest.trees {
            let from = nodes.len();
            roots.push(from);
            let mut most = 0.0_f64;
            for node in &tree.nodes {
                nodes.push(match node {
                    Node::Leaf(values) => {
                        let value = value(values);
                        most = most.max(value.abs());
                        Flat::Leaf(value)
                    }
                    Node::Split { feature, threshold, compare, yes, no } => {
                        let key = (*feature, threshold.to_bits(), *compare == Compare::AtMost);
                        let split = *known.entry(key).or_insert_with(|| {
                            splits.push((*feature, *threshold, *compare));
                            splits.len() - 1
                        });
                        Flat::Split {
                            feature: *feature,
                            threshold: *threshold,
                            compare: *compare,
                            split,
                            yes: from + yes,
                            no: from + no,
                        }
                    }
                });
            }
            largest += most;
        }
        Self { nodes, roots, splits, base, slack: 1e-5 * (1.0 + largest + base.abs()) }
    }

    pub(super) const fn trees(&self) -> usize {
        self.roots.len()
    }

    /// Drops trees that are constant in the box and adds them to `known`; bounds the rest, and says which split lowers that bound most.
    pub(super) fn tighten(
        &self,
        trees: &mut Vec<usize>,
        known: &mut f64,
        low: &[f32],
        high: &[f32],
    ) -> Split {
        // By split: how much the bound falls on either side.
        let mut gains = vec![(0.0_f64, 0.0_f64); self.splits.len()];
        let mut most = 0.0;
        trees.retain(|tree| {
            let root = self.roots.get(*tree).copied().unwrap_or(0);
            let (best, constant) = self.reach(root, low, high, &mut gains);
            if constant {
                *known += best;
            } else {
                most += best;
            }
            !constant
        });
        let best = gains
            .iter()
            .enumerate()
            .map(|(at, (yes, no))| (at, yes + no, no > yes))
            .filter(|(_, gain, _)| *gain > 0.0)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let at = match best {
            Some((at, _, yes_first)) => self.splits.get(at).map(|(f, t, c)| (*f, *t, *c, yes_first)),
            None => self.any_split(trees, low, high),
        };
        Split { most: most + *known, at }
    }

    /// A split of the box though no bound falls by it: leaves of equal best value.
    fn any_split(&self, trees: &[usize], low: &[f32], high: &[f32]) -> Option<(usize, f32, Compare, bool)> {
        let mut at = self.roots.get(*trees.first()?).copied()?;
        while let Some(Flat::Split { feature, threshold, compare, yes, no, .. }) = self.nodes.get(at) {
            match sides(*compare, *threshold, low.get(*feature), high.get(*feature)) {
                (true, true) => return Some((*feature, *threshold, *compare, true)),
                (true, false) => at = *yes,
                _ => at = *no,
            }
        }
        None
    }

    /// Highest leaf that rows of the box reach, and whether they all reach the same.
    fn reach(&self, at: usize, low: &[f32], high: &[f32], gains: &mut [(f64, f64)]) -> (f64, bool) {
        match self.nodes.get(at) {
            Some(Flat::Split { feature, threshold, compare, split, yes, no }) => {
                match sides(*compare, *threshold, low.get(*feature), high.get(*feature)) {
                    (true, true) => {
                        let (a, _) = self.reach(*yes, low, high, gains);
                        let (b, _) = self.reach(*no, low, high, gains);
                        if let Some(gain) = gains.get_mut(*split) {
                            // On the side with the lower best, the bound falls by the difference.
                            *gain = (gain.0 + (b - a).max(0.0), gain.1 + (a - b).max(0.0));
                        }
                        (a.max(b), false)
                    }
                    (true, false) => self.reach(*yes, low, high, gains),
                    _ => self.reach(*no, low, high, gains),
                }
            }
            Some(Flat::Leaf(value)) => (*value, true),
            None => (0.0, true),
        }
    }

    /// The leaves of a tree that meet the box, each with its part of the box and its value.
    fn leaves(&self, tree: usize, whole: &[(f32, f32)]) -> Vec<Part> {
        let mut out = Vec::new();
        let mut open = vec![(self.roots.get(tree).copied().unwrap_or(0), whole.to_vec())];
        while let Some((at, ends)) = open.pop() {
            match self.nodes.get(at) {
                Some(Flat::Leaf(value)) => out.push(Part { ends, value: *value }),
                Some(Flat::Split { feature, threshold, compare, yes, no, .. }) => {
                    let (low, high) =
                        ends.get(*feature).copied().unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
                    let (to_yes, to_no) = sides(*compare, *threshold, Some(&low), Some(&high));
                    let (below, above) = match compare {
                        Compare::AtMost => (*threshold, threshold.next_up()),
                        Compare::Below => (threshold.next_down(), *threshold),
                    };
                    let part = |low: f32, high: f32| {
                        let mut part = ends.clone();
                        if let Some(place) = part.get_mut(*feature) {
                            *place = (low, high);
                        }
                        part
                    };
                    if to_yes {
                        open.push((*yes, part(low, high.min(below))));
                    }
                    if to_no {
                        open.push((*no, part(low.max(above), high)));
                    }
                }
                None => {}
            }
        }
        out
    }
}

/// Whether rows of an interval go either way.
fn sides(compare: Compare, threshold: f32, low: Option<&f32>, high: Option<&f32>) -> (bool, bool) {
    let low = low.copied().unwrap_or(f32::NEG_INFINITY);
    let high = high.copied().unwrap_or(f32::INFINITY);
    (compare.yes(low, threshold), !compare.yes(high, threshold))
}

/// Part of a box where several trees are constant.
struct Part {
    ends: Vec<(f32, f32)>,
    value: f64,
}

/// An upper bound of the margin of any other class over `label` that `forest` gives to a row of the box: negative means that no row of the box changes
/// the class. `ends` are the lowest and highest value of each feature. Trees are merged while that stays small (Chen et al. 2019,
/// arXiv:1906.03849, one level), which is never above the sum of their best leaves.
pub fn margin_bound(forest: &Forest, label: usize, ends: &[(f32, f32)]) -> f64 {
    targets(forest, label).iter().map(|m| margin_bound_of(m, ends)).fold(f64::NEG_INFINITY, f64::max)
}

pub(super) fn margin_bound_of(margins: &Margins, ends: &[(f32, f32)]) -> f64 {
    let best = |parts: &[Part]| parts.iter().map(|p| p.value).fold(f64::NEG_INFINITY, f64::max);
    let mut sum = margins.base;
    let (mut merged, mut count): (Vec<Part>, usize) = (Vec::new(), 0);
    for tree in 0..margins.trees() {
        let leaves = margins.leaves(tree, ends);
        let both = if count == 0 || count >= MERGED_MAX { None } else { join(&merged, &leaves) };
        match both {
            Some(both) => (merged, count) = (both, count + 1),
            None => {
                if count > 0 {
                    sum += best(&merged);
                }
                (merged, count) = (leaves, 1);
            }
        }
    }
    if count > 0 { sum + best(&merged) } else { sum }
}

/// All pairs that meet; `None` when there are too many.
fn join(a: &[Part], b: &[Part]) -> Option<Vec<Part>> {
    let mut out = Vec::new();
    for x in a {
        for y in b {
            let meet = x.ends.iter().zip(&y.ends).all(|(p, q)| p.0.max(q.0) <= p.1.min(q.1));
            if meet {
                if out.len() == LEAVES_MAX {
                    return None;
                }
                let ends = x.ends.iter().zip(&y.ends).map(|(p, q)| (p.0.max(q.0), p.1.min(q.1))).collect();
                out.push(Part { ends, value: x.value + y.value });
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tabular::forest::tests::random;

    #[test]
    fn no_row_of_a_box_passes_the_bound_and_merging_only_lowers_it() {
        for seed in 0..8 {
            let forest = random(40, 3, 5, seed);
            let mut rng = numeric::Rng::new(seed, 2);
            let ends: Vec<(f32, f32)> = (0..5)
                .map(|_| {
                    let low = rng.uniform() as f32 * 0.7;
                    (low, low + 0.25)
                })
                .collect();
            let margins = &targets(&forest, 0)[0];
            let merged = margin_bound(&forest, 0, &ends);
            let (low, high): (Vec<f32>, Vec<f32>) = ends.iter().copied().unzip();
            let alone = margins.tighten(&mut (0..40).collect(), &mut margins.base.clone(), &low, &high).most;
            assert!(merged <= alone + 1e-9, "{merged} {alone}");
            for _ in 0..500 {
                let row: Vec<f32> = ends.iter().map(|(l, h)| l + (h - l) * rng.uniform() as f32).collect();
                assert!(f64::from(forest.sums(&row)[0]) <= merged + 1e-4);
            }
        }
    }
}
