//! Boosted decision trees, trained as the exercises ask for: small, exact, and the same for the same data.

use attack::training::{self as exercise, Hook, Targets, Trained, Training};
use attack::{Cotangent, Fault, Gradients, Labels, Replies, Rows, Scores, Space};

/// Smallest sum of curvatures in a leaf: about four rows that the model is unsure of.
const CURVATURE_MIN: f64 = 1.0;
/// Added to the curvature of a leaf, as XGBoost does.
const SHRINK: f64 = 1.0;
/// Smallest gain of a split.
const GAIN_MIN: f64 = 1e-6;
/// Largest step of a leaf, in log-odds.
const LEAF_MAX: f64 = 4.0;

/// Trains boosted trees: in each round one tree a class (one in all for two classes) on the gradient and curvature of the log-loss (Friedman 2001,
/// doi:10.1214/aos/1013203451; Chen and Guestrin 2016, doi:10.1145/2939672.2939785). All splits of all columns are looked at, the first of equals is taken, and nothing is
/// drawn at random, so that the seed changes nothing. The hook is not called: it moves rows along gradients, which trees do not have.
#[derive(Debug, Clone, PartialEq)]
pub struct BoostedTrees {
    /// Rounds.
    pub rounds: usize,
    /// Splits from root to leaf.
    pub depth: usize,
    /// Share of each tree that is added.
    pub learning_rate: f64,
}

impl Default for BoostedTrees {
    fn default() -> Self {
        Self { rounds: 60, depth: 3, learning_rate: 0.2 }
    }
}

/// A split or a leaf. The children of node `n` are `2n + 1` and `2n + 2`.
#[derive(Debug, Clone, Copy)]
enum Node {
    Split { column: usize, at: f32 },
    Leaf(f32),
}

type Tree = Vec<Option<Node>>;

/// The model.
struct Forest {
    space: Space,
    /// Score of each output before the first tree.
    first: Vec<f32>,
    /// One list of trees for each output.
    trees: Vec<Vec<Tree>>,
}

/// What is learned from: columns sorted once.
struct Table<'a> {
    rows: &'a [f32],
    width: usize,
    /// For each column, the rows by rising value.
    sorted: Vec<Vec<u32>>,
}

impl Table<'_> {
    fn value(&self, row: usize, column: usize) -> f32 {
        self.rows.get(row * self.width + column).copied().unwrap_or(0.0)
    }
}

/// Gradient and curvature, summed.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    gradient: f64,
    curvature: f64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.gradient += other.gradient;
        self.curvature += other.curvature;
    }

    fn less(self, other: Self) -> Self {
        Self { gradient: self.gradient - other.gradient, curvature: self.curvature - other.curvature }
    }

    fn score(self) -> f64 {
        self.gradient * self.gradient / (self.curvature + SHRINK)
    }

    fn leaf(self) -> f64 {
        (-self.gradient / (self.curvature + SHRINK)).clamp(-LEAF_MAX, LEAF_MAX)
    }
}

/// The best split of one node so far.
#[derive(Debug, Clone, Copy)]
struct Best {
    gain: f64,
    column: usize,
    at: f32,
}

impl BoostedTrees {
    /// Grows one tree level by level; every row is told its leaf's value in `moved`.
    fn grow(&self, table: &Table<'_>, of: &[Sum], moved: &mut [f64]) -> Tree {
        let nodes = (1_usize << (self.depth + 1)) - 1;
        let mut tree: Tree = vec![None; nodes];
        let mut place = vec![0_usize; of.len()];
        let mut sums = vec![Sum::default(); nodes];
        for sum in of {
            sums[0].add(*sum);
        }
        let mut open = vec![0_usize];
        for _ in 0..self.depth {
            let best = self.splits(table, of, &place, &sums, &open);
            let mut next = Vec::new();
            for (node, best) in open.iter().zip(best) {
                let Some(best) = best else { continue };
                tree[*node] = Some(Node::Split { column: best.column, at: best.at });
                next.extend([2 * node + 1, 2 * node + 2]);
            }
            for (row, at) in place.iter_mut().enumerate() {
                if let Some(Node::Split { column, at: cut }) = tree[*at] {
                    *at = 2 * *at + if table.value(row, column) <= cut { 1 } else { 2 };
                    sums[*at].add(of[row]);
                }
            }
            open = next;
        }
        for (row, at) in place.iter().enumerate() {
            let value = sums[*at].leaf() * self.learning_rate;
            tree[*at] = Some(Node::Leaf(value as f32));
            moved[row] += f64::from(value as f32);
        }
        tree
    }

