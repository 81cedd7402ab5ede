//! TreeEnsembleClassifier and TreeEnsembleRegressor (ai.onnx.ml 1 to 3) as flat tables.
//!
//! Nodes of all trees lie in one array, 16 bytes each, the two children of a node next to each other, so a step is one
//! load, one compare and one add. Several rows walk a tree together, which hides the latency of the loads.
//! Comparisons are made in float32 exactly as onnxruntime 1.32 makes them.

use std::collections::HashMap;

use super::tree_score::{Labels, Post, Scores, finish};
use super::{Compiled, Kernel, NodeCtx, done, need};
use crate::error::{OpResult, op_bail};
use crate::tensor::{TensorData, elements};
use crate::value::{Ctx, Value};

/// Rows that walk one tree at a time.
const ROWS: usize = 8;

/// How a node compares a feature with its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Leq,
    Lt,
    Gte,
    Gt,
    Eq,
    Neq,
}

/// An inner node, or a leaf (`feature == LEAF`): then `child` is its index in the leaf table.
#[derive(Debug, Clone, Copy)]
struct Step {
    threshold: f32,
    feature: u32,
    /// The true child; the false child follows it.
    child: u32,
    mode: Mode,
    missing_true: bool,
}

const LEAF: u32 = u32::MAX;

/// A leaf's votes: a range of `votes`.
#[derive(Debug, Clone, Copy, Default)]
struct Leaf {
    from: u32,
    to: u32,
}

/// How votes for a target are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

#[derive(Debug)]
struct Forest {
    steps: Vec<Step>,
    roots: Vec<u32>,
    leaves: Vec<Leaf>,
    votes: Vec<(u32, f32)>,
    /// Smallest number of features an input row must have.
    features: usize,
    /// All nodes compare with `<=` and no missing value goes the true way: the usual case, with a shorter walk.
    plain: bool,
}

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    match ctx.node.operator.as_str() {
        "TreeEnsembleClassifier" => classifier(ctx),
        "TreeEnsembleRegressor" => regressor(ctx),
        _ => Ok(None),
    }
}

/// A list of floats given as attribute `name` or as tensor `name_as_tensor` (float32, or float64 rounded).
fn floats(ctx: &NodeCtx<'_>, name: &str) -> OpResult<Option<Vec<f32>>> {
    if let Some(values) = ctx.floats(name)? {
        return Ok(Some(values.to_vec()));
    }
    match ctx.tensor(&format!("{name}_as_tensor"))?.map(|t| &t.data) {
        None => Ok(None),
        Some(TensorData::F32(values)) => Ok(Some(values.clone())),
        Some(TensorData::F64(_)) => {
            op_bail!("float64 `{name}_as_tensor` is not covered; export with float32")
        }
        Some(_) => op_bail!("attribute `{name}_as_tensor` is not float"),
    }
}

/// One required list of integers, one entry a node or vote.
fn required<'a>(ctx: &NodeCtx<'a>, name: &str, count: Option<usize>) -> OpResult<&'a [i64]> {
    match ctx.ints(name)? {
        Some(values) if count.is_none_or(|count| values.len() == count) => Ok(values),
        Some(values) => {
            op_bail!("attribute `{name}` has {} entries, not {}", values.len(), count.unwrap_or(0))
        }
        None => op_bail!("attribute `{name}` is missing"),
    }
}

fn modes(ctx: &NodeCtx<'_>, count: usize) -> OpResult<Vec<Option<Mode>>> {
    let Some(texts) = ctx.texts("nodes_modes")?.filter(|t| t.len() == count) else {
        op_bail!("attribute `nodes_modes` does not have {count} entries")
    };
    let mut out = Vec::with_capacity(count);
    for text in texts {
        out.push(match text.as_str() {
            "LEAF" => None,
            "BRANCH_LEQ" => Some(Mode::Leq),
            "BRANCH_LT" => Some(Mode::Lt),
            "BRANCH_GTE" => Some(Mode::Gte),
            "BRANCH_GT" => Some(Mode::Gt),
            "BRANCH_EQ" => Some(Mode::Eq),
            "BRANCH_NEQ" => Some(Mode::Neq),
            other => op_bail!("branch mode `{other}` is not known"),
        });
    }
    Ok(out)
}

/// The node lists of the attributes, by position in them.
struct Listed<'a> {
    trees: &'a [i64],
    ids: &'a [i64],
    features: &'a [i64],
    yes: &'a [i64],
    no: &'a [i64],
    thresholds: Vec<f32>,
    modes: Vec<Option<Mode>>,
    missing: Option<&'a [i64]>,
    at: HashMap<(i64, i64), usize>,
}

