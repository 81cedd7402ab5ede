//! `asepsis bom`: what a model file is made of, as a CycloneDX document, and what its papers leave out.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use app::bom::{Beside, Compared, Made};
use artifact::bom::Spec;
use clap::{Args, ValueEnum};
use domain::{Clock as _, Timestamp};

use crate::cli::Format;
use crate::scan::{self, ScanArguments};

/// Version of the CycloneDX specification.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpecVersion {
    /// CycloneDX 1.6 (ECMA-424, first edition).
    #[value(name = "1.6")]
    V16,
    /// CycloneDX 1.7.
    #[value(name = "1.7")]
    V17,
}

/// What `asepsis bom` takes.
#[derive(Args)]
pub struct BomArguments {
    /// File or folder of the model
    pub target: String,
    /// Version of CycloneDX
    #[arg(long, value_enum, default_value_t = SpecVersion::V17)]
    pub spec: SpecVersion,
    /// Name of the model; the file's name if left out
    #[arg(long)]
    pub name: Option<String>,
    /// Version of the model
    #[arg(long)]
    pub model_version: Option<String>,
    /// Offline export of OSV (folder or zip of advisories), to name known vulnerabilities of libraries
    #[arg(long, value_name = "FOLDER|ZIP")]
    pub osv: Option<PathBuf>,
    /// A vendor's paper to compare: CycloneDX JSON or a CHAI model card (XML)
    #[arg(long = "paper", value_name = "FILE")]
    pub papers: Vec<PathBuf>,
    /// Write the document here instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Runs `asepsis bom`.
pub fn run(arguments: &BomArguments, format: Format) -> anyhow::Result<u8> {
    let report = scan::report(&ScanArguments {
        targets: vec![arguments.target.clone()],
        policy: None,
        output: None,
        threads: None,
        no_cache: true,
        memory_max: 32,
    })?;
    let scanned = report.results.first().context("nothing was scanned")?;
    if report.stopped {
        bail!("stopped: a bill of materials of half a model would mislead");
    }
    let spec = match arguments.spec {
        SpecVersion::V16 => Spec::V16,
        SpecVersion::V17 => Spec::V17,
    };
    let beside = Beside {
        name: arguments.name.as_deref(),
        version: arguments.model_version.as_deref(),
        osv: arguments.osv.as_deref(),
        papers: &arguments.papers,
        ..Beside::default()
    };
    let made = app::bom::make(spec, scanned, &beside, now()?)?;
    scan::write(arguments.output.as_deref(), &scan::pretty(&made.document)?)?;
    // The document may go to standard output, so what is said about it goes to the other stream.
    match format {
        Format::Json => eprintln!("{}", serde_json::to_string_pretty(&made.papers)?),
        _ => eprint!("{}", words(&made)),
    }
    Ok(u8::from(made.papers.iter().any(|p| !p.contradicts.is_empty())))
}

/// The time of the document: `SOURCE_DATE_EPOCH` where it is set, so that builds can be repeated, else now.
fn now() -> anyhow::Result<Timestamp> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Err(_) => Ok(app::SystemClock::default().now()),
        Ok(text) => {
            let seconds: i64 = text.parse().context("SOURCE_DATE_EPOCH is a number of seconds")?;
            Ok(Timestamp::from_millis(seconds.saturating_mul(1000)))
        }
    }
}

fn words(made: &Made) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for v in &made.vulnerable {
        let _ = writeln!(out, "vulnerable: {} {}: {} {} ({})", v.library, v.version, v.id, v.summary, v.why);
    }
    for Compared { paper, missing, contradicts } in &made.papers {
        let _ = writeln!(out, "{paper}: {} contradictions, {} gaps", contradicts.len(), missing.len());
        for line in contradicts {
            let _ = writeln!(out, "  contradicts: {line}");
        }
        for line in missing {
            let _ = writeln!(out, "  missing: {line}");
        }
    }
    out
}
