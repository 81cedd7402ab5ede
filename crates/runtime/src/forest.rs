//! A model's tree ensemble as plain data, for attacks that need the trees themselves.

use std::collections::HashMap;

use attack::Fault;
use attack::tabular::{Compare, Decision, Forest, Node as TreeNode, Tree};

use crate::graph::{Attribute, Graph, Node, ValueId};
use crate::model::Model;
use crate::tensor::TensorData;

/// Operators between the model's input and the trees that leave values as they are.
const PASS_THROUGH: [&str; 3] = ["Cast", "Identity", "Reshape"];

impl Model {
    /// The model's tree ensemble, `None` when it has none. Its class of a row, in the model's units, is the class with the highest probability of the model.
    ///
    /// # Errors
    /// [`Fault::NotApplicable`] where the trees are not all that decides: something other than a cast before them, several ensembles, comparisons for equality.
    pub fn forest(&self) -> Result<Option<Forest>, Fault> {
        let graph = self.graph();
        let ensembles: Vec<&Node> =
            graph.nodes.iter().filter(|n| n.is_ml && n.operator.starts_with("TreeEnsemble")).collect();
        match ensembles.as_slice() {
            [] => Ok(None),
            [node] if enters_unchanged(graph, node) => {
                let fault =
                    |what: String| Fault::NotApplicable(format!("the trees of `{}`: {what}", node.name));
                Ok(Some(read(node).map_err(fault)?))
            }
            [_] => Err(Fault::NotApplicable(
                "the trees see other values than the model's inputs; attack it by scores instead".to_owned(),
            )),
            _ => Err(Fault::NotApplicable(format!(
                "the model has {} tree ensembles; attack it by scores instead",
                ensembles.len()
            ))),
        }
    }
}

/// Whether the trees see the model's input as it is.
fn enters_unchanged(graph: &Graph, node: &Node) -> bool {
    let mut value: Option<ValueId> = node.inputs.first().copied().flatten();
    // At most every node once: the graph has no circles.
    for _ in 0..=graph.nodes.len() {
        let Some(id) = value else { return false };
        if graph.inputs.iter().any(|(input, _)| *input == id) {
            return true;
        }
        let made = graph.nodes.iter().find(|n| n.outputs.contains(&Some(id)));
        match made {
            Some(before) if PASS_THROUGH.contains(&before.operator.as_str()) => {
                value = before.inputs.first().copied().flatten();
            }
            _ => return false,
        }
    }
    false
}

fn ints<'a>(node: &'a Node, name: &str) -> &'a [i64] {
    match node.attributes.get(name) {
        Some(Attribute::Ints(values)) => values,
        _ => &[],
    }
}

fn floats<'a>(node: &'a Node, name: &str) -> &'a [f32] {
    match node.attributes.get(name) {
        Some(Attribute::Floats(values)) => return values,
        Some(_) => return &[],
        None => {}
    }
    match node.attributes.get(&format!("{name}_as_tensor")) {
        Some(Attribute::Tensor(tensor)) => match &tensor.data {
            TensorData::F32(values) => values,
            _ => &[],
        },
        _ => &[],
    }
}

fn text<'a>(node: &'a Node, name: &str, default: &'a str) -> &'a str {
    match node.attributes.get(name) {
        Some(Attribute::Text(text)) => text,
        _ => default,
    }
}

/// What an ensemble's votes are for, and how they become a class.
struct Votes {
    outputs: usize,
    /// Column of the sums that a vote for a class goes to.
    one: bool,
    factor: f32,
    base: Vec<f32>,
    decision: Decision,
}

fn read(node: &Node) -> Result<Forest, String> {
    let classifier = node.operator == "TreeEnsembleClassifier";
    let prefix = if classifier { "class" } else { "target" };
    let votes = votes(node, classifier, prefix)?;
    let leaves = leaves(node, prefix, &votes)?;
    let trees = trees(node, &leaves, votes.outputs)?;
    let features = trees.iter().flat_map(|t| &t.nodes).map(|n| match n {
        TreeNode::Split { feature, .. } => feature + 1,
        TreeNode::Leaf(_) => 0,
    });
    let features = features.max().unwrap_or(0);
    Forest { features, outputs: votes.outputs, base: votes.base, trees, decision: votes.decision }
        .checked()
        .map_err(|e| e.to_string())
}

