//! What the product ships: the core formulary and its companions, inside the program.

use crate::error::GraphError;
use crate::formulary::FormularyReader;
use crate::graph::{Graph, GraphWriter};

/// Ambiguous abbreviations and the words that decide.
pub(crate) const ABBREVIATIONS: &str = include_str!("../../../catalog/formulary/abbreviations.toml");

/// Claims that are known to be false, each with who says so.
pub(crate) const MYTHS: &str = include_str!("../../../catalog/formulary/myths.toml");

/// Laboratory measurements with their ranges.
pub(crate) const TESTS: &str = include_str!("../../../catalog/formulary/tests.toml");

/// The sheets of the formulary, with their names.
pub const SHEETS: [(&str, &str); 6] = [
    ("conditions.toml", include_str!("../../../catalog/formulary/conditions.toml")),
    ("classes.toml", include_str!("../../../catalog/formulary/classes.toml")),
    ("drugs-heart.toml", include_str!("../../../catalog/formulary/drugs-heart.toml")),
    ("drugs-mind.toml", include_str!("../../../catalog/formulary/drugs-mind.toml")),
    ("drugs-infection.toml", include_str!("../../../catalog/formulary/drugs-infection.toml")),
    ("drugs-other.toml", include_str!("../../../catalog/formulary/drugs-other.toml")),
];

/// Physicians' judgements of drug and disease pairs: PharmacotherapyDB 1.0 (CC0), with its names.
const PAIRS: &str = include_str!("../../../catalog/formulary/pharmacotherapydb.tsv");

/// Writes the core formulary into a graph; gives the names that stood for no entry.
///
/// # Errors
/// When the graph is full. The sheets themselves are tested.
pub fn write_core(writer: &mut GraphWriter) -> Result<Vec<String>, GraphError> {
    let mut reader = FormularyReader::new(writer)?;
    for (file, text) in SHEETS {
        reader.read(file, text)?;
    }
    reader.pairs(PAIRS)?;
    reader.finish()
}

/// The core formulary as a graph.
///
/// # Errors
/// As [`write_core`].
pub fn core() -> Result<Graph<Vec<u8>>, GraphError> {
    let mut writer = GraphWriter::new();
    write_core(&mut writer)?;
    Graph::open(writer.finish()?)
}
