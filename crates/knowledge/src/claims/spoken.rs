//! One sentence: what in it belongs together, and what is said too loosely to contradict anything.

use super::cues::{Cue, CueHit};
use super::judge;
use super::stance::{Relation, Stance};
use super::{Context, Verdict, statistic, words};
use crate::dose;
use crate::graph::NodeId;
use crate::kind::{EdgeKind, NodeKind};
use crate::linker::Mention;

/// Two names that far apart are not what a general statement is about.
pub(super) const DIRECT_BYTES: usize = 90;

/// Most words between two names that are neither cues nor names nor small words, for a statement to be direct.
const DIRECT_WORDS: usize = 2;

/// Words that do not make a statement less direct.
const SMALL_WORDS: &str = "the a an of for in with to is are be been being patient people adult who have has having suffer suffering from and or \
    someone those woman women man men individual diagnosed person anyone it thi as by on at your hi her their our acute chronic severe mild any \
    all most many some can may should must will would do doe did not very also often commonly widely usually always typically physician doctor \
    clinician history known active other guideline evidence that daily well highly case among setting presence living affected patients \
    that which these this was were condition symptom disease standard initial about than more get who whose every both";

/// Words behind a name that make it the body's own substance.
const BODILY: [&str; 16] = [
    "resistance",
    "resistant",
    "sensitivity",
    "production",
    "secretion",
    "deficiency",
    "deficient",
    "level",
    "levels",
    "action",
    "release",
    "receptor",
    "receptors",
    "dependence",
    "antagonist",
    "pathway",
];

/// One sentence being read: places are within the sentence.
pub(super) struct Sentence<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) mentions: &'a [Mention],
    pub(super) cues: Vec<CueHit>,
    /// Places of the drugs.
    pub(super) names: Vec<(usize, usize)>,
    /// The only drug of the sentence before, for `it is contraindicated in …`.
    pub(super) before: Option<NodeId>,
}

pub(super) fn is_drug(kind: NodeKind) -> bool {
    matches!(kind, NodeKind::Drug | NodeKind::Class | NodeKind::Product)
}

pub(super) fn is_condition(kind: NodeKind) -> bool {
    matches!(kind, NodeKind::Disease | NodeKind::Phenotype)
}

