//! Throughput on the open medical texts, for the shipped formulary and for a dictionary of some 200,000 names.

use std::time::Instant;

use knowledge::{Graph, GraphWriter, Knowledge, Linker, NodeKind};

use crate::data;

fn mb_per_s(bytes: usize, run: impl Fn() -> usize) -> (f64, usize) {
    let mut best = f64::INFINITY;
    let mut found = 0;
    for _ in 0..5 {
        let start = Instant::now();
        found = run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    (bytes as f64 / best / 1e6, found)
}

/// Names of the shared terminologies as one graph.
fn large() -> Option<Linker> {
    let mut writer = GraphWriter::new();
    let mut add = |file: &str, name: usize, id: usize| -> Option<()> {
        for (row, line) in data::read(file)?.lines().skip(1).enumerate() {
            let columns: Vec<&str> = line.split('\t').collect();
            let (Some(name), Some(id)) = (columns.get(name), columns.get(id)) else { continue };
            let id = if id.is_empty() { format!("{file}:{row}") } else { format!("{file}:{id}") };
            let node = writer.node(&id, name, NodeKind::Disease).ok()?;
            writer.name(node, name).ok()?;
        }
        Some(())
    };
    add("knowledge/drug_names.tsv", 0, 1)?;
    add("knowledge/disease_names_mesh.tsv", 0, 2)?;
    add("knowledge/disease_names_doid.tsv", 1, 0)?;
    add("knowledge/disease_labels_mondo.tsv", 1, 0)?;
    add("knowledge/phenotype_labels_hpo.tsv", 1, 0)?;
    let bytes = writer.finish().ok()?;
    println!("large dictionary: {} MB of graph", bytes.len() / 1_000_000);
    let start = Instant::now();
    let graph = Graph::open(bytes).ok()?;
    let opened = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let linker = Linker::new(&graph);
    println!(
        "large dictionary: {} names, opened in {opened:.3} s, linker in {:.3} s",
        graph.name_count(),
        start.elapsed().as_secs_f64()
    );
    Some(linker)
}

/// Prints MB/s.
pub fn report(core: &Knowledge<Vec<u8>>) {
    let sets = [
        "clean_medquad_4k.open.jsonl",
        "clean_pubmedqa_l.open.jsonl",
        "clean_mtsamples.open.jsonl",
        "misinfo_medec_ms.open.jsonl",
    ];
    let texts: Vec<String> = sets
        .iter()
        .flat_map(|n| data::lines(n))
        .filter_map(|r| r["text"].as_str().map(str::to_owned))
        .collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("\n## Speed on {} texts, {:.1} MB", texts.len(), bytes as f64 / 1e6);
    let start = Instant::now();
    let ready = Knowledge::core().is_ok();
    println!("core ready ({ready}) in {:.3} s", start.elapsed().as_secs_f64());
    let (speed, found) = mb_per_s(bytes, || texts.iter().map(|t| core.linker().find(t).len()).sum());
    println!("names, core formulary: {speed:.1} MB/s, {found} mentions");
    let (speed, found) = mb_per_s(bytes, || texts.iter().map(|t| core.claims(t).len()).sum());
    println!("claims with verdicts, core formulary: {speed:.1} MB/s, {found} claims");
    if let Some(linker) = large() {
        let (speed, found) = mb_per_s(bytes, || texts.iter().map(|t| linker.find(t).len()).sum());
        println!("names, large dictionary: {speed:.1} MB/s, {found} mentions");
    }
}
