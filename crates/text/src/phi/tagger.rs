//! A linear-chain tagger: hashed features, one signed byte for each feature and label, the best path by Viterbi.
//!
//! Trained as an averaged structured perceptron (Collins 2002, doi:10.3115/1118693.1118694) with loss-augmented
//! decoding; `examples/train_phi` makes `weights.bin`. It is asked about candidate tokens only (capitals, digits, small
//! words that are names), and the tokens between them.

use std::sync::LazyLock;

use super::doc::Doc;
use super::features::{FEATURES, SLOTS, activate, features};

/// What a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Label {
    /// To no identifier.
    Outside,
    /// To a person's name.
    Name,
    /// To a place.
    Place,
    /// To a date.
    Date,
    /// To a number or code.
    Id,
}

/// How many labels there are.
pub const LABELS: usize = 5;

impl Label {
    /// All labels in the order of their bytes.
    pub const ALL: [Self; LABELS] = [Self::Outside, Self::Name, Self::Place, Self::Date, Self::Id];
}

/// Scores of the labels of one token.
pub type Scores = [i32; LABELS];

/// Weights: one signed byte for each slot and label, and the transitions (row: label before, the last row: a start).
#[derive(Clone, Debug)]
pub struct Weights {
    table: Vec<[i8; 8]>,
    transitions: [Scores; LABELS + 1],
}

impl Weights {
    /// The weights that are shipped.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Weights> = LazyLock::new(|| Weights::read(include_bytes!("weights.bin")));
        &SHARED
    }

    /// Reads what [`Self::write`] wrote; what is missing is 0.
    pub fn read(bytes: &[u8]) -> Self {
        let head = (LABELS + 1) * LABELS * 4;
        let mut transitions = [[0; LABELS]; LABELS + 1];
        for (slot, chunk) in transitions.iter_mut().flatten().zip(bytes.chunks_exact(4)) {
            *slot = i32::from_le_bytes(<[u8; 4]>::try_from(chunk).unwrap_or_default());
        }
        let mut table = vec![[0i8; 8]; SLOTS];
        for (slot, chunk) in table.iter_mut().zip(bytes.get(head..).unwrap_or_default().chunks_exact(LABELS))
        {
            for (weight, byte) in slot.iter_mut().zip(chunk) {
                *weight = byte.cast_signed();
            }
        }
        Self { table, transitions }
    }

    /// As bytes: the transitions as 32-bit numbers, then the table, little-endian.
    pub fn write(&self) -> Vec<u8> {
        let head = self.transitions.iter().flatten().flat_map(|t| t.to_le_bytes());
        let table = self.table.iter().flat_map(|slot| slot.iter().take(LABELS).map(|w| w.cast_unsigned()));
        head.chain(table).collect()
    }

    /// From sums of training, each divided by `unit` and cut to a byte.
    pub(super) fn quantise(
        table: &[[i64; LABELS]],
        transitions: &[[i64; LABELS]; LABELS + 1],
        unit: i64,
    ) -> Self {
        let small = |w: i64| (w + w.signum() * unit / 2) / unit;
        let mut out = Self { table: vec![[0; 8]; SLOTS], transitions: [[0; LABELS]; LABELS + 1] };
        for (slot, sums) in out.table.iter_mut().zip(table) {
            for (weight, sum) in slot.iter_mut().zip(sums) {
                *weight = i8::try_from(small(*sum).clamp(-127, 127)).unwrap_or(0);
            }
        }
        for (slot, sum) in out.transitions.iter_mut().flatten().zip(transitions.iter().flatten()) {
            *slot = i32::try_from(small(*sum)).unwrap_or(0);
        }
        out
    }

    fn score(&self, slots: &[u32; FEATURES]) -> Scores {
        let mut sums = [0i32; 8];
        for slot in slots {
            if let Some(weights) = self.table.get(*slot as usize) {
                for (sum, w) in sums.iter_mut().zip(weights) {
                    *sum += i32::from(*w);
                }
            }
        }
        let [a, b, c, d, e, ..] = sums;
        [a, b, c, d, e]
    }
}

