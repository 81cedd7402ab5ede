//! Prints every setting of the reference figures beside ours: samples left standing, what only a peer broke, CPU seconds of this thread.
//! `cargo run --release -p attack --example strength [WORD …]`: only settings whose model, attack or budget contains one of the words.
//! `SEEDS` (5), `PARAMETERS` (JSON, in place of the defaults), `ASEPSIS_SHARED` (beside the repository).
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people at a terminal")]

#[path = "../tests/reference/mod.rs"]
mod reference;

use reference::{Case, Union, ran, right, settings, shared};

fn main() {
    let Some(root) = shared() else {
        println!("no reference figures: set ASEPSIS_SHARED");
        return;
    };
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(5);
    println!(
        "| model | attack | budget | n | right | lowest peer stands | ours stand, by seed | CPU s fastest peer | ours |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut union = Union::default();
    let (mut rows, mut held) = (0, 0);
    for setting in settings(&root) {
        let budget = format!("{} {}", setting.ball.norm.as_str(), setting.epsilon);
        let name = format!("{} {} {budget}", setting.model, setting.attack);
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        let Some(case) = Case::of(&root, &setting) else {
            println!(
                "| {} | {} | {budget} | {} | model or data not at hand |",
                setting.model, setting.attack, setting.n
            );
            continue;
        };
        let mut shown = case.target();
        let correct = right(&case, &mut shown);
        let (attack, mut parameters) = setting.ours();
        if let Ok(given) = std::env::var("PARAMETERS") {
            parameters = serde_json::from_str(&given).unwrap();
        }
        let (mut stand, mut cpu) = (Vec::new(), Vec::new());
        let mut median = Vec::new();
        for seed in 1..=seeds {
            let ran = ran(&case, &mut shown, attack, &parameters, setting.ball, seed);
            if seed == 1 {
                union.add(&setting, &case, &correct, &ran.broken);
            }
            stand.push(ran.stand);
            cpu.push(ran.cpu);
            median.push(format!("{:.4}", ran.median));
        }
        rows += 1;
        let kept = stand.iter().all(|s| *s <= setting.lowest());
        held += usize::from(kept);
        let list: Vec<String> = stand.iter().map(ToString::to_string).collect();
        cpu.sort_by(f64::total_cmp);
        let minimal = attack::evasion::find(attack).unwrap().minimal;
        println!(
            "| {} | {attack} | {budget} | {} | {} | {} | {}{}{} | {:.3} | {:.3} |",
            setting.model,
            setting.n,
            correct.len(),
            setting.lowest(),
            list.join(" "),
            if kept { "" } else { " (above)" },
            if minimal { format!(", median {}", median.join(" ")) } else { String::new() },
            setting.fastest(),
            cpu.get(cpu.len() / 2).copied().unwrap_or(0.0),
        );
    }
    println!("\n{held} of {rows} settings: no more left standing than the strongest peer, with every seed");
    for (key, missed) in union.missed() {
        println!("{key}: broken by a peer and by no attack of ours with seed 1: {missed:?}");
    }
}
