//! Figures of `docs/knowledge.md`: statements about known pairs in many phrasings, doses, speed, and reality checks.
//!
//! `cargo run --release -p knowledge --example evaluate`, with the data in `$ASEPSIS_SHARED` (default `../shared`).
#![expect(clippy::print_stdout, reason = "a program that prints figures")]

mod data;
mod later_voices;
mod phrasings;
mod speed;
mod statements;
mod voices;

use knowledge::{FormularyReader, Graph, GraphError, GraphWriter, Knowledge};

/// The formulary without the physicians' pairs, so that these can be a test of it.
fn sheets_only() -> Result<Knowledge<Vec<u8>>, GraphError> {
    let mut writer = GraphWriter::new();
    let mut reader = FormularyReader::new(&mut writer)?;
    for (file, text) in knowledge::SHEETS {
        reader.read(file, text)?;
    }
    reader.finish()?;
    Ok(Knowledge::new(Graph::open(writer.finish()?)?))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let core = Knowledge::core()?;
    let bare = sheets_only()?;
    let graph = core.graph();
    println!(
        "core: {} nodes, {} names, {} edges, {} doses",
        graph.node_count(),
        graph.name_count(),
        graph.edge_count(),
        graph.dose_count()
    );
    let show = std::env::args().nth(1);
    let pairs = data::pairs();
    if std::env::args().nth(2).is_some_and(|only| only == "voices") {
        statements::voices(&core, &pairs, show.as_deref());
        return Ok(());
    }
    if std::env::args().nth(2).is_some_and(|only| only == "texts") {
        data::texts(&core, show.as_deref());
        return Ok(());
    }
    statements::physicians(&bare, &pairs, "sheets only, physicians' pairs unseen");
    statements::physicians(&core, &pairs, "core with the physicians' pairs");
    statements::known(&core, &pairs, show.as_deref());
    statements::voices(&core, &pairs, show.as_deref());
    statements::doses(&core, show.as_deref());
    data::texts(&core, show.as_deref());
    speed::report(&core);
    Ok(())
}
