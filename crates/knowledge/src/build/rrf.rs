//! Rich Release Format of RxNorm (RXNCONSO, RXNREL, RXNSTY) and of the UMLS Metathesaurus (MRCONSO, MRREL, MRSTY), which share their
//! columns. In a relation row the *second* concept stands in the relation to the first.

use std::collections::HashMap;

use super::{Built, Provenance, each_line, relation};
use crate::error::GraphError;
use crate::graph::{Fact, GraphWriter};
use crate::kind::{EdgeKind, NodeKind};

/// Columns of CONSO that are read.
const SOURCE: usize = 11;
const TERM_TYPE: usize = 12;
const STRING: usize = 14;
const SUPPRESSED: usize = 16;

/// Kind of each concept by its semantic types (MRSTY, RXNSTY): `CUI|TUI|…`.
///
/// # Errors
/// Never for the content; the type is that of the other readers.
pub fn types(bytes: &[u8]) -> Result<(HashMap<String, NodeKind>, Built), GraphError> {
    let mut kinds = HashMap::new();
    let built = each_line(bytes, |line| {
        let columns: Vec<&str> = line.split('|').collect();
        let &[concept, kind, ..] = columns.as_slice() else {
            return Ok(Err("row has less than two columns"));
        };
        let Some(kind) = kind_of_type(kind) else { return Ok(Ok(false)) };
        kinds.insert(concept.to_owned(), kind);
        Ok(Ok(true))
    })?;
    Ok((kinds, built))
}

fn kind_of_type(semantic_type: &str) -> Option<NodeKind> {
    Some(match semantic_type {
        "T121" | "T109" | "T116" | "T123" | "T125" | "T127" | "T129" | "T131" | "T195" => NodeKind::Drug,
        "T200" | "T203" => NodeKind::Product,
        "T047" | "T048" | "T191" | "T046" | "T019" | "T037" | "T190" | "T020" => NodeKind::Disease,
        "T184" | "T033" => NodeKind::Phenotype,
        "T059" | "T060" | "T034" | "T201" => NodeKind::Test,
        "T007" | "T005" | "T004" | "T204" => NodeKind::Organism,
        "T061" | "T058" => NodeKind::Procedure,
        _ => return None,
    })
}

fn kind_of_term(term_type: &str) -> NodeKind {
    match term_type {
        "IN" | "PIN" | "MIN" | "BN" => NodeKind::Drug,
        "SCD" | "SBD" | "GPCK" | "BPCK" | "SCDC" | "SBDC" | "SCDF" | "SBDF" | "SCDG" | "SBDG" => {
            NodeKind::Product
        }
        _ => NodeKind::Other,
    }
}

/// Concepts and their English names. `prefix` keeps the identifiers of two releases apart (`RXNORM`, `UMLS`).
///
/// # Errors
/// When the graph is full.
pub fn concepts(
    writer: &mut GraphWriter,
    bytes: &[u8],
    prefix: &str,
    kinds: &HashMap<String, NodeKind>,
) -> Result<Built, GraphError> {
    each_line(bytes, |line| {
        let columns: Vec<&str> = line.split('|').collect();
        let Some(suppressed) = columns.get(SUPPRESSED) else {
            return Ok(Err("row has less than 17 columns"));
        };
        let (concept, language, name) = (columns[0], columns[1], columns[STRING]);
        if concept.is_empty() || name.is_empty() {
            return Ok(Err("row has no concept or no name"));
        }
        if language != "ENG" || matches!(*suppressed, "O" | "Y" | "E") {
            return Ok(Ok(false));
        }
        let kind = kinds.get(concept).copied().unwrap_or_else(|| kind_of_term(columns[TERM_TYPE]));
        let node = writer.node(&format!("{prefix}:{concept}"), name, kind)?;
        writer.name(node, name)?;
        Ok(Ok(true))
    })
}

