//! Finds the claims of a text and has them judged.

use super::cues::{Cue, CueHit, cues};
use super::judge;
use super::labs::Labs;
use super::myths::Myths;
use super::sentence::sentences;
use super::spoken::{DIRECT_BYTES, Sentence, is_condition, is_drug};
use super::stance::{Relation, Said, Stance};
use super::{Claim, ClaimKind, Ground, Verdict, statistic};
use crate::dose;
use crate::error::GraphError;
use crate::graph::{Graph, NodeId};
use crate::kind::NodeKind;
use crate::lexicon::find_all;
use crate::linker::{Linker, Mention};

/// Most names of one sentence that are related to each other.
pub(super) const MENTIONS_MAX: usize = 24;

/// A pronoun stands for the drug of the sentence before only where it opens a sentence.
const PRONOUN_BYTES: usize = 14;

/// Most claims that one text gives; a longer text is read in parts by the caller.
pub const CLAIMS_MAX: usize = 100_000;

/// What a stance rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// The cues, whose reading may be too loose to contradict anything.
    Cues,
    /// The statistic, which is sure.
    Statistic,
    /// The cues, but the statistic sees nothing said.
    Neither,
}

/// So sure (in thousandths) the statistic must be where the cues are silent.
const SURE: u16 = 720;
/// So sure it must be to overrule the cues.
const OVERRULES: u16 = 850;
/// Below this the statistic does not see said what the cues read.
const NOTHING: u16 = 120;

/// A graph ready to be asked about texts.
#[derive(Clone, Debug)]
pub struct Knowledge<B> {
    graph: Graph<B>,
    linker: Linker,
    myths: Myths,
    labs: Labs,
}

impl Knowledge<Vec<u8>> {
    /// The core formulary that is shipped.
    ///
    /// # Errors
    /// Never for what is shipped, which is tested; the type says what could be wrong.
    pub fn core() -> Result<Self, GraphError> {
        Ok(Self::new(crate::shipped::core()?))
    }
}

impl<B: AsRef<[u8]>> Knowledge<B> {
    /// Makes the linker of a graph.
    pub fn new(graph: Graph<B>) -> Self {
        let linker = Linker::new(&graph);
        Self { graph, linker, myths: Myths::shipped(), labs: Labs::shipped() }
    }

    /// The graph.
    pub fn graph(&self) -> &Graph<B> {
        &self.graph
    }

    /// The linker.
    pub fn linker(&self) -> &Linker {
        &self.linker
    }

    /// Every claim of a text, in the order of the text, with its verdict. At most [`CLAIMS_MAX`].
    pub fn claims(&self, text: &str) -> Vec<Claim> {
        let (mut mentions, mut myths, mut tests) = (Vec::new(), Vec::new(), Vec::new());
        let lexicons = [self.linker.lexicon(), self.myths.lexicon(), self.labs.lexicon()];
        find_all(lexicons, text, |of, hit| match of {
            0 => mentions.extend(self.linker.mention(text, &hit)),
            1 => Myths::ideas(&hit, &mut myths),
            _ => tests.extend(Labs::test(text, &hit)),
        });
        let mut out = Vec::new();
        let (mut mention, mut myth, mut test) = (0, 0, 0);
        let mut before = None;
        for range in sentences(text) {
            if out.len() >= CLAIMS_MAX {
                break;
            }
            let inside = run(&mentions, &mut mention, range.end, |m| m.start);
            let myth_hits = run(&myths, &mut myth, range.end, |m| m.start);
            let test_hits = run(&tests, &mut test, range.end, |t| t.start);
            let Some(part) = text.get(range.clone()) else { continue };
            let drugs = inside.iter().filter(|m| is_drug(m.kind)).count();
            let related = drugs > 0 && (inside.len() > 1 || part.bytes().any(|b| b.is_ascii_digit()));
            let referred = before.is_some() && drugs == 0 && !inside.is_empty();
            if !related && !referred && test_hits.is_empty() && !self.myths.may_hold(myth_hits) {
                before = inside.iter().find(|m| is_drug(m.kind)).filter(|_| drugs == 1).map(|m| m.node);
                continue;
            }
            let inside = inside.get(..inside.len().min(MENTIONS_MAX)).unwrap_or(inside);
            let drug_places = inside.iter().filter(|m| is_drug(m.kind));
            let names = drug_places.map(|m| (m.start - range.start, m.end - range.start)).collect();
            let (at, cues) = (range.start, cues(part));
            let sentence = Sentence { text: part, at, mentions: inside, cues, names, before };
            self.pairs(&sentence, &mut out);
            self.doses(&sentence, &mut out);
            self.myths.judge(part, range.start, myth_hits, &sentence.cues, &mut out);
            self.labs.judge(part, range.start, test_hits, &sentence.cues, &mut out);
            let only = inside.iter().find(|m| is_drug(m.kind)).filter(|_| drugs == 1);
            before = only.map(|m| m.node);
        }
        out.truncate(CLAIMS_MAX);
        out
    }

