//! A tree ensemble as plain data, with the arithmetic of ONNX.

/// Deepest tree that is taken: boosted trees have a few levels, grown ones some dozens.
const DEPTH_MAX: usize = 512;

/// How a split compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `value <= threshold` goes the way of `yes`.
    AtMost,
    /// `value < threshold` goes the way of `yes`.
    Below,
}

impl Compare {
    /// Whether `value` goes the way of `yes`.
    pub fn yes(self, value: f32, threshold: f32) -> bool {
        match self {
            Self::AtMost => value <= threshold,
            Self::Below => value < threshold,
        }
    }
}

/// A node of a tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// An inner node.
    Split {
        /// Feature that is compared.
        feature: usize,
        /// With what, single precision as in the file.
        threshold: f32,
        /// How.
        compare: Compare,
        /// Node where it holds; a higher index than this node's.
        yes: usize,
        /// Node where it does not; a higher index than this node's.
        no: usize,
    },
    /// A leaf: what it adds to each output.
    Leaf(Vec<f32>),
}

/// A tree; its root is node 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tree {
    /// Children have higher indices than their parent.
    pub nodes: Vec<Node>,
}

/// How sums become a class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// One sum per class; the highest, the first of equals.
    Highest,
    /// One sum; class 1 where it is above this, else class 0.
    Above(f32),
}

/// A tree ensemble: gradient boosting, random forest.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    /// Values of a row.
    pub features: usize,
    /// Sums: one per class, or one.
    pub outputs: usize,
    /// Added to the sums at the end; `outputs` values.
    pub base: Vec<f32>,
    /// In the file's order: sums in single precision depend on it.
    pub trees: Vec<Tree>,
    /// From sums to a class.
    pub decision: Decision,
}

/// Why trees make no forest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tree {tree} is not well formed: {what}")]
pub struct ForestError {
    tree: usize,
    what: &'static str,
}

impl Forest {
    /// Number of classes.
    pub const fn classes(&self) -> usize {
        match self.decision {
            Decision::Highest => self.outputs,
            Decision::Above(_) => 2,
        }
    }

    /// Checks what the other functions rely on: children after parents, features and leaves of the stated sizes.
    ///
    /// # Errors
    /// Names the tree and what is wrong.
    pub fn checked(self) -> Result<Self, ForestError> {
        for (at, tree) in self.trees.iter().enumerate() {
            let wrong = |what| Err(ForestError { tree: at, what });
            let mut depths = vec![0_usize; tree.nodes.len()];
            if tree.nodes.is_empty() {
                return wrong("it has no nodes");
            }
            for (place, node) in tree.nodes.iter().enumerate() {
                match node {
                    Node::Leaf(values) if values.len() != self.outputs => {
                        return wrong("a leaf has another number of outputs");
                    }
                    Node::Split { yes, no, .. }
                        if (*yes).min(*no) <= place || (*yes).max(*no) >= tree.nodes.len() =>
                    {
                        return wrong("a child does not come after its parent");
                    }
                    Node::Split { feature, .. } if *feature >= self.features => {
                        return wrong("a feature does not exist");
                    }
                    Node::Split { threshold, .. } if threshold.is_nan() => {
                        return wrong("a threshold is not a number");
                    }
                    Node::Split { yes, no, .. } => {
                        let depth = depths.get(place).copied().unwrap_or(0) + 1;
                        if depth > DEPTH_MAX {
                            return wrong("it is too deep");
                        }
                        for child in [*yes, *no] {
                            if let Some(d) = depths.get_mut(child) {
                                *d = (*d).max(depth);
                            }
                        }
                    }
                    Node::Leaf(_) => {}
                }
            }
        }
        if self.base.len() != self.outputs || self.outputs == 0 {
            return Err(ForestError { tree: 0, what: "another number of base values than outputs" });
        }
        Ok(self)
    }

    /// The sums of a row, added in the order of the trees in single precision, then the base values.
    pub fn sums(&self, row: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0_f32; self.outputs];
        for tree in &self.trees {
            for (sum, vote) in sums.iter_mut().zip(tree.leaf(row)) {
                *sum += vote;
            }
        }
        sums.iter_mut().zip(&self.base).for_each(|(sum, base)| *sum += base);
        sums
    }

    /// The class of a row.
    pub fn class(&self, row: &[f32]) -> usize {
        let sums = self.sums(row);
        match self.decision {
            Decision::Highest => crate::access::argmax(&sums).unwrap_or(0),
            Decision::Above(threshold) => usize::from(sums.first().is_some_and(|s| *s > threshold)),
        }
    }
}

impl Tree {
    /// What the leaf of a row adds.
    pub fn leaf(&self, row: &[f32]) -> &[f32] {
        let mut at = 0;
        // Children come after their parent, so the walk ends.
        while let Some(node) = self.nodes.get(at) {
            match node {
                Node::Leaf(values) => return values,
                Node::Split { feature, threshold, compare, yes, no } => {
                    let value = row.get(*feature).copied().unwrap_or(f32::NAN);
                    at = if compare.yes(value, *threshold) { *yes } else { *no };
                }
            }
        }
        &[]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One split per tree.
    pub(crate) fn stump(feature: usize, threshold: f32, yes: f32, no: f32) -> Tree {
        Tree {
            nodes: vec![
                Node::Split { feature, threshold, compare: Compare::AtMost, yes: 1, no: 2 },
                Node::Leaf(vec![yes]),
                Node::Leaf(vec![no]),
            ],
        }
    }

    /// A random forest with one sum.
    pub(crate) fn random(trees: usize, depth: u32, features: usize, seed: u64) -> Forest {
        let mut rng = numeric::Rng::new(seed, 0);
        let inner = 2_usize.pow(depth) - 1;
        let one = |rng: &mut numeric::Rng| Tree {
            nodes: (0..2 * inner + 1)
                .map(|at| {
                    if at < inner {
                        Node::Split {
                            feature: rng.below(features),
                            // Few thresholds, so that trees share them.
                            threshold: (rng.below(16) as f32 + 0.5) / 16.0,
                            compare: if rng.uniform() < 0.5 { Compare::AtMost } else { Compare::Below },
                            yes: 2 * at + 1,
                            no: 2 * at + 2,
                        }
                    } else {
                        Node::Leaf(vec![rng.normal() as f32])
                    }
                })
                .collect(),
        };
        let trees = (0..trees).map(|_| one(&mut rng)).collect();
        Forest { features, outputs: 1, base: vec![0.0], trees, decision: Decision::Above(0.0) }
            .checked()
            .unwrap()
    }

    #[test]
    fn a_row_on_a_threshold_goes_as_the_comparison_says() {
        let forest = Forest {
            features: 1,
            outputs: 1,
            base: vec![0.0],
            trees: vec![stump(0, 0.5, -1.0, 1.0)],
            decision: Decision::Above(0.0),
        };
        assert_eq!((forest.class(&[0.5]), forest.class(&[0.500_000_1])), (0, 1));
    }

    #[test]
    fn trees_that_could_loop_are_refused() {
        let tree = |yes| Tree {
            nodes: vec![
                Node::Split { feature: 0, threshold: 0.0, compare: Compare::Below, yes, no: 1 },
                Node::Leaf(vec![0.0]),
            ],
        };
        let forest = |yes| Forest {
            features: 1,
            outputs: 1,
            base: vec![0.0],
            trees: vec![tree(yes)],
            decision: Decision::Above(0.0),
        };
        assert!(forest(1).checked().is_ok());
        assert!(forest(0).checked().is_err());
        assert!(forest(2).checked().is_err());
    }
}
