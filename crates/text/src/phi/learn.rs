//! Training of the tagger. The product never calls it: `examples/train_phi` does, and the figures of
//! `examples/phi_figures` are made by training on parts.

use super::doc::Doc;
use super::features::{FEATURES, SLOTS, activate, features};
use super::lexicon::Role;
use super::rules;
use super::tagger::{LABELS, Label, Scores, Weights, viterbi};

/// A text with what stands in it.
#[derive(Clone, Debug, Default)]
pub struct Example {
    /// The text.
    pub text: String,
    /// Bytes and label; `None` where the label is not known (no lesson is drawn there).
    pub spans: Vec<(usize, usize, Option<Label>)>,
}

/// One run of tokens that the tagger labels, ready for training.
struct Sequence {
    features: Vec<[u32; FEATURES]>,
    gold: Vec<Option<Label>>,
}

/// What may be set for a training.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Passes over the examples.
    pub passes: usize,
    /// Score that a missed identifier's token must lose by, in training units.
    pub miss: i32,
    /// Score that a token outside must win by.
    pub alarm: i32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { passes: 8, miss: 6, alarm: 3 }
    }
}

/// The sequences of an example: rules first, as in use, then the labels of what they left.
fn sequences(example: &Example, out: &mut Vec<Sequence>) {
    let mut doc = Doc::default();
    doc.load(&example.text);
    rules::run(&mut doc);
    let gold = gold(&doc, example);
    let mut active = Vec::new();
    activate(&doc, &mut active);
    let mut current = Sequence { features: Vec::new(), gold: Vec::new() };
    for (i, on) in active.iter().enumerate() {
        if *on {
            current.features.push(features(&doc, i));
            current.gold.push(gold.get(i).copied().flatten());
        } else if !current.features.is_empty() {
            out.push(std::mem::replace(&mut current, Sequence { features: Vec::new(), gold: Vec::new() }));
        }
    }
    if !current.features.is_empty() {
        out.push(current);
    }
}

/// The label of each token: that of the span that covers most of it. A title before a name belongs to the name.
fn gold(doc: &Doc<'_>, example: &Example) -> Vec<Option<Label>> {
    let mut gold = vec![Some(Label::Outside); doc.tokens.len()];
    for (start, end, label) in &example.spans {
        for (slot, token) in gold.iter_mut().zip(&doc.tokens) {
            let shared = (token.end as usize).min(*end).saturating_sub((token.start as usize).max(*start));
            if 2 * shared >= token.len() {
                *slot = *label;
            }
        }
    }
    for i in 0..doc.tokens.len() {
        let title = doc.role(i) == Role::Title;
        let dot = usize::from(doc.glued(i + 1, '.'));
        let named = gold.get(i + 1 + dot).copied().flatten() == Some(Label::Name);
        if title && named && doc.at(i).is_some_and(|t| t.is_capital()) {
            for slot in gold.iter_mut().skip(i).take(1 + dot) {
                *slot = Some(Label::Name);
            }
        }
    }
    gold
}

/// Sums and the times at which they were last added to (lazy averaging).
struct Sums {
    weights: Vec<[i32; LABELS]>,
    totals: Vec<[i64; LABELS]>,
    transitions: [Scores; LABELS + 1],
    transition_totals: [[i64; LABELS]; LABELS + 1],
}

impl Sums {
    /// Adds `by` at time `now`; averaging counts `now * by` against the final sum.
    fn add(&mut self, slot: u32, label: usize, by: i32, now: i64) {
        if let (Some(w), Some(t)) = (self.weights.get_mut(slot as usize), self.totals.get_mut(slot as usize))
        {
            w[label] += by;
            t[label] += now * i64::from(by);
        }
    }