    fn pairs(&self, s: &Sentence<'_>, out: &mut Vec<Claim>) {
        let is_question = s.text.ends_with('?');
        for (at, first) in s.mentions.iter().enumerate() {
            for second in s.mentions.get(at + 1..).unwrap_or_default() {
                let drugs = (is_drug(first.kind), is_drug(second.kind));
                match drugs {
                    (true, true) => self.together(s, first, second, is_question, out),
                    (true, false) | (false, true)
                        if is_condition(if drugs.0 { second.kind } else { first.kind }) =>
                    {
                        let (drug, condition) = if drugs.0 { (first, second) } else { (second, first) };
                        self.drug_and_condition(s, drug, condition, is_question, out);
                    }
                    _ => {}
                }
            }
        }
        self.pronoun(s, is_question, out);
    }

    fn drug_and_condition(
        &self,
        s: &Sentence<'_>,
        drug: &Mention,
        condition: &Mention,
        question: bool,
        out: &mut Vec<Claim>,
    ) {
        let (first, second) =
            if drug.start < condition.start { (drug, condition) } else { (condition, drug) };
        if s.is_compared(drug) || s.is_absent(condition) || s.is_bodily(drug) {
            return;
        }
        let said = Said { text: s.text, cues: &s.cues, names: &s.names };
        let stance = said.stance(s.place(first), s.place(second));
        let cue = stance.filter(|_| !s.belongs_to_another(first, second));
        let read = self.backed(s, (drug, condition), (first, second), stance, cue, question);
        if let Some((stance, trust)) = read {
            let place = (first.start, second.end);
            self.push(s, drug.node, condition.node, stance, trust, place, question, out);
        }
    }

    /// The cues' stance, or where these are silent or misled, the stance of the statistic. It is asked only where a statement could
    /// contradict the graph.
    fn backed(
        &self,
        s: &Sentence<'_>,
        (drug, condition): (&Mention, &Mention),
        (first, second): (&Mention, &Mention),
        stance: Option<Stance>,
        cue: Option<Stance>,
        question: bool,
    ) -> Option<(Stance, Trust)> {
        let plain = |holds| Stance { relation: Relation::Suits, holds, against_word: false, care: false };
        let is_false = |holds| {
            let answer = judge::condition(&self.graph, drug.node, condition.node, plain(holds));
            answer.verdict == Verdict::Contradicted
        };
        let by_cues = cue.map(|stance| (stance, Trust::Cues));
        let (for_is_false, against_is_false) = (is_false(true), is_false(false));
        if question || !for_is_false && !against_is_false {
            return by_cues;
        }
        let slots = s.slots(first, second, stance);
        let odds = statistic::odds(statistic::Question::Condition, &slots);
        let bar = if cue.is_some() { OVERRULES } else { SURE };
        let lie = if for_is_false && odds.for_it >= bar {
            Some(true)
        } else if against_is_false && odds.against >= bar && !s.is_careful() {
            Some(false)
        } else {
            None
        };
        match lie {
            Some(holds) if !s.is_open_to_doubt((first.start, second.end)) => {
                let agrees = cue.filter(|c| c.relation == Relation::Suits && c.holds == holds);
                let against_word = agrees.map_or(!holds, |c| c.against_word);
                Some((Stance { against_word, ..plain(holds) }, Trust::Statistic))
            }
            None if !slots.is_empty() => by_cues.map(|(stance, trust)| {
                let lies = if stance.holds { for_is_false } else { against_is_false };
                let other = if stance.holds { odds.against } else { odds.for_it };
                if stance.relation == Relation::Suits && lies && other >= OVERRULES {
                    (Stance { against_word: stance.holds, ..plain(!stance.holds) }, Trust::Cues)
                } else if lies && (if stance.holds { odds.for_it } else { odds.against }) < NOTHING {
                    (stance, Trust::Neither)
                } else {
                    (stance, trust)
                }
            }),
            _ => by_cues,
        }
    }

