//! Measures the finding of identifiers.
//!
//! ```sh
//! cargo run --release -p text --example phi_figures -- folds      # trained on 4/5 of the open halves, judged on 1/5
//! cargo run --release -p text --example phi_figures -- sets       # trained without the set that is judged
//! cargo run --release -p text --example phi_figures -- shipped [SUFFIX]   # the weights in the repository
//! cargo run --release -p text --example phi_figures -- curve      # recall against alarms over the threshold
//! cargo run --release -p text --example phi_figures -- stream    # gold values that a stream of 4 bytes lets out
//! cargo run --release -p text --example phi_figures -- speed     # megabytes a second, start, memory
//! ```
//! A gold span counts as covered when all its bytes are inside findings; a text leaks when one gold byte is not. A text
//! without identifiers is flagged when anything is found in it.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for developers")]

#[path = "../phi_data/mod.rs"]
mod phi_data;

use phi_data::{Row, Without, rows, weights};
use text::phi::learn::Settings;
use text::phi::{Finder, Sensitivity, Weights};

/// What was counted over some texts.
#[derive(Clone, Debug, Default)]
struct Count {
    spans: usize,
    covered: usize,
    documents: usize,
    leaking: usize,
    free: usize,
    flagged: usize,
    bytes_clean: usize,
    bytes_masked: usize,
}

const JUDGED: [&str; 6] = [
    "phi_asq",
    "phi_clin_surrogate",
    "phi_philter_sample_notes",
    "phi_presidio_synth_v2",
    "phi_presidio_generated_large",
    "misinfo_medec_ms",
];

/// Kinds of a set that Safe Harbor does not list.
fn outside_the_rule(set: &str, kind: &str, value: &str) -> bool {
    let presidio = set.starts_with("phi_presidio");
    let year = value.len() == 4 && value.bytes().all(|b| b.is_ascii_digit());
    presidio
        && (matches!(
            kind,
            "GPE" | "LOCATION" | "ORGANIZATION" | "NRP" | "TITLE" | "PREFIX" | "AGE" | "DOMAIN_NAME"
        ) || (kind == "DATE_TIME" && (year || !value.bytes().any(|b| b.is_ascii_digit()))))
}

