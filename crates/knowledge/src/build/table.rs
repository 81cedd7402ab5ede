//! Any table of comma or tab separated values, by a mapping of its columns.

use serde::Deserialize;

use super::{Built, Provenance, each_line, fields, relation};
use crate::error::GraphError;
use crate::graph::{Fact, GraphWriter, NodeRef};
use crate::kind::{EdgeKind, NodeKind, Severity};

/// Which column is what. A table of names has `id` and `name`; a table of edges has `id` or `name`, and `to_id` or `to_name`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// `,` or a tab; a tab if empty.
    pub delimiter: String,
    /// Column with the identifier of the (first) node.
    pub id: String,
    /// Column with its name.
    pub name: String,
    /// Columns with further names, parted by `|` within a cell.
    pub synonyms: Vec<String>,
    /// What the (first) node is; `drug` and so on.
    pub kind: String,
    /// Column with the identifier of the second node.
    pub to_id: String,
    /// Column with its name.
    pub to_name: String,
    /// What the second node is.
    pub to_kind: String,
    /// The relation, the same in every row; or the name of a column in `relation_column`.
    pub relation: String,
    /// Column with the relation.
    pub relation_column: String,
    /// Column with the severity of an interaction.
    pub severity: String,
}

impl Default for Mapping {
    fn default() -> Self {
        let none = String::new;
        Self {
            delimiter: none(),
            id: none(),
            name: none(),
            synonyms: Vec::new(),
            kind: "drug".to_owned(),
            to_id: none(),
            to_name: none(),
            to_kind: "disease".to_owned(),
            relation: none(),
            relation_column: none(),
            severity: none(),
        }
    }
}

struct Row<'a> {
    header: &'a [String],
    cells: &'a [String],
}

impl Row<'_> {
    fn cell(&self, column: &str) -> Option<&str> {
        let at = self.header.iter().position(|h| h == column).filter(|_| !column.is_empty())?;
        self.cells.get(at).map(|c| c.trim()).filter(|c| !c.is_empty())
    }
}

/// Adds the rows of a table. The first line is its header.
///
/// # Errors
/// When the graph is full.
pub fn table(
    writer: &mut GraphWriter,
    bytes: &[u8],
    mapping: &Mapping,
    provenance: &Provenance<'_>,
) -> Result<Built, GraphError> {
    let source = provenance.write(writer)?;
    let delimiter = mapping.delimiter.chars().next().unwrap_or('\t');
    let kind = NodeKind::from_word(&mapping.kind).unwrap_or(NodeKind::Other);
    let to_kind = NodeKind::from_word(&mapping.to_kind).unwrap_or(NodeKind::Other);
    let mut header: Option<Vec<String>> = None;
    each_line(bytes, |line| {
        let cells = match fields(line, delimiter) {
            Ok(cells) => cells,
            Err(why) => return Ok(Err(why)),
        };
        let Some(header) = &header else {
            header = Some(cells);
            return Ok(Ok(false));
        };
        if cells.len() != header.len() {
            return Ok(Err("row has another number of cells than the header"));
        }
        let row = Row { header, cells: &cells };
        let Some(node) = end(writer, &row, &mapping.id, &mapping.name, kind)? else {
            return Ok(Err("row has no node"));
        };
        for column in &mapping.synonyms {
            for name in row.cell(column).unwrap_or_default().split('|') {
                writer.name(node, name)?;
            }
        }
        if mapping.to_id.is_empty() && mapping.to_name.is_empty() {
            return Ok(Ok(true));
        }
        let Some(to) = end(writer, &row, &mapping.to_id, &mapping.to_name, to_kind)? else {
            return Ok(Err("row has no second node"));
        };
        let word = row.cell(&mapping.relation_column).unwrap_or(&mapping.relation);
        let known = relation(word).or_else(|| EdgeKind::from_word(word).map(|k| (k, false)));
        let Some((edge, turned)) = known else { return Ok(Err("relation is not known")) };
        let severity =
            row.cell(&mapping.severity).and_then(Severity::from_word).unwrap_or(Severity::Unstated);
        let (from, to) = if turned { (to, node) } else { (node, to) };
        writer.edge(Fact::new(from, edge, to, source).severity(severity))?;
        if edge == EdgeKind::Interacts {
            writer.edge(Fact::new(to, edge, from, source).severity(severity))?;
        }
        Ok(Ok(true))
    })
}

fn end(
    writer: &mut GraphWriter,
    row: &Row<'_>,
    id: &str,
    name: &str,
    kind: NodeKind,
) -> Result<Option<NodeRef>, GraphError> {
    let (id, name) = (row.cell(id), row.cell(name));
    let Some(either) = id.or(name) else { return Ok(None) };
    let key = id.map_or_else(|| format!("{}:{}", kind.word(), either.to_lowercase()), str::to_owned);
    let node = writer.node(&key, name.unwrap_or(either), kind)?;
    if let Some(name) = name {
        writer.name(node, name)?;
    }
    Ok(Some(node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    #[test]
    fn a_table_of_edges_is_read_by_its_mapping() {
        let mapping: Mapping = toml::from_str(
            "id = 'drugbank'\nname = 'drug'\nto_id = 'doid'\nto_name = 'disease'\nrelation_column = 'category'\nsynonyms = ['other']\n",
        )
        .unwrap();
        let text = "doid\tdrugbank\tdisease\tdrug\tcategory\tother\nD1\tDB1\tgout\tcolchicine\tDM\tColcrys|Mitigare\n\
            D2\tDB1\tmigraine\tcolchicine\tNOT\t\nD3\tDB1\tx\ty\twhat\t\nshort\n";
        let mut writer = GraphWriter::new();
        let own = Provenance { name: "own", version: "1", licence: "own", url: "" };
        let built = table(&mut writer, text.as_bytes(), &mapping, &own).unwrap();
        assert_eq!(built.used, 2);
        assert_eq!(built.problems.iter().map(|p| p.line).collect::<Vec<_>>(), [4, 5]);
        let graph = Graph::open(writer.finish().unwrap()).unwrap();
        let drug = graph.find("DB1").unwrap();
        assert_eq!(graph.names(drug).collect::<Vec<_>>(), ["colchicine", "Colcrys", "Mitigare", "y"]);
        let kinds: Vec<EdgeKind> = graph.edges_from(drug).map(|e| e.kind).collect();
        assert_eq!(kinds, [EdgeKind::Indicates, EdgeKind::NotIndicated]);
    }
}
