//! The live summary in the terminal: the same overview as the console's page, in a few lines that are drawn over.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use app::Hospital;
use app::overview::{Overview, Serving};
use gateway::Gateway;

/// Time between drawings.
const EVERY: Duration = Duration::from_millis(1_000);
/// Decisions shown.
const DECISIONS: usize = 6;
/// Lines remembered as said.
const SAID_MAX: usize = 10_000;
/// Widest line, in characters.
const WIDTH_MAX: usize = 110;

/// Whether somebody looks.
pub fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Draws for ever, or prints a line for each new alarm and rehearsal step when nobody looks at a terminal.
pub async fn show(hospital: &Hospital, gateway: &Gateway, live: bool) {
    let mut drawn = 0;
    let mut said: Vec<String> = Vec::new();
    let mut serving = BTreeMap::new();
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        let Ok(overview) = hospital.overview().await else { continue };
        if live {
            let lines = lines(&overview, gateway);
            let mut out = std::io::stdout().lock();
            if drawn > 0 {
                let _ = write!(out, "\x1b[{drawn}A\x1b[J");
            }
            for line in &lines {
                let _ = writeln!(out, "{line}");
            }
            let _ = out.flush();
            drawn = lines.len();
        } else {
            for line in news(&overview) {
                if !said.contains(&line) {
                    println!("{line}");
                    said.push(line);
                }
            }
            if said.len() > SAID_MAX {
                said.clear();
            }
            for system in &overview.systems {
                let word = system.serving.word();
                if serving.insert(system.id.clone(), word) != Some(word) {
                    println!("{} is {word}", system.id);
                }
            }
        }
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WIDTH_MAX {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(WIDTH_MAX - 1).collect();
    out.push('…');
    out
}

fn lines(overview: &Overview, gateway: &Gateway) -> Vec<String> {
    let mut out = vec![format!(
        "{}   ledger {} entries {}   answered {}  refused {}   Ctrl-C ends",
        overview.hospital,
        overview.ledger.size,
        overview.ledger.root.chars().take(12).collect::<String>(),
        gateway.metrics().answered_total(),
        gateway.metrics().refused_total(),
    )];
    for system in &overview.systems {
        let why = match &system.serving {
            Serving::Open => format!("p50 {} us", system.counts.took_us_p50),
            Serving::Fallback { because } | Serving::Shut { because } => because.join(", "),
            Serving::Suspended { by, reason } => format!("{by}: {reason}"),
        };
        let [good, care, no] = system.counts.advice;
        out.push(format!(
            "  {:<22} {:<9} use {good:<5} with care {care:<5} do not {no:<4} refused {:<5} {why}",
            system.id.as_str(),
            system.serving.word(),
            system.counts.refused
        ));
    }
    for step in &overview.rehearsal {
        let mark = match step.state.as_str() {
            "caught" => "caught ",
            "missed" => "MISSED ",
            "running" => "…      ",
            "skipped" => "skipped",
            _ => "       ",
        };
        out.push(format!("  rehearsal {mark} {}", step.title));
    }
    for decision in overview.decisions.iter().take(DECISIONS) {
        let what = match &decision.refused {
            Some(code) => format!("refused {code}"),
            None => decision.advice.to_string(),
        };
        let why = decision.notes.first().map_or_else(String::new, |n| n.message.clone());
        let time = decision.at.to_string();
        out.push(format!(
            "  {} {:<20} {:<22} {what:<14} {why}",
            &time[11..19],
            decision.client,
            decision.system
        ));
    }
    out.iter().map(|line| cut(line)).collect()
}

fn news(overview: &Overview) -> Vec<String> {
    let mut out = Vec::new();
    for step in overview.rehearsal.iter().filter(|s| !s.seen.is_empty()) {
        out.push(format!("rehearsal: {}: {}: {}", step.title, step.state, step.seen));
    }
    for alarm in overview.alarms.iter().rev() {
        out.push(format!("alarm {} {} {}: {}", alarm.at, alarm.alarm, alarm.name, alarm.message));
    }
    out
}
