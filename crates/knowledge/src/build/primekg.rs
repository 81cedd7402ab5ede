//! PrimeKG's `kg.csv` (Chandak et al. 2023, doi 10.1038/s41597-023-01960-3): one row per edge, with both ends written out.

use super::{Built, Provenance, each_line, fields, relation};
use crate::error::GraphError;
use crate::graph::{Fact, GraphWriter};
use crate::kind::{EdgeKind, NodeKind};

const COLUMNS: [&str; 8] =
    ["relation", "display_relation", "x_id", "x_type", "x_name", "y_id", "y_type", "y_name"];

fn kind(word: &str) -> NodeKind {
    match word {
        "drug" => NodeKind::Drug,
        "disease" => NodeKind::Disease,
        "effect/phenotype" => NodeKind::Phenotype,
        "exposure" => NodeKind::Organism,
        _ => NodeKind::Other,
    }
}

/// Adds the edges of drugs, diseases and phenotypes; genes, proteins and pathways are counted as unused. PrimeKG states every edge in
/// both directions; only the one that starts at the drug, or at the more special disease, is kept.
///
/// # Errors
/// When the graph is full.
pub fn primekg(
    writer: &mut GraphWriter,
    bytes: &[u8],
    provenance: &Provenance<'_>,
) -> Result<Built, GraphError> {
    let source = provenance.write(writer)?;
    let mut places: Option<Vec<usize>> = None;
    each_line(bytes, |line| {
        let row = match fields(line, ',') {
            Ok(row) => row,
            Err(why) => return Ok(Err(why)),
        };
        let Some(places) = &places else {
            let found = COLUMNS.map(|c| row.iter().position(|f| f == c));
            let Some(found) = found.into_iter().collect() else {
                return Ok(Err("header lacks a column of kg.csv"));
            };
            places = Some(found);
            return Ok(Ok(false));
        };
        let [name, display, x_id, x_type, x_name, y_id, y_type, y_name] =
            std::array::from_fn(|n| places.get(n).and_then(|p| row.get(*p)).map(String::as_str));
        let (Some(name), Some(display), Some(y_name)) = (name, display, y_name) else {
            return Ok(Err("row is too short"));
        };
        let (x_kind, y_kind) = (kind(x_type.unwrap_or_default()), kind(y_type.unwrap_or_default()));
        let used = [x_kind, y_kind]
            .iter()
            .all(|k| matches!(k, NodeKind::Drug | NodeKind::Disease | NodeKind::Phenotype));
        let edge = match name {
            "disease_disease" | "phenotype_phenotype" => Some((EdgeKind::IsA, true)),
            "off-label use" => Some((EdgeKind::Indicates, false)),
            "disease_phenotype_negative" => None,
            _ => relation(name).or_else(|| relation(display)),
        };
        let forward = matches!(
            (x_kind, y_kind),
            (NodeKind::Drug, _)
                | (NodeKind::Disease, NodeKind::Disease | NodeKind::Phenotype)
                | (NodeKind::Phenotype, NodeKind::Phenotype)
        );
        let Some((edge, turned)) = edge.filter(|_| used && forward) else { return Ok(Ok(false)) };
        let id = |kind: Option<&str>, id: Option<&str>| {
            format!("{}:{}", kind.unwrap_or_default(), id.unwrap_or_default())
        };
        let x = writer.node(&id(x_type, x_id), x_name.unwrap_or_default(), x_kind)?;
        let y = writer.node(&id(y_type, y_id), y_name, y_kind)?;
        let (from, to) = if turned { (y, x) } else { (x, y) };
        writer.edge(Fact::new(from, edge, to, source).cite(name))?;
        Ok(Ok(true))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    #[test]
    fn edges_are_read_once_and_from_the_drug() {
        let text = "relation,display_relation,x_index,x_id,x_type,x_name,x_source,y_index,y_id,y_type,y_name,y_source\n\
            indication,indication,1,DB00331,drug,Metformin,DrugBank,2,5148,disease,\"diabetes mellitus, type 2\",MONDO\n\
            indication,indication,2,5148,disease,\"diabetes mellitus, type 2\",MONDO,1,DB00331,drug,Metformin,DrugBank\n\
            contraindication,contraindication,1,DB00331,drug,Metformin,DrugBank,3,77,disease,acidosis,MONDO\n\
            protein_protein,ppi,9,1,gene/protein,A,NCBI,8,2,gene/protein,B,NCBI\n\
            indication,\"open\n";
        let mut writer = GraphWriter::new();
        let own = Provenance { name: "PrimeKG", version: "2", licence: "MIT; sources differ", url: "" };
        let built = primekg(&mut writer, text.as_bytes(), &own).unwrap();
        assert_eq!((built.used, built.problems.len(), built.problems[0].line), (2, 1, 6));
        let graph = Graph::open(writer.finish().unwrap()).unwrap();
        let metformin = graph.find("drug:DB00331").unwrap();
        let kinds: Vec<EdgeKind> = graph.edges_from(metformin).map(|e| e.kind).collect();
        assert_eq!(kinds, [EdgeKind::Indicates, EdgeKind::Contraindicated]);
    }
}
