//! `asepsis data screen`: what of a corpus a clinical language model should not be trained on.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use app::corpora::{self, Identifiers, Report, Request};
use clap::{Args, ValueEnum};

use crate::cli::Format;
use crate::scan::{pretty, stop_on_signal};

#[derive(Args)]
pub struct ScreenArguments {
    /// A file or a folder: lines of JSON or text, plain, gzip or zstd
    path: PathBuf,
    /// Folder for verdicts, report, clean and quarantined documents
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Field of a JSON line that holds the text [default: text, content, body, document or abstract, else every text in the line]
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// What documents are for in which somebody can be identified
    #[arg(long, value_enum, default_value_t = Wanted::Note)]
    identifiers: Wanted,
    /// Threads [default: one for each processor]
    #[arg(long)]
    threads: Option<usize>,
    /// Go on where a run into the same folder stopped
    #[arg(long)]
    resume: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Wanted {
    /// Do not look for them
    Off,
    /// Mark them and let them stay
    Note,
    /// Take them out
    Quarantine,
}

/// Runs the command. 0: nothing found; 1: something; 2: something could not be read, or it was stopped.
pub fn run(arguments: &ScreenArguments, format: Format) -> anyhow::Result<u8> {
    let stop = stop_on_signal("stopping after the documents that are being judged; once more ends at once");
    let bar = crate::terminal::bytes("screening");
    let threads =
        arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
    let report = corpora::screen(&Request {
        path: arguments.path.clone(),
        out: arguments.out.clone(),
        field: arguments.field.clone(),
        identifiers: match arguments.identifiers {
            Wanted::Off => Identifiers::Off,
            Wanted::Note => Identifiers::Note,
            Wanted::Quarantine => Identifiers::Quarantine,
        },
        threads,
        resume: arguments.resume,
        progress: &|_, bytes, all| {
            bar.set_length(all);
            bar.set_position(bytes);
        },
        stop: &|| stop.load(Ordering::Relaxed),
    })?;
    bar.finish_and_clear();
    match format {
        Format::Text => print!("{}", text(&report, arguments)),
        _ => print!("{}", pretty(&report)?),
    }
    Ok(if !report.complete || report.inconclusive > 0 { 2 } else { u8::from(report.found > 0) })
}

/// For people.
fn text(report: &Report, arguments: &ScreenArguments) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let stopped = !report.complete && report.counts.is_empty() && report.broken.is_empty();
    if stopped {
        let _ = writeln!(out, "stopped after {} documents; go on with --resume", report.documents);
        return out;
    }
    let _ = writeln!(
        out,
        "{} documents in {} files: {} taken out, {} could not be read",
        report.documents, report.files, report.found, report.inconclusive
    );
    for count in &report.counts {
        let names: Vec<String> = count.names.iter().map(|(n, c)| format!("{n} {c}")).collect();
        let _ = writeln!(out, "  {:>8}  {}: {}", count.documents, count.says, names.join(", "));
    }
    for source in report.sources.iter().filter(|s| s.stands_out) {
        let _ = writeln!(
            out,
            "source `{}`: {} of {} documents found",
            source.name, source.found, source.documents
        );
    }
    for (places, what) in [(&report.quarantined, "taken out"), (&report.broken, "not read")] {
        for place in places.iter().take(10) {
            let _ = writeln!(out, "{what}: {}:{} {}", place.file, place.line, place.why);
        }
        if places.len() > 10 {
            let _ = writeln!(out, "… and {} more in the report", places.len() - 10);
        }
    }
    if let Some(digest) = report.corpus {
        let _ = writeln!(out, "corpus {digest}");
    }
    let _ = writeln!(out, "report: {}", arguments.out.join("report.html").display());
    out
}