impl Sentence<'_> {
    pub(super) fn place(&self, mention: &Mention) -> (usize, usize) {
        (mention.start.saturating_sub(self.at), (mention.end.saturating_sub(self.at)).min(self.text.len()))
    }

    pub(super) fn slice(&self, from: usize, to: usize) -> &str {
        self.text.get(from.saturating_sub(self.at)..to.saturating_sub(self.at)).unwrap_or_default()
    }

    pub(super) fn within(&self, from: usize, to: usize) -> impl Iterator<Item = &CueHit> + Clone {
        let (from, to) = (from.saturating_sub(self.at), to.saturating_sub(self.at));
        self.cues.iter().filter(move |c| c.start >= from && c.end <= to)
    }

    /// `insulin resistance`, `lack of insulin`: not the drug.
    pub(super) fn is_bodily(&self, mention: &Mention) -> bool {
        let (start, end) = self.place(mention);
        let next = self.text.get(end..).unwrap_or_default().trim_start_matches([' ', '-']);
        let next: String = next.chars().take_while(|c| c.is_alphabetic()).collect::<String>().to_lowercase();
        let before = self.text.get(..start).unwrap_or_default().trim_end().to_lowercase();
        BODILY.contains(&next.as_str())
            || ["lack of", "hormone", "shortage of", "enough", "amount of", "deficiency of", "limit"]
                .iter()
                .any(|w| before.ends_with(w))
    }

    /// The sentence could be read as contradicting the graph without meaning to: told of one person, under study, about the body's own
    /// substance, or with too much between the names. Such a claim is left open.
    pub(super) fn is_loose(&self, place: (usize, usize), stance: &Stance, answer: &judge::Answer) -> bool {
        if answer.verdict != Verdict::Contradicted {
            return false;
        }
        let has = |cue: Cue| self.cues.iter().any(|c| c.cue == cue);
        let between = self.slice(place.0, place.1);
        if between.len() > DIRECT_BYTES + 60
            || has(Cue::Study)
            || self.within(place.0, place.1).any(|c| c.cue == Cue::Apart)
        {
            return true;
        }
        let denies =
            matches!(answer.by, Some(EdgeKind::Indicates | EdgeKind::TreatsSymptom | EdgeKind::Prevents));
        let lower = self.text.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|w| lower.contains(w));
        let told = has(Cue::Story) || says(&["the patient ", "patient's", "this patient", "patient is"]);
        let rule = says(&["should not", "must not", "contraindicated", "never"]);
        let apart = says(&["do not respond", "lack of ", "without relief"]);
        let special = apart || has(Cue::Body) || has(Cue::Hypothetical) || has(Cue::Child);
        let spoken = |c: &CueHit| matches!(c.cue, Cue::For | Cue::Against | Cue::Not);
        let only_comma = between.contains(',') && !self.within(place.0, place.1).any(spoken);
        if denies && (told && !rule || special || only_comma) {
            return true;
        }
        if stance.relation == Relation::Causes
            && (denies && !(self.is_causal(between) && self.opens_a_clause(place.0)) || has(Cue::Body))
        {
            return true;
        }
        let drugs = self.mentions.iter().filter(|m| is_drug(m.kind)).count();
        let conditions = self.mentions.iter().filter(|m| is_condition(m.kind)).count();
        let listed = drugs > 1 && conditions > 1;
        let weak = matches!(answer.by, Some(EdgeKind::NotIndicated | EdgeKind::Causes));
        let given_for = [" for ", " treat ", " treats "].iter().any(|w| between.contains(w));
        weak && (listed || told && !given_for) || !self.is_direct(place)
    }

    /// A verb of causing next to one of the names, not far from the other.
    pub(super) fn is_causal(&self, between: &str) -> bool {
        between.len() <= DIRECT_BYTES
            && !between.contains(',')
            && ["cause", "lead", "induce", "trigger", "result"].iter().any(|w| between.contains(w))
    }

    /// At most a few words stand before a place in its part of the sentence, so that a name there is what it speaks of.
    fn opens_a_clause(&self, place: usize) -> bool {
        let before = self.text.get(..place.saturating_sub(self.at)).unwrap_or_default();
        let clause = before.rsplit([',', ';', ':', '(']).next().unwrap_or_default();
        let clause = clause.rsplit(" that ").next().unwrap_or_default();
        clause.split_whitespace().count() <= 3
    }

    /// Little stands between the two names beside cues, names and small words.
    pub(super) fn is_direct(&self, place: (usize, usize)) -> bool {
        let inside: Vec<&Mention> =
            self.mentions.iter().filter(|m| m.start >= place.0 && m.end <= place.1).collect();
        let (Some(first), Some(last)) = (inside.first(), inside.last()) else { return true };
        let gap = self.slice(first.end, last.start);
        if gap.len() > DIRECT_BYTES
            || gap.contains(['(', ';', '\n', '%', '['])
            || gap.contains(|c: char| c.is_ascii_digit())
        {
            return false;
        }
        let mut at = first.end;
        let mut free = 0;
        for word in gap.split(|c: char| !c.is_alphanumeric() && c != '\'') {
            let start = at;
            at += word.len() + 1;
            let in_mention = inside.iter().any(|m| start >= m.start && start < m.end);
            let in_cue = self.cues.iter().any(|c| start >= self.at + c.start && start < self.at + c.end);
            if word.is_empty() || in_mention || in_cue {
                continue;
            }
            let lower = word.to_lowercase();
            let singular = lower.strip_suffix('s').unwrap_or(&lower);
            free += usize::from(!SMALL_WORDS.split_whitespace().any(|w| w == lower || w == singular));
        }
        free <= DIRECT_WORDS
    }

    /// Words of care stand there: `with caution`, `only if`.
    pub(super) fn is_careful(&self) -> bool {
        self.cues.iter().any(|c| c.cue == Cue::Care)
    }

    /// Told of one person, under study, or about something in between: what the statistic reads there contradicts nothing.
    pub(super) fn is_open_to_doubt(&self, place: (usize, usize)) -> bool {
        let between = self.slice(place.0, place.1);
        let lower = self.text.to_lowercase();
        let one = [
            "year-old",
            "year old",
            "the patient ",
            "this patient",
            "patient's",
            "patient is",
            "patient was",
            "patient has",
        ];
        let told = one.iter().any(|w| lower.contains(w))
            || self.cues.iter().any(|c| {
                c.cue == Cue::Story
                    && [
                        "he",
                        "she",
                        "his",
                        "her",
                        "him",
                        "mr",
                        "mrs",
                        "ms",
                        "admitted",
                        "presented",
                        "denies",
                    ]
                    .contains(&lower.get(c.start..c.end).unwrap_or_default())
            });
        told || between.contains(['\n', '%', '['])
            || self.cues.iter().any(|c| matches!(c.cue, Cue::Study | Cue::Child))
    }

    /// Features of the sentence around two names, for the statistic; empty when they are too far apart.
    pub(super) fn slots(&self, one: &Mention, two: &Mention, cue: Option<Stance>) -> Vec<u32> {
        let asked_first = if is_drug(one.kind) { words::FIRST } else { words::SECOND };
        let asked_second = if asked_first == words::FIRST { words::SECOND } else { words::FIRST };
        let class = |m: &Mention| match m.start {
            start if start == one.start => asked_first,
            start if start == two.start => asked_second,
            _ if is_drug(m.kind) => words::OTHER_DRUG,
            _ => words::OTHER_CONDITION,
        };
        let names: Vec<words::Named> = self
            .mentions
            .iter()
            .map(|m| {
                let (start, end) = self.place(m);
                words::Named { start, end, class: class(m) }
            })
            .collect();
        let mut out = Vec::new();
        statistic::features(self.text, &names, cue, &mut out);
        out
    }

    /// Directly behind `rather than`, `over`, `compared with`.
    pub(super) fn is_compared(&self, mention: &Mention) -> bool {
        let (start, _) = self.place(mention);
        self.cues.iter().any(|c| c.cue == Cue::Versus && c.end <= start && start - c.end <= 3)
    }

    /// `without asthma`, `denies asthma`: the condition is said not to be there.
    pub(super) fn is_absent(&self, mention: &Mention) -> bool {
        let (start, _) = self.place(mention);
        let near = |c: &&CueHit| {
            c.end <= start
                && start - c.end <= 12
                && !self.text.get(c.end..start).unwrap_or_default().contains([',', '.', ';'])
        };
        let speaks = |c: &CueHit| matches!(c.cue, Cue::For | Cue::Against | Cue::Cause | Cue::Prevent);
        let spoken = |from: usize| self.cues.iter().any(|c| speaks(c) && c.start >= from && c.end <= start);
        let absent = self.cues.iter().filter(|c| c.cue == Cue::Absent).any(|c| near(&c) && !spoken(c.end));
        // `no asthma`: a bare negation directly before the name.
        let bare = self.cues.iter().any(|c| {
            c.cue == Cue::Not
                && c.end + 1 == start
                && matches!(
                    self.text.get(c.start..c.end).map(str::to_ascii_lowercase).as_deref(),
                    Some("no" | "without")
                )
        });
        absent || bare
    }

    /// Another drug stands between the two and the relation belongs to it, or the condition is the object of a drug before it.
    pub(super) fn belongs_to_another(&self, first: &Mention, second: &Mention) -> bool {
        let speaks = |c: &CueHit| matches!(c.cue, Cue::For | Cue::Against | Cue::Cause | Cue::Prevent);
        if is_drug(first.kind) {
            return self.mentions.iter().any(|m| {
                is_drug(m.kind)
                    && m.start >= first.end
                    && m.end <= second.start
                    && self.within(first.end, m.start).any(speaks)
                    && (self.within(m.end, second.start).any(speaks)
                        || self.within(first.end, m.start).any(|c| c.cue == Cue::And))
            });
        }
        let spoken_between = self.within(first.end, second.start).any(speaks);
        let owner = self
            .mentions
            .iter()
            .any(|m| is_drug(m.kind) && m.end <= first.start && self.within(m.end, first.start).any(speaks));
        let other = self.mentions.iter().any(|m| {
            is_condition(m.kind)
                && m.start >= first.end
                && m.end <= second.start
                && self.within(first.end, m.start).any(speaks)
                && self.within(m.end, second.start).any(speaks)
        });
        let parted = self.within(first.end, second.start).any(|c| matches!(c.cue, Cue::And | Cue::But));
        owner && (!spoken_between || parted) || other
    }

    /// `500 mg of metformin`: the amount directly before the drug, with the frequency behind it.
    pub(super) fn amount_before(&self, drug: &Mention, at: usize) -> Option<dose::Stated> {
        let (start, end) = self.place(drug);
        let earlier = at.checked_sub(1).and_then(|n| self.mentions.get(n)).map_or(0, |m| self.place(m).1);
        let mut from = start.saturating_sub(28).max(earlier);
        while !self.text.is_char_boundary(from) {
            from += 1;
        }
        let before = self.text.get(from..start)?;
        let trimmed = before.trim_end().trim_end_matches("of").trim_end();
        let stated = dose::stated(self.text, from, from + trimmed.len())?;
        let between = self.text.get(stated.end..from + trimmed.len())?;
        if between.len() > 12 || between.contains([',', ';', '.', '\n', ')']) {
            return None;
        }
        // The frequency stands behind the drug: read the amount and what follows the name as one.
        let next = self
            .mentions
            .get(at + 1..)
            .unwrap_or_default()
            .iter()
            .find(|m| is_drug(m.kind))
            .map_or(self.text.len(), |m| m.start - self.at);
        let joined = format!("{} {}", self.text.get(stated.start..stated.end)?, self.text.get(end..next)?);
        let full = dose::stated(&joined, 0, joined.len())
            .filter(|f| f.low == stated.low && f.unit == stated.unit)?;
        Some(dose::Stated { start: stated.start, end: stated.end, pieces: stated.pieces, ..full })
    }

    pub(super) fn context(&self, place: (usize, usize), negated: bool, question: bool) -> Context {
        let (from, _) = (place.0.saturating_sub(self.at), place.1);
        let before = |cue: Cue| self.cues.iter().any(|c| c.cue == cue && c.end <= from + 1);
        Context {
            negated,
            hedged: self.cues.iter().any(|c| c.cue == Cue::Hedge),
            family: before(Cue::Family),
            past: before(Cue::Past),
            hypothetical: question || self.cues.iter().any(|c| c.cue == Cue::Hypothetical && c.start == 0),
        }
    }
}
