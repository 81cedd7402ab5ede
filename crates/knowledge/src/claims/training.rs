//! What the training program of the statistic of stances needs; nothing else should use it.

use super::cues::cues;
use super::find::{Knowledge, MENTIONS_MAX};
use super::judge;
use super::sentence::sentences;
use super::spoken::{Sentence, is_condition, is_drug};
use super::stance::{Relation, Said, Stance};
use super::statistic::{self, Odds};
use super::words::{FIRST, Named, SECOND};
use crate::linker::Mention;

/// Slots of the table of weights of one question.
pub const SLOTS: usize = statistic::SLOTS;
/// Answers: nothing said, for, against.
pub const ANSWERS: usize = statistic::ANSWERS;
/// Questions: drug and condition, two drugs.
pub const QUESTIONS: usize = statistic::QUESTIONS;
/// One unit of a stored weight.
pub const STEP: f32 = statistic::STEP;

/// Two names in a sentence of somebody else's text.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Features of the sentence around them.
    pub slots: Vec<u32>,
    /// Two drugs rather than a drug and a condition.
    pub together: bool,
    /// The graph would contradict a statement for giving the drug (or both).
    pub for_is_false: bool,
    /// The graph would contradict a statement against giving the drug.
    pub against_is_false: bool,
    /// What the cues read: for, against, or nothing.
    pub cue: Option<bool>,
    /// Place of the sentence in the text.
    pub sentence: std::ops::Range<usize>,
}

/// The slots of a sentence in which `first` and `second` stand once; empty when one of them does not.
pub fn slots_of(sentence: &str, first: &str, second: &str, others: &[&str]) -> Vec<u32> {
    let place = |name: &str, class: u8| {
        sentence.find(name).map(|start| Named { start, end: start + name.len(), class })
    };
    let (Some(x), Some(d)) = (place(first, FIRST), place(second, SECOND)) else { return Vec::new() };
    let mut names = vec![x, d];
    names.extend(
        others
            .iter()
            .zip([super::words::OTHER_DRUG, super::words::OTHER_CONDITION])
            .filter_map(|(n, c)| place(n, c)),
    );
    names.sort_by_key(|n| n.start);
    let drugs: Vec<_> = names
        .iter()
        .filter(|n| n.class != SECOND && n.class != super::words::OTHER_CONDITION)
        .map(|n| (n.start, n.end))
        .collect();
    let found = cues(sentence);
    let said = Said { text: sentence, cues: &found, names: &drugs };
    let (one, two) = if x.start < d.start { (x, d) } else { (d, x) };
    let cue = said.stance((one.start, one.end), (two.start, two.end));
    let mut out = Vec::new();
    statistic::features(sentence, &names, cue, &mut out);
    out
}

/// The slots of a sentence with two stretches of it in place of names; `drug_first` says which of them is the drug.
pub fn slots_at(sentence: &str, one: (usize, usize), two: (usize, usize), drug_first: bool) -> Vec<u32> {
    let classes = if drug_first { [FIRST, SECOND] } else { [SECOND, FIRST] };
    let names = [one, two].into_iter().zip(classes).map(|((start, end), class)| Named { start, end, class });
    let names: Vec<Named> = names.collect();
    let found = cues(sentence);
    let drug = if drug_first { one } else { two };
    let said = Said { text: sentence, cues: &found, names: &[drug] };
    let mut out = Vec::new();
    statistic::features(sentence, &names, said.stance(one, two), &mut out);
    out
}

/// Thousandths for and against that a table of weights gives to the slots of a sentence.
pub fn odds_of(slots: &[u32], weight: impl Fn(usize) -> f32) -> (u16, u16) {
    let Odds { for_it, against } = statistic::of_scores(statistic::scores(slots, weight));
    (for_it, against)
}

/// How much a sum over so many features counts.
pub fn norm(slots: usize) -> f32 {
    statistic::norm(slots)
}

impl<B: AsRef<[u8]>> Knowledge<B> {
    /// Every two names of a text of which something might be said.
    pub fn seen(&self, text: &str, mut each: impl FnMut(Seen)) {
        let mentions = self.linker().find(text);
        for range in sentences(text) {
            let Some(part) = text.get(range.clone()) else { continue };
            let inside: Vec<Mention> = mentions
                .iter()
                .filter(|m| m.start >= range.start && m.end <= range.end)
                .copied()
                .take(MENTIONS_MAX)
                .collect();
            if inside.len() < 2 || !inside.iter().any(|m| is_drug(m.kind)) {
                continue;
            }
            let names = inside
                .iter()
                .filter(|m| is_drug(m.kind))
                .map(|m| (m.start - range.start, m.end - range.start))
                .collect();
            let s = Sentence {
                text: part,
                at: range.start,
                mentions: &inside,
                cues: cues(part),
                names,
                before: None,
            };
            for (at, one) in inside.iter().enumerate() {
                for two in inside.get(at + 1..).unwrap_or_default() {
                    if let Some(seen) = self.seen_pair(&s, one, two, &range) {
                        each(seen);
                    }
                }
            }
        }
    }

    fn seen_pair(
        &self,
        s: &Sentence<'_>,
        one: &Mention,
        two: &Mention,
        range: &std::ops::Range<usize>,
    ) -> Option<Seen> {
        let together = is_drug(one.kind) && is_drug(two.kind);
        let (drug, other) = if is_drug(one.kind) { (one, two) } else { (two, one) };
        if one.node == two.node || !is_drug(drug.kind) || !together && !is_condition(other.kind) {
            return None;
        }
        let said = Said { text: s.text, cues: &s.cues, names: &s.names };
        let stance = said.stance(s.place(one), s.place(two));
        let slots = s.slots(one, two, stance);
        let holds =
            |holds: bool| Stance { relation: Relation::Suits, holds, against_word: !holds, care: false };
        let false_if = |says: bool| {
            if together {
                judge::together(self.graph(), drug.node, other.node, says).0 == super::Verdict::Contradicted
            } else {
                judge::condition(self.graph(), drug.node, other.node, holds(says)).verdict
                    == super::Verdict::Contradicted
            }
        };
        (!slots.is_empty()).then(|| Seen {
            slots,
            together,
            for_is_false: false_if(true),
            against_is_false: false_if(false),
            cue: stance.filter(|st| st.relation == Relation::Suits).map(|st| st.holds),
            sentence: range.clone(),
        })
    }
}