/// The best path through `scores` with `transitions`; `allowed` may forbid labels (`None` allows all).
pub(super) fn viterbi(
    scores: &[Scores],
    transitions: &[Scores; LABELS + 1],
    back: &mut Vec<[u8; LABELS]>,
    path: &mut Vec<u8>,
) {
    back.clear();
    path.clear();
    let mut best = [0i32; LABELS];
    let mut row_before = true;
    for token in scores {
        let mut next = [i32::MIN; LABELS];
        let mut from = [0u8; LABELS];
        for (label, slot) in next.iter_mut().enumerate() {
            let rows = if row_before { LABELS..LABELS + 1 } else { 0..LABELS };
            for before in rows {
                let base = if row_before { 0 } else { best[before] };
                let score = base.saturating_add(transitions[before][label]).saturating_add(token[label]);
                if score > *slot {
                    *slot = score;
                    from[label] = before as u8;
                }
            }
        }
        back.push(from);
        best = next;
        row_before = false;
    }
    let Some(mut label) = (0..LABELS).max_by_key(|l| (best[*l], LABELS - l)).filter(|_| !scores.is_empty())
    else {
        return;
    };
    for from in back.iter().rev() {
        path.push(label as u8);
        label = usize::from(from[label]).min(LABELS - 1);
    }
    path.reverse();
}

/// Memory that one call after another uses.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    active: Vec<bool>,
    scores: Vec<Scores>,
    back: Vec<[u8; LABELS]>,
    path: Vec<u8>,
}

/// Labels the tokens of `doc`: `labels` gets the label of each, `margins` how much better its label scored than
/// [`Label::Outside`]. `bias` is added to the score of [`Label::Outside`].
pub(super) fn tag(
    doc: &Doc<'_>,
    weights: &Weights,
    bias: i32,
    scratch: &mut Scratch,
    labels: &mut Vec<Label>,
    margins: &mut Vec<i32>,
) {
    labels.clear();
    labels.resize(doc.tokens.len(), Label::Outside);
    margins.clear();
    margins.resize(doc.tokens.len(), 0);
    activate(doc, &mut scratch.active);
    let mut i = 0;
    while i < doc.tokens.len() {
        if !scratch.active.get(i).copied().unwrap_or(false) {
            i += 1;
            continue;
        }
        let end = (i..doc.tokens.len()).find(|j| !scratch.active.get(*j).copied().unwrap_or(false));
        let end = end.unwrap_or(doc.tokens.len());
        scratch.scores.clear();
        for j in i..end {
            let mut scores = weights.score(&features(doc, j));
            scores[0] += bias;
            scratch.scores.push(scores);
        }
        viterbi(&scratch.scores, &weights.transitions, &mut scratch.back, &mut scratch.path);
        for ((j, label), scores) in (i..end).zip(&scratch.path).zip(&scratch.scores) {
            let label = usize::from(*label);
            labels[j] = Label::ALL[label];
            margins[j] = scores[label] - scores[0];
        }
        i = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_path_is_that_of_trying_all() {
        let scores = [[3, 5, -2, 0, 1], [0, -4, 6, 2, 2], [1, 1, 1, 1, 2]];
        let mut transitions = [[0; LABELS]; LABELS + 1];
        transitions[1][2] = -9;
        transitions[0][2] = 1;
        transitions[2][2] = 4;
        let (mut back, mut path) = (Vec::new(), Vec::new());
        viterbi(&scores, &transitions, &mut back, &mut path);
        let mut best = (i32::MIN, vec![]);
        for a in 0..LABELS {
            for b in 0..LABELS {
                for c in 0..LABELS {
                    let sum = transitions[LABELS][a] + scores[0][a] + transitions[a][b] + scores[1][b];
                    let sum = sum + transitions[b][c] + scores[2][c];
                    if sum > best.0 {
                        best = (sum, vec![a as u8, b as u8, c as u8]);
                    }
                }
            }
        }
        assert_eq!(path, best.1);
    }

    #[test]
    fn weights_survive_being_written() {
        let bytes = Weights::shared().write();
        assert_eq!(Weights::read(&bytes).write(), bytes);
    }
}