impl<'a> Listed<'a> {
    fn read(ctx: &NodeCtx<'a>) -> OpResult<Self> {
        let ids = required(ctx, "nodes_nodeids", None)?;
        let count = ids.len();
        if count > ctx.limits.tree_nodes_max {
            op_bail!("has {count} tree nodes, more than `tree_nodes_max`");
        }
        let Some(thresholds) = floats(ctx, "nodes_values")?.filter(|v| v.len() == count) else {
            op_bail!("attribute `nodes_values` does not have {count} entries")
        };
        let trees = required(ctx, "nodes_treeids", Some(count))?;
        let mut at = HashMap::with_capacity(count);
        for (i, key) in trees.iter().copied().zip(ids.iter().copied()).enumerate() {
            if at.insert(key, i).is_some() {
                op_bail!("node {} of tree {} is listed twice", key.1, key.0);
            }
        }
        Ok(Self {
            trees,
            ids,
            features: required(ctx, "nodes_featureids", Some(count))?,
            yes: required(ctx, "nodes_truenodeids", Some(count))?,
            no: required(ctx, "nodes_falsenodeids", Some(count))?,
            thresholds,
            modes: modes(ctx, count)?,
            missing: ctx.ints("nodes_missing_value_tracks_true")?.filter(|m| m.len() == count),
            at,
        })
    }

    fn child(&self, node: usize, id: i64) -> OpResult<usize> {
        match self.at.get(&(self.trees[node], id)) {
            Some(&at) if at != node => Ok(at),
            _ => op_bail!("node {} of tree {} has no child {id}", self.ids[node], self.trees[node]),
        }
    }
}

impl Forest {
    /// Lays out every tree breadth first. `votes` are `(tree, node, target, weight)`.
    fn build(listed: &Listed<'_>, votes: &[(i64, i64, u32, f32)]) -> OpResult<Self> {
        let count = listed.ids.len();
        let mut by_node: Vec<Vec<(u32, f32)>> = vec![Vec::new(); count];
        for (tree, node, target, weight) in votes {
            match listed.at.get(&(*tree, *node)).and_then(|at| by_node.get_mut(*at)) {
                Some(list) => list.push((*target, *weight)),
                None => op_bail!("a vote names node {node} of tree {tree}, which does not exist"),
            }
        }
        let mut forest = Self {
            steps: Vec::with_capacity(count),
            roots: vec![],
            leaves: vec![],
            votes: vec![],
            features: 0,
            plain: true,
        };
        let mut placed = vec![false; count];
        // The first listed node of each tree is its root.
        let mut previous = None;
        for node in 0..count {
            if previous != Some(listed.trees[node]) {
                previous = Some(listed.trees[node]);
                forest.tree(listed, node, &by_node, &mut placed)?;
            }
        }
        if placed.contains(&false) {
            op_bail!("some tree nodes cannot be reached from the root of their tree");
        }
        Ok(forest)
    }

    fn tree(
        &mut self,
        listed: &Listed<'_>,
        root: usize,
        by_node: &[Vec<(u32, f32)>],
        placed: &mut [bool],
    ) -> OpResult<()> {
        let index =
            |n: usize| u32::try_from(n).map_err(|_| crate::error::OpError::new("has too many tree nodes"));
        self.roots.push(index(self.steps.len())?);
        let start = self.steps.len();
        self.steps.push(BLANK);
        let mut queue = vec![(root, start)];
        let mut head = 0;
        while let Some(&(node, place)) = queue.get(head) {
            head += 1;
            if std::mem::replace(&mut placed[node], true) {
                op_bail!("node {} of tree {} has two parents", listed.ids[node], listed.trees[node]);
            }
            let step = match listed.modes[node] {
                None => {
                    let from = index(self.votes.len())?;
                    self.votes.extend(&by_node[node]);
                    self.leaves.push(Leaf { from, to: index(self.votes.len())? });
                    Step { feature: LEAF, child: index(self.leaves.len() - 1)?, ..BLANK }
                }
                Some(mode) => {
                    let Some(feature) = u32::try_from(listed.features[node]).ok().filter(|f| *f < LEAF)
                    else {
                        op_bail!("feature {} is not valid", listed.features[node])
                    };
                    self.features = self.features.max(feature as usize + 1);
                    let child = self.steps.len();
                    self.steps.extend([BLANK, BLANK]);
                    queue.push((listed.child(node, listed.yes[node])?, child));
                    queue.push((listed.child(node, listed.no[node])?, child + 1));
                    let missing_true = listed.missing.is_some_and(|m| m[node] != 0);
                    self.plain &= mode == Mode::Leq && !missing_true;
                    let threshold = listed.thresholds[node];
                    Step { threshold, feature, child: index(child)?, mode, missing_true }
                }
            };
            self.steps[place] = step;
        }
        Ok(())
    }