/// How votes become a class, as onnxruntime has it (see `ops/tree_score.rs`).
fn votes(node: &Node, classifier: bool, prefix: &str) -> Result<Votes, String> {
    let post = text(node, "post_transform", "NONE");
    if post == "PROBIT" {
        return Err("post_transform `PROBIT` is not covered".to_owned());
    }
    let base = floats(node, "base_values");
    let ids = ints(node, &format!("{prefix}_ids"));
    let first = ids.first().copied().unwrap_or(0);
    if !classifier {
        return regressor(node, post, base);
    }
    let classes =
        match (node.attributes.get("classlabels_int64s"), node.attributes.get("classlabels_strings")) {
            (Some(Attribute::Ints(labels)), _) if !labels.is_empty() => labels.len(),
            (_, Some(Attribute::Texts(labels))) => labels.len(),
            _ => return Err("it has no class labels".to_owned()),
        };
    if classes == 2 && ids.iter().all(|id| *id == first) {
        let positive = floats(node, "class_weights").iter().all(|w| *w >= 0.0);
        // All votes for one class. For the first of the two, a base value is added and the sum stands for the second.
        let threshold = if first == 0 && positive && post != "LOGISTIC" { 0.5 } else { 0.0 };
        let base = match (first, base) {
            (1, _) | (_, []) => 0.0,
            (_, [base]) => *base,
            _ => return Err("it has two base values for one sum".to_owned()),
        };
        return Ok(Votes {
            outputs: 1,
            one: true,
            factor: 1.0,
            base: vec![base],
            decision: Decision::Above(threshold),
        });
    }
    let base = match base {
        [] => vec![0.0; classes],
        base if base.len() == classes && classes > 2 => base.to_vec(),
        _ => return Err("its base values have no agreed meaning".to_owned()),
    };
    if (0..classes).any(|class| !ids.iter().any(|id| usize::try_from(*id) == Ok(class))) {
        return Err("a class has no votes".to_owned());
    }
    Ok(Votes { outputs: classes, one: false, factor: 1.0, base, decision: Decision::Highest })
}

/// A regressor of one target, read as the probability or the logit of the second class.
fn regressor(node: &Node, post: &str, base: &[f32]) -> Result<Votes, String> {
    let trees = ints(node, "nodes_treeids");
    let count = 1 + trees.iter().zip(trees.iter().skip(1)).filter(|(a, b)| a != b).count();
    #[expect(clippy::cast_precision_loss, reason = "numbers of trees are small")]
    let factor = match text(node, "aggregate_function", "SUM") {
        "SUM" => 1.0,
        "AVERAGE" => 1.0 / count as f32,
        other => return Err(format!("aggregate function `{other}` is not covered")),
    };
    let one = match node.attributes.get("n_targets") {
        Some(Attribute::Int(targets)) => *targets == 1,
        _ => true,
    };
    if !one {
        return Err("a regressor of several targets is no classifier".to_owned());
    }
    // A logit turns over at 0. Averages of probabilities lie in [0, 1] and turn over at one half.
    let weights = floats(node, "target_weights");
    let probability = post == "NONE" && factor < 1.0 && weights.iter().all(|w| (0.0..=1.0).contains(w));
    let threshold = if probability { 0.5 } else { 0.0 };
    let base = vec![base.first().copied().unwrap_or(0.0)];
    Ok(Votes { outputs: 1, one: true, factor, base, decision: Decision::Above(threshold) })
}

