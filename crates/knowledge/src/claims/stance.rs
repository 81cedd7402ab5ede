//! What the words around two names say of them.
//!
//! Cues are gathered into groups that `and`, `but`, a comma or another name part. In a group negations and words against turn the
//! sign: `should not be used` is against, `not contraindicated` is for, `avoid using … to treat` is against.

use super::cues::{Cue, CueHit};

/// A relation that a group of cues asserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// For or against giving the drug.
    Suits,
    /// Brings about.
    Causes,
    /// Prevents.
    Prevents,
}

/// What is said: a relation, and whether it is said to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stance {
    pub relation: Relation,
    pub holds: bool,
    /// A word such as `contraindicated` or `avoid` was used, so the claim is about a contraindication.
    pub against_word: bool,
    /// Words of care stand there, so a positive claim is not an unconditional one.
    pub care: bool,
}

/// A sentence with its cues, for asking what it says of two places in it.
pub(super) struct Said<'a> {
    pub text: &'a str,
    pub cues: &'a [CueHit],
    /// Where names stand in the sentence.
    pub names: &'a [(usize, usize)],
}

/// Words that open a predicate after a noun phrase: `use of X in D *is* contraindicated`.
const AUXILIARIES: [&str; 32] = [
    "brings", "provides", "offers", "gives", "works", "helps", "makes", "worse", "is", "are", "was", "were",
    "should", "must", "can", "cannot", "may", "has", "have", "does", "do", "will", "would", "ought", "could",
    "shouldn", "mustn", "isn", "aren", "doesn", "needs", "remains",
];

/// A predicate after the second name opens within so many bytes of it.
const AFTER_BYTES: usize = 48;

#[derive(Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
    relation: Relation,
    sign: bool,
    against_word: bool,
    care: bool,
}