    /// The leaf a row falls into.
    fn leaf(&self, root: u32, row: &[f32]) -> Leaf {
        let mut step = &self.steps[root as usize];
        while step.feature != LEAF {
            let value = row[step.feature as usize];
            let yes = if self.plain { value <= step.threshold } else { step.goes_true(value) };
            step = &self.steps[step.child as usize + usize::from(!yes)];
        }
        self.leaves[step.child as usize]
    }

    /// Leaves of several rows at once.
    fn leaves_of(&self, root: u32, rows: &[&[f32]; ROWS]) -> [Leaf; ROWS] {
        if !self.plain {
            return std::array::from_fn(|i| self.leaf(root, rows[i]));
        }
        let mut at = [root; ROWS];
        loop {
            let mut moved = false;
            for (at, row) in at.iter_mut().zip(rows) {
                let step = &self.steps[*at as usize];
                if step.feature != LEAF {
                    let yes = row[step.feature as usize] <= step.threshold;
                    *at = step.child + u32::from(!yes);
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        at.map(|at| self.leaves[self.steps[at as usize].child as usize])
    }
}

const BLANK: Step = Step { threshold: 0.0, feature: LEAF, child: 0, mode: Mode::Leq, missing_true: false };

impl Step {
    fn goes_true(&self, value: f32) -> bool {
        let compared = match self.mode {
            Mode::Leq => value <= self.threshold,
            Mode::Lt => value < self.threshold,
            Mode::Gte => value >= self.threshold,
            Mode::Gt => value > self.threshold,
            Mode::Eq => value == self.threshold,
            Mode::Neq => value != self.threshold,
        };
        compared || (self.missing_true && value.is_nan())
    }
}

/// Votes of a classifier (`class_*`) or regressor (`target_*`).
fn votes(ctx: &NodeCtx<'_>, prefix: &str, targets: usize) -> OpResult<Vec<(i64, i64, u32, f32)>> {
    let name = |part: &str| format!("{prefix}_{part}");
    let ids = required(ctx, &name("ids"), None)?;
    let trees = required(ctx, &name("treeids"), Some(ids.len()))?;
    let nodes = required(ctx, &name("nodeids"), Some(ids.len()))?;
    let Some(weights) = floats(ctx, &name("weights"))?.filter(|w| w.len() == ids.len()) else {
        op_bail!("attribute `{prefix}_weights` does not have {} entries", ids.len())
    };
    let mut out = Vec::with_capacity(ids.len());
    for (i, &id) in ids.iter().enumerate() {
        match u32::try_from(id) {
            Ok(target) if (target as usize) < targets => out.push((trees[i], nodes[i], target, weights[i])),
            _ => op_bail!("a vote is for class or target {id} of {targets}"),
        }
    }
    Ok(out)
}

/// Most classes or targets of one ensemble.
const TARGETS_MAX: usize = 65_536;

fn classifier(ctx: &NodeCtx<'_>) -> Compiled {
    let labels = Labels::read(ctx, "classlabels_int64s", "classlabels_strings")?;
    let classes = labels.len();
    if classes == 0 || classes > TARGETS_MAX {
        op_bail!("has {classes} class labels");
    }
    let votes = votes(ctx, "class", classes)?;
    let first = votes.first().map(|v| v.2);
    let binary = classes == 2 && votes.iter().all(|v| Some(v.2) == first);
    let scores = Scores {
        targets: classes,
        base: floats(ctx, "base_values")?.unwrap_or_default(),
        post: Post::read(ctx)?,
        binary,
        positive_weights: votes.iter().all(|v| v.3 >= 0.0),
        labels: Some(labels),
    };
    scores.check()?;
    if classes == 2 && scores.base.len() == 2 && votes.iter().any(|v| v.2 == 1) {
        // onnxruntime drops the second class's votes here, so no result would be right for everyone.
        op_bail!(
            "has two classes, two base values and votes for the second class, which has no agreed meaning"
        );
    }
    let forest = Forest::build(&Listed::read(ctx)?, &votes)?;
    done(Ensemble { forest, scores, aggregate: Aggregate::Sum })
}

fn regressor(ctx: &NodeCtx<'_>) -> Compiled {
    let targets = usize::try_from(ctx.int("n_targets", 1)?).unwrap_or(0);
    if targets == 0 || targets > TARGETS_MAX {
        op_bail!("has {targets} targets");
    }
    let aggregate = match ctx.text("aggregate_function", "SUM")? {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => op_bail!("aggregate function `{other}` is not known"),
    };
    let votes = votes(ctx, "target", targets)?;
    let scores = Scores {
        targets,
        base: floats(ctx, "base_values")?.unwrap_or_default(),
        post: Post::read(ctx)?,
        binary: false,
        positive_weights: false,
        labels: None,
    };
    scores.check()?;
    let forest = Forest::build(&Listed::read(ctx)?, &votes)?;
    done(Ensemble { forest, scores, aggregate })
}

struct Ensemble {
    forest: Forest,
    scores: Scores,
    aggregate: Aggregate,
}

/// Sums of one row while trees vote, and which targets got a vote.
#[derive(Clone, Copy)]
struct Tally<'a> {
    votes: &'a [(u32, f32)],
    aggregate: Aggregate,
}

impl Tally<'_> {
    fn add(&self, leaf: Leaf, sums: &mut [f32], seen: &mut [bool]) {
        for &(target, weight) in &self.votes[leaf.from as usize..leaf.to as usize] {
            let (sum, seen) = (&mut sums[target as usize], &mut seen[target as usize]);
            *sum = match self.aggregate {
                Aggregate::Min if *seen => sum.min(weight),
                Aggregate::Max if *seen => sum.max(weight),
                Aggregate::Min | Aggregate::Max => weight,
                _ => *sum + weight,
            };
            *seen = true;
        }
    }
}

impl Kernel for Ensemble {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let converted: Vec<f32>;
        let values = match &x.data {
            TensorData::F32(values) => values.as_slice(),
            TensorData::I64(v) => {
                converted = v.iter().map(|v| *v as f32).collect();
                &converted
            }
            TensorData::F64(v) => {
                converted = v.iter().map(|v| *v as f32).collect();
                &converted
            }
            _ => op_bail!("is not covered on {} values", x.data_type()),
        };
        let (rows, width) = match x.shape[..] {
            [width] => (1, width),
            [rows, width] => (rows, width),
            _ => op_bail!("needs rows of features, got shape {:?}", x.shape),
        };
        if width < self.forest.features {
            op_bail!("rows have {width} features, the trees need {}", self.forest.features);
        }
        let n = self.scores.targets;
        ctx.charge((rows as u64).checked_mul(self.forest.roots.len() as u64 + 1))?;
        if elements(&[rows, n]).is_none_or(|count| count > ctx.elements_max) {
            op_bail!("makes more scores than `tensor_elements_max`");
        }
        let mut sums = ctx.f32_buffer(&[rows, n])?;
        sums.fill(0.0);
        let mut seen = vec![false; rows * n];
        self.vote(values, width, &mut sums, &mut seen);
        if self.aggregate == Aggregate::Average {
            let trees = self.forest.roots.len().max(1) as f32;
            sums.iter_mut().for_each(|v| *v /= trees);
        }
        finish(&self.scores, sums, seen, rows)
    }
}

impl Ensemble {
    fn vote(&self, values: &[f32], width: usize, sums: &mut [f32], seen: &mut [bool]) {
        let n = self.scores.targets;
        let tally = Tally { votes: &self.forest.votes, aggregate: self.aggregate };
        let rows: Vec<&[f32]> =
            if width == 0 { vec![&[]; sums.len() / n] } else { values.chunks_exact(width).collect() };
        let (blocks, rest) = rows.as_chunks::<ROWS>();
        for (b, block) in blocks.iter().enumerate() {
            for &root in &self.forest.roots {
                for (i, leaf) in self.forest.leaves_of(root, block).into_iter().enumerate() {
                    let at = (b * ROWS + i) * n;
                    tally.add(leaf, &mut sums[at..at + n], &mut seen[at..at + n]);
                }
            }
        }
        for (i, row) in rest.iter().enumerate() {
            let at = (blocks.len() * ROWS + i) * n;
            let (sums, seen) = (&mut sums[at..at + n], &mut seen[at..at + n]);
            for &root in &self.forest.roots {
                tally.add(self.forest.leaf(root, row), sums, seen);
            }
        }
    }
}