fn judge(set: &str, row: &Row, finder: &mut Finder<'_>, show: bool, count: &mut Count) {
    let found = finder.find(&row.text);
    let mut masked = vec![false; row.text.len()];
    for f in &found {
        masked[f.span.range()].fill(true);
    }
    let mut gold = vec![false; row.text.len()];
    let (mut leak, mut any) = (false, false);
    for (start, end, kind) in &row.gold {
        let value = &row.text[*start..*end];
        gold[*start..*end].fill(true);
        if outside_the_rule(set, kind, value) {
            continue;
        }
        any = true;
        count.spans += 1;
        let covered = masked[*start..*end].iter().all(|m| *m);
        count.covered += usize::from(covered);
        leak |= !covered;
        if !covered && show {
            let from = row.text.floor_char_boundary(start.saturating_sub(40));
            let to = row.text.ceil_char_boundary((end + 20).min(row.text.len()));
            println!("  missed {set} {kind} `{value}` in …{}…", row.text[from..to].replace('\n', "⏎"));
        }
    }
    if any {
        count.documents += 1;
        count.leaking += usize::from(leak);
    } else if row.gold.is_empty() {
        count.free += 1;
        count.flagged += usize::from(!found.is_empty());
    }
    count.bytes_clean += gold.iter().filter(|g| !**g).count();
    count.bytes_masked += gold.iter().zip(&masked).filter(|(g, m)| !**g && **m).count();
    if show {
        for f in found.iter().filter(|f| !gold[f.span.range()].iter().any(|g| *g)) {
            let (start, end) = (f.span.start(), f.span.end());
            let from = row.text.floor_char_boundary(start.saturating_sub(40));
            let to = row.text.ceil_char_boundary((end + 20).min(row.text.len()));
            println!(
                "  alarm {set} {:?} {:.2} `{}` in …{}…",
                f.kind,
                f.confidence,
                f.span.of(&row.text),
                row.text[from..to].replace('\n', "⏎")
            );
        }
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

fn print(set: &str, c: &Count) {
    println!(
        "{set:32} spans {:5} covered {:6.2}%  documents {:4} leaking {:5.1}%  free {:4} flagged {:5.1}%  clean bytes masked {:.3}%",
        c.spans,
        percent(c.covered, c.spans),
        c.documents,
        percent(c.leaking, c.documents),
        c.free,
        percent(c.flagged, c.free),
        percent(c.bytes_masked, c.bytes_clean),
    );
}

fn folds(show: bool, settings: Settings) {
    let mut counts = vec![Count::default(); JUDGED.len()];
    for fold in 0..5 {
        let model = weights(Without { fold: Some(fold), ..Without::default() }, settings);
        let mut finder = Finder::new(&model, Sensitivity::default());
        for (set, count) in JUDGED.iter().zip(&mut counts) {
            for (_, row) in rows(set, "open").iter().enumerate().filter(|(i, _)| i % 5 == fold) {
                judge(set, row, &mut finder, show, count);
            }
        }
    }
    JUDGED.iter().zip(&counts).for_each(|(set, count)| print(set, count));
}

/// The folds again, at several thresholds of each model.
fn curve() {
    const MARGINS: [i32; 9] = [-300, -150, -80, -40, 0, 40, 80, 150, 300];
    let mut counts = vec![vec![Count::default(); JUDGED.len()]; MARGINS.len()];
    for fold in 0..5 {
        let model = weights(Without { fold: Some(fold), ..Without::default() }, Settings::default());
        for (margin, counts) in MARGINS.iter().zip(&mut counts) {
            let mut finder = Finder::new(&model, Sensitivity::with_margin(*margin));
            for (set, count) in JUDGED.iter().zip(counts) {
                for (_, row) in rows(set, "open").iter().enumerate().filter(|(i, _)| i % 5 == fold) {
                    judge(set, row, &mut finder, false, count);
                }
            }
        }
    }
    for (margin, counts) in MARGINS.iter().zip(&counts) {
        println!("margin {margin}");
        JUDGED.iter().zip(counts).for_each(|(set, count)| print(set, count));
    }
}

/// Gold values of at least five bytes that stand in the masked text, masked whole and in pieces of four bytes.
fn stream() {
    use text::mask::{Session, Style};
    for set in JUDGED {
        let (mut values, mut whole, mut pieces) = (0, 0, 0);
        for row in rows(set, "open") {
            let found = text::phi::find(&row.text);
            let at_once = Session::new([1; 32], Style::Placeholder).mask(&row.text, &found).text;
            let mut masker = text::stream::StreamMasker::new(Session::new([1; 32], Style::Placeholder));
            let mut out = String::new();
            for piece in row.text.as_bytes().chunks(4) {
                out += &masker.push_bytes(piece).expect("a text");
            }
            out += &masker.finish().expect("a text").0;
            for (start, end, kind) in &row.gold {
                let value = &row.text[*start..*end];
                if value.len() >= 5 && !outside_the_rule(set, kind, value) {
                    values += 1;
                    whole += usize::from(at_once.contains(value));
                    pieces += usize::from(out.contains(value));
                }
            }
        }
        println!("{set:32} values {values:5} out when whole {whole:3}, in pieces {pieces:3}");
    }
}

fn one_set(set: &str, model: &Weights, sensitivity: Sensitivity, suffix: &str, show: bool) -> Count {
    let (mut count, mut finder) = (Count::default(), Finder::new(model, sensitivity));
    rows(set, suffix).iter().for_each(|row| judge(set, row, &mut finder, show, &mut count));
    count
}

/// Processor seconds of this thread so far (Linux).
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// Time to the first finding, then throughput per processor second over each set of texts, best of five, and the peak of memory.
fn speed() {
    let start = cpu_seconds();
    let found = text::phi::find("Seen by Dr. Okafor on 04/12/2023.").len();
    println!("first finding ({found} identifiers) after {:.1} CPU ms", (cpu_seconds() - start) * 1e3);
    let mut finder = Finder::default();
    for set in ["misinfo_medec_ms", "clean_mtsamples", "clean_pubmedqa_l", "phi_clin_surrogate", "phi_asq"] {
        let texts: Vec<String> = rows(set, "open").into_iter().map(|r| r.text).collect();
        let bytes: usize = texts.iter().map(String::len).sum();
        // At least eight megabytes at a time: the clock of the scheduler is coarse.
        let rounds = 1 + 8_000_000 / bytes.max(1);
        let once = |finder: &mut Finder<'_>| {
            let start = cpu_seconds();
            let found: usize = (0..rounds).flat_map(|_| &texts).map(|t| finder.find(t).len()).sum();
            ((cpu_seconds() - start) / rounds as f64, found / rounds)
        };
        let best = (0..5).map(|_| once(&mut finder)).min_by(|a, b| a.0.total_cmp(&b.0)).expect("five runs");
        println!("{set:24} {bytes:9} bytes {:7} found {:6.1} MB/s", best.1, bytes as f64 / best.0 / 1e6);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|l| l.starts_with("VmHWM")).for_each(|l| println!("{l}"));
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_else(|| "shipped".to_owned());
    let extra = arguments.next().unwrap_or_default();
    let show = extra == "show" || arguments.next().as_deref() == Some("show");
    match what.as_str() {
        "folds" => folds(show, Settings::default()),
        "sets" => {
            for set in JUDGED {
                let model = weights(Without { set: Some(set), ..Without::default() }, Settings::default());
                print(set, &one_set(set, &model, Sensitivity::default(), "open", show));
            }
        }
        "speed" => speed(),
        "stream" => stream(),
        "curve" => curve(),
        _ => {
            let suffix = if extra.is_empty() || extra == "show" { "open" } else { &extra };
            for set in JUDGED {
                print(set, &one_set(set, Weights::shared(), Sensitivity::default(), suffix, show));
            }
        }
    }
}
