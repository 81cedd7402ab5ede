//! Finds the names of a graph in a text.
//!
//! Names that are also everyday words (`lead`, `may`), and short ones, count only where the writing tells: an abbreviation in
//! capitals, and an ambiguous one only beside a word that decides between its meanings (`MS` next to `relapsing` or next to
//! `mg IV`). Where nothing decides, nothing is found: a wrong link would make a wrong verdict.

use std::collections::HashMap;

use serde::Deserialize;

use crate::fold::{Words, folded_words};
use crate::graph::{Graph, NodeId};
use crate::kind::NodeKind;
use crate::lexicon::{Hit, Lexicon};

/// A name found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What is named.
    pub node: NodeId,
    /// What that is.
    pub kind: NodeKind,
}

/// How far around an abbreviation a deciding word may stand, in bytes.
const NEAR_BYTES: usize = 160;

/// English words that terminologies have as names, and that mean something else in most texts.
const EVERYDAY: &str = "a about acid act active age aid air all also an and any are arm as at back ball be beat best block blood \
    body bone both box burn but by call can cap care case cast cat catch change chart clear close cold complete control could cover \
    cross cut day deep did disease disorder dog dose double down drug each ear early ease end eye face fact fall fast fat few fire fit \
    food foot for form free from full gas general get give go good great had hand hard has have he head heat her high him his hold \
    home hot how if impact in index injury inner into iron is it its just key lab large last late lead left leg less level lie life \
    lift light like line link list live load long look lot low made main major make man many mark mass max may me mean might mild \
    mind mine minor mode more most mouth move much must my name neck need new next no normal nose not note now of off old on one open \
    or order other our out over own part past patient people period place plan plate play point pole pool position post present press \
    problem prone pulse push race range rate red rest result ride right ring rise role root rose rule run same see seen self set \
    severe sex shall she shock short side sign simple single site size skin slow small so some sound speed stable stage star start \
    state stem step still stock stop strain strip such sun sure syndrome system tab take tap test than that the their them then there \
    these they thin this time tip to toe told top touch track trial trip true turn two type under up us use very was water wave way \
    weak week well were wet what when which white who whole wide will wind with work worm year yes yet you young your";

#[derive(Clone, Copy, Debug)]
struct Entry {
    node: NodeId,
    kind: NodeKind,
    /// Counts only where the text writes it in capitals.
    capitals: bool,
    /// Place in `nearby` plus one; 0 where nothing has to stand near.
    near: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    #[serde(default)]
    abbreviation: Vec<Abbreviation>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Abbreviation {
    short: String,
    means: String,
    near: Vec<String>,
}

/// All names of a graph, ready to be found.
#[derive(Clone, Debug, Default)]
pub struct Linker {
    lexicon: Lexicon,
    entries: Vec<Entry>,
    nearby: Vec<Vec<String>>,
}

fn is_short(name: &str) -> bool {
    name.chars().filter(|c| c.is_alphanumeric()).count() <= 3
}

fn is_capitals(name: &str) -> bool {
    let capitals = name.chars().filter(|c| c.is_uppercase()).count();
    capitals >= 2 && capitals * 2 >= name.chars().filter(|c| c.is_alphabetic()).count()
}

impl Linker {
    /// Every name of the graph, and the ambiguous abbreviations of the core formulary as far as the graph has their meanings.
    pub fn new<B: AsRef<[u8]>>(graph: &Graph<B>) -> Self {
        let everyday: std::collections::HashSet<&str> = EVERYDAY.split_whitespace().collect();
        let mut entries = Vec::with_capacity(graph.name_count());
        let mut phrases: Vec<(&str, u32)> = Vec::with_capacity(graph.name_count());
        let mut by_name: HashMap<&str, NodeId> = HashMap::new();
        for node in graph.nodes() {
            let kind = graph.node(node).kind;
            for name in graph.names(node) {
                by_name.entry(name).or_insert(node);
                let short = is_short(name);
                let letters = name.chars().filter(|c| c.is_alphabetic()).count();
                if letters < 2 || (name.len() < 10 && everyday.contains(name.to_lowercase().as_str())) {
                    continue;
                }
                phrases.push((name, entries.len() as u32));
                let capitals = short || (name.len() <= 6 && is_capitals(name));
                entries.push(Entry { node, kind, capitals, near: 0 });
            }
        }
        let sheet: Sheet = toml::from_str(crate::shipped::ABBREVIATIONS).unwrap_or_default();
        let mut nearby = Vec::new();
        for abbreviation in &sheet.abbreviation {
            let Some(node) = by_name.get(abbreviation.means.as_str()).copied() else { continue };
            nearby.push(abbreviation.near.clone());
            phrases.push((&abbreviation.short, entries.len() as u32));
            let kind = graph.node(node).kind;
            entries.push(Entry { node, kind, capitals: true, near: nearby.len() as u32 });
        }
        Self { lexicon: Lexicon::build(phrases), entries, nearby }
    }