impl Said<'_> {
    fn slice(&self, from: usize, to: usize) -> &str {
        self.text.get(from..to).unwrap_or_default()
    }

    fn within(&self, from: usize, to: usize) -> impl DoubleEndedIterator<Item = &CueHit> + Clone {
        self.cues.iter().filter(move |c| c.start >= from && c.end <= to)
    }

    /// End of the last part before `at` that says something else; `from` if there is none.
    fn clause_start(&self, from: usize, at: usize) -> usize {
        let but = self.within(from, at).rev().find(|c| c.cue == Cue::But).map_or(from, |c| c.end);
        let semicolon = self.slice(from, at).rfind(';').map_or(from, |n| from + n + 1);
        but.max(semicolon)
    }

    fn clause_end(&self, at: usize) -> usize {
        let but =
            self.within(at, self.text.len()).find(|c| c.cue == Cue::But).map_or(self.text.len(), |c| c.start);
        let semicolon = self.slice(at, self.text.len()).find(';').map_or(self.text.len(), |n| at + n);
        but.min(semicolon)
    }

    /// Groups of cues in a stretch, in order. A negation with nothing behind it in its group turns the next group.
    fn groups(&self, from: usize, to: usize) -> Vec<Group> {
        let mut out: Vec<Group> = Vec::new();
        let mut open: Option<Group> = None;
        let (mut turned, mut last) = (false, from);
        for cue in self.within(from, to) {
            let parted = cue.cue == Cue::And || self.slice(last, cue.start).contains([',', ':', '(']);
            if parted && open.is_some_and(|g| g.sign || g.against_word || g.end > g.start) {
                out.extend(open.take());
            }
            last = cue.end;
            let (relation, turns, against_word) = match cue.cue {
                Cue::Not => {
                    turned = !turned;
                    if let Some(group) = open.as_mut().filter(|_| self.slice(last, to).len() < 2) {
                        group.sign = !group.sign;
                    }
                    continue;
                }
                Cue::For => (Relation::Suits, false, false),
                Cue::Against => (Relation::Suits, true, true),
                Cue::Stop if self.stops_a_name(cue) => (Relation::Suits, true, true),
                Cue::Cause => (Relation::Causes, false, false),
                Cue::Prevent => (Relation::Prevents, false, false),
                Cue::Care => {
                    if let Some(group) = open.as_mut() {
                        group.care = true;
                    }
                    continue;
                }
                _ => continue,
            };
            let turn = turns ^ turned;
            turned = false;
            open = Some(match open {
                None => {
                    Group { start: cue.start, end: cue.end, relation, sign: !turn, against_word, care: false }
                }
                Some(group) => Group {
                    end: cue.end,
                    relation: if relation == Relation::Suits { group.relation } else { relation },
                    sign: group.sign ^ turn,
                    against_word: group.against_word || against_word,
                    ..group
                },
            });
        }
        out.extend(open);
        out
    }

    /// What the sentence says of the names at `first` and `second`, in this order of the text.
    pub(super) fn stance(&self, first: (usize, usize), second: (usize, usize)) -> Option<Stance> {
        let from = self.clause_start(0, first.0);
        let between_from = self.clause_start(first.1, second.0);
        let to = self.clause_end(second.1);
        let between = self.groups(between_from, second.0).pop();
        let same_clause = between_from == first.1;
        let before = self.groups(from, first.0).pop().filter(|g| {
            same_clause
                && (between.is_none() || !self.is_parted(g.end, first.0))
                && first.0 - g.end < 2 * AFTER_BYTES
        });
        let after = self.predicate_after(second.1, to);
        let groups = [before, between, after];
        let care = self.within(from, to).any(|c| c.cue == Cue::Care);
        let strongest = between.or(after).or(before);
        let Some(strongest) = strongest else {
            let joint = self.slice(first.1, second.0).trim();
            let plain = ["for", "for the", "for his", "for her", "for their", "for your", "in", "treats"]
                .contains(&joint);
            let stance =
                Stance { relation: Relation::Suits, holds: !self.is_denied(), against_word: false, care };
            return (plain && joint != "in").then_some(stance);
        };
        let relation = groups
            .iter()
            .flatten()
            .map(|g| g.relation)
            .find(|r| *r != Relation::Suits)
            .unwrap_or(strongest.relation);
        let sign = groups.iter().flatten().fold(true, |sign, g| sign == g.sign);
        Some(Stance {
            relation,
            holds: sign != self.is_denied(),
            against_word: groups.iter().flatten().any(|g| g.against_word),
            care: care || groups.iter().flatten().any(|g| g.care),
        })
    }

    /// `stop taking X`, `X must be withheld`; not `to stop the growth of`.
    fn stops_a_name(&self, cue: &CueHit) -> bool {
        let passive = self.slice(0, cue.start).trim_end().ends_with(" be");
        passive || self.names.iter().any(|n| n.0 >= cue.end && n.0 - cue.end <= 12)
    }

    fn is_denied(&self) -> bool {
        self.cues.iter().any(|c| c.cue == Cue::Deny)
    }

    fn is_parted(&self, from: usize, to: usize) -> bool {
        self.slice(from, to).contains([',', ':', '(']) || self.within(from, to).any(|c| c.cue == Cue::And)
    }

    /// The predicate behind the second name, when the words behind it open one.
    fn predicate_after(&self, from: usize, to: usize) -> Option<Group> {
        let near = self.slice(from, to);
        let opens = near
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty())
            .take(4)
            .any(|w| AUXILIARIES.contains(&w.to_lowercase().as_str()));
        if !opens {
            return None;
        }
        let group = self.groups(from, to).into_iter().next()?;
        let not_of_another = !self.slice(from, group.start).contains("that ")
            && !self.slice(from, group.start).contains("who ");
        (group.start - from <= AFTER_BYTES && not_of_another).then_some(group)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cues::cues;
    use super::*;

    /// `X` and `D` stand for the drug and the disease.
    fn check(text: &str, expected: Option<(Relation, bool)>) {
        let place = |name: &str| text.find(name).map(|at| (at, at + name.len())).unwrap();
        let (drug, disease) = (place("Xmab"), place("Dosis"));
        let found = cues(text);
        let names = [drug, disease];
        let said = Said { text, cues: &found, names: &names };
        let stance = if drug < disease { said.stance(drug, disease) } else { said.stance(disease, drug) };
        assert_eq!(stance.map(|s| (s.relation, s.holds)), expected, "{text}");
    }

    #[test]
    fn what_is_said_for_a_drug() {
        for text in [
            "Xmab treats Dosis.",
            "Xmab is used to treat Dosis.",
            "Xmab is a first-line therapy for Dosis.",
            "Dosis is treated with Xmab.",
            "For Dosis, Xmab is the drug of choice.",
            "Patients with Dosis should receive Xmab.",
            "Xmab is not contraindicated in Dosis.",
            "There is no contraindication to Xmab in Dosis.",
            "Do not hesitate to use Xmab in Dosis.",
            "Xmab can be safely given to patients with Dosis.",
            "The use of Xmab in Dosis is safe.",
            "Dosis responds well to Xmab.",
            "Start Xmab for Dosis.",
            "Xmab for Dosis.",
            "Xmab is not only safe in Dosis.",
        ] {
            check(text, Some((Relation::Suits, true)));
        }
    }

    #[test]
    fn what_is_said_against_a_drug() {
        for text in [
            "Xmab is contraindicated in Dosis.",
            "Xmab should not be used to treat Dosis.",
            "Avoid using Xmab to treat Dosis.",
            "Avoid Xmab in Dosis.",
            "In patients with Dosis, Xmab must be avoided.",
            "Using Xmab for Dosis is dangerous.",
            "Xmab has no role in the treatment of Dosis.",
            "Xmab is ineffective in Dosis.",
            "Xmab does not help with Dosis.",
            "Xmab worsens Dosis.",
            "It is a myth that Xmab cures Dosis.",
            "Dosis is a contraindication to Xmab.",
            "Never give Xmab to patients with Dosis.",
            "Xmab treats gout but is contraindicated in Dosis.",
            "Treatment of Dosis with Xmab should be avoided.",
        ] {
            check(text, Some((Relation::Suits, false)));
        }
    }

    #[test]
    fn causes_and_prevention_are_told_apart() {
        check("Xmab causes Dosis.", Some((Relation::Causes, true)));
        check("Xmab does not cause Dosis.", Some((Relation::Causes, false)));
        check("Dosis is a side effect of Xmab.", Some((Relation::Causes, true)));
        check("Xmab reduces the risk of Dosis.", Some((Relation::Prevents, true)));
        check("Xmab does not prevent Dosis.", Some((Relation::Prevents, false)));
    }

    #[test]
    fn two_names_alone_say_nothing() {
        check("Xmab, Dosis, and a normal chest.", None);
        check("The patient has Dosis; Xmab level pending.", None);
    }
}
