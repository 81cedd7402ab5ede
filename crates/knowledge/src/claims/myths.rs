//! The catalogue of false claims: which ideas must stand in one sentence, and what is true instead.

use std::collections::HashMap;

use serde::Deserialize;

use super::cues::{Cue, CueHit};
use super::{Claim, ClaimKind, Context, Ground, Verdict};
use crate::lexicon::{Hit, Lexicon};

/// The ideas of a false claim stand within so many bytes of each other.
const REACH_BYTES: usize = 120;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    #[serde(default)]
    idea: Vec<Idea>,
    #[serde(default)]
    myth: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Idea {
    name: String,
    words: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    /// Ideas that all stand in the sentence.
    needs: Vec<String>,
    /// What is true.
    truth: String,
    source: String,
    /// The false claim is itself a negation (`insulin is not needed`), so only a denial of the whole takes it back.
    #[serde(default)]
    negative: bool,
}

#[derive(Clone, Debug)]
struct Myth {
    entry: Entry,
    needs: Vec<u32>,
    /// One bit per idea of `needs`.
    mask: u128,
}

/// Ready to be found.
#[derive(Clone, Debug, Default)]
pub(super) struct Myths {
    lexicon: Lexicon,
    myths: Vec<Myth>,
}

/// An idea in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdeaHit {
    pub start: usize,
    end: usize,
    idea: u32,
}

impl Myths {
    pub(super) fn shipped() -> Self {
        Self::read(crate::shipped::MYTHS).unwrap_or_default()
    }

    fn read(text: &str) -> Result<Self, toml::de::Error> {
        let sheet: Sheet = toml::from_str(text)?;
        let numbers: HashMap<&str, u32> =
            sheet.idea.iter().zip(0..).map(|(i, n)| (i.name.as_str(), n)).collect();
        let phrases =
            sheet.idea.iter().zip(0..).flat_map(|(i, n)| i.words.iter().map(move |w| (w.as_str(), n)));
        let lexicon = Lexicon::build(phrases);
        let make = |m: &Entry| {
            let needs: Vec<u32> =
                m.needs.iter().map(|n| numbers.get(n.as_str()).copied().unwrap_or(u32::MAX)).collect();
            let mask = needs.iter().fold(0, |mask, n| mask | bit(*n));
            Myth { entry: m.clone(), needs, mask }
        };
        let myths = sheet.myth.iter().map(make).collect();
        Ok(Self { lexicon, myths })
    }

    /// Whether all ideas of some false claim stand in a sentence.
    pub(super) fn may_hold(&self, hits: &[IdeaHit]) -> bool {
        let present = if hits.len() > 1 { present(hits) } else { return false };
        self.myths.iter().any(|m| m.mask & present == m.mask)
    }

    pub(super) fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// The ideas that a phrase of the lexicon stands for.
    pub(super) fn ideas(hit: &Hit<'_>, out: &mut Vec<IdeaHit>) {
        out.extend(hit.payloads.iter().map(|idea| IdeaHit { start: hit.start, end: hit.end, idea: *idea }));
    }

    /// Adds the false claims of a sentence that starts at `at` of the text.
    pub(super) fn judge(
        &self,
        text: &str,
        at: usize,
        hits: &[IdeaHit],
        cues: &[CueHit],
        out: &mut Vec<Claim>,
    ) {
        if hits.len() < 2 || text.ends_with('?') || cues.iter().any(|c| c.cue == Cue::Study) {
            return;
        }
        let present = present(hits);
        for myth in self.myths.iter().filter(|m| m.mask & present == m.mask) {
            let Some((start, end)) = place(myth, hits) else { continue };
            if text.get(start - at..end - at).is_none_or(|t| t.contains([';', '\n'])) {
                continue;
            }
            let (from, to) = (start - at, end - at);
            let denied = cues.iter().any(|c| c.cue == Cue::Deny);
            let turned = !myth.entry.negative && is_turned(text, from, to, cues);
            let true_instead = denied || turned;
            out.push(Claim {
                kind: ClaimKind::Misinformation,
                start,
                end,
                subject: None,
                object: None,
                context: Context {
                    negated: true_instead,
                    hedged: cues.iter().any(|c| c.cue == Cue::Hedge),
                    ..Context::default()
                },
                verdict: if true_instead { Verdict::Supported } else { Verdict::Contradicted },
                ground: Some(Ground {
                    fact: format!("{}: {}", myth.entry.id, myth.entry.truth),
                    source: myth.entry.source.clone(),
                    licence: "own words".to_owned(),
                }),
            });
        }
    }
}

/// Ideas beyond the width of the mask share the last bit, which only means that more is looked at.
fn bit(idea: u32) -> u128 {
    1 << idea.min(127)
}

fn present(hits: &[IdeaHit]) -> u128 {
    hits.iter().fold(0, |mask, h| mask | bit(h.idea))
}

/// A negation inside the claim, or shortly before it.
fn is_turned(text: &str, from: usize, to: usize, cues: &[CueHit]) -> bool {
    cues.iter().any(|c| {
        let near = c.start + 24 >= from && c.end <= to + 40;
        let word = text.get(c.start..c.end).unwrap_or_default().to_lowercase();
        match c.cue {
            Cue::Not => near && !word.starts_with("without") && word != "little",
            Cue::Against => {
                near && (word.starts_with("ineffect")
                    || word.starts_with("danger")
                    || word.starts_with("harm")
                    || word.starts_with("unsafe"))
            }
            _ => false,
        }
    })
}

/// Where all ideas of a claim stand near each other.
fn place(myth: &Myth, hits: &[IdeaHit]) -> Option<(usize, usize)> {
    let (mut start, mut end) = (usize::MAX, 0);
    for need in &myth.needs {
        let hit = hits.iter().find(|h| h.idea == *need)?;
        (start, end) = (start.min(hit.start), end.max(hit.end));
    }
    (end > start && end - start <= REACH_BYTES).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_catalogue_is_whole() {
        let sheet: Sheet = toml::from_str(crate::shipped::MYTHS).unwrap();
        let names: Vec<&str> = sheet.idea.iter().map(|i| i.name.as_str()).collect();
        let mut ids = std::collections::HashSet::new();
        for myth in &sheet.myth {
            assert!(ids.insert(&myth.id), "{} stands twice", myth.id);
            assert!(
                myth.needs.len() >= 2 && myth.needs.iter().all(|n| names.contains(&n.as_str())),
                "{}: {:?}",
                myth.id,
                myth.needs
            );
            assert!(
                myth.source.len() > 8 && myth.truth.ends_with('.'),
                "{} needs a source and a sentence",
                myth.id
            );
        }
        assert!(sheet.myth.len() >= 60, "only {}", sheet.myth.len());
    }
}
