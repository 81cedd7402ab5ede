//! How many documents of clean clinical corpora are taken out, and why, and how fast: `cargo run --release -p corpus --example clean_corpora [show]`, with
//! `ASEPSIS_SHARED` (default `../shared`).
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people at a terminal")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use corpus::{Identifiers, Screen, What};
use knowledge::Knowledge;

fn main() {
    let shared = std::env::var_os("ASEPSIS_SHARED").map_or_else(|| "../shared".into(), PathBuf::from);
    let show = std::env::args().any(|a| a == "show");
    let knowledge = Knowledge::core().unwrap();
    let (mut bytes, mut documents, mut all) = (0, 0, 0);
    let start = Instant::now();
    for set in ["clean_medquad_4k", "clean_pubmedqa_l", "clean_mtsamples"] {
        let screen = Screen::new(&knowledge, Identifiers::Off);
        let mut kinds: BTreeMap<(What, String), u64> = BTreeMap::new();
        let (mut found, mut of) = (0, 0);
        for line in
            std::fs::read_to_string(shared.join(format!("data/text/{set}.open.jsonl"))).unwrap().lines()
        {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let parts: Vec<&str> = value.as_object().unwrap().values().filter_map(|v| v.as_str()).collect();
            let text = value["text"].as_str().map_or_else(|| parts.join("\n"), str::to_owned);
            let judged = screen.judge(&text);
            of += 1;
            bytes += text.len();
            if judged.is_found(Identifiers::Off) {
                found += 1;
            }
            for m in &judged.marks {
                *kinds.entry((m.what, m.name.clone())).or_default() += 1;
                if show {
                    println!(
                        "{set}: {:?} {} [{}] {}",
                        m.what,
                        m.name,
                        text.get(m.start..m.end).unwrap_or(""),
                        m.why
                    );
                }
            }
        }
        println!("{set}: {found} of {of} documents taken out; {kinds:?}");
        documents += of;
        all += found;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("together {all} of {documents}; {:.1} MB/s without identifiers", bytes as f64 / 1e6 / seconds);
}