/// Relations between concepts that were read before. The edge names the vocabulary that asserts it.
///
/// # Errors
/// When the graph is full.
pub fn relations(
    writer: &mut GraphWriter,
    bytes: &[u8],
    prefix: &str,
    provenance: &Provenance<'_>,
) -> Result<Built, GraphError> {
    each_line(bytes, |line| {
        let columns: Vec<&str> = line.split('|').collect();
        if columns.len() <= SOURCE {
            return Ok(Err("row has less than 12 columns"));
        }
        let (first, kind, second, attribute, vocabulary) =
            (columns[0], columns[3], columns[4], columns[7], columns[10]);
        let named = if attribute.is_empty() { parent(kind) } else { relation(attribute) };
        let Some((kind, turned)) = named else { return Ok(Ok(false)) };
        let node = |concept: &str| writer.known(&format!("{prefix}:{concept}"));
        let (Some(first), Some(second)) = (node(first), node(second)) else {
            return Ok(Err("relation names a concept that was not read"));
        };
        let (from, to) = if turned { (first, second) } else { (second, first) };
        let name = format!("{} ({vocabulary})", provenance.name);
        let source = writer.source(&name, provenance.version, provenance.licence, provenance.url)?;
        writer.edge(Fact::new(from, kind, to, source).cite(attribute))?;
        Ok(Ok(true))
    })
}

/// `PAR`: the second concept is a parent of the first; `CHD`: its child.
fn parent(kind: &str) -> Option<(EdgeKind, bool)> {
    match kind {
        "PAR" => Some((EdgeKind::IsA, true)),
        "CHD" => Some((EdgeKind::IsA, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    fn conso(concept: &str, source: &str, term_type: &str, name: &str, suppressed: &str) -> String {
        format!("{concept}|ENG||||||1||||{source}|{term_type}|1|{name}||{suppressed}||\n")
    }

    #[test]
    fn concepts_and_relations_of_rxnorm_are_read() {
        let names = conso("6809", "RXNORM", "IN", "metformin", "N")
            + &conso("151827", "RXNORM", "BN", "Glucophage", "N")
            + &conso("860975", "RXNORM", "SCD", "metformin hydrochloride 500 MG Oral Tablet", "N")
            + &conso("6809", "MTHSPL", "SU", "METFORMIN OLD", "O")
            + "broken|row\n";
        let rows = "6809|||RO|151827|||tradename_of|1||RXNORM|||||\n6809|||RO|860975|||has_ingredient|2||RXNORM|||||\n\
            6809|||RO|999|||has_ingredient|3||RXNORM|||||\n";
        let mut writer = GraphWriter::new();
        let own =
            Provenance { name: "RxNorm", version: "2026-11", licence: "public domain (RXNORM)", url: "" };
        let built = concepts(&mut writer, names.as_bytes(), "RXNORM", &HashMap::new()).unwrap();
        assert_eq!((built.used, built.problems.len(), built.problems[0].line), (3, 1, 5));
        let built = relations(&mut writer, rows.as_bytes(), "RXNORM", &own).unwrap();
        assert_eq!((built.used, built.problems.len(), built.problems[0].line), (2, 1, 3));
        let graph = Graph::open(writer.finish().unwrap()).unwrap();
        let metformin = graph.find("RXNORM:6809").unwrap();
        let brand = graph.find("RXNORM:151827").unwrap();
        let tablet = graph.find("RXNORM:860975").unwrap();
        assert_eq!(graph.ancestors(brand), [brand, metformin]);
        assert_eq!(graph.ancestors(tablet), [tablet, metformin]);
        assert_eq!(graph.names(metformin).count(), 1);
    }

    #[test]
    fn relations_of_the_metathesaurus_point_from_the_second_concept() {
        let (kinds, _) = types(b"C1|T121|\nC2|T047|\nC3|T047|\n").unwrap();
        let names = conso("C1", "MSH", "MH", "metformin", "N")
            + &conso("C2", "MSH", "MH", "type 2 diabetes", "N")
            + &conso("C3", "MSH", "MH", "diabetes", "N");
        let mut writer = GraphWriter::new();
        concepts(&mut writer, names.as_bytes(), "UMLS", &kinds).unwrap();
        let own = Provenance { name: "UMLS", version: "2026AB", licence: "UMLS licence", url: "" };
        let rows = "C2|||RO|C1|||may_treat|1||MED-RT|||||\nC2|||PAR|C3||||2||MSH|||||\n";
        relations(&mut writer, rows.as_bytes(), "UMLS", &own).unwrap();
        let graph = Graph::open(writer.finish().unwrap()).unwrap();
        let drug = graph.find("UMLS:C1").unwrap();
        let edge = graph.edges_from(drug).next().unwrap();
        assert_eq!((edge.kind, graph.node(edge.to).name), (EdgeKind::Indicates, "type 2 diabetes"));
        assert_eq!(graph.source(edge.source).name, "UMLS (MED-RT)");
        assert_eq!(graph.ancestors(edge.to).len(), 2);
    }
}