    /// The best split of each open node.
    fn splits(
        &self,
        table: &Table<'_>,
        of: &[Sum],
        place: &[usize],
        sums: &[Sum],
        open: &[usize],
    ) -> Vec<Option<Best>> {
        let mut best: Vec<Option<Best>> = vec![None; open.len()];
        let mut number = vec![usize::MAX; sums.len()];
        for (at, node) in open.iter().enumerate() {
            number[*node] = at;
        }
        for (column, order) in table.sorted.iter().enumerate() {
            let mut left = vec![Sum::default(); open.len()];
            let mut last: Vec<Option<f32>> = vec![None; open.len()];
            for row in order {
                let row = *row as usize;
                let at = number[place[row]];
                let Some(place_of) = left.get_mut(at) else { continue };
                let value = table.value(row, column);
                if let Some(before) = last[at].filter(|before| *before < value) {
                    let (l, whole) = (*place_of, sums[open[at]]);
                    let r = whole.less(l);
                    let gain = l.score() + r.score() - whole.score();
                    let enough = l.curvature >= CURVATURE_MIN && r.curvature >= CURVATURE_MIN;
                    if enough && gain > best[at].map_or(GAIN_MIN, |b| b.gain) {
                        let middle = f32::midpoint(before, value);
                        let cut = if middle < value { middle } else { before };
                        best[at] = Some(Best { gain, column, at: cut });
                    }
                }
                place_of.add(of[row]);
                last[at] = Some(value);
            }
        }
        best
    }
}

/// The classes as probabilities.
fn wanted(data: &Training<'_>, classes: usize) -> Vec<f64> {
    match data.targets {
        Targets::Soft(soft) => soft.iter().map(|p| f64::from(*p)).collect(),
        Targets::Labels(labels) => {
            let row = |label: usize| (0..classes).map(move |c| if c == label { 1.0 } else { 0.0 });
            labels.iter().copied().flat_map(row).collect()
        }
    }
}

impl exercise::Trainer for BoostedTrees {
    fn train(
        &mut self,
        data: &Training<'_>,
        _seed: u64,
        _hook: &mut dyn Hook,
    ) -> Result<Box<dyn Trained>, Fault> {
        data.check()?;
        if !(1..=8).contains(&self.depth) || u32::try_from(data.len()).is_err() || data.is_empty() {
            return Err(Fault::NotApplicable(
                "trees have 1 to 8 levels, and need rows to learn from".to_owned(),
            ));
        }
        let (rows, width, classes) = (data.len(), data.space.layout.len(), data.space.classes);
        let column = |column: usize| {
            let mut order: Vec<u32> = (0..rows as u32).collect();
            let value = |row: u32| data.rows[row as usize * width + column];
            order.sort_by(|a, b| value(*a).total_cmp(&value(*b)).then(a.cmp(b)));
            order
        };
        let table = Table { rows: data.rows, width, sorted: (0..width).map(column).collect() };
        let goal = wanted(data, classes);
        let outputs = if classes == 2 { 1 } else { classes };
        let weight = |row: usize| data.weights.map_or(1.0, |w| f64::from(w[row]));
        let first = first(&goal, rows, classes, &weight);
        let mut scores: Vec<Vec<f64>> = first.iter().map(|f| vec![f64::from(*f); rows]).collect();
        let mut trees: Vec<Vec<Tree>> = vec![Vec::new(); outputs];
        for _ in 0..self.rounds {
            if data.pace.stop() {
                return Err(Fault::Stopped);
            }
            let slopes = slopes(&scores, &goal, classes, &weight);
            for (output, of) in slopes.iter().enumerate() {
                let tree = self.grow(&table, of, &mut scores[output]);
                trees[output].push(tree);
            }
        }
        Ok(Box::new(Forest { space: data.space, first, trees }))
    }
}

/// Scores before the first tree: the logarithm of the odds, or of the share, of each class.
fn first(goal: &[f64], rows: usize, classes: usize, weight: &dyn Fn(usize) -> f64) -> Vec<f32> {
    let all: f64 = (0..rows).map(weight).sum::<f64>().max(f64::MIN_POSITIVE);
    let share = |class: usize| {
        let sum: f64 = (0..rows).map(|row| weight(row) * goal[row * classes + class]).sum();
        (sum / all).clamp(1e-4, 1.0 - 1e-4)
    };
    if classes == 2 {
        let p = share(1);
        return vec![(p / (1.0 - p)).ln() as f32];
    }
    (0..classes).map(|class| share(class).ln() as f32).collect()
}

/// Gradient and curvature of the log-loss by each output, row by row.
fn slopes(scores: &[Vec<f64>], goal: &[f64], classes: usize, weight: &dyn Fn(usize) -> f64) -> Vec<Vec<Sum>> {
    let rows = scores.first().map_or(0, Vec::len);
    let mut out: Vec<Vec<Sum>> = vec![Vec::with_capacity(rows); scores.len()];
    for row in 0..rows {
        let z: Vec<f64> = scores.iter().map(|s| s[row]).collect();
        let of = |p: f64, t: f64| Sum {
            gradient: weight(row) * (p - t),
            curvature: weight(row) * (p * (1.0 - p)).max(1e-9),
        };
        if let [z] = z.as_slice() {
            let p = 1.0 / (1.0 + (-z).exp());
            out[0].push(of(p, goal[row * classes + 1]));
            continue;
        }
        let top = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let all: f64 = z.iter().map(|z| (z - top).exp()).sum();
        for (class, z) in z.iter().enumerate() {
            out[class].push(of((z - top).exp() / all, goal[row * classes + class]));
        }
    }
    out
}

