//! Hetionet: `nodes.tsv` (`id`, `name`, `kind`) and `edges.sif` (`source`, `metaedge`, `target`); Himmelstein et al. 2017,
//! doi 10.7554/eLife.26726.

use super::{Built, Provenance, each_line, relation};
use crate::error::GraphError;
use crate::graph::{Fact, GraphWriter};
use crate::kind::NodeKind;

/// Adds compounds, diseases, symptoms, side effects and drug classes; genes and pathways are counted as unused.
///
/// # Errors
/// When the graph is full.
pub fn hetionet_nodes(writer: &mut GraphWriter, bytes: &[u8]) -> Result<Built, GraphError> {
    each_line(bytes, |line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[id, name, kind] = columns.as_slice() else { return Ok(Err("row has not three columns")) };
        let kind = match kind {
            "Compound" => NodeKind::Drug,
            "Disease" => NodeKind::Disease,
            "Symptom" | "Side Effect" => NodeKind::Phenotype,
            "Pharmacologic Class" => NodeKind::Class,
            _ => return Ok(Ok(false)),
        };
        writer.node(id, name, kind)?;
        Ok(Ok(true))
    })
}

/// Adds edges between nodes that were read before.
///
/// # Errors
/// When the graph is full.
pub fn hetionet_edges(
    writer: &mut GraphWriter,
    bytes: &[u8],
    provenance: &Provenance<'_>,
) -> Result<Built, GraphError> {
    let source = provenance.write(writer)?;
    each_line(bytes, |line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[from, kind, to] = columns.as_slice() else { return Ok(Err("row has not three columns")) };
        let Some((edge, _)) = relation(kind) else { return Ok(Ok(false)) };
        let (Some(from), Some(to)) = (writer.known(from), writer.known(to)) else {
            return Ok(Err("edge names a node that was not read"));
        };
        // A class includes a compound: the compound is a kind of the class.
        let (from, to) = if kind.eq_ignore_ascii_case("PCiC") { (to, from) } else { (from, to) };
        writer.edge(Fact::new(from, edge, to, source).cite(kind))?;
        Ok(Ok(true))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::kind::EdgeKind;

    #[test]
    fn nodes_and_edges_are_read() {
        let nodes = "id\tname\tkind\nCompound::DB1\tMetformin\tCompound\nDisease::D1\ttype 2 diabetes mellitus\tDisease\n\
            Pharmacologic Class::N1\tBiguanide\tPharmacologic Class\nGene::1\tA1BG\tGene\nbroken\n";
        let edges = "source\tmetaedge\ttarget\nCompound::DB1\tCtD\tDisease::D1\nPharmacologic Class::N1\tPCiC\tCompound::DB1\nCompound::DB1\tCtD\tDisease::D9\n";
        let mut writer = GraphWriter::new();
        let own = Provenance { name: "Hetionet", version: "1.0", licence: "CC0-1.0", url: "https://het.io" };
        let built = hetionet_nodes(&mut writer, nodes.as_bytes()).unwrap();
        assert_eq!((built.used, built.problems.len(), built.problems[0].line), (3, 1, 6));
        let built = hetionet_edges(&mut writer, edges.as_bytes(), &own).unwrap();
        assert_eq!((built.used, built.problems.len(), built.problems[0].line), (2, 1, 4));
        let graph = Graph::open(writer.finish().unwrap()).unwrap();
        let metformin = graph.find("Compound::DB1").unwrap();
        let kinds: Vec<EdgeKind> = graph.edges_from(metformin).map(|e| e.kind).collect();
        assert_eq!(kinds, [EdgeKind::Indicates, EdgeKind::IsA]);
    }
}
