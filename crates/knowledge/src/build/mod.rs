//! Builders of graphs from the layouts that terminologies are published in.
//!
//! Bytes in, nodes and edges out. A line that cannot be read is reported with its number and the work goes on; what ends a build is
//! only a graph that is full. The caller says what the source is and under which licence, and every edge carries it.

mod hetionet;
mod obo;
mod primekg;
mod rrf;
mod table;

pub use hetionet::{hetionet_edges, hetionet_nodes};
pub use obo::obo;
pub use primekg::primekg;
pub use rrf::{concepts, relations, types};
pub use table::{Mapping, table};

use crate::error::GraphError;
use crate::graph::{GraphWriter, SourceRef};
use crate::kind::EdgeKind;

/// Longest line that is read.
pub const LINE_BYTES_MAX: usize = 1 << 16;
/// Most lines of one file.
pub const LINES_MAX: usize = 200_000_000;
/// Most problems that are kept; the rest is counted.
pub const PROBLEMS_MAX: usize = 1_000;

/// Where facts come from.
#[derive(Clone, Copy, Debug)]
pub struct Provenance<'a> {
    /// Name of the source.
    pub name: &'a str,
    /// Version or date.
    pub version: &'a str,
    /// Licence.
    pub licence: &'a str,
    /// Address.
    pub url: &'a str,
}

impl Provenance<'_> {
    fn write(&self, writer: &mut GraphWriter) -> Result<SourceRef, GraphError> {
        writer.source(self.name, self.version, self.licence, self.url)
    }
}

/// A line that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

/// What became of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// Lines read.
    pub lines: usize,
    /// Lines that gave something.
    pub used: usize,
    /// Lines that were left out, the first [`PROBLEMS_MAX`].
    pub problems: Vec<Problem>,
    /// How many more were left out.
    pub more_problems: usize,
}

impl Built {
    fn problem(&mut self, line: usize, why: &'static str) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { line, why });
        } else {
            self.more_problems += 1;
        }
    }
}

/// Gives each line with its number; a line gives `Ok(used)` or a reason.
fn each_line(
    bytes: &[u8],
    mut read: impl FnMut(&str) -> Result<Result<bool, &'static str>, GraphError>,
) -> Result<Built, GraphError> {
    let mut built = Built::default();
    for (at, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if at >= LINES_MAX {
            built.problem(at + 1, "more lines than are read of one file");
            break;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        built.lines += 1;
        if line.len() > LINE_BYTES_MAX {
            built.problem(at + 1, "line is too long");
            continue;
        }
        let Ok(text) = std::str::from_utf8(line) else {
            built.problem(at + 1, "line is not UTF-8");
            continue;
        };
        match read(text.trim_start_matches('\u{feff}'))? {
            Ok(used) => built.used += usize::from(used),
            Err(why) => built.problem(at + 1, why),
        }
    }
    Ok(built)
}

/// Fields of a row of comma or tab separated values; quotes within one line, doubled to stand for themselves.
fn fields(line: &str, delimiter: char) -> Result<Vec<String>, &'static str> {
    let mut out = vec![String::new()];
    let mut letters = line.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        let Some(field) = out.last_mut() else { break };
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() && delimiter == ',' => quoted = !quoted,
            c if c == delimiter && !quoted => out.push(String::new()),
            c => field.push(c),
        }
    }
    if quoted { Err("quote is not closed on its line") } else { Ok(out) }
}

/// The edge kind of a relation as sources name it, and whether it is read the other way round.
fn relation(name: &str) -> Option<(EdgeKind, bool)> {
    let lower = name.to_ascii_lowercase();
    Some(match lower.as_str() {
        "indication" | "indicates" | "treats" | "may_treat" | "ctd" | "disease_modifying" | "dm" => {
            (EdgeKind::Indicates, false)
        }
        "may_be_treated_by" => (EdgeKind::Indicates, true),
        "palliates" | "cpd" | "treats-symptom" | "sym" => (EdgeKind::TreatsSymptom, false),
        "may_prevent" | "prevents" => (EdgeKind::Prevents, false),
        "may_be_prevented_by" => (EdgeKind::Prevents, true),
        "contraindication" | "contraindicated" | "contraindicated_with_disease" => {
            (EdgeKind::Contraindicated, false)
        }
        "has_contraindicated_drug" => (EdgeKind::Contraindicated, true),
        "not" | "not-indicated" => (EdgeKind::NotIndicated, false),
        "drug_drug" | "interacts" | "synergistic interaction" => (EdgeKind::Interacts, false),
        "isa" | "is_a" | "is-a" | "parent-child" | "tradename_of" | "form_of" | "pcic" => {
            (EdgeKind::IsA, false)
        }
        "inverse_isa" | "has_tradename" | "has_form" => (EdgeKind::IsA, true),
        "has_ingredient" | "has-ingredient" | "has_precise_ingredient" => (EdgeKind::HasIngredient, false),
        "ingredient_of" | "precise_ingredient_of" => (EdgeKind::HasIngredient, true),
        "causes" | "drug_effect" | "ccse" | "causative_agent_of" | "induces" => (EdgeKind::Causes, false),
        "side effect" | "causative_agent" => (EdgeKind::Causes, lower == "causative_agent"),
        "disease_phenotype_positive" | "dps" | "associated-with" | "associated_with" | "drd" => {
            (EdgeKind::AssociatedWith, false)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_be_quoted() {
        assert_eq!(fields("a,\"b, c\",\"d \"\"e\"\"\",", ',').unwrap(), ["a", "b, c", "d \"e\"", ""]);
        assert_eq!(fields("a\t5\" tube\tc", '\t').unwrap(), ["a", "5\" tube", "c"]);
        assert!(fields("a,\"b", ',').is_err());
    }

    #[test]
    fn broken_lines_are_reported_and_the_rest_is_read() {
        let mut bytes = b"good\n\xff\xfe\n".to_vec();
        bytes.extend(vec![b'x'; LINE_BYTES_MAX + 1]);
        bytes.extend(b"\nbad\ngood\r\n");
        let read = |line: &str| Ok(if line == "bad" { Err("bad") } else { Ok(true) });
        let built = each_line(&bytes, read).unwrap();
        assert_eq!((built.lines, built.used), (5, 2));
        let problems: Vec<(usize, &str)> = built.problems.iter().map(|p| (p.line, p.why)).collect();
        assert_eq!(problems, [(2, "line is not UTF-8"), (3, "line is too long"), (4, "bad")]);
    }
}
