//! OBO 1.2 and 1.4: terms with names, synonyms and `is_a`.

use super::{Built, Provenance, each_line};
use crate::error::GraphError;
use crate::graph::{Fact, GraphWriter, NodeRef};
use crate::kind::{EdgeKind, NodeKind};

/// Adds the terms of an ontology; obsolete terms are left out of the names. Parents may stand behind their children.
///
/// # Errors
/// When the graph is full.
pub fn obo(
    writer: &mut GraphWriter,
    bytes: &[u8],
    kind: NodeKind,
    provenance: &Provenance<'_>,
) -> Result<Built, GraphError> {
    let source = provenance.write(writer)?;
    let names = term_names(bytes)?;
    let mut term: Option<NodeRef> = None;
    let mut in_term = false;
    each_line(bytes, |line| {
        if line.starts_with('[') {
            in_term = line.trim() == "[Term]";
            term = None;
            return Ok(Ok(false));
        }
        let Some((key, value)) = line.split_once(':').filter(|_| in_term) else { return Ok(Ok(false)) };
        let value = value.split(" ! ").next().unwrap_or_default().trim();
        match (key, term) {
            ("id", _) => {
                term = match names.get(value) {
                    Some(name) => Some(writer.node(value, name, kind)?),
                    None => return Ok(Err("term has no name")),
                };
            }
            ("synonym", Some(node)) => {
                let Some(name) = value.split('"').nth(1) else { return Ok(Err("synonym is not in quotes")) };
                writer.name(node, name)?;
            }
            ("is_a", Some(node)) => {
                let id = value.split([' ', '{']).next().unwrap_or_default();
                let Some(name) = names.get(id) else { return Ok(Err("is_a names a term that is not there")) };
                let parent = writer.node(id, name, kind)?;
                writer.edge(Fact::new(node, EdgeKind::IsA, parent, source))?;
            }
            ("is_a" | "synonym", None) => return Ok(Err("line stands before the id of its term")),
            _ => return Ok(Ok(false)),
        }
        Ok(Ok(true))
    })
}

/// Name of each term that is not obsolete.
fn term_names(bytes: &[u8]) -> Result<std::collections::HashMap<String, String>, GraphError> {
    let mut out = std::collections::HashMap::new();
    let mut id = String::new();
    each_line(bytes, |line| {
        if line.starts_with('[') {
            id.clear();
        } else if let Some(value) = line.strip_prefix("id:") {
            value.trim().clone_into(&mut id);
        } else if let Some(value) = line.strip_prefix("name:") {
            out.insert(id.clone(), value.trim().to_owned());
        } else if line.starts_with("is_obsolete: true") {
            out.remove(&id);
        }
        Ok(Ok(true))
    })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    const SAMPLE: &str = "format-version: 1.4\n\n[Term]\nid: X:2\nname: type 2 diabetes\nsynonym: \"T2D\" EXACT []\nis_a: X:1 ! diabetes\n\
        is_a: X:9 ! gone\n\n[Term]\nid: X:1\nname: diabetes\n\n[Term]\nid: X:9\nname: old\nis_obsolete: true\n\n[Typedef]\nid: part_of\nname: part of\n";

    #[test]
    fn terms_names_and_parents_are_read() {
        let mut writer = GraphWriter::new();
        let own = Provenance { name: "sample", version: "1", licence: "CC0-1.0", url: "" };
        let built = obo(&mut writer, SAMPLE.as_bytes(), NodeKind::Disease, &own).unwrap();
        assert_eq!(built.problems.iter().map(|p| p.line).collect::<Vec<_>>(), [8, 15]);
        let graph = Graph::open(writer.finish().unwrap()).unwrap();
        let child = graph.find("X:2").unwrap();
        assert_eq!(graph.names(child).collect::<Vec<_>>(), ["type 2 diabetes", "T2D"]);
        assert_eq!(graph.ancestors(child).len(), 2);
        assert_eq!(graph.source(graph.edges_from(child).next().unwrap().source).licence, "CC0-1.0");
    }
}