/// What each leaf adds, by tree and node.
fn leaves(node: &Node, prefix: &str, votes: &Votes) -> Result<HashMap<(i64, i64), Vec<f32>>, String> {
    let list = |part: &str| ints(node, &format!("{prefix}_{part}"));
    let (trees, nodes, ids) = (list("treeids"), list("nodeids"), list("ids"));
    let weights = floats(node, &format!("{prefix}_weights"));
    if trees.len() != ids.len() || nodes.len() != ids.len() || weights.len() != ids.len() {
        return Err("the lists of votes differ in length".to_owned());
    }
    let mut out: HashMap<(i64, i64), Vec<f32>> = HashMap::new();
    for (((tree, at), id), weight) in trees.iter().zip(nodes).zip(ids).zip(weights) {
        let sums = out.entry((*tree, *at)).or_insert_with(|| vec![0.0; votes.outputs]);
        let column = if votes.one { 0 } else { usize::try_from(*id).unwrap_or(usize::MAX) };
        match sums.get_mut(column) {
            Some(sum) => *sum += weight * votes.factor,
            None => return Err("a vote is for a class that does not exist".to_owned()),
        }
    }
    Ok(out)
}

/// The trees, each from its first listed node, children after parents.
fn trees(node: &Node, leaves: &HashMap<(i64, i64), Vec<f32>>, outputs: usize) -> Result<Vec<Tree>, String> {
    let (trees, ids) = (ints(node, "nodes_treeids"), ints(node, "nodes_nodeids"));
    let listed: HashMap<(i64, i64), usize> =
        trees.iter().copied().zip(ids.iter().copied()).enumerate().map(|(n, key)| (key, n)).collect();
    let mut out = Vec::new();
    let mut previous = None;
    for (n, (tree, id)) in trees.iter().zip(ids).enumerate() {
        if previous == Some(*tree) {
            continue;
        }
        previous = Some(*tree);
        let mut open = vec![(n, *id)];
        let mut built = Tree::default();
        let mut head = 0;
        while let Some((n, id)) = open.get(head).copied() {
            head += 1;
            if head > trees.len() {
                return Err("a tree has a circle".to_owned());
            }
            let place = |child: i64| listed.get(&(*tree, child)).map(|n| (*n, child));
            let step = split(node, n, open.len())?;
            let Some((step, yes, no)) = step else {
                built.nodes.push(TreeNode::Leaf(
                    leaves.get(&(*tree, id)).cloned().unwrap_or_else(|| vec![0.0; outputs]),
                ));
                continue;
            };
            match (place(yes), place(no)) {
                (Some(yes), Some(no)) => open.extend([yes, no]),
                _ => return Err("a child is missing".to_owned()),
            }
            built.nodes.push(step);
        }
        out.push(built);
    }
    Ok(out)
}

/// Node `n` as a split whose children lie at `children` and after it, with the ids of its children; `None` for a leaf.
fn split(node: &Node, n: usize, children: usize) -> Result<Option<(TreeNode, i64, i64)>, String> {
    let int = |name: &str| ints(node, name).get(n).copied();
    let mode = match node.attributes.get("nodes_modes") {
        Some(Attribute::Texts(modes)) => modes.get(n).map_or("", String::as_str),
        _ => "",
    };
    let (compare, turned) = match mode {
        "LEAF" => return Ok(None),
        "BRANCH_LEQ" => (Compare::AtMost, false),
        "BRANCH_LT" => (Compare::Below, false),
        // What is not below is at least.
        "BRANCH_GTE" => (Compare::Below, true),
        "BRANCH_GT" => (Compare::AtMost, true),
        other => return Err(format!("comparison `{other}` is not covered")),
    };
    let threshold = floats(node, "nodes_values").get(n).copied();
    let feature = int("nodes_featureids").and_then(|f| usize::try_from(f).ok());
    match (threshold, feature, int("nodes_truenodeids"), int("nodes_falsenodeids")) {
        (Some(threshold), Some(feature), Some(yes), Some(no)) => {
            let (yes_id, no_id) = if turned { (no, yes) } else { (yes, no) };
            let split = TreeNode::Split { feature, threshold, compare, yes: children, no: children + 1 };
            Ok(Some((split, yes_id, no_id)))
        }
        _ => Err("the lists of nodes differ in length".to_owned()),
    }
}