fn fall(tree: &Tree, row: &[f32]) -> f32 {
    let mut at = 0;
    while let Some(Some(node)) = tree.get(at) {
        match node {
            Node::Leaf(value) => return *value,
            Node::Split { column, at: cut } => {
                let left = row.get(*column).is_some_and(|v| v <= cut);
                at = 2 * at + if left { 1 } else { 2 };
            }
        }
    }
    0.0
}

impl Labels for Forest {
    fn space(&self) -> Space {
        self.space
    }

    fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
        self.decisions(rows, out)
    }
}

impl Scores for Forest {
    fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        out.reset(rows.len(), self.space.classes);
        let skip = self.space.classes - self.first.len();
        for (row, place) in rows.iter().zip(out.scores.chunks_exact_mut(self.space.classes)) {
            for ((score, first), trees) in place.iter_mut().skip(skip).zip(&self.first).zip(&self.trees) {
                *score = first + trees.iter().map(|tree| fall(tree, row)).sum::<f32>();
            }
        }
        Ok(())
    }
}

impl Gradients for Forest {
    fn gradient(
        &mut self,
        _rows: Rows<'_>,
        _cotangent: &mut Cotangent<'_>,
        _replies: &mut Replies,
        _gradient: &mut Vec<f32>,
    ) -> Result<(), Fault> {
        Err(Fault::NotApplicable("trees have no gradient: take a perceptron for this".to_owned()))
    }
}

impl Trained for Forest {}

#[cfg(test)]
mod tests {
    use super::*;
    use attack::Layout;
    use attack::measure::standing;
    use attack::pace::Quiet;
    use attack::training::{AsIs, Samples, Trainer as _};

    /// Rows of three values and a class of `classes`, told by an exclusive or of two of them (or by thirds of the first).
    fn rows(count: usize, classes: usize, seed: u64) -> (Vec<f32>, Vec<usize>) {
        let mut rng = numeric::Rng::new(seed, 0);
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let row: Vec<f32> = (0..3).map(|_| rng.uniform() as f32).collect();
            let class = match classes {
                2 => usize::from((row[0] > 0.5) != (row[1] > 0.5)),
                n => ((row[0] * n as f32) as usize).min(n - 1),
            };
            x.extend(&row);
            y.push(class);
        }
        (x, y)
    }

    #[test]
    fn trees_learn_what_no_line_can_and_several_classes() {
        for classes in [2, 3] {
            let space = Space { layout: Layout::Table { features: 3 }, classes };
            let ((x, y), (tx, ty)) = (rows(400, classes, 1), rows(400, classes, 2));
            let train = Samples::new(&x, &y, space).unwrap();
            let mut model = BoostedTrees::default().train(&train.training(&Quiet), 1, &mut AsIs).unwrap();
            let seen = standing(model.as_mut(), &Samples::new(&tx, &ty, space).unwrap()).unwrap();
            assert!(seen.accuracy.share > 0.93, "{classes}: {seen:?}");
        }
    }

    #[test]
    fn soft_answers_teach_as_labels_do_and_rows_of_no_weight_teach_nothing() {
        let space = Space { layout: Layout::Table { features: 3 }, classes: 2 };
        let (x, y) = rows(300, 2, 1);
        let soft: Vec<f32> = y.iter().flat_map(|c| if *c == 1 { [0.1, 0.9] } else { [0.9, 0.1] }).collect();
        let train = |targets, weights| {
            let data = Training { rows: &x, targets, weights, space, pace: &Quiet };
            BoostedTrees::default().train(&data, 1, &mut AsIs).unwrap()
        };
        let mut model = train(Targets::Soft(&soft), None);
        let seen = standing(model.as_mut(), &Samples::new(&x, &y, space).unwrap()).unwrap();
        assert!(seen.accuracy.share > 0.95, "{seen:?}");
        // Only rows of class 1 count: the model says nothing else.
        let weights: Vec<f32> = y.iter().map(|c| *c as f32).collect();
        let mut model = train(Targets::Labels(&y), Some(&weights));
        let mut seen = Vec::new();
        model.labels(Rows::new(&x, 3, &(0..300).collect::<Vec<_>>()).unwrap(), &mut seen).unwrap();
        assert!(seen.iter().all(|s| *s == Some(1)));
    }

    #[test]
    fn trees_say_that_they_have_no_gradient() {
        let space = Space { layout: Layout::Table { features: 3 }, classes: 2 };
        let (x, y) = rows(50, 2, 1);
        let train = Samples::new(&x, &y, space).unwrap();
        let mut model = BoostedTrees::default().train(&train.training(&Quiet), 1, &mut AsIs).unwrap();
        let rows = Rows::new(&x[..3], 3, &[0]).unwrap();
        let (mut replies, mut gradient) = (Replies::default(), Vec::new());
        let found = model.gradient(rows, &mut |_, _, _| {}, &mut replies, &mut gradient);
        assert!(matches!(found, Err(Fault::NotApplicable(_))));
    }
}