    pub(crate) fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// Calls `found` for every mention, in the order of the text, not overlapping.
    pub fn each(&self, text: &str, mut found: impl FnMut(Mention)) {
        self.lexicon.find(text, |hit| {
            if let Some(mention) = self.mention(text, &hit) {
                found(mention);
            }
        });
    }

    /// What a phrase of the lexicon means where it stands.
    pub(crate) fn mention(&self, text: &str, hit: &Hit<'_>) -> Option<Mention> {
        {
            let as_written = text.get(hit.start..hit.end).unwrap_or_default();
            let capitals = as_written.bytes().any(|b| b.is_ascii_uppercase())
                && !as_written.bytes().any(|b| b.is_ascii_lowercase())
                || is_capitals(as_written);
            let mut options = hit
                .payloads
                .iter()
                .filter_map(|p| self.entries.get(*p as usize))
                .filter(|e| capitals || !e.capitals);
            let plain = options.clone().find(|e| e.near == 0);
            let chosen = if plain.is_some() || options.clone().next().is_none() {
                plain
            } else {
                let around = around(text, hit.start, hit.end);
                let near = |e: &&Entry| {
                    self.nearby.get(e.near as usize - 1).is_some_and(|words| has_any(&around, words))
                };
                options.find(near)
            };
            chosen.map(|entry| Mention { start: hit.start, end: hit.end, node: entry.node, kind: entry.kind })
        }
    }

    /// Every mention, in the order of the text, not overlapping.
    pub fn find(&self, text: &str) -> Vec<Mention> {
        let mut out = Vec::new();
        self.each(text, |m| out.push(m));
        out
    }

    /// The node that a whole string names.
    pub fn lookup(&self, name: &str) -> Option<NodeId> {
        let mut out = None;
        let whole = Words::of(name).last().map_or(0, |w| w.end);
        self.each(name, |m| {
            if m.start == 0 && m.end == whole {
                out = Some(m.node);
            }
        });
        out
    }
}

/// The text around a place, folded, with a space on both sides.
fn around(text: &str, start: usize, end: usize) -> String {
    let mut from = start.saturating_sub(NEAR_BYTES);
    let mut to = (end + NEAR_BYTES).min(text.len());
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    while !text.is_char_boundary(to) {
        to += 1;
    }
    let mut out = String::from(" ");
    for part in [text.get(from..start), text.get(end..to)].into_iter().flatten() {
        for word in folded_words(part) {
            out.push_str(&word);
            out.push(' ');
        }
    }
    out
}

fn has_any(around: &str, words: &[String]) -> bool {
    words.iter().any(|w| around.contains(&format!(" {} ", folded_words(w).join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::GraphWriter;

    fn check(text: &str, expected: &[&str]) {
        let mut w = GraphWriter::new();
        for (name, more) in [
            ("multiple sclerosis", vec![]),
            ("morphine", vec!["MSIR"]),
            ("hypertension", vec!["HTN", "high blood pressure"]),
            ("lead", vec![]),
            ("beta blocker", vec![]),
            ("atrial septal defect", vec!["ASD"]),
        ] {
            let node = w.node(name, name, NodeKind::Disease).unwrap();
            more.iter().for_each(|m| w.name(node, m).unwrap());
        }
        let graph = Graph::open(w.finish().unwrap()).unwrap();
        let linker = Linker::new(&graph);
        let found: Vec<String> = linker
            .find(text)
            .iter()
            .map(|m| format!("{}={}", &text[m.start..m.end], graph.node(m.node).name))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn names_are_found_as_they_are_written_in_notes() {
        check("HTN, on Beta-blockers", &["HTN=hypertension", "Beta-blockers=beta blocker"]);
        check("high blood\npressure", &["high blood\npressure=hypertension"]);
        check("the lead investigator; the asd lead", &[]);
    }

    #[test]
    fn an_ambiguous_abbreviation_needs_a_word_that_decides() {
        check("MS with relapsing course on MRI", &["MS=multiple sclerosis"]);
        check("MS 2 mg IV for pain", &["MS=morphine"]);
        check("Ms Jones has MS", &[]);
    }
}