    /// `It is contraindicated in asthma.` after a sentence with one drug.
    fn pronoun(&self, s: &Sentence<'_>, question: bool, out: &mut Vec<Claim>) {
        let (Some(drug), false) = (s.before, s.mentions.iter().any(|m| is_drug(m.kind))) else { return };
        let opens = |c: &&CueHit| c.cue == Cue::Pronoun && c.start <= PRONOUN_BYTES;
        let Some(pronoun) = s.cues.iter().find(opens) else { return };
        let said = Said { text: s.text, cues: &s.cues, names: &s.names };
        for condition in s.mentions.iter().filter(|m| is_condition(m.kind) && !s.is_absent(m)) {
            let place = s.place(condition);
            let (first, second) = if pronoun.start < place.0 {
                ((pronoun.start, pronoun.start + 2), place)
            } else {
                (place, (pronoun.start, pronoun.start + 2))
            };
            if let Some(stance) = said.stance(first, second) {
                let place = (s.at + first.0, s.at + second.1);
                self.push(s, drug, condition.node, stance, Trust::Cues, place, question, out);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one place makes a claim out of what was read")]
    fn push(
        &self,
        s: &Sentence<'_>,
        drug: NodeId,
        condition: NodeId,
        stance: Stance,
        trust: Trust,
        place: (usize, usize),
        question: bool,
        out: &mut Vec<Claim>,
    ) {
        let answer = judge::condition(&self.graph, drug, condition, stance);
        let context = s.context(place, !stance.holds, question);
        let doubted = match trust {
            Trust::Cues => s.is_loose(place, &stance, &answer),
            Trust::Statistic => false,
            Trust::Neither => answer.verdict == Verdict::Contradicted,
        };
        let open = context.family || question || doubted;
        let judge::Answer { verdict, ground, .. } = if open { judge::Answer::OPEN } else { answer };
        let kind = match stance.relation {
            Relation::Causes => ClaimKind::Causes,
            Relation::Prevents => ClaimKind::Prevents,
            Relation::Suits if stance.against_word => ClaimKind::Contraindicated,
            Relation::Suits => ClaimKind::Treats,
        };
        out.push(Claim {
            kind,
            start: place.0,
            end: place.1,
            subject: Some(drug),
            object: Some(condition),
            context,
            verdict,
            ground,
        });
    }

    fn together(
        &self,
        s: &Sentence<'_>,
        one: &Mention,
        other: &Mention,
        question: bool,
        out: &mut Vec<Claim>,
    ) {
        if one.node == other.node || s.is_compared(one) || s.is_compared(other) {
            return;
        }
        let joint = s.slice(one.end, other.start);
        let speaks =
            |c: &&CueHit| c.cue == Cue::Interact || is_joining(s.slice(s.at + c.start, s.at + c.end));
        let safe = s.cues.iter().any(|c| is_judging(s.slice(s.at + c.start, s.at + c.end)));
        let next_to = ["and", "with", "or", "plus", "to", "+", "alongside", "together with"];
        let joined = next_to.iter().any(|w| joint.trim().starts_with(w) || joint.trim().ends_with(w));
        let listed = joint.contains([',', '(', ';'])
            || joint.contains(|c: char| c.is_ascii_digit())
            || joint.len() > DIRECT_BYTES;
        let judged =
            s.within(one.end, other.start).any(|c| is_judging(s.slice(s.at + c.start, s.at + c.end)));
        let alternatives = joint.trim_matches([' ', ')']) == "or";
        if listed || alternatives {
            return;
        }
        let said = Said { text: s.text, cues: &s.cues, names: &s.names };
        let stance = said.stance(s.place(one), s.place(other));
        let odds = if question { None } else { self.odds_together(s, one, other, stance) };
        let sure = odds.is_some_and(|o| o.for_it >= SURE) && !s.is_open_to_doubt((one.start, other.end));
        if !(sure || s.cues.iter().any(|c| speaks(&c)) || safe && (joined || judged)) {
            return;
        }
        let interacts = s.cues.iter().any(|c| c.cue == Cue::Interact);
        let stance = stance.or_else(|| said.stance(s.place(one), s.place(one)));
        let denied = s.cues.iter().any(|c| matches!(c.cue, Cue::Not | Cue::Deny));
        let against = s.cues.iter().any(|c| matches!(c.cue, Cue::Against | Cue::Cause));
        let go = if interacts {
            denied && !against
        } else {
            stance.is_none_or(|st| st.holds && st.relation == Relation::Suits) && (denied || !against)
        };
        let go = sure || go && odds.is_none_or(|o| o.against < SURE);
        let (verdict, ground) = judge::together(&self.graph, one.node, other.node, go);
        let context = s.context((one.start, other.end), !go, question);
        let (verdict, ground) =
            if question || context.family { (Verdict::NotKnown, None) } else { (verdict, ground) };
        let (start, end) = (one.start, other.end);
        out.push(Claim {
            kind: ClaimKind::Together,
            start,
            end,
            subject: Some(one.node),
            object: Some(other.node),
            context,
            verdict,
            ground,
        });
    }

    /// What the statistic says of two drugs that must not be combined; of others it is not asked.
    fn odds_together(
        &self,
        s: &Sentence<'_>,
        one: &Mention,
        other: &Mention,
        stance: Option<Stance>,
    ) -> Option<statistic::Odds> {
        let is_severe = judge::together(&self.graph, one.node, other.node, true).0 == Verdict::Contradicted;
        is_severe.then(|| statistic::odds(statistic::Question::Together, &s.slots(one, other, stance)))
    }

    fn doses(&self, s: &Sentence<'_>, out: &mut Vec<Claim>) {
        if !s.text.bytes().any(|b| b.is_ascii_digit())
            || s.cues.iter().any(|c| matches!(c.cue, Cue::NoDose | Cue::Child))
        {
            return;
        }
        for (at, drug) in s.mentions.iter().enumerate().filter(|(_, m)| m.kind == NodeKind::Drug) {
            let facts: Vec<_> = self.graph.doses(drug.node).collect();
            if facts.is_empty() {
                continue;
            }
            let next = s.mentions.get(at + 1..).unwrap_or_default().iter().find(|m| is_drug(m.kind));
            let (_, end) = s.place(drug);
            let limit = next.map_or(s.text.len(), |m| m.start - s.at);
            let behind = dose::stated(s.text, end, limit);
            let Some(stated) = behind.or_else(|| s.amount_before(drug, at)) else { continue };
            let Some(judged) = dose::judge(&stated, &facts) else { continue };
            let verdict = match judged.fits {
                Some(true) => Verdict::Supported,
                Some(false) => Verdict::Contradicted,
                None => Verdict::NotKnown,
            };
            let source = self.graph.source(judged.source);
            let ground = Ground {
                fact: format!("{}: {}", self.graph.node(drug.node).name, judged.arithmetic),
                source: format!("{}: {}", source.name, judged.cite),
                licence: source.licence.to_owned(),
            };
            let (start, end) = (drug.start.min(s.at + stated.start), drug.end.max(s.at + stated.end));
            let context = s.context((start, end), false, s.text.ends_with('?'));
            out.push(Claim {
                kind: ClaimKind::Dose,
                start,
                end,
                subject: Some(drug.node),
                object: None,
                context,
                verdict,
                ground: Some(ground),
            });
        }
    }
}

/// Words that put two drugs together.
fn is_joining(word: &str) -> bool {
    let lower = word.to_lowercase();
    [
        "combin",
        "together",
        "coadmin",
        "co-admin",
        "co admin",
        "concurrent",
        "concomitant",
        "add",
        "at the same time",
        "simultaneous",
        "alongside",
        "in combination",
        "mix",
        "compatible",
    ]
    .iter()
    .any(|w| lower.starts_with(w))
}

/// Words that judge whether something may be done.
fn is_judging(word: &str) -> bool {
    let lower = word.to_lowercase();
    let words = [
        "safe",
        "fine",
        "avoid",
        "not",
        "never",
        "contraindicated",
        "danger",
        "unsafe",
        "fatal",
        "deadly",
        "recommend",
        "can be",
        "may be",
        "harmless",
        "compatible",
        "incompatible",
        "don",
    ];
    words.iter().any(|w| lower.starts_with(w))
}

/// The rows before `end`, and the place moves on.
fn run<'a, T>(rows: &'a [T], at: &mut usize, end: usize, place: impl Fn(&T) -> usize) -> &'a [T] {
    let start = *at;
    while rows.get(*at).is_some_and(|row| place(row) < end) {
        *at += 1;
    }
    rows.get(start..*at).unwrap_or_default()
}