    fn add_path(&mut self, sequence: &Sequence, path: &[u8], by: i32, now: i64) {
        let mut before = LABELS;
        for (slots, label) in sequence.features.iter().zip(path) {
            let label = usize::from(*label);
            for slot in slots {
                self.add(*slot, label, by, now);
            }
            self.transitions[before][label] += by;
            self.transition_totals[before][label] += now * i64::from(by);
            before = label;
        }
    }
}

/// Trains on `examples` in an order drawn by `shuffle` (given how many there are, a permutation).
pub fn train(
    examples: &[Example],
    settings: Settings,
    mut shuffle: impl FnMut(usize) -> Vec<usize>,
) -> Weights {
    let mut all = Vec::new();
    examples.iter().for_each(|e| sequences(e, &mut all));
    let mut sums = Sums {
        weights: vec![[0; LABELS]; SLOTS],
        totals: vec![[0; LABELS]; SLOTS],
        transitions: [[0; LABELS]; LABELS + 1],
        transition_totals: [[0; LABELS]; LABELS + 1],
    };
    let (mut now, mut scores, mut back) = (1i64, Vec::new(), Vec::new());
    let (mut guess, mut right) = (Vec::new(), Vec::new());
    for _ in 0..settings.passes {
        for index in shuffle(all.len()) {
            let Some(sequence) = all.get(index) else { continue };
            score(&sums, sequence, &mut scores);
            let mut free = scores.clone();
            augment(&mut free, &sequence.gold, settings);
            viterbi(&free, &sums.transitions, &mut back, &mut guess);
            constrain(&mut scores, &sequence.gold);
            viterbi(&scores, &sums.transitions, &mut back, &mut right);
            if guess != right {
                sums.add_path(sequence, &right, 1, now);
                sums.add_path(sequence, &guess, -1, now);
            }
            now += 1;
        }
    }
    average(&sums, now)
}

fn score(sums: &Sums, sequence: &Sequence, scores: &mut Vec<Scores>) {
    scores.clear();
    for slots in &sequence.features {
        let mut total = [0; LABELS];
        for slot in slots {
            for (t, w) in total.iter_mut().zip(sums.weights.get(*slot as usize).unwrap_or(&[0; LABELS])) {
                *t += w;
            }
        }
        scores.push(total);
    }
}

/// Makes wrong labels look better by what they cost.
fn augment(scores: &mut [Scores], gold: &[Option<Label>], settings: Settings) {
    for (token, label) in scores.iter_mut().zip(gold) {
        let Some(label) = label else { continue };
        for (i, score) in token.iter_mut().enumerate() {
            if i != *label as usize {
                *score += match (*label, i) {
                    (Label::Outside, _) => settings.alarm,
                    (_, 0) => settings.miss,
                    _ => 1,
                };
            }
        }
    }
}

/// Leaves only the right label where it is known.
fn constrain(scores: &mut [Scores], gold: &[Option<Label>]) {
    for (token, label) in scores.iter_mut().zip(gold) {
        let Some(label) = label else { continue };
        for (i, score) in token.iter_mut().enumerate() {
            if i != *label as usize {
                *score = i32::MIN / 4;
            }
        }
    }
}

/// Averages over all times, in units that let all but the largest weights fit a byte.
fn average(sums: &Sums, now: i64) -> Weights {
    let mean = |w: i32, t: i64| i64::from(w) * now - t;
    let table: Vec<[i64; LABELS]> = sums
        .weights
        .iter()
        .zip(&sums.totals)
        .map(|(w, t)| std::array::from_fn(|i| mean(w[i], t[i])))
        .collect();
    let transitions = std::array::from_fn(|b| {
        std::array::from_fn(|l| mean(sums.transitions[b][l], sums.transition_totals[b][l]))
    });
    let mut sizes: Vec<i64> = table.iter().flatten().map(|w| w.abs()).filter(|w| *w > 0).collect();
    sizes.sort_unstable();
    let large = sizes.get(sizes.len().saturating_sub(1 + sizes.len() / 5_000)).copied().unwrap_or(1);
    Weights::quantise(&table, &transitions, (large / 127).max(1))
}
